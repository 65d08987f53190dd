//! Record: what was seen and chosen is written down before anything is done.

use std::collections::BTreeMap;

use tagboat_model::{
    Decision, DecisionId, EntryName, EnvironmentName, EventId, ImageName, Outcome, Reason, Timestamp, Version,
};
use tagboat_ports::{Recorded, Step, ToRecord, Work};
use tagboat_promotion::{
    CommitPlan, next_change, next_gate_change,
    pull::{Block, BlockChange, PullFacts, PullPlan, PullStep, Story, branch_of, plan},
};
use tagboat_settings::RepositorySettings;

use crate::{
    ConfigRepository, Engine, ReconcileError,
    edit::{EditedDecision, Files},
    gather::Gathered,
    history::{Put, put_by},
    lanes::{Lanes, id_of, is_offered},
    pulls::PullsDone,
    reconcile::unless_told,
    worker::unless_taken_over,
};

/// What is to be done about pull requests.
#[derive(Debug, Default)]
pub(crate) struct Proposed {
    pub(crate) plan: PullPlan,
    /// When something changes by itself.
    pub(crate) wake_at: Option<Timestamp>,
}

/// What was written down.
#[derive(Debug, Default)]
pub(crate) struct WrittenDown {
    /// When each decision was first recorded.
    pub(crate) times: BTreeMap<DecisionId, Timestamp>,
    /// As they were recorded.
    pub(crate) decisions: Vec<(DecisionId, Decision)>,
}

impl WrittenDown {
    /// The images of planned commits that were looked at completely.
    pub(crate) fn images_of(&self, commits: &[CommitPlan], gathered: &Gathered) -> Vec<ImageName> {
        let planned = planned(&self.decisions, commits).into_iter();
        planned.filter(|image| !gathered.looked.missed.contains(image)).collect()
    }

    /// The events that waited for a decision, with when each was accepted.
    pub(crate) fn answered(&self, id: &DecisionId, gathered: &Gathered) -> Vec<(EventId, Timestamp)> {
        let of = self.decisions.iter().find(|(known, _)| known == id);
        of.map(|(_, decision)| gathered.pending.about(&decision.image)).unwrap_or_default()
    }

    /// What commits that landed have put where.
    pub(crate) fn put(&self, commits: &[CommitPlan]) -> Vec<Put> {
        let of = |(id, decision): &(DecisionId, Decision)| {
            let what: (EnvironmentName, EntryName, Version) =
                (decision.environment.clone(), decision.entry.clone(), decision.version.clone()?);
            Some((id.clone(), what))
        };
        let known: BTreeMap<_, _> = self.decisions.iter().filter_map(of).collect();
        put_by(&known, commits.iter().flat_map(|commit| commit.decisions.iter().cloned()))
    }
}

fn planned(decisions: &[(DecisionId, Decision)], commits: &[CommitPlan]) -> Vec<ImageName> {
    let is_planned = |id: &DecisionId| commits.iter().any(|commit| commit.decisions.contains(id));
    decisions.iter().filter(|(id, _)| is_planned(id)).map(|(_, decision)| decision.image.clone()).collect()
}

impl Engine {
    /// What is to be done about pull requests into this branch.
    pub(crate) async fn propose_pulls(
        &self,
        work: &Work,
        config: &ConfigRepository,
        gathered: &Gathered,
        lanes: &Lanes<'_>,
        settings: &RepositorySettings,
    ) -> Result<Proposed, ReconcileError> {
        let decisions: Vec<Decision> = lanes.all().map(|edited| edited.decision.clone()).collect();
        let by_time =
            [next_change(&decisions, &gathered.situation.holds, gathered.facts.now), next_gate_change(&gathered.facts)];
        let by_time = by_time.into_iter().flatten().min();
        let Some((forge, view)) = config.forge.as_ref().zip(gathered.situation.forge.as_ref()) else {
            let plan = self.branches_without_forge(work, config, gathered, lanes).await?;
            return Ok(Proposed { plan, wake_at: by_time });
        };
        let mut stories: BTreeMap<(EnvironmentName, EntryName), Story> = BTreeMap::new();
        for edited in lanes.by_pull_request.iter().flat_map(|lane| &lane.edited) {
            if !edited.files.is_empty() {
                let story = self.story(work, config, gathered, &edited.decision).await?;
                stories.insert((edited.decision.environment.clone(), edited.decision.entry.clone()), story);
            }
        }
        let story = |decision: &Decision| {
            stories.get(&(decision.environment.clone(), decision.entry.clone())).cloned().unwrap_or_default()
        };
        let traits = forge.traits();
        let rebuild = [gathered.commanded.rebuild.as_slice(), &view.unsure, &revoked(gathered)].concat();
        let facts = PullFacts {
            now: self.now(),
            traits: &traits,
            bot: &view.bot,
            base: &work.key.branch,
            lanes: lanes
                .by_pull_request
                .iter()
                .map(|lane| lane.lane(&gathered.facts, &work.key.branch, &gathered.style, story))
                .collect(),
            pulls: &view.pulls,
            holds: &gathered.situation.holds,
            limits: settings.collaboration.limits,
            rebuild: &rebuild,
            merge: &gathered.commanded.merge,
        };
        let plan = plan(&facts);
        let wake_at = [by_time, plan.wake_at].into_iter().flatten().min();
        Ok(Proposed { plan, wake_at })
    }

    /// Without a forge a pull request is a branch: made where it is not, replaced where it says something else.
    async fn branches_without_forge(
        &self,
        work: &Work,
        config: &ConfigRepository,
        gathered: &Gathered,
        lanes: &Lanes<'_>,
    ) -> Result<PullPlan, ReconcileError> {
        let mut plan = PullPlan::default();
        if config.forge.is_some() {
            return Ok(plan);
        }
        for lane in &lanes.by_pull_request {
            let lane = lane.lane(&gathered.facts, &work.key.branch, &gathered.style, |_| Story::default());
            let Some(commit) = lane.commit else { continue };
            let head = branch_of(&lane.environment.name, &lane.group);
            let old = config.port.head(&head).await?;
            if let Some(old) = &old {
                let paths: Vec<String> = commit.files.iter().map(|file| file.path.clone()).collect();
                let there = config.port.read_at(old, &paths, tagboat_manifest::LARGEST_FILE).await?;
                if commit.files.iter().zip(&there).all(|(file, there)| there.as_ref() == Some(&file.bytes)) {
                    continue;
                }
            }
            plan.steps.push(PullStep::Open {
                head,
                old,
                commit,
                title: String::new(),
                body: String::new(),
                draft: false,
                decoration: tagboat_model::Decoration::default(),
            });
        }
        Ok(plan)
    }

    /// Remember what was read at registries.
    pub(crate) async fn observe(&self, work: &Work, gathered: &Gathered) -> Result<(), ReconcileError> {
        if !gathered.looked.learned.is_empty() {
            self.ports.store.observe(&work.key.tenant, &gathered.looked.learned, self.now()).await?;
        }
        Ok(())
    }

    /// Write down what was seen and chosen.
    pub(crate) async fn record(
        &self,
        work: &Work,
        gathered: &Gathered,
        lanes: &Lanes<'_>,
        commits: &[CommitPlan],
        proposed: &Proposed,
    ) -> Result<WrittenDown, ReconcileError> {
        let committed = lanes.by_commit.iter().filter_map(|edited| with_id(gathered, edited));
        let offered = lanes.by_pull_request.iter().flat_map(|lane| &lane.edited);
        let offered = offered.filter_map(|edited| with_id(gathered, edited)).map(|(id, decision)| {
            let decision = as_offered(decision, &proposed.plan);
            (id, decision)
        });
        let decisions: Vec<(DecisionId, Decision)> = committed.chain(offered).collect();
        let nothing_looked_at =
            gathered.looked.listed.is_empty() && gathered.looked.missed.is_empty() && !gathered.looked.was_due;
        if decisions.is_empty() && nothing_looked_at {
            return Ok(WrittenDown::default());
        }
        for (id, decision) in &decisions {
            let events = gathered.pending.about(&decision.image).into_iter().map(|(event, _)| event).collect();
            let decision = Box::new(decision.clone());
            let step = Step::Decided { key: work.key.clone(), id: id.clone(), decision, events, at: self.now() };
            self.ports.progress.step(&step);
        }
        // What is to be changed counts as looked at once it is changed: until then every try looks at it again, whoever
        // makes it and whatever became of the event or the moment that was the reason. What waits without an offer is
        // looked at again, too: nothing else remembers it.
        let mut open = planned(&decisions, commits);
        open.extend(decisions.iter().filter(|(_, it)| is_unremembered(it, gathered)).map(|(_, it)| it.image.clone()));
        let (mut listed, mut missed) = (gathered.looked.listed.clone(), gathered.looked.missed.clone());
        listed.retain(|image| !open.contains(image));
        missed.extend(open);
        let is_planned = |id: &DecisionId| commits.iter().any(|commit| commit.decisions.contains(id));
        let record = ToRecord {
            head: gathered.facts.head.clone(),
            at: gathered.facts.now,
            facts: gathered.facts.to_bytes().map_err(ReconcileError::Facts)?,
            decisions: decisions.iter().map(|(id, it)| (id.clone(), it.clone(), is_planned(id))).collect(),
            listed,
            missed,
            waiting: gathered.looked.waiting.clone(),
        };
        match self.ports.store.record(work, record).await? {
            Recorded::StaleFence => Err(ReconcileError::TakenOver),
            Recorded::At(times) => {
                let times = decisions.iter().map(|(id, _)| id.clone()).zip(times).collect();
                Ok(WrittenDown { times, decisions })
            }
        }
    }

    /// What is left once everything is done: answers, the bot's own ref, the dashboard, the offers' numbers.
    pub(crate) async fn conclude(
        &self,
        work: &Work,
        config: &ConfigRepository,
        gathered: &mut Gathered,
        recorded: &WrittenDown,
        done: &PullsDone,
    ) -> Result<(), ReconcileError> {
        let decisions: Vec<&Decision> = recorded.decisions.iter().map(|(_, decision)| decision).collect();
        let commanded = std::mem::take(&mut gathered.commanded);
        self.answer(work, config, commanded, &decisions, (&gathered.situation, done)).await?;
        self.end_holds(work, gathered, &decisions).await?;
        self.mirror_state(work, config).await?;
        let touched = &gathered.pending.touched.numbers;
        unless_told(self.report_on_pull_requests(work, config, touched).await)?;
        if done.error.is_none() && (!done.opened.is_empty() || done.merged || done.changed) {
            // What was opened is seen, and what was merged is followed, by the next look. What failed waits for its time.
            self.ports.store.wake(std::slice::from_ref(&work.key), self.now()).await?;
        }
        unless_told(self.show_dashboard(work, config, gathered, &decisions).await)
    }

    /// Release holds whose time is over or whose wish is fulfilled.
    async fn end_holds(&self, work: &Work, gathered: &Gathered, decisions: &[&Decision]) -> Result<(), ReconcileError> {
        let decisions: Vec<Decision> = decisions.iter().map(|decision| (*decision).clone()).collect();
        let ended = tagboat_promotion::ended(&gathered.situation.holds, &gathered.facts, &decisions);
        if !ended.is_empty() {
            let by = tagboat_model::Person::tagboat();
            unless_taken_over(self.ports.store.release_holds(work, &ended, &by, self.now()).await?)?;
        }
        Ok(())
    }

    /// Tell whoever watches what changes in which file.
    pub(crate) fn show_edits(&self, work: &Work, sources: &Files, edited: &[EditedDecision]) {
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

/// The pull requests of ours that bring what people took back upstream since: that somebody approved them keeps nothing.
fn revoked(gathered: &Gathered) -> Vec<u64> {
    let brings = |block: &Block| {
        let here = gathered.facts.environments.iter().find(|it| it.name == block.environment);
        let promotion = here.and_then(|here| here.promotion.as_ref());
        let is_taken_back = |from: &EnvironmentName, change: &BlockChange| {
            let ran = gathered.situation.ran_in(from, &change.entry);
            ran.iter().rev().find(|ran| ran.version == change.version).is_some_and(|ran| ran.taken_back)
        };
        promotion.is_some_and(|it| block.changes.iter().any(|change| is_taken_back(&it.from, change)))
    };
    let ours = gathered.situation.offers(&gathered.facts.key).filter(|(known, block)| !known.foreign && brings(block));
    ours.map(|(known, _)| known.pull.number).collect()
}

fn with_id(gathered: &Gathered, edited: &EditedDecision) -> Option<(DecisionId, Decision)> {
    Some((id_of(&gathered.facts, edited)?, edited.decision.clone()))
}

/// A decision that a pull request is to carry out, as people read it.
fn as_offered(mut decision: Decision, plan: &PullPlan) -> Decision {
    let about = |(environment, entry, _): &&(EnvironmentName, EntryName, Reason)| {
        *environment == decision.environment && *entry == decision.entry
    };
    let reasons: Vec<Reason> = plan.reasons.iter().filter(about).map(|(.., reason)| reason.clone()).collect();
    if decision.outcome == Outcome::Update {
        let held_back = reasons.iter().any(|reason| matches!(reason, Reason::LimitReached { .. }));
        decision.outcome = if held_back { Outcome::Waiting } else { Outcome::Offered };
    }
    decision.reasons.splice(0..0, reasons);
    decision
}

/// Whether a version was chosen by policy that nothing shows yet: no pull request, no upstream.
fn is_unremembered(decision: &Decision, gathered: &Gathered) -> bool {
    let here = gathered.facts.environments.iter().find(|it| it.name == decision.environment);
    let Some(here) = here.filter(|here| here.promotion.is_none()) else { return false };
    let mut environments = gathered.files.settings().environments.iter();
    let is_draft = environments.any(|it| it.name == here.name && it.pull_request.draft);
    let drafts = gathered.ways.drafts && here.by_pull_request && is_draft;
    // What is held is looked at again when the hold ends.
    let is_held = matches!(decision.reasons.first(), Some(Reason::Held { .. }));
    decision.outcome == Outcome::Waiting && !is_held && !is_offered(decision, drafts)
}
