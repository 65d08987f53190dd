//! What is counted adds up at every moment, and says what waits.

use tagboat_model::Timestamp;
use tagboat_ports::{Finish, Store, Tally, Work};

use super::{at, delivery, key, lease, ruled, served, web};

/// Accepted, done, refused, pending.
async fn counted(store: &dyn Store, now: Timestamp) -> (u64, u64, u64, u64) {
    let tally = store.tally(now).await.unwrap();
    assert_eq!(tally.accepted, tally.done + tally.refused + tally.pending, "{tally:?}");
    (tally.accepted, tally.done, tally.refused, tally.pending)
}

/// Two branches that are interested in web, and served.
async fn two_quiet_branches(store: &dyn Store) {
    store.know_branches(&[key("main"), key("other")], at(0)).await.unwrap();
    let first = store.tally(at(1)).await.unwrap();
    assert_eq!((first.branches, first.waiting, first.leased, first.oldest), (2, 2, 0, Some(at(0))));
    for _ in 0..2 {
        let work: Work = lease(store, at(3)).await.unwrap();
        assert_eq!(store.tally(at(3)).await.unwrap().leased, 1);
        store.set_interests(&work, &[ruled(web())]).await.unwrap();
        store.finish(&work, served(), at(3)).await.unwrap();
    }
    let idle = store.tally(at(4)).await.unwrap();
    assert_eq!((idle.waiting, idle.leased, idle.oldest), (0, 0, None));
}

pub(super) async fn what_is_counted_adds_up(store: &dyn Store) {
    assert_eq!(store.tally(at(0)).await.unwrap(), Tally::default());
    store.probe().await.unwrap();
    two_quiet_branches(store).await;
    store.accept(delivery(1, "a", "1.0.0", at(5))).await.unwrap();
    let mut unwanted = delivery(2, "b", "1.0.0", at(6));
    unwanted.tenant = "nobody".parse().unwrap();
    store.accept(unwanted).await.unwrap();
    store.accept(delivery(3, "a", "1.0.0", at(7))).await.unwrap();
    assert_eq!(counted(store, at(8)).await, (2, 0, 1, 1), "one event, though two branches want it and it came twice");
    let waits = store.tally(at(8)).await.unwrap();
    assert_eq!((waits.waiting, waits.oldest), (2, Some(at(5))));

    let work = lease(store, at(30)).await.unwrap();
    store.finish(&work, served(), at(30)).await.unwrap();
    assert_eq!(counted(store, at(30)).await, (2, 0, 1, 1), "the other branch has not served it");
    let work = lease(store, at(30)).await.unwrap();
    let failed = Finish::Failed { error: "no answer".to_owned(), swept: false, again_at: at(60), parked: false };
    store.finish(&work, failed, at(31)).await.unwrap();
    let failing = store.tally(at(32)).await.unwrap();
    assert_eq!((failing.failing, failing.waiting), (1, 1));
    assert_eq!(failing.oldest, Some(at(5)), "a failure does not make it younger");
    let work = lease(store, at(60)).await.unwrap();
    store.finish(&work, served(), at(61)).await.unwrap();
    assert_eq!(counted(store, at(62)).await, (2, 1, 1, 0));
    let done = store.tally(at(62)).await.unwrap();
    assert_eq!((done.failing, done.oldest), (0, None));
}
