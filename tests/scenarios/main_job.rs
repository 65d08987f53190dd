//! From the end of a push to the commit.

use std::process::Command;

use crate::world::{CI_SECRET, GIT_PASSWORD, REGISTRY_SECRET, World, over_http, over_ssh};

/// What `kubectl kustomize` makes of the dev overlay at the head of the config repository.
fn rendered(world: &World) -> String {
    let work = tempfile::tempdir().unwrap();
    tagboat_testkit::git(work.path(), &["clone", "--quiet", &world.config.url(), "."]);
    let output = Command::new("kubectl").arg("kustomize").arg(work.path().join("apps/dev")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_pushed_image_becomes_exactly_one_commit_over_http() {
    let world = over_http().await;
    let host = world.registry.host();
    world.wait_until_started().await;
    assert_eq!(world.config.commits(), 1, "nothing is done at the start");

    // One platform.
    let digest = world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_commits(2).await;
    assert_eq!(
        world.config.changes("main"),
        "+++ b/apps/dev/kustomization.yaml\n-    newTag: \"1.4.0\" # moved by Tagboat\n+    newTag: \"1.5.0\" # moved by Tagboat"
    );
    let message = world.config.message("main");
    assert!(
        message.starts_with(&format!("Update web to 1.5.0 in dev\n\n{host}/acme/web: 1.4.0 -> 1.5.0\n")),
        "{message}"
    );
    for trailer in [format!("Tagboat-Image: {host}/acme/web:1.5.0@{digest}"), "Tagboat-Environment: dev".to_owned()] {
        assert!(message.lines().any(|line| line == trailer), "{message}");
    }
    assert!(message.contains("\nTagboat-Decision: d-"), "{message}");
    assert!(rendered(&world).contains(&format!("image: {host}/acme/web:1.5.0\n")));

    // The same again, as a registry and as a person would: nothing.
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_event("web", "1.5.0", 2).await;
    assert_eq!(world.config.commits(), 2);

    // Two platforms: two manifests by digest, then the index.
    let index = world.registry.push_index("acme/web", "1.6.0", "web-1.6.0").await;
    world.wait_for_commits(3).await;
    assert!(world.config.message("main").contains(&format!("web:1.6.0@{index}")));

    // A followed tag, with its digest.
    let first = world.registry.push_image("acme/worker", "main", "worker-1").await;
    world.wait_for_commits(4).await;
    assert!(
        world.config.file("apps/dev/worker.yaml").contains(&format!("-   image: {host}/acme/worker:main@{first}\n"))
    );
    let second = world.registry.push_image("acme/worker", "main", "worker-2").await;
    world.wait_for_commits(5).await;
    assert!(world.config.file("apps/dev/worker.yaml").contains(&format!("worker:main@{second}\n")));

    world.config.check_integrity();
    let log = world.log();
    for secret in [REGISTRY_SECRET, CI_SECRET, GIT_PASSWORD] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
    assert!(!log.contains('\u{1b}'), "colours are for terminals");
}

#[tokio::test]
async fn a_commit_is_worded_and_signed_off_as_the_repository_file_wants() {
    let world = over_http().await;
    world.wait_until_started().await;
    let style = "commit:\n  signOff: true\n  message: |\n    chore(deploy): {{ entry }} {{ tag }} in {{ environment }}\n\n    Tagboat-Decision: d-ffffffffffffffff\n    Refs: #7\n";
    let settings = format!("{}{style}", world.config.file(".tagboat.yaml"));
    world.config.commit_as_person("Word commits", &[(".tagboat.yaml", &settings)]);
    let digest = world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_commits(3).await;
    let message = world.config.message("main");
    assert!(message.starts_with("chore(deploy): web 1.5.0 in dev\n\nRefs: #7\n"), "{message}");
    // As git reads it.
    std::fs::write(world.folder.path().join("message"), &message).unwrap();
    let read = tagboat_testkit::git(world.folder.path(), &["interpret-trailers", "--parse", "message"]);
    let image = format!("Tagboat-Image: {}/acme/web:1.5.0@{digest}", world.registry.host());
    let (front, behind) = read.split_once("\nTagboat-Decision: d-").unwrap();
    assert_eq!(front, format!("Refs: #7\n{image}\nTagboat-Environment: dev"));
    assert_eq!(behind.split_once('\n'), Some((&behind[..16], "Signed-off-by: Tagboat <tagboat@localhost>\n")));
    assert!(!read.contains("d-ffff"), "{read}");
}

#[tokio::test]
async fn a_pushed_image_becomes_exactly_one_commit_over_ssh() {
    let world = over_ssh().await;
    world.wait_until_started().await;
    world.registry.push_index("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_commits(2).await;
    assert!(world.config.changes("main").ends_with("+    newTag: \"1.5.0\" # moved by Tagboat"));
    world.registry.push_index("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_event("web", "1.5.0", 2).await;
    assert_eq!(world.config.commits(), 2);
    world.config.check_integrity();
}

#[tokio::test]
async fn what_was_pushed_while_nobody_listened_is_found_at_the_start() {
    let mut world = over_http().await;
    world.wait_until_started().await;
    // A client may hold a connection open without ever asking anything.
    let _silent = tokio::net::TcpStream::connect(world.url("").trim_start_matches("http://")).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(world.terminate_tagboat().success(), "SIGTERM ends it with 0");
    // The registry's notification is lost with the registry.
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world.registry.stop();
    world.registry.start_again();
    std::fs::remove_dir_all(world.folder.path().join("data")).unwrap();
    world.start_tagboat();
    world.wait_for_commits(2).await;
    assert!(world.config.file("apps/dev/kustomization.yaml").contains("newTag: \"1.5.0\""));
}
