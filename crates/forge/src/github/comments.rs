//! Comments: read as they are now, written once.

use async_trait::async_trait;
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use tagboat_model::{Comment, Timestamp};

use super::{
    GithubForge,
    client::Repeat,
    wire::{User, account_of},
};
use crate::{
    comments::Comments,
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
}

#[async_trait]
impl Comments for GithubForge {
    async fn bot_id(&self) -> Result<u64, Failure> {
        Ok(self.who_am_i().await?.id)
    }

    async fn all_comments(&self, number: u64) -> Result<Vec<Comment>, Failure> {
        self.list_comments(number, None).await
    }

    async fn send_comment(&self, number: u64, text: &Value) -> Result<(), Failure> {
        let path = self.path(&format!("/issues/{number}/comments"));
        let answer = self.client.write(Method::POST, &path, Some(text), Repeat::Never).await?;
        answer.success().map(|_| ())
    }
}
