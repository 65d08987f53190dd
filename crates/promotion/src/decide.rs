//! Facts in, decisions out. Also which tags are worth asking the registry about, and in which order.

use std::cmp::Ordering;

use tagboat_model::{Decision, Gate, Outcome, Pin, Reason, Reference, Tag, Timestamp, Uneditable, Version};
use tagboat_policy::{Circumstances, Considered, Known, Selection, Sight};

use crate::{
    Candidate, CandidateState, EnvironmentFacts, Facts, ImageFacts,
    gate::evaluate_without_upstream,
    hold::Wishes,
    promote::{self, Setting},
};

/// A person reads a few reasons of each kind; the exact rest is counted.
const MOST_OF_A_KIND: usize = 5;
/// More candidates than this are counted and not kept: the registry is asked about fewer in one go.
const MOST_CANDIDATES: usize = 200;

/// What follows for an image, before it is a [`Decision`].
#[derive(Debug)]
pub(crate) struct Conclusion {
    pub(crate) outcome: Outcome,
    pub(crate) version: Option<Version>,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) gates: Vec<Gate>,
}

impl Conclusion {
    pub(crate) fn new(outcome: Outcome, version: Option<Version>, reasons: Vec<Reason>) -> Self {
        Self { outcome, version, reasons, gates: Vec::new() }
    }

    pub(crate) fn nothing(reasons: Vec<Reason>) -> Self {
        Self::new(Outcome::Nothing, None, reasons)
    }

    pub(crate) fn blocked(reason: Reason) -> Self {
        Self::new(Outcome::Blocked, None, vec![reason])
    }
}

/// One decision for every image of every environment in `facts`, in their order.
///
/// What policies and upstreams say is worked out first; then what people wish goes over it: see `hold`.
#[must_use]
pub fn decide(facts: &Facts) -> Vec<Decision> {
    let environments = facts.environments.iter();
    let images = environments.flat_map(|within| within.images.iter().map(move |image| (within, image)));
    images.map(|(environment, image)| held(environment, image, facts.now)).collect()
}

/// A decision, held to the gates of its environment where that is promoted from nothing; else they are in it already.
fn held(environment: &EnvironmentFacts, image: &ImageFacts, now: Timestamp) -> Decision {
    let decision = decide_image(environment, image, now);
    if environment.gates.is_empty() || environment.promotion.is_some() {
        return decision;
    }
    let sight = decision.version.as_ref().and_then(|version| image.known(&version.tag).sight);
    let appeared = sight.map(|(Sight::Baseline(at) | Sight::After(at))| at);
    let gates = evaluate_without_upstream(&environment.gates, appeared, environment.by_pull_request, now);
    promote::held_to_gates(decision, gates)
}

/// What to ask the registry about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutForward {
    /// The tags to ask about, best first. The first that turns out to be good decides.
    pub wanted: Vec<Considered>,
    /// How many more there are, all lower than these.
    pub further: usize,
    /// Why the others are not worth asking about: grouped, the groups capped and counted.
    pub passed_over: Vec<Reason>,
    /// Those that cannot be placed before it is known when they were built.
    pub unplaced: Vec<Tag>,
}

/// Judge the tags that are known, by all but their age, which may only be known once the registry was asked. Those
/// below what runs already are passed over, because nothing follows from them. Tags that somebody spoke of stand
/// first in `known`, so that their reasons are among those that are shown.
#[must_use]
pub fn put_forward(facts: &ImageFacts, known: &[Considered], now: Timestamp) -> PutForward {
    let ageless = Selection { minimum_age: None, ..facts.selection.clone() };
    let current = known_floor(facts, known);
    let circumstances = Circumstances { current: current.as_ref().map(|floor| (&floor.tag, &floor.known)), now };
    let consideration = ageless.consider(known, circumstances);
    let mut wanted: Vec<Considered> = consideration.eligible().into_iter().cloned().collect();
    let further = wanted.len().saturating_sub(MOST_CANDIDATES);
    wanted.truncate(MOST_CANDIDATES);
    let unplaced = consideration.reasons().filter_map(|reason| match reason {
        Reason::BuildTimeUnknown { tag } => Some(tag),
        _ => None,
    });
    let unplaced = if facts.selection.policy.is_by_build_time() { unplaced.collect() } else { Vec::new() };
    PutForward { wanted, further, passed_over: consideration.refused(MOST_OF_A_KIND), unplaced }
}

/// The greatest current value that the policy can order: below this nothing is chosen.
pub(crate) fn floor(facts: &ImageFacts) -> Option<Considered> {
    greatest_current(facts, |tag| facts.known(tag))
}

fn known_floor(facts: &ImageFacts, known: &[Considered]) -> Option<Considered> {
    greatest_current(facts, |tag| {
        known.iter().find(|known| known.tag == *tag).map(|found| found.known).unwrap_or_default()
    })
}

fn greatest_current(facts: &ImageFacts, known: impl Fn(&Tag) -> Known) -> Option<Considered> {
    let written = facts.references.iter().filter_map(|reference| reference.tag.as_ref());
    let current = written.chain(&facts.resolved).map(|tag| Considered { tag: tag.clone(), known: known(tag) });
    let selection = &facts.selection;
    let compare = |left: &Considered, right: &Considered| {
        selection.compare((&left.tag, &left.known), (&right.tag, &right.known)).unwrap_or(Ordering::Equal)
    };
    current.filter(|current| selection.orders(&current.tag, &current.known)).max_by(compare)
}

fn decide_image(environment: &EnvironmentFacts, facts: &ImageFacts, now: Timestamp) -> Decision {
    let mut current: Vec<String> = Vec::new();
    for reference in &facts.references {
        let value = reference.current();
        if !current.contains(&value) {
            current.push(value);
        }
    }
    let Conclusion { outcome, version, mut reasons, gates } = conclude(environment, facts, &current, now);
    for Uneditable { file, line, detail, .. } in &facts.uneditable {
        reasons.push(Reason::CannotEdit { file: file.clone(), line: *line, detail: detail.clone() });
    }
    for (file, detail) in &facts.unreadable {
        reasons.push(Reason::UnreadableFile { file: file.clone(), detail: detail.clone() });
    }
    Decision {
        environment: environment.name.clone(),
        entry: facts.entry.clone(),
        image: facts.image.clone(),
        current,
        outcome,
        version,
        reasons,
        gates,
    }
}

fn conclude(environment: &EnvironmentFacts, facts: &ImageFacts, current: &[String], now: Timestamp) -> Conclusion {
    if let Some(other) = &facts.claimed_by {
        return Conclusion::blocked(Reason::ClaimedTwice { other: other.clone(), image: facts.image.clone() });
    }
    if facts.references.is_empty() {
        return Conclusion::nothing(vec![Reason::NoReference { image: facts.image.clone() }]);
    }
    let wishes = Wishes::of(&environment.holds, Some(&environment.name), &facts.entry, now);
    let free = match &environment.promotion {
        Some(promotion) => {
            let by_pull_request = environment.by_pull_request;
            promote::conclude(facts, current, Setting { promotion, by_pull_request, wishes: &wishes, now })
        }
        None => choose(facts, current, &wishes, now),
    };
    wishes.apply(facts, current, free)
}

/// By policy.
fn choose(facts: &ImageFacts, current: &[String], wishes: &Wishes<'_>, now: Timestamp) -> Conclusion {
    let floor = floor(facts);
    let circumstances = Circumstances { current: floor.as_ref().map(|floor| (&floor.tag, &floor.known)), now };
    // Nothing gave a reason to look at it anew, so it stands, whether the registry can be asked or not.
    if let Some(offered) = facts.offered.as_ref().filter(|_| is_unasked(facts)) {
        return match against_offered(facts, offered, wishes, circumstances) {
            Some(reason) => Conclusion::nothing(vec![reason]),
            None => chosen(facts, current, offered.clone(), Vec::new()),
        };
    }
    if let Some(detail) = &facts.registry_unavailable {
        let reason = Reason::RegistryUnavailable { image: facts.image.clone(), detail: detail.clone() };
        return Conclusion::nothing(vec![reason]);
    }
    if facts.unread > 0 {
        let mut reasons = vec![Reason::BuildTimesUnread { count: facts.unread }];
        reasons.extend(facts.passed_over.iter().cloned());
        return Conclusion::nothing(reasons);
    }
    let is_wanted = |version: Version| wishes.against(facts, &version.tag, Some(&version.digest)).is_none();
    let confirmed = facts.candidates.iter().filter(|found| version(found).is_some_and(is_wanted));
    let confirmed: Vec<&Candidate> = confirmed.collect();
    let considered: Vec<Considered> = confirmed.iter().map(|candidate| candidate.considered()).collect();
    let consideration = facts.selection.consider(&considered, circumstances);
    let selected = confirmed.iter().find(|candidate| Some(&candidate.tag) == consideration.selected());
    let Some(version) = selected.and_then(|candidate| version(candidate)) else {
        let policy = facts.selection.policy.to_string();
        let first = match &floor {
            Some(_) => Reason::NothingBetter { current: current.join(", "), policy },
            None => Reason::NoAdmittedTag { policy },
        };
        let mut reasons = vec![first];
        reasons.extend(about_others(facts, None, circumstances, wishes));
        // There is something better, and people do not want it.
        reasons.sort_by_key(|reason| !matches!(reason, Reason::Held { .. }));
        return Conclusion::nothing(reasons);
    };
    let others = about_others(facts, Some(&version.tag), circumstances, wishes);
    chosen(facts, current, version, others)
}

/// Whether the registry was asked about nothing.
fn is_unasked(facts: &ImageFacts) -> bool {
    facts.candidates.iter().all(|candidate| candidate.state == CandidateState::Unasked)
}

fn chosen(facts: &ImageFacts, current: &[String], version: Version, others: Vec<Reason>) -> Conclusion {
    let (outcome, mut reasons) = compare(facts, &version);
    if outcome == Outcome::Update && current.len() > 1 {
        reasons.push(Reason::ReferencesDisagree { versions: current.to_vec() });
    }
    reasons.extend(others);
    Conclusion::new(outcome, Some(version), reasons)
}

/// What speaks against a version that was chosen before. What was known of it then, its age above all, is not held
/// against it for not being known now.
fn against_offered(
    facts: &ImageFacts,
    offered: &Version,
    wishes: &Wishes<'_>,
    circumstances: Circumstances<'_>,
) -> Option<Reason> {
    if let Some(hold) = wishes.against(facts, &offered.tag, Some(&offered.digest)) {
        return Some(Reason::Held { hold: Box::new(hold.clone()) });
    }
    let ageless = Selection { minimum_age: None, ..facts.selection.clone() };
    let alone = [Considered::from(offered.tag.clone())];
    let refused = ageless.consider(&alone, circumstances).refused(1).into_iter().next();
    refused.filter(|reason| !matches!(reason, Reason::BuildTimeUnknown { .. } | Reason::NotAnnounced { .. }))
}

/// A digest is followed, and there is none that could change.
pub(crate) fn undigested(facts: &ImageFacts) -> Option<Reason> {
    if facts.selection.policy.followed().is_none() || facts.pin != Pin::Keep {
        return None;
    }
    let reference = facts.references.iter().find(|reference| reference.digest.is_none())?;
    Some(Reason::NoDigestToFollow { file: reference.file.clone(), line: reference.line })
}

fn compare(facts: &ImageFacts, version: &Version) -> (Outcome, Vec<Reason>) {
    if let Some(reason) = undigested(facts) {
        return (Outcome::Blocked, vec![reason]);
    }
    if let Some(reason) = moved_tag(facts, version) {
        return (Outcome::Nothing, vec![reason]);
    }
    if facts.references.iter().all(|reference| reference.carries(version, facts.pin)) {
        return (Outcome::Nothing, vec![Reason::AlreadyThere { version: version.to_string() }]);
    }
    let tag = version.tag.clone();
    let reason = match facts.selection.policy.followed().is_some() {
        true => Reason::Followed { tag, digest: version.digest.short().to_owned() },
        false => Reason::Selected { tag, policy: facts.selection.policy.to_string() },
    };
    (Outcome::Update, vec![reason])
}

/// A version that was pushed a second time with other content is not a new version.
fn moved_tag(facts: &ImageFacts, version: &Version) -> Option<Reason> {
    let same_tag = |reference: &Reference| match &reference.tag {
        Some(tag) => *tag == version.tag,
        // A digest alone is as good as its tag, once that is known.
        None => facts.resolved.contains(&version.tag),
    };
    if facts.selection.policy.followed().is_some() || !facts.references.iter().all(same_tag) {
        return None;
    }
    let written =
        facts.references.iter().filter_map(|reference| reference.digest.as_ref()).find(|d| **d != version.digest)?;
    Some(Reason::TagMoved {
        tag: version.tag.clone(),
        written: written.short().to_owned(),
        found: version.digest.short().to_owned(),
    })
}

/// One reason for each candidate that was not selected, grouped, the groups capped and counted; then why others were
/// no candidates.
fn about_others(
    facts: &ImageFacts,
    selected: Option<&Tag>,
    circumstances: Circumstances<'_>,
    wishes: &Wishes<'_>,
) -> Vec<Reason> {
    // What runs needs no reason for not being asked about again.
    let runs = |candidate: &Candidate| {
        candidate.state == CandidateState::Unasked
            && (facts.resolved.contains(&candidate.tag)
                || facts.references.iter().any(|reference| reference.tag.as_ref() == Some(&candidate.tag)))
    };
    let others = facts.candidates.iter().filter(|candidate| Some(&candidate.tag) != selected && !runs(candidate));
    let reasons: Vec<Reason> =
        others.map(|candidate| about(facts, candidate, selected, circumstances, wishes)).collect();
    let lowest = if selected.is_some() { "lowerThanSelected" } else { "notAskedYet" };
    let mut grouped = capped(&reasons, (lowest, facts.further));
    grouped.extend(facts.passed_over.iter().cloned());
    grouped
}

/// Reasons grouped by kind, the groups capped and counted, each said once. Of one kind there are so many more than these.
pub(crate) fn capped(reasons: &[Reason], further: (&str, usize)) -> Vec<Reason> {
    let mut grouped = Vec::new();
    let mut codes: Vec<&'static str> = Vec::new();
    let mut distinct: Vec<&Reason> = Vec::new();
    for reason in reasons {
        // A refusal is the reason of all that is below it.
        if !distinct.contains(&reason) {
            distinct.push(reason);
        }
    }
    for reason in &distinct {
        if !codes.contains(&reason.code()) {
            codes.push(reason.code());
        }
    }
    for code in codes {
        let kind: Vec<&Reason> = distinct.iter().copied().filter(|reason| reason.code() == code).collect();
        let further = if code == further.0 { further.1 } else { 0 };
        let more = kind.len().saturating_sub(MOST_OF_A_KIND) + further;
        grouped.extend(kind.into_iter().take(MOST_OF_A_KIND).cloned());
        if more > 0 {
            grouped.push(Reason::AndMore { count: more });
        }
    }
    grouped
}

fn about(
    facts: &ImageFacts,
    candidate: &Candidate,
    selected: Option<&Tag>,
    circumstances: Circumstances<'_>,
    wishes: &Wishes<'_>,
) -> Reason {
    let tag = candidate.tag.clone();
    match &candidate.state {
        CandidateState::Missing => Reason::NotAtRegistry { tag, image: facts.image.clone() },
        CandidateState::NotAnImage { detail } => Reason::NotAnImage { tag, detail: detail.clone() },
        CandidateState::OwnCommit { revision } => Reason::BuiltFromOwnCommit { tag, revision: revision.clone() },
        CandidateState::Incomplete { detail } => Reason::Incomplete { tag, detail: detail.clone() },
        CandidateState::MissingPlatforms { missing } => Reason::MissingPlatforms { tag, missing: missing.clone() },
        CandidateState::NotSigned { detail } => Reason::NotSigned { tag, detail: detail.clone() },
        CandidateState::AnnouncedDifferently { announced, found } => Reason::AnnouncedDifferently {
            tag,
            announced: announced.short().to_owned(),
            found: found.short().to_owned(),
        },
        CandidateState::Returned { digest, until } => {
            Reason::DigestReturned { tag, digest: digest.short().to_owned(), until: *until }
        }
        CandidateState::Confirmed { .. } | CandidateState::Unasked => {
            let alone = [candidate.considered()];
            let refused = facts.selection.consider(&alone, circumstances).refused(1).into_iter().next();
            let equal = |selected: &Tag| {
                let (mine, theirs) = (&candidate.known, facts.known(selected));
                facts.selection.compare((&tag, mine), (selected, &theirs)) == Some(Ordering::Equal)
            };
            let digest = version(candidate).map(|version| version.digest);
            let hold = wishes.against(facts, &tag, digest.as_ref());
            let held = hold.map(|hold| Reason::Held { hold: Box::new(hold.clone()) });
            match (refused.or(held), selected) {
                (Some(reason), _) => reason,
                (None, Some(selected)) if equal(selected) => {
                    Reason::EqualToSelected { tag, selected: selected.clone() }
                }
                (None, Some(selected)) => Reason::LowerThanSelected { tag, selected: selected.clone() },
                (None, None) => Reason::NotAskedYet { tag },
            }
        }
    }
}

fn version(candidate: &Candidate) -> Option<Version> {
    match &candidate.state {
        CandidateState::Confirmed { digest } => Some(Version { tag: candidate.tag.clone(), digest: digest.clone() }),
        _ => None,
    }
}
