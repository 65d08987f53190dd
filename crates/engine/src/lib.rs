//! The reconcile: bring one branch of one config repository to what policies want, from whatever state it is in.
//!
//! Five steps, in files of their own: gather, decide, edit, propose, act. Everything outside is met through
//! ports, so this crate runs the same in production, in tests and in the simulator, on any executor. A
//! reconcile takes only a key; it may run late, twice or on two machines at once, because the push is a
//! compare-and-swap and equal decisions make equal commits.

mod act;
mod edit;
mod error;
mod gather;
mod plan;
mod reconcile;
mod worker;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tagboat_model::{BranchKey, BranchName, Duration, RepositoryName, TenantName, Timestamp};
use tagboat_ports::{Clock, Progress, Registry, Repository, Settle, Store};

use crate::gather::{BranchFiles, Governing};

pub use error::{ReconcileError, chain};
pub use plan::{Plan, PlannedFile};
pub use worker::Stepped;

/// What the engine meets the outside through.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The database.
    pub store: Arc<dyn Store>,
    /// All registries.
    pub registry: Arc<dyn Registry>,
    /// Whoever watches.
    pub progress: Arc<dyn Progress>,
}

/// A config repository with the branch whose repository file governs.
#[derive(Clone)]
pub struct ConfigRepository {
    /// The door to it.
    pub port: Arc<dyn Repository>,
    /// The governing branch.
    pub branch: BranchName,
    /// Who commits, as `Name <address>`: the repository file may want commits signed off.
    pub committer: String,
}

/// How the engine behaves.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// How long events are gathered before a push.
    pub settle: Settle,
    /// How often every image is looked at without an event.
    pub sweep: Duration,
    /// How long a worker holds a branch before another may take it.
    pub lease: Duration,
}

/// The engine over its ports. One serves any number of workers.
pub struct Engine {
    ports: Ports,
    repositories: BTreeMap<(TenantName, RepositoryName), ConfigRepository>,
    behaviour: Behaviour,
    /// What was read of config repositories, for the next time. Nothing depends on it being there.
    governing: Mutex<BTreeMap<(TenantName, RepositoryName), Arc<Governing>>>,
    branches: Mutex<BTreeMap<BranchKey, BranchFiles>>,
}

impl Engine {
    /// An engine for these config repositories.
    #[must_use]
    pub fn new(
        ports: Ports,
        repositories: BTreeMap<(TenantName, RepositoryName), ConfigRepository>,
        behaviour: Behaviour,
    ) -> Self {
        let (governing, branches) = (Mutex::default(), Mutex::default());
        Self { ports, repositories, behaviour, governing, branches }
    }

    /// The governing branch of every config repository.
    fn governing_branches(&self) -> Vec<BranchKey> {
        let key = |((tenant, repository), config): (&(TenantName, RepositoryName), &ConfigRepository)| BranchKey {
            tenant: tenant.clone(),
            repository: repository.clone(),
            branch: config.branch.clone(),
        };
        self.repositories.iter().map(key).collect()
    }

    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
}
