//! The mutations of the excerpt.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Refusal, node_id, pull_request};
use crate::github::{
    auth, checks,
    pulls::ZERO,
    render,
    state::{AutoMerge, BOT, State, Token},
    store::{self, Change},
};

/// Carry out one mutation; its payload with all fields of the excerpt.
pub(super) fn mutate(state: &mut State, token: &Token, name: &str, input: &Value) -> Result<Value, Refusal> {
    let id = input["clientMutationId"].clone();
    let mut payload = match name {
        "createCommitOnBranch" => create_commit(state, token, input),
        "updateRefs" => update_references(state, token, input),
        _ => {
            let (place, number) = pull_of(state, token, input)?;
            match name {
                "enablePullRequestAutoMerge" => enable(state, place, number, input)?,
                "disablePullRequestAutoMerge" => disable(state, place, number)?,
                "markPullRequestReadyForReview" => set_draft(state, place, number, false)?,
                _ => set_draft(state, place, number, true)?,
            }
            let repository = &state.repositories[place];
            let pull = repository.issue(number).map(|issue| pull_request(repository, issue));
            Ok(json!({ "pullRequest": pull }))
        }
    }?;
    payload["clientMutationId"] = id;
    Ok(payload)
}

fn refused(kind: &'static str, message: &str) -> Refusal {
    (kind, message.to_owned())
}

/// A repository that the token reaches and may write to.
fn writable(state: &State, token: &Token, place: Option<usize>, permission: &str) -> Result<usize, Refusal> {
    let reached = place.filter(|place| token.repositories.contains(&state.repositories[*place].id));
    let place = reached.ok_or_else(|| refused("NOT_FOUND", "Could not resolve to a node with the global id given"))?;
    if !auth::holds(token, &[permission], "write") {
        return Err(refused("FORBIDDEN", "Resource not accessible by integration"));
    }
    Ok(place)
}

fn create_commit(state: &mut State, token: &Token, input: &Value) -> Result<Value, Refusal> {
    let full_name = input["branch"]["repositoryNameWithOwner"].as_str().unwrap_or_default();
    let (owner, name) = full_name.split_once('/').unwrap_or_default();
    let place = writable(state, token, state.place(owner, name), "contents")?;
    let repository = &state.repositories[place];
    let branch = input["branch"]["branchName"].as_str().unwrap_or_default();
    let branch = branch.trim_start_matches("refs/heads/");
    let reference = format!("refs/heads/{branch}");
    let Some(head) = repository.references.get(&reference).cloned() else {
        return Err(refused("NOT_FOUND", "Could not resolve to a Ref with the name given"));
    };
    if repository.is_protected(&reference) {
        let message =
            format!("Protected branch update failed for {reference}. Changes must be made through a pull request.");
        return Err(("UNPROCESSABLE", message));
    }
    if input["expectedHeadOid"] != head.as_str() {
        let expected = input["expectedHeadOid"].as_str().unwrap_or_default();
        let message = format!("Expected branch to point to \"{expected}\" but it did not. Pull and try again.");
        return Err(("STALE_DATA", message));
    }
    let folder = repository.folder.clone();
    let mut changes = Vec::new();
    let list = |key: &str| input["fileChanges"][key].as_array().cloned().unwrap_or_default();
    let additions = list("additions");
    let content = |addition: &Value| STANDARD.decode(addition["contents"].as_str().unwrap_or_default());
    let decoded: Vec<Vec<u8>> = additions.iter().map(|addition| content(addition).unwrap_or_default()).collect();
    let contents: Vec<&[u8]> = decoded.iter().map(Vec::as_slice).collect();
    for (addition, id) in additions.iter().zip(store::blobs(&folder, &contents)) {
        let path = addition["path"].as_str().unwrap_or_default().to_owned();
        changes.push(Change { path, entry: Some(("100644".to_owned(), id)) });
    }
    for deletion in list("deletions") {
        let path = deletion["path"].as_str().unwrap_or_default().to_owned();
        if store::file(&folder, &head, &path).is_none() {
            return Err(("UNPROCESSABLE", format!("A path was requested for deletion which does not exist: {path}")));
        }
        changes.push(Change { path, entry: None });
    }
    let (headline, body) = (&input["message"]["headline"], &input["message"]["body"]);
    let message = format!("{}\n\n{}", headline.as_str().unwrap_or_default(), body.as_str().unwrap_or_default());
    let (own_name, own_email) = state.signature(BOT);
    let unprocessable = |words: String| ("UNPROCESSABLE", words);
    let tree = store::tree(&folder, Some(&store::tree_of(&folder, &head)), &changes).map_err(unprocessable)?;
    let author = (own_name.as_str(), own_email.as_str());
    let parents = [head.clone()];
    let commit = store::commit_tree(&folder, &tree, &parents, message.trim_end(), author).map_err(unprocessable)?;
    store::update(&folder, &reference, &commit, Some(&head)).map_err(|words| ("STALE_DATA", words))?;
    state.references_moved(place, BOT);
    let url = format!("{}/commit/{commit}", render::page(state, &state.repositories[place]));
    let short = commit.get(..7).unwrap_or_default();
    Ok(json!({
        "commit": { "id": format!("C_{commit}"), "oid": commit, "abbreviatedOid": short, "url": url },
        "ref": { "id": format!("REF_{branch}"), "name": branch, "prefix": "refs/heads/" },
    }))
}

/// All or none of them.
fn update_references(state: &mut State, token: &Token, input: &Value) -> Result<Value, Refusal> {
    let id = input["repositoryId"].as_str().unwrap_or_default();
    let place = state.repositories.iter().position(|repository| format!("R_{}", repository.id) == id);
    let place = writable(state, token, place, "contents")?;
    let repository = &state.repositories[place];
    let folder = repository.folder.clone();
    let mut updates: Vec<(String, String)> = Vec::new();
    for update in input["refUpdates"].as_array().into_iter().flatten() {
        let text = |key: &str| update[key].as_str().unwrap_or_default();
        let (name, after) = (text("name"), text("afterOid"));
        let now = repository.references.get(name).map_or(ZERO, String::as_str);
        if update["beforeOid"].is_string() && text("beforeOid") != now {
            let message = format!("{name}: expected {} but the ref is at {now}", text("beforeOid"));
            return Err(("STALE_DATA", message));
        }
        if repository.is_protected(name) {
            return Err(("UNPROCESSABLE", format!("Cannot update this protected ref: {name}")));
        }
        if after != ZERO && store::commit(&folder, after).is_none() {
            return Err(("UNPROCESSABLE", format!("{after} does not exist")));
        }
        let forward = now == ZERO || after == ZERO || store::is_ancestor(&folder, now, after);
        if !forward && update["force"] != true {
            return Err(("UNPROCESSABLE", format!("{name}: the update is not a fast-forward")));
        }
        updates.push((name.to_owned(), after.to_owned()));
    }
    for (name, after) in updates {
        let done =
            if after == ZERO { store::delete(&folder, &name) } else { store::update(&folder, &name, &after, None) };
        done.map_err(|words| ("UNPROCESSABLE", words))?;
    }
    state.references_moved(place, BOT);
    Ok(json!({}))
}

/// The pull request that an input names.
fn pull_of(state: &State, token: &Token, input: &Value) -> Result<(usize, u64), Refusal> {
    let id = input["pullRequestId"].as_str().unwrap_or_default();
    let mut found = state.repositories.iter().enumerate().filter_map(|(place, repository)| {
        let of_id = |pull: &crate::github::state::Pull| node_id(pull) == id;
        let issue = repository.issues.iter().find(|issue| issue.pull.as_ref().is_some_and(of_id))?;
        Some((place, issue.number))
    });
    let found = found.next();
    let place = writable(state, token, found.map(|(place, _)| place), "pull_requests")?;
    Ok((place, found.map_or(0, |(_, number)| number)))
}

fn enable(state: &mut State, place: usize, number: u64, input: &Value) -> Result<(), Refusal> {
    let repository = &state.repositories[place];
    if !repository.allow_auto_merge {
        return Err(refused("UNPROCESSABLE", "Auto merge is not allowed for this repository"));
    }
    let at = state.now();
    let missing = || refused("NOT_FOUND", "no such pull request");
    let pull = state.pull(place, number).ok_or_else(missing)?;
    if input["expectedHeadOid"].is_string() && input["expectedHeadOid"] != pull.head_id.as_str() {
        return Err(refused("UNPROCESSABLE", "Head branch was modified. Review and try again."));
    }
    let word = checks::mergeable_state(repository, pull);
    // What could be merged at once is merged at once; with a queue it is put there.
    if word == "dirty" || word == "draft" || (word == "clean" && !repository.merge_queue) {
        return Err(("UNPROCESSABLE", format!("Pull request Pull request is in {word} status")));
    }
    let text = |key: &str| input[key].as_str().map(str::to_owned);
    let method = text("mergeMethod").unwrap_or("MERGE".to_owned()).to_ascii_lowercase();
    let (headline, body) = (text("commitHeadline"), text("commitBody"));
    let pull = state.pull_mut(place, number).ok_or_else(missing)?;
    pull.auto_merge = Some(AutoMerge { method, by: BOT.to_owned(), at, headline, body });
    state.emit_pull(place, number, "auto_merge_enabled", BOT, json!({}));
    state.merge_what_may(place);
    Ok(())
}

fn disable(state: &mut State, place: usize, number: u64) -> Result<(), Refusal> {
    let pull = state.pull_mut(place, number).ok_or_else(|| refused("NOT_FOUND", "no such pull request"))?;
    if pull.auto_merge.take().is_none() {
        return Err(refused("UNPROCESSABLE", "Can't disable auto-merge for this pull request."));
    }
    state.emit_pull(place, number, "auto_merge_disabled", BOT, json!({ "reason": "" }));
    Ok(())
}

fn set_draft(state: &mut State, place: usize, number: u64, draft: bool) -> Result<(), Refusal> {
    if draft && !state.repositories[place].allow_drafts {
        return Err(refused("UNPROCESSABLE", "Draft pull requests are not supported in this repository."));
    }
    let pull = state.pull_mut(place, number).ok_or_else(|| refused("NOT_FOUND", "no such pull request"))?;
    if std::mem::replace(&mut pull.draft, draft) != draft {
        let action = if draft { "converted_to_draft" } else { "ready_for_review" };
        state.emit_pull(place, number, action, BOT, json!({}));
        state.merge_what_may(place);
    }
    Ok(())
}
