//! What the database holds, as it is read back and shown.

use serde::{Deserialize, Serialize};
use tagboat_model::{
    BranchKey, CommitId, Decision, DecisionId, DeliveryId, Event, EventId, ImagePushed, ReceiverName, TenantName,
    Timestamp, Trust,
};

/// A delivery as it is shown.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryRecord {
    /// Its id.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant: TenantName,
    /// Where it came in.
    pub receiver: ReceiverName,
    /// The kind of its sender; empty for one of before kinds were written down.
    pub kind: String,
    /// How far its sender proved who it is.
    pub trust: Trust,
    /// `accepted`, `ignored` or `unparsable`.
    pub verdict: String,
    /// Why parts of it were not acted on.
    pub reasons: Vec<String>,
    /// When it came.
    pub received_at: Timestamp,
}

/// A delivery with what it brought.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredDelivery {
    /// The delivery.
    #[serde(flatten)]
    pub record: DeliveryRecord,
    /// The same for every repetition.
    pub key: String,
    /// The headers that say what the body is.
    pub headers: Vec<(String, String)>,
    /// The raw body; none when it was taken away since.
    #[serde(skip)]
    pub body: Option<Vec<u8>>,
    /// Its events.
    pub events: Vec<EventRecord>,
}

/// An event as it is shown.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventRecord {
    /// Its id.
    pub id: EventId,
    /// The delivery it came in.
    pub delivery: DeliveryId,
    /// The receiver.
    pub receiver: ReceiverName,
    /// What it says.
    #[serde(flatten)]
    pub event: Event,
    /// How far its sender proved who it is.
    pub trust: Trust,
    /// When it came.
    pub received_at: Timestamp,
    /// The branches that were interested when it came, with whether each is served.
    pub branches: Vec<(BranchKey, bool)>,
}

impl EventRecord {
    /// What was pushed, if something was.
    #[must_use]
    pub fn pushed(&self) -> Option<&ImagePushed> {
        match &self.event {
            Event::ImagePushed(pushed) => Some(pushed),
            Event::BuildFinished(_) | Event::RepositoryChanged(_) | Event::InstallationsChanged { .. } => None,
        }
    }
}

/// An event that waits, as far as a reconcile has to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEvent {
    /// Its id.
    pub id: EventId,
    /// What it says.
    pub event: Event,
    /// How far its sender proved who it is.
    pub trust: Trust,
    /// When it came.
    pub received_at: Timestamp,
}

impl PendingEvent {
    /// What was pushed, if the sender is believed so far that this can be a candidate.
    #[must_use]
    pub fn candidate(&self) -> Option<&ImagePushed> {
        match &self.event {
            Event::ImagePushed(pushed) if self.trust > Trust::Url => Some(pushed),
            _ => None,
        }
    }
}

impl From<EventRecord> for PendingEvent {
    fn from(record: EventRecord) -> Self {
        let EventRecord { id, event, trust, received_at, .. } = record;
        Self { id, event, trust, received_at }
    }
}

/// A decision as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// Its id.
    pub id: DecisionId,
    /// The branch.
    pub key: BranchKey,
    /// The commit that was read.
    pub head: CommitId,
    /// When it was first recorded.
    pub decided_at: Timestamp,
    /// What was decided.
    pub decision: Decision,
    /// The commit that carries it out, once it is on the branch.
    pub commit: Option<CommitId>,
}

/// A branch as it is shown.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BranchState {
    /// The branch.
    pub key: BranchKey,
    /// Whether work is waiting.
    pub dirty: bool,
    /// The head that was processed last.
    pub head: Option<CommitId>,
    /// When it was last brought to its end.
    pub served_at: Option<Timestamp>,
    /// What went wrong last, or stands in the way, until it does no longer.
    pub problem: Option<String>,
    /// How often the present work failed.
    pub attempts: u32,
    /// Since when it is left alone, because it fails every time in the same way.
    pub parked_at: Option<Timestamp>,
    /// When it is tried again, while it fails or a version waits for something.
    pub again_at: Option<Timestamp>,
}
