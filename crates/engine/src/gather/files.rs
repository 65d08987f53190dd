//! The files of a branch: which of them belong to environments, and what they say of images.
//!
//! Kept in memory between reconciles and brought up to date by what changed, so that a new head costs the files in which it
//! differs. From nothing it is built of the tree and of what the database remembers by content; a file is read only where
//! nothing is remembered. What is kept is never more than that: dropping it changes no answer.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, PoisonError},
};

use tagboat_manifest::Claim;
use tagboat_model::{BranchKey, CommitId, EnvironmentName, ImageName, Reference, Uneditable};
use tagboat_ports::{BlobId, FileEntry, RememberedFile};
use tagboat_promotion::{Environment, ImageEntry, Overlap, assign, expand};
use tagboat_settings::{REPOSITORY_FILE, RepositorySettings, claims};

use crate::{
    ConfigRepository, Engine, ReconcileError,
    gather::{
        governing::Governing,
        memory::{LARGEST, Reading, finder, kind, names_one_of},
    },
};

/// Files that are read at once; with their largest size it bounds the memory.
const READ_AT_ONCE: usize = 64;
/// Readings that are written down at once, so that others who write need not wait long.
const REMEMBERED_AT_ONCE: usize = 1000;

/// What the files of one branch say at one commit.
#[derive(Debug)]
pub(crate) struct BranchFiles {
    head: CommitId,
    governing: Arc<Governing>,
    /// The files that name an image of an entry, or are named by one, by path.
    seen: BTreeMap<String, Vec<SeenFile>>,
    /// Which of them name an image.
    by_image: BTreeMap<ImageName, BTreeSet<String>>,
    /// What was read and is not written down yet.
    unsaved: Vec<RememberedFile>,
}

/// A file as one environment sees it.
#[derive(Debug)]
struct SeenFile {
    environment: EnvironmentName,
    /// What entries of the environment say of places in it.
    claims: Vec<Claim>,
    reading: Reading,
}

impl BranchFiles {
    fn new(head: &CommitId, governing: &Arc<Governing>) -> Self {
        Self {
            head: head.clone(),
            governing: Arc::clone(governing),
            seen: BTreeMap::new(),
            by_image: BTreeMap::new(),
            unsaved: Vec::new(),
        }
    }

    /// The settings by which they are read.
    pub(crate) fn settings(&self) -> &RepositorySettings {
        &self.governing.settings
    }

    /// The same, to be kept.
    pub(crate) fn governing(&self) -> Arc<Governing> {
        Arc::clone(&self.governing)
    }

    /// The files that name `entry` in an environment, with what they say.
    fn naming<'a>(
        &'a self,
        environment: &'a EnvironmentName,
        entry: &'a ImageEntry,
    ) -> impl Iterator<Item = (&'a str, &'a Reading)> {
        let paths: BTreeSet<&String> = entry.names().filter_map(|name| self.by_image.get(name)).flatten().collect();
        let within = |path: &&String| {
            entry
                .folder
                .as_ref()
                .is_none_or(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
        };
        let files = paths.into_iter().filter(within);
        let files = files.filter_map(|path| Some((path.as_str(), self.seen.get(path)?)));
        files.flat_map(move |(path, all)| {
            let here = all.iter().filter(move |file| file.environment == *environment);
            here.map(move |file| (path, &file.reading))
        })
    }

    /// The image entries, those of patterns included: one for each image that a file names.
    pub(super) fn entries(&self) -> Vec<ImageEntry> {
        let settings = self.settings();
        if settings.patterns.is_empty() {
            return settings.images.clone();
        }
        // What an environment calls an image at a registry of its own is no image beside it.
        let overrides = settings.environments.iter().flat_map(|environment| environment.overrides.values());
        let elsewhere: BTreeSet<&ImageName> = overrides.filter_map(|other| other.repository.as_ref()).collect();
        let named = self.by_image.iter().filter(|(_, paths)| !paths.is_empty()).map(|(image, _)| image);
        let named: BTreeSet<ImageName> = named.filter(|image| !elsewhere.contains(image)).cloned().collect();
        settings.images.iter().cloned().chain(expand(&settings.patterns, &settings.images, &named)).collect()
    }

    pub(super) fn references(&self, environment: &EnvironmentName, entry: &ImageEntry) -> Vec<Reference> {
        let references = self.naming(environment, entry).flat_map(|(_, reading)| match reading {
            Reading::Found { references, .. } => references.as_slice(),
            Reading::Unreadable { .. } => &[],
        });
        references.filter(|reference| entry.is_named(&reference.image)).cloned().collect()
    }

    pub(super) fn uneditable(&self, environment: &EnvironmentName, entry: &ImageEntry) -> Vec<Uneditable> {
        let places = self.naming(environment, entry).flat_map(|(_, reading)| match reading {
            Reading::Found { uneditable, .. } => uneditable.as_slice(),
            Reading::Unreadable { .. } => &[],
        });
        let named = |place: &&Uneditable| place.image.as_ref().is_some_and(|image| entry.is_named(image));
        places.filter(named).cloned().collect()
    }

    pub(super) fn unreadable(&self, environment: &EnvironmentName, entry: &ImageEntry) -> Vec<(String, String)> {
        let files = self.naming(environment, entry).filter_map(|(path, reading)| match reading {
            Reading::Unreadable { why, .. } => Some((path.to_owned(), why.clone())),
            Reading::Found { .. } => None,
        });
        files.collect()
    }

    /// What entries say of places in a file, for every environment.
    pub(crate) fn claims(&self, path: &str) -> Vec<Claim> {
        self.seen.get(path).into_iter().flatten().flat_map(|file| file.claims.clone()).collect()
    }

    fn forget(&mut self, path: &str) {
        for file in self.seen.remove(path).unwrap_or_default() {
            for name in file.reading.names() {
                if let Some(paths) = self.by_image.get_mut(name) {
                    paths.remove(path);
                }
            }
        }
    }

    fn see(&mut self, path: &str, file: SeenFile) {
        for name in file.reading.names() {
            self.by_image.entry(name.clone()).or_default().insert(path.to_owned());
        }
        self.seen.entry(path.to_owned()).or_default().push(file);
    }
}

impl Engine {
    /// What the files of a branch say at `head`. Whoever is done with it gives it back by [`Self::put_back`].
    pub(super) async fn branch_files(
        &self,
        config: &ConfigRepository,
        key: &BranchKey,
        head: &CommitId,
        governing: &Arc<Governing>,
    ) -> Result<BranchFiles, ReconcileError> {
        let before = self.branches.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        let before = before.filter(|before| Arc::ptr_eq(&before.governing, governing));
        let current = match before {
            Some(mut files) => move_to(config, key, head, &mut files).await?.then_some(files),
            None => None,
        };
        match current {
            Some(files) => Ok(files),
            None => self.build_files(config, key, head, governing).await,
        }
    }

    /// Keep what is known of a branch for its next reconcile, brought up to `head` and written down.
    pub(crate) async fn keep_files(
        &self,
        config: &ConfigRepository,
        key: &BranchKey,
        head: &CommitId,
        mut files: BranchFiles,
    ) -> Result<(), ReconcileError> {
        if files.head != *head && key.branch == config.branch {
            // On top of what was read stand commits of ours alone, which never touch what governs. Other branches may
            // have a repository file of their own, which does not govern as long as they are not merged.
            files.governing.note(head);
        }
        let moved = move_to(config, key, head, &mut files).await?;
        self.remember_files(key, &mut files).await?;
        if moved {
            self.put_back(key, files);
        }
        Ok(())
    }

    /// Hold what is known of a branch for its next reconcile.
    pub(crate) fn put_back(&self, key: &BranchKey, files: BranchFiles) {
        self.branches.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), files);
    }

    /// Write down what was read, so that it is not read again by whoever comes with nothing.
    async fn remember_files(&self, key: &BranchKey, files: &mut BranchFiles) -> Result<(), ReconcileError> {
        for part in std::mem::take(&mut files.unsaved).chunks(REMEMBERED_AT_ONCE) {
            let store = &self.ports.store;
            store.remember_files(&key.tenant, &key.repository, &finder(), part, self.now()).await?;
        }
        Ok(())
    }

    async fn build_files(
        &self,
        config: &ConfigRepository,
        key: &BranchKey,
        head: &CommitId,
        governing: &Arc<Governing>,
    ) -> Result<BranchFiles, ReconcileError> {
        let (store, finder) = (&self.ports.store, finder());
        let mut files = BranchFiles::new(head, governing);
        let tree = config.port.files(head).await?;
        let wanted = wanted(&tree, &here(config, key, &governing.settings), &governing.settings.images)
            .map_err(ReconcileError::Overlap)?;
        let remembered = match wanted.is_empty() {
            true => Vec::new(),
            false => store.remembered_files(&key.tenant, &key.repository, &finder).await?,
        };
        let remembered: HashMap<(BlobId, String), Vec<u8>> =
            remembered.into_iter().map(|file| ((file.blob, file.kind), file.found)).collect();
        let mut used = Vec::new();
        let mut wanted = wanted;
        while !wanted.is_empty() {
            let part: Vec<Wanted<'_>> = wanted.drain(..REMEMBERED_AT_ONCE.min(wanted.len())).collect();
            used.extend(part.iter().map(|wanted| (wanted.file.blob, kind(&wanted.file.path).to_owned())));
            read(config, &mut files, part, &remembered).await?;
            self.remember_files(key, &mut files).await?;
        }
        if !used.is_empty() {
            store.use_files(&key.tenant, &key.repository, &finder, &used, self.now()).await?;
        }
        Ok(files)
    }
}

/// Bring what is known from one commit to another. Returns whether that was possible.
async fn move_to(
    config: &ConfigRepository,
    key: &BranchKey,
    head: &CommitId,
    files: &mut BranchFiles,
) -> Result<bool, ReconcileError> {
    if files.head == *head {
        return Ok(true);
    }
    let Some(changed) = config.port.changed_files(&files.head, head).await? else { return Ok(false) };
    let mut entries = Vec::new();
    for file in changed {
        files.forget(&file.path);
        entries.extend(file.blob.map(|blob| FileEntry { path: file.path, blob }));
    }
    let governing = Arc::clone(&files.governing);
    let wanted = wanted(&entries, &here(config, key, &governing.settings), &governing.settings.images)
        .map_err(ReconcileError::Overlap)?;
    read(config, files, wanted, &HashMap::new()).await?;
    files.head = head.clone();
    Ok(true)
}

/// The environments that live on a branch.
pub(crate) fn here<'s>(
    config: &ConfigRepository,
    key: &BranchKey,
    settings: &'s RepositorySettings,
) -> Vec<&'s Environment> {
    let lives = |environment: &&Environment| *environment.branch.as_ref().unwrap_or(&config.branch) == key.branch;
    settings.environments.iter().filter(lives).collect()
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
    let owned = assign(environments, by_path.keys().copied())?.into_iter().filter_map(|(path, environment)| {
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

/// Hold what the files say: from memory where that is known, else by reading them.
async fn read(
    config: &ConfigRepository,
    files: &mut BranchFiles,
    wanted: Vec<Wanted<'_>>,
    remembered: &HashMap<(BlobId, String), Vec<u8>>,
) -> Result<(), ReconcileError> {
    let governing = Arc::clone(&files.governing);
    let settings = &governing.settings;
    let mut names: BTreeSet<&ImageName> = settings.images.iter().flat_map(ImageEntry::names).collect();
    let overrides = settings.environments.iter().flat_map(|environment| environment.overrides.values());
    names.extend(overrides.filter_map(|other| other.repository.as_ref()));
    let spellings: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    let by_pattern = |name: &str| settings.patterns.iter().any(|it| it.pattern.matches(name));
    let mut unknown = Vec::new();
    for wanted in wanted {
        let known = remembered.get(&(wanted.file.blob, kind(&wanted.file.path).to_owned()));
        match known.filter(|_| wanted.claims.is_empty()) {
            None => unknown.push(wanted),
            Some(bytes) if !names_one_of(bytes, |name| spellings.contains(name) || by_pattern(name)) => {}
            Some(bytes) => match Reading::from_bytes(bytes, &wanted.file.path) {
                Some(reading) => files.see(&wanted.file.path, wanted.seen(reading)),
                None => unknown.push(wanted),
            },
        }
    }
    while !unknown.is_empty() {
        let part: Vec<Wanted<'_>> = unknown.drain(..READ_AT_ONCE.min(unknown.len())).collect();
        let blobs: Vec<BlobId> = part.iter().map(|wanted| wanted.file.blob).collect();
        let contents = config.port.read(&blobs, LARGEST).await?;
        for (wanted, bytes) in part.into_iter().zip(contents) {
            // Nobody writes manifests of this size by hand, so nothing is said of them.
            let Some(bytes) = bytes else { continue };
            if let Some(reading) = look(files, &wanted, &bytes)
                && (!wanted.claims.is_empty()
                    || reading.names().iter().any(|name| names.contains(name) || by_pattern(&name.to_string())))
            {
                files.see(&wanted.file.path, wanted.seen(reading));
            }
        }
    }
    Ok(())
}

impl Wanted<'_> {
    fn seen(&self, reading: Reading) -> SeenFile {
        SeenFile { environment: self.environment.name.clone(), claims: self.claims.clone(), reading }
    }
}

/// Read one file, and keep in mind what it says unless that depends on claims.
fn look(files: &mut BranchFiles, wanted: &Wanted<'_>, bytes: &[u8]) -> Option<Reading> {
    let Wanted { file, owned, claims, .. } = wanted;
    if claims.is_empty() {
        let reading = Reading::of(&file.path, bytes);
        let found = reading.as_ref().map(Reading::to_bytes).unwrap_or_default();
        files.unsaved.push(RememberedFile { blob: file.blob, kind: kind(&file.path).to_owned(), found });
        return reading;
    }
    let places: Vec<&Claim> = claims.iter().collect();
    let mut reading = Reading::with_claims(&file.path, bytes, &places);
    if let Reading::Found { references, uneditable } = &mut reading
        && !owned
    {
        // What else stands in a file of others is theirs.
        references.retain(|reference| reference.claimed);
        uneditable.retain(|place| place.claimed);
    }
    Some(reading)
}
