//! Every family of metrics. Values of labels are names of the server file and words of the program, so that there are few of
//! them: no tag, no image, no id, nothing that strangers choose.

use super::exposition::{Family, Kind};

const fn family(kind: Kind, name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind, labels, help }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    family(Kind::Counter, name, labels, help)
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    family(Kind::Gauge, name, labels, help)
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    family(Kind::Histogram, name, labels, help)
}

pub(crate) static DELIVERIES: Family = counter(
    "tagboat_deliveries_total",
    &["receiver", "verdict", "status"],
    "Requests to receivers, by what became of them and the status that was answered.",
);
pub(crate) static ANSWERS: Family =
    histogram("tagboat_delivery_seconds", &["verdict"], "From the headers of a request to a receiver to its answer.");
pub(crate) static EVENTS_RECEIVED: Family =
    counter("tagboat_events_received_total", &["receiver"], "Events that were stored since the start of this process.");
pub(crate) static EVENTS_ACCEPTED: Family =
    gauge("tagboat_events_accepted", &[], "Events in the database, each once, however often it was delivered.");
pub(crate) static EVENTS: Family = gauge(
    "tagboat_events",
    &["state"],
    "Events by what became of them: done (every branch they concern has served them), refused (they concerned no branch), \
     pending. Their sum is tagboat_events_accepted, exactly.",
);
pub(crate) static EVENTS_LIMIT: Family =
    gauge("tagboat_events_pending_limit", &[], "As many pending events as senders are told to come again.");
pub(crate) static QUEUE: Family = gauge(
    "tagboat_queue_branches",
    &["state"],
    "Branches on which work waits or is under way, those of them that fail, and those that are left alone because they always do.",
);
pub(crate) static QUEUE_AGE: Family =
    gauge("tagboat_queue_oldest_seconds", &[], "How long the work waits that has waited longest; 0 when none waits.");
pub(crate) static BRANCHES: Family = gauge("tagboat_branches", &[], "Branches of config repositories that are known.");
pub(crate) static LEASES: Family = gauge("tagboat_leases_held", &[], "Branches that a worker of any replica holds.");
pub(crate) static TO_COMMIT: Family = histogram(
    "tagboat_event_to_commit_seconds",
    &[],
    "From the acceptance of an event to the commit on the branch that answers it, settle time included.",
);
pub(crate) static RECONCILES: Family =
    counter("tagboat_reconciles_total", &["outcome"], "Reconciles of branches that came to their end, or failed.");
pub(crate) static RETRIES: Family =
    counter("tagboat_reconcile_retries_total", &[], "Reconciles of work that failed before.");
pub(crate) static RECONCILE: Family = histogram("tagboat_reconcile_seconds", &["outcome"], "How long reconciles took.");
pub(crate) static DECISIONS: Family =
    counter("tagboat_decisions_total", &["outcome"], "Decisions that were taken, or taken again.");
pub(crate) static PUSHES: Family = counter(
    "tagboat_pushes_total",
    &["outcome"],
    "Pushes that were tried. Each lost race (lostRace) is tried again on the newer head.",
);
pub(crate) static COMMITS: Family = counter("tagboat_commits_total", &[], "Commits that landed on branches.");
pub(crate) static REGISTRY_CALLS: Family = counter(
    "tagboat_registry_calls_total",
    &["reason", "outcome"],
    "Questions to registries: confirm (what a known tag names now), manifest (read what was never read), list (all tags), \
     signature, token (from token servers).",
);
pub(crate) static REGISTRY: Family =
    histogram("tagboat_registry_call_seconds", &["reason"], "How long answers of registries took.");
pub(crate) static FORGE_CALLS: Family =
    counter("tagboat_forge_calls_total", &["forge", "operation", "outcome"], "Questions to forges.");
pub(crate) static FORGE: Family =
    histogram("tagboat_forge_call_seconds", &["forge"], "How long answers of forges took.");
pub(crate) static FORGE_LEFT: Family = gauge(
    "tagboat_forge_requests_left",
    &["forge"],
    "What is left of the forge's limit of requests, as its last answer said. GitHub only.",
);
pub(crate) static READY: Family = gauge(
    "tagboat_ready",
    &[],
    "1 when deliveries can be stored, as /readyz says; 0 when senders are told to come again.",
);
pub(crate) static LAST_WRITE: Family = gauge(
    "tagboat_database_last_write_timestamp_seconds",
    &[],
    "When a delivery or a probe was last written to the database.",
);
pub(crate) static TRANSACTIONS: Family = counter(
    "tagboat_database_transactions_total",
    &["outcome"],
    "Transactions that wrote: committed, each with one wait for the disk, or failed, with nothing written.",
);
pub(crate) static OPERATIONS: Family = counter(
    "tagboat_database_operations_total",
    &[],
    "Operations in those transactions. Divided by them, how many share one.",
);
pub(crate) static WRITING: Family = counter(
    "tagboat_database_write_seconds_total",
    &[],
    "Time in those transactions, of which one runs at a time: its rate is how busy the writer is, at most 1.",
);
pub(crate) static BUILD: Family =
    gauge("tagboat_build_info", &["version"], "Always 1; the label says which program runs.");
pub(crate) static MEMORY: Family =
    gauge("process_resident_memory_bytes", &[], "Memory of the process that is in use. Linux only.");
pub(crate) static PROCESSOR: Family =
    counter("process_cpu_seconds_total", &[], "Processor time of the process. Linux only.");
pub(crate) static FILES: Family = gauge("process_open_fds", &[], "Files and connections that are open. Linux only.");
pub(crate) static STARTED: Family = gauge("process_start_time_seconds", &[], "When the process started.");
