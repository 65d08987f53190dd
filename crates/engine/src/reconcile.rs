//! The reconcile itself: gather, decide, edit, propose, act.

use std::collections::BTreeMap;

use tagboat_model::{Decision, DecisionId, Outcome};
use tagboat_ports::{Finish, PushOutcome, Recorded, Step, ToRecord, Work};
use tagboat_promotion::{CommitPlan, Edited, decide, decision_id, propose};

use crate::{
    ConfigRepository, Engine, ReconcileError,
    edit::{EditedDecision, edit},
    gather::Gathered,
};

/// Lost races in a row before the work is put back for a while.
const MOST_RACES: u32 = 8;

impl Engine {
    /// Bring one branch to what policies want.
    ///
    /// # Errors
    /// Why it did not come to its end; the work stays.
    pub async fn reconcile(&self, work: &Work) -> Result<Finish, ReconcileError> {
        let config = self.config_repository(work).ok_or_else(|| unknown(work))?;
        for _ in 0..MOST_RACES {
            if let Some(finish) = self.attempt(work, config).await? {
                return Ok(finish);
            }
        }
        Err(ReconcileError::Races { times: MOST_RACES })
    }

    /// The config repository that work is about.
    pub(crate) fn config_repository(&self, work: &Work) -> Option<&ConfigRepository> {
        self.repositories.get(&(work.key.tenant.clone(), work.key.repository.clone()))
    }

    /// One pass over the newest head; nothing when the branch moved meanwhile.
    async fn attempt(&self, work: &Work, config: &ConfigRepository) -> Result<Option<Finish>, ReconcileError> {
        let Some(head) = config.port.head(&work.key.branch).await? else {
            return self.without_branch(work, config).await;
        };
        self.settle_earlier(&work.key, config, &head).await?;
        let sweeping = work.swept_at.is_none_or(|swept| self.now().since(swept) >= self.behaviour.sweep);

        let gathered = self.gather(work, config, &head, sweeping).await?;
        let decisions = decide(&gathered.facts);
        let edited = edit(&gathered.facts, &gathered.files, decisions);
        let plans = propose(&gathered.facts, &to_update(&edited), &gathered.style);
        let times = self.record(work, &gathered, &edited, &plans).await?;

        let mut newest = head.clone();
        if !plans.is_empty() {
            self.show_edits(work, &gathered, &edited);
            match self.act(&work.key, config, &head, &plans, &times).await? {
                PushOutcome::Landed(ids) => newest = ids.last().cloned().unwrap_or(newest),
                PushOutcome::Moved => return Ok(None),
                PushOutcome::Refused(detail) => return Err(ReconcileError::Refused { detail }),
            }
        }
        match gathered.unavailable {
            Some(error) => Err(ReconcileError::Registry { error, swept: sweeping }),
            None => Ok(Some(Finish::Served { head: Some(newest), swept: sweeping, problem: blocked(&edited) })),
        }
    }

    /// A branch that is not there is an error, unless nothing asks for it any more.
    async fn without_branch(&self, work: &Work, config: &ConfigRepository) -> Result<Option<Finish>, ReconcileError> {
        if work.key.branch != config.branch && !self.is_named(config, &work.key.branch).await? {
            self.ports.store.set_interests(work, &[]).await?;
            return Ok(Some(Finish::Served { head: None, swept: true, problem: None }));
        }
        Err(ReconcileError::NoBranch { branch: work.key.branch.to_string() })
    }

    /// Write down what was seen and chosen, before anything is done. Returns the times for the plans.
    async fn record(
        &self,
        work: &Work,
        gathered: &Gathered,
        edited: &[EditedDecision],
        plans: &[CommitPlan],
    ) -> Result<Vec<tagboat_model::Timestamp>, ReconcileError> {
        let planned = |id: &DecisionId| plans.iter().any(|plan| plan.decision == *id);
        let decisions: Vec<(DecisionId, Decision, bool)> = edited
            .iter()
            .filter_map(|edited| Some((decision_id(&gathered.facts, &edited.decision)?, edited.decision.clone())))
            .map(|(id, decision)| (id.clone(), decision, planned(&id)))
            .collect();
        let nothing_looked_at = gathered.listed.is_empty() && gathered.missed.is_empty() && !gathered.was_due;
        if decisions.is_empty() && nothing_looked_at {
            return Ok(Vec::new());
        }
        for (id, decision, _) in &decisions {
            let decision = Box::new(decision.clone());
            let step = Step::Decided { key: work.key.clone(), id: id.clone(), decision, at: self.now() };
            self.ports.progress.step(&step);
        }
        let record = ToRecord {
            head: gathered.facts.head.clone(),
            at: gathered.facts.now,
            facts: gathered.facts.to_bytes().map_err(ReconcileError::Facts)?,
            decisions: decisions.clone(),
            listed: gathered.listed.clone(),
            missed: gathered.missed.clone(),
            waiting: gathered.waiting.clone(),
        };
        match self.ports.store.record(work, record).await? {
            Recorded::StaleFence => Err(ReconcileError::TakenOver),
            Recorded::At(times) => {
                let by_id: BTreeMap<_, _> = decisions.iter().map(|(id, _, _)| id).zip(times).collect();
                Ok(plans.iter().filter_map(|plan| by_id.get(&plan.decision).copied()).collect())
            }
        }
    }

    /// Tell whoever watches what changes in which file.
    fn show_edits(&self, work: &Work, gathered: &Gathered, edited: &[EditedDecision]) {
        let mut now: BTreeMap<&str, &[u8]> =
            gathered.files.iter().map(|(path, file)| (path.as_str(), &file.bytes[..])).collect();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for file in edited.iter().flat_map(|edited| &edited.files) {
            let before = now.insert(&file.path, &file.bytes).map(text).unwrap_or_default();
            let (path, after) = (file.path.clone(), text(&file.bytes));
            self.ports.progress.step(&Step::Edited { key: work.key.clone(), path, before, after, at: self.now() });
        }
    }
}

pub(crate) fn unknown(work: &Work) -> ReconcileError {
    ReconcileError::UnknownRepository { name: work.key.repository.to_string() }
}

/// The decisions that change files.
fn to_update(edited: &[EditedDecision]) -> Vec<Edited<'_>> {
    let update = |edited: &'_ EditedDecision| !edited.files.is_empty();
    let with_version = |edited| {
        let EditedDecision { decision, files }: &EditedDecision = edited;
        Some(Edited { decision, version: decision.version.as_ref()?, files: files.clone() })
    };
    edited.iter().filter(|edited| update(edited)).filter_map(with_version).collect()
}

/// What a person has to act on, as one line.
fn blocked(edited: &[EditedDecision]) -> Option<String> {
    let blocked = edited.iter().map(|edited| &edited.decision).filter(|decision| decision.outcome == Outcome::Blocked);
    let line = |decision: &Decision| {
        let reason = decision.reasons.first().map(ToString::to_string).unwrap_or_default();
        format!("{} in {}: {reason}", decision.entry, decision.environment)
    };
    let lines: Vec<String> = blocked.map(line).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}
