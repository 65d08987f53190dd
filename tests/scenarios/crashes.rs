//! The process ends at any moment; what was answered with success is done once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tagboat_testkit::{BareRepository, Fault, FaultProxy};
use tokio::{sync::mpsc, time::timeout};

use crate::world::{World, over_http};

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
        tokio::time::sleep(Duration::from_millis(patch * 7)).await;
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

/// A second config repository, whose registry is `host`.
fn add_repository(world: &World, host: &str) -> BareRepository {
    let settings = format!(
        "images:\n  - name: heavy\n    image: {host}/acme/heavy\n    policy: {{ semver: {{ range: \">=1\" }} }}\n\
         environments:\n  - name: dev\n    paths: [apps]\n    deliver: commit\n"
    );
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: heavy}}\nspec:\n  containers:\n    - name: heavy\n      image: {host}/acme/heavy:1.0.0\n"
    );
    let repository = BareRepository::with_files(&[(".tagboat.yaml", &settings), ("apps/pod.yaml", &pod)]);
    let path = world.folder.path().join("tagboat.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let entry = format!(
        "registries:\n  - host: {host}\n    privateNetwork: true\nrepositories:\n  - name: heavy\n    url: {}\n",
        repository.url()
    );
    std::fs::write(path, text.replacen("repositories:\n", &entry, 1)).unwrap();
    repository
}

#[tokio::test]
async fn work_that_ends_the_process_waits_longer_each_time_and_other_work_goes_on() {
    let mut world = over_http().await;
    world.wait_until_started().await;
    world.kill_tagboat();
    let (asking, mut asked) = mpsc::unbounded_channel();
    let is_deadly = Arc::new(AtomicBool::new(true));
    let deadly = Arc::clone(&is_deadly);
    let proxy = FaultProxy::start(&world.registry.host(), move |_, _| match deadly.load(Ordering::SeqCst) {
        true => {
            let _ = asking.send(());
            Fault::SlowBody
        }
        false => Fault::Pass,
    })
    .await;
    world.registry.push_image("acme/heavy", "1.1.0", "heavy").await;
    let heavy = add_repository(&world, &proxy.host);
    // So often that it waits for longer than anything here takes.
    for life in 1..=7 {
        while asked.try_recv().is_ok() {}
        world.start_tagboat();
        timeout(Duration::from_secs(60), asked.recv()).await.unwrap_or_else(|_| panic!("life {life}: {}", world.log()));
        world.kill_tagboat();
    }
    while asked.try_recv().is_ok() {}
    world.start_tagboat();
    let stats = world.run(&["store", "stats", "--config", "tagboat.yaml"]);
    let told = String::from_utf8(stats.stdout).unwrap();
    assert!(told.contains("default/heavy#main waits until "), "{told}");
    assert!(told.contains("after 7 attempts: the process ended in the middle of this"), "{told}");
    assert!(asked.try_recv().is_err(), "it waits: {}", world.log());
    world.registry.push_image("acme/web", "1.5.0", "1.5.0").await;
    world
        .wait("the update of others", async |world| world.config.file("apps/dev/kustomization.yaml").contains("1.5.0"))
        .await;
    is_deadly.store(false, Ordering::SeqCst);
    let retried = world.run(&["store", "retry", "heavy", "--config", "tagboat.yaml"]);
    assert_eq!(retried.status.code(), Some(0), "{retried:?}");
    world.wait("its own update", async |_| heavy.file("apps/pod.yaml").contains("1.1.0")).await;
    let retried = world.run(&["store", "retry", "--config", "tagboat.yaml"]);
    assert_eq!(retried.status.code(), Some(3), "{retried:?}");
}
