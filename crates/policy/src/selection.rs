//! How the version of an image is chosen: the policy with its filters and guards, as one value.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagboat_model::{Duration, Platform, Tag};
use thiserror::Error;

use crate::{
    FilterTags, Known, Pattern, Policy,
    order::{NoPlace, Order, Place},
};

/// How the version of an image is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// The rule that orders and admits tags.
    pub policy: Policy,
    /// Only tags that a pattern matches, and what of them is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_tags: Option<FilterTags>,
    /// Tags that one of these matches are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Pattern>,
    /// Only tags that one of these matches; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Pattern>,
    /// How old a version has to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_age: Option<Duration>,
    /// The platforms that have to be there, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// Whether a version below the current may be chosen.
    #[serde(default)]
    pub allow_downgrade: bool,
    /// How far one step may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_jump: Option<Jump>,
}

/// How far one step may go from the version that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Jump {
    /// To the next major version at most: from 1.x to 2.x, not to 3.x.
    Major,
    /// Within the major version.
    Minor,
    /// Within the minor version.
    Patch,
}

impl std::fmt::Display for Jump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Patch => "patch",
        })
    }
}

/// Parts of a selection that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SelectionProblem {
    /// The key that is to be changed.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl From<Policy> for Selection {
    fn from(policy: Policy) -> Self {
        Self {
            policy,
            filter_tags: None,
            exclude: Vec::new(),
            allow: Vec::new(),
            minimum_age: None,
            platforms: Vec::new(),
            allow_downgrade: false,
            maximum_jump: None,
        }
    }
}

/// Why a tag is no candidate, whatever else is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filtered {
    Artifact,
    NotAllowed,
    Excluded(usize),
    NotMatched,
    Empty,
}

impl Selection {
    /// Check that the parts go together.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check(&self) -> Result<(), SelectionProblem> {
        let problem = |key, message: String| Err(SelectionProblem { key, message });
        if self.maximum_jump.is_some() && !matches!(self.policy.order(), Order::Version(..)) {
            return problem("maximumJump", format!("`maximumJump` compares versions, and {} has none", self.policy));
        }
        if let Some(followed) = self.policy.followed() {
            if let Err(filtered) = self.filter(followed) {
                let (key, why) = match filtered {
                    Filtered::Artifact => ("policy", "names a signature or an attestation, no image".to_owned()),
                    Filtered::NotAllowed => ("allow", "is not matched by any pattern of `allow`".to_owned()),
                    Filtered::Excluded(index) => {
                        let pattern = self.excluding().nth(index).map(Pattern::to_string);
                        ("exclude", format!("is excluded by pattern `{}`", pattern.unwrap_or_default()))
                    }
                    Filtered::NotMatched | Filtered::Empty => {
                        ("filterTags", "is not matched by `filterTags`".to_owned())
                    }
                };
                return problem(key, format!("the tag to follow, `{followed}`, {why}, so nothing would ever change"));
            }
            if self.filter_tags.as_ref().is_some_and(FilterTags::extracts) {
                return problem("filterTags", format!("`extract` has no meaning for {}", self.policy));
            }
        }
        Ok(())
    }

    /// How two tags stand to each other, or `None` where this policy cannot order them. Filters and ranges
    /// leave nothing out here: what runs may well be a version that they would.
    #[must_use]
    pub fn compare(&self, left: (&Tag, &Known), right: (&Tag, &Known)) -> Option<std::cmp::Ordering> {
        let (left, right) = (self.place(left.0, left.1)?, self.place(right.0, right.1)?);
        Some(self.policy.order().compare(&left, &right))
    }

    /// Drop what was meant for another policy and means nothing for this one.
    #[must_use]
    pub fn without_what_means_nothing(mut self) -> Self {
        if !matches!(self.policy.order(), Order::Version(..)) {
            self.maximum_jump = None;
        }
        if self.policy.followed().is_some() {
            self.filter_tags = None;
        }
        self
    }

    /// Whether this policy can order the tag at all.
    #[must_use]
    pub fn orders(&self, tag: &Tag, known: &Known) -> bool {
        self.place(tag, known).is_some()
    }

    /// Where a tag stands that may be what runs: where `extract` takes nothing out of it, all of it is compared, so
    /// that a version which somebody put there by hand is a floor too.
    pub(crate) fn place<'t>(&self, tag: &'t Tag, known: &Known) -> Option<Place<'t>> {
        let value = self.value(tag).unwrap_or(Cow::Borrowed(tag.as_str()));
        self.policy.order().place(tag, value, known).ok()
    }

    /// The platforms that are required and not among these.
    #[must_use]
    pub fn missing(&self, platforms: &[Platform]) -> Vec<Platform> {
        let is_there = |required: &&Platform| platforms.iter().any(|platform| platform.satisfies(required));
        self.platforms.iter().filter(|required| !is_there(required)).cloned().collect()
    }

    /// What of a tag is compared.
    pub(crate) fn value<'t>(&self, tag: &'t Tag) -> Result<Cow<'t, str>, Filtered> {
        match &self.filter_tags {
            Some(filter) if filter.extracts() => match filter.value(tag.as_str()) {
                None => Err(Filtered::NotMatched),
                Some(value) if value.is_empty() => Err(Filtered::Empty),
                Some(value) => Ok(value),
            },
            _ => Ok(Cow::Borrowed(tag.as_str())),
        }
    }

    /// Whether the filters let a tag pass, and what of it is compared.
    pub(crate) fn filter<'t>(&self, tag: &'t Tag) -> Result<Cow<'t, str>, Filtered> {
        if tag.is_artifact_of_another() {
            return Err(Filtered::Artifact);
        }
        let text = tag.as_str();
        let (allow, _) = self.peer_filters();
        let passes = |patterns: &[Pattern]| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text));
        if !passes(&self.allow) || !passes(allow) {
            return Err(Filtered::NotAllowed);
        }
        if let Some(index) = self.excluding().position(|pattern| pattern.matches(text)) {
            return Err(Filtered::Excluded(index));
        }
        if self.filter_tags.as_ref().is_some_and(|filter| !filter.extracts() && !filter.pattern().matches(text)) {
            return Err(Filtered::NotMatched);
        }
        self.value(tag)
    }

    /// Every pattern that leaves tags out.
    pub(crate) fn excluding(&self) -> impl Iterator<Item = &Pattern> {
        self.exclude.iter().chain(self.peer_filters().1)
    }

    fn peer_filters(&self) -> (&[Pattern], &[Pattern]) {
        match &self.policy {
            Policy::ArgocdImageUpdater(updater) => updater.filters(),
            Policy::Kargo(kargo) => kargo.filters(),
            _ => (&[], &[]),
        }
    }

    /// Whether going from `current` to `next` is further than permitted. What is no version is never too far.
    pub(crate) fn is_too_far(&self, next: &Place<'_>, current: &Place<'_>) -> bool {
        let (Place::Version(next), Place::Version(current)) = (next, current) else { return false };
        match self.maximum_jump {
            None => false,
            Some(Jump::Major) => next.major.abs_diff(current.major) > 1,
            Some(Jump::Minor) => next.major != current.major,
            Some(Jump::Patch) => (next.major, next.minor) != (current.major, current.minor),
        }
    }

    /// The reason without a place.
    pub(crate) fn no_place(&self, tag: &Tag, why: NoPlace) -> tagboat_model::Reason {
        use tagboat_model::Reason;
        let tag = tag.clone();
        match why {
            NoPlace::NotAVersion => Reason::NotAVersion { tag },
            NoPlace::NotANumber => Reason::NotANumber { tag },
            NoPlace::NotAnnounced => Reason::NotAnnounced { tag },
            NoPlace::AgeUnknown => Reason::BuildTimeUnknown { tag },
            NoPlace::NotFollowed => {
                Reason::NotTheFollowedTag { followed: self.policy.followed().unwrap_or(&tag).clone(), tag }
            }
        }
    }
}
