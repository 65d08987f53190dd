//! What the engine asks of a config repository.

use async_trait::async_trait;
use tagboat_model::{BranchName, CommitId, DecisionId, Timestamp};
use thiserror::Error;

/// One config repository.
#[async_trait]
pub trait Repository: Send + Sync {
    /// The head of a branch, read from the server now; its commit and files can be read afterwards.
    /// `None` when there is no such branch.
    async fn head(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError>;

    /// Every regular file of a commit, sorted by path. Symbolic links and submodules are left out.
    async fn files(&self, commit: &CommitId) -> Result<Vec<FileEntry>, RepositoryError>;

    /// The bytes of blobs, in the order asked for; nothing for those of more than `largest` bytes.
    async fn read(&self, blobs: &[BlobId], largest: usize) -> Result<Vec<Option<Vec<u8>>>, RepositoryError>;

    /// Put commits on top of `base` and move the branch there, if it is still at `base`. The outcome is read
    /// from the branch itself.
    async fn push(&self, push: &Push) -> Result<PushOutcome, RepositoryError>;

    /// Which of `decisions` stand in `Tagboat-Decision` trailers between `base` (excluded) and `head`, with
    /// the commits. History that cannot be read attributes nothing.
    async fn landed(
        &self,
        head: &CommitId,
        base: &CommitId,
        decisions: &[DecisionId],
    ) -> Result<Vec<(DecisionId, CommitId)>, RepositoryError>;
}

/// The object id of a blob, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub String);

/// A regular file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Path from the root, `/` between parts.
    pub path: String,
    /// Its content.
    pub blob: BlobId,
}

/// Commits to be put on a branch in one push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The branch.
    pub branch: BranchName,
    /// The head that the commits were computed on.
    pub base: CommitId,
    /// The commits, each on top of the one before. Equal values make equal commit ids.
    pub commits: Vec<NewCommit>,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// The decision it carries out.
    pub decision: DecisionId,
    /// Author and committer time.
    pub time: Timestamp,
    /// The whole message.
    pub message: String,
    /// The files it changes. All exist in its parent; none is added or removed, modes stay.
    pub files: Vec<NewFile>,
}

/// A file with its new content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Path from the root.
    pub path: String,
    /// All of its bytes.
    pub bytes: Vec<u8>,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    /// The commits are on the branch; their ids, in order.
    Landed(Vec<CommitId>),
    /// Somebody else moved the branch first. Nothing of ours is on it: recompute on the new head.
    Moved,
    /// The branch is where it was and the server said no, with its words.
    Refused(String),
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryErrorKind {
    /// It may work later: network, time-out, server trouble.
    Temporary,
    /// A person has to act: credential, address, host key, damaged object.
    Permanent,
}

/// A config repository could not be read or written.
#[derive(Debug, Error)]
#[error("{operation} config repository `{repository}`: {detail}")]
pub struct RepositoryError {
    /// What was tried: `fetch branch main of`, `push to branch main of`.
    pub operation: String,
    /// Its name.
    pub repository: String,
    /// What went wrong, and what to do where that is known. No secret is in it.
    pub detail: String,
    /// What kind of failure it is.
    pub kind: RepositoryErrorKind,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}
