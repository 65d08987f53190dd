//! What a registry accepts: tokens and passwords, got once per repository and kept until shortly before they end.
//!
//! Protocols: distribution's token specification (`GET` with a password) and its OAuth 2 variant (`POST` with a
//! refresh token). Does not look credentials up: `credentials` does.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::{RequestBuilder, StatusCode, Url, header::HeaderMap};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tagboat_model::ImageName;

use crate::{
    RegistrySettings,
    address::is_loopback,
    challenge::{Challenge, is_trusted},
    client::{Fault, host_and_port},
    credentials::{self, Cache, Environment, Identities, Identity, error_code, seconds, server_time},
    fault::Nature,
    lane::Lanes,
    retry::{Patience, retry_after},
    transport::Transport,
};

/// What the token specification says when `expires_in` is missing.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// Whatever a token server says.
const LONGEST_LIFE: Duration = Duration::from_secs(3600);
/// One for each repository.
const MOST_TOKENS: usize = 4096;

/// One for each registry; far more than anybody uses.
const MOST_CHALLENGES: usize = 1000;
/// In bytes. Servers refuse longer headers.
const LONGEST_TOKEN: usize = 32 * 1024;

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

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Basic(user, password), Self::Basic(other, secret)) => {
                user == other && password.expose_secret() == secret.expose_secret()
            }
            (Self::Bearer(one), Self::Bearer(other)) => one.expose_secret() == other.expose_secret(),
            _ => false,
        }
    }
}

/// A registry that asked who we are.
pub(crate) struct Asked<'a> {
    pub(crate) image: &'a ImageName,
    pub(crate) settings: &'a RegistrySettings,
    pub(crate) plain_http: bool,
    /// A place at the registry itself.
    pub(crate) own: &'a Url,
    /// How the registry is reached. Its token server is reached by the same rules about addresses.
    pub(crate) transport: &'a Transport,
    pub(crate) lanes: &'a Lanes,
}

/// What there is before a registry is asked.
pub(crate) enum Known {
    Nothing,
    /// Worked before.
    Kept(Authorization),
    /// Got just now by this challenge, which the registry put for another repository.
    New(Authorization, Challenge),
    /// Not got by this challenge. The registry may not ask for it, or ask for something else.
    Refused(Fault, Challenge),
}

impl Known {
    pub(crate) fn authorization(&self) -> Option<Authorization> {
        match self {
            Self::Kept(authorization) | Self::New(authorization, _) => Some(authorization.clone()),
            Self::Nothing | Self::Refused(..) => None,
        }
    }
}

/// Tokens and passwords by registry and repository.
pub(crate) struct Authentication {
    known: Cache<Authorization>,
    identities: Identities,
    /// By registry: the challenge that was answered last, so that its other repositories need not be refused first.
    challenges: Mutex<HashMap<String, Challenge>>,
    /// Whoever counts requests for tokens.
    watch: Option<TokenWatch>,
}

/// Is told of each token that was asked for: what came of it (`answered`, `refusal`, `outage`) and how long it took.
pub type TokenWatch = Box<dyn Fn(&'static str, Duration) + Send + Sync>;

impl Authentication {
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(environment: Environment) -> Result<Self, reqwest::Error> {
        let identities = Identities::new(environment)?;
        Ok(Self { known: Cache::new(MOST_TOKENS), identities, challenges: Mutex::default(), watch: None })
    }

    pub(crate) fn set_watch(&mut self, watch: TokenWatch) {
        self.watch = Some(watch);
    }

    pub(crate) fn set_environment(&mut self, environment: Environment) {
        self.identities.set_environment(environment);
    }

    /// What works for a repository, or is got because its challenge worked for another one of the registry. Waits while
    /// it is renewed.
    ///
    /// # Errors
    /// When the token server is out of reach.
    pub(crate) async fn known(&self, asked: &Asked<'_>, patience: &mut Patience) -> Result<Known, Fault> {
        if let Some(known) = self.known.peek(&key(asked.image)).await {
            return Ok(Known::Kept(known));
        }
        let challenge = self.challenges().get(asked.image.registry()).cloned();
        let Some(challenge) = challenge else { return Ok(Known::Nothing) };
        match self.answer(asked, Some(challenge.clone()), None, patience).await {
            Ok(authorization) => Ok(Known::New(authorization, challenge)),
            Err(fault) if fault.nature() == Nature::Lasting && fault.retry_after().is_none() => {
                Ok(Known::Refused(fault, challenge))
            }
            Err(fault) => Err(fault),
        }
    }

    fn challenges(&self) -> MutexGuard<'_, HashMap<String, Challenge>> {
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, registry: &str, challenge: Challenge) {
        let mut challenges = self.challenges();
        if challenges.len() >= MOST_CHALLENGES {
            challenges.clear();
        }
        challenges.insert(registry.to_owned(), challenge);
    }

    /// Answer the challenge of a 401. `refused` is what the registry did not accept; it is not answered again. Of
    /// many requests about one repository one makes the exchange, and the others take what it got.
    pub(crate) async fn answer(
        &self,
        asked: &Asked<'_>,
        challenge: Option<Challenge>,
        refused: Option<&Authorization>,
        patience: &mut Patience,
    ) -> Result<Authorization, Fault> {
        let name = asked.image.registry();
        let Some(challenge) = challenge else {
            return Err(Fault::new(format!(
                "{name} does not accept the credential, or asks for one in an unknown way"
            )));
        };
        let is_refused = |known: &Authorization| refused.is_some_and(|refused| refused.is_same(known));
        let answered = challenge.clone();
        let fetch = async {
            match challenge {
                Challenge::Basic => self.password(asked, refused).await,
                Challenge::Bearer { realm, service } => self.token(asked, realm, service.as_deref(), patience).await,
            }
        };
        let authorization = self.known.get(&key(asked.image), is_refused, fetch).await?;
        self.remember(name, answered);
        Ok(authorization)
    }

    async fn identity(
        &self,
        asked: &Asked<'_>,
        refused: Option<&Identity>,
    ) -> Result<(Identity, Option<Duration>), Fault> {
        let found =
            self.identities.identity(&asked.settings.credentials, asked.image, asked.plain_http, refused).await?;
        if asked.plain_http && !asked.settings.may_show(&found.0, asked.image.registry()) {
            return Err(credentials::open(asked.image.registry()));
        }
        Ok(found)
    }

    /// The password itself, for registries without a token server.
    async fn password(
        &self,
        asked: &Asked<'_>,
        refused: Option<&Authorization>,
    ) -> Result<(Authorization, Option<Duration>), Fault> {
        let name = asked.image.registry();
        let old = match refused {
            Some(Authorization::Basic(user, password)) => {
                Some(Identity::Password { user: user.clone(), password: password.clone() })
            }
            _ => None,
        };
        let (identity, life) = self.identity(asked, old.as_ref()).await?;
        match identity {
            // Asking again with the same password only counts as one more wrong attempt.
            Identity::Password { .. } if old.as_ref().is_some_and(|old| old.is_same(&identity)) => {
                Err(Fault::new(format!("{name} does not accept the credential for this repository any more")))
            }
            Identity::Password { user, password } => Ok((Authorization::Basic(user, password), life)),
            Identity::Refresh(_) => Err(Fault::new(format!(
                "{name} asks for a user name and password, but the Docker configuration has an identity token for it"
            ))),
            Identity::Anonymous => Err(Fault::new(format!(
                "{name} asks for a user name and password; add `registries` with `host: {name}` and `credentials`"
            ))),
        }
    }

    /// A token of the registry's token server.
    async fn token(
        &self,
        asked: &Asked<'_>,
        realm: Url,
        service: Option<&str>,
        patience: &mut Patience,
    ) -> Result<(Authorization, Option<Duration>), Fault> {
        let name = asked.image.registry();
        if !is_trusted(&realm, name, asked.plain_http, &asked.settings.token_servers) {
            let host = realm.host_str().unwrap_or("nowhere").to_owned();
            return Err(Fault::new(format!(
                "{name} sends us to {host} for a token, which is not one of its token servers; if it should be, add it to `tokenServers` of `host: {name}`"
            )));
        }
        let (identity, _) = self.identity(asked, None).await?;
        let host = realm.host_str().unwrap_or_default();
        if realm.scheme() == "http" && !asked.settings.may_show(&identity, host) {
            return Err(credentials::open(host));
        }
        let fault = match self.exchange(asked, &realm, service, &identity, patience).await? {
            Exchange::Token(token, life) => return Ok((Authorization::Bearer(token), Some(life))),
            Exchange::Refused(fault) => fault,
        };
        // It may have been replaced since we looked: once more, if there is another one now.
        let (other, _) = self.identity(asked, Some(&identity)).await?;
        if other.is_same(&identity) {
            return Err(fault);
        }
        match self.exchange(asked, &realm, service, &other, patience).await? {
            Exchange::Token(token, life) => Ok((Authorization::Bearer(token), Some(life))),
            Exchange::Refused(fault) => Err(fault),
        }
    }

    /// As [`exchange`], and counted.
    async fn exchange(
        &self,
        asked: &Asked<'_>,
        realm: &Url,
        service: Option<&str>,
        identity: &Identity,
        patience: &mut Patience,
    ) -> Result<Exchange, Fault> {
        let begin = std::time::Instant::now();
        let result = exchange(asked, realm, service, identity, patience).await;
        if let Some(watch) = &self.watch {
            let outcome = match &result {
                Ok(Exchange::Token(..)) => "answered",
                Ok(Exchange::Refused(_)) => "refusal",
                Err(_) => "outage",
            };
            watch(outcome, begin.elapsed());
        }
        result
    }
}

impl RegistrySettings {
    /// Whether an identity may be shown to a host that is reached over http.
    fn may_show(&self, identity: &Identity, host: &str) -> bool {
        self.insecure || is_loopback(host) || matches!(identity, Identity::Anonymous)
    }
}

fn key(image: &ImageName) -> String {
    image.to_string()
}

/// What became of asking for a token.
enum Exchange {
    Token(SecretString, Duration),
    /// The credential was not accepted. With another one the answer may be another.
    Refused(Fault),
}

#[derive(Deserialize)]
struct Token {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    issued_at: Value,
}

/// Ask a token server, which was found trustworthy, for a token that may pull the repository: this and no more,
/// whatever the registry's challenge names.
async fn exchange(
    asked: &Asked<'_>,
    realm: &Url,
    service: Option<&str>,
    identity: &Identity,
    patience: &mut Patience,
) -> Result<Exchange, Fault> {
    let transport = asked.transport;
    transport.reach.check(realm).map_err(|private| Fault::private(&private))?;
    let lane = asked.lanes.get(asked.image.registry(), &host_and_port(realm), transport.limits);
    lane.run(patience, |_| attempt(asked, realm, service, identity)).await
}

/// One request to the token server. Statuses that may pass are faults, so that they are tried again.
async fn attempt(
    asked: &Asked<'_>,
    realm: &Url,
    service: Option<&str>,
    identity: &Identity,
) -> Result<Exchange, Fault> {
    let host = realm.host_str().unwrap_or_default();
    let answer = request(asked, realm.clone(), service, identity).send().await;
    let answer = answer.map_err(|error| Fault::unreachable(host, error))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    if status.is_redirection() {
        return Err(Fault::new(format!(
            "the token server {host} redirects elsewhere, which is not followed with a credential"
        )));
    }
    if status.is_success() {
        return read(&crate::client::bounded_body(answer).await?, &headers, host);
    }
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
            let body = crate::client::bounded_body(answer).await?;
            let fault = refusal(asked.image, host, status, &body, identity);
            Ok(Exchange::Refused(fault.not_before(retry_after(&headers, jiff::Timestamp::now()))))
        }
        _ => Err(Fault::of_answer(&format!("the token server {host}"), status, &headers)),
    }
}

/// The token in an answer, and how long it lasts from now on.
fn read(body: &[u8], headers: &HeaderMap, host: &str) -> Result<Exchange, Fault> {
    // The cause is left out: it may quote the token.
    let token: Token = serde_json::from_slice(body)
        .map_err(|_| Fault::new(format!("the token server {host} answered something else than a token")))?;
    let life = seconds(&token.expires_in).unwrap_or(DEFAULT_LIFE).min(LONGEST_LIFE);
    let issued = token.issued_at.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    // Both moments are of the server's clock, so ours may be wrong.
    let age = issued.zip(server_time(headers)).map(|(issued, now)| now.as_second() - issued.as_second());
    let age = Duration::from_secs(age.and_then(|age| u64::try_from(age).ok()).unwrap_or(0));
    let given = [token.token, token.access_token].into_iter().flatten().find(|token| is_usable(token.expose_secret()));
    let given = given.ok_or_else(|| Fault::new(format!("the token server {host} answered without a usable token")))?;
    Ok(Exchange::Token(given, life.saturating_sub(age)))
}

/// Something that a header can hold, and that memory can hold for each of many repositories.
fn is_usable(token: &str) -> bool {
    (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic())
}

/// What is ours to say: a registry must not choose for which scope or account its token server is asked.
const OURS: [&str; 5] = ["scope", "service", "account", "client_id", "offline_token"];

/// The realm without what we say ourselves. The rest of its query is written anew, so that no separator that only
/// some servers know hides one of them.
fn without_ours(mut realm: Url) -> Url {
    let is_ours = |name: &str| OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name.trim()));
    let theirs: Vec<_> = realm.query_pairs().into_owned().filter(|(name, _)| !is_ours(name)).collect();
    realm.set_query(None);
    if !theirs.is_empty() {
        realm.query_pairs_mut().extend_pairs(theirs);
    }
    realm
}

fn request(asked: &Asked<'_>, realm: Url, service: Option<&str>, identity: &Identity) -> RequestBuilder {
    let (http, mut realm) = (asked.transport.client(&realm, asked.own), without_ours(realm));
    let scope = format!("repository:{}:pull", asked.image.repository());
    if let Identity::Refresh(token) = identity {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("client_id", "tagboat"),
            ("scope", &scope),
            ("refresh_token", token.expose_secret()),
        ];
        form.extend(service.map(|service| ("service", service)));
        return http.post(realm).form(&form);
    }
    realm.query_pairs_mut().append_pair("scope", &scope);
    if let Some(service) = service {
        realm.query_pairs_mut().append_pair("service", service);
    }
    match identity {
        Identity::Password { user, password } => http.get(realm).basic_auth(user, Some(password.expose_secret())),
        _ => http.get(realm),
    }
}

fn refusal(image: &ImageName, host: &str, status: StatusCode, body: &[u8], identity: &Identity) -> Fault {
    let code = error_code(body).map(|code| format!(", {code}")).unwrap_or_default();
    let (name, status_text) = (image.registry(), format!("status {}{code}", status.as_u16()));
    let invalid_grant = status == StatusCode::BAD_REQUEST && code.ends_with("invalid_grant");
    match (status, identity) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Identity::Anonymous) => Fault::new(format!(
            "the token server {host} gives no token without a credential ({status_text}); add `registries` with `host: {name}` and `credentials`"
        ))
        .of_repository(),
        (StatusCode::FORBIDDEN, _) => Fault::new(format!(
            "the token server {host} does not let the credential read this repository ({status_text})"
        ))
        .of_repository(),
        (StatusCode::UNAUTHORIZED, _) => {
            Fault::new(format!("the token server {host} does not accept the credential for {name} ({status_text})"))
        }
        _ if invalid_grant => {
            Fault::new(format!("the token server {host} does not accept the credential for {name} ({status_text})"))
        }
        _ => Fault::new(format!("the token server {host} gives no token ({status_text})")),
    }
}
