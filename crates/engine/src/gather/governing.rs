//! The repository file of the governing branch with the keys that it names: read with each reconcile, and understood anew
//! only when a byte of it is another.

use std::sync::{Arc, Mutex, PoisonError};

use tagboat_manifest::LARGEST_FILE;
use tagboat_model::{BranchKey, CommitId, SignatureRule};
use tagboat_promotion::{PathPattern, Verify};
use tagboat_settings::{
    REPOSITORY_FILE, ReadContext, RepositorySettings, includes, public_keys, read_repository_files,
};

use crate::{ConfigRepository, Engine, ReconcileError};

/// Keys are some hundred bytes.
const LARGEST_KEY_FILE: usize = 64 * 1024;

/// Commits that are kept in mind: the newest, and the one before, which a lagging mirror may still name.
const COMMITS: usize = 4;

/// The settings, and the bytes that they were read from.
#[derive(Debug)]
pub(crate) struct Governing {
    pub(crate) settings: RepositorySettings,
    /// The commits in which it stands so; a commit never changes.
    commits: Mutex<Vec<CommitId>>,
    file: Vec<u8>,
    /// Included files, and keys.
    others: Vec<(String, Vec<u8>)>,
}

impl Engine {
    /// The settings of the config repository of `key`, as they stand in `commit` of its governing branch.
    pub(super) async fn governing(
        &self,
        config: &ConfigRepository,
        key: &BranchKey,
        commit: &CommitId,
    ) -> Result<Arc<Governing>, ReconcileError> {
        let missing = || ReconcileError::NoRepositoryFile { branch: config.branch.to_string() };
        let name = (key.tenant.clone(), key.repository.clone());
        let before = self.governing.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some(before) = before.as_ref().filter(|before| before.stands_in(commit)) {
            return Ok(Arc::clone(before));
        }
        let file = one(config, commit, REPOSITORY_FILE, LARGEST_FILE).await?.ok_or_else(missing)?;
        // An included file may be new, which only a look at the tree tells.
        if let Some(before) = before.filter(|before| before.file == file && before.settings.included.is_empty())
            && before.has_its_others(config, commit).await?
        {
            before.note(commit);
            return Ok(before);
        }
        let now = Arc::new(understand(config, commit, file).await?);
        self.governing.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::clone(&now));
        Ok(now)
    }
}

impl Governing {
    fn stands_in(&self, commit: &CommitId) -> bool {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).contains(commit)
    }

    pub(super) fn note(&self, commit: &CommitId) {
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        if commits.len() >= COMMITS {
            commits.remove(0);
        }
        commits.push(commit.clone());
    }

    async fn has_its_others(&self, config: &ConfigRepository, commit: &CommitId) -> Result<bool, ReconcileError> {
        if self.others.is_empty() {
            return Ok(true);
        }
        let paths: Vec<String> = self.others.iter().map(|(path, _)| path.clone()).collect();
        let now = config.port.read_at(commit, &paths, LARGEST_FILE).await?;
        Ok(now.iter().zip(&self.others).all(|(now, (_, then))| now.as_ref() == Some(then)))
    }
}

async fn one(
    config: &ConfigRepository,
    commit: &CommitId,
    path: &str,
    largest: usize,
) -> Result<Option<Vec<u8>>, ReconcileError> {
    Ok(config.port.read_at(commit, &[path.to_owned()], largest).await?.pop().flatten())
}

async fn understand(config: &ConfigRepository, commit: &CommitId, file: Vec<u8>) -> Result<Governing, ReconcileError> {
    let text = String::from_utf8_lossy(&file);
    let included = included(config, commit, &includes(REPOSITORY_FILE, &text)?).await?;
    let texts: Vec<(String, String)> =
        included.iter().map(|(path, bytes)| (path.clone(), String::from_utf8_lossy(bytes).into_owned())).collect();
    let context = ReadContext { agents: config.agents };
    let mut settings = read_repository_files(REPOSITORY_FILE, &text, &texts, context)?;
    let mut others = included;
    for verify in settings.verify_mut() {
        if let Verify::KeyFile(path) = verify {
            let path = path.clone();
            let missing = || ReconcileError::NoKeyFile { path: path.clone() };
            let bytes = one(config, commit, &path, LARGEST_KEY_FILE).await?.ok_or_else(missing)?;
            let text = std::str::from_utf8(&bytes).ok().and_then(public_keys);
            *verify = Verify::Rule(SignatureRule::Keys { pem: text.ok_or_else(missing)? });
            others.push((path, bytes));
        }
    }
    Ok(Governing { settings, commits: Mutex::new(vec![commit.clone()]), file, others })
}

/// The files that the repository file includes, sorted by path.
async fn included(
    config: &ConfigRepository,
    commit: &CommitId,
    patterns: &[PathPattern],
) -> Result<Vec<(String, Vec<u8>)>, ReconcileError> {
    if patterns.is_empty() {
        return Ok(Vec::new());
    }
    let files = config.port.files(commit).await?.into_iter().map(|file| file.path);
    let is_meant = |path: &String| path != REPOSITORY_FILE && patterns.iter().any(|pattern| pattern.matches(path));
    let paths: Vec<String> = files.filter(is_meant).collect();
    let bytes = config.port.read_at(commit, &paths, LARGEST_FILE).await?;
    Ok(paths.into_iter().zip(bytes).filter_map(|(path, bytes)| Some((path, bytes?))).collect())
}
