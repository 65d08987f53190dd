//! Layouts: branches, folders, several environments from one, and a branch that takes no commits.

use tagboat_testkit::{
    github::Protection,
    github_world::{GithubSetup, GithubWorld, REPOSITORY},
};

use super::{IMAGES, WEB, three, with};

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_for_each_environment() {
    let settings = format!(
        "{IMAGES}environments:\n  - name: dev\n    branch: main\n    paths: [apps]\n    deliver: commit\n  - name: staging\n\
         \x20   branch: env/staging\n    promoteFrom: dev\n    deliver: pullRequest\n  - name: prod\n    branch: env/prod\n\
         \x20   promoteFrom: staging\n    deliver: pullRequest\n"
    );
    let setup = GithubSetup::new(env!("CARGO_BIN_EXE_tagboat"), &settings, &[("apps/web.yaml", WEB)]);
    let mut world = GithubWorld::prepare(setup, |setup, repository| setup.repository(repository));
    let start = world.github.head(REPOSITORY, "main").unwrap();
    for branch in ["env/staging", "env/prod"] {
        world.github.person("alice").set_branch(REPOSITORY, branch, &start);
    }
    world.push("web", "1.4.0").await;
    world.start_tagboat();
    world.wait_until_started().await;
    world.settle().await;

    world.push("web", "1.5.0").await;
    world.wait_for_file("apps/web.yaml", "web:1.5.0").await;
    let staging = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    assert_eq!(world.github.pull(REPOSITORY, staging)["base"]["ref"], "env/staging");
    assert_eq!(world.parent("tagboat/staging/web"), start, "on its own branch, not on that of dev");
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [staging]);

    world.github.person("bob").merge(REPOSITORY, staging, "squash").unwrap();
    let prod = world.wait_for_pull("Promote web 1.5.0 to prod").await;
    assert_eq!(world.github.pull(REPOSITORY, prod)["base"]["ref"], "env/prod");
    world.github.person("bob").merge(REPOSITORY, prod, "merge").unwrap();
    world.settle().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    let text = world.github.file(REPOSITORY, "env/prod", "apps/web.yaml").unwrap();
    assert!(text.contains("web:1.5.0 # moved by Tagboat"), "{text}");

    // A no in prod says nothing of staging.
    world.push("web", "1.6.0").await;
    let staging = world.wait_for_pull("Promote web 1.6.0 to staging").await;
    world.github.person("bob").merge(REPOSITORY, staging, "merge").unwrap();
    let prod = world.wait_for_pull("Promote web 1.6.0 to prod").await;
    world.github.person("bob").close(REPOSITORY, prod);
    world.wait_for_comment(prod, "brings neither this version nor an older one to **prod**").await;
    world.settle().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    let text = world.github.file(REPOSITORY, "env/staging", "apps/web.yaml").unwrap();
    assert!(text.contains("web:1.6.0"), "{text}");
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_environments_from_one_go_their_own_ways() {
    let settings = format!(
        "{IMAGES}environments:\n  - name: dev\n    paths: [apps/dev]\n    deliver: commit\n  - name: staging\n    paths: [apps/staging]\n\
         \x20   promoteFrom: dev\n    deliver: pullRequest\n  - name: prod\n    paths: [apps/prod]\n    promoteFrom: dev\n\
         \x20   deliver: pullRequest\n"
    );
    let world = GithubWorld::start(with(&settings), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let staging = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    let prod = world.wait_for_pull("Promote web 1.5.0 to prod").await;
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY).len(), 2);

    // One is merged and one is closed, each for itself.
    world.github.person("bob").merge(REPOSITORY, staging, "merge").unwrap();
    world.wait_for_file("apps/staging/web.yaml", "web:1.5.0").await;
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [prod]);
    world.github.person("bob").close(REPOSITORY, prod);
    world.wait_for_comment(prod, "brings neither this version nor an older one to **prod**").await;
    world.settle().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    assert!(world.file("apps/prod/web.yaml").contains("web:1.4.0"));
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_branch_gets_a_pull_request_that_says_why() {
    let world = GithubWorld::start(three(), |setup, repository| {
        let protection = Protection { refuses_pushes: true, ..Protection::default() };
        setup.repository(repository.protected("main", protection))
    })
    .await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in dev").await;
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);
    assert!(world.file("apps/dev/web.yaml").contains("web:1.4.0"));
    let said = format!("{}\n{}", world.body(number), world.explain("web")).to_lowercase();
    assert!(said.contains("protect") || said.contains("refuse"), "why it is no commit is said:\n{said}");

    // The next one does not ask for a refusal first, and a merge goes on to staging.
    let refused = world.github.requests().iter().filter(|seen| seen.operation.contains("createCommitOnBranch")).count();
    world.push("web", "1.6.0").await;
    assert_eq!(world.wait_for_pull("Update web to 1.6.0 in dev").await, number);
    let again = world.github.requests().iter().filter(|seen| seen.operation.contains("createCommitOnBranch")).count();
    assert_eq!(again, refused);
    world.github.person("bob").merge(REPOSITORY, number, "merge").unwrap();
    world.wait_for_pull("Promote web 1.6.0 to staging").await;
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_merged_is_not_said_to_be_offered_still() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let staging = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    world.settle().await;
    assert!(world.explain("web").contains(&format!("offered in #{staging}")), "{}", world.explain("web"));
    world.github.person("bob").merge(REPOSITORY, staging, "merge").unwrap();
    world.wait_for_pull("Promote web 1.5.0 to prod").await;
    world.settle().await;
    let said = world.explain("web");
    let staging = said.lines().find(|line| line.starts_with("web in staging:")).unwrap_or_default();
    assert!(!staging.contains("offered"), "{said}");
    world.finish_quiet().await;
}
