//! The identity of a machine at a cloud, against fakes of the vendors' endpoints that check what they are asked as
//! the vendors document it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{collections::BTreeMap, time::Duration};

use axum::http::Response;
use tagboat_model::ImageName;
use tagboat_ports::Registry as _;
use tagboat_registry::{Cloud, Credentials, Environment, OciRegistries, RegistrySettings, ambient_credential};
use tagboat_testkit::{Asked, HttpFake, response};

const SECRET: &str = "canary-ambient-3c90";
const AUDIENCE: &str = "https://containerregistry.azure.net";

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What was sent as a form or in the query, decoded.
fn parameters(asked: &Asked) -> BTreeMap<String, String> {
    let text = asked.path.split_once('?').map_or(asked.body.as_str(), |(_, query)| query);
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).unwrap()
}

fn from_cloud(host: &str, cloud: Cloud, environment: Environment) -> OciRegistries {
    let settings = RegistrySettings { credentials: Credentials::Ambient(cloud), ..RegistrySettings::default() };
    OciRegistries::new(BTreeMap::from([(host.to_owned(), settings)])).unwrap().with_environment(environment)
}

/// A registry that wants this password with every request.
async fn registry(user: &'static str) -> HttpFake {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let wanted = format!("Basic {}", STANDARD.encode(format!("{user}:{SECRET}")));
    HttpFake::start(move |asked, _| match asked.path.as_str() {
        "/oauth2/exchange" => exchange(asked),
        _ if asked.header("authorization") == wanted => response(200, &[], r#"{"tags":["1.0.0"]}"#),
        _ => response(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
    })
    .await
}

async fn google_metadata() -> HttpFake {
    HttpFake::start(|asked, _| {
        let right = asked.path == "/computeMetadata/v1/instance/service-accounts/default/token";
        match (right && asked.method == "GET", asked.header("metadata-flavor")) {
            (true, "Google") => {
                let body = format!(r#"{{"access_token":"{SECRET}","expires_in":3599,"token_type":"Bearer"}}"#);
                response(200, &[], &body)
            }
            _ => response(403, &[], "Missing Metadata-Flavor:Google header."),
        }
    })
    .await
}

#[tokio::test]
async fn google_gives_the_access_token_of_the_machine() {
    let metadata = google_metadata().await;
    let environment = environment(&[("GCE_METADATA_HOST", metadata.host())]);
    let found = ambient_credential(Cloud::Google, "europe-docker.pkg.dev", false, &environment).await.unwrap();
    assert_eq!((found.user.as_str(), found.lifetime), ("oauth2accesstoken", Duration::from_secs(3599 - 120)));
    assert!(!format!("{found:?}").contains(SECRET), "{found:?}");
    let error = ambient_credential(Cloud::Google, "r.example", false, &environment).await.unwrap_err();
    assert!(error.to_string().contains("is no registry of Google"), "{error}");
    let error = ambient_credential(Cloud::Google, "europe-docker.pkg.dev", true, &environment).await.unwrap_err();
    assert!(error.to_string().contains("is reached over http"), "{error}");
    assert_eq!(metadata.seen().len(), 1);
}

#[tokio::test]
async fn no_answer_makes_a_credential_last_longer_than_an_hour() {
    let metadata =
        HttpFake::start(|_, _| response(200, &[], r#"{"access_token":"t","expires_in":99999999999999}"#)).await;
    let environment = environment(&[("GCE_METADATA_HOST", metadata.host())]);
    let found = ambient_credential(Cloud::Google, "gcr.io", false, &environment).await.unwrap();
    assert_eq!(found.lifetime, Duration::from_secs(3600 - 120));
}

#[tokio::test]
async fn the_machine_is_asked_once_for_all_repositories_of_a_registry() {
    let (metadata, registry) = (google_metadata().await, registry("oauth2accesstoken").await);
    let environment = environment(&[("GCE_METADATA_HOST", metadata.host())]);
    let client = from_cloud(registry.host(), Cloud::Google, environment);
    for repository in ["acme/web", "acme/api", "acme/web"] {
        let image: ImageName = format!("{}/{repository}", registry.host()).parse().unwrap();
        assert_eq!(client.tags(&image).await.unwrap().len(), 1);
    }
    assert_eq!(metadata.seen().len(), 1);
}

#[tokio::test]
async fn no_metadata_is_asked_for_registries_without_a_cloud() {
    let (metadata, registry) = (google_metadata().await, registry("oauth2accesstoken").await);
    let settings = BTreeMap::from([(registry.host().to_owned(), RegistrySettings::default())]);
    let client =
        OciRegistries::new(settings).unwrap().with_environment(environment(&[("GCE_METADATA_HOST", metadata.host())]));
    let image: ImageName = format!("{}/acme/web", registry.host()).parse().unwrap();
    assert!(client.tags(&image).await.is_err());
    assert_eq!(metadata.seen().len(), 0);
}

/// The registry's part: an access token for a refresh token.
fn exchange(asked: &Asked) -> Response<String> {
    let given = parameters(asked);
    let right = asked.method == "POST"
        && given["grant_type"] == "access_token"
        && given["access_token"] == "access-canary"
        && given["service"] == asked.header("host")
        && given.get("tenant").is_none_or(|tenant| tenant == "tenant-1");
    match right {
        true => response(200, &[], &format!(r#"{{"refresh_token":"{SECRET}"}}"#)),
        false => response(401, &[], r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#),
    }
}

const AZURE_USER: &str = "00000000-0000-0000-0000-000000000000";

#[tokio::test]
async fn azure_takes_the_workload_identity_that_kubernetes_wrote() {
    let directory = HttpFake::start(|asked, _| {
        let given = parameters(asked);
        let right = asked.path == "/tenant-1/oauth2/v2.0/token"
            && given["client_id"] == "client-1"
            && given["scope"] == format!("{AUDIENCE}/.default")
            && given["grant_type"] == "client_credentials"
            && given["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            && given["client_assertion"] == "assertion-canary";
        match right {
            true => response(200, &[], r#"{"token_type":"Bearer","expires_in":1800,"access_token":"access-canary"}"#),
            false => response(401, &[], r#"{"error":"invalid_client","error_description":"assertion-canary"}"#),
        }
    })
    .await;
    let (registry, folder) = (registry(AZURE_USER).await, tempfile::tempdir().unwrap());
    let (file, authority) = (folder.path().join("token"), format!("http://{}/", directory.host()));
    std::fs::write(&file, "assertion-canary\n").unwrap();
    let environment = |client: &str| {
        environment(&[
            ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
            ("AZURE_TENANT_ID", "tenant-1"),
            ("AZURE_CLIENT_ID", client),
            ("AZURE_AUTHORITY_HOST", &authority),
        ])
    };
    let found = ambient_credential(Cloud::Azure, registry.host(), true, &environment("client-1")).await.unwrap();
    assert_eq!((found.user.as_str(), found.lifetime), (AZURE_USER, Duration::from_secs(1800 - 120)));
    let image: ImageName = format!("{}/acme/web", registry.host()).parse().unwrap();
    from_cloud(registry.host(), Cloud::Azure, environment("client-1")).tags(&image).await.unwrap();

    let error = ambient_credential(Cloud::Azure, registry.host(), true, &environment("client-2")).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("status 401, invalid_client") && !text.contains("canary"), "{text}");
    let error = ambient_credential(Cloud::Azure, registry.host(), true, &environment("")).await.unwrap_err();
    assert!(error.to_string().contains("AZURE_CLIENT_ID is not"), "{error}");
    let asked = directory.seen().len();
    for elsewhere in ["r.example", "acme.azurecr.io.evil.example", registry.host()] {
        let error = ambient_credential(Cloud::Azure, elsewhere, false, &environment("client-1")).await.unwrap_err();
        assert!(error.to_string().contains("is no registry of Azure"), "{error}");
    }
    assert_eq!(directory.seen().len(), asked);
}

#[tokio::test]
async fn azure_takes_the_managed_identity_of_the_machine_or_the_service() {
    let platform = HttpFake::start(|asked, _| {
        let given = parameters(asked);
        let (path, flavour) = match asked.path.split('?').next().unwrap() {
            "/metadata/identity/oauth2/token" => ("2018-02-01", asked.header("metadata") == "true"),
            "/msi/token" => ("2019-08-01", asked.header("x-identity-header") == "header-1"),
            other => panic!("{other}"),
        };
        match flavour
            && given["api-version"] == path
            && given["resource"] == AUDIENCE
            && given["client_id"] == "client-1"
        {
            true => response(200, &[], r#"{"access_token":"access-canary","expires_in":"86400"}"#),
            false => response(400, &[], r#"{"error":"invalid_request"}"#),
        }
    })
    .await;
    let (registry, base) = (registry(AZURE_USER).await, format!("http://{}", platform.host()));
    let service = format!("{base}/msi/token");
    for pairs in [
        &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", base.as_str()), ("AZURE_CLIENT_ID", "client-1")][..],
        &[("IDENTITY_ENDPOINT", &service), ("IDENTITY_HEADER", "header-1"), ("AZURE_CLIENT_ID", "client-1")],
    ] {
        let found = ambient_credential(Cloud::Azure, registry.host(), true, &environment(pairs)).await.unwrap();
        assert_eq!(found.lifetime, Duration::from_secs(3600 - 120), "the registry's token ends before the directory's");
    }
    assert_eq!((platform.seen().len(), registry.count("/oauth2/exchange")), (2, 2));
}
