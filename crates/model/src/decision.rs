//! Decisions: what an environment should run, or why nothing is to be done.
//!
//! Every sentence a user reads about a decision is made here, by [`Reason`]'s `Display`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{EntryName, EnvironmentName, ImageName, Tag, Version};

/// What follows from a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The references are to carry `Decision::version`.
    Update,
    /// Nothing is to be done: the references carry the version already, or nothing better is known.
    Nothing,
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
}

#[expect(missing_docs, reason = "the fields are the words of the sentence that documents the variant")]
/// One reason, closed so that each has its words and its test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Reason {
    /// The policy prefers this tag to all others that it admits.
    Selected { tag: Tag, policy: String },
    /// The followed tag names this digest now.
    Followed { tag: Tag, digest: String },
    /// The references carry the chosen version already.
    AlreadyThere { version: String },
    /// The tag is a version, but the range does not admit it.
    OutsideRange { tag: Tag, range: String },
    /// The tag is a prerelease and no bound of the range names one.
    PrereleaseNotAdmitted { tag: Tag, range: String },
    /// The tag does not read as a version.
    NotAVersion { tag: Tag },
    /// Another admitted tag is higher.
    LowerThanSelected { tag: Tag, selected: Tag },
    /// Same precedence as the selected tag, which is written with fewer surprises.
    EqualToSelected { tag: Tag, selected: Tag },
    /// The policy follows another tag.
    NotTheFollowedTag { tag: Tag, followed: Tag },
    /// The best admitted tag is below what the references carry.
    BelowCurrent { tag: Tag, current: String },
    /// The tag that runs names another digest at the registry now.
    TagMoved { tag: Tag, written: String, found: String },
    /// The tag was put forward, but others before it had to be asked about first.
    NotAskedYet { tag: Tag },
    /// The registry does not have the tag.
    NotAtRegistry { tag: Tag, image: ImageName },
    /// The registry could not be asked. Nothing changes; it is tried again.
    RegistryUnavailable { image: ImageName, detail: String },
    /// The tag names something that is no image.
    NotAnImage { tag: Tag, detail: String },
    /// What runs is the best that is known.
    NothingBetter { current: String, policy: String },
    /// No tag that is known satisfies the policy.
    NoAdmittedTag { policy: String },
    /// No file of the environment names the image.
    NoReference { image: ImageName },
    /// References of one environment carry versions that differ.
    ReferencesDisagree { versions: Vec<String> },
    /// The reference has no digest and the pin does not ask for one, so a digest cannot be followed.
    NoDigestToFollow { file: String, line: usize },
    /// The reference cannot be edited safely.
    CannotEdit { file: String, line: usize, detail: String },
    /// A file could not be read as what its name says.
    UnreadableFile { file: String, detail: String },
    /// Two entries claim the same image in one environment.
    ClaimedTwice { other: EntryName, image: ImageName },
    /// The image was built from one of Tagboat's own commits.
    BuiltFromOwnCommit { tag: Tag, revision: String },
    /// How many more tags were left out of this list for the same reason.
    AndMore { count: usize },
}

impl Reason {
    /// The tag that this reason is about, for those that are about one.
    #[must_use]
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Selected { tag, .. }
            | Self::Followed { tag, .. }
            | Self::OutsideRange { tag, .. }
            | Self::PrereleaseNotAdmitted { tag, .. }
            | Self::NotAVersion { tag }
            | Self::LowerThanSelected { tag, .. }
            | Self::EqualToSelected { tag, .. }
            | Self::NotTheFollowedTag { tag, .. }
            | Self::BelowCurrent { tag, .. }
            | Self::TagMoved { tag, .. }
            | Self::NotAskedYet { tag }
            | Self::NotAtRegistry { tag, .. }
            | Self::NotAnImage { tag, .. }
            | Self::BuiltFromOwnCommit { tag, .. } => Some(tag),
            _ => None,
        }
    }

    /// The sentences about one tag; all others are in `Display`, which ends here.
    fn fmt_about_tag(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selected { tag, policy } => write!(f, "{tag} is the best tag that {policy} admits"),
            Self::Followed { tag, digest } => write!(f, "{tag} names {digest} now, and its digest is followed"),
            Self::OutsideRange { tag, range } => write!(f, "{tag} is outside the range `{range}`"),
            Self::PrereleaseNotAdmitted { tag, range } => {
                write!(
                    f,
                    "{tag} is a prerelease, and no bound of `{range}` names one (write `-0` after a bound to admit them)"
                )
            }
            Self::NotAVersion { tag } => write!(f, "{tag} is not a version"),
            Self::LowerThanSelected { tag, selected } => write!(f, "{tag} is lower than {selected}"),
            Self::EqualToSelected { tag, selected } => {
                write!(f, "{tag} is the same version as {selected}, which is written more plainly")
            }
            Self::NotTheFollowedTag { tag, followed } => write!(f, "{tag} is not the tag that is followed, {followed}"),
            Self::BelowCurrent { tag, current } => {
                write!(
                    f,
                    "{tag} is below {current}, which runs now; Tagboat does not go down by itself (`allowDowngrade: true` permits it)"
                )
            }
            Self::TagMoved { tag, written, found } => {
                write!(
                    f,
                    "{tag} was moved at the registry from {written} to {found}; only a `digest` policy follows a tag that moves"
                )
            }
            Self::NotAskedYet { tag } => write!(f, "the registry was not asked about {tag} yet"),
            Self::NotAtRegistry { tag, image } => write!(f, "{image} has no tag {tag} at its registry"),
            Self::NotAnImage { tag, detail } => write!(f, "{tag} is not a container image: {detail}"),
            Self::BuiltFromOwnCommit { tag, revision } => {
                write!(
                    f,
                    "{tag} was built from Tagboat's own commit {revision}; following it would go round in circles"
                )
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyThere { version } => write!(f, "nothing to do: the references carry {version} already"),
            Self::RegistryUnavailable { image, detail } => {
                write!(f, "the registry of {image} could not be asked ({detail}); nothing changes until it can")
            }
            Self::NothingBetter { current, policy } => {
                write!(f, "nothing to do: no tag better than {current} is known that {policy} admits")
            }
            Self::NoAdmittedTag { policy } => write!(f, "no known tag is admitted by {policy}"),
            Self::NoReference { image } => write!(f, "no file of this environment names {image} with a tag or digest"),
            Self::ReferencesDisagree { versions } => {
                write!(f, "the references carry different versions now: {}", versions.join(", "))
            }
            Self::NoDigestToFollow { file, line } => {
                write!(
                    f,
                    "{file}:{line} has no digest to follow; set `pin: digest` or `pin: tagAndDigest`, or write a digest there"
                )
            }
            Self::CannotEdit { file, line, detail } => write!(f, "{file}:{line} cannot be edited safely: {detail}"),
            Self::UnreadableFile { file, detail } => write!(f, "{file} could not be read: {detail}"),
            Self::ClaimedTwice { other, image } => {
                write!(f, "the entry `{other}` claims {image} in this environment too; remove one of the two")
            }
            Self::AndMore { count } => write!(f, "and {count} more tags for like reasons"),
            about_a_tag => about_a_tag.fmt_about_tag(f),
        }
    }
}
