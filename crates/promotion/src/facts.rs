//! Everything a decision depends on, as one value.
//!
//! Facts are stored with the decisions they led to, so that a decision can be explained and run again. The
//! stored form carries a version number; a reader refuses versions it does not know.

use serde::{Deserialize, Serialize};
use tagboat_model::{
    BranchKey, Check, CommitId, Digest, EntryName, EnvironmentName, Hold, ImageName, Pin, Platform, Ran, Reason,
    Reference, Tag, Timestamp, Uneditable, Version,
};
use tagboat_policy::{Considered, Known, Selection};
use thiserror::Error;

use crate::Gates;

/// What was gathered about one branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The branch.
    pub key: BranchKey,
    /// The commit that was read.
    pub head: CommitId,
    /// When it was read.
    pub now: Timestamp,
    /// The environments of this branch.
    pub environments: Vec<EnvironmentFacts>,
}

/// What was gathered about one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentFacts {
    /// Its name.
    pub name: EnvironmentName,
    /// One per image entry that was asked about.
    pub images: Vec<ImageFacts>,
    /// What it is promoted from, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionFacts>,
    /// The conditions, where it is promoted from nothing.
    #[serde(default, skip_serializing_if = "Gates::is_empty")]
    pub gates: Gates,
    /// Whether changes reach it by pull request.
    #[serde(default)]
    pub by_pull_request: bool,
    /// The holds that concern it or an entry in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
}

/// What an environment is promoted from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotionFacts {
    /// The upstream.
    pub from: EnvironmentName,
    /// The conditions.
    pub gates: Gates,
}

/// What is known of an image upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpstreamFacts {
    /// What its references carry there now, when they differ.
    pub disagreeing: Vec<String>,
    /// What ran there, oldest first.
    pub ran: Vec<Ran>,
    /// What the registry says of tags that may move on: only where a reference here is written without a digest.
    pub names_now: Vec<NamesNow>,
    /// The checks of commits that brought versions there: only where a gate asks for them.
    pub checks: Vec<(CommitId, Vec<Check>)>,
    /// When tags appeared at the registry: only where a gate asks for it.
    pub appeared: Vec<(Tag, Timestamp)>,
}

/// What a tag names at the registry now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamesNow {
    /// The tag.
    pub tag: Tag,
    /// The digest; nothing when there is no such tag any more.
    pub digest: Option<Digest>,
}

/// What was gathered about one image in one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageFacts {
    /// The entry under `images`.
    pub entry: EntryName,
    /// The image.
    pub image: ImageName,
    /// How its version is chosen here.
    #[serde(flatten)]
    pub selection: Selection,
    /// The pin that holds here.
    pub pin: Pin,
    /// The places that name the image.
    pub references: Vec<Reference>,
    /// The tags that references without one are known to run, by their digests.
    pub resolved: Vec<Tag>,
    /// Files that mention the image and could not be read, with the reason.
    pub unreadable: Vec<(String, String)>,
    /// Places that seem to name the image and are never edited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uneditable: Vec<Uneditable>,
    /// Another entry that claims the same image.
    pub claimed_by: Option<EntryName>,
    /// The tags that were put forward, with what became known of each.
    pub candidates: Vec<Candidate>,
    /// How many more tags there are, all lower than the candidates.
    #[serde(default)]
    pub further: usize,
    /// Why all other known tags were not put forward: grouped, the groups capped and counted.
    #[serde(default)]
    pub passed_over: Vec<Reason>,
    /// Of how many tags the build time is still to be read, without which the policy cannot choose.
    #[serde(default)]
    pub unread: usize,
    /// The registry could not be listed or asked, with the reason.
    pub registry_unavailable: Option<String>,
    /// What ran here, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ran: Vec<Ran>,
    /// What is known of it upstream, in an environment that is promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamFacts>,
    /// The version that an open pull request offers already, where nothing gave a reason to look at the image anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<Version>,
}

/// A tag that was put forward by an event, an earlier sight or a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The tag.
    pub tag: Tag,
    /// When it appeared, was built, was announced.
    #[serde(default, skip_serializing_if = "Known::is_empty")]
    pub known: Known,
    /// What the registry says of it.
    pub state: CandidateState,
}

/// What is known of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CandidateState {
    /// Read at the registry just now: an image with this digest.
    Confirmed {
        /// The digest of the manifest.
        digest: Digest,
    },
    /// Not asked about, because a better one was found or it is not above what runs.
    Unasked,
    /// The registry has no such tag.
    Missing,
    /// It is there, but no image.
    NotAnImage {
        /// What it is.
        detail: String,
    },
    /// An index whose images are not there (yet).
    Incomplete {
        /// What is missing.
        detail: String,
    },
    /// An image, but not for all required platforms (yet).
    MissingPlatforms {
        /// Those that are missing.
        missing: Vec<Platform>,
    },
    /// An image, but no signature satisfies the rule (yet).
    NotSigned {
        /// What was found instead.
        detail: String,
    },
    /// CI announced it with another digest.
    AnnouncedDifferently {
        /// What was announced.
        announced: Digest,
        /// What is there.
        found: Digest,
    },
    /// The followed tag names a digest again that it had named before. Believed after a second, later look.
    Returned {
        /// The digest.
        digest: Digest,
        /// When it is looked at again.
        until: Timestamp,
    },
    /// Built from one of our own commits.
    OwnCommit {
        /// The commit.
        revision: String,
    },
}

/// Why stored facts cannot be read.
#[derive(Debug, Error)]
pub enum FactsError {
    /// They are not JSON of the expected shape.
    #[error("stored facts could not be read")]
    Malformed(#[source] serde_json::Error),
    /// They were written by a newer Tagboat.
    #[error("stored facts have format version {found}; this Tagboat reads up to {known}")]
    Version {
        /// The version found.
        found: u32,
        /// The newest version that is known.
        known: u32,
    },
}

impl Candidate {
    /// The tag with what is known of it, as policies judge it.
    pub(crate) fn considered(&self) -> Considered {
        Considered { tag: self.tag.clone(), known: self.known }
    }
}

impl ImageFacts {
    /// What is known of a tag beside its spelling.
    pub(crate) fn known(&self, tag: &Tag) -> Known {
        self.candidates.iter().find(|candidate| candidate.tag == *tag).map(|found| found.known).unwrap_or_default()
    }
}

/// Raised whenever the stored form changes its meaning. Version 1 had fewer filters and states, version 2 fewer kinds of
/// places, version 3 no claims of announcements, version 4 no promotions and holds; all read as they are.
const FORMAT: u32 = 5;
const OLDEST_FORMAT: u32 = 1;

#[derive(Serialize)]
struct Written<'f> {
    version: u32,
    facts: &'f Facts,
}

#[derive(Deserialize)]
struct Envelope {
    version: u32,
    facts: serde_json::Value,
}

impl Facts {
    /// The stored form.
    ///
    /// # Errors
    /// [`FactsError::Malformed`] should a value not be expressible as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FactsError> {
        serde_json::to_vec(&Written { version: FORMAT, facts: self }).map_err(FactsError::Malformed)
    }

    /// Read the stored form back.
    ///
    /// # Errors
    /// [`FactsError`] when the bytes are damaged or of a newer format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FactsError> {
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(FactsError::Malformed)?;
        if !(OLDEST_FORMAT..=FORMAT).contains(&envelope.version) {
            return Err(FactsError::Version { found: envelope.version, known: FORMAT });
        }
        serde_json::from_value(envelope.facts).map_err(FactsError::Malformed)
    }
}
