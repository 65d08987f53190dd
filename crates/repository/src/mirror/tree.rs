//! Trees: which files a commit has, in what two commits differ, and whether a path may be written.
//!
//! A tree comes from a server and may be hostile: how many entries are read and how deep is bounded, and a name is never
//! more than bytes in memory.

use std::collections::BTreeMap;

use gix::{
    ObjectId,
    bstr::{BString, ByteSlice as _},
    objs::{Kind, TreeRefIter, tree::EntryMode},
};
use tagboat_model::CommitId;
use tagboat_ports::{BlobId, ChangedFile, FileEntry, NotEditable};
use unicode_normalization::UnicodeNormalization as _;

use super::{damaged, object, object_id};
use crate::{Failure, Inner};

/// Entries that are read of one commit. A tree can hold itself many times over.
const MOST_ENTRIES: usize = 1_500_000;
/// And bytes of their paths.
const MOST_BYTES: usize = 256 << 20;
/// Deeper folders and longer paths hold no manifests, and are passed over.
const DEEPEST: usize = 128;
const LONGEST_PATH: usize = 4096;

type Entry = (BString, EntryMode, ObjectId);

fn entries(repository: &gix::Repository, tree: ObjectId) -> Result<Vec<Entry>, Failure> {
    let data = object(repository, tree, Kind::Tree)?;
    let entries = TreeRefIter::from_bytes(&data, repository.object_hash());
    let owned = |entry: gix::Result<gix::objs::tree::EntryRef<'_>>| {
        let entry = entry.map_err(damaged)?;
        Ok((entry.filename.to_owned(), entry.mode, entry.oid.to_owned()))
    };
    entries.map(owned).collect()
}

fn root(inner: &Inner, repository: &gix::Repository, commit: &CommitId) -> Result<ObjectId, Failure> {
    let id = object_id(commit)?;
    if !repository.has_object(id) && !inner.mirror.should_have(repository, id) {
        return Err(Failure::temporary(format!("commit {commit} is not known any more; the branch has moved on")));
    }
    let commit = repository.find_commit(id).map_err(damaged)?;
    commit.tree_id().map(gix::Id::detach).map_err(damaged)
}

/// Whether a name names one thing in one folder. Git makes no other; a tree that is sent may hold any bytes.
fn is_usable(name: &BString) -> bool {
    !name.is_empty() && *name != "." && *name != ".." && !name.contains(&b'/') && !name.contains(&0)
}

/// Whether a name can be looked for in a folder by halves, as is done when it is written: in order, and no name could be
/// taken for a path. Other folders are read, and never written.
fn is_well_formed(entries: &[Entry]) -> bool {
    // A folder is put in order as if its name ended with a slash.
    let key = |(name, mode, _): &Entry| {
        let mut key = name.to_vec();
        key.extend(mode.is_tree().then_some(b'/'));
        key
    };
    let keys: Vec<Vec<u8>> = entries.iter().map(key).collect();
    let plain = |(name, ..): &Entry| !name.is_empty() && !name.contains(&b'/') && !name.contains(&0);
    entries.iter().all(plain) && keys.is_sorted()
}

/// A folder or file below `folder`. A name that is not UTF-8 cannot be named in configuration or in a message.
fn below(folder: &str, name: &BString) -> Option<String> {
    let name =
        name.to_str().ok().filter(|_| is_usable(name)).filter(|name| folder.len() + name.len() < LONGEST_PATH)?;
    Some(if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") })
}

fn blob_id(id: ObjectId) -> Result<BlobId, Failure> {
    id.as_bytes().try_into().map(BlobId).map_err(damaged)
}

/// Counts what is read of one commit.
#[derive(Default)]
struct Budget {
    entries: usize,
    bytes: usize,
}

impl Budget {
    fn take(&mut self, folder: &str, entries: &[Entry]) -> Result<(), Failure> {
        self.entries = self.entries.saturating_add(entries.len());
        let names: usize = entries.iter().map(|(name, ..)| name.len()).sum();
        self.bytes = self.bytes.saturating_add(names).saturating_add(folder.len().saturating_mul(entries.len()));
        if self.entries > MOST_ENTRIES || self.bytes > MOST_BYTES {
            let most =
                format!("more than {MOST_ENTRIES} files and folders, or {} MiB of their names", MOST_BYTES >> 20);
            return Err(Failure::permanent(format!("it has {most}")));
        }
        Ok(())
    }
}

/// Every regular file of a commit, sorted.
pub(crate) fn files(inner: &Inner, commit: &CommitId) -> Result<Vec<FileEntry>, Failure> {
    let repository = inner.mirror.repository()?;
    let mut waiting = vec![(String::new(), root(inner, &repository, commit)?, 0)];
    let (mut files, mut budget) = (Vec::new(), Budget::default());
    while let Some((folder, tree, depth)) = waiting.pop() {
        let entries = entries(&repository, tree)?;
        budget.take(&folder, &entries)?;
        for (name, mode, id) in entries {
            let Some(path) = below(&folder, &name) else { continue };
            if mode.is_blob() {
                files.push(FileEntry { path, blob: blob_id(id)? });
            } else if mode.is_tree() && depth < DEEPEST {
                waiting.push((path, id, depth + 1));
            }
        }
    }
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The files in which two commits differ; only folders that differ are read.
pub(crate) fn changed_files(
    inner: &Inner,
    from: &CommitId,
    to: &CommitId,
) -> Result<Option<Vec<ChangedFile>>, Failure> {
    let repository = inner.mirror.repository()?;
    if !repository.has_object(object_id(from)?) || !repository.has_object(object_id(to)?) {
        return Ok(None);
    }
    let roots = (Some(root(inner, &repository, from)?), Some(root(inner, &repository, to)?));
    let mut waiting = vec![(String::new(), roots, 0)];
    let (mut changed, mut budget) = (Vec::new(), Budget::default());
    while let Some((folder, (old, new), depth)) = waiting.pop() {
        for (name, (old, new)) in pairs(&repository, &folder, (old, new), &mut budget)? {
            let Some(path) = below(&folder, &name).filter(|_| old != new) else { continue };
            let tree = |side: Option<(EntryMode, ObjectId)>| side.filter(|(mode, _)| mode.is_tree()).map(|(_, id)| id);
            let blob = |side: Option<(EntryMode, ObjectId)>| side.filter(|(mode, _)| mode.is_blob()).map(|(_, id)| id);
            if blob(old).is_some() || blob(new).is_some() {
                changed.push(ChangedFile { path: path.clone(), blob: blob(new).map(blob_id).transpose()? });
            }
            if (tree(old).is_some() || tree(new).is_some()) && depth < DEEPEST {
                waiting.push((path, (tree(old), tree(new)), depth + 1));
            }
        }
    }
    changed.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(Some(changed))
}

type Side = Option<(EntryMode, ObjectId)>;

/// What two folders have under each name.
fn pairs(
    repository: &gix::Repository,
    folder: &str,
    (old, new): (Option<ObjectId>, Option<ObjectId>),
    budget: &mut Budget,
) -> Result<BTreeMap<BString, (Side, Side)>, Failure> {
    let mut pairs: BTreeMap<BString, (Side, Side)> = BTreeMap::new();
    if old == new {
        return Ok(pairs);
    }
    let read = |tree: Option<ObjectId>| tree.map_or(Ok(Vec::new()), |tree| entries(repository, tree));
    let (old, new) = (read(old)?, read(new)?);
    budget.take(folder, &old)?;
    budget.take(folder, &new)?;
    for (name, mode, id) in old {
        pairs.entry(name).or_default().0 = Some((mode, id));
    }
    for (name, mode, id) in new {
        pairs.entry(name).or_default().1 = Some((mode, id));
    }
    Ok(pairs)
}

/// What stands at a path.
pub(crate) enum At {
    /// A regular file.
    File(EntryMode, ObjectId),
    /// Nothing, or what is not a regular file.
    NoFile(String),
    /// What may be read and is not to be written: another name would be mixed up with it, or its folder is malformed.
    Unsafe(String),
}

/// Follow a path from the root. Neither a symbolic link nor a submodule is followed.
pub(crate) fn look_up(repository: &gix::Repository, root: ObjectId, path: &str) -> Result<At, Failure> {
    if path.len() > LONGEST_PATH || path.split('/').count() > DEEPEST {
        return Ok(At::NoFile("it is too deep".to_owned()));
    }
    let (mut tree, mut so_far, mut unsafe_for) = (root, String::new(), None);
    let mut names = path.split('/').peekable();
    while let Some(name) = names.next() {
        let entries = entries(repository, tree)?;
        let mut same = entries.iter().filter(|(other, _, _)| *other == name);
        let Some((_, mode, id)) = same.next() else { return Ok(At::NoFile("there is no such file".to_owned())) };
        let doubled = same.next().map(|(name, _, _)| name);
        if doubled.is_none() && !is_well_formed(&entries) {
            let folder = if so_far.is_empty() { "the root" } else { so_far.as_str() };
            let why = format!("{folder} is not a folder as Git makes it; `git fsck` tells more");
            unsafe_for = unsafe_for.or(Some(why));
        }
        let folded = fold(name.as_bytes());
        let similar = entries.iter().map(|(other, _, _)| other).find(|other| **other != name && fold(other) == folded);
        so_far = if so_far.is_empty() { name.to_owned() } else { format!("{so_far}/{name}") };
        if let Some(other) = doubled.or(similar) {
            unsafe_for = unsafe_for
                .or_else(|| Some(format!("`{so_far}` and `{other}` beside it are one name on some machines")));
        }
        match (names.peek(), mode.kind()) {
            (_, gix::objs::tree::EntryKind::Link) => {
                return Ok(At::NoFile(format!("`{so_far}` is a symbolic link")));
            }
            (_, gix::objs::tree::EntryKind::Commit) => return Ok(At::NoFile(format!("`{so_far}` is a submodule"))),
            (Some(_), _) if mode.is_tree() => tree = *id,
            (None, _) if mode.is_blob() => {
                return Ok(unsafe_for.map_or(At::File(*mode, *id), At::Unsafe));
            }
            (None, _) => return Ok(At::NoFile(format!("`{so_far}` is a folder"))),
            (Some(_), _) => return Ok(At::NoFile(format!("`{so_far}` is not a folder"))),
        }
    }
    Ok(At::NoFile("there is no such file".to_owned()))
}

/// A name as file systems compare it that know neither upper nor lower case, nor how a letter is composed.
fn fold(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    text.chars().filter(|c| !tagboat_model::is_ignored_in_names(*c)).flat_map(char::to_lowercase).nfc().collect()
}

/// The bytes of regular files of a commit.
pub(crate) fn read_at(
    inner: &Inner,
    commit: &CommitId,
    paths: &[String],
    largest: usize,
) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    let repository = inner.mirror.repository()?;
    let root = root(inner, &repository, commit)?;
    let read = |path: &String| match look_up(&repository, root, path)? {
        At::File(_, id) => super::read(inner, &[blob_id(id)?], largest).map(|mut found| found.pop().flatten()),
        At::NoFile(_) | At::Unsafe(_) => Ok(None),
    };
    paths.iter().map(read).collect()
}

/// The bytes of files that are to be changed, or why one of them is never written.
pub(crate) fn read_to_edit(
    inner: &Inner,
    commit: &CommitId,
    paths: &[String],
    largest: usize,
) -> Result<Vec<Result<Vec<u8>, NotEditable>>, Failure> {
    let repository = inner.mirror.repository()?;
    let root = root(inner, &repository, commit)?;
    let read = |path: &String| {
        let id = match editable(&repository, root, path)? {
            Ok((_, id)) => id,
            Err(refused) => return Ok(Err(refused)),
        };
        let bytes = super::read(inner, &[blob_id(id)?], largest)?.pop().flatten();
        Ok(bytes.ok_or_else(|| NotEditable(format!("it is larger than {largest} bytes"))))
    };
    paths.iter().map(read).collect()
}

/// The file at a path, or why it is never written.
pub(crate) fn editable(
    repository: &gix::Repository,
    root: ObjectId,
    path: &str,
) -> Result<Result<(EntryMode, ObjectId), NotEditable>, Failure> {
    if tagboat_model::is_reserved_path(path) {
        return Ok(Err(NotEditable("files that configure Git, the forge or Tagboat are never written".to_owned())));
    }
    Ok(match look_up(repository, root, path)? {
        At::File(mode, id) => Ok((mode, id)),
        At::NoFile(why) | At::Unsafe(why) => Err(NotEditable(why)),
    })
}

/// Whether the root has nothing of this name, however it is written.
pub(crate) fn is_free(repository: &gix::Repository, root: ObjectId, name: &str) -> Result<bool, Failure> {
    let folded = fold(name.as_bytes());
    let entries = entries(repository, root)?;
    Ok(is_well_formed(&entries) && !entries.iter().any(|(other, ..)| fold(other) == folded))
}
