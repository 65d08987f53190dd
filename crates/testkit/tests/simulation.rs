//! The engine under loss, doubling, crashes and races; and the proof that the simulator would notice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use tagboat_testkit::simulator::{Bug, MemoryStore, run};

#[tokio::test]
async fn the_simulators_store_keeps_the_contract() {
    tagboat_testkit::store_contract::check(async || MemoryStore::default()).await;
}

#[test]
fn promises_hold_under_every_seed() {
    let mut total = tagboat_testkit::simulator::Report::default();
    for seed in 0..300 {
        let report = run(seed, None).unwrap_or_else(|broken| panic!("{broken}"));
        total.crashes += report.crashes;
        total.races += report.races;
        total.commits += report.commits;
    }
    assert!(total.crashes > 100 && total.races > 20 && total.commits > 1000, "the storm was a breeze: {total:?}");
}

#[test]
fn a_seed_gives_the_same_run_again() {
    assert_eq!(run(7, None), run(7, None));
}

#[test]
fn planted_bugs_are_found() {
    for bug in [
        Bug::PushWithoutCompare,
        Bug::AnswerBeforeStore,
        Bug::ServedWhenLeased,
        Bug::OutageMeansGone,
        Bug::ReprintFiles,
    ] {
        let found = (0..300).find_map(|seed| run(seed, Some(bug)).err());
        assert!(found.is_some(), "{bug:?} was not found in 300 seeds");
    }
}
