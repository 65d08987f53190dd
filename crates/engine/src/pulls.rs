//! Pull requests: what was read of them is kept in mind, and the steps of their life are carried out.
//!
//! Which steps, is decided in `tagboat-promotion`. Each step can be done twice: what is there already is taken for done.

mod act;
mod lag;
mod leftovers;
mod long;
mod memory;
mod own;
mod story;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future;
use tagboat_model::{BranchKey, BranchName, CommitId, DecisionId, Timestamp, shown};
use tagboat_ports::{
    BranchChange, BranchUpdate, Forge, NewCommit, NewFile, Push, PushOutcome, RepositoryErrorKind, Work,
};
use tagboat_promotion::{
    CommitPlan, FileChange,
    pull::{KnownPull, PullStep},
};

use crate::pulls::{act::Acted, leftovers::Leftovers};
pub(crate) use crate::pulls::{memory::PullMemory, own::Whose};
use crate::{ConfigRepository, Engine, ReconcileError, worker::unless_taken_over};

/// Requests to the forge that run at once: more would only meet its limits.
const AT_ONCE: usize = 4;

/// What the steps came to.
#[derive(Debug, Default)]
pub(crate) struct PullsDone {
    /// The pull requests that were opened, with the branch.
    pub(crate) opened: Vec<(BranchName, u64)>,
    /// When something may be done that it was too early for.
    pub(crate) later: Option<Timestamp>,
    /// Branches that stand elsewhere than they were seen: the next reconcile looks again.
    pub(crate) moved: bool,
    moved_heads: Vec<BranchName>,
    /// Whether something was merged, so that the base has moved.
    pub(crate) merged: bool,
    /// Whether something that people see of them was written.
    pub(crate) changed: bool,
    /// What a person has to act on.
    pub(crate) problems: Vec<String>,
    /// The first step that failed; all others were tried.
    pub(crate) error: Option<ReconcileError>,
    /// The pull requests of which a step failed; what comes after it was left.
    pub(crate) failed: BTreeSet<u64>,
    /// Those of them where trying again may help.
    pub(crate) unfinished: BTreeSet<u64>,
    /// Those whose branch stands elsewhere than it was seen, and was not built anew.
    pub(crate) unbuilt: BTreeSet<u64>,
    /// Whether the text of one could not be written: nothing else remembers what it is to offer.
    pub(crate) unwritten: bool,
}

/// A step that failed.
struct FailedStep {
    number: Option<u64>,
    /// Whether it was to write the text that says what is offered.
    is_text: bool,
    error: ReconcileError,
}

impl FailedStep {
    fn new(step: &PullStep, error: ReconcileError) -> Self {
        let is_text = matches!(step, PullStep::Open { .. } | PullStep::Edit { .. } | PullStep::Close { .. });
        Self { number: number_of(step), is_text, error }
    }
}

impl PullsDone {
    fn note(&mut self, FailedStep { number, is_text, error }: FailedStep) {
        if let Some(number) = number {
            self.failed.insert(number);
            if !error.needs_a_person() {
                self.unfinished.insert(number);
            }
        }
        self.unwritten |= is_text;
        self.error.get_or_insert(error);
    }
}

impl Engine {
    pub(crate) fn pull_memory(&self) -> std::sync::MutexGuard<'_, PullMemory> {
        self.pulls.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Carry out the steps: holds first; then what is closed, since a branch that goes away closes its pull request as if
    /// people had; then branches in one push; then all else that people see.
    pub(crate) async fn act_on_pulls(
        &self,
        work: &Work,
        config: &ConfigRepository,
        (base, pulls): (&CommitId, &[KnownPull]),
        steps: &[PullStep],
        times: &BTreeMap<DecisionId, Timestamp>,
    ) -> Result<PullsDone, ReconcileError> {
        let is_seen =
            |step: &PullStep| matches!(step, PullStep::Rebuild { .. } | PullStep::Edit { .. } | PullStep::Close { .. });
        let key = &work.key;
        self.refuse(work, steps).await?;
        let open = match &config.forge {
            Some(forge) => self.that_are_open(forge.as_ref(), pulls, steps).await?,
            None => steps.into(),
        };
        let moved = open.len() < steps.len();
        let steps = &open[..];
        let mut done = PullsDone { changed: steps.iter().any(is_seen), moved, ..PullsDone::default() };
        let (closing, others): (Vec<_>, Vec<_>) = by_pull_request(steps)
            .into_iter()
            .partition(|steps| steps.iter().any(|step| matches!(step, PullStep::Close { .. })));
        if let Some(forge) = &config.forge {
            self.act_on_each(work, forge.as_ref(), pulls, &closing, &mut done).await?;
        }
        let leftovers = self.leftovers(key, config, steps).await?;
        let updates = branches(base, steps, (&leftovers, &done.failed), times, self.now());
        let lost = match updates.is_empty() {
            true => Vec::new(),
            false => self.push_branches(key, config, updates, &mut done).await?,
        };
        let unbuilt = steps.iter().filter_map(|step| match step {
            PullStep::Rebuild { number, head, .. } if done.moved_heads.contains(head) => Some(*number),
            _ => None,
        });
        done.unbuilt = unbuilt.collect();
        // What has no branch as it is to be has nothing to say yet.
        let has_branch = |step: &&PullStep| match step {
            PullStep::Open { head, .. } => !lost.contains(head) && !leftovers.is_others(head),
            PullStep::Rebuild { head, .. } => !lost.contains(head),
            _ => true,
        };
        let ready: Vec<Vec<&PullStep>> = others.into_iter().filter(|steps| steps.iter().all(has_branch)).collect();
        done.problems.extend(leftovers.problems());
        if let Some(forge) = &config.forge {
            self.act_on_each(work, forge.as_ref(), pulls, &ready, &mut done).await?;
        }
        Ok(done)
    }

    /// Several pull requests at once, each with its steps in order. What fails is noted; the others go on, unless another worker
    /// has the branch now.
    async fn act_on_each(
        &self,
        work: &Work,
        forge: &dyn Forge,
        pulls: &[KnownPull],
        each: &[Vec<&PullStep>],
        done: &mut PullsDone,
    ) -> Result<(), ReconcileError> {
        let act = async |steps: &[&PullStep]| {
            let mut acted = Vec::new();
            for step in steps {
                match self.act_on_pull(work, forge, pulls, step).await {
                    Ok(came_to) => acted.push(came_to),
                    Err(error) => return (acted, Some(FailedStep::new(step, error))),
                }
            }
            (acted, None)
        };
        for part in each.chunks(AT_ONCE) {
            for (acted, failed) in future::join_all(part.iter().map(|steps| act(steps))).await {
                for came_to in acted {
                    match came_to {
                        Acted::Quiet => {}
                        Acted::Opened(head, number, problem) => {
                            done.opened.push((head, number));
                            done.problems.extend(problem);
                        }
                        Acted::Merged => done.merged = true,
                        Acted::Later(at) => done.later = Some(done.later.map_or(at, |earlier| earlier.min(at))),
                        Acted::Problem(text) => done.problems.push(text),
                    }
                }
                match failed {
                    Some(FailedStep { error: error @ ReconcileError::TakenOver, .. }) => return Err(error),
                    Some(failed) => done.note(failed),
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// Place the holds that follow from what people closed.
    async fn refuse(&self, work: &Work, steps: &[PullStep]) -> Result<(), ReconcileError> {
        for step in steps {
            if let PullStep::Refuse { holds } = step {
                unless_taken_over(self.ports.store.place_holds(work, holds, self.now()).await?)?;
            }
        }
        Ok(())
    }

    /// Move all branches in one push; one after the other where the server cannot, or says no to all for one of them. Returns
    /// those that are not as wanted.
    async fn push_branches(
        &self,
        key: &BranchKey,
        config: &ConfigRepository,
        branches: Vec<BranchUpdate>,
        done: &mut PullsDone,
    ) -> Result<Vec<BranchName>, ReconcileError> {
        let options = if config.forge.is_none() { config.push_options.clone() } else { Vec::new() };
        self.note_pushing(key, &branches).await?;
        let push = Push { updates: branches, options };
        let single = push.updates.len() == 1;
        match self.push(key, config, &push).await {
            Ok(PushOutcome::Landed(ids)) => {
                self.note_all(key, &push.updates, &ids).await?;
                return Ok(Vec::new());
            }
            Err(error) if single || error.kind != RepositoryErrorKind::Permanent => return Err(error.into()),
            Ok(outcome) if single => return Ok(lost(&push.updates, &outcome, done)),
            Ok(_) | Err(_) => {}
        }
        let mut all_lost = Vec::new();
        for update in push.updates {
            let one = Push { updates: vec![update], options: push.options.clone() };
            match self.push(key, config, &one).await? {
                PushOutcome::Landed(ids) => self.note_all(key, &one.updates, &ids).await?,
                outcome => all_lost.extend(lost(&one.updates, &outcome, done)),
            }
        }
        Ok(all_lost)
    }

    async fn note_all(
        &self,
        key: &BranchKey,
        updates: &[BranchUpdate],
        ids: &[Vec<CommitId>],
    ) -> Result<(), ReconcileError> {
        let heads = updates.iter().zip(ids);
        let heads = heads.filter_map(|(update, commits)| Some((update, commits.last()?)));
        self.note_pushed(key, heads).await
    }
}

/// The branches of a push that did not land.
fn lost(updates: &[BranchUpdate], outcome: &PushOutcome, done: &mut PullsDone) -> Vec<BranchName> {
    let branches: Vec<BranchName> = updates.iter().map(|update| update.branch.clone()).collect();
    match outcome {
        PushOutcome::Landed(_) => return Vec::new(),
        PushOutcome::Moved(_) => {
            done.moved = true;
            done.moved_heads.extend(branches.iter().cloned());
        }
        PushOutcome::Refused(detail) => {
            let names: Vec<&str> = branches.iter().map(BranchName::as_str).collect();
            done.problems.push(format!("the Git server refused {}: {}", names.join(", "), shown(detail)));
        }
    }
    branches
}

/// Steps by what they are about, in order: those of each pull request together, each new one for itself.
fn by_pull_request(steps: &[PullStep]) -> Vec<Vec<&PullStep>> {
    let mut found: Vec<(Option<u64>, Vec<&PullStep>)> = Vec::new();
    for step in steps {
        let number = number_of(step);
        match found.iter_mut().find(|(other, _)| number.is_some() && *other == number) {
            Some((_, steps)) => steps.push(step),
            None => found.push((number, vec![step])),
        }
    }
    found.into_iter().map(|(_, steps)| steps).collect()
}

/// The pull request that a step is about, where it is there already.
fn number_of(step: &PullStep) -> Option<u64> {
    match step {
        PullStep::Rebuild { number, .. }
        | PullStep::Edit { number, .. }
        | PullStep::Comment { number, .. }
        | PullStep::Close { number, .. }
        | PullStep::AutoMerge { number, .. }
        | PullStep::Merge { number, .. }
        | PullStep::Permit { number, .. } => Some(*number),
        PullStep::Open { .. } | PullStep::DeleteBranch { .. } | PullStep::Refuse { .. } | PullStep::Status { .. } => {
            None
        }
    }
}

/// What branches are to become: those of pull requests that are opened or built anew, and those that are over. A branch
/// that is over and needed again is replaced. One whose pull request could not be closed stays: were it deleted, the forge would
/// close the pull request as if people had.
fn branches(
    base: &CommitId,
    steps: &[PullStep],
    (leftovers, failed): (&Leftovers, &BTreeSet<u64>),
    times: &BTreeMap<DecisionId, Timestamp>,
    now: Timestamp,
) -> Vec<BranchUpdate> {
    let mut updates: BTreeMap<&BranchName, (Option<&CommitId>, Option<&CommitPlan>)> = BTreeMap::new();
    for step in steps {
        match step {
            PullStep::Open { head, commit, .. } if !leftovers.is_others(head) => {
                updates.insert(head, (leftovers.head(head), Some(commit)));
            }
            PullStep::Rebuild { head, old, commit, .. } => {
                updates.insert(head, (Some(old), Some(commit)));
            }
            PullStep::Close { number, .. } if failed.contains(number) => {}
            PullStep::Close { delete: Some((head, old)), .. } | PullStep::DeleteBranch { head, old } => {
                updates.entry(head).or_default().0 = Some(old);
            }
            _ => {}
        }
    }
    let update = |(head, (old, commit)): (&BranchName, (Option<&CommitId>, Option<&CommitPlan>))| {
        let change = match (commit, old) {
            (Some(commit), old) => BranchChange::Replace {
                old: old.cloned(),
                base: base.clone(),
                commits: new_commit(commit, times, now).into_iter().collect(),
            },
            (None, Some(old)) => BranchChange::Delete { old: old.clone() },
            (None, None) => return None,
        };
        Some(BranchUpdate { branch: head.clone(), change })
    };
    updates.into_iter().filter_map(update).collect()
}

/// A planned commit with the time of the first recording of its decision, so that a repetition makes the same.
pub(crate) fn new_commit(
    plan: &CommitPlan,
    times: &BTreeMap<DecisionId, Timestamp>,
    now: Timestamp,
) -> Option<NewCommit> {
    let decision = plan.decisions.first()?.clone();
    let time = times.get(&decision).copied().unwrap_or(now);
    let file = |file: &FileChange| NewFile { path: file.path.clone(), bytes: file.bytes.clone() };
    Some(NewCommit { time, message: plan.message.clone(), files: plan.files.iter().map(file).collect(), decision })
}
