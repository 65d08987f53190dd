//! What the engine asks of a config repository.

use std::fmt;

use async_trait::async_trait;
use tagboat_model::{BranchName, CommitId, DecisionId, Timestamp};
use thiserror::Error;

/// One config repository. What has a body here is right for whoever has no better way.
#[async_trait]
pub trait Repository: Send + Sync {
    /// The head of a branch as it was read or made last, without asking the server; its commit and files can be read.
    /// A hint only: whoever acts on it has it verified by [`Self::head`] or by the push.
    async fn known_head(&self, _branch: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        Ok(None)
    }

    /// The head of a branch, read from the server now; its commit and files can be read afterwards.
    /// `None` when there is no such branch.
    async fn head(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError>;

    /// As [`Self::head`], for whoever will most likely push: what is learned of the server on the way serves the push
    /// that follows.
    async fn head_to_push(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        self.head(branch).await
    }

    /// Every regular file of a commit, sorted by path. Symbolic links and submodules are left out.
    async fn files(&self, commit: &CommitId) -> Result<Vec<FileEntry>, RepositoryError>;

    /// The files in which two commits differ, sorted by path; nothing when one of the commits is not known any more.
    async fn changed_files(
        &self,
        _from: &CommitId,
        _to: &CommitId,
    ) -> Result<Option<Vec<ChangedFile>>, RepositoryError> {
        Ok(None)
    }

    /// The bytes of blobs, in the order asked for; nothing for those of more than `largest` bytes.
    async fn read(&self, blobs: &[BlobId], largest: usize) -> Result<Vec<Option<Vec<u8>>>, RepositoryError>;

    /// The bytes of files of a commit, in the order asked for; nothing where there is no regular file, or one of more
    /// than `largest` bytes.
    async fn read_at(
        &self,
        commit: &CommitId,
        paths: &[String],
        largest: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, RepositoryError> {
        let files = self.files(commit).await?;
        let mut found = Vec::new();
        for path in paths {
            let blob = files.iter().find(|file| file.path == *path).map(|file| file.blob);
            found.push(match blob {
                Some(blob) => self.read(&[blob], largest).await?.pop().flatten(),
                None => None,
            });
        }
        Ok(found)
    }

    /// The bytes of files that are to be changed, in the order asked for, or why one of them is never written.
    async fn read_to_edit(
        &self,
        commit: &CommitId,
        paths: &[String],
        largest: usize,
    ) -> Result<Vec<Result<Vec<u8>, NotEditable>>, RepositoryError> {
        let missing = || NotEditable(format!("there is no such file of at most {largest} bytes"));
        let found = self.read_at(commit, paths, largest).await?;
        Ok(found.into_iter().map(|bytes| bytes.ok_or_else(missing)).collect())
    }

    /// Make the commits and move the branches, each if it is still where it is said to be, all or none where the
    /// server can. The outcome is read from the branches themselves.
    async fn push(&self, push: &Push) -> Result<PushOutcome, RepositoryError>;

    /// Which of `decisions` stand in `Tagboat-Decision` trailers between `base` (excluded) and `head`, with
    /// the commits. History that cannot be read attributes nothing.
    async fn landed(
        &self,
        head: &CommitId,
        base: &CommitId,
        decisions: &[DecisionId],
    ) -> Result<Vec<(DecisionId, CommitId)>, RepositoryError>;

    /// The commits on `head` that are not on `base`, newest first, at most `most`; nothing when they cannot be told
    /// (history too short, commits unknown).
    async fn commits_between(
        &self,
        _base: &CommitId,
        _head: &CommitId,
        _most: usize,
    ) -> Result<Option<Vec<CommitSummary>>, RepositoryError> {
        Ok(None)
    }

    /// What the bot wrote down beside the branches ([`STATE_REF`]), read from the server now: the commit and the bytes
    /// of its one file. `None` when nothing was written down yet.
    async fn read_state(&self) -> Result<Option<(CommitId, Vec<u8>)>, RepositoryError> {
        Ok(None)
    }

    /// Write it down anew, on top of `old` (none: there is none yet), with a commit of this message and time. As every
    /// push it is a compare-and-swap, and equal values make equal commit ids. More than [`LARGEST_STATE`] bytes are an
    /// error. What landed is the one commit.
    async fn write_state(
        &self,
        _old: Option<&CommitId>,
        _bytes: &[u8],
        _message: &str,
        _time: Timestamp,
    ) -> Result<PushOutcome, RepositoryError> {
        Ok(PushOutcome::Refused("nothing is written down here beside the branches".to_owned()))
    }
}

/// Where the bot writes down what must outlive its store: a chain of commits of its own, with no branch of people.
pub const STATE_REF: &str = "refs/tagboat/state";

/// The same where the server takes nothing but branches and tags.
pub const STATE_BRANCH: &str = "refs/heads/tagboat/state";

/// The one file in each of those commits.
pub const STATE_FILE: &str = "state.json";

/// The most bytes that it has.
pub const LARGEST_STATE: usize = 5 << 20;

/// The object id of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub [u8; 20]);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A regular file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Path from the root, `/` between parts.
    pub path: String,
    /// Its content.
    pub blob: BlobId,
}

/// A path at which two commits differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Path from the root.
    pub path: String,
    /// What the second commit has there, where that is a regular file.
    pub blob: Option<BlobId>,
}

/// Why a file is never written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotEditable(pub String);

/// A commit, as a list of commits shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSummary {
    /// Its id.
    pub id: CommitId,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it, by name: anybody can claim to be anybody.
    pub author_name: String,
    /// The author's address.
    pub author_email: String,
    /// The address of who committed it.
    pub committer_email: String,
    /// When it was committed, to the second.
    pub time: Timestamp,
    /// What its `Tagboat-Decision` trailers say, in their order.
    pub decisions: Vec<DecisionId>,
}

/// Branches to be moved in one push.
///
/// Several of them move together: a server that cannot do that is not asked to, which is an error of the kind
/// [`RepositoryErrorKind::Permanent`]; nothing was sent then, and each can be pushed by itself. Deletions go by themselves,
/// after the others: one that fails undoes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Push {
    /// Each branch once. What one stands on was there before: not a commit that another update of this push makes.
    pub updates: Vec<BranchUpdate>,
    /// Push options (`merge_request.create`, `ci.skip`), each one line. They go with what is sent, so not with a push
    /// that was done before; a server that takes none does not see them.
    pub options: Vec<String>,
}

/// What is to become of one branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchUpdate {
    /// The branch.
    pub branch: BranchName,
    /// What is done to it.
    pub change: BranchChange,
}

/// What is done to a branch. Where one stands it is a condition: a branch that is elsewhere is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchChange {
    /// Put commits on top of its head: nothing that was on it is lost.
    Append {
        /// Where it stands, and what the commits were computed on.
        base: CommitId,
        /// The commits, each on top of the one before. Equal values make equal commit ids.
        commits: Vec<NewCommit>,
    },
    /// Make the bot's own branch (`tagboat/…`) consist of commits on top of another branch.
    Replace {
        /// Where it stands; nothing when there is none yet.
        old: Option<CommitId>,
        /// What the commits were computed on.
        base: CommitId,
        /// The commits, at least one: the branch never points at its base.
        commits: Vec<NewCommit>,
    },
    /// Delete the bot's own branch.
    Delete {
        /// Where it stands.
        old: CommitId,
    },
}

impl BranchChange {
    /// The commits to be made.
    #[must_use]
    pub fn commits(&self) -> &[NewCommit] {
        match self {
            Self::Append { commits, .. } | Self::Replace { commits, .. } => commits,
            Self::Delete { .. } => &[],
        }
    }
}

/// Branches that belong to the bot alone start with this.
pub const BOT_BRANCHES: &str = "tagboat/";

/// The one file that is ever added: the repository file, proposed where there is none.
pub const PROPOSED_FILE: &str = ".tagboat.yaml";

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// The decision it carries out.
    pub decision: DecisionId,
    /// Author and committer time.
    pub time: Timestamp,
    /// The whole message.
    pub message: String,
    /// The files it changes. All exist in its parent; none is added or removed, modes stay. But for [`PROPOSED_FILE`], which
    /// may be added where there is none.
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
    /// All of it is done; for each update, in the order of the push, the ids of its commits, in order.
    Landed(Vec<Vec<CommitId>>),
    /// Somebody else moved a branch first; of what is to be done to that one, nothing is. It does not say which of several
    /// it was, nor what the rest came to: read the heads. Recompute on the new head: where the one branch of this push
    /// was found after it was lost, if its commit and files can be read.
    Moved(Option<CommitId>),
    /// At least one branch is where it was, nobody else moved any, and the server said no, with its words. As servers
    /// move several branches together or not at all, all are where they were; on one that breaks its word the rest may
    /// have moved. The same push again is right in either case: what is done already stays done.
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
