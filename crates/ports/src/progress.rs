//! What happens, as it happens, for whoever watches: the demo, logs, live pages.

use tagboat_model::{
    BranchKey, CommitId, Decision, DecisionId, Event, EventId, ImageName, ReceiverName, Tag, Timestamp,
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
    Accepted { receiver: ReceiverName, key: String, events: Vec<(EventId, Event)>, at: Timestamp },
    /// A request was authentic, but nothing in it is of interest.
    Ignored { receiver: ReceiverName, reasons: Vec<String>, at: Timestamp },
    /// A request was not authentic.
    Refused { receiver: String, reason: String, at: Timestamp },
    /// A branch was read.
    Gathered { key: BranchKey, head: CommitId, references: usize, at: Timestamp },
    /// The registry was asked about a tag.
    Asked { image: ImageName, tag: Tag, answer: String, at: Timestamp },
    /// A decision was taken.
    Decided { key: BranchKey, id: DecisionId, decision: Box<Decision>, at: Timestamp },
    /// A file is to be changed; `before` and `after` are its whole text.
    Edited { key: BranchKey, path: String, before: String, after: String, at: Timestamp },
    /// Commits are on the branch.
    Pushed { key: BranchKey, commits: Vec<(DecisionId, CommitId)>, at: Timestamp },
    /// A reconcile did not come to its end and will be tried again.
    Failed { key: BranchKey, error: String, again_at: Timestamp, at: Timestamp },
    /// A reconcile came to its end.
    Served { key: BranchKey, at: Timestamp },
}

/// Nobody watches.
impl Progress for () {
    fn step(&self, _: &Step) {}
}
