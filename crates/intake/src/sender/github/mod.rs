//! GitHub: packages of its container registry, builds by its Actions, and what happens in repositories.
//!
//! The event stands in `X-GitHub-Event`, the id in `X-GitHub-Delivery`, which stays the same when somebody lets GitHub
//! deliver again; by itself it never does. The body is JSON, or a form with the JSON in it. What is told of installations
//! counts at the address of the GitHub App and nowhere else: elsewhere, which repositories are worked on is configuration.
//! Format: GitHub's "Webhook events and payloads", with what real bodies do otherwise noted in each file.

mod build;

mod form;
mod installation;
mod package;
pub(crate) mod repository;

use tagboat_model::RepositoryChange;

use crate::{
    Ignored,
    read::{Context, Read, Unreadable},
};

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let headers = context.headers;
    let event = headers.filled("x-github-event");
    let event = event.ok_or_else(|| Unreadable("the header `X-GitHub-Event` is missing".to_owned()))?;
    let mut read = Read::of(headers.filled("x-github-delivery"));
    let json = || form::json(headers, body);
    read.owner = json().ok().and_then(|json| installation::owner(&json));
    match event {
        // GitHub Apps get `registry_package` only, repositories and organisations both.
        "package" | "registry_package" => package::take(context, &json()?, &mut read)?,
        "workflow_run" => build::workflow_run(&json()?, &mut read)?,
        "check_suite" => build::check_suite(&json()?, &mut read)?,
        _ if context.is_app && installation::is_one(event) => installation::take(event, &json()?, &mut read)?,
        "issues" => repository::take_issue(&json()?, &mut read)?,
        "ping" => read.ignored.push(Ignored::NotAPush { action: event.to_owned() }),
        _ => match change(event) {
            Some(change) => repository::take(change, &json()?, &mut read)?,
            None => read.ignored.push(Ignored::NotUsed { event: event.to_owned() }),
        },
    }
    Ok(read)
}

/// What an event says of a repository that may hold desired state.
fn change(event: &str) -> Option<RepositoryChange> {
    match event {
        "push" => Some(RepositoryChange::BranchMoved),
        "pull_request" => Some(RepositoryChange::PullRequest),
        "pull_request_review" => Some(RepositoryChange::Review),
        "issue_comment" => Some(RepositoryChange::Comment),
        "status" | "check_run" => Some(RepositoryChange::Status),
        _ => None,
    }
}
