//! What is done and what waits in the store in memory.

use std::collections::BTreeSet;

use tagboat_model::{BranchKey, EventId, Timestamp};
use tagboat_ports::Tally;

use super::{memory_branch::Branch, memory_deliveries::EventBranch, memory_store::Tables};

impl Tables {
    pub(super) fn tally(&self, now: Timestamp) -> Tally {
        let waits = |it: &&EventBranch| self.branches.get(&it.key).is_some_and(|branch| it.sequence > branch.served);
        let concerning: BTreeSet<&EventId> = self.event_branches.iter().map(|it| &it.event).collect();
        let pending: BTreeSet<&EventId> = self.event_branches.iter().filter(waits).map(|it| &it.event).collect();
        let waiting = || self.branches.iter().filter(|(_, branch)| branch.dirty > branch.served);
        let since = |(key, branch): (&BranchKey, &Branch)| {
            let first = self.event_branches.iter().filter(|it| it.key == *key && it.sequence > branch.served);
            let first = first.min_by_key(|it| it.sequence).map(|it| &it.event);
            let event = self.events.iter().find(|event| Some(&event.id) == first);
            event.map_or(branch.first_dirty, |event| event.received_at.max(branch.served_at.unwrap_or_default()))
        };
        let (accepted, concerning, pending) = (self.events.len() as u64, concerning.len() as u64, pending.len() as u64);
        Tally {
            accepted,
            done: concerning - pending,
            refused: accepted - concerning,
            pending,
            branches: self.branches.len() as u64,
            waiting: waiting().count() as u64,
            failing: waiting().filter(|(_, branch)| branch.attempts > 0).count() as u64,
            parked: waiting().filter(|(_, branch)| branch.parked().is_some()).count() as u64,
            leased: self.branches.values().filter(|branch| branch.lease_until > now).count() as u64,
            oldest: waiting().map(since).min(),
        }
    }
}
