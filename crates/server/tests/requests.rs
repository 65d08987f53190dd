//! Requests of every kind, and the answers they get.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    http::{Request, Response},
};
use tagboat_intake::{Receiver, Sender, sign_standard_webhook};
use tagboat_model::{BranchKey, Duration, Timestamp};
use tagboat_ports::{Clock, Ids, Store as _};
use tagboat_server::{Access, Refusals, Server};
use tagboat_testkit::simulator::MemoryStore;
use tower::ServiceExt as _;

struct Frozen;

#[async_trait::async_trait]
impl Clock for Frozen {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
    async fn sleep_until(&self, _: Timestamp) {}
}

#[derive(Default)]
struct Counting(std::sync::atomic::AtomicU64);

impl Ids for Counting {
    fn fresh(&self, prefix: &str) -> String {
        format!("{prefix}-{}", self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

fn server(access: Access) -> (Server, Arc<MemoryStore>) {
    let receiver = |name: &str, sender: Sender| Receiver {
        name: name.parse().unwrap(),
        tenant: "default".parse().unwrap(),
        sender,
        images: vec!["r.example/acme/*".parse().unwrap()],
    };
    let distribution =
        Sender::Distribution { authorization: vec!["Bearer t".to_owned().into()], registry: "r.example".to_owned() };
    let generic = Sender::Generic { secrets: vec!["s3cret".to_owned().into()] };
    let receivers = [receiver("registry", distribution), receiver("ci", generic)];
    let receivers: BTreeMap<_, _> = receivers.into_iter().map(|receiver| (receiver.name.clone(), receiver)).collect();
    let store = Arc::new(MemoryStore::default());
    let server = Server {
        store: Arc::clone(&store) as _,
        clock: Arc::new(Frozen),
        ids: Arc::new(Counting::default()),
        progress: Arc::new(()),
        receivers: Arc::new(receivers),
        refusals: Arc::new(Refusals::default()),
        access: Arc::new(access),
        largest_body: 2000,
        reading: Arc::new(tokio::sync::Semaphore::new(4)),
    };
    (server, store)
}

async fn send(server: &Server, request: Request<Body>) -> (u16, String) {
    let response: Response<Body> = server.clone().router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn from_registry(authorization: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/hooks/registry").header("authorization", authorization).body(body.into()).unwrap()
}

fn from_ci(id: &str, secret: &str, body: &str) -> Request<Body> {
    let seconds = Frozen.now().0 / 1000;
    Request::post("/hooks/ci")
        .header("webhook-id", id)
        .header("webhook-timestamp", seconds.to_string())
        .header("webhook-signature", sign_standard_webhook(&secret.to_owned().into(), id, seconds, body.as_bytes()))
        .body(Body::from(body.to_owned()))
        .unwrap()
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

const ANNOUNCED: &str = r#"{"image":"r.example/acme/web","tag":"1.5.0"}"#;
const PUSH: &str = r#"{"events":[{"id":"1","action":"push","target":{"mediaType":"application/vnd.oci.image.index.v1+json","repository":"acme/web","tag":"1.5.0"}}]}"#;

#[tokio::test]
async fn a_stranger_learns_nothing() {
    let (server, store) = server(Access::Everybody);
    for request in [
        from_registry("Bearer wrong", PUSH),
        from_ci("a", "wrong", ANNOUNCED),
        Request::post("/hooks/nobody").body(Body::from(PUSH)).unwrap(),
        Request::post("/hooks/registry").body(Body::from(PUSH)).unwrap(),
        Request::post("/hooks/%2e%2e").body(Body::empty()).unwrap(),
    ] {
        assert_eq!(send(&server, request).await, (401, String::new()));
    }
    assert!(store.deliveries(10).await.unwrap().is_empty());
    let refusals = server.refusals.all();
    assert_eq!(refusals.iter().map(|refusal| refusal.count).sum::<u64>(), 5);
    assert!(refusals.iter().any(|refusal| refusal.reason == "the credential does not match"));
}

#[tokio::test]
async fn an_authentic_request_is_stored_and_never_answered_with_an_error() {
    let (server, store) = server(Access::Everybody);
    for (request, status, verdict) in [
        (from_registry("Bearer t", PUSH), 200, "accepted"),
        (from_registry("Bearer t", PUSH), 200, "duplicate"),
        (from_registry("Bearer t", "{"), 200, "unparsable"),
        (from_registry("Bearer t", r#"{"events":[]}"#), 200, "ignored"),
        (from_registry("Bearer t", vec![b' '; 3000]), 200, "unparsable"),
        (from_ci("a", "s3cret", ANNOUNCED), 202, "accepted"),
        (from_ci("b", "s3cret", "nonsense"), 200, "unparsable"),
        (from_ci("c", "s3cret", &ANNOUNCED.replace("acme", "other")), 200, "ignored"),
    ] {
        let (given, body) = send(&server, request).await;
        assert_eq!((given, body.contains(&format!("\"verdict\":\"{verdict}\""))), (status, true), "{body}");
    }
    assert_eq!(store.events(10).await.unwrap().len(), 2);
    assert_eq!(store.deliveries(10).await.unwrap().len(), 6, "what is routine is not kept");
    let full = Server { reading: Arc::new(tokio::sync::Semaphore::new(0)), ..server.clone() };
    assert_eq!(send(&full, from_ci("e", "s3cret", ANNOUNCED)).await.0, 503, "the sender keeps it");
    let too_large = from_ci("d", "s3cret", &" ".repeat(3000));
    assert_eq!(send(&server, too_large).await.0, 413, "a signature over a body that was not read proves nothing");
}

#[tokio::test]
async fn events_tell_which_branches_they_reach() {
    let (server, store) = server(Access::Everybody);
    let key = BranchKey {
        tenant: "default".parse().unwrap(),
        repository: "config".parse().unwrap(),
        branch: "main".parse().unwrap(),
    };
    store.know_branches(std::slice::from_ref(&key), Timestamp(0)).await.unwrap();
    let settle = tagboat_ports::Settle { quiet: Duration::ZERO, at_most: Duration::ZERO };
    let work = store.lease("worker", settle, Duration::from_seconds(60), Timestamp(0)).await.unwrap().unwrap();
    store.set_interests(&work, &[("r.example/acme/web".parse().unwrap(), String::new())]).await.unwrap();
    let (_, told) = send(&server, from_ci("a", "s3cret", ANNOUNCED)).await;
    let id = told.split("\"events\":[\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (status, body) = send(&server, get(&format!("/api/v1/events/{id}"))).await;
    assert!(status == 200 && body.contains("\"repository\":\"config\"") && body.contains("\"decisions\":[]"), "{body}");
    for (path, status) in [
        ("/api/v1/events", 200),
        ("/api/v1/events?limit=1", 200),
        ("/api/v1/events/ev-999", 404),
        ("/api/v1/events/%20", 404),
        ("/api/v1/decisions", 200),
        ("/api/v1/decisions?event=%20", 400),
        ("/api/v1/decisions?nonsense=1", 400),
        ("/api/v1/deliveries", 200),
        ("/api/v1/branches", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/nowhere", 404),
    ] {
        assert_eq!(send(&server, get(path)).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn what_others_sent_is_escaped_on_the_page() {
    let (server, _) = server(Access::Everybody);
    send(&server, from_ci("a", "s3cret", r#"{"image":"<script>alert(1)</script>","tag":"1"}"#)).await;
    let (status, page) = send(&server, get("/")).await;
    assert!(status == 200 && page.contains("&#60;script&#62;") && !page.contains("<script"), "{page}");
}

#[tokio::test]
async fn reading_needs_a_token_where_one_is_set_and_is_off_where_nothing_is_said() {
    let (open, _) = server(Access::Nobody);
    let (status, body) = send(&open, get("/api/v1/events")).await;
    assert!(status == 403 && body.contains("tokenFile"), "{body}");
    assert_eq!(send(&open, get("/readyz")).await.0, 200, "probes are not for reading");
    let (closed, _) = server(Access::Token("t0ken".to_owned().into()));
    for (header, status) in [
        ("Bearer t0ken", 200),
        ("Basic YW55Ym9keTp0MGtlbg==", 200),
        ("Basic YW55Ym9keTp3cm9uZw==", 401),
        ("Bearer t0ke", 401),
        ("t0ken", 401),
        ("", 401),
    ] {
        let request = Request::get("/api/v1/events").header("authorization", header).body(Body::empty()).unwrap();
        assert_eq!(send(&closed, request).await.0, status, "{header}");
    }
}
