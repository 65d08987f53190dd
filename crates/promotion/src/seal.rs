//! Seals: by which Tagboat knows again what it wrote where others may write, too: the blocks of pull requests, and the bot's own
//! ref.
//!
//! A keyed hash. The key follows from what opens the forge or the Git server, so that it survives the loss of the database;
//! with another key, nothing sealed before is believed.

use std::{fmt, ops::Deref};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tagboat_model::Account;

/// A key to seal with, of one config repository.
#[derive(Clone, PartialEq, Eq)]
pub struct Seal([u8; 32]);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// The key that follows from a secret, for one config repository.
    #[must_use]
    pub fn of(secret: &[u8], repository: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"tagboat seal 1\n");
        hash.update(repository.as_bytes());
        hash.update(b"\n");
        hash.update(secret);
        Self(hash.finalize().into())
    }

    /// The seal of a text, in hexadecimal. `purpose` keeps what is sealed for one thing from being used for another.
    #[must_use]
    pub fn on(&self, purpose: &str, text: &[u8]) -> String {
        // Any length of key will do.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(purpose.as_bytes());
        mac.update(b"\n");
        mac.update(text);
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether a text bears its seal. Compared in constant time.
    #[must_use]
    pub fn is_on(&self, purpose: &str, text: &[u8], seal: &str) -> bool {
        let expected = self.on(purpose, text);
        let differs = expected.bytes().zip(seal.bytes()).fold(0, |differs, (one, other)| differs | (one ^ other));
        !expected.is_empty() && expected.len() == seal.len() && differs == 0
    }
}

/// Who Tagboat is at a forge, with what it knows its own writing by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    /// The account.
    pub account: Account,
    /// The seal.
    pub seal: Seal,
}

impl Deref for Bot {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_of_one_key_one_purpose_and_one_text() {
        let seal = Seal::of(b"secret", "acme/config");
        let on = seal.on("block", b"text");
        assert!(seal.is_on("block", b"text", &on));
        for other in [
            Seal::of(b"secret", "acme/other").is_on("block", b"text", &on),
            Seal::of(b"other", "acme/config").is_on("block", b"text", &on),
            seal.is_on("state", b"text", &on),
            seal.is_on("block", b"other", &on),
            seal.is_on("block", b"text", ""),
            seal.is_on("block", b"text", &on[1..]),
        ] {
            assert!(!other);
        }
        assert_eq!(format!("{seal:?}"), "Seal(…)");
    }
}
