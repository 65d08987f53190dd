//! What happens, as it happens, for whoever watches: the demo, logs, metrics, traces, live pages.

use tagboat_model::{
    BranchKey, CommitId, Decision, DecisionId, DeliveryId, Event, EventId, ImageName, ReceiverName, Tag, Timestamp,
};

/// Is told of steps. Must return at once; what is slow is queued by the implementation.
pub trait Progress: Send + Sync {
    /// One step happened.
    fn step(&self, step: &Step);
}

/// A step on the way from a request to a commit.
#[expect(missing_docs, reason = "the fields are what the documented variant speaks of")]
#[derive(Debug, Clone)]
pub enum Step {
    /// A request was verified, stored and answered.
    Accepted { delivery: DeliveryId, receiver: ReceiverName, key: String, events: Vec<(EventId, Event)>, at: Timestamp },
    /// A request was authentic, but nothing in it is of interest.
    Ignored { receiver: ReceiverName, reasons: Vec<String>, at: Timestamp },
    /// A request was not authentic.
    Refused { receiver: String, reason: String, at: Timestamp },
    /// A worker took a branch, which failed so often before.
    Taken { key: BranchKey, attempts: u32, at: Timestamp },
    /// A branch was read, to serve these events. A branch that moves meanwhile is read again.
    Gathered { key: BranchKey, head: CommitId, references: usize, events: Vec<EventId>, at: Timestamp },
    /// The registry was asked about a tag.
    Asked { image: ImageName, tag: Tag, answer: String, at: Timestamp },
    /// A decision was taken, which answers these events.
    Decided { key: BranchKey, id: DecisionId, decision: Box<Decision>, events: Vec<EventId>, at: Timestamp },
    /// A file is to be changed; `before` and `after` are its whole text.
    Edited { key: BranchKey, path: String, before: String, after: String, at: Timestamp },
    /// A push to the branch was tried.
    Tried { key: BranchKey, outcome: PushTried, at: Timestamp },
    /// Commits are on the branch.
    Pushed { key: BranchKey, commits: Vec<Landed>, at: Timestamp },
    /// A reconcile did not come to its end and will be tried again, with these events.
    Failed { key: BranchKey, error: String, events: Vec<EventId>, again_at: Timestamp, at: Timestamp },
    /// A reconcile came to its end.
    Served { key: BranchKey, at: Timestamp },
}

/// A decision that is carried out by a commit on the branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// The decision.
    pub decision: DecisionId,
    /// The commit, which names the decision.
    pub commit: CommitId,
    /// The events that it answers and that waited for it, with when each was accepted.
    pub events: Vec<(EventId, Timestamp)>,
}

/// What a push came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PushTried {
    /// It is there.
    Landed,
    /// Somebody else was faster; it is tried again on top of theirs.
    LostRace,
    /// The server does not take it.
    Refused,
    /// It is not known what became of it, or the server could not be reached.
    Failed,
}

impl PushTried {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Landed => "landed",
            Self::LostRace => "lostRace",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Nobody watches.
impl Progress for () {
    fn step(&self, _: &Step) {}
}
