//! The page from which a browser goes to GitHub with the description of an App, and to which it comes back.
//!
//! Its address cannot be guessed, so that no other page of the browser learns the state by which the way back is known.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::{net::TcpListener, sync::oneshot};

use crate::exit::{Code, Failure};

/// Where the browser comes back.
pub(super) const BACK: &str = "/created";
/// Longer codes are none.
const LONGEST_CODE: usize = 200;

/// The page, before it is served.
pub(super) struct Page {
    /// The part of its address that cannot be guessed.
    name: String,
    state: String,
    html: String,
}

/// What a request finds.
#[derive(Clone)]
struct Shared {
    html: Arc<str>,
    state: Arc<str>,
    /// Whoever waits for the code; nobody once it came.
    waiting: Arc<Mutex<Option<oneshot::Sender<String>>>>,
}

/// `?code=…&state=…`
#[derive(Deserialize)]
struct Back {
    code: String,
    state: String,
}

impl Page {
    /// For this description, to be posted to this address.
    pub(super) fn new(action: &str, manifest: &Value) -> Result<Self, Failure> {
        let (name, state) = (random()?, random()?);
        let html = html(&format!("{action}?state={state}"), &manifest.to_string());
        Ok(Self { name, state, html })
    }

    /// The path of the page.
    pub(super) fn start(&self) -> String {
        format!("/{}", self.name)
    }

    /// Serve it until the browser has come back with a code.
    pub(super) async fn serve(self, listener: TcpListener) -> Result<String, Failure> {
        let (sender, code) = oneshot::channel();
        let start = self.start();
        let shared =
            Shared { html: self.html.into(), state: self.state.into(), waiting: Arc::new(Mutex::new(Some(sender))) };
        let router = Router::new().route(&start, get(show)).route(BACK, get(back)).with_state(shared);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            // That nobody is left to say so is a stop as well.
            let _ = stopped.await;
        });
        let serving = tokio::spawn(async move { serving.await });
        let code = code.await;
        let _ = stop.send(());
        // What the browser is told is on its way; that it keeps the connection open is no reason to wait.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), serving).await;
        code.map_err(|_| Failure { code: Code::Failed, message: "the page could not be served".to_owned() })
    }
}

async fn show(State(shared): State<Shared>) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Html(shared.html.to_string())).into_response()
}

async fn back(State(shared): State<Shared>, Query(back): Query<Back>) -> Response {
    let is_ours = Sha256::digest(&back.state).ct_eq(&Sha256::digest(shared.state.as_bytes()));
    let is_code = back.code.len() <= LONGEST_CODE && back.code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !bool::from(is_ours) || !is_code {
        return (StatusCode::FORBIDDEN, "This is not the way back from GitHub that is waited for.\n").into_response();
    }
    let waiting = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    match waiting.map(|waiting| waiting.send(back.code)) {
        Some(Ok(())) => "The App is made. Go on in the terminal; this page can be closed.\n".into_response(),
        Some(Err(_)) | None => (StatusCode::GONE, "The code was taken already.\n").into_response(),
    }
}

/// A form that sends itself, and a button where scripts are off.
fn html(action: &str, manifest: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Tagboat: make a GitHub App</title></head>\n\
         <body>\n<form id=\"app\" method=\"post\" action=\"{}\">\n<input type=\"hidden\" name=\"manifest\" value=\"{}\">\n\
         <button type=\"submit\">Go on to GitHub</button>\n</form>\n\
         <script>document.getElementById(\"app\").submit()</script>\n</body>\n</html>\n",
        escaped(action),
        escaped(manifest)
    )
}

/// A text as the value of an attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// 128 bits that nobody can guess, in hexadecimal.
fn random() -> Result<String, Failure> {
    let failed = |error: getrandom::Error| Failure {
        code: Code::Failed,
        message: format!("this machine gives no random numbers: {error}"),
    };
    let (first, second) = (getrandom::u64().map_err(failed)?, getrandom::u64().map_err(failed)?);
    Ok(format!("{first:016x}{second:016x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;

    /// The page, its listener's address, and the task that waits for the code.
    async fn served() -> (String, String, String, tokio::task::JoinHandle<Result<String, Failure>>) {
        let page = Page::new("https://github.com/settings/apps/new", &json!({ "name": "a \"b\" <c>" })).unwrap();
        let (start, state) = (page.start(), page.state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = format!("http://{}", listener.local_addr().unwrap());
        (here, start, state, tokio::spawn(page.serve(listener)))
    }

    async fn get(address: &str) -> (u16, String) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(address).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    #[tokio::test]
    async fn the_way_back_is_known_by_its_state_and_taken_once() {
        let (here, start, state, code) = served().await;
        let (status, page) = get(&format!("{here}{start}")).await;
        assert_eq!(status, 200);
        assert!(page.contains(&format!("https://github.com/settings/apps/new?state={state}")), "{page}");
        assert!(page.contains("{&quot;name&quot;:&quot;a \\&quot;b\\&quot; &lt;c&gt;&quot;}"), "{page}");
        assert_eq!(get(&here).await.0, 404, "the page is where nobody guesses");
        for wrong in ["code=abc&state=0", "code=abc&state=", "code=a%20b&state=STATE"] {
            let address = format!("{here}{BACK}?{}", wrong.replace("STATE", &state));
            assert_eq!(get(&address).await.0, 403, "{wrong}");
        }
        assert_eq!(get(&format!("{here}{BACK}?code=abc")).await.0, 400);
        let (status, told) = get(&format!("{here}{BACK}?code=abc&state={state}")).await;
        assert!(status == 200 && told.contains("terminal"), "{status} {told}");
        assert_eq!(code.await.unwrap().unwrap(), "abc");
    }
}
