//! The push: a compare-and-swap of one branch or several, and what became of it.
//!
//! Whether it landed is decided by where the branches are afterwards, never by what an error says: of a hundred lost races
//! hardly one is called by its name.

use std::{
    collections::BTreeMap,
    sync::PoisonError,
    time::{Duration, Instant},
};

use gix::{ObjectId, objs::Kind, protocol::transport::Service};
use tagboat_model::CommitId;
use tagboat_ports::{BOT_BRANCHES, BranchChange, BranchUpdate, Push, PushOutcome};

use crate::{
    Failure, Inner, PushWith,
    commit::{NewObjects, build, stands_on},
    git_push,
    link::{Link, one_line},
    mirror::{self, commit_id, is_ancestor, object_id},
    send_pack::{self, Advertised, RefUpdate, Report},
};

/// For how long a connection that waits for its push is of use; servers close idle ones after a minute or so.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A connection whose advertisement was read already.
pub(crate) struct Prepared {
    link: Link,
    advertised: Advertised,
    since: Instant,
}

impl Prepared {
    pub(crate) fn new(link: Link, advertised: Advertised) -> Self {
        Self { link, advertised, since: Instant::now() }
    }
}

/// Close the connections that waited for too long. A program at the other end is waited for, on a thread that may block.
pub(crate) async fn close_what_waited(inner: &Inner) {
    let late: Vec<Prepared> = {
        let mut prepared = inner.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let late: Vec<_> = prepared
            .iter()
            .filter(|(_, it)| it.since.elapsed() >= LONGEST_WAIT)
            .map(|(name, _)| name.clone())
            .collect();
        late.iter().filter_map(|name| prepared.remove(name)).collect()
    };
    if !late.is_empty() {
        // It ends with the process otherwise, which is no loss.
        let _ = tokio::task::spawn_blocking(move || drop(late)).await;
    }
}

/// Everything about a push that does not depend on the server.
struct Planned<'p> {
    push: &'p Push,
    refs: Vec<RefUpdate>,
    /// For each branch the ids of its commits.
    ids: Vec<Vec<CommitId>>,
    objects: NewObjects,
}

/// Make the commits, send them, and find out what became of them.
pub(crate) fn push(inner: &Inner, push: &Push) -> Result<PushOutcome, Failure> {
    let started = Instant::now();
    if !bases_are_known(inner, push)? {
        return Ok(PushOutcome::Moved(None));
    }
    let planned = plan(inner, push)?;
    let built = started.elapsed();
    if planned.refs.is_empty() {
        return Ok(PushOutcome::Landed(planned.ids));
    }
    let outcome = match inner.push_with {
        PushWith::BuiltIn => built_in(inner, &planned),
        PushWith::Git => with_git(inner, &planned),
    }?;
    let sent = started.elapsed();
    if let PushOutcome::Landed(_) = &outcome {
        keep(inner, &planned);
    }
    tracing::debug!(
        repository = inner.name,
        objects = planned.objects.len(),
        build_us = microseconds(built),
        send_us = microseconds(sent.saturating_sub(built)),
        keep_us = microseconds(started.elapsed().saturating_sub(sent)),
        "pushed"
    );
    Ok(outcome)
}

/// A mirror that was made anew knows the newest commits alone. What is to stand on an older one is late.
fn bases_are_known(inner: &Inner, push: &Push) -> Result<bool, Failure> {
    for update in &push.updates {
        let (BranchChange::Append { base, .. } | BranchChange::Replace { base, .. }) = &update.change else { continue };
        let base = object_id(base)?;
        if inner.mirror.repository()?.has_object(base) {
            continue;
        }
        mirror::head(inner, &update.branch)?;
        if !inner.mirror.repository()?.has_object(base) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn plan<'p>(inner: &Inner, push: &'p Push) -> Result<Planned<'p>, Failure> {
    let mut planned = Planned { push, refs: Vec::new(), ids: Vec::new(), objects: Vec::new() };
    for update in &push.updates {
        let BranchUpdate { branch, change } = update;
        let own = branch.as_str().starts_with(BOT_BRANCHES);
        let (old, base) = match change {
            BranchChange::Append { base, .. } => (Some(object_id(base)?), Some(object_id(base)?)),
            BranchChange::Replace { .. } | BranchChange::Delete { .. } if !own => {
                return Err(Failure::permanent(format!(
                    "branch {branch} belongs to people: nothing on it is replaced or deleted"
                )));
            }
            BranchChange::Replace { commits, .. } if commits.is_empty() => {
                return Err(Failure::permanent(format!("branch {branch} would point at its base")));
            }
            BranchChange::Replace { old, base, .. } => {
                (old.as_ref().map(object_id).transpose()?, Some(object_id(base)?))
            }
            BranchChange::Delete { old } => (Some(object_id(old)?), None),
        };
        let (ids, objects) = match base {
            Some(base) => build(inner, base, change.commits())?,
            None => Default::default(),
        };
        let new = ids.last().copied();
        if let (Some(new), Some(base)) = (new, base)
            && !stands_on(new, base, &objects)
        {
            return Err(Failure::permanent(format!("the commits for branch {branch} do not stand on its base")));
        }
        planned.ids.push(ids.into_iter().map(commit_id).collect::<Result<_, _>>()?);
        planned.objects.extend(objects);
        // Nothing to append moves nothing.
        if new.is_some() || matches!(change, BranchChange::Delete { .. }) {
            planned.refs.push(RefUpdate { name: format!("refs/heads/{branch}"), old, new });
        }
    }
    // Commits first, then trees, then blobs: the order that Git's own packs have.
    let rank = |kind: Kind| [Kind::Commit, Kind::Tag, Kind::Tree].iter().position(|it| *it == kind).unwrap_or(3);
    planned.objects.sort_by_key(|(id, kind, _)| (rank(*kind), *id));
    planned.objects.dedup_by_key(|(id, _, _)| *id);
    Ok(planned)
}

/// What a look at the branches says of a push.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// All are where they are to be.
    Done,
    /// At least one is neither where it was nor where it is to be.
    Moved,
    /// At least one is where it was, and none moved elsewhere.
    Waiting,
}

fn standing(refs: &[RefUpdate], now: &BTreeMap<String, ObjectId>) -> Standing {
    let at = |update: &RefUpdate| now.get(&update.name).copied();
    if refs.iter().all(|update| at(update) == update.new) {
        Standing::Done
    } else if refs.iter().any(|update| at(update) != update.new && at(update) != update.old) {
        Standing::Moved
    } else {
        Standing::Waiting
    }
}

fn built_in(inner: &Inner, planned: &Planned<'_>) -> Result<PushOutcome, Failure> {
    let kept = take_prepared(inner, planned);
    let was_kept = kept.is_some();
    let (mut link, mut advertised) = match kept {
        Some(Prepared { link, advertised, .. }) => (link, advertised),
        None => advertise(inner)?,
    };
    // A second time only when the connection that was kept did not last.
    for last in [!was_kept, true] {
        // The advertisement says whether a push is worth sending at all. One that was kept may be older than what the
        // commits stand on: the server compares anyway.
        match standing(&planned.refs, &advertised.refs) {
            Standing::Done => return Ok(PushOutcome::Landed(planned.ids.clone())),
            Standing::Moved if last => return lost(inner, planned, link, advertised),
            Standing::Moved | Standing::Waiting => {}
        }
        let sent = send_pack::send(&mut *link.transport, &advertised, &planned.refs, &planned.objects);
        if sent.as_ref().is_ok_and(Report::is_ok) {
            return Ok(PushOutcome::Landed(planned.ids.clone()));
        }
        // Its last words, before another connection takes its place.
        let sent = sent.map_err(|failure| link.explain(failure));
        (link, advertised) = advertise(inner)?;
        match (standing(&planned.refs, &advertised.refs), sent) {
            (Standing::Waiting, Ok(report)) => return Ok(PushOutcome::Refused(one_line(&report.words()))),
            (Standing::Waiting, Err(failure)) if last => return Err(failure),
            (Standing::Waiting, Err(_)) => {}
            (Standing::Done, _) => return Ok(PushOutcome::Landed(planned.ids.clone())),
            (Standing::Moved, _) => return lost(inner, planned, link, advertised),
        }
    }
    Err(Failure::temporary("the push was not taken"))
}

/// Whoever lost tries again soon, and finds the connection open.
fn lost(inner: &Inner, planned: &Planned<'_>, link: Link, advertised: Advertised) -> Result<PushOutcome, Failure> {
    let outcome = after_a_move(inner, planned, &advertised.refs)?;
    if let (PushOutcome::Moved(Some(_)), [update]) = (&outcome, &planned.push.updates[..]) {
        let mut prepared = inner.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.insert(update.branch.clone(), Prepared::new(link, advertised));
    }
    Ok(outcome)
}

fn advertise(inner: &Inner) -> Result<(Link, Advertised), Failure> {
    let mut link = Link::open(inner, Service::ReceivePack)?;
    let advertised = send_pack::advertised(&mut *link.transport).map_err(|failure| link.explain(failure))?;
    Ok((link, advertised))
}

fn take_prepared(inner: &Inner, planned: &Planned<'_>) -> Option<Prepared> {
    let mut prepared = inner.prepared.lock().unwrap_or_else(PoisonError::into_inner);
    let found = planned.push.updates.iter().find_map(|update| prepared.remove(&update.branch));
    found.filter(|prepared| prepared.since.elapsed() < LONGEST_WAIT)
}

/// The fallback: the `git` program sends, and the branches are read as for a fetch.
fn with_git(inner: &Inner, planned: &Planned<'_>) -> Result<PushOutcome, Failure> {
    // It sends what is in the mirror.
    inner.mirror.keep(&planned.objects)?;
    let said = git_push::push(inner, &planned.refs)?;
    let now = heads(inner, planned)?;
    match (standing(&planned.refs, &now), said) {
        (Standing::Done, _) => Ok(PushOutcome::Landed(planned.ids.clone())),
        (Standing::Moved, _) => after_a_move(inner, planned, &now),
        (Standing::Waiting, Err(words)) => Ok(PushOutcome::Refused(one_line(&words))),
        (Standing::Waiting, Ok(())) => Err(Failure::temporary("`git push` said that all is well, and nothing moved")),
    }
}

/// Where the branches are, read as for a fetch.
fn heads(inner: &Inner, planned: &Planned<'_>) -> Result<BTreeMap<String, ObjectId>, Failure> {
    let mut now = BTreeMap::new();
    for update in &planned.push.updates {
        if let Some(head) = mirror::head(inner, &update.branch)? {
            now.insert(format!("refs/heads/{}", update.branch), object_id(&head)?);
        }
    }
    Ok(now)
}

/// A branch is not where it was: with our commits below its head they landed, else somebody was faster.
fn after_a_move(
    inner: &Inner,
    planned: &Planned<'_>,
    now: &BTreeMap<String, ObjectId>,
) -> Result<PushOutcome, Failure> {
    for update in &planned.refs {
        let at = now.get(&update.name).copied();
        if at == update.new {
            continue;
        }
        let named = |it: &&BranchUpdate| format!("refs/heads/{}", it.branch) == update.name;
        let (branch, base) = match planned.push.updates.iter().find(named) {
            Some(BranchUpdate { branch, change: BranchChange::Append { base, .. } }) => (branch, object_id(base)?),
            // Of a branch of our own nothing remains below what took its place.
            _ => return Ok(PushOutcome::Moved(None)),
        };
        let head = mirror::head(inner, branch)?;
        let below =
            |new: ObjectId, head: &CommitId| Ok(is_ancestor(&inner.mirror.repository()?, new, object_id(head)?, base));
        match (&head, update.new) {
            (Some(found), Some(new)) if below(new, found)? => {}
            // A side that still shows the old head lags behind, and is of no use to go on from.
            _ => {
                let newer =
                    |head: &CommitId| planned.push.updates.len() == 1 && object_id(head).is_ok_and(|it| it != base);
                return Ok(PushOutcome::Moved(head.filter(newer)));
            }
        }
    }
    Ok(PushOutcome::Landed(planned.ids.clone()))
}

/// What landed is known here without being fetched. A mirror that cannot take it fetches it next time.
fn keep(inner: &Inner, planned: &Planned<'_>) {
    let kept = inner.mirror.keep(&planned.objects).and_then(|()| {
        let _writing = inner.mirror.writing();
        planned.push.updates.iter().zip(&planned.ids).try_for_each(|(update, ids)| match ids.last() {
            Some(new) => inner.mirror.set_head(&update.branch, Some(object_id(new)?)),
            None => Ok(()),
        })
    });
    if let Err(failure) = kept {
        tracing::warn!(repository = inner.name, detail = %failure, "commits that landed could not be kept; they will be fetched");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> ObjectId {
        ObjectId::from_hex(digit.to_string().repeat(40).as_bytes()).unwrap()
    }

    #[test]
    fn where_the_branches_are_says_what_became_of_a_push() {
        let update = |name: &str, old: Option<char>, new: Option<char>| RefUpdate {
            name: name.to_owned(),
            old: old.map(id),
            new: new.map(id),
        };
        let refs = [update("a", Some('1'), Some('2')), update("b", None, Some('3')), update("c", Some('4'), None)];
        let now = |refs: &[(&str, char)]| refs.iter().map(|(name, at)| ((*name).to_owned(), id(*at))).collect();
        assert_eq!(standing(&refs, &now(&[("a", '2'), ("b", '3')])), Standing::Done);
        assert_eq!(standing(&refs, &now(&[("a", '1'), ("c", '4')])), Standing::Waiting);
        assert_eq!(standing(&refs, &now(&[("a", '2'), ("b", '3'), ("c", '4')])), Standing::Waiting);
        assert_eq!(standing(&refs, &now(&[("a", '9'), ("c", '4')])), Standing::Moved);
        assert_eq!(standing(&refs, &now(&[("c", '4')])), Standing::Moved, "somebody deleted a");
    }
}
