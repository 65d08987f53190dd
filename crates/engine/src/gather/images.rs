//! Images in environments: what is written of each, by which rules it is looked at, and its facts where it is chosen by
//! policy.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use tagboat_model::{
    BranchKey, Digest, EntryName, EnvironmentName, Hold, ImageName, Reference, Tag, Timestamp, Uneditable, Until,
    Version, Wish,
};
use tagboat_promotion::{
    Candidate, CandidateState, Delivery, Environment, EnvironmentFacts, ImageEntry, ImageFacts, PromotionFacts, Verify,
};
use tagboat_settings::RepositorySettings;

use crate::{
    ReconcileError,
    gather::{BranchFiles, Situation, candidates::Answer, registry::Inquiry},
    history::concerning,
    lanes::Ways,
    pending::Pending,
};

/// What the references of an environment say of one image.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) environment: EnvironmentName,
    pub(crate) entry: EntryName,
    pub(crate) image: ImageName,
    /// As written, without repeats.
    pub(crate) values: Vec<String>,
    /// Of those with both tag and digest.
    pub(crate) versions: Vec<Version>,
    /// Of the first.
    pub(crate) tag: Option<Tag>,
    pub(crate) digest: Option<Digest>,
}

impl Running {
    pub(super) fn of(asked: &Asked<'_>) -> Option<Self> {
        let first = asked.references.first()?;
        let mut values: Vec<String> = asked.references.iter().map(Reference::current).collect();
        values.sort();
        values.dedup();
        let version =
            |reference: &Reference| Some(Version { tag: reference.tag.clone()?, digest: reference.digest.clone()? });
        Some(Self {
            environment: asked.environment.name.clone(),
            entry: asked.entry.name.clone(),
            image: asked.entry.image.clone(),
            values,
            versions: asked.references.iter().filter_map(version).collect(),
            tag: first.tag.clone(),
            digest: first.digest.clone(),
        })
    }
}

/// One image entry in one environment, with the references found.
pub(super) struct Asked<'s> {
    pub(super) environment: &'s Environment,
    /// As it holds there.
    pub(super) entry: ImageEntry,
    pub(super) references: Vec<Reference>,
    pub(super) uneditable: Vec<Uneditable>,
    pub(super) unreadable: Vec<(String, String)>,
}

/// Whether pull requests matter for what is delivered here.
pub(super) fn wants_forge(environments: &[&Environment], settings: &RepositorySettings, governs: bool) -> bool {
    environments.iter().any(|environment| environment.deliver == Delivery::PullRequest)
        || (governs && settings.collaboration.dashboard.is_some())
}

/// What is known of an environment before its images.
pub(super) fn about(environment: &Environment, ways: &Ways, situation: &Situation) -> EnvironmentFacts {
    let promotion = |from: &EnvironmentName| PromotionFacts { from: from.clone(), gates: environment.gates.clone() };
    EnvironmentFacts {
        name: environment.name.clone(),
        images: Vec::new(),
        promotion: environment.promote_from.as_ref().map(promotion),
        gates: environment.gates.clone(),
        by_pull_request: ways.by_pull_request(environment),
        holds: concerning(&situation.holds, &environment.name),
    }
}

/// The images that environments choose by policy, with all that is written or said about that, in short: whoever edits a
/// rule or ends a hold wants a look. And those that an environment takes from a place of its own: what is promoted may come
/// there later than it ran upstream.
pub(super) fn with_rules(
    entries: &[ImageEntry],
    environments: &[&Environment],
    (holds, now): (&[Hold], Timestamp),
) -> Vec<(ImageName, String)> {
    let pairs = environments.iter().flat_map(|environment| entries.iter().map(move |entry| (*environment, entry)));
    let mut rules: BTreeMap<ImageName, DefaultHasher> = BTreeMap::new();
    for (environment, everywhere) in pairs {
        let entry = everywhere.within(environment);
        if environment.promote_from.is_some() && entry.image == everywhere.image {
            continue;
        }
        let hasher = rules.entry(entry.image.clone()).or_default();
        format!("{:?} {:?}", environment.name, entry).hash(hasher);
        let concerns = |hold: &&Hold| !hold.is_over(now) && hold.concerns(&environment.name, &entry.name);
        for hold in holds.iter().filter(concerns) {
            hold.id.hash(hasher);
        }
    }
    rules.into_iter().map(|(image, hasher)| (image, format!("{:016x}", hasher.finish()))).collect()
}

/// Every image entry in every environment, with its references there.
pub(super) fn ask<'s>(entries: &[ImageEntry], environments: &[&'s Environment], found: &BranchFiles) -> Vec<Asked<'s>> {
    let pairs = environments.iter().flat_map(|environment| entries.iter().map(move |entry| (*environment, entry)));
    let asked = |(environment, entry): (&'s Environment, &ImageEntry)| {
        let entry = entry.within(environment);
        let mut references = found.references(&environment.name, &entry);
        references.retain(|reference| reference.is_versioned(entry.pin));
        let uneditable = found.uneditable(&environment.name, &entry);
        let unreadable = found.unreadable(&environment.name, &entry);
        Asked { environment, entry, references, uneditable, unreadable }
    };
    pairs.map(asked).collect()
}

/// Another entry that claims the same references: the same image, and not in another folder.
pub(super) fn claimed_by<'a>(asked: &Asked<'_>, all: &'a [Asked<'_>]) -> Option<&'a EntryName> {
    let shares = |other: &&Asked<'_>| {
        let apart = match (&asked.entry.folder, &other.entry.folder) {
            (Some(one), Some(two)) => !is_within(one, two) && !is_within(two, one),
            _ => false,
        };
        other.environment.name == asked.environment.name
            && other.entry.name != asked.entry.name
            && other.entry.image == asked.entry.image
            && !apart
            && (other.entry.folder.is_none() == asked.entry.folder.is_none() || !other.references.is_empty())
    };
    all.iter().find(shares).map(|other| &other.entry.name)
}

pub(super) fn is_within(inner: &str, outer: &str) -> bool {
    inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

/// Ask registries at once what each of these images will be asked about first.
pub(super) async fn ask_ahead(
    inquiry: &mut Inquiry<'_>,
    asked: &[&Asked<'_>],
    pending: &Pending,
    situation: &Situation,
    key: &BranchKey,
) -> Result<(), ReconcileError> {
    let is_asked_about = |asked: &&&Asked<'_>| {
        !asked.references.is_empty() && !is_stopped(inquiry, asked, pending.tags(&asked.entry.image), situation)
    };
    let asked: Vec<&&Asked<'_>> = asked.iter().filter(is_asked_about).collect();
    inquiry.list_ahead(asked.iter().map(|asked| &asked.entry)).await;
    let mut tags = BTreeSet::new();
    for asked in asked {
        let name = &asked.entry.name;
        if situation.kept_offer(key, asked.environment, name).is_none() {
            let event_tags = pending.tags(&asked.entry.image);
            let foremost = inquiry.foremost(bare_facts(asked, None, situation), event_tags).await?;
            tags.extend(foremost.map(|tag| (asked.entry.image.clone(), tag)));
        }
    }
    inquiry.read_ahead(tags).await;
    Ok(())
}

/// Whether people stop all that would follow from a look that is only due because a rule or a hold changed. It is looked at
/// once that ends, or in a sweep.
fn is_stopped(inquiry: &Inquiry<'_>, asked: &Asked<'_>, event_tags: &[Tag], situation: &Situation) -> bool {
    let now = inquiry.engine.now();
    let stops = |hold: &&Hold| {
        let lasts = !hold.is_over(now) && !matches!(hold.until, Until::NewerThan(_));
        lasts && matches!(hold.wish, Wish::Hold | Wish::Freeze)
    };
    event_tags.is_empty()
        && inquiry.is_only_unlisted(&asked.entry.image)
        && situation.holds.iter().filter(stops).any(|hold| hold.concerns(&asked.environment.name, &asked.entry.name))
}

/// The facts of one image, or nothing where nothing gives a reason to look at it.
pub(super) async fn image_facts(
    inquiry: &mut Inquiry<'_>,
    asked: &Asked<'_>,
    claimed_by: Option<&EntryName>,
    pending: &Pending,
    situation: &Situation,
    key: &BranchKey,
) -> Result<Option<ImageFacts>, ReconcileError> {
    let image = &asked.entry.image;
    let event_tags = pending.tags(image);
    let mut facts = bare_facts(asked, claimed_by, situation);
    if facts.references.is_empty() || facts.claimed_by.is_some() {
        // Nothing to ask the registry for; an event is told why, and silence is enough otherwise.
        let unsafe_places = !facts.unreadable.is_empty() || !facts.uneditable.is_empty();
        let offered = situation.offered(key, &asked.environment.name, &asked.entry.name).is_some();
        let worth_saying = !event_tags.is_empty() || facts.claimed_by.is_some() || unsafe_places || offered;
        return Ok(worth_saying.then_some(facts));
    }
    let rule = match &asked.entry.verify {
        Some(Verify::Rule(rule)) => Some(rule),
        // Keys were read with the repository file.
        Some(Verify::KeyFile(_)) | None => None,
    };
    if let Some(offer) = situation.kept_offer(key, asked.environment, &asked.entry.name) {
        // It is to be merged before something newer comes.
        inquiry.recall(&facts).await?;
        inquiry.stand_by(&mut facts, Some(offer));
        if !event_tags.is_empty() || inquiry.is_to_be_listed(&facts) {
            // What comes meanwhile is looked at once it is merged.
            inquiry.looked(image, false);
        }
        return Ok(Some(facts));
    }
    let offered = situation.offered(key, &asked.environment.name, &asked.entry.name);
    let asked_for = situation.asked_for(&asked.environment.name, &asked.entry.name);
    let answer = match is_stopped(inquiry, asked, event_tags, situation) {
        true => Answer::Nothing,
        false => {
            inquiry.offered = offered.clone();
            inquiry.skips = skips(&situation.holds, &asked.environment.name, &facts);
            inquiry.candidates(facts.clone(), rule, event_tags).await?
        }
    };
    match answer {
        Answer::Nothing => {
            // What a pull request offers is offered still, and what somebody asked for is wanted.
            inquiry.stand_by(&mut facts, offered);
            Ok((facts.offered.is_some() || asked_for).then_some(facts))
        }
        Answer::Facts(found) => Ok(Some(*found)),
        Answer::Down(detail) => {
            facts.registry_unavailable = Some(detail);
            if event_tags.is_empty() {
                inquiry.stand_by(&mut facts, offered);
                return Ok(Some(facts));
            }
            let unasked =
                |tag: &Tag| Candidate { tag: tag.clone(), known: Default::default(), state: CandidateState::Unasked };
            facts.candidates = event_tags.iter().map(unasked).collect();
            Ok(Some(facts))
        }
    }
}

/// The holds that take versions out of the choice here.
pub(super) fn skips(holds: &[Hold], environment: &EnvironmentName, facts: &ImageFacts) -> Vec<Hold> {
    let skips = |hold: &&Hold| {
        matches!(hold.wish, Wish::Skip { .. } | Wish::Refuse { .. }) && hold.concerns(environment, &facts.entry)
    };
    holds.iter().filter(skips).cloned().collect()
}

/// What the files and the past say of an image, before anybody is asked.
pub(super) fn bare_facts(asked: &Asked<'_>, claimed_by: Option<&EntryName>, situation: &Situation) -> ImageFacts {
    ImageFacts {
        entry: asked.entry.name.clone(),
        image: asked.entry.image.clone(),
        selection: asked.entry.selection.clone(),
        pin: asked.entry.pin,
        references: asked.references.clone(),
        resolved: Vec::new(),
        unreadable: asked.unreadable.clone(),
        uneditable: asked.uneditable.clone(),
        claimed_by: claimed_by.cloned(),
        candidates: Vec::new(),
        further: 0,
        passed_over: Vec::new(),
        unread: 0,
        registry_unavailable: None,
        ran: situation.ran_in(&asked.environment.name, &asked.entry.name),
        upstream: None,
        offered: None,
    }
}
