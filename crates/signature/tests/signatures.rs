//! Signatures by keys, good ones and every way in which they are not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tagboat_model::{Digest, SignatureRule, Timestamp};
use tagboat_signature::{Attached, Verifier};
use tagboat_testkit::signing::{COSIGN_SIGNATURE, Layer, SigningKey, payload, statement};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn digest(letter: &str) -> Digest {
    format!("sha256:{}", letter.repeat(64)).parse().unwrap()
}

fn keys(keys: &[&SigningKey]) -> SignatureRule {
    SignatureRule::Keys { pem: keys.iter().map(|key| key.public_pem()).collect() }
}

fn told(rule: &SignatureRule, digest: &Digest, attached: &Attached<'_>) -> String {
    let verifier = Verifier::new(digest, rule, None, NOW).unwrap();
    verifier.check(attached).map_or_else(|rejection| rejection.to_string(), |()| "good".to_owned())
}

fn simple(layer: &Layer) -> Attached<'_> {
    let signature = layer.annotations["dev.cosignproject.cosign/signature"].as_str().unwrap();
    Attached::SimpleSigning { payload: &layer.bytes, signature, certificate: None, log_entry: None }
}

fn told_of_bundle(rule: &SignatureRule, digest: &Digest, bundle: &Value) -> String {
    told(rule, digest, &Attached::Bundle(bundle.to_string().as_bytes()))
}

#[test]
fn every_kind_of_key_signs_in_every_format() {
    let digest = digest("a");
    for (kind, key) in SigningKey::all() {
        let rule = keys(&[&SigningKey::p256(), &key]);
        let layer = key.layer(&payload(digest.as_str()));
        assert_eq!(told(&rule, &digest, &simple(&layer)), "good", "{kind}");
        let bundle = key.bundle(&statement(digest.as_str(), COSIGN_SIGNATURE));
        assert_eq!(told_of_bundle(&rule, &digest, &bundle), "good", "{kind}");
        for other in [SigningKey::all().remove(0).1, SigningKey::all().remove(1).1] {
            let rule = keys(&[&other]);
            assert_eq!(told(&rule, &digest, &simple(&layer)), "not made with a key of the rule", "{kind}");
            assert_eq!(told_of_bundle(&rule, &digest, &bundle), "not made with a key of the rule", "{kind}");
        }
    }
}

#[test]
fn no_byte_of_a_signature_or_of_what_is_signed_can_be_changed() {
    let (digest, key) = (digest("a"), SigningKey::p256());
    let (rule, text) = (keys(&[&key]), payload(digest.as_str()));
    let signature = key.sign(text.as_bytes());
    let check = |payload: &[u8], signature: &[u8]| {
        let signature = STANDARD.encode(signature);
        let attached = Attached::SimpleSigning { payload, signature: &signature, certificate: None, log_entry: None };
        told(&rule, &digest, &attached)
    };
    assert_eq!(check(text.as_bytes(), &signature), "good");
    for length in 0..signature.len() {
        assert_eq!(check(text.as_bytes(), &signature[..length]), "not made with a key of the rule", "{length}");
    }
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        assert_eq!(check(&changed, &signature), "not made with a key of the rule", "{at}");
    }
    let attached =
        Attached::SimpleSigning { payload: text.as_bytes(), signature: "?", certificate: None, log_entry: None };
    assert_eq!(told(&rule, &digest, &attached), "unreadable (its signature is not Base64)");
}

#[test]
fn a_signature_of_another_image_does_not_count() {
    let (a, b, key) = (digest("a"), digest("b"), SigningKey::p256());
    let rule = keys(&[&key]);
    let expected = format!("made for {b} and not for this image");
    assert_eq!(told(&rule, &a, &simple(&key.layer(&payload(b.as_str())))), expected);
    let bundle = key.bundle(&statement(b.as_str(), COSIGN_SIGNATURE));
    assert_eq!(told_of_bundle(&rule, &a, &bundle), expected);
}

#[test]
fn signed_payloads_with_two_meanings_do_not_count() {
    let (a, b, key) = (digest("a"), digest("b"), SigningKey::p256());
    let rule = keys(&[&key]);
    let twice = format!("{{{},{}", &payload(b.as_str())[1..payload(b.as_str()).len() - 1], &payload(a.as_str())[1..]);
    for image in [&a, &b] {
        let told = told(&rule, image, &simple(&key.layer(&twice)));
        assert!(told.contains("duplicate field `critical`"), "{told}");
    }
    let text = statement(a.as_str(), COSIGN_SIGNATURE);
    let twice = text.replacen('{', &format!(r#"{{"subject":[{{"digest":{{"sha256":"{}"}}}}],"#, "b".repeat(64)), 1);
    let told = told_of_bundle(&rule, &a, &key.bundle(&twice));
    assert!(told.contains("duplicate field `subject`"), "{told}");
}

#[test]
fn statements_that_do_not_sign_do_not_count_for_a_key() {
    let (digest, key) = (digest("a"), SigningKey::p256());
    for predicate in
        ["https://slsa.dev/provenance/v1", "https://spdx.dev/Document/v2.3", "https://sigstore.dev/cosign/sign/v1/x"]
    {
        let bundle = key.bundle(&statement(digest.as_str(), predicate));
        let told = told_of_bundle(&keys(&[&key]), &digest, &bundle);
        assert!(told.contains("does not sign it") && told.contains(predicate), "{told}");
    }
}

#[test]
fn bundles_of_all_versions_count_and_log_entries_do_not_matter_for_a_key() {
    let (digest, key) = (digest("a"), SigningKey::p256());
    let mut bundle = key.bundle(&statement(digest.as_str(), COSIGN_SIGNATURE));
    bundle["verificationMaterial"]["tlogEntries"] = json!([{ "from": "elsewhere" }]);
    for version in ["+json;version=0.1", "+json;version=0.2", ".v0.3+json"] {
        bundle["mediaType"] = json!(format!("application/vnd.dev.sigstore.bundle{version}"));
        assert_eq!(told_of_bundle(&keys(&[&key]), &digest, &bundle), "good", "{version}");
    }
    bundle["mediaType"] = json!("text/plain");
    assert!(told_of_bundle(&keys(&[&key]), &digest, &bundle).starts_with("unreadable"));
}

#[test]
fn a_bundle_may_sign_the_bytes_of_the_manifest() {
    let (manifest, key) = (b"{}".as_slice(), SigningKey::p256());
    // The SHA-256 of `{}`.
    let digest: Digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a".parse().unwrap();
    let mut bundle = key.bundle("");
    bundle.as_object_mut().unwrap().remove("dsseEnvelope");
    bundle["messageSignature"] = json!({ "signature": STANDARD.encode(key.sign(manifest)) });
    assert_eq!(told_of_bundle(&keys(&[&key]), &digest, &bundle), "good");
    assert_eq!(told_of_bundle(&keys(&[&SigningKey::p256()]), &digest, &bundle), "not made with a key of the rule");
    assert_eq!(told_of_bundle(&keys(&[&key]), &self::digest("a"), &bundle), "not made with a key of the rule");
}

#[test]
fn broken_bundles_are_told_from_foreign_ones() {
    let (digest, key) = (digest("a"), SigningKey::p256());
    let (rule, good) = (keys(&[&key]), key.bundle(&statement(digest.as_str(), COSIGN_SIGNATURE)));
    let signature = good["dsseEnvelope"]["signatures"][0].clone();
    for (pointer, value) in [
        ("/dsseEnvelope/signatures", json!([])),
        ("/dsseEnvelope/signatures", json!([signature, signature])),
        ("/dsseEnvelope/payload", json!("?")),
        ("/dsseEnvelope", Value::Null),
        ("/mediaType", Value::Null),
    ] {
        let mut bundle = good.clone();
        *bundle.pointer_mut(pointer).unwrap() = value;
        assert!(told_of_bundle(&rule, &digest, &bundle).starts_with("unreadable"), "{pointer}");
    }
    let mut both = good;
    both["messageSignature"] = json!({ "signature": "" });
    assert!(told_of_bundle(&rule, &digest, &both).starts_with("unreadable"));
    for bytes in [b"".as_slice(), b"{}", b"[]", b"\xff", &vec![b'['; 100_000]] {
        assert!(told(&rule, &digest, &Attached::Bundle(bytes)).starts_with("unreadable"));
    }
}

#[test]
fn rules_that_nothing_can_satisfy_are_refused() {
    let digest = digest("a");
    let refused = |rule: &SignatureRule| Verifier::new(&digest, rule, None, NOW).unwrap_err().to_string();
    assert!(refused(&keys(&[])).contains("lists no public key"));
    let mut rule = keys(&[&SigningKey::p256()]);
    let SignatureRule::Keys { pem } = &mut rule else { panic!() };
    pem.push("-----BEGIN".to_owned());
    assert!(refused(&rule).starts_with("public key 2 of the rule cannot be used"), "{}", refused(&rule));
}

#[cfg(not(feature = "sigstore"))]
#[test]
fn without_sigstore_a_keyless_rule_says_so() {
    let rule = SignatureRule::Keyless {
        issuer: "https://issuer.example".to_owned(),
        identity: tagboat_model::Identity::Exact("a@acme.example".to_owned()),
    };
    let digest = digest("a");
    let refused = Verifier::new(&digest, &rule, None, NOW).unwrap_err().to_string();
    assert!(refused.contains("built without `sigstore`"), "{refused}");
    assert!(tagboat_signature::TrustRoot::parse(b"{}").is_err());
}
