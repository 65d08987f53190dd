//! `tagboat hold`, `release`, `skip`, `rollback`, `promote` and `freeze`: people tell a server what is to be done, and hear
//! what became of it.
//!
//! Nothing is decided here: the server stores the command, and the reconcile of the config repository does it and answers.

pub(super) mod api;

use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};
use tagboat_model::{
    Command, CommandAnswer, CommandId, CommandOutcome, Duration, EntryName, EnvironmentName, ImageError, Target,
    Timestamp, Until, Version,
};
use tagboat_ports::Clock as _;

use self::api::Api;
use crate::{
    cli::{Act, Freeze, Hold, Output, Promote, Release, Rollback, Skip},
    commands::words::safe,
    exit::{Code, Failure},
    output::{self, DIM, GREEN, RED, YELLOW, styled},
    system::SystemClock,
};

/// One question waits this long for an answer, in seconds.
const ONE_WAIT: u64 = 15;
/// Between two questions of which the first could not be answered.
const BETWEEN_TRIES: std::time::Duration = std::time::Duration::from_secs(1);

/// When a hold ends by itself, as it is written on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UntilWhen {
    /// At this point.
    Time(Timestamp),
    /// So much later than now.
    After(Duration),
    /// When something newer comes than what runs.
    Newer,
}

/// Read when a hold ends.
pub(crate) fn until_when(text: &str) -> Result<UntilWhen, String> {
    if text == "newer" {
        return Ok(UntilWhen::Newer);
    }
    let length = text.parse().map(UntilWhen::After);
    length.or_else(|_| text.parse().map(UntilWhen::Time)).map_err(|_: tagboat_model::TimestampError| {
        format!(
            "`{text}` is neither a length of time (`4h`), nor a point in time (`2026-12-01T08:00:00Z`), nor `newer`"
        )
    })
}

pub(crate) async fn hold(arguments: &Hold) -> Result<Code, Failure> {
    let api = Api::of(&arguments.act.reach)?;
    let until = match &arguments.until {
        Some(UntilWhen::Newer) => newer()?,
        Some(UntilWhen::Time(at)) => Until::Time(*at),
        Some(UntilWhen::After(length)) => Until::Time(SystemClock.now().plus(*length)),
        None => Until::Released,
    };
    let target = target(Some(&arguments.environment), arguments.image.as_ref());
    give(&api, &arguments.act, &Command::Hold { target, until, why: arguments.reason.clone() }).await
}

pub(crate) async fn freeze(arguments: &Freeze) -> Result<Code, Failure> {
    let until = match &arguments.until {
        Some(UntilWhen::Newer) => {
            let message = "`--until newer` is for one image; `tagboat hold` has it, a freeze ends at a time or when it is released";
            return Err(Failure::invalid(message));
        }
        Some(UntilWhen::Time(at)) => Until::Time(*at),
        Some(UntilWhen::After(length)) => Until::Time(SystemClock.now().plus(*length)),
        None => Until::Released,
    };
    let (environment, why) = (arguments.environment.clone(), arguments.reason.clone());
    let api = Api::of(&arguments.act.reach)?;
    give(&api, &arguments.act, &Command::Freeze { environment, until, why }).await
}

pub(crate) async fn release(arguments: &Release) -> Result<Code, Failure> {
    let target = target(arguments.environment.as_ref(), arguments.image.as_ref());
    let api = Api::of(&arguments.act.reach)?;
    give(&api, &arguments.act, &Command::Release { target, id: arguments.id.clone() }).await
}

pub(crate) async fn skip(arguments: &Skip) -> Result<Code, Failure> {
    let target = target(Some(&arguments.environment), Some(&arguments.image));
    let version = arguments.version.as_ref().map(ToString::to_string);
    let api = Api::of(&arguments.act.reach)?;
    give(&api, &arguments.act, &Command::Skip { target, version }).await
}

pub(crate) async fn rollback(arguments: &Rollback) -> Result<Code, Failure> {
    let target = target(Some(&arguments.environment), Some(&arguments.image));
    let version = arguments.to.as_ref().map(ToString::to_string);
    let api = Api::of(&arguments.act.reach)?;
    give(&api, &arguments.act, &Command::Rollback { target, version, why: Some(arguments.reason.clone()) }).await
}

pub(crate) async fn promote(arguments: &Promote) -> Result<Code, Failure> {
    let target = target(Some(&arguments.environment), Some(&arguments.image));
    let version = Some(arguments.version.to_string());
    let api = Api::of(&arguments.act.reach)?;
    give(&api, &arguments.act, &Command::Promote { target, version, why: Some(arguments.reason.clone()) }).await
}

fn target(environment: Option<&EnvironmentName>, entry: Option<&EntryName>) -> Target {
    Target { environment: environment.cloned(), entry: entry.cloned() }
}

/// What is read of a command.
#[derive(Debug, Deserialize)]
struct Taken {
    id: CommandId,
    answer: Option<CommandAnswer>,
}

/// Tell the server, wait for its answer, and print that.
async fn give(api: &Api, act: &Act, command: &Command) -> Result<Code, Failure> {
    let until = Instant::now() + std::time::Duration::from(act.wait);
    let body = json!({
        "repository": act.repository, "tenant": act.tenant, "command": command, "by": act.by.clone().or_else(user),
    });
    let (mut taken, mut whole): (Taken, Value) = api.post("/api/v1/commands", &body).await?;
    while !act.no_wait && taken.answer.is_none() {
        let left = until.saturating_duration_since(Instant::now()).as_secs();
        let path = format!("/api/v1/commands/{}?wait={}", taken.id, left.min(ONE_WAIT));
        match api.get::<Taken>(&path).await {
            Ok(newer) => (taken, whole) = newer,
            // The command is there: what may pass is waited for.
            Err(failure) if failure.code != Code::Failed || left == 0 => return Err(failure),
            Err(_) => tokio::time::sleep(BETWEEN_TRIES).await,
        }
        if left == 0 && taken.answer.is_none() {
            let id = &taken.id;
            let message = format!(
                "{id} is taken, and not answered in time; the answer shows at {}/api/v1/commands/{id}",
                api.server
            );
            return Err(Failure { code: Code::Failed, message });
        }
    }
    match act.reach.output {
        Output::Json => output::line(whole.to_string()),
        Output::Text => output::line(in_words(&taken)),
    }
    Ok(taken.answer.as_ref().map_or(Code::Ok, |answer| code(answer.outcome)))
}

fn code(outcome: CommandOutcome) -> Code {
    match outcome {
        CommandOutcome::Done => Code::Ok,
        CommandOutcome::Nothing => Code::Nothing,
        CommandOutcome::Refused => Code::Refused,
        CommandOutcome::Invalid => Code::Invalid,
    }
}

fn in_words(taken: &Taken) -> String {
    let Some(answer) = &taken.answer else {
        return format!("{} as {}", styled(GREEN, "taken"), taken.id);
    };
    let word = match answer.outcome {
        CommandOutcome::Done => styled(GREEN, "done"),
        CommandOutcome::Nothing => styled(DIM, "nothing to do"),
        CommandOutcome::Refused => styled(RED, "refused"),
        CommandOutcome::Invalid => styled(YELLOW, "not possible"),
    };
    let lines: Vec<String> = answer.text.lines().map(safe).collect();
    format!("{word}: {}", lines.join("\n"))
}

/// The name of whoever runs this.
fn user() -> Option<String> {
    let variables = super::variables();
    let of = |wanted: &str| variables.iter().find(|(name, value)| name == wanted && !value.is_empty());
    of("USER").or_else(|| of("LOGNAME")).map(|(_, value)| value.clone())
}

/// Until something newer comes. Newer than what, is for the server to say, which knows what runs once it carries this out: the
/// version is none, as with `until newer` in a comment.
fn newer() -> Result<Until, Failure> {
    let failed = |error: ImageError| Failure::invalid(error.to_string());
    let tag = "newer".parse().map_err(failed)?;
    let digest = format!("sha256:{}", "0".repeat(64)).parse().map_err(failed)?;
    Ok(Until::NewerThan(Version { tag, digest }))
}

/// The path of the board of some config repositories. Names have nothing that would have to be escaped.
pub(super) fn board_path(
    repository: Option<&tagboat_model::RepositoryName>,
    tenant: Option<&tagboat_model::TenantName>,
) -> String {
    let repository = repository.map(|name| format!("repository={name}"));
    let tenant = tenant.map(|name| format!("tenant={name}"));
    let query: Vec<String> = repository.into_iter().chain(tenant).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("/api/v1/environments{mark}{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::atomic::{AtomicUsize, Ordering};

    use clap::Parser as _;
    use tagboat_testkit::{HttpFake, response};

    use crate::cli::{Arguments, Command as Cli};

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Arguments::try_parse_from(std::iter::once("tagboat").chain(words.iter().copied())).map(|parsed| parsed.command)
    }

    #[test]
    fn the_end_of_a_hold_is_written_in_three_ways() {
        assert_eq!(until_when("newer"), Ok(UntilWhen::Newer));
        assert_eq!(until_when("4h"), Ok(UntilWhen::After("4h".parse().unwrap())));
        assert_eq!(until_when("2026-12-01T08:00:00Z"), Ok(UntilWhen::Time("2026-12-01T08:00:00Z".parse().unwrap())));
        assert!(until_when("tomorrow").unwrap_err().contains("`tomorrow` is neither"));
    }

    #[test]
    fn what_changes_what_runs_is_said_with_place_and_reason() {
        let server = ["--server", "https://tagboat.example"];
        let fits = |words: &[&str]| parse(&[words, &server].concat()).is_ok();
        assert!(fits(&["hold", "--environment", "prod"]) && !fits(&["hold"]));
        assert!(fits(&["freeze"]));
        assert!(
            fits(&["release", "--id", "h-1"]) && fits(&["release", "--environment", "prod"]) && !fits(&["release"])
        );
        assert!(!fits(&["release", "--id", "h-1", "--environment", "prod"]));
        assert!(fits(&["promote", "web", "1.5.1", "prod", "--reason", "fixes it"]));
        assert!(!fits(&["promote", "web", "1.5.1", "prod"]), "a hotfix has a reason");
        assert!(fits(&[
            "rollback",
            "--environment",
            "prod",
            "--image",
            "web",
            "--to",
            "1.4.0",
            "--reason",
            "it broke"
        ]));
        assert!(!fits(&["rollback", "--environment", "prod", "--image", "web"]));
        assert!(fits(&["skip", "--environment", "prod", "--image", "web"]));
        assert!(!fits(&["hold", "--environment", "prod", "--wait", "5s", "--no-wait"]));
    }

    #[test]
    fn a_board_is_asked_for_by_name() {
        assert_eq!(board_path(None, None), "/api/v1/environments");
        let (repository, tenant) = ("config".parse().unwrap(), "acme".parse().unwrap());
        assert_eq!(board_path(Some(&repository), Some(&tenant)), "/api/v1/environments?repository=config&tenant=acme");
    }

    const OPEN: &str = r#"{"id":"c-1","tenant":"default","repository":"config","command":{"verb":"hold"}}"#;

    #[tokio::test]
    async fn a_command_is_told_once_and_its_answer_waited_for() {
        for (outcome, code) in
            [("done", Code::Ok), ("nothing", Code::Nothing), ("refused", Code::Refused), ("invalid", Code::Invalid)]
        {
            let asked = AtomicUsize::new(0);
            let answered =
                OPEN.replace("\"tenant\"", &format!(r#""answer":{{"outcome":"{outcome}","text":"so"}},"tenant""#));
            let fake = HttpFake::start(move |asking, _| {
                match (asking.method.as_str(), asked.fetch_add(1, Ordering::SeqCst)) {
                    ("POST", _) => response(202, &[], OPEN),
                    (_, 1) => response(503, &[], ""),
                    (_, 2) => response(200, &[], OPEN),
                    _ => response(200, &[], &answered),
                }
            })
            .await;
            let url = format!("http://{}", fake.host());
            let words = ["hold", "--environment", "prod", "--image", "web", "--by", "Ann", "--server", &url];
            let Cli::Hold(arguments) = parse(&words).unwrap() else { panic!() };
            assert_eq!(hold(&arguments).await.unwrap(), code, "{outcome}");
            let seen = fake.seen();
            let sent: Value = serde_json::from_str(&seen[0].body).unwrap();
            assert_eq!((&sent["by"], &sent["command"]["entry"]), (&json!("Ann"), &json!("web")));
            assert_eq!(seen.iter().filter(|asked| asked.method == "POST").count(), 1);
            assert!(seen[1].path.starts_with("/api/v1/commands/c-1?wait="), "{}", seen[1].path);
        }
    }

    #[tokio::test]
    async fn newer_than_what_is_left_to_the_server() {
        let fake = HttpFake::start(move |_, _| response(202, &[], OPEN)).await;
        let url = format!("http://{}", fake.host());
        let words = ["hold", "--environment", "prod", "--until", "newer", "--no-wait", "--server", &url];
        let Cli::Hold(arguments) = parse(&words).unwrap() else { panic!() };
        assert_eq!(hold(&arguments).await.unwrap(), Code::Ok);
        let seen = fake.seen();
        assert_eq!(seen.len(), 1, "the board is not asked");
        let sent: Value = serde_json::from_str(&seen[0].body).unwrap();
        let of_comment = tagboat_promotion::command::parse("/tagboat hold in prod until newer", Timestamp(0));
        assert_eq!(sent["command"], serde_json::to_value(of_comment[0].as_ref().unwrap()).unwrap());
    }

    #[tokio::test]
    async fn a_refusal_says_what_the_server_said() {
        for (status, code) in [(400, Code::Invalid), (404, Code::Invalid), (401, Code::Refused), (403, Code::Refused)] {
            let fake = HttpFake::start(move |_, _| response(status, &[], r#"{"error":"because"}"#)).await;
            let url = format!("http://{}", fake.host());
            let Cli::Freeze(arguments) = parse(&["freeze", "--server", &url]).unwrap() else { panic!() };
            let failure = freeze(&arguments).await.unwrap_err();
            assert_eq!((failure.code, failure.message), (code, format!("because (status {status})")));
        }
    }
}
