//! The whole of Tagboat, with its real binary: from the accepted delivery of a CI job to the moved ref. In the same rounds
//! the floor, which makes as many requests of the same server, for a copy of the same repository.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tagboat_testkit::world::{GIT_PASSWORD, World, WorldSetup};
use tokio::task::JoinHandle;

use super::{
    copy,
    figures::{FLOOR_OF_WHOLE_PATH, Figures, SCRIPT, WHOLE_PATH},
    floor::{self, Prepared},
    head, replaced, ways,
};
use crate::{Setup, peak_mebibytes};

/// The file that is edited.
const FILE: &str = "apps/dev/kustomization.yaml";
const FLOOR: &str = "floor.git";
/// How often somebody looks whether the ref has moved.
const LOOK: Duration = Duration::from_micros(100);
const PATIENCE: Duration = Duration::from_secs(60);
/// The first look at a config repository may read all of it.
const PATIENCE_AT_THE_START: Duration = Duration::from_secs(300);

pub(crate) async fn compare(setup: &Setup, files: usize, figures: &mut Figures) {
    let binary = setup.binary.clone();
    let world = World::over_http(WorldSetup {
        binary,
        settle: "0s",
        log: "warn",
        padding: files,
        wire_delay: None,
        database: tagboat_testkit::Database::Sqlite,
        garbled: 0,
    })
    .await;
    wait_until_started(&world).await;
    // What is missing at the registry is looked for each time; here nothing is.
    world.registry.push_image("acme/worker", "main", "worker").await;
    world.wait_for_commits(2).await;
    let floor = world.config.parent().join(FLOOR);
    copy(&world.config.path(), &floor);
    // Not timed: whoever is first makes connections.
    announced(&world, "1.4.1").await;
    alone(&world, &floor, "1.4.1").await;
    let (mut whole_path, mut alone_times, mut requests) = (Vec::new(), Vec::new(), 0);
    for round in 1..=setup.rounds {
        let version = format!("1.5.{round}");
        let before = world.git_server().requests();
        whole_path.push(announced(&world, &version).await);
        requests += world.git_server().requests() - before;
        alone_times.push(alone(&world, &floor, &version).await);
    }
    figures.times(files, WHOLE_PATH, whole_path);
    figures.times(files, FLOOR_OF_WHOLE_PATH, alone_times);
    figures.ratio(files, "whole path / floor", WHOLE_PATH, FLOOR_OF_WHOLE_PATH);
    figures.ratio(files, "whole path / (e)", WHOLE_PATH, ways::FLOOR);
    figures.ratio(files, "(a) / whole path", SCRIPT, WHOLE_PATH);
    figures.number(files, "whole path: requests to the Git server", a_round(requests, setup.rounds), "a round");
    figures.number(files, "whole path: peak memory", peak_mebibytes(world.process_id()), "MiB");
}

/// Of so many in all rounds, how many in one.
pub(crate) fn a_round(count: impl TryInto<u32, Error: std::fmt::Debug>, rounds: u32) -> f64 {
    f64::from(count.try_into().unwrap()) / f64::from(rounds.max(1))
}

/// As [`World::wait_until_started`], with the patience that 50,000 files need.
pub(crate) async fn wait_until_started(world: &World) {
    let until = Instant::now() + PATIENCE_AT_THE_START;
    while !world.get("/api/v1/branches").await["branches"][0]["servedAt"].is_number() {
        assert!(Instant::now() < until, "the first look did not end; the log:\n{}", world.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// When the branch is where it is not now.
pub(crate) fn moved(repository: PathBuf) -> JoinHandle<Instant> {
    let before = head(&repository);
    tokio::task::spawn_blocking(move || {
        let until = Instant::now() + PATIENCE;
        while head(&repository) == before {
            assert!(Instant::now() < until, "the branch did not move in {PATIENCE:?}");
            std::thread::sleep(LOOK);
        }
        Instant::now()
    })
}

/// A CI job announces a tag that the registry has, but has not told of.
pub(crate) async fn announced(world: &World, version: &str) -> Duration {
    world.registry.copy_tag("acme/web", "1.4.0", [version.to_owned()]);
    let body = world.announcement("web", version);
    let moved = moved(world.config.path());
    let (status, answer) = world.announce(&format!("bench-{version}"), &body).await;
    let accepted = Instant::now();
    assert!((200..300).contains(&status), "{status}: {answer}");
    let time = moved.await.unwrap().saturating_duration_since(accepted);
    // What comes after the push is not measured, and is not to meet the next round either.
    world.wait_for_event("web", version, 1).await;
    assert!(world.config.file(FILE).contains(&format!("newTag: \"{version}\"")));
    time
}

/// The servers alone: the same requests, for the same change to the copy.
async fn alone(world: &World, repository: &Path, version: &str) -> Duration {
    let prepared = Prepared::new(repository, FILE, |text| replaced(text, "newTag: \"", '"', version));
    let authorization = format!("authorization: Basic {}\r\n", STANDARD.encode(format!("bot:{GIT_PASSWORD}")));
    let (port, commit) = (world.git_server().port(), prepared.commit.clone());
    let (registry, version) = (world.registry.host(), version.to_owned());
    let moved = moved(repository.to_owned());
    let sending = tokio::task::spawn_blocking(move || {
        let start = Instant::now();
        // Confirming the tag is part of the path, and its requests are part of the floor.
        floor::look(&registry, "acme/web", &version);
        prepared.send(port, FLOOR, &authorization);
        start
    });
    let start = sending.await.unwrap();
    let time = moved.await.unwrap().saturating_duration_since(start);
    assert_eq!(head(repository), commit);
    time
}
