//! Google Artifact Registry and Container Registry: notifications of the topic `gcr`, pushed by Pub/Sub.
//!
//! Data: `{"action": "INSERT", "digest": "<host>/<path>@sha256:…", "tag": "<host>/<path>:1.5.0"}`, either or both of
//! digest and tag. It comes in Pub/Sub's envelope in base64, or, with payload unwrapping, as the body itself with id
//! and time in headers. The registry is the host in the reference; the receiver's allow-list decides whether it may be.
//! Sources: "Configure Pub/Sub notifications" of Artifact Registry; "Payload unwrapping" of Pub/Sub.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Ignored,
    read::{Context, Push, Read, Unreadable, lenient_text, time},
};

/// Pub/Sub sends id and time twice, in both spellings.
#[derive(Deserialize)]
struct Message {
    #[serde(default, deserialize_with = "lenient_text")]
    data: Option<String>,
    #[serde(default, rename = "messageId", deserialize_with = "lenient_text")]
    id: Option<String>,
    #[serde(default, rename = "message_id", deserialize_with = "lenient_text")]
    same_id: Option<String>,
    #[serde(default, rename = "publishTime", deserialize_with = "lenient_text")]
    published: Option<String>,
    #[serde(default, rename = "publish_time", deserialize_with = "lenient_text")]
    same_published: Option<String>,
}

#[derive(Deserialize)]
struct Notification {
    action: String,
    #[serde(default, deserialize_with = "lenient_text")]
    tag: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    digest: Option<String>,
}

/// `<host>/<path>[:<tag>][@<digest>]` in its parts.
#[derive(Debug, PartialEq, Eq)]
struct Parts<'t> {
    host: &'t str,
    path: &'t str,
    tag: Option<&'t str>,
    digest: Option<&'t str>,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let value: Value = serde_json::from_slice(body)?;
    if let Some(message) = value.get("message") {
        return Ok(enveloped(context, &Message::deserialize(message)?));
    }
    let mut read = Read::of(context.headers.get("x-goog-pubsub-message-id"));
    take(context, body, context.headers.get("x-goog-pubsub-publish-time"), &mut read)?;
    Ok(read)
}

fn enveloped(context: &Context<'_>, message: &Message) -> Read {
    let mut read = Read::of(message.id.as_deref().or(message.same_id.as_deref()));
    let published = message.published.as_deref().or(message.same_published.as_deref());
    let data = STANDARD.decode(message.data.as_deref().unwrap_or_default());
    let taken = match data {
        Ok(data) => take(context, &data, published, &mut read),
        Err(error) => Err(Unreadable(format!("`message.data` is not base64: {error}"))),
    };
    if let Err(Unreadable(detail)) = taken {
        read.ignored.push(Ignored::Unparsable { detail });
    }
    read
}

fn take(context: &Context<'_>, data: &[u8], published: Option<&str>, read: &mut Read) -> Result<(), Unreadable> {
    let notification: Notification = serde_json::from_slice(data)?;
    if notification.action != "INSERT" {
        read.ignored.push(Ignored::NotAPush { action: notification.action });
        return Ok(());
    }
    let tagged = notification.tag.as_deref().filter(|reference| !reference.is_empty());
    let addressed = notification.digest.as_deref().filter(|reference| !reference.is_empty());
    let Some(reference) = tagged.or(addressed) else {
        return Err(Unreadable("neither `tag` nor `digest` says what was pushed".to_owned()));
    };
    let Some(named) = Parts::of(reference) else {
        let detail = format!("`{reference}` does not name an image at a registry");
        read.ignored.push(Ignored::Malformed { detail });
        return Ok(());
    };
    // The digest of another image is no digest of this one.
    let digest = addressed.map(|text| {
        let same = Parts::of(text).filter(|other| (other.host, other.path) == (named.host, named.path));
        same.and_then(|other| other.digest).unwrap_or(text)
    });
    read.push(&Push {
        registry: context.registry(Some(named.host)),
        repository: named.path,
        tag: named.tag,
        digest: digest.or(named.digest),
        media_type: None,
        actor: None,
        pushed_at: published.and_then(time),
        source: None,
    });
    Ok(())
}

impl<'t> Parts<'t> {
    fn of(reference: &'t str) -> Option<Self> {
        let (name, digest) = match reference.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (reference, None),
        };
        let (host, rest) = name.split_once('/')?;
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (rest, None),
        };
        host.contains('.').then_some(Self { host, path, tag, digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_falls_into_its_parts() {
        let parts = |host, path, tag, digest| Some(Parts { host, path, tag, digest });
        for (reference, expect) in [
            ("us-docker.pkg.dev/p/r/web:1", parts("us-docker.pkg.dev", "p/r/web", Some("1"), None)),
            ("gcr.io/p/web@sha256:ab", parts("gcr.io", "p/web", None, Some("sha256:ab"))),
            ("gcr.io/p/web:1@sha256:ab", parts("gcr.io", "p/web", Some("1"), Some("sha256:ab"))),
            ("gcr.io/example.com:p/web", parts("gcr.io", "example.com:p/web", None, None)),
            ("r.example:5000/web", parts("r.example:5000", "web", None, None)),
            ("web:1", None),
            ("p/web:1", None),
            ("", None),
        ] {
            assert_eq!(Parts::of(reference), expect, "{reference}");
        }
    }
}
