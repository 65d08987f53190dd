//! What runs and what is held now, for decisions that may be older.

use std::collections::BTreeSet;

use tagboat_model::{Hold, HoldId, Ran, RanIn, Reason, RepositoryName, TenantName};
use tagboat_ports::{BranchState, DecisionRecord, Store, StoreError};
use tagboat_server::Overtaken;

/// The present state of every config repository.
#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) ran: Vec<(TenantName, RepositoryName, RanIn)>,
    pub(super) holds: Vec<(TenantName, RepositoryName, Hold)>,
}

impl Present {
    /// Of the config repositories that have these branches.
    pub(super) async fn read(store: &dyn Store, branches: &[BranchState]) -> Result<Self, StoreError> {
        let repositories: BTreeSet<_> =
            branches.iter().map(|branch| (branch.key.tenant.clone(), branch.key.repository.clone())).collect();
        let mut present = Self { ran: Vec::new(), holds: store.all_holds().await? };
        for (tenant, repository) in repositories {
            let ran = store.ran(&tenant, &repository, 1).await?;
            present.ran.extend(ran.into_iter().map(|ran| (tenant.clone(), repository.clone(), ran)));
        }
        Ok(present)
    }

    /// What has happened to the version of a decision since.
    pub(super) fn overtaken(&self, record: &DecisionRecord) -> Option<Overtaken> {
        Overtaken::of(&record.decision, self.running(record), &self.holds_of(record))
    }

    /// The holds that concern an image in an environment and that its decision does not speak of.
    pub(super) fn untold(&self, record: &DecisionRecord) -> Vec<&Hold> {
        let id = |reason: &Reason| match reason {
            Reason::Held { hold } | Reason::AskedFor { hold } => Some(hold.id.clone()),
            _ => None,
        };
        let told: Vec<HoldId> = record.decision.reasons.iter().filter_map(id).collect();
        let mut holds = self.holds_of(record);
        holds.retain(|hold| !told.contains(&hold.id));
        holds
    }

    fn running(&self, record: &DecisionRecord) -> Option<&Ran> {
        let (key, decision) = (&record.key, &record.decision);
        let is_here = |(tenant, repository, ran): &&(TenantName, RepositoryName, RanIn)| {
            *tenant == key.tenant
                && *repository == key.repository
                && ran.environment == decision.environment
                && ran.entry == decision.entry
        };
        self.ran.iter().find(is_here).map(|(_, _, ran)| &ran.ran)
    }

    fn holds_of(&self, record: &DecisionRecord) -> Vec<&Hold> {
        let (key, decision) = (&record.key, &record.decision);
        let is_here = |(tenant, repository, hold): &&(TenantName, RepositoryName, Hold)| {
            *tenant == key.tenant
                && *repository == key.repository
                && hold.concerns(&decision.environment, &decision.entry)
        };
        self.holds.iter().filter(is_here).map(|(_, _, hold)| hold).collect()
    }
}
