//! Gather: everything that a decision depends on, read now.
//!
//! The registry is asked as little as possible: about an image only when an event, a sweep or an earlier
//! sight gives a reason, about tags best first, and no further once one is confirmed.

mod announced;
mod candidates;
mod files;
mod governing;
mod memory;
mod registry;

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use futures_util::future;
use tagboat_model::{BranchKey, CommitId, ImageName, Reference, Tag, Timestamp, Uneditable};
use tagboat_ports::{EventRecord, Interest, Observation, Step, Work};
use tagboat_promotion::{
    Candidate, CandidateState, CommitStyle, Environment, EnvironmentFacts, Facts, ImageEntry, ImageFacts, Verify,
};
use tagboat_settings::RepositorySettings;
use tracing::{Instrument as _, debug_span};

pub(crate) use crate::gather::{files::BranchFiles, governing::Governing, registry::Answers};
use crate::{
    ConfigRepository, Engine, ReconcileError,
    gather::{
        candidates::Answer,
        files::here,
        registry::{Inquiry, Looked},
    },
};

/// Images that are looked at together: their registries are asked at once, and what was read of them is forgotten
/// before the next come.
const IMAGES_AT_ONCE: usize = 32;

/// What was gathered, with what is needed to act on it.
pub(crate) struct Gathered {
    pub(crate) facts: Facts,
    /// What the files of the branch say.
    pub(crate) files: BranchFiles,
    /// How the repository file wants commits to be worded.
    pub(crate) style: CommitStyle,
    /// What was read at registries, to be remembered.
    pub(crate) learned: Vec<Observation>,
    /// What registries answered: for an attempt that follows at once.
    pub(crate) answers: Answers,
    /// The images that were looked at completely.
    pub(crate) listed: Vec<ImageName>,
    /// The images that were to be, and could not: the next try looks at them again.
    pub(crate) missed: Vec<ImageName>,
    /// The first registry that could not be asked, if any.
    pub(crate) unavailable: Option<tagboat_ports::RegistryError>,
    /// The images of which a version waits for something, with when to look again.
    pub(crate) waiting: Vec<(ImageName, Timestamp)>,
    /// Whether one was to be looked at again by now.
    pub(crate) was_due: bool,
}

/// Whether a head is where the branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certain {
    /// It was read.
    Yes,
    /// It is where the branch was last, and is being read: nothing follows from it yet.
    NotYet,
}

/// One image entry in one environment, with the references found.
struct Asked<'s> {
    environment: &'s Environment,
    /// As it holds there.
    entry: ImageEntry,
    references: Vec<Reference>,
    uneditable: Vec<Uneditable>,
    unreadable: Vec<(String, String)>,
}

impl Engine {
    /// Gather the facts of `work` at `head`; nothing when that would need something to be written and is not certain.
    pub(crate) async fn gather(
        &self,
        work: &Work,
        config: &ConfigRepository,
        head: &CommitId,
        sweeping: bool,
        certain: Certain,
        answers: Answers,
    ) -> Result<Option<Gathered>, ReconcileError> {
        let now = self.now();
        let governing = self.governing_of(config, &work.key, head).instrument(debug_span!("settings")).await?;
        let settings = &governing.settings;
        if certain == Certain::Yes {
            self.know_other_branches(work, config, settings).await?;
        }
        let environments = here(config, &work.key, settings);
        let images: Vec<ImageName> = if environments.is_empty() {
            Vec::new()
        } else {
            settings.images.iter().map(|entry| entry.image.clone()).collect()
        };
        // None of the three waits for another.
        let interests = self.interests(work, with_rules(&images, settings, &environments), certain);
        let finding = self.branch_files(config, &work.key, head, &governing).instrument(debug_span!("files"));
        let events = async { Ok(self.ports.store.pending_events(work).await?) };
        let (interests, files, events) = future::try_join3(interests, finding, events).await?;
        let Some(interests) = interests else {
            self.put_back(&work.key, files);
            return Ok(None);
        };
        let asked = ask(settings, &environments, &files);
        let references = asked.iter().map(|asked| asked.references.len()).sum();
        self.ports.progress.step(&Step::Gathered {
            key: work.key.clone(),
            head: head.clone(),
            references,
            at: self.now(),
        });

        let mut inquiry = Inquiry::new(self, work, sweeping, &interests, answers);
        let mut facts = Facts { key: work.key.clone(), head: head.clone(), now, environments: Vec::new() };
        facts.environments.extend(
            environments
                .iter()
                .map(|environment| EnvironmentFacts { name: environment.name.clone(), images: Vec::new() }),
        );
        let all: Vec<&ImageEntry> = settings.images.iter().collect();
        for entries in all.chunks(IMAGES_AT_ONCE) {
            let here = |asked: &&Asked<'_>| entries.iter().any(|entry| entry.name == asked.entry.name);
            let asked: Vec<&Asked<'_>> = asked.iter().filter(here).collect();
            inquiry.list_ahead(asked.iter().map(|asked| (&asked.entry, asked.references.is_empty()))).await;
            for asked in asked {
                let others = settings.images.iter().filter(|other| other.name != asked.entry.name);
                let claimed_by = others.into_iter().find(|other| other.image == asked.entry.image);
                let looking = image_facts(&mut inquiry, asked, claimed_by, &events);
                let found = looking.instrument(debug_span!("image", entry = %asked.entry.name)).await?;
                let environment = facts.environments.iter_mut().find(|it| it.name == asked.environment.name);
                if let Some(environment) = environment {
                    environment.images.extend(found);
                }
            }
            inquiry.forget(entries.iter().map(|entry| &entry.image));
        }
        let Looked { learned, answers, listed, missed, unavailable, waiting, was_due } = inquiry.finish();
        let sign_off = settings.commit.sign_off.then(|| config.committer.clone());
        let style = CommitStyle { message: settings.commit.message.clone(), sign_off };
        Ok(Some(Gathered { facts, files, style, learned, answers, listed, missed, unavailable, waiting, was_due }))
    }

    /// What the branch is interested in, which is made to be `wanted`. Most of the time it is already; nothing when it is
    /// not, and it is not certain that it is to be: an event must not miss the branch because a mirror lags behind.
    async fn interests(
        &self,
        work: &Work,
        wanted: Vec<(ImageName, String)>,
        certain: Certain,
    ) -> Result<Option<Vec<Interest>>, ReconcileError> {
        let known = self.ports.store.interests(&work.key).await?;
        let same =
            |known: &Interest| wanted.iter().any(|(image, rules)| (image, rules) == (&known.image, &known.rules));
        if known.len() == wanted.len() && known.iter().all(same) {
            return Ok(Some(known));
        }
        if certain == Certain::NotYet {
            return Ok(None);
        }
        self.ports.store.set_interests(work, &wanted).await?;
        Ok(Some(self.ports.store.interests(&work.key).await?))
    }

    /// The repository file of the governing branch, which governs other branches too. `head` is that of the branch.
    async fn governing_of(
        &self,
        config: &ConfigRepository,
        key: &BranchKey,
        head: &CommitId,
    ) -> Result<Arc<Governing>, ReconcileError> {
        let no_branch = || ReconcileError::NoBranch { branch: config.branch.to_string() };
        if key.branch == config.branch {
            return self.governing(config, key, head).await;
        }
        let head = config.port.head(&config.branch).await?.ok_or_else(no_branch)?;
        self.governing(config, key, &head).await
    }

    /// Whether an environment lives on the branch of `key`.
    pub(crate) async fn is_named(&self, config: &ConfigRepository, key: &BranchKey) -> Result<bool, ReconcileError> {
        let no_branch = || ReconcileError::NoBranch { branch: config.branch.to_string() };
        let head = config.port.head(&config.branch).await?.ok_or_else(no_branch)?;
        let governing = self.governing(config, key, &head).await?;
        Ok(governing.settings.branches(&config.branch).contains(&key.branch))
    }

    /// A reconcile of the governing branch makes the branches of its environments known.
    pub(crate) async fn know_other_branches(
        &self,
        work: &Work,
        config: &ConfigRepository,
        settings: &RepositorySettings,
    ) -> Result<(), ReconcileError> {
        let others = settings.branches(&config.branch).into_iter().filter(|branch| *branch != work.key.branch);
        let keys: Vec<BranchKey> = others.map(|branch| BranchKey { branch, ..work.key.clone() }).collect();
        if work.key.branch == config.branch && !keys.is_empty() {
            self.ports.store.know_branches(&keys, self.now()).await?;
        }
        Ok(())
    }
}

/// The images with all that is written about choosing their versions, in short: whoever edits it wants a look.
fn with_rules(
    images: &[ImageName],
    settings: &RepositorySettings,
    environments: &[&Environment],
) -> Vec<(ImageName, String)> {
    let rules = |image: &ImageName| {
        let mut hasher = DefaultHasher::new();
        for entry in settings.images.iter().filter(|entry| entry.image == *image) {
            for environment in environments {
                format!("{:?} {:?}", environment.name, entry.within(environment)).hash(&mut hasher);
            }
        }
        format!("{:016x}", hasher.finish())
    };
    let images: BTreeSet<&ImageName> = images.iter().collect();
    images.into_iter().map(|image| (image.clone(), rules(image))).collect()
}

/// Every image entry in every environment, with its references there.
fn ask<'s>(settings: &'s RepositorySettings, environments: &[&'s Environment], found: &BranchFiles) -> Vec<Asked<'s>> {
    let pairs =
        environments.iter().flat_map(|environment| settings.images.iter().map(move |entry| (*environment, entry)));
    let asked = |(environment, entry): (&'s Environment, &'s ImageEntry)| {
        let entry = entry.within(environment);
        let mut references = found.references(&environment.name, &entry);
        references.retain(|reference| reference.is_versioned(entry.pin));
        let uneditable = found.uneditable(&environment.name, &entry);
        let unreadable = found.unreadable(&environment.name, &entry);
        Asked { environment, entry, references, uneditable, unreadable }
    };
    pairs.map(asked).collect()
}

/// The facts of one image, or nothing where nothing gives a reason to look at it.
async fn image_facts(
    inquiry: &mut Inquiry<'_>,
    asked: &Asked<'_>,
    claimed_by: Option<&ImageEntry>,
    events: &[EventRecord],
) -> Result<Option<ImageFacts>, ReconcileError> {
    let image = &asked.entry.image;
    // What puts no tag forward made the store want a complete look.
    let pushed = events.iter().filter_map(EventRecord::candidate).filter(|pushed| pushed.image == *image);
    let event_tags: Vec<Tag> = pushed.map(|pushed| pushed.tag.clone()).collect();
    let mut facts = ImageFacts {
        entry: asked.entry.name.clone(),
        image: image.clone(),
        selection: asked.entry.selection.clone(),
        pin: asked.entry.pin,
        references: asked.references.clone(),
        resolved: Vec::new(),
        unreadable: asked.unreadable.clone(),
        uneditable: asked.uneditable.clone(),
        claimed_by: claimed_by.map(|entry| entry.name.clone()),
        candidates: Vec::new(),
        further: 0,
        passed_over: Vec::new(),
        unread: 0,
        registry_unavailable: None,
    };
    if facts.references.is_empty() || facts.claimed_by.is_some() {
        // Nothing to ask the registry for; an event is told why, and silence is enough otherwise.
        let unsafe_places = !facts.unreadable.is_empty() || !facts.uneditable.is_empty();
        let worth_saying = !event_tags.is_empty() || facts.claimed_by.is_some() || unsafe_places;
        return Ok(worth_saying.then_some(facts));
    }
    let rule = match &asked.entry.verify {
        Some(Verify::Rule(rule)) => Some(rule),
        // Keys were read with the repository file.
        Some(Verify::KeyFile(_)) | None => None,
    };
    match inquiry.candidates(facts.clone(), rule, &event_tags).await? {
        Answer::Nothing => Ok(None),
        Answer::Facts(found) => Ok(Some(*found)),
        Answer::Down(detail) => {
            facts.registry_unavailable = Some(detail);
            let unasked = |tag| Candidate { tag, known: Default::default(), state: CandidateState::Unasked };
            facts.candidates = event_tags.into_iter().map(unasked).collect();
            Ok(Some(facts))
        }
    }
}
