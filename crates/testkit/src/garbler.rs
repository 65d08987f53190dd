//! Between a sender and the server: the first bodies arrive as garbage, all others as they are.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    body::to_bytes,
    extract::Request,
    http::{Response, StatusCode},
};
use reqwest::Client;

/// A running one. It ends with the runtime.
#[derive(Debug)]
pub struct Garbler {
    port: u16,
    passed: Arc<AtomicUsize>,
}

impl Garbler {
    /// Before the server on this port, for the first `count` requests.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(to: u16, count: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let passed = Arc::new(AtomicUsize::new(0));
        let (counter, client) = (Arc::clone(&passed), Client::new());
        let router = axum::Router::new().fallback(move |request: Request| {
            let (counter, client) = (Arc::clone(&counter), client.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, 1 << 20).await.unwrap();
                let garbage = counter.load(Ordering::SeqCst) < count;
                let body = if garbage { b"\xff{\"events\": garbage".to_vec() } else { body.to_vec() };
                let mut sending = client.post(format!("http://127.0.0.1:{to}{}", parts.uri)).body(body);
                for (name, value) in &parts.headers {
                    if name != "host" && name != "content-length" && name != "transfer-encoding" {
                        sending = sending.header(name, value);
                    }
                }
                let status = match sending.send().await {
                    Ok(answer) => {
                        counter.fetch_add(1, Ordering::SeqCst);
                        StatusCode::from_u16(answer.status().as_u16()).unwrap()
                    }
                    // The server is not there yet; the sender comes again.
                    Err(_) => StatusCode::BAD_GATEWAY,
                };
                Response::builder().status(status).body(String::new()).unwrap()
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, passed }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Requests that the server answered so far.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }
}
