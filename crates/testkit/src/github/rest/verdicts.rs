//! Statuses and check runs.

use serde_json::{Value, json};

use super::{repositories::commit_id, unknown};
use crate::github::{
    answer::{Answer, Call, Outcome},
    render,
    skeleton::filled,
    state::{BOT, CheckRun, State, Status},
    store,
};

/// Answer an operation on the statuses and check runs of commits.
pub(super) fn answer(state: &mut State, operation: &str, call: &Call, place: usize) -> Outcome {
    let (method, path) = operation.split_once(' ').unwrap_or_default();
    match (method, path.trim_start_matches("/repos/{owner}/{repo}")) {
        ("GET", "/commits/{ref}/status") => combined(state, call, place),
        ("GET", "/commits/{ref}/statuses") => {
            let repository = &state.repositories[place];
            let id = commit_id(repository, call.parameter("ref")).map_err(|_| Answer::not_found())?;
            let own = repository.statuses.iter().rev().filter(|status| status.commit == id);
            let items = own.map(|status| render::status(state, repository, status)).collect();
            Ok(Answer::page(call, &state.base, items, None))
        }
        ("POST", "/statuses/{sha}") => {
            let text = |key: &str| call.text(key).map(str::to_owned);
            let commit = store::commit(&state.repositories[place].folder, call.parameter("sha"));
            let status = Status {
                id: state.id(),
                commit: commit.ok_or_else(Answer::not_found)?,
                state: text("state").unwrap_or_default(),
                context: text("context").unwrap_or("default".to_owned()),
                description: text("description"),
                target_url: text("target_url"),
                author: BOT.to_owned(),
                at: state.now(),
            };
            let rendered = render::status(state, &state.repositories[place], &status);
            state.set_status(place, status);
            Ok(Answer::created(rendered))
        }
        ("GET", "/commits/{ref}/check-runs") => {
            let repository = &state.repositories[place];
            let id = commit_id(repository, call.parameter("ref")).map_err(|_| Answer::not_found())?;
            let named = |run: &&CheckRun| {
                call.asked("check_name").is_none_or(|name| name == run.name)
                    && call.asked("status").is_none_or(|status| status == run.status)
            };
            let own = repository.check_runs.iter().rev().filter(|run| run.commit == id).filter(named);
            let items = own.map(|run| render::check_run(state, repository, run)).collect();
            Ok(Answer::page(call, &state.base, items, Some("check_runs")))
        }
        ("POST", "/check-runs") => create_run(state, call, place),
        ("PATCH", "/check-runs/{check_run_id}") => change_run(state, call, place),
        _ => unknown(operation),
    }
}

fn combined(state: &State, call: &Call, place: usize) -> Outcome {
    let repository = &state.repositories[place];
    let id = commit_id(repository, call.parameter("ref")).map_err(|_| Answer::not_found())?;
    let mut newest: Vec<&Status> = Vec::new();
    for status in repository.statuses.iter().rev().filter(|status| status.commit == id) {
        if !newest.iter().any(|known| known.context == status.context) {
            newest.push(status);
        }
    }
    let any = |word: &str| newest.iter().any(|status| status.state == word);
    let word = if any("failure") || any("error") {
        "failure"
    } else if newest.is_empty() || any("pending") {
        "pending"
    } else {
        "success"
    };
    let statuses: Vec<Value> = newest.iter().map(|status| render::simple_status(state, repository, status)).collect();
    let api = render::api(state, repository);
    let values = json!({
        "state": word, "sha": id, "total_count": statuses.len(), "statuses": statuses,
        "repository": render::repository_as(state, repository, "minimal-repository"),
        "commit_url": format!("{api}/commits/{id}"), "url": format!("{api}/commits/{id}/status"),
    });
    Ok(Answer::ok(filled("combined-commit-status", values)))
}

/// A run that has a conclusion is over, whatever its status says.
fn apply(run: &mut CheckRun, call: &Call, now: tagboat_model::Timestamp) {
    let text = |key: &str| call.text(key).map(str::to_owned);
    if let Some(name) = text("name") {
        run.name = name;
    }
    if let Some(status) = text("status") {
        run.status = status;
    }
    if let Some(url) = text("details_url") {
        run.details_url = Some(url);
    }
    if let Some(id) = text("external_id") {
        run.external_id = id;
    }
    if call.body["output"].is_object() {
        run.output = call.body["output"].clone();
    }
    if let Some(conclusion) = text("conclusion") {
        run.conclusion = Some(conclusion);
        "completed".clone_into(&mut run.status);
        run.completed = Some(now);
    }
}

fn create_run(state: &mut State, call: &Call, place: usize) -> Outcome {
    let commit = store::commit(&state.repositories[place].folder, call.text("head_sha").unwrap_or_default());
    let commit = commit.ok_or_else(Answer::not_found)?;
    let now = state.now();
    let mut run = CheckRun {
        id: state.id(),
        commit,
        name: String::new(),
        status: "queued".to_owned(),
        conclusion: None,
        details_url: None,
        external_id: String::new(),
        output: Value::Null,
        started: now,
        completed: None,
    };
    apply(&mut run, call, now);
    state.repositories[place].check_runs.push(run.clone());
    Ok(told(state, place, &run, 201))
}

fn change_run(state: &mut State, call: &Call, place: usize) -> Outcome {
    let (id, now) = (call.number("check_run_id"), state.now());
    let found = state.repositories[place].check_runs.iter_mut().find(|run| run.id == id);
    let run = found.ok_or_else(Answer::not_found)?;
    apply(run, call, now);
    let run = run.clone();
    Ok(told(state, place, &run, 200))
}

fn told(state: &mut State, place: usize, run: &CheckRun, status: u16) -> Answer {
    let rendered = render::check_run(state, &state.repositories[place], run);
    if run.conclusion.is_some() {
        state.check_run_changed(place, run, "completed", BOT);
    } else if status == 201 {
        state.check_run_changed(place, run, "created", BOT);
    }
    Answer::new(status, rendered)
}
