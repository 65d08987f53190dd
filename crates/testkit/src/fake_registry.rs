//! A registry, token server or proxy made of a function; it remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::{
    extract::Request,
    http::{HeaderMap, Response, StatusCode},
};

/// A server on loopback whose answers are computed by a function.
#[derive(Debug)]
pub struct FakeRegistry {
    /// Host and port.
    pub host: String,
    seen: Arc<Mutex<Vec<(String, HeaderMap)>>>,
}

impl FakeRegistry {
    /// Start it. The function gets the path with its query (the whole address when asked as a proxy), the headers, and
    /// its own host and port.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(answer: impl Fn(&str, &HeaderMap, &str) -> Response<String> + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, own, answer) = (Arc::clone(&seen), host.clone(), Arc::new(answer));
        let router = axum::Router::new().fallback(move |request: Request| {
            let (log, own, answer) = (Arc::clone(&log), own.clone(), Arc::clone(&answer));
            async move {
                let path = request.uri().to_string();
                log.lock().unwrap().push((path.clone(), request.headers().clone()));
                answer(&path, request.headers(), &own)
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { host, seen }
    }

    /// Paths in the order in which they were asked for.
    ///
    /// # Panics
    /// When an answer panicked.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    /// Which requests carried credentials.
    ///
    /// # Panics
    /// When an answer panicked.
    #[must_use]
    pub fn paths_with_credentials(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let with = seen.iter().filter(|(_, headers)| headers.contains_key("authorization"));
        with.map(|(path, _)| path.clone()).collect()
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
