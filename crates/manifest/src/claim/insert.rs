//! Where a missing key goes, and how it is written there.
//!
//! Into a block mapping as a line of its own behind the last value of one line, so that comments stay with what they
//! speak of; into a flow mapping, JSON included, behind its last value.

use tagboat_model::{Scalar, ScalarStyle};

use super::path::Step;
use crate::yaml::{Node, Style, Value};

/// Levels of a block are indented by this much more.
const INDENT: usize = 2;

/// The scalar that is not there yet: the last of `steps`, all of which are missing in `parent`.
pub(super) fn absent(source: &str, parent: &Node<'_>, steps: &[Step]) -> Option<Scalar> {
    let keys: Vec<&str> = steps
        .iter()
        .map(|step| if let Step::Key(key) = step { Some(key.as_str()) } else { None })
        .collect::<Option<_>>()?;
    let Value::Mapping { flow, pairs } = &parent.value else { return None };
    match flow {
        true => in_flow(source, parent, pairs, &keys),
        false => in_block(source, pairs, &keys),
    }
}

fn scalar(at: usize, before: String, after: String) -> Scalar {
    Scalar { span: at..at, style: ScalarStyle::Absent { before, after }, value: String::new() }
}

fn in_block(source: &str, pairs: &[(Node<'_>, Node<'_>)], keys: &[&str]) -> Option<Scalar> {
    let column = pairs.first().map(|(key, _)| key.column)? - 1;
    let on_one_line = |(key, value): &&(Node<'_>, Node<'_>)| {
        let block = value.scalar().is_none_or(|scalar| matches!(scalar.style, Style::Literal | Style::Folded));
        !block && source.get(key.span.start..value.span.end.max(key.span.end)).is_some_and(|text| !text.contains('\n'))
    };
    let eol = if source.contains("\r\n") { "\r\n" } else { "\n" };
    let line = |level: usize, key: &str| format!("{}{}:", " ".repeat(column + level * INDENT), plain_key(key));
    let lines: Vec<String> = keys.iter().enumerate().map(|(level, key)| line(level, key)).collect();
    let lines = lines.join(eol);
    if let Some((key, value)) = pairs.iter().rev().find(on_one_line) {
        let end = value.span.end.max(key.span.end);
        let rest = source.get(end..)?;
        let length = rest
            .find('\n')
            .map_or(rest.len(), |newline| if rest[..newline].ends_with('\r') { newline - 1 } else { newline });
        return Some(scalar(end + length, format!("{eol}{lines} "), String::new()));
    }
    // Before its first key otherwise, which stands behind the indentation, or behind the dash of an item.
    let (first, _) = pairs.first()?;
    let before = format!("{} ", lines.trim_start_matches(' '));
    Some(scalar(first.span.start, before, format!("{eol}{}", " ".repeat(column))))
}

fn in_flow(source: &str, parent: &Node<'_>, pairs: &[(Node<'_>, Node<'_>)], keys: &[&str]) -> Option<Scalar> {
    let json =
        pairs.first().is_none_or(|(key, _)| source.get(key.span.clone()).is_some_and(|key| key.starts_with('"')));
    let key = |key: &str| if json { format!("\"{key}\": ") } else { format!("{}: ", plain_key(key)) };
    let mut before = keys.iter().map(|name| key(name)).collect::<Vec<_>>().join("{");
    let mut after = "}".repeat(keys.len() - 1);
    if json {
        before.push('"');
        after.insert(0, '"');
    }
    let Some((last_key, last)) = pairs.last() else {
        return Some(scalar(parent.span.start + 1, before, after));
    };
    // On a line of its own where the others are.
    let head = source.get(..last_key.span.start)?;
    let line = head.rsplit('\n').next().unwrap_or_default();
    let own_line = line.trim().is_empty() && head.contains('\n');
    let eol = if source.contains("\r\n") { "\r\n" } else { "\n" };
    let separator = if own_line { format!(",{eol}{line}") } else { ", ".to_owned() };
    Some(scalar(last.span.end, format!("{separator}{before}"), after))
}

/// A key as it is written in YAML.
fn plain_key(key: &str) -> String {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/');
    let plain = key.bytes().all(word) && key.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
    let plain = plain
        && !matches!(
            key.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if plain { key.to_owned() } else { format!("{key:?}") }
}
