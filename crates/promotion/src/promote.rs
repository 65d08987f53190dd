//! Promotion: which of the versions that ran upstream comes next, or why none does.
//!
//! Does not move anything, and does not ask registries. Candidates are the versions that came upstream after the one that
//! runs here, the newest first; the newest whose gates let it be offered is chosen. So a busy upstream cannot starve an
//! environment: a version that waits goes on waiting for its own soak, whatever comes after it.

use std::cmp::Ordering;

use tagboat_model::{Decision, Gate, GateState, Hold, Outcome, Ran, Reason, Stage, Timestamp, Until, Version};

use crate::{
    Facts, ImageFacts, PromotionFacts, UpstreamFacts,
    decide::{Conclusion, capped, floor, undigested},
    gate,
    hold::Wishes,
};

/// What a promotion depends on beside the image.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'s> {
    pub(crate) promotion: &'s PromotionFacts,
    pub(crate) by_pull_request: bool,
    pub(crate) wishes: &'s Wishes<'s>,
    pub(crate) now: Timestamp,
}

/// A version that ran upstream, ahead of what runs here: its gates, or why it is no candidate.
struct Seen<'f> {
    ran: &'f Ran,
    fate: Result<Vec<Gate>, Reason>,
}

/// What follows from the upstream for an image with references.
pub(crate) fn conclude(facts: &ImageFacts, current: &[String], setting: Setting<'_>) -> Conclusion {
    let environment = setting.promotion.from.clone();
    let empty = UpstreamFacts::default();
    let upstream = facts.upstream.as_ref().unwrap_or(&empty);
    if !upstream.disagreeing.is_empty() {
        let versions = upstream.disagreeing.clone();
        return Conclusion::blocked(Reason::UpstreamDisagrees { environment, versions });
    }
    let Some(newest) = upstream.ran.last() else {
        return Conclusion::nothing(vec![Reason::UpstreamEmpty { environment }]);
    };
    if let Some(reason) = undigested(facts) {
        return Conclusion::blocked(reason);
    }
    let seen = survey(facts, upstream, setting);
    if let Some(index) = seen.iter().position(Seen::may_be_offered) {
        let (newer, rest) = seen.split_at(index);
        if let Some(chosen) = rest.first() {
            return offered(facts, current, chosen, newer, setting);
        }
    }
    let candidates = || seen.iter().filter(|seen| seen.fate.is_ok());
    // Without a candidate whose gates may still pass, the newest stands for all.
    if let Some(next) = candidates().rfind(|seen| !seen.has_failed()).or_else(|| candidates().next()) {
        let others: Vec<Reason> = seen.iter().filter(|seen| !std::ptr::eq(*seen, next)).map(Seen::reason).collect();
        let mut reasons = vec![next.reason()];
        reasons.extend(capped(&others, ("", 0)));
        let gates = next.gates().to_vec();
        return Conclusion { outcome: Outcome::Waiting, version: Some(next.ran.version.clone()), reasons, gates };
    }
    if seen.is_empty() && is_carried(facts, &newest.version) {
        let reason = Reason::AlreadyThere { version: newest.version.to_string() };
        return Conclusion::new(Outcome::Nothing, Some(newest.version.clone()), vec![reason]);
    }
    let passed_over: Vec<Reason> = seen.iter().map(Seen::reason).collect();
    let mut reasons = capped(&passed_over, ("", 0));
    if passed_over.iter().all(|reason| matches!(reason, Reason::BelowCurrent { .. })) {
        reasons.insert(0, Reason::UpstreamNotAhead { environment, current: current.join(", ") });
    }
    Conclusion::nothing(reasons)
}

/// What follows where a version may be offered.
fn offered(
    facts: &ImageFacts,
    current: &[String],
    chosen: &Seen<'_>,
    newer: &[Seen<'_>],
    setting: Setting<'_>,
) -> Conclusion {
    let (version, environment) = (chosen.ran.version.clone(), setting.promotion.from.clone());
    let others: Vec<Reason> = newer.iter().map(Seen::reason).collect();
    let mut reasons = vec![Reason::PromotedFrom { version: version.clone(), environment, since: chosen.ran.since }];
    if current.len() > 1 {
        reasons.push(Reason::ReferencesDisagree { versions: current.to_vec() });
    }
    reasons.extend(capped(&others, ("", 0)));
    let mut outcome = Outcome::Update;
    if let Some((instead, reason)) = unsure_of_name(facts, &version, setting) {
        outcome = instead;
        reasons.insert(0, reason);
    }
    Conclusion { outcome, version: Some(version), reasons, gates: chosen.gates().to_vec() }
}

/// The versions that came upstream ahead of what runs here, newest first, each once.
fn survey<'f>(facts: &'f ImageFacts, upstream: &'f UpstreamFacts, setting: Setting<'_>) -> Vec<Seen<'f>> {
    let here = upstream.ran.iter().rposition(|ran| runs_here(facts, &ran.version));
    let is_done = |index: usize| upstream.ran.get(index).is_some_and(|ran| is_carried(facts, &ran.version));
    // What some references carry only, or not as the pin wants it, is still to come.
    let first = here.map_or(0, |index| if is_done(index) { index + 1 } else { index });
    let ahead = upstream.ran.get(first..).unwrap_or_default();
    let mut seen: Vec<Seen<'f>> = Vec::new();
    for ran in ahead.iter().rev() {
        if !seen.iter().any(|newer| newer.ran.version == ran.version) {
            seen.push(Seen { ran, fate: fate(facts, upstream, ran, here, setting) });
        }
    }
    seen
}

fn fate(
    facts: &ImageFacts,
    upstream: &UpstreamFacts,
    ran: &Ran,
    here: Option<usize>,
    setting: Setting<'_>,
) -> Result<Vec<Gate>, Reason> {
    let Setting { promotion, by_pull_request, wishes, now } = setting;
    let version = &ran.version;
    if ran.taken_back {
        return Err(Reason::TakenBackUpstream { version: version.clone(), environment: promotion.from.clone() });
    }
    if let Some(hold) = wishes.against(facts, &version.tag, Some(&version.digest)) {
        return Err(Reason::Held { hold: Box::new(hold.clone()) });
    }
    if let Some(current) = what_is_above(facts, upstream, version, here) {
        return Err(Reason::BelowCurrent { tag: version.tag.clone(), current });
    }
    Ok(gate::evaluate(&promotion.gates, ran, upstream, &promotion.from, by_pull_request, now))
}

/// What runs here, where a version is below it: by policy, or because it had run upstream before it.
fn what_is_above(
    facts: &ImageFacts,
    upstream: &UpstreamFacts,
    version: &Version,
    here: Option<usize>,
) -> Option<String> {
    let selection = &facts.selection;
    if selection.allow_downgrade {
        return None;
    }
    if selection.policy.followed().is_none()
        && let Some(floor) = floor(facts)
    {
        match selection.compare((&version.tag, &facts.known(&version.tag)), (&floor.tag, &floor.known)) {
            Some(Ordering::Less) => return Some(floor.tag.to_string()),
            Some(Ordering::Greater) => return None,
            _ => {}
        }
    }
    // Of what ran more than once, taken back and put there again, the first time counts: else neither of two such versions
    // would ever come after the other.
    let base = &upstream.ran.get(here?)?.version;
    let first = upstream.ran.iter().position(|ran| ran.version == *base)?;
    let ran_before = upstream.ran.iter().take(first).any(|earlier| earlier.version == *version);
    (ran_before && base != version).then(|| base.to_string())
}

/// Whether a reference carries a version: by digest where one is written, else by tag.
fn runs_here(facts: &ImageFacts, version: &Version) -> bool {
    facts.references.iter().any(|reference| match &reference.digest {
        Some(digest) => *digest == version.digest,
        None => reference.tag.as_ref() == Some(&version.tag),
    })
}

fn is_carried(facts: &ImageFacts, version: &Version) -> bool {
    facts.references.iter().all(|reference| reference.carries(version, facts.pin))
}

/// Where only the tag is written here, it has to name at the registry what ran upstream.
fn unsure_of_name(facts: &ImageFacts, version: &Version, setting: Setting<'_>) -> Option<(Outcome, Reason)> {
    if !needs_names(facts) {
        return None;
    }
    let tag = version.tag.clone();
    let mut names_now = facts.upstream.iter().flat_map(|upstream| &upstream.names_now);
    let Some(found) = names_now.find(|named| named.tag == tag) else {
        let reason = match &facts.registry_unavailable {
            Some(detail) => Reason::RegistryUnavailable { image: facts.image.clone(), detail: detail.clone() },
            None => Reason::NotAskedYet { tag },
        };
        return Some((Outcome::Waiting, reason));
    };
    match &found.digest {
        Some(digest) if *digest == version.digest => None,
        Some(digest) => {
            let (put, found) = (version.digest.short().to_owned(), digest.short().to_owned());
            let environment = setting.promotion.from.clone();
            Some((Outcome::Blocked, Reason::MovedSincePut { tag, put, found, environment }))
        }
        None => Some((Outcome::Blocked, Reason::NotAtRegistry { tag, image: facts.image.clone() })),
    }
}

/// Whether a reference of the image is written without a digest after an edit, so that `UpstreamFacts::names_now` has to
/// say what the version's tag names.
#[must_use]
pub fn needs_names(image: &ImageFacts) -> bool {
    image.references.iter().any(|reference| reference.is_versioned(image.pin) && !reference.wanted(image.pin).1)
}

/// The versions that may be chosen now by all but what their tags name at the registry: at most one. Who gathers asks
/// about its tag, where [`needs_names`] says so, and about no other.
///
/// `holds` are those of the environment.
#[must_use]
pub fn promotable(
    image: &ImageFacts,
    promotion: &PromotionFacts,
    now: Timestamp,
    by_pull_request: bool,
    holds: &[Hold],
) -> Vec<Version> {
    let Some(upstream) = image.upstream.as_ref().filter(|upstream| upstream.disagreeing.is_empty()) else {
        return Vec::new();
    };
    if image.references.is_empty() || image.claimed_by.is_some() {
        return Vec::new();
    }
    let wishes = Wishes::of(holds, None, &image.entry, now);
    let seen = survey(image, upstream, Setting { promotion, by_pull_request, wishes: &wishes, now });
    seen.iter().filter(|seen| seen.may_be_offered()).take(1).map(|seen| seen.ran.version.clone()).collect()
}

/// A decision by policy, in an environment that has no upstream but gates: `gates` are what
/// [`gate::evaluate_without_upstream`] says of the version that was chosen.
#[must_use]
pub fn held_to_gates(decision: Decision, gates: Vec<Gate>) -> Decision {
    let asked = decision.reasons.first().is_some_and(|reason| matches!(reason, Reason::AskedFor { .. }));
    let moves = matches!(decision.outcome, Outcome::Update | Outcome::Waiting) && !asked;
    let Some(version) = decision.version.clone().filter(|_| moves) else { return decision };
    let mut decision = Decision { gates, ..decision };
    if let Some(reason) = waits_for(&version, &decision.gates).filter(|_| decision.outcome == Outcome::Update) {
        decision.outcome = Outcome::Waiting;
        decision.reasons.insert(0, reason);
    }
    decision
}

/// When something changes by itself: the earliest time that a gate of a decision names, or at which a hold ends.
#[must_use]
pub fn next_change(decisions: &[Decision], holds: &[Hold], now: Timestamp) -> Option<Timestamp> {
    // Also of those to update: a window that closes stops a pull request from being merged.
    let moving = |decision: &&Decision| matches!(decision.outcome, Outcome::Waiting | Outcome::Update);
    let gates = decisions.iter().filter(moving).flat_map(|decision| &decision.gates);
    let holds = holds.iter().filter_map(|hold| match hold.until {
        Until::Time(until) => Some(until),
        _ => None,
    });
    gates.filter_map(|gate| gate.until).chain(holds).filter(|until| *until > now).min()
}

/// The same for every version that is ahead of what runs, whether it was decided on or not: a newer one may be waiting
/// while an older one is offered.
#[must_use]
pub fn next_gate_change(facts: &Facts) -> Option<Timestamp> {
    let mut earliest: Option<Timestamp> = None;
    for environment in &facts.environments {
        let Some(promotion) = &environment.promotion else { continue };
        for image in &environment.images {
            let Some(upstream) = &image.upstream else { continue };
            let wishes = Wishes::of(&environment.holds, Some(&environment.name), &image.entry, facts.now);
            let by_pull_request = environment.by_pull_request;
            let setting = Setting { promotion, by_pull_request, wishes: &wishes, now: facts.now };
            let seen = survey(image, upstream, setting);
            let untils = seen.iter().flat_map(Seen::gates).filter_map(|gate| gate.until);
            earliest = untils.filter(|until| *until > facts.now).chain(earliest).min();
        }
    }
    earliest
}

impl Seen<'_> {
    fn gates(&self) -> &[Gate] {
        self.fate.as_ref().map(Vec::as_slice).unwrap_or_default()
    }

    fn may_be_offered(&self) -> bool {
        self.fate.is_ok() && waits_for(&self.ran.version, self.gates()).is_none()
    }

    fn has_failed(&self) -> bool {
        self.gates().iter().any(has_failed)
    }

    /// Why it is not the one that comes; for one whose gates pass, that it comes.
    fn reason(&self) -> Reason {
        let version = &self.ran.version;
        match &self.fate {
            Err(reason) => reason.clone(),
            Ok(gates) => waits_for(version, gates)
                .unwrap_or_else(|| Reason::GatesWait { version: version.clone(), gates: Vec::new() }),
        }
    }
}

fn has_failed(gate: &Gate) -> bool {
    gate.holds == Stage::Offer && gate.state == GateState::Failed
}

/// The reason for which a version is not offered, where its gates give one.
fn waits_for(version: &Version, gates: &[Gate]) -> Option<Reason> {
    let texts = |which: &dyn Fn(&Gate) -> bool| -> Vec<String> {
        gates.iter().filter(|gate| which(gate)).map(ToString::to_string).collect()
    };
    let (version, failed) = (version.clone(), texts(&has_failed));
    if !failed.is_empty() {
        return Some(Reason::GatesFail { version, gates: failed });
    }
    let waiting = texts(&|gate| gate.holds == Stage::Offer && !gate.is_passed());
    (!waiting.is_empty()).then_some(Reason::GatesWait { version, gates: waiting })
}
