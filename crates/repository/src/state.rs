//! What the bot writes down beside the branches: a ref of its own whose commits hold one file.
//!
//! A chain of commits, so that `git log` shows what was written when. Some forges take nothing but branches and tags; there it
//! is a branch of the bot's own. Where both are, the ref counts.

use std::sync::PoisonError;

use gix::ObjectId;
use tagboat_model::{CommitId, Timestamp};
use tagboat_ports::{LARGEST_STATE, PushOutcome, STATE_BRANCH, STATE_FILE, STATE_REF};

use crate::{
    Failure, Inner, PushWith,
    commit::{NewObjects, build_alone},
    mirror::{self, commit_id, object_id},
    push::{Aim, Planned, Prepared, advertise, carry_out},
    send_pack::RefUpdate,
};

/// Where it may be.
const PLACES: [&str; 2] = [STATE_REF, STATE_BRANCH];

/// What is to be written down.
pub(crate) struct Note {
    /// The commit that it was computed on; nothing when there was none.
    pub(crate) old: Option<CommitId>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) message: String,
    pub(crate) time: Timestamp,
}

/// Read what is written down now.
pub(crate) fn read(inner: &Inner) -> Result<Option<(CommitId, Vec<u8>)>, Failure> {
    let Some((name, head)) = mirror::first_head(inner, &PLACES)? else { return Ok(None) };
    let found = mirror::read_at(inner, &head, &[STATE_FILE.to_owned()], LARGEST_STATE)?.pop().flatten();
    match found {
        Some(bytes) => Ok(Some((head, bytes))),
        None => Err(Failure::permanent(format!(
            "commit {head} at {name} has no file {STATE_FILE} of at most {} MiB; put the ref back to a commit that has \
             one, or delete it to start anew",
            LARGEST_STATE >> 20
        ))),
    }
}

/// Write it down anew.
pub(crate) fn write(inner: &Inner, note: &Note) -> Result<PushOutcome, Failure> {
    if note.bytes.len() > LARGEST_STATE {
        return Err(Failure::permanent(format!(
            "{} bytes are more than the {} MiB that {STATE_FILE} may have",
            note.bytes.len(),
            LARGEST_STATE >> 20
        )));
    }
    let old = note.old.as_ref().map(object_id).transpose()?;
    if !is_known(inner, old)? {
        return Ok(PushOutcome::Moved(None));
    }
    let (new, objects) = build_alone(inner, old, (STATE_FILE, note.bytes.as_slice()), &note.message, note.time)?;
    let there = place(inner)?;
    let planned = planned(there.unwrap_or(STATE_REF), old, new, objects)?;
    match (there, carry_out(inner, &planned)?) {
        (None, PushOutcome::Refused(words)) => {
            tracing::debug!(repository = inner.name, words, "the server refuses {STATE_REF}; {STATE_BRANCH} is used");
            carry_out(inner, &at(STATE_BRANCH, planned))
        }
        (_, outcome) => Ok(outcome),
    }
}

/// Whether what is to be written on is here: a mirror with a commit of ours and without its parent would have a gap.
fn is_known(inner: &Inner, old: Option<ObjectId>) -> Result<bool, Failure> {
    let Some(old) = old else { return Ok(true) };
    if !inner.mirror.repository()?.has_object(old) {
        mirror::first_head(inner, &PLACES)?;
    }
    Ok(inner.mirror.repository()?.has_object(old))
}

/// Where it is now; nowhere when nothing was ever written down. What is learned on the way serves the push.
fn place(inner: &Inner) -> Result<Option<&'static str>, Failure> {
    if inner.push_with != PushWith::BuiltIn {
        return Ok(mirror::first_head(inner, &PLACES)?.map(|(name, _)| name));
    }
    let (link, advertised) = advertise(inner)?;
    let there = PLACES.into_iter().find(|name| advertised.refs.contains_key(*name));
    let mut prepared = inner.prepared.lock().unwrap_or_else(PoisonError::into_inner);
    prepared.insert(there.unwrap_or(STATE_REF).to_owned(), Prepared::new(link, advertised));
    Ok(there)
}

fn planned(name: &str, old: Option<ObjectId>, new: ObjectId, objects: NewObjects) -> Result<Planned, Failure> {
    // On nothing, it is below whatever comes on top as well.
    let base = old.unwrap_or_else(|| ObjectId::null(gix::hash::Kind::Sha1));
    Ok(Planned {
        aims: vec![Aim { name: name.to_owned(), base: Some(base), ids: vec![commit_id(new)?] }],
        refs: vec![RefUpdate { name: name.to_owned(), old, new: Some(new) }],
        objects,
        options: Vec::new(),
    })
}

/// The same at another ref.
fn at(name: &str, mut planned: Planned) -> Planned {
    planned.aims.iter_mut().for_each(|aim| name.clone_into(&mut aim.name));
    planned.refs.iter_mut().for_each(|update| name.clone_into(&mut update.name));
    planned
}
