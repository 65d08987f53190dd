//! What the engine asks of a config repository.

use std::{fmt, str::FromStr};

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

/// The object id of a blob. It stands for the content: equal ids are equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub [u8; 20]);

/// In hexadecimal, as Git prints it.
impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a text is no object id of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not the object id of a blob: 40 lower-case hexadecimal digits")]
pub struct BlobIdError {
    text: String,
}

impl FromStr for BlobId {
    type Err = BlobIdError;

    fn from_str(text: &str) -> Result<Self, BlobIdError> {
        let fail = || BlobIdError { text: text.to_owned() };
        let mut id = [0_u8; 20];
        if text.len() != 2 * id.len() {
            return Err(fail());
        }
        for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            for digit in digits {
                *byte = (*byte << 4) | hexadecimal(*digit).ok_or_else(fail)?;
            }
        }
        Ok(Self(id))
    }
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_ids_read_back_as_they_print() {
        let empty = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
        let id: BlobId = empty.parse().unwrap();
        assert_eq!((id.0[0], id.0[19], id.to_string().as_str()), (0xe6, 0x91, empty));
        for bad in [String::new(), empty[1..].to_owned(), format!("{empty}0"), empty.to_uppercase(), "é".repeat(20)] {
            assert!(bad.parse::<BlobId>().is_err(), "{bad}");
        }
    }
}
