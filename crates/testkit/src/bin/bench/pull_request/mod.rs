//! From new tags to a pull request that is there, with 1,000 images of a registry that notifies, 1,000 manifests at a
//! GitHub, and the real binary as its App: one new tag (F4), and a new tag of every image while the server was stopped,
//! which is one pull request (F5). Beside it the script that pipelines have, against the same GitHub.
//!
//! The GitHub is the testkit's. It runs programs of Git and holds every request and answer against GitHub's descriptions,
//! and the time that it takes is part of all times here, Tagboat's and the script's.

mod place;
mod script;

use std::time::{Duration, Instant};

use place::{NEW, OLD, Place, REPOSITORY, image};
use script::Script;

use crate::{Setup, figures::Figures, mebibytes, peak_mebibytes, say};

/// What Renovate 44 needed for the same on a machine of this class, as was recorded when these targets were set. It is not
/// run here. Milliseconds.
const RECORDED: [(&str, [f64; 2]); 2] = [("F4", [7000.0, 8000.0]), ("F5", [112_000.0, 112_000.0])];
/// Starts of the server in the second part, each in a world of its own.
const MOST_STARTS: u32 = 3;
/// Of a server that stays, so that none falls into a measurement.
const RARE_SWEEPS: &str = "1h";
/// The shortest that there may be.
const SWEEPS: &str = "10s";
/// After so long one is due, also with the tenth by which branches are kept apart.
const UNTIL_A_SWEEP_IS_DUE: Duration = Duration::from_secs(12);

const F4_TIME: &str = "F4: end of push to pull request";
const F4_REGISTRY: &str = "F4: requests to the registry";
const F5_TIME: &str = "F5: ready to pull request";

pub(crate) async fn run(setup: &Setup) {
    let (rounds, images) = (setup.rounds.max(1), setup.files);
    // The first image is for the round that is not timed.
    assert!(usize::try_from(rounds).unwrap() < images, "{rounds} rounds need more than {images} images");
    say(&format!("{rounds} rounds, {images} images in as many files, settle 0s, times in ms: median (least .. most)"));
    let mut figures = Figures::default();
    one_new_tag(setup, rounds, &mut figures).await;
    all_outdated(setup, rounds.min(MOST_STARTS), &mut figures).await;
    figures.ratio("F4: script / Tagboat", script::ONE, F4_TIME);
    figures.ratio("F5: script / Tagboat", script::ALL, F5_TIME);
    figures.target("F4", F4_TIME, "ms", 1000.0);
    figures.target("F4", F4_REGISTRY, "requests", 4.0);
    figures.target("F5", F5_TIME, "ms", 3000.0);
    figures.finish(&RECORDED);
}

/// F4. Other images in each round, and the pull requests stay open.
async fn one_new_tag(setup: &Setup, rounds: u32, figures: &mut Figures) {
    let mut place = Place::start(&setup.binary, setup.files, "image").await;
    let process = place.start_server(RARE_SWEEPS).await.process;
    place.wait_until_served().await;
    place.wait_until_quiet().await;
    // Whoever is first makes connections.
    round(&place, 1).await;
    figures.number("F4: resident memory before", mebibytes(process), "MiB");
    let (mut times, mut registry, mut api, mut git) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in (2..).take(usize::try_from(rounds).unwrap()) {
        let before = place.asked();
        times.push(round(&place, number).await);
        let after = place.asked();
        registry.push(after.registry - before.registry);
        api.push(after.api - before.api);
        git.push(after.git - before.git);
    }
    figures.times(F4_TIME, times);
    // All that a round causes, also what comes after its pull request is there.
    figures.counts(F4_REGISTRY, registry);
    figures.counts("F4: requests to GitHub's API", api);
    figures.counts("F4: requests to GitHub's Git server", git);
    figures.number("F4: peak memory", peak_mebibytes(process), "MiB");
    place.stop_server();
    let script = Script::new(&place).await;
    // Not timed, as above.
    script.one(1);
    let numbers = (2..).take(usize::try_from(rounds).unwrap());
    figures.times(script::ONE, numbers.map(|number| script.one(number)).collect());
    place.finish();
}

/// A new tag, until everything that follows from it is done. Returns how long its pull request took.
async fn round(place: &Place, number: usize) -> Duration {
    let known = place.open_pulls();
    let image = image(number);
    place.registry.push_image(&format!("acme/{image}"), NEW, &format!("new {image}")).await;
    let pushed = Instant::now();
    let (pull, found) = place.wait_for_pull(&known).await;
    let shown = place.github.pull(REPOSITORY, pull);
    assert_eq!(shown["changed_files"], 1, "{shown}");
    place.wait_until_quiet().await;
    found.saturating_duration_since(pushed)
}

/// F5. A world of its own for each start.
async fn all_outdated(setup: &Setup, starts: u32, figures: &mut Figures) {
    let (mut from_ready, mut from_start, mut script_times) = (Vec::new(), Vec::new(), Vec::new());
    let (mut registry, mut api, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..starts {
        let mut place = Place::start(&setup.binary, setup.files, "all").await;
        place.start_server(RARE_SWEEPS).await;
        place.wait_until_served().await;
        place.wait_until_quiet().await;
        place.stop_server();
        for number in 1..=setup.files {
            place.registry.copy_tag(&format!("acme/{}", image(number)), OLD, [NEW.to_owned()]);
        }
        tokio::time::sleep(UNTIL_A_SWEEP_IS_DUE).await;
        let before = place.asked();
        let started = place.start_server(SWEEPS).await;
        let found = place.wait_for_all().await;
        let after = place.asked();
        from_ready.push(found.saturating_duration_since(started.ready));
        from_start.push(found.saturating_duration_since(started.begun));
        registry.push(after.registry - before.registry);
        api.push(after.api - before.api);
        peak = peak.max(peak_mebibytes(started.process));
        place.stop_server();
        script_times.push(Script::new(&place).await.all());
        place.finish();
    }
    figures.times(F5_TIME, from_ready);
    figures.times("F5: start of the program to pull request", from_start);
    figures.counts("F5: requests to the registry", registry);
    figures.counts("F5: requests to GitHub's API", api);
    figures.number("F5: peak memory", peak, "MiB");
    figures.times(script::ALL, script_times);
}
