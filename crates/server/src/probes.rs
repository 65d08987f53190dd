//! `/livez`, `/healthz` and `/readyz`: whether the process runs, and whether deliveries can be stored.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use tagboat_model::{Duration, Timestamp};

use crate::{Server, pressure::Standing};

/// What `/readyz` answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    ready: bool,
    /// `ready`, or what is wrong in one word.
    state: String,
    /// The same as a sentence, with what to do.
    detail: &'static str,
    /// How long ago a delivery or a probe was last written.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_write_age_ms: Option<u64>,
    pending_events: u64,
    most_pending_events: u64,
}

impl Told {
    fn new(standing: &Standing, now: Timestamp) -> Self {
        let word = |trouble| serde_json::to_value(trouble).ok()?.as_str().map(str::to_owned);
        Self {
            ready: standing.trouble.is_none(),
            state: standing.trouble.and_then(word).unwrap_or_else(|| "ready".to_owned()),
            detail: standing.trouble.map_or("deliveries are stored", |trouble| trouble.words()),
            last_write_age_ms: standing.last_write.map(|at| now.since(at)).map(Duration::milliseconds),
            pending_events: standing.pending,
            most_pending_events: standing.most_pending,
        }
    }
}

/// The process runs.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// Deliveries can be stored: senders are not told to come again. As text for whoever accepts only that.
pub(crate) async fn ready(State(server): State<Server>, headers: HeaderMap) -> Response {
    let standing = server.pressure.found_out(&*server.store, &*server.clock).await;
    let told = Told::new(&standing, server.clock.now());
    let status = if told.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/plain") && !accept.contains("json") {
        return (status, format!("{}: {}\n", told.state, told.detail)).into_response();
    }
    (status, Json(told)).into_response()
}
