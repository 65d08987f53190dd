//! Amazon's chain of credentials and the one signed request, against fakes that compute the signature themselves.

#![cfg(feature = "ecr")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::time::Duration;

use axum::http::Response;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use tagboat_registry::{AmbientCredential, AmbientError, Cloud, Environment, ambient_credential};
use tagboat_testkit::{Asked, HttpFake, response};

const REGISTRY: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const KEY_ID: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const PASSWORD: &str = "canary-ecr-77d2";

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Signature version 4 as AWS documents it, for a request to `/` without a query.
fn signature(method: &str, headers: &[(&str, &str)], body: &str, date: &str, scope: &str) -> String {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let request = format!("{method}\n/\n\n{lines}\n{names}\n{}", hex(&Sha256::digest(body)));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let first = format!("AWS4{SECRET_KEY}").into_bytes();
    hex(&hmac(&scope.split('/').fold(first, |key, part| hmac(&key, part)), &text))
}

/// Whether a request is signed with our key for this service, and nothing in it was left out.
fn is_signed(asked: &Asked, region_and_service: &str) -> bool {
    let authorization = asked.header("authorization");
    let part = |name: &str| {
        let rest = authorization.split_once(&format!("{name}=")).unwrap().1;
        rest.split(',').next().unwrap().to_owned()
    };
    let credential = part("Credential");
    let scope = credential.strip_prefix(&format!("{KEY_ID}/")).unwrap();
    let names = part("SignedHeaders");
    let headers: Vec<(&str, &str)> = names.split(';').map(|name| (name, asked.header(name))).collect();
    let date = asked.header("x-amz-date");
    ["host", "x-amz-date", "x-amz-target"].iter().all(|name| headers.iter().any(|(signed, _)| signed == name))
        && scope == format!("{}/{region_and_service}/aws4_request", &date[..8])
        && asked.header("x-amz-content-sha256") == hex(&Sha256::digest(&asked.body))
        && part("Signature") == signature(&asked.method, &headers, &asked.body, date, scope)
}

#[test]
fn the_fake_computes_signatures_as_the_published_vector_does() {
    let headers = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
    let scope = "20150830/us-east-1/service/aws4_request";
    assert_eq!(
        signature("GET", &headers, "", "20150830T123600Z", scope),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
}

/// Both APIs of ECR and every endpoint of the chain, told apart by path and headers.
fn amazon(asked: &Asked) -> Response<String> {
    let token = STANDARD.encode(format!("AWS:{PASSWORD}"));
    let keys = format!(
        r#""AccessKeyId":"{KEY_ID}","SecretAccessKey":"{SECRET_KEY}","Token":"session","Expiration":"2099-01-01T00:00:00Z""#
    );
    match (asked.method.as_str(), asked.path.as_str(), asked.header("x-amz-target")) {
        ("POST", "/", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken") => {
            // Ten hours after the date of the answer.
            let body = format!(
                r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":784147777.5,"proxyEndpoint":"https://{REGISTRY}"}}]}}"#
            );
            match is_signed(asked, "eu-central-1/ecr") {
                true => response(200, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], &body),
                false => response(400, &[], r#"{"__type":"InvalidSignatureException"}"#),
            }
        }
        ("POST", "/", "SpencerFrontendService.GetAuthorizationToken") => match is_signed(asked, "us-east-1/ecr-public")
        {
            true => response(200, &[], &format!(r#"{{"authorizationData":{{"authorizationToken":"{token}"}}}}"#)),
            false => response(400, &[], r#"{"__type":"InvalidSignatureException"}"#),
        },
        ("POST", "/", "") => {
            let right = asked.body.contains("Action=AssumeRoleWithWebIdentity")
                && asked.body.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Ftagboat")
                && asked.body.contains("WebIdentityToken=assertion-canary");
            let body = format!(
                "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{KEY_ID}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey><SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
            );
            if right { response(200, &[], &body) } else { response(403, &[], "assertion-canary") }
        }
        ("GET", "/v1/credentials", _) if asked.header("authorization") == "pod-canary" => {
            response(200, &[], &format!("{{{keys}}}"))
        }
        ("PUT", "/latest/api/token", _) if !asked.header("x-aws-ec2-metadata-token-ttl-seconds").is_empty() => {
            response(200, &[], "session-of-the-metadata")
        }
        ("GET", path, _) if asked.header("x-aws-ec2-metadata-token") == "session-of-the-metadata" => {
            match path.strip_prefix("/latest/meta-data/iam/security-credentials/") {
                Some("") => response(200, &[], "role-1"),
                Some("role-1") => response(200, &[], &format!(r#"{{"Code":"Success",{keys}}}"#)),
                _ => response(404, &[], ""),
            }
        }
        _ => response(401, &[], ""),
    }
}

struct Amazon {
    fake: HttpFake,
    url: String,
}

impl Amazon {
    async fn start() -> Self {
        let fake = HttpFake::start(|asked, _| amazon(asked)).await;
        let url = format!("http://{}", fake.host());
        Self { fake, url }
    }

    /// Ask with these variables, on a machine whose metadata is not to be asked.
    async fn ask(&self, registry: &str, pairs: &[(&str, &str)]) -> Result<AmbientCredential, AmbientError> {
        let fixed = [
            ("AWS_ENDPOINT_URL_ECR", self.url.as_str()),
            ("AWS_ENDPOINT_URL_ECR_PUBLIC", &self.url),
            ("AWS_ENDPOINT_URL_STS", &self.url),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        // What is named later counts.
        let environment = environment(&[&fixed[..], pairs].concat());
        ambient_credential(Cloud::Ecr, registry, false, &environment).await
    }
}

#[tokio::test]
async fn every_place_of_the_chain_leads_to_a_password() {
    let (amazon, folder) = (Amazon::start().await, tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (assertion, pod) = (write("assertion", "assertion-canary\n"), write("pod", "pod-canary\n"));
    write(
        ".aws/credentials",
        &format!("[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET_KEY}\n"),
    );
    let (container, home) = (format!("{}/v1/credentials", amazon.url), folder.path().to_str().unwrap());
    for pairs in [
        &[("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)][..],
        &[("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/tagboat"), ("AWS_WEB_IDENTITY_TOKEN_FILE", &assertion)],
        &[("HOME", home)],
        &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &pod)],
        &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &amazon.url), ("AWS_EC2_METADATA_DISABLED", "false")],
    ] {
        let found = amazon.ask(REGISTRY, pairs).await.unwrap_or_else(|error| panic!("{pairs:?}: {error}"));
        assert_eq!((found.user.as_str(), found.password.expose_secret()), ("AWS", PASSWORD), "{pairs:?}");
        assert_eq!(found.lifetime.as_secs(), 36_000 - 120, "{pairs:?}");
    }
}

#[tokio::test]
async fn the_public_registry_has_an_api_of_its_own() {
    let amazon = Amazon::start().await;
    let keys = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    let found = amazon.ask("public.ecr.aws", &keys).await.unwrap();
    assert_eq!(found.lifetime, Duration::from_secs(12 * 3600 - 120));
}

#[tokio::test]
async fn what_fails_is_said_and_nothing_secret_is() {
    let amazon = Amazon::start().await;
    let wrong = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", "canary-wrong")];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("assertion");
    std::fs::write(&file, "assertion-canary-wrong").unwrap();
    let (container, pod) = (format!("{}/v1/credentials", amazon.url), folder.path().join("pod"));
    std::fs::write(&pod, "pod-canary\n").unwrap();
    // The container's endpoint would have a credential, of somebody else.
    let role = [
        ("AWS_ROLE_ARN", "arn:x"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", pod.to_str().unwrap()),
    ];
    for (registry, pairs, text) in [
        (REGISTRY, &wrong[..], "ECR gives no credential (status 400, InvalidSignatureException)"),
        (REGISTRY, &role, "this machine has no credential of AWS: it failed at the web identity"),
        (REGISTRY, &[], "this machine has no credential of AWS: nowhere was one"),
        ("r.example", &wrong, "is no registry of Amazon"),
        ("127.0.0.1:5000", &wrong, "is no registry of Amazon"),
    ] {
        let error = amazon.ask(registry, pairs).await.unwrap_err();
        let whole = format!("{error} {error:?}");
        assert!(whole.contains(text) && !whole.contains("canary"), "{whole}");
    }
    assert_eq!(amazon.fake.count("/"), 2, "foreign registries make no request");
}
