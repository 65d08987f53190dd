//! The policies, spelled as Flux spells them in `ImagePolicy.spec.policy` where Flux has them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagboat_model::Tag;

use crate::{ArgocdImageUpdater, Claims, Kargo, Range};

/// The rule that orders and admits tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Policy {
    /// The highest version within a range.
    Semver(Semver),
    /// The greatest number.
    Numerical(Ordered),
    /// The last in byte order.
    Alphabetical(Ordered),
    /// The tag that appeared last; of tags that were there from the start, the one built last.
    Newest(Newest),
    /// Whatever one mutable tag names now.
    Digest(FollowedTag),
    /// The version that CI announced last, and no other: a tag alone, whoever pushed it, is not enough.
    Announced(Announced),
    /// A strategy of Argo CD Image Updater, with its meaning.
    ArgocdImageUpdater(ArgocdImageUpdater),
    /// A strategy of Kargo, with its meaning.
    Kargo(Kargo),
}

/// `semver: { range: "^1.4" }`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Semver {
    /// The versions that are admitted, as Flux writes them: `^1.4`, `~1.4.2`, `>=1.4 <2`, `1.x || 2.x`.
    pub range: Range,
}

/// `numerical: { order: asc }`, `alphabetical: { order: asc }`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ordered {
    /// Which end is the newest. Default: `asc`.
    pub order: Direction,
}

/// Which end of an order is the newest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// The last in ascending order is chosen: the greatest.
    #[default]
    Asc,
    /// The last in descending order is chosen: the least.
    Desc,
}

/// `newest: {}`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Newest {}

/// `digest: { tag: main }`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FollowedTag {
    /// The tag whose digest is followed.
    pub tag: Tag,
}

/// `announced: { claims: { repository: acme/web, ref: refs/heads/main } }`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Announced {
    /// What the token that came with an announcement must claim, all of it: claims by the names that the token's issuer
    /// gives them, each with a pattern or a list of patterns of which one has to match. `*` is any run within one part
    /// between slashes, `**` any run. Requests that are signed without a token have `repository`, `revision` and `run`.
    /// Default: every announcement counts.
    #[serde(skip_serializing_if = "Claims::is_empty")]
    pub claims: Claims,
}

impl Policy {
    /// The tag whose digest is followed, for policies that do that.
    #[must_use]
    pub fn followed(&self) -> Option<&Tag> {
        match self {
            Self::Digest(digest) => Some(&digest.tag),
            Self::ArgocdImageUpdater(updater) => updater.followed(),
            Self::Kargo(kargo) => kargo.followed(),
            _ => None,
        }
    }

    /// Whether only what CI announced is a candidate.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.announced().is_some()
    }

    /// Whose announcements count, where only what CI announced is a candidate.
    #[must_use]
    pub fn announced(&self) -> Option<&Announced> {
        match self {
            Self::Announced(announced) => Some(announced),
            _ => None,
        }
    }

    /// Whether the order is that in which tags appeared.
    #[must_use]
    pub fn is_by_appearance(&self) -> bool {
        matches!(self, Self::Newest(_))
    }

    /// Whether a tag can only be placed once it is known when its image was built.
    #[must_use]
    pub fn is_by_build_time(&self) -> bool {
        match self {
            Self::Newest(_) => true,
            Self::ArgocdImageUpdater(updater) => updater.is_by_build_time(),
            Self::Kargo(kargo) => kargo.is_by_build_time(),
            _ => false,
        }
    }
}

/// For sentences: ``semver `^1.4` ``.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Semver(semver) => write!(f, "semver `{}`", semver.range),
            Self::Numerical(Ordered { order: Direction::Asc }) => f.write_str("numerical order"),
            Self::Numerical(Ordered { order: Direction::Desc }) => f.write_str("descending numerical order"),
            Self::Alphabetical(Ordered { order: Direction::Asc }) => f.write_str("alphabetical order"),
            Self::Alphabetical(Ordered { order: Direction::Desc }) => f.write_str("descending alphabetical order"),
            Self::Newest(_) => f.write_str("the policy `newest`"),
            Self::Digest(digest) => write!(f, "digest of `{}`", digest.tag),
            Self::Announced(_) => f.write_str("the policy `announced`"),
            Self::ArgocdImageUpdater(updater) => write!(f, "{updater}"),
            Self::Kargo(kargo) => write!(f, "{kargo}"),
        }
    }
}
