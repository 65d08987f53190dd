//! Gates: named conditions of a promotion, each with a state, a text and a time.
//!
//! Whether a gate passes is worked out in `tagboat-promotion`; here is what is said of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A condition of a promotion, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Which condition.
    pub name: GateName,
    /// Whether it is met.
    pub state: GateState,
    /// Whether it holds back the offer (no pull request is opened, no commit made) or only that the pull request is merged.
    pub holds: Stage,
    /// The state in words, without the name: `passed: in dev since 2026-11-26T09:00:00Z`.
    pub text: String,
    /// When the state changes by itself, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The conditions that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GateName {
    /// How old the version has to be.
    MinimumAge,
    /// How long it has to have run upstream.
    Soak,
    /// What the agent has to report of it upstream.
    Rollout,
    /// Commit statuses and check runs that have to be green.
    Checks,
    /// When promotions may happen.
    Window,
    /// How many people have to approve the pull request.
    Approvals,
}

/// Whether a condition is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GateState {
    /// It is.
    Passed,
    /// Not yet.
    Waiting,
    /// It is not, and will not be by itself.
    Failed,
}

/// What a condition holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The offer: the pull request, or the commit where there is none.
    Offer,
    /// That the pull request is merged.
    Merge,
}

impl GateName {
    /// The name as configuration has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MinimumAge => "minimumAge",
            Self::Soak => "soak",
            Self::Rollout => "rollout",
            Self::Checks => "checks",
            Self::Window => "window",
            Self::Approvals => "approvals",
        }
    }
}

impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for GateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        })
    }
}

impl Gate {
    /// Whether it is met.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.state == GateState::Passed
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.text)
    }
}
