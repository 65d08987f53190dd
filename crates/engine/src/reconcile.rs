//! The reconcile itself: gather, decide, edit, propose, act.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use futures_util::future;
use tagboat_manifest::LARGEST_FILE;
use tagboat_model::{CommitId, Decision, DecisionId, Duration, Outcome, Timestamp};
use tagboat_ports::{Finish, PushOutcome, Work};
use tagboat_promotion::decide;
use tracing::{Instrument as _, debug_span};

use crate::{
    ConfigRepository, Engine, ReconcileError, chain,
    edit::{Files, SourceFile, to_change},
    gather::{Answers, Certain, Gathered, here},
    lanes::{Lanes, lanes},
    pending::Pending,
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
    Done {
        newest: CommitId,
        /// What a person has to act on.
        problem: Option<String>,
        wake_at: Option<Timestamp>,
        /// What failed at the forge after all else was done; with whether what it was to show is remembered.
        failed: Option<(ReconcileError, bool)>,
    },
    Moved(Option<CommitId>),
}

/// For how long races are lost in a row before the work is put back for a while.
const LONGEST_RACE: Duration = Duration::from_seconds(60);
/// How long a branch of a pull request that was elsewhere is left alone.
const WHILE_LISTINGS_LAG: Duration = Duration::from_seconds(3);
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
        let config = config.as_ref();
        self.restore_state(work, config).await?;
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

    /// One pass over the newest head.
    async fn attempt(&self, work: &Work, config: &ConfigRepository, start: Start) -> Result<Attempt, ReconcileError> {
        let sweeping = work.swept_at.is_none_or(|swept| self.now().since(swept) >= self.behaviour.sweep);
        let (head, mut gathered) = match self.head_and_facts(work, config, sweeping, start).await {
            Ok(Some(found)) => found,
            Ok(None) => return self.without_branch(work, config).await.map(Attempt::Done),
            Err(error) => return self.without_settings(work, config, error).await.map(Attempt::Done),
        };
        unless_told(self.report_configuration(work, config, &head, None).await)?;
        let outcome = self.pursue(work, config, &head, &mut gathered).await;
        // Whatever became of it: what was read stays read, and what we changed is read now rather than when time matters.
        let newest = match &outcome {
            Ok(Pursued::Done { newest, .. }) => newest.clone(),
            _ => head.clone(),
        };
        if let Err(error) = self.keep_files(config, &work.key, &newest, gathered.files).await {
            // It is a cache: it decides neither what became of this nor what comes next.
            tracing::warn!(branch = %work.key, error = %chain(&error), "what was read could not be kept; it will be read again");
        }
        let (newest, problem, wake_at) = match outcome? {
            Pursued::Done { failed: Some((error, remembered)), .. } => {
                let swept = sweeping && remembered && gathered.looked.unavailable.is_none();
                return Err(ReconcileError::AtForge { error: Box::new(error), swept });
            }
            Pursued::Done { newest, problem, wake_at, failed: None } => (newest, problem, wake_at),
            Pursued::Moved(found) => return Ok(Attempt::Moved(found, gathered.looked.answers)),
        };
        match gathered.looked.unavailable {
            Some(error) => Err(ReconcileError::Registry { error: Box::new(error), swept: sweeping }),
            None => Ok(Attempt::Done(Finish::Served { head: Some(newest), swept: sweeping, problem, wake_at })),
        }
    }

    /// Decide, edit, propose, act.
    async fn pursue(
        &self,
        work: &Work,
        config: &ConfigRepository,
        head: &CommitId,
        gathered: &mut Gathered,
    ) -> Result<Pursued, ReconcileError> {
        self.hold_what_was_taken_back(work, config, gathered).await?;
        let decisions = decide(&gathered.facts);
        let sources = self.sources(config, head, gathered, &decisions).await?;
        let governing = gathered.files.governing();
        let environments = here(config, &work.key, &governing.settings);
        let edited = || lanes(&gathered.facts, &environments, &gathered.ways, &sources, decisions);
        let mut lanes = debug_span!("edit").in_scope(edited);
        let offers = gathered.situation.offers(&work.key).map(|(_, block)| block.clone());
        lanes.add_offered(offers, &environments, &gathered.entries, &gathered.ways);
        let commits = lanes.commits(&gathered.facts, &environments, &gathered.style);
        let proposed = self.propose_pulls(work, config, gathered, &lanes, &governing.settings).await?;
        // Written together: one wait for the disk.
        let recording = self.record(work, gathered, &lanes, &commits, &proposed);
        let written = future::try_join(self.observe(work, gathered), recording).instrument(debug_span!("record"));
        let ((), recorded) = written.await?;

        let mut landed = Vec::new();
        if !commits.is_empty() {
            self.show_edits(work, &sources, &lanes.by_commit);
            let acting = self.act(&work.key, config, head, (&commits, &recorded.times));
            match acting.instrument(debug_span!("act")).await? {
                PushOutcome::Landed(ids) => landed = ids.into_iter().flatten().collect(),
                PushOutcome::Moved(found) => return Ok(Pursued::Moved(found)),
                PushOutcome::Refused(detail) => return self.refused(work, config, gathered, detail).await,
            }
        }
        // Before anything else can fail: what is not written down as ours counts as others'.
        let newest = landed.last().unwrap_or(head).clone();
        let put = if landed.is_empty() { Vec::new() } else { recorded.put(&commits) };
        self.note_what_runs(work, config, &newest, gathered, &put).await?;
        let answered = |id: &DecisionId| recorded.answered(id, gathered);
        self.settle(&work.key, (&commits, &landed), recorded.images_of(&commits, gathered), answered).await?;
        let pulls = gathered.situation.forge.as_ref().map(|view| view.pulls.clone()).unwrap_or_default();
        let done = self.act_on_pulls(work, config, (head, &pulls), &proposed.plan.steps, &recorded.times);
        let done = done.instrument(debug_span!("pull requests")).await?;
        self.conclude(work, config, gathered, &recorded, &done).await?;
        let problem = problems(blocked(&lanes), &done.problems);
        // A branch of a pull request stands elsewhere than was seen: a listing lags behind, which haste does not help.
        let soon = done.moved.then(|| self.now().plus(WHILE_LISTINGS_LAG));
        let wake_at = [proposed.wake_at, soon, done.later].into_iter().flatten().min();
        let failed = done.error.map(|error| (error, !done.unwritten));
        Ok(Pursued::Done { newest, problem, wake_at, failed })
    }

    /// The server does not take commits to this branch. Where there is a forge, they go by pull request from now on.
    async fn refused(
        &self,
        work: &Work,
        config: &ConfigRepository,
        gathered: &Gathered,
        detail: String,
    ) -> Result<Pursued, ReconcileError> {
        if config.forge.is_none() || gathered.ways.protected.is_some() {
            return Err(ReconcileError::Refused { detail });
        }
        tracing::info!(branch = %work.key, %detail, "the server refuses commits to this branch; pull requests are opened instead");
        self.note_protected(&work.key, &detail).await?;
        Ok(Pursued::Moved(None))
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
        let attributed = self.settle_earlier(work, config, &head).await?;
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
                answers = early.looked.answers;
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

    /// Where the repository file cannot be used, people are told where it is; where there is none, one may be proposed.
    async fn without_settings(
        &self,
        work: &Work,
        config: &ConfigRepository,
        error: ReconcileError,
    ) -> Result<Finish, ReconcileError> {
        if work.key.branch != config.branch {
            return Err(error);
        }
        let Some(head) = config.port.head(&config.branch).await? else { return Err(error) };
        match &error {
            ReconcileError::NoRepositoryFile { .. } => {
                let Some(problem) = self.onboard(work, config, &head).await? else { return Err(error) };
                // The check of the proposed file says what it would do.
                unless_told(self.report_on_pull_requests(work, config, &self.touched(work).await?).await)?;
                Ok(Finish::Served { head: Some(head), swept: true, problem: Some(problem), wake_at: None })
            }
            ReconcileError::Configuration(problem) => {
                unless_told(self.report_configuration(work, config, &head, Some(problem)).await)?;
                // Who mends it in a pull request wants to know whether it is mended there.
                unless_told(self.report_on_pull_requests(work, config, &self.touched(work).await?).await)?;
                Err(error)
            }
            _ => Err(error),
        }
    }

    /// The pull requests that events speak of.
    async fn touched(&self, work: &Work) -> Result<BTreeSet<u64>, ReconcileError> {
        Ok(Pending::of(&*self.ports.store, work).await?.touched.numbers)
    }

    /// A branch that is not there is an error, unless nothing asks for it any more.
    async fn without_branch(&self, work: &Work, config: &ConfigRepository) -> Result<Finish, ReconcileError> {
        if work.key.branch != config.branch && !self.is_named(config, &work.key).await? {
            self.ports.store.set_interests(work, &[]).await?;
            return Ok(Finish::Served { head: None, swept: true, problem: None, wake_at: None });
        }
        Err(ReconcileError::NoBranch { branch: work.key.branch.to_string() })
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

/// What a person has to act on, as one line.
fn blocked(lanes: &Lanes<'_>) -> Option<String> {
    let blocked = lanes.all().map(|edited| &edited.decision).filter(|decision| decision.outcome == Outcome::Blocked);
    let line = |decision: &Decision| {
        let reason = decision.reasons.first().map(ToString::to_string).unwrap_or_default();
        format!("{} in {}: {reason}", decision.entry, decision.environment)
    };
    let lines: Vec<String> = blocked.map(line).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

fn problems(blocked: Option<String>, others: &[String]) -> Option<String> {
    let all: Vec<String> = blocked.into_iter().chain(others.iter().cloned()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// What people are told beside the work itself is no reason for that to fail: a forge that does not take it is written to the log.
pub(crate) fn unless_told(told: Result<(), ReconcileError>) -> Result<(), ReconcileError> {
    match told {
        Err(ReconcileError::Forge(error)) => {
            tracing::warn!(error = %chain(&error), "people could not be told");
            Ok(())
        }
        other => other,
    }
}
