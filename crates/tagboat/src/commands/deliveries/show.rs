//! `tagboat deliveries show`: one delivery, whole. The body is a stranger's: what could command a terminal is shown by
//! its number.

use std::io::Write as _;

use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tagboat_model::is_bidirectional;
use tagboat_ports::{EventRecord, Store, StoredDelivery};

use super::{kept_body, sender, verdict, whole, without_body};
use crate::{
    cli::{DeliveryShow, Output},
    commands::words::{self, count, safe},
    exit::{Code, Failure},
    output::{self, BOLD, DIM, styled},
};

/// Deeper values stand no further to the right: a body of nothing but brackets must not fill the screen with spaces.
const DEEPEST_INDENTATION: usize = 32;

pub(super) async fn run(store: &dyn Store, arguments: &DeliveryShow, output: Output) -> Result<Code, Failure> {
    let delivery = whole(store, &arguments.id).await?;
    if arguments.raw {
        write_raw(kept_body(&delivery).map_err(|why| without_body(&arguments.id, &why))?)?;
        return Ok(Code::Ok);
    }
    match output {
        Output::Json => output::line(in_json(&delivery)?.to_string()),
        Output::Text => in_words(&delivery).iter().for_each(output::line),
    }
    Ok(Code::Ok)
}

fn write_raw(body: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(body).and_then(|()| out.flush());
    written.map_err(|error| Failure::failed("standard output cannot be written", &error))
}

fn in_json(delivery: &StoredDelivery) -> Result<Value, Failure> {
    let failed = |error: serde_json::Error| Failure::failed("the answer cannot be written", &error);
    let mut whole = serde_json::to_value(delivery).map_err(failed)?;
    if let Value::Object(whole) = &mut whole {
        let body = kept_body(delivery).ok().map(String::from_utf8_lossy);
        whole.insert("body".to_owned(), json!(body));
    }
    Ok(whole)
}

fn in_words(delivery: &StoredDelivery) -> Vec<String> {
    let record = &delivery.record;
    let mut lines = vec![
        format!("{}  {}", styled(BOLD, &record.id), verdict(&record.verdict, 0)),
        format!("  received  {} by receiver {}, tenant {}", record.received_at, sender(record), record.tenant),
        format!("  trust     {}: {}", words::trust(record.trust), words::proof(record.trust)),
        format!("  key       {}", safe(&delivery.key)),
    ];
    if !delivery.events.is_empty() {
        lines.push(styled(BOLD, "events"));
        lines.extend(delivery.events.iter().flat_map(fate));
    }
    if !record.reasons.is_empty() {
        lines.push(styled(BOLD, "not acted on"));
        lines.extend(record.reasons.iter().map(|reason| format!("  {}", safe(reason))));
    }
    // Headers are taken away with the body.
    if delivery.body.is_some() {
        lines.push(styled(BOLD, "headers"));
        let header = |(name, value): &(String, String)| format!("  {}: {}", safe(name), safe(value));
        lines.extend(delivery.headers.iter().map(header));
        lines.push(styled(DIM, "  (only those that say what the body is: credentials are never kept)"));
    }
    match kept_body(delivery) {
        Ok(body) => {
            lines.push(styled(BOLD, format!("body, {}", count(body.len(), "byte"))));
            lines.extend(body_in_words(body));
        }
        Err(why) => lines.push(styled(DIM, why)),
    }
    lines
}

/// What became of an event.
fn fate(event: &EventRecord) -> Vec<String> {
    let mut lines = vec![format!("  {}  {}", event.id, words::event(&event.event))];
    if event.branches.is_empty() {
        lines.push("    nothing to do: it concerned no branch when it came".to_owned());
    }
    for (key, served) in &event.branches {
        let what = if *served { "served" } else { "waits" };
        lines.push(format!("    {key}: {what}; `tagboat explain {}` says what was decided", event.id));
    }
    lines
}

/// A body, one line each. JSON gets a line for each value; what stands in it stays as it was sent, also what occurs
/// twice.
fn body_in_words(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
    let shown = if is_json { indented(&text) } else { text.into_owned() };
    let mut lines: Vec<String> = shown.lines().map(|line| format!("  {}", safe_line(line))).collect();
    if std::str::from_utf8(body).is_err() {
        lines.push(styled(DIM, "  (it is not UTF-8; `--raw` writes it as it came)"));
    }
    lines
}

/// As [`safe`], with tabs as they are.
fn safe_line(line: &str) -> String {
    let is_plain = |c: char| c == '\t' || !(c.is_control() || is_bidirectional(c));
    if line.chars().all(is_plain) { line.to_owned() } else { line.split('\t').map(safe).collect::<Vec<_>>().join("\t") }
}

/// JSON with a line for each value. Only the white space between values changes.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth.min(DEEPEST_INDENTATION)));
    };
    for c in json.chars() {
        if in_text {
            out.push(c);
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                depth += 1;
                out.push(c);
                new_line(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                let filled = out.trim_end().len();
                let is_empty = out.get(..filled).is_some_and(|before| before.ends_with(['{', '[']));
                out.truncate(filled);
                if !is_empty {
                    new_line(&mut out, depth);
                }
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => {
                in_text = c == '"';
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use tagboat_model::{Event, ImagePushed, TenantName, Timestamp, Trust};
    use tagboat_ports::DeliveryRecord;
    use tagboat_server::TOO_LARGE;

    use super::*;

    fn delivery(body: Option<&[u8]>) -> StoredDelivery {
        let image = "ghcr.io/acme/web".parse().unwrap();
        let event = EventRecord {
            id: "ev-1".parse().unwrap(),
            delivery: "dl-1".parse().unwrap(),
            receiver: "ci".parse().unwrap(),
            event: Event::ImagePushed(ImagePushed::new(image, "1.5.0".parse().unwrap(), None)),
            trust: Trust::Signed,
            received_at: Timestamp(1_795_662_000_000),
            branches: Vec::new(),
        };
        StoredDelivery {
            record: DeliveryRecord {
                id: "dl-1".parse().unwrap(),
                tenant: TenantName::default(),
                receiver: "ci".parse().unwrap(),
                kind: "generic".to_owned(),
                trust: Trust::Signed,
                verdict: "accepted".to_owned(),
                reasons: Vec::new(),
                received_at: Timestamp(1_795_662_000_000),
            },
            key: "msg-1".to_owned(),
            headers: vec![("webhook-id".to_owned(), "msg-1".to_owned())],
            body: body.map(<[u8]>::to_vec),
            events: vec![event],
        }
    }

    #[test]
    fn json_is_shown_value_by_value_and_as_it_was_sent() {
        let json = r#"{"a": [1.50,{}, [ ] ],"b":"x:{\"},[","a":{"c":12345678901234567890123}}"#;
        assert_eq!(
            indented(json),
            "{\n  \"a\": [\n    1.50,\n    {},\n    []\n  ],\n  \"b\": \"x:{\\\"},[\",\n  \"a\": {\n    \"c\": 12345678901234567890123\n  }\n}"
        );
        let deep = "[".repeat(50_000) + &"]".repeat(50_000);
        assert!(indented(&deep).len() < 10_000_000);
    }

    #[test]
    fn a_body_cannot_command_the_terminal() {
        let hostile = "{\"tag\":\"1.5.0\u{202e}\u{9b}2J\"}";
        assert_eq!(body_in_words(hostile.as_bytes()), ["  {", "    \"tag\": \"1.5.0\\u{202e}\\u{9b}2J\"", "  }"]);
        assert_eq!(body_in_words(b"no\tJSON\x1b[2J\r\nat all"), ["  no\tJSON\\u{1b}[2J", "  at all"]);
        assert_eq!(body_in_words(b"\xff").len(), 2);
    }

    #[test]
    fn all_of_a_delivery_is_shown() {
        let plain = |body| {
            let lines = in_words(&delivery(body));
            lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            plain(Some(&b"{}"[..])),
            [
                "dl-1  accepted",
                "  received  2026-11-26T03:00:00Z by receiver ci (generic), tenant default",
                "  trust     signed: the body is signed, or a token of an issuer came with it",
                "  key       msg-1",
                "events",
                "  ev-1  ghcr.io/acme/web:1.5.0",
                "    nothing to do: it concerned no branch when it came",
                "headers",
                "  webhook-id: msg-1",
                "  (only those that say what the body is: credentials are never kept)",
                "body, 2 bytes",
                "  {}",
            ]
        );
        let pruned = plain(None);
        assert_eq!(pruned.last().unwrap(), "the body was not kept: it is too old, or others needed the room");
        assert!(!pruned.iter().any(|line| line == "headers"), "{pruned:?}");
        let json = in_json(&delivery(Some(&b"{}"[..]))).unwrap();
        assert_eq!((&json["body"], &json["id"]), (&json!("{}"), &json!("dl-1")));
        assert!(in_json(&delivery(None)).unwrap()["body"].is_null());
    }

    #[test]
    fn a_body_that_was_too_large_is_not_taken_for_an_empty_one() {
        let mut large = delivery(Some(&b""[..]));
        assert_eq!(kept_body(&large), Ok(&b""[..]));
        large.record.reasons = vec![format!("the body could not be read: {TOO_LARGE} 20000 bytes")];
        let lines = in_words(&large);
        let last = anstream::adapter::strip_str(lines.last().unwrap()).to_string();
        assert_eq!(last, "the body was not kept: the body could not be read: the body is larger than 20000 bytes");
        assert!(in_json(&large).unwrap()["body"].is_null());
        let failure = without_body(&large.record.id, &kept_body(&large).unwrap_err());
        assert!(failure.message.starts_with("the delivery `dl-1`: the body was not kept: "), "{}", failure.message);
    }
}
