//! Events: normalised facts taken from deliveries.

use serde::{Deserialize, Serialize};

use crate::{Digest, ImageName, Tag};

/// How far a sender proved who it is. What a receiver may do follows from it, never from the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trust {
    /// A shared secret travelled with the request (a static header).
    Token,
    /// The body itself is signed.
    Signed,
}

/// A normalised fact from a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Event {
    /// A tag was pushed to a registry.
    ImagePushed(ImagePushed),
}

impl Event {
    /// The image this event speaks of.
    #[must_use]
    pub fn image(&self) -> &ImageName {
        match self {
            Self::ImagePushed(pushed) => &pushed.image,
        }
    }
}

/// A sender says that `image` has `tag`. A hint: the digest is only what was claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImagePushed {
    /// The image, at the registry that the receiver is configured for.
    pub image: ImageName,
    /// The tag that was pushed.
    pub tag: Tag,
    /// The digest the sender named. A cross-check, never what is deployed.
    pub claimed_digest: Option<Digest>,
}
