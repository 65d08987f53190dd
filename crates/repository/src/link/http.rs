//! Git's HTTP requests on the HTTP client that the rest of Tagboat uses: one client for a config repository, whose
//! connections serve fetch and push alike.
//!
//! Every request has its length, none is redirected (a redirect could carry the credential to another host), and none is
//! repeated, but the first of an exchange with another password where there is one. Speaks no Git: gix does that on top.

use std::{
    io::{self, BufRead, Read, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gix_transport::client::blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse};
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{AUTHORIZATION, HeaderValue, USER_AGENT},
};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tokio::runtime::Handle;

use crate::{
    Failure,
    settings::{HttpSettings, Password},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two signs of life. A push that runs a slow hook is silent until it ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// Of one request, with the largest repository on the slowest line.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// Of an advertisement: a million refs.
const LONGEST_ADVERTISEMENT: u64 = 96 << 20;
/// Of a pack.
const LONGEST_ANSWER: u64 = 8 << 30;
/// For what nobody reads any more.
const REST_TIMEOUT: Duration = Duration::from_secs(1);

/// A client for one config repository.
pub(crate) fn client(
    settings: &HttpSettings,
    on_this_machine: bool,
) -> Result<Client, tagboat_connection::ConnectionError> {
    use tagboat_connection::{authorities, identity, proxy, set_up};
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(IDLE_TIMEOUT)
        .timeout(TIMEOUT)
        .tcp_nodelay(true)
        .tls_certs_merge(authorities(&settings.certificate_authorities)?);
    if let Some(certificate) = &settings.client_certificate {
        builder = builder.identity(identity(certificate)?);
    }
    match &settings.proxy {
        Some(settings) => builder = builder.proxy(proxy(settings)?),
        // What the environment says of proxies never means this machine.
        None if on_this_machine => builder = builder.no_proxy(),
        None => {}
    }
    set_up(builder)
}

/// An answer that is not 200.
#[derive(Debug, Error)]
#[error("{}", self.words())]
struct Status {
    status: StatusCode,
    /// Where a redirect leads, without query.
    location: Option<String>,
}

impl Status {
    fn words(&self) -> String {
        match &self.location {
            Some(location) => {
                format!(
                    "HTTP status {}: it points to {location}; write that address if the repository is there",
                    self.status.as_u16()
                )
            }
            None => format!("HTTP status {}", self.status.as_u16()),
        }
    }
}

/// Who asks.
pub(crate) struct Credentials {
    username: String,
    password: Password,
    /// The password that is sent.
    now: SecretString,
}

impl Credentials {
    pub(crate) fn new(username: &str, password: &Password, now: SecretString) -> Self {
        Self { username: username.to_owned(), password: password.clone(), now }
    }

    fn header(&self) -> Option<HeaderValue> {
        let pair = STANDARD.encode(format!("{}:{}", self.username, self.now.expose_secret()));
        let mut value = HeaderValue::from_str(&format!("Basic {pair}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// The HTTP side of one exchange.
pub(crate) struct Requests {
    client: Client,
    runtime: Handle,
    credentials: Option<Credentials>,
}

impl Requests {
    /// `credentials` are sent with every request. To be called where a runtime is, on a thread that may block.
    pub(crate) fn new(client: Client, credentials: Option<Credentials>) -> Result<Self, Failure> {
        let runtime =
            Handle::try_current().map_err(|error| Failure::permanent("no runtime is there").because(error))?;
        Ok(Self { client, runtime, credentials })
    }

    /// Take another password, now that this one is refused: a token may end before its time. Returns whether there is one.
    fn renew(&mut self) -> bool {
        let Some(credentials) = &mut self.credentials else { return false };
        let Some(other) = credentials.password.instead_of(&credentials.now) else { return false };
        credentials.now = other;
        true
    }

    fn request(&self, method: Method, url: &str, headers: impl IntoIterator<Item = impl AsRef<str>>) -> RequestBuilder {
        let mut request = self.client.request(method, url);
        for header in headers {
            if let Some((name, value)) = header.as_ref().split_once(':')
                && !name.eq_ignore_ascii_case(USER_AGENT.as_str())
            {
                request = request.header(name.trim(), value.trim());
            }
        }
        request = request.header(USER_AGENT, concat!("tagboat/", env!("CARGO_PKG_VERSION")));
        match self.credentials.as_ref().and_then(Credentials::header) {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }
}

fn send(runtime: &Handle, request: RequestBuilder, longest: u64) -> io::Result<(Lines, Body)> {
    let response = runtime.block_on(request.send()).map_err(|error| failed(&error))?;
    let status = response.status();
    if status != StatusCode::OK {
        let location = response.headers().get("location").and_then(|value| value.to_str().ok());
        let location = location.map(without_secrets);
        let location = location.filter(|_| status.is_redirection());
        let kind = match status {
            StatusCode::UNAUTHORIZED => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        };
        return Err(io::Error::new(kind, Status { status, location }));
    }
    let mut headers = Vec::new();
    for (name, value) in response.headers() {
        headers.extend_from_slice(name.as_str().as_bytes());
        headers.extend_from_slice(b": ");
        headers.extend_from_slice(value.as_bytes());
        headers.push(b'\n');
    }
    Ok((
        io::Cursor::new(headers),
        Body { response: Some(response), runtime: runtime.clone(), chunk: Vec::new(), at: 0, left: longest },
    ))
}

/// An address without user name, password and query.
fn without_secrets(location: &str) -> String {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    match path.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            format!("{scheme}://{}{path}", authority.rsplit('@').next().unwrap_or_default())
        }
        None => path.to_owned(),
    }
}

type Lines = io::Cursor<Vec<u8>>;

/// The client's own words without the address: whoever reads the message knows it.
fn failed(error: &reqwest::Error) -> io::Error {
    let mut words = Vec::new();
    let mut next: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(cause) = next {
        words.push(cause.to_string());
        next = cause.source();
    }
    let kind = if error.is_timeout() { io::ErrorKind::TimedOut } else { io::ErrorKind::ConnectionAborted };
    let text = if error.is_timeout() { "no answer in time".to_owned() } else { words.join(": ") };
    io::Error::new(kind, text)
}

/// The body of an answer, read as it comes.
pub(crate) struct Body {
    response: Option<Response>,
    runtime: Handle,
    chunk: Vec<u8>,
    at: usize,
    /// What may still come.
    left: u64,
}

/// What is left is read in the background, so that the connection can be used again.
impl Drop for Body {
    fn drop(&mut self) {
        if let Some(mut response) = self.response.take() {
            self.runtime.spawn(async move {
                let rest = async { while let Ok(Some(_)) = response.chunk().await {} };
                // Whoever sends much that nobody wants loses the connection.
                let _ = tokio::time::timeout(REST_TIMEOUT, rest).await;
            });
        }
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at >= self.chunk.len() {
            let Some(response) = &mut self.response else { return Ok(&[]) };
            match self.runtime.block_on(response.chunk()).map_err(|error| failed(&error))? {
                Some(bytes) => {
                    let left = self.left.checked_sub(bytes.len() as u64);
                    self.left = left.ok_or_else(|| io::Error::other("the answer is too long"))?;
                    (self.chunk, self.at) = (bytes.to_vec(), 0);
                }
                // Read to its end, the connection serves the next request.
                None => self.response = None,
            }
        }
        Ok(self.chunk.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// A request whose body is being written, or the answer to it.
enum Exchange {
    Writing(RequestBuilder, Vec<u8>),
    Answered(Option<Lines>, Option<Body>),
    Failed(io::ErrorKind, String),
}

type Shared = Arc<Mutex<Exchange>>;

/// Send what was written, once.
fn answer(shared: &Shared, runtime: &Handle) -> io::Result<()> {
    let mut exchange = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let (request, body) = match std::mem::replace(&mut *exchange, Exchange::Answered(None, None)) {
        Exchange::Writing(request, body) => (request, body),
        other => {
            *exchange = other;
            return match &*exchange {
                Exchange::Failed(kind, words) => Err(io::Error::new(*kind, words.clone())),
                _ => Ok(()),
            };
        }
    };
    match send(runtime, request.body(body), LONGEST_ANSWER) {
        Ok((headers, body)) => {
            *exchange = Exchange::Answered(Some(headers), Some(body));
            Ok(())
        }
        Err(error) => {
            *exchange = Exchange::Failed(error.kind(), error.to_string());
            Err(error)
        }
    }
}

/// What is sent, gathered in memory: the pack of one push is small.
pub(crate) struct Outgoing(Shared);

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Exchange::Writing(_, body) => body.extend_from_slice(bytes),
            _ => return Err(io::ErrorKind::BrokenPipe.into()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An exchange, where it goes on, and the part of its answer that is waited for.
type Waiting<R> = (Shared, Handle, fn(&mut Exchange) -> Option<R>);

/// Headers or body of an answer; reading them first sends the request, unless they came at once.
pub(crate) struct Later<R> {
    waiting: Option<Waiting<R>>,
    inner: Option<R>,
}

impl<R: BufRead> Later<R> {
    fn now(inner: R) -> Self {
        Self { waiting: None, inner: Some(inner) }
    }

    fn of(shared: &Shared, runtime: &Handle, take: fn(&mut Exchange) -> Option<R>) -> Self {
        Self { waiting: Some((Arc::clone(shared), runtime.clone(), take)), inner: None }
    }
}

impl<R: BufRead> BufRead for Later<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some((shared, runtime, take)) = &self.waiting {
            answer(shared, runtime)?;
            self.inner = take(&mut shared.lock().unwrap_or_else(PoisonError::into_inner));
            self.waiting = None;
        }
        match &mut self.inner {
            Some(inner) => inner.fill_buf(),
            None => Ok(&[]),
        }
    }

    fn consume(&mut self, amount: usize) {
        if let Some(inner) = &mut self.inner {
            inner.consume(amount);
        }
    }
}

impl<R: BufRead> Read for Later<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl Http for Requests {
    type Headers = Later<Lines>;
    type ResponseBody = Later<Body>;
    type PostBody = Outgoing;

    fn get(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Self::Headers, Self::ResponseBody>> {
        let headers: Vec<String> = headers.into_iter().map(|header| header.as_ref().to_owned()).collect();
        let asking = |requests: &Self| {
            send(&requests.runtime, requests.request(Method::GET, url, &headers), LONGEST_ADVERTISEMENT)
        };
        let mut answer = asking(self);
        // How `send` reports an answer of 401.
        if answer.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) && self.renew() {
            answer = asking(self);
        }
        let (headers, body) = answer.map_err(gix::Error::from_error)?;
        Ok(GetResponse { headers: Later::now(headers), body: Later::now(body) })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>> {
        let request = self.request(Method::POST, url, headers);
        let shared: Shared = Arc::new(Mutex::new(Exchange::Writing(request, Vec::new())));
        let headers = Later::of(&shared, &self.runtime, |exchange| match exchange {
            Exchange::Answered(headers, _) => headers.take(),
            _ => None,
        });
        let body = Later::of(&shared, &self.runtime, |exchange| match exchange {
            Exchange::Answered(_, body) => body.take(),
            _ => None,
        });
        Ok(PostResponse { post_body: Outgoing(shared), headers, body })
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> gix::Result {
        Ok(())
    }
}
