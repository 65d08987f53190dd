//! What is counted, and what is told of an event while it waits.

use serde_json::{Value, json};
use tagboat_model::Timestamp;
use tagboat_ports::{Finish, Store as _};
use tagboat_server::{Access, Counted, Server};

use crate::{ANNOUNCED, from_ci, get, interested_branch, send, server};

/// How often something became of requests of `ci`, and why.
fn counted(server: &Server, outcome: Counted) -> Vec<(String, u64)> {
    let all = server.counts.of(&"ci".parse().unwrap()).into_iter();
    all.filter(|count| count.outcome == outcome).map(|count| (count.reason, count.count)).collect()
}

#[tokio::test]
async fn only_events_are_counted_as_accepted() {
    let (server, _) = server(Access::Everybody);
    let (_, told) = send(&server, from_ci("a", "s3cret", "nonsense")).await;
    assert!(told.contains("unparsable"), "{told}");
    assert!(counted(&server, Counted::Accepted).is_empty());
    assert_eq!(counted(&server, Counted::Ignored), [("unparsable".to_owned(), 1)]);
    send(&server, from_ci("b", "s3cret", ANNOUNCED)).await;
    assert_eq!(counted(&server, Counted::Accepted), [(String::new(), 1)]);
}

#[tokio::test]
async fn an_id_that_is_used_for_something_else_is_counted_apart() {
    let (server, store) = server(Access::Everybody);
    let other = ANNOUNCED.replace("1.5.0", "1.6.0");
    for (body, words) in [
        (ANNOUNCED, "accepted"),
        (ANNOUNCED, "this delivery was received before\""),
        (other.as_str(), "received before, with another body"),
        (other.as_str(), "received before, with another body"),
    ] {
        let (_, told) = send(&server, from_ci("a", "s3cret", body)).await;
        assert!(told.contains(words), "{told}");
    }
    let expected: [(String, u64); 2] = [(String::new(), 1), ("with another body".to_owned(), 2)];
    assert_eq!(counted(&server, Counted::Repeated), expected);
    assert_eq!(store.events(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_event_that_waits_tells_what_keeps_it() {
    let (server, store) = server(Access::Everybody);
    let work = interested_branch(&store).await;
    let (_, told) = send(&server, from_ci("a", "s3cret", ANNOUNCED)).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    let path = format!("/api/v1/events/{}", told["events"][0].as_str().unwrap());
    let followed = async || serde_json::from_str::<Value>(&send(&server, get(&path)).await.1).unwrap();
    let at_first = followed().await;
    assert_eq!((&at_first["fate"], &at_first["problems"]), (&json!("waiting"), &json!([])));

    let error = "the Git server refused the push: frozen".to_owned();
    let failed = Finish::Failed { error, swept: false, again_at: Timestamp(9000), parked: false };
    store.finish(&work, failed, Timestamp(1000)).await.unwrap();
    let problem = json!({
        "branch": "default/config#main", "problem": "the Git server refused the push: frozen", "againAt": 9000,
    });
    let failing = followed().await;
    assert_eq!((&failing["fate"], &failing["problems"]), (&json!("waiting"), &json!([problem])));
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_answered_with_success() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tagboat.db");
    let store = tagboat_store::SqliteStore::open(&format!("sqlite:{}", path.display())).await.unwrap();
    let server = Server { store: std::sync::Arc::new(store), ..server(Access::Everybody).0 };
    assert_eq!(send(&server, from_ci("a", "s3cret", ANNOUNCED)).await.0, 202);
    // What a dying disk leaves.
    for file in std::fs::read_dir(folder.path()).unwrap() {
        std::fs::write(file.unwrap().path(), vec![0xff; 8192]).unwrap();
    }
    assert_eq!(send(&server, from_ci("b", "s3cret", ANNOUNCED)).await.0, 503, "the sender keeps it");
    assert_eq!(counted(&server, Counted::Postponed), [("the database does not answer".to_owned(), 1)]);
}
