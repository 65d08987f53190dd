//! Reasons: why a version was chosen, why another was not, why nothing was done.
//!
//! Every sentence a user reads about a decision is made here, by [`Reason`]'s `Display`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Duration, EntryName, EnvironmentName, Hold, ImageName, Platform, Tag, Timestamp, Version};

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
    /// The tag, or what is taken out of it, is no whole or decimal number.
    NotANumber { tag: Tag },
    /// A pattern of `exclude` matches the tag.
    ExcludedByPattern { tag: Tag, pattern: String },
    /// No pattern of `allow` matches the tag.
    NotAllowed { tag: Tag },
    /// The pattern of `filterTags` does not match the tag.
    NotMatched { tag: Tag, pattern: String },
    /// `filterTags` takes an empty text out of the tag.
    ExtractsNothing { tag: Tag },
    /// The tag names a signature, an attestation or a list of them.
    ArtifactOfAnother { tag: Tag },
    /// The text is outside of the grammar of tags.
    NotATag { written: String },
    /// No authenticated CI event announced the tag.
    NotAnnounced { tag: Tag },
    /// CI announced the tag, but with claims that the policy does not admit, this one among them.
    AnnouncedByOther { tag: Tag, claim: String, value: Option<String> },
    /// CI announced the tag with a digest, and it names another one now.
    AnnouncedDifferently { tag: Tag, announced: String, found: String },
    /// Nothing says when the image was built.
    BuildTimeUnknown { tag: Tag },
    /// The build times of so many tags are still to be read.
    BuildTimesUnread { count: usize },
    /// The version is too young.
    YoungerThan { tag: Tag, minimum: Duration, until: Timestamp },
    /// Nothing says how old the version is.
    AgeUnknown { tag: Tag, minimum: Duration },
    /// The step from what runs would be larger than permitted.
    BeyondMaximumJump { tag: Tag, current: String, jump: String },
    /// The tag names an index whose images are not there (yet).
    Incomplete { tag: Tag, detail: String },
    /// Required platforms are not there (yet).
    MissingPlatforms { tag: Tag, missing: Vec<Platform> },
    /// No signature satisfies the rule.
    NotSigned { tag: Tag, detail: String },
    /// The followed tag names a digest again that it had named before; it is read once more, later.
    DigestReturned { tag: Tag, digest: String, until: Timestamp },
    /// Another admitted tag is higher.
    LowerThanSelected { tag: Tag, selected: Tag },
    /// Same precedence as the selected tag, which is written with fewer surprises.
    EqualToSelected { tag: Tag, selected: Tag },
    /// The policy follows another tag.
    NotTheFollowedTag { tag: Tag, followed: Tag },
    /// The best admitted tag is below what the references carry.
    BelowCurrent { tag: Tag, current: String },
    /// The tag has the same place in the order as what runs.
    EqualToCurrent { tag: Tag, current: String },
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
    /// The version ran upstream, and moves on.
    PromotedFrom { version: Version, environment: EnvironmentName, since: Timestamp },
    /// So many gates of the promotion do not pass yet; the decision lists them.
    GatesWait { version: Version, gates: Vec<String> },
    /// Gates of the promotion failed.
    GatesFail { version: Version, gates: Vec<String> },
    /// Nothing is known to have run upstream.
    UpstreamEmpty { environment: EnvironmentName },
    /// The upstream runs several versions of the image at once.
    UpstreamDisagrees { environment: EnvironmentName, versions: Vec<String> },
    /// Everything that ran upstream is at or below what runs here.
    UpstreamNotAhead { environment: EnvironmentName, current: String },
    /// People took the version back upstream.
    TakenBackUpstream { version: Version, environment: EnvironmentName },
    /// The tag that was put upstream names another digest at the registry now.
    MovedSincePut { tag: Tag, put: String, found: String, environment: EnvironmentName },
    /// A hold keeps the environment as it is, or from this version.
    Held { hold: Box<Hold> },
    /// A person asked for this version here.
    AskedFor { hold: Box<Hold> },
    /// People went back from a version that Tagboat had put here; it stays so.
    TakenBack { from: String, to: String },
    /// A pull request carries the version.
    InPullRequest { version: Version, number: u64 },
    /// The open pull request is approved or about to be merged, and is not replaced.
    NotSuperseded { number: u64, approved: String },
    /// People committed on the pull request's branch.
    EditedByPeople { number: u64 },
    /// As many as permitted are open, or were opened lately.
    LimitReached { limit: String },
    /// The branch takes no direct commits, so what would have been one is offered in a pull request.
    Protected { detail: String },
    /// How many more tags there are like the one before.
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
            | Self::NotANumber { tag }
            | Self::ExcludedByPattern { tag, .. }
            | Self::NotAllowed { tag }
            | Self::NotMatched { tag, .. }
            | Self::ExtractsNothing { tag }
            | Self::ArtifactOfAnother { tag }
            | Self::NotAnnounced { tag }
            | Self::AnnouncedByOther { tag, .. }
            | Self::AnnouncedDifferently { tag, .. }
            | Self::BuildTimeUnknown { tag }
            | Self::YoungerThan { tag, .. }
            | Self::AgeUnknown { tag, .. }
            | Self::BeyondMaximumJump { tag, .. }
            | Self::Incomplete { tag, .. }
            | Self::MissingPlatforms { tag, .. }
            | Self::NotSigned { tag, .. }
            | Self::DigestReturned { tag, .. }
            | Self::LowerThanSelected { tag, .. }
            | Self::EqualToSelected { tag, .. }
            | Self::NotTheFollowedTag { tag, .. }
            | Self::BelowCurrent { tag, .. }
            | Self::EqualToCurrent { tag, .. }
            | Self::TagMoved { tag, .. }
            | Self::NotAskedYet { tag }
            | Self::NotAtRegistry { tag, .. }
            | Self::NotAnImage { tag, .. }
            | Self::BuiltFromOwnCommit { tag, .. } => Some(tag),
            _ => None,
        }
    }

    /// Whether it says of its tag that just this version cannot be used, as things are: it is not there, not what was
    /// announced, or does not prove what it has to. That something else is used, or wanted by the policy, does not say that.
    #[must_use]
    pub fn is_against_use(&self) -> bool {
        matches!(
            self,
            Self::ArtifactOfAnother { .. }
                | Self::NotAnnounced { .. }
                | Self::AnnouncedByOther { .. }
                | Self::AnnouncedDifferently { .. }
                | Self::BuildTimeUnknown { .. }
                | Self::YoungerThan { .. }
                | Self::AgeUnknown { .. }
                | Self::Incomplete { .. }
                | Self::MissingPlatforms { .. }
                | Self::NotSigned { .. }
                | Self::DigestReturned { .. }
                | Self::TagMoved { .. }
                | Self::NotAtRegistry { .. }
                | Self::NotAnImage { .. }
                | Self::BuiltFromOwnCommit { .. }
                | Self::MovedSincePut { .. }
        )
    }

    /// Whether what is against the use of its tag may pass by itself: the version is looked at again.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::AnnouncedDifferently { .. }
                | Self::YoungerThan { .. }
                | Self::Incomplete { .. }
                | Self::MissingPlatforms { .. }
                | Self::NotSigned { .. }
                | Self::DigestReturned { .. }
                | Self::NotAtRegistry { .. }
        )
    }

    /// The name of the variant in JSON.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one line for each variant, and nothing else")]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Selected { .. } => "selected",
            Self::Followed { .. } => "followed",
            Self::AlreadyThere { .. } => "alreadyThere",
            Self::OutsideRange { .. } => "outsideRange",
            Self::PrereleaseNotAdmitted { .. } => "prereleaseNotAdmitted",
            Self::NotAVersion { .. } => "notAVersion",
            Self::NotANumber { .. } => "notANumber",
            Self::ExcludedByPattern { .. } => "excludedByPattern",
            Self::NotAllowed { .. } => "notAllowed",
            Self::NotMatched { .. } => "notMatched",
            Self::ExtractsNothing { .. } => "extractsNothing",
            Self::ArtifactOfAnother { .. } => "artifactOfAnother",
            Self::NotATag { .. } => "notATag",
            Self::NotAnnounced { .. } => "notAnnounced",
            Self::AnnouncedByOther { .. } => "announcedByOther",
            Self::AnnouncedDifferently { .. } => "announcedDifferently",
            Self::BuildTimeUnknown { .. } => "buildTimeUnknown",
            Self::BuildTimesUnread { .. } => "buildTimesUnread",
            Self::YoungerThan { .. } => "youngerThan",
            Self::AgeUnknown { .. } => "ageUnknown",
            Self::BeyondMaximumJump { .. } => "beyondMaximumJump",
            Self::Incomplete { .. } => "incomplete",
            Self::MissingPlatforms { .. } => "missingPlatforms",
            Self::NotSigned { .. } => "notSigned",
            Self::DigestReturned { .. } => "digestReturned",
            Self::LowerThanSelected { .. } => "lowerThanSelected",
            Self::EqualToSelected { .. } => "equalToSelected",
            Self::NotTheFollowedTag { .. } => "notTheFollowedTag",
            Self::BelowCurrent { .. } => "belowCurrent",
            Self::EqualToCurrent { .. } => "equalToCurrent",
            Self::TagMoved { .. } => "tagMoved",
            Self::NotAskedYet { .. } => "notAskedYet",
            Self::NotAtRegistry { .. } => "notAtRegistry",
            Self::RegistryUnavailable { .. } => "registryUnavailable",
            Self::NotAnImage { .. } => "notAnImage",
            Self::NothingBetter { .. } => "nothingBetter",
            Self::NoAdmittedTag { .. } => "noAdmittedTag",
            Self::NoReference { .. } => "noReference",
            Self::ReferencesDisagree { .. } => "referencesDisagree",
            Self::NoDigestToFollow { .. } => "noDigestToFollow",
            Self::CannotEdit { .. } => "cannotEdit",
            Self::UnreadableFile { .. } => "unreadableFile",
            Self::ClaimedTwice { .. } => "claimedTwice",
            Self::BuiltFromOwnCommit { .. } => "builtFromOwnCommit",
            Self::PromotedFrom { .. } => "promotedFrom",
            Self::GatesWait { .. } => "gatesWait",
            Self::GatesFail { .. } => "gatesFail",
            Self::UpstreamEmpty { .. } => "upstreamEmpty",
            Self::UpstreamDisagrees { .. } => "upstreamDisagrees",
            Self::UpstreamNotAhead { .. } => "upstreamNotAhead",
            Self::TakenBackUpstream { .. } => "takenBackUpstream",
            Self::MovedSincePut { .. } => "movedSincePut",
            Self::Held { .. } => "held",
            Self::AskedFor { .. } => "askedFor",
            Self::TakenBack { .. } => "takenBack",
            Self::InPullRequest { .. } => "inPullRequest",
            Self::NotSuperseded { .. } => "notSuperseded",
            Self::EditedByPeople { .. } => "editedByPeople",
            Self::LimitReached { .. } => "limitReached",
            Self::Protected { .. } => "protected",
            Self::AndMore { .. } => "andMore",
        }
    }

    /// The sentences about one tag; all others are in `Display`, which ends here.
    fn fmt_about_tag(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selected { tag, policy } => write!(f, "{tag} is the best tag that {policy} admits"),
            Self::Followed { tag, digest } => write!(f, "{tag} names {digest} now, and its digest is followed"),
            Self::OutsideRange { tag, range } => write!(f, "{tag} is outside range `{range}`"),
            Self::PrereleaseNotAdmitted { tag, range } => {
                write!(
                    f,
                    "{tag}: prerelease not admitted, since no bound of `{range}` names one (write `-0` after a bound to admit them)"
                )
            }
            Self::LowerThanSelected { tag, selected } => write!(f, "{tag} is lower than selected {selected}"),
            Self::EqualToSelected { tag, selected } => {
                write!(f, "{tag} stands equal with {selected}, which is written more plainly")
            }
            Self::NotTheFollowedTag { tag, followed } => write!(f, "{tag} is not the tag that is followed, {followed}"),
            Self::BelowCurrent { tag, current } => {
                write!(
                    f,
                    "{tag} is below {current}, which runs now; Tagboat does not go down by itself (`allowDowngrade: true` permits it)"
                )
            }
            Self::EqualToCurrent { tag, current } => {
                write!(f, "{tag} stands equal with {current}, which runs now")
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
            about_spelling => about_spelling.fmt_about_spelling(f),
        }
    }

    /// The sentences about a tag that filters, order or guards leave out.
    fn fmt_about_spelling(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAVersion { tag } => write!(f, "{tag} is not a version"),
            Self::NotANumber { tag } => write!(f, "{tag} is not a whole or decimal number"),
            Self::ExcludedByPattern { tag, pattern } => write!(f, "{tag} is excluded by pattern `{pattern}`"),
            Self::NotAllowed { tag } => write!(f, "{tag} is matched by no pattern of `allow`"),
            Self::NotMatched { tag, pattern } => write!(f, "{tag} is not matched by `{pattern}` of `filterTags`"),
            Self::ExtractsNothing { tag } => write!(f, "{tag} leaves nothing to compare after `extract`"),
            Self::ArtifactOfAnother { tag } => {
                write!(f, "{tag} names signatures or attestations of another image, not an image")
            }
            Self::NotAnnounced { tag } => write!(f, "{tag} was not announced by an authenticated CI event"),
            Self::AnnouncedByOther { tag, claim, value: Some(value) } => {
                write!(f, "{tag} was announced with {claim} {value}, which the policy does not admit")
            }
            Self::AnnouncedByOther { tag, claim, value: None } => {
                write!(f, "{tag} was announced without {claim}, which the policy asks for")
            }
            Self::AnnouncedDifferently { tag, announced, found } => {
                write!(f, "{tag} was announced as {announced}, but the registry has {found}")
            }
            Self::BuildTimeUnknown { tag } => {
                write!(f, "{tag} cannot be placed: nothing says when it appeared or was built")
            }
            Self::YoungerThan { tag, minimum, until } => {
                write!(f, "{tag} is younger than {minimum}; it is old enough from {until} on")
            }
            Self::AgeUnknown { tag, minimum } => {
                write!(f, "{tag} may be younger than {minimum}: nothing says how old it is")
            }
            Self::BeyondMaximumJump { tag, current, jump } => {
                write!(f, "{tag} is too far from {current}, which runs now (`maximumJump: {jump}`)")
            }
            Self::Incomplete { tag, detail } => write!(f, "{tag} is not whole: {detail}; waiting for it"),
            Self::MissingPlatforms { tag, missing } => {
                let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
                write!(f, "{tag} is missing {}; waiting for it", missing.join(", "))
            }
            Self::NotSigned { tag, detail } => write!(f, "{tag} is not signed as `verify` demands: {detail}"),
            Self::DigestReturned { tag, digest, until } => {
                write!(
                    f,
                    "{tag} names {digest} again, which it had named before; it is read once more at {until}, because registries sometimes answer with what was"
                )
            }
            about_promotion => crate::reason_promotion::write(about_promotion, f),
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
            Self::NotATag { written } => {
                write!(
                    f,
                    "`{written}` is not a tag: 1 to 128 letters, digits, `_`, `.`, `-`, not starting with `.` or `-`"
                )
            }
            Self::BuildTimesUnread { count } => {
                write!(f, "the build times of {count} tags are still to be read; the choice waits for them")
            }
            Self::AndMore { count } => write!(f, "and {count} more tags for the same reason"),
            about_a_tag => about_a_tag.fmt_about_tag(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_version_or_the_policy_says_is_not_against_use() {
        let tag: Tag = "1.5.0".parse().unwrap();
        let text = || "a text".to_owned();
        for (reason, is_against_use, may_pass) in [
            (Reason::NotAtRegistry { tag: tag.clone(), image: "r.example/acme/web".parse().unwrap() }, true, true),
            (Reason::MissingPlatforms { tag: tag.clone(), missing: Vec::new() }, true, true),
            (Reason::NotSigned { tag: tag.clone(), detail: text() }, true, true),
            (Reason::AnnouncedDifferently { tag: tag.clone(), announced: text(), found: text() }, true, true),
            (Reason::NotAnImage { tag: tag.clone(), detail: text() }, true, false),
            (Reason::AnnouncedByOther { tag: tag.clone(), claim: text(), value: None }, true, false),
            (Reason::BuiltFromOwnCommit { tag: tag.clone(), revision: text() }, true, false),
            (Reason::TagMoved { tag: tag.clone(), written: text(), found: text() }, true, false),
            (Reason::LowerThanSelected { tag: tag.clone(), selected: tag.clone() }, false, false),
            (Reason::BelowCurrent { tag: tag.clone(), current: text() }, false, false),
            (Reason::OutsideRange { tag: tag.clone(), range: text() }, false, false),
            (Reason::NotTheFollowedTag { tag: tag.clone(), followed: tag }, false, false),
            (Reason::AlreadyThere { version: text() }, false, false),
        ] {
            assert_eq!((reason.is_against_use(), reason.may_pass()), (is_against_use, may_pass), "{reason:?}");
        }
    }
}
