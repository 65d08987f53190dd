//! `git http-backend` behind a small HTTP server: the smart HTTP protocol as Git itself speaks it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{Response, StatusCode, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// A running server. It serves every repository below one folder.
#[derive(Debug)]
pub struct GitServer {
    port: u16,
    requests: Arc<AtomicUsize>,
    /// Dropping it stops the server.
    _stop: tokio::sync::oneshot::Sender<()>,
}

#[derive(Clone)]
struct Served {
    root: PathBuf,
    authorization: Option<String>,
    requests: Arc<AtomicUsize>,
}

impl GitServer {
    /// Serve `root`, to everybody or only with this user name and password.
    ///
    /// # Panics
    /// When no port can be bound.
    #[must_use]
    pub fn start(root: &Path, credentials: Option<(&str, &str)>) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let authorization =
            credentials.map(|(user, password)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        let served = Served { root: root.to_owned(), authorization, requests: Arc::clone(&requests) };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        // A thread of its own: a test that waits for a process must not keep that process waiting for Git.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let router = axum::Router::new().fallback(serve).with_state(served);
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    // An error means that the value is gone, which is a stop as well.
                    _ = stopped => {}
                }
            });
        });
        Self { port, requests, _stop: stop }
    }

    /// The address of the repository `config.git`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("config.git")
    }

    /// The address of a repository, by the name of its folder.
    #[must_use]
    pub fn url_of(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many requests were made so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(State(served): State<Served>, request: Request) -> Response<Body> {
    served.requests.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if served.authorization.as_ref().is_some_and(|expected| *expected != header("authorization")) {
        return Response::builder()
            .status(StatusCode::UNAUTHORIZED)
            .header("www-authenticate", "Basic realm=\"git\"")
            .body(Body::empty())
            .unwrap();
    }
    // A connection that is cut has no more than half of a body.
    let Ok(body) = axum::body::to_bytes(body, 64 << 20).await else {
        return Response::builder().status(StatusCode::BAD_REQUEST).body(Body::empty()).unwrap();
    };
    backend(&served.root, parts.uri.path(), &parts, body, "person").await
}

/// Let `git http-backend` answer a request for the repositories below `root`. `path` is where it finds the repository,
/// `user` who pushes.
pub(crate) async fn backend(root: &Path, path: &str, parts: &Parts, body: Bytes, user: &str) -> Response<Body> {
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_USER", user)
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = tokio::spawn(async move {
        // A backend that has heard enough closes its end.
        let _ = input.write_all(&body).await;
    });
    let output = child.wait_with_output().await.unwrap();
    writer.await.unwrap();
    cgi_response(&output.stdout)
}

/// Header lines, an empty line, the body.
fn cgi_response(output: &[u8]) -> Response<Body> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(output.len());
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        response = match name.eq_ignore_ascii_case("status") {
            true => response.status(value[..3].parse::<u16>().unwrap()),
            false => response.header(name, value),
        };
    }
    response.body(Body::from(Bytes::copy_from_slice(output.get(end + 4..).unwrap_or_default()))).unwrap()
}
