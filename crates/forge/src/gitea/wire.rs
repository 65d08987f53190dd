//! What the answers of Gitea and Forgejo look like, as far as it is read here.

use serde::Deserialize;
use tagboat_model::{Account, BranchName, CommitId, PullRequest, PullState};

use crate::{error::Failure, http::time_of, rest::draft_of};

/// What a draft's title begins with, unless the server was set up otherwise.
const DRAFT_WORDS: [&str; 2] = ["wip:", "[wip]"];
/// The account under which the server's own jobs act.
const ACTIONS: i64 = -2;

/// An account. Those that are gone, and the server's own, have numbers below zero.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    id: i64,
    pub(super) login: String,
}

impl User {
    pub(super) fn account(self) -> Account {
        Account { id: u64::try_from(self.id).unwrap_or(0), is_bot: self.id == ACTIONS, login: self.login }
    }

    pub(super) fn is(&self, account: &Account) -> bool {
        u64::try_from(self.id).is_ok_and(|id| id == account.id)
    }
}

/// Whose account is gone is a ghost.
pub(super) fn account_of(user: Option<User>) -> Account {
    user.map_or_else(|| Account { id: 0, login: "Ghost".to_owned(), is_bot: false }, User::account)
}

/// A pull request, from a listing or alone.
#[derive(Debug, Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    html_url: String,
    user: Option<User>,
    head: Side,
    base: Side,
    state: String,
    #[serde(default)]
    merged: bool,
    title: String,
    body: Option<String>,
    labels: Option<Vec<Label>>,
    pub(super) assignees: Option<Vec<User>>,
    created_at: String,
    updated_at: String,
}

/// Head or base.
#[derive(Debug, Deserialize)]
struct Side {
    /// The branch's name. After the branch is gone, `ref` is not.
    label: String,
    #[serde(default)]
    sha: String,
    #[serde(default)]
    repo_id: i64,
}

/// A label, with the number by which it is set.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Label {
    pub(super) id: u64,
    pub(super) name: String,
}

impl Pull {
    /// Whether its branch is in the repository that it goes into, and not in a fork.
    pub(super) fn is_of_this_repository(&self) -> bool {
        self.head.repo_id > 0 && self.head.repo_id == self.base.repo_id
    }

    pub(super) fn head(&self) -> &str {
        &self.head.label
    }

    pub(super) fn base(&self) -> &str {
        &self.base.label
    }

    pub(super) fn head_commit(&self) -> &str {
        &self.head.sha
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == "open"
    }

    pub(super) fn is_merged(&self) -> bool {
        self.merged
    }

    /// Whether it is a draft, and the title without what makes it one.
    pub(super) fn title(&self) -> (bool, String) {
        draft_of(&self.title, &DRAFT_WORDS)
    }

    /// As everybody else knows it.
    pub(super) fn into_model(self) -> Result<PullRequest, Failure> {
        let (draft, title) = self.title();
        let state = match (self.merged, self.state.as_str()) {
            (true, _) => PullState::Merged,
            (false, "open") => PullState::Open,
            (false, _) => PullState::Closed,
        };
        Ok(PullRequest {
            number: self.number,
            url: self.html_url,
            author: account_of(self.user),
            head: branch(self.head.label)?,
            head_commit: commit(&self.head.sha)?,
            base: branch(self.base.label)?,
            state,
            draft,
            title,
            body: self.body.unwrap_or_default(),
            labels: self.labels.unwrap_or_default().into_iter().map(|label| label.name).collect(),
            merging: false,
            created_at: time_of(&self.created_at)?,
            updated_at: time_of(&self.updated_at)?,
        })
    }
}

fn branch(name: String) -> Result<BranchName, Failure> {
    BranchName::try_from(name)
        .map_err(|error| Failure::unsupported(format!("its branch has a name that is not used here: {error}")))
}

/// The id of a commit in an answer.
pub(super) fn commit(text: &str) -> Result<CommitId, Failure> {
    text.parse().map_err(|error| Failure::permanent(format!("the forge answered with what is no commit: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pull(changes: &Value) -> Pull {
        let mut pull = json!({
            "number": 7, "html_url": "https://git.example.org/acme/config/pulls/7",
            "user": { "id": 3, "login": "tagboat" },
            "head": { "label": "tagboat/prod", "ref": "refs/pull/7/head", "sha": "1".repeat(40), "repo_id": 5 },
            "base": { "label": "main", "ref": "main", "sha": "2".repeat(40), "repo_id": 5 },
            "state": "open", "merged": false, "title": "WIP: Deploy", "body": "", "labels": null, "assignees": null,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00+01:00",
        });
        pull.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(pull).unwrap()
    }

    #[test]
    fn a_pull_request_is_read() {
        let read = pull(&json!({})).into_model().unwrap();
        assert_eq!((read.state, read.draft, read.title.as_str()), (PullState::Open, true, "Deploy"));
        assert_eq!(read.head.as_str(), "tagboat/prod", "also when the branch is gone");
        let merged = pull(&json!({ "state": "closed", "merged": true, "user": null })).into_model().unwrap();
        assert_eq!((merged.state, merged.author.id), (PullState::Merged, 0));
        assert_eq!(pull(&json!({ "state": "closed" })).into_model().unwrap().state, PullState::Closed);
    }

    #[test]
    fn a_branch_of_a_fork_is_not_ours_whatever_its_name() {
        assert!(pull(&json!({})).is_of_this_repository());
        for id in [6, -1, 0] {
            let head = json!({ "label": "tagboat/prod", "sha": "1".repeat(40), "repo_id": id });
            assert!(!pull(&json!({ "head": head })).is_of_this_repository());
        }
    }

    #[test]
    fn accounts_without_a_number_are_nobody() {
        let user = |id: i64| User { id, login: "x".to_owned() };
        assert_eq!((user(-1).account().id, user(-1).account().is_bot, user(-2).account().is_bot), (0, false, true));
        assert!(!user(-1).is(&user(-1).account()) && user(4).is(&user(4).account()));
    }
}
