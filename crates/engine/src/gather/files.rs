//! The files of a commit: the repository file, and the references to images.

use std::collections::{BTreeMap, HashMap};

use tagboat_manifest::{Claim, LARGEST_FILE, Unreadable, named_in_unreadable};
use tagboat_model::{EnvironmentName, ImageName, Reference, SignatureRule, Uneditable};
use tagboat_ports::{BlobId, FileEntry};
use tagboat_promotion::{Environment, ImageEntry, Overlap, Verify, assign};
use tagboat_settings::{REPOSITORY_FILE, RepositorySettings, claims, public_keys, read_repository_file};

use crate::{ConfigRepository, ReconcileError, edit::SourceFile};

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
    /// What entries of the environment say of places in it.
    claims: Vec<Claim>,
    found: Result<tagboat_manifest::Found, Unreadable>,
}

impl Found {
    fn of(&self, environment: &EnvironmentName) -> impl Iterator<Item = &FoundFile> {
        self.files.iter().filter(move |file| file.environment == *environment)
    }

    pub(super) fn references(&self, environment: &EnvironmentName, entry: &ImageEntry) -> Vec<Reference> {
        let references = self.of(environment).filter_map(|file| file.found.as_ref().ok()).flat_map(|it| &it.references);
        references.filter(|reference| entry.is_named(&reference.image)).cloned().collect()
    }

    pub(super) fn uneditable(&self, environment: &EnvironmentName, entry: &ImageEntry) -> Vec<Uneditable> {
        let places = self.of(environment).filter_map(|file| file.found.as_ref().ok()).flat_map(|it| &it.uneditable);
        let named = |place: &&Uneditable| place.image.as_ref().is_some_and(|image| entry.is_named(image));
        places.filter(named).cloned().collect()
    }

    pub(super) fn unreadable(&self, environment: &EnvironmentName, entry: &ImageEntry) -> Vec<(String, String)> {
        let unreadable = self.of(environment).filter_map(|file| Some((file, file.found.as_ref().err()?)));
        let names = |file: &FoundFile, why| {
            !named_in_unreadable(&file.path, &file.bytes, why, |name| entry.is_named(name)).is_empty()
        };
        let naming = unreadable.filter(|(file, why)| names(file, why));
        naming.map(|(file, why)| (file.path.clone(), why.to_string())).collect()
    }

    /// The files that can be edited, by path.
    pub(super) fn into_texts(self) -> BTreeMap<String, SourceFile> {
        let mut texts: BTreeMap<String, SourceFile> = BTreeMap::new();
        for FoundFile { path, bytes, claims, .. } in self.files.into_iter().filter(|file| file.found.is_ok()) {
            texts.entry(path).or_insert_with(|| SourceFile { bytes, claims: Vec::new() }).claims.extend(claims);
        }
        texts
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

/// A file that is looked at for one environment.
struct Wanted<'a> {
    file: &'a FileEntry,
    environment: &'a Environment,
    /// Whether it belongs to the environment, or is only named by one of its entries.
    owned: bool,
    claims: Vec<Claim>,
}

/// The files to look at: those that belong to the environments, and those that their entries name.
fn wanted<'a>(
    tree: &'a [FileEntry],
    environments: &[&'a Environment],
    entries: &[ImageEntry],
) -> Result<Vec<Wanted<'a>>, Overlap> {
    let candidates =
        tree.iter().filter(|file| tagboat_manifest::is_candidate(&file.path) && file.path != REPOSITORY_FILE);
    let by_path: BTreeMap<&str, &FileEntry> = candidates.map(|file| (file.path.as_str(), file)).collect();
    let assigned = assign(environments, by_path.keys().copied())?;
    let owned = assigned.into_iter().filter_map(|(path, environment)| {
        let file = by_path.get(path)?;
        Some(Wanted { file, environment, owned: true, claims: Vec::new() })
    });
    let mut wanted: Vec<Wanted<'_>> = owned.collect();
    let place = |(index, wanted): (usize, &Wanted<'a>)| ((wanted.file.path.as_str(), &wanted.environment.name), index);
    let mut places: HashMap<(&str, &EnvironmentName), usize> = wanted.iter().enumerate().map(place).collect();
    for environment in environments {
        for (pattern, claim) in entries.iter().flat_map(|entry| claims(&entry.within(environment))) {
            let named = tree.iter().filter(|file| pattern.matches(&file.path));
            for file in named.filter(|file| !tagboat_model::is_reserved_path(&file.path)) {
                let index = *places.entry((&file.path, &environment.name)).or_insert(wanted.len());
                match wanted.get_mut(index) {
                    Some(it) => it.claims.push(claim.clone()),
                    None => wanted.push(Wanted { file, environment, owned: false, claims: vec![claim.clone()] }),
                }
            }
        }
    }
    Ok(wanted)
}

/// Find the references to the images of `entries` in the files of `environments`.
pub(super) async fn find(
    config: &ConfigRepository,
    tree: &[FileEntry],
    environments: &[&Environment],
    entries: &[ImageEntry],
) -> Result<Found, ReconcileError> {
    let mut found = Found::default();
    let names: Vec<&ImageName> = entries.iter().flat_map(ImageEntry::names).collect();
    let mut wanted = wanted(tree, environments, entries).map_err(ReconcileError::Overlap)?;
    while !wanted.is_empty() {
        let chunk: Vec<Wanted<'_>> = wanted.drain(..READ_AT_ONCE.min(wanted.len())).collect();
        let blobs: Vec<BlobId> = chunk.iter().map(|wanted| wanted.file.blob).collect();
        let contents = config.port.read(&blobs, LARGEST_FILE).await?;
        for (wanted, bytes) in chunk.into_iter().zip(contents) {
            // Nobody writes manifests of this size by hand, so nothing is said of them.
            let Some(bytes) = bytes else { continue };
            if wanted.claims.is_empty()
                && !names.iter().any(|name| tagboat_manifest::mentions(&wanted.file.path, &bytes, name))
            {
                continue;
            }
            found.files.push(look(wanted, bytes));
        }
    }
    Ok(found)
}

fn look(wanted: Wanted<'_>, bytes: Vec<u8>) -> FoundFile {
    let Wanted { file, environment, owned, claims } = wanted;
    let places: Vec<&Claim> = claims.iter().collect();
    let mut found = tagboat_manifest::find(&file.path, &bytes, &places);
    if let Ok(found) = &mut found
        && !owned
    {
        // What else stands in a file of others is theirs.
        found.references.retain(|reference| reference.claimed);
        found.uneditable.retain(|place| place.claimed);
    }
    FoundFile { environment: environment.name.clone(), path: file.path.clone(), bytes, claims, found }
}
