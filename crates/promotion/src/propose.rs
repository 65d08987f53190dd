//! Decisions and edited files become commits, with every byte and word of them.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use tagboat_model::{CommitId, Decision, DecisionId, Digest, EnvironmentName, ImageName, Reason, Tag, Version};

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
    id_of(hash)
}

/// The id of what a person decided about a work tree: the same for the same change of the same commit.
#[must_use]
pub fn one_shot_id(head: Option<&CommitId>, words: &CommitWords<'_>) -> Option<DecisionId> {
    let head = head.map(CommitId::as_str).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(format!("{head}\n{}", commit_message(&CommitWords { decision: None, ..*words })));
    id_of(hash)
}

fn id_of(hash: Sha256) -> Option<DecisionId> {
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

fn message(decision: &Decision, version: &Version, id: &DecisionId) -> String {
    let Decision { environment, entry, image, current, reasons, .. } = decision;
    commit_message(&CommitWords {
        entry: entry.as_str(),
        environment: Some(environment),
        image,
        current,
        tag: &version.tag,
        digest: Some(&version.digest),
        because: reasons.first(),
        decision: Some(id),
    })
}

/// What a commit that brings a version says.
#[derive(Debug, Clone, Copy)]
pub struct CommitWords<'w> {
    /// The image entry, or the last part of the image's name.
    pub entry: &'w str,
    /// The environment, where it is one of the repository file.
    pub environment: Option<&'w EnvironmentName>,
    /// The image.
    pub image: &'w ImageName,
    /// What the references carried.
    pub current: &'w [String],
    /// What they carry now.
    pub tag: &'w Tag,
    /// Its digest, where that is known.
    pub digest: Option<&'w Digest>,
    /// The first reason.
    pub because: Option<&'w Reason>,
    /// The decision.
    pub decision: Option<&'w DecisionId>,
}

/// The message with its trailers. Every value in it is validated, so none can break out of its line.
#[must_use]
pub fn commit_message(words: &CommitWords<'_>) -> String {
    let CommitWords { entry, environment, image, current, tag, digest, because, decision } = words;
    let within = environment.map(|environment| format!(" in {environment}")).unwrap_or_default();
    let mut text = format!("Update {entry} to {tag}{within}\n\n");
    let _ = writeln!(text, "{image}: {} -> {tag}", current.join(", "));
    if let Some(reason) = because {
        let _ = writeln!(text, "Because {reason}.");
    }
    let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
    let _ = write!(text, "\nTagboat-Image: {image}:{tag}{digest}\n");
    if let Some(environment) = environment {
        let _ = writeln!(text, "Tagboat-Environment: {environment}");
    }
    if let Some(decision) = decision {
        let _ = writeln!(text, "Tagboat-Decision: {decision}");
    }
    text
}
