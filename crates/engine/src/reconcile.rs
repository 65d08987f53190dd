//! The reconcile itself: gather, decide, edit, propose, act.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use futures_util::future;
use tagboat_manifest::LARGEST_FILE;
use tagboat_model::{CommitId, Decision, DecisionId, Duration, ImageName, Outcome};
use tagboat_ports::{Finish, PushOutcome, Recorded, Step, ToRecord, Work};
use tagboat_promotion::{CommitPlan, Edited, decide, decision_id, propose};
use tracing::{Instrument as _, debug_span};

use crate::{
    ConfigRepository, Engine, ReconcileError, chain,
    edit::{EditedDecision, Files, SourceFile, edit, to_change},
    gather::{Answers, Certain, Gathered},
};

/// Where an attempt begins.
enum Start {
    /// Where the branch was last, while it is read where it is.
    Anew,
    /// Where it was found a moment ago, when a push was lost; with what registries answered then.
    At(CommitId, Answers),
    /// Where it is, since it was elsewhere last time.
    Contested,
}

/// What an attempt came to.
enum Attempt {
    Done(Finish),
    /// The branch moved meanwhile; perhaps it is known where it was found.
    Moved(Option<CommitId>, Answers),
}

/// What a pursuit of the facts came to.
enum Pursued {
    /// With the newest head and what a person has to act on.
    Done(CommitId, Option<String>),
    Moved(Option<CommitId>),
}

/// For how long races are lost in a row before the work is put back for a while.
const LONGEST_RACE: Duration = Duration::from_seconds(60);
/// Races that are run without a pause.
const RACES_IN_A_ROW: u32 = 4;
/// Then somebody else may have their turn: up to this long at first, twice as long each time.
const FIRST_PAUSE: u64 = 16;
const LONGEST_PAUSE: u64 = 1024;

impl Engine {
    /// Bring one branch to what policies want.
    ///
    /// # Errors
    /// Why it did not come to its end; the work stays.
    pub async fn reconcile(&self, work: &Work) -> Result<Finish, ReconcileError> {
        let config = self.config_repository(work).ok_or_else(|| unknown(work))?;
        let (start, mut races, mut from) = (self.now(), 0, Start::Anew);
        loop {
            let (found, answers) = match self.attempt(work, config, from).await? {
                Attempt::Done(finish) => {
                    if races > 0 {
                        tracing::info!(branch = %work.key, races, "served after others were faster");
                    }
                    return Ok(finish);
                }
                Attempt::Moved(found, answers) => (found, answers),
            };
            races += 1;
            let lost = self.now().since(start);
            if lost >= LONGEST_RACE {
                return Err(ReconcileError::Races { times: races, lost });
            }
            // Most often the others are people, whom no pause lets pass: what was found is the newest there is. Now and
            // then it is another like this one.
            from = match found.filter(|_| races % RACES_IN_A_ROW != 0) {
                Some(found) => Start::At(found, answers),
                None => {
                    self.ports.clock.sleep_until(self.now().plus(pause(work, races / RACES_IN_A_ROW))).await;
                    Start::Contested
                }
            };
        }
    }

    /// The config repository that work is about.
    pub(crate) fn config_repository(&self, work: &Work) -> Option<&ConfigRepository> {
        self.repositories.get(&(work.key.tenant.clone(), work.key.repository.clone()))
    }

    /// One pass over the newest head.
    async fn attempt(&self, work: &Work, config: &ConfigRepository, start: Start) -> Result<Attempt, ReconcileError> {
        let sweeping = work.swept_at.is_none_or(|swept| self.now().since(swept) >= self.behaviour.sweep);
        let Some((head, gathered)) = self.head_and_facts(work, config, sweeping, start).await? else {
            return self.without_branch(work, config).await.map(Attempt::Done);
        };
        let outcome = self.pursue(work, config, &head, &gathered).await;
        // Whatever became of it: what was read stays read, and what we changed is read now rather than when time matters.
        let newest = match &outcome {
            Ok(Pursued::Done(newest, _)) => newest,
            _ => &head,
        };
        if let Err(error) = self.keep_files(config, &work.key, newest, gathered.files).await {
            // It is a cache: it decides neither what became of this nor what comes next.
            tracing::warn!(branch = %work.key, error = %chain(&error), "what was read could not be kept; it will be read again");
        }
        let (newest, problem) = match outcome? {
            Pursued::Done(newest, problem) => (newest, problem),
            Pursued::Moved(found) => return Ok(Attempt::Moved(found, gathered.answers)),
        };
        match gathered.unavailable {
            Some(error) => Err(ReconcileError::Registry { error, swept: sweeping }),
            None => Ok(Attempt::Done(Finish::Served { head: Some(newest), swept: sweeping, problem })),
        }
    }

    /// Decide, edit, propose, act.
    async fn pursue(
        &self,
        work: &Work,
        config: &ConfigRepository,
        head: &CommitId,
        gathered: &Gathered,
    ) -> Result<Pursued, ReconcileError> {
        let decisions = decide(&gathered.facts);
        let sources = self.sources(config, head, gathered, &decisions).await?;
        let edited = debug_span!("edit").in_scope(|| edit(&gathered.facts, &sources, decisions));
        let plans = propose(&gathered.facts, &to_update(&edited), &gathered.style);
        // Written together: one wait for the disk.
        let recording = self.record(work, gathered, &edited, &plans);
        let written = future::try_join(self.observe(work, gathered), recording).instrument(debug_span!("record"));
        let ((), times) = written.await?;

        let mut newest = head.clone();
        if !plans.is_empty() {
            self.show_edits(work, &sources, &edited);
            let listed = planned_images(&edited, &plans, gathered);
            let listed: Vec<ImageName> = listed.into_iter().filter(|image| !gathered.missed.contains(image)).collect();
            let acting = self.act(&work.key, config, head, (&plans, &times), &listed);
            match acting.instrument(debug_span!("act")).await? {
                PushOutcome::Landed(ids) => newest = ids.into_iter().flatten().next_back().unwrap_or(newest),
                PushOutcome::Moved(found) => return Ok(Pursued::Moved(found)),
                PushOutcome::Refused(detail) => return Err(ReconcileError::Refused { detail }),
            }
        }
        Ok(Pursued::Done(newest, blocked(&edited)))
    }

    /// The head, read now, and the facts there; nothing when there is no such branch.
    ///
    /// The head is read while facts are gathered where it was last: most of the time it is still there.
    async fn head_and_facts(
        &self,
        work: &Work,
        config: &ConfigRepository,
        sweeping: bool,
        start: Start,
    ) -> Result<Option<(CommitId, Gathered)>, ReconcileError> {
        let branch = &work.key.branch;
        let known = match start {
            Start::Anew if !sweeping => config.port.known_head(branch).await?,
            _ => None,
        };
        let mut answers = Answers::new();
        let (head, early) = match (&known, start) {
            (None, Start::At(found, before)) => {
                answers = before;
                (Some(found), None)
            }
            (None, Start::Contested) => (config.port.head_to_push(branch).await?, None),
            // Asking every registry twice helps nobody.
            (None, Start::Anew) => (config.port.head(branch).await?, None),
            (Some(known), _) => {
                let reading = config.port.head_to_push(branch).instrument(debug_span!("head"));
                let gathering = self.gather(work, config, known, sweeping, Certain::NotYet, Answers::new());
                let gathering = gathering.instrument(debug_span!("gather"));
                let (head, early) = future::join(reading, gathering).await;
                (head?, Some(early))
            }
        };
        let Some(head) = head else { return Ok(None) };
        let attributed = self.settle_earlier(&work.key, config, &head).await?;
        match early {
            Some(Ok(Some(early))) if known.as_ref() == Some(&head) && !attributed => {
                self.know_other_branches(work, config, early.files.settings()).await?;
                return Ok(Some((head, early)));
            }
            Some(Err(error)) if known.as_ref() == Some(&head) => return Err(error),
            Some(Ok(Some(early))) => {
                // Only what differs is read again.
                self.observe(work, &early).await?;
                self.put_back(&work.key, early.files);
                answers = early.answers;
            }
            _ => {}
        }
        if attributed {
            // Whether an image was built from a commit of ours may be another answer now.
            answers.clear();
        }
        let gathering = self.gather(work, config, &head, sweeping, Certain::Yes, answers);
        let gathered = gathering.instrument(debug_span!("gather again")).await?;
        gathered.map(|gathered| Some((head, gathered))).ok_or(ReconcileError::TakenOver)
    }

    /// The files that decisions change, as they are at `head`.
    pub(crate) async fn sources(
        &self,
        config: &ConfigRepository,
        head: &CommitId,
        gathered: &Gathered,
        decisions: &[Decision],
    ) -> Result<Files, ReconcileError> {
        let paths = to_change(&gathered.facts, decisions);
        if paths.is_empty() {
            return Ok(Files::new());
        }
        let read = config.port.read_to_edit(head, &paths, LARGEST_FILE).instrument(debug_span!("read")).await?;
        let source = |path: &str, bytes| SourceFile { bytes, claims: gathered.files.claims(path) };
        Ok(paths
            .into_iter()
            .zip(read)
            .map(|(path, it)| {
                let it = it.map(|bytes| source(&path, bytes));
                (path, it)
            })
            .collect())
    }

    /// A branch that is not there is an error, unless nothing asks for it any more.
    async fn without_branch(&self, work: &Work, config: &ConfigRepository) -> Result<Finish, ReconcileError> {
        if work.key.branch != config.branch && !self.is_named(config, &work.key).await? {
            self.ports.store.set_interests(work, &[]).await?;
            return Ok(Finish::Served { head: None, swept: true, problem: None });
        }
        Err(ReconcileError::NoBranch { branch: work.key.branch.to_string() })
    }

    /// Remember what was read at registries.
    async fn observe(&self, work: &Work, gathered: &Gathered) -> Result<(), ReconcileError> {
        if !gathered.learned.is_empty() {
            self.ports.store.observe(&work.key.tenant, &gathered.learned, self.now()).await?;
        }
        Ok(())
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
        // What is to be changed counts as looked at once it is changed: until then every try looks at it again, whoever
        // makes it and whatever became of the event or the moment that was the reason.
        let open = planned_images(edited, plans, gathered);
        let (mut listed, mut missed) = (gathered.listed.clone(), gathered.missed.clone());
        listed.retain(|image| !open.contains(image));
        missed.extend(open);
        let record = ToRecord {
            head: gathered.facts.head.clone(),
            at: gathered.facts.now,
            facts: gathered.facts.to_bytes().map_err(ReconcileError::Facts)?,
            decisions: decisions.clone(),
            listed,
            missed,
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
    fn show_edits(&self, work: &Work, sources: &Files, edited: &[EditedDecision]) {
        let readable = sources.iter().filter_map(|(path, file)| Some((path.as_str(), file.as_ref().ok()?)));
        let mut now: BTreeMap<&str, &[u8]> = readable.map(|(path, file)| (path, &file.bytes[..])).collect();
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

/// A while that differs from worker to worker, without chance: whoever holds the lease has a fence of its own.
fn pause(work: &Work, races: u32) -> Duration {
    let mut hasher = DefaultHasher::new();
    (work.key.to_string(), work.fence, races).hash(&mut hasher);
    let longest = FIRST_PAUSE.saturating_mul(1_u64.checked_shl(races.saturating_sub(1)).unwrap_or(u64::MAX));
    Duration::from_milliseconds(hasher.finish() % longest.min(LONGEST_PAUSE))
}

/// The images of planned commits.
fn planned_images(edited: &[EditedDecision], plans: &[CommitPlan], gathered: &Gathered) -> Vec<ImageName> {
    let planned = |decision: &&Decision| {
        let id = decision_id(&gathered.facts, decision);
        plans.iter().any(|plan| Some(&plan.decision) == id.as_ref())
    };
    edited.iter().map(|edited| &edited.decision).filter(planned).map(|decision| decision.image.clone()).collect()
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
