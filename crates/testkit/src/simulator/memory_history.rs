//! What the store in memory knows of what ran, of holds and of commands.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tagboat_model::{
    BranchKey, CommandAnswer, CommandId, CommandRecord, EntryName, EnvironmentName, Hold, HoldId, Person, Ran, RanIn,
    RepositoryName, TenantName, Timestamp,
};
use tagboat_ports::{History, MOST_RAN, NotedRan, StoreError, Work};

use super::{MemoryStore, memory_store::Tables};

/// A config repository.
type Place = (TenantName, RepositoryName);

#[derive(Default)]
pub(super) struct Past {
    /// The newest last.
    pub(super) ran: BTreeMap<Place, BTreeMap<(EnvironmentName, EntryName), Vec<Ran>>>,
    /// In the order in which they were placed.
    holds: Vec<Placed>,
    /// In the order in which they were taken.
    pub(super) commands: Vec<CommandRecord>,
    pub(super) kept: BTreeMap<(Place, String), String>,
}

pub(super) struct Placed {
    at: Place,
    pub(super) hold: Hold,
    placed_at: Timestamp,
    is_released: bool,
}

fn place(tenant: &TenantName, repository: &RepositoryName) -> Place {
    (tenant.clone(), repository.clone())
}

impl Past {
    fn note_ran(&mut self, at: Place, noted: &NotedRan) {
        let ran = self.ran.entry(at).or_default();
        match noted {
            NotedRan::Runs(runs) => {
                let RanIn { environment, entry, ran: new } = &**runs;
                let known = ran.entry((environment.clone(), entry.clone())).or_default();
                if let Some(open) = known.iter_mut().rev().find(|ran| ran.until.is_none()) {
                    if open.version == new.version {
                        return;
                    }
                    open.until = Some(new.since);
                }
                known.push(Ran { until: None, ..new.clone() });
                let excess = known.len().saturating_sub(MOST_RAN);
                known.drain(..excess);
            }
            NotedRan::Ends { environment, entry, at } => {
                let known = ran.get_mut(&(environment.clone(), entry.clone())).into_iter().flatten();
                known.filter(|ran| ran.until.is_none()).for_each(|ran| ran.until = Some(*at));
            }
            NotedRan::TakenBack { environment, entry, version } => {
                let mut known = ran.get_mut(&(environment.clone(), entry.clone())).into_iter().flatten().rev();
                if let Some(newest) = known.find(|ran| ran.version == *version) {
                    newest.taken_back = true;
                }
            }
        }
    }

    /// How many holds were ever placed.
    pub(super) fn placed(&self) -> usize {
        self.holds.len()
    }

    /// Those that are not released, the oldest first.
    pub(super) fn open_holds(&self) -> Vec<&Placed> {
        let mut open: Vec<&Placed> = self.holds.iter().filter(|placed| !placed.is_released).collect();
        open.sort_by_key(|placed| placed.placed_at);
        open
    }
}

impl Tables {
    fn wake_all_of(&mut self, at: &Place, now: Timestamp) {
        let of = self.branches.iter_mut().filter(|(key, _)| (&key.tenant, &key.repository) == (&at.0, &at.1));
        of.for_each(|(_, branch)| branch.wake(now));
    }

    fn place_holds(&mut self, at: &Place, holds: &[Hold], now: Timestamp) {
        let mut is_any_new = false;
        for hold in holds {
            let known = &mut self.past.holds;
            if !known.iter().any(|placed| placed.at == *at && placed.hold.id == hold.id) {
                known.push(Placed { at: at.clone(), hold: hold.clone(), placed_at: now, is_released: false });
                is_any_new = true;
            }
        }
        if is_any_new {
            self.wake_all_of(at, now);
        }
    }

    fn release_holds(&mut self, at: &Place, ids: &[HoldId], now: Timestamp) {
        let mut is_any_released = false;
        for id in ids {
            let mut open = self.past.holds.iter_mut().filter(|placed| placed.at == *at && !placed.is_released);
            if let Some(placed) = open.find(|placed| placed.hold.id == *id) {
                placed.is_released = true;
                is_any_released = true;
            }
        }
        if is_any_released {
            self.wake_all_of(at, now);
        }
    }

    fn take_command(&mut self, command: &CommandRecord, now: Timestamp) -> bool {
        let known = &mut self.past.commands;
        let is_known = known.iter().any(|known| (&known.tenant, &known.id) == (&command.tenant, &command.id));
        if !is_known {
            known.push(command.clone());
            self.wake_all_of(&place(&command.tenant, &command.repository), now);
        }
        !is_known
    }
}

impl MemoryStore {
    /// As an operator gives it, in one transaction.
    pub(super) fn take_command_now(&self, command: &CommandRecord, now: Timestamp) {
        self.tables.lock().unwrap().take_command(command, now);
    }

    /// People want nothing held any more. Returns whether anything was.
    pub(super) fn release_all_holds(&self, now: Timestamp) -> bool {
        let mut tables = self.tables.lock().unwrap();
        let open: Vec<(Place, HoldId)> =
            tables.past.open_holds().into_iter().map(|placed| (placed.at.clone(), placed.hold.id.clone())).collect();
        for (at, id) in &open {
            tables.release_holds(at, std::slice::from_ref(id), now);
        }
        !open.is_empty()
    }
}

#[async_trait]
impl History for MemoryStore {
    async fn ran(&self, tenant: &TenantName, repository: &RepositoryName, most: u32) -> Result<Vec<RanIn>, StoreError> {
        let ran = &self.tables.lock().unwrap().past.ran;
        let mut newest = Vec::new();
        for ((environment, entry), known) in ran.get(&place(tenant, repository)).into_iter().flatten() {
            let older = known.len().saturating_sub(most as usize);
            newest.extend(known.iter().skip(older).map(|ran| RanIn {
                environment: environment.clone(),
                entry: entry.clone(),
                ran: ran.clone(),
            }));
        }
        Ok(newest)
    }

    async fn note_ran(&self, work: &Work, noted: &[NotedRan]) -> Result<(), StoreError> {
        let mut tables = self.tables.lock().unwrap();
        if tables.held(work).is_some() {
            let at = place(&work.key.tenant, &work.key.repository);
            noted.iter().for_each(|noted| tables.past.note_ran(at.clone(), noted));
        }
        Ok(())
    }

    async fn holds(&self, tenant: &TenantName, repository: &RepositoryName) -> Result<Vec<Hold>, StoreError> {
        let (tables, at) = (self.tables.lock().unwrap(), place(tenant, repository));
        let open = tables.past.open_holds().into_iter().filter(|placed| placed.at == at);
        Ok(open.map(|placed| placed.hold.clone()).collect())
    }

    async fn all_holds(&self) -> Result<Vec<(TenantName, RepositoryName, Hold)>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let mut open = tables.past.open_holds();
        open.sort_by(|left, right| left.at.cmp(&right.at));
        let hold = |placed: &Placed| (placed.at.0.clone(), placed.at.1.clone(), placed.hold.clone());
        Ok(open.into_iter().map(hold).collect())
    }

    async fn place_holds(&self, work: &Work, holds: &[Hold], now: Timestamp) -> Result<bool, StoreError> {
        let mut tables = self.tables.lock().unwrap();
        let is_held = tables.held(work).is_some();
        if is_held {
            tables.place_holds(&place(&work.key.tenant, &work.key.repository), holds, now);
        }
        Ok(is_held)
    }

    async fn release_holds(
        &self,
        work: &Work,
        ids: &[HoldId],
        _by: &Person,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables.lock().unwrap();
        let is_held = tables.held(work).is_some();
        if is_held {
            tables.release_holds(&place(&work.key.tenant, &work.key.repository), ids, now);
        }
        Ok(is_held)
    }

    async fn take_command(&self, command: &CommandRecord, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.tables.lock().unwrap().take_command(command, now))
    }

    async fn open_commands(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
    ) -> Result<Vec<CommandRecord>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let of = |command: &&CommandRecord| (&command.tenant, &command.repository) == (tenant, repository);
        let open = tables.past.commands.iter().filter(of).filter(|command| command.answer.is_none());
        let mut open: Vec<CommandRecord> = open.cloned().collect();
        open.sort_by_key(|command| command.given_at);
        Ok(open)
    }

    async fn answer_command(
        &self,
        tenant: &TenantName,
        id: &CommandId,
        answer: &CommandAnswer,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tables = self.tables.lock().unwrap();
        let mut known = tables.past.commands.iter_mut();
        if let Some(command) = known.find(|command| (&command.tenant, &command.id) == (tenant, id)) {
            command.answer.get_or_insert_with(|| answer.clone());
        }
        Ok(())
    }

    async fn command(&self, id: &CommandId) -> Result<Option<CommandRecord>, StoreError> {
        let tables = self.tables.lock().unwrap();
        Ok(tables.past.commands.iter().find(|command| command.id == *id).cloned())
    }

    async fn wake(&self, keys: &[BranchKey], now: Timestamp) -> Result<(), StoreError> {
        let mut tables = self.tables.lock().unwrap();
        for key in keys {
            if let Some(branch) = tables.branches.get_mut(key) {
                branch.wake(now);
            }
        }
        Ok(())
    }

    async fn branches_of(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
    ) -> Result<Vec<BranchKey>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let of = |key: &&BranchKey| (&key.tenant, &key.repository) == (tenant, repository);
        Ok(tables.branches.keys().filter(of).cloned().collect())
    }

    async fn kept(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        key: &str,
    ) -> Result<Option<String>, StoreError> {
        let tables = self.tables.lock().unwrap();
        Ok(tables.past.kept.get(&(place(tenant, repository), key.to_owned())).cloned())
    }

    async fn keep(
        &self,
        tenant: &TenantName,
        repository: &RepositoryName,
        key: &str,
        value: &str,
    ) -> Result<(), StoreError> {
        let kept = &mut self.tables.lock().unwrap().past.kept;
        kept.insert((place(tenant, repository), key.to_owned()), value.to_owned());
        Ok(())
    }
}
