//! Steps as log lines.

use tagboat_ports::{Progress, Step};

/// Writes every step to the log.
pub(crate) struct LogProgress;

impl Progress for LogProgress {
    fn step(&self, step: &Step) {
        match step {
            Step::Accepted { receiver, events, .. } => {
                for (id, event) in events {
                    tracing::info!(event = %id, %receiver, what = %event, "event accepted");
                }
            }
            Step::Ignored { receiver, reasons, .. } => tracing::debug!(%receiver, ?reasons, "delivery ignored"),
            // The server logs these itself.
            Step::Refused { .. } | Step::Failed { .. } => {}
            Step::Gathered { key, head, references, .. } => {
                tracing::debug!(branch = %key, %head, references, "gathered");
            }
            Step::Asked { image, tag, answer, .. } => tracing::debug!(%image, %tag, answer, "registry asked"),
            Step::Decided { key, id, decision, .. } => {
                let reason = decision.reasons.first().map(ToString::to_string).unwrap_or_default();
                tracing::info!(
                    branch = %key, decision = %id, image = %decision.entry, environment = %decision.environment,
                    outcome = ?decision.outcome, reason, "decided"
                );
            }
            Step::Edited { key, path, .. } => tracing::debug!(branch = %key, path, "edited"),
            Step::Pushed { key, commits, .. } => {
                for (decision, commit) in commits {
                    tracing::info!(branch = %key, %decision, %commit, "committed");
                }
            }
            Step::Served { key, .. } => tracing::debug!(branch = %key, "served"),
        }
    }
}
