//! The bot's issues.

use http::Method;
use serde::Deserialize;
use serde_json::json;
use tagboat_ports::Issue;

use super::GitlabForge;
use crate::{error::Failure, http::time_of, rest::Repeat};

const MOST_ISSUES: usize = 1000;

#[derive(Deserialize)]
struct WireIssue {
    iid: u64,
    title: String,
    description: Option<String>,
    updated_at: String,
}

impl WireIssue {
    fn into_port(self) -> Result<Issue, Failure> {
        Ok(Issue {
            number: self.iid,
            title: self.title,
            body: self.description.unwrap_or_default(),
            updated_at: time_of(&self.updated_at)?,
        })
    }
}

impl GitlabForge {
    /// Listed by who opened it: a mark that somebody else copied is not found.
    pub(super) async fn find_issue(&self, mark: &str) -> Result<Option<Issue>, Failure> {
        let bot = self.who_am_i().await?;
        let path = self.path(&format!("/issues?state=opened&scope=all&author_id={}", bot.id));
        let found: Vec<WireIssue> = self.rest.list(&path, MOST_ISSUES).await?;
        let is_it = |issue: &WireIssue| issue.description.as_deref().is_some_and(|body| body.contains(mark));
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
                let change = json!({ "title": title, "description": body });
                let path = self.path(&format!("/issues/{number}"));
                self.rest.write(Method::PUT, &path, Some(&change), Repeat::Harmless).await?
            }
            None => {
                let new = json!({ "title": title, "description": body, "labels": labels.join(",") });
                self.rest.write(Method::POST, &self.path("/issues"), Some(&new), Repeat::Never).await?
            }
        };
        answer.success()?.json::<WireIssue>()?.into_port()
    }
}
