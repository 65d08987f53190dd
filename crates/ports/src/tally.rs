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
