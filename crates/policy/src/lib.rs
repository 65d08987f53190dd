//! Which tag is chosen, and why every other was not.
//!
//! Pure: tags in, tags in order and reasons out. It knows neither registries nor files nor time; whether a tag
//! exists and what it names is found out elsewhere, before it is put forward here.

mod choice;
mod range;
mod version;

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagboat_model::{Reason, Tag};

pub use range::{Range, RangeError};
pub use version::LooseVersion;

/// The rule that orders and admits tags. Spelled as Flux's `ImagePolicy.spec.policy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Policy {
    /// The highest version within a range.
    Semver(Semver),
    /// Whatever one mutable tag names now.
    Digest(FollowedTag),
}

/// `semver: { range: "^1.4" }`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Semver {
    /// The versions that are admitted, as Flux writes them: `^1.4`, `~1.4.2`, `>=1.4 <2`, `1.x || 2.x`.
    pub range: Range,
}

/// `digest: { tag: main }`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FollowedTag {
    /// The tag whose digest is followed.
    pub tag: Tag,
}

impl Policy {
    /// Whether `tag` could ever be chosen, looking at nothing but its spelling.
    ///
    /// # Errors
    /// The reason why not.
    pub fn admits(&self, tag: &Tag) -> Result<(), Reason> {
        match self {
            Self::Semver(semver) => match LooseVersion::parse(tag) {
                None => Err(Reason::NotAVersion { tag: tag.clone() }),
                Some(version) => {
                    semver.range.admits(&version).map_err(|refusal| refusal.into_reason(tag, &semver.range))
                }
            },
            Self::Digest(digest) if digest.tag == *tag => Ok(()),
            Self::Digest(digest) => Err(Reason::NotTheFollowedTag { tag: tag.clone(), followed: digest.tag.clone() }),
        }
    }

    /// How two tags stand to each other, or `None` where this policy cannot order them.
    #[must_use]
    pub fn compare(&self, left: &Tag, right: &Tag) -> Option<Ordering> {
        match self {
            Self::Semver(_) => Some(LooseVersion::parse(left)?.precedence(&LooseVersion::parse(right)?)),
            Self::Digest(_) => (left == right).then_some(Ordering::Equal),
        }
    }

    /// Those of `tags` that are admitted, best first. [`Self::admits`] has the reason for every other.
    #[must_use]
    pub fn ranked(&self, tags: &[Tag]) -> Vec<Tag> {
        choice::ranked(self, tags)
    }
}

/// For sentences: ``semver `^1.4` ``.
impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Semver(semver) => write!(f, "semver `{}`", semver.range),
            Self::Digest(digest) => write!(f, "digest of `{}`", digest.tag),
        }
    }
}
