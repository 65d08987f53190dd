//! Closing a pull request means no, and how one comes back to it.

use tagboat_testkit::github_world::{GithubWorld, REPOSITORY};

use super::{BRANCH, only_prod, three};

#[tokio::test(flavor = "multi_thread")]
async fn closing_refuses_this_version_for_good_and_says_so_once() {
    let mut world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.github.person("bob").close(REPOSITORY, number);
    let comment = world.wait_for_comment(number, "brings neither this version nor an older one to **prod**").await;
    assert!(comment.contains("- web `1.5.0@sha256:"), "{comment}");
    world.settle().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    assert_eq!(world.github.head(REPOSITORY, BRANCH), None);
    assert!(world.explain("web").contains("#1 was closed"), "{}", world.explain("web"));

    // Also after a restart, after the loss of the database, and when it is pushed once more.
    world.restart_tagboat().await;
    world.lose_database().await;
    let writes = world.github.writes().len();
    world.push("web", "1.5.0").await;
    world.settle().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    assert_eq!(world.comments_of_app(number).len(), 1);
    assert_eq!(world.github.writes().len(), writes);

    // A newer one opens a new one, under the same branch.
    world.push("web", "1.6.0").await;
    let next = world.wait_for_pull("Update web to 1.6.0 in prod").await;
    assert_ne!(next, number);
    assert_eq!(world.github.pull(REPOSITORY, next)["head"]["ref"], BRANCH);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_does_not_offer_the_versions_before_it() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    for tag in ["1.5.0", "1.6.0"] {
        world.push("web", tag).await;
        world.wait_for_pull(&format!("Update web to {tag} in prod")).await;
    }
    let [number] = world.github.open_pulls(REPOSITORY)[..] else { panic!("one pull request") };
    world.github.person("bob").close(REPOSITORY, number);
    world.wait_for_comment(number, "A newer version opens a pull request of its own").await;
    world.settle().await;
    // 1.5.0 had been replaced by what was refused: nobody asked to have it back.
    let open = world.github.open_pulls(REPOSITORY);
    assert!(open.is_empty(), "{:?}", open.iter().map(|number| world.title(*number)).collect::<Vec<_>>());
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_a_promotion_does_not_offer_what_ran_upstream_before_it() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    for tag in ["1.5.0", "1.6.0"] {
        world.push("web", tag).await;
        world.wait_for_pull(&format!("Promote web {tag} to staging")).await;
    }
    let [number] = world.github.open_pulls(REPOSITORY)[..] else { panic!("one pull request") };
    world.github.person("bob").close(REPOSITORY, number);
    world.wait_for_comment(number, "A newer version opens a pull request of its own").await;
    world.settle().await;
    let open = world.github.open_pulls(REPOSITORY);
    assert!(open.is_empty(), "{:?}", open.iter().map(|number| world.title(*number)).collect::<Vec<_>>());
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reopening_takes_the_no_back_and_closing_again_says_it_again() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    let head = world.github.head(REPOSITORY, BRANCH).unwrap();
    let bob = world.github.person("bob");
    bob.close(REPOSITORY, number);
    world.wait_for_comment(number, "brings neither this version").await;
    world.settle().await;

    // As in the browser: the branch is restored, and then it can be opened again.
    bob.set_branch(REPOSITORY, BRANCH, &head);
    bob.reopen(REPOSITORY, number).unwrap();
    world
        .wait("the hold to go", async |world| world.get("/api/v1/holds").await["holds"] == serde_json::json!([]))
        .await;
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);
    world.push("web", "1.6.0").await;
    assert_eq!(world.wait_for_pull("Update web to 1.6.0 in prod").await, number);

    bob.close(REPOSITORY, number);
    world.wait_for_comment(number, "- web `1.6.0@sha256:").await;
    world.settle().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    assert_eq!(world.comments_of_app(number).len(), 2);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_branch_is_a_no_as_well() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    world.github.person("bob").delete_branch(REPOSITORY, BRANCH);
    world.wait_for_comment(number, "brings neither this version").await;
    world.settle().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    assert_eq!(world.github.head(REPOSITORY, BRANCH), None);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_one_with_a_persons_commit_does_not_stand_in_the_way_of_newer_versions() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    let bob = world.github.person("bob");
    let commit = bob.push(REPOSITORY, BRANCH, "Mine", &[("notes.txt", Some("mine\n"))]);
    world.wait_for_comment(number, "keeps its hands off").await;
    bob.close(REPOSITORY, number);
    world.wait_for_comment(number, "brings neither this version").await;
    world.settle().await;
    // What was not merged is not thrown away by the no.
    assert_eq!(world.github.head(REPOSITORY, BRANCH), Some(commit));

    // As the comment says, a newer version opens a pull request of its own.
    let writes = world.github.writes().len();
    world.push("web", "1.6.0").await;
    let next = world.wait_for_pull("Update web to 1.6.0 in prod").await;
    assert_ne!(next, number);
    world.settle().await;
    assert!(world.github.writes().len() < writes + 20, "{:?}", world.github.writes());
    world.finish_quiet().await;
}
