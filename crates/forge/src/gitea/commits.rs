//! What is known of commits: statuses, files, and what lies between two of them.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tagboat_model::{Check, CheckState, CommitId, Comparison};

use super::GiteaForge;
use crate::{
    error::Failure,
    http::{encoded, encoded_path, one_line},
    rest::Repeat,
};

const MOST_STATUSES: usize = 1000;
/// Commits that are named.
const MOST_COMMITS: usize = 20;

#[derive(Deserialize)]
struct Status {
    id: u64,
    context: String,
    status: String,
    description: Option<String>,
    target_url: Option<String>,
}

#[derive(Deserialize)]
struct Compared {
    #[serde(default)]
    total_commits: usize,
    commits: Option<Vec<Commit>>,
}

#[derive(Deserialize)]
struct Commit {
    sha: String,
    commit: Message,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

impl Status {
    fn check(self) -> Check {
        let state = match self.status.as_str() {
            "success" | "skipped" => CheckState::Success,
            "pending" => CheckState::Pending,
            // `failure`, `error`, and `warning`, which permits no merge.
            _ => CheckState::Failure,
        };
        let url = self.target_url.filter(|url| !url.is_empty());
        Check { name: self.context, state, text: self.description.unwrap_or_default(), url }
    }
}

impl GiteaForge {
    pub(super) async fn list_checks(&self, commit: &CommitId) -> Result<Vec<Check>, Failure> {
        let path = self.path(&format!("/commits/{commit}/statuses"));
        let mut newest: BTreeMap<String, Status> = BTreeMap::new();
        for status in self.rest.list::<Status>(&path, MOST_STATUSES).await? {
            if newest.get(&status.context).is_none_or(|known| known.id < status.id) {
                newest.insert(status.context.clone(), status);
            }
        }
        Ok(newest.into_values().map(Status::check).collect())
    }

    pub(super) async fn write_status(&self, commit: &CommitId, status: &Check) -> Result<(), Failure> {
        let wanted = Check { text: one_line(&status.text), ..status.clone() };
        if self.list_checks(commit).await?.contains(&wanted) {
            return Ok(());
        }
        let state = match wanted.state {
            CheckState::Pending => "pending",
            CheckState::Success => "success",
            CheckState::Failure => "failure",
        };
        let mut body = json!({ "state": state, "context": wanted.name, "description": wanted.text });
        if let Some(url) = &wanted.url {
            body["target_url"] = Value::from(url.as_str());
        }
        let path = self.path(&format!("/statuses/{commit}"));
        self.rest.write(Method::POST, &path, Some(&body), Repeat::Harmless).await?.success().map(|_| ())
    }

    /// As bytes. What comes from a fork is in the repository too, below `refs/pull`.
    pub(super) async fn read_file(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.path(&format!("/raw/{}?ref={commit}", encoded_path(path)));
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
        let found = self.rest.path_of(source);
        let Some((owner, name)) = found.as_deref().and_then(|path| path.split_once('/')) else { return Ok(None) };
        let range = format!("{}...{}", encoded(from), encoded(to));
        let path = format!("/repos/{}/{}/compare/{range}", encoded(owner), encoded(name));
        let answer = self.rest.get(&path).await?;
        if matches!(answer.status, 403 | 404) {
            return Ok(None);
        }
        let compared: Compared = answer.success()?.json()?;
        let commits = compared.commits.unwrap_or_default();
        let subject = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        Ok(Some(Comparison {
            url: format!("{}/{owner}/{name}/compare/{range}", self.rest.web),
            total: compared.total_commits.max(commits.len()),
            // Newest first, as `git log` has them.
            commits: commits.into_iter().take(MOST_COMMITS).map(|it| (it.sha, subject(&it.commit.message))).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_states_of_checks() {
        let state = |status: &str| {
            let status = json!({ "id": 1, "context": "build", "status": status, "description": "", "target_url": "" });
            let check = serde_json::from_value::<Status>(status).unwrap().check();
            assert_eq!(check.url, None);
            check.state
        };
        assert_eq!([state("success"), state("skipped"), state("pending")][..2], [CheckState::Success; 2]);
        assert_eq!([state("failure"), state("error"), state("warning")], [CheckState::Failure; 3]);
    }
}
