//! Strategies of Argo CD Image Updater and Kargo, as their users write them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use serde_json::{Value, json};
use tagboat_model::{Tag, Timestamp};
use tagboat_policy::{Circumstances, Considered, Known, Policy, Selection};

fn policy(name: &str, strategy: &Value) -> Result<Policy, String> {
    serde_json::from_value(json!({ name: strategy })).map_err(|error| error.to_string())
}

fn chosen(policy: Policy, list: &str) -> Option<String> {
    // `tag=7` was built at 7.
    let considered = |text: &str| {
        let (tag, created) =
            text.split_once('=').map_or((text, None), |(tag, at)| (tag, Some(Timestamp(at.parse().unwrap()))));
        Considered { tag: tag.parse::<Tag>().unwrap(), known: Known { created, ..Known::default() } }
    };
    let tags: Vec<Considered> = list.split_whitespace().map(considered).collect();
    let selection = Selection::from(policy);
    selection.consider(&tags, Circumstances { current: None, now: Timestamp(0) }).selected().map(ToString::to_string)
}

#[test]
fn strategies_of_argo_cd_image_updater_choose_as_there() {
    for (strategy, tags, expect) in [
        (json!({}), "1.25.1 1.26.3 1.27.0-rc.1 latest", Some("1.26.3")),
        // Parts may be missing, which Flux does not take.
        (json!({ "updateStrategy": "semver", "constraint": "~1.26" }), "1.26 1.26.3 1.27.1 1", Some("1.26.3")),
        (json!({ "constraint": "^1" }), "1 1.2", Some("1.2")),
        (json!({ "constraint": "1.x-0" }), "1.2.0 1.3.0-rc.1", Some("1.3.0-rc.1")),
        (json!({ "updateStrategy": "newest-build" }), "1.9.0=5 main=7 old=1", Some("main")),
        (json!({ "updateStrategy": "latest", "allowTags": "regexp:^[0-9]" }), "1.9.0=5 main=7", Some("1.9.0")),
        (json!({ "updateStrategy": "alphabetical" }), "10 9 a", Some("a")),
        (json!({ "updateStrategy": "name", "ignoreTags": ["a*", " z?"] }), "10 9 abc z1", Some("9")),
        (json!({ "updateStrategy": "digest", "constraint": "latest" }), "1.0 latest", Some("latest")),
        (json!({ "updateStrategy": "semver", "allowTags": "any", "ignoreTags": ["*"] }), "1.0.0", None),
    ] {
        assert_eq!(
            chosen(policy("argocdImageUpdater", &strategy).unwrap(), tags).as_deref(),
            expect,
            "{strategy} {tags}"
        );
    }
}

#[test]
fn strategies_of_kargo_choose_as_there() {
    for (strategy, tags, expect) in [
        // Without a constraint prereleases count.
        (json!({}), "1.0.0 1.1.0-rc.1", Some("1.1.0-rc.1")),
        (json!({ "constraint": "^1.0.0" }), "1.0.0 1.1.0-rc.1", Some("1.0.0")),
        (json!({ "imageSelectionStrategy": "SemVer" }), "1.2 2 v1.0.0 01.5.0", Some("v1.0.0")),
        (json!({ "strictSemvers": false }), "1.2 2 v1.0.0", Some("2")),
        (json!({ "imageSelectionStrategy": "Lexical" }), "nightly-20240101 nightly-20240209", Some("nightly-20240209")),
        (json!({ "imageSelectionStrategy": "NewestBuild" }), "b=2 a=3 c", Some("a")),
        (json!({ "imageSelectionStrategy": "Digest", "constraint": "main" }), "1.0 main", Some("main")),
        (
            json!({ "imageSelectionStrategy": "Lexical", "allowTagsRegexes": ["^a", "^b"], "ignoreTagsRegexes": ["9$"] }),
            "a1 b9 c1",
            Some("a1"),
        ),
    ] {
        assert_eq!(chosen(policy("kargo", &strategy).unwrap(), tags).as_deref(), expect, "{strategy} {tags}");
    }
}

#[test]
fn what_peers_pass_over_in_silence_is_an_error_here() {
    for (name, strategy, expect) in [
        ("argocdImageUpdater", json!({ "allowTags": "^v" }), "write `any`, or `regexp:` and a regular expression"),
        ("argocdImageUpdater", json!({ "allowTags": "regexp:(" }), "`allowTags`: `(` is not a regular expression"),
        ("argocdImageUpdater", json!({ "ignoreTags": ["["] }), "`ignoreTags`: `[` is not a regular expression"),
        ("argocdImageUpdater", json!({ "updateStrategy": "newest" }), "unknown variant `newest`"),
        ("argocdImageUpdater", json!({ "constraint": "latest" }), "`latest` is not a version range"),
        ("argocdImageUpdater", json!({ "updateStrategy": "digest" }), "`constraint` must name the tag to follow"),
        ("kargo", json!({ "constraint": "1x" }), "`1x` is not a version range"),
        ("kargo", json!({ "imageSelectionStrategy": "Digest" }), "`constraint` must name the tag to follow"),
        ("kargo", json!({ "allowTags": "x" }), "unknown field `allowTags`"),
    ] {
        let error = policy(name, &strategy).unwrap_err();
        assert!(error.contains(expect), "{strategy}: {error}");
    }
}

#[test]
fn a_strategy_is_kept_as_it_was_written() {
    let written =
        json!({ "argocdImageUpdater": { "updateStrategy": "latest", "allowTags": "regexp:^v", "ignoreTags": ["a*"] } });
    let policy: Policy = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&policy).unwrap(), written);
    assert_eq!(policy.to_string(), "the newest build as in Argo CD Image Updater");
}
