//! The address of the GitHub App: whose an event is, and that changes of installations are told.

use std::{collections::BTreeMap, sync::Arc};

use axum::{body::Body, http::Request};
use sha2::Sha256;
use tagboat_intake::{Kind, Receiver, Tenancy};
use tagboat_model::{BranchKey, Timestamp};
use tagboat_ports::Store as _;
use tagboat_server::{Access, ConfigRepositoryAddress, Counted, Door, Server};

use crate::{receiver, send, server};

const SECRET: &str = "the App's secret";

fn with_app(tenancy: Tenancy) -> (Server, Arc<tagboat_testkit::simulator::MemoryStore>) {
    let (server, store) = server(Access::Local);
    let receiver = Receiver { tenancy, ..receiver("github-app", Kind::Github, SECRET) };
    let doors = BTreeMap::from([(receiver.name.clone(), Arc::new(Door::new(receiver, 20_000, 80_000, 1000)))]);
    let server = Server { doors: Arc::new(doors), ..server };
    server.repositories.put(ConfigRepositoryAddress {
        tenant: "acme".parse().unwrap(),
        name: "config".parse().unwrap(),
        address: "https://github.com/Acme/config".to_owned(),
    });
    server.bots.write().unwrap().insert("tagboat[bot]".to_owned());
    (server, store)
}

fn from_github(event: &str, id: &str, body: &str) -> Request<Body> {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Request::post("/hooks/github-app")
        .header("content-type", "application/json")
        .header("x-github-event", event)
        .header("x-github-delivery", id)
        .header("x-hub-signature-256", format!("sha256={signature}"))
        .body(Body::from(body.to_owned()))
        .unwrap()
}

const REPOSITORY: &str = r#""repository":{"full_name":"Acme/config","clone_url":"https://github.com/Acme/config.git","owner":{"login":"Acme"}}"#;

fn comment(by: &str) -> String {
    format!(
        r#"{{"action":"created","issue":{{"number":7,"pull_request":{{}}}},"comment":{{"id":1}},{REPOSITORY},"sender":{{"login":"{by}"}}}}"#
    )
}

#[tokio::test]
async fn an_event_is_of_the_tenant_that_owns_what_it_is_about() {
    let (server, store) = with_app(Tenancy::PerOwner);
    let key = BranchKey {
        tenant: "acme".parse().unwrap(),
        repository: "config".parse().unwrap(),
        branch: "main".parse().unwrap(),
    };
    store.know_branches(std::slice::from_ref(&key), Timestamp(0)).await.unwrap();
    let (status, told) = send(&server, from_github("issue_comment", "1", &comment("mona"))).await;
    assert!(status == 202 && told.contains("accepted"), "{status} {told}");
    let delivery = store.deliveries(None, 1).await.unwrap().remove(0);
    assert_eq!(delivery.tenant.as_str(), "acme");
    let event = store.events(1).await.unwrap().remove(0);
    assert_eq!(event.branches.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [key]);
    let stranger = comment("mona").replace("Acme", "Stranger");
    let (_, told) = send(&server, from_github("issue_comment", "2", &stranger)).await;
    assert!(told.contains("ignored"), "{told}");
}

#[tokio::test]
async fn what_our_own_account_writes_is_counted_and_not_kept() {
    let (server, store) = with_app(Tenancy::PerOwner);
    let (_, told) = send(&server, from_github("issue_comment", "1", &comment("tagboat[bot]"))).await;
    assert!(told.contains("ignored"), "{told}");
    assert!(store.deliveries(None, 10).await.unwrap().is_empty());
    let counts = server.counts.of(&"github-app".parse().unwrap());
    let own = counts.iter().find(|count| count.outcome == Counted::Ignored).unwrap();
    assert_eq!(own.reason, "ownAct");
}

#[tokio::test]
async fn changes_of_installations_are_told_to_whoever_looks_for_repositories() {
    let installed = r#"{"action":"created","installation":{"id":7,"account":{"login":"Acme"}}}"#;
    for tenancy in [Tenancy::App, Tenancy::PerOwner] {
        let (server, _) = with_app(tenancy);
        let (status, told) = send(&server, from_github("installation", "1", installed)).await;
        assert!(status == 202 && told.contains("accepted"), "{status} {told}");
        tokio::time::timeout(std::time::Duration::from_secs(5), server.installations_changed.notified()).await.unwrap();
    }
    let (server, _) = with_app(Tenancy::Fixed);
    let (_, told) = send(&server, from_github("installation", "1", installed)).await;
    assert!(told.contains("ignored"), "it is not the App's address: {told}");
}
