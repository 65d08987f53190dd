//! Several processes over one PostgreSQL: what one has to know of another, and what becomes of it when the server goes away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::time::Duration;

use tagboat_model::{BranchKey, Duration as Length, Timestamp};
use tagboat_ports::{Settle, Store as _, Work};
use tagboat_store::PostgresStore;
use tagboat_testkit::Postgres;
use tokio::time::timeout;

fn key(branch: &str) -> BranchKey {
    BranchKey {
        tenant: "default".parse().unwrap(),
        repository: "config".parse().unwrap(),
        branch: branch.parse().unwrap(),
    }
}

async fn lease(store: &PostgresStore, now: i64) -> Option<Work> {
    let settle = Settle { quiet: Length::ZERO, at_most: Length::ZERO };
    store.lease("worker", settle, Length::from_seconds(3600), Timestamp(now)).await.unwrap().ok()
}

async fn open(cluster: &Postgres) -> PostgresStore {
    PostgresStore::open(&cluster.url(), None).await.unwrap()
}

#[tokio::test]
async fn replicas_that_start_at_once_make_the_tables_once() {
    let cluster = Postgres::start();
    let (a, b, c) = tokio::join!(open(&cluster), open(&cluster), open(&cluster));
    for store in [a, b, c] {
        store.probe().await.unwrap();
    }
}

#[tokio::test]
async fn one_hears_of_work_that_another_was_told_of() {
    let cluster = Postgres::start();
    let (one, other) = (open(&cluster).await, open(&cluster).await);
    // What it heard while it started.
    while timeout(Duration::from_millis(500), other.changed()).await.is_ok() {}
    let heard = tokio::spawn(async move {
        timeout(Duration::from_secs(10), other.changed()).await.unwrap();
        lease(&other, 5).await.unwrap().key
    });
    one.know_branches(&[key("main")], Timestamp(1)).await.unwrap();
    assert_eq!(heard.await.unwrap(), key("main"));
}

#[tokio::test]
async fn two_take_different_work() {
    let cluster = Postgres::start();
    let (one, other) = (open(&cluster).await, open(&cluster).await);
    let keys: Vec<BranchKey> = (0..40).map(|number| key(&format!("b{number:02}"))).collect();
    one.know_branches(&keys, Timestamp(1)).await.unwrap();
    let take = async |store: &PostgresStore| {
        let mut taken = Vec::new();
        for _ in 0..200 {
            taken.extend(lease(store, 10).await.map(|work| work.key));
        }
        taken
    };
    let (mine, theirs) = tokio::join!(take(&one), take(&other));
    let mut all: Vec<BranchKey> = mine.iter().chain(&theirs).cloned().collect();
    all.sort();
    assert_eq!(all, keys, "each once");
}

#[tokio::test]
async fn the_work_of_one_that_is_gone_is_taken_up_at_once() {
    let cluster = Postgres::start();
    let (one, other) = (open(&cluster).await, open(&cluster).await);
    one.know_branches(&[key("main")], Timestamp(1)).await.unwrap();
    let work = lease(&one, 10).await.unwrap();
    other.release_orphans().await.unwrap();
    assert_eq!(lease(&other, 20).await, None, "it is there, and holds it");
    drop(one);
    let taken = timeout(Duration::from_secs(20), async {
        loop {
            match lease(&other, 30).await {
                Some(taken) => break taken,
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    let taken = taken.await.unwrap();
    assert_eq!((taken.key, taken.fence), (work.key, work.fence + 1));
}

#[tokio::test]
async fn everything_works_again_after_the_server_was_away() {
    let mut cluster = Postgres::start();
    let store = open(&cluster).await;
    store.know_branches(&[key("before")], Timestamp(1)).await.unwrap();
    cluster.kill();
    assert!(store.know_branches(&[key("meanwhile")], Timestamp(2)).await.is_err());
    assert!(store.branches().await.is_err());
    cluster.start_again();
    store.know_branches(&[key("after")], Timestamp(3)).await.unwrap();
    let known = store.branches().await.unwrap();
    let known: Vec<&str> = known.iter().map(|state| state.key.branch.as_str()).collect();
    assert_eq!(known, ["after", "before"]);
    assert!(lease(&store, 10).await.is_some());
}

/// A process that is stopped in the middle of a transaction holds up the others for seconds, not for ever.
#[tokio::test]
async fn one_that_is_silent_within_a_transaction_is_put_out() {
    let cluster = Postgres::start();
    let store = open(&cluster).await;
    let silent = format!(
        "SET idle_in_transaction_session_timeout = '3s'; BEGIN; SELECT pg_advisory_xact_lock({}); SELECT pg_sleep(2)",
        8_387_226_009_110_i64
    );
    let url = cluster.url();
    let holder = std::thread::spawn(move || drop(cluster_query(&url, &silent)));
    tokio::time::sleep(Duration::from_millis(500)).await;
    timeout(Duration::from_secs(15), store.know_branches(&[key("main")], Timestamp(1))).await.unwrap().unwrap();
    holder.join().unwrap();
}

fn cluster_query(url: &str, sql: &str) -> std::process::Output {
    std::process::Command::new("psql").args(["--no-psqlrc", "--quiet", "--command", sql, url]).output().unwrap()
}
