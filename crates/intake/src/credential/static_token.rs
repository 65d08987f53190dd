//! A shared secret that travels in a header.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::{Choice, ConstantTimeEq as _};

use super::{after_scheme, body_signature::mac_sha256};
use crate::{Headers, Refused};

/// Whether any of `headers` carries a secret: as its whole value, behind `Bearer`, or as the user and password that stand
/// behind `Basic`.
pub(super) fn verify(headers: &[String], secrets: &[SecretString], given: &Headers) -> Result<(), Refused> {
    let values: Vec<&str> = headers.iter().filter_map(|name| given.filled(name)).collect();
    if values.is_empty() {
        return Err(Refused::NoToken { headers: headers.to_vec() });
    }
    let mut found = Choice::from(0);
    for value in values {
        found |= matches_any(secrets, value);
        if let Some(token) = after_scheme(value, "bearer") {
            found |= matches_any(secrets, token);
            found |= matches_any(secrets, &format!("Bearer {token}"));
        }
        if let Some(pair) = after_scheme(value, "basic").and_then(decoded) {
            found |= matches_any(secrets, &pair);
        }
    }
    if found.into() { Ok(()) } else { Err(Refused::Credential) }
}

fn decoded(basic: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(basic).ok()?).ok()
}

/// Whether `given` is one of `expected`. Both are hashed under one key first, so that neither the length nor
/// the place of the first difference shows in the time it takes; no early exit between secrets.
pub(super) fn matches_any(expected: &[SecretString], given: &str) -> Choice {
    let hash = |text: &str| mac_sha256(b"tagboat: compare, never store", &[text.as_bytes()]);
    let given = hash(given);
    let mut found = Choice::from(0);
    for secret in expected {
        found |=
            hash(secret.expose_secret()).ct_eq(&given) & Choice::from(u8::from(!secret.expose_secret().is_empty()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(secrets: &[&str], header: &str, value: &str) -> bool {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).to_owned().into()).collect();
        let headers = [(header, value)].into_iter().collect();
        verify(&["authorization".to_owned(), "x-api-key".to_owned()], &secrets, &headers).is_ok()
    }

    #[test]
    fn only_the_whole_secret_in_a_header_that_may_carry_it_passes() {
        assert!(passes(&["old", "new"], "Authorization", "old"), "several secrets are alive during a rotation");
        assert!(passes(&["old", "new"], "X-Api-Key", "new"));
        assert!(passes(&["s3cret"], "authorization", "Bearer s3cret"));
        assert!(passes(&["s3cret"], "authorization", "bearer s3cret"));
        assert!(passes(&["user:s3cret"], "authorization", "Basic dXNlcjpzM2NyZXQ="));
        assert!(passes(&["Bearer s3cret"], "authorization", "Bearer s3cret"), "a secret may be the whole value");
        for (secrets, header, value) in [
            (&["s3cret"][..], "authorization", "s3creT"),
            (&["s3cret"], "authorization", "s3cre"),
            (&["s3cret"], "authorization", "s3crets"),
            (&["s3cret"], "authorization", "Basic s3cret"),
            (&["s3cret"], "authorization", "Bearers3cret"),
            (&["s3cret"], "authorization", "Basic bm90IGl0"),
            (&["s3cret"], "x-other", "s3cret"),
            (&["s3cret"], "authorization", ""),
            (&["s3cret"], "authorization", "Bearer "),
            (&[""], "authorization", ""),
            (&[""], "authorization", "Bearer "),
            (&[], "authorization", "s3cret"),
        ] {
            assert!(!passes(secrets, header, value), "{secrets:?} {header}: {value}");
        }
    }
}
