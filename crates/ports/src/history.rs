//! What the engine asks the database about the past of environments, and about what people wish and command.

use async_trait::async_trait;
use tagboat_model::{
    BranchKey, CommandAnswer, CommandId, CommandRecord, EntryName, EnvironmentName, Hold, HoldId, Person, RanIn,
    RepositoryName, TenantName, Timestamp, Version,
};

use crate::{StoreError, Work};

/// What ran where, holds, and commands.
#[async_trait]
pub trait History: Send + Sync {
    /// What ran in the environments of a config repository: for each environment and entry the newest `most`, oldest first.
    async fn ran(&self, tenant: &TenantName, repository: &RepositoryName, most: u32) -> Result<Vec<RanIn>, StoreError>;

    /// Write down what runs now where that is not what is written down as running, which ends then. Also marks those that
    /// were taken back. The newest [`MOST_RAN`] of each environment and entry are kept. Nothing is written when the fence
    /// is stale.
    async fn note_ran(&self, work: &Work, noted: &[NotedRan]) -> Result<(), StoreError>;

    /// The holds of a config repository that are not released, oldest first.
    async fn holds(&self, tenant: &TenantName, repository: &RepositoryName) -> Result<Vec<Hold>, StoreError>;

    /// Every config repository's holds that are not released.
    async fn all_holds(&self) -> Result<Vec<(TenantName, RepositoryName, Hold)>, StoreError>;

    /// Place holds in the config repository of `work`. One whose id is known, also as released, changes nothing. If one is new,
    /// marks the repository's branches dirty; they do not wait to settle. When the fence is stale, nothing is written and the
    /// answer is false.
    async fn place_holds(&self, work: &Work, holds: &[Hold], now: Timestamp) -> Result<bool, StoreError>;

    /// Release holds of the config repository of `work`. If one was not released before, marks the repository's branches dirty,
    /// which do not wait to settle. When the fence is stale, nothing is written and the answer is false.
    async fn release_holds(&self, work: &Work, ids: &[HoldId], by: &Person, now: Timestamp)
    -> Result<bool, StoreError>;

    /// Take a command, unless its id is known. Marks the branches of its repository dirty; they do not wait to settle.
    /// Returns whether it is new.
    async fn take_command(&self, command: &CommandRecord, now: Timestamp) -> Result<bool, StoreError>;

    /// The commands to a config repository that are not answered, oldest first.
    async fn open_commands(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
    ) -> Result<Vec<CommandRecord>, StoreError>;

    /// Answer a command. One that is answered keeps its answer.
    async fn answer_command(
        &self,
        tenant: &TenantName,
        id: &CommandId,
        answer: &CommandAnswer,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// One command. Ids are to differ between tenants; where they do not, it is the one that was taken first.
    async fn command(&self, id: &CommandId) -> Result<Option<CommandRecord>, StoreError>;

    /// Make branches dirty now, without waiting to settle: something that they depend on has changed. Those that are not
    /// known are left out.
    async fn wake(&self, keys: &[BranchKey], now: Timestamp) -> Result<(), StoreError>;

    /// Every branch of a config repository that is known.
    async fn branches_of(&self, tenant: &TenantName, repository: &RepositoryName)
    -> Result<Vec<BranchKey>, StoreError>;

    /// A small value that the engine keeps for itself about a config repository (`state-commit`, `swept-comments`).
    async fn kept(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        key: &str,
    ) -> Result<Option<String>, StoreError>;

    /// Keep one.
    async fn keep(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        key: &str,
        value: &str,
    ) -> Result<(), StoreError>;
}

/// How much of what ran is kept, for each environment and entry.
pub const MOST_RAN: usize = 200;

/// What is to be written down about what runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotedRan {
    /// This runs now; it has no end yet. Where the same version is written down as running, nothing changes.
    Runs(Box<RanIn>),
    /// The references disagree, or are gone: what is written down as running ends.
    Ends {
        /// The environment.
        environment: EnvironmentName,
        /// The image entry.
        entry: EntryName,
        /// When.
        at: Timestamp,
    },
    /// People took this version back, the last time that it ran: it is not promoted any more.
    TakenBack {
        /// The environment.
        environment: EnvironmentName,
        /// The image entry.
        entry: EntryName,
        /// The version.
        version: Version,
    },
}
