//! Requests to registries: authentication, redirects, bounds. How one exchange is paced and tried again is the lane's.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{
    Method, Response, StatusCode, Url,
    header::{self, HeaderMap},
};
use tagboat_model::{Digest, ImageName};

pub(crate) use crate::fault::Fault;
use crate::{
    RegistrySettings,
    address::is_loopback,
    authentication::{Asked, Authentication, Authorization, Known, TokenWatch},
    challenge::Challenge,
    credentials::{Credentials, Environment, error_code},
    fault::Nature,
    lane::Lanes,
    manifest,
    retry::Patience,
    transport::{Transport, TransportError},
};

/// Manifests are bounded by the specification at 4 MiB; configurations and tokens are smaller.
const LARGEST_BODY: usize = 4 * 1024 * 1024;
/// Bodies of refusals and redirects, of which only a code is looked at.
const LARGEST_REFUSAL: usize = 64 * 1024;
const MOST_REDIRECTS: usize = 3;

pub(crate) struct Client {
    /// For registries without anything special.
    shared: Transport,
    own: BTreeMap<String, Transport>,
    registries: BTreeMap<String, RegistrySettings>,
    /// For registries without an entry.
    fallback: RegistrySettings,
    authentication: Authentication,
    lanes: Lanes,
}

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Where it came from.
    url: Url,
    /// How long exchanges took, of all that was needed for it.
    pub(crate) spent: Duration,
}

/// What is special about a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// The largest body that is read, in bytes.
    pub(crate) largest: usize,
    /// What we have; 304 becomes an answer.
    pub(crate) etag: Option<&'a str>,
    /// Statuses that are answers here, besides success, whoever gives them.
    pub(crate) answers: &'a [StatusCode],
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self { largest: LARGEST_BODY, etag: None, answers: &[] }
    }
}

/// What stays the same from one hop of a request to the next.
#[derive(Clone, Copy)]
struct Request<'a> {
    method: &'a Method,
    accept: &'a str,
    ask: Ask<'a>,
    /// Where it is sent first: at the registry itself.
    own: &'a Url,
}

impl Client {
    pub(crate) fn new(registries: BTreeMap<String, RegistrySettings>) -> Result<Self, TransportError> {
        let special = registries.iter().filter(|(name, settings)| !Transport::is_plain(name, &settings.transport));
        let own = special.map(|(name, settings)| {
            Transport::of_registry(name, &settings.transport).map(|transport| (name.clone(), transport))
        });
        Ok(Self {
            shared: Transport::shared()?,
            own: own.collect::<Result<_, _>>()?,
            registries,
            fallback: RegistrySettings::default(),
            authentication: Authentication::new(Environment::of_process()).map_err(TransportError::of_clouds)?,
            lanes: Lanes::new(),
        })
    }

    pub(crate) fn set_default_credentials(&mut self, credentials: Credentials) {
        self.fallback.credentials = credentials;
    }

    pub(crate) fn set_token_watch(&mut self, watch: TokenWatch) {
        self.authentication.set_watch(watch);
    }

    pub(crate) fn set_environment(&mut self, environment: Environment) {
        self.authentication.set_environment(environment);
    }

    /// Send a request about a repository; 404 is an answer, every other failure a fault.
    pub(crate) async fn send(
        &self,
        method: Method,
        image: &ImageName,
        path: &str,
        accept: &str,
    ) -> Result<Answer, Fault> {
        self.ask(method, image, path, accept, Ask::default()).await
    }

    /// As [`Client::send`], with a bound and what we have already.
    pub(crate) async fn ask(
        &self,
        method: Method,
        image: &ImageName,
        path: &str,
        accept: &str,
        ask: Ask<'_>,
    ) -> Result<Answer, Fault> {
        let registry = self.registry(image);
        let url = registry.url(image, path)?;
        let mut patience = Patience::new(registry.transport.timeout);
        let request = Request { method: &method, accept, ask, own: &url };
        let known = self.authentication.known(&self.asked(image, &registry, &url), &mut patience).await?;
        let mut authorization = known.authorization();
        let mut answer = self.hop(&registry, request, &url, authorization.as_ref(), &mut patience).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            let challenge = Challenge::of(&answer.headers);
            match known {
                // The same question would be answered the same, and count as one more wrong attempt.
                Known::Refused(fault, answered) if challenge.as_ref() == Some(&answered) => return Err(fault),
                Known::New(Authorization::Bearer(_), answered) if challenge.as_ref() == Some(&answered) => {}
                _ => {
                    let (asked, refused) = (self.asked(image, &registry, &url), authorization.as_ref());
                    authorization = Some(self.authentication.answer(&asked, challenge, refused, &mut patience).await?);
                    answer = self.hop(&registry, request, &url, authorization.as_ref(), &mut patience).await?;
                }
            }
        }
        let answer = self.follow(&registry, request, answer, authorization.as_ref(), &mut patience).await?;
        Ok(Answer { spent: patience.spent(), ..answer })
    }

    /// Registries redirect to a store or to a region near by; credentials stay behind, unless the registry
    /// redirects to itself. GET and HEAD alone are sent here, and stay what they are.
    async fn follow(
        &self,
        registry: &Registry<'_>,
        request: Request<'_>,
        mut answer: Answer,
        authorization: Option<&Authorization>,
        patience: &mut Patience,
    ) -> Result<Answer, Fault> {
        let mut authorization = authorization;
        for redirects in 0.. {
            if !answer.status.is_redirection() || answer.status == StatusCode::NOT_MODIFIED {
                return check(registry.name, request, answer);
            }
            if redirects == MOST_REDIRECTS {
                break;
            }
            let target = answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
            let target = target.and_then(|target| answer.url.join(target).ok());
            let Some(target) = target.filter(|target| is_safe_step(&answer.url, target)) else {
                return Err(Fault::new(format!("{} redirects to a place that is not https", registry.name)));
            };
            // Whoever was elsewhere in between may have chosen the path: nothing is sent again.
            authorization = authorization.filter(|_| target.origin() == answer.url.origin());
            answer = self.hop(registry, request, &target, authorization, patience).await?;
        }
        Err(Fault::new(format!("{} redirects without end", registry.name)))
    }

    /// One request to one host, in its turn, tried again where that can help.
    async fn hop(
        &self,
        registry: &Registry<'_>,
        request: Request<'_>,
        url: &Url,
        authorization: Option<&Authorization>,
        patience: &mut Patience,
    ) -> Result<Answer, Fault> {
        let (transport, host) = (registry.transport, host_and_port(url));
        transport.reach.check(url).map_err(|private| Fault::private(&private))?;
        let http = transport.client(url, request.own);
        let attempt = |left: Duration| async move {
            let mut builder = http.request(request.method.clone(), url.clone()).header(header::ACCEPT, request.accept);
            if let Some(etag) = request.ask.etag {
                builder = builder.header(header::IF_NONE_MATCH, etag);
            }
            if let Some(authorization) = authorization {
                builder = authorization.apply(builder);
            }
            exchange(builder.timeout(left.min(transport.timeout)), url, request.ask.largest).await
        };
        self.lanes.get(registry.name, &host, transport.limits).run(patience, attempt).await
    }

    /// `own` is at the registry itself.
    fn asked<'a>(&'a self, image: &'a ImageName, registry: &Registry<'a>, own: &'a Url) -> Asked<'a> {
        let (settings, plain_http) = (registry.settings, registry.plain_http);
        Asked { image, settings, plain_http, own, transport: registry.transport, lanes: &self.lanes }
    }

    /// How long one exchange with the registry of an image may take.
    pub(crate) fn timeout(&self, image: &ImageName) -> Duration {
        self.registry(image).transport.timeout
    }

    /// A blob, checked against its digest.
    pub(crate) async fn blob(&self, image: &ImageName, digest: &Digest) -> Result<Vec<u8>, Fault> {
        let answer = self.send(Method::GET, image, &format!("blobs/{digest}"), "*/*").await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(Fault::new(format!("{} does not have the blob {digest}", image.registry())));
        }
        if manifest::digest_of(&answer.body, Some(digest))? == *digest {
            Ok(answer.body)
        } else {
            Err(Fault::new(format!("the blob {digest} has other content than its digest says")))
        }
    }

    fn registry<'c>(&'c self, image: &'c ImageName) -> Registry<'c> {
        let name = image.registry();
        let settings = self.registries.get(name).unwrap_or(&self.fallback);
        let transport = self.own.get(name).unwrap_or(&self.shared);
        Registry { name, settings, transport, plain_http: settings.plain_http.unwrap_or_else(|| is_loopback(name)) }
    }
}

struct Registry<'c> {
    name: &'c str,
    settings: &'c RegistrySettings,
    transport: &'c Transport,
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

/// From https never to http; from http, which somebody configured, to either.
fn is_safe_step(from: &Url, to: &Url) -> bool {
    let scheme = to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http");
    scheme && to.username().is_empty() && to.password().is_none()
}

pub(crate) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Send and read to the end. Statuses that may pass are faults, so that they are tried again.
async fn exchange(request: reqwest::RequestBuilder, url: &Url, largest: usize) -> Result<Answer, Fault> {
    let host = host_and_port(url);
    let answer = request.send().await.map_err(|error| Fault::unreachable(&host, error))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let fault = Fault::of_answer(&host, status, &headers);
    if fault.nature() != Nature::Lasting {
        return Err(fault);
    }
    let body = match status.is_success() {
        true => body(answer, largest).await?,
        // Read to keep the connection, and for the code of what is not there.
        false => body(answer, LARGEST_REFUSAL).await.unwrap_or_default(),
    };
    Ok(Answer { status, headers, body, url: url.clone(), spent: Duration::ZERO })
}

/// Statuses that are no answer become faults with what to do. That something is not there is believed from the
/// registry itself, and from where it sends us to only in the words of registries: a store may lag behind, and a proxy may
/// have lost its way.
fn check(registry: &str, request: Request<'_>, answer: Answer) -> Result<Answer, Fault> {
    let known = answer.status == StatusCode::NOT_MODIFIED && request.ask.etag.is_some();
    if answer.status.is_success() || known || request.ask.answers.contains(&answer.status) {
        return Ok(answer);
    }
    let (host, code) = (host_and_port(&answer.url), answer.status.as_u16());
    let is_own = answer.url.origin() == request.own.origin();
    match answer.status {
        StatusCode::NOT_FOUND if !is_own && !says_unknown(&answer.body) => Err(Fault::new(format!(
            "{registry} redirects to {host}, which answered with status 404; only a registry is believed that something is not there"
        ))),
        StatusCode::NOT_FOUND if is_page(&answer.headers) => Err(Fault::new(format!(
            "{host} answered with status 404 and a page for people, as a proxy does that does not know the registry; is it up, and is its name right?"
        ))),
        StatusCode::NOT_FOUND => Ok(answer),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if !is_own => {
            let fault = Fault::of_answer(registry, answer.status, &answer.headers);
            Err(fault.telling(format!("{registry} redirects to {host}, which refuses the request (status {code})")))
        }
        _ => Err(Fault::of_answer(registry, answer.status, &answer.headers)),
    }
}

/// The codes of the OCI distribution specification 1.1, "Error Codes".
fn says_unknown(body: &[u8]) -> bool {
    let code = error_code(body);
    matches!(code.as_deref(), Some("MANIFEST_UNKNOWN" | "NAME_UNKNOWN" | "BLOB_UNKNOWN"))
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

/// The body, unless it is larger than any that belongs here.
pub(crate) async fn bounded_body(answer: Response) -> Result<Vec<u8>, Fault> {
    body(answer, LARGEST_BODY).await
}

async fn body(mut answer: Response, largest: usize) -> Result<Vec<u8>, Fault> {
    let host = answer.url().host_str().unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| Fault::unreachable(&host, error))? {
        if bytes.len() + chunk.len() > largest {
            return Err(Fault::new(format!("{host} answered with more than {largest} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_credentials_are_for_registries_without_an_entry_only() {
        let listed = BTreeMap::from([("r.example".to_owned(), RegistrySettings::default())]);
        let mut client = Client::new(listed).unwrap();
        client.set_default_credentials(Credentials::DockerConfig { file: None });
        for (image, default) in [("r.example/a", false), ("r.example:5000/a", true), ("ghcr.io/a/b", true)] {
            let image: ImageName = image.parse().unwrap();
            let is_default = matches!(client.registry(&image).settings.credentials, Credentials::DockerConfig { .. });
            assert_eq!(is_default, default, "{image}");
        }
    }

    #[test]
    fn no_redirect_leads_from_https_to_http() {
        let step = |from: &str, to: &str| is_safe_step(&Url::parse(from).unwrap(), &Url::parse(to).unwrap());
        assert!(
            step("https://r.example/a", "https://s.example/b") && step("http://r.example/a", "https://r.example/a")
        );
        assert!(step("http://127.0.0.1:5000/a", "http://127.0.0.1:5000/b"));
        for to in ["http://r.example/b", "ftp://r.example/b", "file:///b", "data:,b", "https://me@r.example/b"] {
            assert!(!step("https://r.example/a", to), "{to}");
        }
    }
}
