//! Gather: everything that a decision depends on, read now.
//!
//! The registry is asked as little as possible: about an image only when an event, a sweep or an earlier
//! sight gives a reason, about tags best first, and no further once one is confirmed.

mod ahead;
mod announced;
mod candidates;
mod files;
mod governing;
mod images;
mod memory;
mod promotion;
mod registry;
mod situation;

use std::sync::Arc;

use futures_util::future;
use tagboat_model::{BranchKey, CommitId, EntryName, Hold, ImageName};
use tagboat_ports::{Interest, Step, Work};
use tagboat_promotion::{CommitStyle, Facts, ImageEntry};
use tagboat_settings::RepositorySettings;
use tracing::{Instrument as _, debug_span};

pub(crate) use crate::gather::{
    files::{BranchFiles, here},
    governing::Governing,
    images::Running,
    registry::{Answers, Looked},
    situation::{ForgeView, Situation, is_bot_branch},
};
use crate::{
    ConfigRepository, Engine, ReconcileError,
    commands::{Commanded, Ground},
    gather::{
        images::{Asked, about, ask, ask_ahead, claimed_by, image_facts, wants_forge, with_rules},
        registry::Inquiry,
    },
    history::concerning,
    lanes::Ways,
    pending::{Pending, Touched},
};

/// Images that are looked at together: their registries are asked at once, and what was read of them is forgotten
/// before the next come.
const IMAGES_AT_ONCE: usize = 100;

/// What was gathered, with what is needed to act on it.
pub(crate) struct Gathered {
    pub(crate) facts: Facts,
    /// What the files of the branch say.
    pub(crate) files: BranchFiles,
    /// How the repository file wants commits to be worded.
    pub(crate) style: CommitStyle,
    /// What came of looking at images.
    pub(crate) looked: Looked,
    /// What people and the past say.
    pub(crate) situation: Situation,
    /// What is written for each image, also for those that were not looked at.
    pub(crate) running: Vec<Running>,
    /// The events that are not served yet.
    pub(crate) pending: Pending,
    /// How environments are delivered.
    pub(crate) ways: Ways,
    /// The image entries, those of patterns included.
    pub(crate) entries: Vec<EntryName>,
    /// What people commanded.
    pub(crate) commanded: Commanded,
}

impl Gathered {
    /// Hold other things than before.
    pub(crate) fn replace_holds(&mut self, holds: Vec<Hold>) {
        for environment in &mut self.facts.environments {
            environment.holds = concerning(&holds, &environment.name);
        }
        self.situation.holds = holds;
    }
}

/// Whether a head is where the branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certain {
    /// It was read.
    Yes,
    /// It is where the branch was last, and is being read: nothing follows from it yet.
    NotYet,
    /// It is not where the branch is, and nothing is to follow from it: a pull request is tried out.
    Trial,
}

/// What is there to be looked at.
struct Scene<'s> {
    entries: &'s [ImageEntry],
    asked: &'s [Asked<'s>],
    running: &'s [Running],
    pending: &'s Pending,
    situation: &'s Situation,
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
        let finding = self.branch_files(config, &work.key, head, &governing).instrument(debug_span!("files"));
        let pending = async { Ok::<_, ReconcileError>(Pending::of(&*self.ports.store, work).await?) };
        let (files, pending) = future::try_join(finding, pending).await?;
        let entries = files.entries();
        let ask_forge = sweeping
            || wants_forge(&environments, settings, work.key.branch == config.branch)
            || pending.about_pull_requests;
        let mut situation =
            self.situation(work, config, &pending.touched, ask_forge).instrument(debug_span!("situation")).await?;
        let ways = Ways {
            protected: situation.protected.clone().filter(|_| config.forge.is_some()),
            drafts: config.forge.as_ref().is_some_and(|forge| forge.traits().drafts),
        };
        let asked = ask(&entries, &environments, &files);
        let running: Vec<Running> = asked.iter().filter_map(Running::of).collect();
        let ground = Ground {
            environments: &environments,
            settings,
            entries: &entries,
            running: &running,
            governs: work.key.branch == config.branch,
        };
        let commanded = self.commanded(work, config, &ground, &pending.touched, &mut situation, certain).await?;
        let rules = with_rules(&entries, &environments, (&situation.holds, now));
        let interests = match commanded {
            Some(_) => self.interests(work, &rules, certain).await?,
            None => None,
        };
        let (Some(commanded), Some(interests)) = (commanded, interests) else {
            self.put_back(&work.key, files);
            return Ok(None);
        };
        let mut facts = Facts { key: work.key.clone(), head: head.clone(), now, environments: Vec::new() };
        facts.environments.extend(environments.iter().map(|environment| about(environment, &ways, &situation)));
        let scene =
            Scene { entries: &entries, asked: &asked, running: &running, pending: &pending, situation: &situation };
        let inquiry = Inquiry::new(self, work, sweeping, &interests, answers);
        let looked = self.look_at_all(work, config, &scene, inquiry, &mut facts).await?;
        Ok(Some(Gathered {
            facts,
            style: style(config, settings),
            looked,
            situation,
            running,
            pending,
            ways,
            entries: entries.iter().map(|entry| entry.name.clone()).collect(),
            commanded,
            files,
        }))
    }

    /// Look at every image there is a reason to look at.
    async fn look_at_all(
        &self,
        work: &Work,
        config: &ConfigRepository,
        scene: &Scene<'_>,
        mut inquiry: Inquiry<'_>,
        facts: &mut Facts,
    ) -> Result<Looked, ReconcileError> {
        self.ports.progress.step(&Step::Gathered {
            key: facts.key.clone(),
            head: facts.head.clone(),
            references: scene.asked.iter().map(|asked| asked.references.len()).sum(),
            events: scene.pending.ids(),
            at: self.now(),
        });
        for entries in scene.entries.chunks(IMAGES_AT_ONCE) {
            self.look_at_images(&mut inquiry, facts, (entries, scene.asked), scene.pending, scene.situation).await?;
        }
        self.add_promotions(work, config, facts, (scene.asked, scene.running), scene.pending, scene.situation).await?;
        Ok(inquiry.finish())
    }

    /// Do what people command, as far as it is placing and releasing holds; nothing when that is to be done and nothing may
    /// follow from the head yet.
    async fn commanded(
        &self,
        work: &Work,
        config: &ConfigRepository,
        ground: &Ground<'_>,
        touched: &Touched,
        situation: &mut Situation,
        certain: Certain,
    ) -> Result<Option<Commanded>, ReconcileError> {
        if certain == Certain::Trial {
            return Ok(Some(Commanded::default()));
        }
        let BranchKey { tenant, repository, .. } = &work.key;
        if let (Some(forge), Some(view)) = (&config.forge, &situation.forge)
            && self.take_comments(work, forge.as_ref(), view, &touched.numbers).await?
        {
            situation.commands = self.ports.store.open_commands(tenant, repository).await?;
        }
        if situation.commands.is_empty() {
            return Ok(Some(Commanded::default()));
        }
        if certain == Certain::NotYet {
            return Ok(None);
        }
        let commanded = self.obey(work, config, ground, situation).await?;
        if commanded.holds_changed {
            situation.holds = self.ports.store.holds(tenant, repository).await?;
        }
        Ok(Some(commanded))
    }

    /// Look at some images in the environments that choose by policy.
    async fn look_at_images(
        &self,
        inquiry: &mut Inquiry<'_>,
        facts: &mut Facts,
        (entries, asked): (&[ImageEntry], &[Asked<'_>]),
        pending: &Pending,
        situation: &Situation,
    ) -> Result<(), ReconcileError> {
        let here = |asked: &&Asked<'_>| {
            asked.environment.promote_from.is_none() && entries.iter().any(|entry| entry.name == asked.entry.name)
        };
        let some: Vec<&Asked<'_>> = asked.iter().filter(here).collect();
        ask_ahead(inquiry, &some, pending, situation, &facts.key).await?;
        for asked_here in &some {
            let looking =
                image_facts(inquiry, asked_here, claimed_by(asked_here, asked), pending, situation, &facts.key);
            let found = looking.instrument(debug_span!("image", entry = %asked_here.entry.name)).await?;
            let environment = facts.environments.iter_mut().find(|it| it.name == asked_here.environment.name);
            if let Some(environment) = environment {
                environment.images.extend(found);
            }
        }
        inquiry.forget(some.iter().map(|asked| &asked.entry.image));
        Ok(())
    }

    /// What the branch is interested in, which is made to be `wanted`. Most of the time it is already; nothing when it is
    /// not, and it is not certain that it is to be: an event must not miss the branch because a mirror lags behind.
    async fn interests(
        &self,
        work: &Work,
        wanted: &[(ImageName, String)],
        certain: Certain,
    ) -> Result<Option<Vec<Interest>>, ReconcileError> {
        let known = self.ports.store.interests(&work.key).await?;
        let same =
            |known: &Interest| wanted.iter().any(|(image, rules)| (image, rules) == (&known.image, &known.rules));
        if known.len() == wanted.len() && known.iter().all(same) {
            return Ok(Some(known));
        }
        match certain {
            Certain::NotYet => return Ok(None),
            Certain::Trial => {
                let unlisted = |(image, rules): &(ImageName, String)| Interest {
                    image: image.clone(),
                    listed: false,
                    look_at: None,
                    rules: rules.clone(),
                };
                return Ok(Some(wanted.iter().map(unlisted).collect()));
            }
            Certain::Yes => {}
        }
        self.ports.store.set_interests(work, wanted).await?;
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

/// How the repository file wants commits to be worded.
fn style(config: &ConfigRepository, settings: &RepositorySettings) -> CommitStyle {
    let sign_off = settings.commit.sign_off.then(|| config.committer.clone());
    CommitStyle { message: settings.commit.message.clone(), sign_off }
}
