//! The push: a compare-and-swap of one branch or several, and what became of it.
//!
//! Whether it landed is decided by where the branches are afterwards, never by what an error says: of a hundred lost races
//! hardly one is called by its name. What is done already is not sent: it would fail all that is sent with it.

mod deletions;

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
    mirror::{self, commit_id, full_name, is_ancestor, object_id},
    send_pack::{self, Advertised, RefUpdate, Report},
};

/// For how long a connection that waits for its push is of use; servers close idle ones after a minute or so.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often branches are sent in one push when what stood in their way was done meanwhile.
const MOST_SENDS: usize = 3;

/// Longer push options do not fit into one packet.
const LONGEST_OPTION: usize = 65_000;

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
pub(crate) struct Planned {
    /// What was asked for, in this order.
    pub(crate) aims: Vec<Aim>,
    /// What of it moves a ref.
    pub(crate) refs: Vec<RefUpdate>,
    pub(crate) objects: NewObjects,
    pub(crate) options: Vec<String>,
}

/// What one ref is to come to.
pub(crate) struct Aim {
    /// Its full name.
    pub(crate) name: String,
    /// For a ref that is only appended to: where it was. What landed stays below whatever comes on top.
    pub(crate) base: Option<ObjectId>,
    /// The ids of its commits.
    pub(crate) ids: Vec<CommitId>,
}

impl Planned {
    fn landed(&self) -> PushOutcome {
        PushOutcome::Landed(self.aims.iter().map(|aim| aim.ids.clone()).collect())
    }
}

/// Make the commits, send them, and find out what became of them.
pub(crate) fn push(inner: &Inner, push: &Push) -> Result<PushOutcome, Failure> {
    let started = Instant::now();
    if !bases_are_known(inner, push)? {
        return Ok(PushOutcome::Moved(None));
    }
    let planned = plan(inner, push)?;
    tracing::debug!(repository = inner.name, build_us = microseconds(started.elapsed()), "built");
    deletions::carry_out_in_turn(inner, planned)
}

/// Send what was made, and find out what became of it.
pub(crate) fn carry_out(inner: &Inner, planned: &Planned) -> Result<PushOutcome, Failure> {
    if planned.refs.is_empty() {
        return Ok(planned.landed());
    }
    let started = Instant::now();
    let outcome = match inner.push_with {
        PushWith::BuiltIn => built_in(inner, planned),
        PushWith::Git => with_git(inner, planned),
    }?;
    let sent = started.elapsed();
    if let PushOutcome::Landed(_) = &outcome {
        keep(inner, planned);
    }
    tracing::debug!(
        repository = inner.name,
        objects = planned.objects.len(),
        send_us = microseconds(sent),
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
        mirror::head(inner, &full_name(&update.branch))?;
        if !inner.mirror.repository()?.has_object(base) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A server reads each option as one line.
fn check_options(options: &[String]) -> Result<(), Failure> {
    let is_one_line = |option: &&String| !option.is_empty() && !option.contains(['\n', '\0']);
    match options.iter().find(|option| !is_one_line(option) || option.len() > LONGEST_OPTION) {
        None => Ok(()),
        Some(option) => Err(Failure::permanent(format!(
            "the push option `{}` cannot be sent: one is a single line of 1 to {LONGEST_OPTION} bytes",
            one_line(option)
        ))),
    }
}

fn plan(inner: &Inner, push: &Push) -> Result<Planned, Failure> {
    check_options(&push.options)?;
    let options = push.options.clone();
    let mut planned = Planned { aims: Vec::new(), refs: Vec::new(), objects: Vec::new(), options };
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
        let name = full_name(branch);
        let ids = ids.into_iter().map(commit_id).collect::<Result<_, _>>()?;
        let below = if matches!(change, BranchChange::Append { .. }) { base } else { None };
        planned.aims.push(Aim { name: name.clone(), base: below, ids });
        planned.objects.extend(objects);
        // Nothing to append moves nothing.
        if new.is_some() || matches!(change, BranchChange::Delete { .. }) {
            planned.refs.push(RefUpdate { name, old, new });
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

/// What is not done yet.
fn unfinished(refs: &[RefUpdate], now: &BTreeMap<String, ObjectId>) -> Vec<RefUpdate> {
    refs.iter().filter(|update| now.get(&update.name).copied() != update.new).cloned().collect()
}

fn built_in(inner: &Inner, planned: &Planned) -> Result<PushOutcome, Failure> {
    let kept = take_prepared(inner, planned);
    let mut was_kept = kept.is_some();
    let (mut link, mut advertised) = match kept {
        Some(Prepared { link, advertised, .. }) => (link, advertised),
        None => advertise(inner)?,
    };
    let mut sends = 0;
    loop {
        // The advertisement says whether a push is worth sending at all. One that was kept may be older than what the
        // commits stand on: the server compares anyway.
        match standing(&planned.refs, &advertised.refs) {
            Standing::Done => return Ok(planned.landed()),
            Standing::Moved if !was_kept => return lost(inner, planned, link, advertised),
            Standing::Moved | Standing::Waiting => {}
        }
        let Planned { objects, options, .. } = planned;
        if !options.is_empty() && !advertised.push_options {
            tracing::debug!(repository = inner.name, "the server takes no push options; they are left out");
        }
        let refs = unfinished(&planned.refs, &advertised.refs);
        let sent = send_pack::send(&mut *link.transport, &advertised, &refs, objects, options);
        if sent.as_ref().is_ok_and(Report::is_ok) {
            return Ok(planned.landed());
        }
        sends += 1;
        // Its last words, before another connection takes its place.
        let sent = sent.map_err(|failure| link.explain(failure));
        (link, advertised) = advertise(inner)?;
        let is_less = unfinished(&planned.refs, &advertised.refs).len() < refs.len();
        match (standing(&planned.refs, &advertised.refs), sent) {
            (Standing::Done, _) => return Ok(planned.landed()),
            (Standing::Moved, _) => return lost(inner, planned, link, advertised),
            (Standing::Waiting, Ok(_)) if is_less && sends < MOST_SENDS => {}
            (Standing::Waiting, Ok(report)) => return Ok(PushOutcome::Refused(one_line(&report.words()))),
            (Standing::Waiting, Err(failure)) if !was_kept => return Err(failure),
            // A second time only when the connection that was kept did not last.
            (Standing::Waiting, Err(_)) => {}
        }
        was_kept = false;
    }
}

/// Whoever lost tries again soon, and finds the connection open.
fn lost(inner: &Inner, planned: &Planned, link: Link, advertised: Advertised) -> Result<PushOutcome, Failure> {
    let outcome = after_a_move(inner, planned, &advertised.refs)?;
    if let (PushOutcome::Moved(Some(_)), [aim]) = (&outcome, &planned.aims[..]) {
        let mut prepared = inner.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.insert(aim.name.clone(), Prepared::new(link, advertised));
    }
    Ok(outcome)
}

/// Connect for a push, and read where everything is.
pub(crate) fn advertise(inner: &Inner) -> Result<(Link, Advertised), Failure> {
    let mut link = Link::open(inner, Service::ReceivePack)?;
    let advertised = send_pack::advertised(&mut *link.transport).map_err(|failure| link.explain(failure))?;
    Ok((link, advertised))
}

fn take_prepared(inner: &Inner, planned: &Planned) -> Option<Prepared> {
    let mut prepared = inner.prepared.lock().unwrap_or_else(PoisonError::into_inner);
    let found = planned.aims.iter().find_map(|aim| prepared.remove(&aim.name));
    found.filter(|prepared| prepared.since.elapsed() < LONGEST_WAIT)
}

/// The fallback: the `git` program sends, and the branches are read as for a fetch.
fn with_git(inner: &Inner, planned: &Planned) -> Result<PushOutcome, Failure> {
    let mut refs = match &planned.refs[..] {
        [alone] => vec![alone.clone()],
        several => unfinished(several, &heads(inner, planned)?),
    };
    // It sends what is in the mirror.
    inner.mirror.keep(&planned.objects)?;
    let mut sends = 0;
    loop {
        if refs.is_empty() {
            return Ok(planned.landed());
        }
        let said = git_push::push(inner, &refs, &planned.options)?;
        sends += 1;
        let now = heads(inner, planned)?;
        let left = unfinished(&planned.refs, &now);
        match (standing(&planned.refs, &now), said) {
            (Standing::Done, _) => return Ok(planned.landed()),
            (Standing::Moved, _) => return after_a_move(inner, planned, &now),
            (Standing::Waiting, Err(_)) if left.len() < refs.len() && sends < MOST_SENDS => refs = left,
            (Standing::Waiting, Err(words)) => return Ok(PushOutcome::Refused(one_line(&words))),
            (Standing::Waiting, Ok(())) => {
                return Err(Failure::temporary("`git push` said that all is well, and nothing moved"));
            }
        }
    }
}

/// Where the refs are, read as for a fetch.
fn heads(inner: &Inner, planned: &Planned) -> Result<BTreeMap<String, ObjectId>, Failure> {
    let mut now = BTreeMap::new();
    for Aim { name, .. } in &planned.aims {
        if let Some(head) = mirror::head(inner, name)? {
            now.insert(name.clone(), object_id(&head)?);
        }
    }
    Ok(now)
}

/// A branch is not where it was: with our commits below its head they landed, else somebody was faster.
fn after_a_move(inner: &Inner, planned: &Planned, now: &BTreeMap<String, ObjectId>) -> Result<PushOutcome, Failure> {
    for update in &planned.refs {
        let at = now.get(&update.name).copied();
        if at == update.new {
            continue;
        }
        let aim = planned.aims.iter().find(|aim| aim.name == update.name);
        // Of a branch of our own nothing remains below what took its place.
        let Some(base) = aim.and_then(|aim| aim.base) else { return Ok(PushOutcome::Moved(None)) };
        let head = mirror::head(inner, &update.name)?;
        let below =
            |new: ObjectId, head: &CommitId| Ok(is_ancestor(&inner.mirror.repository()?, new, object_id(head)?, base));
        match (&head, update.new) {
            (Some(found), Some(new)) if below(new, found)? => {}
            // A side that still shows the old head lags behind, and is of no use to go on from.
            _ => {
                let newer = |head: &CommitId| planned.aims.len() == 1 && object_id(head).is_ok_and(|it| it != base);
                return Ok(PushOutcome::Moved(head.filter(newer)));
            }
        }
    }
    Ok(planned.landed())
}

/// What landed is known here without being fetched. A mirror that cannot take it fetches it next time.
fn keep(inner: &Inner, planned: &Planned) {
    let kept = inner.mirror.keep(&planned.objects).and_then(|()| {
        let _writing = inner.mirror.writing();
        planned.refs.iter().try_for_each(|update| inner.mirror.set_head(&update.name, update.new))
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
    fn a_push_option_is_one_line() {
        let check =
            |option: &str| check_options(&["ci.skip".to_owned(), option.to_owned()]).map_err(|it| it.to_string());
        assert_eq!(check("merge_request.title=Update web, to 1.2"), Ok(()));
        for option in ["", "two\nlines", "nul\0", "x".repeat(LONGEST_OPTION + 1).as_str()] {
            assert!(check(option).unwrap_err().contains("a single line"), "{option:?}");
        }
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
        assert_eq!(unfinished(&refs, &now(&[("a", '2'), ("c", '4')])), refs[1..]);
        assert_eq!(unfinished(&refs, &now(&[("a", '1'), ("b", '3')])), refs[..1], "c is gone, as it is to be");
    }
}
