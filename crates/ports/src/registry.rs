//! What the engine asks of a registry.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tagboat_model::{Digest, Duration, ImageName, Platform, SignatureRule, Tag, Timestamp};
use thiserror::Error;

/// A registry, or all of them: the image's name says which.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The digest that `tag` names now, in one request; `None` when there is no such tag.
    async fn digest(&self, image: &ImageName, tag: &Tag) -> Result<Option<Digest>, RegistryError>;

    /// What `tag` names now: its manifest, and its configuration where that tells an image from other
    /// things. `None` when there is no such tag.
    async fn describe(&self, image: &ImageName, tag: &Tag) -> Result<Option<ManifestDescription>, RegistryError>;

    /// Every tag. Complete, or an error: never a part of the list.
    async fn tags(&self, image: &ImageName) -> Result<Vec<Tag>, RegistryError>;

    /// Whether the manifest with `digest` carries a signature that satisfies `rule`.
    async fn verify(
        &self,
        image: &ImageName,
        digest: &Digest,
        rule: &SignatureRule,
    ) -> Result<Verification, RegistryError>;
}

/// What became of looking for a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// A signature was found that satisfies the rule.
    Verified,
    /// There is none, or none that satisfies the rule.
    Unverified {
        /// Why, in words for people.
        detail: String,
    },
}

/// A manifest, as far as choosing needs it. The same for ever for one digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestDescription {
    /// Computed from the bytes that were received.
    pub digest: Digest,
    /// What it describes.
    pub kind: ManifestKind,
    /// The commit it was built from, by the label `org.opencontainers.image.revision`.
    pub revision: Option<String>,
    /// The address of the repository it was built from, by the label `org.opencontainers.image.source`. For people.
    #[serde(default)]
    pub source: Option<String>,
    /// When it was built, by the annotation or label `org.opencontainers.image.created`, else by the configuration.
    /// `None` where nothing says so, or only a placeholder (1970, 1980) does.
    pub created: Option<Timestamp>,
    /// The platforms it is for. Empty where it is no image.
    pub platforms: Vec<Platform>,
}

impl ManifestDescription {
    /// Whether everything was read that there is: every image has a platform. What an earlier Tagboat remembered has
    /// none.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.kind != ManifestKind::Image || !self.platforms.is_empty()
    }
}

/// What a manifest describes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum ManifestKind {
    /// A container image, or an index with at least one.
    Image,
    /// An index whose images are not there (yet): half pushed, or read from a replica that lags behind. Not to be
    /// remembered.
    #[serde(rename_all = "camelCase")]
    Incomplete {
        /// What is missing, in words.
        detail: String,
    },
    /// A chart, a signature, an attestation, …
    #[serde(rename_all = "camelCase")]
    Other {
        /// What it is, in words.
        detail: String,
    },
}

/// Whether asking again soon can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryErrorKind {
    /// The registry could not be reached, or asks to be left alone: all of its images wait.
    Outage,
    /// It answered, with nothing usable: what was asked is not permitted, or the answer is not what one is. Other
    /// images are asked for all the same; this is tried again.
    Refusal,
    /// It answered, and the answer is about this repository: there is none of that name, or it may not be seen.
    Repository,
}

/// A registry could not be asked, or gave no usable answer. It never means that a tag is gone.
#[derive(Debug, Error)]
#[error("{operation} {image}: {detail}")]
pub struct RegistryError {
    /// What was tried: `read the manifest of tag 1.5.0 of`, `list the tags of`.
    pub operation: String,
    /// The image.
    pub image: ImageName,
    /// What went wrong, and what to do where that is known. No secret is in it.
    pub detail: String,
    /// Whether asking again soon can help.
    pub kind: RegistryErrorKind,
    /// How long the registry asked us to wait.
    pub retry_after: Option<Duration>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}
