//! What happened on a branch between two commits: which decisions landed, and which commits there are.

use std::collections::{HashSet, VecDeque};

use gix::{ObjectId, bstr::ByteSlice as _};
use tagboat_model::{CommitId, DecisionId};
use tagboat_ports::CommitSummary;

use super::{commit_id, fetch, object_id, summaries};
use crate::{Failure, Inner};

/// How far back is looked.
pub(super) const DEEPEST_HISTORY: u32 = 1000;
/// How folders with older history begin.
pub(super) const FOLDER: &str = "history-";

/// Commits that carry out one of `decisions`, by their trailers.
pub(crate) fn landed(
    inner: &Inner,
    head: &CommitId,
    base: &CommitId,
    decisions: &[DecisionId],
) -> Result<Vec<(DecisionId, CommitId)>, Failure> {
    let (head, base) = (object_id(head)?, object_id(base)?);
    let history = History::read(&inner.mirror.repository()?, head, base);
    let all = decisions.iter().all(|decision| history.trailers.iter().any(|(found, _)| found == decision.as_str()));
    if history.reaches_base || all {
        return attribute(&history, decisions);
    }
    // The mirror was made after the base: the commits between are read for this question alone, into a folder of their
    // own. In the mirror they would pass for commits of which everything is there.
    attribute(&deeper(inner, head, base)?, decisions)
}

/// The commits on `head` that are not on `base`.
pub(crate) fn commits_between(
    inner: &Inner,
    base: &CommitId,
    head: &CommitId,
    most: usize,
) -> Result<Option<Vec<CommitSummary>>, Failure> {
    let (base, head) = (object_id(base)?, object_id(head)?);
    let repository = inner.mirror.repository()?;
    if !repository.has_object(base) || !repository.has_object(head) {
        return Ok(None);
    }
    if let Some(found) = summaries::between(&repository, base, head, most) {
        return Ok(Some(found));
    }
    match with_older_history(inner, &[head, base], |repository| summaries::between(repository, base, head, most)) {
        // Servers of protocol 0 give out nothing but the heads that they have now.
        Err(failure) if !failure.is_outage() && !failure.is_damage() => {
            tracing::debug!(repository = inner.name, detail = %failure, "the commits between two cannot be told");
            Ok(None)
        }
        result => result,
    }
}

fn deeper(inner: &Inner, head: ObjectId, base: ObjectId) -> Result<History, Failure> {
    with_older_history(inner, &[head], |repository| History::read(repository, head, base))
}

/// Fetch older commits into a folder of their own, and read them there.
fn with_older_history<T>(
    inner: &Inner,
    heads: &[ObjectId],
    read: impl FnOnce(&gix::Repository) -> T,
) -> Result<T, Failure> {
    let failed = |error: std::io::Error| Failure::temporary("there is no room for older history").because(error);
    let folder = tempfile::Builder::new().prefix(FOLDER).tempdir_in(inner.mirror.folder()).map_err(failed)?;
    let repository = gix::init_bare(folder.path())
        .map_err(|error| Failure::temporary("older history cannot be stored").because(error))?;
    fetch::commits_alone(inner, &repository, heads)?;
    Ok(read(&repository))
}

fn attribute(history: &History, decisions: &[DecisionId]) -> Result<Vec<(DecisionId, CommitId)>, Failure> {
    let mut found = Vec::new();
    for (trailer, commit) in &history.trailers {
        if let Some(decision) = decisions.iter().find(|decision| decision.as_str() == trailer) {
            found.push((decision.clone(), commit_id(*commit)?));
        }
    }
    Ok(found)
}

/// The commits from a head back to a base (excluded), along all parents: people merge.
struct History {
    commits: HashSet<ObjectId>,
    /// `Tagboat-Decision` trailers, the newest first.
    trailers: Vec<(String, ObjectId)>,
    /// Whether it goes back to the base. Otherwise it was cut off, and nothing is attributed beyond.
    reaches_base: bool,
}

impl History {
    fn read(repository: &gix::Repository, head: ObjectId, base: ObjectId) -> Self {
        let mut history = Self { commits: HashSet::new(), trailers: Vec::new(), reaches_base: false };
        let mut waiting = VecDeque::from([head]);
        while let Some(id) = waiting.pop_front() {
            if id == base {
                history.reaches_base = true;
                continue;
            }
            if history.commits.len() >= DEEPEST_HISTORY as usize {
                break;
            }
            let Ok(commit) = repository.find_commit(id) else { continue };
            if history.commits.insert(id) {
                let message = commit.message_raw_sloppy().to_str_lossy();
                history.trailers.extend(decisions(&message).map(|decision| (decision.to_owned(), id)));
                waiting.extend(commit.parent_ids().map(gix::Id::detach));
            }
        }
        history
    }
}

/// The decisions that a message names.
pub(super) fn decisions(message: &str) -> impl Iterator<Item = &str> {
    message.lines().filter_map(|line| line.strip_prefix("Tagboat-Decision: ")).map(str::trim)
}

/// Whether `commit` is `head` or below it, no further back than `base`.
pub(crate) fn is_ancestor(repository: &gix::Repository, commit: ObjectId, head: ObjectId, base: ObjectId) -> bool {
    History::read(repository, head, base).commits.contains(&commit)
}
