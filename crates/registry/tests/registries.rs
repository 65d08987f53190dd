//! Against Debian's docker-registry, and against registries that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::collections::BTreeMap;

use tagboat_model::{ImageName, Tag};
use tagboat_ports::{ManifestKind, Registry as _};
use tagboat_registry::{Credentials, OciRegistries, RegistrySettings};
use tagboat_testkit::{DockerRegistry, FakeRegistry, response};

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

fn with_password() -> RegistrySettings {
    RegistrySettings {
        credentials: Credentials::Password { user: "bot".to_owned(), password: "s3cret".to_owned().into() },
        ..RegistrySettings::default()
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_and_used_again() {
    let fake = FakeRegistry::start(|path, headers, own| {
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
    let thief = FakeRegistry::start(|_, _, _| response(200, &[], r#"{"token":"t"}"#)).await;
    let realm = format!("Bearer realm=\"http://{}/token\"", thief.host);
    let fake = FakeRegistry::start(move |_, _, _| response(401, &[("www-authenticate", &realm)], "")).await;
    let error = client(&fake.host, with_password()).tags(&image(&fake.host)).await.unwrap_err();
    assert!(error.to_string().contains("not one of its token servers"), "{error}");
    assert!(thief.paths().is_empty());

    let target = format!("http://{}/blob", thief.host);
    let config = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let fake = FakeRegistry::start(move |path, headers, _| {
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
    assert_eq!((thief.paths(), thief.paths_with_credentials()), (vec!["/blob".to_owned()], Vec::new()));
}

#[tokio::test]
async fn a_list_is_complete_or_an_error() {
    let paged = FakeRegistry::start(|path, _, _| match path.contains("last=b") {
        false => {
            response(200, &[("link", "</v2/acme/web/tags/list?last=b&n=2>; rel=\"next\"")], r#"{"tags":["a","b"]}"#)
        }
        true => response(200, &[], r#"{"tags":["c","not a tag"]}"#),
    })
    .await;
    let tags = client(&paged.host, RegistrySettings::default()).tags(&image(&paged.host)).await.unwrap();
    assert_eq!(tags, [tag("a"), tag("b"), tag("c")]);

    let endless =
        FakeRegistry::start(|_, _, _| response(200, &[("link", "</x?n=1>; rel=\"next\"")], r#"{"tags":["a"]}"#)).await;
    assert!(client(&endless.host, RegistrySettings::default()).tags(&image(&endless.host)).await.is_err());
    let broken = FakeRegistry::start(|path, _, _| match path.contains("last=b") {
        false => response(200, &[("link", "</x?last=b>; rel=\"next\"")], r#"{"tags":["a","b"]}"#),
        true => response(500, &[], ""),
    })
    .await;
    assert!(client(&broken.host, RegistrySettings::default()).tags(&image(&broken.host)).await.is_err());
}

#[tokio::test]
async fn an_outage_is_never_an_absent_tag() {
    for (status, wait) in [(429, Some(7)), (500, None), (503, Some(7)), (401, None), (403, None)] {
        let fake = FakeRegistry::start(move |_, _, _| response(status, &[("retry-after", "7")], "")).await;
        let error =
            client(&fake.host, RegistrySettings::default()).describe(&image(&fake.host), &tag("1")).await.unwrap_err();
        if let Some(seconds) = wait {
            assert_eq!(error.retry_after.unwrap().milliseconds(), seconds * 1000, "{status}");
        }
    }
    let down = format!("127.0.0.1:{}", tagboat_testkit::free_port());
    let error = client(&down, RegistrySettings::default()).digest(&image(&down), &tag("1")).await.unwrap_err();
    assert!(error.to_string().contains("could not be reached"), "{error}");
    let wrong = FakeRegistry::start(|_, _, _| {
        response(200, &[("docker-content-digest", &format!("sha256:{}", "0".repeat(64)))], "{}")
    })
    .await;
    let error =
        client(&wrong.host, RegistrySettings::default()).describe(&image(&wrong.host), &tag("1")).await.unwrap_err();
    assert!(error.to_string().contains("other content"), "{error}");
}
