//! `tagboat notify`: CI tells a server that an image was pushed, and follows what comes of it.
//!
//! What is read from the environment is chosen in `ci` and `token`, what an answer means in `answer`: all pure. Only
//! `request` and `token` reach out.

pub(super) mod answer;
mod ci;
pub(super) mod request;
mod show;
mod token;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use reqwest::Url;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tagboat_intake::check_signing_secret;
use tagboat_manifest::NewImage;
use tagboat_model::{EventId, ReceiverName};
use tagboat_ports::Ids as _;
use tagboat_server::Fate;
use tagboat_settings::SecretSource;

use crate::{
    cli::{Notify, Output},
    commands::notify::{
        answer::{Announced, Followed},
        ci::{Ci, System, Variables, filled},
        request::{Ask, Credential, Session},
        show::Teller,
        token::Asking,
    },
    exit::{Code, Failure},
    output, secrets,
    system::RandomIds,
};

/// The variable with a signing secret.
const SECRET_VARIABLE: &str = "TAGBOAT_SECRET";
/// Between two questions about an event: the first wait, and the longest.
const LOOKS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(3));
/// No CI lets a job run for longer.
const LONGEST_TIME: Duration = Duration::from_secs(35 * 24 * 3600);
/// Longer keys are of no use.
const LONGEST_KEY: usize = 200;

pub(crate) async fn run(arguments: &Notify) -> Result<Code, Failure> {
    let variables: Variables = super::variables().into_iter().collect();
    if !request::is_reachable(&arguments.server, arguments.insecure) {
        let message = format!(
            "{} is not https, so that everybody on the way could read the credential; `--insecure` permits it",
            address(&arguments.server)
        );
        return Err(Failure::invalid(message));
    }
    let server = address(&arguments.server);
    let ci = ci::read(&variables);
    let audience = arguments.audience.as_deref().filter(|text| !text.is_empty()).unwrap_or(&server);
    let asking = Asking { variables: &variables, audience, insecure: arguments.insecure };
    let until = Instant::now() + Duration::from(arguments.timeout).min(LONGEST_TIME);
    let mut session = Session {
        http: request::client(&arguments.server)?,
        server: &server,
        receiver: arguments.receiver.as_deref().filter(|name| !name.is_empty()),
        credential: credential(arguments, asking, ci.system).await?,
        asking,
        until,
        teller: Teller::new(arguments.output),
    };
    let body = announcement(arguments, &ci)?;
    let key = key(arguments, &ci, &body);
    let answer = session.ask(Ask::Announce { key: &key, body: &body }).await?;
    let (announced, told) = answer::announced(&answer)?;
    let (code, lines, event) = match &announced {
        Announced::Event { id, .. } if arguments.wait => {
            for line in show::announced(&arguments.image, &announced) {
                session.teller.tell(&line);
            }
            let (followed, event) = follow(&mut session, id).await?;
            (answer::code(followed.fate), show::followed(&arguments.image, &followed), Some(event))
        }
        Announced::Event { .. } => (Code::Ok, show::announced(&arguments.image, &announced), None),
        Announced::Ignored { .. } => (Code::Nothing, show::announced(&arguments.image, &announced), None),
    };
    match arguments.output {
        Output::Json => output::line(show::in_json(&key, told, event.as_ref()).to_string()),
        Output::Text => lines.iter().for_each(output::line),
    }
    Ok(code)
}

/// Ask until it is known what becomes of the event, and tell of each decision and each problem as it comes.
async fn follow(session: &mut Session<'_>, id: &EventId) -> Result<(Followed, Value), Failure> {
    let (mut told, mut wait) = (BTreeSet::new(), LOOKS.0);
    let mut problems: Vec<String> = Vec::new();
    session.teller.tell("waiting for decisions");
    loop {
        let answer = session.ask(Ask::Follow(id)).await?;
        let (followed, event) = answer::followed(&answer)?;
        if followed.fate != Fate::Waiting {
            return Ok((followed, event));
        }
        for line in followed.decisions.iter().map(answer::Taken::line) {
            if told.insert(line.clone()) {
                session.teller.tell(&line);
            }
        }
        for problem in followed.problems.iter().filter(|problem| !problems.contains(&problem.line())) {
            session.teller.tell(&problem.line_with_time());
        }
        problems = followed.problems.iter().map(answer::Hindrance::line).collect();
        if !session.has_left(wait) {
            let message = show::not_in_time(id, session.server, &followed.problems);
            return Err(Failure { code: Code::Failed, message });
        }
        tokio::time::sleep(wait).await;
        wait = wait.mul_f64(1.5).min(LOOKS.1);
    }
}

/// A signing secret that somebody gave, else a token that somebody gave, else the token of the CI. What an argument names
/// comes before what a variable holds.
async fn credential(arguments: &Notify, asking: Asking<'_>, system: Option<System>) -> Result<Credential, Failure> {
    let signing = |secret: SecretString, place: &str| match check_signing_secret(&secret) {
        Ok(()) => Ok(Credential::Secret(secret)),
        Err(wrong) => Err(Failure::invalid(format!("the signing secret in {place} cannot be used: {wrong}"))),
    };
    if let Some(path) = &arguments.secret_file {
        let secret = secrets::read("the signing secret", &SecretSource::File(path.clone()))?;
        return signing(secret, &path.display().to_string());
    }
    let given = arguments.id_token_file.as_deref();
    if given.is_none() && filled(asking.variables, SECRET_VARIABLE).is_some() {
        let secret = secrets::read("the signing secret", &SecretSource::Env(SECRET_VARIABLE.to_owned()))?;
        return signing(secret, SECRET_VARIABLE);
    }
    let has = |program: &str| token::has(asking.variables, program);
    let source = token::source(given, asking.variables, asking.audience, has)
        .ok_or_else(|| Failure::invalid(token::advice(system, asking.audience)))?;
    let token = token::fetch(&source, asking).await?;
    Ok(Credential::Token { source, token, since: Instant::now() })
}

/// The body of an announcement. The order of its fields does not change, since the key is made of it.
#[derive(Serialize)]
struct Announcement<'a> {
    image: String,
    tag: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    source: Said<'a>,
}

/// What it was built from.
#[derive(Serialize)]
struct Said<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a str>,
}

fn announcement(arguments: &Notify, ci: &Ci) -> Result<String, Failure> {
    fn either<'t>(given: Option<&'t String>, of_ci: Option<&'t String>) -> Option<&'t str> {
        given.filter(|text| !text.is_empty()).or(of_ci).map(String::as_str)
    }
    let NewImage { name, tag, digest, .. } = &arguments.image;
    let announcement = Announcement {
        image: name.to_string(),
        tag: tag.as_str(),
        digest: digest.as_ref().map(tagboat_model::Digest::as_str),
        source: Said {
            repository: either(arguments.repository.as_ref(), ci.repository.as_ref()),
            revision: either(arguments.revision.as_ref(), ci.revision.as_ref()),
            run: either(arguments.run.as_ref(), ci.run.as_ref()),
        },
    };
    serde_json::to_string(&announcement)
        .map_err(|error| Failure::failed("the announcement cannot be written as JSON", &error))
}

/// What makes repetitions of one event equal: the run and all that is said in it. Where there is no run, nothing does.
fn key(arguments: &Notify, ci: &Ci, body: &str) -> String {
    if let Some(key) = arguments.idempotency_key.as_ref().filter(|key| !key.is_empty()) {
        return key.clone();
    }
    let Some(run) = arguments.run.as_ref().filter(|run| !run.is_empty()).or(ci.identity.as_ref()) else {
        return RandomIds.fresh("once");
    };
    let hash = Sha256::digest(format!("{:?}\n{run}\n{body}", ci.system));
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("ci-{hex}")
}

/// The address as it is written before a path.
pub(super) fn address(server: &Url) -> String {
    server.as_str().trim_end_matches('/').to_owned()
}

/// Read the address of a server.
pub(crate) fn server(text: &str) -> Result<Url, String> {
    let wrong = || "write the address of the server as `https://tagboat.example.org`".to_owned();
    let url = Url::parse(text.trim()).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{}, without user, password, `?` and `#`", wrong()));
    }
    Ok(url)
}

/// Read the name of a receiver. Nothing is what a variable of CI holds that nobody filled.
pub(crate) fn receiver(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    text.parse::<ReceiverName>().map(String::from).map_err(|error| error.to_string())
}

/// Read an idempotency key, which travels in a header.
pub(crate) fn idempotency_key(text: &str) -> Result<String, String> {
    if text.len() <= LONGEST_KEY && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(format!("a key has at most {LONGEST_KEY} letters, digits and signs, and no spaces"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use clap::Parser as _;

    use crate::cli::{Arguments, Command};

    fn arguments(further: &[&str]) -> Notify {
        let usual = ["tagboat", "notify", "--server", "https://tagboat.example.org/", "--image", "acme/web:1.5.0"];
        let parsed = Arguments::try_parse_from(usual.iter().chain(further)).unwrap();
        let Command::Notify(notify) = parsed.command else { panic!() };
        *notify
    }

    fn github(run: &str) -> Ci {
        Ci {
            system: Some(System::GithubActions),
            repository: Some("acme/web".to_owned()),
            revision: Some("0ab1".to_owned()),
            run: Some(run.to_owned()),
            identity: Some(run.to_owned()),
        }
    }

    #[test]
    fn an_announcement_says_what_arguments_and_ci_say() {
        let body = |further: &[&str], ci: &Ci| announcement(&arguments(further), ci).unwrap();
        assert_eq!(body(&[], &Ci::default()), r#"{"image":"docker.io/acme/web","tag":"1.5.0","source":{}}"#);
        assert_eq!(
            body(&[], &github("7")),
            r#"{"image":"docker.io/acme/web","tag":"1.5.0","source":{"repository":"acme/web","revision":"0ab1","run":"7"}}"#
        );
        let own = ["--revision", "ffff", "--run", "8", "--repository", ""];
        assert_eq!(
            body(&own, &github("7")),
            r#"{"image":"docker.io/acme/web","tag":"1.5.0","source":{"repository":"acme/web","revision":"ffff","run":"8"}}"#
        );
    }

    #[test]
    fn a_step_that_is_run_again_has_the_same_key_and_nothing_else_has() {
        let key = |further: &[&str], ci: &Ci| {
            let arguments = arguments(further);
            key(&arguments, ci, &announcement(&arguments, ci).unwrap())
        };
        let first = key(&[], &github("7"));
        assert_eq!(first, key(&[], &github("7")));
        assert!(first.starts_with("ci-") && first.len() == 35, "{first}");
        assert_ne!(first, key(&[], &github("8")), "another run");
        assert_ne!(first, key(&["--revision", "ffff"], &github("7")), "another commit");
        let other = announcement(&arguments(&[]), &github("7")).unwrap().replace("1.5.0", "1.5.1");
        assert_ne!(first, super::key(&arguments(&[]), &github("7"), &other), "another version");
        assert_eq!(key(&["--idempotency-key", "mine"], &github("7")), "mine");
        assert_eq!(key(&["--run", "7"], &Ci::default()), key(&["--run", "7"], &Ci::default()));
        assert_ne!(key(&[], &Ci::default()), key(&[], &Ci::default()), "nobody can say that it is the same");
    }

    #[test]
    fn an_address_has_no_credential_in_it() {
        for good in ["https://tagboat.example.org", "https://example.org/tagboat/", "http://127.0.0.1:8080"] {
            assert_eq!(address(&server(good).unwrap()), good.trim_end_matches('/'));
        }
        for bad in [
            "",
            "tagboat.example.org",
            "tagboat:8080",
            "ftp://tagboat.example.org",
            "https://bot:s3cret@tagboat.example.org",
            "https://bot@tagboat.example.org",
            "https://tagboat.example.org?token=s3cret",
            "https://tagboat.example.org#x",
        ] {
            let message = server(bad).unwrap_err();
            assert!(message.starts_with("write the address") && !message.contains("s3cret"), "{bad}: {message}");
        }
    }

    #[test]
    fn keys_and_receivers_fit_into_headers_and_addresses() {
        assert!(idempotency_key("build-7/web:1.5.0").is_ok() && idempotency_key("").is_ok());
        assert!(idempotency_key("two words").is_err() && idempotency_key(&"k".repeat(201)).is_err());
        assert!(receiver("ci").is_ok() && receiver("").is_ok());
        assert!(receiver("a&b=c").is_err() && receiver("../x").is_err());
    }
}
