//! The gates of a pull request: those of its decisions, with what its reviews and checks say.

use tagboat_model::{Check, CheckState, EntryName, Gate, GateName, GateState, Reason, Review, ReviewState, Stage};

use crate::{
    Gates,
    pull::{KnownPull, Lane},
};

/// The name of the commit status that mirrors the gates.
pub(super) const STATUS: &str = "tagboat/gates";
/// What forges show of a status, in characters.
const LONGEST_STATUS: usize = 140;

/// What is seen on the head of a pull request; nothing, for a head that is yet to be made.
#[derive(Clone, Copy, Default)]
pub(crate) struct Seen<'k> {
    known: Option<&'k KnownPull>,
}

impl<'k> Seen<'k> {
    pub(crate) fn on(known: &'k KnownPull) -> Self {
        Self { known: Some(known) }
    }
}

/// The gates of all that a lane changes, as they stand.
pub(crate) fn gates_of(lane: &Lane<'_>, seen: Seen<'_>) -> Vec<(EntryName, Vec<Gate>)> {
    let filled = |gate: &Gate| fill(gate, &lane.environment.gates, seen);
    let of = lane.changes.iter().map(|change| &change.decision);
    of.map(|decision| (decision.entry.clone(), decision.gates.iter().map(filled).collect())).collect()
}

/// Those that do not pass. What people asked for in spite of its gates is not held back by them.
pub(crate) fn in_the_way<'g>(lane: &Lane<'_>, gates: &'g [(EntryName, Vec<Gate>)]) -> Vec<&'g Gate> {
    let is_asked_for = |entry: &EntryName| {
        let decision = lane.changes.iter().map(|change| change.decision).find(|decision| decision.entry == *entry);
        decision.is_some_and(|decision| decision.reasons.iter().any(|reason| matches!(reason, Reason::AskedFor { .. })))
    };
    let held = gates.iter().filter(|(entry, _)| !is_asked_for(entry));
    held.flat_map(|(_, gates)| gates).filter(|gate| !gate.is_passed()).collect()
}

fn fill(gate: &Gate, rules: &Gates, seen: Seen<'_>) -> Gate {
    if gate.holds != Stage::Merge || gate.is_passed() {
        return gate.clone();
    }
    let (state, text) = match gate.name {
        GateName::Checks => checks(&rules.checks, seen.known.map_or(&[][..], |known| known.checks.as_slice())),
        GateName::Approvals => approvals(rules.approvals, seen.known.map_or(0, count_approvals)),
        _ => return gate.clone(),
    };
    Gate { text: format!("{state}: {text}"), state, until: None, ..gate.clone() }
}

fn checks(wanted: &[String], found: &[Check]) -> (GateState, String) {
    let state_of = |name: &String| found.iter().find(|check| check.name == *name).map(|check| check.state);
    let named = |state: Option<CheckState>| {
        let names: Vec<&str> = wanted.iter().filter(|name| state_of(name) == state).map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    if let Some(names) = named(Some(CheckState::Failure)) {
        return (GateState::Failed, format!("{names} failed on the pull request"));
    }
    if let Some(names) = named(Some(CheckState::Pending)) {
        return (GateState::Waiting, format!("{names} not done yet on the pull request"));
    }
    if let Some(names) = named(None) {
        return (GateState::Waiting, format!("{names} not reported yet on the pull request"));
    }
    (GateState::Passed, format!("{} green on the pull request", wanted.join(", ")))
}

fn approvals(wanted: u32, found: usize) -> (GateState, String) {
    let enough = u32::try_from(found).is_ok_and(|found| found >= wanted);
    (if enough { GateState::Passed } else { GateState::Waiting }, format!("{found} of {wanted} approvals"))
}

/// What each reviewer says now, in the order in which they came to say it.
fn standing(known: &KnownPull) -> Vec<&Review> {
    let mut standing: Vec<&Review> = Vec::new();
    for review in known.reviews.iter().filter(|review| review.state != ReviewState::Other) {
        standing.retain(|earlier| earlier.by.id != review.by.id);
        standing.push(review);
    }
    standing
}

/// A person's yes to the commit that the pull request has now. Programs and whoever opened it do not count.
fn is_approval(known: &KnownPull, review: &Review) -> bool {
    review.state == ReviewState::Approved
        && !review.by.is_bot
        && review.by.id != known.pull.author.id
        && review.commit.as_ref().is_none_or(|commit| *commit == known.pull.head_commit)
}

fn count_approvals(known: &KnownPull) -> usize {
    standing(known).into_iter().filter(|review| is_approval(known, review)).count()
}

/// Whether somebody asked for changes and has not come round since.
pub(crate) fn is_changes_requested(known: &KnownPull) -> bool {
    standing(known).into_iter().any(|review| review.state == ReviewState::ChangesRequested)
}

/// Whether a person approved the commit that it has now, and nobody asked for changes since.
#[must_use]
pub fn is_approved(known: &KnownPull) -> bool {
    let standing = standing(known);
    let yes = standing.iter().rposition(|review| is_approval(known, review));
    let no = standing.iter().rposition(|review| review.state == ReviewState::ChangesRequested);
    yes > no
}

/// The commit status that mirrors the gates, where the head does not carry it yet.
pub(crate) fn status(lane: &Lane<'_>, gates: &[(EntryName, Vec<Gate>)], known: &KnownPull) -> Option<Check> {
    let there = known.checks.iter().find(|check| check.name == STATUS);
    if there.is_none() && gates.iter().all(|(_, gates)| gates.is_empty()) {
        return None;
    }
    let mut in_the_way = in_the_way(lane, gates);
    in_the_way.sort_by_key(|gate| gate.state != GateState::Failed);
    let state = match in_the_way.first() {
        None => CheckState::Success,
        Some(gate) if gate.state == GateState::Failed => CheckState::Failure,
        Some(_) => CheckState::Pending,
    };
    let mut sentences: Vec<String> = Vec::new();
    for sentence in in_the_way.into_iter().map(ToString::to_string) {
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    let text = if sentences.is_empty() { "nothing stands in the way".to_owned() } else { sentences.join("; ") };
    let text = cut(&text);
    let is_there = there.is_some_and(|check| check.state == state && check.text.trim() == text);
    (!is_there).then(|| Check { name: STATUS.to_owned(), state, text, url: None })
}

fn cut(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST_STATUS {
        return line;
    }
    let short: String = line.chars().take(LONGEST_STATUS - 1).collect();
    format!("{}…", short.trim_end())
}
