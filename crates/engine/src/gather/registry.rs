//! Asking the registry, once per tag and reconcile.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use tagboat_model::{ImageName, Tag};
use tagboat_policy::Policy;
use tagboat_ports::{ManifestDescription, ManifestKind, Observation, RegistryError, RegistryErrorKind, Step, Work};
use tagboat_promotion::{Candidate, CandidateState, ImageFacts, wanted_tags};

use crate::{Engine, ReconcileError, chain};

/// After this many tags that turned out to be no images, the rest waits for the next sweep.
const MOST_TAGS_ASKED: usize = 50;

/// What was learned in one reconcile.
pub(super) struct Inquiry<'e> {
    engine: &'e Engine,
    work: &'e Work,
    sweeping: bool,
    /// Images that were never listed for this branch.
    unlisted: BTreeSet<ImageName>,
    /// By image: what was read in earlier reconciles.
    observed: BTreeMap<ImageName, Vec<Observation>>,
    lists: BTreeMap<ImageName, Result<Vec<Tag>, String>>,
    /// Images that were looked at as a sweep does, and those for which that failed.
    looked_at: BTreeSet<ImageName>,
    missed: BTreeSet<ImageName>,
    answers: BTreeMap<(ImageName, Tag), Result<CandidateState, String>>,
    learned: Vec<Observation>,
    /// Registries that could not be reached, with the reason: they are not tried again for each of their images.
    down: BTreeMap<String, String>,
    unavailable: Option<RegistryError>,
}

impl<'e> Inquiry<'e> {
    pub(super) async fn new(engine: &'e Engine, work: &'e Work, sweeping: bool) -> Result<Self, ReconcileError> {
        let interests = engine.ports.store.interests(&work.key).await?;
        Ok(Self {
            engine,
            work,
            sweeping,
            unlisted: interests
                .into_iter()
                .filter(|interest| !interest.listed)
                .map(|interest| interest.image)
                .collect(),
            observed: BTreeMap::new(),
            lists: BTreeMap::new(),
            looked_at: BTreeSet::new(),
            missed: BTreeSet::new(),
            answers: BTreeMap::new(),
            learned: Vec::new(),
            down: BTreeMap::new(),
            unavailable: None,
        })
    }

    /// The candidates of an image, asked about as far as needed; nothing when there is no reason to look, the
    /// reason when the registry could not be asked.
    pub(super) async fn candidates(
        &mut self,
        facts: &ImageFacts,
        event_tags: &[Tag],
    ) -> Result<Option<Result<Vec<Candidate>, String>>, ReconcileError> {
        let reason = self.reason_to_look(facts);
        let found = self.look(facts, event_tags, reason).await?;
        if reason == Reason::List {
            let looked = if matches!(found, Some(Err(_))) { &mut self.missed } else { &mut self.looked_at };
            looked.insert(facts.image.clone());
        }
        Ok(found)
    }

    async fn look(
        &mut self,
        facts: &ImageFacts,
        event_tags: &[Tag],
        reason: Reason,
    ) -> Result<Option<Result<Vec<Candidate>, String>>, ReconcileError> {
        let mut known: Vec<Tag> = event_tags.to_vec();
        if let (Reason::List, Policy::Semver(_)) = (reason, &facts.policy) {
            match self.list(&facts.image).await {
                Ok(tags) => known.extend(tags),
                Err(detail) => return Ok(Some(Err(detail))),
            }
        }
        known.extend(self.observations(&facts.image).await?.iter().map(|seen| seen.tag.clone()));
        match &facts.policy {
            Policy::Digest(followed) => known.push(followed.tag.clone()),
            // What runs is a candidate too: a lower one must not win because nobody spoke of it.
            Policy::Semver(_) => {
                let written = facts.references.iter().filter_map(|reference| reference.tag.clone());
                known.extend(written.chain(facts.resolved.iter().cloned()));
            }
        }
        let known: Vec<Tag> = known.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut wanted = wanted_tags(facts, &known);
        let as_asked = facts.references.iter().all(|reference| reference.is_written_as(facts.pin));
        let settled = is_ordered(facts) && as_asked && !(facts.allow_downgrade && reason == Reason::List);
        if settled {
            // What runs already needs no second look unless somebody speaks of it; a followed tag does, since only
            // its digest moves.
            let look = matches!((reason, &facts.policy), (Reason::List, Policy::Digest(_)));
            wanted.retain(|tag| look || event_tags.contains(tag) || is_above_current(facts, tag));
            if wanted.is_empty() && event_tags.is_empty() && reason == Reason::None {
                return Ok(None);
            }
        }
        let mut states: BTreeMap<Tag, CandidateState> = BTreeMap::new();
        let mut asked = 0;
        for tag in wanted {
            // What was read before and is no image needs no second look, unless somebody speaks of it.
            let before = self.observations(&facts.image).await?.iter().find(|seen| seen.tag == tag);
            if let Some(ManifestKind::Other { detail }) = before.map(|seen| seen.manifest.kind.clone())
                && !event_tags.contains(&tag)
            {
                states.insert(tag, CandidateState::NotAnImage { detail });
                continue;
            }
            asked += 1;
            if asked > MOST_TAGS_ASKED {
                break;
            }
            let state = match self.ask(&facts.image, &tag).await? {
                Ok(state) => state,
                // A better tag that cannot be judged now must not make a lesser one win.
                Err(detail) => return Ok(Some(Err(detail))),
            };
            let confirmed = matches!(state, CandidateState::Confirmed { .. });
            states.insert(tag, state);
            if confirmed {
                break;
            }
        }
        let state_of = |tag: &Tag| states.get(tag).cloned().unwrap_or(CandidateState::Unasked);
        Ok(Some(Ok(known.into_iter().map(|tag| Candidate { state: state_of(&tag), tag }).collect())))
    }

    /// Listing is for sweeps, for images never listed, and where the current value cannot be ordered.
    fn reason_to_look(&self, facts: &ImageFacts) -> Reason {
        let list = self.sweeping || self.unlisted.contains(&facts.image) || !is_ordered(facts);
        if list { Reason::List } else { Reason::None }
    }

    async fn list(&mut self, image: &ImageName) -> Result<Vec<Tag>, String> {
        if let Some(known) = self.lists.get(image) {
            return known.clone();
        }
        if let Some(reason) = self.down.get(image.registry()) {
            return Err(reason.clone());
        }
        let result = match self.engine.ports.registry.tags(image).await {
            Ok(tags) => Ok(tags.into_iter().filter(|tag| !tag.is_artifact_of_another()).collect()),
            Err(error) => Err(self.note(error)),
        };
        self.lists.insert(image.clone(), result.clone());
        result
    }

    async fn observations(&mut self, image: &ImageName) -> Result<&[Observation], ReconcileError> {
        if !self.observed.contains_key(image) {
            let seen = self.engine.ports.store.observations(&self.work.key.tenant, image).await?;
            self.observed.insert(image.clone(), seen);
        }
        Ok(self.observed.get(image).map_or(&[], Vec::as_slice))
    }

    /// Ask about one tag. The outer error is ours, the inner one the registry's.
    async fn ask(&mut self, image: &ImageName, tag: &Tag) -> Result<Result<CandidateState, String>, ReconcileError> {
        let key = (image.clone(), tag.clone());
        if let Some(known) = self.answers.get(&key) {
            return Ok(known.clone());
        }
        if let Some(reason) = self.down.get(image.registry()) {
            return Ok(Err(reason.clone()));
        }
        let before =
            self.observations(image).await?.iter().find(|seen| seen.tag == *tag).map(|seen| seen.manifest.clone());
        let answer = match self.read(image, tag, before).await {
            Ok(None) => Ok(CandidateState::Missing),
            Ok(Some(manifest)) => Ok(self.judge(manifest).await?),
            Err(error) => Err(self.note(error)),
        };
        let words = match &answer {
            Ok(CandidateState::Confirmed { digest }) => format!("an image, {digest}"),
            Ok(CandidateState::Missing) => "no such tag".to_owned(),
            Ok(CandidateState::NotAnImage { detail }) => detail.clone(),
            Ok(CandidateState::OwnCommit { revision }) => format!("built from our own commit {revision}"),
            Ok(CandidateState::Unasked) => "not asked".to_owned(),
            Err(detail) => detail.clone(),
        };
        let step = Step::Asked { image: image.clone(), tag: tag.clone(), answer: words, at: self.engine.now() };
        self.engine.ports.progress.step(&step);
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
        if let Some(before) = before {
            match registry.digest(image, tag).await? {
                None => return Ok(None),
                Some(digest) if digest == before.digest => return Ok(Some(before)),
                Some(_) => {}
            }
        }
        let manifest = registry.describe(image, tag).await?;
        if let Some(manifest) = &manifest {
            self.learned.push(Observation { image: image.clone(), tag: tag.clone(), manifest: manifest.clone() });
        }
        Ok(manifest)
    }

    async fn judge(&self, manifest: ManifestDescription) -> Result<CandidateState, ReconcileError> {
        if let ManifestKind::Other { detail } = manifest.kind {
            return Ok(CandidateState::NotAnImage { detail });
        }
        if let Some(revision) = manifest.revision {
            let own =
                self.engine.ports.store.own_commits(&self.work.key.tenant, std::slice::from_ref(&revision)).await?;
            if !own.is_empty() {
                return Ok(CandidateState::OwnCommit { revision });
            }
        }
        Ok(CandidateState::Confirmed { digest: manifest.digest })
    }

    /// Keep the first outage, return the words. What is wrong with one repository is a reason of its own and
    /// nothing to try again for.
    fn note(&mut self, error: RegistryError) -> String {
        let words = chain(&error);
        tracing::warn!(branch = %self.work.key, error = %words, "the registry could not be asked");
        if error.kind == RegistryErrorKind::Outage {
            self.down.insert(error.image.registry().to_owned(), words.clone());
            self.unavailable.get_or_insert(error);
        }
        words
    }

    /// The tags that references without one are known to run, by their digests.
    pub(super) async fn resolve(&mut self, facts: &ImageFacts) -> Result<Vec<Tag>, ReconcileError> {
        let alone: Vec<_> = facts.references.iter().filter(|reference| reference.tag.is_none()).collect();
        if alone.is_empty() {
            return Ok(Vec::new());
        }
        let seen = self.observations(&facts.image).await?;
        let runs = |seen: &&Observation| {
            alone.iter().any(|reference| reference.digest.as_ref() == Some(&seen.manifest.digest))
        };
        Ok(seen.iter().filter(runs).map(|seen| seen.tag.clone()).collect())
    }

    /// Remember what was learned, and tell which images were looked at completely.
    pub(super) async fn finish(self) -> Result<Looked, ReconcileError> {
        if !self.learned.is_empty() {
            self.engine.ports.store.observe(&self.work.key.tenant, &self.learned, self.engine.now()).await?;
        }
        // Two environments may judge one image; one of them that could not counts.
        let listed = self.looked_at.difference(&self.missed).cloned().collect();
        Ok(Looked { listed, missed: self.missed.into_iter().collect(), unavailable: self.unavailable })
    }
}

/// What became of looking at everything.
pub(super) struct Looked {
    /// Images that were looked at completely.
    pub(super) listed: Vec<ImageName>,
    /// Images that were to be, and could not.
    pub(super) missed: Vec<ImageName>,
    /// The first registry that could not be asked.
    pub(super) unavailable: Option<RegistryError>,
}

/// Beside events: whether there is a reason to look at everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    List,
    None,
}

/// Whether all references carry one value that the policy can compare others with.
fn is_ordered(facts: &ImageFacts) -> bool {
    let first = facts.references.first().and_then(|reference| reference.tag.as_ref());
    facts.references.iter().all(|reference| match (&reference.tag, &facts.policy) {
        (_, Policy::Digest(_)) => true,
        (Some(tag), Policy::Semver(_)) => Some(tag) == first && facts.policy.compare(tag, tag).is_some(),
        // A digest alone is as good as its tag, once that is known.
        (None, Policy::Semver(_)) => first.is_none() && !facts.resolved.is_empty(),
    })
}

fn is_above_current(facts: &ImageFacts, tag: &Tag) -> bool {
    let current = facts.references.iter().filter_map(|reference| reference.tag.as_ref()).chain(&facts.resolved);
    let orders: Vec<Option<Ordering>> = current.map(|current| facts.policy.compare(tag, current)).collect();
    !orders.is_empty() && orders.contains(&Some(Ordering::Greater)) && !orders.contains(&Some(Ordering::Less))
}
