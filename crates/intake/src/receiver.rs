//! A configured inbound address: who may send to it, how they prove it, and for which images they may speak.

use tagboat_model::{ImageName, ReceiverName, TenantName};

use crate::{Credential, ImagePattern, Kind};

/// A receiver: one kind of sender, one set of credentials, one tenant, an allow-list of images.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Its name, part of its address.
    pub name: ReceiverName,
    /// The tenant that everything sent here belongs to.
    pub tenant: TenantName,
    /// Who sends.
    pub kind: Kind,
    /// How the sender proves itself: by any of these. Several live secrets allow rotation. With none, nothing passes.
    pub credentials: Vec<Credential>,
    /// The registry, as image names write its host and port. Without it (where the kind permits that) it is what the
    /// sender's kind or the body says, and the allow-list decides.
    pub registry: Option<String>,
    /// JFrog: the repository by which image names mean the one in the body; empty when they name none.
    pub repository: Option<String>,
    /// The images it may speak for; all others are ignored.
    pub images: Vec<ImagePattern>,
}

impl Receiver {
    /// Whether it may speak for `image`.
    #[must_use]
    pub fn speaks_for(&self, image: &ImageName) -> bool {
        self.images.iter().any(|pattern| pattern.matches(image))
    }
}
