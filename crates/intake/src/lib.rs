//! Requests from senders become events, or a reason why not.
//!
//! Pure: headers, body, receiver and the time of receipt go in; an [`Accepted`] or a [`Refused`] comes out.
//! Nothing is fetched and nothing is stored here. No field of a body ever chooses where Tagboat connects:
//! the registry of an image comes from the receiver's configuration.
//!
//! One file per sender under `sender/`; what all share is beside this file.

mod headers;
mod ignore;
mod receiver;
mod sender;
mod signature;

use sha2::{Digest as _, Sha256};
use tagboat_model::{Event, Timestamp};
use thiserror::Error;

pub use headers::Headers;
pub use ignore::{Ignored, Verdict};
pub use receiver::{ImagePattern, ImagePatternError, Receiver, Sender};
pub use signature::{check_signing_secret, sign_standard_webhook};

/// Why a request is not authentic. The sender is told none of this; the log and the status page are.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// A header that the sender's scheme needs is missing or malformed.
    #[error("the header `{0}` is missing or malformed")]
    Header(&'static str),
    /// The credential does not match any that is configured.
    #[error("the credential does not match")]
    Credential,
    /// The signed time is too far from ours.
    #[error("the signed time is {seconds} s away from ours; at most {allowed} s are accepted")]
    Time {
        /// Distance in seconds.
        seconds: u64,
        /// What is accepted.
        allowed: u64,
    },
}

/// An authentic request, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The same for every repetition of one delivery, different between deliveries of one receiver.
    pub key: String,
    /// The facts to act on.
    pub events: Vec<Event>,
    /// What was in it beside them, with the reason why it is of no interest.
    pub ignored: Vec<Ignored>,
    /// What the request comes to.
    pub verdict: Verdict,
}

/// Check what the headers alone can show, before the body is read: a credential that stands there, or that a
/// signature and a fresh time are there at all.
///
/// # Errors
/// [`Refused`] when they are not as they must be.
pub fn verify_headers(receiver: &Receiver, headers: &Headers, now: Timestamp) -> Result<(), Refused> {
    match &receiver.sender {
        Sender::Distribution { authorization, .. } => sender::distribution::verify(authorization, headers),
        Sender::Generic { .. } => signature::standard_webhook_headers(headers, now).map(|_| ()),
    }
}

/// Verify a request over its raw bytes, then read it.
///
/// # Errors
/// [`Refused`] when it is not authentic. A body that cannot be read is not an error: its sender proved who
/// it is, so it is [`Accepted`] with the verdict [`Verdict::Unparsable`].
pub fn receive(receiver: &Receiver, headers: &Headers, body: &[u8], now: Timestamp) -> Result<Accepted, Refused> {
    let read = match &receiver.sender {
        Sender::Distribution { authorization, registry } => {
            sender::distribution::verify(authorization, headers)?;
            sender::distribution::read(registry, body)
        }
        Sender::Generic { secrets } => {
            let id = signature::verify_standard_webhook(secrets, headers, body, now)?;
            sender::generic::read(&id, body)
        }
    };
    Ok(ignore::sift(receiver, read.unwrap_or_else(|error| unparsable(&error, body))))
}

/// What was found in a body, before the receiver's allow-list is applied.
pub(crate) struct Read {
    pub(crate) key: String,
    pub(crate) events: Vec<Event>,
    pub(crate) ignored: Vec<Ignored>,
}

fn unparsable(error: &serde_json::Error, body: &[u8]) -> Read {
    Read { key: body_key(body), events: Vec::new(), ignored: vec![Ignored::Unparsable { detail: error.to_string() }] }
}

/// The key of a delivery that brings none of its own.
pub(crate) fn body_key(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}
