//! Killed again and again while events arrive: nothing that was accepted is lost, and nothing is done twice.

use tagboat_testkit::{
    Database, Postgres,
    chaos::{Setup, run},
};

/// A run that reaches every kind of point. The long run is `cargo xtask chaos`.
const KILLS: u32 = 50;

async fn survives(database: Database, seed: u64) {
    let setup = Setup { binary: env!("CARGO_BIN_EXE_tagboat").into(), database, kills: KILLS, seed };
    let report = run(&setup, |_| {}).await.unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(report.killed(), KILLS, "{report}");
    // A run in which nothing was done proves nothing. On a machine that does much else, not much is.
    assert!(report.done >= 5 && report.commits >= 5 && report.pulls > 0, "{report}");
    assert!(report.kills.len() >= 12, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_done_once_however_often_the_server_is_killed() {
    survives(Database::Sqlite, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_done_once_with_postgresql_as_well() {
    let postgres = Postgres::start();
    survives(Database::Postgres { url: postgres.url() }, 2).await;
}
