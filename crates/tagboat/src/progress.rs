//! Steps as log lines. Every line that is about events names them by their ids, from the delivery to the commit, so that
//! looking for an id shows what became of it.

use tagboat_model::EventId;
use tagboat_ports::{Landed, Progress, Step};

/// Writes every step to the log.
pub(crate) struct LogProgress;

/// Ids in one line; a burst is told of in several.
const MOST_IDS: usize = 100;
/// Lines about a reconcile that failed, which is tried again and again.
const MOST_FAILED_LINES: usize = 10;

/// Ids, some per line. There is one line where there are none.
fn lines<'e>(events: impl Iterator<Item = &'e EventId>) -> Vec<String> {
    let ids: Vec<&str> = events.map(EventId::as_str).collect();
    match ids.is_empty() {
        true => vec![String::new()],
        false => ids.chunks(MOST_IDS).map(|part| part.join(" ")).collect(),
    }
}

impl Progress for LogProgress {
    fn step(&self, step: &Step) {
        match step {
            Step::Accepted { delivery, receiver, events, .. } => {
                for (id, event) in events {
                    tracing::info!(event = %id, %delivery, %receiver, what = %event, "event accepted");
                }
            }
            Step::Ignored { receiver, reasons, .. } => tracing::debug!(%receiver, ?reasons, "delivery ignored"),
            // The server logs these itself.
            Step::Refused { .. } => {}
            Step::Taken { key, attempts, .. } => tracing::debug!(branch = %key, attempts, "taken"),
            Step::Gathered { key, head, references, events, .. } if events.is_empty() => {
                tracing::debug!(branch = %key, %head, references, "gathered");
            }
            Step::Gathered { key, head, references, events, .. } => {
                for events in lines(events.iter()) {
                    tracing::info!(branch = %key, %head, references, events, "reconciling");
                }
            }
            Step::Asked { image, tag, answer, .. } => tracing::debug!(%image, %tag, answer, "registry asked"),
            Step::Decided { key, id, decision, events, .. } => {
                let reason = decision.reasons.first().map(ToString::to_string).unwrap_or_default();
                for events in lines(events.iter()) {
                    tracing::info!(
                        branch = %key, decision = %id, image = %decision.entry, environment = %decision.environment,
                        outcome = ?decision.outcome, reason, events, "decided"
                    );
                }
            }
            Step::Edited { key, path, .. } => tracing::debug!(branch = %key, path, "edited"),
            Step::Tried { key, outcome, .. } => tracing::debug!(branch = %key, outcome = outcome.word(), "pushed"),
            Step::Pushed { key, commits, .. } => {
                for Landed { decision, commit, events } in commits {
                    for events in lines(events.iter().map(|(id, _)| id)) {
                        tracing::info!(branch = %key, %decision, %commit, events, "committed");
                    }
                }
            }
            Step::Failed { key, error, events, again_at, .. } if !events.is_empty() => {
                for events in lines(events.iter()).into_iter().take(MOST_FAILED_LINES) {
                    tracing::warn!(branch = %key, %again_at, error, events, "events wait");
                }
            }
            // The engine logs what failed itself.
            Step::Failed { .. } => {}
            Step::Served { key, .. } => tracing::debug!(branch = %key, "served"),
        }
    }
}
