//! A configured inbound address: who may send to it, how they prove it, and for which images they may speak.

use tagboat_model::{ImageName, ReceiverName, TenantName};

use crate::{Credential, ImagePattern, Kind};

/// Whose what comes in at a receiver is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tenancy {
    /// The receiver's tenant's.
    #[default]
    Fixed,
    /// Likewise, and it is the address of the GitHub App: what is said of installations counts.
    App,
    /// It is the address of the GitHub App, and each event is of the tenant that is called as the account that owns what it is
    /// about, in lower case.
    PerOwner,
}

impl Tenancy {
    /// Whether it is that of the GitHub App's address.
    #[must_use]
    pub fn is_app(self) -> bool {
        matches!(self, Self::App | Self::PerOwner)
    }
}

/// A receiver: one kind of sender, one set of credentials, one tenant, an allow-list of images.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Its name, part of its address.
    pub name: ReceiverName,
    /// The tenant that everything sent here belongs to; with [`Tenancy::PerOwner`] only what names no owner.
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
    /// Whose what comes in is.
    pub tenancy: Tenancy,
    /// The images it may speak for; all others are ignored.
    pub images: Vec<ImagePattern>,
}

impl Receiver {
    /// The tenant of what is about something of `owner`, an account as the sender writes it; nothing where it would have to
    /// be that of an owner and there is none that can be a tenant.
    #[must_use]
    pub fn tenant_of(&self, owner: Option<&str>) -> Option<TenantName> {
        match self.tenancy {
            Tenancy::Fixed | Tenancy::App => Some(self.tenant.clone()),
            Tenancy::PerOwner => owner?.to_ascii_lowercase().parse().ok(),
        }
    }

    /// Whether it may speak for `image`.
    #[must_use]
    pub fn speaks_for(&self, image: &ImageName) -> bool {
        self.images.iter().any(|pattern| pattern.matches(image))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver(tenancy: Tenancy) -> Receiver {
        Receiver {
            name: "github-app".parse().unwrap(),
            tenant: TenantName::default(),
            kind: Kind::Github,
            credentials: Vec::new(),
            registry: None,
            repository: None,
            tenancy,
            images: Vec::new(),
        }
    }

    #[test]
    fn an_owner_is_a_tenant_only_where_that_is_said() {
        let of = |tenancy, owner| receiver(tenancy).tenant_of(owner).map(String::from);
        assert_eq!(of(Tenancy::Fixed, Some("Acme")).as_deref(), Some("default"));
        assert_eq!(of(Tenancy::App, None).as_deref(), Some("default"));
        assert_eq!(of(Tenancy::PerOwner, Some("Acme-Corp")).as_deref(), Some("acme-corp"));
        for none in [None, Some(""), Some("../x"), Some("a b")] {
            assert_eq!(of(Tenancy::PerOwner, none), None, "{none:?}");
        }
    }
}
