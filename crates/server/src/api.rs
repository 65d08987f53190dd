//! The API to read, and the probes. Answers are JSON; errors have a text that says what to do.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tagboat_engine::chain;
use tagboat_model::EventId;
use tagboat_ports::{DecisionRecord, DecisionsAbout, StoreError};

use crate::Server;

const DEFAULT_LIMIT: u32 = 50;
const LARGEST_LIMIT: u32 = 500;
/// A probe that waits longer is no news.
const PROBE_TIME: Duration = Duration::from_secs(2);

/// `?limit=…&event=…`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<u32>,
    event: Option<String>,
}

impl Page {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, LARGEST_LIMIT)
    }
}

/// A decision with its reasons as sentences.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(flatten)]
    record: DecisionRecord,
    explanation: Vec<String>,
}

fn told(records: Vec<DecisionRecord>) -> Vec<Told> {
    let explain = |record: DecisionRecord| Told {
        explanation: record.decision.reasons.iter().map(ToString::to_string).collect(),
        record,
    };
    records.into_iter().map(explain).collect()
}

fn answer<T: Serialize>(name: &str, result: Result<T, StoreError>) -> Response {
    match result {
        Ok(value) => Json(json!({ name: value })).into_response(),
        Err(error) => unavailable(&error),
    }
}

/// The cause goes to the log; a reader gets no inside.
pub(crate) fn unavailable(error: &StoreError) -> Response {
    tracing::error!(error = %chain(error), "the database did not answer");
    problem(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer; try again later")
}

fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}

pub(crate) async fn events(State(server): State<Server>, Query(page): Query<Page>) -> Response {
    answer("events", server.store.events(page.limit()).await)
}

pub(crate) async fn event(State(server): State<Server>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<EventId>() else { return problem(StatusCode::NOT_FOUND, "there is no such event") };
    let event = match server.store.event(&id).await {
        Ok(Some(event)) => event,
        Ok(None) => return problem(StatusCode::NOT_FOUND, "there is no such event"),
        Err(error) => return unavailable(&error),
    };
    match server.store.decisions(&DecisionsAbout::Event(id), LARGEST_LIMIT).await {
        Ok(decisions) => Json(json!({ "event": event, "decisions": told(decisions) })).into_response(),
        Err(error) => unavailable(&error),
    }
}

pub(crate) async fn decisions(State(server): State<Server>, Query(page): Query<Page>) -> Response {
    let event = match page.event.as_deref().map(str::parse::<EventId>).transpose() {
        Ok(event) => event,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let about = event.map_or(DecisionsAbout::Anything, DecisionsAbout::Event);
    answer("decisions", server.store.decisions(&about, page.limit()).await.map(told))
}

pub(crate) async fn deliveries(State(server): State<Server>, Query(page): Query<Page>) -> Response {
    answer("deliveries", server.store.deliveries(page.limit()).await)
}

pub(crate) async fn branches(State(server): State<Server>) -> Response {
    answer("branches", server.store.branches().await)
}

/// The process runs.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Deliveries can be stored.
pub(crate) async fn readyz(State(server): State<Server>) -> Response {
    match tokio::time::timeout(PROBE_TIME, server.store.ping()).await {
        Ok(Ok(())) => Json(json!({ "ready": true, "database": "answers" })).into_response(),
        Ok(Err(error)) => {
            tracing::warn!(error = %chain(&error), "not ready");
            let told = json!({ "ready": false, "database": "does not answer" });
            (StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response()
        }
        Err(_) => {
            let told = json!({ "ready": false, "database": "does not answer in time" });
            (StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response()
        }
    }
}
