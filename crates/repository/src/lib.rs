//! Git: a kept mirror, reading at a commit, commits without a work tree, compare-and-swap pushes.
//!
//! The only door to Git. gix reads, edits trees and writes objects in memory; it has no push, so a small
//! send-pack on its transport stands in `send_pack`. No shell is run, no hook or configuration of the remote
//! side is honoured, and no credential appears in a command line, a URL or a message.
//!
//! The mirror is a bare, shallow, rebuildable cache: it may be deleted at any time while nothing runs.

mod address;
mod commit;
mod link;
mod mirror;
mod send_pack;
mod work_tree;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use tagboat_model::{BranchName, CommitId, DecisionId};
use tagboat_ports::{BlobId, FileEntry, Push, PushOutcome, Repository, RepositoryError, RepositoryErrorKind};

pub use address::{Access, Address, Author, SshKey};
pub use work_tree::{Content, WorkTree, WorkTreeError};

/// One config repository with its mirror.
pub struct GitRepository {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) author: Author,
    pub(crate) mirror: PathBuf,
    /// Mirrors are written by one fetch at a time. Whether one was made by this process already.
    pub(crate) fetching: std::sync::Mutex<bool>,
}

impl GitRepository {
    /// `mirror` is the folder of the mirror; it is made when it is first needed.
    #[must_use]
    pub fn new(name: String, address: Address, author: Author, mirror: PathBuf) -> Self {
        Self { inner: Arc::new(Inner { name, address, author, mirror, fetching: std::sync::Mutex::new(false) }) }
    }

    /// gix blocks, so every call runs on a thread of its own.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: String,
        work: impl FnOnce(&Inner) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let inner = Arc::clone(&self.inner);
        let result = tokio::task::spawn_blocking(move || work(&inner)).await;
        let failure = match result {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => failure,
            Err(panicked) => Failure::temporary("the operation was stopped").because(panicked),
        };
        Err(RepositoryError {
            operation,
            repository: self.inner.name.clone(),
            detail: failure.detail,
            kind: failure.kind,
            source: failure.source,
        })
    }
}

#[async_trait]
impl Repository for GitRepository {
    async fn head(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        let branch = branch.clone();
        self.blocking(format!("fetch branch {branch} of"), move |inner| mirror::head(inner, &branch)).await
    }

    async fn files(&self, commit: &CommitId) -> Result<Vec<FileEntry>, RepositoryError> {
        let commit = commit.clone();
        self.blocking(format!("list the files of commit {commit} of"), move |inner| mirror::files(inner, &commit)).await
    }

    async fn read(&self, blobs: &[BlobId], largest: usize) -> Result<Vec<Option<Vec<u8>>>, RepositoryError> {
        let blobs = blobs.to_vec();
        self.blocking("read files of".to_owned(), move |inner| mirror::read(inner, &blobs, largest)).await
    }

    async fn push(&self, push: &Push) -> Result<PushOutcome, RepositoryError> {
        let push = push.clone();
        self.blocking(format!("push to branch {} of", push.branch), move |inner| commit::push(inner, &push)).await
    }

    async fn landed(
        &self,
        head: &CommitId,
        base: &CommitId,
        decisions: &[DecisionId],
    ) -> Result<Vec<(DecisionId, CommitId)>, RepositoryError> {
        let (head, base, decisions) = (head.clone(), base.clone(), decisions.to_vec());
        self.blocking("read the history of".to_owned(), move |inner| mirror::landed(inner, &head, &base, &decisions))
            .await
    }
}

/// What went wrong, before the operation and the repository are named.
#[derive(Debug)]
pub(crate) struct Failure {
    detail: String,
    kind: RepositoryErrorKind,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    pub(crate) fn temporary(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), kind: RepositoryErrorKind::Temporary, source: None }
    }

    pub(crate) fn permanent(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), kind: RepositoryErrorKind::Permanent, source: None }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Replace the words, keep the cause.
    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// A failure of gix while it works on the mirror.
pub(crate) fn mirror_failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::temporary("its mirror could not be read or written; deleting the mirror's folder makes it be fetched anew")
        .because(error)
}
