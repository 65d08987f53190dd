//! A branch in the store in memory: dirtiness, leases, interests.

use std::collections::BTreeMap;

use tagboat_model::{CommitId, ImageName, Timestamp};
use tagboat_ports::{Interest, Settle, ToRecord};

#[derive(Debug, Default)]
pub(super) struct Branch {
    pub(super) dirty: i64,
    pub(super) served: i64,
    pub(super) first_dirty: Timestamp,
    pub(super) last_dirty: Timestamp,
    pub(super) urgent: bool,
    pub(super) attempts: u32,
    pub(super) not_before: Timestamp,
    pub(super) failed: i64,
    pub(super) lease_until: Timestamp,
    pub(super) leased_at: Timestamp,
    pub(super) parked_at: Option<Timestamp>,
    pub(super) fence: i64,
    pub(super) head: Option<CommitId>,
    pub(super) swept_at: Option<Timestamp>,
    pub(super) served_at: Option<Timestamp>,
    pub(super) problem: Option<String>,
    pub(super) wake_at: Option<Timestamp>,
    /// As `wake_at`, but for no image. It stays until that is served.
    pub(super) gate_at: Option<Timestamp>,
    pub(super) interests: BTreeMap<ImageName, Interest>,
    /// Looks that no work has taken up yet, with the sequence of the newest event that wants each.
    pub(super) asked: BTreeMap<ImageName, i64>,
}

impl Branch {
    pub(super) fn mark(&mut self, now: Timestamp) -> i64 {
        if self.dirty == self.served {
            self.first_dirty = now;
        }
        self.last_dirty = now;
        self.dirty += 1;
        self.dirty
    }

    /// As [`Branch::mark`], without waiting to settle.
    pub(super) fn wake(&mut self, now: Timestamp) {
        self.mark(now);
        self.urgent = true;
    }

    pub(super) fn ask_for_look(&mut self, image: &ImageName, sequence: i64) {
        if let Some(interest) = self.interests.get_mut(image) {
            interest.listed = false;
            self.asked.insert(image.clone(), sequence);
        }
    }

    pub(super) fn note_looks(&mut self, record: &ToRecord, sequence: i64) {
        let is_taken_up = |image: &ImageName| record.listed.contains(image) || record.missed.contains(image);
        self.asked.retain(|image, asked| *asked > sequence || !is_taken_up(image));
        for interest in self.interests.values_mut() {
            interest.look_at = interest.look_at.filter(|look_at| *look_at > record.at);
            let is_looked_at = record.listed.contains(&interest.image) && !self.asked.contains_key(&interest.image);
            interest.listed |= is_looked_at;
            interest.listed &= !record.missed.contains(&interest.image);
            let waits = record.waiting.iter().find(|(image, _)| *image == interest.image);
            interest.look_at = waits.map_or(interest.look_at, |(_, at)| Some(*at));
        }
    }

    /// Since when it is left alone; newer work takes it up again.
    pub(super) fn parked(&self) -> Option<Timestamp> {
        self.parked_at.filter(|_| self.dirty == self.failed)
    }

    pub(super) fn settled(&self, settle: Settle) -> Timestamp {
        let settled = self.last_dirty.plus(settle.quiet).min(self.first_dirty.plus(settle.at_most));
        if self.urgent { Timestamp::default() } else { settled }
    }

    pub(super) fn due(&self, settle: Settle) -> Timestamp {
        let settled = self.settled(settle);
        let retry = if self.dirty == self.failed { self.not_before } else { Timestamp::default() };
        settled.max(retry).max(self.lease_until)
    }
}
