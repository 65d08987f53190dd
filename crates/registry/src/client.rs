//! Requests to registries: addresses, authentication, redirects, bounds.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Method, Response, StatusCode, Url, header};
use tagboat_model::{Digest, ImageName};
use tagboat_ports::{RegistryError, RegistryErrorKind};
use tokio::sync::Semaphore;

use crate::{
    RegistrySettings,
    authentication::{self, Authorization, Tokens},
    challenge::{Challenge, is_trusted},
    manifest,
};

/// Manifests are bounded by the specification at 4 MiB; a page of tags and a configuration are smaller.
const LARGEST_BODY: usize = 4 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Registries count requests; this many at once are polite.
const AT_ONCE: usize = 8;
const MOST_REDIRECTS: usize = 3;

pub(crate) struct Client {
    http: reqwest::Client,
    /// For addresses of this machine, which no proxy reaches.
    direct: reqwest::Client,
    registries: BTreeMap<String, RegistrySettings>,
    tokens: Tokens,
    slots: Semaphore,
}

/// What went wrong, before the operation and the image are named.
#[derive(Debug)]
pub(crate) struct Fault {
    detail: String,
    kind: RegistryErrorKind,
    retry_after: Option<tagboat_model::Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Fault {
    pub(crate) fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), kind: RegistryErrorKind::Outage, retry_after: None, source: None }
    }

    /// The registry answered, about this repository.
    pub(crate) fn of_repository(mut self) -> Self {
        self.kind = RegistryErrorKind::Repository;
        self
    }

    pub(crate) fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    pub(crate) fn unreachable(host: &str, error: reqwest::Error) -> Self {
        let how = if error.is_timeout() { "did not answer in time" } else { "could not be reached" };
        // The URL is left out: a redirect's query may hold a signature.
        Self::new(format!("{host} {how}")).because(error.without_url())
    }

    pub(crate) fn during(self, operation: String, image: &ImageName) -> RegistryError {
        RegistryError {
            operation,
            image: image.clone(),
            detail: self.detail,
            kind: self.kind,
            retry_after: self.retry_after,
            source: self.source,
        }
    }
}

impl Client {
    pub(crate) fn new(registries: BTreeMap<String, RegistrySettings>) -> Result<Self, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("tagboat/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(TIMEOUT)
        };
        let (http, direct) = (builder().build()?, builder().no_proxy().build()?);
        Ok(Self { http, direct, registries, tokens: Tokens::default(), slots: Semaphore::new(AT_ONCE) })
    }

    /// Send a request about a repository; 404 is an answer, every other failure a fault.
    pub(crate) async fn send(
        &self,
        method: Method,
        image: &ImageName,
        path: &str,
        accept: &str,
    ) -> Result<Response, Fault> {
        let _slot = self.slots.acquire().await.map_err(|error| Fault::new("the client was stopped").because(error))?;
        let registry = self.registry(image);
        let url = registry.url(image, path)?;
        let known = self.tokens.get(image.registry(), image.repository()).await;
        let answer = self.once(method.clone(), url.clone(), accept, known.as_ref()).await?;
        let answer = if answer.status() == StatusCode::UNAUTHORIZED {
            self.tokens.forget(image.registry(), image.repository()).await;
            let authorization = self.authorize(image, &registry, &answer).await?;
            self.once(method, url, accept, Some(&authorization)).await?
        } else {
            answer
        };
        self.follow(image, check(image.registry(), answer)?, accept).await
    }

    /// Registries redirect to a store or to a region near by; credentials stay behind.
    async fn follow(&self, image: &ImageName, mut answer: Response, accept: &str) -> Result<Response, Fault> {
        let plain_http = self.registry(image).plain_http;
        for _ in 0..MOST_REDIRECTS {
            if !answer.status().is_redirection() {
                return Ok(answer);
            }
            let target = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let target = target.and_then(|target| answer.url().join(target).ok());
            let target = target.filter(|url| url.scheme() == "https" || (plain_http && url.scheme() == "http"));
            let Some(target) = target else {
                return Err(Fault::new(format!("{} redirects to a place that is not https", image.registry())));
            };
            answer = check(image.registry(), self.once(Method::GET, target, accept, None).await?)?;
        }
        Err(Fault::new(format!("{} redirects without end", image.registry())))
    }

    async fn once(
        &self,
        method: Method,
        url: Url,
        accept: &str,
        authorization: Option<&Authorization>,
    ) -> Result<Response, Fault> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let http = if is_loopback(&host) { &self.direct } else { &self.http };
        let mut request = http.request(method, url).header(header::ACCEPT, accept);
        if let Some(authorization) = authorization {
            request = authorization.apply(request);
        }
        request.send().await.map_err(|error| Fault::unreachable(&host, error))
    }

    /// Answer the challenge of a 401.
    async fn authorize(
        &self,
        image: &ImageName,
        registry: &Registry<'_>,
        answer: &Response,
    ) -> Result<Authorization, Fault> {
        let challenge = answer.headers().get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let name = image.registry();
        let (authorization, life) = match challenge.and_then(Challenge::parse) {
            Some(Challenge::Basic) => match &registry.settings.credentials {
                Some((user, password)) => (Authorization::Basic(user.clone(), password.clone()), None),
                None => {
                    return Err(Fault::new(format!(
                        "{name} asks for a user name and password; add `registries` with `host: {name}` and `credentials`"
                    )));
                }
            },
            Some(Challenge::Bearer { realm, .. })
                if !is_trusted(&realm, name, registry.plain_http, &registry.settings.token_servers) =>
            {
                let host = realm.host_str().unwrap_or("nowhere").to_owned();
                return Err(Fault::new(format!(
                    "{name} sends us to {host} for a token, which is not one of its token servers; if it should be, add it to `tokenServers` of `host: {name}`"
                )));
            }
            Some(Challenge::Bearer { realm, service }) => {
                let fetched = authentication::fetch(
                    if is_loopback(name) { &self.direct } else { &self.http },
                    realm,
                    service.as_deref(),
                    image.repository(),
                    registry.settings,
                );
                fetched.await.map(|(authorization, life)| (authorization, Some(life)))?
            }
            None => {
                return Err(Fault::new(format!(
                    "{name} does not accept the credential, or asks for one in an unknown way"
                )));
            }
        };
        self.tokens.put(name, image.repository(), authorization.clone(), life).await;
        Ok(authorization)
    }

    /// A blob, checked against its digest.
    pub(crate) async fn blob(&self, image: &ImageName, digest: &Digest) -> Result<Vec<u8>, Fault> {
        let answer = self.send(Method::GET, image, &format!("blobs/{digest}"), "*/*").await?;
        let bytes = bounded_body(answer).await?;
        if manifest::digest_of(&bytes, Some(digest))? == *digest {
            Ok(bytes)
        } else {
            Err(Fault::new(format!("the blob {digest} has other content than its digest says")))
        }
    }

    fn registry(&self, image: &ImageName) -> Registry<'_> {
        static NOTHING_SPECIAL: RegistrySettings =
            RegistrySettings { credentials: None, plain_http: None, token_servers: Vec::new() };
        let settings = self.registries.get(image.registry()).unwrap_or(&NOTHING_SPECIAL);
        let plain_http = settings.plain_http.unwrap_or_else(|| is_loopback(image.registry()));
        Registry { settings, plain_http }
    }
}

struct Registry<'c> {
    settings: &'c RegistrySettings,
    plain_http: bool,
}

impl Registry<'_> {
    fn url(&self, image: &ImageName, path: &str) -> Result<Url, Fault> {
        let scheme = if self.plain_http { "http" } else { "https" };
        let host = if image.registry() == "docker.io" { "registry-1.docker.io" } else { image.registry() };
        let text = format!("{scheme}://{host}/v2/{}/{path}", image.repository());
        Url::parse(&text).map_err(|error| Fault::new(format!("`{host}` is not a host")).because(error))
    }
}

/// `localhost`, `127.0.0.1`, `[::1]`, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// Statuses that are no answer become faults with what to do.
fn check(registry: &str, answer: Response) -> Result<Response, Fault> {
    let status = answer.status();
    if status.is_success() || status == StatusCode::NOT_FOUND || status.is_redirection() {
        return Ok(answer);
    }
    let mut fault = Fault::new(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("{registry} does not accept the credential for this repository (status {})", status.as_u16())
        }
        StatusCode::TOO_MANY_REQUESTS => format!("{registry} asks us to wait (status 429)"),
        _ => format!("{registry} answered with status {}", status.as_u16()),
    });
    let seconds = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    fault.retry_after = seconds.map(tagboat_model::Duration::from_seconds);
    Err(fault)
}

/// The body, unless it is larger than any that belongs here.
pub(crate) async fn bounded_body(mut answer: Response) -> Result<Vec<u8>, Fault> {
    let host = answer.url().host_str().unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| Fault::unreachable(&host, error))? {
        if bytes.len() + chunk.len() > LARGEST_BODY {
            return Err(Fault::new(format!("{host} answered with more than {LARGEST_BODY} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
