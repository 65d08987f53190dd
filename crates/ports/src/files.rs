//! What the engine remembers of files of config repositories: what was found in each content, so that it is read once.
//!
//! It is a cache. What is not remembered is read and found again; nothing is decided by its absence.

use async_trait::async_trait;
use tagboat_model::{Duration, RepositoryName, TenantName, Timestamp};

use crate::{BlobId, StoreError};

/// How long a content is remembered that nothing uses, give or take a day.
pub const MEMORY_OF_FILES: Duration = Duration::from_seconds(30 * 24 * 60 * 60);

/// The part of the database that remembers what stands in files of config repositories. It may forget anything at any
/// time. A finder is a way of finding: a program that would find something else in the same content is another one. What
/// a method writes is one transaction.
#[async_trait]
pub trait FileMemory: Send + Sync {
    /// Everything remembered of a config repository's files by this finder.
    async fn remembered_files(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        finder: &str,
    ) -> Result<Vec<RememberedFile>, StoreError>;

    /// Remember more. What was found in the same content before, by whichever finder, is replaced.
    async fn remember_files(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        finder: &str,
        files: &[RememberedFile],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Note which contents are in use, each with its kind, and forget those that no call named for [`MEMORY_OF_FILES`]
    /// or that another finder wrote. Contents that are not remembered are passed over.
    async fn use_files(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        finder: &str,
        used: &[(BlobId, String)],
        now: Timestamp,
    ) -> Result<(), StoreError>;
}

/// What was found in one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedFile {
    /// The content.
    pub blob: BlobId,
    /// How the file's name makes it be read; the same content under another kind of name is another row.
    pub kind: String,
    /// What was found, in the finder's own form; empty for nothing.
    pub found: Vec<u8>,
}
