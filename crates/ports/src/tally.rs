//! What the database counts of its work.

use serde::Serialize;
use tagboat_model::Timestamp;

/// What is done and what waits, at one moment. Every stored event is in exactly one of [`Tally::done`], [`Tally::refused`] and
/// [`Tally::pending`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Events that are stored, each once, however often it was delivered.
    pub accepted: u64,
    /// Those that every branch they concern has served: what became of them is in Git, in a pull request, or in the reasons
    /// of a decision.
    pub done: u64,
    /// Those that concerned no branch of any config repository when they came: nothing follows from them.
    pub refused: u64,
    /// Those that some branch they concern has not served yet.
    pub pending: u64,
    /// Branches that are known.
    pub branches: u64,
    /// Those on which work waits or is under way.
    pub waiting: u64,
    /// Of those, the ones whose last reconcile did not come to its end.
    pub failing: u64,
    /// Of those, the ones that are left alone because they fail every time.
    pub parked: u64,
    /// Branches that a worker holds.
    pub leased: u64,
    /// Since when the work waits that has waited longest.
    pub oldest: Option<Timestamp>,
}

/// What a process wrote to its database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Transactions that were committed: each waited for the disk once.
    pub committed: u64,
    /// Those that were not, and wrote nothing.
    pub failed: u64,
    /// Operations in all of them, those that failed included: over the number of transactions, how many shared one.
    pub operations: u64,
    /// The time in transactions, in microseconds. One runs at a time, so over a time that passed this is how busy the writer was.
    pub microseconds: u64,
}
