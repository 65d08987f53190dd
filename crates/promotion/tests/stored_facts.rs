//! Facts that were stored by each version of the stored form are read, and decided as they were.
//!
//! The samples in `stored` stand as those versions wrote them; they are never written anew. Whoever raises the version adds
//! one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use tagboat_promotion::{Facts, decide};

fn sample(version: u32) -> String {
    let path = format!("{}/tests/stored/version-{version}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// What is decided, with the first reason.
fn decided(version: u32) -> String {
    let facts = Facts::from_bytes(sample(version).as_bytes()).unwrap();
    // Written anew it is of the newest version, and says the same.
    assert_eq!(Facts::from_bytes(&facts.to_bytes().unwrap()).unwrap(), facts, "version {version}");
    let decision = decide(&facts).remove(0);
    let chosen = decision.version.as_ref().map_or("nothing".to_owned(), ToString::to_string);
    format!("{:?} {chosen}: {}", decision.outcome, decision.reasons[0])
}

#[test]
fn facts_of_every_version_are_read_and_decide_the_same() {
    for (version, expect) in [
        (1, "Update 1.5.0@sha256:bbbbbbbbbbbb: 1.5.0 is the best tag that semver `^1.4` admits"),
        (2, "Update main-18@sha256:bbbbbbbbbbbb: main-18 is the best tag that numerical order admits"),
        (3, "Update 1.5.0@sha256:bbbbbbbbbbbb: 1.5.0 is the best tag that semver `^1.4` admits"),
        (4, "Update 1.5.0@sha256:bbbbbbbbbbbb: 1.5.0 is the best tag that the policy `announced` admits"),
        (5, "Update 1.5.0@sha256:bbbbbbbbbbbb: 1.5.0 ran in dev since 2023-11-14T20:13:20Z and moves on as it is"),
    ] {
        assert_eq!(decided(version), expect, "version {version}");
    }
}

#[test]
fn there_is_a_sample_of_the_version_that_is_written_now() {
    let facts = Facts::from_bytes(sample(5).as_bytes()).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&facts.to_bytes().unwrap()).unwrap();
    let stands: serde_json::Value = serde_json::from_str(&sample(5)).unwrap();
    assert_eq!(written, stands, "the stored form has changed: raise its version, and add a sample of it");
}
