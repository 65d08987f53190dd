//! What stands between the server and everything that it asks, and springs the trap: one for HTTP, one for a database.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{Method, Response, StatusCode},
};
use reqwest::Client;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::trap::{Moment, Trap};

/// The name of what a request does.
pub(super) type Places = fn(&Method, &str) -> &'static str;

/// The only statement that is told from others.
pub(super) const STATEMENT: &str = "database statement";

/// A gate; a server to its clients. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Gate {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Gate {
    /// Before an HTTP server: of every request the trap hears when it came, and when its answer did.
    pub(super) fn before_http(upstream: &str, trap: &Trap, places: Places) -> Self {
        let (upstream, trap) = (upstream.trim_end_matches('/').to_owned(), trap.clone());
        Self::start(move |listener| async move {
            let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
            let router = axum::Router::new().fallback(move |request: Request| {
                let (client, upstream, trap) = (client.clone(), upstream.clone(), trap.clone());
                async move { pass(&client, &upstream, &trap, places, request).await }
            });
            axum::serve(listener, router).await.unwrap();
        })
    }

    /// Before a database: of everything that is sent the trap hears, and of what comes back first.
    pub(super) fn before_database(port: u16, trap: &Trap) -> Self {
        let trap = trap.clone();
        Self::start(move |listener| async move {
            while let Ok((client, _)) = listener.accept().await {
                let trap = trap.clone();
                tokio::spawn(async move {
                    // Whoever was killed goes away in the middle.
                    let _ = carry(client, port, &trap).await;
                });
            }
        })
    }

    fn start<F: Future<Output = ()>>(serve: impl FnOnce(TcpListener) -> F + Send + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        // A thread of its own: whoever waits for a process must not keep that process waiting.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = serve(listener) => {}
                    // An error means that the value is gone, which is a stop as well.
                    _ = stopped => {}
                }
            });
        });
        Self { address, _stop: stop }
    }

    /// Host and port.
    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }
}

async fn pass(client: &Client, upstream: &str, trap: &Trap, places: Places, request: Request) -> Response<Body> {
    let empty = |status: StatusCode| Response::builder().status(status).body(Body::empty()).unwrap();
    let (parts, body) = request.into_parts();
    // A client that was killed leaves half a body.
    let Ok(body) = to_bytes(body, 64 << 20).await else { return empty(StatusCode::BAD_REQUEST) };
    let place = places(&parts.method, &parts.uri.to_string());
    if trap.reach(place, Moment::Asked) {
        return empty(StatusCode::BAD_GATEWAY);
    }
    let mut asking = client.request(parts.method, format!("{upstream}{}", parts.uri)).body(body);
    for (name, value) in &parts.headers {
        if !["host", "content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
            asking = asking.header(name, value);
        }
    }
    let Ok(answer) = asking.send().await else { return empty(StatusCode::BAD_GATEWAY) };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if !["content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
            response = response.header(name, value);
        }
    }
    let Ok(bytes) = answer.bytes().await else { return empty(StatusCode::BAD_GATEWAY) };
    if trap.reach(place, Moment::Answered) {
        return empty(StatusCode::BAD_GATEWAY);
    }
    response.body(Body::from(bytes)).unwrap()
}

async fn carry(mut client: TcpStream, port: u16, trap: &Trap) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
    let is_asked = AtomicBool::new(false);
    let up = async {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let read = from_client.read(&mut bytes).await?;
            if read == 0 || trap.reach(STATEMENT, Moment::Asked) {
                return std::io::Result::Ok(());
            }
            is_asked.store(true, Ordering::SeqCst);
            to_server.write_all(&bytes[..read]).await?;
        }
    };
    let down = async {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let read = from_server.read(&mut bytes).await?;
            let is_answer = is_asked.swap(false, Ordering::SeqCst);
            if read == 0 || (is_answer && trap.reach(STATEMENT, Moment::Answered)) {
                return std::io::Result::Ok(());
            }
            to_client.write_all(&bytes[..read]).await?;
        }
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

/// Shared by whoever names requests: the registry's.
pub(super) fn registry_places(method: &Method, path: &str) -> &'static str {
    match () {
        () if path.contains("/tags/list") => "registry list tags",
        () if path.contains("/blobs/") => "registry blob",
        () if path.contains("/manifests/") && method == Method::HEAD => "registry digest",
        () if path.contains("/manifests/") => "registry manifest",
        () => "registry other",
    }
}

/// Git's.
pub(super) fn git_places(_: &Method, path: &str) -> &'static str {
    match () {
        () if path.contains("info/refs?service=git-receive-pack") => "git refs before push",
        () if path.contains("info/refs") => "git refs before fetch",
        () if path.ends_with("/git-receive-pack") => "git push",
        () if path.ends_with("/git-upload-pack") => "git fetch",
        () => "git other",
    }
}

/// The forge's.
pub(super) fn forge_places(method: &Method, path: &str) -> &'static str {
    let path = path.split('?').next().unwrap_or(path);
    match *method {
        Method::GET if path.ends_with("/pulls") => "forge list pull requests",
        Method::GET => "forge read",
        Method::POST if path.ends_with("/pulls") => "forge open pull request",
        Method::POST if path.ends_with("/comments") => "forge comment",
        Method::POST if path.contains("/statuses/") => "forge status",
        Method::PATCH => "forge change pull request",
        _ => "forge other write",
    }
}
