//! Policies and guards at work: what waits, why, and until when.

use tagboat_testkit::signing::{SigningKey, payload};

use crate::world::{World, over_http};

/// The repository file with another entry for web.
async fn choosing(world: &World, entry: &str, files: &[(&str, &str)]) {
    world.wait_until_started().await;
    let settings = format!(
        "images:\n  - name: web\n    image: {}/acme/web\n{entry}environments:\n  - name: dev\n    paths: [apps/dev]\n    deliver: commit\n",
        world.registry.host()
    );
    let files: Vec<(&str, &str)> = [(".tagboat.yaml", settings.as_str())].into_iter().chain(files.to_vec()).collect();
    world.config.commit_as_person("Choose otherwise", &files);
}

/// What `explain` says of the newest decision about web, once it says `expect`.
async fn explained(world: &World, expect: &str) {
    world
        .wait(expect, async |world| {
            let output = world.run(&["explain", "web", "--config", "tagboat.yaml"]);
            String::from_utf8(output.stdout).unwrap().contains(expect)
        })
        .await;
}

#[tokio::test]
async fn half_pushed_and_unsigned_versions_wait_until_they_are_whole_and_signed() {
    let (world, key) = (over_http().await, SigningKey::p256());
    let entry = "    policy: { semver: { range: '^1.4' } }\n    platforms: [linux/amd64, linux/arm64]\n    verify: { cosign: { keyFile: keys/web.pub } }\n";
    choosing(&world, entry, &[("keys/web.pub", &key.public_pem())]).await;
    world.registry.push_image("acme/web", "1.5.0", "half").await;
    explained(&world, "1.5.0 is missing linux/arm64; waiting for it").await;
    let digest = world.registry.push_index("acme/web", "1.5.0", "whole").await;
    explained(&world, "1.5.0 is not signed as `verify` demands: no signature is attached").await;
    let foreign = SigningKey::p256().layer(&payload(&digest));
    world.registry.attach_under_tag("acme/web", &digest, &[foreign]).await;
    world.announce("1", &world.announcement("web", "1.5.0")).await;
    explained(&world, "not made with a key of the rule").await;
    assert_eq!(world.config.commits(), 2, "nothing but the person's");
    world.registry.attach_under_tag("acme/web", &digest, &[key.layer(&payload(&digest))]).await;
    world.announce("2", &world.announcement("web", "1.5.0")).await;
    world.wait_for_commits(3).await;
    assert!(world.config.message("main").contains(&format!("web:1.5.0@{digest}")));
}

#[tokio::test]
async fn a_young_version_is_taken_when_it_is_old_enough_without_another_event() {
    let world = over_http().await;
    choosing(&world, "    policy: { semver: { range: '^1.4' } }\n    minimumAge: 4s\n", &[]).await;
    world.registry.push_image("acme/web", "1.5.0", "young").await;
    explained(&world, "1.5.0 is younger than 4s; it is old enough from").await;
    assert_eq!(world.config.commits(), 2);
    let event = world.wait_for_event("web", "1.5.0", 1).await;
    world.wait_for_commits(3).await;
    assert!(world.config.file("apps/dev/kustomization.yaml").contains("newTag: \"1.5.0\""));
    // Whoever asks about the event is told of the commit too.
    world
        .wait("the answer to the event", async |world| {
            let output = world.run(&["explain", &event, "--config", "tagboat.yaml"]);
            String::from_utf8(output.stdout).unwrap().contains("1.5.0 is the best tag that semver")
        })
        .await;
}

#[tokio::test]
async fn only_what_ci_announced_is_deployed_and_with_that_digest() {
    let world = over_http().await;
    choosing(&world, "    policy: { announced: {} }\n", &[]).await;
    world.registry.push_image("acme/web", "9.9.9", "stranger").await;
    explained(&world, "9.9.9 was not announced by an authenticated CI event").await;
    let digest = world.registry.push_image("acme/web", "pr-7", "built").await;
    let body = format!(r#"{{"image":"{}/acme/web","tag":"pr-7","digest":"{digest}"}}"#, world.registry.host());
    world.announce("1", &body).await;
    world.wait_for_commits(3).await;
    assert!(world.config.file("apps/dev/kustomization.yaml").contains("newTag: \"pr-7\""));
    // The same tag with other content is not what was announced.
    let body = body.replace("pr-7", "pr-8");
    world.registry.push_image("acme/web", "pr-8", "exchanged").await;
    world.announce("2", &body).await;
    explained(&world, "pr-8 was announced as").await;
    assert_eq!(world.config.commits(), 3);
}

#[tokio::test]
async fn newest_is_what_appeared_last_and_not_what_was_pushed_again() {
    let world = over_http().await;
    choosing(&world, "    policy: { newest: {} }\n    exclude: ['^latest$']\n", &[]).await;
    // The first look under the new policy makes the list that later tags are newer than.
    world.announce("1", &world.announcement("web", "not-there")).await;
    world.wait_for_event("web", "not-there", 1).await;
    world.registry.push_image("acme/web", "build-b", "b").await;
    world.wait_for_commits(3).await;
    world.registry.push_image("acme/web", "latest", "b").await;
    world.registry.push_image("acme/web", "build-a", "a").await;
    world.wait_for_commits(4).await;
    assert!(world.config.file("apps/dev/kustomization.yaml").contains("newTag: \"build-a\""));
    world.registry.push_image("acme/web", "build-b", "again").await;
    world.wait_for_event("web", "build-b", 2).await;
    assert_eq!(world.config.commits(), 4);
}
