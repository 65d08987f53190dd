//! What people wish goes over what policies and upstreams say; and how going back is noticed.
//!
//! Does not read commands and keeps no holds. Which wish counts, where there are several for one image:
//!
//! 1. `Skip` takes a version out of the choice; the next best is chosen. `Refuse` takes it out with all below it: whoever
//!    closed the pull request does not get another one for an older version. Only a person who asks for just that version
//!    brings it.
//! 2. Of several `Keep` and `Promote` the newest counts. A `Promote` whose version is there has ended, and with it every
//!    `Keep` from before it. So has one whose version was refused since: closing its pull request takes the wish back.
//! 3. `Hold` keeps what runs, but a `Keep` goes over it (who rolls back says where to), and a `Promote` that is newer.
//! 4. `Freeze` keeps what runs, and no `Promote` goes over it; a `Keep` does that is newer, because a rollback must be
//!    possible without thawing everything else.
//!
//! A hold that lasts until something newer comes is over once a version above its own is chosen, not while that waits for
//! its gates.

use std::cmp::Ordering;

use sha2::{Digest as _, Sha256};
use tagboat_model::{
    Decision, Digest, EntryName, EnvironmentName, Hold, HoldId, Outcome, Person, PutBy, Ran, Reason, Reference, Tag,
    Timestamp, Until, Version, Wish,
};

use crate::{Facts, ImageFacts, decide::Conclusion, propose::hex};

/// The wishes that concern one image in one environment, at a point in time.
#[derive(Debug)]
pub(crate) struct Wishes<'h> {
    holds: Vec<&'h Hold>,
}

impl<'h> Wishes<'h> {
    /// Those of `holds` that concern the entry; without an environment, `holds` are those of one.
    pub(crate) fn of(
        holds: &'h [Hold],
        environment: Option<&EnvironmentName>,
        entry: &EntryName,
        now: Timestamp,
    ) -> Self {
        let concerns = |hold: &&Hold| match environment {
            Some(environment) => hold.concerns(environment, entry),
            None => hold.entry.as_ref().is_none_or(|own| own == entry),
        };
        Self { holds: holds.iter().filter(concerns).filter(|hold| !hold.is_over(now)).collect() }
    }

    /// The hold that takes a version out of the choice. A tag is left out whatever it names, unless its digest is followed.
    /// What is below a refused version is left out with it, unless it runs here already.
    pub(crate) fn against(&self, facts: &ImageFacts, tag: &Tag, digest: Option<&Digest>) -> Option<&'h Hold> {
        let follows = facts.selection.policy.followed().is_some();
        let is_against = |hold: &&Hold| match &hold.wish {
            Wish::Skip { version } | Wish::Refuse { version, .. } if follows => Some(&version.digest) == digest,
            Wish::Skip { version } | Wish::Refuse { version, .. } => version.tag == *tag,
            _ => false,
        };
        let is_above_it = |hold: &&Hold| match &hold.wish {
            Wish::Refuse { version, .. } => !is_here(facts, tag, digest) && is_below(facts, (tag, digest), version),
            _ => false,
        };
        let mut holds = self.holds.iter().copied();
        holds.clone().find(is_against).or_else(|| holds.find(is_above_it))
    }

    /// What follows, where `free` is what follows without wishes that stop or ask for something.
    pub(crate) fn apply(&self, facts: &ImageFacts, current: &[String], free: Conclusion) -> Conclusion {
        let comes = matches!(free.outcome, Outcome::Update | Outcome::Nothing);
        let comes = free.version.as_ref().filter(|_| comes);
        let lasts = |hold: &&&Hold| match (&hold.until, comes) {
            (Until::NewerThan(than), Some(version)) => !is_above(facts, version, than),
            _ => true,
        };
        let holds: Vec<&Hold> = self.holds.iter().filter(lasts).copied().collect();
        let newest = |is_such: &dyn Fn(&Wish) -> bool| {
            let such = holds.iter().copied().filter(|hold| is_such(&hold.wish));
            such.max_by(|left, right| {
                let place = |hold: &Hold| (hold.since, hold.entry.is_some(), hold.id.clone());
                place(left).cmp(&place(right))
            })
        };
        let freeze = newest(&|wish| matches!(wish, Wish::Freeze));
        let hold = newest(&|wish| matches!(wish, Wish::Hold));
        let asked = newest(&|wish| matches!(wish, Wish::Keep { .. } | Wish::Promote { .. }));
        let asked = asked.filter(|asked| !is_refused_since(asked, &self.holds));
        let is_newer = |asked: &Hold, stop: Option<&Hold>| stop.is_none_or(|stop| asked.since > stop.since);
        if let Some(asked) = asked {
            match &asked.wish {
                Wish::Keep { version } if is_newer(asked, freeze) => return kept(facts, current, asked, version),
                Wish::Promote { version }
                    if freeze.is_none() && is_newer(asked, hold) && !is_carried(facts, version) =>
                {
                    return asked_for(current, asked, version);
                }
                _ => {}
            }
        }
        match freeze.or(hold) {
            Some(stop) => stopped(stop, free),
            None => free,
        }
    }
}

fn kept(facts: &ImageFacts, current: &[String], hold: &Hold, version: &Version) -> Conclusion {
    if is_carried(facts, version) {
        let reasons = vec![Reason::Held { hold: Box::new(hold.clone()) }];
        return Conclusion::new(Outcome::Nothing, Some(version.clone()), reasons);
    }
    asked_for(current, hold, version)
}

fn asked_for(current: &[String], hold: &Hold, version: &Version) -> Conclusion {
    let mut reasons = vec![Reason::AskedFor { hold: Box::new(hold.clone()) }];
    if current.len() > 1 {
        reasons.push(Reason::ReferencesDisagree { versions: current.to_vec() });
    }
    Conclusion::new(Outcome::Update, Some(version.clone()), reasons)
}

fn stopped(hold: &Hold, free: Conclusion) -> Conclusion {
    let Conclusion { outcome, version, mut reasons, gates } = free;
    let reason = Reason::Held { hold: Box::new(hold.clone()) };
    let stops = version.is_some() && matches!(outcome, Outcome::Update | Outcome::Waiting);
    let place = if stops { 0 } else { reasons.len() };
    reasons.insert(place, reason);
    Conclusion { outcome: if stops { Outcome::Waiting } else { outcome }, version, reasons, gates }
}

/// Whether all references carry a version.
fn is_carried(facts: &ImageFacts, version: &Version) -> bool {
    !facts.references.is_empty() && facts.references.iter().all(|reference| reference.carries(version, facts.pin))
}

/// Whether a version is above another: by policy, else by the order in which they came upstream. Of a tag whose digest is
/// followed, what never ran here is above.
fn is_above(facts: &ImageFacts, version: &Version, than: &Version) -> bool {
    if facts.selection.policy.followed().is_some() {
        let is_new = facts.ran.iter().all(|ran| ran.version.digest != version.digest);
        return is_new && version.digest != than.digest;
    }
    let (mine, theirs) = (facts.known(&version.tag), facts.known(&than.tag));
    if let Some(order) = facts.selection.compare((&version.tag, &mine), (&than.tag, &theirs)) {
        return order == Ordering::Greater;
    }
    let ran = facts.upstream.as_ref().map(|upstream| upstream.ran.as_slice()).unwrap_or_default();
    let place = |version: &Version| ran.iter().rposition(|ran| ran.version == *version);
    place(than).is_some_and(|theirs| place(version).is_some_and(|mine| mine > theirs))
}

/// Whether a reference carries a version, as far as it says.
fn is_here(facts: &ImageFacts, tag: &Tag, digest: Option<&Digest>) -> bool {
    let is_same = |reference: &Reference| match (&reference.digest, digest) {
        (Some(written), Some(digest)) => written == digest,
        _ => reference.tag.as_ref() == Some(tag),
    };
    facts.references.iter().any(is_same)
}

/// Whether a version is below another: by the order in which both came upstream, else by policy.
fn is_below(facts: &ImageFacts, (tag, digest): (&Tag, Option<&Digest>), than: &Version) -> bool {
    let ran = facts.upstream.as_ref().map(|upstream| upstream.ran.as_slice()).unwrap_or_default();
    let is_it = |ran: &Ran| ran.version.tag == *tag && digest.is_none_or(|digest| ran.version.digest == *digest);
    let (mine, theirs) = (ran.iter().rposition(is_it), ran.iter().rposition(|ran| ran.version == *than));
    if let (Some(mine), Some(theirs)) = (mine, theirs) {
        return mine < theirs;
    }
    if facts.selection.policy.followed().is_some() {
        // Only what ran says which digest of a tag is older.
        let has_run = |digest: &Digest| facts.ran.iter().any(|ran| ran.version.digest == *digest);
        return digest.is_some_and(has_run) && !has_run(&than.digest);
    }
    let order = facts.selection.compare((tag, &facts.known(tag)), (&than.tag, &facts.known(&than.tag)));
    order == Some(Ordering::Less)
}

/// The hold that takes a version out of the choice for an image. `holds` are those of its environment.
///
/// Where that is a [`Wish::Refuse`], all that is lower is out of it too: who asks the registry about the best first has
/// no reason to go on.
#[must_use]
pub fn refused<'h>(
    holds: &'h [Hold],
    image: &ImageFacts,
    (tag, digest): (&Tag, Option<&Digest>),
    now: Timestamp,
) -> Option<&'h Hold> {
    Wishes::of(holds, None, &image.entry, now).against(image, tag, digest)
}

/// People went back from a version that Tagboat had put somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBack {
    /// The version that was taken back.
    pub from: Version,
    /// The one that is there again.
    pub to: Version,
    /// Since when the first one had been there: the same may happen again.
    pub since: Timestamp,
}

/// Whether people took back what Tagboat did last: some or all of the references carry an earlier version of the sequence
/// again, and none of our own changes explains it.
///
/// `ran` is the sequence as it was before what is written now, oldest first; `current` the distinct values that are
/// written now, as in `Decision::current`; `now_versions` the versions that they are known to be; `explained` the versions
/// that our own commits and pull requests brought since. Where the sequence is not known, nothing is attributed to anybody.
#[must_use]
pub fn taken_back(
    ran: &[Ran],
    current: &[String],
    now_versions: &[Version],
    explained: &[Version],
) -> Option<TakenBack> {
    let (last, earlier) = ran.split_last()?;
    if last.taken_back || !matches!(last.by, PutBy::Tagboat { .. }) {
        return None;
    }
    let others: Vec<&String> = current.iter().filter(|value| !says(value, &last.version)).collect();
    if others.is_empty() {
        return None;
    }
    let is_there = |version: &Version| {
        *version != last.version
            && (others.iter().any(|value| says(value, version)) || now_versions.contains(version))
            && !explained.contains(version)
    };
    let to = earlier.iter().rev().map(|ran| &ran.version).find(|version| is_there(version))?;
    Some(TakenBack { from: last.version.clone(), to: to.clone(), since: last.since })
}

/// Whether a value as written (`1.4.0`, `1.4.0@sha256:…`, `sha256:…`) is a version: by digest where one is written.
fn says(value: &str, version: &Version) -> bool {
    match value.split_once('@') {
        Some((_, digest)) => digest == version.digest.short(),
        None => value == version.tag.as_str() || value == version.digest.short(),
    }
}

/// The hold that follows from going back. The same for the same, so that placing it twice is placing it once.
#[must_use]
pub fn hold_of(taken: &TakenBack, environment: &EnvironmentName, entry: &EntryName, now: Timestamp) -> Option<Hold> {
    let TakenBack { from, to, since } = taken;
    let mut hash = Sha256::new();
    hash.update(format!("{}\n", since.0));
    for version in [from, to] {
        hash.update(format!("{environment}\n{entry}\n{}\n{}\n", version.tag, version.digest));
    }
    let id: HoldId = format!("h-{}", hex(hash)).parse().ok()?;
    Some(Hold {
        id,
        environment: Some(environment.clone()),
        entry: Some(entry.clone()),
        wish: Wish::Hold,
        by: Person::tagboat(),
        why: Some(format!("people went back from {from} to {to}")),
        since: now,
        until: Until::Released,
    })
}

/// The holds that have ended by themselves: those whose time is over, those that waited for something newer which was
/// chosen now, each `Promote` whose version is there or was refused since, and each `Keep` that such a `Promote` went over.
#[must_use]
pub fn ended(holds: &[Hold], facts: &Facts, decisions: &[Decision]) -> Vec<HoldId> {
    holds.iter().filter(|hold| has_ended(hold, holds, facts, decisions)).map(|hold| hold.id.clone()).collect()
}

fn has_ended(hold: &Hold, holds: &[Hold], facts: &Facts, decisions: &[Decision]) -> bool {
    if hold.is_over(facts.now) {
        return true;
    }
    let has_come = |decision: &Decision| {
        let comes = matches!(decision.outcome, Outcome::Update | Outcome::Nothing);
        let version =
            decision.version.as_ref().filter(|_| comes && hold.concerns(&decision.environment, &decision.entry));
        match (&hold.until, version, image(facts, decision)) {
            (Until::NewerThan(than), Some(version), Some(image)) => is_above(image, version, than),
            _ => false,
        }
    };
    if decisions.iter().any(has_come) {
        return true;
    }
    match &hold.wish {
        Wish::Promote { version } => {
            let others: Vec<&Hold> = holds.iter().collect();
            is_there(hold, version, facts) || is_refused_since(hold, &others)
        }
        Wish::Keep { .. } => holds.iter().any(|other| match &other.wish {
            Wish::Promote { version } => {
                let same = (&other.environment, &other.entry) == (&hold.environment, &hold.entry);
                same && other.since > hold.since && is_there(other, version, facts)
            }
            _ => false,
        }),
        _ => false,
    }
}

/// Whether somebody asked for a version and it was refused there later. Forges tell the time of a closing in whole seconds.
fn is_refused_since(asked: &Hold, holds: &[&Hold]) -> bool {
    let Wish::Promote { version: wanted } = &asked.wish else { return false };
    let seconds = |time: Timestamp| time.0.div_euclid(1000);
    holds.iter().any(|other| match &other.wish {
        Wish::Refuse { version, .. } => {
            let same = (&other.environment, &other.entry) == (&asked.environment, &asked.entry);
            same && version == wanted && seconds(other.since) >= seconds(asked.since)
        }
        _ => false,
    })
}

/// Whether every image that a hold is about carries a version; there is at least one.
fn is_there(hold: &Hold, version: &Version, facts: &Facts) -> bool {
    let environments = facts.environments.iter();
    let images = environments.flat_map(|within| within.images.iter().map(move |image| (&within.name, image)));
    let mut concerned = images.filter(|(environment, image)| hold.concerns(environment, &image.entry)).peekable();
    concerned.peek().is_some() && concerned.all(|(_, image)| is_carried(image, version))
}

fn image<'f>(facts: &'f Facts, decision: &Decision) -> Option<&'f ImageFacts> {
    let within = facts.environments.iter().find(|environment| environment.name == decision.environment)?;
    within.images.iter().find(|image| image.entry == decision.entry)
}
