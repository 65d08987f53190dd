//! Against Debian's docker-registry, and against registries that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    extract::Request,
    http::{HeaderMap, Response, StatusCode},
};
use tagboat_model::{ImageName, Tag};
use tagboat_ports::{ManifestKind, Registry as _};
use tagboat_registry::{OciRegistries, RegistrySettings};
use tagboat_testkit::DockerRegistry;

fn client(host: &str, settings: RegistrySettings) -> OciRegistries {
    OciRegistries::new(BTreeMap::from([(host.to_owned(), settings)])).unwrap()
}

fn image(host: &str) -> ImageName {
    format!("{host}/acme/web").parse().unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_real_registry_tells_digests_kinds_and_tags() {
    let registry = DockerRegistry::start(None);
    let single = registry.push_image("acme/web", "1.4.0", "commit-a").await;
    let index = registry.push_index("acme/web", "1.5.0", "commit-b").await;
    registry.push_chart("acme/web", "chart").await;
    let host = registry.host();
    let (client, web) = (client(&host, RegistrySettings::default()), image(&host));

    let described = client.describe(&web, &tag("1.4.0")).await.unwrap().unwrap();
    assert_eq!(
        (described.digest.as_str(), described.kind, described.revision.as_deref()),
        (single.as_str(), ManifestKind::Image, Some("commit-a"))
    );
    let described = client.describe(&web, &tag("1.5.0")).await.unwrap().unwrap();
    assert_eq!((described.digest.as_str(), described.kind), (index.as_str(), ManifestKind::Image));
    assert_eq!(client.digest(&web, &tag("1.5.0")).await.unwrap().unwrap().as_str(), index);
    assert!(matches!(client.describe(&web, &tag("chart")).await.unwrap().unwrap().kind, ManifestKind::Other { .. }));

    assert_eq!(client.describe(&web, &tag("9.9.9")).await.unwrap(), None);
    assert_eq!(client.digest(&web, &tag("9.9.9")).await.unwrap(), None);
    let mut tags = client.tags(&web).await.unwrap();
    tags.sort();
    assert_eq!(tags, [tag("1.4.0"), tag("1.5.0"), tag("chart")]);
    let nothing: ImageName = format!("{host}/acme/nothing").parse().unwrap();
    assert!(client.tags(&nothing).await.is_err(), "an unknown repository is not an empty one");
}

/// A registry made of a function; it remembers what it was asked.
struct Fake {
    host: String,
    seen: Arc<Mutex<Vec<(String, HeaderMap)>>>,
}

impl Fake {
    async fn start(answer: impl Fn(&str, &HeaderMap, &str) -> Response<String> + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, own, answer) = (Arc::clone(&seen), host.clone(), Arc::new(answer));
        let router = axum::Router::new().fallback(move |request: Request| {
            let (log, own, answer) = (Arc::clone(&log), own.clone(), Arc::clone(&answer));
            async move {
                let path = request.uri().to_string();
                log.lock().unwrap().push((path.clone(), request.headers().clone()));
                answer(&path, request.headers(), &own)
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { host, seen }
    }

    fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    fn sent_credentials(&self) -> bool {
        self.seen.lock().unwrap().iter().any(|(_, headers)| headers.contains_key("authorization"))
    }
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response<String> {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.to_owned()).unwrap()
}

fn with_password() -> RegistrySettings {
    RegistrySettings {
        credentials: Some(("bot".to_owned(), "s3cret".to_owned().into())),
        ..RegistrySettings::default()
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_and_used_again() {
    let fake = Fake::start(|path, headers, own| {
        if path.starts_with("/token") {
            assert!(headers["authorization"].to_str().unwrap().starts_with("Basic "));
            return response(200, &[], r#"{"token":"t","expires_in":300}"#);
        }
        match headers.get("authorization").map(|value| value.to_str().unwrap()) {
            Some("Bearer t") => response(200, &[], r#"{"name":"acme/web","tags":["1.0.0"]}"#),
            _ => response(
                401,
                &[("www-authenticate", &format!("Bearer realm=\"http://{own}/token\",service=\"r\""))],
                "",
            ),
        }
    })
    .await;
    let client = client(&fake.host, with_password());
    client.tags(&image(&fake.host)).await.unwrap();
    client.tags(&image(&fake.host)).await.unwrap();
    let list = "/v2/acme/web/tags/list?n=1000";
    assert_eq!(fake.paths(), [list, "/token?scope=repository%3Aacme%2Fweb%3Apull&service=r", list, list]);
}

#[tokio::test]
async fn credentials_never_follow_a_realm_or_a_redirect_elsewhere() {
    let thief = Fake::start(|_, _, _| response(200, &[], r#"{"token":"t"}"#)).await;
    let realm = format!("Bearer realm=\"http://{}/token\"", thief.host);
    let fake = Fake::start(move |_, _, _| response(401, &[("www-authenticate", &realm)], "")).await;
    let error = client(&fake.host, with_password()).tags(&image(&fake.host)).await.unwrap_err();
    assert!(error.to_string().contains("not one of its token servers"), "{error}");
    assert!(thief.paths().is_empty());

    let target = format!("http://{}/blob", thief.host);
    let config = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let fake = Fake::start(move |path, headers, _| {
        if !headers.contains_key("authorization") {
            return response(401, &[("www-authenticate", "Basic realm=\"r\"")], "");
        }
        if path.contains("/blobs/") {
            return response(307, &[("location", &target)], "");
        }
        response(200, &[], &format!(r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[]}}"#))
    })
    .await;
    let error = client(&fake.host, with_password()).describe(&image(&fake.host), &tag("1")).await.unwrap_err();
    assert!(error.to_string().contains("other content than its digest says"), "{error}");
    assert_eq!((thief.paths(), thief.sent_credentials()), (vec!["/blob".to_owned()], false));
}

#[tokio::test]
async fn a_list_is_complete_or_an_error() {
    let paged = Fake::start(|path, _, _| match path.contains("last=b") {
        false => {
            response(200, &[("link", "</v2/acme/web/tags/list?last=b&n=2>; rel=\"next\"")], r#"{"tags":["a","b"]}"#)
        }
        true => response(200, &[], r#"{"tags":["c","not a tag"]}"#),
    })
    .await;
    let tags = client(&paged.host, RegistrySettings::default()).tags(&image(&paged.host)).await.unwrap();
    assert_eq!(tags, [tag("a"), tag("b"), tag("c")]);

    let endless =
        Fake::start(|_, _, _| response(200, &[("link", "</x?n=1>; rel=\"next\"")], r#"{"tags":["a"]}"#)).await;
    assert!(client(&endless.host, RegistrySettings::default()).tags(&image(&endless.host)).await.is_err());
    let broken = Fake::start(|path, _, _| match path.contains("last=b") {
        false => response(200, &[("link", "</x?last=b>; rel=\"next\"")], r#"{"tags":["a","b"]}"#),
        true => response(500, &[], ""),
    })
    .await;
    assert!(client(&broken.host, RegistrySettings::default()).tags(&image(&broken.host)).await.is_err());
}

#[tokio::test]
async fn an_outage_is_never_an_absent_tag() {
    for (status, wait) in [(429, Some(7)), (500, None), (503, Some(7)), (401, None), (403, None)] {
        let fake = Fake::start(move |_, _, _| response(status, &[("retry-after", "7")], "")).await;
        let error =
            client(&fake.host, RegistrySettings::default()).describe(&image(&fake.host), &tag("1")).await.unwrap_err();
        if let Some(seconds) = wait {
            assert_eq!(error.retry_after.unwrap().milliseconds(), seconds * 1000, "{status}");
        }
    }
    let down = format!("127.0.0.1:{}", tagboat_testkit::free_port());
    let error = client(&down, RegistrySettings::default()).digest(&image(&down), &tag("1")).await.unwrap_err();
    assert!(error.to_string().contains("could not be reached"), "{error}");
    let wrong =
        Fake::start(|_, _, _| response(200, &[("docker-content-digest", &format!("sha256:{}", "0".repeat(64)))], "{}"))
            .await;
    let error =
        client(&wrong.host, RegistrySettings::default()).describe(&image(&wrong.host), &tag("1")).await.unwrap_err();
    assert!(error.to_string().contains("other content"), "{error}");
}
