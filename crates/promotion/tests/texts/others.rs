//! Comments, reports, the dashboard, and the proposed repository file.

use tagboat_model::{
    Command, CommandAnswer, CommandOrigin, CommandOutcome, CommandRecord, Commander, Decision, ForgeKind, GateName,
    GateState, Outcome, Reason, Reference, Stage, Target, Wish,
};
use tagboat_promotion::{
    Board, Limits, compose_board, onboarding_words, propose_file,
    pull::{
        BlockChange, KnownPull,
        text::{
            answer_comment, closing_note, edited_comment, moot_comment, plan_report, problem_report, refused_comment,
            retargeted_comment,
        },
    },
    ticked,
};

use crate::values::{decision, gate, hold, promoted, pull, reference, time, traits, version};

#[test]
fn comments_say_what_follows_and_how_to_undo_it() {
    let github = traits(ForgeKind::Github);
    let refused = BlockChange {
        entry: "web".parse().unwrap(),
        image: "ghcr.io/acme/web".parse().unwrap(),
        from: vec!["1.4.0".to_owned()],
        version: version("1.5.0"),
        decision: "d-0000000000000000".parse().unwrap(),
    };
    insta::assert_snapshot!(refused_comment(&pull(), &[refused], &github), @r#"
    Closed without being merged, so Tagboat brings neither this version nor an older one to **prod**:

    - web `1.5.0@sha256:bbbbbbbbbbbb`

    A newer version opens a pull request of its own. To undo this, write `/tagboat release` in a comment here; or restore the branch, where it was deleted, then reopen this pull request.
    "#);
    insta::assert_snapshot!(edited_comment(&pull(), &github), @r#"
    There are commits of others on `tagboat/prod/web`, so Tagboat keeps its hands off this pull request: it is not updated, and newer versions wait.

    To have it built anew, tick the box in its text or write `/tagboat rebuild` in a comment here. That discards those commits.
    "#);
    insta::assert_snapshot!(retargeted_comment(&pull(), &"main".parse().unwrap()), @"This goes into `other` now, and Tagboat made it for `main`, so Tagboat keeps its hands off it. Set it back to `main` to have it kept up to date, or close it.");
    insta::assert_snapshot!(moot_comment("web in prod is held"), @"This is needed no longer: web in prod is held. It stays open because others committed on it.");
    insta::assert_snapshot!(closing_note("web in prod is held"), @"**Closed by Tagboat, because it is needed no longer**: web in prod is held.");
}

#[test]
fn a_command_is_answered() {
    let record = CommandRecord {
        id: "c-1".parse().unwrap(),
        tenant: "default".parse().unwrap(),
        repository: "deploy".parse().unwrap(),
        command: Command::Skip {
            target: Target { environment: Some("prod".parse().unwrap()), entry: Some("web".parse().unwrap()) },
            version: Some("1.5.0 `@all`".to_owned()),
        },
        by: Commander::Operator { name: "alice".to_owned() },
        origin: CommandOrigin::Api,
        given_at: time("2026-11-24T09:00:00Z"),
        answer: None,
    };
    let answer = CommandAnswer { outcome: CommandOutcome::Refused, text: "only approvers may".to_owned() };
    insta::assert_snapshot!(answer_comment(&answer, &record, &traits(ForgeKind::Github)), @r#"
    > <code>&#47;tagboat skip web 1.5.0 &#96;&#64;&#8203;all&#96; in prod</code> (by alice, on this pull request)

    **Refused**: only approvers may
    "#);
    let text =
        "- web in prod is held by <b>al</b> since 2026: see @bob\n\nAs in #7. To take it back: `/tagboat release h-1`.";
    let answer = CommandAnswer { outcome: CommandOutcome::Done, text: text.to_owned() };
    let comment = answer_comment(&answer, &record, &traits(ForgeKind::Github));
    let (_, answered) = comment.split_once("\n\n").unwrap();
    insta::assert_snapshot!(answered, @r#"
    **Done**:

    - web in prod is held by &#60;b&#62;al&#60;/b&#62; since 2026: see &#64;&#8203;bob

    As in &#35;&#8203;7. To take it back: `/tagboat release h-1`.
    "#);
    let long = CommandAnswer { outcome: CommandOutcome::Done, text: "- a line of an answer\n".repeat(5000) };
    let comment = answer_comment(&long, &record, &traits(ForgeKind::Github));
    assert!(comment.len() < 60_000 && comment.ends_with("the text would be too long."), "{}", comment.len());
}

#[test]
fn a_plan_shows_what_needs_people_first() {
    let mut blocked = decision("prod", "api", Reason::NoReference { image: "ghcr.io/acme/api".parse().unwrap() });
    blocked.outcome = Outcome::Blocked;
    blocked.version = None;
    let decisions = [decision("dev", "web", promoted()), blocked];
    insta::assert_snapshot!(plan_report(&decisions), @r#"
    With this `.tagboat.yaml`: 1 to update, 0 waiting, 1 blocked, 0 as they are to be.

    | Image | Environment | Now | Chosen | Why |
    |---|---|---|---|---|
    | api | prod | `1.4.0` |  | no file of this environment names ghcr.io/acme/api with a tag or digest |
    | web | dev | `1.4.0` | `1.5.0@sha256:bbbbbbbbbbbb` | 1.5.0 ran in dev since 2026-11-24T09:00:00Z and moves on as it is |
    "#);
    insta::assert_snapshot!(problem_report("line 2: `x` is not a key"), @r#"
    This `.tagboat.yaml` has an error, and while it is there Tagboat changes nothing:

    line 2: `x` is not a key
    "#);
}

#[test]
fn the_dashboard_shows_how_things_stand() {
    let mut waiting = decision("prod", "api", promoted());
    waiting.outcome = Outcome::Waiting;
    waiting.gates = vec![gate(GateName::Soak, GateState::Waiting, Stage::Offer, "waiting: until 2026-11-25T09:00:00Z")];
    let mut limited = decision("prod", "job", Reason::LimitReached { limit: "the limit of 20".to_owned() });
    limited.outcome = Outcome::Waiting;
    let mut blocked = decision("prod", "cron", Reason::NoReference { image: "ghcr.io/acme/cron".parse().unwrap() });
    blocked.outcome = Outcome::Blocked;
    let mut done = decision("dev", "web", Reason::AlreadyThere { version: "1.4.0".to_owned() });
    done.outcome = Outcome::Nothing;
    let mut offered = decision("prod", "web", Reason::InPullRequest { version: version("1.5.0"), number: 7 });
    offered.outcome = Outcome::Waiting;
    let holds = [hold(Wish::Hold), hold(Wish::Refuse { version: version("1.5.0"), pull_request: 6 })];
    let pulls = [KnownPull { pull: pull(), foreign: true, own_content: None, reviews: Vec::new(), checks: Vec::new() }];
    let board = Board {
        title: "Tagboat",
        traits: &traits(ForgeKind::Github),
        decisions: &[waiting, limited, blocked, done, offered],
        pulls: &pulls,
        holds: &holds,
        limits: Limits::default(),
        problem: None,
    };
    let words = compose_board(&board);
    insta::assert_snapshot!(words.body, @r#"
    <!-- tagboat:dashboard -->
    How things stand in this repository. A box that is ticked is a command.

    ## Open

    Tick a box to have the branch built anew.

    - [ ] <!-- tagboat:rebuild=7 -->[#7](https://github.com/acme/deploy/pull/7) Promote web 1.5.0 to prod, draft, edited by others, not kept up to date

    ## Waiting

    Tick a box to do without the version.

    - [ ] <!-- tagboat:skip=prod/api/1.5.0 -->**api** in prod: 1.5.0 ran in dev since 2026-11-24T09:00:00Z and moves on as it is
      - ⏳ `soak` waiting: until 2026-11-25T09:00:00Z

    ## Held back by limits

    Limits: at most 20 pull requests are open.

    - [ ] <!-- tagboat:skip=prod/job/1.5.0 -->**job** in prod: held back by the limit of 20

    ## Blocked

    Somebody has to act.

    - **cron** in prod: no file of this environment names ghcr.io/acme/cron with a tag or digest

    ## Held and frozen

    Tick a box to release.

    - [ ] <!-- tagboat:release=h-1 -->web in prod is held by operator alice since 2026-11-24T09:00:00Z: see &#64;&#8203;bob

    ## Refused

    Tick a box to permit it again.

    - [ ] <!-- tagboat:release=h-1 -->web in prod does without 1.5.0, since &#35;&#8203;6 was closed: see &#64;&#8203;bob

    <details><summary>Up to date: 1</summary>

    - web in dev: `1.4.0`

    </details>
    "#);
    assert!(ticked(&words.body).is_empty());
    let commands = ticked(&words.body.replace("- [ ]", "- [x]").replace('\n', "\r\n"));
    assert_eq!(commands.len(), 5);
    assert_eq!(commands[0], (Some(7), Command::Rebuild));
    let target = Target { environment: Some("prod".parse().unwrap()), entry: Some("api".parse().unwrap()) };
    assert_eq!(commands[1], (None, Command::Skip { target, version: Some("1.5.0".to_owned()) }));
    assert_eq!(commands[4], (None, Command::Release { target: Target::default(), id: Some("h-1".parse().unwrap()) }));
    assert!(ticked("- [x] <!-- tagboat:release=a b -->\n- [x] <!-- tagboat:merge=1 -->").is_empty());
}

#[test]
fn a_dashboard_of_thousands_fits() {
    let decisions: Vec<Decision> = (0..3000)
        .map(|number| {
            let mut decision = decision("prod", &format!("image-{number}"), promoted());
            decision.outcome =
                [Outcome::Waiting, Outcome::Blocked, Outcome::Nothing].into_iter().cycle().nth(number).unwrap();
            decision
        })
        .collect();
    let github = traits(ForgeKind::Github);
    let board = Board {
        title: "Tagboat",
        traits: &github,
        decisions: &decisions,
        pulls: &[],
        holds: &[],
        limits: Limits::default(),
        problem: Some("line 1"),
    };
    let body = compose_board(&board).body;
    assert!(body.len() < 60_000 && body.contains("Up to date: 1000<"), "{}", body.len());
}

#[test]
fn folders_become_environments_that_promote_to_one_another() {
    let found = [
        reference("apps/dev/web.yaml", "ghcr.io/acme/web", "1.5.0"),
        reference("apps/staging/web.yaml", "ghcr.io/acme/web", "1.4.2"),
        reference("apps/prod/web.yaml", "ghcr.io/acme/web", "1.4.0"),
        reference("apps/prod/other.yaml", "ghcr.io/other/web", "main-0123abc"),
        reference("base/db.yaml", "docker.io/library/postgres", "16"),
    ];
    let file = propose_file(&found).unwrap();
    insta::assert_snapshot!(file.trim_end(), @r##"
    # How Tagboat keeps the images of this repository up to date.
    # It was guessed from the files that are here: read it, and change what is wrong.
    images:
      - name: "postgres"
        image: "docker.io/library/postgres"
        # `16` is not a version, so its digest is followed, and written beside it.
        policy: { digest: { tag: "16" } }
        pin: tagAndDigest
      - name: "web"
        image: "ghcr.io/acme/web"
        # `1.5.0` is a version: newer ones without breaking changes.
        policy: { semver: { range: "^1.5" } }
      - name: "other-web"
        image: "ghcr.io/other/web"
        # `main-0123abc` names a commit: the image that was pushed last.
        policy: { newest: {} }
        filterTags: { pattern: '^main-[0-9a-f]{7,40}$' }
    # Files outside of these paths are left alone.
    environments:
      - name: "dev"
        paths: ["apps/dev"]
        # The first to get new versions, without asking.
        deliver: commit
      - name: "staging"
        paths: ["apps/staging"]
        # Gets what ran in dev, by pull request. Conditions: gates, as in `gates: { soak: 24h }`.
        promoteFrom: "dev"
        deliver: pullRequest
      - name: "prod"
        paths: ["apps/prod"]
        # Gets what ran in staging, by pull request. Conditions: gates, as in `gates: { soak: 24h }`.
        promoteFrom: "staging"
        deliver: pullRequest
    "##);
    let words = onboarding_words(found.len(), &file);
    assert_eq!(words.title, "Configure Tagboat");
    assert!(words.body.starts_with("Tagboat found 5 references to 3 images in this repository."), "{}", words.body);
}

#[test]
fn every_layout_becomes_a_file() {
    let propose = |files: &[&str], tag: &str| {
        let found: Vec<Reference> = files.iter().map(|file| reference(file, "ghcr.io/acme/web", tag)).collect();
        propose_file(&found).unwrap()
    };
    let regions =
        propose(&["clusters/staging/a.yaml", "clusters/prod-eu/a.yaml", "clusters/prod-us/a.yaml"], "20261126");
    assert_eq!(regions.matches("promoteFrom: \"staging\"").count(), 2, "{regions}");
    assert!(regions.contains("policy: { numerical: { order: asc } }"), "{regions}");
    let values = propose(&["chart/values-dev.yaml", "chart/values-prod.yaml"], "1.25.3-alpine");
    assert!(
        values.contains("paths: [\"chart/values-dev.yaml\"]") && values.contains("promoteFrom: \"dev\""),
        "{values}"
    );
    assert!(values.contains("(?P<version>v?[0-9]+\\.[0-9]+\\.[0-9]+)-alpine$', extract: '$version'"), "{values}");
    let flat = propose(&["web.yaml"], "latest");
    assert!(
        flat.ends_with("environments:\n  - name: default\n    paths: [\".\"]\n    deliver: pullRequest\n"),
        "{flat}"
    );
    let one = propose(&["prod/web.yaml"], "v1.2.3");
    assert!(one.ends_with("paths: [\"prod\"]\n    deliver: pullRequest\n"), "{one}");
    let mut bare = reference("web.yaml", "ghcr.io/acme/web", "x");
    bare.tag = None;
    assert_eq!(propose_file(&[bare]), None);
}
