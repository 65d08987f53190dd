//! The issue that shows how things stand: its text, and what people ask for by its boxes.
//!
//! Pure, and nothing in it depends on when it is written. Whether whoever ticks a box may do so is decided elsewhere.

use tagboat_model::{
    Command, Decision, EntryName, EnvironmentName, ForgeTraits, Hold, Outcome, PullState, Reason, Tag, Target, Wish,
};

use crate::{
    Limits,
    pull::{
        KnownPull,
        text::{Words, current_versions, markdown, pull_request, symbol, ticked as ticked_line},
    },
};

/// What makes an issue the dashboard.
pub const DASHBOARD_MARK: &str = "<!-- tagboat:dashboard -->";

/// In bytes, of each section: there are seven of them, and 65,536 characters at GitHub.
const LARGEST_SECTION: usize = 7_500;

/// How things stand in a config repository.
#[derive(Debug, Clone, Copy)]
pub struct Board<'b> {
    /// The title of the issue.
    pub title: &'b str,
    /// What the forge has.
    pub traits: &'b ForgeTraits,
    /// The newest decision of every entry of every environment, in the order of the repository file.
    pub decisions: &'b [Decision],
    /// The pull requests of Tagboat's branches.
    pub pulls: &'b [KnownPull],
    /// The holds that are not released.
    pub holds: &'b [Hold],
    /// How much is done at most.
    pub limits: Limits,
    /// What is wrong with the repository file.
    pub problem: Option<&'b str>,
}

/// In which section a decision stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In none: its pull request or its hold says it.
    Elsewhere,
    Waiting,
    Limited,
    Blocked,
    UpToDate,
}

/// Title and text of the dashboard.
#[must_use]
pub fn compose_board(board: &Board<'_>) -> Words {
    let name = pull_request(board.traits);
    let of = |place: Place| board.decisions.iter().filter(move |decision| place_of(decision) == place);
    let is_refusal = |hold: &&Hold| matches!(hold.wish, Wish::Refuse { .. });
    let open = board.pulls.iter().filter(|known| known.pull.state == PullState::Open);
    let mut parts =
        vec![format!("{DASHBOARD_MARK}\nHow things stand in this repository. A box that is ticked is a command.")];
    if let Some(problem) = board.problem {
        let problem = markdown::sentence(problem);
        parts.push(format!("**`.tagboat.yaml` has an error, and while it is there nothing changes**: {problem}"));
    }
    let limits = limits_line(board.limits, name);
    let sections = [
        section("Open", "Tick a box to have the branch built anew.", open.map(|known| open_line(known, board.traits))),
        section("Waiting", "Tick a box to do without the version.", of(Place::Waiting).map(waiting_line)),
        section("Held back by limits", &limits, of(Place::Limited).map(waiting_line)),
        section(
            "Blocked",
            "Somebody has to act.",
            of(Place::Blocked).map(|decision| format!("- {}", with_reason(decision))),
        ),
        section(
            "Held and frozen",
            "Tick a box to release.",
            board.holds.iter().filter(|hold| !is_refusal(hold)).map(hold_line),
        ),
        section("Refused", "Tick a box to permit it again.", board.holds.iter().filter(is_refusal).map(hold_line)),
        up_to_date(of(Place::UpToDate)),
    ];
    parts.extend(sections.into_iter().flatten());
    Words { title: markdown::one_line(board.title, 200), body: parts.join("\n\n") }
}

fn place_of(decision: &Decision) -> Place {
    let says = |fits: fn(&Reason) -> bool| decision.reasons.iter().any(fits);
    match decision.outcome {
        Outcome::Blocked => Place::Blocked,
        Outcome::Nothing if decision.reasons.first().is_some_and(is_of_hold) => Place::Elsewhere,
        Outcome::Nothing => Place::UpToDate,
        Outcome::Update | Outcome::Offered | Outcome::Waiting => {
            if says(|reason| matches!(reason, Reason::InPullRequest { .. })) {
                Place::Elsewhere
            } else if says(|reason| matches!(reason, Reason::LimitReached { .. })) {
                Place::Limited
            } else {
                Place::Waiting
            }
        }
    }
}

fn is_of_hold(reason: &Reason) -> bool {
    matches!(reason, Reason::Held { .. } | Reason::AskedFor { .. })
}

/// A section with its lines, as many as fit; nothing where there are none.
fn section(title: &str, what: &str, lines: impl Iterator<Item = String>) -> Option<String> {
    let lines = fitting(lines);
    if lines.is_empty() {
        return None;
    }
    Some(format!("## {title}\n\n{what}\n\n{}", lines.join("\n")))
}

fn fitting(lines: impl Iterator<Item = String>) -> Vec<String> {
    let (mut kept, mut size, mut more) = (Vec::new(), 0, 0_usize);
    for line in lines {
        size += line.len() + 1;
        if size > LARGEST_SECTION {
            more += 1;
        } else {
            kept.push(line);
        }
    }
    if more > 0 {
        kept.push(format!("- and {more} more"));
    }
    kept
}

fn open_line(known: &KnownPull, traits: &ForgeTraits) -> String {
    let pull = &known.pull;
    let number = markdown::link(&format!("{}{}", traits.sigil, pull.number), &pull.url);
    let mut line = format!("- [ ] <!-- tagboat:rebuild={} -->{number} {}", pull.number, markdown::text(&pull.title));
    for (holds, says) in [
        (pull.draft, "draft"),
        (pull.merging, "about to be merged"),
        (known.foreign, "edited by others, not kept up to date"),
    ] {
        if holds {
            line.extend([", ", says]);
        }
    }
    line
}

fn with_reason(decision: &Decision) -> String {
    let Decision { environment, entry, reasons, .. } = decision;
    let why = reasons.first().map(|reason| markdown::sentence(&reason.to_string())).unwrap_or_default();
    format!("**{}** in {}: {why}", markdown::text(entry.as_str()), markdown::text(environment.as_str()))
}

/// A version that waits, with its gates.
fn waiting_line(decision: &Decision) -> String {
    let Decision { environment, entry, version, .. } = decision;
    let mark = match version {
        Some(version) => format!("[ ] <!-- tagboat:skip={environment}/{entry}/{} -->", version.tag),
        None => String::new(),
    };
    let mut line = format!("- {mark}{}", with_reason(decision));
    for gate in &decision.gates {
        let text = markdown::sentence(&gate.text);
        line.extend(["\n  - ", symbol(gate.state), " `", gate.name.as_str(), "` ", text.as_str()]);
    }
    line
}

fn hold_line(hold: &Hold) -> String {
    format!("- [ ] <!-- tagboat:release={} -->{}", hold.id, markdown::sentence(&hold.to_string()))
}

fn limits_line(limits: Limits, name: &str) -> String {
    let open = limits.open_pull_requests.map(|most| format!("at most {most} {name}s are open"));
    let hourly = limits.per_hour.map(|most| format!("at most {most} are opened within an hour"));
    let said: Vec<String> = open.into_iter().chain(hourly).collect();
    if said.is_empty() { "There are no limits any more.".to_owned() } else { format!("Limits: {}.", said.join(", ")) }
}

fn up_to_date<'d>(decisions: impl Iterator<Item = &'d Decision>) -> Option<String> {
    let mut count = 0_usize;
    let lines = decisions.map(|decision| {
        count += 1;
        let Decision { environment, entry, current, .. } = decision;
        let (entry, environment) = (markdown::text(entry.as_str()), markdown::text(environment.as_str()));
        format!("- {entry} in {environment}: {}", current_versions(current))
    });
    let lines = fitting(lines);
    if lines.is_empty() {
        return None;
    }
    Some(format!("<details><summary>Up to date: {count}</summary>\n\n{}\n\n</details>", lines.join("\n")))
}

/// What people ask for by the boxes that they ticked: commands, those about a pull request with its number.
#[must_use]
pub fn ticked(body: &str) -> Vec<(Option<u64>, Command)> {
    body.lines().filter_map(ticked_line).filter_map(command_of).collect()
}

/// `<!-- tagboat:verb=about -->`, then anything.
fn command_of(text: &str) -> Option<(Option<u64>, Command)> {
    let (mark, _) = text.strip_prefix("<!-- tagboat:")?.split_once(" -->")?;
    let (verb, about) = mark.split_once('=')?;
    match verb {
        "rebuild" => Some((Some(about.parse().ok()?), Command::Rebuild)),
        "release" => Some((None, Command::Release { target: Target::default(), id: Some(about.parse().ok()?) })),
        "skip" => {
            let mut parts = about.split('/');
            let environment: EnvironmentName = parts.next()?.parse().ok()?;
            let entry: EntryName = parts.next()?.parse().ok()?;
            let version: Tag = parts.next()?.parse().ok()?;
            let target = Target { environment: Some(environment), entry: Some(entry) };
            Some((None, Command::Skip { target, version: Some(version.to_string()) }))
        }
        _ => None,
    }
}
