//! Decisions and edited files become commits, with every byte and word of them.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use tagboat_model::{Decision, DecisionId, Version};

use crate::Facts;

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
    let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("d-{hex}").parse().ok()
}

/// One commit per environment and image, in the order of the decisions, so that `git revert` takes back one thing.
#[must_use]
pub fn propose(facts: &Facts, edited: &[Edited<'_>]) -> Vec<CommitPlan> {
    let plan = |edit: &Edited<'_>| {
        let decision = decision_id(facts, edit.decision)?;
        Some(CommitPlan {
            message: message(edit.decision, edit.version, &decision),
            decision,
            files: edit.files.clone(),
        })
    };
    edited.iter().filter_map(plan).collect()
}

/// Every value in it is validated, so none can break out of its line.
fn message(decision: &Decision, version: &Version, id: &DecisionId) -> String {
    let Decision { environment, entry, image, current, reasons, .. } = decision;
    let mut text = format!("Update {entry} to {} in {environment}\n\n", version.tag);
    let _ = writeln!(text, "{image}: {} -> {}", current.join(", "), version.tag);
    if let Some(reason) = reasons.first() {
        let _ = writeln!(text, "Because {reason}.");
    }
    let _ = write!(
        text,
        "\nTagboat-Image: {image}:{}@{}\nTagboat-Environment: {environment}\nTagboat-Decision: {id}\n",
        version.tag, version.digest
    );
    text
}
