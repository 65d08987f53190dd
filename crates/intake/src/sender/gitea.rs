//! Gitea and Forgejo: packages of their container registry, and what happens in repositories.
//!
//! Both also send GitHub's headers and those of Gogs, with the same values; Forgejo sends Gitea's beside its own. The
//! header of the event is empty where Gitea knows no name of GitHub's for it, packages and statuses in many versions:
//! then its more exact type counts. A package has no digest, its tag is its version, in lower case whatever was pushed,
//! and a version `sha256:…` is a manifest without a tag. Overwriting a tag is `created` again.
//! Format: Gitea's `modules/structs/hook.go`, `services/webhook/deliver.go`; repositories as GitHub's.

use serde::Deserialize;
use tagboat_model::RepositoryChange;

use super::{
    git_host::{User, host_of, missing, object, text},
    github::repository,
};
use crate::{
    Ignored,
    read::{Context, Push, Read, Unreadable, time},
};

/// Where the event stands, by rank.
const EVENT: [&str; 4] = ["x-gitea-event", "x-forgejo-event", "x-gitea-event-type", "x-forgejo-event-type"];
const DELIVERY: [&str; 2] = ["x-gitea-delivery", "x-forgejo-delivery"];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(deserialize_with = "text")]
    action: Option<String>,
    #[serde(deserialize_with = "object")]
    package: Option<Package>,
    #[serde(deserialize_with = "object")]
    sender: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Package {
    #[serde(rename = "type", deserialize_with = "text")]
    package_type: Option<String>,
    #[serde(deserialize_with = "object")]
    owner: Option<User>,
    #[serde(deserialize_with = "text")]
    name: Option<String>,
    #[serde(deserialize_with = "text")]
    version: Option<String>,
    #[serde(deserialize_with = "text")]
    html_url: Option<String>,
    #[serde(deserialize_with = "text")]
    created_at: Option<String>,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let header = |names: &[&str]| names.iter().find_map(|name| context.headers.filled(name));
    let event = header(&EVENT).ok_or_else(|| Unreadable("the header `X-Gitea-Event` is missing".to_owned()))?;
    let mut read = Read::of(header(&DELIVERY));
    match (event, change(event)) {
        ("package", _) => package(context, body, &mut read)?,
        (_, Some(change)) => repository::take(change, body, &mut read)?,
        (_, None) => read.ignored.push(Ignored::NotUsed { event: event.to_owned() }),
    }
    Ok(read)
}

/// What an event says of a repository that may hold desired state.
fn change(event: &str) -> Option<RepositoryChange> {
    match event {
        "push" => Some(RepositoryChange::BranchMoved),
        "issue_comment" => Some(RepositoryChange::Comment),
        // A comment of a review: comments on a pull request come as `issue_comment`.
        "pull_request_approved" | "pull_request_rejected" | "pull_request_comment" => Some(RepositoryChange::Review),
        "pull_request_review_request" => Some(RepositoryChange::PullRequest),
        _ if event.starts_with("pull_request_review") => Some(RepositoryChange::Review),
        _ if event == "pull_request" || event.starts_with("pull_request_") => Some(RepositoryChange::PullRequest),
        _ => None,
    }
}

fn package(context: &Context<'_>, body: &[u8], read: &mut Read) -> Result<(), Unreadable> {
    let Body { action, package, sender } = serde_json::from_slice(body)?;
    let action = action.unwrap_or_default();
    if action != "created" {
        read.ignored.push(Ignored::NotAPush { action });
        return Ok(());
    }
    let package = package.ok_or_else(|| missing("package"))?;
    let package_type = package.package_type.unwrap_or_default();
    if !package_type.eq_ignore_ascii_case("container") {
        read.ignored.push(Ignored::NotAContainer { package_type });
        return Ok(());
    }
    let owner = package.owner.and_then(|owner| owner.login).ok_or_else(|| missing("package.owner.login"))?;
    let name = package.name.ok_or_else(|| missing("package.name"))?;
    let actor = sender.as_ref().and_then(User::name);
    read.push(&Push {
        registry: context.registry(package.html_url.as_deref().and_then(host_of)),
        repository: &format!("{owner}/{name}").to_ascii_lowercase(),
        tag: package.version.as_deref(),
        digest: None,
        media_type: None,
        actor: actor.as_deref(),
        pushed_at: package.created_at.as_deref().and_then(time),
        source: None,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reviews_and_pull_requests_are_told_apart_by_either_name() {
        for event in [
            "pull_request_approved",
            "pull_request_rejected",
            "pull_request_comment",
            "pull_request_review_approved",
            "pull_request_review_rejected",
            "pull_request_review_comment",
        ] {
            assert_eq!(change(event), Some(RepositoryChange::Review), "{event}");
        }
        for event in ["pull_request", "pull_request_sync", "pull_request_label", "pull_request_review_request"] {
            assert_eq!(change(event), Some(RepositoryChange::PullRequest), "{event}");
        }
        for event in ["issues", "release", "repository", "pull_requests", "workflow_run"] {
            assert_eq!(change(event), None, "{event}");
        }
    }
}
