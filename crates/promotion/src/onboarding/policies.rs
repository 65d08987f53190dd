//! Policies by what tags look like.

use std::fmt::Write as _;

use tagboat_model::{Reference, Tag};

/// Words behind a version that make it a prerelease, not a variant.
const PRERELEASES: [&str; 8] = ["alpha", "beta", "rc", "pre", "preview", "dev", "snapshot", "next"];

/// What a tag looks like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    /// `main-0123abc`, or a hash alone: what is in front of the hash.
    Hash(String),
    /// A number of a build or a date.
    Number(u64),
    /// `1.25.3-alpine`: the numbers, and what is behind them.
    Version { major: u64, minor: u64, patch: u64, variant: String },
    /// Anything else: a tag that moves.
    Moving,
}

/// The lines of an image entry that choose its version.
pub(super) fn policy(references: &[&Reference]) -> String {
    let mut tags: Vec<(Look, &Tag)> =
        references.iter().filter_map(|reference| reference.tag.as_ref()).map(|tag| (look(tag.as_str()), tag)).collect();
    tags.sort();
    let version = tags.iter().rev().find(|(look, _)| matches!(look, Look::Version { .. }));
    let other = tags.iter().rev().find(|(look, _)| *look != Look::Moving);
    match version.or(other).or(tags.last()) {
        Some((Look::Version { major, minor, variant, .. }, tag)) => semver(*major, *minor, variant, tag),
        Some((Look::Hash(prefix), tag)) => hashes(prefix, tag),
        Some((Look::Number(_), tag)) => {
            format!("    # `{tag}` is a number: the greatest one.\n    policy: {{ numerical: {{ order: asc }} }}\n")
        }
        Some((Look::Moving, tag)) => format!(
            "    # `{tag}` is not a version, so its digest is followed, and written beside it.\n    policy: {{ digest: {{ tag: \"{tag}\" }} }}\n    pin: tagAndDigest\n"
        ),
        None => "    # Only digests are written; which tag they follow has to be guessed.\n    policy: { digest: { tag: \"latest\" } }\n".to_owned(),
    }
}

fn semver(major: u64, minor: u64, variant: &str, tag: &Tag) -> String {
    let range = format!("^{major}.{minor}");
    let mut text = format!("    # `{tag}` is a version: newer ones without breaking changes.\n");
    let _ = writeln!(text, "    policy: {{ semver: {{ range: \"{range}\" }} }}");
    if !variant.is_empty() {
        let behind = variant.replace('.', "\\.");
        let _ = writeln!(text, "    # Only the variant that runs now.");
        let _ = writeln!(
            text,
            "    filterTags: {{ pattern: '^(?P<version>v?[0-9]+\\.[0-9]+\\.[0-9]+)-{behind}$', extract: '$version' }}"
        );
    }
    text
}

fn hashes(prefix: &str, tag: &Tag) -> String {
    let mut text =
        format!("    # `{tag}` names a commit: the image that was pushed last.\n    policy: {{ newest: {{}} }}\n");
    let front = prefix.replace('.', "\\.");
    let _ = writeln!(text, "    filterTags: {{ pattern: '^{front}[0-9a-f]{{7,40}}$' }}");
    text
}

fn look(tag: &str) -> Look {
    if let Some(version) = version(tag) {
        return version;
    }
    if tag.len() >= 3 && tag.bytes().all(|b| b.is_ascii_digit()) {
        return tag.parse().map_or(Look::Moving, Look::Number);
    }
    let (front, last) = tag.rsplit_once('-').map_or(("", tag), |(front, last)| (front, last));
    if !is_hash(last) {
        return Look::Moving;
    }
    Look::Hash(if front.is_empty() { String::new() } else { format!("{front}-") })
}

/// `v1.2.3`, with or without `v`, and a variant. A prerelease is a version without one.
fn version(tag: &str) -> Option<Look> {
    let bare = tag.strip_prefix('v').unwrap_or(tag);
    let (numbers, behind) = bare.split_once('-').unwrap_or((bare, ""));
    let parts: Vec<u64> = numbers.split('.').map(|part| part.parse::<u64>().ok()).collect::<Option<_>>()?;
    let [major, minor, patch] = parts.as_slice() else { return None };
    let word: String = behind.chars().take_while(char::is_ascii_alphabetic).collect();
    let is_variant = !word.is_empty() && !PRERELEASES.contains(&word.to_ascii_lowercase().as_str());
    let variant = if is_variant { behind.to_owned() } else { String::new() };
    Some(Look::Version { major: *major, minor: *minor, patch: *patch, variant })
}

/// An id of a commit, short or long; one without letters would be a number.
fn is_hash(text: &str) -> bool {
    (7..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        && text.bytes().any(|b| b.is_ascii_digit())
        && (text.len() == 40 || text.bytes().any(|b| b.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_apart() {
        let version =
            |major, minor, patch, variant: &str| Look::Version { major, minor, patch, variant: variant.to_owned() };
        for (tag, expected) in [
            ("1.5.0", version(1, 5, 0, "")),
            ("v2.10.3", version(2, 10, 3, "")),
            ("1.5.0-rc.1", version(1, 5, 0, "")),
            ("1.25.3-alpine3.19", version(1, 25, 3, "alpine3.19")),
            ("0123abc", Look::Hash(String::new())),
            ("main-0123abc", Look::Hash("main-".to_owned())),
            ("20261126", Look::Number(20_261_126)),
            ("16", Look::Moving),
            ("1.25", Look::Moving),
            ("latest", Look::Moving),
            ("defaced", Look::Moving),
        ] {
            assert_eq!(look(tag), expected, "{tag}");
        }
    }
}
