//! The engine under loss, doubling, crashes and races; and the proof that the simulator would notice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use tagboat_testkit::simulator::{Bug, Fault, MemoryStore, Report, Settings, run, shrink};

/// Seeds that every change has to pass. The long run is `cargo xtask simulate`.
const SEEDS: u64 = 24;
/// Seeds within which each planted bug is found here. The long run is `cargo xtask simulate --bugs`.
const SEEDS_FOR_A_BUG: u64 = 300;

#[tokio::test]
async fn the_simulators_store_keeps_the_contract() {
    tagboat_testkit::store_contract::check(async || MemoryStore::default()).await;
}

#[test]
fn promises_hold_under_every_seed() {
    let mut total = Report::default();
    for seed in 0..SEEDS {
        let report = run(Settings::of(seed)).unwrap_or_else(|broken| {
            let small = shrink(&broken);
            panic!(
                "{broken}\nmade small: {small}\n{}\ncargo xtask simulate {} --trace",
                small.trace.join("\n"),
                small.settings
            )
        });
        total = total.and(&report);
    }
    let is_storm = total.crashes > 60 && total.freezes > 40 && total.races > 15 && total.commits > 800;
    let is_met = total.pulls > 100 && total.holds > 30 && total.comments > 60;
    assert!(is_storm && is_met, "the storm was a breeze: {total:?}");
}

#[test]
fn a_seed_gives_the_same_run_again() {
    assert_eq!(run(Settings::of(7)), run(Settings::of(7)));
}

#[test]
fn planted_bugs_of_every_first_kind_are_found() {
    find(Bug::ALL.iter().step_by(2));
}

#[test]
fn planted_bugs_of_every_second_kind_are_found() {
    find(Bug::ALL.iter().skip(1).step_by(2));
}

/// Two halves, that they are looked for side by side.
fn find<'b>(bugs: impl Iterator<Item = &'b Bug>) {
    for bug in bugs {
        // What shows itself rarely is looked for where it is known to, so that this stays quick.
        let first = match bug {
            Bug::ForcePush => 28,
            Bug::MergeWithoutHead => 56,
            _ => 0,
        };
        let found = (first..SEEDS_FOR_A_BUG).find_map(|seed| run(Settings::of(seed).with_bug(*bug)).err());
        assert!(found.is_some(), "{bug} was not found in {SEEDS_FOR_A_BUG} seeds");
    }
}

#[test]
fn what_is_made_small_still_breaks_the_same_promise() {
    let broken =
        (0..SEEDS_FOR_A_BUG).find_map(|seed| run(Settings::of(seed).with_bug(Bug::ReprintFiles)).err()).unwrap();
    let small = shrink(&broken);
    assert_eq!(small.promise, broken.promise);
    assert!(small.settings.storm < broken.settings.storm && !small.trace.is_empty(), "{small}");
    assert!(Fault::ALL.iter().filter(|fault| small.settings.faults.has(**fault)).count() < 5, "{}", small.settings);
    // As it is printed, it is run again.
    let names = small.settings.faults.to_string();
    let again = Settings { faults: names.parse().unwrap(), ..small.settings };
    assert_eq!(run(again).unwrap_err().promise, broken.promise);
}
