//! Decisions: what an environment should run, or why nothing is to be done. Their sentences are in `reason`.

use serde::{Deserialize, Serialize};

use crate::{EntryName, EnvironmentName, Gate, ImageName, Reason, Version};

/// What follows from a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The references are to carry `Decision::version`.
    Update,
    /// Nothing is to be done: the references carry the version already, or nothing better is known.
    Nothing,
    /// A pull request offers `Decision::version`; people merge it, or Tagboat once its gates pass.
    Offered,
    /// A version was chosen and is not brought there yet: a gate, a hold or a limit stands in between.
    Waiting,
    /// Something stands in the way; the reasons say what, and a person has to act.
    Blocked,
}

/// For one image in one environment: the version to run, or none, with reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The environment.
    pub environment: EnvironmentName,
    /// The entry under `images`.
    pub entry: EntryName,
    /// The image.
    pub image: ImageName,
    /// What the references carry now, as written (`1.4.0`, `1.4.0@sha256:…`), without repeats.
    pub current: Vec<String>,
    /// What follows.
    pub outcome: Outcome,
    /// The version that was chosen, also when it is what runs already.
    pub version: Option<Version>,
    /// Why, most important first. Never empty.
    pub reasons: Vec<Reason>,
    /// The gates of the promotion of `version`, all of them; empty where none is promoted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
}
