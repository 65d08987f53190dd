//! A server made of a function: a registry, token server or proxy with answers that no real one gives, and endpoints of
//! vendors.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use axum::{
    body::to_bytes,
    extract::Request,
    http::{HeaderMap, Response, StatusCode},
};

/// What the server was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query; the whole address when it is asked as a proxy.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
}

impl Asked {
    /// A header as text; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A running server. It remembers what it was asked, also when the answer is an error.
pub struct HttpFake {
    host: String,
    seen: Arc<Mutex<Vec<Asked>>>,
}

impl fmt::Debug for HttpFake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFake").field("host", &self.host).finish_non_exhaustive()
    }
}

impl HttpFake {
    /// Start it. The function gets the request and the server's own host and port. It ends with the runtime.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(answer: impl Fn(&Asked, &str) -> Response<String> + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, own, answer) = (Arc::clone(&seen), host.clone(), Arc::new(answer));
        let router = axum::Router::new().fallback(move |request: Request| {
            let (log, own, answer) = (Arc::clone(&log), own.clone(), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, 1 << 20).await.unwrap();
                let asked = Asked {
                    method: parts.method.to_string(),
                    path: parts.uri.to_string(),
                    headers: parts.headers,
                    body: String::from_utf8_lossy(&body).into_owned(),
                };
                log.lock().unwrap().push(asked.clone());
                answer(&asked, &own)
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { host, seen }
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Everything that was asked so far, in order.
    ///
    /// # Panics
    /// When an answer panicked.
    #[must_use]
    pub fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    /// The paths of everything that was asked so far, in order.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.seen().into_iter().map(|asked| asked.path).collect()
    }

    /// The paths of requests that carried credentials.
    #[must_use]
    pub fn paths_with_credentials(&self) -> Vec<String> {
        let with = self.seen().into_iter().filter(|asked| asked.headers.contains_key("authorization"));
        with.map(|asked| asked.path).collect()
    }

    /// How many requests had a path that starts like this.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|asked| asked.path.starts_with(path)).count()
    }
}

/// An answer.
///
/// # Panics
/// When a header or the status is none.
#[must_use]
pub fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response<String> {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.to_owned()).unwrap()
}
