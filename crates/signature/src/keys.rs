//! Public keys: read from PEM, asked about signatures.
//!
//! Keys are `SubjectPublicKeyInfo` (RFC 5280) of the kinds that cosign makes or takes from key services: ECDSA on
//! P-256 and P-384, RSA of 2048 bits and more, Ed25519. An elliptic curve key on P-384 has been used with SHA-256 by
//! cosign 2 and with SHA-384 by cosign 3; both count.

use aws_lc_rs::{
    digest::{self, SHA256},
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ParsedPublicKey,
        RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
    },
};
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};

/// The algorithm and length bytes that stand before the key itself in DER.
const P256: [u8; 26] =
    *b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const P384: [u8; 23] = *b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00";
const ED25519_KEY: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// `rsaEncryption` with its parameters; the length before it varies.
const RSA: [u8; 15] = *b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
/// Where `RSA` stands in a key of 2048 bits or more.
const RSA_AT: usize = 4;

/// A key, once per algorithm that it may have been used with.
#[derive(Debug)]
pub(crate) struct PublicKey(Vec<ParsedPublicKey>);

impl PublicKey {
    /// Read `-----BEGIN PUBLIC KEY-----`. What is wrong is told without repeating any of it.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, String> {
        if pem.contains("PRIVATE KEY-----") {
            return Err("it is a private key; give its public half".to_owned());
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| "it is not PEM with `-----BEGIN PUBLIC KEY-----`".to_owned())?;
        let algorithms = algorithms(&der)?;
        let parsed = algorithms.into_iter().map(|algorithm| ParsedPublicKey::new(algorithm, &der));
        match parsed.collect::<Result<Vec<_>, _>>() {
            Ok(keys) => Ok(Self(keys)),
            Err(_) => Err("its numbers make no valid key".to_owned()),
        }
    }

    /// Whether the holder of the private half signed `message`.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.iter().any(|key| key.verify_sig(message, signature).is_ok())
    }

    /// Whether the holder of the private half signed the message with this SHA-256. Ed25519 cannot tell.
    pub(crate) fn signed_hash(&self, hash: &[u8; 32], signature: &[u8]) -> bool {
        let Ok(hash) = digest::Digest::import_less_safe(hash, &SHA256) else { return false };
        self.0.iter().any(|key| key.verify_digest_sig(&hash, signature).is_ok())
    }
}

fn algorithms(der: &[u8]) -> Result<Vec<&'static dyn VerificationAlgorithm>, String> {
    if der.starts_with(&P256) {
        return Ok(vec![&ECDSA_P256_SHA256_ASN1]);
    }
    if der.starts_with(&P384) {
        return Ok(vec![&ECDSA_P384_SHA384_ASN1, &ECDSA_P384_SHA256_ASN1]);
    }
    if der.starts_with(&ED25519_KEY) {
        return Ok(vec![&ED25519]);
    }
    if der.get(RSA_AT..).is_some_and(|rest| rest.starts_with(&RSA)) {
        return Ok(vec![&RSA_PKCS1_2048_8192_SHA256, &RSA_PSS_2048_8192_SHA256]);
    }
    if der.windows(RSA.len()).any(|window| window == RSA) {
        return Err("RSA keys of less than 2048 bits are refused".to_owned());
    }
    Err("it is of a kind that is not supported; ECDSA on P-256 or P-384, RSA and Ed25519 are".to_owned())
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    fn pem(base64: &str) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n")
    }

    /// Made with `openssl`: P-384 over `message`, hashed with SHA-256 as cosign 2 does.
    const P384_KEY: &str = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEmoZvhKf6ML7XsB0PsHDXYyb5LLRF2Yu8ax+kI67cfodf9D2d1sgBmgGRz115Uh0tbaFMiAezvDoFAKB/9Bu8Mi4XhdDOdDRPphF3nwIG27YXX1biaoaTr1el9VvpzpVP";
    const P384_SIGNATURE: &str = "MGYCMQDPLRvF3MG4KhrSZTclkpeeH6EyTIHbReqw+TnWcWk9EeNPbXa2cLhHlwDIYUr9Ac4CMQCcWBHoJjUUzVFYuoSsS8p+vIlA9ovNYk8R7pEpmjBBKlwRgBUUJIMZn2n1Tel1szA=";
    const RSA_1024: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCkqXfStn2hh/Jh6OJFOTzW30xcg6D8FT2i25zurb4AbXXweRVwq6w/35LjD9EX3zqp0K/bFGqpPJkN4665g0PcbakL3YVUPe+8ghM9wXKGOc3vqLg2sW43qiQINoZt8z3a1OWQqOcnpomkHatz2yw0gogHQeeJTH86TtkyENEgMQIDAQAB";
    const P521: &str = "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBJkvtADx1y8yR7LHJq30n6bK5u2FvCNwOB9xyPTLMSQ6IAv47BBy6L/sqR3g9jkICPwaWmloCe3YoUXvuyoCPGu0AsRqB82CTlFmM6LjkR2QuWRNRzHxlGcYBufTBdCyWup4i5rFrL+8HhYpZkW2OnTFOSVzT1RYxBGoXAfzaCqS8FHU=";

    #[test]
    fn a_key_on_p384_counts_with_sha256_too() {
        let key = PublicKey::from_pem(&pem(P384_KEY)).unwrap();
        let signature = STANDARD.decode(P384_SIGNATURE).unwrap();
        assert!(key.signed(b"message", &signature));
        assert!(!key.signed(b"messagf", &signature));
        for length in 0..signature.len() {
            assert!(!key.signed(b"message", &signature[..length]), "cut to {length} bytes");
        }
    }

    #[test]
    fn what_is_no_usable_key_is_refused_without_repeating_it() {
        let refused = |pem: &str| PublicKey::from_pem(pem).unwrap_err();
        assert_eq!(refused(&pem(RSA_1024)), "RSA keys of less than 2048 bits are refused");
        assert!(refused(&pem(P521)).contains("not supported"));
        assert!(refused(&pem("aGVsbG8=")).contains("not supported"));
        assert!(refused(&pem(&P384_KEY.replace("moZvhKf6", "AAAAAAAA"))).contains("no valid key"), "not on the curve");
        for text in ["", "secret", &pem("not base64!"), &pem(P384_KEY).replace("PUBLIC KEY", "CERTIFICATE")] {
            assert_eq!(refused(text), "it is not PEM with `-----BEGIN PUBLIC KEY-----`", "{text}");
        }
        let private = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----";
        assert_eq!(refused(private), "it is a private key; give its public half");
    }
}
