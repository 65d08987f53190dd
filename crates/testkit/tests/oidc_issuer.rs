//! The issuer of tests, held against what verifies tokens in the product.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::time::SystemTime;

use serde_json::{Value, json};
use tagboat_intake::{
    Accepted, ClaimRule, Credential, Denied, Headers, Keys, Kind, Provider, Receiver, Refused, Request, Tenancy,
    TokenRule, receive,
};
use tagboat_model::{KeySource, Timestamp};
use tagboat_testkit::OidcIssuer;

async fn get(address: &str, bearer: Option<&str>) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.get(address);
    if let Some(token) = bearer {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

/// The keys as they are found from the issuer's name.
async fn keys(issuer: &OidcIssuer) -> Keys {
    let (_, discovery) = get(&format!("{}/.well-known/openid-configuration", issuer.url()), None).await;
    assert_eq!(discovery["issuer"], json!(issuer.url()));
    let (status, set) = get(discovery["jwks_uri"].as_str().unwrap(), None).await;
    assert_eq!(status, 200);
    let mut keys = Keys::default();
    keys.insert(KeySource::Issuer(issuer.url()), set.to_string().into_bytes().into());
    keys
}

fn present(issuer: &OidcIssuer, keys: &Keys, token: &str) -> Result<Accepted, Denied> {
    let rule = TokenRule {
        provider: Provider::GithubActions,
        issuer: issuer.url(),
        audiences: vec!["tagboat".to_owned()],
        claims: vec![ClaimRule { claim: "repository".to_owned(), patterns: vec!["acme/web".parse().unwrap()] }],
    };
    let receiver = Receiver {
        name: "ci".parse().unwrap(),
        tenant: "default".parse().unwrap(),
        kind: Kind::GenericOidc,
        credentials: vec![Credential::Identity(Box::new(rule))],
        registry: None,
        repository: None,
        tenancy: Tenancy::Fixed,
        images: vec!["ghcr.io/acme/*".parse().unwrap()],
    };
    let headers: Headers = [("authorization", format!("Bearer {token}"))].into_iter().collect();
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let received_at = Timestamp(i64::try_from(now).unwrap());
    let body = br#"{"image":"ghcr.io/acme/web","tag":"1.5.0"}"#;
    receive(&receiver, &Request { headers: &headers, path_token: None, body, received_at }, keys)
}

fn claims() -> Value {
    json!({ "aud": "tagboat", "repository": "acme/web" })
}

#[tokio::test]
async fn its_tokens_are_verified_with_its_keys() {
    let issuer = OidcIssuer::start();
    let keys = keys(&issuer).await;
    assert_eq!((issuer.discoveries(), issuer.key_requests()), (1, 1));
    present(&issuer, &keys, &issuer.token(claims())).unwrap();
    present(&issuer, &keys, &issuer.elliptic_token(claims())).unwrap();
    let stranger = present(&issuer, &keys, &issuer.token_signed_by_stranger(claims()));
    assert!(matches!(stranger, Err(Denied::Refused(Refused::Token(_)))), "{stranger:?}");
    for (name, value) in
        [("exp", json!(1)), ("exp", Value::Null), ("iss", json!("https://other.example")), ("kid", json!(7))]
    {
        let mut claims = claims();
        claims[name] = value;
        assert!(present(&issuer, &keys, &issuer.token(claims.clone())).is_err(), "{claims}");
    }
}

#[tokio::test]
async fn after_a_rotation_newer_keys_are_needed() {
    let issuer = OidcIssuer::start();
    let (before, old) = (keys(&issuer).await, issuer.token(claims()));
    issuer.rotate();
    let new = issuer.token(claims());
    assert_eq!(present(&issuer, &before, &new), Err(Denied::NeedsNewer(KeySource::Issuer(issuer.url()))));
    let after = keys(&issuer).await;
    present(&issuer, &after, &new).unwrap();
    present(&issuer, &after, &old).unwrap();
    assert_eq!(issuer.key_requests(), 2);
}

#[tokio::test]
async fn a_job_gets_a_token_for_the_audience_that_it_names() {
    let issuer = OidcIssuer::start();
    let keys = keys(&issuer).await;
    assert_eq!(get(&issuer.request_url(), Some("s3cret")).await.0, 401);
    issuer.answer_job("s3cret", json!({ "repository": "acme/web" }));
    assert_eq!(get(&issuer.request_url(), None).await.0, 401);
    assert_eq!(get(&issuer.request_url(), Some("other")).await.0, 401);
    let (status, answer) = get(&format!("{}&audience=tagboat", issuer.request_url()), Some("s3cret")).await;
    assert_eq!(status, 200);
    present(&issuer, &keys, answer["value"].as_str().unwrap()).unwrap();
    let (_, answer) = get(&issuer.request_url(), Some("s3cret")).await;
    assert!(present(&issuer, &keys, answer["value"].as_str().unwrap()).is_err());
    assert_eq!(issuer.audiences(), ["tagboat", "https://github.com/acme"]);
}
