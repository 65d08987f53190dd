//! References, blobs, trees and commits as GitHub's Git Data API has them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::unknown;
use crate::github::{
    answer::{Answer, Call, Outcome},
    render,
    skeleton::filled,
    state::{BOT, State},
    store::{self, Change},
};

/// Answer an operation below `/git`.
pub(super) fn answer(state: &mut State, operation: &str, call: &Call, place: usize) -> Outcome {
    match operation.trim_start_matches(|c: char| c != '/') {
        "/repos/{owner}/{repo}/git/ref/{ref}" => {
            let name = format!("refs/{}", call.parameter("ref"));
            let repository = &state.repositories[place];
            let id = repository.references.get(&name).ok_or_else(Answer::not_found)?;
            Ok(Answer::ok(render::reference(state, repository, &name, id)))
        }
        "/repos/{owner}/{repo}/git/matching-refs/{ref}" => {
            let start = format!("refs/{}", call.parameter("ref"));
            let repository = &state.repositories[place];
            let matching = repository.references.iter().filter(|(name, _)| name.starts_with(&start));
            Ok(Answer::ok(matching.map(|(name, id)| render::reference(state, repository, name, id)).collect()))
        }
        "/repos/{owner}/{repo}/git/refs" => create_reference(state, call, place),
        "/repos/{owner}/{repo}/git/refs/{ref}" if operation.starts_with("PATCH") => move_reference(state, call, place),
        "/repos/{owner}/{repo}/git/refs/{ref}" => delete_reference(state, call, place),
        "/repos/{owner}/{repo}/git/blobs" => new_blob(state, call, place),
        "/repos/{owner}/{repo}/git/trees" => new_tree(state, call, place),
        "/repos/{owner}/{repo}/git/trees/{tree_sha}" => {
            let repository = &state.repositories[place];
            let tree = store::resolve(&repository.folder, &format!("{}^{{tree}}", call.parameter("tree_sha")));
            tree_answer(state, place, &tree.ok_or_else(Answer::not_found)?, call.asked("recursive").is_some(), 200)
        }
        "/repos/{owner}/{repo}/git/commits" => new_commit(state, call, place),
        "/repos/{owner}/{repo}/git/commits/{commit_sha}" => {
            let repository = &state.repositories[place];
            let id = store::commit(&repository.folder, call.parameter("commit_sha")).ok_or_else(Answer::not_found)?;
            Ok(Answer::ok(render::git_commit(state, repository, &id)))
        }
        _ => unknown(operation),
    }
}

fn create_reference(state: &mut State, call: &Call, place: usize) -> Outcome {
    let (name, id) = (call.text("ref").unwrap_or_default(), call.text("sha").unwrap_or_default());
    let repository = &state.repositories[place];
    if !name.starts_with("refs/") || name.matches('/').count() < 2 {
        return Err(Answer::refused(422, "Reference name must start with 'refs/' and contain at least two slashes"));
    }
    if repository.references.contains_key(name) {
        return Err(Answer::refused(422, "Reference already exists"));
    }
    if store::commit(&repository.folder, id).is_none() {
        return Err(Answer::refused(422, "Object does not exist"));
    }
    store::update(&repository.folder, name, id, None).map_err(|words| Answer::refused(422, &words))?;
    state.references_moved(place, BOT);
    Ok(Answer::created(render::reference(state, &state.repositories[place], name, id)))
}

fn move_reference(state: &mut State, call: &Call, place: usize) -> Outcome {
    let (name, id) = (format!("refs/{}", call.parameter("ref")), call.text("sha").unwrap_or_default());
    let force = call.body["force"] == true;
    let repository = &state.repositories[place];
    let Some(old) = repository.references.get(&name) else {
        return Err(Answer::refused(422, "Reference does not exist"));
    };
    if store::commit(&repository.folder, id).is_none() {
        return Err(Answer::refused(422, "Object does not exist"));
    }
    if repository.is_protected(&name) {
        return Err(Answer::refused(422, "Cannot update this protected ref."));
    }
    if !force && !store::is_ancestor(&repository.folder, old, id) {
        return Err(Answer::refused(422, "Update is not a fast forward"));
    }
    store::update(&repository.folder, &name, id, Some(old)).map_err(|words| Answer::refused(409, &words))?;
    state.references_moved(place, BOT);
    Ok(Answer::ok(render::reference(state, &state.repositories[place], &name, id)))
}

fn delete_reference(state: &mut State, call: &Call, place: usize) -> Outcome {
    let name = format!("refs/{}", call.parameter("ref"));
    let repository = &state.repositories[place];
    if !repository.references.contains_key(&name) {
        return Err(Answer::refused(422, "Reference does not exist"));
    }
    if repository.is_protected(&name) {
        return Err(Answer::refused(422, "Cannot delete a protected branch"));
    }
    store::delete(&repository.folder, &name).map_err(|words| Answer::refused(409, &words))?;
    state.references_moved(place, BOT);
    Ok(Answer::nothing())
}

fn new_blob(state: &State, call: &Call, place: usize) -> Outcome {
    let repository = &state.repositories[place];
    let text = call.text("content").unwrap_or_default();
    let content = match call.text("encoding") {
        Some("base64") => {
            STANDARD.decode(text.replace('\n', "")).map_err(|_| Answer::refused(422, "Invalid base64"))?
        }
        _ => text.as_bytes().to_vec(),
    };
    let id = store::blob(&repository.folder, &content);
    let url = format!("{}/git/blobs/{id}", render::api(state, repository));
    Ok(Answer::created(filled("short-blob", json!({ "sha": id, "url": url }))))
}

fn new_tree(state: &State, call: &Call, place: usize) -> Outcome {
    let repository = &state.repositories[place];
    let entries = || call.body["tree"].as_array().into_iter().flatten();
    let contents: Vec<&[u8]> = entries().filter_map(|entry| entry["content"].as_str()).map(str::as_bytes).collect();
    let mut written = store::blobs(&repository.folder, &contents).into_iter();
    let mut changes = Vec::new();
    for entry in entries() {
        let text = |key: &str| entry[key].as_str().map(str::to_owned);
        let (path, mode) = (text("path").unwrap_or_default(), text("mode").unwrap_or("100644".to_owned()));
        let is_written = entry["content"].is_string();
        let id = if is_written { written.next() } else { text("sha") };
        if !is_written && id.as_ref().is_some_and(|id| store::resolve(&repository.folder, id).is_none()) {
            return Err(Answer::refused(422, "tree.sha does not exist"));
        }
        changes.push(Change { path, entry: id.map(|id| (mode, id)) });
    }
    let tree = store::tree(&repository.folder, call.text("base_tree"), &changes);
    let tree = tree.map_err(|words| Answer::refused(422, &words))?;
    tree_answer(state, place, &tree, false, 201)
}

fn tree_answer(state: &State, place: usize, tree: &str, recursive: bool, status: u16) -> Outcome {
    let repository = &state.repositories[place];
    let api = render::api(state, repository);
    let entries = store::entries(&repository.folder, tree, recursive).map_err(|_| Answer::not_found())?;
    let entries = entries.into_iter().map(|[mode, kind, id, path]| {
        let url = format!("{api}/git/{kind}s/{id}");
        json!({ "path": path, "mode": mode, "type": kind, "sha": id, "url": url })
    });
    let entries: Vec<Value> = entries.collect();
    let url = format!("{api}/git/trees/{tree}");
    let values = json!({ "sha": tree, "url": url, "truncated": false, "tree": entries });
    Ok(Answer::new(status, filled("git-tree", values)))
}

fn new_commit(state: &State, call: &Call, place: usize) -> Outcome {
    let repository = &state.repositories[place];
    let tree = call.text("tree").unwrap_or_default();
    let parents = call.texts("parents");
    if store::resolve(&repository.folder, tree).is_none() {
        return Err(Answer::refused(422, "Tree SHA does not exist"));
    }
    if parents.iter().any(|parent| store::commit(&repository.folder, parent).is_none()) {
        return Err(Answer::refused(422, "Parent SHA does not exist or is not a commit object"));
    }
    let (own_name, own_email) = state.signature(BOT);
    let name = call.body["author"]["name"].as_str().unwrap_or(&own_name);
    let email = call.body["author"]["email"].as_str().unwrap_or(&own_email);
    let message = call.text("message").unwrap_or_default();
    let made = store::commit_tree(&repository.folder, tree, &parents, message, (name, email));
    let id = made.map_err(|words| Answer::refused(422, &words))?;
    Ok(Answer::created(render::git_commit(state, repository, &id)))
}
