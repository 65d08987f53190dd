//! Decisions and edited files become commits, with every byte of them; their words are in `message`.

use sha2::{Digest as _, Sha256};
use tagboat_model::{CommitId, Decision, DecisionId, Version};

use crate::{CommitStyle, CommitWords, Facts, commit_message};

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
    /// The decision it carries out.
    pub decision: DecisionId,
    /// The whole message, trailers included.
    pub message: String,
    /// The changed files.
    pub files: Vec<FileChange>,
}

/// The id of a decision. It follows from what was decided on which commit, so whoever decides the same again
/// gets the same id, and writing it down twice is writing it down once.
#[must_use]
pub fn decision_id(facts: &Facts, decision: &Decision) -> Option<DecisionId> {
    let mut hash = Sha256::new();
    hash.update(format!("{}\n{}\n", facts.key, facts.head));
    hash.update(serde_json::to_vec(decision).unwrap_or_default());
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
    let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("d-{hex}").parse().ok()
}

/// One commit per environment and image, in the order of the decisions, so that `git revert` takes back one thing.
#[must_use]
pub fn propose(facts: &Facts, edited: &[Edited<'_>], style: &CommitStyle) -> Vec<CommitPlan> {
    let plan = |edit: &Edited<'_>| {
        let decision = decision_id(facts, edit.decision)?;
        Some(CommitPlan { message: message(edit, &decision, style), decision, files: edit.files.clone() })
    };
    edited.iter().filter_map(plan).collect()
}

fn message(edit: &Edited<'_>, id: &DecisionId, style: &CommitStyle) -> String {
    let Decision { environment, entry, image, current, reasons, .. } = edit.decision;
    let files: Vec<&str> = edit.files.iter().map(|file| file.path.as_str()).collect();
    let words = CommitWords {
        entry: entry.as_str(),
        environment: Some(environment),
        image,
        current,
        files: &files,
        tag: &edit.version.tag,
        digest: Some(&edit.version.digest),
        because: reasons.first(),
        decision: Some(id),
    };
    commit_message(&words, style)
}
