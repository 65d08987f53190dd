//! Pull requests of the fake Gitea.

use serde_json::{Value, json};

use super::{NAME, OWNER, label, milestone, user};
use crate::forge_fake::{
    Call, Reply, refused,
    state::{BOT, Pull, Stage, State, Verdict, shown},
};

pub(super) fn answer(state: &mut State, call: &Call<'_>, method: &str, rest: &str) -> Reply {
    let number = call.number("index");
    if rest.starts_with("/pulls/{index}") && state.pull(number).is_none() {
        return refused(404, "The target couldn't be found.");
    }
    match (method, rest) {
        ("GET", "/pulls") => list(state, call),
        ("POST", "/pulls") => open(state, call),
        ("GET", "/pulls/{index}") => one(state, call, 200, number),
        ("PATCH", "/pulls/{index}") => edit(state, call, number),
        ("POST", "/pulls/{index}/merge") => merge(state, call, number),
        ("DELETE", "/pulls/{index}/merge") => {
            if !state.pull(number).is_some_and(|pull| pull.auto_merge) {
                return refused(404, "The target couldn't be found.");
            }
            state.pull_mut(number).auto_merge = false;
            Reply::Empty(204)
        }
        ("GET", "/pulls/{index}/files") => {
            let pull = state.pull(number).expect("it is there");
            let file = |path: String| json!({ "filename": path, "status": "changed", "changes": 1 });
            Reply::List(state.changed_paths(pull).into_iter().map(file).collect())
        }
        ("GET", "/pulls/{index}/reviews") => reviews(state, number),
        ("POST", "/pulls/{index}/requested_reviewers") => request_reviews(state, call, number),
        _ => panic!("the fake has no {method} {rest}"),
    }
}

fn shown_pull(state: &State, call: &Call<'_>, pull: &Pull) -> Value {
    let people = |ids: &[u64]| ids.iter().map(|id| user(state.person(*id))).collect::<Vec<_>>();
    let place = |name: &String| state.labels.iter().position(|label| label == name);
    let labels: Vec<Value> = pull.labels.iter().filter_map(place).map(|place| label(state, place + 1)).collect();
    let is_merged = pull.stage == Stage::Merged;
    let head_name =
        if state.head_of(&pull.head).is_some() { pull.head.clone() } else { format!("refs/pull/{}/head", pull.number) };
    json!({
        "id": pull.number + 700, "number": pull.number, "title": pull.title, "body": pull.body,
        "state": if pull.stage == Stage::Open { "open" } else { "closed" },
        "merged": is_merged, "merged_at": if is_merged { json!(shown(pull.updated_at)) } else { Value::Null },
        "draft": pull.title.to_ascii_lowercase().starts_with("wip:"), "user": user(state.person(BOT)), "labels": labels,
        "assignees": if pull.assignees.is_empty() { Value::Null } else { json!(people(&pull.assignees)) },
        "requested_reviewers": people(&pull.reviewers),
        "milestone": if pull.milestone { milestone() } else { Value::Null },
        "head": { "label": pull.head, "ref": head_name, "sha": state.head(pull), "repo_id": 5 },
        "base": {
            "label": pull.base, "ref": pull.base, "sha": state.head_of(&pull.base).unwrap_or_default(), "repo_id": 5,
        },
        "created_at": shown(pull.created_at), "updated_at": shown(pull.updated_at),
        "html_url": format!("{}/{OWNER}/{NAME}/pulls/{}", call.web, pull.number),
    })
}

fn one(state: &State, call: &Call<'_>, status: u16, number: u64) -> Reply {
    let pull = state.pull(number).expect("it is there");
    Reply::Json(status, shown_pull(state, call, pull))
}

fn list(state: &State, call: &Call<'_>) -> Reply {
    let is_asked = |pull: &&Pull| match call.asked("state") {
        Some("closed") => pull.stage != Stage::Open,
        Some("all") => true,
        _ => pull.stage == Stage::Open,
    };
    let mut found: Vec<&Pull> = state.pulls.iter().filter(is_asked).collect();
    found.sort_by_key(|pull| std::cmp::Reverse(pull.updated_at));
    Reply::List(found.into_iter().map(|pull| shown_pull(state, call, pull)).collect())
}

fn open(state: &mut State, call: &Call<'_>) -> Reply {
    let text = |key: &str| call.text(key).unwrap_or_default();
    let (head, base) = (text("head"), text("base"));
    let conflict = "pull request already exists for these targets [id: 7, issue_id: 7, head_branch: x, base_branch: y]";
    if state.open_of(&head, &base).is_some() {
        return refused(409, conflict);
    }
    if state.head_of(&head).is_none() || state.head_of(&base).is_none() {
        return refused(404, "The target couldn't be found.");
    }
    let number = state.open(&head, &base, &text("title"), &text("body"));
    if state.conflicts > 0 {
        state.conflicts -= 1;
        return refused(409, conflict);
    }
    one(state, call, 201, number)
}

fn edit(state: &mut State, call: &Call<'_>, number: u64) -> Reply {
    match call.text("state").as_deref() {
        Some("closed") => state.set_stage(number, Stage::Closed),
        Some("open") => state.set_stage(number, Stage::Open),
        _ => {}
    }
    let pull = state.pull_mut(number);
    if let Some(title) = call.text("title") {
        pull.title = title;
    }
    if let Some(body) = call.text("body") {
        pull.body = body;
    }
    one(state, call, 201, number)
}

fn merge(state: &mut State, call: &Call<'_>, number: u64) -> Reply {
    let pull = state.pull(number).expect("it is there").clone();
    match pull.stage {
        Stage::Open => {}
        Stage::Closed => return refused(404, "The target couldn't be found."),
        Stage::Merged => return Reply::Empty(405),
    }
    if pull.title.to_ascii_lowercase().starts_with("wip:") {
        return refused(405, "Work in progress PRs cannot be merged");
    }
    if call.is_set("merge_when_checks_succeed") && state.has_pipeline {
        if pull.auto_merge {
            return refused(409, "pull request is already scheduled to auto merge when checks succeed [pull_id: 7]");
        }
        state.pull_mut(number).auto_merge = true;
        return Reply::Empty(201);
    }
    if call.text("head_commit_id").is_some_and(|sha| sha != state.head(&pull)) {
        return refused(409, "head out of date");
    }
    let message = call.text("MergeTitleField").unwrap_or_else(|| "Merge".to_owned());
    state.merge(number, &message);
    Reply::Empty(200)
}

/// Oldest first, as they were handed in.
fn reviews(state: &State, number: u64) -> Reply {
    let pull = state.pull(number).expect("it is there");
    let mut id = 0;
    let review = |(person, verdict, commit): &(u64, Verdict, String)| {
        id += 1;
        let word = match verdict {
            Verdict::Approved => "APPROVED",
            Verdict::ChangesRequested => "REQUEST_CHANGES",
        };
        json!({
            "id": id, "user": user(state.person(*person)), "state": word, "commit_id": commit, "dismissed": false,
            "stale": false, "official": true, "body": "", "submitted_at": shown(pull.updated_at),
        })
    };
    Reply::List(pull.reviews.iter().map(review).collect())
}

fn request_reviews(state: &mut State, call: &Call<'_>, number: u64) -> Reply {
    for name in call.texts("reviewers").unwrap_or_default() {
        let Some(id) = state.named(&name).map(|person| person.id) else {
            return refused(404, &format!("user '{name}' not exist"));
        };
        state.pull_mut(number).reviewers.push(id);
    }
    for name in call.texts("team_reviewers").unwrap_or_default() {
        if name != "platform" {
            return refused(404, "team not exist");
        }
    }
    Reply::Json(201, json!([]))
}
