//! Commands in comments: who may give which, that each is answered once, and where they are read.

use tagboat_testkit::{
    github::{RepositorySetup, Setup},
    github_world::{GithubWorld, REPOSITORY},
};

use super::{
    THREE,
    asked::{answers, head_of, holds, tell},
    three, with,
};

/// Only alice is in the team that may pass over gates.
fn team(setup: Setup, repository: RepositorySetup) -> Setup {
    setup.team_member("acme", "platform", "alice").repository(repository)
}

/// Comment, and wait for the answer to it.
async fn ask(world: &GithubWorld, who: &str, number: u64, text: &str) -> String {
    let before = answers(world, number).len();
    world.github.person(who).comment(REPOSITORY, number, text);
    world.wait(&format!("an answer to `{text}`"), async |world| answers(world, number).len() > before).await;
    answers(world, number).pop().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_approvers_bring_a_version_past_gates() {
    let settings = format!("approvers: [team/platform]\n{THREE}");
    let world = GithubWorld::start(with(&settings), team).await;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    let wish = "/tagboat promote web 1.5.0 to prod because hotfix";
    // Carol may read, and bob may write but is no approver.
    for (who, why) in [("carol", "those who may write to this repository"), ("bob", "one of the `approvers`")] {
        let refused = ask(&world, who, pull, wish).await;
        assert!(refused.contains("**Refused**") && refused.contains(why), "{refused}");
    }
    let without_reason = ask(&world, "alice", pull, "/tagboat promote web 1.5.0 to prod").await;
    assert!(without_reason.contains("Say why after `because`"), "{without_reason}");
    assert!(!without_reason.contains("`/tagboat explain`"), "it answers what was written: {without_reason}");
    // Whoever may do nothing is told so once.
    world.github.person("carol").comment(REPOSITORY, pull, "/tagboat hold");
    world.wait_until_quiet().await;
    assert!(holds(&world).await.is_empty());

    let granted = ask(&world, "alice", pull, wish).await;
    assert!(granted.contains("**Done**") && granted.contains("web in prod gets 1.5.0 next by alice"), "{granted}");
    let hotfix = world.wait_for_pull("Promote web 1.5.0 to prod").await;
    world.github.person("bob").merge(REPOSITORY, hotfix, "merge").unwrap();
    world.wait_for_file("apps/prod/web.yaml", "web:1.5.0").await;
    // The wish ends once it is there.
    world.wait("the end of the wish", async |world| holds(world).await.is_empty()).await;
    assert!(world.file("apps/staging/web.yaml").contains("web:1.4.0"));
    world.wait_until_quiet().await;
    assert_eq!(answers(&world, pull).len(), 4, "each is answered once: {:?}", answers(&world, pull));
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_new_comment_of_a_person_is_no_command() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    let bob = world.github.person("bob");
    let id = bob.comment(REPOSITORY, pull, "I wonder.");
    // Edited later than in the same second.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    bob.edit_comment(REPOSITORY, id, "/tagboat hold");
    bob.comment(REPOSITORY, pull, "> /tagboat hold\n\n```\n/tagboat hold\n```\n<!--\n/tagboat hold\n-->");
    // Programs give none, Tagboat's own least of all.
    world.github.person("tagboat[bot]").comment(REPOSITORY, pull, "/tagboat hold");
    // Whatever comes of these has come once a real one is answered.
    let answer = ask(&world, "bob", pull, "/tagboat explain").await;
    assert!(answer.contains("web in staging: offered in a pull request"), "{answer}");
    world.wait_until_quiet().await;
    assert_eq!(answers(&world, pull).len(), 2, "{:?}", answers(&world, pull));
    assert!(holds(&world).await.is_empty());
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn several_commands_are_answered_once_each_also_over_a_restart() {
    let mut world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    let text = "Two things:\n/tagboat explain\n/tagboat hodl\n";
    world.github.person("bob").comment(REPOSITORY, pull, text);
    world.wait("two answers", async |world| answers(world, pull).len() == 2).await;
    let said = answers(&world, pull);
    assert!(said.iter().any(|text| text.contains("Did you mean `hold`?")), "{said:?}");
    world.kill_tagboat();
    world.start_tagboat();
    world.wait_until_started().await;
    let third = ask(&world, "bob", pull, "/tagboat explain").await;
    assert!(third.contains("**Done**"), "{third}");
    world.wait_until_quiet().await;
    assert_eq!(answers(&world, pull).len(), 3);
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_and_skips_by_comment_end_by_comment() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let first = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    let held = ask(&world, "bob", first, "/tagboat hold because a fault").await;
    assert!(held.contains("web in staging is held by bob") && held.contains("a fault"), "{held}");
    world.wait_until_closed(first).await;
    // It is closed, and that is where people write.
    let released = ask(&world, "bob", first, "/tagboat release").await;
    assert!(released.contains("**Done**"), "{released}");
    let second = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    let skipped = ask(&world, "bob", second, "/tagboat skip").await;
    assert!(skipped.contains("web in staging skips 1.5.0 by bob"), "{skipped}");
    world.wait_until_closed(second).await;
    world.push("web", "1.6.0").await;
    let third = world.wait_for_pull("Promote web 1.6.0 to staging").await;
    let frozen = ask(&world, "bob", third, "/tagboat freeze prod for 1h because of the audit").await;
    assert!(frozen.contains("prod is frozen by bob"), "{frozen}");
    let (_, status) = tell(&world, &["status"]);
    assert!(status.contains("prod is frozen by bob"), "{status}");
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_by_closing_is_permitted_by_a_comment_there() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    world.github.person("bob").close(REPOSITORY, pull);
    world.wait_for_comment(pull, "write `/tagboat release` in a comment here").await;
    let answer = ask(&world, "bob", pull, "/tagboat release").await;
    assert!(answer.contains("**Done**"), "{answer}");
    world.wait_for_pull("Promote web 1.5.0 to staging").await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_was_asked_for_is_of_what_stood_there_then() {
    let settings = THREE.replacen("    promoteFrom: dev\n", "    promoteFrom: dev\n    gates: { checks: [e2e] }\n", 1);
    let world = GithubWorld::start(with(&settings), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    // Gates are not passed over by it.
    ask(&world, "bob", pull, "/tagboat merge").await;
    world.wait_until_quiet().await;
    assert_eq!(world.github.pull(REPOSITORY, pull)["state"], "open");
    // Something newer stands there when the check comes.
    world.push("web", "1.6.0").await;
    assert_eq!(world.wait_for_pull("Promote web 1.6.0 to staging").await, pull);
    let head = head_of(&world, pull);
    world.github.person("bob").set_status(REPOSITORY, &head, "e2e", "success");
    world.wait_until_quiet().await;
    assert_eq!(world.github.pull(REPOSITORY, pull)["state"], "open", "nobody asked for 1.6.0");
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_the_forge_cannot_do_now_is_answered_once_it_is_done() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    world.wait_until_quiet().await;
    world.github.break_down_at("/merge", 503, 1000);
    world.github.person("bob").comment(REPOSITORY, pull, "/tagboat merge");
    let has_failed = async |world: &GithubWorld| {
        world.get("/api/v1/branches").await["branches"][0]["problem"].as_str().is_some_and(|it| it.contains("503"))
    };
    world.wait("the failure", has_failed).await;
    assert!(answers(&world, pull).is_empty(), "{:?}", answers(&world, pull));
    world.github.break_down_at("", 503, 0);
    world.wait_for_file("apps/staging/web.yaml", "web:1.5.0").await;
    world.wait("the answer", async |world| answers(world, pull).len() == 1).await;
    assert!(answers(&world, pull)[0].contains("**Done**"), "{:?}", answers(&world, pull));
    world.finish();
}
