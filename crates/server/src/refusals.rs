//! Requests that were not authentic: counted by receiver and reason, in memory, bounded.
//!
//! They are not stored: anybody can send them, so they must not be able to fill the database.

use std::{collections::BTreeMap, sync::Mutex};

use tagboat_model::Timestamp;

/// Further kinds are counted together.
const MOST_KINDS: usize = 100;

/// One kind of refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The receiver, or what was asked for when there is none of that name.
    pub receiver: String,
    /// Why.
    pub reason: String,
    /// How often.
    pub count: u64,
    /// When last.
    pub last_at: Timestamp,
}

/// All refusals since the start.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<BTreeMap<(String, String), (u64, Timestamp)>>);

impl Refusals {
    /// Count one.
    pub fn count(&self, receiver: &str, reason: &str, now: Timestamp) {
        let Ok(mut kinds) = self.0.lock() else { return };
        let key = (receiver.to_owned(), reason.to_owned());
        let known = kinds.contains_key(&key) || kinds.len() < MOST_KINDS;
        let key = if known { key } else { ("(others)".to_owned(), "(various)".to_owned()) };
        let entry = kinds.entry(key).or_insert((0, now));
        *entry = (entry.0 + 1, now);
    }

    /// All kinds, by receiver.
    #[must_use]
    pub fn all(&self) -> Vec<Refusal> {
        let Ok(kinds) = self.0.lock() else { return Vec::new() };
        let refusal = |((receiver, reason), (count, last_at)): (&(String, String), &(u64, Timestamp))| Refusal {
            receiver: receiver.clone(),
            reason: reason.clone(),
            count: *count,
            last_at: *last_at,
        };
        kinds.iter().map(refusal).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let refusals = Refusals::default();
        for number in 0..10_000 {
            refusals.count(&format!("receiver-{number}"), "there is no such receiver", Timestamp(number));
        }
        let all = refusals.all();
        assert_eq!(all.len(), MOST_KINDS + 1);
        assert_eq!(all.iter().map(|refusal| refusal.count).sum::<u64>(), 10_000);
    }
}
