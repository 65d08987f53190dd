//! Pull requests.

use serde_json::{Value, json};

use super::unknown;
use crate::github::{
    answer::{Answer, Call, Outcome},
    issues::{Edit, NewPull},
    pulls::MergeWish,
    render, render_pulls,
    skeleton::filled,
    state::{BOT, Issue, Repository, State},
    store,
};

/// Answer an operation below `/pulls`.
pub(super) fn answer(state: &mut State, operation: &str, call: &Call, place: usize) -> Outcome {
    let number = call.number("pull_number");
    if call.parameters.contains_key("pull_number") && state.pull(place, number).is_none() {
        return Err(Answer::not_found());
    }
    let (method, path) = operation.split_once(' ').unwrap_or_default();
    match (method, path.trim_start_matches("/repos/{owner}/{repo}/pulls")) {
        ("GET", "") => Ok(list(state, call, place)),
        ("POST", "") => create(state, call, place),
        ("GET", "/{pull_number}") => rendered(state, place, number),
        ("PATCH", "/{pull_number}") => change(state, call, place, number),
        ("PUT", "/{pull_number}/merge") => merge(state, call, place, number),
        ("GET", "/{pull_number}/commits") => {
            let repository = &state.repositories[place];
            let ends = state.pull(place, number).map(|pull| (pull.base_id.clone(), pull.head_id.clone()));
            let (base, head) = ends.ok_or_else(Answer::not_found)?;
            let ids = store::commits_between(&repository.folder, &base, &head);
            let items = ids.iter().map(|id| render::commit(state, repository, id)).collect();
            Ok(Answer::page(call, &state.base, items, None))
        }
        ("GET", "/{pull_number}/files") => {
            let repository = &state.repositories[place];
            let ends = state.pull(place, number).map(|pull| (pull.base_id.clone(), pull.head_id.clone()));
            let (base, head) = ends.ok_or_else(Answer::not_found)?;
            let start = store::run(&repository.folder, &["merge-base", &base, &head]);
            let start = start.map_err(|_| Answer::not_found())?;
            let items = render::changed_files(state, repository, &start, &head);
            Ok(Answer::page(call, &state.base, items, None))
        }
        ("GET", "/{pull_number}/reviews") => {
            let repository = &state.repositories[place];
            let issue = repository.issue(number).ok_or_else(Answer::not_found)?;
            let reviews = issue.pull.iter().flat_map(|pull| &pull.reviews);
            let items = reviews.map(|review| render_pulls::review(state, repository, issue, review)).collect();
            Ok(Answer::page(call, &state.base, items, None))
        }
        ("POST", "/{pull_number}/requested_reviewers") => request_reviewers(state, call, place, number),
        _ => unknown(operation),
    }
}

fn rendered(state: &State, place: usize, number: u64) -> Outcome {
    let repository = &state.repositories[place];
    let issue = repository.issue(number).ok_or_else(Answer::not_found)?;
    Ok(Answer::ok(render_pulls::pull(state, repository, issue)))
}

/// Whether a list asks for this state.
pub(super) fn wanted(issue: &Issue, asked: Option<&str>) -> bool {
    match asked.unwrap_or("open") {
        "all" => true,
        "closed" => !issue.open,
        _ => issue.open,
    }
}

/// A list that may lag behind.
pub(super) fn lagging(
    state: &mut State,
    call: &Call,
    place: usize,
    matches: impl Fn(&Repository, &Issue) -> bool,
    render: impl Fn(&State, &Repository, &Issue) -> Value,
) -> Answer {
    let now = state.now();
    let repository = &state.repositories[place];
    let newest = repository.issues.iter().map(|issue| issue.updated).max().unwrap_or(now);
    let lag = state.switches.lag;
    let age = |at: tagboat_model::Timestamp| std::time::Duration::from(now.since(at));
    let found: Vec<&Issue> = repository.issues.iter().rev().filter(|issue| matches(repository, issue)).collect();
    let settled = found.iter().filter(|issue| age(issue.updated) >= lag);
    let settled: Vec<Value> = settled.map(|issue| render(state, repository, issue)).collect();
    let fresh: Vec<Value> = found.iter().map(|issue| render(state, repository, issue)).collect();
    let items = state.switches.lagging(&call.path, fresh, age(newest), settled);
    Answer::page(call, &state.base, items, None)
}

fn list(state: &mut State, call: &Call, place: usize) -> Answer {
    let matches = |repository: &Repository, issue: &Issue| {
        let Some(pull) = &issue.pull else { return false };
        let head = format!("{}:{}", repository.owner, pull.head);
        wanted(issue, call.asked("state"))
            && call.asked("base").is_none_or(|base| base == pull.base)
            && call.asked("head").is_none_or(|asked| asked == head)
    };
    lagging(state, call, place, matches, render_pulls::simple_pull)
}

fn create(state: &mut State, call: &Call, place: usize) -> Outcome {
    let text = |key: &str| call.text(key).unwrap_or_default().to_owned();
    let new = NewPull {
        title: text("title"),
        body: call.text("body").map(str::to_owned),
        head: text("head"),
        base: text("base"),
        draft: call.body["draft"] == true,
    };
    let number = state.open_pull(place, new, BOT)?;
    let mut answer = rendered(state, place, number)?;
    answer.status = 201;
    Ok(answer)
}

fn change(state: &mut State, call: &Call, place: usize, number: u64) -> Outcome {
    let text = |key: &str| call.text(key).map(str::to_owned);
    state.edit(place, number, Edit { title: text("title"), body: text("body"), base: text("base") }, BOT)?;
    match call.text("state") {
        Some("closed") => state.close(place, number, BOT),
        Some("open") => state.reopen(place, number, BOT)?,
        _ => {}
    }
    rendered(state, place, number)
}

fn merge(state: &mut State, call: &Call, place: usize, number: u64) -> Outcome {
    let text = |key: &str| call.text(key).map(str::to_owned);
    let wish = MergeWish {
        method: text("merge_method").unwrap_or("merge".to_owned()),
        expected: text("sha"),
        headline: text("commit_title"),
        body: text("commit_message"),
    };
    let commit = state.merge(place, number, &wish, BOT)?;
    let values = json!({ "sha": commit, "merged": true, "message": "Pull Request successfully merged" });
    Ok(Answer::ok(filled("pull-request-merge-result", values)))
}

fn request_reviewers(state: &mut State, call: &Call, place: usize, number: u64) -> Outcome {
    for login in call.texts("reviewers") {
        if state.repositories[place].role(&login) == "none" {
            let message = "Reviews may only be requested from collaborators. One or more of the users or teams you \
                           specified is not a collaborator of the repository.";
            return Err(Answer::refused(422, message));
        }
        let Some(pull) = state.pull_mut(place, number) else { return Err(Answer::not_found()) };
        if !pull.reviewers.contains(&login) {
            pull.reviewers.push(login.clone());
            let reviewer = render::account(state, &login);
            let more = json!({ "requested_reviewer": reviewer });
            state.emit_pull(place, number, "review_requested", BOT, more);
        }
    }
    let repository = &state.repositories[place];
    let issue = repository.issue(number).ok_or_else(Answer::not_found)?;
    Ok(Answer::created(render_pulls::simple_pull(state, repository, issue)))
}
