//! Comments: read as they are now, written once.

use http::Method;
use serde::Deserialize;
use serde_json::json;
use tagboat_model::{Comment, Timestamp};

use super::{
    GithubForge,
    client::Repeat,
    wire::{User, account_of},
};
use crate::{
    error::Failure,
    http::{encoded, time_of},
};

#[derive(Deserialize)]
struct WireComment {
    id: u64,
    user: Option<User>,
    body: Option<String>,
    created_at: String,
    updated_at: String,
}

/// A mark that nobody sees, at the end of a text.
fn hidden(mark: &str) -> String {
    format!("<!-- tagboat:{mark} -->")
}

impl GithubForge {
    pub(super) async fn list_comments(&self, number: u64, since: Option<Timestamp>) -> Result<Vec<Comment>, Failure> {
        let since = since.map(|since| format!("?since={}", encoded(&since.to_string()))).unwrap_or_default();
        let path = self.path(&format!("/issues/{number}/comments{since}"));
        let found: Vec<WireComment> = self.client.list(&path, None).await?;
        let read = found.into_iter().map(|comment| {
            Ok::<_, Failure>(Comment {
                id: comment.id,
                by: account_of(comment.user),
                body: comment.body.unwrap_or_default(),
                created_at: time_of(&comment.created_at)?,
                edited: comment.created_at != comment.updated_at,
            })
        });
        read.collect()
    }

    pub(super) async fn write_comment(&self, number: u64, mark: &str, body: &str) -> Result<(), Failure> {
        let mark = hidden(mark);
        if self.has_comment(number, &mark).await? {
            return Ok(());
        }
        let path = self.path(&format!("/issues/{number}/comments"));
        let text = json!({ "body": format!("{}\n\n{mark}", body.trim_end()) });
        let failure = match self.client.write(Method::POST, &path, Some(&text), Repeat::Never).await {
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
