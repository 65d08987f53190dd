//! A document as it is kept: for how long, and how seldom it is asked for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tagboat_model::{Duration, Timestamp};
use tagboat_ports::{Clock, KeyError};

use crate::{error, fetch::Place, transport::Transport};

/// How long a document serves.
const LIFE: Duration = Duration::from_seconds(3600);
/// How long nothing is asked again after it went wrong.
const REST: Duration = Duration::from_seconds(30);
/// How seldom a newer document is fetched, whatever keys are named.
const NEWER_REST: Duration = Duration::from_seconds(60);

/// Which document is wished for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish {
    /// One that is not too old.
    Any,
    /// One that is newer than the last.
    Newer,
}

/// A document that is fetched when it is needed, by one request at a time.
pub(crate) struct Kept {
    place: Place,
    transport: Arc<Transport>,
    state: Arc<Mutex<State>>,
    /// Held by the one request that is under way. Nobody waits for it who can be answered without.
    asking: Arc<tokio::sync::Mutex<()>>,
}

impl Kept {
    pub(crate) fn new(place: Place, transport: Arc<Transport>) -> Self {
        Self { place, transport, state: Arc::default(), asking: Arc::default() }
    }

    /// The document. Whoever else asks meanwhile waits and gets the same answer. The request goes on when whoever began
    /// it does not wait for it any longer: otherwise strangers could keep an issuer's new keys from being learned.
    pub(crate) async fn get(self: &Arc<Self>, wish: Wish, clock: &Arc<dyn Clock>) -> Result<Arc<[u8]>, KeyError> {
        if let Some(answer) = self.state().answer(wish, clock.now()) {
            return answer;
        }
        let asking = Arc::clone(&self.asking).lock_owned().await;
        // Whoever was first may have learned it.
        if let Some(answer) = self.state().answer(wish, clock.now()) {
            return answer;
        }
        let (own, clock) = (Arc::clone(self), Arc::clone(clock));
        let request = tokio::spawn(async move {
            let outcome = own.place.fetch(&own.transport).await;
            let answer = own.state().learn(wish, outcome, clock.now());
            drop(asking);
            answer
        });
        match request.await {
            Ok(answer) => answer,
            Err(_) => Err(error(self.place.url().as_str(), "the request was broken off")),
        }
    }
}

impl Kept {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a document.
#[derive(Default)]
struct State {
    /// The last one, and since when.
    document: Option<(Arc<[u8]>, Timestamp)>,
    /// When it was asked for last, and what went wrong then.
    asked: Option<(Timestamp, Option<KeyError>)>,
    /// When it was asked for last because a newer one was wished for. What strangers name causes no more requests than
    /// this permits, and a key that is new right after the first request is learned all the same.
    renewed_at: Option<Timestamp>,
}

impl State {
    /// What can be answered without a request.
    fn answer(&self, wish: Wish, now: Timestamp) -> Option<Result<Arc<[u8]>, KeyError>> {
        let document = self.document.as_ref().filter(|(_, since)| is_within(*since, now, LIFE));
        let document = document.map(|(document, _)| Arc::clone(document));
        let asked = |rest| self.asked.as_ref().filter(|(at, _)| is_within(*at, now, rest));
        match wish {
            Wish::Any => document.map(Ok).or_else(|| asked(REST)?.1.clone().map(Err)),
            Wish::Newer => {
                if let Some((_, Some(error))) = asked(REST) {
                    return Some(Err(error.clone()));
                }
                self.renewed_at.filter(|at| is_within(*at, now, NEWER_REST))?;
                match asked(NEWER_REST) {
                    Some((_, Some(error))) => Some(Err(error.clone())),
                    _ => document.map(Ok),
                }
            }
        }
    }

    fn learn(
        &mut self,
        wish: Wish,
        outcome: Result<Arc<[u8]>, KeyError>,
        now: Timestamp,
    ) -> Result<Arc<[u8]>, KeyError> {
        if matches!(wish, Wish::Newer) {
            self.renewed_at = Some(now);
        }
        self.asked = Some((now, outcome.as_ref().err().cloned()));
        if let Ok(document) = &outcome {
            self.document = Some((Arc::clone(document), now));
        }
        outcome
    }
}

/// Whether a point lies back by less than this. One that is still to come does not: the clock was put back.
fn is_within(point: Timestamp, now: Timestamp, length: Duration) -> bool {
    point <= now && now.since(point) < length
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_700_000_000_000);

    fn after(seconds: u64) -> Timestamp {
        START.plus(Duration::from_seconds(seconds))
    }

    /// What is answered at these moments: the document, the error, or nothing without a request.
    fn answers(state: &State, wish: Wish, seconds: &[u64]) -> Vec<&'static str> {
        let words = |answer: Option<Result<Arc<[u8]>, KeyError>>| match answer {
            None => "asks",
            Some(Ok(_)) => "document",
            Some(Err(_)) => "error",
        };
        seconds.iter().map(|at| words(state.answer(wish, after(*at)))).collect()
    }

    fn learned(outcomes: &[(Wish, u64, bool)]) -> State {
        let mut state = State::default();
        for (wish, at, good) in outcomes {
            let outcome = if *good { Ok(Arc::from(b"{}".as_slice())) } else { Err(error("https://a.example", "no")) };
            let _ = state.learn(*wish, outcome, after(*at));
        }
        state
    }

    #[test]
    fn a_document_serves_for_an_hour() {
        let state = learned(&[(Wish::Any, 0, true)]);
        assert_eq!(answers(&state, Wish::Any, &[0, 59, 3599, 3600]), ["document", "document", "document", "asks"]);
        assert_eq!(answers(&state, Wish::Newer, &[0, 59]), ["asks", "asks"], "a key may be new since");
        let state = learned(&[(Wish::Any, 0, true), (Wish::Newer, 10, true)]);
        assert_eq!(answers(&state, Wish::Newer, &[10, 69, 70, 3700]), ["document", "document", "asks", "asks"]);
        assert!(state.answer(Wish::Any, Timestamp(START.0 - 1)).is_none(), "a clock that was put back");
    }

    #[test]
    fn what_went_wrong_is_not_tried_again_at_once() {
        let state = learned(&[(Wish::Any, 0, false)]);
        assert_eq!(answers(&state, Wish::Any, &[0, 29, 30]), ["error", "error", "asks"]);
        let state = learned(&[(Wish::Newer, 0, false)]);
        assert_eq!(answers(&state, Wish::Newer, &[0, 59, 60]), ["error", "error", "asks"]);
    }

    #[test]
    fn a_newer_document_that_could_not_be_fetched_does_not_spoil_the_last() {
        let state = learned(&[(Wish::Any, 0, true), (Wish::Newer, 100, false)]);
        assert_eq!(answers(&state, Wish::Any, &[100, 3599, 3600]), ["document", "document", "asks"]);
        assert_eq!(answers(&state, Wish::Newer, &[100, 159, 160]), ["error", "error", "asks"]);
    }
}
