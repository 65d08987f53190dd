//! `bench push-to-ref TAGBOAT ROUNDS FILES`: from the end of an image push to the new ref, beside what a CI script
//! needs for the same change. Real registry, real Git server over http, the real binary.

#![allow(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the developer")]

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use tagboat_testkit::world::{GIT_PASSWORD, World, WorldSetup};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bench, binary, rounds, files] = &arguments[..] else { return usage() };
    let (Ok(rounds), Ok(padding), "push-to-ref") = (rounds.parse(), files.parse(), bench.as_str()) else {
        return usage();
    };
    // The server runs in a folder of its own.
    let binary: PathBuf = std::fs::canonicalize(binary).unwrap();
    let setup = |settle| WorldSetup { binary: binary.clone(), settle, log: "warn", padding };
    println!("{rounds} rounds, {padding} further files, http://, times in ms: median (least .. most)");
    let at_once = World::over_http(setup("0s")).await;
    at_once.wait_until_started().await;
    println!("resident memory, idle       {} MiB", resident(at_once.process_id()) / 1024);
    show("tagboat, settle 0s", push_to_ref(&at_once, rounds).await);
    println!("resident memory, afterwards {} MiB", resident(at_once.process_id()) / 1024);
    show("CI script: clone, sed, push", ci_script(&at_once, rounds));
    drop(at_once);
    let settled = World::over_http(setup("2s")).await;
    settled.wait_until_started().await;
    show("tagboat, settle 2s (default)", push_to_ref(&settled, rounds).await);
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: bench push-to-ref TAGBOAT ROUNDS FILES");
    ExitCode::from(2)
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

/// In KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (Some(least), Some(most)) = (times.first(), times.last()) else { return };
    println!("{what:28}{:.0} ({:.0} .. {:.0})", ms(times[times.len() / 2]), ms(*least), ms(*most));
}
