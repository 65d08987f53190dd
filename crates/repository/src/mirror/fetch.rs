//! Fetching: where a branch is at the server, and the objects that are not here yet.
//!
//! Of a branch that is new here only the newest commit is fetched, afterwards only what is new. Blobs that are too large to
//! be a manifest stay at the server, where it can leave them out.

use std::{
    cell::Cell,
    io::{BufRead, BufReader, Read as _},
    num::NonZeroU32,
    path::Path,
    sync::{PoisonError, atomic::AtomicBool},
};

use gix::{
    ObjectId,
    bstr::BString,
    progress::Discard,
    protocol::{
        Handshake, fetch,
        handshake::Ref,
        transport::{Service, client::blocking_io::Transport},
    },
    remote::fetch::{Shallow, Tags},
};
use tagboat_model::CommitId;

use super::{commit_id, damaged, history::DEEPEST_HISTORY};
use crate::{
    Failure, Inner,
    link::{Link, is_cut_off, unreachable},
    push::Prepared,
    send_pack,
};

/// Larger blobs are not fetched with the rest: 5 MiB, the largest file that is read, and a byte.
const FILTER: &str = "blob:limit=5242881";
/// What may come on the wire, and what one object may have in memory: of a blob that is fetched after all, and otherwise.
const ON_DEMAND: Limits = Limits { wire: 8 << 20, object: 6 << 20 };
const WHOLE: Limits = Limits { wire: 8 << 30, object: 256 << 20 };
/// Blobs that are fetched after all, in one go.
const BLOBS_ON_DEMAND: usize = 32;
/// How far back older history is read where the server cannot leave out files.
const HISTORY_WITH_FILES: u32 = 50;
/// Marks a mirror in which large blobs are missing on purpose.
const FILTERED: &str = "tagboat-filtered";

/// Read where a ref is, and make its objects available.
pub(crate) fn head(inner: &Inner, name: &str) -> Result<Option<CommitId>, Failure> {
    first_head(inner, &[name]).map(|found| found.map(|(_, head)| head))
}

/// The first of several refs that there is, with its name.
pub(crate) fn first_head<'n>(inner: &Inner, names: &[&'n str]) -> Result<Option<(&'n str, CommitId)>, Failure> {
    let generation = inner.mirror.generation();
    if inner.mirror.is_in_pieces() {
        anew(inner, generation)?;
    }
    plain_head(inner, names)
}

/// Throw the mirror away and fetch what it held, unless somebody did so since `generation`.
pub(crate) fn anew(inner: &Inner, generation: u64) -> Result<(), Failure> {
    // Until everything is there again: whoever comes meanwhile waits for it.
    let _renewing = inner.mirror.renewing();
    if inner.mirror.generation() != generation {
        return Ok(());
    }
    let names = {
        let _writing = inner.mirror.writing();
        inner.mirror.discard()?
    };
    names.iter().try_for_each(|name| plain_head(inner, &[name.as_str()]).map(|_| ()))
}

fn plain_head<'n>(inner: &Inner, names: &[&'n str]) -> Result<Option<(&'n str, CommitId)>, Failure> {
    let mut link = Link::open(inner, Service::UploadPack)?;
    let result = read_head(inner, &mut link, names);
    result.map_err(|failure| link.explain(failure))
}

fn read_head<'n>(inner: &Inner, link: &mut Link, names: &[&'n str]) -> Result<Option<(&'n str, CommitId)>, Failure> {
    let mut handshake = shake_hands(link)?;
    let refs = match handshake.refs.take() {
        // Protocol 0 and 1 advertise everything at once.
        Some(refs) => refs,
        None => {
            let mut prefixes = gix::protocol::ls_refs::RefPrefixes::new();
            prefixes.extend(names.iter().map(|name| BString::from(*name)));
            let transport = &mut *link.transport;
            gix::protocol::LsRefsCommand::new(Some(prefixes), &handshake.capabilities, agent())
                .invoke_blocking(transport, &mut Discard, false)
                .map_err(unreachable)?
        }
    };
    for name in names.iter().copied() {
        let direct = |reference: &Ref| match reference {
            Ref::Direct { full_ref_name, object } if *full_ref_name == name => Some(*object),
            _ => None,
        };
        if let Some(head) = refs.iter().find_map(direct) {
            obtain(inner, link, &mut handshake, name, head)?;
            return commit_id(head).map(|head| Some((name, head)));
        }
        let _writing = inner.mirror.writing();
        inner.mirror.set_head(name, None)?;
    }
    Ok(None)
}

/// Read the head of a branch from the side that takes pushes, and keep the connection for the push. One request, and
/// none of the copies that some forges answer fetches from.
pub(crate) fn head_to_push(inner: &Inner, name: &str) -> Result<Option<CommitId>, Failure> {
    if inner.push_with != crate::PushWith::BuiltIn {
        return head(inner, name);
    }
    let mut link = Link::open(inner, Service::ReceivePack)?;
    let advertised = match send_pack::advertised(&mut *link.transport).map_err(|failure| link.explain(failure)) {
        Ok(advertised) => advertised,
        // Whoever may not push may still look; the push would say so.
        Err(failure) if failure.is_permanent() => return head(inner, name),
        Err(failure) => return Err(failure),
    };
    let Some(head) = advertised.refs.get(name).copied() else {
        let _writing = inner.mirror.writing();
        return inner.mirror.set_head(name, None).map(|()| None);
    };
    let head = if inner.mirror.repository()?.has_object(head) {
        let _writing = inner.mirror.writing();
        inner.mirror.set_head(name, Some(head))?;
        Some(commit_id(head)?)
    } else {
        // Whoever moved the branch may have moved it on meanwhile: what is read last is the newest.
        plain_head(inner, &[name])?.map(|(_, head)| head)
    };
    let mut prepared = inner.prepared.lock().unwrap_or_else(PoisonError::into_inner);
    prepared.insert(name.to_owned(), Prepared::new(link, advertised));
    Ok(head)
}

fn shake_hands(link: &mut Link) -> Result<Handshake, Failure> {
    let transport = &mut *link.transport;
    let refused = |_| Err(not_accepted());
    gix::protocol::handshake(transport, Service::UploadPack, refused, Vec::new(), &mut Discard).map_err(unreachable)
}

/// Credentials are sent from the start, so being asked for them means that they are wrong or missing.
fn not_accepted() -> gix::Error {
    gix::Error::from_error(std::io::Error::new(std::io::ErrorKind::PermissionDenied, "HTTP status 401"))
}

fn agent() -> (&'static str, Option<String>) {
    ("agent", Some(concat!("tagboat/", env!("CARGO_PKG_VERSION")).to_owned()))
}

/// Fetch a commit that is not here, and write down that the ref is there.
fn obtain(
    inner: &Inner,
    link: &mut Link,
    handshake: &mut Handshake,
    name: &str,
    head: ObjectId,
) -> Result<(), Failure> {
    let _writing = inner.mirror.writing();
    let repository = inner.mirror.repository()?;
    if !repository.has_object(head) {
        let known = local_heads(&repository);
        let is_new = repository.try_find_reference(name).map_err(damaged)?.is_none();
        let depth = if is_new { NonZeroU32::new(1) } else { None };
        let wanted = Wanted { ids: vec![head], known, filter: Some(FILTER), filtered: false };
        if fetch_into(&repository, link, handshake, wanted, depth, WHOLE)? {
            std::fs::write(inner.mirror.folder().join(FILTERED), "").map_err(damaged)?;
        }
    }
    inner.mirror.set_head(name, Some(head))
}

/// The heads fetched before: what the server need not send again. Of what was lost it must not believe that it is here.
fn local_heads(repository: &gix::Repository) -> Vec<ObjectId> {
    super::heads_on_disk(repository).map(|(_, head)| head).filter(|head| repository.has_object(head)).collect()
}

/// Fetch blobs that were left out, one by one: one that is too large does not take the others with it.
pub(super) fn on_demand(inner: &Inner, repository: &gix::Repository, ids: &[ObjectId]) -> Result<(), Failure> {
    let mut missing: Vec<ObjectId> = ids.iter().copied().filter(|id| !repository.has_object(id)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !inner.mirror.folder().join(FILTERED).exists() {
        return Err(damaged(std::io::Error::other("blobs are missing")));
    }
    {
        let too_large = inner.too_large.lock().unwrap_or_else(PoisonError::into_inner);
        missing.retain(|id| !too_large.contains(id));
    }
    for id in missing.into_iter().take(BLOBS_ON_DEMAND) {
        let _writing = inner.mirror.writing();
        let mut link = Link::open(inner, Service::UploadPack)?;
        let mut handshake = shake_hands(&mut link).map_err(|failure| link.explain(failure))?;
        let wanted = Wanted { ids: vec![id], known: Vec::new(), filter: None, filtered: false };
        match fetch_into(repository, &mut link, &mut handshake, wanted, None, ON_DEMAND) {
            Ok(_) => {}
            Err(failure) if failure.is_outage() => return Err(failure),
            // What came went beyond the limits, or the server gives nothing out by its name alone, as protocol 0 may have
            // it: that must not keep all else from being read.
            Err(_) => {
                inner.too_large.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
            }
        }
    }
    Ok(())
}

/// Fetch only commits into a repository of their own; where the server cannot leave out files, fewer of them.
pub(super) fn commits_alone(inner: &Inner, repository: &gix::Repository, heads: &[ObjectId]) -> Result<(), Failure> {
    let mut link = Link::open(inner, Service::UploadPack)?;
    let mut handshake = shake_hands(&mut link).map_err(|failure| link.explain(failure))?;
    let depth = if can_filter(&handshake) { DEEPEST_HISTORY } else { HISTORY_WITH_FILES };
    let wanted = Wanted { ids: heads.to_vec(), known: Vec::new(), filter: Some("tree:0"), filtered: false };
    fetch_into(repository, &mut link, &mut handshake, wanted, NonZeroU32::new(depth), WHOLE).map(|_| ())
}

/// Whether the server can leave things out: a feature of `fetch` in protocol 2, a capability before.
fn can_filter(handshake: &Handshake) -> bool {
    let fetch = handshake.capabilities.capability("fetch");
    let features = fetch.and_then(|fetch| fetch.value().map(ToString::to_string)).unwrap_or_default();
    features.split(' ').any(|feature| feature == "filter") || handshake.capabilities.contains("filter")
}

/// How much is read before a fetch is given up.
#[derive(Clone, Copy)]
struct Limits {
    wire: u64,
    object: usize,
}

impl Limits {
    /// Whether going beyond them is to be expected.
    fn is_tight(self) -> bool {
        self.wire < WHOLE.wire
    }
}

/// Fetch; returns whether the filter was used.
fn fetch_into(
    repository: &gix::Repository,
    link: &mut Link,
    handshake: &mut Handshake,
    mut wanted: Wanted,
    depth: Option<NonZeroU32>,
    limits: Limits,
) -> Result<bool, Failure> {
    // What is wrong here is not the server's fault.
    repository.shallow_commits().map_err(damaged)?;
    let packs = repository.objects.store_ref().path().join("pack");
    if !repository.path().join("HEAD").exists() || !packs.is_dir() {
        return Err(damaged(std::io::Error::other("the folder is gone")));
    }
    let ids = wanted.ids.clone();
    let shallow = depth.map_or(Shallow::NoChange, Shallow::DepthAtRemote);
    let mut transport: &mut (dyn Transport + Send) = &mut *link.transport;
    let unpacking = Cell::new(false);
    let fetched = fetch(
        &mut wanted,
        |pack, progress, interrupted| {
            unpacking.set(true);
            let limited: &mut dyn BufRead = &mut BufReader::new(pack.take(limits.wire));
            store_pack(repository, &packs, limited, limits.object, (progress, interrupted))
        },
        Discard,
        &AtomicBool::new(false),
        fetch::Context { handshake, transport: &mut transport, user_agent: agent(), trace_packetlines: false },
        fetch::Options {
            shallow_file: repository.shallow_file().map_err(damaged)?,
            shallow: &shallow,
            tags: Tags::None,
            reject_shallow_remote: false,
        },
    );
    match fetched {
        // What came cannot be put together with what is here.
        Err(error) if unpacking.get() && !is_cut_off(&error) && (!wanted.known.is_empty() || limits.is_tight()) => {
            Err(damaged(error))
        }
        Err(error) => Err(link.explain(unreachable(error))),
        Ok(_) if ids.iter().all(|id| repository.has_object(id)) => Ok(wanted.filtered),
        // It believes that more is here than there is.
        Ok(_) if !wanted.known.is_empty() => Err(damaged(std::io::Error::other("objects are missing"))),
        Ok(_) => Err(Failure::temporary("the server did not send what it was asked for")),
    }
}

fn store_pack(
    repository: &gix::Repository,
    packs: &Path,
    mut pack: &mut dyn BufRead,
    largest: usize,
    (progress, interrupted): (&mut dyn gix::progress::DynNestedProgress, &AtomicBool),
) -> gix::Result<bool> {
    let options = gix_pack::bundle::write::Options {
        thread_limit: Some(2),
        index_version: Default::default(),
        // Every object is read and its name computed from it.
        iteration_mode: gix_pack::data::input::Mode::Verify,
        alloc_limit_bytes: Some(largest),
        compression: gix::zlib::Compression::DEFAULT,
    };
    let bases = Some(Box::new(repository.objects.clone()));
    let hash = repository.object_hash();
    let bundle =
        gix_pack::Bundle::write_to_directory(&mut pack, Some(packs), progress, interrupted, bases, hash, options)?;
    // The mark that keeps a pack from being collected; nothing collects here.
    if let Some(keep) = bundle.keep_path {
        let _ = std::fs::remove_file(keep);
    }
    Ok(true)
}

/// Asks for objects in one round.
struct Wanted {
    ids: Vec<ObjectId>,
    known: Vec<ObjectId>,
    filter: Option<&'static str>,
    /// Whether the server was asked to leave things out.
    filtered: bool,
}

impl fetch::Negotiate for Wanted {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<fetch::negotiate::Action> {
        Ok(fetch::negotiate::Action::MustNegotiate { remote_ref_target_known: Vec::new() })
    }

    fn add_wants(&mut self, arguments: &mut fetch::Arguments, _: &[bool]) -> bool {
        if let Some(filter) = self.filter.filter(|_| arguments.can_use_filter()) {
            arguments.filter(filter);
            self.filtered = true;
        }
        for id in &self.ids {
            arguments.want(id);
        }
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
