//! Quay's notifications of the event "Push to Repository".
//!
//! They carry no signature, no id, no digest, no time and no actor. The button "Test" sends the tags `latest` and
//! `foo`, whether they exist or not, and nothing tells such a body from a real one. Notifications of other events
//! (builds, scans, mirrors) come without `updated_tags`. Format: Quay's `notifications/__init__.py` and
//! `notificationevent.py`; the list of tags was once a map from each tag to the id of a layer.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Ignored,
    read::{Context, Push, Read, Unreadable, is_host},
};

#[derive(Deserialize)]
struct Notification {
    /// `quay.example/acme/web`
    docker_url: String,
    #[serde(default)]
    updated_tags: Value,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let Notification { docker_url, updated_tags } = serde_json::from_slice(body)?;
    let Some((host, repository)) = docker_url.split_once('/').filter(|(host, _)| is_host(host)) else {
        return Ok(Read::nothing(None, Ignored::Malformed { detail: format!("`{docker_url}` names no registry") }));
    };
    if let Some(configured) = context.registry.filter(|configured| !configured.eq_ignore_ascii_case(host)) {
        let (claimed, configured) = (host.to_owned(), configured.to_owned());
        return Ok(Read::nothing(None, Ignored::OtherRegistry { claimed, configured }));
    }
    let Some(tags) = tags(updated_tags)? else {
        let action = "a notification without tags".to_owned();
        return Ok(Read::nothing(None, Ignored::NotAPush { action }));
    };
    let mut read = Read::default();
    if tags.is_empty() {
        read.ignored.push(Ignored::NoTag { repository: repository.to_owned() });
    }
    for tag in &tags {
        let registry = context.registry(Some(host));
        read.push(&Push { registry, repository, tag: Some(tag), ..Push::default() });
    }
    Ok(read)
}

/// The tags; none where the notification is not of a push.
fn tags(updated: Value) -> Result<Option<Vec<String>>, Unreadable> {
    match updated {
        Value::Null => Ok(None),
        Value::Object(layers) => {
            let mut tags: Vec<String> = layers.keys().cloned().collect();
            tags.sort();
            Ok(Some(tags))
        }
        list => Ok(Some(serde_json::from_value(list)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Headers;

    #[test]
    fn a_receiver_of_one_registry_hears_of_no_other() {
        let body = br#"{"docker_url": "Quay.example/acme/web", "updated_tags": ["1.5.0"]}"#;
        for (configured, events) in [(None, 1), (Some("quay.example"), 1), (Some("other.example"), 0)] {
            let headers = Headers::default();
            let context =
                Context { headers: &headers, registry: configured, repository: None, claims: None, is_app: false };
            let read = read(&context, body).unwrap();
            assert_eq!(read.events.len(), events, "{configured:?}");
            let is_other = |reason: &Ignored| matches!(reason, Ignored::OtherRegistry { .. });
            assert_eq!(read.ignored.iter().any(is_other), events == 0, "{configured:?}");
        }
    }
}
