//! Asking the registry, once per question and reconcile, and what is remembered of earlier answers.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use tagboat_model::{Digest, Duration, Hold, ImageName, SignatureRule, Tag, Timestamp, Version};
use tagboat_policy::{Known, Sight};
use tagboat_ports::{
    Interest, ManifestDescription, ManifestKind, Observation, ObservedTag, RegistryError, RegistryErrorKind, Step,
    Verification, Work,
};
use tagboat_promotion::{Candidate, CandidateState, ImageFacts};

use crate::{Engine, ReconcileError, chain, gather::announced::Announcements};

/// Requests at once when many tags are read.
const READ_AT_ONCE: usize = 8;
/// A signature or a platform often comes seconds after the tag; what does not come is looked for ever more rarely.
const SHORTEST_WAIT: Duration = Duration::from_seconds(15);
const LONGEST_WAIT: Duration = Duration::from_seconds(3600);

/// What a tag names, and whether we built it ourselves.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(super) manifest: ManifestDescription,
    /// The commit of ours that it was built from.
    pub(super) own_commit: Option<String>,
}

/// What was learned in one reconcile.
pub(super) struct Inquiry<'e> {
    pub(super) engine: &'e Engine,
    pub(super) work: &'e Work,
    sweeping: bool,
    /// Images that were not listed yet for this branch by the rules that hold, and those to be looked at again by now.
    unlisted: BTreeSet<ImageName>,
    due: BTreeSet<ImageName>,
    /// Images of which a version waits, and whose time has not come.
    not_due: BTreeSet<ImageName>,
    /// By image: what was read in earlier reconciles, and in this one.
    observed: BTreeMap<ImageName, BTreeMap<Tag, ObservedTag>>,
    /// By image: when its tags appeared; nothing before the first listing.
    sighted: BTreeMap<ImageName, Option<BTreeMap<Tag, Sight>>>,
    /// By image: what CI announced; nothing before it was asked for.
    pub(super) announced: BTreeMap<ImageName, Announcements>,
    /// The holds that take versions out of the choice for the image that is asked about.
    pub(super) skips: Vec<Hold>,
    /// What an open pull request offers of it.
    pub(super) offered: Option<Version>,
    pub(super) lists: BTreeMap<ImageName, Result<Vec<Tag>, String>>,
    /// What was read ahead, until it is asked for.
    pub(super) ahead: BTreeMap<(ImageName, Tag), Result<Option<ManifestDescription>, RegistryError>>,
    /// Images that were looked at as a sweep does, and those for which that failed.
    looked_at: BTreeSet<ImageName>,
    missed: BTreeSet<ImageName>,
    answers: Answers,
    verified: Vec<(ImageName, Digest, SignatureRule, Result<Verification, String>)>,
    learned: Vec<Observation>,
    /// Registries that could not be reached, with the reason: they are not tried again for each of their images.
    down: BTreeMap<String, String>,
    unavailable: Option<RegistryError>,
    waiting: BTreeMap<ImageName, Timestamp>,
}

/// What registries answered about tags.
pub(crate) type Answers = BTreeMap<(ImageName, Tag), Result<Option<Found>, String>>;

impl<'e> Inquiry<'e> {
    /// `answers` are those of an attempt that was made a moment ago.
    pub(super) fn new(
        engine: &'e Engine,
        work: &'e Work,
        sweeping: bool,
        interests: &[Interest],
        answers: Answers,
    ) -> Self {
        let now = engine.now();
        let is_due = |interest: &&Interest| interest.look_at.is_some_and(|look_at| look_at <= now);
        let due = interests.iter().filter(is_due).map(|interest| interest.image.clone()).collect();
        let waits = interests.iter().filter(|interest| interest.look_at.is_some() && !is_due(interest));
        let not_due = waits.map(|interest| interest.image.clone()).collect();
        let unlisted = interests.iter().filter(|interest| !interest.listed).map(|interest| interest.image.clone());
        Self {
            engine,
            work,
            sweeping,
            unlisted: unlisted.collect(),
            due,
            not_due,
            observed: BTreeMap::new(),
            sighted: BTreeMap::new(),
            announced: BTreeMap::new(),
            skips: Vec::new(),
            offered: None,
            lists: BTreeMap::new(),
            ahead: BTreeMap::new(),
            looked_at: BTreeSet::new(),
            missed: BTreeSet::new(),
            answers,
            verified: Vec::new(),
            learned: Vec::new(),
            down: BTreeMap::new(),
            unavailable: None,
            waiting: BTreeMap::new(),
        }
    }

    /// Read from the database what is remembered of an image.
    pub(super) async fn recall(&mut self, facts: &ImageFacts) -> Result<(), ReconcileError> {
        let (store, tenant, image) = (&self.engine.ports.store, &self.work.key.tenant, &facts.image);
        if !self.observed.contains_key(image) {
            let seen = store.observations(tenant, image).await?;
            self.observed.insert(image.clone(), seen.into_iter().map(|seen| (seen.tag.clone(), seen)).collect());
        }
        if keeps_sightings(facts) && !self.sighted.contains_key(image) {
            let seen = store.sightings(tenant, image).await?;
            let sight = |at, baseline| if baseline { Sight::Baseline(at) } else { Sight::After(at) };
            let seen =
                seen.map(|seen| seen.into_iter().map(|seen| (seen.tag, sight(seen.at, seen.baseline))).collect());
            self.sighted.insert(image.clone(), seen);
        }
        if facts.selection.policy.is_announced() {
            self.recall_announced(facts).await?;
        }
        Ok(())
    }

    /// Whether an image is to be looked at completely, whatever events say.
    pub(super) fn is_to_be_listed(&self, facts: &ImageFacts) -> bool {
        let no_baseline = keeps_sightings(facts) && !matches!(self.sighted.get(&facts.image), Some(Some(_)));
        no_baseline || self.is_looked_at(&facts.image)
    }

    /// Whether a version of the image waits for something, and it is not time to look yet.
    pub(super) fn waits(&self, image: &ImageName) -> bool {
        self.not_due.contains(image)
    }

    pub(super) fn is_looked_at(&self, image: &ImageName) -> bool {
        self.sweeping || self.unlisted.contains(image) || self.due.contains(image)
    }

    /// Whether an image is to be looked at only because a rule or a hold changed.
    pub(super) fn is_only_unlisted(&self, image: &ImageName) -> bool {
        self.unlisted.contains(image) && !self.sweeping && !self.due.contains(image)
    }

    /// Let what is offered stand, if something is, with what is known of it.
    pub(super) fn stand_by(&self, facts: &mut ImageFacts, offered: Option<Version>) {
        if let Some(Version { tag, .. }) = &offered {
            let known = self.known(facts, tag);
            facts.candidates = vec![Candidate { tag: tag.clone(), known, state: CandidateState::Unasked }];
        }
        facts.offered = offered;
    }

    /// Note that an image was looked at completely, or was to be and could not.
    pub(super) fn looked(&mut self, image: &ImageName, completely: bool) {
        let looked = if completely { &mut self.looked_at } else { &mut self.missed };
        looked.insert(image.clone());
    }

    pub(super) fn observed(&self, image: &ImageName) -> impl Iterator<Item = &ObservedTag> {
        self.observed.get(image).into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn observation(&self, image: &ImageName, tag: &Tag) -> Option<&ObservedTag> {
        self.observed.get(image)?.get(tag)
    }

    /// What is known of a tag beside its spelling.
    pub(super) fn known(&self, facts: &ImageFacts, tag: &Tag) -> Known {
        let policy = &facts.selection.policy;
        let observed = self.observation(&facts.image, tag);
        let announced_at = self.announced(facts, tag).iter().map(|announced| announced.at).min();
        let changed = observed.filter(|observed| !observed.replaced.is_empty()).map(|observed| observed.since);
        // A build is placed by what it is now; a tag by what it was when it appeared.
        let created = match policy.is_by_appearance() {
            true => observed.and_then(|observed| observed.created),
            false => observed.and_then(|observed| observed.manifest.created),
        };
        let seen = self.sighted.get(&facts.image).and_then(Option::as_ref).and_then(|seen| seen.get(tag));
        let sight = match (observed, announced_at) {
            // The age of what a followed tag names begins when it was first read to name that.
            (Some(observed), _) if policy.followed().is_some() => Some(Sight::Baseline(observed.since)),
            (_, Some(at)) => Some(Sight::After(at)),
            // Where nobody keeps when tags appear, one has been there since it was first read.
            _ if !keeps_sightings(facts) => seen.copied().or(observed.map(|observed| Sight::Baseline(observed.since))),
            _ => seen.copied(),
        };
        Known { sight, created, changed, announced: self.announced_place(facts, tag) }
    }

    /// Let go of what was read of these images; what was learned is kept.
    pub(super) fn forget<'a>(&mut self, images: impl Iterator<Item = &'a ImageName>) {
        for image in images {
            self.lists.remove(image);
            self.sighted.remove(image);
            self.observed.remove(image);
            self.announced.remove(image);
            self.ahead.retain(|(read, _), _| read != image);
        }
    }

    pub(super) async fn list(&mut self, facts: &ImageFacts) -> Result<Result<Vec<Tag>, String>, ReconcileError> {
        let image = &facts.image;
        let listed = match (self.lists.get(image), self.down.get(image.registry())) {
            (Some(known), _) => known.clone(),
            (None, Some(reason)) => Err(reason.clone()),
            (None, None) => {
                let result = self.engine.ports.registry.tags(image).await;
                let result = result.map_err(|error| self.note(error));
                self.lists.insert(image.clone(), result.clone());
                result
            }
        };
        if let (Ok(tags), true) = (&listed, keeps_sightings(facts)) {
            let images: Vec<Tag> = tags.iter().filter(|tag| !tag.is_artifact_of_another()).cloned().collect();
            self.sight(image, images).await?;
        }
        Ok(listed)
    }

    /// Remember that an image has these tags now.
    pub(super) async fn sight(&mut self, image: &ImageName, tags: Vec<Tag>) -> Result<(), ReconcileError> {
        let Some(sighted) = self.sighted.get_mut(image) else { return Ok(()) };
        let now = self.engine.now();
        let first = sighted.is_none();
        let seen = sighted.get_or_insert_default();
        let new: Vec<Tag> = tags.into_iter().filter(|tag| !seen.contains_key(tag)).collect();
        for tag in &new {
            seen.insert(tag.clone(), if first { Sight::Baseline(now) } else { Sight::After(now) });
        }
        if first || !new.is_empty() {
            self.engine.ports.store.sight(&self.work.key.tenant, image, &new, now).await?;
        }
        Ok(())
    }

    /// Ask about one tag. The outer error is ours, the inner one the registry's.
    pub(super) async fn ask(
        &mut self,
        image: &ImageName,
        tag: &Tag,
    ) -> Result<Result<Option<Found>, String>, ReconcileError> {
        let key = (image.clone(), tag.clone());
        if let Some(known) = self.answers.get(&key) {
            return Ok(known.clone());
        }
        if let Some(reason) = self.down.get(image.registry()) {
            return Ok(Err(reason.clone()));
        }
        let before = self.observation(image, tag).map(|observed| observed.manifest.clone());
        let answer = match self.read(image, tag, before).await {
            Ok(None) => Ok(None),
            Ok(Some(manifest)) => Ok(Some(self.attribute(manifest).await?)),
            Err(error) => Err(self.note(error)),
        };
        self.engine.ports.progress.step(&Step::Asked {
            image: image.clone(),
            tag: tag.clone(),
            answer: in_words(&answer),
            at: self.engine.now(),
        });
        self.answers.insert(key, answer.clone());
        Ok(answer)
    }

    /// One request for a tag seen before that did not move; else its manifest and configuration.
    async fn read(
        &mut self,
        image: &ImageName,
        tag: &Tag,
        before: Option<ManifestDescription>,
    ) -> Result<Option<ManifestDescription>, RegistryError> {
        let registry = &self.engine.ports.registry;
        if let Some(before) = before.filter(ManifestDescription::is_complete) {
            match registry.digest(image, tag).await? {
                None => return Ok(None),
                Some(digest) if digest == before.digest => return Ok(Some(before)),
                Some(_) => {}
            }
        }
        let manifest = match self.ahead.remove(&(image.clone(), tag.clone())) {
            Some(answer) => answer?,
            None => registry.describe(image, tag).await?,
        };
        if let Some(manifest) = &manifest {
            self.learn(image, tag, manifest);
        }
        Ok(manifest)
    }

    fn learn(&mut self, image: &ImageName, tag: &Tag, manifest: &ManifestDescription) {
        if matches!(manifest.kind, ManifestKind::Incomplete { .. }) {
            return;
        }
        let known = self.observed.entry(image.clone()).or_default();
        let after = ObservedTag::after(known.remove(tag), tag.clone(), manifest.clone(), self.engine.now());
        known.insert(tag.clone(), after);
        self.learned.push(Observation { image: image.clone(), tag: tag.clone(), manifest: manifest.clone() });
    }

    /// Read tags that were never read, several at once. What is wrong with some is passed over; the inner error is the
    /// registry's, when nothing of a part could be read.
    pub(super) async fn read_all(&mut self, image: &ImageName, tags: &[Tag]) -> Result<(), String> {
        if let Some(reason) = self.down.get(image.registry()) {
            return Err(reason.clone());
        }
        for chunk in tags.chunks(READ_AT_ONCE) {
            let registry = &self.engine.ports.registry;
            let answers = join_all(chunk.iter().map(|tag| registry.describe(image, tag))).await;
            let mut failures = Vec::new();
            for (tag, answer) in chunk.iter().zip(answers) {
                match answer {
                    Ok(Some(manifest)) => self.learn(image, tag, &manifest),
                    Ok(None) => {}
                    Err(error) => failures.push(error),
                }
            }
            if failures.len() == chunk.len()
                && let Some(error) = failures.into_iter().find(|error| error.kind == RegistryErrorKind::Outage)
            {
                return Err(self.note(error));
            }
        }
        Ok(())
    }

    async fn attribute(&self, manifest: ManifestDescription) -> Result<Found, ReconcileError> {
        let own_commit = match &manifest.revision {
            Some(revision) if manifest.kind == ManifestKind::Image => {
                let revision = std::slice::from_ref(revision);
                self.engine.ports.store.own_commits(&self.work.key.tenant, revision).await?.pop()
            }
            _ => None,
        };
        Ok(Found { manifest, own_commit })
    }

    /// Whether a manifest is signed as it has to be.
    pub(super) async fn verify(
        &mut self,
        image: &ImageName,
        digest: &Digest,
        rule: &SignatureRule,
    ) -> Result<Verification, String> {
        let same =
            |known: &&(ImageName, Digest, SignatureRule, _)| (&known.0, &known.1, &known.2) == (image, digest, rule);
        if let Some((.., known)) = self.verified.iter().find(same) {
            return known.clone();
        }
        let result = self.engine.ports.registry.verify(image, digest, rule).await;
        let result = result.map_err(|error| self.note(error));
        self.verified.push((image.clone(), digest.clone(), rule.clone(), result.clone()));
        result
    }

    /// Keep the first outage, return the words. What is wrong with one repository is a reason of its own and
    /// nothing to try again for.
    pub(super) fn note(&mut self, error: RegistryError) -> String {
        let words = chain(&error);
        tracing::warn!(branch = %self.work.key, error = %words, "the registry could not be asked");
        if error.kind == RegistryErrorKind::Outage {
            self.down.insert(error.image.registry().to_owned(), words.clone());
        }
        if error.kind != RegistryErrorKind::Repository {
            self.unavailable.get_or_insert(error);
        }
        words
    }

    pub(super) fn is_down(&self, image: &ImageName) -> bool {
        self.down.contains_key(image.registry())
    }

    /// The tags that references without one are known to run, by their digests.
    pub(super) fn resolve(&self, facts: &ImageFacts) -> Vec<Tag> {
        let alone = facts.references.iter().filter(|reference| reference.tag.is_none());
        let digests: Vec<&Digest> = alone.filter_map(|reference| reference.digest.as_ref()).collect();
        // What a tag named before it was moved counts too.
        let runs = |seen: &&ObservedTag| {
            digests.contains(&&seen.manifest.digest) || seen.replaced.iter().any(|digest| digests.contains(&digest))
        };
        self.observed(&facts.image).filter(runs).map(|seen| seen.tag.clone()).collect()
    }

    /// Look at an image again at some time, although nothing may happen until then.
    pub(super) fn look_again(&mut self, image: &ImageName, at: Timestamp) {
        let waits = self.waiting.entry(image.clone()).or_insert(at);
        *waits = at.min(*waits);
    }

    /// Look again for something that a version still lacks: soon after it appeared, then ever more rarely.
    pub(super) fn wait_for_more(&mut self, facts: &ImageFacts, tag: &Tag) {
        let now = self.engine.now();
        let since = self.observation(&facts.image, tag).map(|observed| observed.since);
        let since = since.or_else(|| self.announced(facts, tag).iter().map(|announced| announced.at).max());
        let waited = since.map_or(Duration::ZERO, |since| now.since(since));
        self.look_again(&facts.image, now.plus(waited.clamp(SHORTEST_WAIT, LONGEST_WAIT)));
    }

    /// What was learned, and which images were looked at completely.
    pub(super) fn finish(self) -> Looked {
        // Two environments may judge one image; one of them that could not counts.
        let listed = self.looked_at.difference(&self.missed).cloned().collect();
        let missed = self.missed.into_iter().collect();
        let (waiting, was_due) = (self.waiting.into_iter().collect(), !self.due.is_empty());
        // What could not be read is asked again.
        let answers = self.answers.into_iter().filter(|(_, answer)| answer.is_ok()).collect();
        Looked { learned: self.learned, answers, listed, missed, unavailable: self.unavailable, waiting, was_due }
    }
}

/// What became of looking at everything.
pub(crate) struct Looked {
    /// What was read.
    pub(crate) learned: Vec<Observation>,
    /// What registries answered.
    pub(crate) answers: Answers,
    /// Images that were looked at completely.
    pub(crate) listed: Vec<ImageName>,
    /// Images that were to be, and could not.
    pub(crate) missed: Vec<ImageName>,
    /// The first registry that could not be asked.
    pub(crate) unavailable: Option<RegistryError>,
    /// Images of which a version waits for something, with when to look again.
    pub(crate) waiting: Vec<(ImageName, Timestamp)>,
    /// Whether one was to be looked at again by now.
    pub(crate) was_due: bool,
}

/// Whether it matters when tags appeared.
fn keeps_sightings(facts: &ImageFacts) -> bool {
    let policy = &facts.selection.policy;
    policy.is_by_appearance() || (facts.selection.minimum_age.is_some() && policy.followed().is_none())
}

fn in_words(answer: &Result<Option<Found>, String>) -> String {
    match answer {
        Ok(None) => "no such tag".to_owned(),
        Ok(Some(Found { own_commit: Some(revision), .. })) => format!("built from our own commit {revision}"),
        Ok(Some(Found { manifest, .. })) => match &manifest.kind {
            ManifestKind::Image => format!("an image, {}", manifest.digest),
            ManifestKind::Incomplete { detail } | ManifestKind::Other { detail } => detail.clone(),
        },
        Err(detail) => detail.clone(),
    }
}
