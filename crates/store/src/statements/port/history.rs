//! The port of what ran, of holds and of commands: which statements each method runs, and on which connection.

use async_trait::async_trait;
use tagboat_model::{
    BranchKey, CommandAnswer, CommandId, CommandRecord, Hold, HoldId, Person, RanIn, RepositoryName, TenantName,
    Timestamp,
};
use tagboat_ports::{History, NotedRan, StoreError, Work};

use super::super::{branches, commands, dialect::Backend, holds, ran};

#[async_trait]
impl History for Backend {
    async fn ran(&self, tenant: &TenantName, repository: &RepositoryName, most: u32) -> Result<Vec<RanIn>, StoreError> {
        self.read("read what ran", async |c| ran::newest(c, tenant, repository, most).await).await
    }

    async fn note_ran(&self, work: &Work, noted: &[NotedRan]) -> Result<(), StoreError> {
        if noted.is_empty() {
            return Ok(());
        }
        let (work, noted) = (work.clone(), noted.to_vec());
        let rows = 2 * noted.len();
        write!(self, "write what runs", rows, async |c| ran::note(c, &work, &noted).await)
    }

    async fn holds(&self, tenant: &TenantName, repository: &RepositoryName) -> Result<Vec<Hold>, StoreError> {
        self.read("read holds", async |c| holds::of(c, tenant, repository).await).await
    }

    async fn all_holds(&self) -> Result<Vec<(TenantName, RepositoryName, Hold)>, StoreError> {
        self.read("read all holds", async |c| holds::all(c).await).await
    }

    async fn place_holds(&self, work: &Work, holds: &[Hold], now: Timestamp) -> Result<bool, StoreError> {
        let (work, placed) = (work.clone(), holds.to_vec());
        let rows = 1 + placed.len();
        wake!(self, "place holds", rows, async |c| holds::place(c, &work, &placed, now).await)
    }

    async fn release_holds(
        &self,
        work: &Work,
        ids: &[HoldId],
        by: &Person,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (work, ids, by) = (work.clone(), ids.to_vec(), by.clone());
        let rows = 1 + ids.len();
        wake!(self, "release holds", rows, async |c| holds::release(c, &work, &ids, &by, now).await)
    }

    async fn take_command(&self, command: &CommandRecord, now: Timestamp) -> Result<bool, StoreError> {
        let command = command.clone();
        wake!(self, "take a command", 1, async |c| commands::take(c, &command, now).await)
    }

    async fn open_commands(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
    ) -> Result<Vec<CommandRecord>, StoreError> {
        self.read("read open commands", async |c| commands::open(c, tenant, repository).await).await
    }

    async fn answer_command(
        &self,
        tenant: &TenantName,
        id: &CommandId,
        answer: &CommandAnswer,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (tenant, id, answer) = (tenant.clone(), id.clone(), answer.clone());
        write!(self, "answer a command", async |c| commands::answer(c, &tenant, &id, &answer, now).await)
    }

    async fn command(&self, id: &CommandId) -> Result<Option<CommandRecord>, StoreError> {
        self.read("read a command", async |c| commands::one(c, id).await).await
    }

    async fn wake(&self, keys: &[BranchKey], now: Timestamp) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let keys = keys.to_vec();
        let rows = keys.len();
        wake!(self, "wake branches", rows, async |c| branches::wake(c, &keys, now).await)
    }

    async fn branches_of(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
    ) -> Result<Vec<BranchKey>, StoreError> {
        let operation = "read the branches of a config repository";
        self.read(operation, async |c| branches::of_repository(c, tenant, repository).await).await
    }

    async fn kept(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        key: &str,
    ) -> Result<Option<String>, StoreError> {
        self.read("read what is kept", async |c| commands::kept(c, tenant, repository, key).await).await
    }

    async fn keep(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        key: &str,
        value: &str,
    ) -> Result<(), StoreError> {
        let (tenant, repository) = (tenant.clone(), repository.clone());
        let (key, value) = (key.to_owned(), value.to_owned());
        write!(self, "keep a value", async |c| commands::keep(c, &tenant, &repository, &key, &value).await)
    }
}
