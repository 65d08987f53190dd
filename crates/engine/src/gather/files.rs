//! The files of a commit: the repository file, and the references to images.

use std::collections::BTreeMap;

use tagboat_manifest::LARGEST_FILE;
use tagboat_model::{EnvironmentName, ImageName, Reference, SignatureRule};
use tagboat_ports::{BlobId, FileEntry};
use tagboat_promotion::{Environment, Verify, assign};
use tagboat_settings::{REPOSITORY_FILE, RepositorySettings, public_keys, read_repository_file};

use crate::{ConfigRepository, ReconcileError};

/// Files that are read at once; with their largest size it bounds the memory.
const READ_AT_ONCE: usize = 64;

/// Keys are some hundred bytes.
const LARGEST_KEY_FILE: usize = 64 * 1024;

/// The files that mention one of the images, by environment.
#[derive(Default)]
pub(super) struct Found {
    files: Vec<FoundFile>,
}

struct FoundFile {
    environment: EnvironmentName,
    path: String,
    bytes: Vec<u8>,
    references: Result<Vec<Reference>, String>,
}

impl Found {
    pub(super) fn references(&self, environment: &EnvironmentName, image: &ImageName) -> Vec<Reference> {
        let files = self.files.iter().filter(|file| file.environment == *environment);
        let references = files.filter_map(|file| file.references.as_ref().ok()).flatten();
        references.filter(|reference| reference.image == *image).cloned().collect()
    }

    pub(super) fn unreadable(&self, environment: &EnvironmentName, image: &ImageName) -> Vec<(String, String)> {
        let files = self.files.iter().filter(|file| file.environment == *environment);
        let unreadable = files.filter_map(|file| Some((file, file.references.as_ref().err()?)));
        let mentioning = unreadable.filter(|(file, _)| tagboat_manifest::mentions(&file.bytes, image));
        mentioning.map(|(file, detail)| (file.path.clone(), detail.clone())).collect()
    }

    /// The files that can be edited, by path.
    pub(super) fn into_texts(self) -> BTreeMap<String, Vec<u8>> {
        let readable = self.files.into_iter().filter(|file| file.references.is_ok());
        readable.map(|file| (file.path, file.bytes)).collect()
    }
}

/// Read and check the repository file among the files of a commit.
pub(super) async fn repository_settings(
    config: &ConfigRepository,
    tree: &[FileEntry],
) -> Result<RepositorySettings, ReconcileError> {
    let missing = || ReconcileError::NoRepositoryFile { branch: config.branch.to_string() };
    let file = tree.iter().find(|file| file.path == REPOSITORY_FILE).ok_or_else(missing)?;
    let bytes = config.port.read(std::slice::from_ref(&file.blob), LARGEST_FILE).await?.pop().flatten();
    let bytes = bytes.ok_or_else(missing)?;
    let mut settings = read_repository_file(REPOSITORY_FILE, &String::from_utf8_lossy(&bytes))
        .map_err(ReconcileError::Configuration)?;
    for verify in settings.verify_mut() {
        if let Verify::KeyFile(path) = verify {
            *verify = Verify::Rule(SignatureRule::Keys { pem: key_file(config, tree, path).await? });
        }
    }
    Ok(settings)
}

/// The public keys in one of the files of a commit.
async fn key_file(config: &ConfigRepository, tree: &[FileEntry], path: &str) -> Result<Vec<String>, ReconcileError> {
    let missing = || ReconcileError::NoKeyFile { path: path.to_owned() };
    let file = tree.iter().find(|file| file.path == path).ok_or_else(missing)?;
    let bytes = config.port.read(std::slice::from_ref(&file.blob), LARGEST_KEY_FILE).await?.pop().flatten();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(missing)?;
    public_keys(&text).ok_or_else(missing)
}

/// Find the references to `images` in the files of `environments`.
pub(super) async fn find(
    config: &ConfigRepository,
    tree: &[FileEntry],
    environments: &[&Environment],
    images: &[ImageName],
) -> Result<Found, ReconcileError> {
    let candidates =
        tree.iter().filter(|file| tagboat_manifest::is_candidate(&file.path) && file.path != REPOSITORY_FILE);
    let by_path: BTreeMap<&str, &FileEntry> = candidates.map(|file| (file.path.as_str(), file)).collect();
    let assigned = assign(environments, by_path.keys().copied()).map_err(ReconcileError::Overlap)?;
    let mut found = Found::default();
    for chunk in assigned.chunks(READ_AT_ONCE) {
        let blobs: Vec<BlobId> =
            chunk.iter().filter_map(|(path, _)| by_path.get(path)).map(|file| file.blob.clone()).collect();
        let contents = config.port.read(&blobs, LARGEST_FILE).await?;
        for ((path, environment), bytes) in chunk.iter().zip(contents) {
            // Nobody writes manifests of this size by hand, so nothing is said of them.
            let Some(bytes) = bytes else { continue };
            if !images.iter().any(|image| tagboat_manifest::mentions(&bytes, image)) {
                continue;
            }
            let references = tagboat_manifest::find(path, &bytes).map_err(|unreadable| unreadable.to_string());
            let environment = environment.name.clone();
            found.files.push(FoundFile { environment, path: (*path).to_owned(), bytes, references });
        }
    }
    Ok(found)
}
