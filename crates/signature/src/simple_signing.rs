//! Payloads of "simple signing": a JSON document that names the image, and a signature over its bytes.
//!
//! Format: `specs/SIGNATURE_SPEC.md` of sigstore/cosign, which takes the payload from containers/image.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tagboat_model::{Digest, shown};

use crate::{keys::PublicKey, reason::Rejection};

/// What the payload must say it is.
const TYPE: &str = "cosign container image signature";

/// Whether one of the keys signed this payload, and it is about the image.
pub(crate) fn check(payload: &[u8], signature: &str, keys: &[PublicKey], digest: &Digest) -> Result<(), Rejection> {
    let signature = STANDARD.decode(signature).map_err(|_| Rejection::unreadable("its signature is not Base64"))?;
    if !keys.iter().any(|key| key.signed(payload, &signature)) {
        return Err(Rejection::OtherKey);
    }
    is_about(payload, digest)
}

/// serde refuses a member of these that is there twice, so nobody can show one image here and another elsewhere.
#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    r#type: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Whether a payload, whose signature was found good, is a signature of the image.
pub(crate) fn is_about(payload: &[u8], digest: &Digest) -> Result<(), Rejection> {
    let payload: Payload = serde_json::from_slice(payload).map_err(|error| Rejection::unreadable(error.to_string()))?;
    if payload.critical.r#type != TYPE {
        return Err(Rejection::unreadable(format!("its type is `{}`", payload.critical.r#type)));
    }
    if payload.critical.image.digest != digest.as_str() {
        return Err(Rejection::OtherImage { found: shown(&payload.critical.image.digest) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(payload: &str) -> String {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let payload = payload.replace("IMAGE", digest.as_str());
        is_about(payload.as_bytes(), &digest).map_or_else(|rejection| rejection.to_string(), |()| "good".to_owned())
    }

    const GOOD: &str = r#"{"critical":{"identity":{"docker-reference":"r.example/a"},"image":{"docker-manifest-digest":"IMAGE"},"type":"cosign container image signature"},"optional":null}"#;

    #[test]
    fn only_a_payload_about_the_image_counts() {
        assert_eq!(told(GOOD), "good");
        assert_eq!(told(&GOOD.replace("IMAGE", "sha256:b")), "made for sha256:b and not for this image");
        assert_eq!(told(&GOOD.replace("IMAGE", "IMAGE ")).split(' ').next(), Some("made"));
        assert_eq!(
            told(&GOOD.replace("cosign container", "atomic container")),
            "unreadable (its type is `atomic container image signature`)"
        );
        for bad in ["", "[]", "{}", "null", r#"{"critical":{}}"#, &GOOD.replace("docker-manifest-digest", "digest")] {
            assert!(told(bad).starts_with("unreadable"), "{bad}");
        }
    }

    #[test]
    fn a_payload_with_two_meanings_has_none() {
        let critical =
            r#""critical":{"image":{"docker-manifest-digest":"sha256:b"},"type":"cosign container image signature"},"#;
        let twice = [
            GOOD.replacen('{', &format!("{{{critical}"), 1),
            GOOD.replace(r#""image":{"#, r#""image":{"docker-manifest-digest":"sha256:b"},"image":{"#),
            GOOD.replace(
                r#""docker-manifest-digest":"#,
                r#""docker-manifest-digest":"sha256:b","docker-manifest-digest":"#,
            ),
            GOOD.replace(r#""type":"#, r#""type":"other","type":"#),
        ];
        for payload in twice {
            assert!(told(&payload).contains("duplicate field"), "{payload}: {}", told(&payload));
        }
    }
}
