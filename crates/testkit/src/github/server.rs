//! The HTTP side: what was asked is held against the descriptions, handled, and the answer too is held against them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State as Extracted},
    http::{Response, request::Parts},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Shared,
    answer::{Answer, Call, Seen},
    auth::{self, Caller},
    git_http, graphql, manifest, rest,
    state::State,
    switches::LIMIT,
    validate::{Operation, decoded},
};

/// A request that is being answered.
struct Asked {
    method: String,
    /// Without the prefix of GitHub Enterprise.
    path: String,
    query: BTreeMap<String, String>,
    /// Path and query.
    target: String,
    authorization: String,
    etag: String,
    body: Option<Value>,
}

/// What became of a request.
struct Outcome {
    answer: Answer,
    operation: String,
    errors: Vec<String>,
    write: bool,
}

/// Answer one request.
pub(super) async fn serve(Extracted(shared): Extracted<Weak<Shared>>, request: Request) -> Response<Body> {
    let gone = || Response::builder().status(503).body(Body::empty()).unwrap();
    let Some(shared) = shared.upgrade() else { return gone() };
    let (parts, body) = request.into_parts();
    // A connection that is cut has no more than half of a body.
    let Ok(body) = to_bytes(body, 64 << 20).await else { return gone() };
    if git_http::parsed(parts.uri.path()).is_some() {
        return git_http::answer(&shared, &parts, body).await;
    }
    if let Some(page) = manifest::page(&shared, &parts, &body) {
        return page;
    }
    let asked = asked(&shared, &parts, &body);
    let (response, lost) = respond(&shared, &asked);
    if lost {
        // The effect stays, and the connection ends without an answer. No panic is reported.
        std::panic::resume_unwind(Box::new("the answer is lost"));
    }
    response
}

fn asked(shared: &Arc<Shared>, parts: &Parts, body: &Bytes) -> Asked {
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let path = parts.uri.path();
    let path = match path {
        "/api/graphql" => "/graphql",
        _ => path.strip_prefix("/api/v3").unwrap_or(path),
    };
    let query = parts.uri.query().unwrap_or_default();
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut parsed = None;
    if !body.is_empty() {
        match serde_json::from_slice(body) {
            Ok(value) => parsed = Some(value),
            Err(error) => shared.state().failures.push(format!("{} {target}: no JSON: {error}", parts.method)),
        }
    }
    Asked {
        method: parts.method.to_string(),
        path: path.to_owned(),
        query: parameters(query),
        target,
        authorization: header("authorization"),
        etag: header("if-none-match"),
        body: parsed,
    }
}

/// The parameters of a query or a form.
pub(super) fn parameters(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(&value.replace('+', " ")))).collect()
}

/// Handle it under one lock, send what it caused, and say whether the answer is to be lost.
fn respond(shared: &Arc<Shared>, asked: &Asked) -> (Response<Body>, bool) {
    let operation = Operation::find(&asked.method, &asked.path).map(|operation| operation.name);
    let operation = operation.unwrap_or_else(|| asked.path.clone());
    let asked_for = format!("{} {} {operation}", asked.method, asked.target);
    let (mut outcome, injected) = shared.act(|state| match disappointment(state, &asked_for) {
        Some(answer) => (Outcome { answer, operation, errors: Vec::new(), write: false }, true),
        None => (handle(shared, state, asked), false),
    });
    let mut state = shared.state();
    let etag = outcome.answer.body.as_ref().map(|body| format!("\"{}\"", digest(body)));
    let unchanged = asked.method == "GET" && outcome.answer.status == 200 && etag.as_ref() == Some(&asked.etag);
    if unchanged {
        outcome.answer = Answer { status: 304, body: None, headers: Vec::new() };
    } else if !injected && asked.path != "/rate_limit" {
        state.switches.count();
    }
    let status = outcome.answer.status;
    let asked_for = format!("{} {} {}", asked.method, asked.target, outcome.operation);
    let is_meant = asked_for.contains(state.switches.lost_answers_to.as_str());
    for error in &outcome.errors {
        state.failures.push(format!("{} {} ({status}): {error}", asked.method, asked.target));
    }
    state.requests.push(Seen {
        method: asked.method.clone(),
        path: asked.target.clone(),
        status,
        validated: outcome.errors.is_empty(),
        operation: outcome.operation,
        body: asked.body.clone().unwrap_or(Value::Null),
    });
    let lost = outcome.write && status < 300 && is_meant && state.switches.lost_answers > 0;
    if lost {
        state.switches.lost_answers -= 1;
    }
    (response(&state, outcome.answer, etag), lost)
}

/// The answer of a switch, instead of any other.
fn disappointment(state: &mut State, asked_for: &str) -> Option<Answer> {
    if let Some((status, left)) = state.switches.broken
        && asked_for.contains(state.switches.broken_at.as_str())
    {
        state.switches.broken = (left > 1).then_some((status, left - 1));
        return Some(Answer::refused(status, "Server Error"));
    }
    if let Some((status, seconds, left)) = state.switches.secondary {
        state.switches.secondary = (left > 1).then_some((status, seconds, left - 1));
        let message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
        let mut answer = Answer::refused(status, message);
        answer.headers.push(("retry-after", seconds.to_string()));
        return Some(answer);
    }
    if state.switches.left() == 0 {
        return Some(Answer::refused(403, "API rate limit exceeded for installation."));
    }
    None
}

fn handle(shared: &Shared, state: &mut State, asked: &Asked) -> Outcome {
    if asked.path == "/graphql" {
        return handle_graphql(shared, state, asked);
    }
    let Some(operation) = Operation::find(&asked.method, &asked.path) else {
        let errors = vec!["nothing in the excerpt of GitHub's description has this method and path".to_owned()];
        return Outcome { answer: Answer::not_found(), operation: "unknown".to_owned(), errors, write: false };
    };
    let mut errors = operation.request_errors(&asked.query, asked.body.as_ref());
    let call = Call {
        parameters: operation.parameters.clone(),
        query: asked.query.clone(),
        body: asked.body.clone().unwrap_or_else(|| json!({})),
        path: asked.target.clone(),
    };
    let answered = rest::answer(state, &operation.name, &call, &asked.authorization);
    let mut answer = answered.unwrap_or_else(|refusal| refusal);
    shared.tampered(&mut answer);
    errors.extend(operation.answer_errors(answer.status, answer.body.as_ref(), false));
    let write = asked.method != "GET" && !operation.name.ends_with("/access_tokens");
    Outcome { answer, operation: operation.name, errors, write }
}

fn handle_graphql(shared: &Shared, state: &mut State, asked: &Asked) -> Outcome {
    let operation = "graphql".to_owned();
    let token = match auth::caller(state, &asked.authorization) {
        Ok(Caller::Installation(token)) => token,
        Ok(Caller::App) => {
            let answer = Answer::refused(403, "Resource not accessible by integration");
            return Outcome { answer, operation, errors: Vec::new(), write: false };
        }
        Err(answer) => return Outcome { answer, operation, errors: Vec::new(), write: false },
    };
    match graphql::prepare(asked.body.as_ref().unwrap_or(&Value::Null)) {
        Ok(prepared) => {
            let mut answer = prepared.answer(state, &token);
            shared.tampered(&mut answer);
            let errors = answer.body.as_ref().map(|body| prepared.answer_errors(body)).unwrap_or_default();
            Outcome { answer, operation: prepared.name(), errors, write: prepared.is_write() }
        }
        Err(errors) => {
            let listed: Vec<Value> = errors.iter().map(|error| json!({ "message": error })).collect();
            Outcome { answer: Answer::ok(json!({ "errors": listed })), operation, errors, write: false }
        }
    }
}

fn digest(body: &Value) -> String {
    Sha256::digest(body.to_string().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn response(state: &State, answer: Answer, etag: Option<String>) -> Response<Body> {
    let left = state.switches.left();
    let reset = state.seconds() + 3600;
    let mut response = Response::builder()
        .status(answer.status)
        .header("content-type", "application/json; charset=utf-8")
        .header("x-github-media-type", "github.v3; format=json")
        .header("x-ratelimit-limit", LIMIT.to_string())
        .header("x-ratelimit-remaining", left.to_string())
        .header("x-ratelimit-used", (LIMIT - left.min(LIMIT)).to_string())
        .header("x-ratelimit-reset", reset.to_string())
        .header("x-ratelimit-resource", "core");
    if let Some(etag) = etag {
        response = response.header("etag", etag);
    }
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(answer.body.map_or_else(Body::empty, |body| Body::from(body.to_string()))).unwrap()
}
