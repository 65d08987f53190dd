//! Requests of every kind, and the answers they get.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    http::{Request, Response},
};
use tagboat_intake::{Configured, Kind, Receiver, Tenancy, credentials, sign_standard_webhook};
use tagboat_model::{BranchKey, Duration, KeySource, Timestamp};
use tagboat_ports::{Clock, Ids, KeyError, PublishedKeys, Settle, Store as _, Work};
use tagboat_server::{Access, ConfigRepositoryAddress, Counts, Door, Metrics, Pressure, Repositories, Room, Server};
use tagboat_testkit::simulator::MemoryStore;
use tower::ServiceExt as _;

mod app;
mod commands;
mod description;
mod metrics;
mod pressure;
mod told;

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

/// Nobody publishes keys.
struct NoKeys;

#[async_trait::async_trait]
impl PublishedKeys for NoKeys {
    async fn document(&self, source: &KeySource) -> Result<Arc<[u8]>, KeyError> {
        Err(KeyError { address: format!("{source:?}"), detail: "nobody is there".to_owned() })
    }
    async fn newer_document(&self, source: &KeySource) -> Result<Arc<[u8]>, KeyError> {
        self.document(source).await
    }
    async fn confirm_subscription(&self, url: &str) -> Result<(), KeyError> {
        Err(KeyError { address: url.to_owned(), detail: "nobody is there".to_owned() })
    }
}

fn receiver(name: &str, kind: Kind, secret: &str) -> Receiver {
    let (name, tenant) = (name.parse().unwrap(), "default".parse().unwrap());
    let configured = Configured { secrets: vec![secret.to_owned().into()], ..Configured::default() };
    Receiver {
        credentials: credentials(kind, &tenant, &name, configured).unwrap(),
        name,
        tenant,
        kind,
        registry: kind.needs_registry().then(|| "r.example".to_owned()),
        repository: None,
        tenancy: Tenancy::Fixed,
        images: vec!["r.example/acme/*".parse().unwrap(), "docker.io/acme/*".parse().unwrap()],
    }
}

/// The config repository that there is.
fn repository() -> ConfigRepositoryAddress {
    ConfigRepositoryAddress {
        tenant: "default".parse().unwrap(),
        name: "config".parse().unwrap(),
        address: "https://git.example/acme/config".to_owned(),
    }
}

/// The secret of the receiver with a secret address.
const HUB_SECRET: &str = "a secret for the address";

fn doors(largest: usize, at_once: usize) -> Arc<BTreeMap<tagboat_model::ReceiverName, Arc<Door>>> {
    let receivers = [
        receiver("registry", Kind::Distribution, "Bearer t"),
        receiver("ci", Kind::Generic, "s3cret"),
        receiver("hub", Kind::Dockerhub, HUB_SECRET),
    ];
    let door = |receiver: Receiver| (receiver.name.clone(), Arc::new(Door::new(receiver, largest, at_once, 1000)));
    Arc::new(receivers.into_iter().map(door).collect())
}

fn server(access: Access) -> (Server, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let server = Server {
        store: Arc::clone(&store) as _,
        clock: Arc::new(Frozen),
        ids: Arc::new(Counting::default()),
        progress: Arc::new(()),
        keys: Arc::new(NoKeys),
        doors: doors(2000, 8000),
        repositories: Arc::new(Repositories::new(vec![repository()])),
        bots: Arc::default(),
        installations_changed: Arc::default(),
        counts: Arc::new(Counts::default()),
        metrics: Arc::new(Metrics::new(Frozen.now())),
        pressure: Arc::new(Pressure::new(1000)),
        access: Arc::new(access),
        room: Arc::new(Room::new(2000, 8000)),
        proved_room: Arc::new(Room::new(2000, 8000)),
    };
    (server, store)
}

async fn send(server: &Server, request: Request<Body>) -> (u16, String) {
    let (method, path) = (request.method().as_str().to_lowercase(), request.uri().path().to_owned());
    let response: Response<Body> = server.clone().router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let body = String::from_utf8_lossy(&body).into_owned();
    description::hold(&method, &path, status, &body);
    (status, body)
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
    assert!(store.deliveries(None, 10).await.unwrap().is_empty());
    let refusals = server.counts.all();
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
    assert_eq!(store.deliveries(None, 10).await.unwrap().len(), 6, "what is routine is not kept");
    let full = Server { doors: doors(2000, 0), ..server.clone() };
    assert_eq!(send(&full, from_ci("e", "s3cret", ANNOUNCED)).await.0, 503, "the sender keeps it");
    let too_large = from_ci("d", "s3cret", &" ".repeat(3000));
    assert_eq!(send(&server, too_large).await.0, 413, "a signature over a body that was not read proves nothing");
}

/// Make a branch known that is interested in the image of [`ANNOUNCED`], and leased.
async fn interested_branch(store: &MemoryStore) -> Work {
    let key = BranchKey {
        tenant: "default".parse().unwrap(),
        repository: "config".parse().unwrap(),
        branch: "main".parse().unwrap(),
    };
    store.know_branches(std::slice::from_ref(&key), Timestamp(0)).await.unwrap();
    let settle = Settle { quiet: Duration::ZERO, at_most: Duration::ZERO };
    let work = store.lease("worker", settle, Duration::from_seconds(60), Timestamp(0)).await.unwrap().unwrap();
    store.set_interests(&work, &[("r.example/acme/web".parse().unwrap(), String::new())]).await.unwrap();
    work
}

#[tokio::test]
async fn events_tell_which_branches_they_reach() {
    let (server, store) = server(Access::Everybody);
    interested_branch(&store).await;
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
        ("/livez", 200),
        ("/metrics", 200),
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

#[tokio::test]
async fn an_address_that_is_a_secret_opens_by_it_alone_and_supplies_nothing() {
    let (server, store) = server(Access::Everybody);
    let (tenant, name) = ("default".parse().unwrap(), "hub".parse().unwrap());
    let token = tagboat_intake::PathToken::derive(&tenant, &name, &HUB_SECRET.to_owned().into());
    let push =
        r#"{"push_data":{"tag":"1.5.0","pusher":"ann","pushed_at":1700000000},"repository":{"repo_name":"acme/web"}}"#;
    let to = |path: &str| Request::post(path).body(Body::from(push)).unwrap();
    for path in
        ["/hooks/hub/", "/hooks/hub/0", &format!("/hooks/hub/{}", "0".repeat(40)), "/hooks/none/x", "/hooks/ci/x"]
    {
        assert_eq!(send(&server, to(path)).await, (404, String::new()), "{path}");
    }
    // Whether there is a receiver of that name does not show.
    for path in ["/hooks/hub", "/hooks/none", "/hooks/ci"] {
        assert_eq!(send(&server, to(path)).await, (401, String::new()), "{path}");
    }
    let (status, body) = send(&server, to(&format!("/hooks/hub/{token}"))).await;
    assert!(status == 200 && body.contains("accepted"), "{status} {body}");
    let event = store.events(1).await.unwrap().remove(0);
    assert!(event.pushed().is_some() && event.trust == tagboat_model::Trust::Url);
    // The address is in no answer and no log line that is kept.
    let page = send(&server, get("/")).await.1;
    assert!(!page.contains(&token), "{page}");
}

fn announce(headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::post("/api/v1/events");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// The headers of a body signed with the secret of `ci`.
fn signed(id: &str, body: &str) -> Vec<(&'static str, String)> {
    let seconds = Frozen.now().0 / 1000;
    let signature = sign_standard_webhook(&"s3cret".to_owned().into(), id, seconds, body.as_bytes());
    vec![("webhook-id", id.to_owned()), ("webhook-timestamp", seconds.to_string()), ("webhook-signature", signature)]
}

#[tokio::test]
async fn ci_is_answered_with_an_id_and_hears_what_is_wrong() {
    let (server, store) = server(Access::Nobody);
    let send_signed = async |id: &str, body: &str, further: &[(&str, &str)]| {
        let headers = signed(id, body);
        let mut headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.extend(further);
        send(&server, announce(&headers, body)).await
    };
    let (status, told) = send_signed("1", ANNOUNCED, &[("idempotency-key", "job 17")]).await;
    assert!(status == 202 && told.contains(r#""verdict":"accepted""#), "{status} {told}");
    let id = told.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (status, again) = send_signed("2", ANNOUNCED, &[("idempotency-key", "job 17")]).await;
    assert!(status == 200 && again.contains(&id) && again.contains("duplicate"), "{status} {again}");
    let other = ANNOUNCED.replace("1.5.0", "1.6.0");
    let (status, told) = send_signed("3", &other, &[("idempotency-key", "job 17")]).await;
    assert!(status == 422 && told.contains("Idempotency-Key"), "{status} {told}");
    assert_eq!(send_signed("4", "nonsense", &[]).await.0, 400);
    let (status, told) = send_signed("5", &ANNOUNCED.replace("acme", "other"), &[]).await;
    assert!(status == 403 && told.contains("may not speak for"), "{status} {told}");
    assert_eq!(send(&server, announce(&[], ANNOUNCED)).await.0, 401);
    assert_eq!(send(&server, announce(&[("authorization", "Bearer t")], ANNOUNCED)).await.0, 401);
    assert_eq!(store.events(10).await.unwrap().len(), 1);

    // Reading is switched off, but who announced may read about it; nobody else may, and about nothing else.
    let read = async |headers: Vec<(&'static str, String)>| {
        let mut request = Request::get(format!("/api/v1/events/{id}"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        send(&server, request.body(Body::empty()).unwrap()).await
    };
    let (status, told) = read(signed(&id, "")).await;
    assert!(status == 200 && told.contains(r#""fate":"unwanted""#), "{status} {told}");
    assert_eq!(read(signed("another", "")).await.0, 403);
    assert_eq!(read(Vec::new()).await.0, 403);
}

#[tokio::test]
async fn senders_of_cloud_events_may_ask_first_and_learn_nothing() {
    let (server, _) = server(Access::Nobody);
    for path in ["/hooks/ci", "/hooks/nobody"] {
        let ask = Request::options(path)
            .header("webhook-request-origin", "events.example")
            .header("webhook-request-rate", "100");
        let answer = server.clone().router().oneshot(ask.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["webhook-allowed-origin"], "events.example");
        assert_eq!(answer.headers()["webhook-allowed-rate"], "*");
    }
}
