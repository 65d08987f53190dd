//! GitHub's `workflow_run` and `check_suite`: a build ended. Which images it pushed is not said.
//!
//! Runs for pull requests and of forks are anybody's: a stranger's branch is as good a `head_branch` as ours. Of a check
//! suite the fork is not named; GitHub gives those of forks no `head_branch`.

use serde::{Deserialize, de::IgnoredAny};
use tagboat_model::{BuildFinished, Event};

use super::{
    super::git_host::{User, commit, missing, object, text},
    repository::Repository,
};
use crate::{
    Ignored,
    read::{Read, Unreadable},
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(deserialize_with = "text")]
    action: Option<String>,
    #[serde(deserialize_with = "object")]
    repository: Option<Repository>,
    #[serde(deserialize_with = "object")]
    sender: Option<User>,
    #[serde(deserialize_with = "object")]
    workflow_run: Option<Run>,
    #[serde(deserialize_with = "object")]
    check_suite: Option<Suite>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Run {
    #[serde(deserialize_with = "text")]
    conclusion: Option<String>,
    #[serde(deserialize_with = "text")]
    event: Option<String>,
    #[serde(deserialize_with = "text")]
    head_sha: Option<String>,
    #[serde(deserialize_with = "text")]
    head_branch: Option<String>,
    #[serde(deserialize_with = "object")]
    head_repository: Option<Repository>,
    #[serde(deserialize_with = "object")]
    actor: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Suite {
    #[serde(deserialize_with = "text")]
    conclusion: Option<String>,
    #[serde(deserialize_with = "text")]
    head_sha: Option<String>,
    #[serde(deserialize_with = "text")]
    head_branch: Option<String>,
    pull_requests: Option<Vec<IgnoredAny>>,
}

pub(crate) fn workflow_run(body: &[u8], read: &mut Read) -> Result<(), Unreadable> {
    let body: Body = serde_json::from_slice(body)?;
    let run = body.workflow_run.ok_or_else(|| missing("workflow_run"))?;
    let repository = named(body.repository)?;
    if let Some(state) = unsuccessful(body.action.as_deref(), run.conclusion.as_deref()) {
        let what = format!("a workflow run of {repository} ({state})");
        read.ignored.push(Ignored::NotSuccessful { what });
        return Ok(());
    }
    let event = run.event.unwrap_or_default();
    let head = run.head_repository.and_then(|head| head.full_name);
    let is_for_others = event.is_empty() || event.starts_with("pull_request");
    if is_for_others || head.as_ref() != Some(&repository) {
        let head = head.as_deref().unwrap_or("a repository that is gone");
        let what = format!("a workflow run of {repository} for `{event}` from {head}");
        read.ignored.push(Ignored::Untrusted { what });
        return Ok(());
    }
    read.events.push(Event::BuildFinished(BuildFinished {
        repository,
        revision: commit(run.head_sha.as_deref()).map(String::from),
        reference: run.head_branch,
        actor: run.actor.or(body.sender).and_then(|user| user.name()),
    }));
    Ok(())
}

pub(crate) fn check_suite(body: &[u8], read: &mut Read) -> Result<(), Unreadable> {
    let body: Body = serde_json::from_slice(body)?;
    let suite = body.check_suite.ok_or_else(|| missing("check_suite"))?;
    let repository = named(body.repository)?;
    if let Some(state) = unsuccessful(body.action.as_deref(), suite.conclusion.as_deref()) {
        let what = format!("a check suite of {repository} ({state})");
        read.ignored.push(Ignored::NotSuccessful { what });
        return Ok(());
    }
    let is_for_others = suite.pull_requests.is_some_and(|requests| !requests.is_empty());
    let Some(reference) = suite.head_branch.filter(|_| !is_for_others) else {
        let what = format!("a check suite of {repository} for a pull request or of a fork");
        read.ignored.push(Ignored::Untrusted { what });
        return Ok(());
    };
    read.events.push(Event::BuildFinished(BuildFinished {
        repository,
        revision: commit(suite.head_sha.as_deref()).map(String::from),
        reference: Some(reference),
        actor: body.sender.and_then(|user| user.name()),
    }));
    Ok(())
}

fn named(repository: Option<Repository>) -> Result<String, Unreadable> {
    repository.and_then(|repository| repository.full_name).ok_or_else(|| missing("repository.full_name"))
}

/// The state that something is in, unless it ended well.
fn unsuccessful<'t>(action: Option<&'t str>, conclusion: Option<&'t str>) -> Option<&'t str> {
    match (action, conclusion) {
        (Some("completed"), Some("success")) => None,
        (Some("completed"), conclusion) => Some(conclusion.unwrap_or("without a conclusion")),
        (action, _) => Some(action.unwrap_or("without an action")),
    }
}
