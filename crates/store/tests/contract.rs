//! Both databases keep the contract of stores, through restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::cell::RefCell;

use tagboat_ports::Store as _;
use tagboat_store::{PostgresStore, SqliteStore};
use tagboat_testkit::Postgres;

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    let folders = RefCell::new(Vec::new());
    tagboat_testkit::store_contract::check(async || {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("tagboat.db").display());
        folders.borrow_mut().push(folder);
        SqliteStore::open(&url).await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let cluster = Postgres::start();
    drop(PostgresStore::open(&cluster.url(), None).await.unwrap());
    let tables = "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables
        WHERE schemaname = 'public' AND tablename NOT IN ('_sqlx_migrations', 'pulse')";
    let empty = format!("TRUNCATE {}", cluster.query("postgres", tables));
    tagboat_testkit::store_contract::check(async || {
        cluster.query("postgres", &empty);
        PostgresStore::open(&cluster.url(), None).await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("deep/er/tagboat.db").display());
    let key = tagboat_model::BranchKey {
        tenant: "default".parse().unwrap(),
        repository: "config".parse().unwrap(),
        branch: "main".parse().unwrap(),
    };
    SqliteStore::open(&url)
        .await
        .unwrap()
        .know_branches(std::slice::from_ref(&key), tagboat_model::Timestamp(1))
        .await
        .unwrap();
    let store = SqliteStore::open(&url).await.unwrap();
    assert_eq!(store.branches().await.unwrap()[0].key, key);
}

#[tokio::test]
async fn a_failed_operation_of_a_group_undoes_only_itself() {
    use tagboat_model::Timestamp;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&format!("sqlite:{}", folder.path().join("tagboat.db").display())).await.unwrap();
    let delivery = |id: &str, key: &str| tagboat_ports::NewDelivery {
        id: id.parse().unwrap(),
        tenant: "default".parse().unwrap(),
        receiver: "registry".parse().unwrap(),
        kind: "distribution".to_owned(),
        trust: tagboat_model::Trust::Token,
        key: key.to_owned(),
        once: None,
        acts_again: false,
        verdict: "ignored".to_owned(),
        reasons: Vec::new(),
        headers: Vec::new(),
        body: Vec::new(),
        body_hash: String::new(),
        received_at: Timestamp(1),
        events: Vec::new(),
    };
    // The second has an id that is taken, which is an error; all three are under way at once.
    let (a, b, c) = tokio::join!(
        store.accept(delivery("a", "1")),
        store.accept(delivery("a", "2")),
        store.accept(delivery("c", "3")),
    );
    assert!(a.is_ok() && b.is_err() && c.is_ok());
    assert_eq!(store.deliveries(None, 10).await.unwrap().len(), 2);
}
