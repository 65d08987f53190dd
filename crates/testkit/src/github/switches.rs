//! Ways in which GitHub disappoints, each switched on by a test.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

/// What is switched on.
#[derive(Debug, Default)]
pub(super) struct Switches {
    /// Requests that are still answered with this 5xx.
    pub(super) broken: Option<(u16, usize)>,
    /// Only those whose method and path, or operation, have this in them.
    pub(super) broken_at: String,
    /// Writes whose effect stays and whose answer is lost.
    pub(super) lost_answers: usize,
    /// Only of those whose method and path, or operation, have this in them.
    pub(super) lost_answers_to: String,
    /// Requests that the secondary limit still refuses: status and seconds in `Retry-After`.
    pub(super) secondary: Option<(u16, u64, usize)>,
    /// What is left of the primary limit; nothing for plenty.
    pub(super) remaining: Option<u64>,
    /// How long listings do not show the newest change.
    pub(super) lag: Duration,
    /// Listings as they were shown before, by what was asked.
    pub(super) shown: BTreeMap<String, Vec<Value>>,
    pub(super) lose_webhooks: bool,
    /// Requests that were counted.
    pub(super) used: u64,
}

/// The hourly limit that headers speak of.
pub(super) const LIMIT: u64 = 5000;

impl Switches {
    /// What is left of the primary limit.
    pub(super) fn left(&self) -> u64 {
        self.remaining.unwrap_or_else(|| LIMIT.saturating_sub(self.used))
    }

    /// Count a request.
    pub(super) fn count(&mut self) {
        self.used += 1;
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(1);
        }
    }

    /// A listing as it is shown while indexes lag behind. `changed` is how long ago the newest change was, `settled` what
    /// is shown when nobody has seen the listing before.
    pub(super) fn lagging(
        &mut self,
        key: &str,
        fresh: Vec<Value>,
        changed: Duration,
        settled: Vec<Value>,
    ) -> Vec<Value> {
        if self.lag.is_zero() {
            return fresh;
        }
        if changed < self.lag {
            return self.shown.get(key).cloned().unwrap_or(settled);
        }
        self.shown.insert(key.to_owned(), fresh.clone());
        fresh
    }
}
