//! GitHub's `push`, `pull_request`, `pull_request_review`, `issue_comment`, `status` and `check_run`, and Gitea's, which
//! follow them.
//!
//! None of them is a command or a fact to act on: each is a reason to look at the repository. Whoever looks asks for the
//! comment, the author and the state again. A status names all branches that have the commit, so it is of none.

use serde::{Deserialize, de::IgnoredAny};
use tagboat_model::{Event, RepositoryChange, RepositoryChanged};

use super::super::git_host::{self, Pushed, User, branch, commit, flag, number, object, text};
use crate::{
    Ignored,
    read::{Read, Unreadable},
};

/// A repository as it stands in bodies.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Repository {
    /// `acme/web`.
    #[serde(deserialize_with = "text")]
    pub(crate) full_name: Option<String>,
    #[serde(deserialize_with = "text")]
    clone_url: Option<String>,
    #[serde(deserialize_with = "text")]
    ssh_url: Option<String>,
    #[serde(deserialize_with = "text")]
    git_url: Option<String>,
    #[serde(deserialize_with = "text")]
    html_url: Option<String>,
}

impl Repository {
    fn addresses(self) -> Vec<String> {
        [self.clone_url, self.ssh_url, self.git_url, self.html_url].into_iter().flatten().collect()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(deserialize_with = "text")]
    action: Option<String>,
    #[serde(rename = "ref", deserialize_with = "text")]
    reference: Option<String>,
    #[serde(deserialize_with = "text")]
    after: Option<String>,
    #[serde(deserialize_with = "flag")]
    deleted: bool,
    /// Of a status.
    #[serde(deserialize_with = "text")]
    sha: Option<String>,
    #[serde(deserialize_with = "number")]
    number: Option<u64>,
    #[serde(deserialize_with = "object")]
    pull_request: Option<PullRequest>,
    #[serde(deserialize_with = "object")]
    check_run: Option<CheckRun>,
    #[serde(deserialize_with = "object")]
    issue: Option<Issue>,
    /// Only Gitea's: whether the issue is a pull request.
    #[serde(deserialize_with = "flag")]
    is_pull: bool,
    #[serde(deserialize_with = "object")]
    repository: Option<Repository>,
    #[serde(deserialize_with = "object")]
    sender: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PullRequest {
    #[serde(deserialize_with = "number")]
    number: Option<u64>,
    #[serde(deserialize_with = "object")]
    base: Option<Base>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Base {
    #[serde(rename = "ref", deserialize_with = "text")]
    reference: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckRun {
    #[serde(deserialize_with = "text")]
    head_sha: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Issue {
    #[serde(deserialize_with = "number")]
    number: Option<u64>,
    /// Only there when the issue is a pull request.
    pull_request: Option<IgnoredAny>,
}

/// Take what a body says of `change`.
pub(crate) fn take(change: RepositoryChange, body: &[u8], read: &mut Read) -> Result<(), Unreadable> {
    let body: Body = serde_json::from_slice(body)?;
    let addresses = body.repository.map(Repository::addresses).unwrap_or_default();
    let actor = body.sender.and_then(|user| user.name());
    if change == RepositoryChange::BranchMoved {
        let after = body.after.filter(|_| !body.deleted);
        return Pushed { reference: body.reference, after, addresses, actor }.take(read);
    }
    let issue = body.issue.unwrap_or_default();
    if change == RepositoryChange::Comment {
        let is_of_pull_request = body.is_pull || issue.pull_request.is_some();
        if let Some(event) = uninteresting(body.action.as_deref(), is_of_pull_request) {
            read.ignored.push(Ignored::NotUsed { event });
            return Ok(());
        }
    }
    if body.check_run.is_some() && body.action.as_deref() != Some("completed") {
        let action = body.action.as_deref().unwrap_or("without an action");
        read.ignored.push(Ignored::NotUsed { event: format!("check_run {action}") });
        return Ok(());
    }
    let request = body.pull_request.unwrap_or_default();
    let run = body.check_run.and_then(|run| run.head_sha);
    // Whoever sends a pull request elsewhere takes it away from where it went before, which the body says in another place.
    let is_edited = change == RepositoryChange::PullRequest && body.action.as_deref() == Some("edited");
    let base = request.base.and_then(|base| base.reference).filter(|_| !is_edited);
    read.events.push(Event::RepositoryChanged(RepositoryChanged {
        branch: branch(base.as_deref()),
        commit: commit(body.sha.as_deref().or(run.as_deref())),
        number: body.number.or(request.number).or(issue.number),
        actor,
        ..git_host::change(change, addresses)?
    }));
    Ok(())
}

/// Take what a body says of an issue: somebody who edits its text may have ticked a box there.
pub(crate) fn take_issue(body: &[u8], read: &mut Read) -> Result<(), Unreadable> {
    let body: Body = serde_json::from_slice(body)?;
    let action = body.action.as_deref().unwrap_or("without an action");
    if action != "edited" {
        read.ignored.push(Ignored::NotUsed { event: format!("issues {action}") });
        return Ok(());
    }
    let addresses = body.repository.map(Repository::addresses).unwrap_or_default();
    read.events.push(Event::RepositoryChanged(RepositoryChanged {
        number: body.issue.and_then(|issue| issue.number),
        actor: body.sender.and_then(|user| user.name()),
        ..git_host::change(RepositoryChange::Comment, addresses)?
    }));
    Ok(())
}

/// What a comment is, unless it is a new one on a pull request.
fn uninteresting(action: Option<&str>, is_of_pull_request: bool) -> Option<String> {
    match action {
        Some("created") if is_of_pull_request => None,
        Some("created") => Some("issue_comment on an issue".to_owned()),
        action => Some(format!("issue_comment {}", action.unwrap_or("without an action"))),
    }
}
