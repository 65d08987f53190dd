//! A database is taken elsewhere whole, and what is old and done with goes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::sync::Arc;

use tagboat_model::{
    BranchKey, Decision, Duration, Event, Hold, ImageName, ImagePushed, Outcome, Person, Reason, Timestamp, Trust,
    Until, Wish,
};
use tagboat_ports::{Finish, NewDelivery, NewEvent, Settle, Settled, Stored, ToRecord, Work};
use tagboat_store::{TransferError, Upkeep, export, import, open};
use tagboat_testkit::{Postgres, store_contract::waiting};

fn key() -> BranchKey {
    BranchKey {
        tenant: "default".parse().unwrap(),
        repository: "config".parse().unwrap(),
        branch: "main".parse().unwrap(),
    }
}

fn web() -> ImageName {
    "ghcr.io/acme/web".parse().unwrap()
}

fn delivery(number: i64) -> NewDelivery {
    NewDelivery {
        id: format!("delivery-{number}").parse().unwrap(),
        tenant: "default".parse().unwrap(),
        receiver: "registry".parse().unwrap(),
        kind: "distribution".to_owned(),
        trust: Trust::Signed,
        key: format!("key {number}"),
        once: (number == 2).then(|| "once".to_owned()),
        acts_again: false,
        verdict: "accepted".to_owned(),
        reasons: vec!["an “odd” reason\n".to_owned()],
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: vec![0, 255, 10, 13],
        body_hash: "a hash".to_owned(),
        received_at: Timestamp(number * 1000),
        events: vec![NewEvent {
            id: format!("event-{number}").parse().unwrap(),
            event: Event::ImagePushed(ImagePushed::new(web(), format!("1.0.{number}").parse().unwrap(), None)),
            trust: Trust::Signed,
            looks: Vec::new(),
            branches: Vec::new(),
            urgent: false,
        }],
    }
}

async fn lease(store: &dyn Upkeep, now: i64) -> Work {
    let settle = Settle { quiet: Duration::ZERO, at_most: Duration::ZERO };
    store.lease("worker", settle, Duration::from_seconds(60), Timestamp(now)).await.unwrap().unwrap()
}

fn to_record(number: i64) -> ToRecord {
    let decision = Decision {
        environment: "dev".parse().unwrap(),
        entry: "web".parse().unwrap(),
        image: web(),
        current: vec!["1.0.0".to_owned()],
        outcome: Outcome::Update,
        version: None,
        reasons: vec![Reason::NoReference { image: web() }],
        gates: Vec::new(),
    };
    ToRecord {
        head: "a".repeat(40).parse().unwrap(),
        at: Timestamp(number * 1000),
        facts: vec![1, 2, 0],
        decisions: vec![(format!("d-{number}").parse().unwrap(), decision, true)],
        listed: vec![web()],
        missed: Vec::new(),
        waiting: Vec::new(),
    }
}

/// One event is served, and its commit landed; a second waits.
async fn fill(store: &dyn Upkeep) {
    store.know_branches(&[key()], Timestamp(0)).await.unwrap();
    let work = lease(store, 1).await;
    store.set_interests(&work, &[(web(), "rules".to_owned())]).await.unwrap();
    finish(store, &work, 2).await;
    store.accept(delivery(1)).await.unwrap();
    let work = lease(store, 1001).await;
    store.record(&work, to_record(1)).await.unwrap();
    let landed = vec![("d-1".parse().unwrap(), "b".repeat(40).parse().unwrap())];
    let settled = Settled { landed, ..Settled::default() };
    store.settle_changes(&key(), &settled, Timestamp(1002)).await.unwrap();
    finish(store, &work, 1003).await;
    store.accept(delivery(2)).await.unwrap();
    let (tenant, repository) = (key().tenant, key().repository);
    store.keep(&tenant, &repository, "a key", "a value").await.unwrap();
    let hold = Hold {
        id: "h-1".parse().unwrap(),
        environment: Some("prod".parse().unwrap()),
        entry: None,
        wish: Wish::Freeze,
        by: Person { name: "ann".to_owned(), account: None },
        why: None,
        since: Timestamp(1),
        until: Until::Released,
    };
    assert!(store.place_holds(&work, &[hold], Timestamp(2000)).await.unwrap());
}

async fn finish(store: &dyn Upkeep, work: &Work, now: i64) {
    let served = Finish::Served { head: None, swept: true, problem: None, wake_at: None };
    store.finish(work, served, Timestamp(now)).await.unwrap();
}

async fn sqlite(folder: &tempfile::TempDir, name: &str) -> Arc<dyn Upkeep> {
    open(&format!("sqlite:{}", folder.path().join(name).display()), None).await.unwrap()
}

async fn text_of(store: &dyn Upkeep) -> String {
    let mut text = Vec::new();
    export(store, &mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

async fn rows(store: &dyn Upkeep) -> i64 {
    store.sizes().await.unwrap().iter().map(|size| size.rows).sum()
}

#[tokio::test]
async fn what_is_exported_is_the_same_in_the_other_database_and_back() {
    let (folder, cluster) = (tempfile::tempdir().unwrap(), Postgres::start());
    let here = sqlite(&folder, "here.db").await;
    fill(&*here).await;
    let text = text_of(&*here).await;
    let there = open(&cluster.make_database("there"), None).await.unwrap();
    assert_eq!(import(&*there, &mut text.as_bytes()).await.unwrap(), 13);
    assert_eq!(text_of(&*there).await, text);
    let back = sqlite(&folder, "back.db").await;
    import(&*back, &mut text_of(&*there).await.as_bytes()).await.unwrap();
    assert_eq!(text_of(&*back).await, text);

    // It goes on there as it would have here: what was known is known, what waits is done, numbers go on.
    let again = there.accept(NewDelivery { id: "again".parse().unwrap(), ..delivery(1) }).await.unwrap();
    assert!(matches!(again, Stored::Duplicate { same_body: true, .. }), "{again:?}");
    let once = NewDelivery { id: "other".parse().unwrap(), key: "other".to_owned(), ..delivery(2) };
    assert!(matches!(there.accept(once).await.unwrap(), Stored::Duplicate { .. }));
    let work = lease(&*there, 9000).await;
    assert_eq!(waiting(&*there, &work).await.len(), 1);
    there.record(&work, to_record(2)).await.unwrap();
    assert_eq!(there.holds(&key().tenant, &key().repository).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_import_is_whole_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let here = sqlite(&folder, "here.db").await;
    fill(&*here).await;
    let text = text_of(&*here).await;
    let lines: Vec<&str> = text.lines().collect();
    let without_last = format!("{}\n", lines[..lines.len() - 1].join("\n"));
    let without_a_row = format!("{}\n{}\n", lines[..lines.len() - 2].join("\n"), lines[lines.len() - 1]);
    let of_the_future = text.replacen("{\"tagboatStore\":6}", "{\"tagboatStore\":7}", 1);
    let damaged = text.replacen("\"registry\"", "7", 1);
    let there = sqlite(&folder, "there.db").await;
    for (text, expect) in [
        (&text[..text.len() - 1], "the export was cut off"),
        (without_last.as_str(), "the export was cut off"),
        (without_a_row.as_str(), "the export was cut off"),
        (of_the_future.as_str(), "step 7, and here they are of step 6"),
        (damaged.as_str(), "line 2 is not one of an export: a column holds something else"),
        ("{}\n", "line 1 is not one of an export"),
        ("", "the export was cut off"),
    ] {
        let error = import(&*there, &mut text.as_bytes()).await.unwrap_err();
        assert!(error.to_string().contains(expect), "{error:?}");
        assert_eq!(rows(&*there).await, 0, "{expect}");
    }
    import(&*there, &mut text.as_bytes()).await.unwrap();
    let error = import(&*there, &mut text.as_bytes()).await.unwrap_err();
    assert!(matches!(error, TransferError::NotEmpty { table: "delivery" }), "{error}");
}

async fn what_is_done_with_goes(store: &dyn Upkeep) {
    fill(store).await;
    assert_eq!(store.prune_history(Timestamp(500)).await.unwrap(), 0, "nothing is so old");
    while store.prune_history(Timestamp(1_000_000)).await.unwrap() > 0 {}
    let left: Vec<(&str, i64)> = store.sizes().await.unwrap().iter().map(|size| (size.table, size.rows)).collect();
    for (table, expect) in [
        ("delivery", 1),
        ("event", 1),
        ("event_branch", 1),
        ("decision", 0),
        ("gathering", 0),
        ("decision_event", 0),
        ("hold", 1),
        ("branch", 1),
        ("interest", 1),
        ("kept", 1),
    ] {
        assert!(left.contains(&(table, expect)), "{table}: {left:?}");
    }
    assert_eq!(waiting(store, &lease(store, 9000).await).await.len(), 1, "what waits stays");
}

#[tokio::test]
async fn what_is_done_with_goes_from_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    what_is_done_with_goes(&*sqlite(&folder, "one.db").await).await;
}

#[tokio::test]
async fn what_is_done_with_goes_from_postgres() {
    let cluster = Postgres::start();
    what_is_done_with_goes(&*open(&cluster.url(), None).await.unwrap()).await;
}

#[tokio::test]
async fn work_in_whose_middle_processes_end_waits_longer_each_time_until_it_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = &*sqlite(&folder, "tagboat.db").await;
    store.know_branches(&[key()], Timestamp(0)).await.unwrap();
    let state = async || store.branches().await.unwrap().remove(0);
    let settle = Settle { quiet: Duration::ZERO, at_most: Duration::ZERO };
    let due = async |now| store.lease("worker", settle, Duration::from_seconds(60), Timestamp(now)).await.unwrap();
    let mut now = 1_000_000;
    for (ended, waits) in [(1, 0), (2, 0), (3, 0), (4, 2000), (5, 4000), (6, 8000)] {
        lease(store, now).await;
        store.release_orphans().await.unwrap();
        assert_eq!(
            (state().await.attempts, state().await.again_at),
            (ended, Some(Timestamp(waits.min(1) * now + waits)))
        );
        if waits > 0 {
            assert_eq!(due(now + waits - 1).await, Err(Some(Timestamp(now + waits))));
            assert!(state().await.problem.unwrap().contains("the process ended in the middle of this"));
        }
        now += waits;
    }
    // Also while nobody has found out that it ended once more.
    lease(store, now).await;
    store.retry(&[key()], Timestamp(now)).await.unwrap();
    store.release_orphans().await.unwrap();
    assert_eq!(state().await.attempts, 1);
    assert!(due(now + 1).await.is_ok());
}
