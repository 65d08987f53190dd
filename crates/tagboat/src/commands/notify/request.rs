//! Requests to the server: what they carry to prove who sends them, and when they are tried again.
//!
//! No redirect is followed: a token must not leave for another server.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use reqwest::{Client, RequestBuilder, Url, header};
use secrecy::{ExposeSecret as _, SecretString};
use tagboat_engine::chain;
use tagboat_intake::sign_standard_webhook;
use tagboat_model::EventId;
use tagboat_ports::Clock as _;

use crate::{
    commands::notify::{
        answer::{Answer, back_off, retry_after},
        show::Teller,
        token::{self, Asking, TokenSource},
    },
    exit::{Code, Failure},
    system::SystemClock,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// One request, to the end of its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longer answers are none of ours.
const LARGEST_ANSWER: usize = 4 << 20;
/// A token that was got longer ago may have ended; the shortest lives are five minutes.
const OLD_TOKEN: Duration = Duration::from_secs(60);

/// How the job proves who it is.
pub(super) enum Credential {
    /// It signs.
    Secret(SecretString),
    /// It shows what its CI says of it.
    Token { source: TokenSource, token: SecretString, since: Instant },
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask<'a> {
    /// This was pushed.
    Announce { key: &'a str, body: &'a str },
    /// What becomes of this?
    Follow(&'a EventId),
}

/// Everything that requests have in common.
pub(super) struct Session<'a> {
    pub(super) http: Client,
    /// The server's address without a slash at its end.
    pub(super) server: &'a str,
    pub(super) receiver: Option<&'a str>,
    pub(super) credential: Credential,
    pub(super) asking: Asking<'a>,
    /// When all of it must be over.
    pub(super) until: Instant,
    pub(super) teller: Teller,
}

/// Whether an address may be sent a credential: over https, to this machine, or because somebody permits it.
pub(in crate::commands) fn is_reachable(url: &Url, insecure: bool) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => insecure || is_loopback(url),
        _ => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A client for one address. Proxies of the environment are not asked for this machine.
pub(in crate::commands) fn client(url: &Url) -> Result<Client, Failure> {
    let builder = Client::builder()
        .user_agent(concat!("tagboat/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT);
    let builder = if is_loopback(url) { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| Failure::failed("connections cannot be set up", &error))
}

/// Send a request and read its answer to the end. The error is why there is none; its address is left out, since
/// that of a CI's endpoint is not for everybody.
pub(in crate::commands) async fn exchange(request: RequestBuilder) -> Result<Answer, String> {
    let broken = |error: reqwest::Error| chain(&error.without_url());
    let mut response = request.send().await.map_err(broken)?;
    let text = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = text.and_then(|text| retry_after(text, SystemClock.now()));
    let mut answer = Answer { status: response.status().as_u16(), retry_after, body: Vec::new() };
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if answer.body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(format!("the answer has more than {LARGEST_ANSWER} bytes"));
        }
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

impl Session<'_> {
    /// Ask until there is an answer that lasts, or until time is up.
    pub(super) async fn ask(&mut self, ask: Ask<'_>) -> Result<Answer, Failure> {
        let mut tries = 0_u32;
        loop {
            let answered = exchange(self.request(ask)).await;
            let (why, asked) = match answered {
                Ok(answer) if answer.may_pass() => {
                    (format!("the server answers with status {}", answer.status), answer.retry_after)
                }
                Ok(answer) if answer.status == 401 => {
                    if self.renew().await? {
                        continue;
                    }
                    return Ok(answer);
                }
                Ok(answer) => return Ok(answer),
                Err(why) => (why, None),
            };
            tries = tries.saturating_add(1);
            let wait = back_off(tries, asked, jitter());
            if !self.has_left(wait) {
                let message = format!("{} cannot be reached, and time is up: {why}", self.server);
                return Err(Failure { code: Code::Failed, message });
            }
            self.teller.tell(&format!("{why}; trying again in {:.1} s", wait.as_secs_f64()));
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether so much time is left, and a little to use it for.
    pub(super) fn has_left(&self, wait: Duration) -> bool {
        Instant::now() + wait < self.until
    }

    fn request(&self, ask: Ask<'_>) -> RequestBuilder {
        let events = format!("{}/api/v1/events", self.server);
        let (request, id, body) = match ask {
            Ask::Announce { key, body } => {
                let url = self.receiver.map_or_else(|| events.clone(), |name| format!("{events}?receiver={name}"));
                let request = self.http.post(url).header(header::CONTENT_TYPE, "application/json");
                (request.header("idempotency-key", key).body(body.to_owned()), key, body)
            }
            Ask::Follow(event) => (self.http.get(format!("{events}/{event}")), event.as_str(), ""),
        };
        let left = self.until.saturating_duration_since(Instant::now());
        let request = request.timeout(TIMEOUT.min(left.max(Duration::from_secs(1))));
        match &self.credential {
            Credential::Token { token, .. } => request.bearer_auth(token.expose_secret()),
            Credential::Secret(secret) => {
                let seconds = SystemClock.now().0.div_euclid(1000);
                let signature = sign_standard_webhook(secret, id, seconds, body.as_bytes());
                request
                    .header("webhook-id", id)
                    .header("webhook-timestamp", seconds.to_string())
                    .header("webhook-signature", signature)
            }
        }
    }

    /// Get another token when the one at hand is old. Says whether there is another one now.
    async fn renew(&mut self) -> Result<bool, Failure> {
        let source = match &self.credential {
            Credential::Token { source, since, .. } if since.elapsed() > OLD_TOKEN => source.clone(),
            Credential::Token { .. } | Credential::Secret(_) => return Ok(false),
        };
        let token = token::fetch(&source, self.asking).await?;
        self.credential = Credential::Token { source, token, since: Instant::now() };
        Ok(true)
    }
}

/// From 0 to 1.
fn jitter() -> f64 {
    f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::atomic::{AtomicUsize, Ordering};

    use tagboat_testkit::{Asked, HttpFake, response};

    use crate::commands::notify::ci::Variables;

    static NOTHING: Variables = Variables::new();
    const BODY: &str = r#"{"image":"r.example/web","tag":"1.5.0"}"#;

    fn session(server: &str, credential: Credential, patience: Duration) -> Session<'_> {
        Session {
            http: client(&Url::parse(server).unwrap()).unwrap(),
            server,
            receiver: None,
            credential,
            asking: Asking { variables: &NOTHING, audience: "x", insecure: false },
            until: Instant::now() + patience,
            teller: Teller(false),
        }
    }

    fn token() -> Credential {
        let source = TokenSource::Variable("NOT_SET");
        Credential::Token { source, token: "a.b.c".to_owned().into(), since: Instant::now() }
    }

    #[test]
    fn credentials_go_over_https_or_stay_on_the_machine() {
        for (url, insecure, expected) in [
            ("https://tagboat.example.org", false, true),
            ("http://tagboat.example.org", false, false),
            ("http://tagboat.example.org", true, true),
            ("http://localhost:8080", false, true),
            ("http://127.0.0.1:8080/tagboat", false, true),
            ("http://127.1.2.3", false, true),
            ("http://[::1]:8080", false, true),
            ("http://127.0.0.1.example.org", false, false),
            ("http://localhost.example.org", false, false),
            ("ftp://127.0.0.1", true, false),
        ] {
            assert_eq!(is_reachable(&Url::parse(url).unwrap(), insecure), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_the_event_stays_the_same() {
        let count = AtomicUsize::new(0);
        let fake = HttpFake::start(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
            0 => response(503, &[("retry-after", "0")], ""),
            1 => response(429, &[("retry-after", "1")], ""),
            _ => response(202, &[], "{}"),
        })
        .await;
        let server = format!("http://{}", fake.host());
        let mut session = session(&server, Credential::Secret("s3cret".to_owned().into()), Duration::from_secs(20));
        session.receiver = Some("ci");
        let begin = Instant::now();
        assert_eq!(session.ask(Ask::Announce { key: "k-1", body: BODY }).await.unwrap().status, 202);
        assert!(begin.elapsed() >= Duration::from_secs(1), "the server asked for a second");
        let seen = fake.seen();
        let same = |asked: &Asked| {
            ["idempotency-key", "webhook-id"].iter().all(|name| asked.header(name) == "k-1")
                && asked.body == BODY
                && asked.path == "/api/v1/events?receiver=ci"
                && !asked.headers.contains_key("authorization")
        };
        assert!(seen.len() == 3 && seen.iter().all(same), "{seen:?}");
        let last = &seen[2];
        let seconds: i64 = last.header("webhook-timestamp").parse().unwrap();
        let secret = "s3cret".to_owned().into();
        assert_eq!(last.header("webhook-signature"), sign_standard_webhook(&secret, "k-1", seconds, BODY.as_bytes()));
    }

    #[tokio::test]
    async fn a_question_about_an_event_is_signed_under_its_id_or_carries_the_token() {
        let fake = HttpFake::start(|_, _| response(200, &[], "{}")).await;
        let server = format!("http://{}", fake.host());
        let event: EventId = "ev-1".parse().unwrap();
        for credential in [Credential::Secret("s3cret".to_owned().into()), token()] {
            session(&server, credential, Duration::from_secs(20)).ask(Ask::Follow(&event)).await.unwrap();
        }
        let seen = fake.seen();
        assert!(seen.iter().all(|asked| asked.method == "GET" && asked.path == "/api/v1/events/ev-1"), "{seen:?}");
        let seconds: i64 = seen[0].header("webhook-timestamp").parse().unwrap();
        let secret = "s3cret".to_owned().into();
        assert_eq!(seen[0].header("webhook-signature"), sign_standard_webhook(&secret, "ev-1", seconds, b""));
        assert_eq!((seen[1].header("authorization"), seen[1].header("webhook-id")), ("Bearer a.b.c", ""));
    }

    #[tokio::test]
    async fn no_redirect_is_followed_and_a_refusal_is_final() {
        for status in [302, 307, 308, 401, 403] {
            let fake = HttpFake::start(move |_, host| {
                response(status, &[("location", &format!("http://{host}/elsewhere"))], "")
            })
            .await;
            let server = format!("http://{}", fake.host());
            let mut session = session(&server, token(), Duration::from_secs(20));
            let answer = session.ask(Ask::Announce { key: "k", body: BODY }).await.unwrap();
            assert_eq!((answer.status, fake.seen().len()), (status, 1));
        }
    }

    #[tokio::test]
    async fn time_ends_for_a_server_that_is_not_there() {
        let port = tagboat_testkit::free_port();
        let server = format!("http://127.0.0.1:{port}");
        let mut session = session(&server, token(), Duration::from_secs(2));
        let begin = Instant::now();
        let failure = session.ask(Ask::Announce { key: "k", body: BODY }).await.unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(4));
        assert_eq!(failure.code, Code::Failed);
        let expected = format!("{server} cannot be reached, and time is up: ");
        assert!(failure.message.starts_with(&expected) && !failure.message.contains("a.b.c"), "{}", failure.message);
    }
}
