//! Where connections may lead: private networks, redirects, proxies; and who is trusted there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tagboat_model::{Digest, ImageName, Tag};
use tagboat_ports::Registry as _;
use tagboat_registry::{
    ClientCertificate, Credentials, OciRegistries, ProxySettings, RegistrySettings, TransportSettings,
};
use tagboat_testkit::{HttpFake, TlsAuthority, response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn client(host: &str, settings: RegistrySettings) -> OciRegistries {
    OciRegistries::new(BTreeMap::from([(host.to_owned(), settings)])).unwrap()
}

fn image(host: &str) -> ImageName {
    format!("{host}/acme/web").parse().unwrap()
}

/// The error of listing tags, with its causes.
async fn refusal(client: &OciRegistries, host: &str) -> String {
    let error = client.tags(&image(host)).await.unwrap_err();
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

const LIST: &str = r#"{"tags":["1.0.0"]}"#;

#[tokio::test]
async fn private_addresses_are_reached_only_where_configuration_says_so() {
    let fake = HttpFake::start(|_, _| response(200, &[], LIST)).await;
    let port = fake.host().rsplit_once(':').unwrap().1.to_owned();
    let nobody = OciRegistries::new(BTreeMap::new()).unwrap();
    for host in [
        fake.host().to_owned(),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        format!("127.1:{port}"),
        format!("0x7f.0.0.1:{port}"),
        "10.0.0.1".to_owned(),
        "169.254.169.254".to_owned(),
    ] {
        let error = refusal(&nobody, &host).await;
        assert!(error.contains("is an address of a private network; if that is meant, list"), "{host}: {error}");
    }
    assert_eq!(fake.paths(), [""; 0]);
    for host in [fake.host().to_owned(), format!("localhost:{port}")] {
        client(&host, RegistrySettings::default()).tags(&image(&host)).await.unwrap();
    }
    // Only the usual spellings count as this machine by themselves.
    let host = format!("127.0.0.2:{port}");
    let plain = RegistrySettings { plain_http: Some(true), ..RegistrySettings::default() };
    assert!(refusal(&client(&host, plain.clone()), &host).await.contains("private network"));
    let transport = TransportSettings { private_network: true, ..TransportSettings::default() };
    let error = refusal(&client(&host, RegistrySettings { transport, ..plain }), &host).await;
    assert!(error.contains("could not be reached"), "the server listens elsewhere: {error}");
}

#[tokio::test]
async fn a_registry_cannot_send_us_into_private_networks() {
    for target in [
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/x",
        "http://2852039166/x",
        "http://[fd00::1]/x",
        "http://[::ffff:10.0.0.1]/x",
        "http://0.0.0.0/x",
    ] {
        let fake = HttpFake::start(move |_, _| response(307, &[("location", target)], "")).await;
        let error = refusal(&client(fake.host(), RegistrySettings::default()), fake.host()).await;
        assert!(error.contains("is an address of a private network"), "{target}: {error}");
    }
    let realm = "Bearer realm=\"https://169.254.169.254/token\"";
    let fake = HttpFake::start(move |_, _| response(401, &[("www-authenticate", realm)], "")).await;
    let settings =
        RegistrySettings { token_servers: vec!["169.254.169.254".to_owned()], ..RegistrySettings::default() };
    let error = refusal(&client(fake.host(), settings), fake.host()).await;
    assert!(error.contains("is an address of a private network"), "{error}");
}

fn with_password() -> RegistrySettings {
    RegistrySettings {
        credentials: Credentials::Password { user: "bot".to_owned(), password: "s3cret".to_owned().into() },
        ..RegistrySettings::default()
    }
}

#[tokio::test]
async fn credentials_follow_a_redirect_only_within_the_registry_itself() {
    let back = HttpFake::start(|asked, _| {
        let registry = asked.path.split("to=").nth(1).unwrap();
        response(302, &[("location", &format!("http://{registry}/returned"))], "")
    })
    .await;
    let elsewhere = back.host().to_owned();
    let fake = HttpFake::start(move |asked, own| {
        if asked.path == "/moved" || asked.path == "/returned" {
            return response(200, &[], LIST);
        }
        if !asked.headers.contains_key("authorization") {
            return response(401, &[("www-authenticate", "Basic realm=\"r\"")], "");
        }
        let target = match asked.path.contains("/web/") {
            true => "/moved".to_owned(),
            false => format!("http://{elsewhere}/?to={own}"),
        };
        response(307, &[("location", &target)], "")
    })
    .await;
    let client = client(fake.host(), with_password());
    client.tags(&image(fake.host())).await.unwrap();
    client.tags(&format!("{}/acme/other", fake.host()).parse().unwrap()).await.unwrap();
    let with = fake.paths_with_credentials();
    assert!(with.contains(&"/moved".to_owned()) && !with.contains(&"/returned".to_owned()), "{with:?}");
    assert!(fake.paths().contains(&"/returned".to_owned()));
    assert_eq!(back.paths_with_credentials(), [""; 0]);
}

#[tokio::test]
async fn redirects_are_few_and_lead_to_no_strange_place() {
    let fake = HttpFake::start(|asked, _| {
        let hops: u32 = asked.path.strip_prefix("/hop/").map_or(0, |n| n.parse().unwrap());
        response(307, &[("location", &format!("/hop/{}", hops + 1))], "")
    })
    .await;
    let error = refusal(&client(fake.host(), RegistrySettings::default()), fake.host()).await;
    assert!(error.contains("redirects without end"), "{error}");
    assert_eq!(fake.paths().len(), 4);
    for target in ["ftp://r.example/x", "file:///etc/passwd", "https://bot:pw@r.example/x", "https://"] {
        let fake = HttpFake::start(move |_, _| response(302, &[("location", target)], "")).await;
        let error = refusal(&client(fake.host(), RegistrySettings::default()), fake.host()).await;
        assert!(error.contains("redirects to a place that is not https"), "{target}: {error}");
    }
}

#[tokio::test]
async fn a_proxy_gets_the_requests_of_its_registry_and_its_own_password() {
    let proxy = HttpFake::start(|asked, _| {
        assert!(asked.path.starts_with("http://r.example/v2/"), "{}", asked.path);
        assert_eq!(asked.headers["proxy-authorization"], "Basic dXNlcjpzM2NyZXQ=");
        response(200, &[], LIST)
    })
    .await;
    let through = ProxySettings {
        url: format!("http://{}", proxy.host()),
        credentials: Some(("user".to_owned(), "s3cret".to_owned().into())),
    };
    let transport = TransportSettings { proxy: Some(through), ..TransportSettings::default() };
    let settings = RegistrySettings { plain_http: Some(true), transport, ..RegistrySettings::default() };
    client("r.example", settings.clone()).tags(&image("r.example")).await.unwrap();
    assert_eq!(proxy.paths().len(), 1);
    assert!(!format!("{settings:?}").contains("s3cret"));
    // Addresses in URLs are checked all the same.
    assert!(refusal(&client("10.0.0.1", settings), "10.0.0.1").await.contains("private network"));
    assert_eq!(proxy.paths().len(), 1);
}

/// Of each request, whether its client showed a certificate.
type Shown = Arc<Mutex<Vec<bool>>>;

/// A server with a certificate of the authority, which asks its clients for one and may insist on it. `answer` makes
/// the head of an answer and its body of the head of a request.
async fn server_with_tls(
    authority: &TlsAuthority,
    insists: bool,
    answer: impl Fn(&str) -> (String, String) + Send + Sync + 'static,
) -> (String, Shown) {
    let acceptor = authority.server(insists);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (shown, answer) = (Shown::default(), Arc::new(answer));
    let log = Arc::clone(&shown);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, log, answer) = (acceptor.clone(), Arc::clone(&log), Arc::clone(&answer));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 4096];
                let length = stream.read(&mut request).await.unwrap_or_default();
                log.lock().unwrap().push(stream.get_ref().1.peer_certificates().is_some());
                let (head, body) = answer(&String::from_utf8_lossy(&request[..length]));
                let rest = format!("connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(format!("HTTP/1.1 {head}\r\n{rest}").as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (host, shown)
}

fn list() -> (String, String) {
    ("200 OK".to_owned(), LIST.to_owned())
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_the_registry_alone() {
    let authority = TlsAuthority::default();
    let (elsewhere, shown_elsewhere) = server_with_tls(&authority, false, |request| match request.contains("/token") {
        true => ("200 OK".to_owned(), r#"{"token":"t"}"#.to_owned()),
        false => list(),
    })
    .await;
    let other = elsewhere.clone();
    let (host, shown) = server_with_tls(&authority, false, move |request| {
        let is_in = request.to_ascii_lowercase().contains("authorization: bearer t");
        match (is_in, request.starts_with("GET /v2/acme/web")) {
            (false, _) => {
                let challenge = format!("Bearer realm=\"https://{other}/token\"");
                (format!("401 Unauthorized\r\nwww-authenticate: {challenge}"), String::new())
            }
            (true, true) => (format!("307 Moved\r\nlocation: https://{other}/list"), String::new()),
            (true, false) => list(),
        }
    })
    .await;
    let (chain, key) = authority.client();
    let transport = TransportSettings {
        certificate_authorities: vec![authority.pem()],
        client_certificate: Some(ClientCertificate { chain, key: key.into() }),
        ..TransportSettings::default()
    };
    let token_servers = vec![elsewhere];
    let settings =
        RegistrySettings { plain_http: Some(false), token_servers, transport, ..RegistrySettings::default() };
    client(&host, settings).tags(&image(&host)).await.unwrap();
    assert_eq!(*shown.lock().unwrap(), [true, true]);
    assert_eq!(*shown_elsewhere.lock().unwrap(), [false, false], "the token and the redirect");
}

#[tokio::test]
async fn own_authorities_and_client_certificates_are_used_by_their_registry() {
    let authority = TlsAuthority::default();
    let (host, _) = server_with_tls(&authority, true, |_| list()).await;
    let (chain, key) = authority.client();
    let settings = |trusts: bool, identity: Option<String>| {
        let transport = TransportSettings {
            certificate_authorities: if trusts { vec![authority.pem()] } else { Vec::new() },
            client_certificate: identity.map(|key| ClientCertificate { chain: chain.clone(), key: key.into() }),
            ..TransportSettings::default()
        };
        RegistrySettings { plain_http: Some(false), transport, ..RegistrySettings::default() }
    };
    client(&host, settings(true, Some(key.clone()))).tags(&image(&host)).await.unwrap();
    let error = refusal(&client(&host, settings(false, Some(key))), &host).await;
    assert!(error.contains("could not be reached") && error.to_lowercase().contains("certificate"), "{error}");
    refusal(&client(&host, settings(true, None)), &host).await;

    let other = TlsAuthority::default().client().1;
    let wrong = BTreeMap::from([(host.clone(), settings(true, Some(other)))]);
    let error = OciRegistries::new(wrong).err().unwrap().to_string();
    assert_eq!(error, format!("registry `{host}`: the client certificate and its key do not belong together"));
}

#[tokio::test]
async fn a_redirect_tells_the_digest_too() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let sent = digest.clone();
    let fake = HttpFake::start(move |asked, _| match asked.path.as_str() {
        "/region" => response(200, &[("docker-content-digest", &sent)], ""),
        _ => response(307, &[("location", "/region")], ""),
    })
    .await;
    let (client, tag): (_, Tag) = (client(fake.host(), RegistrySettings::default()), "1".parse().unwrap());
    let found = client.digest(&image(fake.host()), &tag).await.unwrap();
    assert_eq!(found, Some(digest.parse::<Digest>().unwrap()));
}
