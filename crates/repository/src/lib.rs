//! Git: a kept mirror, reading at a commit, commits without a work tree, compare-and-swap pushes.
//!
//! The only door to Git. gix reads, edits trees and writes objects in memory; it has no push, so a small
//! send-pack on its transport stands in `send_pack`. No shell is run, no configuration that comes with a repository is
//! honoured, and no credential appears in a command line, a URL or a message.
//!
//! The mirror is a bare, shallow, rebuildable cache: it may be deleted at any time while nothing runs.

mod commit;
mod git_push;
mod link;
mod mirror;
mod push;
mod send_pack;
mod settings;
mod signing;
mod state;
mod work_tree;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tagboat_model::{BranchName, CommitId, DecisionId, Timestamp};
use tagboat_ports::{
    BlobId, ChangedFile, CommitSummary, FileEntry, NotEditable, Push, PushOutcome, Repository, RepositoryError,
    RepositoryErrorKind,
};

pub use settings::{
    Access, Address, CommitSettings, GitSettings, HttpSettings, Identity, Password, PushWith, Signing, SshKey,
};
pub use tagboat_connection::{ClientCertificate, ConnectionError, ProxySettings};
pub use work_tree::{Content, WorkTree, WorkTreeError};

use crate::{
    mirror::{Mirror, full_name, with_mirror},
    push::Prepared,
    state::Note,
};

/// One config repository with its mirror.
pub struct GitRepository {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) commits: CommitSettings,
    pub(crate) push_with: PushWith,
    pub(crate) mirror: Mirror,
    /// For `https://` and `http://`.
    pub(crate) http: Option<reqwest::Client>,
    /// Connections that wait for the push that will most likely follow, by the full name of its ref.
    pub(crate) prepared: Mutex<BTreeMap<String, Prepared>>,
    /// Blobs that turned out to be too large when they were asked for, so that they are once.
    pub(crate) too_large: Mutex<BTreeSet<gix::ObjectId>>,
}

impl GitRepository {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When its certificates or its proxy cannot be used.
    pub fn new(settings: GitSettings) -> Result<Self, ConnectionError> {
        let GitSettings { name, address, commits, push_with, mirror } = settings;
        let url = link::parse(&address.url).ok();
        let http = match url.filter(|url| matches!(url.scheme, gix::url::Scheme::Http | gix::url::Scheme::Https)) {
            Some(url) => Some(link::client(&address.transport, link::is_loopback(&url))?),
            None => None,
        };
        let inner = Inner {
            name,
            address,
            commits,
            push_with,
            mirror: Mirror::new(mirror),
            http,
            prepared: Mutex::default(),
            too_large: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Sign something, so that a key that cannot be used shows at once and not with the first commit.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn check_signing(&self) -> Result<(), RepositoryError> {
        self.blocking("sign commits of".to_owned(), |inner| match &inner.commits.signing {
            Some(signing) => signing::sign(signing, b"a trial", None).map(|_| ()),
            None => Ok(()),
        })
        .await
    }

    /// Where no push follows after all, a connection that was kept for it is not kept for long.
    fn close_later(&self) {
        let inner = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            tokio::time::sleep(push::LONGEST_WAIT).await;
            if let Some(inner) = inner.upgrade() {
                push::close_what_waited(&inner).await;
            }
        });
    }

    /// gix blocks, so every call runs on a thread of its own.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: String,
        work: impl Fn(&Inner) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let inner = Arc::clone(&self.inner);
        let result = tokio::task::spawn_blocking(move || with_mirror(&inner, work)).await;
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
    async fn known_head(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        let name = full_name(branch);
        self.blocking(format!("look up branch {branch} in the mirror of"), move |inner| inner.mirror.known_head(&name))
            .await
    }

    async fn head(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        let name = full_name(branch);
        self.blocking(format!("fetch branch {branch} of"), move |inner| mirror::head(inner, &name)).await
    }

    async fn head_to_push(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        let name = full_name(branch);
        let operation = format!("fetch branch {branch} of");
        let head = self.blocking(operation, move |inner| mirror::head_to_push(inner, &name)).await;
        self.close_later();
        head
    }

    async fn files(&self, commit: &CommitId) -> Result<Vec<FileEntry>, RepositoryError> {
        let commit = commit.clone();
        self.blocking(format!("list the files of commit {commit} of"), move |inner| mirror::files(inner, &commit)).await
    }

    async fn changed_files(&self, from: &CommitId, to: &CommitId) -> Result<Option<Vec<ChangedFile>>, RepositoryError> {
        let (from, to) = (from.clone(), to.clone());
        self.blocking(format!("compare commits {from} and {to} of"), move |inner| {
            mirror::changed_files(inner, &from, &to)
        })
        .await
    }

    async fn read(&self, blobs: &[BlobId], largest: usize) -> Result<Vec<Option<Vec<u8>>>, RepositoryError> {
        let blobs = blobs.to_vec();
        self.blocking("read files of".to_owned(), move |inner| mirror::read(inner, &blobs, largest)).await
    }

    async fn read_at(
        &self,
        commit: &CommitId,
        paths: &[String],
        largest: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, RepositoryError> {
        let (commit, paths) = (commit.clone(), paths.to_vec());
        self.blocking("read files of".to_owned(), move |inner| mirror::read_at(inner, &commit, &paths, largest)).await
    }

    async fn read_to_edit(
        &self,
        commit: &CommitId,
        paths: &[String],
        largest: usize,
    ) -> Result<Vec<Result<Vec<u8>, NotEditable>>, RepositoryError> {
        let (commit, paths) = (commit.clone(), paths.to_vec());
        self.blocking("read files of".to_owned(), move |inner| mirror::read_to_edit(inner, &commit, &paths, largest))
            .await
    }

    async fn push(&self, push: &Push) -> Result<PushOutcome, RepositoryError> {
        let push = push.clone();
        let names: Vec<&str> = push.updates.iter().map(|update| update.branch.as_str()).collect();
        let operation = format!("push to branch {} of", names.join(", "));
        let outcome = self.blocking(operation, move |inner| push::push(inner, &push)).await;
        self.close_later();
        outcome
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

    async fn commits_between(
        &self,
        base: &CommitId,
        head: &CommitId,
        most: usize,
    ) -> Result<Option<Vec<CommitSummary>>, RepositoryError> {
        let (base, head) = (base.clone(), head.clone());
        self.blocking("read the history of".to_owned(), move |inner| mirror::commits_between(inner, &base, &head, most))
            .await
    }

    async fn read_state(&self) -> Result<Option<(CommitId, Vec<u8>)>, RepositoryError> {
        self.blocking("read the state ref of".to_owned(), state::read).await
    }

    async fn write_state(
        &self,
        old: Option<&CommitId>,
        bytes: &[u8],
        message: &str,
        time: Timestamp,
    ) -> Result<PushOutcome, RepositoryError> {
        let note = Note { old: old.cloned(), bytes: bytes.to_vec(), message: message.to_owned(), time };
        let outcome = self.blocking("write the state ref of".to_owned(), move |inner| state::write(inner, &note)).await;
        self.close_later();
        outcome
    }
}

/// What went wrong, before the operation and the repository are named.
#[derive(Debug)]
pub(crate) struct Failure {
    detail: String,
    kind: RepositoryErrorKind,
    /// Whether the mirror is not what it should be.
    damage: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl Failure {
    pub(crate) fn temporary(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), kind: RepositoryErrorKind::Temporary, damage: false, source: None }
    }

    pub(crate) fn permanent(detail: impl Into<String>) -> Self {
        Self { kind: RepositoryErrorKind::Permanent, ..Self::temporary(detail) }
    }

    /// The mirror is damaged.
    pub(crate) fn damage() -> Self {
        Self { damage: true, ..Self::temporary("its mirror could not be read or written") }
    }

    pub(crate) fn is_damage(&self) -> bool {
        self.damage
    }

    pub(crate) fn is_permanent(&self) -> bool {
        self.kind == RepositoryErrorKind::Permanent
    }

    /// Whether the server could not be asked, rather than saying no.
    pub(crate) fn is_outage(&self) -> bool {
        let cut_off = self.source.as_ref().is_some_and(|source| link::is_cut_off(&**source));
        !self.damage && (cut_off || self.detail.contains("HTTP status"))
    }

    /// A mirror that was made a moment ago is damaged too, so what it was made from is.
    pub(crate) fn still_damaged(self) -> Self {
        let detail =
            "objects that the server sends are damaged or missing; `git fsck` in the repository there tells which";
        Self { source: self.source, ..Self::permanent(detail) }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Trying again does not help.
    pub(crate) fn lasting(mut self) -> Self {
        self.kind = RepositoryErrorKind::Permanent;
        self
    }

    /// Replace the words, keep the cause.
    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}
