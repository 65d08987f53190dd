//! The kept bare mirror: a cache of the server's objects, and of where its branches are.
//!
//! It may be deleted at any time while nothing runs. When it is damaged, or has grown into too many pieces, it is thrown
//! away and fetched anew. It holds no work tree, and its configuration is its own: that of the machine has no say.

mod fetch;
mod history;
mod summaries;
mod tree;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use gix::{
    ObjectId,
    objs::{Kind, Write as _},
    odb::store::init::Slots,
};
use tagboat_model::{BranchName, CommitId};
use tagboat_ports::{BlobId, STATE_REF};

pub(crate) use fetch::{first_head, head, head_to_push};
pub(crate) use history::{commits_between, is_ancestor, landed};
pub(crate) use tree::{changed_files, editable, files, is_free, read_at, read_to_edit};

use crate::{Failure, Inner, commit::NewObjects};

/// Packs that one mirror may come to have; gix opens them all, and has to know their number beforehand.
const MOST_PACKS: u16 = 512;
/// A mirror is made anew beyond these: each fetch adds a pack, each push of ours a few loose objects.
const PACKS: usize = 128;
const LOOSE_OBJECTS: usize = 20_000;

/// Where branches stand among all refs.
const BRANCHES: &str = "refs/heads/";
/// The folders of all refs that a mirror holds.
const BRANCHES_AND_STATE: [&str; 2] = [BRANCHES, "refs/tagboat/"];

/// A size that is not believed without a look.
const PLAUSIBLE: usize = 64 << 20;

/// The mirror of one config repository.
pub(crate) struct Mirror {
    folder: PathBuf,
    /// Opened once; cheap to clone for each thread.
    opened: Mutex<Option<gix::ThreadSafeRepository>>,
    /// Where refs were when they were read or written last, since this process began, by their full names.
    heads: Mutex<BTreeMap<String, ObjectId>>,
    /// How often it was made anew, which one does at a time.
    generation: AtomicU64,
    renewing: Mutex<()>,
    /// It is written by one at a time.
    writing: Mutex<()>,
}

impl Mirror {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            opened: Mutex::new(None),
            heads: Mutex::default(),
            generation: AtomicU64::new(0),
            renewing: Mutex::new(()),
            writing: Mutex::new(()),
        }
    }

    /// Changes when it is made anew.
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The repository for this thread, made first where there is none.
    pub(crate) fn repository(&self) -> Result<gix::Repository, Failure> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = match &*opened {
            Some(shared) => shared.clone(),
            None => opened.insert(open(&self.folder)?).clone(),
        };
        let mut repository = shared.to_thread_local();
        repository.object_cache_size(16 * 1024 * 1024);
        Ok(repository)
    }

    /// Nobody else writes while this is held. A writer that panicked leaves nothing half-done that the next one would
    /// not see.
    pub(crate) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a ref was when it was read or written last.
    pub(crate) fn known_head(&self, name: &str) -> Result<Option<CommitId>, Failure> {
        let repository = self.repository()?;
        let reference = repository.try_find_reference(name).map_err(damaged)?;
        let id = reference.and_then(|reference| reference.try_id().map(gix::Id::detach));
        id.filter(|id| repository.has_object(id)).map(commit_id).transpose()
    }

    /// Write down where a ref is.
    pub(crate) fn set_head(&self, name: &str, head: Option<ObjectId>) -> Result<(), Failure> {
        let repository = self.repository()?;
        match head {
            Some(head) => {
                self.heads.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), head);
                let any = gix::refs::transaction::PreviousValue::Any;
                repository.reference(name, head, any, "read").map_err(damaged)?;
            }
            None => {
                self.heads.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
                if let Some(reference) = repository.try_find_reference(name).map_err(damaged)? {
                    reference.delete().map_err(damaged)?;
                }
            }
        }
        Ok(())
    }

    /// Keep objects of ours that the server has taken, so that they need not be fetched.
    pub(crate) fn keep(&self, objects: &NewObjects) -> Result<(), Failure> {
        let _writing = self.writing();
        let repository = self.repository()?;
        // What an object names comes before it: a process that is killed leaves nothing that seems to be whole.
        for (id, kind, data) in objects.iter().rev() {
            if !repository.has_object(id) {
                repository.write_buf(*kind, data).map_err(damaged)?;
            }
        }
        Ok(())
    }

    /// The refs that it knows, also when it is too damaged to say.
    fn names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> =
            self.heads.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        if let Ok(repository) = self.repository() {
            names.extend(heads_on_disk(&repository).map(|(name, _)| name).filter(|name| is_kept(name)));
        }
        names
    }

    /// Whether it has to have a commit: a ref is there. Any other may be gone with the mirror that had it.
    pub(crate) fn should_have(&self, repository: &gix::Repository, commit: ObjectId) -> bool {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.values().any(|head| *head == commit) || heads_on_disk(repository).any(|(_, head)| head == commit)
    }

    /// Nobody else makes it anew while this is held.
    fn renewing(&self) -> MutexGuard<'_, ()> {
        self.renewing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Throw it away. Whoever reads it at this moment reads on in what was opened, or finds it damaged and comes here.
    fn discard(&self) -> Result<BTreeSet<String>, Failure> {
        let names = self.names();
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        *opened = None;
        self.generation.fetch_add(1, Ordering::SeqCst);
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::temporary(format!(
                "its mirror is damaged, and the folder {} cannot be deleted",
                self.folder.display()
            ))
            .because(error)),
            _ => Ok(names),
        }
    }

    /// Whether it consists of too many pieces.
    fn is_in_pieces(&self) -> bool {
        let count = |folder: &Path| std::fs::read_dir(folder).map_or(0, Iterator::count);
        let objects = self.folder.join("objects");
        // Each pack has an index. Loose objects are spread evenly over 256 folders.
        count(&objects.join("pack")) > 2 * PACKS || count(&objects.join("17")) > LOOSE_OBJECTS / 256
    }
}

/// The refs that can be read, by their full names: branches, and where the bot writes things down.
fn heads_on_disk(repository: &gix::Repository) -> impl Iterator<Item = (String, ObjectId)> {
    let references = repository.references();
    let below = |folder: &'static str| references.as_ref().ok().and_then(|references| references.prefixed(folder).ok());
    let found = BRANCHES_AND_STATE.into_iter().filter_map(below).flatten().filter_map(Result::ok);
    let name = |head: gix::Reference<'_>| Some((head.name().as_bstr().to_string(), head.try_id()?.detach()));
    let heads: Vec<_> = found.filter_map(name).collect();
    heads.into_iter()
}

/// Whether a ref is one that a mirror holds; a damaged one may say anything.
fn is_kept(name: &str) -> bool {
    name == STATE_REF || name.strip_prefix(BRANCHES).is_some_and(|branch| branch.parse::<BranchName>().is_ok())
}

fn open(folder: &Path) -> Result<gix::ThreadSafeRepository, Failure> {
    if folder.join("HEAD").exists() {
        remove_leftovers(folder);
    } else {
        std::fs::create_dir_all(folder).map_err(|error| {
            Failure::temporary(format!("its mirror cannot be made in {}", folder.display())).because(error)
        })?;
        gix::init_bare(folder).map_err(damaged)?;
    }
    // Isolated: neither the system's nor the user's configuration has a say.
    let options = gix::open::Options::isolated().object_store_slots(Slots::Given(MOST_PACKS));
    gix::ThreadSafeRepository::open_opts(folder, options).map_err(damaged)
}

/// A process that was killed leaves its lock files, and perhaps a folder with older history. Nobody else writes to the
/// mirror, so before this process does all of them are left over.
fn remove_leftovers(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // What cannot be removed shows as an error of the next write.
        if path.is_dir() && name.starts_with(history::FOLDER) {
            let _ = std::fs::remove_dir_all(&path);
        } else if path.is_dir() && name != "objects" {
            remove_leftovers(&path);
        } else if name.ends_with(".lock") {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// Work on the mirror; when it turns out to be damaged, throw it away, fetch what it held, and work once more.
pub(crate) fn with_mirror<T>(inner: &Inner, work: impl Fn(&Inner) -> Result<T, Failure>) -> Result<T, Failure> {
    let generation = inner.mirror.generation();
    let failure = match guarded(inner, &work) {
        Err(failure) if failure.is_damage() => failure,
        other => return other,
    };
    tracing::warn!(repository = inner.name, detail = %failure, "a mirror is damaged; it is fetched anew");
    fetch::anew(inner, generation)?;
    guarded(inner, &work).map_err(|failure| match failure.is_damage() {
        true => failure.still_damaged(),
        false => failure,
    })
}

/// gix takes some of what damaged files say for impossible, and panics.
fn guarded<T>(inner: &Inner, work: &impl Fn(&Inner) -> Result<T, Failure>) -> Result<T, Failure> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(inner)))
        .unwrap_or_else(|_| Err(damaged(std::io::Error::other("reading it ended in a panic"))))
}

/// A failure of gix while it works on the mirror.
pub(crate) fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::damage().because(error)
}

/// Bytes of an object, with its content checked against its name.
pub(crate) fn object(repository: &gix::Repository, id: ObjectId, kind: Kind) -> Result<Vec<u8>, Failure> {
    let mut object = repository.find_object(id).map_err(damaged)?;
    let data = std::mem::take(&mut object.data);
    let is = gix::objs::compute_hash(repository.object_hash(), object.kind, &data).map_err(damaged)?;
    if object.kind != kind || is != id {
        return Err(damaged(std::io::Error::other(format!("object {id} is not what its name says"))));
    }
    Ok(data)
}

/// Bytes of blobs; nothing for those that are too large.
pub(crate) fn read(inner: &Inner, blobs: &[BlobId], largest: usize) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    let repository = inner.mirror.repository()?;
    let ids =
        blobs.iter().map(|blob| ObjectId::try_from(&blob.0[..]).map_err(damaged)).collect::<Result<Vec<_>, _>>()?;
    fetch::on_demand(inner, &repository, &ids)?;
    ids.into_iter().map(|id| read_one(&repository, id, largest)).collect()
}

fn read_one(repository: &gix::Repository, id: ObjectId, largest: usize) -> Result<Option<Vec<u8>>, Failure> {
    // What is not here although it was asked for is too large to be.
    let Some(header) = repository.try_find_header(id).map_err(damaged)? else { return Ok(None) };
    // The size is what one byte says that nothing vouches for, unlike the content. So what seems to be somewhat too large is
    // read all the same.
    if usize::try_from(header.size()).is_ok_and(|size| size <= largest.max(PLAUSIBLE)) {
        return Ok(Some(object(repository, id, Kind::Blob)?).filter(|bytes| bytes.len() <= largest));
    }
    Ok(None)
}

/// A branch among all refs.
pub(crate) fn full_name(branch: &BranchName) -> String {
    format!("{BRANCHES}{branch}")
}

pub(crate) fn object_id(commit: &CommitId) -> Result<ObjectId, Failure> {
    ObjectId::from_hex(commit.as_str().as_bytes()).map_err(|error| {
        Failure::permanent(format!("`{commit}` is no commit of this kind of repository")).because(error)
    })
}

pub(crate) fn commit_id(id: ObjectId) -> Result<CommitId, Failure> {
    id.to_string().parse().map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_in_too_many_pieces_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirror::new(folder.path().to_owned());
        assert!(!mirror.is_in_pieces(), "there is none yet");
        let (packs, loose) = (folder.path().join("objects/pack"), folder.path().join("objects/17"));
        let fill = |folder: &Path, count: usize| {
            std::fs::create_dir_all(folder).unwrap();
            (0..count).for_each(|n| std::fs::write(folder.join(n.to_string()), "").unwrap());
        };
        fill(&packs, 2 * PACKS);
        fill(&loose, LOOSE_OBJECTS / 256);
        assert!(!mirror.is_in_pieces());
        fill(&packs, 2 * PACKS + 1);
        assert!(mirror.is_in_pieces(), "packs and their indices");
        std::fs::remove_dir_all(&packs).unwrap();
        fill(&loose, LOOSE_OBJECTS / 256 + 1);
        assert!(mirror.is_in_pieces(), "loose objects");
    }
}
