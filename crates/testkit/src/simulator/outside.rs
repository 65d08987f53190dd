//! The world as the engine meets it: clock, registry and config repository, with their faults.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use async_trait::async_trait;
use tagboat_model::{BranchName, CommitId, DecisionId, Digest, ImageName, SignatureRule, Tag, Timestamp};
use tagboat_ports::{
    BlobId, BranchChange, BranchUpdate, ChangedFile, Clock, CommitSummary, FileEntry, ManifestDescription,
    ManifestKind, Push, PushOutcome, Registry, RegistryError, RegistryErrorKind, Repository, RepositoryError,
    RepositoryErrorKind, STATE_FILE, Verification,
};

use super::world::{Bug, Commit, World, blob_id, commit_id};

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    async fn sleep_until(&self, point: Timestamp) {
        std::future::poll_fn(
            |_| if self.now() >= point { std::task::Poll::Ready(()) } else { std::task::Poll::Pending },
        )
        .await;
    }
}

impl World {
    async fn reach_registry(&self, image: &ImageName) -> Result<(), RegistryError> {
        self.yield_now().await;
        match self.fault(12) && self.bug != Some(Bug::OutageMeansGone) {
            false => Ok(()),
            true => Err(RegistryError {
                operation: "ask about".to_owned(),
                image: image.clone(),
                detail: "it is down".to_owned(),
                kind: RegistryErrorKind::Outage,
                retry_after: None,
                source: None,
            }),
        }
    }
}

#[async_trait]
impl Registry for World {
    async fn digest(&self, image: &ImageName, tag: &Tag) -> Result<Option<Digest>, RegistryError> {
        self.reach_registry(image).await?;
        Ok(self.inside.lock().unwrap().tags.get(&(image.clone(), tag.clone())).cloned())
    }

    async fn describe(&self, image: &ImageName, tag: &Tag) -> Result<Option<ManifestDescription>, RegistryError> {
        self.reach_registry(image).await?;
        if self.bug == Some(Bug::OutageMeansGone) && self.fault(4) {
            return Ok(None);
        }
        let found = self.inside.lock().unwrap().tags.get(&(image.clone(), tag.clone())).cloned();
        Ok(found.map(|digest| ManifestDescription {
            digest,
            kind: ManifestKind::Image,
            revision: None,
            source: None,
            created: None,
            platforms: vec!["linux/amd64".parse().unwrap()],
        }))
    }

    async fn verify(&self, image: &ImageName, _: &Digest, _: &SignatureRule) -> Result<Verification, RegistryError> {
        self.reach_registry(image).await?;
        Ok(Verification::Verified)
    }

    async fn tags(&self, image: &ImageName) -> Result<Vec<Tag>, RegistryError> {
        self.reach_registry(image).await?;
        let inside = self.inside.lock().unwrap();
        Ok(inside.tags.keys().filter(|(name, _)| name == image).map(|(_, tag)| tag.clone()).collect())
    }
}

impl World {
    fn repository_fails(&self, one_in: usize) -> Result<(), RepositoryError> {
        if !self.fault(one_in) {
            return Ok(());
        }
        Err(RepositoryError {
            operation: "reach".to_owned(),
            repository: "config".to_owned(),
            detail: "the connection broke".to_owned(),
            kind: RepositoryErrorKind::Temporary,
            source: None,
        })
    }

    fn apply(&self, push: &Push) -> PushOutcome {
        let [BranchUpdate { change: BranchChange::Append { base, commits }, .. }] = &push.updates[..] else {
            panic!("the engine appends to one branch");
        };
        let mut inside = self.inside.lock().unwrap();
        let mut ids = Vec::new();
        let mut parent = base.clone();
        let before = inside.head.clone();
        for commit in commits {
            let mut files = inside.commits[&parent].files.clone();
            for file in &commit.files {
                let mut bytes = file.bytes.clone();
                if self.bug == Some(Bug::ReprintFiles) {
                    bytes = String::from_utf8(bytes).unwrap().replace("   \n", "\n").into_bytes();
                }
                files.insert(file.path.clone(), bytes);
            }
            parent = inside.commit(Some(parent), (commit.message.as_str(), commit.time), files);
            ids.push(parent.clone());
        }
        inside.head.clone_from(&before);
        let ours = inside.ancestors(before.as_ref()).contains(&parent);
        if ours {
            return PushOutcome::Landed(vec![ids]);
        }
        if before.as_ref() != Some(base) && self.bug != Some(Bug::PushWithoutCompare) {
            inside.races += 1;
            return PushOutcome::Moved(before.filter(|_| self.chance(2)));
        }
        inside.head = Some(parent);
        if before.as_ref().is_some_and(|before| !inside.ancestors(inside.head.as_ref()).contains(before)) {
            inside.broken = Some("a branch of people was forced".to_owned());
        }
        PushOutcome::Landed(vec![ids])
    }

    fn write_down(&self, old: Option<&CommitId>, bytes: &[u8], message: &str) -> PushOutcome {
        let mut inside = self.inside.lock().unwrap();
        let files = BTreeMap::from([(STATE_FILE.to_owned(), bytes.to_vec())]);
        let new = commit_id(old, message, &files);
        let last = inside.state.last().map(|(id, _)| id.clone());
        if inside.state.iter().all(|(id, _)| *id != new) {
            if last.as_ref() != old {
                inside.races += 1;
                return PushOutcome::Moved(last.filter(|_| self.chance(2)));
            }
            inside.state.push((new.clone(), bytes.to_vec()));
        }
        PushOutcome::Landed(vec![vec![new]])
    }
}

/// Who wrote a commit is told by whether it names a decision.
fn summary(commit: &Commit, id: CommitId) -> CommitSummary {
    let names = commit.message.lines().filter_map(|line| line.strip_prefix("Tagboat-Decision: "));
    let decisions: Vec<DecisionId> = names.map(|name| name.parse().unwrap()).collect();
    let (name, email) = match decisions.is_empty() {
        true => ("Person", "person@example.org"),
        false => ("Tagboat", "tagboat@localhost"),
    };
    CommitSummary {
        id,
        subject: commit.message.lines().next().unwrap_or_default().to_owned(),
        author_name: name.to_owned(),
        author_email: email.to_owned(),
        committer_email: email.to_owned(),
        time: commit.time,
        decisions,
    }
}

#[async_trait]
impl Repository for World {
    /// A mirror that lags behind, by any number of commits, or knows nothing.
    async fn known_head(&self, _: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        let known = {
            let inside = self.inside.lock().unwrap();
            inside.ancestors(inside.head.as_ref())
        };
        let behind = if self.fault(3) { self.random(known.len().max(1)) } else { 0 };
        Ok(known.get(behind).cloned().filter(|_| !self.fault(20)))
    }

    async fn changed_files(&self, from: &CommitId, to: &CommitId) -> Result<Option<Vec<ChangedFile>>, RepositoryError> {
        self.yield_now().await;
        if self.fault(10) {
            return Ok(None);
        }
        let inside = self.inside.lock().unwrap();
        let (old, new) = (&inside.commits[from].files, &inside.commits[to].files);
        let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let changed = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
        let file = |path: &String| ChangedFile { path: path.clone(), blob: new.get(path).map(|bytes| blob_id(bytes)) };
        Ok(Some(changed.map(file).collect()))
    }

    async fn head(&self, _: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        self.yield_now().await;
        self.repository_fails(20)?;
        Ok(self.inside.lock().unwrap().head.clone())
    }

    async fn files(&self, commit: &CommitId) -> Result<Vec<FileEntry>, RepositoryError> {
        self.yield_now().await;
        let files = &self.inside.lock().unwrap().commits[commit].files;
        Ok(files.iter().map(|(path, bytes)| FileEntry { path: path.clone(), blob: blob_id(bytes) }).collect())
    }

    async fn read(&self, blobs: &[BlobId], _: usize) -> Result<Vec<Option<Vec<u8>>>, RepositoryError> {
        self.yield_now().await;
        let inside = self.inside.lock().unwrap();
        Ok(blobs.iter().map(|blob| Some(inside.blobs[blob].clone())).collect())
    }

    async fn push(&self, push: &Push) -> Result<PushOutcome, RepositoryError> {
        self.yield_now().await;
        // The connection breaks before the server heard of it.
        self.repository_fails(10)?;
        let outcome = self.apply(push);
        self.yield_now().await;
        // Or after it did it: the answer is lost.
        self.repository_fails(6)?;
        Ok(outcome)
    }

    async fn landed(
        &self,
        head: &CommitId,
        base: &CommitId,
        decisions: &[DecisionId],
    ) -> Result<Vec<(DecisionId, CommitId)>, RepositoryError> {
        self.yield_now().await;
        self.repository_fails(20)?;
        let inside = self.inside.lock().unwrap();
        let mut found = Vec::new();
        for id in inside.ancestors(Some(head)).into_iter().take_while(|id| id != base) {
            let message = &inside.commits[&id].message;
            let named = decisions.iter().find(|decision| message.contains(&format!("Tagboat-Decision: {decision}\n")));
            found.extend(named.map(|decision| (decision.clone(), id.clone())));
        }
        Ok(found)
    }

    async fn commits_between(
        &self,
        base: &CommitId,
        head: &CommitId,
        most: usize,
    ) -> Result<Option<Vec<CommitSummary>>, RepositoryError> {
        self.yield_now().await;
        self.repository_fails(20)?;
        // History that does not go back far enough.
        if self.fault(10) {
            return Ok(None);
        }
        let inside = self.inside.lock().unwrap();
        if !inside.commits.contains_key(base) || !inside.commits.contains_key(head) {
            return Ok(None);
        }
        let known = inside.ancestors(Some(base));
        let between = inside.ancestors(Some(head)).into_iter().filter(|id| !known.contains(id)).take(most);
        Ok(Some(between.map(|id| summary(&inside.commits[&id], id)).collect()))
    }

    async fn read_state(&self) -> Result<Option<(CommitId, Vec<u8>)>, RepositoryError> {
        self.yield_now().await;
        self.repository_fails(20)?;
        Ok(self.inside.lock().unwrap().state.last().cloned())
    }

    async fn write_state(
        &self,
        old: Option<&CommitId>,
        bytes: &[u8],
        message: &str,
        time: Timestamp,
    ) -> Result<PushOutcome, RepositoryError> {
        self.yield_now().await;
        // The connection breaks before the server heard of it.
        self.repository_fails(10)?;
        let outcome = self.write_down(old, bytes, &format!("{message} at {}", time.0));
        self.yield_now().await;
        // Or after it did it: the answer is lost.
        self.repository_fails(6)?;
        Ok(outcome)
    }
}
