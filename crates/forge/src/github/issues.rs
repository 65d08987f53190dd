//! The bot's issues.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tagboat_ports::Issue;

use super::{GithubForge, client::Repeat};
use crate::{
    error::Failure,
    http::{encoded, time_of},
};

#[derive(Deserialize)]
struct WireIssue {
    number: u64,
    title: String,
    body: Option<String>,
    updated_at: String,
    /// There when it is a pull request.
    #[serde(default)]
    pull_request: Value,
}

impl WireIssue {
    fn into_port(self) -> Result<Issue, Failure> {
        Ok(Issue {
            number: self.number,
            title: self.title,
            body: self.body.unwrap_or_default(),
            updated_at: time_of(&self.updated_at)?,
        })
    }
}

impl GithubForge {
    /// Listed by who opened it: a mark that somebody else copied is not found.
    pub(super) async fn find_issue(&self, mark: &str) -> Result<Option<Issue>, Failure> {
        let bot = self.who_am_i().await?;
        let path = self.path(&format!("/issues?state=open&creator={}", encoded(&bot.login)));
        let found: Vec<WireIssue> = self.client.list(&path, None).await?;
        let is_it = |issue: &WireIssue| {
            issue.pull_request.is_null() && issue.body.as_deref().is_some_and(|body| body.contains(mark))
        };
        found.into_iter().find(is_it).map(WireIssue::into_port).transpose()
    }

    /// Labels are set when it is opened; afterwards they are people's.
    pub(super) async fn put_issue(
        &self,
        number: Option<u64>,
        title: &str,
        body: &str,
        labels: &[String],
    ) -> Result<Issue, Failure> {
        let answer = match number {
            Some(number) => {
                let change = json!({ "title": title, "body": body });
                let path = self.path(&format!("/issues/{number}"));
                self.client.write(Method::PATCH, &path, Some(&change), Repeat::Harmless).await?
            }
            None => {
                let new = json!({ "title": title, "body": body, "labels": labels });
                self.client.write(Method::POST, &self.path("/issues"), Some(&new), Repeat::Never).await?
            }
        };
        if answer.status == 410 {
            return Err(Failure::unsupported("issues are switched off in this repository"));
        }
        answer.success()?.json::<WireIssue>()?.into_port()
    }
}
