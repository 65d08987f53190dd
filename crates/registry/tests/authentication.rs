//! Who we are to a registry: passwords, tokens, Docker's configuration, against Debian's docker-registry and
//! against token servers that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use tagboat_model::{ImageName, Tag};
use tagboat_ports::{ManifestKind, Registry as _, RegistryError};
use tagboat_registry::{Credentials, Environment, OciRegistries, RegistrySettings};
use tagboat_testkit::{DockerRegistry, HttpFake, REGISTRY_PASSWORDS, REGISTRY_USER, TokenServer, response};

const SECRET: &str = "canary-token-5b7e";

fn client(host: &str, credentials: Credentials, token_server: Option<&TokenServer>) -> OciRegistries {
    let token_servers = token_server.map(TokenServer::host).into_iter().collect();
    let settings = RegistrySettings { credentials, token_servers, ..RegistrySettings::default() };
    OciRegistries::new(BTreeMap::from([(host.to_owned(), settings)])).unwrap()
}

fn image(host: &str, repository: &str) -> ImageName {
    format!("{host}/{repository}").parse().unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn password(password: &str) -> Credentials {
    Credentials::Password { user: REGISTRY_USER.to_owned(), password: password.to_owned().into() }
}

/// The error with all of its causes, as a log would show it.
fn whole(error: &RegistryError) -> String {
    format!("{error} {error:?}")
}

fn write_auth(folder: &Path, host: &str, password: &str) {
    let auth = STANDARD.encode(format!("{REGISTRY_USER}:{password}"));
    let text = format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#);
    std::fs::write(folder.join("config.json"), text).unwrap();
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_password_opens_a_real_registry_and_a_wrong_one_is_a_clear_error() {
    let registry = DockerRegistry::start_with_password();
    registry.push_image("acme/web", "1.4.0", "a").await;
    let (host, [first, second]) = (registry.host(), REGISTRY_PASSWORDS);
    let web = image(&host, "acme/web");
    assert_eq!(client(&host, password(first), None).tags(&web).await.unwrap(), [tag("1.4.0")]);
    let error = client(&host, password(second), None).tags(&web).await.unwrap_err();
    assert!(error.to_string().contains("does not accept the credential for this repository"), "{error}");
    assert!(!whole(&error).contains(second), "{error:?}");
    assert!(!format!("{:?}", password(second)).contains(second), "nor does anything else show it");
    let error = client(&host, Credentials::Anonymous, None).tags(&web).await.unwrap_err();
    assert!(error.to_string().contains("asks for a user name and password; add `registries`"), "{error}");
}

#[tokio::test]
async fn a_password_that_changes_in_the_file_is_read_again() {
    let registry = DockerRegistry::start_with_password();
    registry.push_image("acme/web", "1.4.0", "a").await;
    let (host, folder) = (registry.host(), tempfile::tempdir().unwrap());
    let file = Some(folder.path().join("config.json"));
    let (client, web) = (client(&host, Credentials::DockerConfig { file }, None), image(&host, "acme/web"));
    write_auth(folder.path(), &host, REGISTRY_PASSWORDS[0]);
    client.tags(&web).await.unwrap();
    registry.use_password(1);
    let error = client.tags(&web).await.unwrap_err();
    assert!(error.to_string().contains("does not accept the credential for this repository any more"), "{error}");
    write_auth(folder.path(), &host, REGISTRY_PASSWORDS[1]);
    client.tags(&web).await.unwrap();
}

#[tokio::test]
async fn one_exchange_serves_all_requests_about_one_repository_and_no_other() {
    let server = TokenServer::start();
    let registry = DockerRegistry::start_with_tokens(&server);
    let digest = registry.push_image("acme/web", "1.4.0", "a").await;
    registry.push_image("acme/api", "2.0.0", "b").await;
    server.set_password(REGISTRY_USER, SECRET);
    let host = registry.host();
    let (client, web) = (client(&host, password(SECRET), Some(&server)), image(&host, "acme/web"));
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&told);
    let client = client.with_token_watch(Box::new(move |outcome, _| note.lock().unwrap().push(outcome)));
    assert_eq!(client.tags(&web).await.unwrap(), [tag("1.4.0")]);
    let described = client.describe(&web, &tag("1.4.0")).await.unwrap().unwrap();
    assert_eq!((described.digest.as_str(), described.kind), (digest.as_str(), ManifestKind::Image));
    assert_eq!(client.digest(&web, &tag("9.9.9")).await.unwrap(), None);
    assert_eq!(server.exchanges(), ["repository:acme/web:pull"]);
    client.tags(&image(&host, "acme/api")).await.unwrap();
    client.tags(&web).await.unwrap();
    assert_eq!(server.exchanges(), ["repository:acme/web:pull", "repository:acme/api:pull"]);
    assert_eq!(server.refused(), 0);
    assert_eq!(*told.lock().unwrap(), ["answered", "answered"], "each exchange is told to whoever counts");
}

#[tokio::test]
async fn fifty_requests_at_once_make_one_exchange() {
    let server = TokenServer::start();
    let registry = DockerRegistry::start_with_tokens(&server);
    registry.push_image("acme/web", "1.4.0", "a").await;
    server.set_delay(Duration::from_millis(200));
    let host = registry.host();
    let (client, web) = (client(&host, Credentials::Anonymous, Some(&server)), image(&host, "acme/web"));
    let all = join_all((0..50).map(|_| client.tags(&web))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(server.exchanges().len(), 1);
}

#[tokio::test]
async fn a_token_that_ends_is_renewed_whatever_was_said_of_its_life() {
    let (hour, short) = (Duration::from_secs(3600), Duration::from_secs(2));
    for announced in [short, hour] {
        let server = TokenServer::start();
        let registry = DockerRegistry::start_with_tokens(&server);
        registry.push_image("acme/web", "1.4.0", "a").await;
        server.set_life(short, announced);
        let host = registry.host();
        let (client, web) = (client(&host, Credentials::Anonymous, Some(&server)), image(&host, "acme/web"));
        client.tags(&web).await.unwrap();
        tokio::time::sleep(Duration::from_millis(3200)).await;
        client.tags(&web).await.unwrap();
        assert_eq!(server.exchanges().len(), 2, "{announced:?}");
        // A token that is refused although it is new is the end of it.
        server.set_life(Duration::ZERO, hour);
        tokio::time::sleep(Duration::from_millis(3200)).await;
        let error = client.tags(&web).await.unwrap_err();
        assert!(error.to_string().contains("does not accept the credential for this repository"), "{error}");
        assert_eq!(server.exchanges().len(), 3, "{announced:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_said_clearly() {
    let server = TokenServer::start();
    let registry = DockerRegistry::start_with_tokens(&server);
    registry.push_image("acme/web", "1.4.0", "a").await;
    server.set_password(REGISTRY_USER, "another");
    let host = registry.host();
    let (client, web) = (client(&host, password(SECRET), Some(&server)), image(&host, "acme/web"));
    let error = client.tags(&web).await.unwrap_err();
    assert!(error.to_string().contains("does not accept the credential for"), "{error}");
    assert!(error.to_string().contains("status 401, UNAUTHORIZED"), "{error}");
    assert!(!whole(&error).contains(SECRET), "{error:?}");
    assert_eq!((server.refused(), server.exchanges().len()), (1, 0));
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_its_own_grant() {
    let server = TokenServer::start();
    let registry = DockerRegistry::start_with_tokens(&server);
    registry.push_image("acme/web", "1.4.0", "a").await;
    server.set_password(REGISTRY_USER, "another");
    server.set_refresh_token(SECRET);
    let (host, folder) = (registry.host(), tempfile::tempdir().unwrap());
    let text = format!(r#"{{"auths":{{"https://{host}":{{"auth":"Ym90Og==","identitytoken":"{SECRET}"}}}}}}"#);
    std::fs::write(folder.path().join("config.json"), text).unwrap();
    // By the default place, and as the default for registries: this one has an entry only for its token server.
    let settings = RegistrySettings {
        credentials: Credentials::DockerConfig { file: None },
        token_servers: vec![server.host()],
        ..RegistrySettings::default()
    };
    let client = OciRegistries::new(BTreeMap::from([(host.clone(), settings)]))
        .unwrap()
        .with_environment(environment(&[("DOCKER_CONFIG", folder.path().to_str().unwrap())]));
    client.tags(&image(&host, "acme/web")).await.unwrap();
    assert_eq!(server.exchanges(), ["repository:acme/web:pull"]);
}

#[tokio::test]
async fn a_helper_is_asked_again_when_its_credential_is_refused() {
    let server = TokenServer::start();
    let registry = DockerRegistry::start_with_tokens(&server);
    registry.push_image("acme/web", "1.4.0", "a").await;
    let (host, folder) = (registry.host(), tempfile::tempdir().unwrap());
    let (config, path) = (folder.path().join("config.json"), folder.path().to_str().unwrap());
    let helper = format!(
        "#!/bin/sh\necho x >> {path}/calls\n[ \"$(cat)\" = {host} ] && printf '{{\"Username\":\"bot\",\"Secret\":\"%s\"}}' \"$(cat {path}/secret)\"\n"
    );
    std::fs::write(folder.path().join("draft"), helper).unwrap();
    std::fs::set_permissions(folder.path().join("draft"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(folder.path().join("draft"), folder.path().join("docker-credential-test")).unwrap();
    std::fs::write(&config, format!(r#"{{"credHelpers":{{"{host}":"test"}}}}"#)).unwrap();
    let calls = || std::fs::read_to_string(folder.path().join("calls")).unwrap().lines().count();
    let client = client(&host, Credentials::DockerConfig { file: Some(config.clone()) }, Some(&server))
        .with_environment(environment(&[("PATH", &format!("{path}:/usr/bin:/bin"))]));

    let change = |secret: &str| {
        std::fs::write(folder.path().join("secret"), secret).unwrap();
        server.set_password("bot", secret);
    };
    change("first");
    client.tags(&image(&host, "acme/web")).await.unwrap();
    registry.push_image("acme/api", "1.0.0", "b").await;
    registry.push_image("acme/job", "1.0.0", "c").await;
    client.tags(&image(&host, "acme/api")).await.unwrap();
    assert_eq!(calls(), 1, "two exchanges at the same time need one look");
    change("second");
    client.tags(&image(&host, "acme/job")).await.unwrap();
    assert_eq!((calls(), server.refused()), (2, 1));
    server.set_password("bot", "third");
    registry.push_image("acme/new", "1.0.0", "d").await;
    let error = client.tags(&image(&host, "acme/new")).await.unwrap_err();
    assert!(error.to_string().contains("does not accept the credential for"), "{error}");
    assert_eq!((calls(), server.refused()), (3, 2), "the same password again is not tried again");
}

#[tokio::test]
async fn a_missing_default_file_means_nobody_and_every_other_trouble_names_the_file() {
    let fake = HttpFake::start(|asked, _| match asked.header("authorization") {
        "" => response(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
        _ => response(200, &[], r#"{"tags":["1.0.0"]}"#),
    })
    .await;
    let (folder, web) = (tempfile::tempdir().unwrap(), image(fake.host(), "acme/web"));
    let path = folder.path().to_str().unwrap();
    let default = || {
        client(fake.host(), Credentials::DockerConfig { file: None }, None)
            .with_environment(environment(&[("DOCKER_CONFIG", path)]))
    };
    let error = default().tags(&web).await.unwrap_err();
    assert!(error.to_string().contains("asks for a user name and password"), "{error}");
    write_auth(folder.path(), fake.host(), SECRET);
    assert_eq!(default().tags(&web).await.unwrap(), [tag("1.0.0")]);
    std::fs::write(folder.path().join("config.json"), SECRET).unwrap();
    let error = default().tags(&web).await.unwrap_err();
    assert!(error.to_string().contains(path) && !whole(&error).contains(SECRET), "{error:?}");
    let file = Some(folder.path().join("missing.json"));
    let error = client(fake.host(), Credentials::DockerConfig { file }, None).tags(&web).await.unwrap_err();
    assert!(error.to_string().contains("missing.json cannot be read"), "{error}");
}

#[tokio::test]
async fn an_error_of_the_token_server_says_what_it_was_and_nothing_secret() {
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (status, headers, body, text, wait) in [
        (429, vec![("retry-after", "7")], "", "asks us to wait (status 429)", Some(7)),
        (503, vec![("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), date], "", "answered with status 503", Some(60)),
        (500, vec![], SECRET, "answered with status 500", None),
        (403, vec![], r#"{"errors":[{"code":"DENIED"}]}"#, "does not let the credential read this repository", None),
        (400, vec![], r#"{"error":"invalid_grant"}"#, "does not accept the credential", None),
        (400, vec![], r#"{"error":"invalid_scope"}"#, "gives no token (status 400, invalid_scope)", None),
        (200, vec![], "canary-token-5b7e", "something else than a token", None),
        (200, vec![], r#"{"token":{"canary-token-5b7e":1}}"#, "something else than a token", None),
        (200, vec![], r#"{"token":""}"#, "without a usable token", None),
        (200, vec![], "{\"token\":\"canary-token-5b7e\\nx\"}", "without a usable token", None),
        (200, vec![], "{}", "without a usable token", None),
    ] {
        let fake = HttpFake::start(move |asked, own| match asked.path.starts_with("/token") {
            true => response(status, &headers, body),
            false => response(
                401,
                &[("www-authenticate", &format!("Bearer realm=\"http://{own}/token?hint={SECRET}\",service=\"r\""))],
                "",
            ),
        })
        .await;
        let client = client(fake.host(), password(SECRET), None);
        let error = client.tags(&image(fake.host(), "acme/web")).await.unwrap_err();
        assert!(error.to_string().contains(text), "{status}: {error}");
        assert!(!whole(&error).contains(SECRET), "{status}: {error:?}");
        assert_eq!(error.retry_after.map(|wait| wait.milliseconds() / 1000), wait, "{status}");
        let tries = if status == 500 { 3 } else { 1 };
        assert_eq!(fake.count("/token"), tries, "only what may pass soon is asked again: {status}");
    }
}

#[tokio::test]
async fn the_age_of_a_token_is_counted_by_the_clock_of_its_server() {
    for (issued, exchanges) in [("1994-11-06T08:49:07Z", 1), ("1994-11-06T07:49:37Z", 2), ("nonsense", 1)] {
        let fake = HttpFake::start(move |asked, own| {
            let body = format!(r#"{{"token":"t","expires_in":"300","issued_at":"{issued}"}}"#);
            match (asked.path.starts_with("/token"), asked.header("authorization")) {
                (true, _) => response(200, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], &body),
                (false, "Bearer t") => response(200, &[], r#"{"tags":["1.0.0"]}"#),
                _ => response(401, &[("www-authenticate", &format!("Bearer realm=\"http://{own}/token\""))], ""),
            }
        })
        .await;
        let client = client(fake.host(), Credentials::Anonymous, None);
        for _ in 0..2 {
            client.tags(&image(fake.host(), "acme/web")).await.unwrap();
        }
        assert_eq!(fake.count("/token"), exchanges, "{issued}");
    }
}
