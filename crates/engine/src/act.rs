//! Act: make the planned commits true, and write down what became of them.

use std::collections::BTreeMap;

use tagboat_model::{BranchKey, CommitId, DecisionId, EventId, ImageName, PutBy, Ran, RanIn, Timestamp};
use tagboat_ports::{
    BranchChange, BranchUpdate, DecisionsAbout, Landed, NewCommit, NotedRan, Push, PushOutcome, PushTried,
    RepositoryError, Settled, Step, Work,
};
use tagboat_promotion::CommitPlan;

use crate::{ConfigRepository, Engine, ReconcileError, pending::Pending, pulls::new_commit};

impl Engine {
    /// Push the plans on top of `base` in one go. `times` are the times of their first recording, so that a
    /// repeated push makes the same commits.
    pub(crate) async fn act(
        &self,
        key: &BranchKey,
        config: &ConfigRepository,
        base: &CommitId,
        (plans, times): (&[CommitPlan], &BTreeMap<DecisionId, Timestamp>),
    ) -> Result<PushOutcome, ReconcileError> {
        let commits: Vec<NewCommit> = plans.iter().filter_map(|plan| new_commit(plan, times, self.now())).collect();
        let change = BranchChange::Append { base: base.clone(), commits };
        let update = BranchUpdate { branch: key.branch.clone(), change };
        Ok(self.push(key, config, &Push { updates: vec![update], options: Vec::new() }).await?)
    }

    /// Push, and tell whoever watches what came of it.
    pub(crate) async fn push(
        &self,
        key: &BranchKey,
        config: &ConfigRepository,
        push: &Push,
    ) -> Result<PushOutcome, RepositoryError> {
        let result = config.port.push(push).await;
        let outcome = match &result {
            Ok(PushOutcome::Landed(_)) => PushTried::Landed,
            Ok(PushOutcome::Moved(_)) => PushTried::LostRace,
            Ok(PushOutcome::Refused(_)) => PushTried::Refused,
            Err(_) => PushTried::Failed,
        };
        self.ports.progress.step(&Step::Tried { key: key.clone(), outcome, at: self.now() });
        result
    }

    /// Write down that the plans landed as these commits, and that `listed` were looked at completely. Last of all: what is
    /// settled is not asked about again.
    pub(crate) async fn settle(
        &self,
        key: &BranchKey,
        (plans, commits): (&[CommitPlan], &[CommitId]),
        listed: Vec<ImageName>,
        answered: impl Fn(&DecisionId) -> Vec<(EventId, Timestamp)>,
    ) -> Result<(), ReconcileError> {
        if commits.is_empty() {
            return Ok(());
        }
        let landed: Vec<(DecisionId, CommitId)> = plans
            .iter()
            .zip(commits)
            .flat_map(|(plan, id)| plan.decisions.iter().map(move |decision| (decision.clone(), id.clone())))
            .collect();
        let told = landed.iter().map(|(decision, commit)| Landed {
            decision: decision.clone(),
            commit: commit.clone(),
            events: answered(decision),
        });
        let told = told.collect();
        let settled = Settled { landed, given_up: Vec::new(), listed };
        self.ports.store.settle_changes(key, &settled, self.now()).await?;
        self.ports.progress.step(&Step::Pushed { key: key.clone(), commits: told, at: self.now() });
        Ok(())
    }

    /// Find out about commits that were planned before and never written down as landed: the process may have
    /// ended, or the answer been lost, between the push and the note. Returns whether one landed.
    pub(crate) async fn settle_earlier(
        &self,
        work: &Work,
        config: &ConfigRepository,
        head: &CommitId,
    ) -> Result<bool, ReconcileError> {
        let key = &work.key;
        let pending = self.ports.store.pending_changes(key).await?;
        let Some(oldest) = pending.first() else { return Ok(false) };
        let ids: Vec<_> = pending.iter().map(|change| change.decision.clone()).collect();
        let landed = config.port.landed(head, &oldest.base, &ids).await?;
        let given_up: Vec<_> = ids.into_iter().filter(|id| !landed.iter().any(|(found, _)| found == id)).collect();
        let settled = Settled { landed, given_up, listed: Vec::new() };
        // In this order: what is settled is not asked about again.
        let told = self.note_landed(work, &settled.landed).await?;
        self.ports.store.settle_changes(key, &settled, self.now()).await?;
        if !told.is_empty() {
            self.ports.progress.step(&Step::Pushed { key: key.clone(), commits: told, at: self.now() });
        }
        Ok(!settled.landed.is_empty())
    }

    /// Write down as running what commits brought of which it was not known that they landed: else it would count as put there
    /// by others. Returns what is to be told: the events still wait, since nobody came to the end of the work.
    async fn note_landed(&self, work: &Work, landed: &[(DecisionId, CommitId)]) -> Result<Vec<Landed>, ReconcileError> {
        let (mut noted, mut told) = (Vec::new(), Vec::new());
        if landed.is_empty() {
            return Ok(told);
        }
        let pending = Pending::of(&*self.ports.store, work).await?;
        for (id, commit) in landed {
            let found = self.ports.store.decisions(&DecisionsAbout::One(id.clone()), 1).await?;
            let Some(decision) = found.into_iter().next().map(|record| record.decision) else { continue };
            let events = pending.about(&decision.image);
            told.push(Landed { decision: id.clone(), commit: commit.clone(), events });
            let Some(version) = decision.version else { continue };
            let ran = Ran {
                version,
                since: self.now(),
                until: None,
                by: PutBy::Tagboat { decision: id.clone() },
                commit: Some(commit.clone()),
                taken_back: false,
                rollout: None,
            };
            let (environment, entry) = (decision.environment, decision.entry);
            noted.push(NotedRan::Runs(Box::new(RanIn { environment, entry, ran })));
        }
        if !noted.is_empty() {
            self.ports.store.note_ran(work, &noted).await?;
        }
        Ok(told)
    }
}
