//! A command becomes wishes and orders, and an answer.
//!
//! Carried out a second time, a command comes to the same: the ids of its holds follow from its own.

use std::collections::BTreeMap;

use tagboat_model::{
    Command, CommandAnswer, CommandOrigin, CommandOutcome, CommandRecord, CommitId, Decision, EntryName,
    EnvironmentName, Hold, HoldId, PullState, RanIn, Tag, Timestamp, Version,
};

use super::{Approvers, authorize, release, scope::Scope, wishes};
use crate::{Bot, Environment, ImageEntry, pull::KnownPull};

/// Everything that a command depends on.
#[derive(Debug, Clone, Copy)]
pub struct CommandContext<'c> {
    /// Now.
    pub now: Timestamp,
    /// The command; of an account, with the permission that it has at this moment.
    pub record: &'c CommandRecord,
    /// The environments of the config repository.
    pub environments: &'c [&'c Environment],
    /// The image entries of the repository file, by which versions are told apart as older and newer.
    pub images: &'c [ImageEntry],
    /// The image entries of each environment.
    pub entries: &'c BTreeMap<EnvironmentName, Vec<EntryName>>,
    /// All holds that are not released.
    pub holds: &'c [Hold],
    /// What ran where.
    pub ran: &'c [RanIn],
    /// The pull requests of the bot's branches.
    pub pulls: &'c [KnownPull],
    /// Who the bot is, where there is one.
    pub bot: Option<&'c Bot>,
    /// What the registry was asked, because a command named it.
    pub known: &'c [(EntryName, Version)],
    /// The latest decisions, the newest first.
    pub decisions: &'c [Decision],
    /// The approvers of the repository file.
    pub approvers: &'c [String],
}

/// What a command comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Holds to place.
    pub place: Vec<Hold>,
    /// Holds to release.
    pub release: Vec<HoldId>,
    /// Pull requests to build anew.
    pub rebuild: Vec<u64>,
    /// Pull requests to merge, with the head that was seen.
    pub merge: Vec<(u64, CommitId)>,
    /// Tags of which the registry has to be asked; with the answers in `known`, the command is carried out.
    pub unresolved: Vec<(EntryName, Tag)>,
    /// What became of it. Nothing while tags are unresolved, and for `explain`, which is answered once it is decided.
    pub answer: Option<CommandAnswer>,
}

/// What a command comes to.
#[must_use]
pub fn execute(context: &CommandContext<'_>) -> Effects {
    let CommandRecord { command, by, .. } = context.record;
    if let Err(refused) = authorize(command, by, &Approvers { names: context.approvers }) {
        return Effects::answered(CommandOutcome::Refused, refused.text);
    }
    let scope = Scope::new(context);
    let effects = match command {
        Command::Rebuild => rebuild(&scope),
        Command::Merge => merge(&scope),
        Command::Explain => Ok(Effects::default()),
        Command::Hold { target, until, why } => wishes::hold(&scope, target, until, why.as_deref()),
        Command::Freeze { environment, until, why } => {
            wishes::freeze(&scope, environment.as_ref(), until, why.as_deref())
        }
        Command::Release { target, id } => release::release(&scope, target, id.as_ref()),
        Command::Skip { target, version } => wishes::skip(&scope, target, version.as_deref()),
        Command::Rollback { target, version, why } => {
            wishes::rollback(&scope, target, version.as_deref(), why.as_deref())
        }
        Command::Promote { target, version, why } => {
            wishes::promote(&scope, target, version.as_deref(), why.as_deref())
        }
    };
    effects.unwrap_or_else(|text| Effects::answered(CommandOutcome::Invalid, text))
}

/// The answer when the registry has no such tag.
#[must_use]
pub fn unknown_version(entry: &EntryName, tag: &Tag) -> CommandAnswer {
    let text = format!("Neither the registry nor the history has `{tag}` of `{entry}`, so nothing was done.");
    CommandAnswer { outcome: CommandOutcome::Invalid, text }
}

impl Effects {
    pub(crate) fn answered(outcome: CommandOutcome, text: String) -> Self {
        Self { answer: Some(CommandAnswer { outcome, text }), ..Self::default() }
    }
}

/// The open pull request of the bot's that the command stands in.
fn open_pull<'c>(scope: &Scope<'c>) -> Result<&'c KnownPull, String> {
    let Some(known) = scope.known else {
        return Err("This is said in a comment on one of Tagboat's pull requests.".to_owned());
    };
    if scope.context.bot.is_none_or(|bot| bot.id != known.pull.author.id) {
        return Err("This pull request is not one of Tagboat's.".to_owned());
    }
    match known.pull.state {
        PullState::Open => Ok(known),
        PullState::Merged => Err("This pull request is merged.".to_owned()),
        PullState::Closed => Err("This pull request is closed; reopen it first.".to_owned()),
    }
}

fn rebuild(scope: &Scope<'_>) -> Result<Effects, String> {
    let known = open_pull(scope)?;
    let lost = if known.foreign { " Commits of others on it are discarded." } else { "" };
    let text = format!("`{}` is built anew, with what is wanted now.{lost}", known.pull.head);
    Ok(Effects { rebuild: vec![known.pull.number], ..Effects::answered(CommandOutcome::Done, text) })
}

/// Bound to the head that was there when the comment was read: what was pushed since, nobody looked at.
fn merge(scope: &Scope<'_>) -> Result<Effects, String> {
    let known = open_pull(scope)?;
    let pull = &known.pull;
    let CommandOrigin::Comment { head, .. } = &scope.context.record.origin else {
        return Err("Merging is said in a comment on the pull request, which tells what was looked at.".to_owned());
    };
    if *head != pull.head_commit {
        return Err(format!(
            "The branch has moved from `{head}` to `{}` since. Look at it again, and repeat the command.",
            pull.head_commit
        ));
    }
    if known.foreign {
        return Err("There are commits of others on the branch. Merge it yourself, or have it built anew first: \
                    `/tagboat rebuild`."
            .to_owned());
    }
    if pull.draft {
        return Err("This is a draft; it is made ready once its gates pass.".to_owned());
    }
    let text = format!(
        "It is merged at `{head}` if its gates pass and its commit is the one that is wanted now. If it is still open after \
         that, its text and its status `tagboat/gates` say why; then repeat the command later."
    );
    Ok(Effects { merge: vec![(pull.number, head.clone())], ..Effects::answered(CommandOutcome::Done, text) })
}
