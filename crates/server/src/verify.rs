//! From a request to what it comes to: keys are fetched where they are needed, nothing else is asked.

use tagboat_engine::chain;
use tagboat_intake::{Accepted, Denied, Keys, Receiver, Refused, Request, carries_token, receive, verify_token};

use crate::{Server, counts::Counted};

/// Why a request was not taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// It is not authentic.
    Refused(Refused),
    /// Whether it is cannot be said now.
    KeysUnavailable,
}

/// Why a token cannot be verified now.
const NO_KEYS: &str = "the issuer's keys cannot be fetched";
/// A key is named that the newest keys do not have.
const NO_SUCH_KEY: &str = "its issuer has no key of the name that it gives";

impl Server {
    /// Verify a request and take it apart.
    pub(crate) async fn taken(&self, receiver: &Receiver, request: &Request<'_>) -> Result<Accepted, NotTaken> {
        self.with_keys(receiver, |keys| receive(receiver, request, keys)).await
    }

    /// Verify what can be before the body is read: strangers must not take the room of those who can prove themselves.
    pub(crate) async fn proved(&self, receiver: &Receiver, request: &Request<'_>) -> Result<(), NotTaken> {
        if carries_token(receiver) {
            return self.with_keys(receiver, |keys| verify_token(receiver, request, keys)).await;
        }
        Ok(())
    }

    async fn with_keys<T>(
        &self,
        receiver: &Receiver,
        verify: impl Fn(&Keys) -> Result<T, Denied> + Send,
    ) -> Result<T, NotTaken> {
        let (mut keys, mut renewed) = (Keys::default(), false);
        loop {
            let (source, fetched) = match verify(&keys) {
                Ok(verified) => return Ok(verified),
                Err(Denied::Refused(refused)) => return Err(NotTaken::Refused(refused)),
                Err(Denied::NeedsNewer(_)) if renewed => {
                    return Err(NotTaken::Refused(Refused::Token(NO_SUCH_KEY.to_owned())));
                }
                Err(Denied::NeedsNewer(source)) => {
                    renewed = true;
                    let fetched = self.keys.newer_document(&source).await;
                    (source, fetched)
                }
                Err(Denied::Needs(source)) => {
                    let fetched = self.keys.document(&source).await;
                    (source, fetched)
                }
            };
            match fetched {
                Ok(document) => keys.insert(source, document),
                Err(error) => {
                    let (name, now) = (&receiver.name, self.clock.now());
                    if let Some(times) = self.counts.tell(name.as_str(), Counted::Postponed, NO_KEYS, now) {
                        tracing::error!(receiver = %name, error = %chain(&error), times, "a request cannot be verified");
                    }
                    return Err(NotTaken::KeysUnavailable);
                }
            }
        }
    }
}
