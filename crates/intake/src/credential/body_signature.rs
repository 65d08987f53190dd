//! MACs of the body in a header, as several senders make them.
//!
//! Sources: GitHub's "Validating webhook deliveries"; Gitea's `services/webhook/deliver.go`; Sonatype's "Working with
//! HMAC payloads" (SHA-1, accepted from Nexus alone); JFrog's "Webhook payload signing".

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha1::Sha1;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

use crate::{Headers, Refused};

/// Where a MAC of the body stands, and how it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodySignature {
    /// `X-Hub-Signature-256: sha256=<hex of HMAC-SHA256>`, as GitHub does.
    Hub,
    /// `X-Gitea-Signature` or `X-Forgejo-Signature: <hex of HMAC-SHA256>`, or as GitHub does.
    Gitea,
    /// `X-Nexus-Webhook-Signature: <hex of HMAC-SHA1>`.
    Nexus,
    /// `X-JFrog-Event-Auth: <hex of HMAC-SHA256>`.
    Jfrog,
}

/// A header, and what stands before the digits.
type Place = (&'static str, &'static str);

impl BodySignature {
    fn places(self) -> &'static [Place] {
        match self {
            Self::Hub => &[("x-hub-signature-256", "sha256=")],
            Self::Gitea => {
                &[("x-gitea-signature", ""), ("x-forgejo-signature", ""), ("x-hub-signature-256", "sha256=")]
            }
            Self::Nexus => &[("x-nexus-webhook-signature", "")],
            Self::Jfrog => &[("x-jfrog-event-auth", "")],
        }
    }

    fn length(self) -> usize {
        if self == Self::Nexus { 20 } else { 32 }
    }

    fn mac(self, key: &[u8], body: &[u8]) -> Vec<u8> {
        if self == Self::Nexus { mac_sha1(key, body) } else { mac_sha256(key, &[body]) }
    }

    /// Every MAC that the headers carry.
    fn given(self, headers: &Headers) -> Result<Vec<Vec<u8>>, Refused> {
        let places = self.places().iter().filter_map(|(name, prefix)| Some((*name, *prefix, headers.filled(name)?)));
        let mut given = Vec::new();
        for (name, prefix, value) in places {
            let digits = value.strip_prefix(prefix).and_then(from_hex).filter(|mac| mac.len() == self.length());
            given.push(digits.ok_or(Refused::Malformed(name))?);
        }
        let missing = self.places().first().map_or("", |place| place.0);
        if given.is_empty() { Err(Refused::Missing(missing)) } else { Ok(given) }
    }

    /// Whether there is a MAC at all.
    pub(super) fn is_there(self, headers: &Headers) -> Result<(), Refused> {
        self.given(headers).map(|_| ())
    }

    /// Verify over the raw body. Where several MACs are given, one that is right is enough: they are of the same key.
    pub(super) fn verify(self, secrets: &[SecretString], headers: &Headers, body: &[u8]) -> Result<(), Refused> {
        let given = self.given(headers)?;
        let mut found = Choice::from(0);
        for secret in secrets.iter().map(|secret| secret.expose_secret().as_bytes()) {
            let expected = self.mac(secret, body);
            for mac in &given {
                found |= expected.ct_eq(mac) & Choice::from(u8::from(!secret.is_empty()));
            }
        }
        if found.into() { Ok(()) } else { Err(Refused::Credential) }
    }
}

pub(super) fn mac_sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes a key of any length: one longer than a block is hashed first, as RFC 2104 says.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

fn mac_sha1(key: &[u8], body: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return Vec::new() };
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

/// Hexadecimal digits of either case.
fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"Hello, World!";

    fn verify(scheme: BodySignature, secrets: &[&str], headers: &[(&str, &str)], body: &[u8]) -> Result<(), Refused> {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).to_owned().into()).collect();
        scheme.verify(&secrets, &headers.iter().copied().collect(), body)
    }

    #[test]
    fn githubs_own_example_passes_and_nothing_beside_it() {
        let secret = "It's a Secret to Everybody";
        let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let header = "X-Hub-Signature-256";
        assert_eq!(verify(BodySignature::Hub, &[secret], &[(header, right)], BODY), Ok(()));
        assert_eq!(verify(BodySignature::Hub, &["old", secret], &[(header, right)], BODY), Ok(()));
        let upper = format!("sha256={}", right["sha256=".len()..].to_uppercase());
        assert_eq!(verify(BodySignature::Hub, &[secret], &[(header, &upper)], BODY), Ok(()));
        for (secrets, given, body) in [
            (&[secret][..], right, &b"Hello, World"[..]),
            (&["It's a secret to everybody"], right, BODY),
            (&[], right, BODY),
            (&[""], right, BODY),
            (&[secret], &right[..right.len() - 2], BODY),
            (&[secret], &right[..right.len() - 1], BODY),
            (&[secret], &format!("{right}00"), BODY),
            (&[secret], "sha256=", BODY),
            (&[secret], "", BODY),
            (&[secret], &right.replace("sha256", "sha1"), BODY),
            (&[secret], &right["sha256=".len()..], BODY),
            (&[secret], &right.replace("757107", "757108"), BODY),
            (&[secret], &right.replace('7', "g"), BODY),
        ] {
            assert!(verify(BodySignature::Hub, secrets, &[(header, given)], body).is_err(), "{given}");
        }
    }

    #[test]
    fn an_empty_secret_signs_nothing() {
        for scheme in [BodySignature::Hub, BodySignature::Gitea, BodySignature::Nexus, BodySignature::Jfrog] {
            let (name, prefix) = scheme.places()[0];
            let signature = format!("{prefix}{}", to_hex(&scheme.mac(b"", BODY)));
            assert_eq!(verify(scheme, &[""], &[(name, &signature)], BODY), Err(Refused::Credential), "{scheme:?}");
            let signature = format!("{prefix}{}", to_hex(&scheme.mac(b"key", BODY)));
            assert_eq!(verify(scheme, &["key"], &[(name, &signature)], BODY), Ok(()), "{scheme:?}");
        }
    }

    #[test]
    fn each_sender_has_its_own_header_and_hash() {
        let sha256 = to_hex(&mac_sha256(b"key", &[BODY]));
        let sha1 = to_hex(&mac_sha1(b"key", BODY));
        // RFC 2202 and RFC 4231, "what do ya want for nothing?" with the key "Jefe".
        let jefe = b"what do ya want for nothing?";
        assert_eq!(to_hex(&mac_sha1(b"Jefe", jefe)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        let expect = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(to_hex(&mac_sha256(b"Jefe", &[jefe])), expect);
        for (scheme, header, given, passes) in [
            (BodySignature::Gitea, "x-gitea-signature", sha256.clone(), true),
            (BodySignature::Gitea, "x-forgejo-signature", sha256.clone(), true),
            (BodySignature::Gitea, "x-hub-signature-256", format!("sha256={sha256}"), true),
            (BodySignature::Gitea, "x-gitea-signature", format!("sha256={sha256}"), false),
            (BodySignature::Gitea, "x-gitea-signature", sha1.clone(), false),
            (BodySignature::Nexus, "x-nexus-webhook-signature", sha1.clone(), true),
            (BodySignature::Nexus, "x-nexus-webhook-signature", sha256.clone(), false),
            (BodySignature::Jfrog, "x-jfrog-event-auth", sha256.clone(), true),
            (BodySignature::Jfrog, "x-jfrog-event-auth", sha1, false),
            (BodySignature::Jfrog, "x-jfrog-event-auth", "key".to_owned(), false),
            (BodySignature::Hub, "x-gitea-signature", sha256, false),
        ] {
            assert_eq!(verify(scheme, &["key"], &[(header, &given)], BODY).is_ok(), passes, "{scheme:?} {header}");
        }
    }
}
