//! The reconcile: bring one branch of one config repository to what policies want, from whatever state it is in.
//!
//! Five steps, in files of their own: gather, decide, edit, propose, act. Everything outside is met through
//! ports, so this crate runs the same in production, in tests and in the simulator, on any executor. A
//! reconcile takes only a key; it may run late, twice or on two machines at once, because the push is a
//! compare-and-swap and equal decisions make equal commits.

mod act;
mod commands;
mod comments;
mod edit;
mod error;
mod gather;
mod history;
mod lanes;
mod notices;
mod onboarding;
mod pending;
mod plan;
mod pulls;
mod reconcile;
mod record;
mod state;
mod worker;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use tagboat_model::{BranchKey, BranchName, Duration, RepositoryName, TenantName, Timestamp};
use tagboat_ports::{Clock, Forge, Progress, Registry, Repository, Settle, Store, Work};
use tagboat_promotion::Seal;

use crate::{
    gather::{BranchFiles, Governing},
    pulls::PullMemory,
};

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
    /// The forge. Without one, what would be a pull request is a branch that is pushed.
    pub forge: Option<Arc<dyn Forge>>,
    /// What is told to the server with such a branch, where there is no forge.
    pub push_options: Vec<String>,
    /// Whether agents report rollouts, so that gates can ask for them.
    pub agents: bool,
    /// What becomes of a repository without a repository file.
    pub without_file: WithoutFile,
    /// By which we know again what we wrote where others may write, too.
    pub seal: Seal,
}

/// What becomes of a config repository that has no repository file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutFile {
    /// It is an error: somebody named the repository.
    Fails,
    /// One is proposed, made of what is found there.
    IsProposed,
    /// Nothing: it may be no config repository at all.
    IsLeft,
}

impl ConfigRepository {
    /// A config repository without a forge.
    #[must_use]
    pub fn new(port: Arc<dyn Repository>, branch: BranchName, committer: String) -> Self {
        let without_file = WithoutFile::Fails;
        let seal = Seal::of(&[], "");
        Self { port, branch, committer, forge: None, push_options: Vec::new(), agents: false, without_file, seal }
    }
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
    repositories: RwLock<BTreeMap<(TenantName, RepositoryName), Arc<ConfigRepository>>>,
    behaviour: Behaviour,
    /// What was read of pull requests, likewise.
    pulls: Mutex<PullMemory>,
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
        let repositories = repositories.into_iter().map(|(name, config)| (name, Arc::new(config))).collect();
        let (governing, branches, pulls) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { ports, repositories: RwLock::new(repositories), behaviour, pulls, governing, branches }
    }

    /// Serve a config repository from now on, in the place of one of the same name.
    pub fn put_repository(&self, tenant: TenantName, name: RepositoryName, config: ConfigRepository) {
        let mut repositories = self.repositories.write().unwrap_or_else(PoisonError::into_inner);
        repositories.insert((tenant, name), Arc::new(config));
    }

    /// Serve a config repository no longer. What is under way comes to its end.
    pub fn remove_repository(&self, tenant: &TenantName, name: &RepositoryName) {
        let mut repositories = self.repositories.write().unwrap_or_else(PoisonError::into_inner);
        repositories.remove(&(tenant.clone(), name.clone()));
    }

    /// The config repositories that are served.
    #[must_use]
    pub fn repositories(&self) -> Vec<(TenantName, RepositoryName)> {
        self.repositories.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The config repository that work is about.
    fn config_repository(&self, work: &Work) -> Option<Arc<ConfigRepository>> {
        let name = (work.key.tenant.clone(), work.key.repository.clone());
        self.repositories.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned()
    }

    /// The governing branch of every config repository.
    fn governing_branches(&self) -> Vec<BranchKey> {
        let key = |((tenant, repository), config): (&(TenantName, RepositoryName), &Arc<ConfigRepository>)| BranchKey {
            tenant: tenant.clone(),
            repository: repository.clone(),
            branch: config.branch.clone(),
        };
        self.repositories.read().unwrap_or_else(PoisonError::into_inner).iter().map(key).collect()
    }

    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
}
