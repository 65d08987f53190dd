//! What in an authentic request is of no interest, and why. Each reason is a counter's label.

use std::fmt;

use serde::{Deserialize, Serialize};
use tagboat_model::{Event, ImageName, Tag};

use crate::{Accepted, Read, Receiver};

/// What an authentic request comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// At least one event is to be acted on.
    Accepted,
    /// Nothing in it concerns us.
    Ignored,
    /// It could not be read; somebody should look.
    Unparsable,
}

/// One thing in a request that is not acted on.
#[expect(missing_docs, reason = "the fields are the words of the sentence that documents the variant")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Ignored {
    /// The body is not what this kind of sender sends.
    Unparsable { detail: String },
    /// Pulls, deletes, mounts and the like.
    NotAPush { action: String },
    /// A push of a manifest by digest, or of a layer.
    NoTag { repository: String },
    /// A layer, a configuration, anything but a manifest or an index.
    NotAManifest { media_type: String },
    /// The name or the tag breaks the grammar.
    Malformed { detail: String },
    /// A signature, an attestation or a list of referrers.
    ArtifactOfAnother { tag: Tag },
    /// The receiver's allow-list does not name the image.
    NotAllowed { image: ImageName },
}

impl Ignored {
    /// Whether it is what a sender says all day long (pulls, layers, manifests by digest), not worth a row each.
    #[must_use]
    pub fn is_routine(&self) -> bool {
        matches!(
            self,
            Self::NotAPush { .. } | Self::NoTag { .. } | Self::NotAManifest { .. } | Self::ArtifactOfAnother { .. }
        )
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unparsable { detail } => write!(f, "the body could not be read: {detail}"),
            Self::NotAPush { action } => write!(f, "`{action}` is not a push"),
            Self::NoTag { repository } => write!(f, "a push to {repository} without a tag"),
            Self::NotAManifest { media_type } => write!(f, "`{media_type}` is not a manifest"),
            Self::Malformed { detail } => f.write_str(detail),
            Self::ArtifactOfAnother { tag } => write!(f, "{tag} names a signature, an attestation or referrers"),
            Self::NotAllowed { image } => {
                write!(f, "this receiver may not speak for {image}; add it to the receiver's `images` if it should")
            }
        }
    }
}

/// Apply the rules that hold for every sender, and say what the whole comes to.
pub(crate) fn sift(receiver: &Receiver, read: Read) -> Accepted {
    let mut ignored = read.ignored;
    let mut events = Vec::new();
    for event in read.events {
        let Event::ImagePushed(pushed) = &event;
        if pushed.tag.is_artifact_of_another() {
            ignored.push(Ignored::ArtifactOfAnother { tag: pushed.tag.clone() });
        } else if !receiver.speaks_for(&pushed.image) {
            ignored.push(Ignored::NotAllowed { image: pushed.image.clone() });
        } else if !events.contains(&event) {
            events.push(event);
        }
    }
    let verdict = if !events.is_empty() {
        Verdict::Accepted
    } else if ignored.iter().any(|reason| matches!(reason, Ignored::Unparsable { .. })) {
        Verdict::Unparsable
    } else {
        Verdict::Ignored
    };
    Accepted { key: read.key, events, ignored, verdict }
}
