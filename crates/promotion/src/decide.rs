//! Facts in, decisions out. Also which tags are worth asking the registry about, and in which order.

use std::cmp::Ordering;

use tagboat_model::{Decision, EnvironmentName, Outcome, Pin, Reason, Reference, Tag, Timestamp, Uneditable, Version};
use tagboat_policy::{Circumstances, Considered, Known, Selection};

use crate::{Candidate, CandidateState, Facts, ImageFacts};

/// A person reads a few reasons of each kind; the exact rest is counted.
const MOST_OF_A_KIND: usize = 5;
/// More candidates than this are counted and not kept: the registry is asked about fewer in one go.
const MOST_CANDIDATES: usize = 200;

/// One decision for every image of every environment in `facts`, in their order.
#[must_use]
pub fn decide(facts: &Facts) -> Vec<Decision> {
    let decide = |(environment, image): (&EnvironmentName, &ImageFacts)| decide_image(environment, image, facts.now);
    let images = facts.environments.iter().flat_map(|e| e.images.iter().map(|image| (&e.name, image)));
    images.map(decide).collect()
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
fn floor(facts: &ImageFacts) -> Option<Considered> {
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

fn decide_image(environment: &EnvironmentName, facts: &ImageFacts, now: Timestamp) -> Decision {
    let mut current: Vec<String> = Vec::new();
    for reference in &facts.references {
        let value = reference.current();
        if !current.contains(&value) {
            current.push(value);
        }
    }
    let (outcome, version, mut reasons) = conclude(facts, &current, now);
    for Uneditable { file, line, detail, .. } in &facts.uneditable {
        reasons.push(Reason::CannotEdit { file: file.clone(), line: *line, detail: detail.clone() });
    }
    for (file, detail) in &facts.unreadable {
        reasons.push(Reason::UnreadableFile { file: file.clone(), detail: detail.clone() });
    }
    Decision {
        environment: environment.clone(),
        entry: facts.entry.clone(),
        image: facts.image.clone(),
        current,
        outcome,
        version,
        reasons,
    }
}

fn conclude(facts: &ImageFacts, current: &[String], now: Timestamp) -> (Outcome, Option<Version>, Vec<Reason>) {
    if let Some(other) = &facts.claimed_by {
        return (
            Outcome::Blocked,
            None,
            vec![Reason::ClaimedTwice { other: other.clone(), image: facts.image.clone() }],
        );
    }
    if facts.references.is_empty() {
        return (Outcome::Nothing, None, vec![Reason::NoReference { image: facts.image.clone() }]);
    }
    if let Some(detail) = &facts.registry_unavailable {
        let reason = Reason::RegistryUnavailable { image: facts.image.clone(), detail: detail.clone() };
        return (Outcome::Nothing, None, vec![reason]);
    }
    if facts.unread > 0 {
        let mut reasons = vec![Reason::BuildTimesUnread { count: facts.unread }];
        reasons.extend(facts.passed_over.iter().cloned());
        return (Outcome::Nothing, None, reasons);
    }
    let floor = floor(facts);
    let circumstances = Circumstances { current: floor.as_ref().map(|floor| (&floor.tag, &floor.known)), now };
    let confirmed: Vec<&Candidate> = facts.candidates.iter().filter(|found| version(found).is_some()).collect();
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
        reasons.extend(about_others(facts, None, circumstances));
        return (Outcome::Nothing, None, reasons);
    };
    let (outcome, mut reasons) = compare(facts, &version);
    if outcome == Outcome::Update && current.len() > 1 {
        reasons.push(Reason::ReferencesDisagree { versions: current.to_vec() });
    }
    reasons.extend(about_others(facts, Some(&version.tag), circumstances));
    (outcome, Some(version), reasons)
}

fn compare(facts: &ImageFacts, version: &Version) -> (Outcome, Vec<Reason>) {
    let follows = facts.selection.policy.followed().is_some();
    if follows
        && facts.pin == Pin::Keep
        && let Some(reference) = facts.references.iter().find(|reference| reference.digest.is_none())
    {
        let reason = Reason::NoDigestToFollow { file: reference.file.clone(), line: reference.line };
        return (Outcome::Blocked, vec![reason]);
    }
    if let Some(reason) = moved_tag(facts, version) {
        return (Outcome::Nothing, vec![reason]);
    }
    if facts.references.iter().all(|reference| reference.carries(version, facts.pin)) {
        return (Outcome::Nothing, vec![Reason::AlreadyThere { version: version.to_string() }]);
    }
    let tag = version.tag.clone();
    let reason = match follows {
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
fn about_others(facts: &ImageFacts, selected: Option<&Tag>, circumstances: Circumstances<'_>) -> Vec<Reason> {
    // What runs needs no reason for not being asked about again.
    let runs = |candidate: &Candidate| {
        candidate.state == CandidateState::Unasked
            && (facts.resolved.contains(&candidate.tag)
                || facts.references.iter().any(|reference| reference.tag.as_ref() == Some(&candidate.tag)))
    };
    let others = facts.candidates.iter().filter(|candidate| Some(&candidate.tag) != selected && !runs(candidate));
    let reasons: Vec<Reason> = others.map(|candidate| about(facts, candidate, selected, circumstances)).collect();
    let lowest = if selected.is_some() { "lowerThanSelected" } else { "notAskedYet" };
    let mut grouped = Vec::new();
    let mut codes: Vec<&'static str> = Vec::new();
    for reason in &reasons {
        if !codes.contains(&reason.code()) {
            codes.push(reason.code());
        }
    }
    for code in codes {
        let kind: Vec<&Reason> = reasons.iter().filter(|reason| reason.code() == code).collect();
        let further = if code == lowest { facts.further } else { 0 };
        let more = kind.len().saturating_sub(MOST_OF_A_KIND) + further;
        grouped.extend(kind.into_iter().take(MOST_OF_A_KIND).cloned());
        if more > 0 {
            grouped.push(Reason::AndMore { count: more });
        }
    }
    grouped.extend(facts.passed_over.iter().cloned());
    grouped
}

fn about(
    facts: &ImageFacts,
    candidate: &Candidate,
    selected: Option<&Tag>,
    circumstances: Circumstances<'_>,
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
            match (refused, selected) {
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
