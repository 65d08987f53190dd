//! Deliveries and their events in the store in memory.

use std::collections::BTreeSet;

use tagboat_model::{BranchKey, DeliveryId, EventId, ImageName, ReceiverName, TenantName, Timestamp};
use tagboat_ports::{DeliveryRecord, EventRecord, NewDelivery, NewEvent, PendingEvent, Stored, StoredDelivery, Work};

use super::memory_store::Tables;

/// That an event concerns a branch.
pub(super) struct EventBranch {
    pub(super) event: EventId,
    pub(super) key: BranchKey,
    /// It is served up to this.
    pub(super) sequence: i64,
    /// It waits since this.
    pub(super) since: i64,
}

/// A delivery, its body until that is taken away.
pub(super) struct Delivery {
    record: DeliveryRecord,
    key: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    body_hash: String,
}

impl Delivery {
    fn bytes(&self) -> u64 {
        u64::try_from(self.body.as_ref().map_or(0, Vec::len)).unwrap()
    }
}

impl Tables {
    pub(super) fn accept(&mut self, delivery: NewDelivery) -> Stored {
        let of = |text: &str| (delivery.tenant.clone(), delivery.receiver.clone(), text.to_owned());
        // A key and what can be taken once are two things, which do not meet.
        let key = of(&format!("key {}", delivery.key));
        let once = delivery.once.as_ref().map(|once| of(&format!("once {once}")));
        let earlier = self.keys.get(&key).or_else(|| self.keys.get(once.as_ref()?));
        if let Some(earlier) = earlier.and_then(|place| self.deliveries.get(*place)) {
            let (record, same_body) = (earlier.record.clone(), earlier.body_hash == delivery.body_hash);
            let known = self.events.iter().filter(|event| event.delivery == record.id);
            let events: Vec<EventId> = known.map(|event| event.id.clone()).collect();
            if delivery.acts_again && same_body && events.len() == delivery.events.len() {
                let record = DeliveryRecord { received_at: delivery.received_at, ..record };
                for (id, event) in events.iter().zip(delivery.events) {
                    self.cause_again(&record, NewEvent { id: id.clone(), ..event });
                }
            }
            return Stored::Duplicate { events, same_body };
        }
        self.keys.extend(once.map(|once| (once, self.deliveries.len())));
        self.keys.insert(key, self.deliveries.len());
        let record = DeliveryRecord {
            id: delivery.id,
            tenant: delivery.tenant,
            receiver: delivery.receiver,
            kind: delivery.kind,
            trust: delivery.trust,
            verdict: delivery.verdict,
            reasons: delivery.reasons,
            received_at: delivery.received_at,
        };
        self.deliveries.push(Delivery {
            record: record.clone(),
            key: delivery.key,
            headers: delivery.headers,
            body: Some(delivery.body),
            body_hash: delivery.body_hash,
        });
        Stored::New(delivery.events.into_iter().map(|event| self.accept_event(&record, event)).collect())
    }

    /// Whose a delivery is.
    pub(super) fn owner_of(&self, delivery: &DeliveryId) -> Option<&TenantName> {
        self.deliveries
            .iter()
            .map(|known| &known.record)
            .find(|record| record.id == *delivery)
            .map(|record| &record.tenant)
    }

    fn accept_event(&mut self, delivery: &DeliveryRecord, new: NewEvent) -> (EventId, usize) {
        let (event, count) = self.cause(delivery, new);
        let id = event.id.clone();
        self.events.push(event);
        (id, count)
    }

    /// The answers of before are void, unless some branch still owes its own.
    fn cause_again(&mut self, delivery: &DeliveryRecord, new: NewEvent) {
        let served = |key: &BranchKey| self.branches.get(key).map_or(0, |branch| branch.served);
        let waits = self.event_branches.iter().any(|it| it.event == new.id && it.sequence > served(&it.key));
        if !waits {
            self.decision_events.retain(|(_, event)| *event != new.id);
        }
        self.cause(delivery, new);
    }

    /// Everything that an event causes. It may do so again.
    fn cause(&mut self, delivery: &DeliveryRecord, new: NewEvent) -> (EventRecord, usize) {
        let event = EventRecord {
            id: new.id,
            delivery: delivery.id.clone(),
            receiver: delivery.receiver.clone(),
            event: new.event,
            trust: new.trust,
            received_at: delivery.received_at,
            branches: Vec::new(),
        };
        if let Some(pushed) = event.pushed() {
            self.tags.announce(&delivery.tenant, pushed, event.trust, event.received_at);
        }
        let mut count = 0;
        let pending = PendingEvent::from(event.clone());
        for (key, branch) in self.branches.iter_mut().filter(|(key, _)| key.tenant == delivery.tenant) {
            let is_pushed = pending.candidate().is_some_and(|pushed| branch.interests.contains_key(&pushed.image));
            let looks: Vec<&ImageName> =
                new.looks.iter().filter(|image| branch.interests.contains_key(*image)).collect();
            if is_pushed || !looks.is_empty() || new.branches.contains(key) {
                let sequence = branch.mark(event.received_at);
                branch.urgent |= new.urgent;
                for image in looks {
                    branch.ask_for_look(image, sequence);
                }
                let known = self.event_branches.iter_mut().find(|it| (&it.event, &it.key) == (&event.id, key));
                match known {
                    Some(it) => {
                        it.since = if it.sequence > branch.served { it.since } else { sequence };
                        it.sequence = sequence;
                    }
                    None => {
                        let (event, key) = (event.id.clone(), key.clone());
                        self.event_branches.push(EventBranch { event, key, sequence, since: sequence });
                    }
                }
                count += 1;
            }
        }
        (event, count)
    }

    pub(super) fn pending(&self, work: &Work) -> Vec<EventRecord> {
        let served = self.branches.get(&work.key).map_or(0, |branch| branch.served);
        let waiting = self
            .event_branches
            .iter()
            .filter(|it| it.key == work.key && it.sequence > served && it.since <= work.sequence);
        let ids: BTreeSet<&EventId> = waiting.map(|it| &it.event).collect();
        self.events.iter().filter(|event| ids.contains(&event.id)).cloned().collect()
    }

    pub(super) fn with_branches(&self, event: &EventRecord) -> EventRecord {
        let of = self.event_branches.iter().filter(|it| it.event == event.id);
        let is_served =
            |it: &EventBranch| self.branches.get(&it.key).is_some_and(|branch| it.sequence <= branch.served);
        let branches = of.map(|it| (it.key.clone(), is_served(it)));
        EventRecord { branches: branches.collect(), ..event.clone() }
    }

    pub(super) fn newest_deliveries(&self, receiver: Option<&ReceiverName>, limit: usize) -> Vec<DeliveryRecord> {
        let records = self.deliveries.iter().rev().map(|delivery| &delivery.record);
        let wanted = records.filter(|record| receiver.is_none_or(|receiver| record.receiver == *receiver));
        wanted.take(limit).cloned().collect()
    }

    pub(super) fn delivery(&self, id: &DeliveryId) -> Option<StoredDelivery> {
        let found = self.deliveries.iter().find(|delivery| delivery.record.id == *id)?;
        let events = self.events.iter().filter(|event| event.delivery == *id);
        Some(StoredDelivery {
            record: found.record.clone(),
            key: found.key.clone(),
            headers: found.headers.clone(),
            body: found.body.clone(),
            events: events.map(|event| self.with_branches(event)).collect(),
        })
    }

    pub(super) fn prune(&mut self, before: Timestamp, most_bytes: u64) -> u64 {
        let mut bytes: u64 = self.deliveries.iter().map(Delivery::bytes).sum();
        let mut whole: Vec<&mut Delivery> =
            self.deliveries.iter_mut().filter(|delivery| delivery.body.is_some()).collect();
        whole.sort_by(|left, right| {
            let (left, right) = (&left.record, &right.record);
            (left.received_at, &left.id).cmp(&(right.received_at, &right.id))
        });
        let mut count = 0;
        for delivery in whole {
            if delivery.record.received_at >= before && bytes <= most_bytes {
                break;
            }
            bytes -= delivery.bytes();
            delivery.body = None;
            delivery.headers.clear();
            count += 1;
        }
        count
    }
}
