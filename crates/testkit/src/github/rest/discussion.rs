//! Issues, comments, labels, assignees and reactions.

use serde_json::{Value, json};

use super::{
    pulls::{lagging, wanted},
    unknown,
};
use crate::github::{
    answer::{Answer, Call, Outcome, texts},
    issues::Edit,
    render, render_pulls,
    skeleton::filled,
    state::{BOT, Issue, Repository, State},
};

/// Answer an operation below `/issues`.
pub(super) fn answer(state: &mut State, operation: &str, call: &Call, place: usize) -> Outcome {
    let (number, id) = (call.number("issue_number"), call.number("comment_id"));
    if call.parameters.contains_key("issue_number") && state.repositories[place].issue(number).is_none() {
        return Err(Answer::not_found());
    }
    let (method, path) = operation.split_once(' ').unwrap_or_default();
    match (method, path.trim_start_matches("/repos/{owner}/{repo}/issues")) {
        ("GET", "") => Ok(list(state, call, place)),
        ("POST", "") => create(state, call, place),
        ("GET", "/{issue_number}") => rendered(state, place, number, 200),
        ("PATCH", "/{issue_number}") => change(state, call, place, number),
        ("POST", "/{issue_number}/labels") => {
            // Either a list or an object with one.
            let labels = if call.body.is_array() { texts(&call.body) } else { call.texts("labels") };
            state.add_labels(place, number, &labels, BOT);
            let repository = &state.repositories[place];
            let issue = repository.issue(number).ok_or_else(Answer::not_found)?;
            let items = issue.labels.iter().map(|label| render_pulls::label(state, repository, label));
            Ok(Answer::ok(items.collect()))
        }
        ("POST", "/{issue_number}/assignees") => {
            let known = call.texts("assignees").into_iter().filter(|login| state.account(login).is_some());
            let known: Vec<String> = known.collect();
            if let Some(issue) = state.repositories[place].issue_mut(number) {
                issue.assignees.extend(known);
                issue.assignees.dedup();
            }
            rendered(state, place, number, 201)
        }
        ("GET", "/{issue_number}/comments") => {
            let repository = &state.repositories[place];
            let issue = repository.issue(number).ok_or_else(Answer::not_found)?;
            let items = issue.comments.iter().map(|comment| render_pulls::comment(state, repository, issue, comment));
            Ok(Answer::page(call, &state.base, items.collect(), None))
        }
        ("POST", "/{issue_number}/comments") => {
            let id = state.comment(place, number, call.text("body").unwrap_or_default(), BOT)?;
            comment(state, place, id, 201)
        }
        ("PATCH", "/comments/{comment_id}") => {
            state.edit_comment(place, id, call.text("body").unwrap_or_default(), BOT)?;
            comment(state, place, id, 200)
        }
        ("DELETE", "/comments/{comment_id}") => state.delete_comment(place, id, BOT).map(|()| Answer::nothing()),
        ("POST", "/comments/{comment_id}/reactions") => react(state, call, place, id),
        _ => unknown(operation),
    }
}

fn rendered(state: &State, place: usize, number: u64, status: u16) -> Outcome {
    let repository = &state.repositories[place];
    let issue = repository.issue(number).ok_or_else(Answer::not_found)?;
    Ok(Answer::new(status, render_pulls::issue(state, repository, issue)))
}

fn comment(state: &State, place: usize, id: u64, status: u16) -> Outcome {
    let (number, index) = state.find_comment(place, id).ok_or_else(Answer::not_found)?;
    let repository = &state.repositories[place];
    let issue = repository.issue(number).ok_or_else(Answer::not_found)?;
    Ok(Answer::new(status, render_pulls::comment(state, repository, issue, &issue.comments[index])))
}

fn list(state: &mut State, call: &Call, place: usize) -> Answer {
    let labels: Vec<&str> =
        call.asked("labels").unwrap_or_default().split(',').filter(|name| !name.is_empty()).collect();
    let matches = |_: &Repository, issue: &Issue| {
        wanted(issue, call.asked("state"))
            && call.asked("creator").is_none_or(|creator| creator == issue.author)
            && call.asked("assignee").is_none_or(|login| issue.assignees.iter().any(|known| known == login))
            && labels.iter().all(|label| issue.labels.iter().any(|known| known == label))
    };
    lagging(state, call, place, matches, render_pulls::issue)
}

fn create(state: &mut State, call: &Call, place: usize) -> Outcome {
    let title = call.text("title").unwrap_or_default();
    let number = state.open_issue(place, title, call.text("body").map(str::to_owned), BOT);
    set_more(state, call, place, number);
    state.add_labels(place, number, &call.texts("labels"), BOT);
    rendered(state, place, number, 201)
}

/// Milestone and assignees, as the body says.
fn set_more(state: &mut State, call: &Call, place: usize, number: u64) {
    let Some(issue) = state.repositories[place].issue_mut(number) else { return };
    if let Some(milestone) = call.body.get("milestone") {
        issue.milestone = milestone.as_u64();
    }
    if call.body["assignees"].is_array() {
        issue.assignees = call.texts("assignees");
    }
}

fn change(state: &mut State, call: &Call, place: usize, number: u64) -> Outcome {
    let text = |key: &str| call.text(key).map(str::to_owned);
    state.edit(place, number, Edit { title: text("title"), body: text("body"), base: None }, BOT)?;
    set_more(state, call, place, number);
    if call.body["labels"].is_array() {
        let labels = call.texts("labels");
        if let Some(issue) = state.repositories[place].issue_mut(number) {
            issue.labels.retain(|label| labels.contains(label));
        }
        state.add_labels(place, number, &labels, BOT);
    }
    match call.text("state") {
        Some("closed") => state.close(place, number, BOT),
        Some("open") => state.reopen(place, number, BOT)?,
        _ => {}
    }
    rendered(state, place, number, 200)
}

fn react(state: &mut State, call: &Call, place: usize, id: u64) -> Outcome {
    let content = call.text("content").unwrap_or_default().to_owned();
    let (reaction, at) = (state.id(), state.now());
    let (number, index) = state.find_comment(place, id).ok_or_else(Answer::not_found)?;
    let issue = state.repositories[place].issue_mut(number).ok_or_else(Answer::not_found)?;
    let reactions = &mut issue.comments[index].reactions;
    let known = reactions.iter().find(|(_, login, known)| login == BOT && *known == content).map(|(id, _, _)| *id);
    if known.is_none() {
        reactions.push((reaction, BOT.to_owned(), content.clone()));
    }
    let id = known.unwrap_or(reaction);
    let values: Value = json!({
        "id": id, "node_id": format!("REA_{id}"), "user": render::account(state, BOT), "content": content,
        "created_at": at.to_string(),
    });
    Ok(Answer::new(if known.is_some() { 200 } else { 201 }, filled("reaction", values)))
}
