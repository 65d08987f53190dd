//! Facts in, decisions out, as a reader of `tagboat explain` sees them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use tagboat_model::{Digest, Format, Parts, Pin, Reason, Reference, Scalar, ScalarStyle, Tag, Timestamp, WrittenImage};
use tagboat_policy::{Announced, Considered, FollowedTag, Known, Policy, Selection, Semver};
use tagboat_promotion::{
    Candidate, CandidateState, CommitStyle, Edited, EnvironmentFacts, Facts, FileChange, ImageFacts, decide, propose,
    put_forward,
};

fn digest(of: char) -> Digest {
    format!("sha256:{}", of.to_string().repeat(64)).parse().unwrap()
}

fn semver(range: &str) -> Policy {
    Policy::Semver(Semver { range: range.parse().unwrap() })
}

fn follow(tag: &str) -> Policy {
    Policy::Digest(FollowedTag { tag: tag.parse().unwrap() })
}

fn reference(written: &str) -> Reference {
    let image: WrittenImage = format!("ghcr.io/acme/web{written}").parse().unwrap();
    Reference {
        file: "apps/dev/web.yaml".to_owned(),
        line: 7,
        column: 8,
        location: "spec.image".to_owned(),
        format: Format::Manifest,
        written_name: image.written_name.clone(),
        image: image.name.clone(),
        tag: image.tag,
        digest: image.digest,
        parts: Parts::Whole(Scalar { span: 0..1, style: ScalarStyle::Plain, value: String::new() }),
        name_at: None,
        followers: Vec::new(),
        claimed: false,
        locked: None,
        shared_with: Vec::new(),
    }
}

/// `1.5.0` is confirmed with digest `b`, `1.5.0?` unasked, `1.5.0!` missing, `1.5.0#` no image.
fn candidate(text: &str) -> Candidate {
    let state = match text.chars().last() {
        Some('?') => CandidateState::Unasked,
        Some('!') => CandidateState::Missing,
        Some('#') => CandidateState::NotAnImage { detail: "a Helm chart".to_owned() },
        _ => CandidateState::Confirmed { digest: digest('b') },
    };
    Candidate { tag: text.trim_end_matches(['?', '!', '#']).parse().unwrap(), known: Known::default(), state }
}

fn image(policy: Policy, references: &[&str], candidates: &[&str]) -> ImageFacts {
    ImageFacts {
        entry: "web".parse().unwrap(),
        image: "ghcr.io/acme/web".parse().unwrap(),
        selection: policy.into(),
        pin: Pin::Keep,
        references: references.iter().map(|written| reference(written)).collect(),
        resolved: Vec::new(),
        unreadable: Vec::new(),
        uneditable: Vec::new(),
        claimed_by: None,
        candidates: candidates.iter().map(|text| candidate(text)).collect(),
        passed_over: Vec::new(),
        further: 0,
        unread: 0,
        registry_unavailable: None,
        ran: Vec::new(),
        upstream: None,
        offered: None,
    }
}

fn down(image: ImageFacts) -> ImageFacts {
    ImageFacts { selection: Selection { allow_downgrade: true, ..image.selection }, ..image }
}

fn facts(image: ImageFacts) -> Facts {
    Facts {
        key: tagboat_model::BranchKey {
            tenant: "default".parse().unwrap(),
            repository: "config".parse().unwrap(),
            branch: "main".parse().unwrap(),
        },
        head: "0123456789012345678901234567890123456789".parse().unwrap(),
        now: Timestamp(1_700_000_000_000),
        environments: vec![EnvironmentFacts {
            name: "dev".parse().unwrap(),
            images: vec![image],
            promotion: None,
            gates: tagboat_promotion::Gates::default(),
            by_pull_request: false,
            holds: Vec::new(),
        }],
    }
}

fn show(image: ImageFacts) -> String {
    let facts = facts(image);
    assert_eq!(Facts::from_bytes(&facts.to_bytes().unwrap()).unwrap(), facts, "facts read back as they were stored");
    let decision = decide(&facts).remove(0);
    let version = decision.version.map_or("no version".to_owned(), |version| version.to_string());
    let mut text = format!("{:?} {version}\n", decision.outcome);
    for reason in decision.reasons {
        text += &format!("- {reason}\n");
    }
    text.trim_end().to_owned()
}

#[test]
fn a_newer_version_is_an_update() {
    insta::assert_snapshot!(show(image(semver("^1.4"), &[":1.4.0"], &["1.4.0?", "1.5.0"])), @r#"
    Update 1.5.0@sha256:bbbbbbbbbbbb
    - 1.5.0 is the best tag that semver `^1.4` admits
    "#);
}

#[test]
fn nothing_to_do_has_its_reasons_too() {
    insta::assert_snapshot!(show(image(semver("^1.4"), &[":1.5.0"], &["1.5.0"])), @r#"
    Nothing 1.5.0@sha256:bbbbbbbbbbbb
    - nothing to do: the references carry 1.5.0@sha256:bbbbbbbbbbbb already
    "#);
    insta::assert_snapshot!(show(image(semver("~1.4"), &[":1.4.0"], &["1.5.0?", "latest?"])), @r#"
    Nothing no version
    - nothing to do: no tag better than 1.4.0 is known that semver `~1.4` admits
    - 1.5.0 is outside range `~1.4`
    - latest is not a version
    "#);
    insta::assert_snapshot!(show(image(semver("^1.4"), &[":1.5.0"], &["1.4.9?"])), @r#"
    Nothing no version
    - nothing to do: no tag better than 1.5.0 is known that semver `^1.4` admits
    - 1.4.9 is below 1.5.0, which runs now; Tagboat does not go down by itself (`allowDowngrade: true` permits it)
    "#);
    insta::assert_snapshot!(show(image(semver("^1.4"), &[], &["1.5.0"])), @r#"
    Nothing no version
    - no file of this environment names ghcr.io/acme/web with a tag or digest
    "#);
    insta::assert_snapshot!(show(image(semver("^1.4"), &[":1.4.0"], &["1.6.0!", "1.5.0#"])), @r#"
    Nothing no version
    - nothing to do: no tag better than 1.4.0 is known that semver `^1.4` admits
    - ghcr.io/acme/web has no tag 1.6.0 at its registry
    - 1.5.0 is not a container image: a Helm chart
    "#);
    insta::assert_snapshot!(show(image(semver("^1.4"), &[":1.4.0"], &[])), @r#"
    Nothing no version
    - nothing to do: no tag better than 1.4.0 is known that semver `^1.4` admits
    "#);
}

#[test]
fn a_lower_version_is_never_chosen_unless_permitted() {
    insta::assert_snapshot!(show(image(semver("^1"), &[":1.5.0"], &["1.4.0"])), @r#"
    Nothing no version
    - nothing to do: no tag better than 1.5.0 is known that semver `^1` admits
    - 1.4.0 is below 1.5.0, which runs now; Tagboat does not go down by itself (`allowDowngrade: true` permits it)
    "#);
    insta::assert_snapshot!(show(down(image(semver("^1"), &[":1.5.0"], &["1.4.0"]))), @r#"
    Update 1.4.0@sha256:bbbbbbbbbbbb
    - 1.4.0 is the best tag that semver `^1` admits
    "#);
}

#[test]
fn a_registry_that_cannot_be_read_changes_nothing() {
    let down = ImageFacts {
        registry_unavailable: Some("connection refused".to_owned()),
        ..image(semver("^1"), &[":1.4.0"], &["1.5.0"])
    };
    insta::assert_snapshot!(show(down), @r#"
    Nothing no version
    - the registry of ghcr.io/acme/web could not be asked (connection refused); nothing changes until it can
    "#);
}

#[test]
fn a_digest_policy_needs_a_digest_to_follow() {
    let old = format!(":main@{}", digest('a'));
    let new = format!(":main@{}", digest('b'));
    insta::assert_snapshot!(show(image(follow("main"), &[":main"], &["main"])), @r#"
    Blocked main@sha256:bbbbbbbbbbbb
    - apps/dev/web.yaml:7 has no digest to follow; set `pin: digest` or `pin: tagAndDigest`, or write a digest there
    "#);
    insta::assert_snapshot!(show(image(follow("main"), &[&old], &["main"])), @r#"
    Update main@sha256:bbbbbbbbbbbb
    - main names sha256:bbbbbbbbbbbb now, and its digest is followed
    "#);
    insta::assert_snapshot!(show(image(follow("main"), &[&new], &["main"])), @r#"
    Nothing main@sha256:bbbbbbbbbbbb
    - nothing to do: the references carry main@sha256:bbbbbbbbbbbb already
    "#);
    insta::assert_snapshot!(show(ImageFacts { pin: Pin::TagAndDigest, ..image(follow("main"), &[":main"], &["main"]) }), @r#"
    Update main@sha256:bbbbbbbbbbbb
    - main names sha256:bbbbbbbbbbbb now, and its digest is followed
    "#);
}

#[test]
fn a_version_pushed_again_with_other_content_is_not_followed() {
    let old = format!(":1.5.0@{}", digest('a'));
    insta::assert_snapshot!(show(image(semver("^1"), &[&old], &["1.5.0"])), @r#"
    Nothing 1.5.0@sha256:bbbbbbbbbbbb
    - 1.5.0 was moved at the registry from sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb; only a `digest` policy follows a tag that moves
    "#);
}

#[test]
fn references_that_disagree_are_brought_together() {
    insta::assert_snapshot!(show(image(semver("^1"), &[":1.4.0", ":1.3.0"], &["1.5.0"])), @r#"
    Update 1.5.0@sha256:bbbbbbbbbbbb
    - 1.5.0 is the best tag that semver `^1` admits
    - the references carry different versions now: 1.4.0, 1.3.0
    "#);
    insta::assert_snapshot!(show(image(semver("^1"), &[":latest"], &["1.5.0"])), @r#"
    Update 1.5.0@sha256:bbbbbbbbbbbb
    - 1.5.0 is the best tag that semver `^1` admits
    "#);
}

#[test]
fn a_digest_alone_has_a_floor_when_its_tag_is_known() {
    let only_digest = format!("@{}", digest('a'));
    let known =
        ImageFacts { resolved: vec!["1.6.0".parse().unwrap()], ..image(semver("^1"), &[&only_digest], &["1.5.0"]) };
    insta::assert_snapshot!(show(known), @r#"
    Nothing no version
    - nothing to do: no tag better than sha256:aaaaaaaaaaaa is known that semver `^1` admits
    - 1.5.0 is below 1.6.0, which runs now; Tagboat does not go down by itself (`allowDowngrade: true` permits it)
    "#);
}

#[test]
fn two_claims_block_both() {
    let claimed =
        ImageFacts { claimed_by: Some("web-two".parse().unwrap()), ..image(semver("^1"), &[":1.4.0"], &["1.5.0"]) };
    insta::assert_snapshot!(show(claimed), @r#"
    Blocked no version
    - the entry `web-two` claims ghcr.io/acme/web in this environment too; remove one of the two
    "#);
}

#[test]
fn the_registry_is_asked_about_the_best_first_and_not_below_what_runs() {
    let tags = ["1.3.0", "1.6.0", "1.4.0", "2.0.0", "1.5.0"];
    let known: Vec<Considered> = tags.iter().map(|tag| tag.parse::<Tag>().unwrap().into()).collect();
    let ask = |allow_downgrade, current: &str| {
        let facts = image(semver("^1"), &[current], &[]);
        let facts = if allow_downgrade { down(facts) } else { facts };
        let put_forward = put_forward(&facts, &known, Timestamp(0));
        assert_eq!(put_forward.passed_over.len() + put_forward.wanted.len(), tags.len(), "each has its reason");
        put_forward.wanted.iter().map(|wanted| wanted.tag.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ask(false, ":1.4.0"), ["1.6.0", "1.5.0", "1.4.0"]);
    assert_eq!(ask(true, ":1.5.0"), ["1.6.0", "1.5.0", "1.4.0", "1.3.0"]);
    assert_eq!(ask(false, ":1.7.0"), Vec::<String>::new());
}

#[test]
fn a_commit_says_what_changed_where_and_why() {
    let facts = facts(image(semver("^1.4"), &[":1.4.0"], &["1.5.0"]));
    let decisions = decide(&facts);
    let files = vec![FileChange { path: "apps/dev/web.yaml".to_owned(), bytes: Vec::new() }];
    let version = decisions[0].version.as_ref().unwrap();
    let edited = [Edited { decision: &decisions[0], version, files }];
    let plans = propose(&facts, &edited, &CommitStyle::default(), &|_, entry| entry.into());
    insta::assert_snapshot!(plans[0].message, @r#"
    Update web to 1.5.0 in dev

    ghcr.io/acme/web: 1.4.0 -> 1.5.0
    Because 1.5.0 is the best tag that semver `^1.4` admits.

    Tagboat-Image: ghcr.io/acme/web:1.5.0@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    Tagboat-Environment: dev
    Tagboat-Decision: d-d625a27b156dca97
    "#);
}

fn with_state(tag: &str, state: CandidateState) -> Candidate {
    Candidate { tag: tag.parse().unwrap(), known: Known::default(), state }
}

#[test]
fn what_is_not_whole_signed_or_announced_so_is_passed_and_the_next_is_taken() {
    let mut facts = image(semver("^1"), &[":1.0.0"], &["1.1.0", "1.0.0?"]);
    facts.candidates.extend([
        with_state("1.6.0", CandidateState::MissingPlatforms { missing: vec!["linux/arm64".parse().unwrap()] }),
        with_state("1.5.0", CandidateState::NotSigned { detail: "no signature is attached".to_owned() }),
        with_state("1.4.0", CandidateState::AnnouncedDifferently { announced: digest('a'), found: digest('b') }),
    ]);
    insta::assert_snapshot!(show(facts), @r#"
    Update 1.1.0@sha256:bbbbbbbbbbbb
    - 1.1.0 is the best tag that semver `^1` admits
    - 1.6.0 is missing linux/arm64; waiting for it
    - 1.5.0 is not signed as `verify` demands: no signature is attached
    - 1.4.0 was announced as sha256:aaaaaaaaaaaa, but the registry has sha256:bbbbbbbbbbbb
    "#);
}

fn announced(tag: &str, place: u64, state: CandidateState) -> Candidate {
    Candidate { known: Known { announced: Some(place), ..Known::default() }, ..with_state(tag, state) }
}

fn claims(json: &str) -> Policy {
    serde_json::from_str(json).unwrap()
}

#[test]
fn what_others_announced_is_told_and_what_runs_of_it_is_a_floor() {
    let policy = claims(r#"{"announced":{"claims":{"ref":"refs/heads/main"}}}"#);
    let other = |tag: &str, value: Option<&str>| Reason::AnnouncedByOther {
        tag: tag.parse().unwrap(),
        claim: "ref".to_owned(),
        value: value.map(str::to_owned),
    };
    let mut facts = image(policy, &[":1.4.0"], &[]);
    facts.candidates.push(announced("1.5.0", 7, CandidateState::Confirmed { digest: digest('b') }));
    facts.candidates.push(announced("1.4.0", 3, CandidateState::Unasked));
    facts.passed_over = vec![other("1.6.0", Some("refs/pull/7/merge")), other("1.7.0", None)];
    insta::assert_snapshot!(show(facts.clone()), @r#"
    Update 1.5.0@sha256:bbbbbbbbbbbb
    - 1.5.0 is the best tag that the policy `announced` admits
    - 1.6.0 was announced with ref refs/pull/7/merge, which the policy does not admit
    - 1.7.0 was announced without ref, which the policy asks for
    "#);
    // What runs was put there by people. Nobody else's word makes it the best, and nothing before it takes its place.
    facts.candidates = vec![announced("1.4.0", 9, CandidateState::Unasked)];
    facts.candidates.push(announced("1.5.0", 7, CandidateState::Unasked));
    facts.passed_over = vec![other("1.4.0", Some("refs/pull/7/merge"))];
    insta::assert_snapshot!(show(facts), @r#"
    Nothing no version
    - nothing to do: no tag better than 1.4.0 is known that the policy `announced` admits
    - 1.5.0 is below 1.4.0, which runs now; Tagboat does not go down by itself (`allowDowngrade: true` permits it)
    - 1.4.0 was announced with ref refs/pull/7/merge, which the policy does not admit
    "#);
}

#[test]
fn facts_of_before_claims_read_as_they_are() {
    let facts = facts(image(Policy::Announced(Announced::default()), &[":1.4.0"], &["1.5.0"]));
    let text = String::from_utf8(facts.to_bytes().unwrap()).unwrap();
    assert!(text.contains(r#""policy":{"announced":{}}"#), "{text}");
    let before = text.replacen(r#""version":5"#, r#""version":3"#, 1);
    assert_ne!(before, text);
    assert_eq!(Facts::from_bytes(before.as_bytes()).unwrap(), facts);
}

#[test]
fn a_digest_that_came_back_waits_for_a_second_look() {
    let old = format!(":main@{}", digest('a'));
    let until = Timestamp(1_700_000_060_000);
    let mut facts = image(follow("main"), &[&old], &[]);
    facts.candidates.push(with_state("main", CandidateState::Returned { digest: digest('b'), until }));
    insta::assert_snapshot!(show(facts), @r#"
    Nothing no version
    - nothing to do: no tag better than main@sha256:aaaaaaaaaaaa is known that digest of `main` admits
    - main names sha256:bbbbbbbbbbbb again, which it had named before; it is read once more at 2023-11-14T22:14:20Z, because registries sometimes answer with what was
    "#);
}

#[test]
fn reasons_of_a_kind_are_capped_and_the_rest_is_counted() {
    let candidates: Vec<String> = (1..9).map(|patch| format!("1.5.{patch}#")).collect();
    let candidates: Vec<&str> = candidates.iter().map(String::as_str).collect();
    let mut facts = image(semver("^1"), &[":1.0.0"], &[&candidates[..], &["1.1.0", "1.0.9?"]].concat());
    facts.further = 1000;
    facts.passed_over = vec![Reason::NotAVersion { tag: "main".parse().unwrap() }];
    insta::assert_snapshot!(show(facts), @r#"
    Update 1.1.0@sha256:bbbbbbbbbbbb
    - 1.1.0 is the best tag that semver `^1` admits
    - 1.5.1 is not a container image: a Helm chart
    - 1.5.2 is not a container image: a Helm chart
    - 1.5.3 is not a container image: a Helm chart
    - 1.5.4 is not a container image: a Helm chart
    - 1.5.5 is not a container image: a Helm chart
    - and 3 more tags for the same reason
    - 1.0.9 is lower than selected 1.1.0
    - and 1000 more tags for the same reason
    - main is not a version
    "#);
}

#[test]
fn build_times_that_are_still_to_be_read_hold_the_choice() {
    let facts = ImageFacts { unread: 7, ..image(semver("^1"), &[":1.0.0"], &["1.1.0"]) };
    insta::assert_snapshot!(show(facts), @r#"
    Nothing no version
    - the build times of 7 tags are still to be read; the choice waits for them
    "#);
}

#[test]
fn facts_that_an_earlier_tagboat_stored_are_read() {
    let facts = facts(image(semver("^1.4"), &[":1.4.0"], &["1.5.0"]));
    let mut json: serde_json::Value = serde_json::from_slice(&facts.to_bytes().unwrap()).unwrap();
    json["version"] = 1.into();
    let image = json["facts"]["environments"][0]["images"][0].as_object_mut().unwrap();
    for new in ["passedOver", "unread", "further"] {
        image.remove(new);
    }
    assert_eq!(Facts::from_bytes(json.to_string().as_bytes()).unwrap(), facts);
    // How places were described before.
    let reference = json["facts"]["environments"][0]["images"][0]["references"][0].as_object_mut().unwrap();
    reference.remove("column");
    reference["parts"]["whole"]["anchored"] = false.into();
    reference["parts"]["whole"]["style"] = "block".into();
    json["version"] = 2.into();
    assert!(Facts::from_bytes(json.to_string().as_bytes()).is_ok());
    json["version"] = 6.into();
    assert!(Facts::from_bytes(json.to_string().as_bytes()).is_err(), "of a later one they are not");
}
