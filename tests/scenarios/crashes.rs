//! The process ends at any moment; what was answered with success is done once.

use crate::world::over_http;

#[tokio::test]
async fn what_was_accepted_survives_a_kill_and_is_done_once() {
    let mut world = over_http().await;
    world.wait_until_started().await;
    for patch in 1..=8 {
        let tag = format!("1.5.{patch}");
        world.registry.push_image("acme/quiet", &tag, &tag).await;
        world.registry.push_image("acme/web", &tag, &tag).await;
        let (status, _) = world.announce(&format!("job-{patch}"), &world.announcement("web", &tag)).await;
        assert_eq!(status, 202);
        // From "at once" to "just about done", different in every round.
        tokio::time::sleep(std::time::Duration::from_millis(patch * 7)).await;
        world.kill_tagboat();
        world.start_tagboat();
        let expect = format!("newTag: \"{tag}\"");
        world
            .wait("the update", async |world| world.config.file("apps/dev/kustomization.yaml").contains(&expect))
            .await;
    }
    let subjects = tagboat_testkit::git(&world.config.path(), &["log", "--format=%s", "main"]);
    let mut updates: Vec<&str> = subjects.lines().filter(|line| line.starts_with("Update web")).collect();
    let all = updates.len();
    updates.dedup();
    assert_eq!((all, updates.len()), (8, 8), "{subjects}");
    world.config.check_integrity();
}

#[tokio::test]
async fn people_who_push_at_the_same_time_lose_nothing() {
    let world = over_http().await;
    world.wait_until_started().await;
    for round in 1..=6 {
        let tag = format!("1.6.{round}");
        let pushed = world.registry.push_image("acme/web", &tag, &tag);
        let person = async {
            for note in 0..3 {
                let path = format!("notes/{round}-{note}.md");
                world.config.commit_as_person("A note", &[(path.as_str(), "note\n")]);
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(pushed, person);
    }
    world
        .wait("the last update", async |world| world.config.file("apps/dev/kustomization.yaml").contains("1.6.6"))
        .await;
    let files = tagboat_testkit::git(&world.config.path(), &["ls-tree", "-r", "--name-only", "main"]);
    assert_eq!(files.lines().filter(|line| line.starts_with("notes/")).count(), 18);
    let merges = tagboat_testkit::git(&world.config.path(), &["rev-list", "--merges", "--count", "main"]);
    assert_eq!(merges.trim(), "0");
}
