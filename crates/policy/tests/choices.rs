//! What is chosen and why the rest is not, policy by policy, as a reader of `tagboat policy test` sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use tagboat_model::{Duration, Tag, Timestamp};
use tagboat_policy::{
    Announced, Circumstances, Considered, Direction, FollowedTag, Jump, Known, Newest, Ordered, Policy, Selection,
    Semver, Sight,
};

const NOW: Timestamp = Timestamp(1_000_000_000);

fn semver(range: &str) -> Selection {
    Policy::Semver(Semver { range: range.parse().unwrap() }).into()
}

fn numerical(order: Direction) -> Selection {
    Policy::Numerical(Ordered { order }).into()
}

fn filtered(selection: Selection, pattern: &str, extract: &str) -> Selection {
    let json = serde_json::json!({ "pattern": pattern, "extract": extract });
    Selection { filter_tags: Some(serde_json::from_value(json).unwrap()), ..selection }
}

fn plain(list: &str) -> Vec<Considered> {
    list.split_whitespace().map(|tag| tag.parse::<Tag>().unwrap().into()).collect()
}

/// What is chosen, then the reasons for all tags in their order.
fn show(selection: &Selection, tags: &[Considered], current: Option<&str>) -> String {
    let current: Option<Tag> = current.map(|tag| tag.parse().unwrap());
    let known = |tag: &Tag| tags.iter().find(|c| c.tag == *tag).map(|c| c.known).unwrap_or_default();
    let known = current.as_ref().map(known).unwrap_or_default();
    let circumstances = Circumstances { current: current.as_ref().map(|tag| (tag, &known)), now: NOW };
    let consideration = selection.consider(tags, circumstances);
    let mut lines = vec![consideration.selected().map_or("nothing".to_owned(), ToString::to_string)];
    lines.extend(consideration.reasons().map(|reason| reason.to_string()));
    assert_eq!(consideration.counts().values().sum::<usize>(), tags.len(), "every tag has one reason");
    // The order in which tags come in means nothing.
    let mut reversed = tags.to_vec();
    reversed.reverse();
    assert_eq!(selection.consider(&reversed, circumstances).selected(), consideration.selected());
    lines.join("\n")
}

#[test]
fn semver_chooses_the_highest_version_in_the_range() {
    insta::assert_snapshot!(show(&semver("^1.4"), &plain("1.3.0 1.4.0 1.10.0 1.9.0 2.0.0 1.11.0-rc.1 latest"), None), @r#"
    1.10.0
    1.3.0 is outside range `^1.4`
    1.4.0 is lower than selected 1.10.0
    1.10.0 is the best tag that semver `^1.4` admits
    1.9.0 is lower than selected 1.10.0
    2.0.0 is outside range `^1.4`
    1.11.0-rc.1: prerelease not admitted, since no bound of `^1.4` names one (write `-0` after a bound to admit them)
    latest is not a version
    "#);
    insta::assert_snapshot!(show(&semver("^3"), &plain("1.0.0 main"), None), @r#"
    nothing
    1.0.0 is outside range `^3`
    main is not a version
    "#);
}

#[test]
fn numbers_are_compared_exactly_and_what_is_none_harms_no_other() {
    let long = "9007199254740993 9007199254740992 99999999999999999999 100000000000000000000 latest 1e5 NaN";
    insta::assert_snapshot!(show(&numerical(Direction::Asc), &plain(long), None), @r#"
    100000000000000000000
    9007199254740993 is lower than selected 100000000000000000000
    9007199254740992 is lower than selected 100000000000000000000
    99999999999999999999 is lower than selected 100000000000000000000
    100000000000000000000 is the best tag that numerical order admits
    latest is not a whole or decimal number
    1e5 is not a whole or decimal number
    NaN is not a whole or decimal number
    "#);
    insta::assert_snapshot!(show(&numerical(Direction::Desc), &plain("3 20 1.5"), None), @r#"
    1.5
    3 is lower than selected 1.5
    20 is lower than selected 1.5
    1.5 is the best tag that descending numerical order admits
    "#);
    let built = filtered(numerical(Direction::Asc), "^main-[a-f0-9]+-(?P<ts>[0-9]+)", "$ts");
    insta::assert_snapshot!(show(&built, &plain("main-0ab1-1700 main-ffff-1699 dev-0ab1-1800 main-x"), None), @r#"
    main-0ab1-1700
    main-0ab1-1700 is the best tag that numerical order admits
    main-ffff-1699 is lower than selected main-0ab1-1700
    dev-0ab1-1800 is not matched by `^main-[a-f0-9]+-(?P<ts>[0-9]+)` of `filterTags`
    main-x is not matched by `^main-[a-f0-9]+-(?P<ts>[0-9]+)` of `filterTags`
    "#);
}

#[test]
fn alphabetical_is_by_bytes() {
    let policy = |order| Policy::Alphabetical(Ordered { order }).into();
    insta::assert_snapshot!(show(&policy(Direction::Asc), &plain("b Z a_1 a-1 10 9"), None), @r#"
    b
    b is the best tag that alphabetical order admits
    Z is lower than selected b
    a_1 is lower than selected b
    a-1 is lower than selected b
    10 is lower than selected b
    9 is lower than selected b
    "#);
    insta::assert_snapshot!(show(&policy(Direction::Desc), &plain("b Z a 10"), None), @r#"
    10
    b is lower than selected 10
    Z is lower than selected 10
    a is lower than selected 10
    10 is the best tag that descending alphabetical order admits
    "#);
}

#[test]
fn of_one_place_the_plainest_spelling_wins() {
    for (selection, list, expect) in [
        (semver("*"), "01.5.0 v1.5.0 1.5.0", "1.5.0"),
        (semver("*"), "01.5.0 v1.5.0", "v1.5.0"),
        (numerical(Direction::Asc), "007 07 7.0 7", "7"),
        (numerical(Direction::Asc), "007 07 7.0", "07"),
        (filtered(semver("*"), "^(?:web|app)-(.*)$", "$1"), "web-1.0.0 app-1.0.0", "app-1.0.0"),
        (filtered(semver("*"), "^(?:web|application)-(.*)$", "$1"), "application-1.0.0 web-1.0.0", "web-1.0.0"),
        (filtered(semver("*"), "(.*)-x$", "$1"), "v1.0.0-x 1.0.0-x", "1.0.0-x"),
    ] {
        let mut tags = plain(list);
        for _ in 0..tags.len() {
            tags.rotate_left(1);
            let chosen = selection.consider(&tags, Circumstances { current: None, now: NOW }).selected().cloned();
            assert_eq!(chosen.unwrap().as_str(), expect, "{list}");
        }
    }
    let runs = show(&semver("*"), &plain("1.5.0 v1.5.0"), Some("v1.5.0"));
    assert_eq!(runs.lines().next(), Some("v1.5.0"), "another name of what runs is not newer");
    let down = Selection { allow_downgrade: true, ..semver("*") };
    for (list, expect) in [("1.4.0 1.5.0 v1.5.0", "v1.5.0"), ("1.4.0 1.5.0", "1.5.0")] {
        assert_eq!(show(&down, &plain(list), Some("v1.5.0")).lines().next(), Some(expect), "and nothing lower: {list}");
    }
    insta::assert_snapshot!(show(&semver("*"), &plain("1.5.0 v1.5.0"), None), @r#"
    1.5.0
    1.5.0 is the best tag that semver `*` admits
    v1.5.0 stands equal with 1.5.0, which is written more plainly
    "#);
}

#[test]
fn filters_leave_tags_out_before_anything_else_is_asked() {
    let hex = "a".repeat(64);
    let selection = Selection {
        allow: vec!["^v?[0-9]".parse().unwrap()],
        exclude: vec!["-rc".parse().unwrap(), "(?i)DEBUG".parse().unwrap()],
        ..semver(">=1.0.0-0")
    };
    let list = format!("1.0.0 1.1.0-rc.1 1.2.0-debug release-1.3.0 sha256-{hex}.sig sha256-{hex}");
    insta::assert_snapshot!(show(&selection, &plain(&list), None), @r#"
    1.0.0
    1.0.0 is the best tag that semver `>=1.0.0-0` admits
    1.1.0-rc.1 is excluded by pattern `-rc`
    1.2.0-debug is excluded by pattern `(?i)DEBUG`
    release-1.3.0 is matched by no pattern of `allow`
    sha256-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.sig names signatures or attestations of another image, not an image
    sha256-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa names signatures or attestations of another image, not an image
    "#);
    insta::assert_snapshot!(show(&filtered(semver("*"), "^(a)?", "$1"), &plain("1.0.0"), None), @r#"
    nothing
    1.0.0 leaves nothing to compare after `extract`
    "#);
}

#[test]
fn never_below_what_runs_and_never_too_far() {
    insta::assert_snapshot!(show(&semver("*"), &plain("1.4.0 1.3.9 1.5.0"), Some("1.5.0")), @r#"
    1.5.0
    1.4.0 is below 1.5.0, which runs now; Tagboat does not go down by itself (`allowDowngrade: true` permits it)
    1.3.9 is below 1.5.0, which runs now; Tagboat does not go down by itself (`allowDowngrade: true` permits it)
    1.5.0 is the best tag that semver `*` admits
    "#);
    insta::assert_snapshot!(show(&semver("*"), &plain("1.4.0 1.3.9"), Some("1.5.0")), @r#"
    nothing
    1.4.0 is below 1.5.0, which runs now; Tagboat does not go down by itself (`allowDowngrade: true` permits it)
    1.3.9 is below 1.5.0, which runs now; Tagboat does not go down by itself (`allowDowngrade: true` permits it)
    "#);
    insta::assert_snapshot!(show(&Selection { allow_downgrade: true, ..semver("*") }, &plain("1.4.0 1.3.9"), Some("1.5.0")), @r#"
    1.4.0
    1.4.0 is the best tag that semver `*` admits
    1.3.9 is lower than selected 1.4.0
    "#);
    for (jump, expect) in
        [(None, "9999.0.0"), (Some(Jump::Major), "2.3.0"), (Some(Jump::Minor), "1.9.0"), (Some(Jump::Patch), "1.4.7")]
    {
        let selection = Selection { maximum_jump: jump, ..semver("*") };
        let text = show(&selection, &plain("1.4.7 1.9.0 2.3.0 3.0.0 9999.0.0"), Some("1.4.2"));
        assert_eq!(text.lines().next(), Some(expect), "{jump:?}");
    }
    let guarded = Selection { maximum_jump: Some(Jump::Major), ..semver("*") };
    insta::assert_snapshot!(show(&guarded, &plain("1.4.0 9999.0.0"), Some("1.4.0")), @r#"
    1.4.0
    1.4.0 is the best tag that semver `*` admits
    9999.0.0 is too far from 1.4.0, which runs now (`maximumJump: major`)
    "#);
    // What a person put there is a floor although `extract` does not match it.
    let extracted = filtered(semver("*"), "^v(?P<v>\\d+\\.\\d+\\.\\d+)$", "$v");
    assert!(show(&extracted, &plain("v1.5.9"), Some("v1.6.0-hotfix2")).starts_with("nothing"));
    // What cannot be compared guards nothing.
    assert!(show(&guarded, &plain("9999.0.0"), Some("latest")).starts_with("9999.0.0"));
}

fn seen(tag: &str, sight: Option<Sight>, created: Option<i64>) -> Considered {
    Considered {
        tag: tag.parse().unwrap(),
        known: Known { sight, created: created.map(Timestamp), ..Known::default() },
    }
}

#[test]
fn newest_is_what_appeared_last_and_of_the_first_listing_what_was_built_last() {
    let newest: Selection = Policy::Newest(Newest {}).into();
    let (baseline, after) = (Some(Sight::Baseline(Timestamp(500))), |at| Some(Sight::After(Timestamp(at))));
    let first = [seen("a", baseline, Some(300)), seen("b", baseline, Some(200)), seen("c", baseline, None)];
    insta::assert_snapshot!(show(&newest, &first, None), @r#"
    a
    a is the best tag that the policy `newest` admits
    b is lower than selected a
    c cannot be placed: nothing says when it appeared or was built
    "#);
    let mut later = first.to_vec();
    later.extend([seen("d", after(600), Some(1)), seen("e", after(601), None), seen("f", after(601), Some(7))]);
    insta::assert_snapshot!(show(&newest, &later, Some("a")), @r#"
    f
    a is lower than selected f
    b is below a, which runs now; Tagboat does not go down by itself (`allowDowngrade: true` permits it)
    c cannot be placed: nothing says when it appeared or was built
    d is lower than selected f
    e is lower than selected f
    f is the best tag that the policy `newest` admits
    "#);
}

#[test]
fn a_young_version_waits_until_it_is_old_enough() {
    let selection = Selection { minimum_age: Some(Duration::from_milliseconds(7_200_000)), ..semver("*") };
    let after = |ago: i64| Some(Sight::After(Timestamp(NOW.0 - ago)));
    let tags = [
        seen("1.0.0", after(8_000_000), None),
        seen("1.1.0", after(7_200_000), None),
        // Whatever the image says of itself.
        seen("1.2.0", after(3_600_000), Some(0)),
        seen("1.3.0", None, None),
    ];
    insta::assert_snapshot!(show(&selection, &tags, None), @r#"
    1.1.0
    1.0.0 is lower than selected 1.1.0
    1.1.0 is the best tag that semver `*` admits
    1.2.0 is younger than 2h; it is old enough from 1970-01-12T14:46:40Z on
    1.3.0 may be younger than 2h: nothing says how old it is
    "#);
    let consideration = selection.consider(&tags, Circumstances { current: None, now: NOW });
    assert_eq!(consideration.ripens_at(), Some(Timestamp(NOW.0 + 3_600_000)));
}

#[test]
fn only_what_was_announced_counts_in_the_order_of_announcements() {
    let announced: Selection = Policy::Announced(Announced::default()).into();
    let tag = |tag: &str, place| Considered {
        tag: tag.parse().unwrap(),
        known: Known { announced: place, ..Known::default() },
    };
    let tags = [tag("9.9.9", None), tag("2.0.0", Some(1)), tag("1.0.0", Some(2))];
    insta::assert_snapshot!(show(&announced, &tags, Some("2.0.0")), @r#"
    1.0.0
    9.9.9 was not announced by an authenticated CI event
    2.0.0 is lower than selected 1.0.0
    1.0.0 is the best tag that the policy `announced` admits
    "#);
}

#[test]
fn a_followed_tag_is_the_only_candidate() {
    let selection: Selection = Policy::Digest(FollowedTag { tag: "main".parse().unwrap() }).into();
    insta::assert_snapshot!(show(&selection, &plain("1.0.0 main"), None), @r#"
    main
    1.0.0 is not the tag that is followed, main
    main is the best tag that digest of `main` admits
    "#);
}

#[test]
fn groups_are_capped_and_counted() {
    let selection = semver("^1");
    let tags: Vec<Considered> = (0..100_000).map(|n| format!("2.0.{n}").parse::<Tag>().unwrap().into()).collect();
    let consideration = selection.consider(&tags, Circumstances { current: None, now: NOW });
    assert_eq!(consideration.counts().into_iter().collect::<Vec<_>>(), [("outsideRange", 100_000)]);
    let reasons: Vec<String> = consideration.refused(2).iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        ["2.0.0 is outside range `^1`", "2.0.1 is outside range `^1`", "and 99998 more tags for the same reason"]
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    let follow: Selection = Policy::Digest(FollowedTag { tag: "main".parse().unwrap() }).into();
    let problem = |selection: Selection| selection.check().unwrap_err().to_string();
    insta::assert_snapshot!(problem(Selection { maximum_jump: Some(Jump::Major), ..numerical(Direction::Asc) }), @"`maximumJump` compares versions, and numerical order has none");
    insta::assert_snapshot!(problem(Selection { exclude: vec!["^ma".parse().unwrap()], ..follow.clone() }), @"the tag to follow, `main`, is excluded by pattern `^ma`, so nothing would ever change");
    insta::assert_snapshot!(problem(Selection { allow: vec!["^v".parse().unwrap()], ..follow.clone() }), @"the tag to follow, `main`, is not matched by any pattern of `allow`, so nothing would ever change");
    insta::assert_snapshot!(problem(filtered(follow.clone(), "^m(.*)", "$1")), @"`extract` has no meaning for digest of `main`");
    assert_eq!(follow.check(), Ok(()));
}
