//! The gates of a pull request, as a table.

use std::fmt::Write as _;

use tagboat_model::{EntryName, Gate, GateState, Stage};

use super::markdown;

/// Rows of gates.
const MOST_ROWS: usize = 60;
/// Entries that are named where several have the same gates.
const MOST_NAMED: usize = 3;

/// The table, or nothing where there are no gates. Entries with the same gates share their rows.
pub(super) fn section(gates: &[(EntryName, Vec<Gate>)]) -> Option<String> {
    let mut sets: Vec<(Vec<&EntryName>, &[Gate])> = Vec::new();
    for (entry, gates) in gates.iter().filter(|(_, gates)| !gates.is_empty()) {
        match sets.iter_mut().find(|(_, known)| *known == gates.as_slice()) {
            Some((entries, _)) => entries.push(entry),
            None => sets.push((vec![entry], gates.as_slice())),
        }
    }
    let is_one = sets.len() == 1;
    let mut rows: Vec<String> = Vec::new();
    for (entries, gates) in &sets {
        let whose = if is_one { String::new() } else { format!("| {} ", names(entries)) };
        rows.extend(gates.iter().map(|gate| format!("{whose}| {} |", row(gate))));
    }
    if rows.is_empty() {
        return None;
    }
    let more = rows.len().saturating_sub(MOST_ROWS);
    rows.truncate(MOST_ROWS);
    let (head, line) = if is_one { ("", "") } else { ("| Image ", "|---") };
    let mut text = format!("### Gates\n\n{head}| Gate | State | | Holds back |\n{line}|---|---|---|---|\n");
    text.push_str(&rows.join("\n"));
    if more > 0 {
        let _ = write!(text, "\n\nAnd {more} more.");
    }
    Some(text)
}

fn names(entries: &[&EntryName]) -> String {
    let named: Vec<String> = entries.iter().take(MOST_NAMED).map(|entry| markdown::text(entry.as_str())).collect();
    match entries.len().saturating_sub(MOST_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn row(gate: &Gate) -> String {
    let state = gate.state.to_string();
    let text = gate.text.strip_prefix(&state).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&gate.text);
    let holds = match gate.holds {
        Stage::Offer => "the offer",
        Stage::Merge => "the merge",
    };
    format!("`{}` | {} {state} | {} | {holds}", gate.name, symbol(gate.state), markdown::sentence(text))
}

/// A sign for a state.
pub(crate) fn symbol(state: GateState) -> &'static str {
    match state {
        GateState::Passed => "✅",
        GateState::Waiting => "⏳",
        GateState::Failed => "❌",
    }
}
