//! Which signature an image must carry. What a signature is made of is known elsewhere.

use serde::{Deserialize, Serialize};

/// Who must have signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SignatureRule {
    /// The holder of the private half of one of these keys.
    Keys {
        /// Public keys in PEM (`-----BEGIN PUBLIC KEY-----`); one is enough.
        pem: Vec<String>,
    },
    /// Somebody whose short-lived certificate says who it was ("keyless").
    Keyless {
        /// The OIDC issuer that vouched for the identity, exactly.
        issuer: String,
        /// The identity: the certificate's subject alternative name.
        identity: Identity,
    },
}

/// How the subject alternative name of a certificate must read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Identity {
    /// Exactly so.
    Exact(String),
    /// As this regular expression, which has to match all of it.
    Pattern(String),
}
