//! Facts in, decisions out. Also which tags are worth asking the registry about, and in which order.

use std::cmp::Ordering;

use tagboat_model::{Decision, EnvironmentName, Outcome, Pin, Reason, Reference, Tag, Version};
use tagboat_policy::Policy;

use crate::{Candidate, CandidateState, Facts, ImageFacts};

/// A person reads a few reasons; the exact rest is counted.
const MOST_REASONS_ABOUT_OTHERS: usize = 20;

/// One decision for every image of every environment in `facts`, in their order.
#[must_use]
pub fn decide(facts: &Facts) -> Vec<Decision> {
    facts
        .environments
        .iter()
        .flat_map(|environment| environment.images.iter().map(|image| decide_image(&environment.name, image)))
        .collect()
}

/// The tags of `known` to ask the registry about, best first. The first that turns out to be an image decides;
/// those below what runs already are left out, because nothing follows from them.
#[must_use]
pub fn wanted_tags(facts: &ImageFacts, known: &[Tag]) -> Vec<Tag> {
    let floor = lowest_permitted(facts);
    let above = |tag: &Tag| floor.is_none_or(|floor| facts.policy.compare(tag, floor) != Some(Ordering::Less));
    facts.policy.ranked(known).into_iter().take_while(above).collect()
}

/// Below this nothing is chosen.
fn lowest_permitted(facts: &ImageFacts) -> Option<&Tag> {
    if facts.allow_downgrade { None } else { floor(facts) }
}

/// The greatest current value that the policy can order.
fn floor(facts: &ImageFacts) -> Option<&Tag> {
    let written = facts.references.iter().filter_map(|reference| reference.tag.as_ref());
    written
        .chain(&facts.resolved)
        .filter(|tag| facts.policy.compare(tag, tag).is_some())
        .max_by(|left, right| facts.policy.compare(left, right).unwrap_or(Ordering::Equal))
}

fn decide_image(environment: &EnvironmentName, facts: &ImageFacts) -> Decision {
    let mut current: Vec<String> = Vec::new();
    for reference in &facts.references {
        let value = reference.current();
        if !current.contains(&value) {
            current.push(value);
        }
    }
    let (outcome, version, mut reasons) = conclude(facts, &current);
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

fn conclude(facts: &ImageFacts, current: &[String]) -> (Outcome, Option<Version>, Vec<Reason>) {
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
    let confirmed: Vec<Version> = facts.candidates.iter().filter_map(confirmed).collect();
    let tags: Vec<Tag> = confirmed.iter().map(|version| version.tag.clone()).collect();
    let selected = facts.policy.ranked(&tags).into_iter().next();
    let Some(version) = confirmed.into_iter().find(|version| Some(&version.tag) == selected.as_ref()) else {
        return (Outcome::Nothing, None, nothing_selected(facts, current));
    };
    let (outcome, mut reasons) = compare(facts, lowest_permitted(facts), &version);
    if outcome == Outcome::Update && current.len() > 1 {
        reasons.push(Reason::ReferencesDisagree { versions: current.to_vec() });
    }
    reasons.extend(about_others(facts, Some(&version.tag)));
    (outcome, Some(version), reasons)
}

fn compare(facts: &ImageFacts, floor: Option<&Tag>, version: &Version) -> (Outcome, Vec<Reason>) {
    if let Some(floor) = floor.filter(|floor| facts.policy.compare(&version.tag, floor) == Some(Ordering::Less)) {
        let reason = Reason::BelowCurrent { tag: version.tag.clone(), current: floor.to_string() };
        return (Outcome::Nothing, vec![reason]);
    }
    if matches!(facts.policy, Policy::Digest(_))
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
    let reason = match &facts.policy {
        Policy::Digest(_) => Reason::Followed { tag, digest: version.digest.short().to_owned() },
        Policy::Semver(_) => Reason::Selected { tag, policy: facts.policy.to_string() },
    };
    (Outcome::Update, vec![reason])
}

/// A version that was pushed a second time with other content is not a new version.
fn moved_tag(facts: &ImageFacts, version: &Version) -> Option<Reason> {
    let same_tag = |reference: &Reference| reference.tag.as_ref() == Some(&version.tag);
    if matches!(facts.policy, Policy::Digest(_)) || !facts.references.iter().all(same_tag) {
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

fn nothing_selected(facts: &ImageFacts, current: &[String]) -> Vec<Reason> {
    let policy = facts.policy.to_string();
    let first = match floor(facts) {
        Some(_) => Reason::NothingBetter { current: current.join(", "), policy },
        None => Reason::NoAdmittedTag { policy },
    };
    let mut reasons = vec![first];
    reasons.extend(about_others(facts, None));
    reasons
}

/// One reason for each candidate that was not selected, capped, the rest counted.
fn about_others(facts: &ImageFacts, selected: Option<&Tag>) -> Vec<Reason> {
    // What runs needs no reason for not being asked about again.
    let runs = |candidate: &Candidate| {
        candidate.state == CandidateState::Unasked
            && facts.references.iter().any(|reference| reference.tag.as_ref() == Some(&candidate.tag))
    };
    let others = facts.candidates.iter().filter(|candidate| Some(&candidate.tag) != selected && !runs(candidate));
    let mut reasons: Vec<Reason> = others.map(|candidate| about(facts, candidate, selected)).collect();
    let more = reasons.len().saturating_sub(MOST_REASONS_ABOUT_OTHERS);
    if more > 0 {
        reasons.truncate(MOST_REASONS_ABOUT_OTHERS);
        reasons.push(Reason::AndMore { count: more });
    }
    reasons
}

fn about(facts: &ImageFacts, candidate: &Candidate, selected: Option<&Tag>) -> Reason {
    let tag = candidate.tag.clone();
    match &candidate.state {
        CandidateState::Missing => Reason::NotAtRegistry { tag, image: facts.image.clone() },
        CandidateState::NotAnImage { detail } => Reason::NotAnImage { tag, detail: detail.clone() },
        CandidateState::OwnCommit { revision } => Reason::BuiltFromOwnCommit { tag, revision: revision.clone() },
        CandidateState::Confirmed { .. } | CandidateState::Unasked => {
            if let Err(reason) = facts.policy.admits(&tag) {
                return reason;
            }
            match (selected, floor(facts)) {
                (Some(selected), _) if facts.policy.compare(&tag, selected) == Some(Ordering::Equal) => {
                    Reason::EqualToSelected { tag, selected: selected.clone() }
                }
                (Some(selected), _) => Reason::LowerThanSelected { tag, selected: selected.clone() },
                (None, Some(floor)) if facts.policy.compare(&tag, floor) == Some(Ordering::Less) => {
                    Reason::BelowCurrent { tag, current: floor.to_string() }
                }
                (None, _) => Reason::NotAskedYet { tag },
            }
        }
    }
}

fn confirmed(candidate: &Candidate) -> Option<Version> {
    match &candidate.state {
        CandidateState::Confirmed { digest } => Some(Version { tag: candidate.tag.clone(), digest: digest.clone() }),
        _ => None,
    }
}
