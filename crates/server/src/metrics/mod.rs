//! What is counted while the server runs, for Prometheus. `METRICS.md` says what each means.
//!
//! Kept in a value and not in global state: whoever counts is given it. What the database knows (events, the queue, leases) is
//! not counted here but read from it at each scrape, in one consistent read, so that it adds up and is the same on every
//! replica.

mod exposition;
mod families;
mod process;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use tagboat_engine::chain;
use tagboat_model::{BranchKey, Duration, EventId, Outcome, Timestamp};
use tagboat_ports::{Progress, Step, Tally, Written};

use self::{
    exposition::{Counters, Histograms, gauges},
    process::Usage,
};
use crate::{Server, pressure::Standing};

const NO_LABELS: &[&str] = &[];
/// From what is quick to what has gone wrong.
const REQUEST_BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Reconciles, and what waits for them.
const WORK_BOUNDS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];
/// A scrape may show a count of the database that is this old: several that scrape do not have it counted several times.
const FRESH: Duration = Duration::from_seconds(1);

/// Everything that is counted in memory.
#[derive(Debug)]
pub struct Metrics {
    started: Timestamp,
    deliveries: Counters,
    answers: Histograms,
    events_received: Counters,
    to_commit: Histograms,
    reconciles: Counters,
    retries: Counters,
    reconcile: Histograms,
    decisions: Counters,
    pushes: Counters,
    commits: Counters,
    registry_calls: Counters,
    registry: Histograms,
    forge_calls: Counters,
    forge: Histograms,
    forge_left: Mutex<BTreeMap<String, u64>>,
    /// Reconciles that are under way, with their beginning.
    under_way: Mutex<BTreeMap<BranchKey, Timestamp>>,
}

impl Metrics {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(started: Timestamp) -> Self {
        Self {
            started,
            deliveries: Counters::new(&families::DELIVERIES),
            answers: Histograms::new(&families::ANSWERS, REQUEST_BOUNDS),
            events_received: Counters::new(&families::EVENTS_RECEIVED),
            to_commit: Histograms::new(&families::TO_COMMIT, WORK_BOUNDS),
            reconciles: Counters::new(&families::RECONCILES),
            retries: Counters::new(&families::RETRIES),
            reconcile: Histograms::new(&families::RECONCILE, WORK_BOUNDS),
            decisions: Counters::new(&families::DECISIONS),
            pushes: Counters::new(&families::PUSHES),
            commits: Counters::new(&families::COMMITS),
            registry_calls: Counters::new(&families::REGISTRY_CALLS),
            registry: Histograms::new(&families::REGISTRY, REQUEST_BOUNDS),
            forge_calls: Counters::new(&families::FORGE_CALLS),
            forge: Histograms::new(&families::FORGE, REQUEST_BOUNDS),
            forge_left: Mutex::default(),
            under_way: Mutex::default(),
        }
    }

    /// A request to a receiver was answered.
    pub(crate) fn answered(&self, receiver: &str, verdict: &str, status: u16, took: Duration) {
        self.deliveries.add(&[receiver, verdict, &status.to_string()], 1);
        self.answers.observe(&[verdict], seconds(took));
    }

    /// A registry was asked something.
    pub fn registry_asked(&self, reason: &str, outcome: &str, took: std::time::Duration) {
        self.registry_calls.add(&[reason, outcome], 1);
        self.registry.observe(&[reason], took.as_secs_f64());
    }

    /// A forge was asked something.
    pub fn forge_asked(&self, forge: &str, operation: &str, outcome: &str, took: std::time::Duration) {
        self.forge_calls.add(&[forge, operation, outcome], 1);
        self.forge.observe(&[forge], took.as_secs_f64());
    }

    /// What is left of a forge's limit of requests.
    pub fn forge_requests_left(&self, forge: &str, left: u64) {
        self.forge_left.lock().unwrap_or_else(PoisonError::into_inner).insert(forge.to_owned(), left);
    }

    fn note(&self, step: &Step) {
        match step {
            Step::Accepted { receiver, events, .. } => {
                self.events_received.add(&[receiver.as_str()], events.len() as u64);
            }
            Step::Taken { key, attempts, at } => {
                if *attempts > 0 {
                    self.retries.add(&[], 1);
                }
                self.under_way().insert(key.clone(), *at);
            }
            Step::Decided { decision, .. } => self.decisions.add(&[word(decision.outcome)], 1),
            Step::Tried { outcome, .. } => self.pushes.add(&[outcome.word()], 1),
            Step::Pushed { commits, at, .. } => {
                let made: BTreeSet<&str> = commits.iter().map(|landed| landed.commit.as_str()).collect();
                self.commits.add(&[], made.len() as u64);
                // An event that several of them answer is done once.
                let events: BTreeMap<&EventId, Timestamp> =
                    commits.iter().flat_map(|landed| landed.events.iter().map(|(id, since)| (id, *since))).collect();
                for since in events.into_values() {
                    self.to_commit.observe(&[], seconds(at.since(since)));
                }
            }
            Step::Served { key, at } => self.ended(key, "served", *at),
            Step::Failed { key, at, .. } => self.ended(key, "failed", *at),
            Step::Ignored { .. }
            | Step::Refused { .. }
            | Step::Gathered { .. }
            | Step::Asked { .. }
            | Step::Edited { .. } => {}
        }
    }

    fn ended(&self, key: &BranchKey, outcome: &str, at: Timestamp) {
        self.reconciles.add(&[outcome], 1);
        let begun = self.under_way().remove(key);
        if let Some(begun) = begun {
            self.reconcile.observe(&[outcome], seconds(at.since(begun)));
        }
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, BTreeMap<BranchKey, Timestamp>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text for Prometheus. Without a tally, because the database does not answer, what it knows is left out.
    fn text(&self, tally: Option<&Tally>, written: Written, standing: &Standing, now: Timestamp) -> String {
        let mut text = String::new();
        self.deliveries.write(&mut text);
        self.answers.write(&mut text);
        self.events_received.write(&mut text);
        queue(&mut text, tally, standing, now);
        self.to_commit.write(&mut text);
        self.reconciles.write(&mut text);
        self.retries.write(&mut text);
        self.reconcile.write(&mut text);
        self.decisions.write(&mut text);
        self.pushes.write(&mut text);
        self.commits.write(&mut text);
        self.registry_calls.write(&mut text);
        self.registry.write(&mut text);
        self.forge_calls.write(&mut text);
        self.forge.write(&mut text);
        let left = self.forge_left.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let left: Vec<([&str; 1], u64)> = left.iter().map(|(forge, left)| ([forge.as_str()], *left)).collect();
        gauges(&mut text, &families::FORGE_LEFT, left.iter().map(|(forge, left)| (&forge[..], *left)));
        gauges(&mut text, &families::READY, [(NO_LABELS, u8::from(standing.trouble.is_none()))]);
        gauges(&mut text, &families::LAST_WRITE, standing.last_write.map(|at| (NO_LABELS, since_1970(at))));
        database(&mut text, written);
        gauges(&mut text, &families::BUILD, [(&[env!("CARGO_PKG_VERSION")][..], 1)]);
        let usage = Usage::now();
        gauges(&mut text, &families::MEMORY, usage.memory.map(|bytes| (NO_LABELS, bytes)));
        gauges(&mut text, &families::PROCESSOR, usage.processor.map(|seconds| (NO_LABELS, seconds)));
        gauges(&mut text, &families::FILES, usage.files.map(|count| (NO_LABELS, count)));
        gauges(&mut text, &families::STARTED, [(NO_LABELS, since_1970(self.started))]);
        text
    }
}

/// What the database knows.
fn queue(text: &mut String, tally: Option<&Tally>, standing: &Standing, now: Timestamp) {
    let one = |of: fn(&Tally) -> u64| tally.map(|tally| (NO_LABELS, of(tally)));
    gauges(text, &families::EVENTS_ACCEPTED, one(|tally| tally.accepted));
    let events =
        tally.map(|it| [(&["done"][..], it.done), (&["refused"][..], it.refused), (&["pending"][..], it.pending)]);
    gauges(text, &families::EVENTS, events.into_iter().flatten());
    gauges(text, &families::EVENTS_LIMIT, [(NO_LABELS, standing.most_pending)]);
    let branches =
        tally.map(|it| [(&["waiting"][..], it.waiting), (&["failing"][..], it.failing), (&["parked"][..], it.parked)]);
    gauges(text, &families::QUEUE, branches.into_iter().flatten());
    let age = tally.map(|it| it.oldest.map_or(0.0, |oldest| seconds(now.since(oldest))));
    gauges(text, &families::QUEUE_AGE, age.map(|age| (NO_LABELS, age)));
    gauges(text, &families::BRANCHES, one(|tally| tally.branches));
    gauges(text, &families::LEASES, one(|tally| tally.leased));
}

/// What this process wrote.
#[expect(clippy::cast_precision_loss, reason = "microseconds of some hundred years are exact")]
fn database(text: &mut String, Written { committed, failed, operations, microseconds }: Written) {
    gauges(text, &families::TRANSACTIONS, [(&["committed"][..], committed), (&["failed"][..], failed)]);
    gauges(text, &families::OPERATIONS, [(NO_LABELS, operations)]);
    gauges(text, &families::WRITING, [(NO_LABELS, microseconds as f64 / 1e6)]);
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of some thousand years are exact")]
fn seconds(length: Duration) -> f64 {
    length.milliseconds() as f64 / 1000.0
}

fn since_1970(at: Timestamp) -> f64 {
    seconds(at.since(Timestamp(0)))
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Update => "update",
        Outcome::Nothing => "nothing",
        Outcome::Offered => "offered",
        Outcome::Waiting => "waiting",
        Outcome::Blocked => "blocked",
    }
}

/// Counts every step, and passes it on.
pub struct Counting {
    metrics: Arc<Metrics>,
    next: Arc<dyn Progress>,
}

impl Counting {
    /// Count in `metrics` and tell `next`.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, next: Arc<dyn Progress>) -> Self {
        Self { metrics, next }
    }
}

impl Progress for Counting {
    fn step(&self, step: &Step) {
        self.metrics.note(step);
        self.next.step(step);
    }
}

/// `GET /metrics`
pub(crate) async fn get(State(server): State<Server>) -> Response {
    let now = server.clock.now();
    let tally = match server.pressure.tally(&*server.store, now, FRESH).await {
        Ok(tally) => Some(tally),
        Err(error) => {
            tracing::warn!(error = %chain(&error), "what waits could not be counted");
            None
        }
    };
    let standing = server.pressure.found_out(&*server.store, &*server.clock).await;
    let text = server.metrics.text(tally.as_ref(), server.store.written(), &standing, now);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_ports::{Landed, PushTried};

    /// All families, in the order in which they are written.
    static ALL: [&exposition::Family; 32] = [
        &families::DELIVERIES,
        &families::ANSWERS,
        &families::EVENTS_RECEIVED,
        &families::EVENTS_ACCEPTED,
        &families::EVENTS,
        &families::EVENTS_LIMIT,
        &families::QUEUE,
        &families::QUEUE_AGE,
        &families::BRANCHES,
        &families::LEASES,
        &families::TO_COMMIT,
        &families::RECONCILES,
        &families::RETRIES,
        &families::RECONCILE,
        &families::DECISIONS,
        &families::PUSHES,
        &families::COMMITS,
        &families::REGISTRY_CALLS,
        &families::REGISTRY,
        &families::FORGE_CALLS,
        &families::FORGE,
        &families::FORGE_LEFT,
        &families::READY,
        &families::LAST_WRITE,
        &families::TRANSACTIONS,
        &families::OPERATIONS,
        &families::WRITING,
        &families::BUILD,
        &families::MEMORY,
        &families::PROCESSOR,
        &families::FILES,
        &families::STARTED,
    ];

    fn key() -> BranchKey {
        BranchKey {
            tenant: "default".parse().unwrap(),
            repository: "config".parse().unwrap(),
            branch: "main".parse().unwrap(),
        }
    }

    fn standing() -> Standing {
        Standing { most_pending: 10, ..Standing::default() }
    }

    /// The table of `METRICS.md`, as it has to be.
    fn table() -> String {
        let row = |family: &&exposition::Family| {
            let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {} | {} | {} |\n", family.name, family.kind, labels.join(", "), family.help)
        };
        ALL.iter().map(row).collect()
    }

    #[test]
    fn every_metric_is_documented_and_written() {
        let document = include_str!("../../METRICS.md");
        assert!(document.contains(&table()), "METRICS.md has to have these rows:\n{}", table());
        let text =
            Metrics::new(Timestamp(0)).text(Some(&Tally::default()), Written::default(), &standing(), Timestamp(0));
        let written: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let known: Vec<&str> = ALL.iter().map(|family| family.name).collect();
        assert_eq!(written, known);
    }

    #[test]
    fn an_event_is_measured_once_up_to_its_commit() {
        let metrics = Metrics::new(Timestamp(0));
        let landed = |decision: &str| Landed {
            decision: decision.parse().unwrap(),
            commit: "a".repeat(40).parse().unwrap(),
            events: vec![("ev-1".parse().unwrap(), Timestamp(1000))],
        };
        metrics.note(&Step::Taken { key: key(), attempts: 1, at: Timestamp(2000) });
        metrics.note(&Step::Tried { key: key(), outcome: PushTried::LostRace, at: Timestamp(2500) });
        metrics.note(&Step::Tried { key: key(), outcome: PushTried::Landed, at: Timestamp(2900) });
        let commits = vec![landed("d-1"), landed("d-2")];
        metrics.note(&Step::Pushed { key: key(), commits, at: Timestamp(3000) });
        metrics.note(&Step::Served { key: key(), at: Timestamp(3500) });
        let text = metrics.text(None, Written::default(), &standing(), Timestamp(0));
        for line in [
            "tagboat_event_to_commit_seconds_sum 2",
            "tagboat_event_to_commit_seconds_count 1",
            "tagboat_commits_total 1",
            "tagboat_pushes_total{outcome=\"lostRace\"} 1",
            "tagboat_pushes_total{outcome=\"landed\"} 1",
            "tagboat_reconcile_retries_total 1",
            "tagboat_reconciles_total{outcome=\"served\"} 1",
            "tagboat_reconcile_seconds_sum{outcome=\"served\"} 1.5",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is missing:\n{text}");
        }
        assert!(!text.contains("tagboat_events{"), "the database did not answer");
    }

    #[test]
    fn what_the_database_counts_is_written_as_it_was_read() {
        let tally = Tally {
            accepted: 9,
            done: 4,
            refused: 3,
            pending: 2,
            waiting: 1,
            oldest: Some(Timestamp(500)),
            ..Tally::default()
        };
        let written = Written { committed: 3, failed: 1, operations: 9, microseconds: 250_000 };
        let text = Metrics::new(Timestamp(0)).text(Some(&tally), written, &standing(), Timestamp(2000));
        for line in [
            "tagboat_events_accepted 9",
            "tagboat_events{state=\"done\"} 4",
            "tagboat_events{state=\"refused\"} 3",
            "tagboat_events{state=\"pending\"} 2",
            "tagboat_events_pending_limit 10",
            "tagboat_queue_branches{state=\"waiting\"} 1",
            "tagboat_queue_oldest_seconds 1.5",
            "tagboat_ready 1",
            "tagboat_database_transactions_total{outcome=\"failed\"} 1",
            "tagboat_database_operations_total 9",
            "tagboat_database_write_seconds_total 0.25",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is missing:\n{text}");
        }
    }
}
