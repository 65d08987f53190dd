//! Pull requests: listed, opened and changed; and comments on them.

use async_trait::async_trait;
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tagboat_model::{Comment, PullRequest, Timestamp};
use tagboat_ports::{BOT_BRANCHES, NewPullRequest, PullRequestEdit};

use super::{
    GiteaForge,
    wire::{Pull, User, account_of},
};
use crate::{
    comments::Comments,
    error::Failure,
    http::{encoded, time_of},
    rest::Repeat,
};

/// Of the open ones, and of those that are not any more.
const MOST_OPEN: usize = 3000;
const MOST_DONE: usize = 100;
const MOST_PATHS: usize = 3000;

#[derive(Deserialize)]
struct ChangedFile {
    filename: String,
    previous_filename: Option<String>,
}

#[derive(Deserialize)]
struct WireComment {
    id: u64,
    user: Option<User>,
    body: Option<String>,
    created_at: String,
    updated_at: String,
}

fn titled(title: &str, draft: bool) -> String {
    if draft { format!("WIP: {title}") } else { title.to_owned() }
}

impl GiteaForge {
    pub(super) fn pull_path(&self, number: u64, rest: &str) -> String {
        self.path(&format!("/pulls/{number}{rest}"))
    }

    pub(super) async fn list_pulls(&self) -> Result<Vec<PullRequest>, Failure> {
        let mut found: Vec<Pull> = self.rest.list(&self.path("/pulls?state=open"), MOST_OPEN).await?;
        let done = self.path("/pulls?state=closed&sort=recentupdate");
        found.extend(self.rest.list::<Pull>(&done, MOST_DONE).await?);
        let ours = |pull: &Pull| {
            let is_known = pull.is_open() || !pull.head_commit().is_empty();
            pull.is_of_this_repository() && pull.head().starts_with(BOT_BRANCHES) && is_known
        };
        found.into_iter().filter(ours).map(Pull::into_model).collect()
    }

    async fn pull(&self, number: u64) -> Result<Option<Pull>, Failure> {
        self.rest.find(&self.pull_path(number, "")).await
    }

    pub(super) async fn known_pull(&self, number: u64) -> Result<Pull, Failure> {
        let found = self.pull(number).await?;
        found.ok_or_else(|| Failure::permanent(format!("there is no pull request #{number}")))
    }

    pub(super) async fn read_pull(&self, number: u64) -> Result<Option<PullRequest>, Failure> {
        self.pull(number).await?.map(Pull::into_model).transpose()
    }

    async fn open_of(&self, new: &NewPullRequest) -> Result<Option<PullRequest>, Failure> {
        let found: Vec<Pull> = self.rest.list(&self.path("/pulls?state=open"), MOST_OPEN).await?;
        let is_it = |pull: &Pull| {
            pull.is_of_this_repository() && pull.head() == new.head.as_str() && pull.base() == new.base.as_str()
        };
        found.into_iter().find(is_it).map(Pull::into_model).transpose()
    }

    pub(super) async fn open_pull(&self, new: &NewPullRequest) -> Result<PullRequest, Failure> {
        let body = json!({
            "head": new.head.as_str(),
            "base": new.base.as_str(),
            "title": titled(&new.title, new.draft),
            "body": new.body,
        });
        let written = self.rest.write(Method::POST, &self.path("/pulls"), Some(&body), Repeat::Never).await;
        let answer = match written {
            Ok(answer) if answer.status == 409 => answer,
            Ok(answer) => return answer.success()?.json::<Pull>()?.into_model(),
            Err(failure) if failure.unknown => return self.open_of(new).await?.ok_or(failure),
            Err(failure) => return Err(failure),
        };
        self.open_of(new).await?.ok_or_else(|| answer.refusal())
    }

    pub(super) async fn edit_pull(&self, number: u64, edit: &PullRequestEdit) -> Result<(), Failure> {
        let mut body = Map::new();
        if let Some(title) = self.new_title(number, edit).await? {
            body.insert("title".to_owned(), json!(title));
        }
        if let Some(text) = &edit.body {
            body.insert("body".to_owned(), json!(text));
        }
        if let Some(open) = edit.open
            && self.known_pull(number).await?.is_open() != open
        {
            body.insert("state".to_owned(), json!(if open { "open" } else { "closed" }));
        }
        if body.is_empty() {
            return Ok(());
        }
        let (path, body) = (self.pull_path(number, ""), Value::Object(body));
        self.rest.write(Method::PATCH, &path, Some(&body), Repeat::Harmless).await?.success().map(|_| ())
    }

    /// Whether it is a draft is in the title.
    async fn new_title(&self, number: u64, edit: &PullRequestEdit) -> Result<Option<String>, Failure> {
        if let (Some(title), Some(draft)) = (&edit.title, edit.draft) {
            return Ok(Some(titled(title, draft)));
        }
        if edit.title.is_none() && edit.draft.is_none() {
            return Ok(None);
        }
        let (draft, title) = self.known_pull(number).await?.title();
        Ok(Some(titled(edit.title.as_ref().unwrap_or(&title), edit.draft.unwrap_or(draft))))
    }

    pub(super) async fn list_changed_paths(&self, number: u64) -> Result<Vec<String>, Failure> {
        let found: Vec<ChangedFile> = self.rest.list(&self.pull_path(number, "/files"), MOST_PATHS).await?;
        let mut paths = Vec::new();
        for file in found {
            paths.extend(file.previous_filename.filter(|previous| !previous.is_empty() && *previous != file.filename));
            paths.push(file.filename);
        }
        paths.truncate(MOST_PATHS);
        Ok(paths)
    }

    /// All of them come in one answer, oldest first.
    pub(super) async fn list_comments(&self, number: u64, since: Option<Timestamp>) -> Result<Vec<Comment>, Failure> {
        let since = since.map(|since| format!("?since={}", encoded(&since.to_string()))).unwrap_or_default();
        let path = self.path(&format!("/issues/{number}/comments{since}"));
        let found: Vec<WireComment> = self.rest.read(&path).await?;
        let read = found.into_iter().map(|comment| {
            Ok(Comment {
                id: comment.id,
                by: account_of(comment.user),
                body: comment.body.unwrap_or_default(),
                created_at: time_of(&comment.created_at)?,
                edited: comment.created_at != comment.updated_at,
            })
        });
        let mut comments = read.collect::<Result<Vec<Comment>, Failure>>()?;
        comments.sort_by_key(|comment| (comment.created_at, comment.id));
        Ok(comments)
    }
}

#[async_trait]
impl Comments for GiteaForge {
    async fn bot_id(&self) -> Result<u64, Failure> {
        Ok(self.who_am_i().await?.id)
    }

    async fn all_comments(&self, number: u64) -> Result<Vec<Comment>, Failure> {
        self.list_comments(number, None).await
    }

    async fn send_comment(&self, number: u64, text: &Value) -> Result<(), Failure> {
        let path = self.path(&format!("/issues/{number}/comments"));
        let answer = self.rest.write(Method::POST, &path, Some(text), Repeat::Never).await?;
        answer.success().map(|_| ())
    }
}
