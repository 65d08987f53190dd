//! A small Gitea or Forgejo: what Tagboat asks for, over a real bare repository. Every request and answer is held
//! against `forge-api/gitea`.
//!
//! The repository is `acme/config`, its number 5; the bot is `tagboat`, who shows [`GiteaFake::token`].

mod pulls;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    BareRepository,
    forge_fake::{
        Call, Description, Flavor, ForgePeople, People, Reply, Server, TOKEN, locked, refused,
        state::{BOT, IssueRecord, MILESTONE, Note, Person, Pull, Stage, State, Status, shown},
    },
};

const OWNER: &str = "acme";
const NAME: &str = "config";
const TEAM: u64 = 41;

/// A running Gitea.
pub struct GiteaFake {
    server: Server,
}

/// A pull request as anybody sees it.
#[derive(Debug, Clone)]
pub struct SeenPull {
    /// Its number.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// The branch that it offers.
    pub branch: String,
    /// Whether it is neither merged nor closed.
    pub is_open: bool,
    /// What the bot said.
    pub comments: Vec<String>,
}

impl std::fmt::Debug for GiteaFake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GiteaFake").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl GiteaFake {
    /// Start it over a repository whose branch `main` is there.
    pub async fn start(repository: BareRepository) -> Self {
        let description = Description::load(include_str!("../forge-api/gitea/swagger.json"));
        let authorization = format!("token {TOKEN}");
        let undescribed = &[
            ("POST /repos/{owner}/{repo}/pulls/{index}/merge", 201),
            ("PATCH /repos/{owner}/{repo}/issues/{index}", 422),
        ];
        let flavor = Flavor { api: "/api/v1", authorization, page: "limit", description, undescribed, answer };
        Self { server: Server::start(repository, flavor).await }
    }

    /// Its address for people.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.http.host())
    }

    /// The path of the repository.
    #[must_use]
    pub fn repository(&self) -> &'static str {
        "acme/config"
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

    /// Every pull request that was ever opened.
    #[must_use]
    pub fn pulls(&self) -> Vec<SeenPull> {
        let state = locked(&self.server.state);
        let by_bot = |note: &&Note| note.by == BOT;
        let seen = |pull: &Pull| SeenPull {
            number: pull.number,
            title: pull.title.clone(),
            branch: pull.head.clone(),
            is_open: pull.stage == Stage::Open,
            comments: pull.notes.iter().filter(by_bot).map(|note| note.body.clone()).collect(),
        };
        state.pulls.iter().map(seen).collect()
    }

    /// The time that it has, in milliseconds since 1970; each act takes it a second.
    pub fn set_clock(&self, now: i64) {
        locked(&self.server.state).set_clock(now);
    }

    /// Somebody merges a pull request. Returns whether that was possible: it may conflict, or somebody may push meanwhile.
    #[must_use]
    pub fn merge_if_possible(&self, number: u64) -> bool {
        locked(&self.server.state).try_merge(number, "Merged by a person").is_ok()
    }

    /// What requests and answers had that is not described, so far.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        self.server.failures()
    }
}

fn answer(state: &mut State, call: &Call<'_>) -> Reply {
    let (method, path) = call.operation.split_once(' ').unwrap_or_default();
    let rest = path.strip_prefix("/repos/{owner}/{repo}");
    match rest {
        Some(_) if (call.part("owner"), call.part("repo")) != (OWNER, NAME) => {
            refused(404, "The target couldn't be found.")
        }
        Some(rest) if rest.starts_with("/pulls") => pulls::answer(state, call, method, rest),
        Some(rest) if rest.starts_with("/issues") => issues(state, call, method, rest),
        Some(rest) => repository(state, call, method, rest),
        None => people(state, call, method, path),
    }
}

fn people(state: &State, call: &Call<'_>, method: &str, path: &str) -> Reply {
    match (method, path) {
        ("GET", "/user") => Reply::Json(200, user(state.person(BOT))),
        ("GET", "/orgs/{org}/labels") => Reply::List(Vec::new()),
        ("GET", "/orgs/{org}/teams") if call.part("org") == OWNER => {
            Reply::List(vec![json!({ "id": TEAM, "name": "platform", "permission": "write" })])
        }
        ("GET", "/teams/{id}/members/{username}") => {
            let person = state.named(call.part("username"));
            match person.filter(|person| call.number("id") == TEAM && person.is_in_team) {
                Some(person) => Reply::Json(200, user(person)),
                None => refused(404, "The target couldn't be found."),
            }
        }
        _ => refused(404, "The target couldn't be found."),
    }
}

fn repository(state: &mut State, call: &Call<'_>, method: &str, rest: &str) -> Reply {
    match (method, rest) {
        ("GET", "/collaborators/{collaborator}/permission") => match state.named(call.part("collaborator")) {
            Some(person) => Reply::Json(200, permission(person)),
            None => refused(404, "The target couldn't be found."),
        },
        ("GET", "/labels") => Reply::List((1..=state.labels.len()).map(|place| label(state, place)).collect()),
        ("POST", "/labels") => {
            let place = state.label(&call.text("name").unwrap_or_default());
            Reply::Json(201, label(state, place))
        }
        ("GET", "/milestones") => Reply::List(vec![milestone()]),
        ("GET", "/commits/{ref}/statuses") => {
            let of_commit = |status: &&Status| status.sha == call.part("ref");
            // Newest first.
            Reply::List(state.statuses.iter().rev().filter(of_commit).map(status).collect())
        }
        ("POST", "/statuses/{sha}") => {
            let set = state.set_status(Status {
                id: 0,
                sha: call.part("sha").to_owned(),
                name: call.text("context").unwrap_or_default(),
                state: call.text("state").unwrap_or_default(),
                text: call.text("description"),
                url: call.text("target_url"),
                created_at: 0,
            });
            Reply::Json(201, status(&set))
        }
        ("GET", "/raw/{filepath}") => match state.file(call.asked("ref").unwrap_or("main"), call.part("filepath")) {
            Some(text) => Reply::Raw(text),
            None => refused(404, "The target couldn't be found."),
        },
        ("GET", "/compare/{basehead}") => {
            let (from, to) = call.part("basehead").split_once("...").unwrap_or_default();
            let commit = |(id, subject): (String, String)| json!({ "sha": id, "commit": { "message": subject } });
            let commits: Vec<Value> = state.commits(from, to).into_iter().map(commit).collect();
            Reply::Json(200, json!({ "total_commits": commits.len(), "commits": commits }))
        }
        _ => panic!("the fake has no {method} {rest}"),
    }
}

fn issues(state: &mut State, call: &Call<'_>, method: &str, rest: &str) -> Reply {
    let number = call.number("index");
    match (method, rest) {
        ("GET", "/issues") => Reply::List(state.issues.iter().map(|issue| issue_of(state, call, issue)).collect()),
        ("POST", "/issues") => {
            let names = label_names(state, &call.ids("labels").unwrap_or_default());
            let texts = (call.text("title").unwrap_or_default(), call.text("body").unwrap_or_default());
            let issue = state.write_issue(None, texts.0, texts.1, names);
            Reply::Json(201, issue_of(state, call, &issue))
        }
        ("PATCH", "/issues/{index}") if state.pull(number).is_some() => change_pull(state, call, number),
        ("PATCH", "/issues/{index}") => {
            let texts = (call.text("title").unwrap_or_default(), call.text("body").unwrap_or_default());
            let issue = state.write_issue(Some(number), texts.0, texts.1, Vec::new());
            Reply::Json(201, issue_of(state, call, &issue))
        }
        ("GET", "/issues/{index}/comments") => {
            let notes = state.pull(number).map(|pull| pull.notes.clone()).unwrap_or_default();
            let since = call.asked("since").unwrap_or_default();
            let is_asked = |note: &&Note| shown(note.updated_at).as_str() >= since;
            Reply::Json(200, notes.iter().filter(is_asked).map(|note| comment(state, call, note)).collect())
        }
        ("POST", "/issues/{index}/comments") => {
            let note = state.comment(number, BOT, &call.text("body").unwrap_or_default());
            Reply::Json(201, comment(state, call, &note))
        }
        ("POST", "/issues/{index}/labels") => {
            let names = label_names(state, &call.ids("labels").unwrap_or_default());
            let pull = state.pull_mut(number);
            for name in names {
                if !pull.labels.contains(&name) {
                    pull.labels.push(name);
                }
            }
            let places: Vec<usize> = pull.labels.clone().iter().map(|name| state.label(name)).collect();
            Reply::Json(200, places.into_iter().map(|place| label(state, place)).collect())
        }
        _ => panic!("the fake has no {method} {rest}"),
    }
}

/// Assignees and milestone of a pull request, which is an issue too.
fn change_pull(state: &mut State, call: &Call<'_>, number: u64) -> Reply {
    if let Some(names) = call.texts("assignees") {
        let ids: Option<Vec<u64>> = names.iter().map(|name| state.named(name).map(|person| person.id)).collect();
        let Some(ids) = ids else { return refused(422, "Assignee does not exist") };
        state.pull_mut(number).assignees = ids;
    }
    if call.body["milestone"] == 31 {
        state.pull_mut(number).milestone = true;
    }
    Reply::Json(201, json!({ "number": number, "state": "open" }))
}

fn label_names(state: &State, ids: &[u64]) -> Vec<String> {
    let place = |id: &u64| usize::try_from(*id).ok()?.checked_sub(1);
    ids.iter().filter_map(|id| state.labels.get(place(id)?).cloned()).collect()
}

fn user(person: &Person) -> Value {
    json!({ "id": person.id, "login": person.login, "full_name": "", "active": true })
}

fn permission(person: &Person) -> Value {
    let word = match person.level {
        40.. => "admin",
        30.. => "write",
        10.. => "read",
        _ => "none",
    };
    json!({ "permission": word, "role_name": word, "user": user(person) })
}

fn label(state: &State, place: usize) -> Value {
    json!({ "id": place, "name": state.labels[place - 1], "color": "1f6feb", "exclusive": false })
}

fn milestone() -> Value {
    json!({ "id": 31, "title": MILESTONE, "state": "open" })
}

fn status(status: &Status) -> Value {
    let (text, url) = (status.text.clone().unwrap_or_default(), status.url.clone().unwrap_or_default());
    json!({
        "id": status.id, "context": status.name, "status": status.state, "description": text, "target_url": url,
        "created_at": shown(status.created_at), "updated_at": shown(status.created_at),
    })
}

fn comment(state: &State, call: &Call<'_>, note: &Note) -> Value {
    json!({
        "id": note.id, "body": note.body, "user": user(state.person(note.by)), "created_at": shown(note.created_at),
        "updated_at": shown(note.updated_at), "html_url": format!("{}/{OWNER}/{NAME}#{}", call.web, note.id),
        "original_author": "", "original_author_id": 0,
    })
}

fn issue_of(state: &State, call: &Call<'_>, issue: &IssueRecord) -> Value {
    json!({
        "id": issue.number + 900, "number": issue.number, "title": issue.title, "body": issue.body, "state": "open",
        "user": user(state.person(BOT)), "created_at": shown(issue.updated_at), "updated_at": shown(issue.updated_at),
        "html_url": format!("{}/{OWNER}/{NAME}/issues/{}", call.web, issue.number), "labels": [], "assignees": null,
        "pull_request": null,
    })
}
