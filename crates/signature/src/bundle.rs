//! Sigstore bundles: what they say about an image, and those that are signed by a key.
//!
//! Formats: `sigstore_bundle.proto` of sigstore/protobuf-specs in its JSON form, DSSE (secure-systems-lab/dsse
//! `protocol.md`), in-toto statements 0.1 and 1. Bundles by a key are checked without sigstore-verify, because it
//! refuses those without a log entry or timestamp, which is how private keys are used on private networks, and
//! because a timestamp that it cannot check would spoil a signature by a key that needs none.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tagboat_model::{Digest, shown};

use crate::{keys::PublicKey, reason::Rejection};

/// What cosign 3 writes when it signs an image.
const COSIGN_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";
/// How an image was built, and by whom: what GitHub attaches.
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT_TYPES: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];

/// Which statements about an image are signatures of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    /// Those that say "signed" and nothing else. A key signs many things, and only this one is a release.
    Signatures,
    /// Those, and provenance. A keyless rule asks which workflow made the image, and that is what provenance by the
    /// workflow's own certificate says; GitHub's attestations come in no other form.
    SignaturesAndProvenance,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<MessageSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Deserialize)]
struct MessageSignature {
    signature: String,
}

/// Whether a bundle is a signature of the image by one of the keys. Log entries and timestamps in it are not looked
/// at: whoever names a key in the rule trusts its holder, and not a log.
pub(crate) fn check(json: &[u8], keys: &[PublicKey], digest: &Digest) -> Result<(), Rejection> {
    let bundle: Bundle = serde_json::from_slice(json).map_err(|error| Rejection::unreadable(error.to_string()))?;
    if !bundle.media_type.starts_with("application/vnd.dev.sigstore.bundle") {
        return Err(Rejection::unreadable(format!("its type is `{}`", bundle.media_type)));
    }
    if bundle.verification_material.public_key.is_none() {
        return Err(Rejection::OtherKey);
    }
    match (bundle.dsse_envelope, bundle.message_signature) {
        (Some(envelope), None) => {
            let [signature] = envelope.signatures.as_slice() else {
                return Err(Rejection::unreadable("it has not exactly one signature"));
            };
            let (payload, signature) = (decode(&envelope.payload)?, decode(&signature.sig)?);
            let signed = encode_before_signing(&envelope.payload_type, &payload);
            if !keys.iter().any(|key| key.signed(&signed, &signature)) {
                return Err(Rejection::OtherKey);
            }
            is_about(&envelope.payload_type, &payload, digest, Counts::Signatures)
        }
        (None, Some(message)) => {
            let signature = decode(&message.signature)?;
            let hash = sha256_of(digest).ok_or_else(|| Rejection::unreadable("it is over an unknown hash"))?;
            let signed = keys.iter().any(|key| key.signed_hash(&hash, &signature));
            // The bytes of the manifest are what is signed, so there is nothing that it could be about besides.
            if signed { Ok(()) } else { Err(Rejection::OtherKey) }
        }
        _ => Err(Rejection::unreadable("it has not exactly one content")),
    }
}

fn decode(base64: &str) -> Result<Vec<u8>, Rejection> {
    STANDARD.decode(base64).map_err(|_| Rejection::unreadable("a part of it is not Base64"))
}

/// DSSE's "pre-authentication encoding".
fn encode_before_signing(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = write!(text, "DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// The bytes of a `sha256:` digest.
pub(crate) fn sha256_of(digest: &Digest) -> Option<[u8; 32]> {
    hex(digest.as_str().strip_prefix("sha256:")?)?.try_into().ok()
}

/// The bytes that an even number of hexadecimal digits means.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// serde refuses a member of these that is there twice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    statement_type: String,
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: Digests,
}

#[derive(Deserialize)]
struct Digests {
    sha256: Option<String>,
    sha512: Option<String>,
}

/// Whether a statement, whose signature was found good, is a signature of the image.
pub(crate) fn is_about(payload_type: &str, payload: &[u8], digest: &Digest, counts: Counts) -> Result<(), Rejection> {
    if payload_type != PAYLOAD_TYPE {
        return Err(Rejection::unreadable(format!("its content is of type `{payload_type}`")));
    }
    let statement: Statement =
        serde_json::from_slice(payload).map_err(|error| Rejection::unreadable(error.to_string()))?;
    if !STATEMENT_TYPES.contains(&statement.statement_type.as_str()) {
        return Err(Rejection::unreadable(format!("its statement is of type `{}`", statement.statement_type)));
    }
    let known = statement.predicate_type == COSIGN_SIGNATURE
        || (statement.predicate_type == PROVENANCE && counts == Counts::SignaturesAndProvenance);
    if !known {
        return Err(Rejection::NotASignature { predicate: shown(&statement.predicate_type) });
    }
    let subjects = || {
        statement.subject.iter().flat_map(|subject| {
            let sha256 = subject.digest.sha256.iter().map(|hex| format!("sha256:{hex}"));
            sha256.chain(subject.digest.sha512.iter().map(|hex| format!("sha512:{hex}")))
        })
    };
    if subjects().any(|subject| subject == digest.as_str()) {
        return Ok(());
    }
    Err(Rejection::OtherImage { found: subjects().next().map_or_else(|| "nothing".to_owned(), |text| shown(&text)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(statement: &str, counts: Counts) -> String {
        let hex = "a".repeat(64);
        let digest: Digest = format!("sha256:{hex}").parse().unwrap();
        let statement = statement.replace("IMAGE", &hex);
        let told = is_about(PAYLOAD_TYPE, statement.as_bytes(), &digest, counts);
        told.map_or_else(|rejection| rejection.to_string(), |()| "good".to_owned())
    }

    const GOOD: &str = r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"IMAGE"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}"#;

    #[test]
    fn only_statements_that_sign_count() {
        let provenance = GOOD.replace(COSIGN_SIGNATURE, PROVENANCE);
        let scan = GOOD.replace(COSIGN_SIGNATURE, "https://cosign.sigstore.dev/attestation/vuln/v1");
        for (statement, by_key, keyless) in
            [(GOOD, true, true), (provenance.as_str(), false, true), (scan.as_str(), false, false)]
        {
            assert_eq!(told(statement, Counts::Signatures) == "good", by_key, "{statement}");
            assert_eq!(told(statement, Counts::SignaturesAndProvenance) == "good", keyless, "{statement}");
        }
        assert!(told(&scan, Counts::Signatures).contains("does not sign it"));
    }

    #[test]
    fn a_statement_must_name_the_image() {
        let told = |statement: &str| told(statement, Counts::Signatures);
        assert_eq!(told(&GOOD.replace("IMAGE", "bb")), "made for sha256:bb and not for this image");
        assert_eq!(told(&GOOD.replace("sha256", "sha512")).split(' ').next(), Some("made"));
        assert_eq!(
            told(&GOOD.replace(r#"{"digest":{"sha256":"IMAGE"}}"#, "")),
            "made for nothing and not for this image"
        );
        let several = GOOD.replace(r#"[{"digest""#, r#"[{"digest":{"sha256":"bb"}},{"digest""#);
        assert_eq!(told(&several), "good");
        for (from, to) in [
            (r#""sha256":"#, r#""sha256":"bb","sha256":"#),
            (r#""digest":"#, r#""digest":{"sha256":"bb"},"digest":"#),
            (r#""subject":"#, r#""subject":[],"subject":"#),
            (r#""predicateType":"#, r#""predicateType":"x","predicateType":"#),
            ("Statement/v1", "Statement/v7"),
        ] {
            assert!(told(&GOOD.replace(from, to)).starts_with("unreadable"), "{to}");
        }
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        assert!(is_about("text/plain", GOOD.as_bytes(), &digest, Counts::Signatures).is_err());
    }

    #[test]
    fn digits_become_bytes() {
        assert_eq!(hex("00ff1a"), Some(vec![0, 255, 26]));
        assert_eq!((hex("0"), hex("0g"), hex("ää")), (None, None, None));
    }
}
