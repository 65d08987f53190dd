//! Comments, which GitLab calls notes: read as they are now, written once.

use http::Method;
use serde::Deserialize;
use serde_json::json;
use tagboat_model::{Comment, Timestamp};

use super::{GitlabForge, wire::User};
use crate::{
    error::Failure,
    http::time_of,
    rest::{Repeat, hidden},
};

const MOST_NOTES: usize = 3000;

#[derive(Deserialize)]
struct Note {
    id: u64,
    body: String,
    author: User,
    /// What GitLab itself writes: who pushed, who labelled.
    #[serde(default)]
    system: bool,
    created_at: String,
    updated_at: String,
}

impl GitlabForge {
    /// Those that changed last come first, so that of very many the old ones are left out.
    pub(super) async fn list_comments(&self, number: u64, since: Option<Timestamp>) -> Result<Vec<Comment>, Failure> {
        let path = self.path(&format!("/merge_requests/{number}/notes?order_by=updated_at&sort=desc"));
        let found: Vec<Note> = self.rest.list(&path, MOST_NOTES).await?;
        let mut comments = Vec::new();
        for note in found.into_iter().filter(|note| !note.system) {
            if since.is_some_and(|since| time_of(&note.updated_at).is_ok_and(|updated| updated < since)) {
                continue;
            }
            comments.push(Comment {
                id: note.id,
                by: note.author.account(),
                body: note.body,
                created_at: time_of(&note.created_at)?,
                edited: note.created_at != note.updated_at,
            });
        }
        comments.sort_by_key(|comment| (comment.created_at, comment.id));
        Ok(comments)
    }

    pub(super) async fn write_comment(&self, number: u64, mark: &str, body: &str) -> Result<(), Failure> {
        let mark = hidden(mark);
        if self.has_comment(number, &mark).await? {
            return Ok(());
        }
        let path = self.path(&format!("/merge_requests/{number}/notes"));
        let text = json!({ "body": format!("{}\n\n{mark}", body.trim_end()) });
        let failure = match self.rest.write(Method::POST, &path, Some(&text), Repeat::Never).await {
            Ok(answer) => return answer.success().map(|_| ()),
            Err(failure) => failure,
        };
        if failure.unknown && self.has_comment(number, &mark).await? { Ok(()) } else { Err(failure) }
    }

    /// Whether the bot itself wrote this already: the mark of somebody else counts for nothing.
    async fn has_comment(&self, number: u64, mark: &str) -> Result<bool, Failure> {
        let bot = self.who_am_i().await?;
        let comments = self.list_comments(number, None).await?;
        Ok(comments.iter().any(|comment| comment.by.id == bot.id && comment.body.contains(mark)))
    }
}
