//! An issuer with its keys, its key set and its tokens, all made when the test runs; and a receiver that believes it.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tagboat_intake::{
    Accepted, ClaimRule, Credential, Denied, Headers, Keys, Kind, Provider, Receiver, Request, Tenancy, TokenRule,
    receive,
};
use tagboat_model::{KeySource, Timestamp};

/// In seconds.
pub(crate) const NOW: i64 = 1_795_662_000;
pub(crate) const ISSUER: &str = "https://ci.example";
pub(crate) const AUDIENCE: &str = "tagboat";

/// A key that signs.
pub(crate) enum Key {
    Rsa(RsaKeyPair),
    Elliptic(EcdsaKeyPair),
}

impl Key {
    fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn elliptic(algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        Self::Elliptic(EcdsaKeyPair::generate(algorithm).unwrap())
    }

    /// An RSA key as `RSAPublicKey` (RFC 8017, appendix A.1.1), another as its point.
    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => key.public_key().as_ref().to_vec(),
            Self::Elliptic(key) => key.public_key().as_ref().to_vec(),
        }
    }

    /// The numbers of which the public key consists.
    pub(crate) fn numbers(&self) -> (Vec<u8>, Vec<u8>) {
        let public = self.public();
        match self {
            // Headers of the sequence and of the first number, a zero byte, 256 bytes, the header of the second.
            Self::Rsa(_) => (public[9..265].to_vec(), public[267..].to_vec()),
            Self::Elliptic(_) => {
                let (x, y) = public[1..].split_at(public.len() / 2);
                (x.to_vec(), y.to_vec())
            }
        }
    }

    /// The public key as an issuer publishes it.
    pub(crate) fn published(&self, id: &str) -> Value {
        let (first, second) = self.numbers();
        let curve = if first.len() == 32 { "P-256" } else { "P-384" };
        let (first, second) = (encode(&first), encode(&second));
        match self {
            Self::Rsa(_) => json!({ "kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": first, "e": second }),
            Self::Elliptic(_) => json!({ "kty": "EC", "kid": id, "use": "sig", "crv": curve, "x": first, "y": second }),
        }
    }

    pub(crate) fn sign(&self, algorithm: &str, message: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Elliptic(key) => key.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Rsa(key) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token of these two texts, which need not be JSON.
    pub(crate) fn token_of(&self, header: &str, claims: &str) -> String {
        let algorithm: Value = serde_json::from_str(header).unwrap_or_default();
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.sign(algorithm["alg"].as_str().unwrap_or_default(), &message);
        format!("{message}.{}", encode(signature))
    }

    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The keys of the issuer and of somebody else.
pub(crate) struct World {
    pub(crate) rsa: Key,
    pub(crate) elliptic: Key,
    pub(crate) wide: Key,
    pub(crate) strange_rsa: Key,
    pub(crate) strange_elliptic: Key,
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| World {
    rsa: Key::rsa(),
    elliptic: Key::elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING),
    wide: Key::elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING),
    strange_rsa: Key::rsa(),
    strange_elliptic: Key::elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING),
});

/// What the issuer publishes: two keys that serve, and around them what may stand in such a document.
pub(crate) fn key_set() -> Value {
    let changed = |id: &str, member: &str, value: &str| {
        let mut key = WORLD.rsa.published(id);
        key[member] = json!(value);
        key
    };
    let wide = WORLD.wide.published("wide-1");
    json!({ "keys": [
        7,
        { "kty": "AKP", "kid": "future-1", "alg": "ML-DSA-65", "pub": "AAAA" },
        { "kty": "OKP", "kid": "edwards-1", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
        { "kty": "oct", "kid": "secret-1", "alg": "HS256", "k": encode("0123456789abcdef0123456789abcdef") },
        { "kty": "RSA", "kid": "broken-1", "n": "?", "e": "AQAB" },
        { "kty": "RSA", "kid": "weak", "n": super::keys::WEAK_MODULUS, "e": "AQAB" },
        WORLD.rsa.published("rsa-1"),
        WORLD.elliptic.published("elliptic-1"),
        wide,
        changed("encryption-1", "use", "enc"),
        changed("long-hash-1", "alg", "RS512"),
        changed("pss-1", "alg", "PS256"),
    ] })
}

pub(crate) fn keys_of(issuer: &str, set: &Value) -> Keys {
    let mut keys = Keys::default();
    keys.insert(KeySource::Issuer(issuer.to_owned()), Arc::from(set.to_string().into_bytes()));
    keys
}

pub(crate) fn claim_rule(claim: &str, patterns: &[&str]) -> ClaimRule {
    ClaimRule { claim: claim.to_owned(), patterns: patterns.iter().map(|pattern| pattern.parse().unwrap()).collect() }
}

pub(crate) fn rule() -> TokenRule {
    TokenRule {
        provider: Provider::Other,
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned(), "https://tagboat.example".to_owned()],
        claims: vec![
            claim_rule("repository", &["acme/web", "acme/api-*"]),
            claim_rule("ref", &["refs/heads/main", "refs/tags/**"]),
        ],
    }
}

/// The claims of a token that passes.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "repo:acme/web:ref:refs/heads/main", "jti": "17",
        "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 290,
        "repository": "acme/web", "ref": "refs/heads/main", "run": 17, "protected": true,
    })
}

pub(crate) fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

pub(crate) fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

pub(crate) fn rsa_header() -> Value {
    json!({ "typ": "JWT", "alg": "RS256", "kid": "rsa-1" })
}

pub(crate) fn elliptic_header() -> Value {
    json!({ "typ": "JWT", "alg": "ES256", "kid": "elliptic-1" })
}

/// A token with these claims, truly the issuer's.
pub(crate) fn signed(claims: &Value) -> String {
    WORLD.rsa.token(&rsa_header(), claims)
}

/// What becomes of a request with these headers.
pub(crate) fn ask(rule: &TokenRule, keys: &Keys, headers: &Headers) -> Result<Accepted, Denied> {
    let receiver = Receiver {
        name: "ci".parse().unwrap(),
        tenant: "default".parse().unwrap(),
        kind: Kind::GenericOidc,
        credentials: vec![Credential::Identity(Box::new(rule.clone()))],
        registry: None,
        repository: None,
        tenancy: Tenancy::Fixed,
        images: vec!["ghcr.io/acme/*".parse().unwrap()],
    };
    let body = br#"{"image":"ghcr.io/acme/web","tag":"1.5.0"}"#;
    let request = Request { headers, path_token: None, body, received_at: Timestamp(NOW * 1000) };
    receive(&receiver, &request, keys)
}

/// What becomes of a request with this token.
pub(crate) fn present_to(rule: &TokenRule, keys: &Keys, token: &str) -> Result<Accepted, Denied> {
    ask(rule, keys, &[("Authorization", format!("Bearer {token}"))].into_iter().collect())
}

pub(crate) fn present(token: &str) -> Result<Accepted, Denied> {
    present_to(&rule(), &keys_of(ISSUER, &key_set()), token)
}
