//! Bad input and bad days: the right answer, a visible reason, and nothing else harmed.

use serde_json::Value;

use crate::world::{REGISTRY_SECRET, over_http};

#[tokio::test]
async fn bad_requests_get_the_right_answer_and_the_good_one_behind_them_arrives() {
    let world = over_http().await;
    world.wait_until_started().await;
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_commits(2).await;

    let post = async |path: &str, authorization: &str, body: String| {
        let request = world.http.post(world.url(path)).header("authorization", authorization).body(body);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(post("/hooks/nobody", REGISTRY_SECRET, "{}".to_owned()).await, 401);
    assert_eq!(post("/hooks/registry", "Bearer wrong", "{}".to_owned()).await, 401);
    assert_eq!(
        post("/hooks/registry", REGISTRY_SECRET, "{ not json".to_owned()).await,
        200,
        "an error would cut the feed"
    );
    assert_eq!(post("/hooks/registry", REGISTRY_SECRET, "x".repeat(30_000)).await, 200);
    assert_eq!(post("/hooks/ci", "", "x".repeat(30_000)).await, 401, "without a signature nothing is read");
    let (status, told) = world.announce("1", "{ not json").await;
    assert_eq!((status, &told["verdict"]), (200, &Value::from("unparsable")));
    let (_, told) = world.announce("2", &world.announcement("web", "1.5.0").replace("acme", "other")).await;
    assert!(told["reasons"][0].as_str().unwrap().contains("may not speak for"), "{told}");

    // An image nobody asked for, and tags that are refused: stored, explained, no commit.
    let (_, told) = world.announce("3", &world.announcement("stranger", "1.0.0")).await;
    let nobody_asked = told["events"][0].as_str().unwrap().to_owned();
    for (id, tag) in [("4", "2.0.0"), ("5", "latest"), ("6", "1.4.9"), ("7", "1.9.9")] {
        assert_eq!(world.announce(id, &world.announcement("web", tag)).await.0, 202);
    }
    world.registry.push_chart("acme/web", "1.8.0").await;
    let not_there = world.wait_for_event("web", "1.9.9", 1).await;
    let chart = world.wait_for_event("web", "1.8.0", 1).await;
    assert_eq!(world.config.commits(), 2);

    let explain =
        |what: &str| String::from_utf8(world.run(&["explain", what, "--config", "tagboat.yaml"]).stdout).unwrap();
    assert!(explain(&nobody_asked).contains("no config repository asked for it when it came"));
    assert!(explain(&not_there).contains("has no tag 1.9.9 at its registry"), "{}", explain(&not_there));
    assert!(explain(&chart).contains("1.8.0 is not a container image"), "{}", explain(&chart));
    let about_low = world.wait_for_event("web", "1.4.9", 1).await;
    let (alone, beside_others) = ("- 1.4.9 is below 1.5.0", "- 1.4.9 is lower than selected 1.5.0");
    let first_reason = explain(&about_low).lines().find(|line| line.starts_with("  - ")).unwrap_or_default().to_owned();
    assert!(first_reason.contains(alone) || first_reason.contains(beside_others), "{first_reason}");
    let about_range = world.wait_for_event("web", "2.0.0", 1).await;
    assert!(explain(&about_range).contains("2.0.0 is outside range `^1.4`"), "{}", explain(&about_range));

    // The registry's own feed was never blocked.
    world.registry.push_image("acme/web", "1.7.0", "web-1.7.0").await;
    world.wait_for_commits(3).await;
    let page = world.http.get(world.url("/")).send().await.unwrap().text().await.unwrap();
    assert!(
        page.contains("the credential does not match") && page.contains("1.8.0 is not a container image"),
        "{page}"
    );
}

#[tokio::test]
async fn a_registry_that_is_down_changes_nothing_and_the_event_waits_for_it() {
    let mut world = over_http().await;
    world.wait_until_started().await;
    world.registry.push_image("acme/quiet", "1.5.0", "other").await;
    world.registry.stop();
    world.announce("1", &world.announcement("web", "1.5.0")).await;
    world
        .wait("the failure", async |world| world.get("/api/v1/branches").await["branches"][0]["problem"].is_string())
        .await;
    let problem = world.get("/api/v1/branches").await["branches"][0]["problem"].to_string();
    assert!(problem.contains("could not be reached"), "{problem}");
    let decisions = world.get("/api/v1/decisions?limit=1").await;
    let reason = decisions["decisions"][0]["explanation"][0].as_str().unwrap();
    assert!(reason.contains("nothing changes until it can"), "{reason}");
    assert_eq!(world.config.commits(), 1);
    world.registry.start_again();
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_commits(2).await;
    world.wait_for_event("web", "1.5.0", 1).await;
    assert!(world.get("/api/v1/branches").await["branches"][0]["problem"].is_null());
}

#[tokio::test]
async fn a_git_server_that_refuses_is_told_about_and_tried_again() {
    let world = over_http().await;
    world.wait_until_started().await;
    world.config.set_hook("pre-receive", "#!/bin/sh\necho 'frozen until Monday'\nexit 1\n");
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world
        .wait("the refusal", async |world| world.get("/api/v1/branches").await["branches"][0]["problem"].is_string())
        .await;
    let problem = world.get("/api/v1/branches").await["branches"][0]["problem"].to_string();
    assert!(problem.contains("refused the push") && problem.contains("frozen until Monday"), "{problem}");
    world.config.set_hook("pre-receive", "#!/bin/sh\nexit 0\n");
    world.wait_for_commits(2).await;
    assert_eq!(world.config.commits(), 2);
}

#[tokio::test]
async fn an_error_in_the_repository_file_stops_changes_until_it_is_mended() {
    let world = over_http().await;
    world.wait_until_started().await;
    let good = world.config.file(".tagboat.yaml");
    world
        .config
        .commit_as_person("Break it", &[(".tagboat.yaml", &good.replace("policy: { semver", "polcy: { semver"))]);
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world
        .wait("the failure", async |world| world.get("/api/v1/branches").await["branches"][0]["problem"].is_string())
        .await;
    let problem = world.get("/api/v1/branches").await["branches"][0]["problem"].to_string();
    assert!(problem.contains(".tagboat.yaml:4:5: unknown key `polcy`; did you mean `policy`?"), "{problem}");
    assert_eq!(world.config.commits(), 2);
    world.config.commit_as_person("Mend it", &[(".tagboat.yaml", &good)]);
    world.wait_for_commits(4).await;
    assert!(world.config.file("apps/dev/kustomization.yaml").contains("newTag: \"1.5.0\""));
}

#[tokio::test]
async fn one_image_that_cannot_be_edited_does_not_stop_another() {
    let world = over_http().await;
    world.wait_until_started().await;
    let split = format!("image: {{repository: {}/acme/worker, tag: main}}\n", world.registry.host());
    world.config.commit_as_person("Split it", &[("apps/dev/worker.yaml", &split)]);
    world.registry.push_image("acme/worker", "main", "worker-1").await;
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_commits(3).await;
    world
        .wait("the reason", async |world| {
            world.get("/api/v1/branches").await["branches"][0]["problem"]
                .to_string()
                .contains("there is no key for the digest")
        })
        .await;
    assert!(world.config.file("apps/dev/kustomization.yaml").contains("newTag: \"1.5.0\""));
    assert_eq!(world.config.file("apps/dev/worker.yaml"), split);
}

#[tokio::test]
async fn a_bare_name_in_a_base_does_not_stop_the_overlay_and_forge_files_are_left_alone() {
    let world = over_http().await;
    world.wait_until_started().await;
    let host = world.registry.host();
    let bare = format!("image: {host}/acme/web\n");
    let pipeline = format!("image: {host}/acme/web:1.4.0\n");
    let settings = world.config.file(".tagboat.yaml").replace("apps/dev", ".");
    let files = [
        (".tagboat.yaml", settings.as_str()),
        ("apps/base/bare.yaml", bare.as_str()),
        (".gitlab-ci.yml", pipeline.as_str()),
    ];
    world.config.commit_as_person("Everything is dev now", &files);
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_commits(3).await;
    assert!(world.config.file("apps/dev/kustomization.yaml").contains("newTag: \"1.5.0\""));
    assert_eq!((world.config.file("apps/base/bare.yaml"), world.config.file(".gitlab-ci.yml")), (bare, pipeline));
}

#[tokio::test]
async fn a_lock_that_a_killed_process_left_stops_nothing() {
    let mut world = over_http().await;
    world.wait_until_started().await;
    world.kill_tagboat();
    let mirror = world.folder.path().join("data/mirrors/default/config.git");
    for lock in ["shallow.lock", "refs/heads/main.lock"] {
        std::fs::write(mirror.join(lock), "").unwrap();
    }
    world.start_tagboat();
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_commits(2).await;
}
