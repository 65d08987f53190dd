//! The traits through which the engine meets the outside, and their plain data.
//!
//! No implementation stands here. Each trait has one for production (`registry`, `repository`, `store`) and
//! one in memory for the simulator (`testkit`). A method may be called again after it failed or was
//! cancelled: implementations recognise an effect that already happened.

mod clock;
mod files;
mod forge;
mod history;
mod keys;
mod progress;
mod records;
mod registry;
mod repository;
mod store;
mod store_error;
mod tags;
mod tally;

pub use clock::{Clock, Ids};
pub use files::{FileMemory, MEMORY_OF_FILES, RememberedFile};
pub use forge::{
    Annotation, AutoMerge, Forge, ForgeError, ForgeErrorKind, Issue, Merge, Merged, NewPullRequest, PullRequestEdit,
    Report,
};
pub use history::{History, MOST_RAN, NotedRan};
pub use keys::{KeyError, PublishedKeys};
pub use progress::{Landed, Progress, PushTried, Step};
pub use records::{BranchState, DecisionRecord, DeliveryRecord, EventRecord, PendingEvent, StoredDelivery};
pub use registry::{ManifestDescription, ManifestKind, Registry, RegistryError, RegistryErrorKind, Verification};
pub use repository::{
    BOT_BRANCHES, BlobId, BranchChange, BranchUpdate, ChangedFile, CommitSummary, FileEntry, LARGEST_STATE, NewCommit,
    NewFile, NotEditable, PROPOSED_FILE, Push, PushOutcome, Repository, RepositoryError, RepositoryErrorKind,
    STATE_BRANCH, STATE_FILE, STATE_REF,
};
pub use store::{
    DecisionsAbout, Finish, Interest, NewDelivery, NewEvent, PendingChange, Recorded, Settle, Settled, Store, Stored,
    ToRecord, Work,
};
pub use store_error::StoreError;
pub use tags::{Announcement, MOST_REPLACED, Observation, ObservedTag, Sighting, TagMemory};
pub use tally::{Tally, Written};
