//! What a repository file says of promotions and pull requests, checked and ready for use.
//!
//! Plain values; what follows from them is worked out in `promote`, `gate` and `pull`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tagboat_model::{Decoration, Duration, EntryName, GroupName, MergeMethod};

use crate::{TextTemplate, gate::Windows};

/// The conditions under which versions come to an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gates {
    /// How old a version has to be, since it appeared at the registry.
    pub minimum_age: Option<Duration>,
    /// How long it has to have run upstream; once it is healthy there, with `rollout`.
    pub soak: Option<Duration>,
    /// Whether an agent has to report it healthy upstream.
    pub rollout: bool,
    /// The names of commit statuses and check runs that have to be green, on the commit that brought the version upstream or
    /// on the pull request.
    pub checks: Vec<String>,
    /// When versions may come.
    pub window: Option<Windows>,
    /// How many people have to approve the pull request.
    pub approvals: u32,
}

impl Gates {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Which image entries change together: in one commit, in one pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Each for itself, so that one can be taken back alone.
    #[default]
    PerImage,
    /// All together.
    All,
    /// As these groups say; all others each for itself.
    Named(BTreeMap<GroupName, Vec<EntryName>>),
}

impl Grouping {
    /// The group that an entry is in. An entry that is in none is one by itself, of its own name.
    #[must_use]
    pub fn group_of(&self, entry: &EntryName) -> GroupName {
        match self {
            Self::PerImage => GroupName::from(entry),
            Self::All => GroupName::all(),
            Self::Named(groups) => {
                let found = groups.iter().find(|(_, entries)| entries.contains(entry));
                found.map_or_else(|| GroupName::from(entry), |(name, _)| name.clone())
            }
        }
    }
}

/// How pull requests of an environment are.
#[derive(Debug, Clone, Default)]
pub struct PullRequestRules {
    /// Whether they are merged once gates and checks are green.
    pub auto_merge: bool,
    /// How they are merged then.
    pub merge_method: MergeMethod,
    /// Whether they are opened as drafts while gates wait. Without, they are opened once those gates pass that hold back the
    /// offer.
    pub draft: bool,
    /// Whether one that is approved is replaced by a newer version.
    pub supersede: Supersede,
    /// Labels, reviewers, assignees, milestone.
    pub decoration: Decoration,
    /// The title. Default: the built-in one.
    pub title: Option<TextTemplate>,
    /// What stands above the built-in text. Default: nothing.
    pub body: Option<TextTemplate>,
}

/// What becomes of an open pull request when a newer version comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Supersede {
    /// It is replaced, unless it is approved or about to be merged.
    #[default]
    UnlessApproved,
    /// It is replaced.
    Always,
}

/// How much is done at most. What is held back says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Open pull requests of Tagboat's in the config repository. Default: 20.
    pub open_pull_requests: Option<u32>,
    /// Pull requests that are opened within an hour. Default: no limit.
    pub per_hour: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { open_pull_requests: Some(20), per_hour: None }
    }
}

/// What a repository file says of how Tagboat works with people.
#[derive(Debug, Clone, Default)]
pub struct Collaboration {
    /// How much is done at most.
    pub limits: Limits,
    /// Who may bring a version past upstreams and gates: logins, or `team/name`. Nobody named: administrators.
    /// They need the permission to push as well.
    pub approvers: Vec<String>,
    /// The dashboard issue, if one is wanted.
    pub dashboard: Option<Dashboard>,
}

/// The issue that shows how things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dashboard {
    /// Its title.
    pub title: String,
    /// Its labels.
    pub labels: Vec<String>,
}
