//! Titles of pull requests.

use tagboat_model::{Reason, Wish};

use super::markdown;
use crate::pull::{Lane, LaneChange};

/// In characters: forges take about 250.
const LONGEST: usize = 230;
const NO_LONGER_NEEDED: &str = " - no longer needed";

/// The title where no template says another. All in it are validated names.
pub(super) fn built_in(lane: &Lane<'_>) -> String {
    let environment = &lane.environment.name;
    let promoted = lane.environment.promote_from.is_some();
    let back = !lane.changes.is_empty() && lane.changes.iter().all(goes_back);
    let title = match lane.changes.as_slice() {
        [] => format!("Nothing to change in {environment}"),
        [one] => {
            let (entry, tag) = (&one.decision.entry, &one.version.tag);
            match (back, promoted) {
                (true, _) => format!("Roll {entry} back to {tag} in {environment}"),
                (false, true) => format!("Promote {entry} {tag} to {environment}"),
                (false, false) => format!("Update {entry} to {tag} in {environment}"),
            }
        }
        [first, others @ ..] => {
            let count = lane.changes.len();
            let tag = &first.version.tag;
            let is_same = others.iter().all(|other| other.version.tag == *tag);
            let tag = if is_same { format!(" ({tag})") } else { String::new() };
            match (back, promoted) {
                (true, _) => format!("Roll {count} images back{tag} in {environment}"),
                (false, true) => format!("Promote {count} images{tag} to {environment}"),
                (false, false) => format!("Update {count} images{tag} in {environment}"),
            }
        }
    };
    markdown::one_line(&title, LONGEST)
}

/// Whether people asked to go back to it.
fn goes_back(change: &LaneChange<'_>) -> bool {
    let first = change.decision.reasons.first();
    matches!(first, Some(Reason::AskedFor { hold }) if matches!(hold.wish, Wish::Keep { .. }))
}

/// The title of one that is closed because nothing needs it any more.
#[must_use]
pub fn closed_title(title: &str) -> String {
    let title = title.strip_suffix(NO_LONGER_NEEDED).unwrap_or(title);
    format!("{}{NO_LONGER_NEEDED}", markdown::one_line(title, LONGEST))
}
