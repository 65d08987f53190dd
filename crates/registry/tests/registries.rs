//! Against Debian's docker-registry, and against registries that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tagboat_model::{ImageName, Tag};
use tagboat_ports::{ManifestDescription, ManifestKind, Registry as _};
use tagboat_registry::{Credentials, OciRegistries, RegistrySettings};
use tagboat_testkit::{DockerRegistry, HttpFake, response};

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
    let fake = HttpFake::start(|asked, own| {
        if asked.path.starts_with("/token") {
            assert!(asked.headers["authorization"].to_str().unwrap().starts_with("Basic "));
            return response(200, &[], r#"{"token":"t","expires_in":300}"#);
        }
        match asked.headers.get("authorization").map(|value| value.to_str().unwrap()) {
            Some("Bearer t") => response(200, &[], r#"{"name":"acme/web","tags":["1.0.0"]}"#),
            _ => response(
                401,
                &[("www-authenticate", &format!("Bearer realm=\"http://{own}/token\",service=\"r\""))],
                "",
            ),
        }
    })
    .await;
    let client = client(fake.host(), with_password());
    client.tags(&image(fake.host())).await.unwrap();
    client.tags(&image(fake.host())).await.unwrap();
    let list = "/v2/acme/web/tags/list?n=1000";
    assert_eq!(fake.paths(), [list, "/token?scope=repository%3Aacme%2Fweb%3Apull&service=r", list, list]);
}

#[tokio::test]
async fn credentials_never_follow_a_realm_or_a_redirect_elsewhere() {
    let thief = HttpFake::start(|_, _| response(200, &[], r#"{"token":"t"}"#)).await;
    let realm = format!("Bearer realm=\"http://{}/token\"", thief.host());
    let fake = HttpFake::start(move |_, _| response(401, &[("www-authenticate", &realm)], "")).await;
    let error = client(fake.host(), with_password()).tags(&image(fake.host())).await.unwrap_err();
    assert!(error.to_string().contains("not one of its token servers"), "{error}");
    assert!(thief.paths().is_empty());

    let target = format!("http://{}/blob", thief.host());
    let config = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let fake = HttpFake::start(move |asked, _| {
        if !asked.headers.contains_key("authorization") {
            return response(401, &[("www-authenticate", "Basic realm=\"r\"")], "");
        }
        if asked.path.contains("/blobs/") {
            return response(307, &[("location", &target)], "");
        }
        response(200, &[], &format!(r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[]}}"#))
    })
    .await;
    let error = client(fake.host(), with_password()).describe(&image(fake.host()), &tag("1")).await.unwrap_err();
    assert!(error.to_string().contains("other content than its digest says"), "{error}");
    assert_eq!((thief.paths(), thief.paths_with_credentials()), (vec!["/blob".to_owned()], Vec::new()));
}

#[tokio::test]
async fn a_list_is_complete_or_an_error() {
    let paged = HttpFake::start(|asked, _| match asked.path.contains("last=b") {
        false => {
            response(200, &[("link", "</v2/acme/web/tags/list?last=b&n=2>; rel=\"next\"")], r#"{"tags":["a","b"]}"#)
        }
        true => response(200, &[], r#"{"tags":["c","not a tag"]}"#),
    })
    .await;
    let tags = client(paged.host(), RegistrySettings::default()).tags(&image(paged.host())).await.unwrap();
    assert_eq!(tags, [tag("a"), tag("b"), tag("c")]);

    let endless =
        HttpFake::start(|_, _| response(200, &[("link", "</x?n=1>; rel=\"next\"")], r#"{"tags":["a"]}"#)).await;
    assert!(client(endless.host(), RegistrySettings::default()).tags(&image(endless.host())).await.is_err());
    let broken = HttpFake::start(|asked, _| match asked.path.contains("last=b") {
        false => response(200, &[("link", "</x?last=b>; rel=\"next\"")], r#"{"tags":["a","b"]}"#),
        true => response(500, &[], ""),
    })
    .await;
    assert!(client(broken.host(), RegistrySettings::default()).tags(&image(broken.host())).await.is_err());
}

#[tokio::test]
async fn an_outage_is_never_an_absent_tag() {
    for (status, wait) in [(429, Some(7)), (500, None), (503, Some(7)), (401, None), (403, None)] {
        let fake = HttpFake::start(move |_, _| response(status, &[("retry-after", "7")], "")).await;
        let error = client(fake.host(), RegistrySettings::default())
            .describe(&image(fake.host()), &tag("1"))
            .await
            .unwrap_err();
        if let Some(seconds) = wait {
            assert_eq!(error.retry_after.unwrap().milliseconds(), seconds * 1000, "{status}");
        }
    }
    let down = format!("127.0.0.1:{}", tagboat_testkit::free_port());
    let error = client(&down, RegistrySettings::default()).digest(&image(&down), &tag("1")).await.unwrap_err();
    assert!(error.to_string().contains("could not be reached"), "{error}");
    let wrong = HttpFake::start(|_, _| {
        response(200, &[("docker-content-digest", &format!("sha256:{}", "0".repeat(64)))], "{}")
    })
    .await;
    let error =
        client(wrong.host(), RegistrySettings::default()).describe(&image(wrong.host()), &tag("1")).await.unwrap_err();
    assert!(error.to_string().contains("other content"), "{error}");
}

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

fn digest_of(text: &str) -> String {
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// What a registry says of an index whose annotations tell everything and whose one child is this, or is not there.
async fn described_index(child: Option<&str>) -> ManifestDescription {
    let digest = digest_of(child.unwrap_or("gone"));
    let (there, index) = (
        child.map(str::to_owned),
        format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{IMAGE}","digest":"{digest}","size":2,"platform":{{"os":"linux","architecture":"amd64"}}}}],"annotations":{{"org.opencontainers.image.revision":"abc","org.opencontainers.image.created":"2024-01-02T03:04:05Z"}}}}"#
        ),
    );
    let fake = HttpFake::start(move |asked, _| match (asked.path.ends_with("/1"), &there) {
        (true, _) => response(200, &[], &index),
        (false, Some(child)) if asked.path.contains("/manifests/") => response(200, &[], child),
        _ => response(404, &[("content-type", "application/json")], "{}"),
    })
    .await;
    let client = client(fake.host(), RegistrySettings::default());
    client.describe(&image(fake.host()), &tag("1")).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_index_is_an_image_only_with_an_image_that_is_there() {
    let config = |kind: &str| {
        let config = format!(r#"{{"mediaType":"{kind}","digest":"{}","size":2}}"#, digest_of("{}"));
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#)
    };
    let good = described_index(Some(&config("application/vnd.oci.image.config.v1+json"))).await;
    assert_eq!((good.kind, good.platforms.len(), good.revision.as_deref()), (ManifestKind::Image, 1, Some("abc")));

    let gone = described_index(None).await;
    let detail = format!("the index names {} for linux/amd64, which the registry does not have", digest_of("gone"));
    assert_eq!(gone.kind, ManifestKind::Incomplete { detail });

    let charts = described_index(Some(&config("application/vnd.cncf.helm.config.v1+json"))).await;
    let detail = "an index of something else: an artifact with a configuration of type \
                  `application/vnd.cncf.helm.config.v1+json`";
    assert_eq!((charts.kind, charts.platforms), (ManifestKind::Other { detail: detail.to_owned() }, Vec::new()));
}

#[tokio::test]
async fn only_registries_are_believed_that_a_tag_is_not_there() {
    for (kind, words) in [
        ("text/html", "a page for people"),
        ("Text/HTML; charset=utf-8", "a page for people"),
        ("application/json", ""),
        ("text/plain", ""),
    ] {
        let fake = HttpFake::start(move |_, _| response(404, &[("content-type", kind)], "")).await;
        let client = client(fake.host(), RegistrySettings::default());
        let answer = client.describe(&image(fake.host()), &tag("1")).await;
        match words {
            "" => assert_eq!(answer.unwrap(), None, "{kind}"),
            words => assert!(answer.unwrap_err().to_string().contains(words), "{kind}"),
        }
    }
    // Where a registry sends us to another one, that one says it in the words of registries.
    let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such tag"}]}"#;
    let region = HttpFake::start(move |_, _| response(404, &[("content-type", "application/json")], unknown)).await;
    let target = format!("http://{}/x", region.host());
    let fake = HttpFake::start(move |_, _| response(307, &[("location", &target)], "")).await;
    let client_of_region = client(fake.host(), RegistrySettings::default());
    assert_eq!(client_of_region.describe(&image(fake.host()), &tag("1")).await.unwrap(), None);
    for (status, words) in [
        (404, "only a registry is believed that something is not there"),
        (403, "which refuses the request (status 403)"),
        (401, "which refuses the request (status 401)"),
    ] {
        let store = HttpFake::start(move |_, _| response(status, &[], "")).await;
        let target = format!("http://{}/x", store.host());
        let fake = HttpFake::start(move |_, _| response(307, &[("location", &target)], "")).await;
        let client = client(fake.host(), RegistrySettings::default());
        for error in [
            client.describe(&image(fake.host()), &tag("1")).await.unwrap_err(),
            client.digest(&image(fake.host()), &tag("1")).await.unwrap_err(),
            client.tags(&image(fake.host())).await.unwrap_err(),
        ] {
            let whole = error.to_string();
            assert!(whole.contains(words) && whole.contains(store.host()), "{whole}");
        }
    }
}
