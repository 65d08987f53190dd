//! Repositories, branches, commits, files, comparisons, milestones and what people may do.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::unknown;
use crate::github::{
    answer::{Answer, Call, Outcome},
    render, render_pulls,
    skeleton::{filled, over},
    state::{Repository, State},
    store,
};

/// Answer an operation on a repository as a whole.
pub(super) fn answer(state: &State, operation: &str, call: &Call, place: usize) -> Outcome {
    let repository = &state.repositories[place];
    match operation.trim_start_matches("GET /repos/{owner}/{repo}") {
        "" => Ok(Answer::ok(render::repository_as(state, repository, "full-repository"))),
        "/branches/{branch}" => branch(state, repository, call.parameter("branch")),
        "/commits/{ref}" => {
            let id = commit_id(repository, call.parameter("ref"))?;
            let mut commit = render::commit(state, repository, &id);
            let parent = commit["parents"][0]["sha"].as_str().map(str::to_owned);
            commit["stats"] = json!({ "additions": 0, "deletions": 0, "total": 0 });
            commit["files"] = parent
                .map(|parent| render::changed_files(state, repository, &parent, &id).into_iter().collect())
                .unwrap_or_else(|| json!([]));
            Ok(Answer::ok(commit))
        }
        "/compare/{basehead}" => compare(state, repository, call.parameter("basehead")),
        "/contents/{path}" => contents(state, repository, call),
        "/milestones" => {
            let count = u64::try_from(repository.milestones.len()).unwrap_or(0);
            let items = (1..=count).map(|number| render_pulls::milestone(state, repository, number));
            Ok(Answer::page(call, &state.base, items.collect(), None))
        }
        "/collaborators/{username}/permission" => {
            let login = call.parameter("username");
            if state.account(login).is_none() {
                return Err(Answer::not_found());
            }
            let role = repository.role(login);
            // The older word knows three levels.
            let permission = match role {
                "maintain" => "write",
                "triage" => "read",
                other => other,
            };
            let values =
                json!({ "permission": permission, "role_name": role, "user": collaborator(state, login, role) });
            Ok(Answer::ok(filled("repository-collaborator-permission", values)))
        }
        _ => unknown(operation),
    }
}

fn collaborator(state: &State, login: &str, role: &str) -> Value {
    let levels = ["read", "triage", "write", "maintain", "admin"];
    let own = levels.iter().position(|level| *level == role);
    let may = |level: usize| own.is_some_and(|own| own >= level);
    let permissions = json!({ "pull": may(0), "triage": may(1), "push": may(2), "maintain": may(3), "admin": may(4) });
    over(render::account(state, login), json!({ "role_name": role, "permissions": permissions }))
}

/// The commit that a name stands for: a branch, a tag, a full reference or an id.
pub(super) fn commit_id(repository: &Repository, name: &str) -> Result<String, Answer> {
    for full in [format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}")] {
        if let Some(id) = repository.references.get(&full) {
            return Ok(id.clone());
        }
    }
    let is_id = name.len() >= 7 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = is_id.then(|| store::commit(&repository.folder, name)).flatten();
    found.ok_or_else(|| Answer::refused(422, &format!("No commit found for SHA: {name}")))
}

fn branch(state: &State, repository: &Repository, name: &str) -> Outcome {
    let found = repository.references.get(&format!("refs/heads/{name}"));
    let id = found.ok_or_else(|| Answer::refused(404, "Branch not found"))?;
    let api = render::api(state, repository);
    let protection = repository.protections.get(name);
    let checks = protection.map(|protection| protection.required_checks.clone()).unwrap_or_default();
    let url = format!("{api}/branches/{name}/protection");
    let html = format!("{}/tree/{name}", render::page(state, repository));
    let values = json!({
        "name": name, "commit": render::commit(state, repository, id), "protected": protection.is_some(),
        "_links": { "html": html, "self": format!("{api}/branches/{name}") }, "protection_url": url,
        "protection": {
            "enabled": protection.is_some(),
            "required_status_checks": { "enforcement_level": "everyone", "contexts": checks, "checks": [] },
        },
    });
    Ok(Answer::ok(filled("branch-with-protection", values)))
}

fn compare(state: &State, repository: &Repository, asked: &str) -> Outcome {
    let (base, head) = asked.split_once("...").ok_or_else(Answer::not_found)?;
    let owned = format!("{}:", repository.owner);
    let id =
        |name: &str| commit_id(repository, name.strip_prefix(&owned).unwrap_or(name)).map_err(|_| Answer::not_found());
    let (base, head) = (id(base)?, id(head)?);
    let folder = &repository.folder;
    let merge_base = store::run(folder, &["merge-base", &base, &head]).map_err(|_| Answer::not_found())?;
    let ahead = store::commits_between(folder, &base, &head);
    let behind = store::commits_between(folder, &head, &base).len();
    let status = match (ahead.is_empty(), behind == 0) {
        (true, true) => "identical",
        (true, false) => "behind",
        (false, true) => "ahead",
        (false, false) => "diverged",
    };
    let commits: Vec<Value> = ahead.iter().map(|id| render::commit(state, repository, id)).collect();
    let (url, html) = (render::api(state, repository), render::page(state, repository));
    let html = format!("{html}/compare/{base}...{head}");
    let values = json!({
        "url": format!("{url}/compare/{base}...{head}"), "html_url": html, "permalink_url": html,
        "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"), "status": status,
        "base_commit": render::commit(state, repository, &base),
        "merge_base_commit": render::commit(state, repository, &merge_base), "ahead_by": ahead.len(),
        "behind_by": behind, "total_commits": ahead.len(), "commits": commits,
        "files": render::changed_files(state, repository, &merge_base, &head),
    });
    Ok(Answer::ok(filled("commit-comparison", values)))
}

fn contents(state: &State, repository: &Repository, call: &Call) -> Outcome {
    let (path, at) = (call.parameter("path"), call.asked("ref").unwrap_or(&repository.default_branch));
    let commit = commit_id(repository, at).map_err(|_| Answer::not_found())?;
    let id = store::resolve(&repository.folder, &format!("{commit}:{path}")).ok_or_else(Answer::not_found)?;
    let Some(content) = store::file(&repository.folder, &commit, path) else {
        let entries = store::entries(&repository.folder, &id, false).map_err(|_| Answer::not_found())?;
        let listed = entries.into_iter().map(|[_, kind, id, name]| {
            let kind = if kind == "tree" { "dir" } else { "file" };
            entry(state, repository, &format!("{path}/{name}"), at, &id, kind)
        });
        return Ok(Answer::ok(listed.collect()));
    };
    let mut encoded = String::new();
    for line in STANDARD.encode(&content).as_bytes().chunks(60) {
        encoded.push_str(&String::from_utf8_lossy(line));
        encoded.push('\n');
    }
    let more = json!({ "size": content.len(), "encoding": "base64", "content": encoded });
    let file = over(entry(state, repository, path, at, &id, "file"), more);
    Ok(Answer::ok(filled("content-file", file)))
}

fn entry(state: &State, repository: &Repository, path: &str, at: &str, id: &str, kind: &str) -> Value {
    let (api, page) = (render::api(state, repository), render::page(state, repository));
    let name = path.rsplit('/').next().unwrap_or(path);
    let url = format!("{api}/contents/{path}?ref={at}");
    let git = format!("{api}/git/{}/{id}", if kind == "dir" { "trees" } else { "blobs" });
    let html = format!("{page}/blob/{at}/{path}");
    json!({
        "type": kind, "size": 0, "name": name, "path": path, "sha": id, "url": url, "git_url": git, "html_url": html,
        "download_url": format!("{page}/raw/{at}/{path}"), "_links": { "self": url, "git": git, "html": html },
    })
}
