//! Lost events, lost answers, limits, power cuts: what is done is done once, and what was missed is found.

use std::time::Duration;

use tagboat_testkit::github_world::{GithubWorld, REPOSITORY};

use super::{BRANCH, FILE, only_prod, web_at};

/// How many pull requests were opened so far.
fn opened(world: &GithubWorld) -> usize {
    let writes = world.github.writes();
    writes.iter().filter(|seen| seen.method == "POST" && seen.path.ends_with("/config/pulls")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_event_of_the_forge_the_sweep_finds_what_people_did() {
    let mut setup = only_prod("");
    setup.server = "sweep: { interval: 10s }\n".to_owned();
    let world = GithubWorld::start(setup, |setup, repository| setup.repository(repository)).await;
    world.github.lose_webhooks(true);
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.github.person("bob").push(REPOSITORY, BRANCH, "Mine", &[("notes.txt", Some("mine\n"))]);
    world.wait_for_comment(number, "keeps its hands off").await;
    world.github.person("bob").tick(REPOSITORY, number, "Build this pull request anew");
    world.wait("the box", async |world| world.github.file(REPOSITORY, BRANCH, "notes.txt").is_none()).await;
    world.github.person("bob").close(REPOSITORY, number);
    world.wait_for_comment(number, "brings neither this version").await;
    world.settle().await;
    assert_eq!(world.comments_of_app(number).len(), 2);
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_lags_behind_leads_to_no_second_pull_request() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.github.list_lag(Duration::from_millis(1500));
    world.push("web", "1.5.0").await;
    world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.push("web", "1.6.0").await;
    let number = world.wait_for_pull("Update web to 1.6.0 in prod").await;
    world.settle().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.settle().await;
    assert_eq!(opened(&world), 1);

    // Closed, and the list still shows it as open when something newer comes.
    let trees =
        |world: &GithubWorld| world.github.writes().iter().filter(|seen| seen.path.ends_with("/git/trees")).count();
    let before = trees(&world);
    world.github.person("bob").close(REPOSITORY, number);
    world.push("web", "1.7.0").await;
    let next = world.wait_for_pull("Update web to 1.7.0 in prod").await;
    world.wait_for_comment(number, "- web `1.6.0@sha256:").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [next]);
    assert_eq!((opened(&world), world.comments_of_app(number).len()), (2, 1));
    assert!(trees(&world) - before < 10, "it does not run in circles: {}", trees(&world) - before);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_after_the_effect_doubles_nothing() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.github.lose_answers_to("POST /repos/acme/config/pulls", 1);
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);

    // The branch moves, or the title does, and nobody hears of it.
    for (tag, what) in [("1.6.0", "POST /graphql"), ("1.7.0", "PATCH /repos/acme/config/pulls")] {
        world.github.lose_answers_to(what, 1);
        world.push("web", tag).await;
        assert_eq!(world.wait_for_pull(&format!("Update web to {tag} in prod")).await, number);
        world.settle().await;
        assert_eq!(Some(world.parent(BRANCH)), world.github.head(REPOSITORY, "main"));
        assert!(world.comments_of_app(number).is_empty(), "our own commit is not taken for a person's");
    }

    world.github.lose_answers_to("/comments", 1);
    world.github.person("bob").close(REPOSITORY, number);
    world.wait_for_comment(number, "brings neither this version").await;
    world.settle().await;
    assert_eq!(world.comments_of_app(number).len(), 1);
    assert_eq!(world.github.head(REPOSITORY, BRANCH), None);
    assert_eq!((opened(&world), world.closings()), (1, 1));
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_whose_answer_is_lost_is_seen_to_be_done() {
    let rules = "    pullRequest: { autoMerge: true }\n";
    let world = GithubWorld::start(only_prod(rules), |setup, repository| setup.repository(repository)).await;
    world.github.lose_answers_to("/merge", 1);
    world.push("web", "1.5.0").await;
    world.wait_for_file(FILE, "web:1.5.0").await;
    world.settle().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    assert_eq!((opened(&world), world.closings()), (1, 1));
    assert_eq!(world.github.head(REPOSITORY, BRANCH), None);
    world.push("web", "1.6.0").await;
    world.wait_for_file(FILE, "web:1.6.0").await;
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_waited_for() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.github.secondary_limit(403, 2, 1);
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    assert_eq!(opened(&world), 1);

    // All that an hour has is used up: it says so, and asks no more.
    world.github.set_rate_limit(Some(0));
    world.push("web", "1.6.0").await;
    world
        .wait("the reason", async |world| {
            let branches = world.get("/api/v1/branches").await;
            branches["branches"][0]["problem"].as_str().is_some_and(|problem| problem.contains("limit of requests"))
        })
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let requests = world.github.requests().len();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.github.requests().len(), requests);
    assert_eq!(world.title(number), "Update web to 1.5.0 in prod");
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_over_are_renewed_at_once() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    // The forge's clock counts, not ours.
    world.github.expire_tokens();
    world.push("web", "1.6.0").await;
    let asked = std::time::Instant::now();
    assert_eq!(world.wait_for_pull("Update web to 1.6.0 in prod").await, number);
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cuts_right_after_a_push_double_nothing() {
    let mut world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    let mut number = None;
    for (minor, wait) in [(5, 0), (6, 30), (7, 60), (8, 120), (9, 200)] {
        world.push("web", &format!("1.{minor}.0")).await;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        world.crash_tagboat().await;
        let found = world.wait_for_pull(&format!("Update web to 1.{minor}.0 in prod")).await;
        world.settle().await;
        assert_eq!(*number.get_or_insert(found), found);
        assert_eq!(world.github.open_pulls(REPOSITORY), [found]);
        assert!(world.comments_of_app(found).is_empty(), "our own commit is not taken for a person's");
        assert_eq!(Some(world.parent(BRANCH)), world.github.head(REPOSITORY, "main"));
    }
    assert_eq!(opened(&world), 1);
    assert_eq!(world.closings(), 0);

    // And right after a no.
    let number = number.unwrap();
    world.github.person("bob").close(REPOSITORY, number);
    tokio::time::sleep(Duration::from_millis(60)).await;
    world.crash_tagboat().await;
    world.wait_for_comment(number, "- web `1.9.0@sha256:").await;
    world.settle().await;
    assert_eq!(world.comments_of_app(number).len(), 1);

    // Two restarts write nothing.
    let writes = world.github.writes().len();
    world.restart_tagboat().await;
    world.restart_tagboat().await;
    assert_eq!(world.github.writes().len(), writes, "{:?}", world.github.writes());
    world.finish_quiet().await;
}

/// What is written of the first branch that could not be served.
async fn problem(world: &GithubWorld) -> String {
    world.get("/api/v1/branches").await["branches"][0]["problem"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_closed_now_keeps_its_branch_and_is_closed_by_us_later() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    world.github.break_down_at("PATCH /repos/acme/config/pulls", 502, 1000);
    let text = web_at(&world.registry.host(), "1.5.0");
    world.github.person("alice").push(REPOSITORY, "main", "By hand", &[(FILE, Some(text.as_str()))]);
    world.wait("the failure", async |world| problem(world).await.contains("502")).await;
    // Without its branch the forge would close it, as if people had.
    assert!(world.github.head(REPOSITORY, BRANCH).is_some());
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);
    world.github.break_down_at("", 502, 0);
    world.wait_until_closed(number).await;
    world.settle().await;
    assert_eq!(world.title(number), "Update web to 1.5.0 in prod - no longer needed");
    assert_eq!(world.github.head(REPOSITORY, BRANCH), None);
    assert_eq!(world.get("/api/v1/holds").await["holds"], serde_json::json!([]), "nobody said no");
    world.finish_quiet().await;
}
