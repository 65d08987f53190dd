//! Pull requests: found, opened, changed, decorated.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tagboat_model::{Decoration, Duration, PullRequest};
use tagboat_ports::{BOT_BRANCHES, ForgeErrorKind, NewPullRequest, PullRequestEdit};

use super::{
    GithubForge,
    client::Repeat,
    graphql::{GraphAnswer, change},
    wire::{Pull, User},
};
use crate::{
    error::Failure,
    http::{encoded, time_of},
};

const TO_DRAFT: &str = "mutation($input: ConvertPullRequestToDraftInput!) { convertPullRequestToDraft(input: $input) { pullRequest { isDraft } } }";
const TO_READY: &str = "mutation($input: MarkPullRequestReadyForReviewInput!) { markPullRequestReadyForReview(input: $input) { pullRequest { isDraft } } }";

/// Of closed pull requests, on one page.
const PAGE: usize = 100;
/// How many pages of them are read at most: they are everybody's.
const MOST_PAGES_OF_CLOSED: usize = 3;
/// What changed longer ago is of no interest any more.
const RECENTLY: Duration = Duration::from_seconds(30 * 24 * 60 * 60);

#[derive(Deserialize)]
struct Milestone {
    number: u64,
    title: String,
}

#[derive(Deserialize)]
struct Assigned {
    #[serde(default)]
    assignees: Vec<User>,
}

#[derive(Deserialize)]
struct ChangedFile {
    filename: String,
    previous_filename: Option<String>,
}

impl GithubForge {
    /// Every open one of ours, and of the closed ones those that changed last.
    pub(super) async fn list_pulls(&self) -> Result<Vec<PullRequest>, Failure> {
        let open: Vec<Pull> = self.client.list(&self.path("/pulls?state=open"), None).await?;
        let closed = self.closed_pulls().await?;
        let is_ours = |pull: &Pull| pull.head().starts_with(BOT_BRANCHES) && pull.is_of_this_repository();
        let candidates = open.iter().filter(|pull| is_ours(pull) && !pull.is_auto_merging());
        let queued = self.queued(&candidates.map(|pull| pull.number).collect::<Vec<_>>()).await?;
        let mut all = BTreeMap::new();
        // One that was closed between the two questions is in both; the second answer counts.
        for pull in open.into_iter().chain(closed).filter(is_ours) {
            let is_queued = queued.contains(&pull.number);
            match pull.into_model(is_queued) {
                Ok(read) => all.insert(read.number, read),
                // A branch that no branch of ours is called.
                Err(failure) if failure.kind == ForgeErrorKind::Unsupported => None,
                Err(failure) => return Err(failure),
            };
        }
        Ok(all.into_values().collect())
    }

    /// One page, and more only where that one is full of what changed recently.
    async fn closed_pulls(&self) -> Result<Vec<Pull>, Failure> {
        let path = self.path("/pulls?state=closed&sort=updated&direction=desc");
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES_OF_CLOSED {
            let answer = self.client.get(&format!("{path}&per_page={PAGE}&page={page}")).await?.success()?;
            let found: Vec<Pull> = answer.json()?;
            let is_full = found.len() >= PAGE;
            let oldest = found.last().map(|pull| time_of(&pull.updated_at)).transpose()?;
            all.extend(found);
            if !is_full || oldest.is_none_or(|at| self.client.now().since(at) >= RECENTLY) {
                break;
            }
        }
        Ok(all)
    }

    /// The pull request as GitHub has it.
    pub(super) async fn pull(&self, number: u64) -> Result<Option<Pull>, Failure> {
        let answer = self.client.get(&self.path(&format!("/pulls/{number}"))).await?;
        match answer.status {
            404 => Ok(None),
            _ => answer.success()?.json().map(Some),
        }
    }

    /// The same, which must be there.
    pub(super) async fn known_pull(&self, number: u64) -> Result<Pull, Failure> {
        let missing = || Failure::permanent(format!("there is no pull request {number}"));
        self.pull(number).await?.ok_or_else(missing)
    }

    pub(super) async fn read_pull(&self, number: u64) -> Result<Option<PullRequest>, Failure> {
        let Some(pull) = self.pull(number).await? else { return Ok(None) };
        let may_wait = pull.is_open() && !pull.is_auto_merging();
        let queued = may_wait && self.queued(&[number]).await?.contains(&number);
        pull.into_model(queued).map(Some)
    }

    pub(super) async fn open_pull(&self, new: &NewPullRequest) -> Result<PullRequest, Failure> {
        let mut draft = new.draft;
        loop {
            let body = json!({
                "head": new.head.as_str(), "base": new.base.as_str(), "title": new.title, "body": new.body, "draft": draft,
            });
            match self.client.write(Method::POST, &self.path("/pulls"), Some(&body), Repeat::Never).await {
                Ok(answer) if answer.status == 422 && answer.words().contains("already exists") => {
                    let late = || Failure::temporary("GitHub says that it is open already, and does not show it yet");
                    return self.find_open(new).await?.ok_or_else(late);
                }
                // What private repositories without a paid plan do not have.
                Ok(answer) if answer.status == 422 && draft && answer.words().contains("Draft pull requests") => {
                    draft = false;
                }
                Ok(answer) => return answer.success()?.json::<Pull>()?.into_model(false),
                Err(failure) if failure.unknown => return self.find_open(new).await?.ok_or(failure),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// The open one of this head and base.
    async fn find_open(&self, new: &NewPullRequest) -> Result<Option<PullRequest>, Failure> {
        let head = encoded(&format!("{}:{}", self.owner, new.head));
        let path = self.path(&format!("/pulls?state=open&head={head}&base={}", encoded(new.base.as_str())));
        let found: Vec<Pull> = self.client.list(&path, None).await?;
        let found = found.into_iter().find(|pull| pull.is_of_this_repository() && pull.head() == new.head.as_str());
        found.map(|pull| pull.into_model(false)).transpose()
    }

    pub(super) async fn edit_pull(&self, number: u64, edit: &PullRequestEdit) -> Result<(), Failure> {
        let mut body = Map::new();
        let texts = [("title", &edit.title), ("body", &edit.body)];
        let texts = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text.as_ref()?))));
        body.extend(texts);
        if let Some(open) = edit.open {
            body.insert("state".to_owned(), json!(if open { "open" } else { "closed" }));
        }
        if !body.is_empty() {
            let path = self.path(&format!("/pulls/{number}"));
            self.client.write(Method::PATCH, &path, Some(&Value::Object(body)), Repeat::Harmless).await?.success()?;
        }
        match edit.draft {
            Some(draft) => self.set_draft(number, draft).await,
            None => Ok(()),
        }
    }

    async fn set_draft(&self, number: u64, draft: bool) -> Result<(), Failure> {
        let pull = self.known_pull(number).await?;
        if pull.draft == draft {
            return Ok(());
        }
        let document = if draft { TO_DRAFT } else { TO_READY };
        match change(&self.client, document, &json!({ "pullRequestId": pull.node_id })).await? {
            GraphAnswer::Data(_) => Ok(()),
            GraphAnswer::Refused(error) => Err(error.failure("pull_requests=write")),
        }
    }

    /// What could not be added is named.
    pub(super) async fn decorate_pull(&self, number: u64, decoration: &Decoration) -> Result<Vec<String>, Failure> {
        let mut passed_over = Vec::new();
        if !decoration.labels.is_empty() {
            let path = self.path(&format!("/issues/{number}/labels"));
            let body = json!({ "labels": decoration.labels });
            let answer = self.client.write(Method::POST, &path, Some(&body), Repeat::Harmless).await?;
            if matches!(answer.status, 403 | 404 | 422) {
                passed_over.extend(decoration.labels.iter().map(|label| format!("label `{label}`")));
            } else {
                answer.success()?;
            }
        }
        self.request_reviews(number, &decoration.reviewers, &mut passed_over).await?;
        self.assign(number, &decoration.assignees, &mut passed_over).await?;
        if let Some(title) = &decoration.milestone
            && !self.set_milestone(number, title).await?
        {
            passed_over.push(format!("milestone `{title}`"));
        }
        Ok(passed_over)
    }

    /// All at once; where GitHub does not know one of them it takes none, so each alone then.
    async fn request_reviews(&self, number: u64, names: &[String], missed: &mut Vec<String>) -> Result<(), Failure> {
        if names.is_empty() || self.request(number, names).await? {
            return Ok(());
        }
        for name in names {
            if names.len() == 1 || !self.request(number, std::slice::from_ref(name)).await? {
                missed.push(format!("reviewer `{name}`"));
            }
        }
        Ok(())
    }

    async fn request(&self, number: u64, names: &[String]) -> Result<bool, Failure> {
        let (teams, people): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.starts_with("team/"));
        let teams: Vec<&str> = teams.into_iter().filter_map(|name| name.strip_prefix("team/")).collect();
        let path = self.path(&format!("/pulls/{number}/requested_reviewers"));
        let body = json!({ "reviewers": people, "team_reviewers": teams });
        let answer = self.client.write(Method::POST, &path, Some(&body), Repeat::Harmless).await?;
        if matches!(answer.status, 403 | 404 | 422) {
            return Ok(false);
        }
        answer.success().map(|_| true)
    }

    /// GitHub passes over whom it does not know, and says who is there.
    async fn assign(&self, number: u64, names: &[String], missed: &mut Vec<String>) -> Result<(), Failure> {
        if names.is_empty() {
            return Ok(());
        }
        let path = self.path(&format!("/issues/{number}/assignees"));
        let body = json!({ "assignees": names });
        let answer = self.client.write(Method::POST, &path, Some(&body), Repeat::Harmless).await?;
        let there = match answer.status {
            403 | 404 | 422 => Vec::new(),
            _ => answer.success()?.json::<Assigned>()?.assignees,
        };
        let is_there = |name: &str| there.iter().any(|user| user.login.eq_ignore_ascii_case(name));
        missed.extend(names.iter().filter(|name| !is_there(name)).map(|name| format!("assignee `{name}`")));
        Ok(())
    }

    async fn set_milestone(&self, number: u64, title: &str) -> Result<bool, Failure> {
        let milestones: Vec<Milestone> = self.client.list(&self.path("/milestones?state=open"), None).await?;
        let Some(milestone) = milestones.into_iter().find(|milestone| milestone.title == title) else {
            return Ok(false);
        };
        let path = self.path(&format!("/issues/{number}"));
        let body = json!({ "milestone": milestone.number });
        self.client.write(Method::PATCH, &path, Some(&body), Repeat::Harmless).await?.success()?;
        Ok(true)
    }

    /// Where a file was renamed, both names.
    pub(super) async fn list_changed_paths(&self, number: u64) -> Result<Vec<String>, Failure> {
        let files: Vec<ChangedFile> = self.client.list(&self.path(&format!("/pulls/{number}/files")), None).await?;
        Ok(files.into_iter().flat_map(|file| [Some(file.filename), file.previous_filename]).flatten().collect())
    }
}
