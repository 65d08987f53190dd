//! The engine under loss, doubling, crashes and races; and the proof that the simulator would notice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use tagboat_testkit::simulator::{Bug, MemoryStore, Report, Settings, run, shrink};

/// Seeds within which each planted bug is found here. The long run is `cargo xtask simulate --bugs`.
const SEEDS_FOR_A_BUG: u64 = 300;

#[tokio::test]
async fn the_simulators_store_keeps_the_contract() {
    tagboat_testkit::store_contract::check(async || MemoryStore::default()).await;
}

#[test]
fn promises_hold_under_every_seed() {
    let mut total = Report::default();
    for seed in 0..100 {
        let report = run(Settings::of(seed)).unwrap_or_else(|broken| {
            let small = shrink(&broken);
            panic!("{broken}\nmade small: {small}\n{}\ncargo xtask simulate {} --trace", small.trace.join("\n"), small.settings)
        });
        total = total.and(&report);
    }
    let is_storm = total.crashes > 100 && total.freezes > 100 && total.races > 20 && total.commits > 1000;
    assert!(is_storm && total.pulls > 200 && total.holds > 50, "the storm was a breeze: {total:?}");
}

#[test]
fn a_seed_gives_the_same_run_again() {
    assert_eq!(run(Settings::of(7)), run(Settings::of(7)));
}

#[test]
fn planted_bugs_are_found() {
    for bug in Bug::ALL {
        let found = (0..SEEDS_FOR_A_BUG).find_map(|seed| run(Settings::of(seed).with_bug(*bug)).err());
        assert!(found.is_some(), "{bug} was not found in {SEEDS_FOR_A_BUG} seeds");
    }
}
