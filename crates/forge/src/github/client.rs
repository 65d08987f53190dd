//! The one way to ask a GitHub: whose credential is shown, limits that are kept, answers that are remembered by their
//! tags, and what is sent again after it failed.
//!
//! A request that changes something is sent again only if whoever asks says that this is harmless, or if it certainly
//! did not arrive. What became of it otherwise is for the caller to find out.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use http::{Method, header};
use lru::LruCache;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tagboat_model::Duration;
use tagboat_ports::{Clock, ForgeErrorKind};

use super::{
    connection::{Answer, Connection, Outgoing},
    limits::{Limits, Resource},
};
use crate::{
    error::Failure,
    http::{MOST_TRIES, back_off},
};

const JSON: &str = "application/vnd.github+json";
const RAW: &str = "application/vnd.github.raw+json";
/// Answers that are remembered, and the largest of them in bytes.
const MOST_KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);
const LARGEST_KEPT: usize = 1 << 20;
const PAGE: usize = 100;
/// Of any listing: 3,000 entries.
const MOST_PAGES: usize = 30;

/// Who asks.
#[async_trait]
pub(crate) trait Bearer: Send + Sync {
    /// The credential now; nothing for whoever asks without one.
    async fn credential(&self) -> Result<Option<SecretString>, Failure>;

    /// GitHub does not know this one any more. Whether there may be another.
    fn forget(&self, refused: &SecretString) -> bool;
}

/// A token that somebody configured, or none.
pub(crate) struct Fixed(pub(crate) Option<SecretString>);

#[async_trait]
impl Bearer for Fixed {
    async fn credential(&self) -> Result<Option<SecretString>, Failure> {
        Ok(self.0.clone())
    }

    fn forget(&self, _refused: &SecretString) -> bool {
        false
    }
}

/// Whether a request may be sent again when it is not known what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// A second time changes nothing.
    Harmless,
    /// A second time would be a second effect.
    Never,
}

/// A GitHub, asked by one.
pub(crate) struct Client {
    pub(crate) connection: Arc<Connection>,
    bearer: Arc<dyn Bearer>,
    limits: Arc<Mutex<Limits>>,
    kept: Mutex<LruCache<String, (String, Answer)>>,
    clock: Arc<dyn Clock>,
}

struct Ask<'a> {
    method: Method,
    url: String,
    accept: &'a str,
    body: Option<&'a Value>,
    resource: Resource,
    is_write: bool,
    repeat: Repeat,
}

impl Client {
    /// `limits` are shared by all who count against them.
    pub(crate) fn new(
        connection: Arc<Connection>,
        bearer: Arc<dyn Bearer>,
        limits: Arc<Mutex<Limits>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { connection, bearer, limits, kept: Mutex::new(LruCache::new(MOST_KEPT)), clock }
    }

    /// What time it is.
    pub(crate) fn now(&self) -> tagboat_model::Timestamp {
        self.clock.now()
    }

    /// Read. What was not changed costs GitHub nothing and us no limit.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.read(path, JSON).await
    }

    /// Read a file's bytes.
    pub(crate) async fn get_raw(&self, path: &str) -> Result<Answer, Failure> {
        self.read(path, RAW).await
    }

    async fn read(&self, path: &str, accept: &str) -> Result<Answer, Failure> {
        let url = format!("{}{path}", self.connection.address.rest);
        let (resource, repeat) = (Resource::Core, Repeat::Harmless);
        let ask = Ask { method: Method::GET, url, accept, body: None, resource, is_write: false, repeat };
        self.ask(&ask).await
    }

    /// Read all pages of a listing; `wrapped` is the key below which the entries are, if they are not the whole body.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str, wrapped: Option<&str>) -> Result<Vec<T>, Failure> {
        self.list_pages(path, wrapped, MOST_PAGES).await
    }

    /// As [`Self::list`], at most so many pages of 100.
    pub(crate) async fn list_pages<T: DeserializeOwned>(
        &self,
        path: &str,
        wrapped: Option<&str>,
        most: usize,
    ) -> Result<Vec<T>, Failure> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut all = Vec::new();
        for page in 1..=most {
            let answer = self.get(&format!("{path}{separator}per_page={PAGE}&page={page}")).await?.success()?;
            let mut body: Value = answer.json()?;
            if let Some(key) = wrapped {
                body = body.get_mut(key).map(Value::take).unwrap_or_default();
            }
            let entries: Vec<T> = serde_json::from_value(body)
                .map_err(|error| Failure::permanent(format!("GitHub answered with what cannot be read: {error}")))?;
            let is_last = entries.len() < PAGE;
            all.extend(entries);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// Change something.
    pub(crate) async fn write(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        repeat: Repeat,
    ) -> Result<Answer, Failure> {
        let url = format!("{}{path}", self.connection.address.rest);
        let ask = Ask { method, url, accept: JSON, body, resource: Resource::Core, is_write: true, repeat };
        self.ask(&ask).await
    }

    /// Send a GraphQL document; errors in the answer are for `graphql.rs` to read.
    pub(crate) async fn graphql(&self, body: &Value, is_write: bool, repeat: Repeat) -> Result<Answer, Failure> {
        let url = self.connection.address.graphql.clone();
        let resource = Resource::Graphql;
        let ask = Ask { method: Method::POST, url, accept: JSON, body: Some(body), resource, is_write, repeat };
        self.ask(&ask).await
    }

    /// GraphQL's own limit is used up.
    pub(crate) fn graphql_is_exhausted(&self) -> Failure {
        let wait = self.limits().exhausted(Resource::Graphql, self.clock.now());
        limited(wait)
    }

    /// What is left of the limit of requests.
    pub(crate) fn requests_left(&self) -> Option<u64> {
        self.limits().left()
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, LruCache<String, (String, Answer)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let (mut tries, mut is_renewed) = (0, false);
        loop {
            let entered = self.limits().enter(ask.resource, ask.is_write, self.clock.now());
            let wait = entered.map_err(limited)?;
            if wait > Duration::ZERO {
                tokio::time::sleep(wait.into()).await;
            }
            let credential = self.bearer.credential().await?;
            let outcome = self.once(ask, credential.as_ref()).await;
            let failure = match outcome {
                Ok(answer) if answer.status == 401 && !is_renewed => {
                    is_renewed = true;
                    if credential.is_some_and(|credential| self.bearer.forget(&credential)) {
                        continue;
                    }
                    return Err(answer.refusal());
                }
                Ok(answer) if answer.status == 401 => return Err(answer.refusal()),
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            tries += 1;
            if !may_repeat(&failure, ask.repeat, tries) {
                return Err(failure);
            }
            tokio::time::sleep(back_off(tries, fastrand::f64())).await;
        }
    }

    /// One exchange; statuses that may pass are failures.
    async fn once(&self, ask: &Ask<'_>, bearer: Option<&SecretString>) -> Result<Answer, Failure> {
        let key = format!("{} {}", ask.accept, ask.url);
        let kept = if ask.method == Method::GET { self.kept().get(&key).cloned() } else { None };
        let outgoing = Outgoing {
            method: &ask.method,
            url: &ask.url,
            accept: ask.accept,
            body: ask.body,
            etag: kept.as_ref().map(|(etag, _)| etag.as_str()),
            bearer,
        };
        let answer = self.connection.exchange(&outgoing).await?;
        let words = if answer.is_success() { String::new() } else { answer.words() };
        let now = self.clock.now();
        let noted = self.limits().note(ask.resource, answer.status, &answer.headers, &words, now);
        if let Some(wait) = noted {
            return Err(limited(wait));
        }
        match (answer.status, kept) {
            (304, Some((_, kept))) => Ok(kept),
            (500.., _) => {
                let said = if words.is_empty() { String::new() } else { format!(": {words}") };
                let failure = Failure::temporary(format!("GitHub has trouble (status {}{said})", answer.status));
                Err(failure.with_unknown_outcome())
            }
            _ => {
                self.keep(ask, key, &answer);
                Ok(answer)
            }
        }
    }

    fn keep(&self, ask: &Ask<'_>, key: String, answer: &Answer) {
        let etag = answer.headers.get(header::ETAG).and_then(|value| value.to_str().ok());
        if let Some(etag) = etag
            && ask.method == Method::GET
            && answer.status == 200
            && answer.body.len() <= LARGEST_KEPT
        {
            self.kept().put(key, (etag.to_owned(), answer.clone()));
        }
    }
}

/// Whether a request that failed is sent once more.
fn may_repeat(failure: &Failure, repeat: Repeat, tries: u32) -> bool {
    let is_safe = repeat == Repeat::Harmless || !failure.unknown;
    failure.kind == ForgeErrorKind::Temporary && failure.retry_after.is_none() && is_safe && tries < MOST_TRIES
}

fn limited(wait: Duration) -> Failure {
    Failure::limited(format!("GitHub's limit of requests is reached; it asks to wait for {wait}"), wait)
}

/// Whether two credentials are the same.
pub(crate) fn is_same(left: &SecretString, right: &SecretString) -> bool {
    left.expose_secret() == right.expose_secret()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_happened_is_not_done_again() {
        let (lost, unsent) = (Failure::temporary("").with_unknown_outcome(), Failure::temporary(""));
        assert!(may_repeat(&lost, Repeat::Harmless, 1) && !may_repeat(&lost, Repeat::Never, 1));
        assert!(may_repeat(&unsent, Repeat::Never, 2) && !may_repeat(&unsent, Repeat::Never, MOST_TRIES));
        assert!(!may_repeat(&Failure::permanent(""), Repeat::Harmless, 1));
        let limited = limited(Duration::from_seconds(5));
        assert!(!may_repeat(&limited, Repeat::Harmless, 1), "GitHub asked for a pause");
        assert_eq!(limited.detail, "GitHub's limit of requests is reached; it asks to wait for 5s");
    }
}
