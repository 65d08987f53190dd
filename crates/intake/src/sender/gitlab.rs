//! GitLab: pipelines and jobs, what happens in projects, and the notifications of its container registry.
//!
//! The event stands in `X-Gitlab-Event`, in whichever case. A pipeline says nothing of images. The registry has no hooks
//! in GitLab: its own notifications, which the instance's operator sets up, are those of distribution and come without
//! that header. `X-Gitlab-Event-UUID` is no id of a delivery: events that cause one another share it.
//! Format: GitLab's "Webhook events" and "System hooks".

use serde::Deserialize;
use tagboat_model::{BuildFinished, Event, RepositoryChange, RepositoryChanged};

use super::{
    distribution,
    git_host::{self, Pushed, User, actor, branch, commit, missing, number, object, path_of, text},
};
use crate::{
    Ignored,
    read::{Context, Read, Unreadable},
};

/// Where the id of a delivery stands, by rank: the first stays the same when GitLab tries again, from 17.4 on.
const DELIVERY: [&str; 2] = ["idempotency-key", "webhook-id"];

/// The fields of all events; each has a few of them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(deserialize_with = "text")]
    event_name: Option<String>,
    #[serde(deserialize_with = "text")]
    object_kind: Option<String>,
    #[serde(deserialize_with = "object")]
    project: Option<Project>,
    #[serde(deserialize_with = "object")]
    repository: Option<Repository>,
    #[serde(deserialize_with = "object")]
    user: Option<User>,
    #[serde(deserialize_with = "text")]
    user_username: Option<String>,
    #[serde(rename = "ref", deserialize_with = "text")]
    reference: Option<String>,
    #[serde(deserialize_with = "text")]
    after: Option<String>,
    #[serde(deserialize_with = "text")]
    sha: Option<String>,
    #[serde(deserialize_with = "text")]
    build_status: Option<String>,
    #[serde(deserialize_with = "object")]
    object_attributes: Option<Attributes>,
    #[serde(deserialize_with = "object")]
    merge_request: Option<Attributes>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Project {
    #[serde(deserialize_with = "text")]
    path_with_namespace: Option<String>,
    #[serde(deserialize_with = "text")]
    git_http_url: Option<String>,
    #[serde(deserialize_with = "text")]
    git_ssh_url: Option<String>,
    #[serde(deserialize_with = "text")]
    web_url: Option<String>,
}

impl Project {
    fn addresses(self) -> Vec<String> {
        [self.git_http_url, self.git_ssh_url, self.web_url].into_iter().flatten().collect()
    }
}

/// What jobs said of their project before they said it in `project`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Repository {
    #[serde(deserialize_with = "text")]
    homepage: Option<String>,
}

/// What is said of a pipeline, a merge request or a note.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "text")]
    action: Option<String>,
    #[serde(rename = "ref", deserialize_with = "text")]
    reference: Option<String>,
    #[serde(deserialize_with = "text")]
    sha: Option<String>,
    #[serde(deserialize_with = "text")]
    source: Option<String>,
    #[serde(deserialize_with = "text")]
    status: Option<String>,
    #[serde(deserialize_with = "text")]
    noteable_type: Option<String>,
    #[serde(deserialize_with = "number")]
    iid: Option<u64>,
    #[serde(deserialize_with = "text")]
    target_branch: Option<String>,
    #[serde(deserialize_with = "object")]
    target: Option<Project>,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let Some(event) = context.headers.filled("x-gitlab-event") else {
        return distribution::read(context, body);
    };
    let mut read = Read::of(DELIVERY.into_iter().find_map(|name| context.headers.filled(name)));
    match event.to_ascii_lowercase().as_str() {
        "push hook" => push(serde_json::from_slice(body)?, &mut read)?,
        "system hook" => system(serde_json::from_slice(body)?, &mut read)?,
        "pipeline hook" => build("pipeline", serde_json::from_slice(body)?, &mut read)?,
        "job hook" => build("job", serde_json::from_slice(body)?, &mut read)?,
        "merge request hook" => merge_request(serde_json::from_slice(body)?, &mut read)?,
        "note hook" | "confidential note hook" => note(serde_json::from_slice(body)?, &mut read)?,
        _ => read.ignored.push(Ignored::NotUsed { event: event.to_owned() }),
    }
    Ok(read)
}

fn push(body: Body, read: &mut Read) -> Result<(), Unreadable> {
    let addresses = body.project.map(Project::addresses).unwrap_or_default();
    let actor = body.user_username.as_deref().map(actor);
    Pushed { reference: body.reference, after: body.after, addresses, actor }.take(read)
}

/// An event of the whole instance. Beside each push comes a `repository_update`, which names no branch.
fn system(body: Body, read: &mut Read) -> Result<(), Unreadable> {
    if body.event_name.as_deref() == Some("push") {
        return push(body, read);
    }
    let event = body.event_name.or(body.object_kind).unwrap_or_else(|| "System Hook".to_owned());
    read.ignored.push(Ignored::NotUsed { event });
    Ok(())
}

/// Pipelines for merge requests run what anybody proposes, also from forks. A job does not say what its pipeline is for;
/// its reference does.
fn build(kind: &str, body: Body, read: &mut Read) -> Result<(), Unreadable> {
    let path = body.project.and_then(|project| project.path_with_namespace);
    let homepage = body.repository.and_then(|repository| repository.homepage);
    let repository = path.or_else(|| homepage.as_deref().and_then(path_of).map(str::to_owned));
    let repository = repository.ok_or_else(|| missing("project.path_with_namespace"))?;
    let pipeline = body.object_attributes.unwrap_or_default();
    let status = pipeline.status.or(body.build_status);
    if status.as_deref() != Some("success") {
        let status = status.as_deref().unwrap_or("without a status");
        let what = format!("a {kind} of {repository} ({status})");
        read.ignored.push(Ignored::NotSuccessful { what });
        return Ok(());
    }
    let reference = pipeline.reference.or(body.reference);
    let is_for_others = body.merge_request.is_some()
        || matches!(pipeline.source.as_deref(), Some("merge_request_event" | "external_pull_request_event"))
        || reference.as_deref().is_some_and(|reference| reference.starts_with("refs/merge-requests/"));
    if is_for_others {
        let what = format!("a {kind} of {repository} for a merge request");
        read.ignored.push(Ignored::Untrusted { what });
        return Ok(());
    }
    read.events.push(Event::BuildFinished(BuildFinished {
        repository,
        revision: commit(pipeline.sha.or(body.sha).as_deref()).map(String::from),
        reference,
        actor: body.user.and_then(|user| user.name()),
    }));
    Ok(())
}

fn merge_request(body: Body, read: &mut Read) -> Result<(), Unreadable> {
    let request = body.object_attributes.ok_or_else(|| missing("object_attributes"))?;
    changed(RepositoryChange::PullRequest, request, body.project, body.user, read)
}

/// A comment. Before 16.11 it does not say whether it is new, and is always.
fn note(body: Body, read: &mut Read) -> Result<(), Unreadable> {
    let note = body.object_attributes.unwrap_or_default();
    let action = note.action.as_deref().unwrap_or("create");
    let subject = note.noteable_type.as_deref().unwrap_or("nothing");
    match body.merge_request.filter(|_| action == "create" && subject == "MergeRequest") {
        Some(request) => changed(RepositoryChange::Comment, request, body.project, body.user, read),
        None => {
            read.ignored.push(Ignored::NotUsed { event: format!("{action} of a note on {subject}") });
            Ok(())
        }
    }
}

/// Something happened to a merge request: in the project into which it goes.
fn changed(
    change: RepositoryChange,
    request: Attributes,
    project: Option<Project>,
    user: Option<User>,
    read: &mut Read,
) -> Result<(), Unreadable> {
    let addresses = request.target.or(project).map(Project::addresses).unwrap_or_default();
    read.events.push(Event::RepositoryChanged(RepositoryChanged {
        branch: branch(request.target_branch.as_deref()),
        number: request.iid,
        actor: user.and_then(|user| user.name()),
        ..git_host::change(change, addresses)?
    }));
    Ok(())
}
