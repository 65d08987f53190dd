//! The doors through which one replica meets the outside: clock and config repository, with their faults. Registry, forge
//! and database stand in files of their own.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use tagboat_model::{BranchName, CommitId, DecisionId, Timestamp};
use tagboat_ports::{
    BlobId, BranchChange, ChangedFile, Clock, CommitSummary, FileEntry, Push, PushOutcome, Repository, RepositoryError,
    RepositoryErrorKind, STATE_FILE,
};

use super::{
    faults::{Bug, Fault},
    git::{Moved, blob_id, commit_id, decisions_of},
    world::{ACME, World},
};

/// What one replica sees of the outside, for one tenant where that matters.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) world: Arc<World>,
    pub(super) replica: usize,
    pub(super) tenant: usize,
}

#[async_trait]
impl Clock for Door {
    fn now(&self) -> Timestamp {
        self.world.clock_of(self.replica)
    }

    /// As long as it is until then by the clock of now: whoever sleeps does not see it jump.
    async fn sleep_until(&self, point: Timestamp) {
        let until = self.world.time().saturating_add((point.0 - self.now().0).max(0));
        std::future::poll_fn(|_| {
            if self.world.time() >= until {
                return std::task::Poll::Ready(());
            }
            self.world.pulse.sleeps_until(until);
            std::task::Poll::Pending
        })
        .await;
    }
}

fn error(detail: &str) -> RepositoryError {
    let (operation, repository) = ("reach".to_owned(), "config".to_owned());
    RepositoryError {
        operation,
        repository,
        detail: detail.to_owned(),
        kind: RepositoryErrorKind::Temporary,
        source: None,
    }
}

impl Door {
    async fn reach_git(&self, place: &'static str, one_in: usize) -> Result<(), RepositoryError> {
        self.world.pause(self.replica, place, 2).await;
        match self.world.fault(Fault::GitFails, one_in) {
            true => Err(error("the connection broke")),
            false => Ok(()),
        }
    }

    /// An earlier head, as a mirror has it that was not told yet.
    fn mirrored_head(&self, branch: &BranchName) -> Option<CommitId> {
        let behind = if self.world.fault(Fault::MirrorLag, 3) { self.world.random(4) } else { 0 };
        self.world.git(self.tenant).head_before(branch, behind)
    }

    /// All of a push, or nothing.
    fn apply(&self, push: &Push) -> PushOutcome {
        let (world, bug) = (&self.world, self.world.settings.bug);
        let mut git = world.git(self.tenant);
        let tried: Vec<Moved> =
            push.updates.iter().map(|update| git.try_change(&update.branch, &update.change, bug)).collect();
        if tried.iter().any(|moved| matches!(moved, Moved::Lost)) {
            git.races += 1;
            let found = push.updates.first().filter(|_| push.updates.len() == 1 && world.chance(2));
            return PushOutcome::Moved(found.and_then(|update| git.head(&update.branch).cloned()));
        }
        let (mut ids, mut moves) = (Vec::new(), Vec::new());
        for (update, moved) in push.updates.iter().zip(tried) {
            match moved {
                Moved::Done(commits, to) => {
                    moves.extend(to.map(|(from, to)| (update.branch.clone(), from, Some(to))));
                    ids.push(commits);
                }
                Moved::Deleted(from) => {
                    moves.extend(from.map(|from| (update.branch.clone(), Some(from), None)));
                    ids.push(Vec::new());
                }
                Moved::Lost => {}
            }
        }
        for (branch, _, to) in &moves {
            git.point(branch, to.clone(), world.time());
        }
        drop(git);
        for (branch, from, to) in &moves {
            let to_words = to.as_ref().map_or("nothing", |to| &to.as_str()[..8]);
            world.note(|| format!("replica {} moves {branch} to {to_words}", self.replica));
            world.check_pushed(self.tenant, branch, (from.as_ref(), to.as_ref()), push);
            if self.tenant == ACME {
                world.branch_moved(branch, to.as_ref());
            }
        }
        PushOutcome::Landed(ids)
    }

    /// The commits of a push once more, on top of what is there.
    fn repeat_on_top(&self, push: &Push) {
        for update in &push.updates {
            let BranchChange::Append { commits, .. } = &update.change else { continue };
            let mut git = self.world.git(self.tenant);
            let Some(head) = git.head(&update.branch).cloned() else { continue };
            let made = git.make(&head, commits, None);
            git.point(&update.branch, made.last().cloned(), self.world.time());
            drop(git);
            self.world.check_pushed(self.tenant, &update.branch, (Some(&head), made.last()), push);
        }
    }

    fn write_down(&self, old: Option<&CommitId>, bytes: &[u8], message: &str, time: Timestamp) -> PushOutcome {
        let mut git = self.world.git(self.tenant);
        let files = [(STATE_FILE.to_owned(), bytes.to_vec())].into_iter().collect();
        let parents: Vec<CommitId> = old.cloned().into_iter().collect();
        let new = commit_id(&parents, message, time, &files);
        let last = git.state.last().map(|(id, _)| id.clone());
        if git.state.iter().all(|(id, _)| *id != new) {
            if last.as_ref() != old {
                git.races += 1;
                return PushOutcome::Moved(last.filter(|_| self.world.chance(2)));
            }
            git.state.push((new.clone(), bytes.to_vec()));
        }
        PushOutcome::Landed(vec![vec![new]])
    }
}

#[async_trait]
impl Repository for Door {
    /// A mirror that lags behind, or knows nothing.
    async fn known_head(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        Ok(self.mirrored_head(branch).filter(|_| !self.world.fault(Fault::MirrorLag, 20)))
    }

    async fn changed_files(&self, from: &CommitId, to: &CommitId) -> Result<Option<Vec<ChangedFile>>, RepositoryError> {
        self.reach_git("git: changed files", 60).await?;
        if self.world.fault(Fault::MirrorLag, 10) {
            return Ok(None);
        }
        let git = self.world.git(self.tenant);
        let (old, new) = (&git.commits[from].files, &git.commits[to].files);
        let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let changed = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
        let file = |path: &String| ChangedFile { path: path.clone(), blob: new.get(path).map(|bytes| blob_id(bytes)) };
        Ok(Some(changed.map(file).collect()))
    }

    async fn head(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        self.reach_git("git: head", 30).await?;
        if self.world.has_bug(Bug::MirrorBelieved) {
            return Ok(self.mirrored_head(branch));
        }
        Ok(self.world.git(self.tenant).head(branch).cloned())
    }

    async fn files(&self, commit: &CommitId) -> Result<Vec<FileEntry>, RepositoryError> {
        self.reach_git("git: files", 60).await?;
        let git = self.world.git(self.tenant);
        let files = &git.commits[commit].files;
        Ok(files.iter().map(|(path, bytes)| FileEntry { path: path.clone(), blob: blob_id(bytes) }).collect())
    }

    async fn read(&self, blobs: &[BlobId], _: usize) -> Result<Vec<Option<Vec<u8>>>, RepositoryError> {
        self.reach_git("git: read", 60).await?;
        let git = self.world.git(self.tenant);
        Ok(blobs.iter().map(|blob| git.blobs.get(blob).cloned()).collect())
    }

    async fn push(&self, push: &Push) -> Result<PushOutcome, RepositoryError> {
        // The connection breaks before the server heard of it.
        self.reach_git("git: push", 15).await?;
        let outcome = self.apply(push);
        self.world.pause(self.replica, "git: pushed", 3).await;
        // Or after it did it: the answer is lost.
        if !self.world.fault(Fault::GitAnswerLost, 8) {
            return Ok(outcome);
        }
        if self.world.has_bug(Bug::RepeatAfterLostAnswer) && matches!(outcome, PushOutcome::Landed(_)) {
            self.repeat_on_top(push);
        }
        match self.world.has_bug(Bug::ErrorByText) {
            true => Ok(PushOutcome::Refused("! [remote rejected] the remote end hung up unexpectedly".to_owned())),
            false => Err(error("the answer was lost")),
        }
    }

    async fn landed(
        &self,
        head: &CommitId,
        base: &CommitId,
        decisions: &[DecisionId],
    ) -> Result<Vec<(DecisionId, CommitId)>, RepositoryError> {
        self.reach_git("git: landed", 30).await?;
        let git = self.world.git(self.tenant);
        let mut found = Vec::new();
        for id in git.between(base, head) {
            let named = decisions_of(&git.commits[&id].message).into_iter().filter(|named| decisions.contains(named));
            found.extend(named.map(|decision| (decision, id.clone())));
        }
        Ok(found)
    }

    async fn commits_between(
        &self,
        base: &CommitId,
        head: &CommitId,
        most: usize,
    ) -> Result<Option<Vec<CommitSummary>>, RepositoryError> {
        self.reach_git("git: commits", 30).await?;
        // History that does not go back far enough.
        if self.world.fault(Fault::HistoryShort, 10) {
            return Ok(None);
        }
        let git = self.world.git(self.tenant);
        if !git.commits.contains_key(base) || !git.commits.contains_key(head) {
            return Ok(None);
        }
        Ok(Some(git.between(base, head).iter().take(most).map(|id| git.summary(id)).collect()))
    }

    async fn read_state(&self) -> Result<Option<(CommitId, Vec<u8>)>, RepositoryError> {
        self.reach_git("git: read state", 30).await?;
        Ok(self.world.git(self.tenant).state.last().cloned())
    }

    async fn write_state(
        &self,
        old: Option<&CommitId>,
        bytes: &[u8],
        message: &str,
        time: Timestamp,
    ) -> Result<PushOutcome, RepositoryError> {
        self.reach_git("git: write state", 15).await?;
        let outcome = self.write_down(old, bytes, message, time);
        self.world.pause(self.replica, "git: state written", 2).await;
        match self.world.fault(Fault::GitAnswerLost, 8) {
            true => Err(error("the answer was lost")),
            false => Ok(outcome),
        }
    }
}
