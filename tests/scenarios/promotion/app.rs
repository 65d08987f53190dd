//! The App: how it is made, comes and goes; and what it says beside pull requests.

use std::os::unix::fs::PermissionsExt as _;

use tagboat_testkit::{
    github::{RepositorySetup, Setup},
    github_world::{GithubSetup, GithubWorld, REPOSITORY},
};

use super::{
    THREE, WEB,
    asked::{check_runs, holds, is_merged, text_of, with_host},
    three, with,
};

fn plain(setup: Setup, repository: RepositorySetup) -> Setup {
    setup.repository(repository)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_installation_is_left_alone_and_taken_up_again() {
    let world = GithubWorld::start(three(), plain).await;
    world.push("web", "1.5.0").await;
    world.wait_for_pull("Promote web 1.5.0 to staging").await;
    world.wait_until_quiet().await;
    world.github.suspend("acme", true);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let writes = world.github.writes().len();
    world.push("web", "1.6.0").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(world.file("apps/dev/web.yaml").contains("web:1.5.0"));
    assert_eq!(world.github.writes().len(), writes);
    world.github.suspend("acme", false);
    let start = std::time::Instant::now();
    world.wait_for_file("apps/dev/web.yaml", "web:1.6.0").await;
    assert!(start.elapsed().as_secs() < 20, "it is taken up at once, not when a pause is over");
    world.wait_for_pull("Promote web 1.6.0 to staging").await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_server_was_away_is_caught_up() {
    let mut world = GithubWorld::start(three(), plain).await;
    world.push("web", "1.5.0").await;
    let staging = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    world.wait_until_quiet().await;
    world.terminate_tagboat();
    world.github.person("bob").comment(REPOSITORY, staging, "/tagboat explain");
    world.github.person("bob").merge(REPOSITORY, staging, "merge").unwrap();
    world.push("web", "1.6.0").await;
    world.start_tagboat();
    world.wait_for_pull("Promote web 1.5.0 to prod").await;
    world.wait_for_file("apps/dev/web.yaml", "web:1.6.0").await;
    world.wait_for_pull("Promote web 1.6.0 to staging").await;
    world.wait_until_quiet().await;
    assert!(is_merged(&world, staging) && holds(&world).await.is_empty());
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_made_from_its_description() {
    let world = GithubWorld::prepare(three(), plain);
    let url = world.github.url();
    // The page to which a browser posts the description shows the way back, with the code in it.
    let manifest = serde_json::json!({
        "name": "Tagboat", "url": "https://tagboat.example.org", "redirect_url": "http://127.0.0.1:9/back",
        "hook_attributes": { "url": "https://tagboat.example.org/hooks/github-app" },
        "default_permissions": { "contents": "write" }, "default_events": ["push"],
    });
    let page = world.http.post(format!("{url}/settings/apps/new?state=x")).form(&[("manifest", manifest.to_string())]);
    let page = page.send().await.unwrap().text().await.unwrap();
    let code: String = page.split("code=").nth(1).unwrap().chars().take_while(char::is_ascii_hexdigit).collect();
    std::fs::create_dir(world.folder.path().join("made")).unwrap();
    let create = |code: &str| {
        world.run(&[
            "github-app",
            "create",
            "--public-url",
            "http://127.0.0.1:9",
            "--url",
            &url,
            "--directory",
            "made",
            "--code",
            code,
        ])
    };
    let made = create(&code);
    let told = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(made.status.success() && told.contains("appId: "), "{made:?}");
    assert!(!told.contains("PRIVATE KEY"), "{told}");
    for (name, begins) in [("github-app.pem", "-----BEGIN "), ("github-app-webhook-secret", "")] {
        let path = world.folder.path().join("made").join(name);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.is_empty() && text.starts_with(begins), "{name}");
        assert!(!told.contains(text.trim()), "{name} is shown");
    }
    // Files are not overwritten, and a code serves once.
    assert_eq!(create(&code).status.code(), Some(2));
    std::fs::remove_dir_all(world.folder.path().join("made")).unwrap();
    std::fs::create_dir(world.folder.path().join("made")).unwrap();
    let again = create(&code);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(std::fs::read_dir(world.folder.path().join("made")).unwrap().next().is_none());
    world.finish();
}

/// Manifests in two environments, and no `.tagboat.yaml`.
async fn without_file() -> (GithubWorld, u64) {
    let files = [("apps/dev/web.yaml", WEB), ("apps/prod/web.yaml", WEB)];
    let setup = GithubSetup::new(env!("CARGO_BIN_EXE_tagboat"), "", &files);
    let world = GithubWorld::start(setup, plain).await;
    let pull = world.wait_for_pull("Configure Tagboat").await;
    (world, pull)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_a_file_is_offered_one_that_works() {
    let (world, pull) = without_file().await;
    let proposed = world.github.file(REPOSITORY, "tagboat/onboarding", ".tagboat.yaml").unwrap();
    assert!(proposed.contains("apps/dev") && proposed.contains("apps/prod"), "{proposed}");
    world.github.person("alice").merge(REPOSITORY, pull, "merge").unwrap();
    world
        .wait("the file to be used", async |world| {
            let branches = world.get("/api/v1/branches").await;
            branches["branches"][0]["problem"].is_null() && branches["branches"][0]["dirty"] == false
        })
        .await;
    world.push("web", "1.5.0").await;
    world
        .wait("something newer to be brought or offered", async |world| {
            world.file("apps/dev/web.yaml").contains("web:1.5.0") || !world.github.open_pulls(REPOSITORY).is_empty()
        })
        .await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_offer_of_a_file_means_no() {
    let (mut world, pull) = without_file().await;
    world.github.person("alice").close(REPOSITORY, pull);
    world.github.person("bob").push(REPOSITORY, "main", "more", &[("other.txt", Some("more\n"))]);
    world
        .wait("the refusal to be noted", async |world| {
            let branches = world.get("/api/v1/branches").await;
            branches["branches"][0]["problem"].as_str().is_some_and(|text| text.contains("was closed"))
        })
        .await;
    world.terminate_tagboat();
    world.start_tagboat();
    world.wait_until_started().await;
    world.push("web", "1.5.0").await;
    world.wait_until_quiet().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_tried_out_in_its_pull_request() {
    let world = GithubWorld::start(three(), plain).await;
    world.push("web", "2.0.0").await;
    let bob = world.github.person("bob");
    let offer = |branch: &str, text: &str| {
        let text = with_host(&world, text);
        let commit = bob.push(REPOSITORY, branch, "Change it", &[(".tagboat.yaml", Some(text.as_str()))]);
        bob.open_pull(REPOSITORY, "Change it", branch, "main").unwrap();
        commit
    };
    let better = offer("better", &THREE.replace("^1.4", "^2.0"));
    let worse = offer("worse", &THREE.replacen("promoteFrom: dev", "promoteFrom: dve", 1));
    for commit in [&better, &worse] {
        world.wait("a check run", async |world| !check_runs(world, commit).is_empty()).await;
    }
    let run = check_runs(&world, &better).pop().unwrap();
    assert_eq!(run["conclusion"], "success", "{run}");
    let summary = run["output"]["summary"].as_str().unwrap();
    assert!(summary.contains("1 to update") && summary.contains("`2.0.0"), "{summary}");
    let run = check_runs(&world, &worse).pop().unwrap();
    assert_eq!(run["conclusion"], "failure", "{run}");
    let annotation = &run["output"]["annotations"][0];
    let line = THREE.lines().position(|line| line.contains("promoteFrom: dev")).unwrap() + 1;
    assert!(annotation["path"] == ".tagboat.yaml" && annotation["start_line"] == line, "{annotation}");
    assert!(world.file("apps/dev/web.yaml").contains("web:1.4.0"), "it is only tried out");
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_shows_how_things_stand_and_takes_commands() {
    let world = GithubWorld::start(with(&format!("dashboard: true\n{THREE}")), plain).await;
    let dashboard = 1;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    assert_eq!(world.github.issue(REPOSITORY, dashboard)["title"], "Tagboat dashboard");
    world.wait("the offer", async |world| text_of(world, dashboard).contains("Promote web 1.5.0 to staging")).await;
    world.github.person("bob").close(REPOSITORY, pull);
    let refused = "web in staging does without 1.5.0";
    world.wait("the refusal", async |world| text_of(world, dashboard).contains(refused)).await;
    // What is refused does not wait at the same time.
    let text = text_of(&world, dashboard);
    assert!(!text.contains("## Waiting"), "{text}");
    world.github.person("bob").tick(REPOSITORY, dashboard, refused);
    world.wait_for_pull("Promote web 1.5.0 to staging").await;
    world.wait("the end of the refusal", async |world| !text_of(world, dashboard).contains(refused)).await;
    world.finish();
}
