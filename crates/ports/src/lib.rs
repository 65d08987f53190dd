//! The traits through which the engine meets the outside, and their plain data.
//!
//! No implementation stands here. Each trait has one for production (`registry`, `repository`, `store`) and
//! one in memory for the simulator (`testkit`). A method may be called again after it failed or was
//! cancelled: implementations recognise an effect that already happened.

mod clock;
mod files;
mod keys;
mod progress;
mod registry;
mod repository;
mod store;
mod tags;

pub use clock::{Clock, Ids};
pub use files::{FileMemory, MEMORY_OF_FILES, RememberedFile};
pub use keys::{KeyError, PublishedKeys};
pub use progress::{Progress, Step};
pub use registry::{ManifestDescription, ManifestKind, Registry, RegistryError, RegistryErrorKind, Verification};
pub use repository::{
    BOT_BRANCHES, BlobId, BranchChange, BranchUpdate, ChangedFile, FileEntry, NewCommit, NewFile, NotEditable, Push,
    PushOutcome, Repository, RepositoryError, RepositoryErrorKind,
};
pub use store::{
    BranchState, DecisionRecord, DecisionsAbout, DeliveryRecord, EventRecord, Finish, Interest, NewDelivery, NewEvent,
    PendingChange, Recorded, Settle, Settled, Store, StoreError, Stored, StoredDelivery, ToRecord, Work,
};
pub use tags::{Announcement, MOST_REPLACED, Observation, ObservedTag, Sighting, TagMemory};
