//! Commands that people give: in comments on pull requests, on the command line, through the API. The same verbs everywhere.
//!
//! Who may give which is decided in `tagboat-promotion`, which also reads them from comments.

use serde::{Deserialize, Serialize};

use crate::{
    Account, CommandId, CommitId, EntryName, EnvironmentName, HoldId, Permission, RepositoryName, TenantName,
    Timestamp, Until,
};

/// A command that somebody gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandRecord {
    /// Its id; that of a comment follows from the comment.
    pub id: CommandId,
    /// Whose config repository.
    pub tenant: TenantName,
    /// The config repository.
    pub repository: RepositoryName,
    /// What is to be done.
    pub command: Command,
    /// Who gave it.
    pub by: Commander,
    /// Where it was given.
    pub origin: CommandOrigin,
    /// When it was given.
    pub given_at: Timestamp,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<CommandAnswer>,
}

/// Where a command was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CommandOrigin {
    /// Through the API: command line, page.
    Api,
    /// In a comment on a pull request, which had this head when the comment was read.
    Comment {
        /// The pull request.
        pull_request: u64,
        /// The comment.
        comment: u64,
        /// The head.
        head: CommitId,
    },
    /// By a box in the text of a pull request or of the dashboard.
    Box {
        /// The pull request or issue.
        number: u64,
    },
}

/// Who gives a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Commander {
    /// Whoever holds the API's token, by the name they gave.
    Operator {
        /// The name.
        name: String,
    },
    /// An account at the forge, with what it may do there, asked when the command was about to be done.
    Account {
        /// The account.
        account: Account,
        /// What it may do; nothing where it was not asked yet.
        permission: Option<Permission>,
        /// Those of the approvers in the configuration that it is, by name or team.
        approver_as: Vec<String>,
    },
}

/// What is commanded. `environment` and `entry` may be left out where a pull request says them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Command {
    /// Build the pull request's branch anew, also over people's commits.
    Rebuild,
    /// Keep the version that runs.
    Hold {
        /// Where.
        #[serde(flatten)]
        target: Target,
        /// Until when.
        #[serde(default)]
        until: Until,
        /// Why.
        #[serde(default)]
        why: Option<String>,
    },
    /// As `Hold`, for a whole environment, or for everything.
    Freeze {
        /// The environment; nothing means everything.
        #[serde(default)]
        environment: Option<EnvironmentName>,
        /// Until when.
        #[serde(default)]
        until: Until,
        /// Why.
        #[serde(default)]
        why: Option<String>,
    },
    /// Take back holds, freezes, skips and refusals.
    Release {
        /// Where.
        #[serde(flatten)]
        target: Target,
        /// Or one of them.
        #[serde(default)]
        id: Option<HoldId>,
    },
    /// Do without a version: the one that is offered, if none is named.
    Skip {
        /// Where.
        #[serde(flatten)]
        target: Target,
        /// The tag.
        #[serde(default)]
        version: Option<String>,
    },
    /// Go back to a version that ran before, and hold it: the last one, if none is named.
    Rollback {
        /// Where.
        #[serde(flatten)]
        target: Target,
        /// The tag.
        #[serde(default)]
        version: Option<String>,
        /// Why.
        #[serde(default)]
        why: Option<String>,
    },
    /// Bring a version to an environment without its upstreams and gates.
    Promote {
        /// Where.
        #[serde(flatten)]
        target: Target,
        /// The tag; the one that is offered or waits, if none is named.
        #[serde(default)]
        version: Option<String>,
        /// Why.
        #[serde(default)]
        why: Option<String>,
    },
    /// Merge the pull request.
    Merge,
    /// Say what is decided, and why.
    Explain,
}

/// What a command is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The environment.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
    /// The image entry.
    #[serde(default)]
    pub entry: Option<EntryName>,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandAnswer {
    /// `done`, `nothing` (it was so already), `refused` (may not), `invalid` (makes no sense here).
    pub outcome: CommandOutcome,
    /// In words, as plain text of some lines. Whoever puts it into Markdown or HTML escapes it.
    pub text: String,
}

/// What became of a command, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CommandOutcome {
    /// It was done.
    Done,
    /// It was so already.
    Nothing,
    /// Whoever gave it may not.
    Refused,
    /// It makes no sense here.
    Invalid,
}
