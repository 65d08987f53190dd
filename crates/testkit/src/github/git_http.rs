//! The repositories over Git's smart HTTP protocol, for those who show an installation's token as their password.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::{Response, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Shared,
    answer::Seen,
    auth,
    state::{BOT, State},
};
use crate::git_server::backend;

/// Owner and name in a path like `/owner/name.git/info/refs`, and the service below it.
pub(super) fn parsed(path: &str) -> Option<(&str, &str, &str)> {
    let (repository, service) = path.trim_start_matches('/').split_once(".git/")?;
    let (owner, name) = repository.split_once('/')?;
    ["info/refs", "git-upload-pack", "git-receive-pack"].contains(&service).then_some((owner, name, service))
}

/// Answer, and let follow what follows from a push.
pub(super) async fn answer(shared: &Arc<Shared>, parts: &Parts, body: Bytes) -> Response<Body> {
    let path = parts.uri.path();
    let writes =
        path.ends_with("git-receive-pack") || parts.uri.query().is_some_and(|text| text.contains("receive-pack"));
    let allowed = allowed(&shared.state(), parts, writes);
    let (status, place) = match allowed {
        Ok(place) => (200, place),
        Err(status) => {
            log(&mut shared.state(), parts, status);
            let response = Response::builder().status(status).header("www-authenticate", "Basic realm=\"GitHub\"");
            return response.body(Body::empty()).unwrap();
        }
    };
    let root = shared.state().folder.path().to_owned();
    let response = backend(&root, path, parts, body, BOT).await;
    log(&mut shared.state(), parts, status);
    if path.ends_with("git-receive-pack") {
        shared.act(|state| state.references_moved(place, BOT));
    }
    response
}

fn log(state: &mut State, parts: &Parts, status: u16) {
    state.requests.push(Seen {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        status,
        validated: true,
        operation: "git".to_owned(),
        body: serde_json::Value::Null,
    });
}

/// The repository that is asked for, or a status that refuses.
fn allowed(state: &State, parts: &Parts, writes: bool) -> Result<usize, u16> {
    let (owner, name, _) = parsed(parts.uri.path()).ok_or(404_u16)?;
    let header = parts.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let decoded = header.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    let credentials = String::from_utf8_lossy(&decoded).into_owned();
    let (user, password) = credentials.split_once(':').ok_or(401_u16)?;
    if user != "x-access-token" {
        return Err(401);
    }
    let token = auth::token(state, password).map_err(|_| 401_u16)?;
    let place = state.place(owner, name).filter(|place| token.repositories.contains(&state.repositories[*place].id));
    let place = place.ok_or(404_u16)?;
    let level = if writes { "write" } else { "read" };
    if auth::holds(&token, &["contents"], level) { Ok(place) } else { Err(403) }
}
