//! Asking a forge with a plain REST interface: a token in a header, JSON in bodies, listings in pages.
//!
//! Redirects stay on their host, since the token goes with them. What reads, or changes nothing the second time, is
//! sent again after it failed; everything else only if it certainly did not arrive. GitHub has rules of its own and its
//! own client.

mod answer;

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::BytesMut;
use http::{HeaderValue, Method, header};
use lru::LruCache;
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tagboat_model::{Duration, Timestamp};
use tagboat_ports::{Clock, ForgeErrorKind};

use crate::{
    TransportSettings,
    error::Failure,
    http::{MOST_TRIES, back_off, client, retry_after, words},
};

pub(crate) use self::answer::Answer;

/// Of an answer, in bytes. The largest that is asked for is a page of files with their patches.
const LARGEST: usize = 32 << 20;
const MOST_REDIRECTS: usize = 3;
/// Answers that are remembered by their tags, and the largest of them in bytes.
const MOST_KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);
const LARGEST_KEPT: usize = 1 << 20;
/// How long to wait after a limit that names no time.
const UNNAMED_PAUSE: Duration = Duration::from_seconds(60);

/// A repository at a forge, and who speaks to it.
#[derive(Clone)]
pub struct TokenSettings {
    /// The address of the forge for people: `https://gitlab.example.org`, also below a path.
    pub url: String,
    /// The address of its interface for programs, where it is not the usual one.
    pub api: Option<String>,
    /// The repository's path: `owner/name`, at GitLab also `group/subgroup/name`.
    pub repository: String,
    /// The token.
    pub token: SecretString,
    /// What the repository is called in messages.
    pub name: String,
}

impl fmt::Debug for TokenSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TokenSettings");
        shown.field("url", &self.url).field("api", &self.api).field("repository", &self.repository);
        shown.finish_non_exhaustive()
    }
}

/// What one kind of forge does otherwise than the others.
pub(crate) struct Dialect {
    /// What it is called in messages.
    pub(crate) forge: &'static str,
    /// Where its interface is, below its address for people.
    pub(crate) api: &'static str,
    /// What stands before the token in the header.
    pub(crate) scheme: &'static str,
    /// The parameter for the size of a page, and the most that is given.
    pub(crate) page: (&'static str, usize),
}

/// Whether a request may be sent again when it is not known what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// A second time changes nothing.
    Harmless,
    /// A second time would be a second effect.
    Never,
}

/// A forge, asked with a token.
pub(crate) struct Rest {
    /// Its address for people, without a slash at its end.
    pub(crate) web: String,
    api: String,
    dialect: Dialect,
    credential: HeaderValue,
    http: Client,
    clock: Arc<dyn Clock>,
    kept: Mutex<LruCache<String, (String, Answer)>>,
    /// The forge asked to be left alone until then.
    paused_until: Mutex<Timestamp>,
}

impl Rest {
    pub(crate) fn new(
        settings: &TokenSettings,
        transport: &TransportSettings,
        clock: Arc<dyn Clock>,
        dialect: Dialect,
    ) -> Result<Self, Failure> {
        let web = settings.url.trim_end_matches('/').to_owned();
        let api = settings.api.clone().unwrap_or_else(|| format!("{web}{}", dialect.api));
        let api = api.trim_end_matches('/').to_owned();
        let url = address(&api)?;
        address(&web)?;
        let value = HeaderValue::from_str(&format!("{} {}", dialect.scheme, settings.token.expose_secret()));
        let mut credential = value.map_err(|_| Failure::permanent("the token has characters that no token has"))?;
        credential.set_sensitive(true);
        let (kept, paused_until) = (Mutex::new(LruCache::new(MOST_KEPT)), Mutex::new(Timestamp::default()));
        Ok(Self { web, api, dialect, credential, http: client(transport, &url)?, clock, kept, paused_until })
    }

    /// Read, whatever the status.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.ask(&Method::GET, path, None, Repeat::Harmless).await
    }

    /// Read what must be there.
    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.get(path).await?.success()?.json()
    }

    /// Read what may not be there.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        let answer = self.get(path).await?;
        if answer.status == 404 { Ok(None) } else { answer.success()?.json().map(Some) }
    }

    /// Change something, whatever the status.
    pub(crate) async fn write(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        repeat: Repeat,
    ) -> Result<Answer, Failure> {
        self.ask(&method, path, body, repeat).await
    }

    /// Read a listing, at most so many entries.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str, most: usize) -> Result<Vec<T>, Failure> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let (name, size) = self.dialect.page;
        let size = size.min(most);
        let mut all: Vec<T> = Vec::new();
        let mut page = 1_u32;
        while all.len() < most {
            let answer = self.get(&format!("{path}{separator}{name}={size}&page={page}")).await?.success()?;
            let entries: Vec<T> = answer.json()?;
            let goes_on = answer.has_next().unwrap_or(entries.len() >= size) && !entries.is_empty();
            all.extend(entries);
            if !goes_on {
                break;
            }
            page += 1;
        }
        all.truncate(most);
        Ok(all)
    }

    async fn ask(&self, method: &Method, path: &str, body: Option<&Value>, repeat: Repeat) -> Result<Answer, Failure> {
        let mut tries = 0;
        loop {
            let now = self.clock.now();
            let paused_until = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
            if now < paused_until {
                return Err(self.limited(paused_until.since(now)));
            }
            let failure = match self.once(method, path, body).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            tries += 1;
            let is_safe = repeat == Repeat::Harmless || !failure.unknown;
            let may_pass = failure.kind == ForgeErrorKind::Temporary && failure.retry_after.is_none();
            if !(is_safe && may_pass && tries < MOST_TRIES) {
                return Err(failure);
            }
            tokio::time::sleep(back_off(tries, fastrand::f64())).await;
        }
    }

    /// One exchange; statuses that may pass are failures.
    async fn once(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let kept = if *method == Method::GET { self.kept(path) } else { None };
        let answer = self.exchange(method, path, body, kept.as_ref().map(|(etag, _)| etag.as_str())).await?;
        let asked = retry_after(&answer.headers, self.clock.now());
        match (answer.status, kept) {
            (304, Some((_, kept))) => Ok(kept),
            (429, _) => Err(self.pause(asked.unwrap_or(UNNAMED_PAUSE))),
            (503, _) if asked.is_some() => Err(self.pause(asked.unwrap_or(UNNAMED_PAUSE))),
            (500.., _) => {
                let words = answer.words();
                let said = if words.is_empty() { String::new() } else { format!(": {words}") };
                let detail = format!("{} has trouble (status {}{said})", self.dialect.forge, answer.status);
                Err(Failure::temporary(detail).with_unknown_outcome())
            }
            _ => {
                if *method == Method::GET {
                    self.keep(path, &answer);
                }
                Ok(answer)
            }
        }
    }

    /// Send a request and read the answer, from where it is.
    async fn exchange(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        etag: Option<&str>,
    ) -> Result<Answer, Failure> {
        let mut url = address(&format!("{}{path}", self.api))?;
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.http.request(method.clone(), url.clone());
            request = request.header(header::AUTHORIZATION, self.credential.clone());
            if let Some(etag) = etag {
                request = request.header(header::IF_NONE_MATCH, etag);
            }
            if let Some(body) = body {
                request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
            }
            let response = request.send().await.map_err(|error| lost(&error))?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 307 | 308) {
                return self.answer(response).await;
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let there = location.and_then(|location| url.join(location).ok());
            let Some(there) = there.filter(|there| there.origin() == url.origin()) else {
                return Err(Failure::permanent(format!(
                    "{} redirects to another host, which is not followed; is the address right?",
                    self.dialect.forge
                )));
            };
            if *method != Method::GET {
                return Err(Failure::permanent(format!(
                    "{} says that the repository is elsewhere now; name it as it is called there",
                    self.dialect.forge
                )));
            }
            url = there;
        }
        Err(Failure::permanent(format!("{} redirects without end", self.dialect.forge)))
    }

    async fn answer(&self, mut response: Response) -> Result<Answer, Failure> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
            if body.len() + chunk.len() > LARGEST {
                let forge = self.dialect.forge;
                return Err(Failure::permanent(format!("{forge} answered with more than {LARGEST} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze(), forge: self.dialect.forge })
    }

    fn kept(&self, path: &str) -> Option<(String, Answer)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    fn keep(&self, path: &str, answer: &Answer) {
        let etag = answer.headers.get(header::ETAG).and_then(|value| value.to_str().ok());
        if let Some(etag) = etag
            && answer.status == 200
            && answer.body.len() <= LARGEST_KEPT
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.put(path.to_owned(), (etag.to_owned(), answer.clone()));
        }
    }

    fn pause(&self, wait: Duration) -> Failure {
        let mut paused_until = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *paused_until = (*paused_until).max(self.clock.now().plus(wait));
        self.limited(wait)
    }

    fn limited(&self, wait: Duration) -> Failure {
        Failure::limited(format!("{} asks to be left alone for {wait}", self.dialect.forge), wait)
    }

    /// The path of a repository of this forge in its address; nothing when it is elsewhere.
    pub(crate) fn path_of(&self, address: &str) -> Option<String> {
        let plain = |text: &str| {
            let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            text.map(|text| text.trim_end_matches('/').to_owned())
        };
        let (source, web) = (plain(address)?, plain(&self.web)?);
        let host = web.split('/').next().unwrap_or_default().len();
        let is_here = source.get(..host).zip(web.get(..host)).is_some_and(|(one, two)| one.eq_ignore_ascii_case(two));
        let path = source.get(host..)?.strip_prefix(web.get(host..)?)?.strip_prefix('/')?;
        let path = path.strip_suffix(".git").unwrap_or(path);
        let is_path = path.contains('/') && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        (is_here && is_path).then(|| path.to_owned())
    }
}

fn address(text: &str) -> Result<Url, Failure> {
    let parsed = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let wrong = || Failure::permanent("the forge's address is not a URL as `https://forge.example.org`");
    let url = parsed.ok_or_else(wrong)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::permanent("a user name and a password do not belong into the forge's address"));
    }
    Ok(url)
}

/// A request that got no answer. Whether it arrived is not known, unless there was no connection to begin with.
fn lost(error: &reqwest::Error) -> Failure {
    let failure = Failure::temporary(words(error));
    if error.is_connect() { failure } else { failure.with_unknown_outcome() }
}

/// Whether a title says that it is a draft by one of these words at its beginning, and the title without it.
pub(crate) fn draft_of(title: &str, prefixes: &[&str]) -> (bool, String) {
    let mut rest = title.trim_start();
    let mut is_draft = false;
    while let Some(length) = prefixes.iter().find_map(|prefix| {
        let start = rest.get(..prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then_some(prefix.len())
    }) {
        is_draft = true;
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    (is_draft, if is_draft { rest.to_owned() } else { title.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Frozen;

    #[async_trait::async_trait]
    impl Clock for Frozen {
        fn now(&self) -> Timestamp {
            Timestamp(1_700_000_000_000)
        }

        async fn sleep_until(&self, _point: Timestamp) {}
    }

    fn settings(url: &str) -> TokenSettings {
        TokenSettings {
            url: url.to_owned(),
            api: None,
            repository: "acme/config".to_owned(),
            token: SecretString::from("secret-1"),
            name: "config".to_owned(),
        }
    }

    fn rest(url: &str) -> Result<Rest, Failure> {
        let dialect = Dialect { forge: "GitLab", api: "/api/v4", scheme: "Bearer", page: ("per_page", 100) };
        Rest::new(&settings(url), &TransportSettings::default(), Arc::new(Frozen), dialect)
    }

    #[test]
    fn a_token_is_in_no_message() {
        assert!(!format!("{:?}", settings("https://gitlab.example.org")).contains("secret-1"));
        let rest = rest("https://gitlab.example.org").unwrap();
        assert!(rest.credential.is_sensitive());
    }

    #[test]
    fn addresses_are_checked() {
        assert_eq!(rest("https://gitlab.example.org/git/").unwrap().api, "https://gitlab.example.org/git/api/v4");
        for wrong in ["gitlab.example.org", "ssh://gitlab.example.org", "https://user:word@gitlab.example.org"] {
            assert!(rest(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn repositories_of_the_same_forge_are_known() {
        let rest = rest("https://GitLab.example.org/git").unwrap();
        assert_eq!(rest.path_of("https://gitlab.example.org/git/acme/web.git").as_deref(), Some("acme/web"));
        assert_eq!(rest.path_of("http://gitlab.example.org/git/a/b/c/").as_deref(), Some("a/b/c"));
        for other in [
            "https://gitlab.example.org/acme/web",
            "https://gitlab.example.org.evil.example/git/acme/web",
            "https://gitlab.example.org/git/acme/../web",
            "https://gitlab.example.org/git/acme",
            "git@gitlab.example.org:acme/web",
        ] {
            assert_eq!(rest.path_of(other), None, "{other}");
        }
    }

    #[test]
    fn drafts_are_known_by_their_titles() {
        let words = ["Draft:", "[Draft]"];
        assert_eq!(draft_of("draft: Deploy web", &words), (true, "Deploy web".to_owned()));
        assert_eq!(draft_of("Draft: [draft] Deploy", &words), (true, "Deploy".to_owned()));
        assert_eq!(draft_of("Drafting: a", &words), (false, "Drafting: a".to_owned()));
        assert_eq!(draft_of("ä", &words), (false, "ä".to_owned()));
    }
}
