//! What GitLab's answers look like, as far as it is read here.

use serde::Deserialize;
use tagboat_model::{Account, BranchName, CommitId, PullRequest, PullState};

use crate::{error::Failure, http::time_of, rest::draft_of};

/// What a draft's title begins with. `WIP:` is no longer one since 14.8.
const DRAFT_WORDS: [&str; 3] = ["draft:", "[draft]", "(draft)"];

/// An account.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) username: String,
    /// Only an account alone says it.
    #[serde(default)]
    bot: bool,
    /// `active`, `blocked`, …
    pub(super) state: Option<String>,
}

impl User {
    pub(super) fn account(self) -> Account {
        Account { id: self.id, is_bot: self.bot || is_bot_name(&self.username), login: self.username }
    }
}

/// Tokens of projects and groups act as `project_7_bot_1f…` and `group_7_bot_1f…`; people cannot take such a name.
fn is_bot_name(name: &str) -> bool {
    let rest = name.strip_prefix("project_").or_else(|| name.strip_prefix("group_"));
    rest.and_then(|rest| rest.split_once("_bot")).is_some_and(|(id, after)| {
        let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        is_number && (after.is_empty() || after.starts_with('_'))
    })
}

/// A merge request, from a listing or alone.
#[derive(Debug, Deserialize)]
pub(super) struct MergeRequest {
    pub(super) iid: u64,
    web_url: String,
    author: User,
    source_branch: String,
    target_branch: String,
    source_project_id: Option<u64>,
    target_project_id: Option<u64>,
    /// Nothing while GitLab has not looked yet.
    pub(super) sha: Option<String>,
    pub(super) state: String,
    title: String,
    description: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    pub(super) reviewers: Vec<User>,
    #[serde(default)]
    pub(super) assignees: Vec<User>,
    /// Also when it waits in a merge train.
    #[serde(default)]
    pub(super) merge_when_pipeline_succeeds: bool,
    /// Since 15.6.
    pub(super) detailed_merge_status: Option<String>,
    pub(super) merge_error: Option<String>,
    created_at: String,
    updated_at: String,
}

impl MergeRequest {
    /// Whether its branch is in the project that it goes into, and not in a fork.
    pub(super) fn is_of_this_repository(&self) -> bool {
        self.source_project_id.is_some() && self.source_project_id == self.target_project_id
    }

    pub(super) fn head(&self) -> &str {
        &self.source_branch
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state.as_str(), "opened" | "locked")
    }

    pub(super) fn is_merged(&self) -> bool {
        self.state == "merged"
    }

    /// The title without what makes it a draft, and whether it is one.
    pub(super) fn title(&self) -> (bool, String) {
        draft_of(&self.title, &DRAFT_WORDS)
    }

    /// As everybody else knows it.
    pub(super) fn into_model(self) -> Result<PullRequest, Failure> {
        let (draft, title) = self.title();
        let state = match self.state.as_str() {
            "merged" => PullState::Merged,
            "closed" => PullState::Closed,
            // Open, or locked while it is being merged.
            _ => PullState::Open,
        };
        let merging = state == PullState::Open && (self.merge_when_pipeline_succeeds || self.state == "locked");
        Ok(PullRequest {
            number: self.iid,
            url: self.web_url,
            author: self.author.account(),
            head: branch(self.source_branch)?,
            head_commit: commit(self.sha.as_deref().unwrap_or_default())?,
            base: branch(self.target_branch)?,
            state,
            draft,
            title,
            body: self.description.unwrap_or_default(),
            labels: self.labels,
            merging,
            created_at: time_of(&self.created_at)?,
            updated_at: time_of(&self.updated_at)?,
        })
    }
}

fn branch(name: String) -> Result<BranchName, Failure> {
    BranchName::try_from(name)
        .map_err(|error| Failure::unsupported(format!("its branch has a name that is not used here: {error}")))
}

fn commit(text: &str) -> Result<CommitId, Failure> {
    text.parse()
        .map_err(|error| Failure::temporary(format!("GitLab does not say yet where its branch stands: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(changes: &Value) -> MergeRequest {
        let mut request = json!({
            "iid": 7, "web_url": "https://gitlab.example.org/acme/config/-/merge_requests/7",
            "author": { "id": 3, "username": "project_5_bot_77aa", "state": "active" },
            "source_branch": "tagboat/prod", "target_branch": "main", "source_project_id": 5, "target_project_id": 5,
            "sha": "1".repeat(40), "state": "opened", "title": "Draft: Deploy", "description": null,
            "labels": ["deploy"], "merge_when_pipeline_succeeds": false, "merge_error": null,
            "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-02T00:00:00.123+01:00",
        });
        request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(request).unwrap()
    }

    #[test]
    fn a_merge_request_is_read() {
        let read = request(&json!({})).into_model().unwrap();
        assert_eq!(
            (read.state, read.draft, read.merging, read.title.as_str()),
            (PullState::Open, true, false, "Deploy")
        );
        assert!(read.author.is_bot);
        let merged = request(&json!({ "state": "merged", "merge_when_pipeline_succeeds": true })).into_model().unwrap();
        assert_eq!((merged.state, merged.merging), (PullState::Merged, false));
        assert!(request(&json!({ "merge_when_pipeline_succeeds": true })).into_model().unwrap().merging);
        assert!(request(&json!({ "sha": null })).into_model().is_err());
    }

    #[test]
    fn a_branch_of_a_fork_is_not_ours_whatever_its_name() {
        assert!(request(&json!({})).is_of_this_repository());
        assert!(!request(&json!({ "source_project_id": 6 })).is_of_this_repository());
        assert!(!request(&json!({ "source_project_id": null, "target_project_id": null })).is_of_this_repository());
    }

    #[test]
    fn programs_are_known_by_their_names() {
        assert!(is_bot_name("project_5_bot_77aa") && is_bot_name("group_5_bot"));
        assert!(!is_bot_name("project_x_bot_1") && !is_bot_name("robot") && !is_bot_name("project__bot"));
    }
}
