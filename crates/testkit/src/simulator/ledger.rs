//! What the simulator writes down beside the world, so that promises can be checked: who held which lease, what people said.

use std::collections::{BTreeMap, BTreeSet};

use tagboat_model::{BranchKey, CommandId, DecisionId, EventId, Timestamp};

/// An environment, an entry and what it carries.
pub(super) type Put = (String, String, String);

#[derive(Default)]
pub(super) struct Ledger {
    /// The newest lease of each branch.
    fences: BTreeMap<BranchKey, i64>,
    /// When each lease began.
    leased: BTreeMap<(BranchKey, i64), i64>,
    /// When each replica took the lease that it has, or had last.
    pub(super) began: [i64; 2],
    pub(super) leases: usize,
    /// Work that failed because somebody asked to be left alone: its sequence, and until when.
    pub(super) left_alone: BTreeMap<BranchKey, (i64, Timestamp)>,
    /// When each decision was written down last.
    pub(super) recorded: BTreeMap<DecisionId, i64>,
    /// Events that were found answered.
    pub(super) answered: BTreeSet<EventId>,
    /// What people took back, and what they closed without merging, with when.
    pub(super) taken_back: BTreeSet<Put>,
    pub(super) closed: BTreeMap<Put, i64>,
    /// Freezes of environments that are under way, and those that were answered, with when.
    pub(super) freezing: BTreeMap<CommandId, String>,
    pub(super) frozen: BTreeMap<String, i64>,
    /// What people released that is not answered yet: it may be done after what they say next, and undo that.
    pub(super) releasing: BTreeSet<String>,
    /// Pull requests that people asked to have built anew or merged.
    pub(super) asked: BTreeSet<u64>,
    /// When a hold was released last.
    pub(super) released: i64,
    /// Files that people added.
    pub(super) notes: usize,
}

impl Ledger {
    pub(super) fn newest_fence(&self, key: &BranchKey) -> i64 {
        self.fences.get(key).copied().unwrap_or_default()
    }

    /// A lease is taken. Returns the newest before.
    pub(super) fn lease(&mut self, replica: usize, key: &BranchKey, fence: i64, at: i64) -> i64 {
        let before = self.newest_fence(key);
        self.fences.insert(key.clone(), fence.max(before));
        self.leased.insert((key.clone(), fence), at);
        self.began[replica] = at;
        self.leases += 1;
        before
    }

    pub(super) fn leased_at(&self, key: &BranchKey, fence: i64) -> i64 {
        self.leased.get(&(key.clone(), fence)).copied().unwrap_or_default()
    }

    /// People want again what they did not want before.
    pub(super) fn release(&mut self) {
        self.taken_back.clear();
        self.closed.clear();
        self.freezing.clear();
        self.frozen.clear();
    }
}
