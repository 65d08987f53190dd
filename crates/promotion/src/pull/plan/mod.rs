//! The state machine of pull requests: what is wanted and what is there become steps.
//!
//! Level-triggered: it looks at how things are and never at what happened, so a step that was lost is found again, and what
//! was done is not done twice. Two kinds of steps come again until they show: a comment, which whoever makes it makes once for
//! each mark, and what is asked of a new head, which the round that makes the head does not know yet.
//!
//! A pull request is known by its branch and what it goes into. Of one with people's commits, no more is changed than that
//! the forge does not merge it by itself.

mod gates;
mod keep;
mod moot;
mod open;
mod over;
mod write;

use tagboat_model::{EntryName, EnvironmentName, PullState, Reason, Timestamp, Version, shown};

use super::{Block, BlockChange, KnownPull, Lane, PullFacts, PullPlan, PullStep, branch_of, text};

pub use gates::is_approved;
pub use keep::is_stuck;

/// The label with which people stop Tagboat from touching a pull request.
pub const STOP_LABEL: &str = "stop-updating";

/// What is to be done with the pull requests into one branch: first what ends, then what goes on, then what begins.
#[must_use]
pub fn plan(facts: &PullFacts<'_>) -> PullPlan {
    let mut round = Round::new(facts);
    let mut pulls: Vec<&KnownPull> = facts.pulls.iter().collect();
    pulls.sort_by_key(|known| known.pull.number);
    for known in &pulls {
        over::finish(&mut round, known);
        orphan(&mut round, known);
    }
    let mut vacant = Vec::new();
    for lane in &facts.lanes {
        if !occupied(&mut round, lane, &pulls) {
            vacant.push(lane);
        }
    }
    open::open(&mut round, &vacant);
    let mut steps = round.ends;
    steps.append(&mut round.goes_on);
    steps.append(&mut round.begins);
    PullPlan { steps, reasons: round.reasons, wake_at: round.wake_at }
}

/// What one round has come to so far.
pub(crate) struct Round<'r, 'p> {
    pub(crate) facts: &'r PullFacts<'p>,
    pub(crate) ends: Vec<PullStep>,
    pub(crate) goes_on: Vec<PullStep>,
    pub(crate) begins: Vec<PullStep>,
    pub(crate) reasons: Vec<(EnvironmentName, EntryName, Reason)>,
    pub(crate) wake_at: Option<Timestamp>,
    /// What people refused by closing a pull request; decisions do not know it yet.
    pub(crate) refused: Vec<(EnvironmentName, EntryName, Version)>,
    /// How many open pull requests are closed.
    pub(crate) closed: usize,
}

impl<'r, 'p> Round<'r, 'p> {
    fn new(facts: &'r PullFacts<'p>) -> Self {
        Self {
            facts,
            ends: Vec::new(),
            goes_on: Vec::new(),
            begins: Vec::new(),
            reasons: Vec::new(),
            wake_at: None,
            refused: Vec::new(),
            closed: 0,
        }
    }

    /// Say the same of all that a lane changes.
    pub(crate) fn explain(&mut self, lane: &Lane<'_>, reason: impl Fn(&Version) -> Reason) {
        for change in &lane.changes {
            let of = (lane.environment.name.clone(), change.decision.entry.clone(), reason(change.version));
            self.reasons.push(of);
        }
    }

    /// Whether another open pull request has the same branch.
    pub(crate) fn is_shared(&self, known: &KnownPull) -> bool {
        let pull = &known.pull;
        let others = self.facts.pulls.iter().map(|other| &other.pull);
        let mut same = others.filter(|other| other.head == pull.head && other.number != pull.number);
        same.any(|other| other.state == PullState::Open)
    }

    /// Close a pull request, or say that it could be where people's commits would be lost.
    pub(crate) fn end(&mut self, known: &KnownPull, block: &Block, why: &str, over_commits: bool) {
        let pull = &known.pull;
        if pull.labels.iter().any(|label| label == STOP_LABEL) {
            return;
        }
        if known.foreign && !over_commits {
            let body = text::moot_comment(why);
            self.goes_on.push(PullStep::Comment { number: pull.number, mark: "moot".to_owned(), body });
            return;
        }
        let delete = (!self.is_shared(known)).then(|| (pull.head.clone(), pull.head_commit.clone()));
        let (title, body) = write::closed(pull, block, self.facts.bot, why);
        self.ends.push(PullStep::Close { number: pull.number, title, body, delete });
        self.closed += 1;
    }
}

/// An open pull request of an environment, or of a group, that is no longer delivered so.
fn orphan(round: &mut Round<'_, '_>, known: &KnownPull) {
    let (facts, pull) = (round.facts, &known.pull);
    let Some(block) = Block::read(pull, facts.bot) else { return };
    if pull.state != PullState::Open || block.base != pull.base {
        return;
    }
    // With a lane but of another branch, it is of an environment that has moved; of other branches no more is known here.
    let has_lane = facts.lanes.iter().any(|lane| is_of(&block, lane));
    if has_lane == (pull.base == *facts.base) {
        return;
    }
    let asked = is_asked(round, known);
    let Block { environment, group, .. } = &block;
    let why = if has_lane {
        format!("{environment} is on the branch {} now", facts.base)
    } else {
        format!("{environment} has no group {group} that is delivered by pull request into {}", facts.base)
    };
    round.end(known, &block, &why, asked);
}

/// Whether a lane has an open pull request; what follows for that is done.
fn occupied(round: &mut Round<'_, '_>, lane: &Lane<'_>, pulls: &[&KnownPull]) -> bool {
    let head = branch_of(&lane.environment.name, &lane.group);
    let mut occupied = false;
    for known in pulls.iter().filter(|known| known.pull.head == head && known.pull.state == PullState::Open) {
        let (pull, bot) = (&known.pull, round.facts.bot);
        if pull.base == lane.base {
            keep::keep(round, lane, known);
            occupied = true;
            continue;
        }
        let block = Block::read(pull, bot);
        if block.as_ref().is_some_and(|block| block.base == pull.base) {
            // The environment has moved; `orphan` closes it, unless it is left to people.
            occupied |= known.foreign || pull.labels.iter().any(|label| label == STOP_LABEL);
            continue;
        }
        let body = text::retargeted_comment(pull, &lane.base);
        round.goes_on.push(PullStep::Comment { number: pull.number, mark: "retargeted".to_owned(), body });
        round.explain(lane, |_| Reason::EditedByPeople { number: pull.number });
        occupied = true;
    }
    occupied
}

/// Whether people want it to be built anew, also over their own commits.
pub(crate) fn is_asked(round: &Round<'_, '_>, known: &KnownPull) -> bool {
    round.facts.rebuild.contains(&known.pull.number) || text::is_ticked(&known.pull.body, text::REBUILD_BOX)
}

fn is_of(block: &Block, lane: &Lane<'_>) -> bool {
    block.environment == lane.environment.name && block.group == lane.group
}

/// Whether a pull request brings what the lane wants, no more and no less.
pub(crate) fn has_same_versions(block: &Block, lane: &Lane<'_>) -> bool {
    let wanted = |change: &BlockChange| {
        let found = lane.changes.iter().find(|wanted| wanted.decision.entry == change.entry);
        found.is_some_and(|wanted| *wanted.version == change.version && wanted.decision.image == change.image)
    };
    block.changes.len() == lane.changes.len() && block.changes.iter().all(wanted)
}

/// What a pull request brings, in words.
pub(crate) fn versions_of(block: Option<&Block>, known: &KnownPull) -> String {
    let Some(block) = block else { return shown(&known.pull.title) };
    let versions: Vec<String> =
        block.changes.iter().map(|change| format!("{} {}", change.entry, change.version.tag)).collect();
    versions.join(", ")
}
