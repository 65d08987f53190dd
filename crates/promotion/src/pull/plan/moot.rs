//! Whether an open pull request is needed still, by the decisions about what it brings.

use tagboat_model::{Decision, Outcome, Reason};

use crate::pull::{Block, Lane};

/// What becomes of an open pull request.
pub(crate) enum Fate {
    /// Something is wanted; it is to bring that.
    Wanted,
    /// Nothing that it brings is wanted any more, for this reason.
    Moot(String),
    /// Of something that it brings nothing is known for certain now: it stays as it is.
    Open,
}

/// What becomes of it. What is not wanted any more is left out, but only where a decision says so.
pub(crate) fn fate(lane: &Lane<'_>, block: Option<&Block>) -> Fate {
    let mut why = Vec::new();
    for change in block.into_iter().flat_map(|block| &block.changes) {
        if lane.changes.iter().any(|wanted| wanted.decision.entry == change.entry) {
            continue;
        }
        let decision = lane.decisions.iter().find(|decision| decision.entry == change.entry);
        let Some(reason) = decision.and_then(|decision| why_not(decision)) else { return Fate::Open };
        why.push(format!("{}: {reason}", change.entry));
    }
    match (lane.changes.is_empty(), why.is_empty()) {
        (false, _) => Fate::Wanted,
        (true, false) => Fate::Moot(why.join("; ")),
        (true, true) => Fate::Open,
    }
}

/// Why a decision wants nothing any more. What is only not known, or only waits, is wanted still.
fn why_not(decision: &Decision) -> Option<&Reason> {
    let first = decision.reasons.first()?;
    // A tag that names something else now must not be merged as what it was.
    if matches!(first, Reason::MovedSincePut { .. }) {
        return Some(first);
    }
    let is_settled = match decision.outcome {
        Outcome::Nothing => !decision.reasons.iter().any(is_not_known),
        Outcome::Waiting => matches!(first, Reason::Held { .. } | Reason::TakenBack { .. }),
        Outcome::Update | Outcome::Offered | Outcome::Blocked => false,
    };
    is_settled.then_some(first)
}

fn is_not_known(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::RegistryUnavailable { .. }
            | Reason::BuildTimesUnread { .. }
            | Reason::UnreadableFile { .. }
            | Reason::UpstreamEmpty { .. }
    )
}
