//! From a reference and a version to bytes, and the proof that only the intended value changed.

use tagboat_model::{Edit, Parts, Pin, Reference, Scalar, Version};
use thiserror::Error;

use crate::{quote, yaml};

/// Why an edit is not made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Refusal(String);

/// The edits that make `reference` carry `version`, written as `pin` says. Empty when it does already.
///
/// # Errors
/// [`Refusal`] when the file has no place for what is wanted, or a stale digest would stay beside a new tag.
pub fn rewrite(reference: &Reference, version: &Version, pin: Pin) -> Result<Vec<Edit>, Refusal> {
    let (tag, digest) = match pin {
        Pin::Keep => (reference.tag.is_some(), reference.digest.is_some()),
        Pin::Tag => (true, false),
        Pin::Digest => (false, true),
        Pin::TagAndDigest => (true, true),
    };
    if !tag && !digest {
        return Err(Refusal("it has neither tag nor digest; write one, or set `pin`".to_owned()));
    }
    match &reference.parts {
        Parts::Whole(scalar) => {
            let mut value = reference.written_name.clone();
            if tag {
                value = format!("{value}:{}", version.tag);
            }
            if digest {
                value = format!("{value}@{}", version.digest);
            }
            Ok(replace(scalar, &value)?.into_iter().collect())
        }
        Parts::Split { tag: tag_scalar, digest: digest_scalar } => {
            let mut edits = Vec::new();
            edits.extend(part(tag_scalar.as_ref(), tag.then_some(version.tag.as_str()), "tag")?);
            edits.extend(part(digest_scalar.as_ref(), digest.then_some(version.digest.as_str()), "digest")?);
            edits.sort_by_key(|edit| edit.span.start);
            Ok(edits)
        }
    }
}

/// One of the two scalars of a split reference.
fn part(scalar: Option<&Scalar>, wanted: Option<&str>, what: &str) -> Result<Option<Edit>, Refusal> {
    match (scalar, wanted) {
        (Some(scalar), Some(wanted)) => replace(scalar, wanted),
        (None, Some(_)) => Err(Refusal(format!("there is no key for the {what}; add it with the value that runs now"))),
        (Some(scalar), None) if !scalar.value.is_empty() => {
            Err(Refusal(format!("`pin` asks for no {what}, but `{}` is written; remove that key", scalar.value)))
        }
        (_, None) => Ok(None),
    }
}

fn replace(scalar: &Scalar, value: &str) -> Result<Option<Edit>, Refusal> {
    if scalar.value == value {
        return Ok(None);
    }
    if scalar.anchored {
        return Err(Refusal("it has an anchor (`&name`), so aliases elsewhere would change with it".to_owned()));
    }
    let text = quote::render(value, scalar.style)
        .ok_or_else(|| Refusal("it is a block scalar (`|` or `>`); write it on one line".to_owned()))?;
    if scalar.span.is_empty() {
        return Err(Refusal("it has no bytes of its own; write the value in quotes".to_owned()));
    }
    Ok(Some(Edit { span: scalar.span.clone(), text }))
}

/// Apply edits to a file and prove the result: it parses, and says what it said before except for the edited
/// values. Edits may come in any order; equal ones count once.
///
/// # Errors
/// [`Refusal`] when edits overlap or the proof fails.
pub fn apply(original: &[u8], edits: &[Edit]) -> Result<Vec<u8>, Refusal> {
    let before = std::str::from_utf8(original).map_err(|_| Refusal("the file is not UTF-8 text".to_owned()))?;
    let mut edits = edits.to_vec();
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    edits.dedup();
    let mut after = String::with_capacity(before.len() + 64);
    let mut copied = 0;
    for edit in &edits {
        let kept = before.get(copied..edit.span.start).ok_or_else(|| Refusal("two edits overlap".to_owned()))?;
        after.push_str(kept);
        after.push_str(&edit.text);
        copied = edit.span.end;
    }
    after.push_str(before.get(copied..).unwrap_or_default());
    prove(before, &after, &edits)?;
    Ok(after.into_bytes())
}

fn prove(before: &str, after: &str, edits: &[Edit]) -> Result<(), Refusal> {
    let unreadable = |error: crate::Unreadable| Refusal(error.to_string());
    let (old, new) = (yaml::content(before).map_err(unreadable)?, yaml::content(after).map_err(unreadable)?);
    let differs = || Refusal("more than the intended value would change".to_owned());
    if old.len() != new.len() {
        return Err(differs());
    }
    let mut edited = 0;
    for ((span, was), (new_span, is)) in old.iter().zip(&new) {
        match edits.iter().find(|edit| edit.span == *span) {
            None if was == is => {}
            None => return Err(differs()),
            Some(edit) => {
                edited += 1;
                // Anchor and YAML tag stay, and the new bytes are one scalar: exactly those that were put in.
                let written = after.get(new_span.clone()).unwrap_or_default();
                let meaning = edit.text.trim_matches(['"', '\'']);
                if written != edit.text || !is.ends_with(&format!(" {meaning}")) || kind(was) != kind(is) {
                    return Err(differs());
                }
            }
        }
    }
    if edited == edits.len() { Ok(()) } else { Err(differs()) }
}

/// Anchor and tag of a scalar's content line.
fn kind(content: &str) -> Vec<&str> {
    content.splitn(3, ' ').take(2).collect()
}
