//! What every store promises of deliveries: each is stored once, shown, and emptied in time.

use tagboat_model::{EventId, ReceiverName, Trust};
use tagboat_ports::{NewDelivery, Store, Stored, StoredDelivery};

use super::{at, delivery, key, lease, quiet_branch, served, to_record, waiting};

fn with_body(delivery: NewDelivery, body: &str) -> NewDelivery {
    NewDelivery { body: body.as_bytes().to_vec(), body_hash: format!("hash of {body}"), ..delivery }
}

fn duplicate(events: &[&str], same_body: bool) -> Stored {
    Stored::Duplicate { events: events.iter().map(|id| id.parse().unwrap()).collect(), same_body }
}

async fn one(store: &dyn Store, id: &str) -> StoredDelivery {
    store.delivery(&id.parse().unwrap()).await.unwrap().unwrap()
}

pub(super) async fn repeated_ones_change_nothing(store: &dyn Store) {
    quiet_branch(store).await;
    let mut first = delivery(1, "same", "1.0.0", at(1));
    let mut another = first.events[0].clone();
    another.id = "another".parse().unwrap();
    first.events.push(another);
    let new = Stored::New(vec![("event-1".parse().unwrap(), 1), ("another".parse().unwrap(), 1)]);
    assert_eq!(store.accept(first).await.unwrap(), new);
    let again = delivery(2, "same", "9.9.9", at(2));
    assert_eq!(store.accept(again.clone()).await.unwrap(), duplicate(&["event-1", "another"], true));
    let changed = with_body(again, "[]");
    assert_eq!(store.accept(changed).await.unwrap(), duplicate(&["event-1", "another"], false));
    assert_eq!(store.events(10).await.unwrap().len(), 2);
    let deliveries = store.deliveries(None, 10).await.unwrap();
    assert_eq!((deliveries.len(), deliveries[0].reasons.as_slice()), (1, &["a reason".to_owned()][..]));

    let without_events = |number| NewDelivery { events: Vec::new(), ..delivery(number, "ignored", "1.0.0", at(3)) };
    assert_eq!(store.accept(without_events(3)).await.unwrap(), Stored::New(Vec::new()));
    assert_eq!(store.accept(without_events(4)).await.unwrap(), duplicate(&[], true));
}

pub(super) async fn keys_belong_to_their_receiver(store: &dyn Store) {
    let here = delivery(1, "same", "1.0.0", at(1));
    let beside = NewDelivery { receiver: "other".parse().unwrap(), ..delivery(2, "same", "1.0.0", at(1)) };
    let theirs = NewDelivery { tenant: "other".parse().unwrap(), ..delivery(3, "same", "1.0.0", at(1)) };
    for delivery in [here, beside, theirs] {
        assert!(matches!(store.accept(delivery).await.unwrap(), Stored::New(_)));
    }
}

async fn newest(store: &dyn Store, receiver: Option<&str>, limit: u32) -> Vec<String> {
    let receiver: Option<ReceiverName> = receiver.map(|name| name.parse().unwrap());
    let deliveries = store.deliveries(receiver.as_ref(), limit).await.unwrap();
    deliveries.iter().map(|delivery| delivery.id.as_str().to_owned()).collect()
}

pub(super) async fn they_are_shown(store: &dyn Store) {
    quiet_branch(store).await;
    store.accept(delivery(1, "a", "1.0.0", at(1))).await.unwrap();
    let of_ci = NewDelivery {
        receiver: "ci".parse().unwrap(),
        kind: "generic".to_owned(),
        trust: Trust::Token,
        ..delivery(2, "b", "1.1.0", at(2))
    };
    store.accept(of_ci).await.unwrap();
    store.accept(delivery(3, "c", "1.2.0", at(3))).await.unwrap();
    assert_eq!(newest(store, None, 2).await, ["delivery-3", "delivery-2"]);
    assert_eq!(newest(store, Some("registry"), 10).await, ["delivery-3", "delivery-1"]);
    assert_eq!(newest(store, Some("registry"), 1).await, ["delivery-3"]);
    assert!(newest(store, Some("nobody"), 10).await.is_empty());

    let found = one(store, "delivery-2").await;
    let record = &found.record;
    assert_eq!((record.tenant.as_str(), record.receiver.as_str(), record.received_at), ("default", "ci", at(2)));
    assert_eq!((record.kind.as_str(), record.trust, record.verdict.as_str()), ("generic", Trust::Token, "accepted"));
    assert_eq!((found.key.as_str(), found.body.as_deref()), ("b", Some(&b"{}"[..])));
    assert_eq!(found.headers, [("content-type".to_owned(), "application/json".to_owned())]);
    let events: Vec<_> = found.events.iter().map(|event| (event.id.as_str(), event.branches.as_slice())).collect();
    assert_eq!(events, [("event-2", &[(key("main"), false)][..])]);
    assert!(store.delivery(&"nobody".parse().unwrap()).await.unwrap().is_none());
}

pub(super) async fn the_old_are_emptied(store: &dyn Store) {
    for (number, second) in [(1, 10), (2, 20), (3, 30)] {
        store.accept(delivery(number, &number.to_string(), "1.0.0", at(second))).await.unwrap();
    }
    assert_eq!(store.prune_deliveries(at(20), 1000).await.unwrap(), 1);
    assert_eq!(store.prune_deliveries(at(20), 1000).await.unwrap(), 0, "once each");
    let emptied = one(store, "delivery-1").await;
    assert_eq!((emptied.body, emptied.headers.len()), (None, 0));
    assert_eq!((emptied.key.as_str(), emptied.record.reasons.len(), emptied.events.len()), ("1", 1, 1));
    let whole = one(store, "delivery-2").await;
    assert_eq!((whole.body.as_deref(), whole.headers.len()), (Some(&b"{}"[..]), 1));

    let again = delivery(4, "1", "1.0.0", at(40));
    assert_eq!(store.accept(again.clone()).await.unwrap(), duplicate(&["event-1"], true), "its hash is kept");
    assert_eq!(store.accept(with_body(again, "[]")).await.unwrap(), duplicate(&["event-1"], false));
}

pub(super) async fn the_oldest_are_emptied_while_all_are_too_large(store: &dyn Store) {
    for (number, second, bytes) in [(1, 30, 100), (2, 10, 50), (3, 20, 0), (4, 40, 100)] {
        let sized = with_body(delivery(number, &number.to_string(), "1.0.0", at(second)), &"x".repeat(bytes));
        store.accept(sized).await.unwrap();
    }
    // The most bytes that may stay, how many are emptied for that, and which still have a body.
    for (most_bytes, count, whole) in
        [(250, 0, &[1, 2, 3, 4][..]), (249, 1, &[1, 3, 4]), (150, 2, &[4]), (0, 1, &[]), (0, 0, &[])]
    {
        assert_eq!(store.prune_deliveries(at(0), most_bytes).await.unwrap(), count, "{most_bytes}");
        for number in 1..=4 {
            let has_body = one(store, &format!("delivery-{number}")).await.body.is_some();
            assert_eq!(has_body, whole.contains(&number), "{number} of at most {most_bytes}");
        }
    }
}

pub(super) async fn what_has_no_id_may_be_something_new(store: &dyn Store) {
    quiet_branch(store).await;
    let same = |number, seconds| NewDelivery { acts_again: true, ..delivery(number, "hash", "latest", at(seconds)) };
    store.accept(same(1, 10)).await.unwrap();
    let work = lease(store, at(20)).await.unwrap();
    store.finish(&work, served(), at(20)).await.unwrap();
    // The tag moved again, and its sender says so in the same words.
    let again = store.accept(same(2, 30)).await.unwrap();
    let first: EventId = "event-1".parse().unwrap();
    assert_eq!(again, Stored::Duplicate { events: vec![first.clone()], same_body: true });
    assert_eq!(store.deliveries(None, 10).await.unwrap().len(), 1);
    assert_eq!(store.event(&first).await.unwrap().unwrap().branches, [(key("main"), false)]);
    let work = lease(store, at(40)).await.unwrap();
    let pending = waiting(store, &work).await;
    assert_eq!(pending.iter().map(|event| &event.id).collect::<Vec<_>>(), [&first]);
}

pub(super) async fn what_is_caused_anew_is_answered_by_both_works(store: &dyn Store) {
    quiet_branch(store).await;
    let same = |number, seconds| NewDelivery { acts_again: true, ..delivery(number, "hash", "1.5.0", at(seconds)) };
    store.accept(same(1, 10)).await.unwrap();
    let first: EventId = "event-1".parse().unwrap();
    let work = lease(store, at(20)).await.unwrap();
    // While the first work is under way.
    store.accept(same(2, 21)).await.unwrap();
    store.record(&work, to_record("d-1", true)).await.unwrap();
    assert_eq!(store.answered(&"d-1".parse().unwrap()).await.unwrap(), std::slice::from_ref(&first));
    store.finish(&work, served(), at(22)).await.unwrap();
    assert_eq!(store.event(&first).await.unwrap().unwrap().branches, [(key("main"), false)]);
    let work = lease(store, at(40)).await.unwrap();
    assert_eq!(waiting(store, &work).await.len(), 1);
    store.record(&work, to_record("d-2", false)).await.unwrap();
    store.finish(&work, served(), at(41)).await.unwrap();
    assert_eq!(store.answered(&"d-2".parse().unwrap()).await.unwrap(), std::slice::from_ref(&first));
    // Once everything was answered, a repetition asks anew: what was said before is void.
    store.accept(same(3, 50)).await.unwrap();
    assert!(store.answered(&"d-1".parse().unwrap()).await.unwrap().is_empty());
    assert!(store.answered(&"d-2".parse().unwrap()).await.unwrap().is_empty());
}

pub(super) async fn another_body_under_a_key_changes_nothing(store: &dyn Store) {
    quiet_branch(store).await;
    let announcing = |number, body: &str, tag: &str| {
        let delivery = with_body(delivery(number, "key", tag, at(10)), body);
        NewDelivery { acts_again: true, once: Some(format!("id-{number}")), ..delivery }
    };
    store.accept(announcing(1, "one", "1.5.0")).await.unwrap();
    let work = lease(store, at(20)).await.unwrap();
    store.finish(&work, served(), at(20)).await.unwrap();
    assert_eq!(store.accept(announcing(2, "two", "1.6.0")).await.unwrap(), duplicate(&["event-1"], false));
    assert!(lease(store, at(60)).await.is_err(), "nothing is to be done");
    // And what was signed once is not taken under another key.
    let replayed = NewDelivery { key: "another key".to_owned(), ..announcing(1, "one", "1.5.0") };
    assert_eq!(store.accept(replayed).await.unwrap(), duplicate(&["event-1"], true));
    assert_eq!(store.deliveries(None, 10).await.unwrap().len(), 1);
}
