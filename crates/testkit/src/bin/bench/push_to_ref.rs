//! From the end of an image push to the new ref, beside what a CI script needs for the same change. Real registry, real
//! Git server over http, the real binary.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use tagboat_testkit::world::{GIT_PASSWORD, World, WorldSetup};

use crate::{Setup, figure, mebibytes, say, show};

pub(crate) async fn run(setup: &Setup) {
    let (rounds, padding) = (setup.rounds, setup.files);
    // The server runs in a folder of its own.
    let binary: PathBuf = std::fs::canonicalize(&setup.binary).unwrap();
    let world = |settle| WorldSetup {
        binary: binary.clone(),
        settle,
        log: "warn",
        padding,
        wire_delay: None,
        database: tagboat_testkit::Database::Sqlite,
        garbled: 0,
    };
    say(&format!("{rounds} rounds, {padding} further files, http://, times in ms: median (least .. most)"));
    let at_once = World::over_http(world("0s")).await;
    at_once.wait_until_started().await;
    figure("resident memory, idle", mebibytes(at_once.process_id()), "MiB");
    show("tagboat, settle 0s", push_to_ref(&at_once, rounds).await);
    figure("resident memory, afterwards", mebibytes(at_once.process_id()), "MiB");
    show("CI script: clone, sed, push", ci_script(&at_once, rounds));
    drop(at_once);
    let settled = World::over_http(world("2s")).await;
    settled.wait_until_started().await;
    show("tagboat, settle 2s (default)", push_to_ref(&settled, rounds).await);
}

async fn push_to_ref(world: &World, rounds: u32) -> Vec<Duration> {
    let mut times = Vec::new();
    for round in 1..=rounds {
        let before = head(world);
        let tag = format!("1.5.{round}");
        world.registry.push_image("acme/web", &tag, &tag).await;
        let start = Instant::now();
        while head(world) == before {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        times.push(start.elapsed());
        world.wait_for_event("web", &tag, 1).await;
    }
    times
}

/// As loose refs are written: without starting a program.
fn head(world: &World) -> String {
    std::fs::read_to_string(world.config.path().join("refs/heads/main")).unwrap()
}

/// What pipelines do without Tagboat: a fresh shallow clone, an edit, a commit, a push.
fn ci_script(world: &World, rounds: u32) -> Vec<Duration> {
    let url = world.config_url.replace("://", &format!("://bot:{GIT_PASSWORD}@"));
    let run = |folder: &Path, script: &str| {
        let status = Command::new("sh").arg("-euc").arg(script).current_dir(folder).status().unwrap();
        assert!(status.success());
    };
    let mut times = Vec::new();
    for round in 1..=rounds {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "git clone --quiet --depth 1 '{url}' work; cd work; sed -i 's/newTag: .*/newTag: \"1.6.{round}\"/' apps/dev/kustomization.yaml; \
             git -c user.name=CI -c user.email=ci@example.org commit --quiet --all --message 'Update web'; git push --quiet"
        );
        let start = Instant::now();
        run(folder.path(), &script);
        times.push(start.elapsed());
    }
    times
}
