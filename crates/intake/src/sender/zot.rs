//! The events of a zot registry: CloudEvents 1.0 over HTTP.
//!
//! zot's sink sends in the binary mode: headers tell of the event, the body is its data. What passes events on may turn
//! them into the structured mode, where the body has both. Only an updated image counts, of which each changed tag has
//! an event of its own, and so has each signature. The type begins as zot is configured: `zotregistry.image.updated`
//! unless otherwise. Format: zot's `pkg/extensions/events`, and the HTTP binding of CloudEvents 1.0.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Headers, Ignored,
    read::{Context, Push, Read, Unreadable, lenient_text, time},
};

/// An event with its data, which is looked into only when it is of an image.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "lenient_text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient_text", rename = "time")]
    sent_at: Option<String>,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    name: String,
    /// The tag, or the digest of what was pushed without one.
    #[serde(default, deserialize_with = "lenient_text")]
    reference: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    digest: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    media_type: Option<String>,
    /// `{"name": "…"}`; absent in older versions, and where nobody had to log in.
    #[serde(default)]
    actor: Value,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let Envelope { kind, id, sent_at, data } = envelope(context.headers, body)?;
    let id = id.as_deref();
    if !kind.ends_with(".image.updated") {
        return Ok(Read::nothing(id, Ignored::NotAPush { action: kind }));
    }
    let image = image(data)?;
    let mut read = Read::of(id);
    read.push(&Push {
        registry: context.registry(None),
        repository: &image.name,
        tag: image.reference.as_deref(),
        digest: image.digest.as_deref(),
        media_type: image.media_type.as_deref(),
        actor: image.actor.get("name").unwrap_or(&image.actor).as_str(),
        pushed_at: sent_at.as_deref().and_then(time),
        source: None,
    });
    Ok(read)
}

/// The content type decides the mode, as the binding says.
fn envelope(headers: &Headers, body: &[u8]) -> Result<Envelope, Unreadable> {
    let content_type = headers.get("content-type").unwrap_or_default().trim_start().to_ascii_lowercase();
    let header = |name: &str| headers.filled(name).map(str::to_owned);
    match header("ce-type").filter(|_| !content_type.starts_with("application/cloudevents")) {
        Some(kind) => {
            let data = serde_json::from_slice(body)?;
            Ok(Envelope { kind, id: header("ce-id"), sent_at: header("ce-time"), data })
        }
        None => Ok(serde_json::from_slice(body)?),
    }
}

/// The data may be JSON, or a text with JSON in it.
fn image(data: Value) -> Result<Image, Unreadable> {
    Ok(match data {
        Value::String(text) => serde_json::from_str(&text)?,
        data => serde_json::from_value(data)?,
    })
}
