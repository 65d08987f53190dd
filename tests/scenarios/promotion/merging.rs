//! Approved, waiting to be merged, merged: by people, by the forge, by Tagboat.

use tagboat_testkit::{
    github::{FakeGithub, Protection, Verdict},
    github_world::{GithubWorld, REPOSITORY},
};

use super::{BRANCH, FILE, only_prod, with};

/// A branch that needs this check.
fn needs_ci() -> Protection {
    Protection { required_checks: vec!["ci".to_owned()], ..Protection::default() }
}

/// A check on the head of the pull request.
fn report(github: &FakeGithub, word: &str) {
    let head = github.head(REPOSITORY, BRANCH).unwrap();
    github.person("alice").set_status(REPOSITORY, &head, "ci", word);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_one_is_not_replaced_and_what_is_newer_comes_after_it() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.github.person("alice").review(REPOSITORY, number, Verdict::Approve, "");
    world.settle().await;
    let head = world.github.head(REPOSITORY, BRANCH);
    world.push("web", "1.6.0").await;
    world.settle().await;
    assert_eq!(world.title(number), "Update web to 1.5.0 in prod");
    assert_eq!(world.github.head(REPOSITORY, BRANCH), head);
    assert_eq!(world.comments_of_app(number).len(), 0);

    // It is merged as it was approved; then the newer one is offered, although nothing is pushed any more.
    world.github.person("bob").merge(REPOSITORY, number, "merge").unwrap();
    world.wait_for_file(FILE, "web:1.5.0").await;
    let next = world.wait_for_pull("Update web to 1.6.0 in prod").await;
    assert_ne!(next, number);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_one_is_replaced_where_that_is_wanted() {
    let rules = "    pullRequest: { supersede: always }\n";
    let world = GithubWorld::start(only_prod(rules), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.github.person("alice").review(REPOSITORY, number, Verdict::Approve, "");
    world.settle().await;
    world.push("web", "1.6.0").await;
    assert_eq!(world.wait_for_pull("Update web to 1.6.0 in prod").await, number);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_in_the_merge_queue_is_not_replaced() {
    let world = GithubWorld::start(only_prod(""), |setup, mut repository| {
        repository.merge_queue = true;
        setup.repository(repository)
    })
    .await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    world.github.person("bob").auto_merge(REPOSITORY, number, "merge");
    world.settle().await;
    let head = world.github.head(REPOSITORY, BRANCH);
    world.push("web", "1.6.0").await;
    world.settle().await;
    assert_eq!(world.github.head(REPOSITORY, BRANCH), head);
    world.github.run_merge_queue(REPOSITORY);
    world.wait_for_file(FILE, "web:1.5.0").await;
    world.wait_for_pull("Update web to 1.6.0 in prod").await;
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_forge_merges_by_itself_once_the_required_check_is_green() {
    let rules = "    pullRequest: { autoMerge: true, mergeMethod: squash }\n";
    let world = GithubWorld::start(only_prod(rules), |setup, mut repository| {
        repository.allow_auto_merge = true;
        setup.repository(repository.protected("main", needs_ci()))
    })
    .await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world
        .wait("auto-merge", async |world| {
            world.github.pull(REPOSITORY, number)["auto_merge"]["merge_method"] == "squash"
        })
        .await;
    report(&world.github, "pending");
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);
    report(&world.github, "success");
    world.wait_for_file(FILE, "web:1.5.0").await;
    world.settle().await;
    assert_eq!(world.github.head(REPOSITORY, BRANCH), None, "its branch is taken away");
    let merges = world.github.writes().iter().filter(|seen| seen.path.ends_with("/merge")).count();
    assert_eq!(merges, 0, "the forge did it");
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_auto_merge_at_the_forge_tagboat_merges_the_head_that_is_green() {
    let rules = "    pullRequest: { autoMerge: true }\n";
    let world = GithubWorld::start(only_prod(rules), |setup, repository| {
        setup.repository(repository.protected("main", needs_ci()))
    })
    .await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    report(&world.github, "pending");
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);
    let head = world.github.head(REPOSITORY, BRANCH).unwrap();
    report(&world.github, "success");
    world.wait_for_file(FILE, "web:1.5.0").await;
    world.settle().await;
    let writes = world.github.writes();
    let merge = writes.iter().find(|seen| seen.path.ends_with("/merge")).unwrap();
    assert_eq!(merge.body["sha"], head.as_str(), "bound to what was green");
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gates_of_the_environment_hold_the_merge_and_let_it_go() {
    let rules = "    pullRequest: { autoMerge: true }\n    gates: { checks: [ci], approvals: 1 }\n";
    for native in [true, false] {
        let world = GithubWorld::start(only_prod(rules), |setup, mut repository| {
            repository.allow_auto_merge = native;
            setup.repository(repository)
        })
        .await;
        world.push("web", "1.5.0").await;
        let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
        world.settle().await;
        report(&world.github, "success");
        world.settle().await;
        assert_eq!(world.github.open_pulls(REPOSITORY), [number], "an approval is missing");
        world.github.person("alice").review(REPOSITORY, number, Verdict::Approve, "");
        world.wait_for_file(FILE, "web:1.5.0").await;
        world.finish_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_after_the_approval_is_not_merged() {
    let rules = "    pullRequest: { autoMerge: true }\n    gates: { checks: [ci], approvals: 1 }\n";
    let world = GithubWorld::start(only_prod(rules), |setup, mut repository| {
        repository.allow_auto_merge = true;
        setup.repository(repository.protected("main", needs_ci()))
    })
    .await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.github.person("alice").review(REPOSITORY, number, Verdict::Approve, "");
    world.settle().await;
    world.github.person("bob").push(REPOSITORY, BRANCH, "Smuggled", &[("evil.txt", Some("x\n"))]);
    world.wait_for_comment(number, "keeps its hands off").await;
    world.settle().await;
    report(&world.github, "success");
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);
    assert!(world.file(FILE).contains("web:1.4.0"));
    assert_eq!(world.github.file(REPOSITORY, "main", "evil.txt"), None);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_failed_lets_the_next_version_in() {
    let rules = "    pullRequest: { autoMerge: true }\n";
    let world = GithubWorld::start(only_prod(rules), |setup, mut repository| {
        repository.allow_auto_merge = true;
        setup.repository(repository.protected("main", needs_ci()))
    })
    .await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    report(&world.github, "failure");
    world.settle().await;
    world.push("web", "1.6.0").await;
    assert_eq!(world.wait_for_pull("Update web to 1.6.0 in prod").await, number);
    world.settle().await;
    report(&world.github, "success");
    world.wait_for_file(FILE, "web:1.6.0").await;
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_draft_while_it_soaks_and_ready_afterwards() {
    let settings = format!(
        "{}environments:\n  - name: dev\n    paths: [apps/dev]\n    deliver: commit\n  - name: prod\n    paths: [apps/prod]\n\
         \x20   promoteFrom: dev\n    deliver: pullRequest\n    gates: {{ soak: 8s }}\n    pullRequest: {{ draft: true }}\n",
        super::IMAGES
    );
    let world = GithubWorld::start(with(&settings), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Promote web 1.5.0 to prod").await;
    assert_eq!(world.github.pull(REPOSITORY, number)["draft"], true);
    assert!(world.body(number).contains("soak"), "{}", world.body(number));
    // Nobody has to do anything for it.
    world.wait("the end of the soak", async |world| world.github.pull(REPOSITORY, number)["draft"] == false).await;
    assert_eq!(world.title(number), "Promote web 1.5.0 to prod");
    world.finish_quiet().await;
}
