//! What the server's answers mean: for the request itself, for the command's exit code, and in words.
//!
//! Pure. The contract is that of `POST /api/v1/events` and `GET /api/v1/events/<id>`; what is not known of an answer is
//! passed over, so that the server may be newer than this program.

use std::{iter, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use tagboat_model::{EventId, Gate, Reason, Tag, TenantName, Timestamp, shown};
use tagboat_server::Fate;

use crate::{
    commands::words,
    exit::{Code, Failure},
    output::short,
};

/// However long a server asks to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// The middle of the first wait between two tries, and the longest that is not asked for.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// An answer of a server, read to its end.
#[derive(Debug, Clone, Default)]
pub(in crate::commands) struct Answer {
    pub(in crate::commands) status: u16,
    /// For how long it asks us to stay away.
    pub(in crate::commands) retry_after: Option<Duration>,
    pub(in crate::commands) body: Vec<u8>,
}

impl Answer {
    /// Whether the same request may be answered otherwise later.
    pub(in crate::commands) fn may_pass(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..=599)
    }

    /// `{"error": "…"}`
    pub(in crate::commands) fn error(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body.get("error").and_then(Value::as_str).map(shown)
    }
}

/// What the server says of an announcement.
#[derive(Debug, Deserialize)]
struct Told {
    verdict: String,
    #[serde(default)]
    receiver: String,
    id: Option<String>,
    #[serde(default)]
    reasons: Vec<String>,
}

/// What became of an announcement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Announced {
    /// It is an event now, or was one before.
    Event {
        id: EventId,
        receiver: String,
        /// It was said before.
        again: bool,
    },
    /// It is of no interest.
    Ignored { receiver: String, reasons: Vec<String> },
}

/// Read the answer to an announcement.
pub(super) fn announced(answer: &Answer) -> Result<(Announced, Value), Failure> {
    check(answer)?;
    let (told, whole): (Told, Value) = read(answer)?;
    let receiver = shown(&told.receiver);
    let announced = match (told.verdict.as_str(), told.id) {
        (verdict @ ("accepted" | "duplicate"), Some(id)) => {
            let id = id.parse::<EventId>().map_err(|_| not_tagboat())?;
            Announced::Event { id, receiver, again: verdict == "duplicate" }
        }
        ("accepted", None) => return Err(not_tagboat()),
        _ => Announced::Ignored { receiver, reasons: told.reasons.iter().map(|reason| shown(reason)).collect() },
    };
    Ok((announced, whole))
}

/// How the command ends.
pub(super) fn code(fate: Fate) -> Code {
    match fate {
        Fate::Committed | Fate::Offered | Fate::Nothing => Code::Ok,
        Fate::Held => Code::Pending,
        Fate::Unwanted => Code::Nothing,
        Fate::Unusable | Fate::Blocked => Code::Refused,
        // Only when time is up.
        Fate::Waiting => Code::Failed,
    }
}

/// An event with what was decided about it.
#[derive(Debug, Deserialize)]
pub(super) struct Followed {
    pub(super) fate: Fate,
    #[serde(default)]
    pub(super) decisions: Vec<Taken>,
    #[serde(default)]
    pub(super) problems: Vec<Hindrance>,
}

/// What keeps a config repository from deciding.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hindrance {
    branch: String,
    problem: String,
    again_at: Option<Timestamp>,
}

/// One decision.
#[derive(Debug, Deserialize)]
pub(super) struct Taken {
    decision: Decided,
    commit: Option<String>,
    #[serde(default)]
    explanation: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Decided {
    environment: String,
    entry: String,
    outcome: String,
    #[serde(default)]
    current: Vec<String>,
    version: Option<Chosen>,
    /// In the order of the sentences that explain them.
    #[serde(default)]
    reasons: Vec<Value>,
    /// Those of a newer server may be of names that are not known here.
    #[serde(default)]
    gates: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Chosen {
    tag: String,
}

/// Read the answer to a question about an event.
pub(super) fn followed(answer: &Answer) -> Result<(Followed, Value), Failure> {
    check(answer)?;
    read(answer)
}

impl Taken {
    /// `dev: web 1.4.0 -> 1.5.0 in commit abc1234567`
    pub(super) fn line(&self) -> String {
        let Decided { environment, entry, outcome, current, version, .. } = &self.decision;
        let (environment, entry, current) = (shown(environment), shown(entry), shown(&current.join(", ")));
        let tag = version.as_ref().map_or_else(String::new, |version| shown(&version.tag));
        let what = match (outcome.as_str(), &self.commit) {
            ("update", Some(commit)) => format!("{current} -> {tag} in commit {}", short(&shown(commit))),
            ("update", None) => format!("{current} -> {tag}, not on the branch yet"),
            ("offered", _) => format!("{current} -> {tag} offered{}", self.pull_request()),
            ("waiting", _) => format!("{current}, and {tag} waits"),
            ("blocked", _) => format!("{current}, blocked"),
            _ => format!("stays at {current}"),
        };
        format!("{environment}: {entry} {what}")
    }

    /// ` in #12`; the number may not be known yet.
    fn pull_request(&self) -> String {
        let number = self.decision.reasons.iter().find_map(|reason| {
            let is_one = reason.get("code").and_then(Value::as_str) == Some("inPullRequest");
            reason.get("number").and_then(Value::as_u64).filter(|_| is_one)
        });
        number.map_or_else(|| " in a pull request".to_owned(), |number| format!(" in #{number}"))
    }

    /// The gates that have not passed, a line each.
    pub(super) fn gates(&self) -> Vec<String> {
        let gates = self.decision.gates.iter().filter_map(|gate| Gate::deserialize(gate).ok());
        gates.filter(|gate| !gate.is_passed()).map(|gate| words::gate(&gate)).collect()
    }

    /// Why, most important first, as far as it is about this tag or about none: what was announced before is of no
    /// interest now.
    pub(super) fn reasons(&self, tag: &Tag) -> Vec<String> {
        let reasons = self.decision.reasons.iter().map(Some).chain(iter::repeat(None));
        let sentences = self.explanation.iter().zip(reasons);
        let about = sentences.filter(|(_, reason)| reason.is_none_or(|reason| is_about(reason, tag)));
        about.map(|(sentence, _)| shown(sentence)).collect()
    }

    /// Whether something is against the use of this tag that may pass by itself.
    pub(super) fn may_pass(&self, tag: &Tag) -> bool {
        let reasons = self.decision.reasons.iter().filter_map(|reason| Reason::deserialize(reason).ok());
        reasons.filter(|reason| reason.tag() == Some(tag)).any(|reason| reason.is_against_use() && reason.may_pass())
    }
}

/// Whether a reason is about this tag, or about none. How many more there are is about others.
fn is_about(reason: &Value, tag: &Tag) -> bool {
    let text = |name: &str| reason.get(name).and_then(Value::as_str);
    text("code") != Some("andMore") && text("tag").is_none_or(|other| other == tag.as_str())
}

impl Hindrance {
    /// `config#main: the Git server refused the push: …`
    pub(super) fn line(&self) -> String {
        let of_default =
            self.branch.strip_prefix(TenantName::default().as_str()).and_then(|rest| rest.strip_prefix('/'));
        format!("{}: {}", shown(of_default.unwrap_or(&self.branch)), shown(&self.problem))
    }

    /// And when it is tried again.
    pub(super) fn line_with_time(&self) -> String {
        let again = self.again_at.map_or_else(String::new, |at| format!("; next try at {at}"));
        format!("{}{again}", self.line())
    }
}

/// Whether there is an answer to read, or else why not.
fn check(answer: &Answer) -> Result<(), Failure> {
    let told = answer.error();
    let (code, usual) = match answer.status {
        200 | 202 => return Ok(()),
        400 => (Code::Invalid, "the server cannot use what it was sent"),
        401 => (Code::Refused, "no receiver of the server believes this job"),
        403 => (Code::Refused, "this job is not permitted to say this"),
        409 => (Code::Refused, "more than one tenant may be meant; name the receiver with `--receiver`"),
        422 => (Code::Refused, "the idempotency key was used for something else"),
        300..=399 => (
            Code::Failed,
            "the server sends us elsewhere, which is not followed with a credential; give its own address",
        ),
        404 if told.is_some() => (Code::Refused, "there is no such event"),
        404 | 405 | 501 => (Code::Failed, "there is no Tagboat server at this address, or it is an old one"),
        _ => (Code::Failed, "the server gives no answer that can be used"),
    };
    let detail = told.unwrap_or_else(|| usual.to_owned());
    Err(Failure { code, message: format!("{detail} (status {})", answer.status) })
}

fn read<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<(T, Value), Failure> {
    let whole: Value = serde_json::from_slice(&answer.body).map_err(|_| not_tagboat())?;
    let read = T::deserialize(&whole).map_err(|_| not_tagboat())?;
    Ok((read, whole))
}

fn not_tagboat() -> Failure {
    let message = "the answer is not one of a Tagboat server that this program understands; is the address right?";
    Failure { code: Code::Failed, message: message.to_owned() }
}

/// How long to wait after try number `tries` (from 1). `jitter` is from 0 to 1: without it, all who failed together
/// come again together.
pub(super) fn back_off(tries: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    let middle = WAITS.0.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(WAITS.1);
    middle.mul_f64(0.5 + jitter.clamp(0.0, 1.0)).max(asked.unwrap_or_default())
}

/// `Retry-After` in both of its forms (RFC 9110 section 10.2.3).
pub(super) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let asked = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        moment(text)?.since(now).into()
    };
    Some(asked.min(LONGEST_PAUSE))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sat, 21 Nov 2026 08:00:30 GMT`
fn moment(text: &str) -> Option<Timestamp> {
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = parts.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    format!("{year}-{month:02}-{day}T{time}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, retry_after: None, body: body.as_bytes().to_vec() }
    }

    const ACCEPTED: &str = r#"{"verdict":"accepted","receiver":"ci","id":"ev-1","events":["ev-1"],"reasons":[]}"#;

    #[test]
    fn an_announcement_is_an_event_or_ignored() {
        let event = |again| Announced::Event { id: "ev-1".parse().unwrap(), receiver: "ci".to_owned(), again };
        let ignored = |reasons: &[&str]| Announced::Ignored {
            receiver: "ci".to_owned(),
            reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        };
        let duplicate = ACCEPTED.replace("accepted", "duplicate");
        for (status, body, expected) in [
            (202, ACCEPTED, event(false)),
            (200, &duplicate, event(true)),
            (202, &ACCEPTED.replace("\"reasons\"", "\"later\":{\"x\":[1]},\"reasons\""), event(false)),
            (200, r#"{"verdict":"ignored","receiver":"ci","reasons":["no tag"]}"#, ignored(&["no tag"])),
            (
                200,
                r#"{"verdict":"duplicate","receiver":"ci","id":null,"events":[],"reasons":["b\u001b[2J"]}"#,
                ignored(&["b [2J"]),
            ),
            (200, r#"{"verdict":"unparsable","receiver":"ci"}"#, ignored(&[])),
        ] {
            assert_eq!(announced(&answer(status, body)).unwrap().0, expected, "{body}");
        }
    }

    #[test]
    fn a_refusal_ends_the_command_with_what_the_server_said() {
        let said = r#"{"error":"because"}"#;
        for (status, body, code, message) in [
            (400, said, Code::Invalid, "because (status 400)"),
            (401, said, Code::Refused, "because (status 401)"),
            (401, "", Code::Refused, "no receiver of the server believes this job (status 401)"),
            (403, said, Code::Refused, "because (status 403)"),
            (403, "<html>", Code::Refused, "this job is not permitted to say this (status 403)"),
            (404, said, Code::Refused, "because (status 404)"),
            (409, said, Code::Refused, "because (status 409)"),
            (422, said, Code::Refused, "because (status 422)"),
            (
                404,
                "<html>",
                Code::Failed,
                "there is no Tagboat server at this address, or it is an old one (status 404)",
            ),
            (413, said, Code::Failed, "because (status 413)"),
            (204, "", Code::Failed, "the server gives no answer that can be used (status 204)"),
            (503, "", Code::Failed, "the server gives no answer that can be used (status 503)"),
        ] {
            for failure in [announced(&answer(status, body)).unwrap_err(), followed(&answer(status, body)).unwrap_err()]
            {
                assert_eq!((failure.code, failure.message.as_str()), (code, message));
            }
        }
        let elsewhere = announced(&answer(307, "")).unwrap_err();
        assert!(elsewhere.code == Code::Failed && elsewhere.message.contains("not followed"), "{elsewhere:?}");
    }

    #[test]
    fn a_page_of_somebody_else_is_no_answer() {
        for body in [
            "",
            "<html>welcome</html>",
            "{}",
            "[]",
            r#"{"verdict":"accepted"}"#,
            r#"{"verdict":"accepted","id":"../../etc"}"#,
            r#"{"verdict":"accepted","id":7}"#,
        ] {
            assert_eq!(announced(&answer(200, body)).unwrap_err().code, Code::Failed, "{body}");
        }
        for body in ["", "{}", r#"{"fate":"of another age"}"#, r#"{"fate":"waiting","decisions":[{}]}"#] {
            assert_eq!(followed(&answer(200, body)).unwrap_err().code, Code::Failed, "{body}");
        }
    }

    #[test]
    fn a_fate_is_an_exit_code() {
        for (fate, code) in [
            ("waiting", Code::Failed),
            ("unwanted", Code::Nothing),
            ("committed", Code::Ok),
            ("offered", Code::Ok),
            ("held", Code::Pending),
            ("nothing", Code::Ok),
            ("unusable", Code::Refused),
            ("blocked", Code::Refused),
        ] {
            let body = format!(r#"{{"fate":"{fate}","event":{{}},"decisions":[]}}"#);
            assert_eq!(self::code(followed(&answer(200, &body)).unwrap().0.fate), code, "{fate}");
        }
    }

    #[test]
    fn a_decision_is_one_line() {
        let line = |outcome: &str, version: &str, commit: &str| {
            let decision = format!(
                r#"{{"environment":"dev","entry":"web","image":"r/web","outcome":"{outcome}","current":["1.4.0"],"version":{version},"reasons":[]}}"#
            );
            let body = format!(
                r#"{{"fate":"waiting","decisions":[{{"id":"d-1","key":{{}},"decision":{decision},"commit":{commit},"explanation":["so\nit is"]}}]}}"#
            );
            let (followed, _) = followed(&answer(200, &body)).unwrap();
            assert_eq!(followed.decisions[0].reasons(&"1.5.0".parse().unwrap()), ["so it is"]);
            followed.decisions[0].line()
        };
        let version = r#"{"tag":"1.5.0","digest":"sha256:00"}"#;
        let commit = "\"abc1234567def1234567abc1234567def1234567\"";
        assert_eq!(line("update", version, commit), "dev: web 1.4.0 -> 1.5.0 in commit abc1234567");
        assert_eq!(line("update", version, "null"), "dev: web 1.4.0 -> 1.5.0, not on the branch yet");
        assert_eq!(line("nothing", "null", "null"), "dev: web stays at 1.4.0");
        assert_eq!(line("blocked", "null", "null"), "dev: web 1.4.0, blocked");
        assert_eq!(line("offered", version, "null"), "dev: web 1.4.0 -> 1.5.0 offered in a pull request");
        assert_eq!(line("waiting", version, "null"), "dev: web 1.4.0, and 1.5.0 waits");
    }

    #[test]
    fn a_pull_request_is_named_and_gates_that_wait_are_told() {
        let body = r#"{"fate":"offered","decisions":[{"commit":null,"decision":{
            "environment":"prod","entry":"web","outcome":"offered","current":["1.4.0"],"version":{"tag":"1.5.0"},
            "reasons":[{"code":"selected","tag":"1.5.0"},{"code":"inPullRequest","version":{},"number":12}],
            "gates":[
                {"name":"soak","state":"passed","holds":"offer","text":"passed: long enough"},
                {"name":"approvals","state":"waiting","holds":"merge","text":"waiting: 0 of 1"},
                {"name":"of another age","state":"waiting","holds":"merge","text":"x"}
            ]}}]}"#;
        let (followed, _) = followed(&answer(200, body)).unwrap();
        assert_eq!(followed.decisions[0].line(), "prod: web 1.4.0 -> 1.5.0 offered in #12");
        assert_eq!(followed.decisions[0].gates(), ["waits: approvals waiting: 0 of 1"]);
    }

    #[test]
    fn reasons_about_other_tags_are_left_out() {
        let body = r#"{"fate":"unusable","decisions":[{
            "decision":{"environment":"dev","entry":"web","outcome":"nothing","reasons":[
                {"code":"nothingBetter","current":"1.4.0","policy":"semver"},
                {"code":"notAtRegistry","tag":"1.4.9","image":"r.example/web"},
                {"code":"andMore","count":3},
                {"code":"of another age","tag":"1.5.0"},
                {"code":"notAtRegistry","tag":"1.5.0","image":"r.example/web"}
            ]},
            "commit":null,"explanation":["nothing better","1.4.9 is missing","and 3 more","it rains","1.5.0 is missing","a word"]
        }]}"#;
        let (followed, _) = followed(&answer(200, body)).unwrap();
        let (taken, tag) = (&followed.decisions[0], |text: &str| text.parse::<Tag>().unwrap());
        assert_eq!(taken.reasons(&tag("1.5.0")), ["nothing better", "it rains", "1.5.0 is missing", "a word"]);
        assert_eq!(taken.reasons(&tag("1.6.0")), ["nothing better", "a word"]);
        assert!(taken.may_pass(&tag("1.5.0")) && !taken.may_pass(&tag("1.6.0")));
    }

    #[test]
    fn what_keeps_a_branch_is_one_line() {
        let body = r#"{"fate":"waiting","problems":[
            {"branch":"default/config#main","problem":"refused:\nfrozen","againAt":1795662000000},
            {"branch":"other/config#main","problem":"refused","againAt":null}
        ]}"#;
        let (followed, _) = followed(&answer(200, body)).unwrap();
        let lines: Vec<String> = followed.problems.iter().map(Hindrance::line_with_time).collect();
        assert_eq!(
            lines,
            ["config#main: refused: frozen; next try at 2026-11-26T03:00:00Z", "other/config#main: refused"]
        );
        assert_eq!(followed.problems[0].line(), "config#main: refused: frozen");
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(answer(status, "").may_pass(), "{status}");
        }
        for status in [200, 202, 204, 301, 307, 400, 401, 403, 404, 409, 413, 422] {
            assert!(!answer(status, "").may_pass(), "{status}");
        }
    }

    #[test]
    fn waits_grow_and_vary_and_never_undercut_what_was_asked() {
        let wait =
            |tries, asked: Option<u64>, jitter| back_off(tries, asked.map(Duration::from_millis), jitter).as_millis();
        assert_eq!([wait(1, None, 0.0), wait(1, None, 1.0)], [250, 750]);
        assert_eq!([wait(3, None, 0.0), wait(3, None, 1.0)], [1000, 3000]);
        assert_eq!([wait(9, None, 0.5), wait(u32::MAX, None, 0.5)], [15_000, 15_000]);
        assert_eq!([wait(1, Some(40_000), 1.0), wait(1, Some(0), 0.5)], [40_000, 500]);
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let seconds = |text: &str| retry_after(text, now).map(|length| length.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("Sat, 21 Nov 2026 08:00:30 GMT"), Some(30));
        assert_eq!(seconds("Sat, 21 Nov 2026 07:00:00 GMT"), Some(0), "in the past");
        assert_eq!(seconds("Sat, 21 Nov 2099 08:00:30 GMT"), Some(3600));
        assert_eq!(seconds("99999999999999999999999"), Some(3600));
        for nonsense in ["", "-5", "soon", "7s", "Sat, 21 Nov", "1.5", "Sat, 21 Foo 2026 08:00:30 GMT"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }
}
