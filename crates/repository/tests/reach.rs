//! How a Git server is reached over HTTP: own authorities, client certificates, proxies, redirects, passwords that change.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod common;

use std::sync::{Arc, Mutex};

use common::{FILES, basic, commit, head, landed, opened, push, settings};
use secrecy::SecretString;
use tagboat_ports::{Repository as _, RepositoryErrorKind};
use tagboat_repository::{Access, ClientCertificate, GitSettings, Password, ProxySettings};
use tagboat_testkit::{BareRepository, GitServer, HttpFake, TlsAuthority, response};
use tokio::net::{TcpListener, TcpStream};

/// TLS before a Git server. Returns the address.
async fn tls(authority: &TlsAuthority, insists: bool, behind: u16) -> String {
    let acceptor = authority.server(insists);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut server = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                // Either side may hang up first.
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    format!("https://127.0.0.1:{port}/config.git")
}

fn trusting(url: String, access: Access, authority: &TlsAuthority) -> GitSettings {
    let mut settings = settings(url, access);
    settings.address.transport.certificate_authorities = vec![authority.pem()];
    settings
}

#[tokio::test]
async fn own_authorities_are_trusted_and_no_others() {
    let (server, authority) = (BareRepository::with_files(&FILES), TlsAuthority::default());
    let git = GitServer::start(server.parent(), Some(("bot", "s3cret")));
    let url = tls(&authority, false, git.port()).await;
    let (repository, _folder) = opened(trusting(url.clone(), basic("s3cret"), &authority));
    let base = head(&repository).await;
    landed(push(&repository, &base, vec![commit("a.yaml", "image: web:2\n")]).await.unwrap());
    let (stranger, _folder) = opened(settings(url, basic("s3cret")));
    let error = stranger.head(&"main".parse().unwrap()).await.unwrap_err();
    assert!(error.detail.to_lowercase().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let (server, authority) = (BareRepository::with_files(&FILES), TlsAuthority::default());
    let git = GitServer::start(server.parent(), None);
    let url = tls(&authority, true, git.port()).await;
    let mut with = trusting(url, Access::Open, &authority);
    let (without, _folder) = opened(with.clone());
    let error = without.head(&"main".parse().unwrap()).await.unwrap_err();
    assert!(error.detail.to_lowercase().contains("certificate"), "{error}");
    let (chain, key) = authority.client();
    with.address.transport.client_certificate = Some(ClientCertificate { chain, key: key.into() });
    let (repository, _folder) = opened(with);
    assert_eq!(head(&repository).await, server.head());
}

#[tokio::test]
async fn a_proxy_gets_the_requests_and_its_own_password() {
    let proxy = HttpFake::start(|asked, _| {
        assert!(asked.path.starts_with("http://git.example/config.git/info/refs"), "{}", asked.path);
        assert_eq!(asked.headers["proxy-authorization"], "Basic dXNlcjpzM2NyZXQ=");
        response(404, &[], "")
    })
    .await;
    let mut through = settings("http://git.example/config.git".to_owned(), Access::Open);
    let credentials = Some(("user".to_owned(), "s3cret".to_owned().into()));
    through.address.transport.proxy = Some(ProxySettings { url: format!("http://{}", proxy.host()), credentials });
    assert!(!format!("{through:?}").contains("s3cret"));
    let (repository, _folder) = opened(through);
    let error = repository.head(&"main".parse().unwrap()).await.unwrap_err();
    assert!(error.detail.contains("no such repository") && proxy.paths().len() == 1, "{error}");
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let elsewhere = HttpFake::start(|_, _| response(200, &[], "")).await;
    let location = format!("http://somebody:canary@{}/moved.git/info/refs?service=git-upload-pack", elsewhere.host());
    let moved = HttpFake::start(move |_, _| response(301, &[("location", &location)], "")).await;
    let (repository, _folder) = opened(settings(format!("http://{}/config.git", moved.host()), basic("canary")));
    let error = repository.head(&"main".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind, RepositoryErrorKind::Permanent);
    assert!(error.detail.contains("points to") && error.detail.contains("/moved.git/info/refs;"), "{error}");
    assert!(elsewhere.paths().is_empty() && !format!("{error:?}").contains("canary"), "{error:?}");
}

#[tokio::test]
async fn answers_that_are_not_gits_are_errors_with_their_status() {
    for (status, kind, words) in [
        (401, RepositoryErrorKind::Permanent, "does not accept the credential"),
        (403, RepositoryErrorKind::Permanent, "does not accept the credential"),
        (404, RepositoryErrorKind::Permanent, "no such repository"),
        (429, RepositoryErrorKind::Temporary, "HTTP status 429"),
        (503, RepositoryErrorKind::Temporary, "HTTP status 503"),
        (200, RepositoryErrorKind::Temporary, "smart"),
    ] {
        let fake = HttpFake::start(move |_, _| response(status, &[], "<html>sign in</html>")).await;
        let (repository, _folder) = opened(settings(format!("http://{}/config.git", fake.host()), basic("canary")));
        let error = repository.head(&"main".parse().unwrap()).await.unwrap_err();
        assert!(error.kind == kind && error.detail.contains(words), "{status}: {error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn a_password_is_asked_for_with_each_connection() {
    let server = BareRepository::with_files(&FILES);
    let first = GitServer::start(server.parent(), Some(("bot", "old")));
    let password = Arc::new(Mutex::new("old".to_owned()));
    let source = Arc::clone(&password);
    let password_now = Password::from_source(move || Ok(SecretString::from(source.lock().unwrap().clone())));
    let access = Access::Basic { username: "bot".to_owned(), password: password_now, insecure: false };
    let (repository, _folder) = opened(settings(first.url(), access.clone()));
    head(&repository).await;
    "new".clone_into(&mut password.lock().unwrap());
    let error = repository.head(&"main".parse().unwrap()).await.unwrap_err();
    assert!(error.detail.contains("does not accept the credential"), "the server knows the old one alone: {error}");
    let second = GitServer::start(server.parent(), Some(("bot", "new")));
    let (repository, _folder) = opened(settings(second.url(), access));
    head(&repository).await;
    let none = Password::from_source(|| Err("config repository `config`: the file token cannot be read".to_owned()));
    let access = Access::Basic { username: "bot".to_owned(), password: none, insecure: false };
    let (repository, _folder) = opened(settings(second.url(), access));
    let error = repository.head(&"main".parse().unwrap()).await.unwrap_err();
    assert!(error.detail.contains("the file token cannot be read"), "{error}");
}
