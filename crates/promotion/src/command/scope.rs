//! What a command is about: the environment and entries that it names, or those of the pull request it stands in.

use std::cmp::Ordering;

use tagboat_model::{
    CommandOrigin, Decision, EntryName, EnvironmentName, Outcome, PullState, RanIn, Tag, Target, Version,
};
use tagboat_policy::Known;

use super::CommandContext;
use crate::{
    Environment,
    pull::{Block, KnownPull},
};

/// Where a command was given, with what the context has of it.
pub(crate) struct Scope<'c> {
    pub(crate) context: &'c CommandContext<'c>,
    pub(crate) known: Option<&'c KnownPull>,
    pub(crate) block: Option<Block>,
}

/// What became of the search for a version.
pub(crate) enum Found {
    Version(Version),
    /// Only the registry can say what it names.
    Unresolved(Tag),
}

/// An image entry in an environment.
type Meant = (EnvironmentName, EntryName);

impl<'c> Scope<'c> {
    pub(crate) fn new(context: &'c CommandContext<'c>) -> Self {
        let number = match context.record.origin {
            CommandOrigin::Api => None,
            CommandOrigin::Comment { pull_request, .. } => Some(pull_request),
            CommandOrigin::Box { number } => Some(number),
        };
        let known = context.pulls.iter().find(|known| Some(known.pull.number) == number);
        let block = known.zip(context.bot).and_then(|(known, bot)| Block::read(&known.pull, bot));
        Self { context, known, block }
    }

    /// The environment that is meant.
    pub(crate) fn environment(&self, named: Option<&EnvironmentName>) -> Result<EnvironmentName, String> {
        let environments = self.context.environments;
        let of_block = self.block.as_ref().map(|block| &block.environment);
        let only = match environments {
            [only] => Some(&only.name),
            _ => None,
        };
        let Some(meant) = named.or(of_block).or(only) else {
            return Err(format!("Say which environment is meant: {}.", list(environments.iter().map(|e| &e.name))));
        };
        if environments.iter().all(|environment| environment.name != *meant) {
            let known = list(environments.iter().map(|environment| &environment.name));
            return Err(format!("There is no environment `{meant}`; there are: {known}."));
        }
        Ok(meant.clone())
    }

    /// The entries that are meant, at least one, each with its environment.
    pub(crate) fn targets(&self, target: &Target) -> Result<Vec<(EnvironmentName, EntryName)>, String> {
        let environment = self.environment(target.environment.as_ref())?;
        let entries = self.context.entries.get(&environment).map(Vec::as_slice).unwrap_or_default();
        let of_block = || -> Vec<&EntryName> {
            let block = self.block.as_ref().filter(|block| block.environment == environment);
            block.into_iter().flat_map(|block| &block.changes).map(|change| &change.entry).collect()
        };
        let meant: Vec<&EntryName> = match (&target.entry, entries) {
            (Some(entry), _) if entries.contains(entry) => vec![entry],
            (Some(entry), _) => {
                return Err(format!("`{environment}` has no image entry `{entry}`; there are: {}.", list(entries)));
            }
            (None, [only]) => vec![only],
            (None, _) => of_block(),
        };
        if meant.is_empty() {
            return Err(format!("Say which image entry is meant: {}.", list(entries)));
        }
        Ok(meant.into_iter().map(|entry| (environment.clone(), entry.clone())).collect())
    }

    /// As [`Self::targets`], where a word may have been taken for an entry that is a version, or the other way round.
    pub(crate) fn targets_and_version(
        &self,
        target: &Target,
        version: Option<&str>,
    ) -> Result<(Vec<Meant>, Option<Tag>), String> {
        let environment = self.environment(target.environment.as_ref())?;
        let entries = self.context.entries.get(&environment).map(Vec::as_slice).unwrap_or_default();
        let is_entry = |name: &str| entries.iter().any(|entry| entry.as_str() == name);
        let (entry, version) = match (&target.entry, version) {
            (Some(entry), None) if !is_entry(entry.as_str()) && entry.as_str().parse::<Tag>().is_ok() => {
                (None, Some(entry.as_str()))
            }
            (None, Some(version)) if is_entry(version) => (version.parse().ok(), None),
            (entry, version) => (entry.clone(), version),
        };
        let tag = version.map(str::parse::<Tag>).transpose().map_err(|error| format!("{error}."))?;
        let is_named = entry.is_some();
        let targets = self.targets(&Target { environment: Some(environment), entry })?;
        if let (Some(tag), false, [_, _, ..]) = (&tag, is_named, targets.as_slice()) {
            let entries = list(targets.iter().map(|(_, entry)| entry));
            return Err(format!("Say of which image entry `{tag}` is the version: {entries}."));
        }
        Ok((targets, tag))
    }

    /// The version of an entry that the pull request brings.
    pub(crate) fn brought(&self, environment: &EnvironmentName, entry: &EntryName) -> Option<&Version> {
        let block = self.block.as_ref().filter(|block| block.environment == *environment)?;
        block.changes.iter().find(|change| change.entry == *entry).map(|change| &change.version)
    }

    /// Whether this was said where what it is about cannot be told: in a comment, but on no pull request of the bot's that
    /// says of itself what it brings. What names nothing must not mean everything there.
    pub(crate) fn is_adrift(&self) -> bool {
        self.block.is_none() && matches!(self.context.record.origin, CommandOrigin::Comment { .. })
    }

    /// The version that is offered, or waits.
    pub(crate) fn offered(&self, environment: &EnvironmentName, entry: &EntryName) -> Option<&Version> {
        let of = |decision: &&Decision| decision.environment == *environment && decision.entry == *entry;
        let is_to_come =
            |decision: &&Decision| matches!(decision.outcome, Outcome::Update | Outcome::Offered | Outcome::Waiting);
        let decided = || self.context.decisions.iter().find(of).filter(is_to_come);
        self.brought(environment, entry).or_else(|| decided().and_then(|decision| decision.version.as_ref()))
    }

    /// The version that an open pull request of the bot's brings, wherever the command was given.
    pub(crate) fn in_pull_request(&self, environment: &EnvironmentName, entry: &EntryName) -> Option<Version> {
        let bot = self.context.bot?;
        let open = self.context.pulls.iter().filter(|known| known.pull.state == PullState::Open);
        let blocks = open.filter_map(|known| Block::read(&known.pull, bot));
        let mut changes = blocks.filter(|block| block.environment == *environment).flat_map(|block| block.changes);
        changes.find(|change| change.entry == *entry).map(|change| change.version)
    }

    /// The greater of two versions: by the order in which both came upstream, else by policy. Where neither knows, the
    /// later one, which is taken for newer.
    pub(crate) fn greater(
        &self,
        (environment, entry): (&EnvironmentName, &EntryName),
        earlier: Version,
        later: Version,
    ) -> Version {
        let within = self.context.environments.iter().find(|within| within.name == *environment);
        let upstream = within.and_then(|within| within.promote_from.as_ref());
        let ran = upstream.map(|upstream| self.ran(upstream, entry)).unwrap_or_default();
        let place = |version: &Version| ran.iter().rposition(|ran| ran.ran.version == *version);
        let order = match (place(&earlier), place(&later)) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => within.and_then(|within| self.by_policy(within, entry, (&earlier.tag, &later.tag))),
        };
        if order == Some(Ordering::Greater) { earlier } else { later }
    }

    /// How two tags stand to each other by what is compared of their spelling.
    fn by_policy(&self, within: &Environment, entry: &EntryName, (left, right): (&Tag, &Tag)) -> Option<Ordering> {
        let image = self.context.images.iter().find(|image| image.name == *entry)?.within(within);
        image.selection.compare((left, &Known::default()), (right, &Known::default()))
    }

    /// What ran in an environment, oldest first.
    pub(crate) fn ran(&self, environment: &EnvironmentName, entry: &EntryName) -> Vec<&'c RanIn> {
        let of = |ran: &&RanIn| ran.environment == *environment && ran.entry == *entry;
        let mut ran: Vec<&RanIn> = self.context.ran.iter().filter(of).collect();
        ran.sort_by_key(|ran| ran.ran.since);
        ran
    }

    /// What runs in an environment.
    pub(crate) fn current(&self, environment: &EnvironmentName, entry: &EntryName) -> Option<&'c Version> {
        let ran = self.ran(environment, entry);
        ran.into_iter().rev().find(|ran| ran.ran.until.is_none()).map(|ran| &ran.ran.version)
    }

    /// The version with a tag: as it ran here, as it is offered, as it ran elsewhere, as the registry has it.
    pub(crate) fn find(&self, environment: &EnvironmentName, entry: &EntryName, tag: &Tag) -> Found {
        let here = self.ran(environment, entry).into_iter().rev().map(|ran| &ran.ran.version);
        let mut elsewhere: Vec<&RanIn> = self.context.ran.iter().filter(|ran| ran.entry == *entry).collect();
        elsewhere.sort_by_key(|ran| ran.ran.since);
        let elsewhere = elsewhere.into_iter().rev().map(|ran| &ran.ran.version);
        let known = self.context.known.iter().filter(|(of, _)| of == entry).map(|(_, version)| version);
        let mut all = here.chain(self.offered(environment, entry)).chain(elsewhere).chain(known);
        match all.find(|version| version.tag == *tag) {
            Some(version) => Found::Version(version.clone()),
            None => Found::Unresolved(tag.clone()),
        }
    }
}

/// Names in words.
pub(crate) fn list<N: ToString>(names: impl IntoIterator<Item = N>) -> String {
    let names: Vec<String> = names.into_iter().take(30).map(|name| format!("`{}`", name.to_string())).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
