//! A store in memory: the same promises, checked by the same contract.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

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
    Bug,
    memory_branch::Branch,
    memory_deliveries::{Delivery, EventBranch},
    memory_files::Files,
    memory_history::Past,
    memory_tags::Tags,
};

#[derive(Default)]
pub(super) struct Tables {
    pub(super) deliveries: Vec<Delivery>,
    /// Where in `deliveries` each key is.
    pub(super) keys: BTreeMap<(TenantName, ReceiverName, String), usize>,
    pub(super) events: Vec<EventRecord>,
    pub(super) event_branches: Vec<EventBranch>,
    pub(super) branches: BTreeMap<BranchKey, Branch>,
    pub(super) tags: Tags,
    pub(super) files: Files,
    pub(super) past: Past,
    pub(super) decisions: Vec<(DecisionRecord, &'static str)>,
    pub(super) decision_events: BTreeSet<(DecisionId, EventId)>,
}

/// See the module.
#[derive(Default)]
pub struct MemoryStore {
    bug: Option<Bug>,
    pub(super) tables: Mutex<Tables>,
}

impl MemoryStore {
    pub(super) fn with_bug(bug: Option<Bug>) -> Self {
        Self { bug, tables: Mutex::default() }
    }

    pub(super) fn is_at_rest(&self) -> bool {
        let tables = self.tables.lock().unwrap();
        // A gate that will pass makes work by itself.
        let rests = |branch: &Branch| branch.dirty == branch.served && branch.gate_at.is_none();
        !tables.branches.is_empty() && tables.branches.values().all(rests)
    }

    /// What stands there, for whoever checks it.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Tables) -> T) -> T {
        look(&self.tables.lock().unwrap())
    }

    /// One transaction.
    pub(super) fn accept_now(&self, delivery: NewDelivery) -> Stored {
        self.tables.lock().unwrap().accept(delivery)
    }
}

impl Tables {
    /// The branch, while `work` is its newest lease.
    pub(super) fn held(&mut self, work: &Work) -> Option<&mut Branch> {
        self.branches.get_mut(&work.key).filter(|branch| branch.fence == work.fence)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn accept(&self, delivery: NewDelivery) -> Result<Stored, StoreError> {
        Ok(self.accept_now(delivery))
    }

    async fn images_of_interest(&self, tenant: &TenantName) -> Result<Vec<ImageName>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let branches = tables.branches.iter().filter(|(key, _)| key.tenant == *tenant);
        let images: BTreeSet<&ImageName> = branches.flat_map(|(_, branch)| branch.interests.keys()).collect();
        Ok(images.into_iter().cloned().collect())
    }

    async fn prune_deliveries(&self, before: Timestamp, most_bytes: u64) -> Result<u64, StoreError> {
        Ok(self.tables.lock().unwrap().prune(before, most_bytes))
    }

    /// Several workers share this store, so another one may be alive.
    async fn release_orphans(&self) -> Result<(), StoreError> {
        for branch in self.tables.lock().unwrap().branches.values_mut() {
            if branch.parked_at.take().is_some() {
                branch.not_before = Timestamp::default();
            }
        }
        Ok(())
    }

    async fn know_branches(&self, keys: &[BranchKey], now: Timestamp) -> Result<(), StoreError> {
        let mut tables = self.tables.lock().unwrap();
        for key in keys {
            tables.branches.entry(key.clone()).or_insert_with(|| {
                let mut branch = Branch::default();
                branch.wake(now);
                branch
            });
        }
        Ok(())
    }

    async fn mark_sweeps(&self, interval: Duration, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut tables = self.tables.lock().unwrap();
        let due = |branch: &Branch| {
            let sweep = branch.swept_at.unwrap_or_default().plus(interval);
            [branch.wake_at, branch.gate_at].into_iter().flatten().fold(sweep, Timestamp::min)
        };
        for branch in tables.branches.values_mut().filter(|branch| branch.dirty == branch.served) {
            if due(branch) <= now {
                branch.mark(now);
                branch.wake_at = branch.wake_at.filter(|wake_at| *wake_at > now);
            }
        }
        Ok(tables.branches.values().filter(|branch| branch.dirty == branch.served).map(due).min())
    }

    async fn lease(
        &self,
        _owner: &str,
        settle: Settle,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Result<Work, Option<Timestamp>>, StoreError> {
        let mut tables = self.tables.lock().unwrap();
        let waits = |branch: &Branch| branch.dirty > branch.served && branch.parked().is_none();
        let turn = |of: &dyn Fn(&BranchKey) -> bool| {
            tables.branches.iter().filter(|(key, _)| of(key)).map(|(_, branch)| branch.leased_at).max()
        };
        let is_due = |branch: &Branch| waits(branch) && branch.due(settle) <= now;
        let first = tables.branches.iter().filter(|(_, branch)| is_due(branch)).min_by_key(|(key, branch)| {
            let of_tenant = turn(&|other| other.tenant == key.tenant);
            let of_repository = turn(&|other| other.tenant == key.tenant && other.repository == key.repository);
            (of_tenant, !branch.urgent, of_repository, branch.settled(settle))
        });
        let Some(key) = first.map(|(key, _)| key.clone()) else {
            let waiting = tables.branches.values().filter(|branch| waits(branch));
            return Ok(Err(waiting.map(|branch| branch.due(settle)).min()));
        };
        let branch = tables.branches.get_mut(&key).unwrap();
        branch.leased_at = now;
        match self.bug {
            Some(Bug::LeaseTwice) => {}
            // As measured by a clock that was ahead.
            Some(Bug::LeaseForEver) => {
                (branch.lease_until, branch.fence) = (now.plus(Duration::from_seconds(1 << 30)), branch.fence + 1);
            }
            _ => (branch.lease_until, branch.fence) = (now.plus(lease), branch.fence + 1),
        }
        let work = Work {
            key,
            sequence: branch.dirty,
            fence: branch.fence,
            attempts: branch.attempts,
            swept_at: branch.swept_at,
        };
        if self.bug == Some(Bug::ServedWhenLeased) {
            branch.served = branch.dirty;
        }
        Ok(Ok(work))
    }

    async fn pending_events(&self, work: &Work, each: &mut (dyn FnMut(PendingEvent) + Send)) -> Result<(), StoreError> {
        self.tables.lock().unwrap().pending(work).into_iter().map(PendingEvent::from).for_each(each);
        Ok(())
    }

    async fn renew(&self, work: &Work, until: Timestamp) -> Result<bool, StoreError> {
        let mut tables = self.tables.lock().unwrap();
        let held = tables.held(work);
        Ok(held.map(|branch| branch.lease_until = until).is_some())
    }

    async fn set_interests(&self, work: &Work, images: &[(ImageName, String)]) -> Result<(), StoreError> {
        let mut tables = self.tables.lock().unwrap();
        let Some(branch) = tables.held(work) else { return Ok(()) };
        let interests = &mut branch.interests;
        interests.retain(|image, _| images.iter().any(|(wanted, _)| wanted == image));
        branch.asked.retain(|image, _| interests.contains_key(image));
        for (image, rules) in images {
            let new = || Interest { image: image.clone(), listed: false, look_at: None, rules: rules.clone() };
            let known = interests.entry(image.clone()).or_insert_with(new);
            if known.rules != *rules {
                *known = new();
            }
        }
        Ok(())
    }

    async fn interests(&self, key: &BranchKey) -> Result<Vec<Interest>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let interests = tables.branches.get(key).map(|branch| &branch.interests).into_iter().flatten();
        Ok(interests.map(|(_, interest)| interest.clone()).collect())
    }

    async fn own_commits(&self, tenant: &TenantName, commits: &[String]) -> Result<Vec<String>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let own = |commit: &&String| {
            let made =
                |record: &DecisionRecord| record.commit.as_ref().is_some_and(|id| id.as_str() == commit.as_str());
            tables.decisions.iter().any(|(record, _)| record.key.tenant == *tenant && made(record))
        };
        Ok(commits.iter().filter(own).cloned().collect())
    }

    async fn record(&self, work: &Work, record: ToRecord) -> Result<Recorded, StoreError> {
        let pending = self.tables.lock().unwrap().pending(work);
        let mut tables = self.tables.lock().unwrap();
        let Some(branch) = tables.held(work) else { return Ok(Recorded::StaleFence) };
        branch.note_looks(&record, work.sequence);
        let mut times = Vec::new();
        for (id, decision, planned) in record.decisions {
            let state = if planned { "planned" } else { "none" };
            let chosen = decision.version.as_ref().filter(|_| planned).map(|version| &version.tag);
            let of_branch: Vec<EventId> = tables
                .event_branches
                .iter()
                .filter(|it| it.key == work.key && it.since <= work.sequence)
                .map(|it| it.event.clone())
                .collect();
            let is_chosen = |event: &EventRecord| event.pushed().is_some_and(|pushed| Some(&pushed.tag) == chosen);
            let waited = tables.events.iter().filter(|event| of_branch.contains(&event.id) && is_chosen(event));
            let is_about = |event: &EventRecord| event.pushed().is_some_and(|pushed| pushed.image == decision.image);
            let answered = pending.iter().chain(waited).filter(|event| is_about(event));
            let answered: Vec<EventId> = answered.map(|event| event.id.clone()).collect();
            tables.decision_events.extend(answered.into_iter().map(|event| (id.clone(), event)));
            if let Some((known, known_state)) = tables.decisions.iter_mut().find(|(known, _)| known.id == id) {
                if planned && *known_state == "given up" {
                    *known_state = state;
                }
                times.push(known.decided_at);
                known.decision = decision;
                continue;
            }
            let (key, head) = (work.key.clone(), record.head.clone());
            tables
                .decisions
                .push((DecisionRecord { id, key, head, decided_at: record.at, decision, commit: None }, state));
            times.push(record.at);
        }
        Ok(Recorded::At(times))
    }

    async fn pending_changes(&self, key: &BranchKey) -> Result<Vec<PendingChange>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let planned = tables.decisions.iter().filter(|(record, state)| record.key == *key && *state == "planned");
        Ok(planned
            .map(|(record, _)| PendingChange { decision: record.id.clone(), base: record.head.clone() })
            .collect())
    }

    async fn settle_changes(&self, key: &BranchKey, settled: &Settled, _: Timestamp) -> Result<(), StoreError> {
        let Settled { landed, given_up, listed } = settled;
        let mut tables = self.tables.lock().unwrap();
        if let Some(branch) = tables.branches.get_mut(key) {
            let is_looked_at = |image: &ImageName| listed.contains(image) && !branch.asked.contains_key(image);
            let looked = branch.interests.values_mut().filter(|interest| is_looked_at(&interest.image));
            looked.for_each(|interest| interest.listed = true);
        }
        for (record, state) in tables.decisions.iter_mut().filter(|(record, _)| record.key == *key) {
            if let Some((_, commit)) = landed.iter().find(|(id, _)| *id == record.id) {
                (*state, record.commit) = ("landed", Some(commit.clone()));
            } else if *state == "planned" && given_up.contains(&record.id) {
                *state = "given up";
            }
        }
        Ok(())
    }

    async fn finish(&self, work: &Work, finish: Finish, now: Timestamp) -> Result<(), StoreError> {
        let mut tables = self.tables.lock().unwrap();
        let Some(branch) = tables.held(work) else { return Ok(()) };
        branch.lease_until = Timestamp::default();
        match finish {
            Finish::Served { head, swept, problem, wake_at } => {
                branch.wake_at = branch.interests.values().filter_map(|interest| interest.look_at).min();
                branch.gate_at = wake_at;
                let served = if self.bug == Some(Bug::DropCoalesced) { branch.dirty } else { work.sequence };
                branch.served = branch.served.max(served);
                branch.urgent &= branch.dirty > work.sequence;
                if branch.dirty > work.sequence {
                    branch.first_dirty = branch.last_dirty.min(now);
                }
                (branch.attempts, branch.failed, branch.not_before) = (0, 0, Timestamp::default());
                branch.head = head.or(branch.head.take());
                branch.swept_at = if swept { Some(now) } else { branch.swept_at };
                (branch.served_at, branch.problem, branch.parked_at) = (Some(now), problem, None);
            }
            Finish::Failed { error, swept, again_at, parked } => {
                // A worker survives a panic; the simulator must not take that for an ordinary failure.
                assert!(!error.contains("a defect in Tagboat"), "a reconcile panicked");
                branch.attempts += 1;
                (branch.urgent, branch.first_dirty) = (false, now);
                branch.swept_at = if swept { Some(now) } else { branch.swept_at };
                (branch.failed, branch.not_before, branch.problem) = (work.sequence, again_at, Some(error));
                branch.parked_at = parked.then_some(now);
            }
        }
        Ok(())
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }

    async fn deliveries(&self, receiver: Option<&ReceiverName>, limit: u32) -> Result<Vec<DeliveryRecord>, StoreError> {
        Ok(self.tables.lock().unwrap().newest_deliveries(receiver, limit as usize))
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<StoredDelivery>, StoreError> {
        Ok(self.tables.lock().unwrap().delivery(id))
    }

    async fn events(&self, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        let tables = self.tables.lock().unwrap();
        Ok(tables.events.iter().rev().take(limit as usize).map(|event| tables.with_branches(event)).collect())
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventRecord>, StoreError> {
        let tables = self.tables.lock().unwrap();
        Ok(tables.events.iter().find(|event| event.id == *id).map(|event| tables.with_branches(event)))
    }

    async fn decisions(&self, about: &DecisionsAbout, limit: u32) -> Result<Vec<DecisionRecord>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let is_of = |record: &DecisionRecord, image: &str, entry: &str| {
            record.decision.image.to_string() == image || record.decision.entry.as_str() == entry
        };
        let answers = |record: &DecisionRecord| match about {
            DecisionsAbout::Anything => true,
            DecisionsAbout::Repository { tenant, repository } => {
                record.key.tenant == *tenant && record.key.repository == *repository
            }
            DecisionsAbout::One(id) => record.id == *id,
            DecisionsAbout::Event(event) => tables.decision_events.contains(&(record.id.clone(), event.clone())),
            DecisionsAbout::Image { image, entry } => is_of(record, image, entry),
            DecisionsAbout::Updates { image, entry } => record.commit.is_some() && is_of(record, image, entry),
        };
        let records = tables.decisions.iter().rev().map(|(record, _)| record).filter(|record| answers(record));
        Ok(records.take(limit as usize).cloned().collect())
    }

    async fn answered(&self, decision: &DecisionId) -> Result<Vec<EventId>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let is_answered = |id: &&EventId| tables.decision_events.contains(&(decision.clone(), (*id).clone()));
        Ok(tables.events.iter().map(|event| &event.id).filter(is_answered).cloned().collect())
    }

    async fn branches(&self) -> Result<Vec<BranchState>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let state = |(key, branch): (&BranchKey, &Branch)| BranchState {
            key: key.clone(),
            dirty: branch.dirty > branch.served,
            head: branch.head.clone(),
            served_at: branch.served_at,
            problem: branch.problem.clone(),
            attempts: branch.attempts,
            parked_at: branch.parked(),
            again_at: match (branch.dirty > branch.served && branch.attempts > 0, branch.parked()) {
                (true, Some(_)) => None,
                (true, None) => Some(branch.not_before),
                (false, _) => [branch.wake_at, branch.gate_at].into_iter().flatten().min(),
            },
        };
        Ok(tables.branches.iter().map(state).collect())
    }

    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError> {
        Ok(self.tables.lock().unwrap().tally(now))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
