//! The Git server of one config repository: commits, branches, compare-and-swap, three-way merges. No faults stand here.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use tagboat_model::{BranchName, CommitId, DecisionId, Timestamp};
use tagboat_ports::{BOT_BRANCHES, BlobId, BranchChange, CommitSummary, NewCommit};

use super::faults::Bug;

pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Who made a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Tagboat, with its own hands.
    Tagboat,
    /// Somebody, or the forge when it merges.
    People,
    Forge,
}

#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) parents: Vec<CommitId>,
    pub(super) message: String,
    pub(super) time: Timestamp,
    pub(super) files: Files,
    pub(super) by: By,
    /// Its place in the order in which commits came to be.
    number: usize,
}

#[derive(Default)]
pub(super) struct Git {
    pub(super) commits: BTreeMap<CommitId, Commit>,
    pub(super) branches: BTreeMap<BranchName, CommitId>,
    /// Where branches stood, and from when on.
    moves: Vec<(i64, BranchName, Option<CommitId>)>,
    pub(super) blobs: BTreeMap<BlobId, Vec<u8>>,
    /// What the bot wrote down beside the branches, the newest last.
    pub(super) state: Vec<(CommitId, Vec<u8>)>,
    pub(super) races: u64,
}

/// What became of one branch of a push.
pub(super) enum Moved {
    /// It stands where it was to be; with the commits of the push, and where it stood if it did move.
    Done(Vec<CommitId>, Option<(Option<CommitId>, CommitId)>),
    Deleted(Option<CommitId>),
    Lost,
}

impl Git {
    pub(super) fn head(&self, branch: &BranchName) -> Option<&CommitId> {
        self.branches.get(branch)
    }

    pub(super) fn files(&self, branch: &BranchName) -> Files {
        self.head(branch).map(|head| self.commits[head].files.clone()).unwrap_or_default()
    }

    pub(super) fn commit(
        &mut self,
        parents: Vec<CommitId>,
        (message, time): (&str, Timestamp),
        files: Files,
        by: By,
    ) -> CommitId {
        let id = commit_id(&parents, message, time, &files);
        for bytes in files.values() {
            self.blobs.entry(blob_id(bytes)).or_insert_with(|| bytes.clone());
        }
        let number = self.commits.len();
        let commit = Commit { parents, message: message.to_owned(), time, files, by, number };
        self.commits.entry(id.clone()).or_insert(commit);
        id
    }

    pub(super) fn point(&mut self, branch: &BranchName, to: Option<CommitId>, at: i64) {
        self.moves.push((at, branch.clone(), to.clone()));
        match to {
            Some(to) => self.branches.insert(branch.clone(), to),
            None => self.branches.remove(branch),
        };
    }

    /// Whether a branch stood at a commit at some time since.
    pub(super) fn stood_at(&self, branch: &BranchName, commit: &CommitId, since: i64) -> bool {
        let mut of = self.moves.iter().rev().filter(|(_, name, _)| name == branch);
        let mut until = i64::MAX;
        of.any(|(at, _, to)| {
            let stood = to.as_ref() == Some(commit) && until >= since;
            until = *at;
            stood
        })
    }

    /// Where a branch stood so many moves ago.
    pub(super) fn head_before(&self, branch: &BranchName, moves: usize) -> Option<CommitId> {
        let of: Vec<_> = self.moves.iter().rev().filter(|(_, name, _)| name == branch).collect();
        of.get(moves.min(of.len().checked_sub(1)?)).and_then(|(_, _, to)| to.clone())
    }

    /// A commit with all before it, the newest first.
    pub(super) fn ancestors(&self, head: &CommitId) -> Vec<CommitId> {
        let (mut found, mut next) = (BTreeSet::new(), vec![head]);
        while let Some(id) = next.pop() {
            if let Some(commit) = self.commits.get(id).filter(|commit| found.insert((commit.number, id.clone()))) {
                next.extend(&commit.parents);
            }
        }
        found.into_iter().rev().map(|(_, id)| id).collect()
    }

    pub(super) fn descends(&self, new: &CommitId, old: &CommitId) -> bool {
        let (mut seen, mut next) = (BTreeSet::new(), vec![new]);
        let Some(oldest) = self.commits.get(old).map(|commit| commit.number) else { return false };
        while let Some(id) = next.pop() {
            if id == old {
                return true;
            }
            let commit = &self.commits[id];
            if commit.number > oldest && seen.insert(id) {
                next.extend(&commit.parents);
            }
        }
        false
    }

    /// The commits on `head` that are not on `base`, newest first.
    pub(super) fn between(&self, base: &CommitId, head: &CommitId) -> Vec<CommitId> {
        let known: BTreeSet<CommitId> = self.ancestors(base).into_iter().collect();
        self.ancestors(head).into_iter().filter(|id| !known.contains(id)).collect()
    }

    pub(super) fn make(&mut self, base: &CommitId, commits: &[NewCommit], bug: Option<Bug>) -> Vec<CommitId> {
        let mut ids = Vec::new();
        let mut parent = base.clone();
        for commit in commits {
            let mut files = self.commits[&parent].files.clone();
            for file in &commit.files {
                let mut bytes = file.bytes.clone();
                if bug == Some(Bug::ReprintFiles) {
                    bytes = String::from_utf8(bytes).unwrap().replace("   \n", "\n").into_bytes();
                }
                files.insert(file.path.clone(), bytes);
            }
            parent = self.commit(vec![parent], (&commit.message, commit.time), files, By::Tagboat);
            ids.push(parent.clone());
        }
        ids
    }

    /// What a change of one branch would come to.
    pub(super) fn try_change(&mut self, branch: &BranchName, change: &BranchChange, bug: Option<Bug>) -> Moved {
        let stands = self.head(branch).cloned();
        match change {
            BranchChange::Append { base, commits } => {
                let ids = self.make(base, commits, bug);
                let Some(last) = ids.last().cloned() else { return Moved::Done(ids, None) };
                if stands.as_ref().is_some_and(|stands| self.descends(stands, &last)) {
                    return Moved::Done(ids, None);
                }
                if stands.as_ref() != Some(base) && bug == Some(Bug::RetryWithoutReread) {
                    let ids = self.make(stands.as_ref().unwrap_or(base), commits, bug);
                    let last = ids.last().cloned().unwrap_or(last);
                    return Moved::Done(ids, Some((stands, last)));
                }
                if stands.as_ref() != Some(base) && bug != Some(Bug::PushWithoutCompare) {
                    return Moved::Lost;
                }
                Moved::Done(ids, Some((stands, last)))
            }
            BranchChange::Replace { old, base, commits } => {
                assert!(branch.as_str().starts_with(BOT_BRANCHES), "the engine replaces branches of its own only");
                let ids = self.make(base, commits, bug);
                let Some(last) = ids.last().cloned() else { return Moved::Lost };
                if stands.as_ref() == Some(&last) {
                    return Moved::Done(ids, None);
                }
                if stands != *old && bug != Some(Bug::ForcePush) {
                    return Moved::Lost;
                }
                Moved::Done(ids, Some((stands, last)))
            }
            BranchChange::Delete { old } => match stands {
                None => Moved::Deleted(None),
                Some(stands) if stands == *old || bug == Some(Bug::ForcePush) => Moved::Deleted(Some(stands)),
                Some(_) => Moved::Lost,
            },
        }
    }

    /// The files of a merge of `theirs` into `ours`, line by line; nothing where both changed the same.
    pub(super) fn merge(&self, ours: &CommitId, theirs: &CommitId) -> Option<Files> {
        let known: BTreeSet<CommitId> = self.ancestors(ours).into_iter().collect();
        let base = self.ancestors(theirs).into_iter().find(|id| known.contains(id))?;
        let [base, ours, theirs] = [&base, ours, theirs].map(|id| &self.commits[id].files);
        let mut merged = ours.clone();
        for (path, new) in theirs {
            if base.get(path) != Some(new) {
                let there = ours.get(path);
                let bytes =
                    if there == base.get(path) { new.clone() } else { merge_lines(base.get(path)?, there?, new)? };
                merged.insert(path.clone(), bytes);
            }
        }
        Some(merged)
    }

    pub(super) fn summary(&self, id: &CommitId) -> CommitSummary {
        let commit = &self.commits[id];
        let (name, email) = match commit.by {
            By::Tagboat => ("Tagboat", "tagboat@localhost"),
            By::People => ("Person", "person@example.org"),
            By::Forge => ("Forge", "noreply@forge.example"),
        };
        CommitSummary {
            id: id.clone(),
            subject: commit.message.lines().next().unwrap_or_default().to_owned(),
            author_name: name.to_owned(),
            author_email: email.to_owned(),
            committer_email: email.to_owned(),
            time: commit.time,
            decisions: decisions_of(&commit.message),
        }
    }
}

/// Each line as whichever side changed it has it; nothing where both did, or lines came or went on both.
fn merge_lines(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    let lines =
        |bytes: &[u8]| -> Vec<Vec<u8>> { bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect() };
    let (base, mut ours, mut theirs) = (lines(base), lines(ours), lines(theirs));
    // What one side put at the end goes to the end.
    let tails: Vec<Vec<u8>> =
        [&mut ours, &mut theirs].into_iter().flat_map(|side| side.split_off(base.len().min(side.len()))).collect();
    if ours.len() != base.len() || theirs.len() != base.len() {
        return None;
    }
    let line = |(base, (ours, theirs)): (&Vec<u8>, (&Vec<u8>, &Vec<u8>))| match (ours == base, theirs == base) {
        (true, _) => Some(theirs.clone()),
        (_, true) => Some(ours.clone()),
        _ => (ours == theirs).then(|| ours.clone()),
    };
    let merged: Option<Vec<Vec<u8>>> = base.iter().zip(ours.iter().zip(&theirs)).map(line).collect();
    Some([merged?, tails].concat().concat())
}

/// The decisions that a message's trailers name.
pub(super) fn decisions_of(message: &str) -> Vec<DecisionId> {
    message
        .lines()
        .filter_map(|line| line.strip_prefix("Tagboat-Decision: "))
        .filter_map(|name| name.parse().ok())
        .collect()
}

/// What a trailer of a message says.
pub(super) fn trailer<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What a file of an environment carries for an entry: `1.4.0`, `main@sha256:…`.
pub(super) fn value_in(files: &Files, environment: &str, entry: &str) -> Option<String> {
    let text = String::from_utf8_lossy(files.get(&format!("{environment}/app.yaml"))?).into_owned();
    let (_, rest) = text.split_once(&format!("/{entry}:"))?;
    Some(rest.split(['\'', '}', '\n', ' ']).next().unwrap_or_default().to_owned())
}

/// The same files with another value there.
pub(super) fn with_value(files: &Files, (environment, entry): (&str, &str), value: &str) -> Option<Files> {
    let before = value_in(files, environment, entry)?;
    let path = format!("{environment}/app.yaml");
    let text = String::from_utf8_lossy(files.get(&path)?).into_owned();
    let text = text.replacen(&format!("/{entry}:{before}"), &format!("/{entry}:{value}"), 1);
    let mut files = files.clone();
    files.insert(path, text.into_bytes());
    Some(files)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn blob_id(bytes: &[u8]) -> BlobId {
    BlobId(Sha256::digest(bytes)[..20].try_into().unwrap())
}

pub(super) fn commit_id(parents: &[CommitId], message: &str, time: Timestamp, files: &Files) -> CommitId {
    let mut text = Vec::new();
    for parent in parents {
        text.extend_from_slice(parent.as_str().as_bytes());
    }
    text.extend_from_slice(format!("{}\n{message}\n", time.0).as_bytes());
    for (path, bytes) in files {
        text.extend_from_slice(format!("{path} {}\n", bytes.len()).as_bytes());
        text.extend_from_slice(bytes);
    }
    hex(&text)[..40].parse().unwrap()
}
