//! Merge requests of the fake GitLab.

use serde_json::{Value, json};

use super::{PROJECT, milestone, note, user};
use crate::forge_fake::{
    Call, Reply, refused,
    state::{BOT, Pull, Stage, State, Verdict, shown},
};

const ONE: &str = "/projects/{id}/merge_requests/{merge_request_iid}";

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Reply {
    let (method, path) = call.operation.split_once(' ').unwrap_or_default();
    let number = call.number("merge_request_iid");
    match (method, path.strip_prefix(ONE)) {
        ("GET", None) => list(state, call),
        ("POST", None) => open(state, call),
        ("GET", Some("")) => one(state, call, 200, number),
        ("PUT", Some("")) => edit(state, call, number),
        ("PUT", Some("/merge")) => merge(state, call, number),
        ("POST", Some("/cancel_merge_when_pipeline_succeeds")) => {
            state.pull_mut(number).auto_merge = false;
            Reply::Json(201, json!({ "status": "success" }))
        }
        ("GET", Some("/diffs")) => {
            let pull = state.pull(number).expect("it is there");
            let diff = |path: String| {
                json!({
                    "old_path": path, "new_path": path, "diff": "", "new_file": false, "renamed_file": false,
                    "deleted_file": false,
                })
            };
            Reply::List(state.changed_paths(pull).into_iter().map(diff).collect())
        }
        ("GET", Some("/notes")) => notes(state, call, number),
        ("POST", Some("/notes")) => {
            let written = state.comment(number, BOT, &call.text("body").unwrap_or_default());
            Reply::Json(201, note(state, number, &written))
        }
        ("GET", Some("/approvals")) => approvals(state, number),
        ("GET", Some("/reviewers")) => reviewers(state, number),
        _ => panic!("the fake has no {method} {path}"),
    }
}

fn shown_request(state: &State, call: &Call<'_>, pull: &Pull) -> Value {
    let people = |ids: &[u64]| ids.iter().map(|id| user(state.person(*id))).collect::<Vec<_>>();
    let is_draft = pull.title.to_ascii_lowercase().starts_with("draft:");
    let status = match pull.stage {
        Stage::Open if is_draft => "draft_status",
        Stage::Open if state.has_pipeline => "ci_still_running",
        Stage::Open => "mergeable",
        Stage::Closed | Stage::Merged => "not_open",
    };
    json!({
        "id": pull.number + 700, "iid": pull.number, "project_id": 5, "title": pull.title, "description": pull.body,
        "state": match pull.stage {
            Stage::Open => "opened",
            Stage::Closed => "closed",
            Stage::Merged => "merged",
        },
        "created_at": shown(pull.created_at), "updated_at": shown(pull.updated_at), "source_branch": pull.head,
        "target_branch": pull.base, "author": user(state.person(BOT)), "assignees": people(&pull.assignees),
        "reviewers": people(&pull.reviewers), "source_project_id": 5, "target_project_id": 5, "labels": pull.labels,
        "draft": is_draft, "milestone": if pull.milestone { milestone() } else { Value::Null },
        "merge_when_pipeline_succeeds": pull.auto_merge, "detailed_merge_status": status, "sha": state.head(pull),
        "merge_commit_sha": null, "merge_error": null,
        "web_url": format!("{}/{PROJECT}/-/merge_requests/{}", call.web, pull.number),
    })
}

fn one(state: &State, call: &Call<'_>, status: u16, number: u64) -> Reply {
    let pull = state.pull(number).expect("it is there");
    Reply::Json(status, shown_request(state, call, pull))
}

fn list(state: &State, call: &Call<'_>) -> Reply {
    let stage = match call.asked("state") {
        Some("opened") => Some(Stage::Open),
        Some("closed") => Some(Stage::Closed),
        Some("merged") => Some(Stage::Merged),
        _ => None,
    };
    let is_asked = |pull: &&Pull| {
        stage.is_none_or(|stage| stage == pull.stage)
            && call.asked("source_branch").is_none_or(|branch| branch == pull.head)
            && call.asked("target_branch").is_none_or(|branch| branch == pull.base)
    };
    let mut found: Vec<&Pull> = state.pulls.iter().filter(is_asked).collect();
    found.sort_by_key(|pull| std::cmp::Reverse(pull.updated_at));
    Reply::List(found.into_iter().map(|pull| shown_request(state, call, pull)).collect())
}

fn open(state: &mut State, call: &Call<'_>) -> Reply {
    let text = |key: &str| call.text(key).unwrap_or_default();
    let (head, base) = (text("source_branch"), text("target_branch"));
    if let Some(there) = state.open_of(&head, &base) {
        let words = format!("Another open merge request already exists for this source branch: !{}", there.number);
        return Reply::Json(409, json!({ "message": [words] }));
    }
    if state.head_of(&head).is_none() || state.head_of(&base).is_none() {
        return Reply::Json(422, json!({ "message": ["Source branch or target branch does not exist"] }));
    }
    let number = state.open(&head, &base, &text("title"), &text("description"));
    if state.conflicts > 0 {
        state.conflicts -= 1;
        let words = format!("Another open merge request already exists for this source branch: !{number}");
        return Reply::Json(409, json!({ "message": [words] }));
    }
    one(state, call, 201, number)
}

fn edit(state: &mut State, call: &Call<'_>, number: u64) -> Reply {
    match call.text("state_event").as_deref() {
        Some("close") => state.set_stage(number, Stage::Closed),
        Some("reopen") => state.set_stage(number, Stage::Open),
        _ => {}
    }
    let pull = state.pull_mut(number);
    if let Some(title) = call.text("title") {
        pull.title = title;
    }
    if let Some(body) = call.text("description") {
        pull.body = body;
    }
    for label in call.text("add_labels").unwrap_or_default().split(',').filter(|label| !label.is_empty()) {
        if !pull.labels.iter().any(|there| there == label) {
            pull.labels.push(label.to_owned());
        }
    }
    // As the free edition does: the first of them.
    if let Some(ids) = call.ids("reviewer_ids") {
        pull.reviewers = ids.into_iter().take(1).collect();
    }
    if let Some(ids) = call.ids("assignee_ids") {
        pull.assignees = ids.into_iter().take(1).collect();
    }
    pull.milestone |= call.body["milestone_id"] == 31;
    one(state, call, 200, number)
}

fn merge(state: &mut State, call: &Call<'_>, number: u64) -> Reply {
    let pull = state.pull(number).expect("it is there").clone();
    let is_auto = call.is_set("auto_merge") || call.is_set("merge_when_pipeline_succeeds");
    let is_draft = pull.title.to_ascii_lowercase().starts_with("draft:");
    let can_wait = is_auto && state.has_pipeline;
    if pull.stage != Stage::Open || is_draft || (!can_wait && (is_auto || state.has_pipeline)) {
        return refused(405, "405 Method Not Allowed");
    }
    let head = state.head(&pull);
    if call.text("sha").is_some_and(|sha| sha != head) {
        return refused(409, &format!("SHA does not match HEAD of source branch: {head}"));
    }
    if can_wait {
        state.pull_mut(number).auto_merge = true;
    } else {
        let message = call.text("merge_commit_message").or_else(|| call.text("squash_commit_message"));
        state.merge(number, message.as_deref().unwrap_or("Merge"));
    }
    one(state, call, 200, number)
}

fn notes(state: &State, call: &Call<'_>, number: u64) -> Reply {
    let mut notes = state.pull(number).expect("it is there").notes.clone();
    match call.asked("order_by") {
        Some("updated_at") => notes.sort_by_key(|note| note.updated_at),
        _ => notes.sort_by_key(|note| note.created_at),
    }
    if call.asked("sort") != Some("asc") {
        notes.reverse();
    }
    Reply::List(notes.iter().map(|it| note(state, number, it)).collect())
}

fn approvals(state: &State, number: u64) -> Reply {
    let reviews = &state.pull(number).expect("it is there").reviews;
    let mut by: Vec<u64> = Vec::new();
    for (person, verdict, _) in reviews {
        by.retain(|id| id != person);
        if *verdict == Verdict::Approved {
            by.push(*person);
        }
    }
    let approved_by: Vec<Value> = by.into_iter().map(|id| json!({ "user": user(state.person(id)) })).collect();
    Reply::Json(200, json!({ "approved": !approved_by.is_empty(), "approved_by": approved_by }))
}

fn reviewers(state: &State, number: u64) -> Reply {
    let pull = state.pull(number).expect("it is there");
    let mut people = pull.reviewers.clone();
    for (person, ..) in &pull.reviews {
        if !people.contains(person) {
            people.push(*person);
        }
    }
    let shown_reviewer = |id: u64| {
        let newest = pull.reviews.iter().rev().find(|(person, ..)| *person == id).map(|(_, verdict, _)| *verdict);
        let state_of = match newest {
            Some(Verdict::Approved) => "approved",
            Some(Verdict::ChangesRequested) => "requested_changes",
            None => "unreviewed",
        };
        json!({ "user": user(state.person(id)), "state": state_of, "created_at": shown(pull.updated_at) })
    };
    Reply::Json(200, Value::Array(people.into_iter().map(shown_reviewer).collect()))
}
