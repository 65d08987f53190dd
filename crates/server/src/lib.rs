//! HTTP: receivers, the API to read, and the status page.
//!
//! The way of a request to a receiver: bound the body, verify over raw bytes, take it apart, store it, answer.
//! Nothing is answered with success before it is durable, and no authentic request is answered with an error
//! that would cut the feed. What follows from an event is the engine's; no route here changes anything else.

mod access;
mod api;
mod receivers;
mod refusals;
mod status_page;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware,
    response::Response,
    routing::{get, post},
};
use tagboat_intake::Receiver;
use tagboat_model::ReceiverName;
use tagboat_ports::{Clock, Ids, Progress, Store};

pub use access::Access;
pub use refusals::{Refusal, Refusals};

/// What the routes work with.
#[derive(Clone)]
pub struct Server {
    /// The database.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// Whoever watches.
    pub progress: Arc<dyn Progress>,
    /// The receivers by name.
    pub receivers: Arc<BTreeMap<ReceiverName, Receiver>>,
    /// What was not authentic, counted.
    pub refusals: Arc<Refusals>,
    /// Who may read.
    pub access: Arc<Access>,
    /// The largest body of a request, in bytes.
    pub largest_body: usize,
    /// Places for bodies that are being read.
    pub reading: Arc<tokio::sync::Semaphore>,
}

impl Server {
    /// All routes.
    pub fn router(self) -> Router {
        let readable = Router::new()
            .route("/", get(status_page::show))
            .route("/style.css", get(status_page::style))
            .route("/api/v1/events", get(api::events))
            .route("/api/v1/events/{id}", get(api::event))
            .route("/api/v1/decisions", get(api::decisions))
            .route("/api/v1/deliveries", get(api::deliveries))
            .route("/api/v1/branches", get(api::branches))
            .layer(middleware::from_fn_with_state(self.clone(), access::check));
        Router::new()
            .route("/hooks/{receiver}", post(receivers::receive))
            .route("/healthz", get(api::healthz))
            .route("/readyz", get(api::readyz))
            .merge(readable)
            .layer(middleware::map_response(with_safe_headers))
            .with_state(self)
    }
}

/// Pages load nothing from elsewhere and run no scripts, and no answer is guessed to be another type.
async fn with_safe_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
