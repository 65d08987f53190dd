//! Decisions and edited files become commits, with every byte of them; their words are in `message`.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tagboat_model::{CommitId, Decision, DecisionId, EntryName, EnvironmentName, GroupName, Reason, Version};

use crate::{CommitStyle, CommitWords, Facts, commit_message, message::group_message};

/// A file with its new content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Path from the root of the repository.
    pub path: String,
    /// All of its bytes after the change.
    pub bytes: Vec<u8>,
}

/// A decision to update, with the files that carry it out. A file that earlier decisions of the same list
/// change too contains their changes, so that the commits can follow one another.
#[derive(Debug, Clone)]
pub struct Edited<'d> {
    /// The decision.
    pub decision: &'d Decision,
    /// The version it chose.
    pub version: &'d Version,
    /// The changed files.
    pub files: Vec<FileChange>,
}

/// One commit to be made: nothing is left to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPlan {
    /// The decisions it carries out, at least one.
    pub decisions: Vec<DecisionId>,
    /// The whole message, trailers included.
    pub message: String,
    /// The changed files.
    pub files: Vec<FileChange>,
}

/// The id of a decision. It follows from what was decided on which commit, so whoever decides the same again
/// gets the same id, and writing it down twice is writing it down once. Gates are not part of it: they change with time.
#[must_use]
pub fn decision_id(facts: &Facts, decision: &Decision) -> Option<DecisionId> {
    let mut hash = Sha256::new();
    hash.update(format!("{}\n{}\n", facts.key, facts.head));
    let decided = Decision { gates: Vec::new(), ..decision.clone() };
    hash.update(serde_json::to_vec(&decided).unwrap_or_default());
    id_of(hash)
}

/// The id of what a person decided about a work tree: the same for the same change of the same commit.
#[must_use]
pub fn one_shot_id(head: Option<&CommitId>, words: &CommitWords<'_>) -> Option<DecisionId> {
    let head = head.map(CommitId::as_str).unwrap_or_default();
    let mut hash = Sha256::new();
    let message = commit_message(&CommitWords { decision: None, ..*words }, &CommitStyle::default());
    hash.update(format!("{head}\n{message}"));
    id_of(hash)
}

fn id_of(hash: Sha256) -> Option<DecisionId> {
    format!("d-{}", hex(hash)).parse().ok()
}

/// Enough of a hash to tell things apart.
pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// One commit per (environment, group), in the order of the decisions, so that `git revert` takes back one thing.
///
/// The members of a group have to stand together: edit decisions in the order of [`lane_order`]. What stands apart gets
/// commits of its own, because the files of each decision contain the changes of those before it and not of those behind.
#[must_use]
pub fn propose(
    facts: &Facts,
    edited: &[Edited<'_>],
    style: &CommitStyle,
    grouping: &dyn Fn(&EnvironmentName, &EntryName) -> GroupName,
) -> Vec<CommitPlan> {
    let lane = |edit: &Edited<'_>| (edit.decision.environment.clone(), group(edit.decision, grouping));
    let groups = edited.chunk_by(|left, right| lane(left) == lane(right));
    groups.filter_map(|group| lane_commit(facts, group, style)).collect()
}

/// The one commit that carries out decisions of one environment, which were edited in this order; nothing where there are
/// none.
#[must_use]
pub fn lane_commit(facts: &Facts, edited: &[Edited<'_>], style: &CommitStyle) -> Option<CommitPlan> {
    let identify = |edit: &Edited<'_>| decision_id(facts, edit.decision);
    let decisions: Vec<DecisionId> = edited.iter().map(identify).collect::<Option<_>>()?;
    if decisions.is_empty() {
        return None;
    }
    // Of a file that several decisions change, the last has the changes of all.
    let changed = edited.iter().flat_map(|edit| &edit.files).map(|file| (file.path.as_str(), file));
    let last: BTreeMap<&str, &FileChange> = changed.collect();
    let mut files: Vec<FileChange> = Vec::new();
    for file in edited.iter().flat_map(|edit| &edit.files) {
        let is_new = files.iter().all(|there| there.path != file.path);
        files.extend(last.get(file.path.as_str()).filter(|_| is_new).copied().cloned());
    }
    Some(CommitPlan { message: message(edited, &decisions, style), decisions, files })
}

/// Decisions in the order in which they are to be edited: environment by environment, and within each group by group, both
/// as they appear first.
#[must_use]
pub fn lane_order<'d>(
    decisions: &'d [Decision],
    grouping: &dyn Fn(&EnvironmentName, &EntryName) -> GroupName,
) -> Vec<&'d Decision> {
    let mut environments: Vec<&EnvironmentName> = Vec::new();
    let mut groups: Vec<(&EnvironmentName, GroupName)> = Vec::new();
    let mut placed: Vec<(usize, usize, &Decision)> = Vec::new();
    for decision in decisions {
        let environment = place(&mut environments, &decision.environment);
        let group = place(&mut groups, (&decision.environment, group(decision, grouping)));
        placed.push((environment, group, decision));
    }
    placed.sort_by_key(|(environment, group, _)| (*environment, *group));
    placed.into_iter().map(|(_, _, decision)| decision).collect()
}

/// The place of a thing among those that were seen before it.
fn place<T: PartialEq>(seen: &mut Vec<T>, thing: T) -> usize {
    if let Some(place) = seen.iter().position(|other| *other == thing) {
        return place;
    }
    seen.push(thing);
    seen.len() - 1
}

fn group(decision: &Decision, grouping: &dyn Fn(&EnvironmentName, &EntryName) -> GroupName) -> GroupName {
    grouping(&decision.environment, &decision.entry)
}

/// Why a version comes, which outlasts what it still waits for.
pub(crate) fn cause(reasons: &[Reason]) -> Option<&Reason> {
    reasons.iter().find(|reason| !matches!(reason, Reason::GatesWait { .. } | Reason::GatesFail { .. }))
}

fn message(edited: &[Edited<'_>], ids: &[DecisionId], style: &CommitStyle) -> String {
    let paths = edited.iter().map(|edit| edit.files.iter().map(|file| file.path.as_str()).collect());
    let paths: Vec<Vec<&str>> = paths.collect();
    let words = edited.iter().zip(ids).zip(&paths).map(|((edit, id), files)| CommitWords {
        entry: edit.decision.entry.as_str(),
        environment: Some(&edit.decision.environment),
        image: &edit.decision.image,
        current: &edit.decision.current,
        files,
        tag: &edit.version.tag,
        digest: Some(&edit.version.digest),
        because: cause(&edit.decision.reasons),
        decision: Some(id),
    });
    let words: Vec<CommitWords<'_>> = words.collect();
    match words.as_slice() {
        [one] => commit_message(one, style),
        several => group_message(several, style),
    }
}
