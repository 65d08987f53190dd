//! Repositories, accounts, commits and checks in GitHub's words.

use serde_json::{Map, Value, json};

use super::{
    skeleton::filled,
    state::{APP_ID, APP_SLUG, BOT, CLIENT_ID, CheckRun, Installation, Repository, State, Status},
    store,
};

/// The address of a repository in the API.
pub(super) fn api(state: &State, repository: &Repository) -> String {
    format!("{}/api/v3/repos/{}", state.base, repository.full_name())
}

/// The address of a repository for people.
pub(super) fn page(state: &State, repository: &Repository) -> String {
    format!("{}/{}", state.base, repository.full_name())
}

fn account_values(state: &State, login: &str) -> Value {
    let Some(account) = state.account(login) else { panic!("nobody is called {login}") };
    // The brackets of a bot's name stand in no address as they are.
    let name = login.replace('[', "%5B").replace(']', "%5D");
    let (api, page) = (format!("{}/api/v3/users/{name}", state.base), format!("{}/{name}", state.base));
    json!({
        "id": account.id, "login": account.login, "node_id": format!("U_{}", account.id), "type": account.kind,
        "url": api, "html_url": page, "avatar_url": format!("{page}.png"), "gravatar_id": "",
        "followers_url": format!("{api}/followers"), "subscriptions_url": format!("{api}/subscriptions"),
        "organizations_url": format!("{api}/orgs"), "repos_url": format!("{api}/repos"),
        "received_events_url": format!("{api}/received_events"), "site_admin": false,
    })
}

/// Somebody.
pub(super) fn account(state: &State, login: &str) -> Value {
    filled("simple-user", account_values(state, login))
}

/// Somebody, as they show themselves.
pub(super) fn public_account(state: &State, login: &str) -> Value {
    filled("public-user", account_values(state, login))
}

/// An organization, as events name it.
pub(super) fn organization(state: &State, login: &str) -> Value {
    let id = state.account(login).map_or(0, |account| account.id);
    let url = format!("{}/api/v3/orgs/{login}", state.base);
    json!({
        "login": login, "id": id, "node_id": format!("O_{id}"), "url": url, "repos_url": format!("{url}/repos"),
        "events_url": format!("{url}/events"), "hooks_url": format!("{url}/hooks"),
        "issues_url": format!("{url}/issues"), "members_url": format!("{url}/members{{/member}}"),
        "public_members_url": format!("{url}/public_members{{/member}}"),
        "avatar_url": format!("{}/{login}.png", state.base), "description": null,
    })
}

/// A repository.
pub(super) fn repository(state: &State, repository: &Repository) -> Value {
    repository_as(state, repository, "repository")
}

/// A repository in one of the forms that it has.
pub(super) fn repository_as(state: &State, repository: &Repository, schema: &str) -> Value {
    let (api, page) = (api(state, repository), page(state, repository));
    let open = repository.issues.iter().filter(|issue| issue.open).count();
    let mut values = json!({
        "id": repository.id, "node_id": format!("R_{}", repository.id), "name": repository.name,
        "full_name": repository.full_name(), "owner": account(state, &repository.owner), "private": true,
        "url": api, "html_url": page, "default_branch": repository.default_branch, "visibility": "private",
        "clone_url": format!("{page}.git"), "git_url": format!("git{}.git", page.trim_start_matches("http")),
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z", "pushed_at": "2026-01-01T00:00:00Z", "open_issues": open,
        "open_issues_count": open, "license": null, "has_discussions": false, "topics": [],
    });
    if schema != "minimal-repository" {
        values["allow_auto_merge"] = json!(repository.allow_auto_merge);
        values["delete_branch_on_merge"] = json!(repository.delete_branch_on_merge);
        for way in ["allow_merge_commit", "allow_squash_merge", "allow_rebase_merge"] {
            values[way] = json!(true);
        }
    }
    if schema == "full-repository" {
        values["organization"] = account(state, &repository.owner);
    }
    filled(schema, values)
}

/// The App.
pub(super) fn app(state: &State) -> Value {
    let owner = state.installations.first().map_or(BOT, |installation| installation.account.as_str());
    let permissions = state.installations.first().map(|installation| json!(installation.permissions));
    json!({
        "id": APP_ID, "slug": APP_SLUG, "node_id": format!("A_{APP_ID}"), "client_id": CLIENT_ID,
        "owner": account(state, owner), "name": "Tagboat", "description": null,
        "external_url": "https://tagboat.example/", "html_url": format!("{}/apps/{APP_SLUG}", state.base),
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "permissions": permissions.unwrap_or_else(|| json!({})), "events": EVENTS,
    })
}

/// What the App listens to.
const EVENTS: [&str; 7] =
    ["check_run", "issue_comment", "issues", "pull_request", "pull_request_review", "push", "status"];

/// The App on an account.
pub(super) fn installation(state: &State, installation: &Installation) -> Value {
    let id = installation.id;
    let account_id = state.account(&installation.account).map_or(0, |account| account.id);
    let api = format!("{}/api/v3", state.base);
    let suspended = installation.suspended.then_some("2026-01-01T00:00:00Z");
    filled(
        "installation",
        json!({
            "id": id, "app_id": APP_ID, "client_id": CLIENT_ID, "app_slug": APP_SLUG, "target_id": account_id,
            "target_type": "Organization", "repository_selection": "all", "events": EVENTS,
            "account": account(state, &installation.account), "permissions": installation.permissions,
            "access_tokens_url": format!("{api}/app/installations/{id}/access_tokens"),
            "repositories_url": format!("{api}/installation/repositories"),
            "html_url": format!("{}/organizations/{}/settings/installations/{id}", state.base, installation.account),
            "suspended_at": suspended,
        }),
    )
}

/// A reference.
pub(super) fn reference(state: &State, repository: &Repository, name: &str, commit: &str) -> Value {
    let api = api(state, repository);
    filled(
        "git-ref",
        json!({
            "ref": name, "node_id": format!("REF_{name}"), "url": format!("{api}/git/{name}"),
            "object": { "type": "commit", "sha": commit, "url": format!("{api}/git/commits/{commit}") },
        }),
    )
}

fn parents(api: &str, described: &store::Described) -> Vec<Value> {
    let url = |id: &String| format!("{api}/git/commits/{id}");
    described.parents.iter().map(|id| json!({ "sha": id, "url": url(id), "html_url": url(id) })).collect()
}

fn verification(described: &store::Described) -> Value {
    let verified = described.name == BOT;
    let (reason, at) = if verified { ("valid", Some("2026-01-01T00:00:00Z")) } else { ("unsigned", None) };
    json!({ "verified": verified, "reason": reason, "signature": null, "payload": null, "verified_at": at })
}

/// A commit as Git has it.
pub(super) fn git_commit(state: &State, repository: &Repository, id: &str) -> Value {
    let described = store::describe(&repository.folder, id);
    let api = api(state, repository);
    let author = json!({ "name": described.name, "email": described.email, "date": described.date });
    filled(
        "git-commit",
        json!({
            "sha": id, "node_id": format!("C_{id}"), "url": format!("{api}/git/commits/{id}"),
            "html_url": format!("{}/commit/{id}", page(state, repository)), "author": author, "committer": author,
            "message": described.message, "parents": parents(&api, &described), "verification": verification(&described),
            "tree": { "sha": described.tree, "url": format!("{api}/git/trees/{}", described.tree) },
        }),
    )
}

/// A commit as GitHub shows it, with the accounts behind it.
pub(super) fn commit(state: &State, repository: &Repository, id: &str) -> Value {
    let described = store::describe(&repository.folder, id);
    let api = api(state, repository);
    let author = json!({ "name": described.name, "email": described.email, "date": described.date });
    let login = state.account(&described.name).map(|known| account(state, &known.login));
    filled(
        "commit",
        json!({
            "sha": id, "node_id": format!("C_{id}"), "url": format!("{api}/commits/{id}"),
            "html_url": format!("{}/commit/{id}", page(state, repository)),
            "comments_url": format!("{api}/commits/{id}/comments"),
            "commit": {
                "url": format!("{api}/git/commits/{id}"), "author": author, "committer": author,
                "message": described.message, "comment_count": 0, "verification": verification(&described),
                "tree": { "sha": described.tree, "url": format!("{api}/git/trees/{}", described.tree) },
            },
            "author": login, "committer": login, "parents": parents(&api, &described),
        }),
    )
}

/// How files differ between two commits.
pub(super) fn changed_files(state: &State, repository: &Repository, before: &str, after: &str) -> Vec<Value> {
    let (api, page) = (api(state, repository), page(state, repository));
    let changed = store::changed_paths(&repository.folder, before, after).into_iter().map(|(how, path)| {
        let status = match how.as_str() {
            "A" => "added",
            "D" => "removed",
            _ => "modified",
        };
        let at = if how == "D" { before } else { after };
        let id = store::resolve(&repository.folder, &format!("{at}:{path}"));
        filled(
            "diff-entry",
            json!({
                "sha": id, "filename": path, "status": status, "blob_url": format!("{page}/blob/{at}/{path}"),
                "raw_url": format!("{page}/raw/{at}/{path}"), "contents_url": format!("{api}/contents/{path}?ref={at}"),
            }),
        )
    });
    changed.collect()
}

/// A commit status.
pub(super) fn status(state: &State, repository: &Repository, status: &Status) -> Value {
    let mut values = simple_status_values(state, repository, status);
    values.insert("creator".to_owned(), account(state, &status.author));
    filled("status", Value::Object(values))
}

/// The same in the combined status.
pub(super) fn simple_status(state: &State, repository: &Repository, status: &Status) -> Value {
    filled("simple-commit-status", Value::Object(simple_status_values(state, repository, status)))
}

fn simple_status_values(state: &State, repository: &Repository, status: &Status) -> Map<String, Value> {
    let values = json!({
        "url": format!("{}/statuses/{}", api(state, repository), status.commit), "id": status.id,
        "node_id": format!("SC_{}", status.id), "state": status.state, "description": status.description,
        "target_url": status.target_url, "context": status.context, "created_at": status.at.to_string(),
        "updated_at": status.at.to_string(), "avatar_url": account(state, &status.author)["avatar_url"],
    });
    let Value::Object(values) = values else { unreachable!("an object was written") };
    values
}

/// A check run.
pub(super) fn check_run(state: &State, repository: &Repository, run: &CheckRun) -> Value {
    let url = format!("{}/check-runs/{}", api(state, repository), run.id);
    let html = format!("{}/runs/{}", page(state, repository), run.id);
    let details = run.details_url.as_ref().unwrap_or(&html);
    filled(
        "check-run",
        json!({
            "id": run.id, "node_id": format!("CR_{}", run.id), "head_sha": run.commit, "name": run.name, "url": url,
            "html_url": html, "details_url": details,
            "status": run.status, "conclusion": run.conclusion, "external_id": run.external_id,
            "started_at": run.started.to_string(), "completed_at": run.completed.map(|at| at.to_string()),
            "check_suite": { "id": run.id }, "app": app(state), "pull_requests": [],
            "output": {
                "title": run.output["title"], "summary": run.output["summary"], "text": run.output["text"],
                "annotations_count": 0, "annotations_url": format!("{url}/annotations"),
            },
        }),
    )
}
