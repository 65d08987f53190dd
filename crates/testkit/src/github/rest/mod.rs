//! The operations of the REST API, by their names in the description.

mod apps;
mod discussion;
mod git_data;
mod pulls;
mod repositories;
mod verdicts;

use super::{
    answer::{Answer, Call, Outcome},
    auth::{self, Caller},
    state::{State, Token},
};

use apps::convert_manifest;

/// Answer an operation.
pub(super) fn answer(state: &mut State, operation: &str, call: &Call, authorization: &str) -> Outcome {
    // A code is its own credential.
    if operation == "POST /app-manifests/{code}/conversions" {
        return convert_manifest(state, call);
    }
    let caller = auth::caller(state, authorization)?;
    let of_app = operation.contains(" /app") || operation.ends_with("/installation");
    match caller {
        Caller::App if of_app => apps::answer(state, operation, call),
        Caller::App => Err(Answer::refused(403, "Resource not accessible by integration")),
        Caller::Installation(_) if of_app => Err(Answer::refused(401, "A JSON web token could not be decoded")),
        Caller::Installation(token) => of_installation(state, operation, call, &token),
    }
}

fn of_installation(state: &mut State, operation: &str, call: &Call, token: &Token) -> Outcome {
    if !operation.contains("/repos/{owner}/{repo}") {
        return apps::answer_installation(state, operation, call, token);
    }
    let place = state.place(call.parameter("owner"), call.parameter("repo")).ok_or_else(Answer::not_found)?;
    if !token.repositories.contains(&state.repositories[place].id) {
        return Err(Answer::not_found());
    }
    let (names, level) = auth::needed(operation);
    if !auth::holds(token, names, level) {
        return Err(Answer::refused(403, "Resource not accessible by integration"));
    }
    let (_, path) = operation.split_once(' ').unwrap_or_default();
    let rest = path.trim_start_matches("/repos/{owner}/{repo}");
    match rest.split('/').nth(1).unwrap_or_default() {
        "git" => git_data::answer(state, operation, call, place),
        "pulls" => pulls::answer(state, operation, call, place),
        "issues" => discussion::answer(state, operation, call, place),
        "statuses" | "check-runs" => verdicts::answer(state, operation, call, place),
        "commits" if !rest.ends_with("{ref}") => verdicts::answer(state, operation, call, place),
        _ => repositories::answer(state, operation, call, place),
    }
}

/// What the description has and the fake does not know.
fn unknown(operation: &str) -> Outcome {
    let message = format!("the fake does not know {operation}, which its excerpt of the description has");
    Err(Answer::refused(501, &message))
}
