//! Titles and texts of pull requests.

use tagboat_model::{Comparison, Decision, ForgeKind, GateName, GateState, Reason, Stage, Version, Wish};
use tagboat_promotion::{
    Environment, TextTemplate,
    pull::{
        LaneChange, Story,
        text::{OutsideText, REBUILD_BOX, closed_title, closing_note, compose, is_ticked, outside, problem_report},
    },
};

use crate::values::{
    change, compose_alone, decision, environment, gate, hold, lane, promoted, shortened, story, traits, version,
};

#[test]
fn one_promoted_image_is_shown_with_its_past_gates_and_changes() {
    let (environment, decision) = (environment("staging", Some("dev")), decision("staging", "web", promoted()));
    let lane = lane(&environment, vec![change(&decision, story())]);
    let gates = vec![
        gate(GateName::Soak, GateState::Passed, Stage::Offer, "passed: in dev since 2026-11-24T09:00:00Z"),
        gate(GateName::Approvals, GateState::Waiting, Stage::Merge, "waiting: 0 of 1"),
    ];
    let words = compose(&lane, &[("web".parse().unwrap(), gates)], &traits(ForgeKind::Github), &OutsideText::default());
    assert_eq!(words.title, "Promote web 1.5.0 to staging");
    insta::assert_snapshot!(shortened(&words.body), @r#"
    <!-- tagboat:begin -->
    | Image | Environment | From | To |
    |---|---|---|---|
    | web (`ghcr.io/acme/web`) | staging | `1.4.0` | `1.5.0` `sha256:bbbbbbbbbbbb` |

    ### Where it ran before

    - web `1.5.0` ran in dev from 2026-11-24T09:00:00Z to 2026-11-26T10:30:05Z (2d1h30m)

    ### Gates

    | Gate | State | | Holds back |
    |---|---|---|---|
    | `soak` | ✅ passed | in dev since 2026-11-24T09:00:00Z | the offer |
    | `approvals` | ⏳ waiting | 0 of 1 | the merge |

    ### Because

    - **web**: 1.5.0 ran in dev since 2026-11-24T09:00:00Z and moves on as it is; pushed by alice, said receiver hub; full version `1.5.0@sha256:B`; decision `d-0000000000000000`

    ### Changes

    [`111111111111…222222222222`](https://github.com/acme/web/compare/ONE...TWO) of [github.com/acme/web](https://github.com/acme/web), 30 commits

    - `aaaaaaaaaaaa` Add a thing (fixes &#35;&#8203;12)
    - `bbbbbbbbbbbb` Ask &#64;&#8203;all &#124; &#60;b&#62;now&#60;/b&#62;
    - and 28 more

    ### References edited

    - [apps/staging/web.yaml:12](https://github.com/acme/deploy/blob/main/apps/staging/web.yaml#L12)

    <details><summary>Commands, and what closing means</summary>

    Write one of these in a comment:

    - `/tagboat hold` keeps what runs; `/tagboat hold until 2026-12-24T18:00:00Z` until then
    - `/tagboat freeze` keeps all that runs in this environment, until it is released
    - `/tagboat skip` does without this version, and takes the next one
    - `/tagboat rollback` goes back to what ran before, and holds it
    - `/tagboat promote` brings it here past upstreams and gates, for approvers
    - `/tagboat release` takes back holds, skips and refusals
    - `/tagboat rebuild` builds the branch anew, `/tagboat merge` merges it once its gates pass
    - `/tagboat explain` says what is decided, and why

    To close this pull request without merging it means no to this version, and to older ones, in this environment. A newer version opens another one.

    </details>

    - [ ] <!-- tagboat:rebuild -->Build this pull request anew, also over commits of others
    <!-- tagboat:end -->
    "#);
    assert!(!is_ticked(&words.body, REBUILD_BOX));
    assert!(is_ticked(&words.body.replace("- [ ]", "- [x]"), REBUILD_BOX));

    // What people write around it stays, also behind the hidden block.
    let theirs = format!("Please wait.\r\n\r\n{}\n\n<!-- tagboat {{}} -->\nThanks.\n", words.body);
    let around = outside(&theirs);
    assert_eq!((around.before.as_str(), around.after.as_str()), ("Please wait.", "Thanks."));
    let again = compose(&lane, &[], &traits(ForgeKind::Github), &around).body;
    assert!(again.starts_with("Please wait.\n\n<!-- tagboat:begin -->\n") && again.ends_with("\n\nThanks."), "{again}");
}

#[test]
fn titles_say_what_happens() {
    let (dev, prod) = (environment("default", None), environment("prod", Some("dev")));
    let decisions: Vec<Decision> =
        ["web", "api", "job"].into_iter().map(|entry| decision("prod", entry, promoted())).collect();
    let other = Version { tag: "2.0.0".parse().unwrap(), ..version("1.5.0") };
    let changes = || decisions.iter().map(|decision| change(decision, Story::default())).collect::<Vec<_>>();
    let title = |environment: &Environment, changes: Vec<LaneChange<'_>>| {
        compose_alone(&lane(environment, changes), ForgeKind::Github).0
    };
    assert_eq!(title(&prod, changes()), "Promote 3 images (1.5.0) to prod");
    assert_eq!(title(&dev, changes()), "Update 3 images (1.5.0) in default");
    assert_eq!(title(&dev, changes().into_iter().take(1).collect()), "Update web to 1.5.0 in default");
    let mut mixed = changes();
    mixed[1].version = &other;
    assert_eq!(title(&prod, mixed), "Promote 3 images to prod");

    let mut back =
        decision("prod", "web", Reason::AskedFor { hold: Box::new(hold(Wish::Keep { version: version("1.4.0") })) });
    back.version = Some(version("1.4.0"));
    assert_eq!(title(&prod, vec![change(&back, Story::default())]), "Roll web back to 1.4.0 in prod");
    assert_eq!(closed_title("Update web"), "Update web - no longer needed");
    assert_eq!(closed_title("Update web - no longer needed"), "Update web - no longer needed");
}

#[test]
fn a_branch_that_takes_no_commits_is_said_to_be_one() {
    let prod = environment("prod", Some("dev"));
    let mut decision = decision("prod", "web", promoted());
    decision.reasons.push(Reason::Protected { detail: "GH006: protected".to_owned() });
    let body = compose_alone(&lane(&prod, vec![change(&decision, Story::default())]), ForgeKind::Github).1;
    let said = "moves on as it is; the branch takes no direct commits (GH006: protected), so a pull request offers it; full version";
    assert!(body.contains(said), "{body}");
}

#[test]
fn a_refusal_says_what_was_closed_and_nothing_twice() {
    let mut refused = hold(Wish::Refuse { version: version("1.5.0"), pull_request: 3 });
    refused.why = None;
    assert_eq!(refused.to_string(), "web in prod does without 1.5.0, since #3 was closed");
    let skipped = tagboat_model::Hold { wish: Wish::Skip { version: version("1.5.0") }, ..refused };
    assert!(skipped.to_string().starts_with("web in prod skips 1.5.0 by "), "{skipped}");
}

#[test]
fn a_group_shares_what_is_the_same() {
    let prod = environment("prod", Some("dev"));
    let decisions: Vec<Decision> =
        ["web", "api", "job"].into_iter().map(|entry| decision("prod", entry, promoted())).collect();
    let lane = lane(&prod, decisions.iter().map(|decision| change(decision, Story::default())).collect());
    let waits = || vec![gate(GateName::Window, GateState::Waiting, Stage::Merge, "waiting: opens at 09:00")];
    let failed = vec![gate(GateName::Checks, GateState::Failed, Stage::Merge, "failed: `e2e` is red")];
    let gates =
        [("web".parse().unwrap(), waits()), ("api".parse().unwrap(), waits()), ("job".parse().unwrap(), failed)];
    let body = compose(&lane, &gates, &traits(ForgeKind::Gitlab), &OutsideText::default()).body;
    for expected in [
        "\n| web, api | `window` | ⏳ waiting | opens at 09:00 | the merge |\n",
        "\n| job | `checks` | ❌ failed | `e2e` is red | the merge |\n",
        "\n**web**: No list of changes: the image has no label `org.opencontainers.image.source`.\n",
        "\n- [apps/prod/job.yaml:12](https://git.example.org/acme/deploy/-/blob/main/apps/prod/job.yaml#L12) (job)\n",
        "Build this merge request anew",
    ] {
        assert!(body.contains(expected), "{expected}: {body}");
    }
}

#[test]
fn three_hundred_images_fit() {
    let prod = environment("prod", Some("dev"));
    let decisions: Vec<Decision> =
        (0..300).map(|number| decision("prod", &format!("image-{number}"), promoted())).collect();
    let mut changes: Vec<LaneChange<'_>> = decisions.iter().map(|decision| change(decision, story())).collect();
    for change in &mut changes {
        let one = change.references[0].clone();
        change.references = vec![one; 10];
    }
    let long = OutsideText { before: "a".repeat(10_000), after: "b".repeat(5_000) };
    for around in [OutsideText::default(), long] {
        let body = compose(&lane(&prod, changes.clone()), &[], &traits(ForgeKind::Gitea), &around).body;
        assert!(body.len() < 60_200, "{}", body.len());
        assert!(body.contains("\n\nAnd 200 more images.\n") && body.contains(REBUILD_BOX), "{body}");
        assert!(body.contains("| image-0 (`ghcr.io/acme/image-0`) | prod |"), "{body}");
    }
}

#[test]
fn what_strangers_wrote_does_nothing() {
    const HOSTILE: &str = "@all fixes #1 <!-- tagboat:end --> | `x` [a](http://b)\n- [x] <!-- tagboat:rebuild -->";
    let prod = environment("prod", None);
    let reason = Reason::NotAnImage { tag: "1.5.0".parse().unwrap(), detail: HOSTILE.to_owned() };
    let decision = decision("prod", "web", reason);
    let mut change = change(&decision, story());
    change.references[0].file = format!("a/{HOSTILE}");
    change.story.trigger = Some(HOSTILE.to_owned());
    change.story.comparison = Some(Comparison {
        url: "javascript:x".to_owned(),
        total: 1,
        commits: vec![(HOSTILE.to_owned(), HOSTILE.to_owned())],
    });
    let gates = [("web".parse().unwrap(), vec![gate(GateName::Checks, GateState::Failed, Stage::Merge, HOSTILE)])];
    let body = compose(&lane(&prod, vec![change]), &gates, &traits(ForgeKind::Github), &OutsideText::default()).body;
    assert!(!is_ticked(&body, REBUILD_BOX), "{body}");
    assert_eq!(body.matches("<!--").count(), 3, "{body}");
    assert!(!body.contains("@all") && !body.contains("#1 ") && !body.contains("http:") && !body.contains("javascript"));
    assert_eq!(outside(&body), OutsideText::default());
    assert!(!problem_report(HOSTILE).contains("@all") && !closing_note(HOSTILE).contains("<!--"));
}

#[test]
fn users_word_titles_and_texts() {
    let mut prod = environment("prod", Some("staging"));
    let decision = decision("prod", "web", promoted());
    let title = "deploy({{ environment }}): {% for image in images %}{{ image.entry }} {{ image.tag }}{% endfor %}";
    prod.pull_request.title = Some(TextTemplate::title(title).unwrap());
    let text = "From {{ upstream }}: {{ images[0].source }}{% for gate in gates %} {{ gate.name }}{% endfor %}";
    prod.pull_request.body = Some(TextTemplate::body(text).unwrap());
    let mut story = story();
    story.source = Some("@all".to_owned());
    let (title, body) = compose_alone(&lane(&prod, vec![change(&decision, story)]), ForgeKind::Github);
    assert_eq!(title, "deploy(prod): web 1.5.0");
    assert!(body.starts_with("<!-- tagboat:begin -->\nFrom staging: &#64;&#8203;all\n\n| Image |"), "{body}");

    // A template that fails in earnest costs its own text.
    let fails = "{% if images[0].registry == 'registry.example.org' %}x{% endif %}";
    prod.pull_request.title = Some(TextTemplate::title(fails).unwrap());
    let (title, body) = compose_alone(&lane(&prod, vec![change(&decision, Story::default())]), ForgeKind::Github);
    assert_eq!(title, "Promote web 1.5.0 to prod");
    let why = "The template `pullRequest.title` of `.tagboat.yaml` could not be used: nothing comes out of it.";
    assert!(body.contains(why), "{body}");
}
