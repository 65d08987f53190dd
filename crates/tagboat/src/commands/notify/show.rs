//! What people and programs read of `tagboat notify`.

use std::io::IsTerminal as _;

use serde_json::{Value, json};
use tagboat_manifest::NewImage;
use tagboat_model::EventId;
use tagboat_server::Fate;

use crate::{
    cli::Output,
    commands::notify::answer::{Announced, Followed, Hindrance},
    output::{self, BOLD, DIM, GREEN, RED, YELLOW, styled},
};

/// Tells what is under way, to whoever reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Teller(pub(super) bool);

impl Teller {
    /// To people, and to programs that somebody watches.
    pub(super) fn new(output: Output) -> Self {
        Self(output == Output::Text || std::io::stderr().is_terminal())
    }

    pub(super) fn tell(self, text: &str) {
        if self.0 {
            output::progress(styled(DIM, text));
        }
    }
}

/// `ghcr.io/acme/web:1.5.0`
fn name(image: &NewImage) -> String {
    styled(BOLD, format!("{}:{}", image.name, image.tag))
}

/// What became of the announcement, one line each.
pub(super) fn announced(image: &NewImage, announced: &Announced) -> Vec<String> {
    match announced {
        Announced::Event { id, receiver, again } => {
            let before = if *again { " before" } else { "" };
            vec![format!(
                "{}: {} as {id} by receiver {receiver}",
                name(image),
                styled(GREEN, format!("accepted{before}"))
            )]
        }
        Announced::Ignored { receiver, reasons } => {
            let mut lines = vec![format!("{}: {} by receiver {receiver}", name(image), styled(YELLOW, "ignored"))];
            lines.extend(reasons.iter().map(|reason| format!("  - {reason}")));
            lines
        }
    }
}

/// What became of the event, one line each, with the reasons of whatever is not a commit.
pub(super) fn followed(image: &NewImage, followed: &Followed) -> Vec<String> {
    let what = match followed.fate {
        Fate::Waiting => styled(YELLOW, "waiting"),
        Fate::Unwanted => styled(YELLOW, "no config repository wants it"),
        Fate::Committed => styled(GREEN, "committed"),
        Fate::Offered => styled(GREEN, "offered by pull request"),
        Fate::Held => styled(YELLOW, "waits for a gate, a hold or a limit"),
        Fate::Nothing => "nothing to do".to_owned(),
        Fate::Unusable => styled(RED, "cannot be used"),
        Fate::Blocked => styled(RED, "blocked, a person has to act"),
    };
    let mut lines = vec![format!("{}: {what}", name(image))];
    for taken in &followed.decisions {
        lines.push(format!("  {}", taken.line()));
        if followed.fate != Fate::Committed {
            lines.extend(taken.reasons(&image.tag).iter().map(|reason| format!("    - {reason}")));
        }
        lines.extend(taken.gates().iter().map(|gate| format!("    {gate}")));
    }
    if followed.fate == Fate::Unusable && followed.decisions.iter().any(|taken| taken.may_pass(&image.tag)) {
        lines.push("  what may pass is looked at again by itself; it is committed once it can be used".to_owned());
    }
    lines
}

/// That time is up before every config repository has decided, with what keeps them.
pub(super) fn not_in_time(id: &EventId, server: &str, problems: &[Hindrance]) -> String {
    let mut text = format!("{id} is accepted, but not decided in time by every config repository that wants it");
    for problem in problems {
        text.push_str("; ");
        text.push_str(&problem.line_with_time());
    }
    format!("{text}; what becomes of it shows at {server}/api/v1/events/{id}")
}

/// For programs: the server's answer to the announcement, with the key under which it was made, and fate and decisions
/// of the event where they were waited for.
pub(super) fn in_json(key: &str, announced: Value, followed: Option<&Value>) -> Value {
    let mut whole = announced;
    if let Some(whole) = whole.as_object_mut() {
        whole.insert("idempotencyKey".to_owned(), json!(key));
        for name in ["fate", "decisions"] {
            if let Some(value) = followed.and_then(|followed| followed.get(name)) {
                whole.insert(name.to_owned(), value.clone());
            }
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    fn image() -> NewImage {
        crate::commands::update::image("ghcr.io/acme/web:1.5.0").unwrap()
    }

    #[test]
    fn an_announcement_is_told_in_one_line_and_its_reasons() {
        let event = |again| Announced::Event { id: "ev-1".parse().unwrap(), receiver: "ci".to_owned(), again };
        let line = plain(&announced(&image(), &event(false)));
        assert_eq!(line, ["ghcr.io/acme/web:1.5.0: accepted as ev-1 by receiver ci"]);
        let line = plain(&announced(&image(), &event(true)));
        assert_eq!(line, ["ghcr.io/acme/web:1.5.0: accepted before as ev-1 by receiver ci"]);
        let ignored = Announced::Ignored { receiver: "ci".to_owned(), reasons: vec!["no tag".to_owned()] };
        assert_eq!(
            plain(&announced(&image(), &ignored)),
            ["ghcr.io/acme/web:1.5.0: ignored by receiver ci", "  - no tag"]
        );
    }

    #[test]
    fn reasons_are_told_where_nothing_was_committed() {
        let of = |fate: &str, outcome: &str| {
            let body = json!({ "fate": fate, "decisions": [{
                "decision": { "environment": "dev", "entry": "web", "outcome": outcome, "current": ["1.4.0"], "version": { "tag": "1.5.0" } },
                "commit": "abc1234567def", "explanation": ["so it is"],
            }] });
            plain(&followed(&image(), &serde_json::from_value(body).unwrap()))
        };
        assert_eq!(
            of("committed", "update"),
            ["ghcr.io/acme/web:1.5.0: committed", "  dev: web 1.4.0 -> 1.5.0 in commit abc1234567"]
        );
        assert_eq!(
            of("blocked", "blocked"),
            ["ghcr.io/acme/web:1.5.0: blocked, a person has to act", "  dev: web 1.4.0, blocked", "    - so it is"]
        );
    }

    #[test]
    fn an_offer_is_told_with_the_number_of_its_pull_request_and_its_gates() {
        let body = json!({ "fate": "offered", "decisions": [{
            "decision": {
                "environment": "prod", "entry": "web", "outcome": "offered", "current": ["1.4.0"], "version": { "tag": "1.5.0" },
                "reasons": [{ "code": "inPullRequest", "number": 12 }],
                "gates": [{ "name": "approvals", "state": "waiting", "holds": "merge", "text": "waiting: 0 of 1" }],
            },
            "explanation": ["#12 brings 1.5.0"],
        }] });
        assert_eq!(
            plain(&followed(&image(), &serde_json::from_value(body).unwrap())),
            [
                "ghcr.io/acme/web:1.5.0: offered by pull request",
                "  prod: web 1.4.0 -> 1.5.0 offered in #12",
                "    - #12 brings 1.5.0",
                "    waits: approvals waiting: 0 of 1",
            ]
        );
    }

    #[test]
    fn what_cannot_be_used_is_told_with_whether_that_may_pass() {
        let of = |reason: Value, sentence: &str| {
            let body = json!({ "fate": "unusable", "decisions": [{
                "decision": { "environment": "dev", "entry": "web", "outcome": "nothing", "current": ["1.4.0"], "reasons": [reason] },
                "explanation": [sentence],
            }] });
            plain(&followed(&image(), &serde_json::from_value(body).unwrap()))
        };
        let missing = json!({ "code": "notAtRegistry", "tag": "1.5.0", "image": "ghcr.io/acme/web" });
        let head = ["ghcr.io/acme/web:1.5.0: cannot be used", "  dev: web stays at 1.4.0"];
        let told = of(missing, "it is not there");
        assert_eq!(told[..2], head);
        let again = "  what may pass is looked at again by itself; it is committed once it can be used";
        assert_eq!(told[2..], ["    - it is not there", again]);
        let chart = json!({ "code": "notAnImage", "tag": "1.5.0", "detail": "a chart" });
        assert_eq!(of(chart, "it is a chart")[2..], ["    - it is a chart"]);
    }

    #[test]
    fn when_time_is_up_it_is_told_what_keeps_it() {
        let id: EventId = "ev-1".parse().unwrap();
        let at_first = not_in_time(&id, "https://tagboat.example", &[]);
        assert!(
            at_first.ends_with("that wants it; what becomes of it shows at https://tagboat.example/api/v1/events/ev-1")
        );
        let problem =
            json!({ "branch": "default/config#main", "problem": "refused", "againAt": 1_795_662_000_000_i64 });
        let problem: Hindrance = serde_json::from_value(problem).unwrap();
        let told = not_in_time(&id, "https://tagboat.example", &[problem]);
        let expected = "not decided in time by every config repository that wants it; config#main: refused; next try at 2026-11-26T03:00:00Z; what";
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn programs_get_what_the_server_said() {
        let said = json!({ "verdict": "accepted", "id": "ev-1" });
        let event = json!({ "fate": "nothing", "event": { "id": "ev-1" }, "decisions": [] });
        assert_eq!(
            in_json("k", said, Some(&event)),
            json!({ "verdict": "accepted", "id": "ev-1", "idempotencyKey": "k", "fate": "nothing", "decisions": [] })
        );
    }
}
