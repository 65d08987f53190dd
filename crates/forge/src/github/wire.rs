//! What GitHub's answers look like, as far as it is read here.

use serde::Deserialize;
use serde_json::Value;
use tagboat_model::{Account, BranchName, CommitId, PullRequest, PullState};

use crate::{error::Failure, http::time_of};

/// An account.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

impl User {
    pub(crate) fn account(self) -> Account {
        Account { id: self.id, is_bot: self.kind == "Bot", login: self.login }
    }
}

/// Whose account is gone is a ghost to GitHub.
pub(crate) fn account_of(user: Option<User>) -> Account {
    user.map_or_else(|| Account { id: 0, login: "ghost".to_owned(), is_bot: false }, User::account)
}

/// A pull request, from a listing or alone.
#[derive(Debug, Deserialize)]
pub(crate) struct Pull {
    pub(crate) number: u64,
    pub(crate) node_id: String,
    html_url: String,
    user: Option<User>,
    head: Side,
    base: Side,
    state: String,
    #[serde(default)]
    pub(crate) draft: bool,
    title: String,
    body: Option<String>,
    #[serde(default)]
    labels: Vec<Named>,
    #[serde(default)]
    auto_merge: Value,
    merged_at: Option<String>,
    created_at: String,
    pub(crate) updated_at: String,
}

/// Head or base.
#[derive(Debug, Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    repo: Option<RepositoryOfSide>,
}

#[derive(Debug, Deserialize)]
struct RepositoryOfSide {
    id: u64,
}

/// A label, a milestone by its name.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    name: String,
}

impl Pull {
    /// Whether its branch is in the repository that it goes into, and not in a fork.
    pub(crate) fn is_of_this_repository(&self) -> bool {
        let id = |side: &Side| side.repo.as_ref().map(|repository| repository.id);
        id(&self.head).is_some() && id(&self.head) == id(&self.base)
    }

    pub(crate) fn head(&self) -> &str {
        &self.head.name
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == "open"
    }

    pub(crate) fn is_auto_merging(&self) -> bool {
        !self.auto_merge.is_null()
    }

    /// As everybody else knows it. `queued` is what the listing does not say.
    pub(crate) fn into_model(self, queued: bool) -> Result<PullRequest, Failure> {
        let merging = self.is_open() && (queued || self.is_auto_merging());
        let state = match (self.merged_at, self.state.as_str()) {
            (Some(_), _) => PullState::Merged,
            (None, "open") => PullState::Open,
            (None, _) => PullState::Closed,
        };
        Ok(PullRequest {
            number: self.number,
            url: self.html_url,
            author: account_of(self.user),
            head: branch(self.head.name)?,
            head_commit: commit(&self.head.sha)?,
            base: branch(self.base.name)?,
            state,
            draft: self.draft,
            title: self.title,
            body: self.body.unwrap_or_default(),
            labels: self.labels.into_iter().map(|label| label.name).collect(),
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

/// The id of a commit in an answer.
pub(crate) fn commit(text: &str) -> Result<CommitId, Failure> {
    text.parse().map_err(|error| Failure::permanent(format!("GitHub answered with what is no commit: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pull(changes: &Value) -> Pull {
        let mut pull = json!({
            "number": 7, "node_id": "PR_7", "html_url": "https://github.com/acme/config/pull/7",
            "user": { "id": 3, "login": "tagboat[bot]", "type": "Bot" },
            "head": { "ref": "tagboat/prod", "sha": "1".repeat(40), "repo": { "id": 1 } },
            "base": { "ref": "main", "sha": "2".repeat(40), "repo": { "id": 1 } },
            "state": "open", "draft": true, "title": "Deploy", "body": null, "labels": [{ "name": "deploy" }],
            "auto_merge": null, "merged_at": null,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z",
        });
        pull.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(pull).unwrap()
    }

    #[test]
    fn a_pull_request_is_read() {
        let read = pull(&json!({})).into_model(false).unwrap();
        assert_eq!((read.state, read.draft, read.merging, read.body.as_str()), (PullState::Open, true, false, ""));
        assert_eq!((read.author.is_bot, read.labels), (true, vec!["deploy".to_owned()]));
        let merged = pull(&json!({ "state": "closed", "merged_at": "2026-01-03T00:00:00Z" }));
        assert_eq!(merged.into_model(true).map(|read| (read.state, read.merging)).unwrap(), (PullState::Merged, false));
        let closed = pull(&json!({ "state": "closed", "user": null })).into_model(false).unwrap();
        assert_eq!((closed.state, closed.author.login.as_str()), (PullState::Closed, "ghost"));
    }

    #[test]
    fn whoever_merges_is_known_by_auto_merge_or_by_the_queue() {
        assert!(pull(&json!({ "auto_merge": { "merge_method": "squash" } })).into_model(false).unwrap().merging);
        assert!(pull(&json!({})).into_model(true).unwrap().merging);
    }

    #[test]
    fn a_branch_of_a_fork_is_not_ours_whatever_its_name() {
        let fork = json!({ "head": { "ref": "tagboat/prod", "sha": "1".repeat(40), "repo": { "id": 2 } } });
        assert!(pull(&json!({})).is_of_this_repository() && !pull(&fork).is_of_this_repository());
        let gone = json!({ "head": { "ref": "tagboat/prod", "sha": "1".repeat(40), "repo": null } });
        assert!(!pull(&gone).is_of_this_repository());
    }
}
