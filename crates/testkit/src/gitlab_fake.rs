//! A small GitLab: what Tagboat asks for, over a real bare repository. Every request and answer is held against
//! `forge-api/gitlab`.
//!
//! The project is `acme/deploy/config`, its number 5; the bot is `tagboat`, who shows [`GitlabFake::token`].

mod requests;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    BareRepository,
    forge_fake::{
        Call, Description, Flavor, ForgePeople, People, Reply, Server, TOKEN, refused,
        state::{BOT, Note, Person, State, Status, shown},
    },
};

const PROJECT: &str = "acme/deploy/config";
const GROUP: &str = "acme/platform";

/// A running GitLab.
pub struct GitlabFake {
    server: Server,
}

impl std::fmt::Debug for GitlabFake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitlabFake").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl GitlabFake {
    /// Start it over a repository whose branch `main` is there.
    pub async fn start(repository: BareRepository) -> Self {
        let description = Description::load(include_str!("../forge-api/gitlab/described.json"));
        let authorization = format!("Bearer {TOKEN}");
        let flavor = Flavor { api: "/api/v4", authorization, page: "per_page", description, undescribed: &[], answer };
        Self { server: Server::start(repository, flavor).await }
    }

    /// Its address for people.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.http.host())
    }

    /// The path of the project.
    #[must_use]
    pub fn repository(&self) -> &'static str {
        PROJECT
    }

    /// The bot's token.
    #[must_use]
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// Its people.
    #[must_use]
    pub fn people(&self) -> impl ForgePeople + use<> {
        People { state: Arc::clone(&self.server.state) }
    }

    /// What requests and answers had that is not described, so far.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        self.server.failures()
    }
}

fn answer(state: &mut State, call: &Call<'_>) -> Reply {
    let (method, path) = call.operation.split_once(' ').unwrap_or_default();
    if path.starts_with("/projects/{id}") && call.part("id") != PROJECT {
        return refused(404, "404 Project Not Found");
    }
    if path.contains("{merge_request_iid}") && state.pull(call.number("merge_request_iid")).is_none() {
        return refused(404, "404 Not found");
    }
    if path.contains("/merge_requests") {
        return requests::answer(state, call);
    }
    match (method, path) {
        ("GET", "/user") => {
            let mut user = user(state.person(BOT));
            user["bot"] = json!(false);
            Reply::Json(200, user)
        }
        ("GET", "/users") => {
            let found = state.named(call.asked("username").unwrap_or_default());
            Reply::List(found.into_iter().map(user).collect())
        }
        ("GET", "/groups/{id}/members/{user_id}") => {
            let person = state.people.iter().find(|person| person.id == call.number("user_id"));
            match person.filter(|person| call.part("id") == GROUP && person.is_in_team) {
                Some(person) => Reply::Json(200, member(person)),
                None => refused(404, "404 Not found"),
            }
        }
        ("GET", "/projects/{id}/members/all/{user_id}") => {
            let person = state.people.iter().find(|person| person.id == call.number("user_id"));
            match person.filter(|person| person.level > 0) {
                Some(person) => Reply::Json(200, member(person)),
                None => refused(404, "404 Not found"),
            }
        }
        ("GET", "/projects/{id}/milestones") => {
            let is_asked = call.asked("title").is_none_or(|title| title == crate::forge_fake::state::MILESTONE);
            Reply::List(if is_asked { vec![milestone()] } else { Vec::new() })
        }
        _ => commits(state, call, method, path),
    }
}

fn commits(state: &mut State, call: &Call<'_>, method: &str, path: &str) -> Reply {
    match (method, path) {
        ("GET", "/projects/{id}/repository/commits/{sha}/statuses") => {
            let of_commit = |status: &&Status| status.sha == call.part("sha");
            let listed: Vec<Value> = state.statuses.iter().filter(of_commit).map(|it| status(state, it)).collect();
            Reply::List(listed)
        }
        ("POST", "/projects/{id}/statuses/{sha}") => set_status(state, call),
        ("GET", "/projects/{id}/repository/files/{file_path}/raw") => {
            match state.file(call.asked("ref").unwrap_or("main"), call.part("file_path")) {
                Some(text) => Reply::Raw(text),
                None => refused(404, "404 File Not Found"),
            }
        }
        ("GET", "/projects/{id}/repository/compare") => {
            let (from, to) = (call.asked("from").unwrap_or_default(), call.asked("to").unwrap_or_default());
            let at = shown(state.tick());
            let commit = |(id, subject): (String, String)| {
                let short = &id[..8];
                json!({ "id": id, "short_id": short, "title": subject, "message": subject, "created_at": at })
            };
            // Oldest first.
            let commits: Vec<Value> = state.commits(from, to).into_iter().rev().map(commit).collect();
            let web_url = format!("{}/{PROJECT}/-/compare/{from}...{to}", call.web);
            let body = json!({
                "commits": commits, "diffs": [], "compare_timeout": false, "compare_same_ref": from == to,
                "web_url": web_url,
            });
            Reply::Json(200, body)
        }
        _ => issues(state, call, method, path),
    }
}

fn issues(state: &mut State, call: &Call<'_>, method: &str, path: &str) -> Reply {
    let number = (method == "PUT").then(|| call.number("issue_iid"));
    match (method, path) {
        ("GET", "/projects/{id}/issues") => {
            let is_bots = call.asked("author_id").is_none_or(|id| id == BOT.to_string());
            let mut listed = Vec::new();
            for issue in state.issues.iter().filter(|_| is_bots) {
                listed.push(issue_of(state, call, issue));
            }
            Reply::List(listed)
        }
        ("POST" | "PUT", "/projects/{id}/issues" | "/projects/{id}/issues/{issue_iid}") => {
            let texts = (call.text("title").unwrap_or_default(), call.text("description").unwrap_or_default());
            let labels = call.text("labels").unwrap_or_default();
            let labels = labels.split(',').filter(|label| !label.is_empty()).map(str::to_owned).collect();
            let issue = state.write_issue(number, texts.0, texts.1, labels);
            Reply::Json(if number.is_some() { 200 } else { 201 }, issue_of(state, call, &issue))
        }
        _ => panic!("the fake has no {method} {path}"),
    }
}

/// A status that is set a second time is refused, and so is one that goes back from running to waiting.
fn set_status(state: &mut State, call: &Call<'_>) -> Reply {
    let (name, wanted) = (call.text("name").unwrap_or_default(), call.text("state").unwrap_or_default());
    let of_name = |status: &&Status| status.sha == call.part("sha") && status.name == name;
    let stands = state.statuses.iter().rev().find(of_name).map(|status| status.state.clone());
    let stands = stands.unwrap_or_default();
    if stands == wanted || (stands == "running" && wanted == "pending") {
        return refused(400, &format!("Cannot transition status via :enqueue from :{stands}"));
    }
    let set = state.set_status(Status {
        id: 0,
        sha: call.part("sha").to_owned(),
        name,
        state: wanted,
        text: call.text("description"),
        url: call.text("target_url"),
        created_at: 0,
    });
    Reply::Json(201, status(state, &set))
}

fn user(person: &Person) -> Value {
    json!({
        "id": person.id, "username": person.login, "name": person.login, "state": "active",
        "web_url": format!("https://gitlab.example/{}", person.login),
    })
}

fn member(person: &Person) -> Value {
    let mut member = user(person);
    member["access_level"] = json!(person.level);
    member["expires_at"] = Value::Null;
    member["membership_state"] = json!("active");
    member
}

fn milestone() -> Value {
    json!({ "id": 31, "iid": 1, "title": crate::forge_fake::state::MILESTONE, "state": "active" })
}

fn note(state: &State, number: u64, note: &Note) -> Value {
    json!({
        "id": note.id, "body": note.body, "author": user(state.person(note.by)), "system": note.is_system,
        "created_at": shown(note.created_at), "updated_at": shown(note.updated_at), "noteable_iid": number,
    })
}

fn status(state: &State, status: &Status) -> Value {
    json!({
        "id": status.id, "sha": status.sha, "ref": "main", "status": status.state, "name": status.name,
        "target_url": status.url, "description": status.text, "created_at": shown(status.created_at),
        "allow_failure": false, "author": user(state.person(BOT)),
    })
}

fn issue_of(state: &State, call: &Call<'_>, issue: &crate::forge_fake::state::IssueRecord) -> Value {
    json!({
        "id": issue.number + 900, "iid": issue.number, "title": issue.title, "description": issue.body,
        "state": "opened", "labels": issue.labels, "author": user(state.person(BOT)),
        "created_at": shown(issue.updated_at), "updated_at": shown(issue.updated_at),
        "web_url": format!("{}/{PROJECT}/-/issues/{}", call.web, issue.number),
    })
}
