//! The sections of the text of a pull request.

use std::fmt::Write as _;

use tagboat_model::{Decision, Duration, EntryName, ForgeTraits, Gate, RanIn, Reason, RolloutState};

use super::{REBUILD_BOX, gates, markdown, places, pull_request, some, source};
use crate::{
    propose::cause,
    pull::{Lane, LaneChange},
};

/// Rows of the table, and their bytes in all.
const MOST_ROWS: usize = 100;
const LARGEST_TABLE: usize = 20_000;
/// Lines of other lists.
const MOST_LINES: usize = 20;

/// All sections; the last is the one with the box.
pub(super) fn sections(lane: &Lane<'_>, gates: &[(EntryName, Vec<Gate>)], traits: &ForgeTraits) -> Vec<String> {
    let sections = [
        Some(table(lane)),
        ran_before(&lane.changes),
        gates::section(gates),
        because(lane),
        source::section(&lane.changes, traits),
        places::section(lane, traits),
        Some(commands(traits)),
    ];
    sections.into_iter().flatten().collect()
}

fn table(lane: &Lane<'_>) -> String {
    let environment = markdown::text(lane.environment.name.as_str());
    let mut text = "| Image | Environment | From | To |\n|---|---|---|---|".to_owned();
    let mut rows = 0_usize;
    for change in &lane.changes {
        let row = row(change, &environment);
        if rows == MOST_ROWS || text.len() + row.len() > LARGEST_TABLE {
            break;
        }
        rows += 1;
        text.push('\n');
        text.push_str(&row);
    }
    let more = lane.changes.len() - rows;
    if more > 0 {
        let _ = write!(text, "\n\nAnd {more} more images.");
    }
    text
}

fn row(change: &LaneChange<'_>, environment: &str) -> String {
    let Decision { entry, image, current, .. } = change.decision;
    let from = current_versions(current);
    let to =
        format!("{} {}", markdown::code(change.version.tag.as_str()), markdown::code(change.version.digest.short()));
    let entry = markdown::text(entry.as_str());
    format!("| {entry} ({}) | {environment} | {from} | {to} |", markdown::code(&image.to_string()))
}

/// What references carry now, a few of it.
pub(crate) fn current_versions(current: &[String]) -> String {
    let named: Vec<String> = current.iter().take(3).map(|version| markdown::code(version)).collect();
    match current.len().saturating_sub(named.len()) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Where the versions ran before. Lengths of time are said once they grow no longer.
fn ran_before(changes: &[LaneChange<'_>]) -> Option<String> {
    let lines: Vec<String> = changes.iter().flat_map(|change| &change.story.ran).map(ran_line).collect();
    if lines.is_empty() {
        return None;
    }
    Some(format!("### Where it ran before\n\n{}", some(lines, MOST_LINES).join("\n")))
}

fn ran_line(ran_in: &RanIn) -> String {
    let RanIn { environment, entry, ran } = ran_in;
    let (entry, environment) = (markdown::text(entry.as_str()), markdown::text(environment.as_str()));
    let what = format!("{entry} {}", markdown::code(ran.version.tag.as_str()));
    let mut line = match ran.until {
        None => format!("- {what} runs in {environment} since {}", ran.since),
        Some(until) => {
            let length = about(until.since(ran.since));
            format!("- {what} ran in {environment} from {} to {until} ({length})", ran.since)
        }
    };
    if ran.taken_back {
        line.push_str(", and was taken back there");
    }
    if let Some(rollout) = &ran.rollout {
        let state = match rollout.state {
            RolloutState::Progressing => "rolling out",
            RolloutState::Healthy => "healthy",
            RolloutState::Failed => "failed",
        };
        let _ = write!(line, ", {state} since {}", rollout.since);
    }
    line
}

/// To the minute.
fn about(length: Duration) -> String {
    let milliseconds = length.milliseconds();
    if milliseconds < 60_000 {
        return "less than a minute".to_owned();
    }
    Duration::from_milliseconds(milliseconds - milliseconds % 60_000).to_string()
}

fn because(lane: &Lane<'_>) -> Option<String> {
    if lane.changes.is_empty() {
        return None;
    }
    let decisions = lane.commit.as_ref().map(|commit| commit.decisions.as_slice()).unwrap_or_default();
    let is_paired = decisions.len() == lane.changes.len();
    let line = |(place, change): (usize, &LaneChange<'_>)| {
        let entry = markdown::text(change.decision.entry.as_str());
        let mut line = format!("- **{entry}**: {}", why(change.decision));
        let mut add = |what: &str, value: &str| line.extend(["; ", what, value]);
        if let Some(trigger) = &change.story.trigger {
            add("", &markdown::text(trigger));
        }
        let image = format!("{}@{}", change.version.tag, change.version.digest);
        add("full version ", &markdown::code(&image));
        if let Some(decision) = decisions.get(place).filter(|_| is_paired) {
            add("decision ", &markdown::code(decision.as_str()));
        }
        line
    };
    let lines: Vec<String> = lane.changes.iter().enumerate().map(line).collect();
    Some(format!("### Because\n\n{}", some(lines, MOST_LINES).join("\n")))
}

/// Why it comes, and why there is a pull request where there would have been none.
fn why(decision: &Decision) -> String {
    let is_protected = |reason: &&Reason| matches!(reason, Reason::Protected { .. });
    let first = cause(&decision.reasons).filter(|reason| !is_protected(reason));
    let protected = decision.reasons.iter().find(is_protected);
    let sentences = first.into_iter().chain(protected).map(|reason| markdown::sentence(&reason.to_string()));
    sentences.collect::<Vec<_>>().join("; ")
}

fn commands(traits: &ForgeTraits) -> String {
    let name = pull_request(traits);
    let lines = [
        "- `/tagboat hold` keeps what runs; `/tagboat hold until 2026-12-24T18:00:00Z` until then",
        "- `/tagboat freeze` keeps all that runs in this environment, until it is released",
        "- `/tagboat skip` does without this version, and takes the next one",
        "- `/tagboat rollback` goes back to what ran before, and holds it",
        "- `/tagboat promote` brings it here past upstreams and gates, for approvers",
        "- `/tagboat release` takes back holds, skips and refusals",
        "- `/tagboat rebuild` builds the branch anew, `/tagboat merge` merges it once its gates pass",
        "- `/tagboat explain` says what is decided, and why",
    ];
    format!(
        "<details><summary>Commands, and what closing means</summary>\n\nWrite one of these in a comment:\n\n{}\n\nTo close this {name} without merging it means no to this version, and to older ones, in this environment. A newer version opens another one.\n\n</details>\n\n- [ ] {REBUILD_BOX}Build this {name} anew, also over commits of others",
        lines.join("\n")
    )
}
