//! Comments, which GitLab calls notes: read as they are now, written once.

use async_trait::async_trait;
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use tagboat_model::{Comment, Timestamp};

use super::{GitlabForge, wire::User};
use crate::{comments::Comments, error::Failure, http::time_of, rest::Repeat};

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
}

#[async_trait]
impl Comments for GitlabForge {
    async fn bot_id(&self) -> Result<u64, Failure> {
        Ok(self.who_am_i().await?.id)
    }

    async fn all_comments(&self, number: u64) -> Result<Vec<Comment>, Failure> {
        self.list_comments(number, None).await
    }

    async fn send_comment(&self, number: u64, text: &Value) -> Result<(), Failure> {
        let path = self.path(&format!("/merge_requests/{number}/notes"));
        let answer = self.rest.write(Method::POST, &path, Some(text), Repeat::Never).await?;
        answer.success().map(|_| ())
    }
}
