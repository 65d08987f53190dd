//! An address that cannot be guessed, for senders that can neither sign nor send a header.
//!
//! The token follows from the receiver's secret, so that it can be shown without the secret, and two receivers with one
//! secret have different ones. Only its hash is kept.

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use tagboat_model::{ReceiverName, TenantName};

use super::body_signature::{mac_sha256, to_hex};
use crate::Refused;

/// 160 bits; at least 128 are what cannot be guessed.
const BYTES: usize = 20;

/// A token of an address, as its hash.
#[derive(Clone)]
pub struct PathToken([u8; 32]);

impl PathToken {
    /// The token of a receiver, as it stands in its address.
    #[must_use]
    pub fn derive(tenant: &TenantName, receiver: &ReceiverName, secret: &SecretString) -> String {
        let parts = ["tagboat address", tenant.as_str(), receiver.as_str()].map(str::as_bytes);
        let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
        let framed: Vec<&[u8]> = lengths.iter().zip(&parts).flat_map(|(length, part)| [&length[..], *part]).collect();
        let mac = mac_sha256(secret.expose_secret().as_bytes(), &framed);
        to_hex(mac.get(..BYTES).unwrap_or(&mac))
    }

    /// What is kept of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl std::fmt::Debug for PathToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PathToken")
    }
}

pub(super) fn verify(tokens: &[PathToken], given: Option<&str>) -> Result<(), Refused> {
    let given = given.filter(|given| !given.is_empty()).ok_or(Refused::NoPathToken)?;
    let given = PathToken::of(given);
    let found = tokens.iter().fold(Choice::from(0), |found, token| found | token.0.ct_eq(&given.0));
    if found.into() { Ok(()) } else { Err(Refused::Credential) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_receivers_own_token_opens_it() {
        let derive = |tenant: &str, receiver: &str, secret: &str| {
            PathToken::derive(&tenant.parse().unwrap(), &receiver.parse().unwrap(), &secret.to_owned().into())
        };
        let token = derive("default", "hub", "s3cret");
        assert_eq!(token.len(), 40);
        let tokens = [PathToken::of(&derive("default", "hub", "old")), PathToken::of(&token)];
        assert_eq!(verify(&tokens, Some(&token)), Ok(()));
        for other in [
            derive("default", "hub", "s3cret2"),
            derive("default", "hub2", "s3cret"),
            derive("defaulthub", "x", "s3cret"),
            derive("other", "hub", "s3cret"),
            token[1..].to_owned(),
            token.to_uppercase(),
            "s3cret".to_owned(),
        ] {
            assert_eq!(verify(&tokens, Some(&other)), Err(Refused::Credential), "{other}");
        }
        assert_eq!(verify(&tokens, None), Err(Refused::NoPathToken));
        assert_eq!(verify(&tokens, Some("")), Err(Refused::NoPathToken));
        assert_eq!(verify(&[], Some(&token)), Err(Refused::Credential));
    }
}
