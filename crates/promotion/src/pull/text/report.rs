//! Reports on the repository file, and answers to commands.

use std::fmt::Write as _;

use tagboat_model::{
    Command, CommandAnswer, CommandOutcome, CommandRecord, Commander, Decision, ForgeTraits, Outcome, Target,
};

use super::{body::current_versions, markdown, pull_request};

/// In bytes; a check run of GitHub's takes 65,535 characters.
const LARGEST: usize = 50_000;
/// In characters, of an answer.
const LONGEST_LINE: usize = 4000;

/// What would be decided with the repository file of a commit.
#[must_use]
pub fn plan_report(decisions: &[Decision]) -> String {
    if decisions.is_empty() {
        return "With this `.tagboat.yaml` there is nothing to decide: no image of it is in an environment.".to_owned();
    }
    let count = |outcome: Outcome| decisions.iter().filter(|decision| decision.outcome == outcome).count();
    let mut text = format!(
        "With this `.tagboat.yaml`: {} to update, {} waiting, {} blocked, {} as they are to be.\n\n| Image | Environment | Now | Chosen | Why |\n|---|---|---|---|---|",
        count(Outcome::Update),
        count(Outcome::Waiting),
        count(Outcome::Blocked),
        count(Outcome::Nothing),
    );
    // What needs people stands first.
    let mut ordered: Vec<&Decision> = decisions.iter().collect();
    ordered.sort_by_key(|decision| match decision.outcome {
        Outcome::Blocked => 0,
        Outcome::Update | Outcome::Offered => 1,
        Outcome::Waiting => 2,
        Outcome::Nothing => 3,
    });
    let mut rows = 0_usize;
    for decision in &ordered {
        let row = plan_row(decision);
        if text.len() + row.len() > LARGEST {
            break;
        }
        rows += 1;
        text.push('\n');
        text.push_str(&row);
    }
    if rows < ordered.len() {
        let _ = write!(text, "\n\nAnd {} more.", ordered.len() - rows);
    }
    text
}

fn plan_row(decision: &Decision) -> String {
    let Decision { environment, entry, current, version, reasons, .. } = decision;
    let (entry, environment) = (markdown::text(entry.as_str()), markdown::text(environment.as_str()));
    let now = current_versions(current);
    let chosen = version.as_ref().map(|version| markdown::code(&version.to_string())).unwrap_or_default();
    let why = reasons.first().map(|reason| markdown::sentence(&reason.to_string())).unwrap_or_default();
    format!("| {entry} | {environment} | {now} | {chosen} | {why} |")
}

/// The repository file of a commit has an error.
#[must_use]
pub fn problem_report(problem: &str) -> String {
    format!(
        "This `.tagboat.yaml` has an error, and while it is there Tagboat changes nothing:\n\n{}",
        markdown::sentence(problem)
    )
}

/// Lines of a comment that begin as commands do and are none: why not, each in its words.
#[must_use]
pub fn not_understood_comment(why: &[String]) -> String {
    let lines: Vec<String> = why.iter().map(|why| format!("- {}", markdown::sentence(why))).collect();
    format!("**Not possible**:\n\n{}", lines.join("\n"))
}

/// The answer to a command that was given in a comment.
#[must_use]
pub fn answer_comment(answer: &CommandAnswer, record: &CommandRecord, traits: &ForgeTraits) -> String {
    let outcome = match answer.outcome {
        CommandOutcome::Done => "Done",
        CommandOutcome::Nothing => "Nothing to do",
        CommandOutcome::Refused => "Refused",
        CommandOutcome::Invalid => "Not possible",
    };
    let by = match &record.by {
        Commander::Operator { name } => markdown::text(name),
        Commander::Account { account, .. } => markdown::text(&account.login),
    };
    let command = markdown::code(&spelled(&record.command));
    let text = as_markdown(&answer.text);
    let gap = if text.starts_with("- ") { "\n\n" } else { " " };
    let name = pull_request(traits);
    format!("> {command} (by {by}, on this {name})\n\n**{outcome}**:{gap}{text}")
}

/// Plain text of some lines, line by line. Lists stay lists; nothing else in it does anything.
fn as_markdown(plain: &str) -> String {
    let mut whole = String::new();
    for line in plain.lines() {
        let line = match line.strip_prefix("- ") {
            Some(item) => format!("- {}", markdown::sentences(item, LONGEST_LINE)),
            None => markdown::sentences(line, LONGEST_LINE),
        };
        if whole.len() + line.len() > LARGEST {
            whole.push_str("\nMore is left out here: the text would be too long.");
            break;
        }
        whole.push_str(&line);
        whole.push('\n');
    }
    whole.trim().to_owned()
}

/// A command as one could have written it.
fn spelled(command: &Command) -> String {
    let (verb, target, version) = match command {
        Command::Rebuild => ("rebuild", None, None),
        Command::Hold { target, .. } => ("hold", Some(target), None),
        Command::Freeze { environment, .. } => {
            let environment = environment.as_ref().map(|environment| format!(" {environment}")).unwrap_or_default();
            return format!("/tagboat freeze{environment}");
        }
        Command::Release { id: Some(id), .. } => return format!("/tagboat release {id}"),
        Command::Release { target, id: None } => ("release", Some(target), None),
        Command::Skip { target, version } => ("skip", Some(target), version.as_deref()),
        Command::Rollback { target, version, .. } => ("rollback", Some(target), version.as_deref()),
        Command::Promote { target, version, .. } => ("promote", Some(target), version.as_deref()),
        Command::Merge => ("merge", None, None),
        Command::Explain => ("explain", None, None),
    };
    let mut text = format!("/tagboat {verb}");
    if let Some(Target { environment, entry }) = target {
        if let Some(entry) = entry {
            let _ = write!(text, " {entry}");
        }
        if let Some(version) = version {
            let _ = write!(text, " {version}");
        }
        if let Some(environment) = environment {
            let _ = write!(text, " in {environment}");
        }
    }
    text
}
