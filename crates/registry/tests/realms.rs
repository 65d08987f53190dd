//! Registries that send us to thieves: no byte of a credential leaves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{
    collections::BTreeMap,
    io::Read as _,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use tagboat_model::ImageName;
use tagboat_ports::Registry as _;
use tagboat_registry::{Cloud, Credentials, OciRegistries, ProxySettings, RegistrySettings, TransportSettings};
use tagboat_testkit::{HttpFake, response};

/// Somebody who takes every connection on one port of all addresses of this machine, and writes down from where it came.
struct Thief {
    port: u16,
    addresses: Vec<SocketAddr>,
    peers: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Thief {
    fn start() -> Self {
        let (listener, port) = Self::bind();
        let peers = Arc::new(Mutex::new(Vec::new()));
        // The same port on the other loopback addresses, where the machine has them.
        let others = ["127.0.0.2", "[::1]"].map(|address| TcpListener::bind(format!("{address}:{port}")).ok());
        let mut addresses = Vec::new();
        for listener in std::iter::once(listener).chain(others.into_iter().flatten()) {
            addresses.push(listener.local_addr().unwrap());
            let peers = Arc::clone(&peers);
            std::thread::spawn(move || {
                while let Ok((mut connection, peer)) = listener.accept() {
                    peers.lock().unwrap().push(peer);
                    connection.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
                    // What it says does not matter; that somebody came does.
                    let _ = connection.read(&mut [0; 1024]);
                }
            });
        }
        Self { port, addresses, peers }
    }

    /// A port that the system gives to nobody by itself: on one that it gives out, the tests that run beside this one may
    /// look for a server that is gone.
    fn bind() -> (TcpListener, u16) {
        let first = u16::try_from(std::process::id() % 10_000).unwrap();
        let mut ports = (0..10_000).map(|next| 20_000 + (first + next) % 10_000);
        ports.find_map(|port| Some((TcpListener::bind(("127.0.0.1", port)).ok()?, port))).expect("a free port")
    }

    fn connections(&self) -> usize {
        self.peers.lock().unwrap().len()
    }

    /// The same once everybody is counted who came before: connections are taken in the order in which they come, so that
    /// it is enough to wait for one of our own.
    fn connections_to_the_last(&self) -> usize {
        let mut ours = Vec::new();
        for address in &self.addresses {
            let connection = TcpStream::connect(address).unwrap();
            let own = connection.local_addr().unwrap();
            while !self.peers.lock().unwrap().contains(&own) {
                std::thread::sleep(Duration::from_millis(5));
            }
            ours.push(own);
        }
        self.peers.lock().unwrap().iter().filter(|peer| !ours.contains(*peer)).count()
    }
}

/// A busy machine may stand still for longer than a client waits by default, which would ask a second time.
const PATIENCE: Duration = Duration::from_secs(600);

fn client(host: &str) -> OciRegistries {
    let credentials = Credentials::Password { user: "bot".to_owned(), password: "canary-6e1d".to_owned().into() };
    let settings = RegistrySettings {
        credentials,
        token_servers: vec!["sso.example".to_owned()],
        transport: TransportSettings { timeout: PATIENCE, ..TransportSettings::default() },
        ..RegistrySettings::default()
    };
    OciRegistries::new(BTreeMap::from([(host.to_owned(), settings)])).unwrap()
}

fn image(host: &str) -> ImageName {
    format!("{host}/acme/web").parse().unwrap()
}

/// `THIEF` is the thief's port, `OWN` the registry's host and port, `PORT` the registry's port.
const HOSTILE: [&str; 62] = [
    "http://127.0.0.1:THIEF/token",
    "https://127.0.0.1:THIEF/token",
    "HTTP://127.0.0.1:THIEF/token",
    "http://127.1:THIEF/token",
    "http://127.0.1:THIEF/token",
    "http://2130706433:THIEF/token",
    "http://0x7f000001:THIEF/token",
    "http://0x7f.0.0.1:THIEF/token",
    "http://017700000001:THIEF/token",
    "http://0177.0.0.1:THIEF/token",
    "http://127.0.0.2:THIEF/token",
    "http://0.0.0.0:THIEF/token",
    "http://0:THIEF/token",
    "http://[::1]:THIEF/token",
    "http://[0:0:0:0:0:0:0:1]:THIEF/token",
    "http://[::]:THIEF/token",
    "http://[::ffff:127.0.0.1]:THIEF/token",
    "http://[::ffff:7f00:1]:THIEF/token",
    "http://[::ffff:127.0.0.1]:PORT/token",
    "http://[::1]:PORT/token",
    "http://localhost:THIEF/token",
    "http://LOCALHOST:THIEF/token",
    "http://localhost.:THIEF/token",
    "http://localhost:PORT/token",
    "http://127.0.0.1.:THIEF/token",
    "http://①②⑦.0.0.1:THIEF/token",
    "http://127。0。0。1:THIEF/token",
    "http://%31%32%37.0.0.1:THIEF/token",
    "http://OWN@127.0.0.1:THIEF/token",
    "http://OWN%40127.0.0.1:THIEF/token",
    "http://OWN:80@127.0.0.1:THIEF/token",
    "http://bot@OWN/token",
    "http://bot:canary@OWN/token",
    "http://:x@OWN/token",
    "http://127.0.0.1:THIEF#@OWN/token",
    "http://127.0.0.1:THIEF?@OWN/token",
    "http://127.0.0.1:THIEF\\\\@OWN/token",
    "http://127.0.0.1:THIEF/@OWN/token",
    "http:/127.0.0.1:THIEF/token",
    "http:127.0.0.1:THIEF/token",
    "http:\\\\127.0.0.1:THIEF/token",
    " http://127.0.0.1:THIEF/token",
    "http://127.0.0.1:THIEF/OWN/token",
    "http://127.0.0.1/token",
    "http://127.0.0.1:0/token",
    "https://OWN.evil.invalid/token",
    "http://evil.invalid/OWN",
    "http://sso.example:THIEF/token",
    "https://sso.example:THIEF/token",
    "https://sub.sso.example/token",
    "https://sso.example.evil.invalid/token",
    "https://evilsso.example/token",
    "https://sso.example./token",
    "https://auth.docker.io/token",
    "https://gitlab.com/jwt/auth",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "ftp://127.0.0.1:THIEF/token",
    "file:///etc/passwd",
    "//127.0.0.1:THIEF/token",
    "/token",
    "",
];

#[tokio::test]
async fn no_hostile_realm_gets_a_byte() {
    let thief = Thief::start();
    for hostile in HOSTILE {
        let port = thief.port.to_string();
        let registry = HttpFake::start(move |asked, own| {
            let realm = hostile.replace("THIEF", &port).replace("OWN", own);
            let realm = realm.replace("PORT", own.rsplit(':').next().unwrap());
            assert_eq!(asked.header("authorization"), "", "{realm}");
            let challenge = format!("Bearer realm=\"{realm}\",service=\"r\"");
            let mut answer = response(401, &[], "");
            answer.headers_mut().insert("www-authenticate", challenge.as_bytes().try_into().unwrap());
            answer
        })
        .await;
        let error = client(registry.host()).tags(&image(registry.host())).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("not one of its token servers") || text.contains("in an unknown way"),
            "{hostile}: {text}"
        );
        assert_eq!(thief.connections(), 0, "{hostile}");
        // The registry itself was asked for the tags and for nothing else; more than once if the machine stood still.
        let paths = registry.paths();
        let (is_asked, is_all) =
            (!paths.is_empty(), paths.iter().all(|path| path.starts_with("/v2/acme/web/tags/list")));
        assert!(is_asked && is_all, "{hostile}: {paths:?}");
    }
    assert_eq!(thief.connections_to_the_last(), 0);
}

#[tokio::test]
async fn a_token_server_cannot_send_us_on() {
    let thief = Thief::start();
    for status in [300, 301, 302, 303, 304, 305, 307, 308] {
        for target in ["http://127.0.0.1:THIEF/token", "//127.0.0.1:THIEF/token", "/elsewhere"] {
            let target = target.replace("THIEF", &thief.port.to_string());
            let registry = HttpFake::start(move |asked, own| match asked.path.starts_with("/token") {
                true => response(status, &[("location", &target)], ""),
                false => response(401, &[("www-authenticate", &format!("Bearer realm=\"http://{own}/token\""))], ""),
            })
            .await;
            let error = client(registry.host()).tags(&image(registry.host())).await.unwrap_err();
            assert!(error.to_string().contains("redirects elsewhere"), "{status}: {error}");
            assert_eq!((thief.connections(), registry.count("/elsewhere")), (0, 0), "{status}");
        }
    }
}

#[tokio::test]
async fn a_registry_does_not_choose_for_what_its_token_server_is_asked() {
    const OURS: &str = "scope=repository%3Aacme%2Fweb%3Apull&service=r";
    for (query, kept) in [
        ("", ""),
        ("?", ""),
        ("?hint=1&page=a%26b", "hint=1&page=a%26b&"),
        ("?scope=repository:acme/secret:pull,push", ""),
        ("?a=1&scope=repository:acme/secret:*&b=2", "a=1&b=2&"),
        ("?%73cope=x&SCOPE=y&+scope=z", ""),
        ("?scope=x&scope=y", ""),
        ("?a=1;scope=x", "a=1%3Bscope%3Dx&"),
        ("?service=other&account=admin&client_id=x&offline_token=true", ""),
        ("#?scope=x", ""),
    ] {
        let registry = HttpFake::start(move |asked, own| match asked.path.starts_with("/token") {
            true => response(200, &[], r#"{"token":"t"}"#),
            false if asked.header("authorization") == "Bearer t" => response(200, &[], r#"{"tags":["1.0.0"]}"#),
            false => {
                let challenge = format!("Bearer realm=\"http://{own}/token{query}\",service=\"r\"");
                response(401, &[("www-authenticate", &challenge)], "")
            }
        })
        .await;
        client(registry.host()).tags(&image(registry.host())).await.unwrap();
        let asked: Vec<String> = registry.seen().into_iter().map(|asked| asked.path).collect();
        let tokens: Vec<&String> = asked.iter().filter(|path| path.starts_with("/token")).collect();
        assert_eq!(tokens, [&format!("/token?{kept}{OURS}")], "{query}");
    }
}

#[tokio::test]
async fn no_credential_travels_over_http_to_another_machine() {
    let proxy = HttpFake::start(|asked, _| {
        assert_eq!(asked.header("authorization"), "", "{}", asked.path);
        response(401, &[("www-authenticate", "Basic realm=\"r\"")], "")
    })
    .await;
    let through = ProxySettings { url: format!("http://{}", proxy.host()), credentials: None };
    let settings = |credentials: Credentials, token_servers: &[&str]| RegistrySettings {
        credentials,
        plain_http: Some(true),
        insecure: false,
        token_servers: token_servers.iter().map(|host| (*host).to_owned()).collect(),
        transport: TransportSettings { proxy: Some(through.clone()), ..TransportSettings::default() },
    };
    let password = || Credentials::Password { user: "bot".to_owned(), password: "canary-6e1d".to_owned().into() };
    for credentials in [password(), Credentials::Ambient(Cloud::Google)] {
        let registries = BTreeMap::from([("r.example".to_owned(), settings(credentials, &[]))]);
        let error = OciRegistries::new(registries).unwrap().tags(&image("r.example")).await.unwrap_err();
        assert!(error.to_string().contains("r.example is reached over http, where everybody"), "{error}");
    }
    // Unless the operator says so, and a cloud's identity not even then.
    let refused = async |credentials: Credentials| {
        let settings = RegistrySettings { insecure: true, ..settings(credentials, &[]) };
        let registries = BTreeMap::from([("r.example".to_owned(), settings)]);
        let error = OciRegistries::new(registries).unwrap().tags(&image("r.example")).await.unwrap_err();
        error.to_string().contains("is reached over http")
    };
    assert!(!refused(password()).await && refused(Credentials::Ambient(Cloud::Google)).await);
    // Nor to a token server elsewhere, from a registry on this machine.
    let registry =
        HttpFake::start(|_, _| response(401, &[("www-authenticate", "Bearer realm=\"http://sso.example/token\"")], ""))
            .await;
    let mut own = settings(password(), &["sso.example"]);
    own.transport.proxy = None;
    let registries = BTreeMap::from([(registry.host().to_owned(), own)]);
    let error = OciRegistries::new(registries).unwrap().tags(&image(registry.host())).await.unwrap_err();
    assert!(error.to_string().contains("sso.example is reached over http, where everybody"), "{error}");
}

#[tokio::test]
async fn the_thief_would_have_noticed() {
    let thief = Thief::start();
    let host = format!("127.0.0.1:{}", thief.port);
    assert!(client(&host).tags(&image(&host)).await.is_err());
    assert_ne!(thief.connections(), 0);
}
