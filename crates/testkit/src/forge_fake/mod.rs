//! What the fakes of GitLab and of Gitea have in common: one small world of pull requests over a real bare repository,
//! a server that holds everything against a description, and people.
//!
//! Only what Tagboat asks for is there. Nobody is refused for want of a permission, and no webhooks are sent.

mod people;
mod schema;
pub(crate) mod state;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub use self::people::ForgePeople;
use self::schema::decoded;
pub(crate) use self::{people::People, schema::Description, state::State};
use crate::{Asked, HttpFake, git_work::BareRepository, http_fake::response};

/// The token of the bot.
pub(crate) const TOKEN: &str = "token-of-the-bot";

/// A request that is being answered.
pub(crate) struct Call<'a> {
    /// `GET /repos/{owner}/{repo}/pulls`.
    pub(crate) operation: &'a str,
    pub(crate) path: &'a BTreeMap<String, String>,
    pub(crate) query: &'a BTreeMap<String, String>,
    pub(crate) body: &'a Value,
    /// The address of the server.
    pub(crate) web: &'a str,
}

/// An answer before it is written down.
pub(crate) enum Reply {
    Json(u16, Value),
    /// A listing, which is given in pages.
    List(Vec<Value>),
    /// The bytes of a file.
    Raw(String),
    Empty(u16),
}

/// What makes one forge another.
pub(crate) struct Flavor {
    pub(crate) api: &'static str,
    pub(crate) authorization: String,
    /// The parameter for the size of a page.
    pub(crate) page: &'static str,
    pub(crate) description: Description,
    /// Statuses of operations that are answered though the description does not say so.
    pub(crate) undescribed: &'static [(&'static str, u16)],
    pub(crate) answer: fn(&mut State, &Call<'_>) -> Reply,
}

/// A running server and its world.
pub(crate) struct Server {
    pub(crate) http: HttpFake,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Call<'_> {
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.path.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    pub(crate) fn part(&self, name: &str) -> &str {
        self.path.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn asked(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.body[key].as_str().map(str::to_owned)
    }

    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.body[key] == true
    }

    pub(crate) fn ids(&self, key: &str) -> Option<Vec<u64>> {
        Some(self.body[key].as_array()?.iter().filter_map(Value::as_u64).collect())
    }

    pub(crate) fn texts(&self, key: &str) -> Option<Vec<String>> {
        Some(self.body[key].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }
}

pub(crate) fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    pub(crate) async fn start(repository: BareRepository, flavor: Flavor) -> Self {
        let state = Arc::new(Mutex::new(State::new(repository)));
        let shared = Arc::clone(&state);
        let http = HttpFake::start(move |asked, host| {
            let mut state = locked(&shared);
            answer(&mut state, &flavor, asked, &format!("http://{host}"))
        });
        Self { http: http.await, state }
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        locked(&self.state).failures.clone()
    }
}

fn answer(state: &mut State, flavor: &Flavor, asked: &Asked, web: &str) -> Response<String> {
    if asked.header("authorization") != flavor.authorization {
        return response(401, &[], r#"{"message":"401 Unauthorized"}"#);
    }
    let (path, query) = asked.path.split_once('?').unwrap_or((asked.path.as_str(), ""));
    let query: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    let found = path.strip_prefix(flavor.api).and_then(|path| flavor.description.find(&asked.method, path));
    let Some(operation) = found else {
        state.failures.push(format!("{} {}: nothing like this is described", asked.method, asked.path));
        return response(404, &[], r#"{"message":"404 Not Found"}"#);
    };
    let body: Option<Value> = (!asked.body.is_empty()).then(|| serde_json::from_str(&asked.body).unwrap());
    let mut errors = flavor.description.request_errors(&operation, &query, body.as_ref());
    let empty = json!({});
    let call = Call {
        operation: &operation.name,
        path: &operation.path,
        query: &query,
        body: body.as_ref().unwrap_or(&empty),
        web,
    };
    let reply = (flavor.answer)(state, &call);
    let (status, json, text, link) = written(reply, flavor, &query);
    if !flavor.undescribed.contains(&(operation.name.as_str(), status)) {
        errors.extend(flavor.description.answer_errors(&operation, status, json.as_ref()));
    }
    for error in errors {
        state.failures.push(format!("{} {} ({status}): {error}", asked.method, asked.path));
    }
    let etag = format!("\"{:x}\"", Fingerprint(Sha256::digest(text.as_bytes()).to_vec()));
    if asked.method == "GET" && status == 200 && asked.header("if-none-match") == etag {
        return response(304, &[], "");
    }
    let mut headers = vec![("content-type", "application/json"), ("etag", etag.as_str())];
    if let Some(link) = &link {
        headers.push(("link", link.as_str()));
    }
    response(status, &headers, &text)
}

struct Fingerprint(Vec<u8>);

impl std::fmt::LowerHex for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Status, body as JSON, body as text, and where the next page is.
fn written(
    reply: Reply,
    flavor: &Flavor,
    query: &BTreeMap<String, String>,
) -> (u16, Option<Value>, String, Option<String>) {
    match reply {
        Reply::Json(status, body) => (status, Some(body.clone()), body.to_string(), None),
        Reply::Raw(text) => (200, None, text, None),
        Reply::Empty(status) => (status, None, String::new(), None),
        Reply::List(entries) => {
            let number = |name: &str, otherwise: usize| {
                query.get(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise).max(1)
            };
            let (page, size) = (number("page", 1), number(flavor.page, 20));
            let goes_on = entries.len() > page * size;
            let relation = if goes_on { "next" } else { "first" };
            let shown: Vec<Value> = entries.into_iter().skip((page - 1) * size).take(size).collect();
            let body = Value::Array(shown);
            let link = format!("<http://forge.example/?page={}>; rel=\"{relation}\"", page + 1);
            (200, Some(body.clone()), body.to_string(), Some(link))
        }
    }
}

/// A refusal with words.
pub(crate) fn refused(status: u16, words: &str) -> Reply {
    Reply::Json(status, json!({ "message": words }))
}
