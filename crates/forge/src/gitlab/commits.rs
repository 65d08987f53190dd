//! What is known of commits: statuses (also those of pipelines' jobs), files, and what lies between two of them.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tagboat_model::{Check, CheckState, CommitId, Comparison};

use super::GitlabForge;
use crate::{
    checks::worst_of_each_name,
    error::Failure,
    http::{encoded, one_line},
    rest::Repeat,
};

const MOST_STATUSES: usize = 1000;
/// Commits that are named.
const MOST_COMMITS: usize = 20;
/// Of a status's text, in characters.
const LONGEST_TEXT: usize = 255;

#[derive(Deserialize)]
struct Status {
    id: u64,
    name: String,
    #[serde(default, rename = "ref")]
    reference: Option<String>,
    status: String,
    #[serde(default)]
    allow_failure: bool,
    description: Option<String>,
    target_url: Option<String>,
}

#[derive(Deserialize)]
struct Compared {
    web_url: Option<String>,
    #[serde(default)]
    commits: Vec<Commit>,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
    title: String,
}

impl Status {
    /// A job that may fail does not make a pipeline red.
    fn state(&self) -> CheckState {
        match self.status.as_str() {
            "success" | "skipped" => CheckState::Success,
            "failed" | "canceled" | "manual" if self.allow_failure => CheckState::Success,
            "failed" | "canceled" => CheckState::Failure,
            _ => CheckState::Pending,
        }
    }

    fn check(self) -> Check {
        let state = self.state();
        Check { name: self.name, state, text: self.description.unwrap_or_default(), url: self.target_url }
    }
}

/// A status takes the place of an earlier one with its name, and a new pipeline that of an earlier one: each on its branch or
/// merge request, not on another.
fn newest_of_each(statuses: Vec<Status>) -> Vec<Status> {
    let mut newest: BTreeMap<(String, Option<String>), Status> = BTreeMap::new();
    for status in statuses {
        let key = (status.name.clone(), status.reference.clone());
        if newest.get(&key).is_none_or(|known| known.id < status.id) {
            newest.insert(key, status);
        }
    }
    newest.into_values().collect()
}

fn shortened(text: &str) -> String {
    one_line(text).chars().take(LONGEST_TEXT).collect()
}

impl GitlabForge {
    async fn statuses(&self, commit: &CommitId) -> Result<Vec<Status>, Failure> {
        let path = self.path(&format!("/repository/commits/{commit}/statuses"));
        Ok(newest_of_each(self.rest.list::<Status>(&path, MOST_STATUSES).await?))
    }

    pub(super) async fn list_checks(&self, commit: &CommitId) -> Result<Vec<Check>, Failure> {
        Ok(worst_of_each_name(self.statuses(commit).await?.into_iter().map(Status::check)))
    }

    /// GitLab refuses a status that is set a second time, so what waits with another text is `running`.
    pub(super) async fn write_status(&self, commit: &CommitId, status: &Check) -> Result<(), Failure> {
        let wanted = Check { text: shortened(&status.text), ..status.clone() };
        let of_name = self.statuses(commit).await?.into_iter().filter(|status| status.name == wanted.name);
        let stands = of_name.max_by_key(|status| status.id);
        let is_pending = stands.as_ref().is_some_and(|stands| stands.status == "pending");
        let state = match wanted.state {
            CheckState::Pending if is_pending => "running",
            CheckState::Pending => "pending",
            CheckState::Success => "success",
            CheckState::Failure => "failed",
        };
        let stands = stands.map(Status::check);
        if stands.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let mut body = json!({ "state": state, "name": wanted.name, "description": wanted.text });
        if let Some(url) = &wanted.url {
            body["target_url"] = Value::from(url.as_str());
        }
        let path = self.path(&format!("/statuses/{commit}"));
        let answer = self.rest.write(Method::POST, &path, Some(&body), Repeat::Harmless).await?;
        let is_same_state = stands.is_some_and(|stands| stands.state == wanted.state);
        if answer.status == 400 && is_same_state && answer.words().contains("Cannot transition status") {
            return Ok(());
        }
        answer.success().map(|_| ())
    }

    /// As bytes. What comes from a fork is in the project too, below `refs/merge-requests`.
    pub(super) async fn read_file(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.path(&format!("/repository/files/{}/raw?ref={commit}", encoded(path)));
        let answer = self.rest.get(&path).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        Ok(Some(answer.success()?.body.to_vec()))
    }

    pub(super) async fn compare_revisions(
        &self,
        source: &str,
        from: &str,
        to: &str,
    ) -> Result<Option<Comparison>, Failure> {
        let Some(project) = self.rest.path_of(source) else { return Ok(None) };
        let query = format!("from={}&to={}", encoded(from), encoded(to));
        let path = format!("/projects/{}/repository/compare?{query}", encoded(&project));
        let answer = self.rest.get(&path).await?;
        if matches!(answer.status, 403 | 404) {
            return Ok(None);
        }
        let compared: Compared = answer.success()?.json()?;
        let there = || format!("{}/{project}/-/compare/{}...{}", self.rest.web, encoded(from), encoded(to));
        let newest = compared.commits.iter().rev().take(MOST_COMMITS);
        Ok(Some(Comparison {
            url: compared.web_url.clone().unwrap_or_else(there),
            total: compared.commits.len(),
            commits: newest.map(|commit| (commit.id.clone(), commit.title.clone())).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: &str, allow_failure: bool) -> CheckState {
        let status = json!({
            "id": 1, "name": "build", "status": status, "allow_failure": allow_failure, "description": null,
            "target_url": null,
        });
        serde_json::from_value::<Status>(status).unwrap().state()
    }

    #[test]
    fn states_of_jobs_are_states_of_checks() {
        assert_eq!([state("success", false), state("skipped", false)], [CheckState::Success; 2]);
        assert_eq!([state("failed", false), state("canceled", false)], [CheckState::Failure; 2]);
        assert_eq!([state("failed", true), state("manual", true)], [CheckState::Success; 2]);
        assert_eq!([state("manual", false), state("running", false), state("new one", true)], [CheckState::Pending; 3]);
    }

    #[test]
    fn a_status_on_another_branch_hides_none() {
        let status = |id: u64, reference: &str, status: &str| -> Status {
            let status = json!({
                "id": id, "name": "build", "ref": reference, "status": status, "description": null, "target_url": null,
            });
            serde_json::from_value(status).unwrap()
        };
        let states = |statuses: Vec<Status>| -> Vec<CheckState> {
            let checks = worst_of_each_name(newest_of_each(statuses).into_iter().map(Status::check));
            checks.into_iter().map(|check| check.state).collect()
        };
        assert_eq!(states(vec![status(1, "main", "failed"), status(2, "main", "success")]), [CheckState::Success]);
        assert_eq!(states(vec![status(1, "main", "failed"), status(2, "other", "success")]), [CheckState::Failure]);
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(shortened(&"ä".repeat(300)).chars().count(), 255);
        assert_eq!(shortened("a\nb"), "a b");
    }
}
