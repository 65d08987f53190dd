//! What became of requests, counted by receiver and reason, in memory, bounded.
//!
//! Requests that are not authentic are not stored: anybody can send them, so they must not be able to fill the database.
//! What a sender says all day long and is of no interest is not worth a row either.

use std::{collections::BTreeMap, sync::Mutex};

use serde::Serialize;
use tagboat_model::{Duration, ReceiverName, Timestamp};

/// Further kinds of refusals at one receiver are counted together.
const MOST_KINDS: usize = 30;
/// The log hears of one kind this often at most.
const BETWEEN_LINES: Duration = Duration::from_seconds(60);

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Counted {
    /// Events that are acted on.
    Accepted,
    /// Repetitions of deliveries.
    Repeated,
    /// Things in authentic requests that are not acted on.
    Ignored,
    /// Requests that were not authentic.
    Refused,
    /// Requests that could not be taken then.
    Postponed,
}

impl Counted {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeated => "repeated",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
            Self::Postponed => "postponed",
        }
    }
}

/// One kind of outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// The receiver, or `(unknown)`.
    pub receiver: String,
    /// What became of it.
    pub outcome: Counted,
    /// Why.
    pub reason: String,
    /// How often.
    pub count: u64,
    /// When last.
    pub last_at: Timestamp,
}

/// Receiver, outcome and reason.
type Kind = (String, Counted, String);

/// How often and when.
#[derive(Debug, Clone, Copy)]
struct Tally {
    count: u64,
    last_at: Timestamp,
    /// What the log heard of, and when.
    logged: Option<(u64, Timestamp)>,
}

/// All since the start.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<Kind, Tally>>);

impl Counts {
    /// Count `times` more.
    pub fn add(&self, receiver: &str, outcome: Counted, reason: &str, times: u64, now: Timestamp) {
        self.tally(receiver, outcome, reason, times, now, |_| ());
    }

    /// Count one of what strangers can cause. When the log is to hear of it: how many there were since it last did.
    pub fn tell(&self, receiver: &str, outcome: Counted, reason: &str, now: Timestamp) -> Option<u64> {
        let due = |tally: &mut Tally| {
            let (heard, at) = tally.logged.unwrap_or((0, Timestamp(0)));
            let is_due = tally.logged.is_none() || now.since(at) >= BETWEEN_LINES;
            is_due.then(|| {
                tally.logged = Some((tally.count, now));
                tally.count - heard
            })
        };
        self.tally(receiver, outcome, reason, 1, now, due).flatten()
    }

    fn tally<T>(
        &self,
        receiver: &str,
        outcome: Counted,
        reason: &str,
        times: u64,
        now: Timestamp,
        then: impl FnOnce(&mut Tally) -> T,
    ) -> Option<T> {
        let mut kinds = self.0.lock().ok()?;
        let mut key = (receiver.to_owned(), outcome, reason.to_owned());
        if outcome == Counted::Refused && !kinds.contains_key(&key) {
            let own = kinds.keys().filter(|(known, outcome, _)| known == receiver && *outcome == Counted::Refused);
            if own.count() >= MOST_KINDS {
                "(various)".clone_into(&mut key.2);
            }
        }
        let tally = kinds.entry(key).or_insert(Tally { count: 0, last_at: now, logged: None });
        tally.count = tally.count.saturating_add(times);
        tally.last_at = now;
        Some(then(tally))
    }

    /// All kinds, by receiver.
    #[must_use]
    pub fn all(&self) -> Vec<Count> {
        let Ok(kinds) = self.0.lock() else { return Vec::new() };
        let count = |((receiver, outcome, reason), tally): (&Kind, &Tally)| Count {
            receiver: receiver.clone(),
            outcome: *outcome,
            reason: reason.clone(),
            count: tally.count,
            last_at: tally.last_at,
        };
        kinds.iter().map(count).collect()
    }

    /// Those of one receiver.
    #[must_use]
    pub fn of(&self, receiver: &ReceiverName) -> Vec<Count> {
        self.all().into_iter().filter(|count| count.receiver == receiver.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_fill_the_memory_nor_the_log() {
        let counts = Counts::default();
        for number in 0..10_000 {
            counts.tell("ci", Counted::Refused, &format!("reason {number}"), Timestamp(number));
        }
        counts.tell("other", Counted::Refused, "reason", Timestamp(0));
        let all = counts.all();
        assert_eq!(all.len(), MOST_KINDS + 2, "others have kinds of their own");
        assert_eq!(all.iter().map(|refusal| refusal.count).sum::<u64>(), 10_001);
        let lines = |at: i64| counts.tell("third", Counted::Refused, "reason", Timestamp(at));
        assert_eq!([lines(0), lines(1), lines(59_999), lines(60_000)], [Some(1), None, None, Some(3)]);
    }
}
