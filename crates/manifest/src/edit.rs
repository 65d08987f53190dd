//! From a reference and a version to bytes.

use tagboat_model::{Digest, Edit, Parts, Pin, Reference, Scalar, ScalarStyle, Tag, Version};
use thiserror::Error;

use crate::{
    Claim,
    prove::{Edited, prove},
    quote,
};

/// Why an edit is not made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Refusal(pub(crate) String);

impl Refusal {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// The version that a reference shall carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewVersion<'v> {
    /// Its tag.
    pub tag: &'v Tag,
    /// Its digest, where that is known.
    pub digest: Option<&'v Digest>,
}

impl<'v> From<&'v Version> for NewVersion<'v> {
    fn from(version: &'v Version) -> Self {
        Self { tag: &version.tag, digest: Some(&version.digest) }
    }
}

/// The edits that make `reference` carry `version`, written as `pin` says. Empty when it does already.
///
/// # Errors
/// [`Refusal`] when the file has no place for what is wanted, a stale digest would stay beside a new tag, or the same
/// bytes say the version of another image too, or something holds the file as it is.
pub fn rewrite(reference: &Reference, version: NewVersion<'_>, pin: Pin) -> Result<Vec<Edit>, Refusal> {
    let (tag, digest) = reference.wanted(pin);
    if !tag && !digest {
        return Err(Refusal::new("it has neither tag nor digest; write one, or set `pin`"));
    }
    if digest && version.digest.is_none() {
        // The digest belongs to the tag beside it, so what carries the tag is right as it is.
        if tag && reference.digest.is_some() && reference.tag.as_ref() == Some(version.tag) {
            return Ok(Vec::new());
        }
        return Err(Refusal::new("it carries a digest, and that of the new version is not given"));
    }
    let digest = version.digest.filter(|_| digest);
    let edits = match &reference.parts {
        Parts::Whole(scalar) => {
            let mut value = reference.written_name.clone();
            value.push_str(&if tag { format!(":{}", version.tag) } else { String::new() });
            value.push_str(&digest.map(|digest| format!("@{digest}")).unwrap_or_default());
            replace(scalar, &value)?.into_iter().collect()
        }
        Parts::Joined(scalar) => {
            let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
            if !tag {
                return Err(Refusal::new("`pin` asks for the digest alone, but the tag stands in the same value"));
            }
            replace(scalar, &format!("{}{digest}", version.tag))?.into_iter().collect()
        }
        Parts::Split { tag: tag_scalar, digest: digest_scalar } => {
            let mut edits = Vec::new();
            edits.extend(part(tag_scalar.as_ref(), tag.then_some(version.tag.as_str()), "tag")?);
            let digest = digest.map(|digest| digest_text(digest_scalar.as_ref(), digest));
            edits.extend(part(digest_scalar.as_ref(), digest, "digest")?);
            edits
        }
    };
    if let (Some(why), false) = (&reference.locked, edits.is_empty()) {
        return Err(Refusal::new(why.clone()));
    }
    if let (Some(other), false) = (reference.shared_with.first(), edits.is_empty()) {
        return Err(Refusal::new(format!(
            "the same bytes say the version of {other} too; give each a value of its own"
        )));
    }
    Ok(edits)
}

/// Charts that want the hexadecimal digits alone get those.
fn digest_text<'d>(scalar: Option<&Scalar>, digest: &'d Digest) -> &'d str {
    let bare = scalar.is_some_and(|scalar| !scalar.value.is_empty() && !scalar.value.contains(':'));
    match digest.as_str().split_once(':') {
        Some(("sha256", hexadecimal)) if bare => hexadecimal,
        _ => digest.as_str(),
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

/// The edit that makes a scalar read as `value`, a text of an image name, tag or digest; nothing when it does already.
///
/// # Errors
/// [`Refusal`] when the scalar has no bytes.
pub fn replace(scalar: &Scalar, value: &str) -> Result<Option<Edit>, Refusal> {
    let absent = matches!(scalar.style, ScalarStyle::Absent { .. });
    if scalar.value == value && !absent {
        return Ok(None);
    }
    if scalar.span.is_empty() && !absent {
        return Err(Refusal::new("it has no bytes of its own; write the value in quotes"));
    }
    Ok(Some(Edit { span: scalar.span.clone(), text: quote::render(value, &scalar.style) }))
}

/// Apply edits to a file and prove the result: it reads as before except for the edited values, and the same places
/// name the same images. Edits may come in any order; equal ones count once.
///
/// # Errors
/// [`Refusal`] when edits overlap or the proof fails.
pub fn apply(path: &str, original: &[u8], edits: &[Edit], claims: &[&Claim]) -> Result<Vec<u8>, Refusal> {
    splice(path, original, edits, claims, Names::Stay)
}

/// Whether edits may change which images are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// They say versions alone.
    Stay,
    /// Some say a name.
    Change,
}

pub(crate) fn splice(
    path: &str,
    original: &[u8],
    edits: &[Edit],
    claims: &[&Claim],
    names: Names,
) -> Result<Vec<u8>, Refusal> {
    let before = std::str::from_utf8(original).map_err(|_| Refusal::new("the file is not UTF-8 text"))?;
    let mut edits = edits.to_vec();
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    edits.dedup();
    let mut after = String::with_capacity(before.len() + 64);
    let mut copied = 0;
    let mut inserted = None;
    for edit in &edits {
        let kept = before.get(copied..edit.span.start).filter(|_| inserted != Some(edit.span.start));
        after.push_str(kept.ok_or_else(|| Refusal::new("two edits overlap"))?);
        after.push_str(&edit.text);
        copied = edit.span.end;
        inserted = Some(edit.span.start);
    }
    after.push_str(before.get(copied..).unwrap_or_default());
    prove(&Edited { path, before, after: &after, edits: &edits, claims, names })?;
    Ok(after.into_bytes())
}
