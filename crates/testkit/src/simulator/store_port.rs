//! The database as a replica meets it: every call may fail, or be committed with its answer lost. What must hold of the
//! calls themselves is checked on the way.

use async_trait::async_trait;
use tagboat_model::{
    BranchKey, DecisionId, DeliveryId, Duration, EventId, ImageName, ReceiverName, TenantName, Timestamp,
};
use tagboat_ports::{
    BranchState, DecisionRecord, DecisionsAbout, DeliveryRecord, EventRecord, Finish, Interest, NewDelivery,
    PendingChange, PendingEvent, Recorded, Settle, Settled, Store, StoreError, Stored, StoredDelivery, Tally, ToRecord,
    Work,
};

use super::{
    faults::{Bug, Fault},
    ports::Door,
};

fn error(operation: &'static str, cause: &'static str) -> StoreError {
    StoreError { operation, source: cause.into() }
}

impl Door {
    /// A transaction that reads.
    pub(super) async fn read<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.world.pause(self.replica, operation, 1).await;
        if self.world.fault(Fault::StoreFails, 300) {
            return Err(error(operation, "the database does not answer"));
        }
        call.await
    }

    /// A transaction that writes.
    pub(super) async fn write<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.world.pause(self.replica, operation, 1).await;
        if self.world.fault(Fault::StoreFails, 150) {
            return Err(error(operation, "it was not committed"));
        }
        let answer = call.await?;
        self.world.pause(self.replica, operation, 1).await;
        match self.world.fault(Fault::StoreAnswerLost, 150) {
            true => Err(error(operation, "the answer was lost")),
            false => Ok(answer),
        }
    }

    /// The beginning of a transaction of whoever holds a lease, or held one before: then nothing may change. Returns
    /// the work as the database is to see it, and what was written before.
    pub(super) async fn begin(
        &self,
        operation: &'static str,
        work: &Work,
    ) -> Result<(Work, Option<String>), StoreError> {
        self.world.pause(self.replica, operation, 1).await;
        if self.world.fault(Fault::StoreFails, 150) {
            return Err(error(operation, "it was not committed"));
        }
        let newest = self.world.ledger().newest_fence(&work.key);
        let before = (work.fence < newest).then(|| self.world.written_of(&work.key));
        let fence = if self.world.has_bug(Bug::FenceIgnored) { newest } else { work.fence };
        Ok((Work { fence, ..work.clone() }, before))
    }

    /// And its end.
    pub(super) async fn end<T>(
        &self,
        operation: &'static str,
        (work, before): (&Work, Option<String>),
        answer: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(before) = before {
            self.world.check_nothing_written(operation, work, &before);
        }
        let answer = answer?;
        self.world.pause(self.replica, operation, 1).await;
        match self.world.fault(Fault::StoreAnswerLost, 150) {
            true => Err(error(operation, "the answer was lost")),
            false => Ok(answer),
        }
    }
}

#[async_trait]
impl Store for Door {
    async fn accept(&self, delivery: NewDelivery) -> Result<Stored, StoreError> {
        self.write("store: accept", self.store().accept(delivery)).await
    }

    async fn images_of_interest(&self, tenant: &TenantName) -> Result<Vec<ImageName>, StoreError> {
        self.read("store: images of interest", self.store().images_of_interest(tenant)).await
    }

    async fn prune_deliveries(&self, before: Timestamp, most_bytes: u64) -> Result<u64, StoreError> {
        self.write("store: prune", self.store().prune_deliveries(before, most_bytes)).await
    }

    async fn release_orphans(&self) -> Result<(), StoreError> {
        self.write("store: release orphans", self.store().release_orphans()).await
    }

    async fn know_branches(&self, keys: &[BranchKey], now: Timestamp) -> Result<(), StoreError> {
        self.write("store: know branches", self.store().know_branches(keys, now)).await
    }

    async fn mark_sweeps(&self, interval: Duration, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.write("store: mark sweeps", self.store().mark_sweeps(interval, now)).await
    }

    async fn lease(
        &self,
        owner: &str,
        settle: Settle,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Result<Work, Option<Timestamp>>, StoreError> {
        self.write("store: lease", async {
            let leased = self.store().lease(owner, settle, lease, now).await?;
            if let Ok(work) = &leased {
                self.world.check_leased(self.replica, work, now);
            }
            Ok(leased)
        })
        .await
    }

    async fn renew(&self, work: &Work, until: Timestamp) -> Result<bool, StoreError> {
        let (seen, before) = self.begin("store: renew", work).await?;
        let answer = self.store().renew(&seen, until).await;
        self.end("store: renew", (work, before), answer).await
    }

    async fn pending_events(&self, work: &Work, each: &mut (dyn FnMut(PendingEvent) + Send)) -> Result<(), StoreError> {
        self.read("store: pending events", self.store().pending_events(work, each)).await
    }

    async fn set_interests(&self, work: &Work, images: &[(ImageName, String)]) -> Result<(), StoreError> {
        let (seen, before) = self.begin("store: set interests", work).await?;
        let answer = self.store().set_interests(&seen, images).await;
        self.end("store: set interests", (work, before), answer).await
    }

    async fn interests(&self, key: &BranchKey) -> Result<Vec<Interest>, StoreError> {
        self.read("store: interests", self.store().interests(key)).await
    }

    async fn own_commits(&self, tenant: &TenantName, commits: &[String]) -> Result<Vec<String>, StoreError> {
        self.read("store: own commits", self.store().own_commits(tenant, commits)).await
    }

    async fn record(&self, work: &Work, record: ToRecord) -> Result<Recorded, StoreError> {
        if self.world.has_bug(Bug::DecisionForgotten) {
            return Ok(Recorded::At(record.decisions.iter().map(|_| record.at).collect()));
        }
        let (seen, before) = self.begin("store: record", work).await?;
        let answer = self.store().record(&seen, record.clone()).await;
        if matches!(answer, Ok(Recorded::At(_))) {
            self.world.check_recorded(work, &record);
        }
        self.end("store: record", (work, before), answer).await
    }

    async fn pending_changes(&self, key: &BranchKey) -> Result<Vec<PendingChange>, StoreError> {
        self.read("store: pending changes", self.store().pending_changes(key)).await
    }

    async fn settle_changes(&self, key: &BranchKey, settled: &Settled, now: Timestamp) -> Result<(), StoreError> {
        self.write("store: settle changes", self.store().settle_changes(key, settled, now)).await
    }

    async fn finish(&self, work: &Work, finish: Finish, now: Timestamp) -> Result<(), StoreError> {
        self.world.note(|| format!("replica {} ends {} {}: {finish:?}", self.replica, work.key, work.fence));
        self.world.check_finish(self.tenant_of(&work.key), work, &finish, now);
        let finish = match finish {
            Finish::Served { .. } if self.world.has_bug(Bug::ServingForgotten) => return Ok(()),
            Finish::Served { head, swept, problem, .. } if self.world.has_bug(Bug::BusyLoop) => {
                Finish::Served { head, swept, problem, wake_at: Some(now) }
            }
            other => other,
        };
        let (seen, before) = self.begin("store: finish", work).await?;
        let answer = self.store().finish(&seen, finish.clone(), now).await;
        self.world.note_left_alone(work, &finish);
        self.world.check_served(self.tenant_of(&work.key));
        self.end("store: finish", (work, before), answer).await
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.read("store: probe", self.store().probe()).await
    }

    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError> {
        self.read("store: tally", self.store().tally(now)).await
    }

    async fn deliveries(&self, receiver: Option<&ReceiverName>, limit: u32) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read("store: deliveries", self.store().deliveries(receiver, limit)).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<StoredDelivery>, StoreError> {
        self.read("store: delivery", self.store().delivery(id)).await
    }

    async fn events(&self, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        self.read("store: events", self.store().events(limit)).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventRecord>, StoreError> {
        self.read("store: event", self.store().event(id)).await
    }

    async fn decisions(&self, about: &DecisionsAbout, limit: u32) -> Result<Vec<DecisionRecord>, StoreError> {
        self.read("store: decisions", self.store().decisions(about, limit)).await
    }

    async fn answered(&self, decision: &DecisionId) -> Result<Vec<EventId>, StoreError> {
        self.read("store: answered", self.store().answered(decision)).await
    }

    async fn branches(&self) -> Result<Vec<BranchState>, StoreError> {
        self.read("store: branches", self.store().branches()).await
    }
}
