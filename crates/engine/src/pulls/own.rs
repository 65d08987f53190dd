//! Which commits on the bot's branches are its own: those that it noted when it pushed them.
//!
//! Neither an address nor a trailer tells: whoever may push can write them. Where nothing was noted, because the database is
//! new, what looks like the bot's is built anew before anything else follows from it.

use futures_util::future;
use tagboat_model::{BranchKey, BranchName, CommitId, DecisionId, PullRequest, Timestamp};
use tagboat_ports::{BranchUpdate, CommitSummary, NewCommit, NewFile, Work};
use tagboat_promotion::{CommitPlan, FileChange, pull::content_of};

use crate::{ConfigRepository, Engine, ReconcileError};

/// Commits of a branch that are kept.
const KEPT: usize = 4;
/// Commits of a pull request that are looked at.
const MOST_COMMITS: usize = 100;
/// GitHub commits in this name what is committed through it.
const WEB_COMMITTER: &str = "noreply@github.com";

/// Whose the commits on a branch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The bot pushed exactly this.
    Ours,
    /// Nothing is noted, and they look like the bot's.
    PerhapsOurs,
    /// Somebody else's are there.
    Foreign,
}

/// A commit that was pushed.
#[derive(Debug, Clone)]
struct Pushed {
    commit: CommitId,
    at: Timestamp,
    /// The fingerprint of the files that it writes.
    content: String,
}

/// What is noted of a branch.
#[derive(Debug, Default)]
struct Noted {
    /// What was pushed, the newest first.
    pushed: Vec<Pushed>,
    /// What was about to be pushed and is not known to have been, the newest first: that the newest was not does not mean
    /// that one before it was not either.
    pushing: Vec<DecisionId>,
}

impl Noted {
    fn read(text: &str) -> Self {
        let mut noted = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("pushing", decision)) => noted.pushing.extend(decision.parse::<DecisionId>()),
                Some((commit, rest)) => {
                    let (at, content) = rest.split_once(' ').unwrap_or((rest, ""));
                    if let (Ok(commit), Ok(at)) = (commit.parse(), at.parse()) {
                        noted.pushed.push(Pushed { commit, at: Timestamp(at), content: content.to_owned() });
                    }
                }
                None => {}
            }
        }
        noted
    }

    fn write(&self) -> String {
        let line = |pushed: &Pushed| format!("{} {} {}\n", pushed.commit, pushed.at.0, pushed.content);
        let pushed = self.pushed.iter().take(KEPT).map(line);
        let pushing = self.pushing.iter().take(KEPT).map(|decision| format!("pushing {decision}\n"));
        pushing.chain(pushed).collect()
    }
}

fn key_of(branch: &BranchName) -> String {
    format!("own:{branch}")
}

impl Engine {
    async fn noted(&self, key: &BranchKey, branch: &BranchName) -> Result<Option<Noted>, ReconcileError> {
        let kept = self.ports.store.kept(&key.tenant, &key.repository, &key_of(branch)).await?;
        Ok(kept.map(|kept| Noted::read(&kept)))
    }

    async fn note(&self, key: &BranchKey, branch: &BranchName, noted: &Noted) -> Result<(), ReconcileError> {
        let text = noted.write();
        Ok(self.ports.store.keep(&key.tenant, &key.repository, &key_of(branch), &text).await?)
    }

    /// Note what is about to be pushed: should the process end in between, it is known again.
    pub(crate) async fn note_pushing(&self, key: &BranchKey, updates: &[BranchUpdate]) -> Result<(), ReconcileError> {
        let note = async |update: &BranchUpdate| {
            let Some(commit) = update.change.commits().last() else { return Ok(()) };
            let before = self.noted(key, &update.branch).await?.unwrap_or_default();
            let mut pushing = vec![commit.decision.clone()];
            pushing.extend(before.pushing.into_iter().filter(|other| *other != commit.decision));
            self.note(key, &update.branch, &Noted { pushing, ..before }).await
        };
        future::try_join_all(updates.iter().map(note)).await.map(|_: Vec<()>| ())
    }

    /// Note what was pushed.
    pub(crate) async fn note_pushed(
        &self,
        key: &BranchKey,
        pushed: impl Iterator<Item = (&BranchUpdate, &CommitId)>,
    ) -> Result<(), ReconcileError> {
        let now = self.now();
        let note = async |(update, commit): (&BranchUpdate, &CommitId)| {
            let before = self.noted(key, &update.branch).await?.unwrap_or_default();
            let last = update.change.commits().last();
            let content = last.map(content).unwrap_or_default();
            // What another worker began to push since may have been pushed.
            let own = last.and_then(|last| before.pushing.iter().position(|other| *other == last.decision));
            let pushing = before.pushing.into_iter().take(own.unwrap_or(KEPT)).collect();
            let mut pushed = vec![Pushed { commit: commit.clone(), at: now, content }];
            pushed.extend(before.pushed.into_iter().filter(|other| other.commit != *commit));
            self.note(key, &update.branch, &Noted { pushed, pushing }).await
        };
        future::try_join_all(pushed.map(note)).await.map(|_: Vec<()>| ())
    }

    /// Whether a branch stands where the bot put it, or was about to; or nothing is known of it.
    pub(crate) async fn is_noted(
        &self,
        key: &BranchKey,
        branch: &BranchName,
        stands: &CommitId,
    ) -> Result<bool, ReconcileError> {
        Ok(match self.noted(key, branch).await? {
            None => true,
            Some(noted) => !noted.pushing.is_empty() || noted.pushed.iter().any(|own| own.commit == *stands),
        })
    }

    /// When the bot pushed this commit to this branch, if it did.
    pub(crate) async fn pushed_at(
        &self,
        key: &BranchKey,
        branch: &BranchName,
        commit: &CommitId,
    ) -> Result<Option<Timestamp>, ReconcileError> {
        let noted = self.noted(key, branch).await?.unwrap_or_default();
        Ok(noted.pushed.iter().find(|own| own.commit == *commit).map(|own| own.at))
    }

    /// The fingerprint of what the bot pushed as this commit.
    pub(crate) async fn pushed_content(
        &self,
        key: &BranchKey,
        branch: &BranchName,
        commit: &CommitId,
    ) -> Result<Option<String>, ReconcileError> {
        let noted = self.noted(key, branch).await?.unwrap_or_default();
        let found = noted.pushed.into_iter().find(|own| own.commit == *commit).map(|own| own.content);
        Ok(found.filter(|content| !content.is_empty()))
    }

    /// Whose the commits of a pull request of ours are.
    pub(crate) async fn whose(
        &self,
        work: &Work,
        config: &ConfigRepository,
        pull: &PullRequest,
    ) -> Result<Whose, ReconcileError> {
        let noted = self.noted(&work.key, &pull.head).await?;
        let is_own = |noted: &Noted| noted.pushed.iter().any(|own| own.commit == pull.head_commit);
        if noted.as_ref().is_some_and(is_own) {
            return Ok(Whose::Ours);
        }
        let Some(commits) = self.commits_of(config, pull).await? else { return Ok(Whose::Foreign) };
        let own = config.committer.rsplit_once('<').map(|(_, address)| address.trim_end_matches('>'));
        let looks_ours = |commit: &CommitSummary| {
            let is_ours = commit.committer_email == WEB_COMMITTER || Some(commit.committer_email.as_str()) == own;
            is_ours && !commit.decisions.is_empty()
        };
        Ok(match (noted, commits.as_slice()) {
            (_, []) => Whose::Ours,
            (Some(noted), [one]) if noted.pushing.iter().any(|decision| one.decisions.contains(decision)) => {
                Whose::Ours
            }
            (None, [one]) if looks_ours(one) => Whose::PerhapsOurs,
            _ => Whose::Foreign,
        })
    }

    /// The commits of a pull request; nothing where they cannot be told.
    async fn commits_of(
        &self,
        config: &ConfigRepository,
        pull: &PullRequest,
    ) -> Result<Option<Vec<CommitSummary>>, ReconcileError> {
        let (base, head) = future::try_join(config.port.head(&pull.base), config.port.head(&pull.head)).await?;
        match (base, head) {
            // The branch is gone: nothing of anybody's is on it.
            (_, None) => Ok(Some(Vec::new())),
            (Some(base), Some(head)) if head == pull.head_commit => {
                Ok(config.port.commits_between(&base, &head, MOST_COMMITS).await?)
            }
            // The listing, or the mirror, lags behind.
            _ => Ok(None),
        }
    }
}

/// The fingerprint of what a commit writes.
fn content(commit: &NewCommit) -> String {
    let file = |file: &NewFile| FileChange { path: file.path.clone(), bytes: file.bytes.clone() };
    let plan =
        CommitPlan { decisions: Vec::new(), message: String::new(), files: commit.files.iter().map(file).collect() };
    content_of(&plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_reads_back_with_everything_that_may_have_been_pushed() {
        let text = format!("pushing d-2\npushing d-1\n{} 7 content\n", "a".repeat(40));
        let noted = Noted::read(&text);
        assert_eq!(noted.pushing.iter().map(DecisionId::as_str).collect::<Vec<_>>(), ["d-2", "d-1"]);
        assert_eq!(noted.pushed.len(), 1);
        assert_eq!(noted.write(), text);
        let many = Noted { pushing: (0..9).map(|number| format!("d-{number}").parse().unwrap()).collect(), ..noted };
        assert_eq!(Noted::read(&many.write()).pushing.len(), KEPT);
    }
}
