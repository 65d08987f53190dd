//! What ran in an environment, and since when: the sequence that promotions, rollbacks and pull requests speak of.
//!
//! Does not say who noticed: what is written in Git is what runs, as far as Tagboat is concerned.

use serde::{Deserialize, Serialize};

use crate::{CommitId, DecisionId, EntryName, EnvironmentName, Timestamp, Version};

/// A version that an environment ran, or runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ran {
    /// The version: the digest is the one it had when it was put there.
    pub version: Version,
    /// Since when it stood on the branch, as far as was seen.
    pub since: Timestamp,
    /// Until when; nothing for what stands there still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Who put it there.
    pub by: PutBy,
    /// The commit of the branch that it was first seen in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// Whether people took it back: it is not promoted any more.
    #[serde(default)]
    pub taken_back: bool,
    /// What the agent reported of it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// Who put a version into an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum PutBy {
    /// Tagboat, by this decision.
    Tagboat {
        /// The decision.
        decision: DecisionId,
    },
    /// Somebody else.
    Others,
}

/// What an agent reports of a revision of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// How far it is.
    pub state: RolloutState,
    /// Since when it is there.
    pub since: Timestamp,
    /// The agent's words.
    #[serde(default)]
    pub text: String,
}

/// How far a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RolloutState {
    /// Under way.
    Progressing,
    /// Done, and well.
    Healthy,
    /// Done, and not well.
    Failed,
}

/// A version that ran, with where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RanIn {
    /// The environment.
    pub environment: EnvironmentName,
    /// The image entry.
    pub entry: EntryName,
    /// What ran.
    #[serde(flatten)]
    pub ran: Ran,
}
