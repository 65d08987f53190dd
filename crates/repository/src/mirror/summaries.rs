//! The commits on one branch that are not on another, as a list shows them.
//!
//! A mirror ends somewhere, so what is missing in it must not pass for "not on the other branch": where that cannot be told,
//! nothing is. As Git itself does, it takes a commit for older than those that stand on it.

use std::collections::{BinaryHeap, HashSet, VecDeque};

use gix::{ObjectId, bstr::ByteSlice as _};
use tagboat_model::Timestamp;
use tagboat_ports::CommitSummary;

use super::{commit_id, history::DEEPEST_HISTORY};
use crate::link::one_line;

/// The commits on `head` that are not on `base`, newest first, at most `most`; nothing when that cannot be told.
pub(super) fn between(
    repository: &gix::Repository,
    base: ObjectId,
    head: ObjectId,
    most: usize,
) -> Option<Vec<CommitSummary>> {
    let known = Known::read(repository, base);
    let most = most.min(DEEPEST_HISTORY as usize);
    let (mut found, mut seen) = (Vec::new(), HashSet::from([head]));
    let mut waiting = BinaryHeap::new();
    // Whether all that was found stands on the base itself, so that none of it can be below.
    let mut on_base = true;
    if !known.ids.contains(&head) {
        waiting.push((time(&repository.find_commit(head).ok()?)?, head));
    }
    while let Some((_, id)) = waiting.pop() {
        if found.len() == most {
            on_base = false;
            break;
        }
        let commit = repository.find_commit(id).ok()?;
        found.push(summary(&commit)?);
        let parents: Vec<ObjectId> = commit.parent_ids().map(gix::Id::detach).collect();
        on_base &= !parents.is_empty();
        for parent in parents {
            if known.ids.contains(&parent) {
                on_base &= parent == base;
            } else if seen.insert(parent) {
                waiting.push((time(&repository.find_commit(parent).ok()?)?, parent));
            }
        }
    }
    let newer = |end: Timestamp| found.iter().all(|commit| commit.time > end);
    (on_base || known.end.is_none_or(newer)).then_some(found)
}

/// The base and what is below it, as far as it is here.
struct Known {
    ids: HashSet<ObjectId>,
    /// Where something below is missing: the newest commit that this can be said of.
    end: Option<Timestamp>,
}

impl Known {
    fn read(repository: &gix::Repository, base: ObjectId) -> Self {
        let mut known = Self { ids: HashSet::from([base]), end: None };
        let mut waiting = VecDeque::from([base]);
        while let Some(id) = waiting.pop_front() {
            // One of which there is nothing to read may be of any time.
            let commit = repository.find_commit(id).ok();
            let Some((commit, time)) = commit.and_then(|commit| time(&commit).map(|time| (commit, time))) else {
                known.end = Some(Timestamp(i64::MAX));
                continue;
            };
            for parent in commit.parent_ids().map(gix::Id::detach) {
                if !known.ids.insert(parent) {
                    continue;
                }
                if known.ids.len() <= DEEPEST_HISTORY as usize && repository.has_object(parent) {
                    waiting.push_back(parent);
                } else {
                    known.end = known.end.max(Some(time));
                }
            }
        }
        known
    }
}

fn time(commit: &gix::Commit<'_>) -> Option<Timestamp> {
    Some(Timestamp(commit.time().ok()?.seconds.saturating_mul(1000)))
}

/// What is written in a commit, each part on one line. Anybody may have written anything.
fn summary(commit: &gix::Commit<'_>) -> Option<CommitSummary> {
    let (author, committer) = (commit.author().ok()?, commit.committer().ok()?);
    let message = commit.message_raw_sloppy().to_str_lossy();
    let subject = message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Some(CommitSummary {
        id: commit_id(commit.id).ok()?,
        subject: one_line(subject),
        author_name: one_line(&author.name.to_str_lossy()),
        author_email: one_line(&author.email.to_str_lossy()),
        committer_email: one_line(&committer.email.to_str_lossy()),
        time: time(commit)?,
        decisions: super::history::decisions(&message).filter_map(|decision| decision.parse().ok()).collect(),
    })
}
