//! What the engine and the server ask of the database.
//!
//! Dirtiness of a branch is a sequence: each event that concerns the branch raises `dirty`; a reconcile serves what it saw by
//! setting `served` to the number that it read before it gathered. Work that arrives meanwhile therefore stays. A lease only
//! saves work; its fence keeps a late worker from closing work that another one holds.

use async_trait::async_trait;
use tagboat_model::{
    BranchKey, CommitId, Decision, DecisionId, DeliveryId, Duration, Event, EventId, ImageName, ReceiverName,
    RepositoryName, TenantName, Timestamp, Trust,
};

use crate::{
    BranchState, DecisionRecord, DeliveryRecord, EventRecord, FileMemory, History, PendingEvent, StoreError,
    StoredDelivery, TagMemory, Tally, Written,
};

/// The database. Every method is one transaction, durable when it returns.
#[async_trait]
pub trait Store: TagMemory + FileMemory + History {
    /// Store a delivery with its events, and mark dirty every branch that is interested in one of the images, or that an
    /// event names. A delivery whose key the receiver used before, or which was taken once under another, is not stored
    /// again. It changes nothing, unless it acts again and its body is the same.
    async fn accept(&self, delivery: NewDelivery) -> Result<Stored, StoreError>;

    /// The images that any branch of a tenant is interested in, without repeats.
    async fn images_of_interest(&self, tenant: &TenantName) -> Result<Vec<ImageName>, StoreError>;

    /// Take away headers and bodies of deliveries that came before `before`, and of the oldest others while all bodies
    /// together have more than `most_bytes`. What was decided about them, and their keys, stay. Returns how many.
    async fn prune_deliveries(&self, before: Timestamp, most_bytes: u64) -> Result<u64, StoreError>;

    /// To be called when a process starts. End the leases of workers that cannot be alive: all that there are, for a database
    /// that one process uses at a time; else those of processes that are gone. What is parked is tried again: whoever starts
    /// may be mended.
    async fn release_orphans(&self) -> Result<(), StoreError>;

    /// Make branches known; those that are new become dirty and do not wait to settle.
    async fn know_branches(&self, keys: &[BranchKey], now: Timestamp) -> Result<(), StoreError>;

    /// Mark dirty every branch whose last sweep is older than `interval` (plus up to a tenth, so that branches
    /// do not sweep together), one of whose images is to be looked at again by now, or which is to be woken by now. Returns
    /// when the next one is due.
    async fn mark_sweeps(&self, interval: Duration, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// Take a lease on a branch that is due. Tenants take turns, and so do the config repositories of each; of one it is the
    /// branch that has been due longest, but an urgent one goes first. `Err(when)` inside says when one will be due.
    async fn lease(
        &self,
        owner: &str,
        settle: Settle,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Result<Work, Option<Timestamp>>, StoreError>;

    /// Hold a lease for longer. When the fence is stale, nothing is written and the answer is false.
    async fn renew(&self, work: &Work, until: Timestamp) -> Result<bool, StoreError>;

    /// Hand the events up to `work.sequence` that are not served yet to `each`, in their order. One at a time: there may be very
    /// many. After an error some may have been handed over.
    async fn pending_events(&self, work: &Work, each: &mut (dyn FnMut(PendingEvent) + Send)) -> Result<(), StoreError>;

    /// The images that a branch is interested in, each with the rules by which it is looked at (any text that changes
    /// with them), replace those it was interested in before. New ones are unlisted, and those whose rules changed.
    /// Nothing is written when the fence is stale.
    async fn set_interests(&self, work: &Work, images: &[(ImageName, String)]) -> Result<(), StoreError>;

    /// The images that a branch is interested in.
    async fn interests(&self, key: &BranchKey) -> Result<Vec<Interest>, StoreError>;

    /// Which of `commits` Tagboat made for this tenant.
    async fn own_commits(&self, tenant: &TenantName, commits: &[String]) -> Result<Vec<String>, StoreError>;

    /// Write down facts and decisions before they are acted on. A decision that is known already keeps the time
    /// of its first recording, so that a retry makes the same commit; what is said of it is replaced. Nothing is written when the
    /// fence is stale.
    async fn record(&self, work: &Work, record: ToRecord) -> Result<Recorded, StoreError>;

    /// Decisions whose commits were planned and whose landing was never written down.
    async fn pending_changes(&self, key: &BranchKey) -> Result<Vec<PendingChange>, StoreError>;

    /// Write down which decisions landed as which commits, and which planned ones never did. With them it becomes true of
    /// images that they were looked at completely.
    async fn settle_changes(&self, key: &BranchKey, settled: &Settled, now: Timestamp) -> Result<(), StoreError>;

    /// End a lease.
    async fn finish(&self, work: &Work, finish: Finish, now: Timestamp) -> Result<(), StoreError>;

    /// Returns when something was written that may have made work due, by this process.
    async fn changed(&self);

    /// The newest deliveries, of one receiver or of all, newest first.
    async fn deliveries(&self, receiver: Option<&ReceiverName>, limit: u32) -> Result<Vec<DeliveryRecord>, StoreError>;

    /// One delivery, whole.
    async fn delivery(&self, id: &DeliveryId) -> Result<Option<StoredDelivery>, StoreError>;

    /// The newest events, newest first.
    async fn events(&self, limit: u32) -> Result<Vec<EventRecord>, StoreError>;

    /// One event.
    async fn event(&self, id: &EventId) -> Result<Option<EventRecord>, StoreError>;

    /// The decisions that were taken (or taken again) last, newest first.
    async fn decisions(&self, about: &DecisionsAbout, limit: u32) -> Result<Vec<DecisionRecord>, StoreError>;

    /// The events that a decision answers, oldest first.
    async fn answered(&self, decision: &DecisionId) -> Result<Vec<EventId>, StoreError>;

    /// Every branch that is known.
    async fn branches(&self) -> Result<Vec<BranchState>, StoreError>;

    /// What is done and what waits, counted in one consistent read. Its cost grows with what waits, not with what was ever
    /// decided.
    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError>;

    /// Write something small on the way that a delivery takes, so that whoever asks knows whether one could be stored.
    async fn probe(&self) -> Result<(), StoreError>;

    /// What this process wrote since it started, where that is counted.
    fn written(&self) -> Written {
        Written::default()
    }
}

/// Which decisions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionsAbout {
    /// All.
    Anything,
    /// Those for a config repository.
    Repository {
        /// Whose it is.
        tenant: TenantName,
        /// Its name.
        repository: RepositoryName,
    },
    /// This one.
    One(DecisionId),
    /// Those that answer an event.
    Event(EventId),
    /// Those about an image, by its name or that of an image entry.
    Image {
        /// The image, in its long form.
        image: String,
        /// The entry.
        entry: String,
    },
    /// Those about an image that led to a commit.
    Updates {
        /// The image, in its long form.
        image: String,
        /// The entry.
        entry: String,
    },
}

/// How long events are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settle {
    /// Without a new one.
    pub quiet: Duration,
    /// At most.
    pub at_most: Duration,
}

/// An authentic request, to be stored before it is answered.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant: TenantName,
    /// Where it came in.
    pub receiver: ReceiverName,
    /// The kind of its sender, as configuration calls it.
    pub kind: String,
    /// How far its sender proved who it is.
    pub trust: Trust,
    /// The same for every repetition.
    pub key: String,
    /// What can be taken once, under whatever key it comes: the id that was signed with the body, or the body that was
    /// signed. Nothing where a proof covers neither.
    pub once: Option<String>,
    /// Whether the same again is not stored twice, but causes anew what its events cause. So it is where the sender gives
    /// its deliveries no ids, since it may be something new (a tag that moved once more), and with CI, whose job is run
    /// again because something has changed.
    pub acts_again: bool,
    /// What it comes to (`accepted`, `ignored`, `unparsable`).
    pub verdict: String,
    /// Why parts of it are not acted on.
    pub reasons: Vec<String>,
    /// The headers that say what the body is, without credentials.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: Vec<u8>,
    /// Its hash, which outlives it.
    pub body_hash: String,
    /// When it came.
    pub received_at: Timestamp,
    /// Its events.
    pub events: Vec<NewEvent>,
}

/// An event of a delivery.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its id.
    pub id: EventId,
    /// What it says.
    pub event: Event,
    /// How far its sender proved who it is.
    pub trust: Trust,
    /// Images that are to be looked at completely, because the event does not say what is new or may not supply it.
    pub looks: Vec<ImageName>,
    /// Branches that are to be reconciled, whatever images they are interested in. Those that are not known are left out.
    pub branches: Vec<BranchKey>,
    /// Whether the branches that it concerns do not wait to settle: people wait for what follows.
    pub urgent: bool,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// It is stored now; per event how many branches are interested.
    New(Vec<(EventId, usize)>),
    /// It was stored before.
    Duplicate {
        /// The events that it brought then.
        events: Vec<EventId>,
        /// Whether its body is the same.
        same_body: bool,
    },
}

/// A leased piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The branch.
    pub key: BranchKey,
    /// The dirty sequence that this work serves.
    pub sequence: i64,
    /// Raised with every lease.
    pub fence: i64,
    /// How often this work failed before.
    pub attempts: u32,
    /// When the branch was last swept, if ever.
    pub swept_at: Option<Timestamp>,
}

/// How a lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// What was dirty when it was read is served. `swept` says that every image was listed.
    Served {
        /// The head that was processed last.
        head: Option<CommitId>,
        /// Whether every image was listed.
        swept: bool,
        /// What stands in the way of anything being done, for people.
        problem: Option<String>,
        /// When the branch is due again although nothing happens and no image is to be looked at: a gate passes then, a
        /// hold ends. Takes the place of what was said before.
        wake_at: Option<Timestamp>,
    },
    /// It failed; try again at `again_at`.
    Failed {
        /// The whole chain of causes.
        error: String,
        /// Whether every image was looked at that can be: the next sweep is due an interval later all the same.
        swept: bool,
        /// When to try again.
        again_at: Timestamp,
        /// Whether it is left alone from now on: it fails every time in the same way. Newer work, a start of the process or
        /// a person takes it up again.
        parked: bool,
    },
}

/// That a branch wants to know of pushes to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// The image.
    pub image: ImageName,
    /// Whether it was looked at completely, the last time that it was to be.
    pub listed: bool,
    /// When it is to be looked at again although nothing happened: a version of it waits for something.
    pub look_at: Option<Timestamp>,
    /// The rules by which it is looked at.
    pub rules: String,
}

/// What a reconcile writes down before it acts.
#[derive(Debug, Clone)]
pub struct ToRecord {
    /// The commit that was read.
    pub head: CommitId,
    /// When.
    pub at: Timestamp,
    /// The stored form of the facts.
    pub facts: Vec<u8>,
    /// The decisions, each with its id and whether a commit is planned for it.
    pub decisions: Vec<(DecisionId, Decision, bool)>,
    /// Images that were looked at completely.
    pub listed: Vec<ImageName>,
    /// Images that were to be, and could not.
    pub missed: Vec<ImageName>,
    /// Images of which a version waits for something, with when to look again. No other image waits any more whose
    /// time has come.
    pub waiting: Vec<(ImageName, Timestamp)>,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// The time of the first recording of each decision, in the order given.
    At(Vec<Timestamp>),
    /// Another worker holds the lease now; nothing was written.
    StaleFence,
}

/// What became of planned commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Decisions that landed, with their commits.
    pub landed: Vec<(DecisionId, CommitId)>,
    /// Decisions whose commits were planned and never came to be.
    pub given_up: Vec<DecisionId>,
    /// Images that were looked at completely for what landed.
    pub listed: Vec<ImageName>,
}

/// A planned commit of which it is not known whether it landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingChange {
    /// The decision.
    pub decision: DecisionId,
    /// The head it was computed on.
    pub base: CommitId,
}
