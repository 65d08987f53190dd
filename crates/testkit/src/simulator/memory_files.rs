//! What the store in memory remembers of files of config repositories, and loses when the simulator says so.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tagboat_model::{RepositoryName, TenantName, Timestamp};
use tagboat_ports::{BlobId, FileMemory, MEMORY_OF_FILES, RememberedFile, StoreError};

use super::MemoryStore;

/// By content and kind.
type Contents = BTreeMap<(BlobId, String), Remembered>;

#[derive(Default)]
pub(super) struct Files {
    of: BTreeMap<(TenantName, RepositoryName), Contents>,
}

struct Remembered {
    finder: String,
    found: Vec<u8>,
    used_at: Timestamp,
}

impl MemoryStore {
    /// A cache may be gone at any time.
    pub(super) fn lose_files(&self) {
        self.tables.lock().unwrap().files = Files::default();
    }
}

#[async_trait]
impl FileMemory for MemoryStore {
    async fn remembered_files(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        finder: &str,
    ) -> Result<Vec<RememberedFile>, StoreError> {
        let files = &self.tables.lock().unwrap().files;
        let contents = files.of.get(&(tenant.clone(), repository.clone())).into_iter().flatten();
        let ours = contents.filter(|(_, remembered)| remembered.finder == finder);
        let file = |((blob, kind), remembered): (&(BlobId, String), &Remembered)| RememberedFile {
            blob: *blob,
            kind: kind.clone(),
            found: remembered.found.clone(),
        };
        Ok(ours.map(file).collect())
    }

    async fn remember_files(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        finder: &str,
        files: &[RememberedFile],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let known = &mut self.tables.lock().unwrap().files;
        let contents = known.of.entry((tenant.clone(), repository.clone())).or_default();
        for RememberedFile { blob, kind, found } in files {
            let remembered = Remembered { finder: finder.to_owned(), found: found.clone(), used_at: now };
            contents.insert((*blob, kind.clone()), remembered);
        }
        Ok(())
    }

    async fn use_files(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        finder: &str,
        used: &[(BlobId, String)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let files = &mut self.tables.lock().unwrap().files;
        let Some(contents) = files.of.get_mut(&(tenant.clone(), repository.clone())) else { return Ok(()) };
        for content in used {
            if let Some(remembered) = contents.get_mut(content) {
                remembered.used_at = now;
            }
        }
        contents.retain(|_, remembered| remembered.finder == finder && now.since(remembered.used_at) < MEMORY_OF_FILES);
        Ok(())
    }
}
