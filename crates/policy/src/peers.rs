//! Strategies of Argo CD Image Updater and Kargo with their own words and meaning, so that a team can move a line
//! over and get the same tag.
//!
//! Sources: `registry-scanner/pkg/image/version.go` and `docs/basics/update-strategies.md` of the one,
//! `pkg/image/*_selector.go` of the other. Where they differ from here on purpose: a malformed expression is an error
//! when it is read (theirs match nothing, or are passed over), an unknown strategy too, a version never goes down
//! without `allowDowngrade`, and between tags of one precedence this project's own rule decides.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagboat_model::Tag;
use thiserror::Error;

use crate::{Pattern, PatternError, Range, RangeError, order::Order, rule::Direction, version::Reading};

/// Why a peer's strategy cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeerError {
    /// The constraint is no range.
    #[error("`constraint`: {0}")]
    Range(#[from] RangeError),
    /// A filter is no regular expression or glob.
    #[error("{key}: {why}")]
    Pattern {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        why: PatternError,
    },
    /// The strategy needs a constraint: the tag to follow.
    #[error("`constraint` must name the tag to follow, as in `latest`{0}")]
    Follow(String),
    /// `allowTags` has a form of its own.
    #[error("`allowTags` is `{0}`; write `any`, or `regexp:` and a regular expression")]
    AllowTags(String),
}

/// `argocdImageUpdater: { updateStrategy: semver, constraint: "~1.26", allowTags: "regexp:^v", ignoreTags: ["*-rc*"] }`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "ArgocdImageUpdaterFile", into = "ArgocdImageUpdaterFile")]
#[schemars(with = "ArgocdImageUpdaterFile")]
pub struct ArgocdImageUpdater {
    file: ArgocdImageUpdaterFile,
    meaning: Meaning,
}

/// A strategy of Argo CD Image Updater.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ArgocdImageUpdater")]
struct ArgocdImageUpdaterFile {
    /// Its `update-strategy`. Default: `semver`.
    #[serde(default)]
    update_strategy: UpdateStrategy,
    /// The part after the image's `:` there: a range for `semver`, the tag to follow for `digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    constraint: Option<String>,
    /// Its `allow-tags`: `any`, or `regexp:` and a regular expression. Default: `any`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow_tags: Option<String>,
    /// Its `ignore-tags`: shell globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ignore_tags: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum UpdateStrategy {
    /// The highest version within a range.
    #[default]
    Semver,
    /// The image built last.
    NewestBuild,
    /// An older name of `newest-build`.
    Latest,
    /// Whatever one mutable tag names now.
    Digest,
    /// The last in byte order.
    Alphabetical,
    /// An older name of `alphabetical`.
    Name,
}

/// `kargo: { imageSelectionStrategy: SemVer, constraint: "^1.4", ignoreTagsRegexes: ["-rc"] }`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "KargoFile", into = "KargoFile")]
#[schemars(with = "KargoFile")]
pub struct Kargo {
    file: KargoFile,
    meaning: Meaning,
}

/// A strategy of Kargo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Kargo")]
struct KargoFile {
    /// How images are selected. Default: `SemVer`.
    #[serde(default)]
    image_selection_strategy: ImageSelectionStrategy,
    /// A range for `SemVer`, the tag to follow for `Digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    constraint: Option<String>,
    /// Whether only three numbers (and an optional `v`) are a version. Default: true.
    #[serde(default = "yes")]
    strict_semvers: bool,
    /// Regular expressions; one has to match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow_tags_regexes: Vec<Pattern>,
    /// Regular expressions; none may match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ignore_tags_regexes: Vec<Pattern>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum ImageSelectionStrategy {
    /// The highest version within a range; without one, any, prereleases included.
    #[default]
    SemVer,
    /// The last in byte order.
    Lexical,
    /// The image built last.
    NewestBuild,
    /// Whatever one mutable tag names now.
    Digest,
}

/// What a strategy comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Meaning {
    strategy: Strategy,
    allow: Vec<Pattern>,
    ignore: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Strategy {
    /// Without a range every version counts, prereleases included.
    Semver(Option<Range>, Reading),
    Lexical,
    Build,
    Follow(Tag),
}

impl Meaning {
    fn order(&self) -> Order<'_> {
        match &self.strategy {
            Strategy::Semver(range, reading) => Order::Version(range.as_ref(), *reading),
            Strategy::Lexical => Order::Text(Direction::Asc),
            Strategy::Build => Order::Build,
            Strategy::Follow(tag) => Order::Follow(tag),
        }
    }

    fn followed(&self) -> Option<&Tag> {
        match &self.strategy {
            Strategy::Follow(tag) => Some(tag),
            _ => None,
        }
    }
}

fn follow(constraint: Option<&String>) -> Result<Tag, PeerError> {
    let written = constraint.map_or("", String::as_str);
    written.parse().map_err(|error: tagboat_model::ImageError| {
        PeerError::Follow(if written.is_empty() { String::new() } else { format!(": {error}") })
    })
}

impl TryFrom<ArgocdImageUpdaterFile> for ArgocdImageUpdater {
    type Error = PeerError;

    fn try_from(file: ArgocdImageUpdaterFile) -> Result<Self, PeerError> {
        let strategy = match file.update_strategy {
            // Without a constraint prereleases are left out, as `*` does.
            UpdateStrategy::Semver => {
                let range = file.constraint.as_deref().filter(|constraint| !constraint.is_empty()).unwrap_or("*");
                Strategy::Semver(Some(range.parse()?), Reading::Loose)
            }
            UpdateStrategy::NewestBuild | UpdateStrategy::Latest => Strategy::Build,
            UpdateStrategy::Digest => Strategy::Follow(follow(file.constraint.as_ref())?),
            UpdateStrategy::Alphabetical | UpdateStrategy::Name => Strategy::Lexical,
        };
        let allow = match file.allow_tags.as_deref() {
            None | Some("" | "any") => Vec::new(),
            Some(written) => {
                let pattern = written.strip_prefix("regexp:");
                let pattern = pattern.ok_or_else(|| PeerError::AllowTags(written.to_owned()))?;
                vec![pattern.parse().map_err(|why| PeerError::Pattern { key: "`allowTags`", why })?]
            }
        };
        let ignore = file.ignore_tags.iter().map(|glob| Pattern::from_glob(glob.trim()));
        let ignore = ignore.collect::<Result<_, _>>().map_err(|why| PeerError::Pattern { key: "`ignoreTags`", why })?;
        Ok(Self { meaning: Meaning { strategy, allow, ignore }, file })
    }
}

impl TryFrom<KargoFile> for Kargo {
    type Error = PeerError;

    fn try_from(file: KargoFile) -> Result<Self, PeerError> {
        let strategy = match file.image_selection_strategy {
            ImageSelectionStrategy::SemVer => {
                let range = file.constraint.as_deref().filter(|constraint| !constraint.is_empty());
                let reading = if file.strict_semvers { Reading::Strict } else { Reading::Loose };
                Strategy::Semver(range.map(str::parse).transpose()?, reading)
            }
            ImageSelectionStrategy::Lexical => Strategy::Lexical,
            ImageSelectionStrategy::NewestBuild => Strategy::Build,
            ImageSelectionStrategy::Digest => Strategy::Follow(follow(file.constraint.as_ref())?),
        };
        let (allow, ignore) = (file.allow_tags_regexes.clone(), file.ignore_tags_regexes.clone());
        Ok(Self { meaning: Meaning { strategy, allow, ignore }, file })
    }
}

macro_rules! peer {
    ($($peer:ident, $file:ident, $name:literal);*) => {$(
        impl $peer {
            pub(crate) fn order(&self) -> Order<'_> {
                self.meaning.order()
            }

            pub(crate) fn filters(&self) -> (&[Pattern], &[Pattern]) {
                (&self.meaning.allow, &self.meaning.ignore)
            }

            pub(crate) fn followed(&self) -> Option<&Tag> {
                self.meaning.followed()
            }

            pub(crate) fn is_by_build_time(&self) -> bool {
                self.meaning.strategy == Strategy::Build
            }
        }

        impl From<$peer> for $file {
            fn from(peer: $peer) -> Self {
                peer.file
            }
        }

        impl fmt::Display for $peer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match &self.meaning.strategy {
                    Strategy::Semver(Some(range), _) => write!(f, "semver `{range}` as {} reads it", $name),
                    Strategy::Semver(None, _) => write!(f, "semver as {} reads it", $name),
                    Strategy::Lexical => write!(f, "alphabetical order as in {}", $name),
                    Strategy::Build => write!(f, "the newest build as in {}", $name),
                    Strategy::Follow(tag) => write!(f, "digest of `{tag}` as in {}", $name),
                }
            }
        }
    )*};
}
peer!(ArgocdImageUpdater, ArgocdImageUpdaterFile, "Argo CD Image Updater"; Kargo, KargoFile, "Kargo");
