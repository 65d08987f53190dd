//! Tokens of registries: fetched once per repository, kept until shortly before they end.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use reqwest::{RequestBuilder, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{RegistrySettings, client::Fault};

/// What the token specification says when `expires_in` is missing.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// Whatever a token server says.
const LONGEST_LIFE: Duration = Duration::from_secs(3600);
/// A token is not used when it might end on the way.
const MARGIN: Duration = Duration::from_secs(10);

/// What goes into the `Authorization` header.
#[derive(Debug, Clone)]
pub(crate) enum Authorization {
    Basic(String, SecretString),
    Bearer(SecretString),
}

impl Authorization {
    pub(crate) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Basic(user, password) => request.basic_auth(user, Some(password.expose_secret())),
            Self::Bearer(token) => request.bearer_auth(token.expose_secret()),
        }
    }
}

/// What works, and until when.
type Known = (Authorization, Option<Instant>);

/// By registry and repository.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<(String, String), Known>>);

impl Tokens {
    /// What is known to work for a repository.
    pub(crate) async fn get(&self, registry: &str, repository: &str) -> Option<Authorization> {
        let tokens = self.0.lock().await;
        let (authorization, until) = tokens.get(&(registry.to_owned(), repository.to_owned()))?;
        until.is_none_or(|until| Instant::now() + MARGIN < until).then(|| authorization.clone())
    }

    pub(crate) async fn put(
        &self,
        registry: &str,
        repository: &str,
        authorization: Authorization,
        life: Option<Duration>,
    ) {
        let until = life.map(|life| Instant::now() + life);
        self.0.lock().await.insert((registry.to_owned(), repository.to_owned()), (authorization, until));
    }

    pub(crate) async fn forget(&self, registry: &str, repository: &str) {
        self.0.lock().await.remove(&(registry.to_owned(), repository.to_owned()));
    }
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Ask a token server, which was found trustworthy, for a token that may pull `repository`.
pub(crate) async fn fetch(
    http: &reqwest::Client,
    realm: Url,
    service: Option<&str>,
    repository: &str,
    settings: &RegistrySettings,
) -> Result<(Authorization, Duration), Fault> {
    let mut url = realm;
    let host = url.host_str().unwrap_or_default().to_owned();
    url.query_pairs_mut().append_pair("scope", &format!("repository:{repository}:pull"));
    if let Some(service) = service {
        url.query_pairs_mut().append_pair("service", service);
    }
    let mut request = http.get(url);
    if let Some((user, password)) = &settings.credentials {
        request = request.basic_auth(user, Some(password.expose_secret()));
    }
    let answer = request.send().await.map_err(|error| Fault::unreachable(&host, error))?;
    if !answer.status().is_success() {
        return Err(Fault::new(format!("the token server {host} answered {}", answer.status())));
    }
    let bytes = crate::client::bounded_body(answer).await?;
    let token: Token = serde_json::from_slice(&bytes).map_err(|error| {
        Fault::new(format!("the token server {host} answered something else than a token")).because(error)
    })?;
    let life = token.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs).min(LONGEST_LIFE);
    match token.token.or(token.access_token) {
        Some(token) => Ok((Authorization::Bearer(token.into()), life)),
        None => Err(Fault::new(format!("the token server {host} answered without a token"))),
    }
}
