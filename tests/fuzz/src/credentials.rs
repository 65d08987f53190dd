//! Fuzz target: requests to receivers of every kind and scheme, by somebody who has no credential. None may pass, and
//! no keys may be asked for but those of the configured issuer and those of Amazon.
//!
//! Inputs are those of the targets of senders. Of the header `address-token` the last part of the address is made. Of
//! `token-header` and `token-claims`, as JSON, a token is made, with `token-signature` as its last part; that may also
//! say which of the things that everybody knows is the key of a MAC: `mac keys`, `mac modulus`, `mac certificate`.

#![no_main]

mod senders;

use std::sync::{Arc, LazyLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;
use tagboat_intake::{
    ClaimRule, Configured, Denied, Headers, Keys, Kind, Provider, Receiver, Request, Scheme, TokenRule, credentials,
    receive, verify_headers,
};
use tagboat_model::KeySource;

use senders::check::{NOW, is_amazons};

const ISSUER: &str = "https://issuer.example";
const TOPIC: &str = "arn:aws:sns:us-west-2:123456789012:ecr-pushes";
/// Of both forms; no input has them.
const SECRETS: [&str; 2] = ["d83ae79ce4c22a1e17d7aab8b455c36f", "whsec_4OP+WUeN4qGXL4QJFwcmQuSiGE7zO1zF"];
/// What the issuer publishes: one RSA key. Its private half was thrown away when it was made.
const KEYS: &str = include_str!("credentials/keys.json");
/// What Amazon publishes: a certificate of the same key.
const CERTIFICATE: &str = include_str!("credentials/certificate.pem");

static RECEIVERS: LazyLock<Vec<Receiver>> = LazyLock::new(|| {
    let pairs = Kind::ALL.into_iter().flat_map(|kind| kind.schemes().iter().map(move |scheme| (kind, *scheme)));
    pairs.map(|(kind, scheme)| receiver(kind, scheme)).collect()
});

static MODULUS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let keys: serde_json::Value = serde_json::from_str(KEYS).expect("it is JSON");
    let modulus = keys["keys"][0]["n"].as_str().expect("it is an RSA key");
    URL_SAFE_NO_PAD.decode(modulus).expect("it is base64")
});

fn receiver(kind: Kind, scheme: Scheme) -> Receiver {
    let (name, tenant) = ("receiver".parse().expect("it is a name"), "default".parse().expect("it is a name"));
    let has_secrets = !matches!(scheme, Scheme::Identity | Scheme::Topic);
    let identity = || TokenRule {
        provider: Provider::Other,
        issuer: ISSUER.to_owned(),
        audiences: vec!["tagboat".to_owned()],
        claims: vec![ClaimRule {
            claim: "repository".to_owned(),
            patterns: vec!["acme/*".parse().expect("it is a pattern")],
        }],
    };
    let configured = Configured {
        scheme: Some(scheme),
        header: None,
        secrets: SECRETS.iter().filter(|_| has_secrets).map(|secret| (*secret).to_owned().into()).collect(),
        topics: (scheme == Scheme::Topic).then(|| TOPIC.to_owned()).into_iter().collect(),
        identity: (scheme == Scheme::Identity).then(identity),
    };
    Receiver {
        credentials: credentials(kind, &tenant, &name, configured).expect("they are credentials"),
        name,
        tenant,
        kind,
        registry: kind.needs_registry().then(|| "registry.example".to_owned()),
        repository: None,
        tenancy: tagboat_intake::Tenancy::Fixed,
        images: vec!["**".parse().expect("it is a pattern")],
    }
}

fuzz_target!(|data: &[u8]| {
    let (headers, body) = senders::parts(data);
    let headers: Headers = match token(&headers) {
        None => headers,
        Some(token) => [("authorization", token.as_str())].into_iter().chain(headers.iter()).collect(),
    };
    let request = Request { headers: &headers, path_token: headers.get("address-token"), body, received_at: NOW };
    for receiver in RECEIVERS.iter() {
        let admitted = verify_headers(receiver, &request);
        // Where all that proves anything stands in the headers and the address, nothing is admitted.
        let decides = receiver.credentials.iter().all(|one| matches!(one.scheme(), Scheme::Token | Scheme::Path));
        assert!(!decides || admitted.is_err(), "{} admits somebody by its headers: {headers:?}", receiver.kind);
        let _ = admitted.map_err(|refused| refused.to_string());
        refused(receiver, &request);
    }
});

/// What stands in `Authorization` when the headers say of what a token is to be made.
fn token(given: &Headers) -> Option<String> {
    let encoded = |name: &str| given.get(name).map(|part| URL_SAFE_NO_PAD.encode(part));
    let message = format!("{}.{}", encoded("token-header")?, encoded("token-claims")?);
    let signature = match given.get("token-signature").unwrap_or_default() {
        "mac keys" => mac(KEYS.as_bytes(), &message),
        "mac modulus" => mac(&MODULUS, &message),
        "mac certificate" => mac(CERTIFICATE.as_bytes(), &message),
        other => other.to_owned(),
    };
    Some(format!("Bearer {message}.{signature}"))
}

fn mac(key: &[u8], message: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
    mac.update(message.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// Whichever keys are asked for are given, and nothing but a refusal may come of it.
fn refused(receiver: &Receiver, request: &Request<'_>) {
    let mut keys = Keys::default();
    // A receiver has one credential at most that needs keys, so that the second answer is the last.
    for _ in 0..2 {
        match receive(receiver, request, &keys) {
            Ok(accepted) => panic!("{} takes from somebody {accepted:?} by {:?}", receiver.kind, receiver.credentials),
            Err(Denied::Refused(refused)) => {
                let _ = refused.to_string();
                return;
            }
            Err(Denied::NeedsNewer(source)) => {
                let _ = document(&source);
                return;
            }
            Err(Denied::Needs(source)) => {
                let document = document(&source);
                keys.insert(source, document);
            }
        }
    }
    panic!("{} asks again for keys that are at hand", receiver.kind);
}

/// What is published where keys are asked for.
fn document(source: &KeySource) -> Arc<[u8]> {
    let document = match source {
        KeySource::Issuer(issuer) => {
            assert_eq!(issuer, ISSUER, "another issuer's keys are asked for");
            KEYS
        }
        KeySource::SnsCertificate(address) => {
            assert!(is_amazons(address) && address.ends_with(".pem"), "a key is asked for at {address}");
            CERTIFICATE
        }
    };
    Arc::from(document.as_bytes())
}
