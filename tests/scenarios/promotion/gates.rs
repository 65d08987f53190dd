//! Gates: what a version waits for, and where that is shown.

use tagboat_testkit::{
    github::Verdict,
    github_world::{GithubWorld, REPOSITORY},
};

use super::{
    FILE, THREE,
    asked::{check_runs, gates_status, head_of, image_in, is_merged, reasons, tell, text_of, weekday, with_host},
    only_prod, three, with,
};

/// Staging with these lines more.
fn staging(lines: &str) -> String {
    THREE.replacen("    promoteFrom: dev\n", &format!("    promoteFrom: dev\n{lines}"), 1)
}

/// Wait until `tagboat/gates` is in a state on a commit, and return its description.
async fn wait_for_gates(world: &GithubWorld, commit: &str, state: &str) -> String {
    let mut description = String::new();
    world
        .wait(&format!("tagboat/gates {state}"), async |world| match gates_status(world, commit) {
            Some((found, text)) if found == state => {
                description = text;
                true
            }
            _ => false,
        })
        .await;
    description
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soak_is_not_begun_anew_by_what_arrives_later() {
    let setup = with(&staging("    gates: { soak: 8s }\n"));
    let world = GithubWorld::start(setup, |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    world.wait_for_file("apps/dev/web.yaml", "web:1.5.0").await;
    world.wait_until_quiet().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    let waiting = image_in(&world, "staging", "web").await;
    assert_eq!(waiting["decision"]["outcome"], "waiting");
    assert_eq!(waiting["gates"][0]["name"], "soak");

    // Something newer arrives while the first waits: the first is offered when its own time is over.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    world.push("web", "1.6.0").await;
    let first = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    assert!(text_of(&world, first).contains("| `soak` | ✅ passed |"), "{}", text_of(&world, first));
    // And the newer one takes its place after its own.
    assert_eq!(world.wait_for_pull("Promote web 1.6.0 to staging").await, first);
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_chose_waits_until_it_is_old_enough_and_is_merged_then() {
    let rules = "    gates: { minimumAge: 4s }\n    pullRequest: { draft: true, autoMerge: true }\n";
    let world = GithubWorld::start(only_prod(rules), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    assert!(text_of(&world, number).contains("| `minimumAge` | ⏳ waiting |"), "{}", text_of(&world, number));
    world.wait_for_file(FILE, "web:1.5.0").await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_tag_that_was_too_young_is_committed_once_it_is_old_enough() {
    let settings = "images:\n  - name: web\n    image: HOST/acme/web\n    policy: { digest: { tag: main } }\n    pin: tagAndDigest\n\
                    environments:\n  - name: dev\n    paths: [apps/dev]\n    deliver: commit\n    gates: { minimumAge: 4s }\n";
    let world = GithubWorld::start(with(settings), |setup, repository| setup.repository(repository)).await;
    for seed in ["one", "two"] {
        let digest = world.registry.push_image("acme/web", "main", seed).await;
        world.wait_for_file("apps/dev/web.yaml", &format!("web:main@{digest}")).await;
    }
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_hold_the_merge_until_they_are_green_on_the_pull_request() {
    let setup = with(&staging("    gates: { checks: [e2e] }\n    pullRequest: { autoMerge: true }\n"));
    let world = GithubWorld::start(setup, |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    let head = head_of(&world, pull);
    let waiting = wait_for_gates(&world, &head, "pending").await;
    assert_eq!(waiting, "checks waiting: e2e not reported yet on the pull request");
    assert!(
        text_of(&world, pull).contains("| `checks` | ⏳ waiting | e2e not reported yet"),
        "{}",
        text_of(&world, pull)
    );

    let bob = world.github.person("bob");
    bob.set_status(REPOSITORY, &head, "e2e", "failure");
    let failed = wait_for_gates(&world, &head, "failure").await;
    assert_eq!(failed, "checks failed: e2e failed on the pull request");
    world.wait_until_quiet().await;
    assert!(!is_merged(&world, pull));

    bob.set_status(REPOSITORY, &head, "e2e", "success");
    world.wait_until_closed(pull).await;
    assert!(is_merged(&world, pull));
    world.wait_for_pull("Promote web 1.5.0 to prod").await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_on_the_commit_upstream_is_enough() {
    let setup = with(&staging("    gates: { checks: [e2e] }\n    pullRequest: { autoMerge: true }\n"));
    let world = GithubWorld::start(setup, |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    let upstream = world.github.head(REPOSITORY, "main").unwrap();
    assert!(world.github.message(REPOSITORY, &upstream).starts_with("Update web to 1.5.0 in dev"));
    world.github.person("bob").set_status(REPOSITORY, &upstream, "e2e", "success");
    world.wait_until_closed(pull).await;
    assert!(is_merged(&world, pull));
    world.wait_for_file("apps/staging/web.yaml", "web:1.5.0").await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_approve_before_it_is_merged() {
    let setup = with(&staging("    gates: { approvals: 2, minimumAge: 1s }\n    pullRequest: { autoMerge: true }\n"));
    let world = GithubWorld::start(setup, |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    let text = text_of(&world, pull);
    assert!(text.contains("| `minimumAge` | ✅ passed |") && text.contains("0 of 2 approvals"), "{text}");
    let head = head_of(&world, pull);
    world.github.person("bob").review(REPOSITORY, pull, Verdict::Approve, "fine");
    world
        .wait("one approval", async |world| {
            gates_status(world, &head).is_some_and(|(_, text)| text.contains("1 of 2 approvals"))
        })
        .await;
    assert!(!is_merged(&world, pull));
    world.github.person("alice").review(REPOSITORY, pull, Verdict::Approve, "fine");
    world.wait_until_closed(pull).await;
    assert!(is_merged(&world, pull));
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_window_holds_a_merge() {
    let window = format!("{} 09:00-10:00 UTC", weekday(2));
    let lines = format!("    gates: {{ window: \"{window}\" }}\n    pullRequest: {{ autoMerge: true }}\n");
    let world = GithubWorld::start(with(&staging(&lines)), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    let waiting = wait_for_gates(&world, &head_of(&world, pull), "pending").await;
    assert!(waiting.starts_with("window waiting until ") && waiting.ends_with(&window), "{waiting}");
    assert!(text_of(&world, pull).contains("| `window` | ⏳ waiting |"), "{}", text_of(&world, pull));
    world.wait_until_quiet().await;
    assert!(!is_merged(&world, pull));
    // Whoever may pass over gates does not have to wait for it.
    let (code, text) = tell(&world, &["promote", "web", "1.5.0", "staging", "--reason", "urgent"]);
    assert_eq!(code, Some(0), "{text}");
    world.wait_until_closed(pull).await;
    assert!(is_merged(&world, pull));
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_window_holds_a_commit() {
    let gates = format!("    deliver: commit\n    gates: {{ window: \"{} 09:00-10:00 UTC\" }}\n", weekday(2));
    let settings = THREE.replacen("    deliver: commit\n", &gates, 1);
    let world = GithubWorld::start(with(&settings), |setup, repository| setup.repository(repository)).await;
    let before = world.github.head(REPOSITORY, "main");
    world.push("web", "1.5.0").await;
    world
        .wait("a window that is waited for", async |world| {
            reasons(world, "dev", "web").await.contains("1.5.0 waits: window waiting until")
        })
        .await;
    world.wait_until_quiet().await;
    assert_eq!(world.github.head(REPOSITORY, "main"), before);
    let (_, status) = tell(&world, &["status"]);
    assert!(status.contains("1.5.0 waits") && status.contains("window waiting until"), "{status}");
    // Without the window it comes at once.
    world.github.person("alice").push(
        REPOSITORY,
        "main",
        "any time",
        &[(".tagboat.yaml", Some(with_host(&world, THREE).as_str()))],
    );
    world.wait_for_file("apps/dev/web.yaml", "web:1.5.0").await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_nothing_can_open_is_an_error_of_the_configuration() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    let alice = world.github.person("alice");
    let wrong = with_host(&world, &staging("    gates: { rollout: healthy }\n"));
    let commit = alice.push(REPOSITORY, "main", "wait for agents", &[(".tagboat.yaml", Some(wrong.as_str()))]);
    world.wait("a check run", async |world| !check_runs(world, &commit).is_empty()).await;
    let runs = check_runs(&world, &commit);
    let run = runs.last().unwrap();
    assert!(run["name"] == "tagboat" && run["conclusion"] == "failure", "{run}");
    assert!(run["output"]["title"].as_str().unwrap().starts_with("no agent reports rollouts to this server"), "{run}");
    assert_eq!(run["output"]["annotations"][0]["path"], ".tagboat.yaml");
    let line = wrong.lines().position(|line| line.contains("rollout")).unwrap() + 1;
    assert_eq!(run["output"]["annotations"][0]["start_line"], line, "{run}");

    // Nothing is changed meanwhile, and the reason stands where one looks.
    let problem = "nothing is changed until it is mended: .tagboat.yaml:";
    world
        .wait("the problem of the branch", async |world| {
            let branches = world.get("/api/v1/branches").await;
            branches["branches"][0]["problem"].as_str().is_some_and(|text| text.starts_with(problem))
        })
        .await;
    let explained = world.run(&["explain", "web", "--config", "tagboat.yaml"]);
    assert!(String::from_utf8_lossy(&explained.stdout).contains(problem), "{explained:?}");
    world.push("web", "1.5.0").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(world.file("apps/dev/web.yaml").contains("web:1.4.0"));

    // Mended: the check of that commit is green, and what waited comes.
    let right = with_host(&world, THREE);
    let mended = alice.push(REPOSITORY, "main", "mended", &[(".tagboat.yaml", Some(right.as_str()))]);
    world.wait_for_file("apps/dev/web.yaml", "web:1.5.0").await;
    let runs = check_runs(&world, &mended);
    assert!(runs.last().is_some_and(|run| run["conclusion"] == "success"), "{runs:?}");
    world.wait_until_quiet().await;
    assert_eq!(world.get("/api/v1/branches").await["branches"][0]["problem"], serde_json::Value::Null);
    world.finish();
}
