//! Comments that are written once, whatever becomes of the answer: each carries a mark that nobody sees.
//!
//! Knows no forge: how comments are read and sent is theirs to say.

use async_trait::async_trait;
use serde_json::{Value, json};
use tagboat_model::Comment;

use crate::error::Failure;

/// A forge with comments on pull requests.
#[async_trait]
pub(crate) trait Comments: Sync {
    /// The bot's id.
    async fn bot_id(&self) -> Result<u64, Failure>;

    /// All comments on a pull request.
    async fn all_comments(&self, number: u64) -> Result<Vec<Comment>, Failure>;

    /// Send one comment, without trying again: `text` is `{"body": …}`.
    async fn send_comment(&self, number: u64, text: &Value) -> Result<(), Failure>;

    /// Write a comment, unless the bot wrote one of this mark already.
    async fn write_comment(&self, number: u64, mark: &str, body: &str) -> Result<(), Failure> {
        let mark = format!("<!-- tagboat:{mark} -->");
        if self.has_comment(number, &mark).await? {
            return Ok(());
        }
        let text = json!({ "body": format!("{}\n\n{mark}", body.trim_end()) });
        let Err(failure) = self.send_comment(number, &text).await else { return Ok(()) };
        // It may be there although no answer came.
        if failure.unknown && self.has_comment(number, &mark).await? { Ok(()) } else { Err(failure) }
    }

    /// Whether the bot itself wrote this already: the mark of somebody else counts for nothing.
    async fn has_comment(&self, number: u64, mark: &str) -> Result<bool, Failure> {
        let bot = self.bot_id().await?;
        let comments = self.all_comments(number).await?;
        Ok(comments.iter().any(|comment| comment.by.id == bot && comment.body.contains(mark)))
    }
}
