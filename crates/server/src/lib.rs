//! HTTP: receivers, the API, probes, metrics, and the status page.
//!
//! The way of a request to a receiver: bound the body, verify over raw bytes, take it apart, store it, answer.
//! Nothing is answered with success before it is durable, and no authentic request is answered with an error
//! that would cut the feed. What follows from an event or a command is the engine's; no route here changes anything else.

mod accept;
mod access;
mod api;
mod board;
mod ci_events;
mod commands;
mod counts;
mod door;
mod fate;
mod metrics;
mod next;
mod pressure;
mod probes;
mod receivers;
mod repositories;
mod serve;
mod stall;
mod status_page;
mod verify;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, header},
    middleware,
    response::Response,
    routing::{get, post},
};
use tagboat_model::ReceiverName;
use tagboat_ports::{Clock, Ids, Progress, PublishedKeys, Store};
use tokio::sync::Notify;

pub use accept::{Around, new_delivery, normalised};
pub use access::Access;
pub use counts::{Count, Counted, Counts};
pub use door::{Door, Room};
pub use fate::Fate;
pub use metrics::{Counting, Metrics};
pub use next::Overtaken;
pub use pressure::Pressure;
pub use receivers::TOO_LARGE;
pub use repositories::{ConfigRepositoryAddress, Repositories};
pub use serve::serve;

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
    /// Published keys of token issuers and of Amazon SNS.
    pub keys: Arc<dyn PublishedKeys>,
    /// The receivers by name, each with its bounds.
    pub doors: Arc<BTreeMap<ReceiverName, Arc<Door>>>,
    /// The config repositories: by their addresses events about Git repositories are told to be of interest, by their names
    /// commands find them.
    pub repositories: Arc<Repositories>,
    /// The names of the accounts under which Tagboat itself acts at forges (`tagboat[bot]`): what they do wakes nobody.
    pub bots: Arc<RwLock<BTreeSet<String>>>,
    /// Told when the repositories of the GitHub App may have changed.
    pub installations_changed: Arc<Notify>,
    /// What became of requests, counted.
    pub counts: Arc<Counts>,
    /// What is counted for Prometheus.
    pub metrics: Arc<Metrics>,
    /// Whether deliveries can be stored, and how much waits.
    pub pressure: Arc<Pressure>,
    /// Who may read, and give commands.
    pub access: Arc<Access>,
    /// Room for bodies of events that CI announces at no receiver's own address, and signs.
    pub room: Arc<Room>,
    /// And for those of jobs whose token was verified.
    pub proved_room: Arc<Room>,
}

impl Server {
    /// All routes.
    pub fn router(self) -> Router {
        let readable = Router::new()
            .route("/", get(status_page::show))
            .route("/style.css", get(status_page::style))
            .route("/api/v1/events", get(api::events))
            .route("/api/v1/decisions", get(api::decisions))
            .route("/api/v1/deliveries", get(api::deliveries))
            .route("/api/v1/receivers", get(api::receivers))
            .route("/api/v1/branches", get(api::branches))
            .route("/api/v1/environments", get(board::environments))
            .route("/api/v1/holds", get(board::holds))
            .route("/api/v1/commands/{id}", get(commands::get))
            .route("/metrics", get(metrics::get))
            .layer(middleware::from_fn_with_state(self.clone(), access::check));
        let commanding = Router::new()
            .route("/api/v1/commands", post(commands::post))
            .layer(DefaultBodyLimit::max(commands::LARGEST))
            // Of the route alone: what is nowhere else is nobody's command.
            .route_layer(middleware::from_fn_with_state(self.clone(), access::check_command));
        Router::new()
            .route("/hooks/{receiver}", post(receivers::receive).options(receivers::handshake))
            .route("/hooks/{receiver}/{token}", post(receivers::receive_with_token).options(receivers::handshake))
            // These prove themselves as senders do.
            .route("/api/v1/events", post(ci_events::post))
            .route("/api/v1/events/{id}", get(ci_events::get))
            .route("/api/v1/openapi.json", get(api::description))
            .route("/livez", get(probes::alive))
            .route("/healthz", get(probes::alive))
            .route("/readyz", get(probes::ready))
            .merge(readable)
            .merge(commanding)
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
