//! The page to which a browser posts the manifest of a new App (docs.github.com, "Registering a GitHub App from a
//! manifest"). It shows what was posted and the way back with the code.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::{Method, Response, request::Parts},
};
use serde_json::Value;

use super::{Shared, server::parameters};

/// The page, when the request is for it.
pub(super) fn page(shared: &Arc<Shared>, parts: &Parts, body: &Bytes) -> Option<Response<Body>> {
    if parts.method != Method::POST || !parts.uri.path().ends_with("/settings/apps/new") {
        return None;
    }
    let form = parameters(&String::from_utf8_lossy(body));
    let text = form.get("manifest").cloned().unwrap_or_default();
    let Ok(manifest) = serde_json::from_str::<Value>(&text) else {
        shared.state().failures.push(format!("the manifest is no JSON: {text}"));
        return Some(Response::builder().status(422).body(Body::empty()).unwrap());
    };
    let mut state = shared.state();
    for key in ["url", "redirect_url", "default_permissions"] {
        if manifest.get(key).is_none() {
            state.failures.push(format!("the manifest has no {key}"));
        }
    }
    let code = format!("{:040x}", state.id());
    let back = manifest["redirect_url"].as_str().unwrap_or_default();
    let joint = if back.contains('?') { '&' } else { '?' };
    let query = parameters(parts.uri.query().unwrap_or_default());
    let own = query.get("state").map(|state| format!("&state={state}")).unwrap_or_default();
    let shown = text.replace('&', "&amp;").replace('<', "&lt;");
    let link = format!("<a href=\"{back}{joint}code={code}{own}\">Create</a>");
    let html = format!("<!doctype html><title>Register new GitHub App</title><pre>{shown}</pre>{link}");
    state.manifests.insert(code, manifest);
    Some(Response::builder().header("content-type", "text/html; charset=utf-8").body(Body::from(html)).unwrap())
}
