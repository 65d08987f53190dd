//! From a push to production: the life of pull requests.

use tagboat_testkit::github_world::{GithubWorld, REPOSITORY};

use super::three;

#[tokio::test(flavor = "multi_thread")]
async fn a_version_goes_from_dev_by_commit_to_prod_by_pull_requests() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());

    // A push lands in dev by itself, and is offered to staging.
    world.push("web", "1.5.0").await;
    world.wait_for_file("apps/dev/web.yaml", "web:1.5.0 # moved by Tagboat").await;
    let staging = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    assert!(world.file("apps/staging/web.yaml").contains("web:1.4.0"));

    // Something newer comes: the same pull request offers it.
    world.push("web", "1.6.0").await;
    let updated = world.wait_for_pull("Promote web 1.6.0 to staging").await;
    assert_eq!(updated, staging);
    assert_eq!(world.github.open_pulls(REPOSITORY), [staging]);

    // Merging it promotes exactly that, and prod is offered next.
    world.github.person("bob").merge(REPOSITORY, staging, "merge").unwrap();
    world.wait_for_file("apps/staging/web.yaml", "web:1.6.0 # moved by Tagboat").await;
    let prod = world.wait_for_pull("Promote web 1.6.0 to prod").await;

    // Closing it means no: one comment, and silence.
    world.github.person("bob").close(REPOSITORY, prod);
    world.wait_for_comment(prod, "1.6.0").await;
    world.wait_until_quiet().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());

    // A newer one is offered anew, once it has gone through staging.
    world.push("web", "1.7.0").await;
    let staging = world.wait_for_pull("Promote web 1.7.0 to staging").await;
    world.github.person("bob").merge(REPOSITORY, staging, "squash").unwrap();
    let again = world.wait_for_pull("Promote web 1.7.0 to prod").await;
    assert_ne!(again, prod);
    world.wait_until_quiet().await;
    what_the_forge_was_asked_is_counted(&world).await;
    world.finish();
}

async fn what_the_forge_was_asked_is_counted(world: &GithubWorld) {
    let metrics = world.http.get(world.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let counted = |sample: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{sample} is missing:\n{metrics}")).parse::<f64>().unwrap()
    };
    let opened = r#"tagboat_forge_calls_total{forge="github",operation="openPullRequest",outcome="answered"}"#;
    assert!(counted(opened) >= 4.0, "to staging twice, and to prod twice");
    assert!(counted("tagboat_decisions_total{outcome=\"offered\"}") > 0.0);
    assert!(counted("tagboat_pushes_total{outcome=\"landed\"}") >= 5.0);
}
