//! What in an authentic request is of no interest, and why. Each reason is a counter's label.

use std::fmt;

use serde::{Deserialize, Serialize};
use tagboat_model::{Event, ImageName, Tag, shown};

use crate::{Receiver, read::Read};

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

impl Verdict {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored => "ignored",
            Self::Unparsable => "unparsable",
        }
    }
}

/// Events of one request that are acted on; the rest is counted.
const MOST_EVENTS: usize = 1000;

/// One thing in a request that is not acted on.
#[expect(missing_docs, reason = "the fields are the words of the sentence that documents the variant")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Ignored {
    /// The body is not what this kind of sender sends.
    Unparsable { detail: String },
    /// Pulls, deletes, mounts, pings and the like.
    NotAPush { action: String },
    /// A push of a manifest by digest, or of a layer.
    NoTag { repository: String },
    /// A layer, a configuration, anything but a manifest or an index.
    NotAManifest { media_type: String },
    /// A package of another type than container images.
    NotAContainer { package_type: String },
    /// The name or the tag breaks the grammar.
    Malformed { detail: String },
    /// The digest is none; the rest of the event counts.
    MalformedDigest { digest: String },
    /// A signature, an attestation or a list of referrers.
    ArtifactOfAnother { tag: Tag },
    /// The receiver's allow-list does not name the image.
    NotAllowed { image: ImageName },
    /// The body names another registry than the receiver speaks for.
    OtherRegistry { claimed: String, configured: String },
    /// A build that runs, failed, or was cancelled.
    NotSuccessful { what: String },
    /// A build of a pull request, or of a fork.
    Untrusted { what: String },
    /// A kind of event that nothing here follows from.
    NotUsed { event: String },
    /// A push that Tagboat made itself.
    OwnCommit { commit: String },
    /// No config repository has this address.
    OtherRepository { repository: String },
    /// Something that Tagboat's own account did.
    OwnAct { account: String },
    /// At an address where each event is of its owner's tenant, one that names no owner.
    NoOwner,
    /// More events than one request may bring.
    TooMany { count: usize },
}

impl Ignored {
    /// The label under which it is counted.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unparsable { .. } => "unparsable",
            Self::NotAPush { .. } => "notAPush",
            Self::NoTag { .. } => "noTag",
            Self::NotAManifest { .. } => "notAManifest",
            Self::NotAContainer { .. } => "notAContainer",
            Self::Malformed { .. } => "malformed",
            Self::MalformedDigest { .. } => "malformedDigest",
            Self::ArtifactOfAnother { .. } => "artifactOfAnother",
            Self::NotAllowed { .. } => "notAllowed",
            Self::OtherRegistry { .. } => "otherRegistry",
            Self::NotSuccessful { .. } => "notSuccessful",
            Self::Untrusted { .. } => "untrusted",
            Self::NotUsed { .. } => "notUsed",
            Self::OwnCommit { .. } => "ownCommit",
            Self::OtherRepository { .. } => "otherRepository",
            Self::OwnAct { .. } => "ownAct",
            Self::NoOwner => "noOwner",
            Self::TooMany { .. } => "tooMany",
        }
    }

    /// Whether it is what a sender says all day long (pulls, layers, manifests by digest), not worth a row each.
    #[must_use]
    pub fn is_routine(&self) -> bool {
        matches!(
            self,
            Self::NotAPush { .. }
                | Self::NoTag { .. }
                | Self::NotAManifest { .. }
                | Self::NotAContainer { .. }
                | Self::ArtifactOfAnother { .. }
                | Self::NotSuccessful { .. }
                | Self::NotUsed { .. }
                | Self::OwnCommit { .. }
                | Self::OtherRepository { .. }
                | Self::OwnAct { .. }
        )
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unparsable { detail } => write!(f, "the body could not be read: {}", shown(detail)),
            Self::NotAPush { action } => write!(f, "`{}` is not a push", shown(action)),
            Self::NoTag { repository } => write!(f, "a push to {} without a tag", shown(repository)),
            Self::NotAManifest { media_type } => write!(f, "`{}` is not a manifest", shown(media_type)),
            Self::NotAContainer { package_type } => {
                write!(f, "a package of the type `{}` is not an image", shown(package_type))
            }
            Self::Malformed { detail } => f.write_str(&shown(detail)),
            Self::MalformedDigest { digest } => {
                write!(f, "`{}` is not a digest; the event counts without it", shown(digest))
            }
            Self::ArtifactOfAnother { tag } => write!(f, "{tag} names a signature, an attestation or referrers"),
            Self::NotAllowed { image } => {
                write!(f, "this receiver may not speak for {image}; add it to the receiver's `images` if it should")
            }
            Self::OtherRegistry { claimed, configured } => {
                write!(f, "the sender says that it is {}; this receiver speaks for {configured}", shown(claimed))
            }
            Self::NotSuccessful { what } => write!(f, "{} is no build that ended well", shown(what)),
            Self::Untrusted { what } => write!(f, "{} may be anybody's; nothing follows from it", shown(what)),
            Self::NotUsed { event } => write!(f, "nothing follows from `{}`", shown(event)),
            Self::OwnCommit { commit } => write!(f, "the commit {commit} is Tagboat's own"),
            Self::OtherRepository { repository } => write!(f, "no config repository is at {}", shown(repository)),
            Self::OwnAct { account } => write!(f, "{} did that, which is Tagboat's own account", shown(account)),
            Self::NoOwner => f.write_str("it names no account whose it is, so that it is of no tenant"),
            Self::TooMany { count } => {
                write!(f, "{count} events beyond the {MOST_EVENTS} that one request may bring")
            }
        }
    }
}

/// What a request comes to, with what is to be acted on and what is not.
pub(crate) struct Sifted {
    pub(crate) events: Vec<Event>,
    pub(crate) ignored: Vec<Ignored>,
    pub(crate) verdict: Verdict,
}

/// Apply the rules that hold for every sender, and say what the whole comes to.
pub(crate) fn sift(receiver: &Receiver, read: Read) -> Sifted {
    let Read { events: found, mut ignored, .. } = read;
    let mut events = Vec::new();
    let mut excess = 0;
    for event in found {
        let against = match &event {
            Event::ImagePushed(pushed) if pushed.tag.is_artifact_of_another() => {
                Some(Ignored::ArtifactOfAnother { tag: pushed.tag.clone() })
            }
            Event::ImagePushed(pushed) if !receiver.speaks_for(&pushed.image) => {
                Some(Ignored::NotAllowed { image: pushed.image.clone() })
            }
            _ => None,
        };
        match against {
            Some(reason) => ignored.push(reason),
            None if events.contains(&event) => {}
            None if events.len() >= MOST_EVENTS => excess += 1,
            None => events.push(event),
        }
    }
    ignored.extend((excess > 0).then_some(Ignored::TooMany { count: excess }));
    let verdict = if !events.is_empty() {
        Verdict::Accepted
    } else if ignored.iter().any(|reason| matches!(reason, Ignored::Unparsable { .. })) {
        Verdict::Unparsable
    } else {
        Verdict::Ignored
    };
    Sifted { events, ignored, verdict }
}
