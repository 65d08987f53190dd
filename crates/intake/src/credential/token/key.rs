//! The published keys of an issuer (JSON Web Key Set, RFC 7517) and the signature of a token (RFC 7518).
//!
//! Keys of kinds that are not known, or that are no keys at all, do not spoil the others. Numbers are read with what
//! issuers really write: Jenkins writes the elliptic ones in the other alphabet with padding, and both kinds with the
//! zero byte in front by which Java tells positive numbers.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tagboat_model::shown;

use super::{Token, wrong};
use crate::Refused;

/// Of the modulus of an RSA key.
const FEWEST_BITS: usize = 2048;
/// Of a coordinate on P-256, in bytes.
const COORDINATE: usize = 32;

#[derive(Default, Deserialize)]
struct Published {
    keys: Vec<Value>,
}

/// Verify a token with one of an issuer's keys. False when its key is not among them: newer ones may have it.
pub(super) fn verify(document: &[u8], token: &Token<'_>) -> Result<bool, Refused> {
    // What cannot be read holds no keys; whoever fetches it looks at it first.
    let published: Published = serde_json::from_slice(document).unwrap_or_default();
    let named = |key: &&Value| token.key_id.as_deref().is_none_or(|id| text(key, "kid") == Some(id));
    let named: Vec<&Value> = published.keys.iter().filter(named).collect();
    let fitting: Vec<&Value> = named.iter().copied().filter(|key| fits(key, token.algorithm)).collect();
    match (&token.key_id, fitting.len()) {
        (Some(_), 0) if named.is_empty() => return Ok(false),
        (Some(id), 0) => return Err(wrong(format!("the issuer's key {} is not one for its algorithm", shown(id)))),
        (None, 0 | 2..) => return Err(wrong("it does not name its key (`kid`), and the issuer has not exactly one")),
        (Some(_), _) | (None, 1) => {}
    }
    let mut refused = wrong("its signature is not one by the issuer's key");
    for key in fitting {
        match decoding_key(key, token.algorithm) {
            Ok(key) if is_signed(token, &key) => return Ok(true),
            Ok(_) => {}
            Err(why) => refused = why,
        }
    }
    Err(refused)
}

fn is_signed(token: &Token<'_>, key: &DecodingKey) -> bool {
    let message = token.message.as_bytes();
    jsonwebtoken::crypto::verify(token.signature, message, key, token.algorithm).unwrap_or(false)
}

fn text<'k>(key: &'k Value, name: &str) -> Option<&'k str> {
    key.get(name).and_then(Value::as_str)
}

/// Whether a key is one for signatures by this algorithm. What it does not say does not speak against it.
fn fits(key: &Value, algorithm: Algorithm) -> bool {
    let (kind, name) = match algorithm {
        Algorithm::ES256 => ("EC", "ES256"),
        _ => ("RSA", "RS256"),
    };
    let says = |member: &str, word: &str| key.get(member).is_none_or(|value| value.as_str() == Some(word));
    let verifies = key
        .get("key_ops")
        .is_none_or(|uses| uses.as_array().is_some_and(|uses| uses.iter().any(|word| word.as_str() == Some("verify"))));
    let curve = kind != "EC" || text(key, "crv") == Some("P-256");
    text(key, "kty") == Some(kind) && says("alg", name) && says("use", "sig") && verifies && curve
}

fn decoding_key(key: &Value, algorithm: Algorithm) -> Result<DecodingKey, Refused> {
    let unreadable = || wrong("the issuer's key cannot be read");
    let part = |name: &str| text(key, name).and_then(number).ok_or_else(unreadable);
    if algorithm == Algorithm::ES256 {
        let (x, y) = (coordinate(&part("x")?), coordinate(&part("y")?));
        let (Some(x), Some(y)) = (x, y) else { return Err(unreadable()) };
        // An uncompressed point (SEC 1, section 2.3.3).
        let point = [&[4_u8][..], &x[..], &y[..]].concat();
        return Ok(DecodingKey::from_ec_der(&point));
    }
    let (modulus, exponent) = (part("n")?, part("e")?);
    let bits = bits(&modulus);
    if bits < FEWEST_BITS {
        return Err(wrong(format!("the issuer's RSA key has {bits} bits; at least {FEWEST_BITS} are accepted")));
    }
    Ok(DecodingKey::from_rsa_raw_components(&modulus, &exponent))
}

/// A number in Base64 of either alphabet, without zero bytes in front.
fn number(text: &str) -> Option<Vec<u8>> {
    let alphabet = |c: char| match c {
        '+' => '-',
        '/' => '_',
        other => other,
    };
    let text: String = text.trim_end_matches('=').chars().map(alphabet).collect();
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

fn coordinate(number: &[u8]) -> Option<[u8; COORDINATE]> {
    let mut full = [0; COORDINATE];
    let zeros = COORDINATE.checked_sub(number.len())?;
    full.get_mut(zeros..)?.copy_from_slice(number);
    Some(full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_fits_when_nothing_of_it_speaks_against() {
        for (key, rsa, elliptic) in [
            (json!({ "kty": "RSA" }), true, false),
            (json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "key_ops": ["verify"] }), true, false),
            (json!({ "kty": "RSA", "alg": "RS512" }), false, false),
            (json!({ "kty": "RSA", "alg": 256 }), false, false),
            (json!({ "kty": "RSA", "use": "enc" }), false, false),
            (json!({ "kty": "RSA", "key_ops": ["encrypt"] }), false, false),
            (json!({ "kty": "rsa" }), false, false),
            (json!({ "kty": "EC", "crv": "P-256" }), false, true),
            (json!({ "kty": "EC", "crv": "P-384" }), false, false),
            (json!({ "kty": "EC" }), false, false),
            (json!({ "kty": "oct", "k": "AAAA", "alg": "RS256" }), false, false),
            (json!({}), false, false),
            (json!(7), false, false),
        ] {
            assert_eq!((fits(&key, Algorithm::RS256), fits(&key, Algorithm::ES256)), (rsa, elliptic), "{key}");
        }
    }

    #[test]
    fn numbers_are_read_as_issuers_write_them() {
        for text in ["AQAB", "AAEAAQ", "AAEAAQ==", "AAAAAQAB"] {
            assert_eq!(number(text), Some(vec![1, 0, 1]), "{text}");
        }
        assert_eq!(number("-_8"), number("+/8="));
        assert_eq!(number("A?"), None);
        assert_eq!([bits(&[1, 0]), bits(&[0x80, 0]), bits(&[])], [9, 16, 0]);
        assert_eq!(coordinate(&[7]).map(|full| (full[0], full[31])), Some((0, 7)));
        assert_eq!(coordinate(&[1; 33]), None);
    }
}
