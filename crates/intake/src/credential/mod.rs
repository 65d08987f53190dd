//! How senders prove themselves. Everything is compared in constant time, over raw bytes, against every live secret.
//!
//! One file per scheme. What is wrong with a request is said in a [`Refused`]; the sender is told none of it.

mod body_signature;
mod path;
mod sns;
mod standard_webhooks;
mod static_token;
mod token;

use secrecy::SecretString;
use tagboat_model::{KeySource, Trust};

use crate::{Denied, Headers, Keys, Refused, Request};

pub use body_signature::BodySignature;
pub use path::PathToken;
pub use standard_webhooks::{check_signing_secret, sign_standard_webhook};
pub use token::{ClaimRule, Provider, ProviderError, TokenClaims, TokenRule, claim_name};

/// One way in which a sender may prove itself.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A header with the secret itself.
    Token {
        /// The headers in which it may stand, in lower case.
        headers: Vec<String>,
        /// The secrets.
        secrets: Vec<SecretString>,
    },
    /// A header with a MAC of the body.
    BodySignature {
        /// Where it stands and how it is made.
        scheme: BodySignature,
        /// The secrets.
        secrets: Vec<SecretString>,
    },
    /// Standard Webhooks 1.0: a MAC of id, time and body.
    StandardWebhooks {
        /// The signing secrets, `whsec_…` or plain.
        secrets: Vec<SecretString>,
    },
    /// A token of an OIDC issuer in `Authorization: Bearer …`.
    Identity(Box<TokenRule>),
    /// Amazon SNS's signature.
    Sns {
        /// The topics (ARNs) that may send.
        topics: Vec<String>,
    },
    /// A part of the address that cannot be guessed.
    Path {
        /// The tokens.
        tokens: Vec<PathToken>,
    },
}

/// What a request proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) trust: Trust,
    /// An id of the delivery that is signed with the body.
    pub(crate) signed_id: Option<String>,
    /// What the token says.
    pub(crate) claims: Option<TokenClaims>,
    /// Whether it is a topic that may ask to be confirmed.
    pub(crate) topic: bool,
    /// Whether the body is signed, and nothing beside it.
    pub(crate) signs_body: bool,
}

impl Proof {
    pub(crate) fn of(trust: Trust) -> Self {
        Self { trust, signed_id: None, claims: None, topic: false, signs_body: false }
    }
}

impl Credential {
    /// How far it reaches.
    #[must_use]
    pub fn trust(&self) -> Trust {
        match self {
            Self::Path { .. } => Trust::Url,
            Self::Token { .. } => Trust::Token,
            Self::BodySignature { .. } | Self::StandardWebhooks { .. } | Self::Identity(_) | Self::Sns { .. } => {
                Trust::Signed
            }
        }
    }

    /// The scheme, as configuration calls it.
    #[must_use]
    pub fn scheme(&self) -> crate::Scheme {
        use crate::Scheme;
        match self {
            Self::Path { .. } => Scheme::Path,
            Self::Token { .. } => Scheme::Token,
            Self::BodySignature { .. } | Self::StandardWebhooks { .. } => Scheme::Signature,
            Self::Identity(_) => Scheme::Identity,
            Self::Sns { .. } => Scheme::Topic,
        }
    }

    /// Whether the headers can pass, before anything of the body is read. True where only the body decides.
    fn admits(&self, request: &Request<'_>) -> Result<(), Refused> {
        match self {
            Self::Token { headers, secrets } => static_token::verify(headers, secrets, request.headers),
            Self::Path { tokens } => path::verify(tokens, request.path_token),
            Self::BodySignature { scheme, .. } => scheme.is_there(request.headers),
            Self::StandardWebhooks { .. } => {
                standard_webhooks::signed_headers(request.headers, request.received_at).map(|_| ())
            }
            Self::Identity(_) => token::bearer(request.headers).map(|_| ()),
            Self::Sns { .. } => Ok(()),
        }
    }

    fn verify(&self, request: &Request<'_>, keys: &Keys) -> Result<Proof, Denied> {
        match self {
            Self::Token { headers, secrets } => static_token::verify(headers, secrets, request.headers)?,
            Self::Path { tokens } => path::verify(tokens, request.path_token)?,
            Self::BodySignature { scheme, secrets } => {
                scheme.verify(secrets, request.headers, request.body)?;
                return Ok(Proof { signs_body: true, ..Proof::of(self.trust()) });
            }
            Self::StandardWebhooks { secrets } => {
                let id = standard_webhooks::verify(secrets, request.headers, request.body, request.received_at)?;
                return Ok(Proof { signed_id: Some(id), ..Proof::of(self.trust()) });
            }
            Self::Identity(rule) => {
                let claims = token::verify(rule, request.headers, request.received_at, keys)?;
                return Ok(Proof { claims: Some(claims), ..Proof::of(self.trust()) });
            }
            Self::Sns { topics } => {
                sns::verify(topics, request.body, request.received_at, keys)?;
                return Ok(Proof { topic: true, ..Proof::of(self.trust()) });
            }
        }
        Ok(Proof::of(self.trust()))
    }
}

/// Of two reasons the one that says more: that something was wrong, rather than that it was not there.
fn telling(earlier: Option<Refused>, later: Refused) -> Refused {
    match earlier {
        Some(earlier) if later.is_absence() || !earlier.is_absence() => earlier,
        _ => later,
    }
}

/// Whether the headers can pass by any of the credentials. The reason is the one that says most.
pub(crate) fn admits(credentials: &[Credential], request: &Request<'_>) -> Result<(), Refused> {
    let mut refused = None;
    for credential in credentials {
        match credential.admits(request) {
            Ok(()) => return Ok(()),
            Err(reason) => refused = Some(telling(refused, reason)),
        }
    }
    Err(refused.unwrap_or(Refused::NoCredential))
}

/// Verify by any of the credentials. Keys that are missing are asked for before a refusal is final.
pub(crate) fn verify(credentials: &[Credential], request: &Request<'_>, keys: &Keys) -> Result<Proof, Denied> {
    let mut refused = None;
    let mut wanted: Option<Denied> = None;
    for credential in credentials {
        match credential.verify(request, keys) {
            Ok(proof) => return Ok(proof),
            Err(Denied::Refused(reason)) => refused = Some(telling(refused, reason)),
            Err(needs) => wanted = wanted.or(Some(needs)),
        }
    }
    Err(wanted.unwrap_or(Denied::Refused(refused.unwrap_or(Refused::NoCredential))))
}

/// The one value of a header, or why not.
pub(crate) fn header<'h>(headers: &'h Headers, name: &'static str) -> Result<&'h str, Refused> {
    headers.filled(name).ok_or(Refused::Missing(name))
}

/// What stands behind the scheme of an `Authorization` header, whose word is written in any case (RFC 9110, 11.1).
pub(crate) fn after_scheme<'v>(value: &'v str, scheme: &str) -> Option<&'v str> {
    let (word, rest) = value.split_once(' ')?;
    word.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// The document behind a key source, or the wish to have it.
pub(crate) fn document<'k>(keys: &'k Keys, source: &KeySource) -> Result<&'k [u8], Denied> {
    keys.get(source).ok_or_else(|| Denied::Needs(source.clone()))
}
