//! One exchange with a GitHub: a request out, an answer in, redirects followed. Octocrab sends it; without its retries,
//! which send a POST again, and without its tokens, which cannot be narrowed.
//!
//! Reads no limits and tries nothing again.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use octocrab::Octocrab;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::address::Address;
use crate::{
    TransportSettings,
    error::Failure,
    http::{client, one_line, words},
};

/// Of an answer, in bytes. The largest that is asked for is a page of files with their patches.
const LARGEST: usize = 32 << 20;
const MOST_REDIRECTS: usize = 3;
const VERSION: &str = "2022-11-28";

/// One GitHub.
pub(crate) struct Connection {
    pub(crate) address: Address,
    http: Client,
    /// Made with the first request: its worker belongs to the runtime.
    octocrab: OnceLock<Octocrab>,
}

/// A request.
pub(crate) struct Outgoing<'a> {
    pub(crate) method: &'a Method,
    /// The whole address.
    pub(crate) url: &'a str,
    pub(crate) accept: &'a str,
    pub(crate) body: Option<&'a Value>,
    /// What we have already.
    pub(crate) etag: Option<&'a str>,
    pub(crate) bearer: Option<&'a SecretString>,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What GitHub says when it refuses.
#[derive(serde::Deserialize)]
struct Refusal {
    message: Option<String>,
    #[serde(default)]
    errors: Value,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as what it must be.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::permanent(format!("GitHub answered with what cannot be read: {error}")))
    }

    /// GitHub's own words, with its details.
    pub(crate) fn words(&self) -> String {
        let Ok(refusal) = serde_json::from_slice::<Refusal>(&self.body) else { return String::new() };
        let details = refusal.errors.as_array().into_iter().flatten();
        let details = details.filter_map(|error| error.as_str().or_else(|| error.get("message")?.as_str()));
        let all: Vec<&str> = refusal.message.as_deref().into_iter().chain(details).collect();
        one_line(&all.join(": "))
    }

    /// The answer, if it is a success.
    pub(crate) fn success(self) -> Result<Self, Failure> {
        if self.is_success() { Ok(self) } else { Err(self.refusal()) }
    }

    /// What a refusal comes to, and what to do where that is known.
    pub(crate) fn refusal(&self) -> Failure {
        let (status, words) = (self.status, self.words());
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        let needed = self.headers.get("x-accepted-github-permissions").and_then(|value| value.to_str().ok());
        Failure::permanent(match (status, needed) {
            (401, _) => {
                format!("GitHub does not know the credential (status 401{said}); is it right, and not taken back?")
            }
            (403, Some(needed)) if !needed.trim().is_empty() => {
                format!("GitHub refuses (status 403{said}); the permission `{}` is needed", needed.trim())
            }
            (404, _) => format!(
                "GitHub does not have it or does not show it to us (status 404{said}); is the App installed on this repository, with the permissions that it asks for?"
            ),
            _ => format!("GitHub refuses (status {status}{said})"),
        })
    }
}

impl Connection {
    /// To the GitHub with this address for people.
    pub(crate) fn new(url: &str, transport: &TransportSettings) -> Result<Arc<Self>, Failure> {
        let address = Address::of(url)?;
        let parsed = Url::parse(&address.rest).map_err(|_| Failure::permanent(format!("`{url}` is not an address")))?;
        let http = client(transport, &parsed)?;
        Ok(Arc::new(Self { address, http, octocrab: OnceLock::new() }))
    }

    fn octocrab(&self) -> Result<&Octocrab, Failure> {
        if let Some(octocrab) = self.octocrab.get() {
            return Ok(octocrab);
        }
        let cannot = |error: octocrab::Error| Failure::permanent(format!("connections cannot be set up: {error}"));
        // Requests have whole addresses; with a path in this one octocrab would put it before that of GraphQL.
        let origin = Url::parse(&self.address.rest).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let builder = Octocrab::builder().base_uri(origin.as_str()).map_err(cannot)?;
        let built = builder.build_with_reqwest(self.http.clone()).map_err(cannot)?;
        Ok(self.octocrab.get_or_init(|| built))
    }

    /// Send a request and read the answer, from where it is.
    pub(crate) async fn exchange(&self, outgoing: &Outgoing<'_>) -> Result<Answer, Failure> {
        let mut url = outgoing.url.to_owned();
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.once(outgoing, &url).await?;
            if !matches!(answer.status, 301 | 302 | 307 | 308) {
                return Ok(answer);
            }
            url = target(&url, &answer.headers)?;
        }
        Err(Failure::permanent("GitHub redirects without end"))
    }

    async fn once(&self, outgoing: &Outgoing<'_>, url: &str) -> Result<Answer, Failure> {
        let request = request(outgoing, url)?;
        let answer = self.octocrab()?.execute(request).await.map_err(|error| lost(&error))?;
        let (parts, body) = answer.into_parts();
        let body = match Limited::new(body, LARGEST).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(Failure::permanent(format!("GitHub answered with more than {LARGEST} bytes")));
            }
            Err(error) => return Err(lost(&*error)),
        };
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

/// GitHub repeats a request elsewhere after a repository was renamed or moved; elsewhere is on the same host.
fn target(url: &str, headers: &HeaderMap) -> Result<String, Failure> {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let here = Url::parse(url).ok();
    let there = here.as_ref().and_then(|here| here.join(location).ok());
    match (here, there) {
        (Some(here), Some(there)) if here.origin() == there.origin() => Ok(there.to_string()),
        _ => Err(Failure::permanent("GitHub redirects to another host, which is not followed")),
    }
}

fn request(outgoing: &Outgoing<'_>, url: &str) -> Result<Request<String>, Failure> {
    let cannot = |what: &str| Failure::permanent(format!("a request cannot be made: {what}"));
    let mut request = Request::builder()
        .method(outgoing.method.clone())
        .uri(url)
        .header(header::ACCEPT, outgoing.accept)
        .header("x-github-api-version", VERSION);
    if let Some(etag) = outgoing.etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    if let Some(bearer) = outgoing.bearer {
        let value = HeaderValue::from_str(&format!("Bearer {}", bearer.expose_secret()));
        let mut value = value.map_err(|_| cannot("the token has characters that no token has"))?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    let body = match outgoing.body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            body.to_string()
        }
        None => {
            if outgoing.method != Method::GET {
                request = request.header(header::CONTENT_LENGTH, "0");
            }
            String::new()
        }
    };
    request.body(body).map_err(|_| cannot("its address is none"))
}

/// A request that got no answer. Whether it arrived is not known, unless there was no connection to begin with.
fn lost(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(cause) = cause.downcast_ref::<reqwest::Error>() {
            let failure = Failure::temporary(words(cause));
            return if cause.is_connect() { failure } else { failure.with_unknown_outcome() };
        }
        next = cause.source();
    }
    Failure::temporary("the connection broke off").with_unknown_outcome()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, headers: HeaderMap::new(), body: Bytes::from(body.to_owned()) }
    }

    #[test]
    fn a_refusal_has_the_words_of_github() {
        let body = r#"{"message":"Validation Failed","errors":[{"message":"No commits between main and x"},"other"]}"#;
        assert_eq!(answer(422, body).words(), "Validation Failed: No commits between main and x: other");
        assert_eq!(
            answer(422, body).refusal().detail,
            "GitHub refuses (status 422: Validation Failed: No commits between main and x: other)"
        );
        assert_eq!(answer(500, "<html>").words(), "");
        let mut refused = answer(403, r#"{"message":"Resource not accessible by integration"}"#);
        refused.headers.insert("x-accepted-github-permissions", HeaderValue::from_static("checks=write"));
        assert!(refused.refusal().detail.ends_with("the permission `checks=write` is needed"));
        assert!(refused.success().is_err() && answer(204, "").success().is_ok());
    }

    #[test]
    fn a_redirect_stays_on_its_host() {
        let located = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::LOCATION, text.parse().unwrap());
            target("https://api.github.com/repos/a/b/pulls?page=2", &headers).ok()
        };
        let moved = "https://api.github.com/repositories/7/pulls?page=2";
        assert_eq!(located(moved).as_deref(), Some(moved));
        assert_eq!(located("/repositories/7/pulls?page=2").as_deref(), Some(moved));
        assert_eq!(located("https://evil.example/repositories/7"), None);
        assert_eq!(located("http://api.github.com/repositories/7"), None);
    }

    #[test]
    fn a_token_is_sent_and_marked_as_a_secret() {
        let token = SecretString::from("ghs_1");
        let outgoing = Outgoing {
            method: &Method::GET,
            url: "",
            accept: "application/json",
            body: None,
            etag: Some("\"1\""),
            bearer: Some(&token),
        };
        let request = request(&outgoing, "https://api.github.com/app").unwrap();
        assert!(request.headers()[header::AUTHORIZATION].is_sensitive());
        assert_eq!(request.headers()[header::IF_NONE_MATCH], "\"1\"");
        assert!(!format!("{request:?}").contains("ghs_1"));
    }
}
