//! Keyless signatures against a trust root of our own: certificate authority, logs and all.

#![cfg(feature = "sigstore")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::time::SystemTime;

use serde_json::{Value, json};
use tagboat_model::{Digest, Identity, SignatureRule, Timestamp};
use tagboat_signature::{Attached, TrustRoot, Verifier};
use tagboat_testkit::{
    Authority, Flaw,
    signing::{COSIGN_SIGNATURE, Layer, SigningKey, payload, statement},
};

const ISSUER: &str = "https://token.forge.example";
const WORKFLOW: &str = "https://forge.example/acme/web/.forge/release.yml@refs/heads/main";

fn digest(letter: &str) -> Digest {
    format!("sha256:{}", letter.repeat(64)).parse().unwrap()
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

fn root(authority: &Authority) -> TrustRoot {
    TrustRoot::parse(authority.trust_root().to_string().as_bytes()).unwrap()
}

fn exactly(identity: &str) -> SignatureRule {
    SignatureRule::Keyless { issuer: ISSUER.to_owned(), identity: Identity::Exact(identity.to_owned()) }
}

fn told(root: &TrustRoot, rule: &SignatureRule, attached: &Attached<'_>) -> String {
    let digest = digest("a");
    let verifier = Verifier::new(&digest, rule, Some(root), now()).unwrap();
    verifier.check(attached).map_or_else(|rejection| rejection.to_string(), |()| "good".to_owned())
}

fn told_of_bundle(root: &TrustRoot, rule: &SignatureRule, bundle: &Value) -> String {
    told(root, rule, &Attached::Bundle(bundle.to_string().as_bytes()))
}

fn told_of_layer(root: &TrustRoot, rule: &SignatureRule, layer: &Layer) -> String {
    let annotation = |name: &str| layer.annotations[name].as_str();
    let attached = Attached::SimpleSigning {
        payload: &layer.bytes,
        signature: annotation("dev.cosignproject.cosign/signature").unwrap(),
        certificate: annotation("dev.sigstore.cosign/certificate"),
        log_entry: annotation("dev.sigstore.cosign/bundle"),
    };
    told(root, rule, &attached)
}

fn signed() -> String {
    statement(digest("a").as_str(), COSIGN_SIGNATURE)
}

#[test]
fn the_named_identity_signs_in_both_formats() {
    let authority = Authority::default();
    let root = root(&authority);
    for identity in [WORKFLOW, "release@acme.example"] {
        let signer = authority.certify(ISSUER, identity, Flaw::None);
        let rule = exactly(identity);
        assert_eq!(told_of_bundle(&root, &rule, &signer.bundle(&signed())), "good");
        assert_eq!(told_of_layer(&root, &rule, &signer.layer(&payload(digest("a").as_str()))), "good");
    }
}

#[test]
fn another_identity_or_issuer_is_named() {
    let authority = Authority::default();
    let root = root(&authority);
    let evil = "https://forge.example/evil/web/.forge/release.yml@refs/heads/main";
    let signer = authority.certify(ISSUER, evil, Flaw::None);
    let bundle = signer.bundle(&signed());
    let layer = signer.layer(&payload(digest("a").as_str()));
    let expected = format!("signed by {evil} instead of {WORKFLOW}");
    assert_eq!(told_of_bundle(&root, &exactly(WORKFLOW), &bundle), expected);
    assert_eq!(told_of_layer(&root, &exactly(WORKFLOW), &layer), expected);
    for longer in [format!("{WORKFLOW}2"), format!("https://evil.example/{WORKFLOW}")] {
        let bundle = authority.certify(ISSUER, &longer, Flaw::None).bundle(&signed());
        assert!(told_of_bundle(&root, &exactly(WORKFLOW), &bundle).starts_with("signed by"), "{longer}");
    }
    for issuer in ["https://token.forge.example.evil.example", "https://token.forge.exampl", ""] {
        let bundle = authority.certify(issuer, WORKFLOW, Flaw::None).bundle(&signed());
        let expected = format!("vouched for by {issuer} instead of {ISSUER}");
        assert_eq!(told_of_bundle(&root, &exactly(WORKFLOW), &bundle), expected);
    }
}

#[test]
fn a_pattern_matches_the_whole_identity() {
    let authority = Authority::default();
    let root = root(&authority);
    let bundle = authority.certify(ISSUER, WORKFLOW, Flaw::None).bundle(&signed());
    for (pattern, good) in [
        (r"https://forge\.example/acme/[a-z]+/\.forge/release\.yml@refs/heads/main", true),
        (r"https://forge\.example/acme/.*", true),
        (r"https://forge\.example/acme/", false),
        (r"forge\.example/acme/.*", false),
    ] {
        let identity = Identity::Pattern(pattern.to_owned());
        let rule = SignatureRule::Keyless { issuer: ISSUER.to_owned(), identity };
        assert_eq!(told_of_bundle(&root, &rule, &bundle) == "good", good, "{pattern}");
    }
}

#[test]
fn a_certificate_must_be_good() {
    let authority = Authority::default();
    let root = root(&authority);
    for (flaw, reason) in [
        (Flaw::NotLogged, "missing SCT"),
        (Flaw::OtherLog, "SCT signature verification failed"),
        (Flaw::Expired, "certificate"),
        (Flaw::OtherUse, "certificate chain"),
    ] {
        let signer = authority.certify(ISSUER, WORKFLOW, flaw);
        let layer = signer.layer(&payload(digest("a").as_str()));
        for told in [
            told_of_bundle(&root, &exactly(WORKFLOW), &signer.bundle(&signed())),
            told_of_layer(&root, &exactly(WORKFLOW), &layer),
        ] {
            assert!(told.starts_with("not proven") && told.contains(reason), "{flaw:?}: {told}");
        }
    }
    let other = Authority::default();
    let bundle = other.certify(ISSUER, WORKFLOW, Flaw::None).bundle(&signed());
    let told = told_of_bundle(&root, &exactly(WORKFLOW), &bundle);
    assert!(told.starts_with("not proven"), "{told}");
}

#[test]
fn the_log_must_have_seen_this_signature() {
    let authority = Authority::default();
    let root = root(&authority);
    let signer = authority.certify(ISSUER, WORKFLOW, Flaw::None);
    let good = signer.bundle(&signed());
    let entry = "/verificationMaterial/tlogEntries/0";
    let other = signer.bundle(&statement(digest("b").as_str(), COSIGN_SIGNATURE)).pointer(entry).unwrap().clone();
    let stranger = Authority::default();
    let theirs = stranger.certify(ISSUER, WORKFLOW, Flaw::None).bundle(&signed()).pointer(entry).unwrap().clone();
    for (part, value) in [
        ("/verificationMaterial/tlogEntries", json!([])),
        (entry, other),
        (entry, theirs),
        ("/verificationMaterial/tlogEntries/0/integratedTime", json!("1700000000")),
        ("/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp", json!("MAYCAQECAQE=")),
        ("/verificationMaterial/tlogEntries/0/inclusionProof", Value::Null),
        ("/verificationMaterial/tlogEntries/0/inclusionPromise", Value::Null),
        ("/verificationMaterial/tlogEntries/0/logIndex", json!("1")),
        ("/dsseEnvelope/signatures/0/sig", json!("MAYCAQECAQE=")),
    ] {
        let mut bundle = good.clone();
        *bundle.pointer_mut(part).unwrap() = value;
        let told = told_of_bundle(&root, &exactly(WORKFLOW), &bundle);
        assert!(told.starts_with("not proven"), "{part}: {told}");
    }
    let mut layer = signer.layer(&payload(digest("a").as_str()));
    layer.annotations["dev.sigstore.cosign/bundle"] =
        signer.layer(&payload(digest("b").as_str())).annotations["dev.sigstore.cosign/bundle"].clone();
    assert_ne!(told_of_layer(&root, &exactly(WORKFLOW), &layer), "good");
    layer.annotations["dev.sigstore.cosign/bundle"] = json!("{}");
    assert_eq!(told_of_layer(&root, &exactly(WORKFLOW), &layer), "unreadable (its log entry cannot be read)");
}

#[test]
fn a_signature_from_the_future_does_not_count() {
    let authority = Authority::default();
    let (root, digest) = (root(&authority), digest("a"));
    let rule = exactly(WORKFLOW);
    let bundle = authority.certify(ISSUER, WORKFLOW, Flaw::None).bundle(&signed()).to_string();
    let before = Timestamp(now().0 - 3_600_000);
    let verifier = Verifier::new(&digest, &rule, Some(&root), before).unwrap();
    let rejection = verifier.check(&Attached::Bundle(bundle.as_bytes())).unwrap_err();
    assert_eq!(rejection.to_string(), "not proven (it is from the future)");
}

#[test]
fn only_what_signs_this_image_counts() {
    let authority = Authority::default();
    let root = root(&authority);
    let signer = authority.certify(ISSUER, WORKFLOW, Flaw::None);
    let rule = exactly(WORKFLOW);
    let told_of = |statement: &str| told_of_bundle(&root, &rule, &signer.bundle(statement));
    let image = digest("a");
    assert_eq!(told_of(&statement(image.as_str(), "https://slsa.dev/provenance/v1")), "good", "as GitHub attaches");
    assert!(told_of(&statement(image.as_str(), "https://spdx.dev/Document/v2.3")).contains("does not sign it"));
    assert!(told_of(&statement(digest("b").as_str(), COSIGN_SIGNATURE)).starts_with("made for"));
    assert!(told_of("{}").starts_with("unreadable") || told_of("{}").starts_with("not proven"));
    let layer = signer.layer(&payload(digest("b").as_str()));
    assert_eq!(told_of_layer(&root, &rule, &layer), format!("made for {} and not for this image", digest("b")));
}

#[test]
fn a_key_is_not_an_identity_and_an_identity_is_not_a_key() {
    let authority = Authority::default();
    let (root, key) = (root(&authority), SigningKey::p256());
    assert_eq!(
        told_of_bundle(&root, &exactly(WORKFLOW), &key.bundle(&signed())),
        "made with a key, without an identity"
    );
    let layer = key.layer(&payload(digest("a").as_str()));
    assert_eq!(told_of_layer(&root, &exactly(WORKFLOW), &layer), "made with a key, without an identity");
    let bundle = authority.certify(ISSUER, WORKFLOW, Flaw::None).bundle(&signed());
    let rule = SignatureRule::Keys { pem: vec![key.public_pem()] };
    assert_eq!(told_of_bundle(&root, &rule, &bundle), "not made with a key of the rule");
}

#[test]
fn a_trust_root_is_whole_or_refused() {
    let good = Authority::default().trust_root();
    for (part, value, reason) in [
        ("/tlogs", json!([]), "`tlogs` lists nothing"),
        ("/ctlogs", json!([]), "`ctlogs` lists nothing"),
        ("/certificateAuthorities", json!([]), "`certificateAuthorities` lists nothing"),
        ("/mediaType", json!("text/plain"), "its media type is `text/plain`"),
        ("/tlogs/0/publicKey/rawBytes", json!("AAAA"), "a key or certificate in it is not valid"),
        ("/mediaType", Value::Null, "it is not a `trusted_root.json` of Sigstore"),
    ] {
        let mut root = good.clone();
        *root.pointer_mut(part).unwrap() = value;
        let error = TrustRoot::parse(root.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), format!("the trust root cannot be used: {reason}"));
    }
    assert!(TrustRoot::parse(b"").is_err());
    let (digest, rule) = (digest("a"), exactly(WORKFLOW));
    let error = Verifier::new(&digest, &rule, None, now()).unwrap_err();
    assert!(error.to_string().starts_with("no trust root is configured"));
}

#[test]
fn the_trust_root_of_the_public_instance_can_be_read() {
    TrustRoot::public_good().unwrap();
}
