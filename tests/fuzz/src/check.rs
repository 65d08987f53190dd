//! What must hold for every file, whatever is in it.

#![allow(dead_code, reason = "each target uses its part")]

use tagboat_manifest::{Claim, NewVersion, apply, find, markers, may_name_images, mentions, rewrite};
use tagboat_model::{Edit, Pin, Version};

const DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// Look at a file of this name, edit what is found one by one and all together, and look again.
pub fn file(path: &str, data: &[u8]) {
    let _ = markers(data);
    with_claims(path, data, &[]);
}

pub fn with_claims(path: &str, data: &[u8], claims: &[&Claim]) {
    let Ok(found) = find(path, data, claims) else { return };
    let text = std::str::from_utf8(data).expect("only text is read");
    assert!(claims.len() + usize::from(may_name_images(path, data)) > 0 || found.references.is_empty(), "hidden");
    let version = Version { tag: "9.9.9".parse().expect("a tag"), digest: DIGEST.parse().expect("a digest") };
    let mut all: Vec<Edit> = Vec::new();
    for reference in &found.references {
        assert!(!claims.is_empty() || mentions(path, data, &reference.image), "hidden");
        for scalar in reference.scalars() {
            assert!(text.get(scalar.span.clone()).is_some(), "a span is a part of the text");
        }
        for pin in [Pin::Keep, Pin::TagAndDigest, Pin::Digest] {
            let Ok(edits) = rewrite(reference, NewVersion::from(&version), pin) else { continue };
            let Ok(after) = apply(path, data, &edits, claims) else { continue };
            unchanged_outside(data, &after, &edits);
            let again = find(path, &after, claims).expect("what was proved can be read");
            let inserts = edits.iter().any(|edit| edit.span.is_empty());
            assert!(inserts || again.references.len() == found.references.len());
            if pin == Pin::Keep {
                all.extend(edits);
            }
        }
    }
    if let Ok(after) = apply(path, data, &all, claims) {
        unchanged_outside(data, &after, &all);
    }
}

fn unchanged_outside(before: &[u8], after: &[u8], edits: &[Edit]) {
    let mut edits = edits.to_vec();
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    edits.dedup();
    let (mut old, mut new) = (0, 0);
    for edit in &edits {
        let kept = edit.span.start - old;
        assert_eq!(before[old..edit.span.start], after[new..new + kept]);
        old = edit.span.end;
        new += kept + edit.text.len();
    }
    assert_eq!(before[old..], after[new..]);
}
