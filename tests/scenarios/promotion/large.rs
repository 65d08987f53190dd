//! Three hundred applications in three environments of one repository.

#![allow(clippy::print_stdout, reason = "times are noted, not judged")]

use std::time::{Duration, Instant};

use tagboat_testkit::github_world::{GithubSetup, GithubWorld, REPOSITORY};

use super::asked::{commits, git, text_of};

const APPLICATIONS: usize = 300;
const SETTINGS: &str = "images:
  - image: HOST/acme/*
    policy: { semver: { range: \"^1.4\" } }
environments:
  - name: dev
    paths: [apps/*/dev]
    deliver: commit
  - name: staging
    paths: [apps/*/staging]
    promoteFrom: dev
    group: all
    deliver: pullRequest
  - name: prod
    paths: [apps/*/prod]
    promoteFrom: staging
    group: all
    deliver: pullRequest
";
/// Pushing so many images takes most of it.
const LONGEST: Duration = Duration::from_secs(240);
/// What GitHub takes as the text of a pull request, in characters.
const LONGEST_BODY: usize = 65_536;

fn name(number: usize) -> String {
    format!("app{number:03}")
}

fn setup() -> GithubSetup {
    let mut files = Vec::new();
    for number in 0..APPLICATIONS {
        let name = name(number);
        let text = format!("kind: Pod\nspec:\n  containers:\n    - name: app\n      image: HOST/acme/{name}:1.4.0\n");
        for environment in ["dev", "staging", "prod"] {
            files.push((format!("apps/{name}/{environment}/app.yaml"), text.clone()));
        }
    }
    let mut setup = GithubSetup::new(env!("CARGO_BIN_EXE_tagboat"), SETTINGS, &[]);
    setup.files.extend(files);
    setup.log = "info";
    setup
}

/// The most memory that the server has had so far, in KiB.
fn most_memory(world: &GithubWorld) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.process_id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The paths that differ between two commits.
fn changed(world: &GithubWorld, from: &str, to: &str) -> Vec<String> {
    git(world, &["diff", "--name-only", from, to]).lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_applications_are_one_repository_like_others() {
    let mut world = GithubWorld::prepare(setup(), |setup, repository| setup.repository(repository));
    world.registry.push_image("acme/app000", "1.4.0", "app").await;
    world.registry.copy_repository("acme/app000", (1..APPLICATIONS).map(|number| format!("acme/{}", name(number))));
    world.start_tagboat();
    world.wait_until_started().await;
    world.wait_until_quiet().await;
    let before = world.github.head(REPOSITORY, "main").unwrap();

    // One event changes one application.
    let start = Instant::now();
    world.push("app007", "1.5.0").await;
    let pull = world.wait_for_pull("Promote app007 1.5.0 to staging").await;
    println!("one of {APPLICATIONS}: {:?}", start.elapsed());
    world.wait_until_quiet().await;
    let after = world.github.head(REPOSITORY, "main").unwrap();
    assert_eq!(changed(&world, &before, &after), ["apps/app007/dev/app.yaml"]);
    assert_eq!(changed(&world, &after, "tagboat/staging/all"), ["apps/app007/staging/app.yaml"]);

    // All of them at once: a commit for each in few pushes, and one pull request.
    let start = Instant::now();
    for number in 0..APPLICATIONS {
        world.push(&name(number), "1.6.0").await;
    }
    println!("{APPLICATIONS} images pushed: {:?}", start.elapsed());
    let all = APPLICATIONS + 2;
    while commits(&world, "main") < all {
        assert!(start.elapsed() < LONGEST, "{} commits after {LONGEST:?}", commits(&world, "main"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(world.wait_for_pull(&format!("Promote {APPLICATIONS} images (1.6.0) to staging")).await, pull);
    world.wait_until_quiet().await;
    println!("all of {APPLICATIONS}: {:?}", start.elapsed());
    assert_eq!(commits(&world, "main"), all, "the first, the one, and one for each");
    assert_eq!(changed(&world, "main", "tagboat/staging/all").len(), APPLICATIONS);
    let text = text_of(&world, pull);
    assert!(text.chars().count() <= LONGEST_BODY, "GitHub refuses a text of {} characters", text.chars().count());
    let memory = most_memory(&world);
    println!("at most {memory} KiB");
    assert!(memory < 300 * 1024, "{memory} KiB");

    world.github.person("bob").merge(REPOSITORY, pull, "merge").unwrap();
    world.wait_for_pull(&format!("Promote {APPLICATIONS} images (1.6.0) to prod")).await;
    world.finish();
}
