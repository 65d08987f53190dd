//! The App itself, its installations and tokens, its deliveries; people and teams.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tagboat_model::Duration;

use super::unknown;
use crate::github::{
    answer::{Answer, Call, Outcome},
    auth::APP_KEY,
    render,
    skeleton::{filled, over},
    state::{CLIENT_ID, Delivery, State, Token},
    switches::LIMIT,
};

/// How long a token lives.
const HOUR: Duration = Duration::from_seconds(3600);

/// What the App asks in its own name.
pub(super) fn answer(state: &mut State, operation: &str, call: &Call) -> Outcome {
    match operation {
        "GET /app" => Ok(Answer::ok(render::app(state))),
        "GET /app/installations" => {
            // The description of the list demands the keys of an enterprise of every account.
            let enterprise = json!({ "account": { "name": "", "slug": "", "created_at": null, "updated_at": null } });
            let installations = state.installations.iter();
            let items = installations.map(|known| over(render::installation(state, known), enterprise.clone()));
            Ok(Answer::page(call, &state.base, items.collect(), None))
        }
        "GET /app/installations/{installation_id}" => {
            let id = call.number("installation_id");
            let found = state.installations.iter().find(|installation| installation.id == id);
            let found = found.ok_or_else(Answer::not_found)?;
            Ok(Answer::ok(render::installation(state, found)))
        }
        "GET /repos/{owner}/{repo}/installation" => {
            let place = state.place(call.parameter("owner"), call.parameter("repo"));
            let owner = place.map(|place| state.repositories[place].owner.clone()).unwrap_or_default();
            let found = state.installation_of(&owner).ok_or_else(Answer::not_found)?;
            Ok(Answer::ok(render::installation(state, found)))
        }
        "POST /app/installations/{installation_id}/access_tokens" => new_token(state, call),
        "GET /app/hook/deliveries" => {
            let wanted = call.asked("status");
            let listed = state.deliveries.iter().rev().filter(|delivery| {
                let success = delivery.outcome.as_ref().is_some_and(|(code, _)| (200..300).contains(code));
                delivery.outcome.is_some() && wanted.is_none_or(|wanted| (wanted == "success") == success)
            });
            let items = listed.map(|delivery| filled("hook-delivery-item", delivery_values(delivery))).collect();
            Ok(deliveries_page(state, call, items))
        }
        "GET /app/hook/deliveries/{delivery_id}" => {
            let id = call.number("delivery_id");
            let found = state.deliveries.iter().find(|delivery| delivery.id == id);
            let found = found.ok_or_else(Answer::not_found)?;
            let more = json!({
                "request": { "headers": {}, "payload": found.payload }, "response": { "headers": {}, "payload": "" },
            });
            Ok(Answer::ok(filled("hook-delivery", over(delivery_values(found), more))))
        }
        "POST /app/hook/deliveries/{delivery_id}/attempts" => {
            let id = call.number("delivery_id");
            let found = state.deliveries.iter().find(|delivery| delivery.id == id).cloned();
            let found = found.ok_or_else(Answer::not_found)?;
            let (id, at) = (state.id(), state.now());
            state.outbox.push(state.deliveries.len());
            // The same event: its GUID stays, the attempt has an id of its own.
            state.deliveries.push(Delivery { id, at, redelivery: true, outcome: None, ..found });
            Ok(Answer::new(202, json!({})))
        }
        _ => unknown(operation),
    }
}

/// Deliveries are paged by a cursor, which here is the place in the list.
fn deliveries_page(state: &State, call: &Call, items: Vec<Value>) -> Answer {
    let number = |name: &str, usual: usize| call.asked(name).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (size, start) = (number("per_page", 30).clamp(1, 100), number("cursor", 0));
    let more = items.len() > start + size;
    let mut answer = Answer::ok(items.into_iter().skip(start).take(size).collect());
    if more {
        let status = call.asked("status").map(|status| format!("&status={status}")).unwrap_or_default();
        let path = format!("{}/api/v3/app/hook/deliveries", state.base);
        let link = format!("<{path}?per_page={size}&cursor={}{status}>; rel=\"next\"", start + size);
        answer.headers.push(("link", link));
    }
    answer
}

fn delivery_values(delivery: &Delivery) -> Value {
    let (code, words) = delivery.outcome.clone().unwrap_or((0, "pending".to_owned()));
    json!({
        "id": delivery.id, "guid": delivery.guid, "delivered_at": delivery.at.to_string(),
        "redelivery": delivery.redelivery, "duration": 0.1, "status": words, "status_code": code,
        "event": delivery.event, "action": delivery.action, "installation_id": delivery.installation,
        "repository_id": delivery.repository,
    })
}

fn new_token(state: &mut State, call: &Call) -> Outcome {
    let id = call.number("installation_id");
    let found = state.installations.iter().find(|installation| installation.id == id).cloned();
    let installation = found.ok_or_else(Answer::not_found)?;
    if installation.suspended {
        return Err(Answer::refused(403, "This installation has been suspended"));
    }
    let own = state.repositories.iter().filter(|repository| repository.owner == installation.account);
    let (names, ids) = (call.texts("repositories"), call.body["repository_ids"].as_array().cloned());
    let narrowed = !names.is_empty() || ids.is_some();
    let ids: Vec<u64> = ids.unwrap_or_default().iter().filter_map(Value::as_u64).collect();
    let repositories: Vec<u64> = own
        .filter(|repository| !narrowed || names.contains(&repository.name) || ids.contains(&repository.id))
        .map(|repository| repository.id)
        .collect();
    if repositories.len() < names.len() + ids.len() {
        let message =
            "There is at least one repository that does not exist or is not accessible to the parent installation.";
        return Err(Answer::refused(422, message));
    }
    let mut permissions = installation.permissions.clone();
    if let Some(wanted) = call.body["permissions"].as_object() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let wanted: BTreeMap<String, String> = wanted.iter().map(|(name, level)| (name.clone(), text(level))).collect();
        let granted = |(name, level): (&String, &String)| {
            permissions.get(name).is_some_and(|own| own == level || own == "write" || own == "admin")
        };
        if !wanted.iter().all(granted) {
            return Err(Answer::refused(422, "The permissions requested are not granted to this installation."));
        }
        permissions = wanted;
    }
    permissions.entry("metadata".to_owned()).or_insert_with(|| "read".to_owned());
    let expires = state.now().plus(HOUR);
    let text = format!("ghs_{:036}", state.id());
    let selected: Vec<Value> = state
        .repositories
        .iter()
        .filter(|repository| narrowed && repositories.contains(&repository.id))
        .map(|repository| render::repository(state, repository))
        .collect();
    let mut values = json!({
        "token": text, "expires_at": expires.to_string(), "permissions": permissions,
        "repository_selection": if narrowed { "selected" } else { "all" },
    });
    if narrowed {
        values["repositories"] = json!(selected);
    }
    state.tokens.push(Token { text, repositories, permissions, expires });
    Ok(Answer::created(filled("installation-token", values)))
}

/// What is not below a repository.
pub(super) fn answer_installation(state: &mut State, operation: &str, call: &Call, token: &Token) -> Outcome {
    match operation {
        "GET /installation/repositories" => {
            let own = state.repositories.iter().filter(|repository| token.repositories.contains(&repository.id));
            let items = own.map(|repository| render::repository(state, repository)).collect();
            Ok(Answer::page(call, &state.base, items, Some("repositories")))
        }
        "GET /user/{account_id}" => {
            let id = call.number("account_id");
            let found = state.accounts.iter().find(|account| account.id == id).ok_or_else(Answer::not_found)?;
            Ok(Answer::ok(render::public_account(state, &found.login)))
        }
        "GET /users/{username}" => {
            let found = state.account(call.parameter("username")).ok_or_else(Answer::not_found)?;
            Ok(Answer::ok(render::public_account(state, &found.login)))
        }
        "GET /orgs/{org}/teams/{team_slug}/memberships/{username}" => {
            let key = ["org", "team_slug", "username"].map(|name| call.parameter(name).to_owned());
            if !state.teams.contains(&key) {
                return Err(Answer::not_found());
            }
            let [organization, team, login] = key;
            let url = format!("{}/api/v3/orgs/{organization}/teams/{team}/memberships/{login}", state.base);
            Ok(Answer::ok(filled("team-membership", json!({ "role": "member", "state": "active", "url": url }))))
        }
        "GET /rate_limit" => {
            let left = state.switches.left();
            let reset = state.seconds() + 3600;
            let core = json!({ "limit": LIMIT, "remaining": left, "used": LIMIT - left.min(LIMIT), "reset": reset });
            let values = json!({ "resources": { "core": core, "search": core }, "rate": core });
            Ok(Answer::ok(filled("rate-limit-overview", values)))
        }
        _ => unknown(operation),
    }
}

/// Turn the code that a browser brought back into an App.
pub(super) fn convert_manifest(state: &mut State, call: &Call) -> Outcome {
    let manifest = state.manifests.remove(call.parameter("code")).ok_or_else(Answer::not_found)?;
    let mut app = render::app(state);
    let more = json!({
        "client_id": CLIENT_ID, "client_secret": "client-secret-of-the-fake", "pem": APP_KEY,
        "webhook_secret": "webhook-secret-of-the-fake", "name": manifest["name"], "external_url": manifest["url"],
        "permissions": manifest["default_permissions"],
    });
    app = over(app, more);
    if let Some(url) = manifest["hook_attributes"]["url"].as_str() {
        state.webhook = Some((url.to_owned(), "webhook-secret-of-the-fake".to_owned()));
    }
    Ok(Answer::created(app))
}
