//! The steps of a pull request's life that users of other bots know, one after the other.

use tagboat_testkit::github_world::{GithubWorld, REPOSITORY};

use super::{BRANCH, FILE, only_prod, three, web_at};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_when_nothing_is_new() {
    let mut world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.settle().await;
    assert!(world.github.writes().is_empty(), "{:?}", world.github.writes());

    // A new tag opens one pull request, and then it is silent, also through restarts and pushes that bring nothing.
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    let writes = world.github.writes().len();
    world.push("web", "1.5.0").await;
    world.push("web", "latest").await;
    world.push("web", "1.3.0").await;
    world.settle().await;
    world.restart_tagboat().await;
    world.restart_tagboat().await;
    assert_eq!(world.github.writes().len(), writes, "{:?}", world.github.writes());
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_tag_replaces_the_commit_and_the_title_of_the_same_pull_request() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    for tag in ["1.6.0", "1.7.0", "1.8.0"] {
        world.push("web", tag).await;
        assert_eq!(world.wait_for_pull(&format!("Update web to {tag} in prod")).await, number);
        let text = world.github.file(REPOSITORY, BRANCH, FILE).unwrap();
        assert!(text.contains(&format!("web:{tag} # moved by Tagboat")), "{text}");
        // One commit on the base, always.
        assert_eq!(Some(world.parent(BRANCH)), world.github.head(REPOSITORY, "main"));
    }
    world.settle().await;
    assert!(world.comments_of_app(number).is_empty());
    assert_eq!(world.closings(), 0, "its branch never points at its base");
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_moves_elsewhere_changes_nothing() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    let (writes, head, body) = (world.github.writes().len(), world.github.head(REPOSITORY, BRANCH), world.body(number));
    for text in ["one\n", "two\n"] {
        world.github.person("alice").push(REPOSITORY, "main", "Words", &[("README.md", Some(text))]);
        world.settle().await;
    }
    assert_eq!(world.body(number), body);
    assert_eq!(world.github.head(REPOSITORY, BRANCH), head);
    assert_eq!(world.github.writes().len(), writes, "{:?}", world.github.writes());
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_moves_in_the_same_file_has_it_built_anew() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    let text = web_at(&world.registry.host(), "1.4.0");
    let base = world.github.person("alice").push(REPOSITORY, "main", "A line", &[(FILE, Some(text.as_str()))]);
    world
        .wait("the commit on the new base", async |world| {
            let text = world.github.file(REPOSITORY, BRANCH, FILE).unwrap_or_default();
            text.contains("web:1.5.0") && text.contains("# written by hand")
        })
        .await;
    assert_eq!(world.parent(BRANCH), base);
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);
    assert_eq!(world.closings(), 0);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_commit_is_left_alone_until_the_box_is_ticked() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    let commit = world.github.person("bob").push(REPOSITORY, BRANCH, "Mine", &[("notes.txt", Some("mine\n"))]);
    world.wait_for_comment(number, "keeps its hands off").await;

    // Newer versions wait, and it is said once.
    for tag in ["1.6.0", "1.7.0"] {
        world.push("web", tag).await;
        world.settle().await;
        assert_eq!(world.github.head(REPOSITORY, BRANCH), Some(commit.clone()));
        assert_eq!(world.title(number), "Update web to 1.5.0 in prod");
        assert_eq!(world.comments_of_app(number).len(), 1);
    }

    // The box builds it anew, with the newest of them, and the person's commit is gone. The box is empty again.
    world.github.person("alice").tick(REPOSITORY, number, "Build this pull request anew");
    assert_eq!(world.wait_for_pull("Update web to 1.7.0 in prod").await, number);
    assert_eq!(Some(world.parent(BRANCH)), world.github.head(REPOSITORY, "main"));
    assert_eq!(world.github.file(REPOSITORY, BRANCH, "notes.txt"), None);
    world.settle().await;
    assert!(!world.body(number).contains("[x]"));

    // From now on it is kept up to date again.
    world.push("web", "1.8.0").await;
    assert_eq!(world.wait_for_pull("Update web to 1.8.0 in prod").await, number);
    world.settle().await;
    assert_eq!(world.comments_of_app(number).len(), 1);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_did_by_hand_closes_it_with_the_reason() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    let text = web_at(&world.registry.host(), "1.5.0");
    world.github.person("alice").push(REPOSITORY, "main", "By hand", &[(FILE, Some(text.as_str()))]);
    world.wait_until_closed(number).await;
    world.settle().await;
    assert_eq!(world.title(number), "Update web to 1.5.0 in prod - no longer needed");
    assert!(world.body(number).starts_with("**Closed by Tagboat, because it is needed no longer**"));
    assert_eq!(world.github.head(REPOSITORY, BRANCH), None, "its branch is gone");
    // Nobody said no: the same version comes again when it is needed again.
    assert!(world.comments_of_app(number).is_empty());
    assert_eq!(world.get("/api/v1/holds").await["holds"], serde_json::json!([]));

    world.push("web", "1.6.0").await;
    let next = world.wait_for_pull("Update web to 1.6.0 in prod").await;
    assert_ne!(next, number);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_for_a_file_that_is_gone_is_closed() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    world.settle().await;
    world.github.person("alice").push(REPOSITORY, "main", "No staging", &[("apps/staging/web.yaml", None)]);
    world.wait_until_closed(number).await;
    world.settle().await;
    assert!(world.body(number).starts_with("**Closed by Tagboat, because"), "{}", world.body(number));
    assert_eq!(world.get("/api/v1/holds").await["holds"], serde_json::json!([]), "nobody said no");
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_with_a_persons_commit_stays_open_when_nothing_needs_it() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    let commit = world.github.person("bob").push(REPOSITORY, BRANCH, "Mine", &[("notes.txt", Some("mine\n"))]);
    let text = web_at(&world.registry.host(), "1.5.0");
    world.github.person("alice").push(REPOSITORY, "main", "By hand", &[(FILE, Some(text.as_str()))]);
    world.wait_for_comment(number, "This is needed no longer").await;
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);
    assert_eq!(world.github.head(REPOSITORY, BRANCH), Some(commit));
    world.finish_quiet().await;
}
