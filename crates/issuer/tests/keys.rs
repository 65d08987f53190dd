//! Issuers as they are on the network: what is asked, how often, and what is not believed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tagboat_issuer::{ClientCertificate, IssuerSettings, Issuers, KeysFrom, TransportSettings};
use tagboat_model::{KeySource, Timestamp};
use tagboat_ports::{Clock, PublishedKeys as _};
use tagboat_testkit::{Asked, HttpFake, OidcIssuer, TlsAuthority, response};
use tokio::net::{TcpListener, TcpStream};

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = r#"{"keys":[{"kty":"RSA","kid":"1"}]}"#;

/// A clock that is set by hand.
#[derive(Default)]
struct Hands(AtomicI64);

impl Hands {
    fn turn(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, _: Timestamp) {
        panic!("nobody waits here");
    }
}

/// Issuers of which one is at this address, and their clock.
fn issuers_with(issuer: &str, settings: IssuerSettings) -> (Issuers, Arc<Hands>) {
    let clock = Arc::new(Hands::default());
    let configured = BTreeMap::from([(issuer.to_owned(), settings)]);
    let issuers = Issuers::new(&configured, &TransportSettings::default(), Arc::clone(&clock) as Arc<dyn Clock>);
    (issuers.unwrap(), clock)
}

fn issuers(issuer: &str) -> (Issuers, Arc<Hands>) {
    issuers_with(issuer, IssuerSettings::default())
}

fn source(issuer: &str) -> KeySource {
    KeySource::Issuer(issuer.to_owned())
}

/// The discovery document of the server that is asked.
fn described(own: &str) -> String {
    format!(r#"{{"issuer":"http://{own}","jwks_uri":"http://{own}/keys"}}"#)
}

/// What a server answers: status, headers and body; in the body `OWN` becomes its host and port.
type Answer = (u16, Vec<(&'static str, &'static str)>, String);

/// An issuer that answers as it should, but for what `answer` says.
async fn issuer(answer: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) -> (HttpFake, String) {
    let fake = HttpFake::start(move |asked, own| match (answer(asked), asked.path.as_str()) {
        (Some((status, headers, body)), _) => response(status, &headers, &body.replace("OWN", own)),
        (None, DISCOVERY) => response(200, &[], &described(own)),
        (None, "/keys") => response(200, &[], KEYS),
        (None, _) => response(404, &[], ""),
    })
    .await;
    let address = format!("http://{}", fake.host());
    (fake, address)
}

async fn refusal(issuers: &Issuers, issuer: &str) -> String {
    issuers.document(&source(issuer)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn keys_are_found_by_discovery_and_kept_for_an_hour() {
    let (fake, address) = issuer(|_| None).await;
    let (issuers, clock) = issuers(&address);
    for _ in 0..3 {
        assert_eq!(&*issuers.document(&source(&address)).await.unwrap(), KEYS.as_bytes());
    }
    assert_eq!(fake.paths(), [DISCOVERY, "/keys"]);
    assert_eq!(fake.paths_with_credentials(), [""; 0]);
    clock.turn(3599);
    issuers.document(&source(&address)).await.unwrap();
    assert_eq!(fake.count("/keys"), 1);
    clock.turn(1);
    issuers.document(&source(&address)).await.unwrap();
    assert_eq!(fake.count("/keys"), 2);
}

#[tokio::test]
async fn all_who_ask_at_once_wait_for_one_request() {
    let (fake, address) = issuer(|_| None).await;
    let (issuers, clock) = issuers(&address);
    let source = source(&address);
    let documents = join_all((0..50).map(|_| issuers.document(&source))).await;
    assert!(documents.iter().all(Result::is_ok));
    assert_eq!(fake.paths(), [DISCOVERY, "/keys"]);
    clock.turn(61);
    let documents = join_all((0..50).map(|_| issuers.newer_document(&source))).await;
    assert!(documents.iter().all(Result::is_ok));
    assert_eq!(fake.count("/keys"), 2);
}

#[tokio::test]
async fn newer_keys_are_fetched_once_a_minute() {
    let (fake, address) = issuer(|_| None).await;
    let (issuers, clock) = issuers(&address);
    for (turned, fetched) in [(0, 1), (59, 1), (1, 2), (59, 2), (1, 3), (3600, 4)] {
        clock.turn(turned);
        for _ in 0..3 {
            issuers.newer_document(&source(&address)).await.unwrap();
            issuers.document(&source(&address)).await.unwrap();
        }
        assert_eq!(fake.count("/keys"), fetched);
    }
}

#[tokio::test]
async fn keys_of_a_rotation_are_among_the_newer_ones() {
    let issuer = OidcIssuer::start();
    let (issuers, clock) = issuers(&issuer.url());
    let source = source(&issuer.url());
    let has = |document: &[u8], id: &str| String::from_utf8_lossy(document).contains(id);
    assert!(has(&issuers.document(&source).await.unwrap(), "\"rsa-1\""));
    issuer.rotate();
    clock.turn(60);
    assert!(!has(&issuers.document(&source).await.unwrap(), "\"rsa-2\""));
    assert!(has(&issuers.newer_document(&source).await.unwrap(), "\"rsa-2\""));
    assert!(has(&issuers.document(&source).await.unwrap(), "\"rsa-2\""));
    assert_eq!((issuer.discoveries(), issuer.key_requests()), (2, 2));
}

#[tokio::test]
async fn an_issuer_that_fails_is_left_alone_for_half_a_minute() {
    let down = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&down);
    let (fake, address) =
        issuer(move |_| switch.load(Ordering::SeqCst).then(|| (503, Vec::new(), String::new()))).await;
    let (issuers, clock) = issuers(&address);
    for (turned, asked) in [(0, 1), (29, 1), (1, 2)] {
        clock.turn(turned);
        for _ in 0..3 {
            let error = refusal(&issuers, &address).await;
            assert!(error.ends_with("could not be fetched: it answered with status 503"), "{error}");
            assert!(issuers.newer_document(&source(&address)).await.is_err());
        }
        assert_eq!(fake.count(DISCOVERY), asked);
    }
    down.store(false, Ordering::SeqCst);
    clock.turn(30);
    issuers.document(&source(&address)).await.unwrap();
    // What is kept serves on while newer keys cannot be had.
    down.store(true, Ordering::SeqCst);
    clock.turn(60);
    assert!(issuers.newer_document(&source(&address)).await.is_err());
    issuers.document(&source(&address)).await.unwrap();
}

#[tokio::test]
async fn a_discovery_document_must_be_about_its_own_issuer() {
    for (body, words) in [
        (r#"{"issuer":"http://OWN/","jwks_uri":"http://OWN/keys"}"#, "it describes the issuer"),
        (
            r#"{"issuer":"https://ci.example","jwks_uri":"http://OWN/keys"}"#,
            "it describes the issuer https://ci.example",
        ),
        (r#"{"issuer":"http://OWN","jwks_uri":"http://keys.example/keys"}"#, "does not begin with `https://`"),
        (r#"{"issuer":"http://OWN","jwks_uri":"file:///etc/passwd"}"#, "does not begin with `https://`"),
        (r#"{"issuer":"http://OWN","jwks_uri":"/keys"}"#, "is not an address"),
        (r#"{"issuer":"http://OWN"}"#, "what is not a discovery document"),
        ("<html>Welcome</html>", "what is not a discovery document"),
    ] {
        let answer = move |asked: &Asked| (asked.path == DISCOVERY).then(|| (200, Vec::new(), body.to_owned()));
        let (fake, address) = issuer(answer).await;
        let error = refusal(&issuers(&address).0, &address).await;
        assert!(error.contains(words), "{body}: {error}");
        assert_eq!(fake.paths(), [DISCOVERY], "{body}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for path in [DISCOVERY, "/keys"] {
        for status in [301, 302, 303, 307, 308] {
            let answer = move |asked: &Asked| {
                (asked.path == path).then(|| (status, vec![("location", "/elsewhere")], String::new()))
            };
            let (fake, address) = issuer(answer).await;
            let error = refusal(&issuers(&address).0, &address).await;
            assert!(error.contains(&format!("it redirects (status {status})")), "{error}");
            assert_eq!(fake.count("/elsewhere"), 0);
        }
    }
}

#[tokio::test]
async fn what_is_too_large_or_no_key_set_is_not_kept() {
    let large = format!(r#"{{"keys":[],"filler":"{}"}}"#, "a".repeat(1 << 20));
    for (status, body, words) in [
        (200, large, "it answered with more than 1048576 bytes"),
        (200, "<html>Sign in</html>".to_owned(), "is not a key set"),
        (200, "{}".to_owned(), "is not a key set"),
        (200, String::new(), "is not a key set"),
        (204, KEYS.to_owned(), "it answered with status 204"),
        (404, KEYS.to_owned(), "it answered with status 404"),
    ] {
        let answer = move |asked: &Asked| (asked.path == "/keys").then(|| (status, Vec::new(), body.clone()));
        let (_fake, address) = issuer(answer).await;
        let error = refusal(&issuers(&address).0, &address).await;
        assert!(error.contains(words) && error.contains("/keys"), "{error}");
    }
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let transport = TransportSettings { timeout: Duration::from_millis(200), ..TransportSettings::default() };
    let (issuers, _) = issuers_with(&address, IssuerSettings { transport, ..IssuerSettings::default() });
    let begun = std::time::Instant::now();
    let error = refusal(&issuers, &address).await;
    assert!(error.ends_with("it did not answer in time"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(TransportSettings::default().timeout, Duration::from_secs(5));
    drop(listener);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_goes_on_when_whoever_began_it_hangs_up() {
    let answer = |asked: &Asked| {
        if asked.path == "/keys" {
            std::thread::sleep(Duration::from_millis(300));
        }
        None
    };
    let (fake, address) = issuer(answer).await;
    let (issuers, _) = issuers(&address);
    let source = source(&address);
    assert!(tokio::time::timeout(Duration::from_millis(50), issuers.document(&source)).await.is_err());
    issuers.document(&source).await.unwrap();
    assert_eq!(fake.paths(), [DISCOVERY, "/keys"]);
}

#[tokio::test]
async fn keys_may_be_at_an_address_of_their_own_or_in_a_file() {
    let (fake, address) = issuer(|_| None).await;
    let keys = KeysFrom::Address(format!("{address}/keys"));
    let (found, _) = issuers_with("https://ci.example", IssuerSettings { keys, ..IssuerSettings::default() });
    assert_eq!(&*found.document(&source("https://ci.example")).await.unwrap(), KEYS.as_bytes());
    assert_eq!(fake.paths(), ["/keys"]);
    let keys = KeysFrom::Document(KEYS.into());
    let (given, clock) = issuers_with("https://ci.example", IssuerSettings { keys, ..IssuerSettings::default() });
    clock.turn(10_000);
    let documents = [
        given.document(&source("https://ci.example")).await,
        given.newer_document(&source("https://ci.example")).await,
    ];
    assert!(documents.iter().all(|document| document.as_ref().unwrap().as_ref() == KEYS.as_bytes()));
    assert_eq!(fake.paths(), ["/keys"]);
}

#[test]
fn what_cannot_be_used_is_told_when_it_is_configured() {
    let error = |issuer: &str, keys: KeysFrom| {
        let configured = BTreeMap::from([(issuer.to_owned(), IssuerSettings { keys, ..IssuerSettings::default() })]);
        let clock = Arc::new(Hands::default());
        Issuers::new(&configured, &TransportSettings::default(), clock).err().map(|error| error.to_string())
    };
    let starts = |found: Option<String>, words: &str| assert!(found.as_ref().unwrap().starts_with(words), "{found:?}");
    assert_eq!(error("https://ci.example", KeysFrom::Discovery), None);
    starts(error("http://ci.example", KeysFrom::Discovery), "issuer `http://ci.example`: `http://ci.example` does not");
    starts(error("ci.example", KeysFrom::Discovery), "issuer `ci.example`: `ci.example` is not an address");
    starts(
        error("https://ci.example", KeysFrom::Address("http://ci.example/keys".to_owned())),
        "issuer `https://ci.example`: `http://ci.example/keys` does not begin with `https://`",
    );
    starts(
        error("https://ci.example", KeysFrom::Document(b"-----BEGIN".to_vec())),
        "issuer `https://ci.example`: its file is not a key set",
    );
    // With a file, the name of an issuer need not be an address.
    assert_eq!(error("kubernetes/serviceaccount", KeysFrom::Document(KEYS.into())), None);
}

#[tokio::test]
async fn nothing_but_what_is_configured_and_amazon_is_asked() {
    let (fake, address) = issuer(|_| None).await;
    let (issuers, _) = issuers("https://ci.example");
    assert!(refusal(&issuers, &address).await.contains("no such issuer is configured"));
    for path in ["/x.pem", "/sns.eu-central-1.amazonaws.com/x.pem?Token=s3cret"] {
        let url = format!("{address}{path}");
        let error = issuers.document(&KeySource::SnsCertificate(url.clone())).await.unwrap_err().to_string();
        assert!(error.contains("it is not an address of Amazon SNS") && !error.contains("s3cret"), "{error}");
        let error = issuers.confirm_subscription(&url).await.unwrap_err().to_string();
        assert!(error.contains("it is not an address of Amazon SNS") && !error.contains("s3cret"), "{error}");
    }
    assert_eq!(fake.paths(), [""; 0]);
}

/// TLS before a server that speaks plainly. Returns the address.
async fn tls(authority: &TlsAuthority, insists: bool, behind: String) -> String {
    let acceptor = authority.server(insists);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut server = TcpStream::connect(behind).await.unwrap();
                // Either side may hang up first.
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    format!("https://127.0.0.1:{port}")
}

#[tokio::test]
async fn an_issuer_in_a_private_network_may_have_an_authority_and_ask_who_we_are() {
    let authority = TlsAuthority::default();
    let fake = HttpFake::start(|asked, _| {
        let own = asked.header("host");
        match asked.path.as_str() {
            DISCOVERY => {
                response(200, &[], &format!(r#"{{"issuer":"https://{own}","jwks_uri":"https://{own}/keys"}}"#))
            }
            _ => response(200, &[], KEYS),
        }
    })
    .await;
    let address = tls(&authority, true, fake.host().to_owned()).await;
    let (stranger, _) = issuers(&address);
    let error = refusal(&stranger, &address).await;
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    let mut transport =
        TransportSettings { certificate_authorities: vec![authority.pem()], ..TransportSettings::default() };
    let (unknown, _) =
        issuers_with(&address, IssuerSettings { transport: transport.clone(), ..IssuerSettings::default() });
    assert!(unknown.document(&source(&address)).await.is_err());
    let (chain, key) = authority.client();
    transport.client_certificate = Some(ClientCertificate { chain, key: key.into() });
    let (known, _) = issuers_with(&address, IssuerSettings { transport, ..IssuerSettings::default() });
    assert_eq!(&*known.document(&source(&address)).await.unwrap(), KEYS.as_bytes());
}
