//! Spans as OTLP writes them in JSON (opentelemetry-proto 1.x, "OTLP/HTTP", JSON encoding). Pure.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tagboat_model::{EventId, Timestamp};

/// A part of what became of an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    pub(crate) event: EventId,
    /// Sixteen hexadecimal digits.
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) name: &'static str,
    pub(crate) begin: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    /// What went wrong.
    pub(crate) error: Option<String>,
}

/// The trace of an event. It follows from the event's id, so that whoever has the one finds the other, and so that every
/// replica adds to the same trace.
pub(crate) fn trace_id(event: &EventId) -> String {
    digits(&["trace", event.as_str()], 16)
}

/// The id of a span, which follows from what makes it the one it is.
pub(crate) fn span_id(parts: &[&str]) -> String {
    digits(parts, 8)
}

fn digits(parts: &[&str], bytes: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

/// The body of an export.
pub(crate) fn body(service: &str, spans: &[Span]) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [attribute(("service.name", &service.into())), attribute(("service.version", &version.into()))];
    json!({
        "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{
                "scope": { "name": "tagboat", "version": version },
                "spans": spans.iter().map(span).collect::<Vec<_>>(),
            }],
        }],
    })
}

fn span(span: &Span) -> Value {
    let attributes: Vec<Value> = span.attributes.iter().map(|(key, value)| attribute((key, value))).collect();
    let mut json = json!({
        "traceId": trace_id(&span.event),
        "spanId": span.id,
        "name": span.name,
        "kind": 1,
        "startTimeUnixNano": nanoseconds(span.begin),
        "endTimeUnixNano": nanoseconds(span.end.max(span.begin)),
        "attributes": attributes,
        "status": span.error.as_ref().map_or_else(|| json!({}), |error| json!({ "code": 2, "message": error })),
    });
    if let Some(parent) = &span.parent {
        json["parentSpanId"] = parent.as_str().into();
    }
    json
}

/// Numbers of 64 bits are text in this encoding.
fn attribute((key, value): (&str, &Value)) -> Value {
    let value = match value {
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Bool(truth) => json!({ "boolValue": truth }),
        Value::String(text) => json!({ "stringValue": text }),
        other => json!({ "stringValue": other.to_string() }),
    };
    json!({ "key": key, "value": value })
}

fn nanoseconds(at: Timestamp) -> String {
    (i128::from(at.0.max(0)) * 1_000_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_as_collectors_read_it() {
        let event: EventId = "ev-1".parse().unwrap();
        let span = Span {
            event: event.clone(),
            id: span_id(&["a", "b"]),
            parent: Some(span_id(&["ab"])),
            name: "push",
            begin: Timestamp(1_700_000_000_123),
            end: Timestamp(1_700_000_000_000),
            attributes: vec![("tagboat.attempts", 2.into()), ("tagboat.branch", "config:main".into())],
            error: Some("no".to_owned()),
        };
        assert_ne!(span.id, *span.parent.as_ref().unwrap(), "parts are told apart");
        let body = body("tagboat", &[span]);
        let written = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(written["traceId"], trace_id(&event));
        assert_eq!((trace_id(&event).len(), written["spanId"].as_str().unwrap().len()), (32, 16));
        assert_eq!(written["startTimeUnixNano"], "1700000000123000000");
        assert_eq!(written["endTimeUnixNano"], "1700000000123000000", "the clock may have been put back");
        assert_eq!(written["attributes"][0], json!({ "key": "tagboat.attempts", "value": { "intValue": "2" } }));
        assert_eq!(written["status"], json!({ "code": 2, "message": "no" }));
        assert_eq!(body["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"], "tagboat");
    }
}
