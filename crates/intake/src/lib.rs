//! Requests from senders become events, or a reason why not.
//!
//! Pure: headers, body, receiver, published keys and the time of receipt go in; an [`Accepted`] or a [`Denied`] comes
//! out. Nothing is fetched and nothing is stored here: where a key is missing, that is said. No field of a body ever
//! chooses where Tagboat connects.
//!
//! `kind` names the senders, `credential/` has one file per way to prove oneself, `sender/` one file per body.

mod configured;
mod credential;
mod headers;
mod ignore;
mod keys;
mod kind;
mod pattern;
mod read;
mod receiver;
mod sender;
mod subscription;

use sha2::{Digest as _, Sha256};
use tagboat_model::{Event, KeySource, Timestamp, Trust};
use thiserror::Error;

use crate::{
    credential::Proof,
    ignore::Sifted,
    read::{Context, Read, Unreadable},
};

pub use configured::{Configured, ConfiguredError, credentials, scheme};
pub use credential::{
    BodySignature, ClaimRule, Credential, PathToken, Provider, ProviderError, TokenClaims, TokenRule,
    check_signing_secret, claim_name, sign_standard_webhook,
};
pub use headers::Headers;
pub use ignore::{Ignored, Verdict};
pub use keys::Keys;
pub use kind::{Kind, KindError, Scheme};
pub use pattern::{ImagePattern, ImagePatternError};
pub use read::UNNAMED_REGISTRY;
pub use receiver::{Receiver, Tenancy};
pub use subscription::Subscription;

/// A request as it came in.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// Its headers.
    pub headers: &'r Headers,
    /// What stands behind the receiver's name in the address.
    pub path_token: Option<&'r str>,
    /// The raw body.
    pub body: &'r [u8],
    /// When it came, by our clock.
    pub received_at: Timestamp,
}

/// Why a request is not authentic. The sender is told none of this; the log and the status page are.
#[expect(missing_docs, reason = "the fields are the words of the sentence that documents the variant")]
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// A header that the sender's scheme needs is missing.
    #[error("the header `{0}` is missing")]
    Missing(&'static str),
    /// A header is there and is not as the sender's scheme writes it.
    #[error("the header `{0}` is malformed")]
    Malformed(&'static str),
    /// No header carries a token.
    #[error("no token: none of the headers {} is there", .headers.join(", "))]
    NoToken { headers: Vec<String> },
    /// The address lacks its secret part.
    #[error("the address lacks its last part; `tagboat receivers` shows it whole")]
    NoPathToken,
    /// The credential does not match any that is configured.
    #[error("the credential does not match")]
    Credential,
    /// The signed time is too far from ours.
    #[error("the signed time is {seconds} s away from ours; at most {allowed} s are accepted")]
    Time { seconds: u64, allowed: u64 },
    /// The receiver has no credential, so that nothing passes.
    #[error("the receiver has no credential")]
    NoCredential,
    /// The token of an issuer is not as it must be.
    #[error("the token: {0}")]
    Token(String),
    /// The token is its issuer's, and its claims are not those that the receiver believes. Its holder may be told.
    #[error("the token's claim {claim} is {value}, which this receiver does not admit")]
    Claim { claim: String, value: String },
    /// A message of Amazon SNS is not as it must be.
    #[error("the message of Amazon SNS: {0}")]
    Sns(String),
}

impl Refused {
    /// The words under which it is counted, without what differs from request to request.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::NoToken { .. } => "no header carries a token".to_owned(),
            Self::Time { .. } => "the signed time is too far from ours".to_owned(),
            Self::Token(_) => "the token is not as it must be".to_owned(),
            Self::Claim { .. } => "a claim of the token is not admitted".to_owned(),
            Self::Sns(_) => "the message of Amazon SNS is not as it must be".to_owned(),
            Self::Missing(_) | Self::Malformed(_) | Self::NoPathToken | Self::Credential | Self::NoCredential => {
                self.to_string()
            }
        }
    }

    /// Whether nothing was there that could have been looked at.
    fn is_absence(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::NoToken { .. } | Self::NoPathToken | Self::NoCredential)
    }
}

/// Why a request cannot be taken, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Denied {
    /// It is not authentic.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The keys of this source are needed.
    #[error("the keys of {0:?} are needed")]
    Needs(KeySource),
    /// The keys that are at hand of this source do not have the one that is named: newer ones may.
    #[error("newer keys of {0:?} are needed")]
    NeedsNewer(KeySource),
}

/// An authentic request, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The same for every repetition of one delivery, different between deliveries of one receiver.
    pub key: String,
    /// The sender's own id of the delivery. Without one the key is made of the body, and the same again may be something
    /// new.
    pub id: Option<String>,
    /// What was signed and can be taken once, whatever stands beside it unsigned: an id, or the body within ten minutes.
    /// Nothing where the proof covers neither.
    pub once: Option<String>,
    /// How far the sender proved who it is.
    pub trust: Trust,
    /// The facts to act on.
    pub events: Vec<Event>,
    /// What was in it beside them, with the reason why it is of no interest.
    pub ignored: Vec<Ignored>,
    /// What the request comes to.
    pub verdict: Verdict,
    /// A subscription to confirm.
    pub subscription: Option<Subscription>,
    /// What the sender's token says, when it proved itself by one.
    pub claims: Option<TokenClaims>,
    /// The account that owns what it is about, as the sender writes it; only GitHub's say it.
    pub owner: Option<String>,
}

/// Check what the headers and the address alone can show, before the body is read: a credential that stands there, or
/// that a signature and a fresh time are there at all.
///
/// # Errors
/// [`Refused`] when they are not as they must be.
pub fn verify_headers(receiver: &Receiver, request: &Request<'_>) -> Result<(), Refused> {
    credential::admits(&receiver.credentials, request)
}

/// Whether a sender proves itself by a token that is to be verified with published keys, and by nothing of the body.
#[must_use]
pub fn carries_token(receiver: &Receiver) -> bool {
    !receiver.credentials.is_empty()
        && receiver.credentials.iter().all(|credential| credential.scheme() == Scheme::Identity)
}

/// Verify the token of such a sender, before anything of the body is read.
///
/// # Errors
/// [`Denied`] when it is not authentic, or keys are needed to say so.
pub fn verify_token(receiver: &Receiver, request: &Request<'_>, keys: &Keys) -> Result<(), Denied> {
    credential::verify(&receiver.credentials, request, keys).map(|_| ())
}

/// Verify a request over its raw bytes, then read it.
///
/// # Errors
/// [`Denied`] when it is not authentic, or keys are needed to say so. A body that cannot be read is not an error: its
/// sender proved who it is, so it is [`Accepted`] with the verdict [`Verdict::Unparsable`].
pub fn receive(receiver: &Receiver, request: &Request<'_>, keys: &Keys) -> Result<Accepted, Denied> {
    let proof = credential::verify(&receiver.credentials, request, keys)?;
    Ok(taken_apart(receiver, request, &proof))
}

/// Read a request that was verified before, or whose sender does not matter.
#[must_use]
pub fn read_unverified(receiver: &Receiver, request: &Request<'_>, trust: Trust) -> Accepted {
    taken_apart(receiver, request, &Proof { topic: true, ..Proof::of(trust) })
}

fn taken_apart(receiver: &Receiver, request: &Request<'_>, proof: &Proof) -> Accepted {
    let context = Context {
        headers: request.headers,
        registry: receiver.registry.as_deref(),
        repository: receiver.repository.as_deref(),
        claims: proof.claims.as_ref(),
        is_app: receiver.tenancy.is_app(),
    };
    let read = sender::read(receiver.kind, &context, request.body);
    let read = read.unwrap_or_else(|Unreadable(detail)| Read::nothing(None, Ignored::Unparsable { detail }));
    // What CI says is one, else the id that is signed, else the one that stands in the body or in a header.
    let said = request.headers.filled("idempotency-key").filter(|_| receiver.kind.is_ci());
    let id = said.map(str::to_owned).or_else(|| proof.signed_id.clone()).or_else(|| read.id.clone());
    let key = key(request, proof, id.as_deref());
    let once = proof.signed_id.clone().or_else(|| proof.signs_body.then(|| in_window(request)));
    // Whoever holds a header's secret is not the topic: any topic could be confirmed that way.
    let subscription = read.subscription.clone().filter(|_| proof.topic);
    let owner = read.owner.clone();
    let Sifted { events, ignored, verdict } = ignore::sift(receiver, read);
    let claims = proof.claims.clone();
    Accepted { key, id, once, trust: proof.trust, events, ignored, verdict, subscription, claims, owner }
}

/// Deliveries without an id are repetitions of one another when their bodies are equal and they come soon.
const REPETITION_WINDOW_SECONDS: i64 = 600;
/// Longer keys are hashed: databases do not like to index them.
const LONGEST_KEY: usize = 200;

/// The key of a delivery: its id, or its body. Whoever carries a token has keys of their own: nobody can use up those of
/// another job by saying the same first.
fn key(request: &Request<'_>, proof: &Proof, id: Option<&str>) -> String {
    let key = id.map_or_else(|| in_window(request), str::to_owned);
    let whose = proof.claims.as_ref().map(|claims| body_hash(claims.job.as_bytes()));
    let key = whose.map_or_else(|| key.clone(), |whose| format!("{key} of {whose}"));
    if key.len() > LONGEST_KEY { body_hash(key.as_bytes()) } else { key }
}

/// The body, and about when it came.
fn in_window(request: &Request<'_>) -> String {
    let window = request.received_at.0.div_euclid(REPETITION_WINDOW_SECONDS * 1000);
    format!("{}@{window}", body_hash(request.body))
}

/// The hash of a body, in hexadecimal.
#[must_use]
pub fn body_hash(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}
