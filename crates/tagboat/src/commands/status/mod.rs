//! `tagboat status`: what runs in the environments of a server, what is offered, and what stands in between.
//!
//! What is not known of an answer is passed over, so that the server may be newer than this program.

use serde::Deserialize;
use serde_json::Value;
use tagboat_model::{Gate, Timestamp};
use tagboat_ports::Clock as _;

use crate::{
    cli::{Output, Status},
    commands::{
        acts::{api::Api, board_path},
        words::{self, safe},
    },
    exit::{Code, Failure},
    output::{self, BOLD, DIM, RED, YELLOW, styled},
    system::SystemClock,
};

#[derive(Debug, Deserialize)]
struct Board {
    environments: Vec<Environment>,
}

#[derive(Debug, Deserialize)]
struct Environment {
    tenant: String,
    repository: String,
    environment: String,
    #[serde(default)]
    images: Vec<Image>,
}

#[derive(Debug, Deserialize)]
struct Image {
    entry: String,
    #[serde(default)]
    current: Vec<String>,
    version: Option<Version>,
    since: Option<Timestamp>,
    offered: Option<Offered>,
    #[serde(default)]
    gates: Vec<Value>,
    #[serde(default)]
    holds: Vec<Held>,
    decision: Option<Decided>,
    /// An older server does not say it.
    next: Option<Next>,
}

#[derive(Debug, Deserialize)]
struct Version {
    tag: String,
}

#[derive(Debug, Deserialize)]
struct Offered {
    number: u64,
    version: Version,
}

#[derive(Debug, Deserialize)]
struct Held {
    id: String,
    words: String,
}

#[derive(Debug, Deserialize)]
struct Next {
    state: String,
    words: String,
}

#[derive(Debug, Deserialize)]
struct Decided {
    outcome: String,
    version: Option<Version>,
}

pub(crate) async fn run(arguments: &Status) -> Result<Code, Failure> {
    let api = Api::of(&arguments.reach)?;
    let path = board_path(arguments.repository.as_ref(), arguments.tenant.as_ref());
    let (board, whole): (Board, Value) = api.get(&path).await?;
    match arguments.reach.output {
        Output::Json => output::line(whole.to_string()),
        Output::Text => {
            if let Some(detail) = api.trouble().await {
                output::line(styled(RED, format!("deliveries are not stored: {}", safe(&detail))));
            }
            in_words(&board, SystemClock.now()).iter().for_each(output::line);
        }
    }
    Ok(if board.environments.is_empty() { Code::Nothing } else { Code::Ok })
}

/// A row of the table: its cells, and what stands below it.
struct Row {
    cells: [String; 5],
    below: Vec<String>,
}

const HEAD: [&str; 5] = ["ENVIRONMENT", "IMAGE", "RUNS", "SINCE", "NEXT"];

fn in_words(board: &Board, now: Timestamp) -> Vec<String> {
    if board.environments.is_empty() {
        return vec!["nothing is known to run".to_owned()];
    }
    let whose = |environment: &Environment| (environment.tenant.clone(), environment.repository.clone());
    let first = board.environments.first().map(whose);
    let several = board.environments.iter().any(|environment| Some(whose(environment)) != first);
    let rows: Vec<Row> = board
        .environments
        .iter()
        .flat_map(|environment| environment.images.iter().map(move |image| row(environment, image, several, now)))
        .collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; 5]| {
        let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![styled(BOLD, line(&HEAD.map(str::to_owned)))];
    for row in &rows {
        lines.push(line(&row.cells));
        lines.extend(row.below.iter().cloned());
    }
    lines
}

fn row(environment: &Environment, image: &Image, several: bool, now: Timestamp) -> Row {
    let name = match several {
        true => format!("{}/{}: {}", environment.tenant, environment.repository, environment.environment),
        false => environment.environment.clone(),
    };
    let runs = match &image.version {
        Some(version) => version.tag.clone(),
        None if image.current.is_empty() => "-".to_owned(),
        None => image.current.join(", "),
    };
    let since = image.since.map_or_else(|| "-".to_owned(), |since| ago(since, now));
    let mut below: Vec<String> = image
        .holds
        .iter()
        .map(|hold| styled(YELLOW, format!("  {} ({})", safe(&hold.words), safe(&hold.id))))
        .collect();
    let gates = image.gates.iter().filter_map(|gate| Gate::deserialize(gate).ok());
    below.extend(gates.filter(|gate| !gate.is_passed()).map(|gate| styled(DIM, format!("  {}", words::gate(&gate)))));
    if image.decision.as_ref().is_some_and(|decision| decision.outcome == "blocked") {
        below.push(styled(RED, format!("  blocked; `tagboat explain {}` says why", safe(&image.entry))));
    }
    let cells = [name, image.entry.clone(), runs, since, next(image)].map(|cell| safe(&cell));
    Row { cells, below }
}

/// What comes next, in a few words.
fn next(image: &Image) -> String {
    if let Some(next) = &image.next {
        let is_over = matches!(next.state.as_str(), "unknown" | "nothing" | "updated");
        return if is_over { "-".to_owned() } else { next.words.clone() };
    }
    if let Some(offered) = &image.offered {
        return format!("{} offered in #{}", offered.version.tag, offered.number);
    }
    let Some(decision) = &image.decision else { return "-".to_owned() };
    let version = decision.version.as_ref().map_or("", |version| version.tag.as_str());
    match decision.outcome.as_str() {
        "waiting" => format!("{version} waits"),
        "offered" => format!("{version} offered"),
        "blocked" => "blocked".to_owned(),
        _ => "-".to_owned(),
    }
}

/// `3h ago`
fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(then).milliseconds() / 1000;
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m ago", seconds / 60),
        3600..86400 => format!("{}h ago", seconds / 3600),
        _ => format!("{}d ago", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;

    fn lines(board: Value) -> Vec<String> {
        let board: Board = serde_json::from_value(board).unwrap();
        in_words(&board, Timestamp(7_200_000))
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect()
    }

    fn environment(repository: &str, name: &str, image: &Value) -> Value {
        json!({ "tenant": "default", "repository": repository, "environment": name, "images": [image] })
    }

    #[test]
    fn the_table_shows_what_runs_what_is_offered_and_what_stands_in_between() {
        let dev =
            json!({ "entry": "web", "version": { "tag": "1.5.0" }, "since": 0, "decision": { "outcome": "nothing" } });
        let prod = json!({
            "entry": "web", "current": ["1.4.0"], "version": null, "since": null,
            "offered": { "number": 12, "version": { "tag": "1.5.0" } },
            "holds": [{ "id": "h-1", "words": "all of prod is frozen by Ann\u{1b}[2J" }],
            "gates": [
                { "name": "soak", "state": "passed", "holds": "offer", "text": "passed" },
                { "name": "approvals", "state": "waiting", "holds": "merge", "text": "waiting: 0 of 1" },
                { "name": "of another age", "state": "waiting" },
            ],
            "decision": { "outcome": "offered", "version": { "tag": "1.5.0" } },
        });
        let board =
            json!({ "environments": [environment("config", "dev", &dev), environment("config", "prod", &prod)] });
        assert_eq!(
            lines(board),
            [
                "ENVIRONMENT  IMAGE  RUNS   SINCE   NEXT",
                "dev          web    1.5.0  2h ago  -",
                "prod         web    1.4.0  -       1.5.0 offered in #12",
                "  all of prod is frozen by Ann\\u{1b}[2J (h-1)",
                "  waits: approvals waiting: 0 of 1",
            ]
        );
        assert_eq!(lines(json!({ "environments": [] })), ["nothing is known to run"]);
    }

    #[test]
    fn what_the_server_says_comes_next_is_told_in_its_words() {
        let next = |state: &str, words: &str| {
            let image = json!({
                "entry": "web", "version": { "tag": "1.5.0" }, "next": { "state": state, "words": words },
                "decision": { "outcome": "offered", "version": { "tag": "1.5.0" } },
            });
            let lines = lines(json!({ "environments": [environment("config", "prod", &image)] }));
            lines[1].rsplit("  ").next().unwrap().to_owned()
        };
        assert_eq!(next("refused", "1.6.0 refused (#3 was closed)"), "1.6.0 refused (#3 was closed)");
        assert_eq!(next("nothing", "nothing newer"), "-");
    }

    #[test]
    fn config_repositories_are_named_where_there_are_several() {
        let image = json!({ "entry": "web", "decision": { "outcome": "blocked" } });
        let board = json!({ "environments": [environment("a", "dev", &image), environment("b", "dev", &image)] });
        assert_eq!(
            lines(board)[1..3],
            ["default/a: dev  web    -     -      blocked", "  blocked; `tagboat explain web` says why"]
        );
    }
}
