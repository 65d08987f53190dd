//! Lanes: which decisions change together, and by which way they reach their branch. Pure.
//!
//! Commits stand on one another, so a file that several change contains the changes of those before. Pull requests stand
//! each on the head of their base, so each is computed from the files as they are there.

use std::collections::BTreeMap;

use tagboat_model::{BranchName, Decision, EntryName, EnvironmentName, GroupName, Outcome, Reason, Reference};
use tagboat_promotion::{
    CommitPlan, CommitStyle, Delivery, Edited, Environment, Facts, ImageFacts, decision_id, lane_commit, propose,
    pull::{Block, BlockChange, Lane, LaneChange, Story},
};

use crate::edit::{EditedDecision, Files, ToEdit, edit};

/// The ways that environments are delivered in this reconcile.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    /// Why direct commits are refused, where they are: everything goes by pull request then.
    pub(crate) protected: Option<String>,
    /// Whether pull requests can be drafts.
    pub(crate) drafts: bool,
}

impl Ways {
    pub(crate) fn by_pull_request(&self, environment: &Environment) -> bool {
        self.protected.is_some() || environment.deliver == Delivery::PullRequest
    }
}

/// All decisions of a reconcile, edited, by lane.
pub(crate) struct Lanes<'s> {
    /// Those that are delivered by commit, in the order of their commits.
    pub(crate) by_commit: Vec<EditedDecision>,
    /// Those that are delivered by pull request.
    pub(crate) by_pull_request: Vec<EditedLane<'s>>,
}

/// The decisions of one environment and group.
pub(crate) struct EditedLane<'s> {
    pub(crate) environment: &'s Environment,
    pub(crate) group: GroupName,
    pub(crate) edited: Vec<EditedDecision>,
}

/// Sort decisions into lanes and edit the files of each.
pub(crate) fn lanes<'s>(
    facts: &Facts,
    environments: &[&'s Environment],
    ways: &Ways,
    files: &Files,
    decisions: Vec<Decision>,
) -> Lanes<'s> {
    let images = facts.environments.iter().flat_map(|environment| &environment.images);
    let mut by_commit: Vec<(usize, GroupName, &ImageFacts, Decision)> = Vec::new();
    let mut by_pull_request: BTreeMap<(usize, GroupName), Vec<(&ImageFacts, Decision)>> = BTreeMap::new();
    for (image, decision) in images.zip(decisions) {
        let place = environments.iter().position(|environment| environment.name == decision.environment);
        let Some((place, environment)) = place.and_then(|place| Some((place, *environments.get(place)?))) else {
            continue;
        };
        let group = environment.group.group_of(&decision.entry);
        let mut decision = decision;
        if let (Some(detail), Delivery::Commit, Outcome::Update) =
            (&ways.protected, environment.deliver, decision.outcome)
        {
            decision.reasons.push(Reason::Protected { detail: detail.clone() });
        }
        match ways.by_pull_request(environment) {
            true => by_pull_request.entry((place, group)).or_default().push((image, decision)),
            false => by_commit.push((place, group, image, decision)),
        }
    }
    // Who changes together stands together, where the first of them stands.
    let mut first: BTreeMap<(usize, GroupName), usize> = BTreeMap::new();
    for (index, (place, group, ..)) in by_commit.iter().enumerate() {
        first.entry((*place, group.clone())).or_insert(index);
    }
    by_commit.sort_by_key(|(place, group, ..)| first.get(&(*place, group.clone())).copied());
    let by_commit = by_commit.into_iter().map(|(_, _, image, decision)| to_edit_with(image, decision, false)).collect();
    let edited_lane = |((place, group), decided): ((usize, GroupName), Vec<(&ImageFacts, Decision)>)| {
        let environment = *environments.get(place)?;
        let drafts = ways.drafts && environment.pull_request.draft;
        let decided = decided.into_iter().map(|(image, decision)| to_edit_with(image, decision, drafts)).collect();
        Some(EditedLane { environment, group, edited: edit(files, decided) })
    };
    Lanes {
        by_commit: edit(files, by_commit),
        by_pull_request: by_pull_request.into_iter().filter_map(edited_lane).collect(),
    }
}

impl<'s> Lanes<'s> {
    /// Add what open pull requests are about and nothing was decided for: lanes with nothing in them, and entries that are no
    /// longer configured, for which nothing is wanted any more.
    pub(crate) fn add_offered(
        &mut self,
        offers: impl Iterator<Item = Block>,
        environments: &[&'s Environment],
        entries: &[EntryName],
        ways: &Ways,
    ) {
        for block in offers {
            let environment = environments.iter().find(|environment| environment.name == block.environment);
            let Some(environment) = environment.filter(|environment| ways.by_pull_request(environment)) else {
                continue;
            };
            let is_there = |change: &BlockChange| entries.contains(&change.entry);
            let (known, gone): (Vec<BlockChange>, Vec<BlockChange>) = block.changes.into_iter().partition(is_there);
            let is_of_group = |change: &BlockChange| environment.group.group_of(&change.entry) == block.group;
            let place = self
                .by_pull_request
                .iter()
                .position(|lane| lane.environment.name == environment.name && lane.group == block.group);
            if place.is_none() && !known.iter().any(is_of_group) {
                continue;
            }
            let place = place.unwrap_or_else(|| {
                let lane = EditedLane { environment, group: block.group.clone(), edited: Vec::new() };
                self.by_pull_request.push(lane);
                self.by_pull_request.len() - 1
            });
            if let Some(lane) = self.by_pull_request.get_mut(place) {
                lane.edited.extend(gone.into_iter().map(|change| no_longer(environment, change)));
            }
        }
    }
}

/// Nothing is wanted for an entry that is not configured any more.
fn no_longer(environment: &Environment, change: BlockChange) -> EditedDecision {
    let decision = Decision {
        environment: environment.name.clone(),
        entry: change.entry,
        image: change.image.clone(),
        current: Vec::new(),
        outcome: Outcome::Nothing,
        version: None,
        reasons: vec![Reason::NoReference { image: change.image }],
        gates: Vec::new(),
    };
    EditedDecision { decision, files: Vec::new() }
}

fn to_edit_with(image: &ImageFacts, decision: Decision, drafts: bool) -> ToEdit<'_> {
    ToEdit { wanted: is_offered(&decision, drafts), image, decision }
}

/// Whether files are to be changed for a decision: also while gates wait, if that is shown as a draft.
pub(crate) fn is_offered(decision: &Decision, drafts: bool) -> bool {
    let waits_for_gates = || matches!(decision.reasons.first(), Some(Reason::GatesWait { .. }));
    match decision.outcome {
        Outcome::Update => true,
        Outcome::Waiting => drafts && waits_for_gates(),
        Outcome::Offered | Outcome::Nothing | Outcome::Blocked => false,
    }
}

impl Lanes<'_> {
    /// Every decision.
    pub(crate) fn all(&self) -> impl Iterator<Item = &EditedDecision> {
        self.by_commit.iter().chain(self.by_pull_request.iter().flat_map(|lane| &lane.edited))
    }

    /// The commits to put on the branch.
    pub(crate) fn commits(&self, facts: &Facts, environments: &[&Environment], style: &CommitStyle) -> Vec<CommitPlan> {
        let group = |name: &EnvironmentName, entry: &_| {
            let environment = environments.iter().find(|environment| environment.name == *name);
            environment.map_or_else(Default::default, |environment| environment.group.clone()).group_of(entry)
        };
        propose(facts, &to_update(&self.by_commit), style, &group)
    }
}

impl EditedLane<'_> {
    /// As the life of pull requests needs it. `story` tells where a version comes from.
    pub(crate) fn lane<'l>(
        &'l self,
        facts: &Facts,
        base: &BranchName,
        style: &CommitStyle,
        story: impl Fn(&Decision) -> Story,
    ) -> Lane<'l> {
        let updates = to_update(&self.edited);
        let change = |update: &Edited<'l>| LaneChange {
            decision: update.decision,
            version: update.version,
            references: to_edit(facts, update.decision),
            story: story(update.decision),
        };
        Lane {
            environment: self.environment,
            group: self.group.clone(),
            base: base.clone(),
            decisions: self.edited.iter().map(|edited| &edited.decision).collect(),
            changes: updates.iter().map(change).collect(),
            commit: lane_commit(facts, &updates, style),
        }
    }
}

/// The decisions that change files.
fn to_update(edited: &[EditedDecision]) -> Vec<Edited<'_>> {
    let with_version = |edited| {
        let EditedDecision { decision, files }: &EditedDecision = edited;
        Some(Edited { decision, version: decision.version.as_ref()?, files: files.clone() })
    };
    edited.iter().filter(|edited| !edited.files.is_empty()).filter_map(with_version).collect()
}

/// The references that a decision changes.
fn to_edit(facts: &Facts, decision: &Decision) -> Vec<Reference> {
    let environments = facts.environments.iter().filter(|environment| environment.name == decision.environment);
    let image = environments.flat_map(|it| &it.images).find(|image| image.entry == decision.entry);
    let (Some(image), Some(version)) = (image, &decision.version) else { return Vec::new() };
    image.references.iter().filter(|reference| !reference.carries(version, image.pin)).cloned().collect()
}

/// The id of an edited decision.
pub(crate) fn id_of(facts: &Facts, edited: &EditedDecision) -> Option<tagboat_model::DecisionId> {
    decision_id(facts, &edited.decision)
}
