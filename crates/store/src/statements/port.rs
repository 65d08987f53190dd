//! The ports of the database: which statements each method runs, and on which connection.

use async_trait::async_trait;
use tagboat_model::{
    BranchKey, DecisionId, DeliveryId, Duration, EventId, ImageName, ReceiverName, RepositoryName, Tag, TenantName,
    Timestamp,
};
use tagboat_ports::{
    Announcement, BlobId, BranchState, DecisionRecord, DecisionsAbout, DeliveryRecord, EventRecord, FileMemory, Finish,
    Interest, NewDelivery, Observation, ObservedTag, PendingChange, PendingEvent, Recorded, RememberedFile, Settle,
    Settled, Sighting, Store, StoreError, Stored, StoredDelivery, TagMemory, Tally, ToRecord, Work, Written,
};

use super::{
    branches, decisions, deliveries,
    dialect::{Backend, Connection},
    events, files, interests, observations, tally,
};

/// An operation on the writer's connection, with how many rows it writes, about, where these are more than a few.
macro_rules! write {
    ($store:expr, $operation:literal, $work:expr) => {
        write!($store, $operation, 1, $work)
    };
    ($store:expr, $operation:literal, $rows:expr, $work:expr) => {
        $store
            .writer
            .write($operation, $rows, false, move |connection| Box::pin(async move { $work(connection).await }))
            .await
    };
}

/// The same for one that may make work due: workers are woken once it is durable.
macro_rules! wake {
    ($store:expr, $operation:literal, $rows:expr, $work:expr) => {
        $store
            .writer
            .write($operation, $rows, true, move |connection| Box::pin(async move { $work(connection).await }))
            .await
    };
}

// Below the macros, which it uses.
mod history;
mod upkeep;

#[async_trait]
impl Store for Backend {
    async fn accept(&self, delivery: NewDelivery) -> Result<Stored, StoreError> {
        let rows = 1 + delivery.events.len();
        self.writer.deliver(rows, delivery).await
    }

    async fn images_of_interest(&self, tenant: &TenantName) -> Result<Vec<ImageName>, StoreError> {
        self.read("read images of interest", async |c| interests::images(c, tenant).await).await
    }

    /// Some at a time, so that whoever writes meanwhile does not wait long: nothing is left when none were pruned.
    async fn prune_deliveries(&self, before: Timestamp, most_bytes: u64) -> Result<u64, StoreError> {
        let operation = "look for deliveries to prune";
        let last = self.read(operation, async |c| deliveries::last_to_prune(c, before, most_bytes).await).await?;
        let Some(last) = last else { return Ok(0) };
        write!(self, "prune deliveries", async |c| deliveries::prune(c, &last).await)
    }

    async fn release_orphans(&self) -> Result<(), StoreError> {
        let owners = self.read("read who holds leases", async |c| branches::owners(c).await).await?;
        let gone = self.gone(owners).await?;
        wake!(self, "release leases", 1 + gone.len(), async |c: &mut Connection| {
            branches::release(c, &gone).await?;
            branches::unpark(c).await
        })
    }

    async fn know_branches(&self, keys: &[BranchKey], now: Timestamp) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        wake!(self, "make branches known", keys.len(), async |c| branches::know(c, &keys, now).await)
    }

    async fn mark_sweeps(&self, interval: Duration, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        write!(self, "mark sweeps", async |c| branches::mark_sweeps(c, interval, now).await)
    }

    async fn lease(
        &self,
        owner: &str,
        settle: Settle,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Result<Work, Option<Timestamp>>, StoreError> {
        let owner = self.owner(owner);
        let leased = self
            .alone("lease work", move |c| Box::pin(async move { branches::lease(c, &owner, settle, lease, now).await }))
            .await?;
        if leased.is_ok() {
            // There may be more: the next worker is woken by the one that found some.
            self.changed.notify_one();
        }
        Ok(leased)
    }

    async fn pending_events(&self, work: &Work, each: &mut (dyn FnMut(PendingEvent) + Send)) -> Result<(), StoreError> {
        self.read("read pending events", async |c| events::pending(c, work, each).await).await
    }

    async fn renew(&self, work: &Work, until: Timestamp) -> Result<bool, StoreError> {
        let work = work.clone();
        write!(self, "renew a lease", async |c| branches::renew(c, &work, until).await)
    }

    async fn set_interests(&self, work: &Work, images: &[(ImageName, String)]) -> Result<(), StoreError> {
        let (work, images) = (work.clone(), images.to_vec());
        write!(self, "write interests", async |c| interests::set(c, &work, &images).await)
    }

    async fn interests(&self, key: &BranchKey) -> Result<Vec<Interest>, StoreError> {
        self.read("read interests", async |c| interests::of(c, key).await).await
    }

    async fn own_commits(&self, tenant: &TenantName, commits: &[String]) -> Result<Vec<String>, StoreError> {
        self.read("look up own commits", async |c| decisions::own_commits(c, tenant, commits).await).await
    }

    async fn record(&self, work: &Work, record: ToRecord) -> Result<Recorded, StoreError> {
        let work = work.clone();
        write!(self, "record decisions", async |c| decisions::record(c, &work, &record).await)
    }

    async fn pending_changes(&self, key: &BranchKey) -> Result<Vec<PendingChange>, StoreError> {
        self.read("read pending changes", async |c| decisions::pending_changes(c, key).await).await
    }

    async fn settle_changes(&self, key: &BranchKey, settled: &Settled, now: Timestamp) -> Result<(), StoreError> {
        let (key, settled) = (key.clone(), settled.clone());
        write!(self, "settle changes", async |c: &mut Connection| {
            decisions::settle(c, &key, &settled, now).await?;
            interests::note_landed(c, &key, &settled.listed).await
        })
    }

    async fn finish(&self, work: &Work, finish: Finish, now: Timestamp) -> Result<(), StoreError> {
        let work = work.clone();
        wake!(self, "finish work", 1, async |c| branches::finish(c, &work, &finish, now).await)
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    async fn deliveries(&self, receiver: Option<&ReceiverName>, limit: u32) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read("read deliveries", async |c| deliveries::newest(c, receiver, limit).await).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<StoredDelivery>, StoreError> {
        self.read("read a delivery", async |c| deliveries::one(c, id).await).await
    }

    async fn events(&self, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        self.read("read events", async |c| events::newest(c, limit).await).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventRecord>, StoreError> {
        self.read("read an event", async |c| events::one(c, id).await).await
    }

    async fn decisions(&self, about: &DecisionsAbout, limit: u32) -> Result<Vec<DecisionRecord>, StoreError> {
        self.read("read decisions", async |c| decisions::newest(c, about, limit).await).await
    }

    async fn answered(&self, decision: &DecisionId) -> Result<Vec<EventId>, StoreError> {
        self.read("read what a decision answers", async |c| decisions::answered(c, decision).await).await
    }

    async fn branches(&self) -> Result<Vec<BranchState>, StoreError> {
        self.read("read branches", async |c| branches::all(c).await).await
    }

    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError> {
        self.read("count what waits", async |c| tally::tally(c, now).await).await
    }

    fn written(&self) -> Written {
        self.writer.written()
    }

    async fn probe(&self) -> Result<(), StoreError> {
        write!(self, "write a probe", async |c: &mut Connection| tally::probe(c).await)
    }
}

#[async_trait]
impl TagMemory for Backend {
    async fn observe(&self, tenant: &TenantName, seen: &[Observation], now: Timestamp) -> Result<(), StoreError> {
        let (tenant, seen) = (tenant.clone(), seen.to_vec());
        write!(self, "write observations", async |c| observations::observe(c, &tenant, &seen, now).await)
    }

    async fn observations(&self, tenant: &TenantName, image: &ImageName) -> Result<Vec<ObservedTag>, StoreError> {
        self.read("read observations", async |c| observations::of(c, tenant, image).await).await
    }

    async fn sight(
        &self,
        tenant: &TenantName,
        image: &ImageName,
        tags: &[Tag],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (tenant, image, tags) = (tenant.clone(), image.clone(), tags.to_vec());
        write!(self, "write sightings", async |c| observations::sight(c, &tenant, &image, &tags, now).await)
    }

    async fn sightings(&self, tenant: &TenantName, image: &ImageName) -> Result<Option<Vec<Sighting>>, StoreError> {
        self.read("read sightings", async |c| observations::sightings(c, tenant, image).await).await
    }

    async fn announcements(&self, tenant: &TenantName, image: &ImageName) -> Result<Vec<Announcement>, StoreError> {
        self.read("read announcements", async |c| observations::announcements(c, tenant, image).await).await
    }
}

#[async_trait]
impl FileMemory for Backend {
    async fn remembered_files(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        finder: &str,
    ) -> Result<Vec<RememberedFile>, StoreError> {
        self.read("read what was found in files", async |c| files::of(c, tenant, repository, finder).await).await
    }

    async fn remember_files(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        finder: &str,
        files: &[RememberedFile],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (tenant, repository) = (tenant.clone(), repository.clone());
        let (finder, found) = (finder.to_owned(), files.to_vec());
        write!(self, "write what was found in files", async |c| {
            files::remember(c, &tenant, &repository, &finder, &found, now).await
        })
    }

    /// Mostly there is nothing to write, and finding that out keeps nobody from writing.
    async fn use_files(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        finder: &str,
        used: &[(BlobId, String)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let operation = "look for files that are not used";
        let note = self.read(operation, async |c| files::look(c, tenant, repository, finder, used, now).await).await?;
        if note.is_empty() {
            return Ok(());
        }
        let (tenant, repository, finder) = (tenant.clone(), repository.clone(), finder.to_owned());
        write!(self, "note which files are used", async |c| {
            files::note(c, &tenant, &repository, &finder, &note, now).await
        })
    }
}
