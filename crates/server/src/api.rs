//! The API to read. What CI announces is in `ci_events`. Answers are JSON; errors have a text that says what to do.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Query, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use tagboat_engine::chain;
use tagboat_model::{EventId, ReceiverName};
use tagboat_ports::{DecisionRecord, DecisionsAbout, StoreError};

use crate::{Door, Server};

const DEFAULT_LIMIT: u32 = 50;
pub(crate) const LARGEST_LIMIT: u32 = 500;

/// `?limit=…&event=…&receiver=…`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<u32>,
    event: Option<String>,
    receiver: Option<String>,
}

/// What stands in the query, or an answer that says what is wrong with it.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(problem(StatusCode::BAD_REQUEST, &rejection.body_text())),
        }
    }
}

impl Page {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, LARGEST_LIMIT)
    }
}

/// A decision with its reasons as sentences.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told {
    #[serde(flatten)]
    record: DecisionRecord,
    explanation: Vec<String>,
}

pub(crate) fn told(records: Vec<DecisionRecord>) -> Vec<Told> {
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

pub(crate) fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}

pub(crate) async fn events(State(server): State<Server>, Asked(page): Asked<Page>) -> Response {
    answer("events", server.store.events(page.limit()).await)
}

pub(crate) async fn decisions(State(server): State<Server>, Asked(page): Asked<Page>) -> Response {
    let event = match page.event.as_deref().map(str::parse::<EventId>).transpose() {
        Ok(event) => event,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let about = event.map_or(DecisionsAbout::Anything, DecisionsAbout::Event);
    answer("decisions", server.store.decisions(&about, page.limit()).await.map(told))
}

pub(crate) async fn deliveries(State(server): State<Server>, Asked(page): Asked<Page>) -> Response {
    let receiver = match page.receiver.as_deref().map(str::parse::<ReceiverName>).transpose() {
        Ok(receiver) => receiver,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    answer("deliveries", server.store.deliveries(receiver.as_ref(), page.limit()).await)
}

/// The receivers, with what became of their requests since the start.
pub(crate) async fn receivers(State(server): State<Server>) -> Response {
    let receiver = |door: &Arc<Door>| {
        let receiver = door.receiver();
        json!({
            "name": receiver.name,
            "kind": receiver.kind.word(),
            "tenant": receiver.tenant,
            "images": receiver.images.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "counts": server.counts.of(&receiver.name),
        })
    };
    Json(json!({ "receivers": server.doors.values().map(receiver).collect::<Vec<_>>() })).into_response()
}

pub(crate) async fn branches(State(server): State<Server>) -> Response {
    answer("branches", server.store.branches().await)
}

/// The description of this API, as OpenAPI writes it. The tests hold every answer against it.
pub(crate) async fn description() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../openapi.json"))
}
