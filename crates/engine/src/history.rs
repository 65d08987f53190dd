//! What runs where, written down; and what people took back, which is held.
//!
//! What is written in Git counts as running. A version is written down with the digest it has when it is first seen, since
//! that, and not what the tag names later, is what moves on.

use std::collections::BTreeMap;

use futures_util::future::{join_all, try_join};
use tagboat_model::{
    BranchKey, CommitId, DecisionId, EntryName, EnvironmentName, Hold, PullState, PutBy, Ran, RanIn, Version,
};
use tagboat_ports::{NotedRan, Work};
use tagboat_promotion::{hold_of, pull::Block, taken_back};
use tagboat_settings::RepositorySettings;

use crate::{
    ConfigRepository, Engine, ReconcileError,
    gather::{Gathered, Running, Situation},
    worker::unless_taken_over,
};

/// Tags whose digest is asked for in one reconcile, so that what runs upstream can be written down. The rest comes next time.
const MOST_ASKED: usize = 200;
const ASKED_AT_ONCE: usize = 8;

/// A version that Tagboat put somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Put {
    pub(crate) environment: EnvironmentName,
    pub(crate) entry: EntryName,
    pub(crate) version: Version,
    pub(crate) decision: DecisionId,
}

impl Situation {
    /// What ran in an environment, oldest first.
    pub(crate) fn ran_in(&self, environment: &EnvironmentName, entry: &EntryName) -> Vec<Ran> {
        self.ran_by.get(&(environment.clone(), entry.clone())).cloned().unwrap_or_default()
    }

    /// Whether something is written down as running.
    fn is_running(&self, environment: &EnvironmentName, entry: &EntryName) -> bool {
        let rows = self.ran_by.get(&(environment.clone(), entry.clone()));
        rows.and_then(|rows| rows.last()).is_some_and(|row| row.until.is_none())
    }

    /// What merged pull requests of ours brought and is not written down yet: it explains what is found, once. One that seems to
    /// be open may have been merged: a listing lags behind.
    pub(crate) fn brought(&self) -> Vec<Put> {
        let is_noted = |put: &Put| {
            let by = PutBy::Tagboat { decision: put.decision.clone() };
            self.ran_in(&put.environment, &put.entry).iter().any(|ran| ran.by == by)
        };
        self.all_brought().into_iter().filter(|put| !is_noted(put)).collect()
    }

    fn all_brought(&self) -> Vec<Put> {
        let Some(view) = &self.forge else { return Vec::new() };
        let brought = view.pulls.iter().filter(|known| known.pull.state != PullState::Closed);
        let blocks = brought.filter_map(|known| Block::read(&known.pull, &view.bot));
        let put = |block: Block| {
            let environment = block.environment;
            let put = move |change: tagboat_promotion::pull::BlockChange| Put {
                environment: environment.clone(),
                entry: change.entry,
                version: change.version,
                decision: change.decision,
            };
            block.changes.into_iter().map(put)
        };
        blocks.flat_map(put).collect()
    }
}

impl Engine {
    /// Hold what people took back: the values on the branch went back to earlier ones, and not by us.
    pub(crate) async fn hold_what_was_taken_back(
        &self,
        work: &Work,
        config: &ConfigRepository,
        gathered: &mut Gathered,
    ) -> Result<(), ReconcileError> {
        let now = self.now();
        let explained = gathered.situation.brought();
        let (mut holds, mut noted) = (Vec::new(), Vec::new());
        for running in &gathered.running {
            let ran = gathered.situation.ran_in(&running.environment, &running.entry);
            let here = |put: &&Put| put.environment == running.environment && put.entry == running.entry;
            let explained: Vec<Version> = explained.iter().filter(here).map(|put| put.version.clone()).collect();
            let Some(taken) = taken_back(&ran, &running.values, &running.versions, &explained) else { continue };
            let (environment, entry) = (running.environment.clone(), running.entry.clone());
            let version = taken.from.clone();
            if !self.is_behind(gathered, &ran, config).await? {
                continue;
            }
            noted.push(NotedRan::TakenBack { environment, entry, version });
            if running.values.len() == 1 {
                // In one with that: were it released and put there again before this is written down, it would be taken for
                // the same run, which was taken back.
                noted.push(self.runs(running, taken.to.clone(), PutBy::Others, &gathered.facts.head));
            }
            let Some(hold) = hold_of(&taken, &running.environment, &running.entry, now) else { continue };
            if !gathered.situation.holds.iter().any(|other| other.id == hold.id) {
                holds.push(hold);
            }
        }
        if noted.is_empty() {
            return Ok(());
        }
        let BranchKey { tenant, repository, .. } = &work.key;
        // In this order: what is marked is not looked at again.
        unless_taken_over(self.ports.store.place_holds(work, &holds, now).await?)?;
        self.ports.store.note_ran(work, &noted).await?;
        // One that was released before stays so: what the database says counts.
        let all = self.ports.store.holds(tenant, repository).await?;
        gathered.replace_holds(all);
        Ok(())
    }

    /// Whether the head that was read comes after the commit that brought what ran last: a mirror that lags behind shows what
    /// was before, and nobody took anything back.
    async fn is_behind(
        &self,
        gathered: &Gathered,
        ran: &[Ran],
        config: &ConfigRepository,
    ) -> Result<bool, ReconcileError> {
        let Some(commit) = ran.last().and_then(|last| last.commit.as_ref()) else { return Ok(true) };
        let since = config.port.commits_between(commit, &gathered.facts.head, 1).await?;
        // Where history cannot be told, nothing is attributed to anybody.
        Ok(since.is_some_and(|commits| !commits.is_empty()))
    }

    /// Write down what runs at a head. `put` is what was put there just now.
    pub(crate) async fn note_what_runs(
        &self,
        work: &Work,
        config: &ConfigRepository,
        head: &CommitId,
        gathered: &Gathered,
        put: &[Put],
    ) -> Result<(), ReconcileError> {
        let settings = gathered.files.settings();
        let mut noted = self.note_put(work, head, gathered, put).await?;
        let changed = self.changed(config, head, gathered, put).await?;
        let brought = gathered.situation.brought();
        let mut unknown = Vec::new();
        for running in changed {
            match running.version(&gathered.situation, &brought) {
                Some((version, by)) => noted.push(self.runs(running, version, by, head)),
                None if running.values.len() == 1 && is_upstream(settings, &running.environment) => {
                    unknown.push(running);
                }
                None if !gathered.situation.is_running(&running.environment, &running.entry) => {}
                None => noted.push(NotedRan::Ends {
                    environment: running.environment.clone(),
                    entry: running.entry.clone(),
                    at: self.now(),
                }),
            }
        }
        for part in unknown.get(..MOST_ASKED.min(unknown.len())).unwrap_or_default().chunks(ASKED_AT_ONCE) {
            let asked = join_all(part.iter().map(|running| self.digest_of(running))).await;
            let found = part.iter().zip(asked).filter_map(|(running, version)| Some((running, version?)));
            noted.extend(found.map(|(running, version)| self.runs(running, version, PutBy::Others, head)));
        }
        if noted.is_empty() {
            return Ok(());
        }
        self.ports.store.note_ran(work, &noted).await?;
        self.wake_downstream(work, config, settings, &noted).await
    }

    /// What runs now where something else is written down as running, and was not put there just now. Not where a mirror that
    /// lags behind shows what was before that: the same seen again later would hide that people went back to it.
    async fn changed<'g>(
        &self,
        config: &ConfigRepository,
        head: &CommitId,
        gathered: &'g Gathered,
        put: &[Put],
    ) -> Result<Vec<&'g Running>, ReconcileError> {
        let is_put = |running: &Running| put.iter().any(|put| running.is(&put.environment, &put.entry));
        let news = gathered.running.iter().filter(|running| !is_put(running) && is_news(running, &gathered.situation));
        let (mut lags, mut changed) = (BTreeMap::new(), Vec::new());
        for running in news {
            let ran = gathered.situation.ran_in(&running.environment, &running.entry);
            let is_old = match ran.last().and_then(|last| last.commit.clone()).filter(|noted| noted != head) {
                None => false,
                Some(noted) => match lags.get(&noted) {
                    Some(known) => *known,
                    None => {
                        let is_old = comes_before(config, head, &noted).await?;
                        lags.insert(noted, is_old);
                        is_old
                    }
                },
            };
            if !is_old {
                changed.push(running);
            }
        }
        Ok(changed)
    }

    /// What was put there just now; and before it what it took the place of, so that going back can be told.
    async fn note_put(
        &self,
        work: &Work,
        head: &CommitId,
        gathered: &Gathered,
        put: &[Put],
    ) -> Result<Vec<NotedRan>, ReconcileError> {
        let mut noted = Vec::new();
        for put in put {
            let Some(running) = gathered.running.iter().find(|running| running.is(&put.environment, &put.entry)) else {
                continue;
            };
            if gathered.situation.ran_in(&put.environment, &put.entry).is_empty()
                && let Some((version, by)) = self.version_before(work, running, &gathered.situation).await?
            {
                noted.push(self.runs(running, version, by, &gathered.facts.head));
            }
            let by = PutBy::Tagboat { decision: put.decision.clone() };
            noted.push(self.runs(running, put.version.clone(), by, head));
        }
        Ok(noted)
    }

    /// What ran before the first change of ours: as it is known without asking anybody.
    async fn version_before(
        &self,
        work: &Work,
        running: &Running,
        situation: &Situation,
    ) -> Result<Option<(Version, PutBy)>, ReconcileError> {
        if let Some(known) = running.version(situation, &[]) {
            return Ok(Some(known));
        }
        let Some(tag) = running.tag.as_ref().filter(|_| running.values.len() == 1) else { return Ok(None) };
        let seen = self.ports.store.observations(&work.key.tenant, &running.image).await?;
        let digest = seen.into_iter().find(|seen| seen.tag == *tag).map(|seen| seen.manifest.digest);
        let digest = match digest {
            Some(digest) => Some(digest),
            None => self.ports.registry.digest(&running.image, tag).await.ok().flatten(),
        };
        Ok(digest.map(|digest| (Version { tag: tag.clone(), digest }, PutBy::Others)))
    }

    async fn digest_of(&self, running: &Running) -> Option<Version> {
        let tag = running.tag.clone()?;
        // Who cannot be asked now is asked with the next reconcile.
        let digest = self.ports.registry.digest(&running.image, &tag).await.ok().flatten()?;
        Some(Version { tag, digest })
    }

    fn runs(&self, running: &Running, version: Version, by: PutBy, commit: &CommitId) -> NotedRan {
        let ran = Ran {
            version,
            since: self.now(),
            until: None,
            by,
            commit: Some(commit.clone()),
            taken_back: false,
            rollout: None,
        };
        let (environment, entry) = (running.environment.clone(), running.entry.clone());
        NotedRan::Runs(Box::new(RanIn { environment, entry, ran }))
    }

    /// What is promoted from an environment that runs something new is to be looked at.
    async fn wake_downstream(
        &self,
        work: &Work,
        config: &ConfigRepository,
        settings: &RepositorySettings,
        noted: &[NotedRan],
    ) -> Result<(), ReconcileError> {
        let changed = |environment: &EnvironmentName| {
            noted.iter().any(|noted| matches!(noted, NotedRan::Runs(ran) if ran.environment == *environment))
        };
        let downstream =
            settings.environments.iter().filter(|environment| environment.promote_from.as_ref().is_some_and(&changed));
        let branch = |environment: &tagboat_promotion::Environment| BranchKey {
            branch: environment.branch.clone().unwrap_or_else(|| config.branch.clone()),
            ..work.key.clone()
        };
        let mut keys: Vec<BranchKey> = downstream.map(branch).collect();
        keys.sort();
        keys.dedup();
        if !keys.is_empty() {
            self.ports.store.wake(&keys, self.now()).await?;
        }
        Ok(())
    }
}

impl Running {
    pub(crate) fn is(&self, environment: &EnvironmentName, entry: &EntryName) -> bool {
        self.environment == *environment && self.entry == *entry
    }

    /// The version that is written, where it is known without asking a registry, and who put it there.
    fn version(&self, situation: &Situation, brought: &[Put]) -> Option<(Version, PutBy)> {
        if self.values.len() != 1 {
            return None;
        }
        let carried = |version: &Version| self.carries(version);
        let put = brought.iter().find(|put| self.is(&put.environment, &put.entry) && carried(&put.version));
        if let Some(put) = put {
            return Some((put.version.clone(), PutBy::Tagboat { decision: put.decision.clone() }));
        }
        if let (Some(tag), Some(digest)) = (&self.tag, &self.digest) {
            return Some((Version { tag: tag.clone(), digest: digest.clone() }, PutBy::Others));
        }
        // Elsewhere the same words were seen before; newest first.
        let elsewhere = situation.ran.iter().rev().filter(|row| row.entry == self.entry);
        let known = elsewhere.map(|row| &row.ran.version).find(|version| carried(version));
        known.map(|version| (version.clone(), PutBy::Others))
    }

    /// Whether this is what is written.
    pub(crate) fn carries(&self, version: &Version) -> bool {
        match (&self.tag, &self.digest) {
            (Some(tag), Some(digest)) => *tag == version.tag && *digest == version.digest,
            (Some(tag), None) => *tag == version.tag,
            (None, Some(digest)) => *digest == version.digest,
            (None, None) => false,
        }
    }
}

/// Whether a commit is known to be one of those that `later` was made on.
async fn comes_before(config: &ConfigRepository, commit: &CommitId, later: &CommitId) -> Result<bool, ReconcileError> {
    let (ahead, behind) =
        try_join(config.port.commits_between(commit, later, 1), config.port.commits_between(later, commit, 1)).await?;
    Ok(ahead.is_some_and(|commits| !commits.is_empty()) && behind.is_some_and(|commits| commits.is_empty()))
}

/// Whether what is written is not what is written down as running.
fn is_news(running: &Running, situation: &Situation) -> bool {
    let rows = situation.ran_by.get(&(running.environment.clone(), running.entry.clone()));
    match rows.and_then(|rows| rows.last()).filter(|row| row.until.is_none()) {
        Some(open) => running.values.len() != 1 || !running.carries(&open.version),
        None => !running.values.is_empty(),
    }
}

/// Whether something is promoted from an environment.
fn is_upstream(settings: &RepositorySettings, name: &EnvironmentName) -> bool {
    settings.environments.iter().any(|environment| environment.promote_from.as_ref() == Some(name))
}

/// What decisions that landed have put where.
pub(crate) fn put_by(
    landed: &BTreeMap<DecisionId, (EnvironmentName, EntryName, Version)>,
    decisions: impl Iterator<Item = DecisionId>,
) -> Vec<Put> {
    let put = |decision: DecisionId| {
        let (environment, entry, version) = landed.get(&decision)?.clone();
        Some(Put { environment, entry, version, decision })
    };
    decisions.filter_map(put).collect()
}

/// Holds that concern an environment.
pub(crate) fn concerning(holds: &[Hold], environment: &EnvironmentName) -> Vec<Hold> {
    let concerns = |hold: &&Hold| hold.environment.as_ref().is_none_or(|own| own == environment);
    holds.iter().filter(concerns).cloned().collect()
}
