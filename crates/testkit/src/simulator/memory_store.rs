//! A store in memory: the same promises, checked by the same contract.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use async_trait::async_trait;
use tagboat_model::{
    BranchKey, CommitId, DecisionId, Duration, Event, EventId, ImageName, TenantName, Timestamp, Trust,
};
use tagboat_ports::{
    BranchState, DecisionRecord, DecisionsAbout, DeliveryRecord, EventRecord, Finish, Interest, NewDelivery,
    PendingChange, Recorded, Settle, Settled, Store, StoreError, Stored, ToRecord, Work,
};

use super::{Bug, memory_files::Files, memory_tags::Tags};

#[derive(Debug, Default)]
struct Branch {
    dirty: i64,
    served: i64,
    first_dirty: Timestamp,
    last_dirty: Timestamp,
    urgent: bool,
    attempts: u32,
    not_before: Timestamp,
    failed: i64,
    lease_until: Timestamp,
    fence: i64,
    head: Option<CommitId>,
    swept_at: Option<Timestamp>,
    served_at: Option<Timestamp>,
    problem: Option<String>,
    wake_at: Option<Timestamp>,
    interests: BTreeMap<ImageName, Interest>,
}

impl Branch {
    fn mark(&mut self, now: Timestamp) -> i64 {
        if self.dirty == self.served {
            self.first_dirty = now;
        }
        self.last_dirty = now;
        self.dirty += 1;
        self.dirty
    }

    fn note_looks(&mut self, record: &ToRecord) {
        for interest in self.interests.values_mut() {
            interest.look_at = interest.look_at.filter(|look_at| *look_at > record.at);
            interest.listed |= record.listed.contains(&interest.image);
            interest.listed &= !record.missed.contains(&interest.image);
            let waits = record.waiting.iter().find(|(image, _)| *image == interest.image);
            interest.look_at = waits.map_or(interest.look_at, |(_, at)| Some(*at));
        }
    }

    fn due(&self, settle: Settle) -> Timestamp {
        let settled = self.last_dirty.plus(settle.quiet).min(self.first_dirty.plus(settle.at_most));
        let settled = if self.urgent { Timestamp::default() } else { settled };
        let retry = if self.dirty == self.failed { self.not_before } else { Timestamp::default() };
        settled.max(retry).max(self.lease_until)
    }
}

#[derive(Default)]
pub(super) struct Tables {
    deliveries: Vec<DeliveryRecord>,
    keys: BTreeSet<(TenantName, String, String)>,
    events: Vec<(TenantName, EventRecord)>,
    event_branches: Vec<(EventId, BranchKey, i64)>,
    branches: BTreeMap<BranchKey, Branch>,
    pub(super) tags: Tags,
    pub(super) files: Files,
    decisions: Vec<(DecisionRecord, &'static str)>,
    decision_events: BTreeSet<(DecisionId, EventId)>,
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
        !tables.branches.is_empty() && tables.branches.values().all(|branch| branch.dirty == branch.served)
    }

    /// One transaction.
    pub(super) fn accept_now(&self, delivery: NewDelivery) -> Stored {
        let mut tables = self.tables.lock().unwrap();
        let key = (delivery.tenant.clone(), delivery.receiver.to_string(), delivery.key.clone());
        if !tables.keys.insert(key) {
            return Stored::Duplicate;
        }
        tables.deliveries.push(DeliveryRecord {
            id: delivery.id.clone(),
            receiver: delivery.receiver.clone(),
            verdict: delivery.verdict,
            reasons: delivery.reasons,
            received_at: delivery.received_at,
        });
        let mut stored = Vec::new();
        for event in delivery.events {
            let Event::ImagePushed(pushed) = event.event;
            if event.trust >= Trust::Signed {
                tables.tags.announce(&delivery.tenant, &pushed, delivery.received_at);
            }
            let mut branches = Vec::new();
            for (key, branch) in &mut tables.branches {
                if key.tenant == delivery.tenant && branch.interests.contains_key(&pushed.image) {
                    branches.push((key.clone(), branch.mark(delivery.received_at)));
                }
            }
            stored.push((event.id.clone(), branches.len()));
            tables.event_branches.extend(branches.into_iter().map(|(key, at)| (event.id.clone(), key, at)));
            let record = EventRecord {
                id: event.id,
                delivery: delivery.id.clone(),
                receiver: delivery.receiver.clone(),
                image: pushed.image,
                tag: pushed.tag,
                claimed_digest: pushed.claimed_digest,
                trust: event.trust,
                received_at: delivery.received_at,
                branches: Vec::new(),
            };
            tables.events.push((delivery.tenant.clone(), record));
        }
        Stored::New(stored)
    }
}

impl Tables {
    /// The branch, while `work` is its newest lease.
    fn held(&mut self, work: &Work) -> Option<&mut Branch> {
        self.branches.get_mut(&work.key).filter(|branch| branch.fence == work.fence)
    }

    fn pending(&self, work: &Work) -> Vec<EventRecord> {
        let served = self.branches.get(&work.key).map_or(0, |branch| branch.served);
        let waiting =
            self.event_branches.iter().filter(|(_, key, at)| *key == work.key && *at > served && *at <= work.sequence);
        let ids: BTreeSet<&EventId> = waiting.map(|(id, _, _)| id).collect();
        self.events.iter().filter(|(_, event)| ids.contains(&event.id)).map(|(_, event)| event.clone()).collect()
    }

    fn with_branches(&self, event: &EventRecord) -> EventRecord {
        let of = self.event_branches.iter().filter(|(id, _, _)| *id == event.id);
        let branches =
            of.map(|(_, key, at)| (key.clone(), self.branches.get(key).is_some_and(|branch| *at <= branch.served)));
        EventRecord { branches: branches.collect(), ..event.clone() }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn accept(&self, delivery: NewDelivery) -> Result<Stored, StoreError> {
        Ok(self.accept_now(delivery))
    }

    /// Several workers share this store, so another one may be alive.
    async fn release_orphans(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn know_branches(&self, keys: &[BranchKey], now: Timestamp) -> Result<(), StoreError> {
        let mut tables = self.tables.lock().unwrap();
        for key in keys {
            tables.branches.entry(key.clone()).or_insert_with(|| {
                let mut branch = Branch::default();
                branch.mark(now);
                branch.urgent = true;
                branch
            });
        }
        Ok(())
    }

    async fn mark_sweeps(&self, interval: Duration, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut tables = self.tables.lock().unwrap();
        let due = |branch: &Branch| {
            let sweep = branch.swept_at.unwrap_or_default().plus(interval);
            branch.wake_at.map_or(sweep, |wake_at| wake_at.min(sweep))
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
        let waiting = tables.branches.iter_mut().filter(|(_, branch)| branch.dirty > branch.served);
        let Some((key, branch)) = waiting.min_by_key(|(_, branch)| branch.due(settle)) else { return Ok(Err(None)) };
        let due = branch.due(settle);
        if due > now {
            return Ok(Err(Some(due)));
        }
        branch.lease_until = now.plus(lease);
        branch.fence += 1;
        let work = Work {
            key: key.clone(),
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

    async fn pending_events(&self, work: &Work) -> Result<Vec<EventRecord>, StoreError> {
        Ok(self.tables.lock().unwrap().pending(work))
    }

    async fn renew(&self, work: &Work, until: Timestamp) -> Result<(), StoreError> {
        let mut tables = self.tables.lock().unwrap();
        if let Some(branch) = tables.held(work) {
            branch.lease_until = until;
        }
        Ok(())
    }

    async fn set_interests(&self, work: &Work, images: &[(ImageName, String)]) -> Result<(), StoreError> {
        let mut tables = self.tables.lock().unwrap();
        let Some(branch) = tables.held(work) else { return Ok(()) };
        let interests = &mut branch.interests;
        interests.retain(|image, _| images.iter().any(|(wanted, _)| wanted == image));
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
        branch.note_looks(&record);
        let mut times = Vec::new();
        for (id, decision, planned) in record.decisions {
            let state = if planned { "planned" } else { "none" };
            let chosen = decision.version.as_ref().filter(|_| planned).map(|version| &version.tag);
            let of_branch: Vec<EventId> = tables
                .event_branches
                .iter()
                .filter(|(_, key, _)| *key == work.key)
                .map(|(id, ..)| id.clone())
                .collect();
            let waited = tables
                .events
                .iter()
                .map(|(_, event)| event)
                .filter(|event| of_branch.contains(&event.id) && Some(&event.tag) == chosen);
            let answered = pending.iter().chain(waited).filter(|event| event.image == decision.image);
            let answered: Vec<EventId> = answered.map(|event| event.id.clone()).collect();
            tables.decision_events.extend(answered.into_iter().map(|event| (id.clone(), event)));
            if let Some((known, known_state)) = tables.decisions.iter_mut().find(|(known, _)| known.id == id) {
                if planned && *known_state == "given up" {
                    *known_state = state;
                }
                times.push(known.decided_at);
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
            let looked = branch.interests.values_mut().filter(|interest| listed.contains(&interest.image));
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
            Finish::Served { head, swept, problem } => {
                branch.wake_at = branch.interests.values().filter_map(|interest| interest.look_at).min();
                branch.served = branch.served.max(work.sequence);
                branch.urgent &= branch.dirty > work.sequence;
                if branch.dirty > work.sequence {
                    branch.first_dirty = branch.last_dirty.min(now);
                }
                (branch.attempts, branch.failed, branch.not_before) = (0, 0, Timestamp::default());
                branch.head = head.or(branch.head.take());
                branch.swept_at = if swept { Some(now) } else { branch.swept_at };
                (branch.served_at, branch.problem) = (Some(now), problem);
            }
            Finish::Failed { error, swept, again_at } => {
                // A worker survives a panic; the simulator must not take that for an ordinary failure.
                assert!(!error.contains("a defect in Tagboat"), "a reconcile panicked");
                branch.attempts += 1;
                (branch.urgent, branch.first_dirty) = (false, now);
                branch.swept_at = if swept { Some(now) } else { branch.swept_at };
                (branch.failed, branch.not_before, branch.problem) = (work.sequence, again_at, Some(error));
            }
        }
        Ok(())
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn deliveries(&self, limit: u32) -> Result<Vec<DeliveryRecord>, StoreError> {
        let tables = self.tables.lock().unwrap();
        Ok(tables.deliveries.iter().rev().take(limit as usize).cloned().collect())
    }

    async fn events(&self, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        let tables = self.tables.lock().unwrap();
        Ok(tables.events.iter().rev().take(limit as usize).map(|(_, event)| tables.with_branches(event)).collect())
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventRecord>, StoreError> {
        let tables = self.tables.lock().unwrap();
        Ok(tables.events.iter().find(|(_, event)| event.id == *id).map(|(_, event)| tables.with_branches(event)))
    }

    async fn decisions(&self, about: &DecisionsAbout, limit: u32) -> Result<Vec<DecisionRecord>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let answers = |record: &DecisionRecord| match about {
            DecisionsAbout::Anything => true,
            DecisionsAbout::Event(event) => tables.decision_events.contains(&(record.id.clone(), event.clone())),
            DecisionsAbout::Image { image, entry } => {
                record.decision.image.to_string() == *image || record.decision.entry.as_str() == entry
            }
        };
        let records = tables.decisions.iter().rev().map(|(record, _)| record).filter(|record| answers(record));
        Ok(records.take(limit as usize).cloned().collect())
    }

    async fn branches(&self) -> Result<Vec<BranchState>, StoreError> {
        let tables = self.tables.lock().unwrap();
        let state = |(key, branch): (&BranchKey, &Branch)| BranchState {
            key: key.clone(),
            dirty: branch.dirty > branch.served,
            head: branch.head.clone(),
            served_at: branch.served_at,
            problem: branch.problem.clone(),
            again_at: match branch.dirty > branch.served && branch.attempts > 0 {
                true => Some(branch.not_before),
                false => branch.wake_at,
            },
        };
        Ok(tables.branches.iter().map(state).collect())
    }
}
