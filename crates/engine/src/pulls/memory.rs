//! What was read of pull requests, for the next time: so that a pull request at which nothing happens costs no request.
//!
//! It is a cache. Nothing is decided by its absence.

use std::{collections::BTreeMap, num::NonZeroUsize};

use lru::LruCache;
use tagboat_model::{Duration, Permission, PullRequest, RepositoryName, TenantName, Timestamp};
use tagboat_promotion::pull::KnownPull;

/// Checks change without the pull request changing, and news of them may be lost.
const BELIEVED: Duration = Duration::from_seconds(300);
/// People who are kept in mind.
const PEOPLE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);
/// Pull requests that are kept in mind.
const MOST_PULLS: usize = 2048;

/// An account at a config repository.
type Person = (TenantName, RepositoryName, u64);
type Number = (TenantName, RepositoryName, u64);

/// Pull requests as they were read last.
#[derive(Debug)]
pub(crate) struct PullMemory {
    pulls: BTreeMap<Number, (KnownPull, Timestamp)>,
    permissions: LruCache<Person, (Permission, Timestamp)>,
    told: LruCache<(TenantName, RepositoryName, u64, u64), ()>,
}

impl Default for PullMemory {
    fn default() -> Self {
        Self { pulls: BTreeMap::new(), permissions: LruCache::new(PEOPLE), told: LruCache::new(PEOPLE) }
    }
}

impl PullMemory {
    /// What was read, if the pull request is still as it was then.
    pub(crate) fn recall(&self, name: &Number, pull: &PullRequest, now: Timestamp) -> Option<KnownPull> {
        let (known, at) = self.pulls.get(name)?;
        (known.pull == *pull && now.since(*at) < BELIEVED).then(|| known.clone())
    }

    pub(crate) fn remember(&mut self, name: Number, known: KnownPull, now: Timestamp) {
        if self.pulls.len() >= MOST_PULLS {
            self.pulls.clear();
        }
        self.pulls.insert(name, (known, now));
    }

    /// Whether somebody's word counts, as the forge said lately.
    pub(crate) fn permission(&self, name: &Person, now: Timestamp) -> Option<Permission> {
        let (permission, at) = self.permissions.peek(name)?;
        (now.since(*at) < BELIEVED).then_some(*permission)
    }

    pub(crate) fn permits(&mut self, name: Person, permission: Permission, now: Timestamp) {
        self.permissions.put(name, (permission, now));
    }

    /// Whether an account was told nothing on a pull request yet, as far as is remembered.
    pub(crate) fn is_first_word_to(
        &mut self,
        (tenant, repository, number, account): (TenantName, RepositoryName, u64, u64),
    ) -> bool {
        self.told.put((tenant, repository, number, account), ()).is_none()
    }
}
