//! The `notifications` of a CNCF distribution registry (Docker's `registry`, GitLab's container registry, …).
//!
//! It sends from memory, one event at a time, and repeats a refused one for ever while all others wait behind it. It
//! tells of every layer, child manifest and pull as well, our own look-ups included, so most events are to be ignored.
//! Format: distribution's `notifications` documentation; `application/vnd.docker.distribution.events.v1+json` in
//! 2.x, `v2` in 3.x, equal in the fields that are read here.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Ignored,
    read::{Context, Push, Read, Unreadable, lenient_text, time},
};

#[derive(Deserialize)]
struct Envelope {
    /// One that cannot be read must not hold up those beside it.
    events: Vec<Value>,
}

#[derive(Deserialize)]
struct Notification {
    action: String,
    #[serde(default, deserialize_with = "lenient_text")]
    timestamp: Option<String>,
    target: Target,
    #[serde(default)]
    request: Origin,
    #[serde(default)]
    actor: Actor,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    #[serde(default)]
    media_type: String,
    digest: Option<String>,
    #[serde(default)]
    repository: String,
    #[serde(default)]
    tag: String,
}

#[derive(Default, Deserialize)]
struct Origin {
    #[serde(default, deserialize_with = "lenient_text")]
    host: Option<String>,
}

#[derive(Default, Deserialize)]
struct Actor {
    #[serde(default, deserialize_with = "lenient_text")]
    name: Option<String>,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let envelope: Envelope = serde_json::from_slice(body)?;
    let ids: Vec<&str> = envelope.events.iter().filter_map(|event| event.get("id")?.as_str()).collect();
    let all_have_one = ids.len() == envelope.events.len() && !ids.contains(&"");
    let mut read = Read::of(all_have_one.then(|| ids.join("+")).as_deref());
    for event in envelope.events {
        match serde_json::from_value(event) {
            Ok(notification) => take(context, &notification, &mut read),
            Err(error) => read.ignored.push(Ignored::Unparsable { detail: error.to_string() }),
        }
    }
    Ok(read)
}

fn take(context: &Context<'_>, notification: &Notification, read: &mut Read) {
    if notification.action != "push" {
        read.ignored.push(Ignored::NotAPush { action: notification.action.clone() });
        return;
    }
    let target = &notification.target;
    // Unlike others it says of everything what it is.
    if target.media_type.is_empty() {
        read.ignored.push(Ignored::NotAManifest { media_type: String::new() });
        return;
    }
    read.push(&Push {
        registry: context.registry(notification.request.host.as_deref()),
        repository: &target.repository,
        tag: Some(&target.tag),
        digest: target.digest.as_deref(),
        media_type: Some(&target.media_type),
        actor: notification.actor.name.as_deref(),
        pushed_at: notification.timestamp.as_deref().and_then(time),
        source: None,
    });
}
