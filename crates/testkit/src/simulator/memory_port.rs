//! The rest of the database as a replica meets it: tags, files, what ran, holds and commands.

use async_trait::async_trait;
use tagboat_model::{
    BranchKey, CommandAnswer, CommandId, CommandRecord, Hold, HoldId, ImageName, Person, RanIn, RepositoryName, Tag,
    TenantName, Timestamp,
};
use tagboat_ports::{
    Announcement, BlobId, FileMemory, History, NotedRan, Observation, ObservedTag, RememberedFile, Sighting,
    StoreError, TagMemory, Work,
};

use super::{MemoryStore, faults::Bug, ports::Door, world::ACME, world::ZETA, world::tenant_name};

impl Door {
    pub(super) fn store(&self) -> &MemoryStore {
        self.world.store()
    }

    pub(super) fn tenant_of(&self, key: &BranchKey) -> usize {
        if key.tenant == tenant_name(ACME) { ACME } else { ZETA }
    }
}

#[async_trait]
impl TagMemory for Door {
    async fn observe(&self, tenant: &TenantName, seen: &[Observation], now: Timestamp) -> Result<(), StoreError> {
        self.write("store: observe", self.store().observe(tenant, seen, now)).await
    }

    async fn observations(&self, tenant: &TenantName, image: &ImageName) -> Result<Vec<ObservedTag>, StoreError> {
        self.read("store: observations", self.store().observations(tenant, image)).await
    }

    async fn sight(
        &self,
        tenant: &TenantName,
        image: &ImageName,
        tags: &[Tag],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write("store: sight", self.store().sight(tenant, image, tags, now)).await
    }

    async fn sightings(&self, tenant: &TenantName, image: &ImageName) -> Result<Option<Vec<Sighting>>, StoreError> {
        self.read("store: sightings", self.store().sightings(tenant, image)).await
    }

    async fn announcements(&self, tenant: &TenantName, image: &ImageName) -> Result<Vec<Announcement>, StoreError> {
        self.read("store: announcements", self.store().announcements(tenant, image)).await
    }
}

#[async_trait]
impl FileMemory for Door {
    async fn remembered_files(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        finder: &str,
    ) -> Result<Vec<RememberedFile>, StoreError> {
        self.read("store: remembered files", self.store().remembered_files(tenant, repository, finder)).await
    }

    async fn remember_files(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        finder: &str,
        files: &[RememberedFile],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write("store: remember files", self.store().remember_files(tenant, repository, finder, files, now)).await
    }

    async fn use_files(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        finder: &str,
        used: &[(BlobId, String)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write("store: use files", self.store().use_files(tenant, repository, finder, used, now)).await
    }
}

#[async_trait]
impl History for Door {
    async fn ran(&self, tenant: &TenantName, repository: &RepositoryName, most: u32) -> Result<Vec<RanIn>, StoreError> {
        self.read("store: ran", self.store().ran(tenant, repository, most)).await
    }

    async fn note_ran(&self, work: &Work, noted: &[NotedRan]) -> Result<(), StoreError> {
        self.world.note(|| format!("replica {} notes what runs: {}", self.replica, words(noted)));
        let (seen, before) = self.begin("store: note what ran", work).await?;
        let answer = self.store().note_ran(&seen, noted).await;
        self.end("store: note what ran", (work, before), answer).await
    }

    async fn holds(&self, tenant: &TenantName, repository: &RepositoryName) -> Result<Vec<Hold>, StoreError> {
        self.read("store: holds", self.store().holds(tenant, repository)).await
    }

    async fn all_holds(&self) -> Result<Vec<(TenantName, RepositoryName, Hold)>, StoreError> {
        self.read("store: all holds", self.store().all_holds()).await
    }

    async fn place_holds(&self, work: &Work, holds: &[Hold], now: Timestamp) -> Result<bool, StoreError> {
        if self.world.has_bug(Bug::HoldForgotten) {
            return Ok(true);
        }
        for hold in holds {
            self.world.note(|| format!("replica {} places {} of {}: {:?}", self.replica, hold.id, hold.by, hold.wish));
        }
        self.world.check_holds(holds);
        let (seen, before) = self.begin("store: place holds", work).await?;
        let answer = self.store().place_holds(&seen, holds, now).await;
        self.end("store: place holds", (work, before), answer).await
    }

    async fn release_holds(
        &self,
        work: &Work,
        ids: &[HoldId],
        by: &Person,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.world.note(|| format!("replica {} releases {ids:?}", self.replica));
        self.world.ledger().released = self.world.time();
        let (seen, before) = self.begin("store: release holds", work).await?;
        let answer = self.store().release_holds(&seen, ids, by, now).await;
        self.end("store: release holds", (work, before), answer).await
    }

    async fn take_command(&self, command: &CommandRecord, now: Timestamp) -> Result<bool, StoreError> {
        self.world.note(|| format!("replica {} takes {}: {:?}", self.replica, command.id, command.command));
        self.write("store: take command", self.store().take_command(command, now)).await
    }

    async fn open_commands(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
    ) -> Result<Vec<CommandRecord>, StoreError> {
        self.read("store: open commands", self.store().open_commands(tenant, repository)).await
    }

    async fn answer_command(
        &self,
        tenant: &TenantName,
        id: &CommandId,
        answer: &CommandAnswer,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.world.note(|| format!("{id} is answered: {:?} {}", answer.outcome, answer.text));
        self.write("store: answer command", async {
            self.store().answer_command(tenant, id, answer, now).await?;
            self.world.check_answered(id);
            Ok(())
        })
        .await
    }

    async fn command(&self, id: &CommandId) -> Result<Option<CommandRecord>, StoreError> {
        self.read("store: command", self.store().command(id)).await
    }

    async fn wake(&self, keys: &[BranchKey], now: Timestamp) -> Result<(), StoreError> {
        self.write("store: wake", self.store().wake(keys, now)).await
    }

    async fn branches_of(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
    ) -> Result<Vec<BranchKey>, StoreError> {
        self.read("store: branches of", self.store().branches_of(tenant, repository)).await
    }

    async fn kept(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        key: &str,
    ) -> Result<Option<String>, StoreError> {
        self.read("store: kept", self.store().kept(tenant, repository, key)).await
    }

    async fn keep(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        key: &str,
        value: &str,
    ) -> Result<(), StoreError> {
        self.write("store: keep", self.store().keep(tenant, repository, key, value)).await
    }
}

fn words(noted: &[NotedRan]) -> String {
    let word = |noted: &NotedRan| match noted {
        NotedRan::Runs(it) => format!("{} {} {}", it.environment, it.entry, it.ran.version.tag),
        NotedRan::Ends { environment, entry, .. } => format!("{environment} {entry} nothing"),
        NotedRan::TakenBack { environment, entry, version } => {
            format!("{environment} {entry} {} taken back", version.tag)
        }
    };
    noted.iter().map(word).collect::<Vec<_>>().join(", ")
}
