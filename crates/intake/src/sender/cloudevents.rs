//! CloudEvents 1.0 over HTTP, in all three modes: structured (`application/cloudevents+json`), batch
//! (`application/cloudevents-batch+json`), and binary, where attributes are headers `ce-…` and the body is the data.
//!
//! Of any type, `data` counts when it has an `image`; it is then read as the generic sender's body is:
//! `{"image": "ghcr.io/acme/web", "tag": "1.5.0", "digest": "sha256:…", "actor": "…", "source": {"repository": …,
//! "revision": …, "run": …}}`, and the event's `time` stands in where it has none. In structured mode data may be
//! base64 (`data_base64`). Types `dev.cdevents.…` are read as CDEvents. Those of Harbor and zot are not read here: they
//! do not name their registry, so they have receivers of their own.
//! Sources: CloudEvents' JSON event format, HTTP protocol binding.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;
use tagboat_model::Event;

use super::{cdevents, generic};
use crate::{
    Headers, Ignored,
    read::{Context, Read, Unreadable, lenient_text, time},
};

/// Beginnings of types that have receivers of their own.
const ELSEWHERE: [&str; 2] = ["harbor.", "zotregistry."];

#[derive(Deserialize)]
pub(super) struct CloudEvent {
    #[serde(default, deserialize_with = "lenient_text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    source: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "lenient_text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    time: Option<String>,
    data: Option<Value>,
    #[serde(default, deserialize_with = "lenient_text")]
    data_base64: Option<String>,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let events = events(context, body)?.ok_or_else(|| {
        Unreadable("it is no CloudEvent: it has neither headers `ce-type` and `ce-id` nor a `specversion`".to_owned())
    })?;
    Ok(read_each(events, |event, read| take(context, event, read)))
}

/// The events in a request; none when it is no CloudEvent.
pub(super) fn events(context: &Context<'_>, body: &[u8]) -> Result<Option<Vec<CloudEvent>>, Unreadable> {
    let content_type = context.headers.get("content-type").unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match content_type.as_str() {
        "application/cloudevents-batch+json" => return Ok(Some(serde_json::from_slice(body)?)),
        "application/cloudevents+json" => return Ok(Some(vec![serde_json::from_slice(body)?])),
        _ => {}
    }
    if context.headers.filled("ce-type").is_some() {
        return Ok(Some(vec![binary(context.headers, body)?]));
    }
    // Several senders say `application/json` in structured mode.
    let value: Value = serde_json::from_slice(body)?;
    let is_event = |value: &Value| value.get("specversion").is_some();
    Ok(match value {
        Value::Array(many) if many.iter().all(is_event) => Some(serde_json::from_value(Value::Array(many))?),
        one if is_event(&one) => Some(vec![serde_json::from_value(one)?]),
        _ => None,
    })
}

fn binary(headers: &Headers, body: &[u8]) -> Result<CloudEvent, Unreadable> {
    // Version 1.0.1 of the binding encodes characters that headers cannot have, earlier ones encode nothing.
    let attribute = |name: &str| {
        let value = headers.filled(name)?;
        Some(percent_decoded(value).unwrap_or_else(|| value.to_owned()))
    };
    let data = if body.is_empty() { None } else { Some(serde_json::from_slice(body)?) };
    Ok(CloudEvent {
        id: attribute("ce-id"),
        source: attribute("ce-source"),
        kind: attribute("ce-type"),
        time: attribute("ce-time"),
        data,
        data_base64: None,
    })
}

/// Read each event; one that cannot be read does not stop the others.
pub(super) fn read_each(
    events: Vec<CloudEvent>,
    take: impl Fn(CloudEvent, &mut Read) -> Result<(), Unreadable>,
) -> Read {
    let ids: Option<Vec<String>> = events.iter().map(CloudEvent::id).collect();
    let mut read = Read::of(ids.map(|ids| ids.join("+")).as_deref());
    for event in events {
        if let Err(Unreadable(detail)) = take(event, &mut read) {
            read.ignored.push(Ignored::Unparsable { detail });
        }
    }
    read
}

fn take(context: &Context<'_>, mut event: CloudEvent, read: &mut Read) -> Result<(), Unreadable> {
    let kind = event.kind()?;
    if kind.starts_with(cdevents::TYPES) {
        return cdevents::take(context, event.take_data()?, read);
    }
    let elsewhere = ELSEWHERE.iter().any(|start| kind.starts_with(start));
    let data = if elsewhere { Value::Null } else { event.take_data()? };
    if data.get("image").is_none() {
        read.ignored.push(Ignored::NotUsed { event: kind });
        return Ok(());
    }
    let mut found = generic::read(context, &serde_json::to_vec(&data)?)?;
    let at = event.time.as_deref().and_then(time);
    for event in &mut found.events {
        if let Event::ImagePushed(pushed) = event {
            pushed.pushed_at = pushed.pushed_at.or(at);
        }
    }
    read.events.append(&mut found.events);
    read.ignored.append(&mut found.ignored);
    Ok(())
}

impl CloudEvent {
    /// Its id is its own only together with its source.
    fn id(&self) -> Option<String> {
        source_and_id(self.source.as_deref(), self.id.as_deref())
    }

    pub(super) fn kind(&self) -> Result<String, Unreadable> {
        let kind = self.kind.clone().filter(|kind| !kind.is_empty());
        kind.ok_or_else(|| Unreadable("`type` is missing".to_owned()))
    }

    /// The data, which is JSON in itself or in base64; null when there is none.
    pub(super) fn take_data(&mut self) -> Result<Value, Unreadable> {
        match (self.data.take(), &self.data_base64) {
            (Some(data), _) => Ok(data),
            (None, Some(encoded)) => Ok(serde_json::from_slice(&from_base64(encoded)?)?),
            (None, None) => Ok(Value::Null),
        }
    }
}

fn from_base64(encoded: &str) -> Result<Vec<u8>, Unreadable> {
    STANDARD.decode(encoded).map_err(|error| Unreadable(format!("`data_base64` is not base64: {error}")))
}

/// What tells an event from all others.
pub(super) fn source_and_id(source: Option<&str>, id: Option<&str>) -> Option<String> {
    let filled = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    Some(format!("{} {}", filled(source)?, filled(id)?))
}

/// A text without its percent-encoding (RFC 3986). None when a `%` stands before anything but two hexadecimal digits,
/// or what comes out is not UTF-8.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let encoded = byte == b'%';
        decoded.push(if encoded { (digit(bytes.next()?)? << 4) | digit(bytes.next()?)? } else { byte });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_undone_or_refused() {
        for (text, expect) in [
            ("", Some("")),
            ("sha256%3Aab", Some("sha256:ab")),
            ("%E2%82%AC%e2%82%ac", Some("€€")),
            ("100%25", Some("100%")),
            ("a+b", Some("a+b")),
            ("é", Some("é")),
            ("%", None),
            ("%4", None),
            ("%4g", None),
            ("%+4", None),
            ("%é", None),
            ("%ff", None),
        ] {
            assert_eq!(percent_decoded(text).as_deref(), expect, "{text}");
        }
    }
}
