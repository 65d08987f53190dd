//! What was decided and why, in an answer to whoever asks.

use std::fmt::Write as _;

use tagboat_model::{Decision, Outcome, is_bidirectional};

/// In reasons for one image.
const MOST_REASONS: usize = 12;
/// In bytes.
const LARGEST: usize = 40_000;

/// The decisions with their reasons and gates, as plain text.
#[must_use]
pub fn explain(decisions: &[&Decision]) -> String {
    if decisions.is_empty() {
        return "Nothing was decided about this yet.".to_owned();
    }
    let mut whole = String::new();
    for (index, decision) in decisions.iter().enumerate() {
        let one = explain_one(decision);
        if whole.len() + one.len() > LARGEST {
            let _ = write!(whole, "And {} more.", decisions.len() - index);
            break;
        }
        whole.push_str(&one);
        whole.push_str("\n\n");
    }
    whole.trim_end().to_owned()
}

fn explain_one(decision: &Decision) -> String {
    let what = match decision.outcome {
        Outcome::Update => "to be updated",
        Outcome::Nothing => "nothing to do",
        Outcome::Offered => "offered in a pull request",
        Outcome::Waiting => "waiting",
        Outcome::Blocked => "blocked",
    };
    let current = if decision.current.is_empty() { "nothing".to_owned() } else { decision.current.join(", ") };
    let chosen = decision.version.as_ref().map(|version| format!(", chosen {version}")).unwrap_or_default();
    let Decision { entry, environment, .. } = decision;
    let mut lines = vec![one_line(&format!("{entry} in {environment}: {what}; now {current}{chosen}"))];
    let reasons = decision.reasons.iter().take(MOST_REASONS);
    lines.extend(reasons.map(|reason| format!("- {}", one_line(&reason.to_string()))));
    if let Some(more @ 1..) = decision.reasons.len().checked_sub(MOST_REASONS) {
        lines.push(format!("- and {more} more reasons"));
    }
    lines.extend(decision.gates.iter().map(|gate| format!("- gate {}", one_line(&gate.to_string()))));
    lines.join("\n")
}

/// Without what would end the line, or turn the direction of writing.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_bidirectional(c) { ' ' } else { c }).collect()
}
