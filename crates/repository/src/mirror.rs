//! The kept bare mirror: bringing it up to date and reading from it.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{PoisonError, atomic::AtomicBool},
};

use gix::{
    ObjectId,
    bstr::{BString, ByteSlice as _},
    progress::Discard,
    protocol::{fetch, handshake::Ref, transport::Service},
    remote::fetch::{Shallow, Tags},
};
use tagboat_model::{BranchName, CommitId, DecisionId};
use tagboat_ports::{BlobId, FileEntry};

use crate::{
    Failure, Inner,
    link::{Link, unreachable},
    mirror_failed,
};

/// How far back trailers are looked for.
const DEEPEST_HISTORY: usize = 1000;

/// Open the mirror, making it first where there is none.
pub(crate) fn open(inner: &Inner) -> Result<gix::Repository, Failure> {
    // Isolated: neither the system's nor the user's configuration has a say.
    let options = gix::open::Options::isolated();
    if !inner.mirror.join("HEAD").exists() {
        std::fs::create_dir_all(&inner.mirror).map_err(mirror_failed)?;
        gix::init_bare(&inner.mirror).map_err(mirror_failed)?;
    }
    let mut repository = gix::open_opts(&inner.mirror, options).map_err(mirror_failed)?;
    repository.object_cache_size(16 * 1024 * 1024);
    Ok(repository)
}

/// Read the head of a branch at the server and make its objects available.
pub(crate) fn head(inner: &Inner, branch: &BranchName) -> Result<Option<CommitId>, Failure> {
    // A fetch that panicked leaves nothing half-done that the next one would not see.
    let mut fetched_before = inner.fetching.lock().unwrap_or_else(PoisonError::into_inner);
    if !std::mem::replace(&mut *fetched_before, true) {
        remove_stale_locks(&inner.mirror);
    }
    let mut link = Link::open(&inner.address, Service::UploadPack)?;
    let result = fetch_head(inner, &mut link, branch);
    result.map_err(|failure| link.explain(failure))
}

/// A process that was killed leaves its lock files. Nobody else writes to the mirror, so before the first fetch of
/// this process every one of them is stale.
fn remove_stale_locks(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let objects = path.file_name().is_some_and(|name| name == "objects");
        if path.is_dir() && !objects {
            remove_stale_locks(&path);
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            // What cannot be removed shows as an error of the fetch.
            let _ = std::fs::remove_file(&path);
        }
    }
}

fn fetch_head(inner: &Inner, link: &mut Link, branch: &BranchName) -> Result<Option<CommitId>, Failure> {
    let name = format!("refs/heads/{branch}");
    let mut transport = &mut *link.transport;
    let mut handshake = gix::protocol::handshake(
        &mut transport,
        Service::UploadPack,
        |_| Err(not_accepted()),
        Vec::new(),
        &mut Discard,
    )
    .map_err(unreachable)?;
    let refs = match handshake.refs.take() {
        // Protocol 0 and 1 advertise everything at once.
        Some(refs) => refs,
        None => {
            let mut prefixes = gix::protocol::ls_refs::RefPrefixes::new();
            prefixes.extend([BString::from(name.as_str())]);
            gix::protocol::LsRefsCommand::new(Some(prefixes), &handshake.capabilities, agent())
                .invoke_blocking(&mut transport, &mut Discard, false)
                .map_err(unreachable)?
        }
    };
    let Some(head) = refs.iter().find_map(|reference| match reference {
        Ref::Direct { full_ref_name, object } if *full_ref_name == name => Some(*object),
        _ => None,
    }) else {
        return Ok(None);
    };
    let repository = open(inner)?;
    if !repository.has_object(head) {
        let known = local_heads(&repository)?;
        let new_branch = repository.try_find_reference(name.as_str()).map_err(mirror_failed)?.is_none();
        fetch_objects(&repository, &mut transport, &mut handshake, Wanted { head, known }, new_branch)?;
    }
    repository
        .reference(name.as_str(), head, gix::refs::transaction::PreviousValue::Any, "fetched")
        .map_err(mirror_failed)?;
    Ok(Some(commit_id(head)?))
}

/// Credentials are sent from the start, so being asked for them means that they are wrong or missing.
fn not_accepted() -> gix::Error {
    gix::Error::from_error(std::io::Error::new(std::io::ErrorKind::PermissionDenied, "HTTP status 401"))
}

fn agent() -> (&'static str, Option<String>) {
    ("agent", Some(concat!("tagboat/", env!("CARGO_PKG_VERSION")).to_owned()))
}

/// The heads fetched before: what the server need not send again.
fn local_heads(repository: &gix::Repository) -> Result<Vec<ObjectId>, Failure> {
    let references = repository.references().map_err(mirror_failed)?;
    let heads = references.prefixed("refs/heads/").map_err(mirror_failed)?;
    Ok(heads.filter_map(Result::ok).filter_map(|head| head.try_id().map(gix::Id::detach)).collect())
}

/// Of a branch that is new here only the newest commit is fetched; afterwards only what is new.
fn fetch_objects(
    repository: &gix::Repository,
    transport: &mut (dyn gix::protocol::transport::client::blocking_io::Transport + Send),
    handshake: &mut gix::protocol::Handshake,
    mut wanted: Wanted,
    new_branch: bool,
) -> Result<(), Failure> {
    let head = wanted.head;
    let shallow = match (new_branch, std::num::NonZeroU32::new(1)) {
        (true, Some(one)) => Shallow::DepthAtRemote(one),
        _ => Shallow::NoChange,
    };
    let mut transport = transport;
    let pack_folder = repository.objects.store_ref().path().join("pack");
    fetch(
        &mut wanted,
        |pack, progress, interrupted| {
            let options = gix_pack::bundle::write::Options {
                thread_limit: Some(1),
                index_version: Default::default(),
                iteration_mode: gix_pack::data::input::Mode::Verify,
                alloc_limit_bytes: None,
                compression: gix::zlib::Compression::DEFAULT,
            };
            let bundle = gix_pack::Bundle::write_to_directory(
                pack,
                Some(&pack_folder),
                progress,
                interrupted,
                Some(Box::new(repository.objects.clone())),
                repository.object_hash(),
                options,
            )?;
            // The mark that keeps a pack from being collected; nothing collects here.
            if let Some(keep) = bundle.keep_path {
                let _ = std::fs::remove_file(keep);
            }
            Ok(true)
        },
        Discard,
        &AtomicBool::new(false),
        fetch::Context { handshake, transport: &mut transport, user_agent: agent(), trace_packetlines: false },
        fetch::Options {
            shallow_file: repository.shallow_file().map_err(mirror_failed)?,
            shallow: &shallow,
            tags: Tags::None,
            reject_shallow_remote: false,
        },
    )
    .map_err(unreachable)?;
    if repository.has_object(head) {
        Ok(())
    } else {
        Err(Failure::temporary("the server sent no commit for the branch"))
    }
}

/// Asks for one commit in one round.
struct Wanted {
    head: ObjectId,
    known: Vec<ObjectId>,
}

impl fetch::Negotiate for Wanted {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<fetch::negotiate::Action> {
        Ok(fetch::negotiate::Action::MustNegotiate { remote_ref_target_known: Vec::new() })
    }

    fn add_wants(&mut self, arguments: &mut fetch::Arguments, _: &[bool]) -> bool {
        arguments.want(self.head);
        for id in &self.known {
            arguments.have(id);
        }
        true
    }

    fn one_round(
        &mut self,
        _: &mut fetch::negotiate::one_round::State,
        _: &mut fetch::Arguments,
        _: Option<&fetch::Response>,
    ) -> gix::Result<(fetch::negotiate::Round, bool)> {
        let round = fetch::negotiate::Round {
            haves_sent: self.known.len(),
            in_vain: 0,
            haves_to_send: 0,
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}

/// Every regular file of a commit.
pub(crate) fn files(inner: &Inner, commit: &CommitId) -> Result<Vec<FileEntry>, Failure> {
    let repository = open(inner)?;
    let tree = repository.find_commit(object_id(commit)?).map_err(mirror_failed)?.tree().map_err(mirror_failed)?;
    let entries = tree.traverse().breadthfirst.files().map_err(mirror_failed)?;
    let files: Result<Vec<FileEntry>, Failure> = entries
        .into_iter()
        .filter(|entry| entry.mode.is_blob())
        // A path that is not UTF-8 cannot be named in configuration or in a message.
        .filter_map(|entry| {
            let path = entry.filepath.to_str().ok()?.to_owned();
            Some(blob_id(entry.oid).map(|blob| FileEntry { path, blob }))
        })
        .collect();
    let mut files = files?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The bytes of blobs; nothing for those that are too large.
pub(crate) fn read(inner: &Inner, blobs: &[BlobId], largest: usize) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    let repository = open(inner)?;
    let read = |blob: &BlobId| {
        let id = ObjectId::from(blob.0);
        let size = repository.find_header(id).map_err(mirror_failed)?.size();
        if usize::try_from(size).is_ok_and(|size| size <= largest) {
            return Ok(Some(repository.find_blob(id).map_err(mirror_failed)?.take_data()));
        }
        Ok(None)
    };
    blobs.iter().map(read).collect()
}

/// Trailers between two commits.
pub(crate) fn landed(
    inner: &Inner,
    head: &CommitId,
    base: &CommitId,
    decisions: &[DecisionId],
) -> Result<Vec<(DecisionId, CommitId)>, Failure> {
    let repository = open(inner)?;
    let base = object_id(base)?;
    let mut found = Vec::new();
    for id in history(&repository, object_id(head)?, base) {
        let Ok(commit) = repository.find_commit(id) else { continue };
        let message = commit.message_raw_sloppy().to_str_lossy();
        for trailer in message.lines().filter_map(|line| line.strip_prefix("Tagboat-Decision: ")) {
            if let Some(decision) = decisions.iter().find(|decision| decision.as_str() == trailer.trim()) {
                found.push((decision.clone(), commit_id(id)?));
            }
        }
    }
    Ok(found)
}

/// The commits from `head` back to `base` (excluded), along all parents: people merge. Where the history was cut
/// off it ends, and nothing is attributed beyond.
fn history(repository: &gix::Repository, head: ObjectId, base: ObjectId) -> Vec<ObjectId> {
    let (mut seen, mut waiting) = (Vec::new(), VecDeque::from([head]));
    while let Some(id) = waiting.pop_front() {
        if id == base || seen.contains(&id) || seen.len() >= DEEPEST_HISTORY {
            continue;
        }
        seen.push(id);
        if let Ok(commit) = repository.find_commit(id) {
            waiting.extend(commit.parent_ids().map(gix::Id::detach));
        }
    }
    seen
}

/// Whether `commit` is `head` or below it, no further back than `base`.
pub(crate) fn is_ancestor(repository: &gix::Repository, commit: ObjectId, head: ObjectId, base: ObjectId) -> bool {
    history(repository, head, base).contains(&commit)
}

pub(crate) fn object_id(commit: &CommitId) -> Result<ObjectId, Failure> {
    ObjectId::from_hex(commit.as_str().as_bytes()).map_err(mirror_failed)
}

pub(crate) fn commit_id(id: ObjectId) -> Result<CommitId, Failure> {
    id.to_string().parse().map_err(mirror_failed)
}

fn blob_id(id: ObjectId) -> Result<BlobId, Failure> {
    <[u8; 20]>::try_from(id.as_slice()).map(BlobId).map_err(mirror_failed)
}
