//! What people and the past say of a config repository: what ran, holds, commands, open pull requests.
//!
//! Reads the database and the forge. What was read of pull requests is kept in memory as long as they do not change.

use std::collections::HashMap;

use futures_util::future;
use tagboat_model::{
    Account, BranchKey, CommandRecord, Duration, EntryName, EnvironmentName, Hold, Permission, PullRequest, PullState,
    Ran, RanIn, Review, Timestamp, Version, Wish,
};
use tagboat_ports::{BOT_BRANCHES, Forge, Work};
use tagboat_promotion::{
    Bot, Environment, Supersede,
    pull::{Block, KnownPull, is_approved, is_stuck},
};

use crate::{ConfigRepository, Engine, ReconcileError, pending::Touched, pulls::Whose};

/// Rows of each environment and image entry that are looked back at.
const LOOKED_BACK: u32 = 40;
/// What the database keeps while the server refuses commits to a branch.
const PROTECTED: &str = "protected:";

/// What people and the past say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Situation {
    pub(crate) holds: Vec<Hold>,
    pub(crate) ran: Vec<RanIn>,
    /// The same by environment and image entry, oldest first.
    pub(crate) ran_by: HashMap<(EnvironmentName, EntryName), Vec<Ran>>,
    /// Commands that are not answered.
    pub(crate) commands: Vec<CommandRecord>,
    /// The forge's view, where it was asked.
    pub(crate) forge: Option<ForgeView>,
    /// Why the server refuses commits to this branch, where it did lately.
    pub(crate) protected: Option<String>,
}

/// What the forge shows.
#[derive(Debug, Clone)]
pub(crate) struct ForgeView {
    pub(crate) bot: Bot,
    pub(crate) pulls: Vec<KnownPull>,
    /// What the open ones say of themselves, by their places.
    pub(crate) blocks: Vec<(usize, Block)>,
    /// Of which it is not known whether what is on their branches is the bot's: they are built anew.
    pub(crate) unsure: Vec<u64>,
}

impl Situation {
    /// The open pull requests of ours into a branch, with what they say of themselves.
    pub(crate) fn offers<'a>(&'a self, key: &'a BranchKey) -> impl Iterator<Item = (&'a KnownPull, &'a Block)> {
        let view = self.forge.iter();
        let open = view.flat_map(|view| {
            view.blocks.iter().filter_map(move |(place, block)| Some((view.pulls.get(*place)?, block)))
        });
        open.filter(|(known, _)| known.pull.base == key.branch)
    }
}

impl Situation {
    /// The version that an open pull request offers.
    pub(crate) fn offered(&self, key: &BranchKey, environment: &EnvironmentName, entry: &EntryName) -> Option<Version> {
        let blocks = self.offers(key).map(|(_, block)| block).filter(|block| block.environment == *environment);
        let mut changes = blocks.flat_map(|block| &block.changes);
        changes.find(|change| change.entry == *entry).map(|change| change.version.clone())
    }

    /// The version of an open pull request that is approved or about to be merged, and is not replaced.
    pub(crate) fn kept_offer(&self, key: &BranchKey, environment: &Environment, entry: &EntryName) -> Option<Version> {
        let is_kept = |known: &KnownPull| (known.pull.merging && !is_stuck(known, environment)) || is_approved(known);
        let supersede = environment.pull_request.supersede;
        let mut offers = self.offers(key).filter(|(known, block)| {
            supersede == Supersede::UnlessApproved && is_kept(known) && block.environment == environment.name
        });
        offers.find_map(|(_, block)| {
            block.changes.iter().find(|change| change.entry == *entry).map(|change| change.version.clone())
        })
    }

    /// Whether somebody asked for a version.
    pub(crate) fn asked_for(&self, environment: &EnvironmentName, entry: &EntryName) -> bool {
        let asks = |hold: &&Hold| matches!(hold.wish, Wish::Keep { .. } | Wish::Promote { .. });
        self.holds.iter().filter(asks).any(|hold| hold.concerns(environment, entry))
    }
}

impl Engine {
    /// What the database knows, and what the forge shows if `ask_forge`.
    pub(crate) async fn situation(
        &self,
        work: &Work,
        config: &ConfigRepository,
        touched: &Touched,
        ask_forge: bool,
    ) -> Result<Situation, ReconcileError> {
        let BranchKey { tenant, repository, branch } = &work.key;
        let store = &self.ports.store;
        let protected_key = format!("{PROTECTED}{branch}");
        let (holds, ran, commands, protected) = future::try_join4(
            store.holds(tenant, repository),
            store.ran(tenant, repository, LOOKED_BACK),
            store.open_commands(tenant, repository),
            store.kept(tenant, repository, &protected_key),
        )
        .await?;
        let protected = protected.and_then(|kept| still_holds(&kept, self.now()));
        let ask_forge = ask_forge || protected.is_some() || !commands.is_empty();
        let forge = match &config.forge {
            Some(forge) if ask_forge => Some(self.forge_view(work, config, forge.as_ref(), touched).await?),
            _ => None,
        };
        let mut ran_by: HashMap<_, Vec<Ran>> = HashMap::new();
        for row in &ran {
            ran_by.entry((row.environment.clone(), row.entry.clone())).or_default().push(row.ran.clone());
        }
        Ok(Situation { holds, ran, ran_by, commands, forge, protected })
    }

    /// Note that the server refuses commits to the branch.
    pub(crate) async fn note_protected(&self, key: &BranchKey, detail: &str) -> Result<(), ReconcileError> {
        let value = format!("{} {detail}", self.now().0);
        let BranchKey { tenant, repository, branch } = key;
        self.ports.store.keep(tenant, repository, &format!("{PROTECTED}{branch}"), &value).await?;
        Ok(())
    }

    async fn forge_view(
        &self,
        work: &Work,
        config: &ConfigRepository,
        forge: &dyn Forge,
        touched: &Touched,
    ) -> Result<ForgeView, ReconcileError> {
        let (account, pulls) = future::try_join(forge.bot(), forge.pull_requests()).await?;
        let bot = Bot { account, seal: config.seal.clone() };
        let (mut known, mut unsure) = (Vec::new(), Vec::new());
        for pull in pulls.into_iter().filter(|pull| pull.head.as_str() != crate::onboarding::BRANCH) {
            let pull = self.lengthened(&work.key, pull).await?;
            known.push(self.know_pull(work, config, forge, (&bot, touched), pull, &mut unsure).await?);
        }
        let is_open = |(_, known): &(usize, &KnownPull)| known.pull.state == PullState::Open;
        let open = known.iter().enumerate().filter(is_open);
        let blocks = open.filter_map(|(place, known)| Some((place, Block::read(&known.pull, &bot)?))).collect();
        Ok(ForgeView { bot, pulls: known, blocks, unsure })
    }

    /// A pull request with its details: from memory where nothing says that they changed.
    async fn know_pull(
        &self,
        work: &Work,
        config: &ConfigRepository,
        forge: &dyn Forge,
        (bot, touched): (&Bot, &Touched),
        pull: PullRequest,
        unsure: &mut Vec<u64>,
    ) -> Result<KnownPull, ReconcileError> {
        if pull.author.id != bot.id {
            return Ok(KnownPull { pull, foreign: false, own_content: None, reviews: Vec::new(), checks: Vec::new() });
        }
        if pull.state != PullState::Open {
            // Its branch is deleted, unless people worked on it; once that is done nothing more is asked.
            let is_settled = Block::read(&pull, bot).is_none_or(|block| block.settled);
            let foreign = !is_settled && self.whose(work, config, &pull).await? == Whose::Foreign;
            return Ok(KnownPull { pull, foreign, own_content: None, reviews: Vec::new(), checks: Vec::new() });
        }
        let now = self.now();
        let name = (work.key.tenant.clone(), work.key.repository.clone(), pull.number);
        let fresh = !touched.concerns(&pull);
        if let Some(known) = self.pull_memory().recall(&name, &pull, now).filter(|_| fresh) {
            return Ok(known);
        }
        let (reviews, checks) = future::try_join(forge.reviews(pull.number), forge.checks(&pull.head_commit)).await?;
        let reviews = self.that_count(work, forge, reviews).await?;
        let whose = self.whose(work, config, &pull).await?;
        let own_content = self.pushed_content(&work.key, &pull.head, &pull.head_commit).await?;
        let known = KnownPull { pull, foreign: whose == Whose::Foreign, own_content, reviews, checks };
        if whose != Whose::PerhapsOurs {
            self.pull_memory().remember(name, known.clone(), now);
        } else if !is_approved(&known) {
            // Who approved it has seen what is on it.
            unsure.push(known.pull.number);
        }
        Ok(known)
    }

    /// The reviews of those who may write: anybody may review in public, and nothing follows from it.
    async fn that_count(
        &self,
        work: &Work,
        forge: &dyn Forge,
        reviews: Vec<Review>,
    ) -> Result<Vec<Review>, ReconcileError> {
        let mut counting = Vec::new();
        for review in reviews {
            if !review.by.is_bot && self.permission_of(work, forge, &review.by).await? >= Permission::Write {
                counting.push(review);
            }
        }
        Ok(counting)
    }

    /// What an account may do, as the forge said lately. For commands the forge is asked anew.
    pub(crate) async fn permission_of(
        &self,
        work: &Work,
        forge: &dyn Forge,
        account: &Account,
    ) -> Result<Permission, ReconcileError> {
        let name = (work.key.tenant.clone(), work.key.repository.clone(), account.id);
        let now = self.now();
        if let Some(permission) = self.pull_memory().permission(&name, now) {
            return Ok(permission);
        }
        let permission = forge.permission(account).await?;
        self.pull_memory().permits(name, permission, now);
        Ok(permission)
    }
}

/// After a day it is tried again: protection may be gone.
fn still_holds(kept: &str, now: Timestamp) -> Option<String> {
    let (at, detail) = kept.split_once(' ')?;
    let at = Timestamp(at.parse().ok()?);
    let day = Duration::from_seconds(24 * 3600);
    (now.since(at) < day).then(|| detail.to_owned())
}

/// Whether a branch is the bot's.
pub(crate) fn is_bot_branch(name: &str) -> bool {
    name.starts_with(BOT_BRANCHES)
}
