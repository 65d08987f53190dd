//! From steps to spans: one trace for each event, from its delivery to its commit.
//!
//! A reconcile serves several events, so each of them gets spans of its own for it, under ids that follow from what they are about.
//! The span of the delivery is the root; each reconcile that reads the event is below it, and below that what it did: gather,
//! decide, push, land. Bounded: of a burst the first events have traces.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tagboat_model::{BranchKey, DeliveryId, Event, EventId, ReceiverName, Timestamp};
use tagboat_ports::{Clock, Progress, Step};

use super::otlp::{Span, span_id};

/// Events of one reconcile, or one delivery, that have traces.
const MOST_EVENTS: usize = 200;
/// Parts of one reconcile that have spans.
const MOST_PARTS: usize = 200;

/// A part of a reconcile.
struct Part {
    name: &'static str,
    begin: Timestamp,
    end: Timestamp,
    attributes: Vec<(&'static str, Value)>,
    /// The events that it is about; nothing means all.
    only: Option<Vec<EventId>>,
}

/// A reconcile that is under way.
struct UnderWay {
    begin: Timestamp,
    /// Where the last part ended.
    last: Timestamp,
    attempts: u32,
    asked: u64,
    events: Vec<EventId>,
    all_events: usize,
    parts: Vec<Part>,
}

impl UnderWay {
    fn new(begin: Timestamp, attempts: u32) -> Self {
        Self { begin, last: begin, attempts, asked: 0, events: Vec::new(), all_events: 0, parts: Vec::new() }
    }

    fn part(
        &mut self,
        name: &'static str,
        end: Timestamp,
        attributes: Vec<(&'static str, Value)>,
        only: Option<Vec<EventId>>,
    ) {
        if self.parts.len() < MOST_PARTS {
            self.parts.push(Part { name, begin: self.last, end, attributes, only });
        }
        self.last = end;
    }

    /// The spans of all its events.
    fn spans(self, key: &BranchKey, end: Timestamp, error: Option<&str>) -> Vec<Span> {
        let (branch, begin) = (key.to_string(), self.begin.0.to_string());
        let mut spans = Vec::new();
        for event in &self.events {
            let id = span_id(&["reconcile", event.as_str(), &branch, &begin]);
            for (place, part) in self.parts.iter().enumerate() {
                if part.only.as_ref().is_some_and(|only| !only.contains(event)) {
                    continue;
                }
                spans.push(Span {
                    event: event.clone(),
                    id: span_id(&["part", &id, &place.to_string()]),
                    parent: Some(id.clone()),
                    name: part.name,
                    begin: part.begin,
                    end: part.end,
                    attributes: part.attributes.clone(),
                    error: None,
                });
            }
            spans.push(Span {
                event: event.clone(),
                id,
                parent: Some(root(event)),
                name: "reconcile",
                begin: self.begin,
                end,
                attributes: vec![
                    ("tagboat.event", event.as_str().into()),
                    ("tagboat.branch", branch.as_str().into()),
                    ("tagboat.attempts", self.attempts.into()),
                    ("tagboat.events", self.all_events.into()),
                    ("tagboat.registry.calls", self.asked.into()),
                ],
                error: error.map(str::to_owned),
            });
        }
        spans
    }
}

fn root(event: &EventId) -> String {
    span_id(&["delivery", event.as_str()])
}

/// The span of a delivery, as far as it brought this event.
fn accepted(
    (id, event): &(EventId, Event),
    delivery: &DeliveryId,
    receiver: &ReceiverName,
    (begin, end): (Timestamp, Timestamp),
) -> Span {
    let attributes = vec![
        ("tagboat.event", id.as_str().into()),
        ("tagboat.delivery", delivery.as_str().into()),
        ("tagboat.receiver", receiver.as_str().into()),
        ("tagboat.what", event.to_string().into()),
    ];
    Span { event: id.clone(), id: root(id), parent: None, name: "delivery", begin, end, attributes, error: None }
}

/// Makes spans of steps, gives them to `send`, and passes the steps on.
pub(crate) struct Tracing<S> {
    clock: Arc<dyn Clock>,
    send: S,
    next: Arc<dyn Progress>,
    under_way: Mutex<BTreeMap<BranchKey, UnderWay>>,
}

impl<S: Fn(Vec<Span>) + Send + Sync> Tracing<S> {
    pub(crate) fn new(clock: Arc<dyn Clock>, send: S, next: Arc<dyn Progress>) -> Self {
        Self { clock, send, next, under_way: Mutex::default() }
    }

    /// Note something of a reconcile that is under way.
    fn of(&self, key: &BranchKey, note: impl FnOnce(&mut UnderWay)) {
        let mut all = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = all.get_mut(key) {
            note(under_way);
        }
    }

    fn ended(&self, key: &BranchKey, end: Timestamp, error: Option<&str>, events: &[EventId]) {
        let ended = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        let Some(mut ended) = ended else { return };
        // What failed before anything was read concerns what waits.
        if ended.events.is_empty() {
            ended.events = events.iter().take(MOST_EVENTS).cloned().collect();
            ended.all_events = events.len();
        }
        if !ended.events.is_empty() {
            (self.send)(ended.spans(key, end, error));
        }
    }

    fn note(&self, step: &Step) {
        match step {
            Step::Accepted { delivery, receiver, events, at, .. } => {
                let end = self.clock.now();
                let events = events.iter().take(MOST_EVENTS);
                (self.send)(events.map(|event| accepted(event, delivery, receiver, (*at, end))).collect());
            }
            Step::Taken { key, attempts, at } => {
                let mut all = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
                all.insert(key.clone(), UnderWay::new(*at, *attempts));
            }
            Step::Gathered { key, head, references, events, at } => self.of(key, |it| {
                it.events = events.iter().take(MOST_EVENTS).cloned().collect();
                it.all_events = events.len();
                let attributes =
                    vec![("tagboat.head", head.as_str().into()), ("tagboat.references", (*references).into())];
                it.part("gather", *at, attributes, None);
            }),
            Step::Decided { key, id, decision, events, at } if !events.is_empty() => self.of(key, |it| {
                let attributes = vec![
                    ("tagboat.decision", id.as_str().into()),
                    ("tagboat.entry", decision.entry.to_string().into()),
                    ("tagboat.environment", decision.environment.to_string().into()),
                    ("tagboat.outcome", serde_json::to_value(decision.outcome).unwrap_or_default()),
                ];
                it.part("decide", *at, attributes, Some(events.iter().take(MOST_EVENTS).cloned().collect()));
            }),
            Step::Tried { key, outcome, at } => self.of(key, |it| {
                it.part("push", *at, vec![("tagboat.outcome", outcome.word().into())], None);
            }),
            Step::Pushed { key, commits, at } => self.of(key, |it| {
                for landed in commits {
                    let attributes = vec![
                        ("tagboat.decision", landed.decision.as_str().into()),
                        ("tagboat.commit", landed.commit.as_str().into()),
                    ];
                    let events = landed.events.iter().take(MOST_EVENTS).map(|(id, _)| id.clone()).collect();
                    it.part("commit", *at, attributes, Some(events));
                }
            }),
            Step::Served { key, at } => self.ended(key, *at, None, &[]),
            Step::Failed { key, error, events, at, .. } => self.ended(key, *at, Some(error), events),
            Step::Asked { .. }
            | Step::Decided { .. }
            | Step::Ignored { .. }
            | Step::Refused { .. }
            | Step::Edited { .. } => {}
        }
    }
}

impl<S: Fn(Vec<Span>) + Send + Sync> Progress for Tracing<S> {
    fn step(&self, step: &Step) {
        self.note(step);
        self.next.step(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_ports::{Landed, PushTried};

    struct Frozen;

    #[async_trait::async_trait]
    impl Clock for Frozen {
        fn now(&self) -> Timestamp {
            Timestamp(9)
        }
        async fn sleep_until(&self, _: Timestamp) {}
    }

    fn key() -> BranchKey {
        BranchKey {
            tenant: "default".parse().unwrap(),
            repository: "config".parse().unwrap(),
            branch: "main".parse().unwrap(),
        }
    }

    #[test]
    fn each_event_has_what_concerns_it_and_hangs_together() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&sent);
        let tracing = Tracing::new(Arc::new(Frozen), move |spans| into.lock().unwrap().extend(spans), Arc::new(()));
        let [one, two]: [EventId; 2] = ["ev-1", "ev-2"].map(|id| id.parse().unwrap());
        let head = "a".repeat(40);
        let steps = [
            Step::Taken { key: key(), attempts: 0, at: Timestamp(10) },
            Step::Gathered {
                key: key(),
                head: head.parse().unwrap(),
                references: 3,
                events: vec![one.clone(), two.clone()],
                at: Timestamp(12),
            },
            Step::Tried { key: key(), outcome: PushTried::Landed, at: Timestamp(15) },
            Step::Pushed {
                key: key(),
                commits: vec![Landed {
                    decision: "d-1".parse().unwrap(),
                    commit: head.parse().unwrap(),
                    events: vec![(one.clone(), Timestamp(1))],
                }],
                at: Timestamp(16),
            },
            Step::Served { key: key(), at: Timestamp(17) },
        ];
        steps.iter().for_each(|step| tracing.step(step));
        let sent = sent.lock().unwrap();
        let names = |event: &EventId| -> Vec<(&str, i64, i64)> {
            sent.iter().filter(|span| span.event == *event).map(|span| (span.name, span.begin.0, span.end.0)).collect()
        };
        assert_eq!(names(&one), [("gather", 10, 12), ("push", 12, 15), ("commit", 15, 16), ("reconcile", 10, 17)]);
        assert_eq!(names(&two), [("gather", 10, 12), ("push", 12, 15), ("reconcile", 10, 17)]);
        let reconcile = sent.iter().find(|span| span.name == "reconcile" && span.event == one).unwrap();
        assert_eq!(reconcile.parent, Some(root(&one)));
        let parts = sent.iter().filter(|span| span.event == one && span.name != "reconcile");
        assert!(parts.into_iter().all(|part| part.parent.as_ref() == Some(&reconcile.id)));
    }
}
