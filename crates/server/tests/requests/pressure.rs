//! What senders and probes are told when deliveries cannot be stored.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, Response},
};
use tagboat_intake::sign_standard_webhook;
use tagboat_model::Timestamp;
use tagboat_ports::{Clock, Store as _};
use tagboat_server::{Access, Pressure, Server};
use tower::ServiceExt as _;

use crate::{ANNOUNCED, from_ci, from_registry, get, interested_branch, send, server};

/// Status, `Retry-After`, body.
async fn ask(server: &Server, request: Request<Body>) -> (u16, Option<String>, String) {
    let response: Response<Body> = server.clone().router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, after, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn while_too_much_waits_senders_are_told_to_come_again() {
    let (server, store) = server(Access::Everybody);
    interested_branch(&store).await;
    let server = Server { pressure: Arc::new(Pressure::new(2)), ..server };
    let tag = |tag: &str| ANNOUNCED.replace("1.5.0", tag);
    for (id, status) in [("1", 202), ("2", 202), ("3", 503)] {
        assert_eq!(ask(&server, from_ci(id, "s3cret", &tag(id))).await.0, status, "{id}");
    }
    let (status, after, _) = ask(&server, from_ci("3", "s3cret", &tag("3"))).await;
    assert_eq!((status, after.as_deref()), (503, Some("30")));
    assert_eq!(ask(&server, from_ci("4", "wrong", &tag("4"))).await.0, 401, "strangers do not learn of it");
    let quiet = ask(&server, from_registry("Bearer t", r#"{"events":[]}"#)).await;
    assert_eq!(quiet.0, 200, "what brings nothing is not kept from anybody");
    assert_eq!(store.events(10).await.unwrap().len(), 2, "what was put off is not stored");
    let (status, told) = send(&server, get("/readyz")).await;
    assert!(
        status == 503 && told.contains(r#""state":"queueFull""#) && told.contains("limits.pendingEvents"),
        "{told}"
    );
    assert_eq!(send(&server, get("/livez")).await.0, 200);
}

#[tokio::test]
async fn what_nobody_wants_fills_nothing() {
    let (server, _) = server(Access::Everybody);
    let server = Server { pressure: Arc::new(Pressure::new(2)), ..server };
    let announce = |id: &str| from_ci(id, "s3cret", &ANNOUNCED.replace("1.5.0", id));
    for (id, status) in [("1", 202), ("2", 202), ("3", 503)] {
        assert_eq!(ask(&server, announce(id)).await.0, status, "{id}");
    }
    assert_eq!(ask(&server, get("/metrics")).await.0, 200, "which counts");
    assert_eq!(ask(&server, announce("3")).await.0, 202, "no branch waits for them");
}

/// Time goes on.
struct Machine;

#[async_trait::async_trait]
impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis().try_into().unwrap())
    }
    async fn sleep_until(&self, point: Timestamp) {
        tokio::time::sleep(point.since(self.now()).into()).await;
    }
}

fn from_ci_now(id: &str) -> Request<Body> {
    let seconds = Machine.now().0 / 1000;
    let signature = sign_standard_webhook(&"s3cret".to_owned().into(), id, seconds, ANNOUNCED.as_bytes());
    let request = Request::post("/hooks/ci").header("webhook-id", id).header("webhook-timestamp", seconds.to_string());
    request.header("webhook-signature", signature).body(Body::from(ANNOUNCED)).unwrap()
}

async fn on_sqlite() -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("tagboat.db").display());
    let store = tagboat_store::SqliteStore::open(&url).await.unwrap();
    let base = server(Access::Everybody).0;
    (Server { store: Arc::new(store), clock: Arc::new(Machine), ..base }, folder)
}

#[tokio::test]
async fn a_database_that_others_hold_is_waited_for_and_then_said_so() {
    let (server, folder) = on_sqlite().await;
    let (status, told) = send(&server, get("/readyz")).await;
    assert!(status == 200 && told.contains("lastWriteAgeMs"), "{told}");
    // Another program writes, and does not end.
    let script = "import sqlite3,sys,time\nc=sqlite3.connect(sys.argv[1],isolation_level=None)\nc.execute('BEGIN IMMEDIATE')\nprint('held',flush=True)\nsys.stdin.read()\n";
    let mut other = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(folder.path().join("tagboat.db"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(other.stdout.take().unwrap()), &mut line).unwrap();
    let begin = std::time::Instant::now();
    let (status, after, body) = ask(&server, from_ci_now("1")).await;
    assert_eq!((status, after.as_deref(), body.as_str()), (503, Some("5"), ""), "never an answer before it is durable");
    assert!(begin.elapsed() < std::time::Duration::from_secs(8), "{:?}", begin.elapsed());
    let plain = Request::get("/readyz").header("accept", "text/plain").body(Body::empty()).unwrap();
    let (status, _, told) = ask(&server, plain).await;
    assert!(status == 503 && told.starts_with("slow: the database does not answer in time"), "{told}");
    drop(other.stdin.take());
    other.wait().unwrap();
    // It goes on by itself, and what was put off comes again.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while ask(&server, get("/readyz")).await.0 != 200 {
        assert!(std::time::Instant::now() < until);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let (status, _, told) = ask(&server, from_ci_now("1")).await;
    assert!(status == 202, "{told}");
    assert_eq!(server.store.events(10).await.unwrap().len(), 1, "once, though it came twice");
}
