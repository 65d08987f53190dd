//! What people want otherwise: reverts, rollbacks, holds, freezes; and that it outlives the database.

use tagboat_testkit::github_world::{GithubWorld, REPOSITORY};

use super::{
    THREE, WEB,
    asked::{answers, done, holds, image_in, is_merged, tell, with_host},
    three, with,
};

/// Take back by hand what Tagboat brought: the file as it was in the beginning.
fn take_back(world: &GithubWorld, path: &str) {
    let before = with_host(world, WEB);
    world.github.person("bob").push(REPOSITORY, "main", "Revert \"Update web\"", &[(path, Some(before.as_str()))]);
}

async fn wait_for_hold(world: &GithubWorld, words: &str) {
    let what = format!("a hold: {words}");
    world.wait(&what, async |world| holds(world).await.iter().any(|hold| hold.contains(words))).await;
}

/// The version runs in all three environments.
async fn everywhere(world: &GithubWorld, tag: &str) {
    world.push("web", tag).await;
    for environment in ["staging", "prod"] {
        let pull = world.wait_for_pull(&format!("Promote web {tag} to {environment}")).await;
        world.github.person("bob").merge(REPOSITORY, pull, "squash").unwrap();
        world.wait_for_file(&format!("apps/{environment}/web.yaml"), &format!("web:{tag}")).await;
    }
    world.wait_until_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_reverted_in_dev_stays_reverted_until_it_is_released() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let staging = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    take_back(&world, "apps/dev/web.yaml");
    wait_for_hold(&world, "web in dev is held by Tagboat").await;
    // It no longer runs upstream, so that it is offered no longer.
    world.wait_until_closed(staging).await;
    assert!(!is_merged(&world, staging));
    let image = image_in(&world, "dev", "web").await;
    assert!(image["version"]["tag"] == "1.4.0" && image["decision"]["outcome"] == "waiting", "{image}");
    let (_, status) = tell(&world, &["status"]);
    assert!(
        status.contains("web in dev is held by Tagboat") && status.contains("people went back from 1.5.0"),
        "{status}"
    );

    // Newer ones wait as well.
    world.push("web", "1.6.0").await;
    world.wait_until_quiet().await;
    assert_eq!(world.file("apps/dev/web.yaml"), with_host(&world, WEB));
    let released = done(&world, &["release", "--environment", "dev", "--image", "web"]);
    assert!(released.starts_with("done: Released:"), "{released}");
    assert!(!released.contains("&#"), "the answer is for a terminal: {released}");
    world.wait_for_file("apps/dev/web.yaml", "web:1.6.0").await;
    world.wait_for_pull("Promote web 1.6.0 to staging").await;
    assert!(holds(&world).await.is_empty());
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_taken_back_holds_the_whole() {
    let mut setup = three();
    setup.files.push(("apps/dev/second.yaml".to_owned(), WEB.to_owned()));
    let world = GithubWorld::start(setup, |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    world.wait_for_file("apps/dev/second.yaml", "web:1.5.0").await;
    world.wait_for_pull("Promote web 1.5.0 to staging").await;
    take_back(&world, "apps/dev/second.yaml");
    wait_for_hold(&world, "web in dev is held by Tagboat").await;
    world.push("web", "1.6.0").await;
    world.wait_until_quiet().await;
    assert!(world.file("apps/dev/second.yaml").contains("web:1.4.0"));
    assert!(world.file("apps/dev/web.yaml").contains("web:1.5.0"));
    done(&world, &["release", "--environment", "dev"]);
    world.wait_for_file("apps/dev/second.yaml", "web:1.6.0").await;
    assert!(world.file("apps/dev/web.yaml").contains("web:1.6.0"));
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_pull_request_that_is_reverted_is_not_offered_again() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    everywhere(&world, "1.5.0").await;
    take_back(&world, "apps/prod/web.yaml");
    wait_for_hold(&world, "web in prod is held by Tagboat").await;
    world.wait_until_quiet().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    let (_, status) = tell(&world, &["status"]);
    assert!(status.contains("web in prod is held by Tagboat"), "{status}");
    // Nothing is offered to staging, which runs it: what was decided before it was merged is over.
    let staging = image_in(&world, "staging", "web").await;
    assert_eq!(staging["version"]["tag"], "1.5.0");
    assert_eq!(staging["decision"]["outcome"], "nothing", "{staging}");
    done(&world, &["release", "--environment", "prod", "--image", "web"]);
    let again = world.wait_for_pull("Promote web 1.5.0 to prod").await;
    let offered = format!("1.5.0 offered in #{again}");
    world.wait(&offered, async |world| done(world, &["status"]).contains(&offered)).await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_back_and_stays_there() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let staging = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    world.github.person("bob").merge(REPOSITORY, staging, "merge").unwrap();
    world.wait_for_pull("Promote web 1.5.0 to prod").await;
    world.push("web", "1.6.0").await;
    let next = world.wait_for_pull("Promote web 1.6.0 to staging").await;

    // By a comment, where changes come by pull request: one that goes back.
    let text = "/tagboat rollback to 1.4.0 in staging because it is slow";
    world.github.person("bob").comment(REPOSITORY, next, text);
    let answer = world.wait_for_comment(next, "web in staging is kept at 1.4.0 by bob").await;
    assert!(answer.contains("it is slow"), "{answer}");
    let back = world.wait_for_pull("Roll web back to 1.4.0 in staging").await;
    world.github.person("bob").merge(REPOSITORY, back, "merge").unwrap();
    world.wait_for_file("apps/staging/web.yaml", "web:1.4.0 # moved by Tagboat").await;

    // On the command line, where they come by commit: at once.
    let told = done(&world, &["rollback", "--environment", "dev", "--image", "web", "--reason", "slow", "--by", "Ann"]);
    assert!(told.contains("web in dev is kept at 1.5.0"), "{told}");
    world.wait_for_file("apps/dev/web.yaml", "web:1.5.0 # moved by Tagboat").await;
    world.push("web", "1.7.0").await;
    world.wait_until_quiet().await;
    assert!(world.file("apps/dev/web.yaml").contains("web:1.5.0"));
    assert!(world.file("apps/staging/web.yaml").contains("web:1.4.0"));

    // What never was cannot be gone back to.
    let unknown = ["rollback", "--environment", "dev", "--image", "web", "--to", "1.9.9", "--reason", "slow"];
    let (code, told) = tell(&world, &unknown);
    assert!(code == Some(2) && told.contains("`1.9.9`"), "{code:?} {told}");
    done(&world, &["release", "--environment", "dev"]);
    world.wait_for_file("apps/dev/web.yaml", "web:1.7.0").await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_stops_everything_and_a_hold_one_thing() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let first = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    done(&world, &["freeze", "--reason", "holidays"]);
    world.wait_until_closed(first).await;
    let (code, told) = tell(&world, &["freeze", "--reason", "holidays"]);
    assert!(code == Some(3) && told.contains("It is so already"), "{code:?} {told}");
    world.push("web", "1.6.0").await;
    world.wait_until_quiet().await;
    assert!(world.file("apps/dev/web.yaml").contains("web:1.5.0"));
    let (_, status) = tell(&world, &["status"]);
    assert!(status.contains("everything is frozen by"), "{status}");
    // It ends by its id.
    let frozen = world.get("/api/v1/holds").await;
    let id = frozen["holds"][0]["id"].as_str().unwrap().to_owned();
    done(&world, &["release", "--id", &id]);
    world.wait_for_file("apps/dev/web.yaml", "web:1.6.0").await;
    let second = world.wait_for_pull("Promote web 1.6.0 to staging").await;

    done(&world, &["hold", "--environment", "staging", "--image", "web", "--reason", "a fault"]);
    world.wait_until_closed(second).await;
    world.push("web", "1.7.0").await;
    world.wait_for_file("apps/dev/web.yaml", "web:1.7.0").await;
    world.wait_until_quiet().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    done(&world, &["release", "--environment", "staging"]);
    world.wait_for_pull("Promote web 1.7.0 to staging").await;
    let (code, told) = tell(&world, &["release", "--environment", "staging"]);
    assert_eq!(code, Some(3), "{told}");
    // Doing without the version that is offered: the next best is.
    done(&world, &["skip", "--environment", "staging", "--image", "web"]);
    world.wait_for_pull("Promote web 1.6.0 to staging").await;
    world.push("web", "1.8.0").await;
    world.wait_for_pull("Promote web 1.8.0 to staging").await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_what_an_approver_asked_for_means_no_as_well() {
    let world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    world.wait_for_pull("Promote web 1.5.0 to staging").await;
    done(&world, &["promote", "web", "1.5.0", "prod", "--reason", "hotfix"]);
    let hotfix = world.wait_for_pull("Promote web 1.5.0 to prod").await;
    world.github.person("bob").close(REPOSITORY, hotfix);
    world.wait_for_comment(hotfix, "brings neither this version nor an older one to **prod**").await;
    world.push("other", "1.0.0").await;
    world.wait_until_quiet().await;
    for number in world.github.open_pulls(REPOSITORY) {
        let title = world.github.pull(REPOSITORY, number)["title"].clone();
        assert_eq!(title, "Promote web 1.5.0 to staging", "the comment said no");
    }
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_and_refusals_outlive_the_database() {
    let mut world = GithubWorld::start(three(), |setup, repository| setup.repository(repository)).await;
    everywhere(&world, "1.5.0").await;
    take_back(&world, "apps/dev/web.yaml");
    wait_for_hold(&world, "web in dev is held by Tagboat").await;
    done(&world, &["promote", "web", "1.4.0", "staging", "--reason", "compare"]);
    let refused = world.wait_for_pull("web").await;
    world.github.person("bob").comment(REPOSITORY, refused, "/tagboat explain");
    world.wait("an answer", async |world| !answers(world, refused).is_empty()).await;
    done(&world, &["hold", "--environment", "prod", "--reason", "a fault"]);
    world.wait_until_quiet().await;
    let (wanted, said) = (holds(&world).await, answers(&world, refused));
    assert!(wanted.len() >= 2, "{wanted:?}");

    world.terminate_tagboat();
    for name in ["tagboat.db", "tagboat.db-wal", "tagboat.db-shm"] {
        let path = world.folder.path().join("data").join(name);
        if path.exists() {
            std::fs::remove_file(path).unwrap();
        }
    }
    world.start_tagboat();
    world.wait_until_started().await;
    world.wait_until_quiet().await;
    assert_eq!(holds(&world).await, wanted);
    assert_eq!(answers(&world, refused), said, "nothing is said twice");
    assert!(world.file("apps/dev/web.yaml").contains("web:1.4.0"));
    done(&world, &["release", "--environment", "dev"]);
    world.wait_for_file("apps/dev/web.yaml", "web:1.5.0").await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_outlives_the_database_and_is_commented_once() {
    let settings = THREE.replacen(
        "  - name: prod\n    paths: [apps/prod]\n    promoteFrom: staging\n    deliver: pullRequest\n",
        "",
        1,
    );
    let mut world = GithubWorld::start(with(&settings), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    world.github.person("bob").close(REPOSITORY, pull);
    world.wait_for_comment(pull, "1.5.0").await;
    world.wait_until_quiet().await;
    world.terminate_tagboat();
    std::fs::remove_dir_all(world.folder.path().join("data")).unwrap();
    world.start_tagboat();
    world.wait_until_started().await;
    world.wait_until_quiet().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    assert_eq!(answers(&world, pull).len(), 1);
    done(&world, &["release", "--environment", "staging"]);
    world.wait_for_pull("Promote web 1.5.0 to staging").await;
    world.finish();
}
