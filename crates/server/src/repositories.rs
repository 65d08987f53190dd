//! The config repositories as senders, commands and pages may name them. With a GitHub App they come and go while the server
//! runs.

use std::sync::{Arc, PoisonError, RwLock};

use tagboat_model::{RepositoryName, TenantName};

/// Where a config repository is, as the server file or the GitHub App says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRepositoryAddress {
    /// Whose it is.
    pub tenant: TenantName,
    /// Its name.
    pub name: RepositoryName,
    /// Its address.
    pub address: String,
}

/// All config repositories.
#[derive(Debug)]
pub struct Repositories(RwLock<Arc<[ConfigRepositoryAddress]>>);

impl Repositories {
    /// These.
    #[must_use]
    pub fn new(repositories: Vec<ConfigRepositoryAddress>) -> Self {
        Self(RwLock::new(repositories.into()))
    }

    /// One more, in the place of one of the same name.
    pub fn put(&self, repository: ConfigRepositoryAddress) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = without(&all, &repository.tenant, &repository.name);
        changed.push(repository);
        *all = changed.into();
    }

    /// One less.
    pub fn remove(&self, tenant: &TenantName, name: &RepositoryName) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = without(&all, tenant, name);
        *all = changed.into();
    }

    /// As they are now.
    #[must_use]
    pub fn all(&self) -> Arc<[ConfigRepositoryAddress]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// All but the one of this name.
fn without(
    all: &[ConfigRepositoryAddress],
    tenant: &TenantName,
    name: &RepositoryName,
) -> Vec<ConfigRepositoryAddress> {
    all.iter().filter(|known| known.tenant != *tenant || known.name != *name).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_there_once_in_a_tenant() {
        let address = |tenant: &str, address: &str| ConfigRepositoryAddress {
            tenant: tenant.parse().unwrap(),
            name: "config".parse().unwrap(),
            address: address.to_owned(),
        };
        let repositories = Repositories::new(vec![address("acme", "https://a.example")]);
        repositories.put(address("other", "https://b.example"));
        repositories.put(address("acme", "https://c.example"));
        assert_eq!(*repositories.all(), [address("other", "https://b.example"), address("acme", "https://c.example")]);
        repositories.remove(&"acme".parse().unwrap(), &"config".parse().unwrap());
        assert_eq!(*repositories.all(), [address("other", "https://b.example")]);
    }
}
