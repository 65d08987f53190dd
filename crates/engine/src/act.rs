//! Act: make the planned commits true, and write down what became of them.

use tagboat_model::{BranchKey, CommitId, ImageName, Timestamp};
use tagboat_ports::{BranchChange, BranchUpdate, NewCommit, NewFile, Push, PushOutcome, Settled, Step};
use tagboat_promotion::CommitPlan;

use crate::{ConfigRepository, Engine, ReconcileError};

impl Engine {
    /// Push the plans on top of `base` in one go. `times` are the times of their first recording, so that a
    /// repeated push makes the same commits. Once they are there, `listed` were looked at completely.
    pub(crate) async fn act(
        &self,
        key: &BranchKey,
        config: &ConfigRepository,
        base: &CommitId,
        (plans, times): (&[CommitPlan], &[Timestamp]),
        listed: &[ImageName],
    ) -> Result<PushOutcome, ReconcileError> {
        let commit = |(plan, time): (&CommitPlan, &Timestamp)| NewCommit {
            decision: plan.decision.clone(),
            time: *time,
            message: plan.message.clone(),
            files: plan
                .files
                .iter()
                .map(|file| NewFile { path: file.path.clone(), bytes: file.bytes.clone() })
                .collect(),
        };
        let commits: Vec<NewCommit> = plans.iter().zip(times).map(commit).collect();
        let change = BranchChange::Append { base: base.clone(), commits };
        let push = Push { updates: vec![BranchUpdate { branch: key.branch.clone(), change }] };
        let outcome = config.port.push(&push).await?;
        if let PushOutcome::Landed(ids) = &outcome {
            let ids = ids.iter().flatten().cloned();
            let landed: Vec<_> = plans.iter().map(|plan| plan.decision.clone()).zip(ids).collect();
            let settled = Settled { landed: landed.clone(), given_up: Vec::new(), listed: listed.to_vec() };
            self.ports.store.settle_changes(key, &settled, self.now()).await?;
            self.ports.progress.step(&Step::Pushed { key: key.clone(), commits: landed, at: self.now() });
        }
        Ok(outcome)
    }

    /// Find out about commits that were planned before and never written down as landed: the process may have
    /// ended, or the answer been lost, between the push and the note. Returns whether one landed.
    pub(crate) async fn settle_earlier(
        &self,
        key: &BranchKey,
        config: &ConfigRepository,
        head: &CommitId,
    ) -> Result<bool, ReconcileError> {
        let pending = self.ports.store.pending_changes(key).await?;
        let Some(oldest) = pending.first() else { return Ok(false) };
        let ids: Vec<_> = pending.iter().map(|change| change.decision.clone()).collect();
        let landed = config.port.landed(head, &oldest.base, &ids).await?;
        let given_up: Vec<_> = ids.into_iter().filter(|id| !landed.iter().any(|(found, _)| found == id)).collect();
        let settled = Settled { landed, given_up, listed: Vec::new() };
        self.ports.store.settle_changes(key, &settled, self.now()).await?;
        Ok(!settled.landed.is_empty())
    }
}
