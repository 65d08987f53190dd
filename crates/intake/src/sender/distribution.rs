//! The `notifications` of a CNCF distribution registry (Docker's `registry`, GitLab's container registry, …).
//!
//! Authenticity: static headers from its configuration. It sends from memory, one event at a time, and
//! repeats a refused one for ever while all others wait behind it. It tells of every layer, child manifest
//! and pull as well, our own look-ups included, so most events are to be ignored.
//! Format: distribution's `notifications` documentation; `application/vnd.docker.distribution.events.v1+json` in
//! 2.x, `v2` in 3.x, equal in the fields that are read here.

use secrecy::SecretString;
use serde::Deserialize;
use tagboat_model::{Event, ImageName, ImagePushed};

use crate::{Headers, Ignored, Read, Refused, body_key, signature};

pub(crate) fn verify(authorization: &[SecretString], headers: &Headers) -> Result<(), Refused> {
    let given = headers.get("authorization").ok_or(Refused::Header("authorization"))?;
    if signature::matches_any(authorization, given) { Ok(()) } else { Err(Refused::Credential) }
}

#[derive(Deserialize)]
struct Envelope {
    events: Vec<Notification>,
}

#[derive(Deserialize)]
struct Notification {
    #[serde(default)]
    id: String,
    action: String,
    target: Target,
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

const MANIFESTS: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];

pub(crate) fn read(registry: &str, body: &[u8]) -> Result<Read, serde_json::Error> {
    let envelope: Envelope = serde_json::from_slice(body)?;
    let ids: Vec<&str> = envelope.events.iter().map(|event| event.id.as_str()).collect();
    let key = if ids.is_empty() || ids.contains(&"") { body_key(body) } else { ids.join("+") };
    // An envelope of very many events would make a key longer than a database likes to index.
    let key = if key.len() > 200 { body_key(key.as_bytes()) } else { key };
    let (mut events, mut ignored) = (Vec::new(), Vec::new());
    for notification in &envelope.events {
        match event(registry, notification) {
            Ok(event) => events.push(event),
            Err(reason) => ignored.push(reason),
        }
    }
    Ok(Read { key, events, ignored })
}

fn event(registry: &str, notification: &Notification) -> Result<Event, Ignored> {
    let target = &notification.target;
    if notification.action != "push" {
        return Err(Ignored::NotAPush { action: notification.action.clone() });
    }
    if !MANIFESTS.contains(&target.media_type.as_str()) {
        return Err(Ignored::NotAManifest { media_type: target.media_type.clone() });
    }
    if target.tag.is_empty() {
        return Err(Ignored::NoTag { repository: target.repository.clone() });
    }
    let malformed = |error: tagboat_model::ImageError| Ignored::Malformed { detail: error.to_string() };
    Ok(Event::ImagePushed(ImagePushed {
        image: ImageName::at(registry, &target.repository).map_err(malformed)?,
        tag: target.tag.parse().map_err(malformed)?,
        // A digest that cannot be read is only a claim less.
        claimed_digest: target.digest.as_deref().and_then(|digest| digest.parse().ok()),
    }))
}
