//! The token by which a CI vouches for its job (OIDC): where it is, and getting it from there.
//!
//! Choosing is pure, and no token is in what is chosen. Sources: GitHub's "OpenID Connect reference" (Forgejo's endpoint is
//! the same), Buildkite's `buildkite-agent oidc request-token`, CircleCI's "OIDC tokens with custom claims", Microsoft's
//! REST API "Oidctoken - Create", GitLab's "OpenID Connect authentication using ID tokens".

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use reqwest::{Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tagboat_model::shown;
use tagboat_settings::SecretSource;

use crate::{
    commands::notify::{
        ci::{System, Variables, filled},
        request::{self, is_reachable},
    },
    exit::{Code, Failure},
    secrets,
};

/// The variable with a token.
pub(super) const VARIABLE: &str = "TAGBOAT_ID_TOKEN";
const CIRCLECI_VARIABLE: &str = "CIRCLE_OIDC_TOKEN_V2";
/// Where GitHub Actions gives tokens to jobs that may have one, and what it wants to see for it.
const GITHUB: [&str; 2] = ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"];
const AZURE: [&str; 2] = ["SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN"];
/// The CI's own endpoint is near; it is tried again twice.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// For a program that asks its CI.
const LONGEST_PROGRAM: Duration = Duration::from_secs(60);

/// Where the token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenSource {
    /// A file that somebody named.
    File(PathBuf),
    /// A variable.
    Variable(&'static str),
    /// What GitHub Actions offers.
    GithubActions,
    /// What Azure Pipelines offers.
    AzurePipelines,
    /// A program of the CI, which prints it.
    Program(&'static str, Vec<String>),
}

/// Whoever asks for a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) variables: &'a Variables,
    /// For whom the token is to be.
    pub(super) audience: &'a str,
    /// Whether `http://` to another machine is permitted.
    pub(super) insecure: bool,
}

/// The first source that there is: what somebody gave, then what the CI offers. `has` says whether a program is there.
pub(super) fn source(
    given: Option<&Path>,
    variables: &Variables,
    audience: &str,
    has: impl Fn(&str) -> bool,
) -> Option<TokenSource> {
    let set = |name: &&str| filled(variables, name).is_some();
    if let Some(path) = given {
        return Some(TokenSource::File(path.to_owned()));
    }
    if set(&VARIABLE) {
        return Some(TokenSource::Variable(VARIABLE));
    }
    if GITHUB.iter().all(set) {
        return Some(TokenSource::GithubActions);
    }
    if set(&"BUILDKITE") && has("buildkite-agent") {
        let arguments = ["oidc", "request-token", "--audience", audience].map(str::to_owned);
        return Some(TokenSource::Program("buildkite-agent", arguments.into()));
    }
    if set(&"CIRCLECI") && has("circleci") {
        let claims = json!({ "aud": audience }).to_string();
        let arguments = ["run", "oidc", "get", "--claims", claims.as_str()].map(str::to_owned);
        return Some(TokenSource::Program("circleci", arguments.into()));
    }
    if set(&CIRCLECI_VARIABLE) {
        return Some(TokenSource::Variable(CIRCLECI_VARIABLE));
    }
    AZURE.iter().all(set).then_some(TokenSource::AzurePipelines)
}

/// What to do where there is neither a token nor a secret.
pub(super) fn advice(system: Option<System>, audience: &str) -> String {
    let here = match system {
        Some(System::GithubActions) => {
            "this job may not ask GitHub for a token; give it (or its workflow) the permission:\n\n\
             \x20   permissions:\n      id-token: write\n      contents: read\n\n\
             Jobs for pull requests from forks do not get it."
                .to_owned()
        }
        Some(System::Gitlab) => format!(
            "let GitLab give this job a token:\n\n    job:\n      id_tokens:\n        {VARIABLE}:\n          aud: {audience}\n"
        ),
        Some(System::Buildkite) => "the program `buildkite-agent`, which asks Buildkite for a token, is not there; with the \
                                    plugin `docker` say `mount-buildkite-agent: true`."
            .to_owned(),
        Some(System::Circleci) => format!(
            "neither the program `circleci` nor {CIRCLECI_VARIABLE} is there; builds of forked pull requests get no token."
        ),
        Some(System::AzurePipelines) => {
            "let the step ask Azure Pipelines for a token:\n\n    env:\n      SYSTEM_ACCESSTOKEN: $(System.AccessToken)\n"
                .to_owned()
        }
        Some(System::Jenkins) => format!(
            "bind a credential `OpenID Connect id token` to {VARIABLE}, or one with the receiver's secret to TAGBOAT_SECRET."
        ),
        Some(System::ForgeActions | System::Bitbucket | System::Woodpecker | System::Drone) | None => format!(
            "give the receiver's signing secret in TAGBOAT_SECRET or a file (`--secret-file`), or a token of your CI in \
             {VARIABLE} or a file (`--id-token-file`)."
        ),
    };
    format!("there is no credential: {here}")
}

/// Get the token from where it is.
pub(super) async fn fetch(source: &TokenSource, asking: Asking<'_>) -> Result<SecretString, Failure> {
    let variable = |name: &str| filled(asking.variables, name).unwrap_or_default();
    let token = match source {
        TokenSource::File(path) => {
            secrets::read("the token", &SecretSource::File(path.clone()))?.expose_secret().to_owned()
        }
        TokenSource::Variable(name) => variable(name).trim().to_owned(),
        TokenSource::GithubActions => {
            let mut url = endpoint(GITHUB[0], asking)?;
            url.query_pairs_mut().append_pair("audience", asking.audience);
            from_endpoint("GitHub Actions", &Method::GET, &url, variable(GITHUB[1]), "value").await?
        }
        TokenSource::AzurePipelines => {
            let mut url = endpoint(AZURE[0], asking)?;
            url.query_pairs_mut().append_pair("api-version", "7.1");
            from_endpoint("Azure Pipelines", &Method::POST, &url, variable(AZURE[1]), "oidcToken").await?
        }
        TokenSource::Program(program, arguments) => from_program(program, arguments).await?,
    };
    if !is_token(&token) {
        let place = match source {
            TokenSource::Variable(name) => (*name).to_owned(),
            TokenSource::File(path) => format!("what {} holds", path.display()),
            TokenSource::Program(program, _) => format!("what `{program}` printed"),
            TokenSource::GithubActions | TokenSource::AzurePipelines => "what the CI answered".to_owned(),
        };
        return Err(Failure::invalid(format!("{place} is not a token, which has three parts with dots between them")));
    }
    Ok(token.into())
}

/// The form of a JSON Web Token; whether it is a good one only the server can tell.
fn is_token(text: &str) -> bool {
    let letters = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='))
    };
    text.split('.').count() == 3 && text.split('.').all(letters)
}

fn endpoint(name: &str, asking: Asking<'_>) -> Result<Url, Failure> {
    let text = filled(asking.variables, name).unwrap_or_default();
    let url = Url::parse(text).map_err(|error| Failure::invalid(format!("{name} is not a URL: {error}")))?;
    if is_reachable(&url, asking.insecure) { Ok(url) } else { Err(Failure::invalid(format!("{name} is not https"))) }
}

/// Ask an endpoint of the CI. Its answer holds the token under `name`.
async fn from_endpoint(whose: &str, method: &Method, url: &Url, bearer: &str, name: &str) -> Result<String, Failure> {
    let http = request::client(url)?;
    let failed =
        |message: String| Failure { code: Code::Failed, message: format!("{whose} gives no token: {message}") };
    let mut last = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        let asked = http.request(method.clone(), url.clone()).bearer_auth(bearer);
        // Azure would send whoever is not known to a page for people instead of saying so.
        let asked = asked.header("content-type", "application/json").header("x-tfs-fedauthredirect", "Suppress");
        // Without a body nothing else says that there is none, which proxies insist on.
        let asked = if *method == Method::POST { asked.header("content-length", "0") } else { asked };
        match request::exchange(asked).await {
            Ok(answer) if answer.status == 200 => {
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let token = body.get(name).and_then(Value::as_str).map(str::to_owned);
                return token.ok_or_else(|| failed(format!("its answer has no `{name}`")));
            }
            Ok(answer) if answer.may_pass() => last = format!("it answers with status {}", answer.status),
            Ok(answer) => return Err(failed(format!("it answers with status {}", answer.status))),
            Err(why) => last = why,
        }
    }
    Err(failed(last))
}

/// Run a program of the CI. What it prints is the token.
async fn from_program(program: &str, arguments: &[String]) -> Result<String, Failure> {
    let failed =
        |message: String| Failure { code: Code::Failed, message: format!("`{program}` gives no token: {message}") };
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(LONGEST_PROGRAM, command.output()).await {
        Ok(output) => output.map_err(|error| failed(error.to_string()))?,
        Err(_) => return Err(failed(format!("it did not end within {} s", LONGEST_PROGRAM.as_secs()))),
    };
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, shown(told.trim()))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a program is on the path.
pub(super) fn has(variables: &Variables, program: &str) -> bool {
    let path = filled(variables, "PATH").unwrap_or_default();
    std::env::split_paths(path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_testkit::{HttpFake, response};

    const AUDIENCE: &str = "https://tagboat.example.org";
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl";

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn found(pairs: &[(&str, &str)], programs: &[&str]) -> Option<TokenSource> {
        source(None, &variables(pairs), AUDIENCE, |program| programs.contains(&program))
    }

    fn asking(variables: &Variables) -> Asking<'_> {
        Asking { variables, audience: AUDIENCE, insecure: false }
    }

    #[test]
    fn the_first_source_counts() {
        let all = [
            (VARIABLE, TOKEN),
            (GITHUB[0], "https://a.example"),
            (GITHUB[1], "x"),
            ("BUILDKITE", "true"),
            ("CIRCLECI", "true"),
            (CIRCLECI_VARIABLE, TOKEN),
            (AZURE[0], "https://b.example"),
            (AZURE[1], "x"),
        ];
        let programs = ["buildkite-agent", "circleci"];
        let path = Path::new("/var/run/token");
        let from_file = source(Some(path), &variables(&all), AUDIENCE, |_| true);
        assert_eq!(from_file, Some(TokenSource::File(path.to_owned())));
        assert_eq!(found(&all, &programs), Some(TokenSource::Variable(VARIABLE)));
        assert_eq!(found(&all[1..], &programs), Some(TokenSource::GithubActions));
        let Some(TokenSource::Program("buildkite-agent", arguments)) = found(&all[3..], &programs) else { panic!() };
        assert_eq!(arguments, ["oidc", "request-token", "--audience", AUDIENCE]);
        let Some(TokenSource::Program("circleci", arguments)) = found(&all[3..], &["circleci"]) else { panic!() };
        assert_eq!(arguments, ["run", "oidc", "get", "--claims", r#"{"aud":"https://tagboat.example.org"}"#]);
        assert_eq!(found(&all[3..], &[]), Some(TokenSource::Variable(CIRCLECI_VARIABLE)));
        assert_eq!(found(&all[6..], &programs), Some(TokenSource::AzurePipelines));
        // Half of a pair, and empty variables, as CI leaves them behind.
        assert_eq!(found(&all[7..], &programs), None);
        assert_eq!(found(&[(GITHUB[0], "https://a.example"), (GITHUB[1], ""), (VARIABLE, "")], &[]), None);
        assert_eq!(found(&[], &programs), None);
    }

    #[test]
    fn where_there_is_no_token_it_is_said_what_to_do() {
        for (system, part) in [
            (Some(System::GithubActions), "permissions:\n      id-token: write\n"),
            (
                Some(System::Gitlab),
                "    job:\n      id_tokens:\n        TAGBOAT_ID_TOKEN:\n          aud: https://tagboat.example.org\n",
            ),
            (Some(System::Buildkite), "mount-buildkite-agent: true"),
            (Some(System::Circleci), "forked"),
            (Some(System::AzurePipelines), "SYSTEM_ACCESSTOKEN: $(System.AccessToken)"),
            (Some(System::Jenkins), "OpenID Connect id token"),
            (Some(System::Drone), "TAGBOAT_SECRET"),
            (None, "--id-token-file"),
        ] {
            let text = advice(system, AUDIENCE);
            assert!(text.starts_with("there is no credential: ") && text.contains(part), "{text}");
        }
    }

    #[tokio::test]
    async fn github_is_asked_for_the_audience_with_its_own_credential() {
        let github = HttpFake::start(|_, _| response(200, &[], &format!(r#"{{"count":1,"value":"{TOKEN}"}}"#))).await;
        let url = format!("http://{}/token?api-version=2.0", github.host());
        let variables = variables(&[(GITHUB[0], &url), (GITHUB[1], "canary")]);
        let token = fetch(&TokenSource::GithubActions, asking(&variables)).await.unwrap();
        assert_eq!(token.expose_secret(), TOKEN);
        let asked = &github.seen()[0];
        assert_eq!(asked.path, "/token?api-version=2.0&audience=https%3A%2F%2Ftagboat.example.org");
        assert_eq!((asked.method.as_str(), asked.header("authorization")), ("GET", "Bearer canary"));
    }

    #[tokio::test]
    async fn azure_is_asked_with_a_post() {
        let azure = HttpFake::start(|_, _| response(200, &[], &format!(r#"{{"oidcToken":"{TOKEN}"}}"#))).await;
        let url = format!("http://{}/oidctoken", azure.host());
        let variables = variables(&[(AZURE[0], &url), (AZURE[1], "canary")]);
        let token = fetch(&TokenSource::AzurePipelines, asking(&variables)).await.unwrap();
        assert_eq!(token.expose_secret(), TOKEN);
        let asked = &azure.seen()[0];
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/oidctoken?api-version=7.1"));
        assert_eq!(asked.header("authorization"), "Bearer canary");
    }

    #[tokio::test]
    async fn what_an_endpoint_says_no_to_is_an_error_without_the_credential() {
        let github = HttpFake::start(|_, _| response(302, &[("location", "http://127.0.0.1:1/")], "")).await;
        let url = format!("http://{}/token", github.host());
        let variables = variables(&[(GITHUB[0], &url), (GITHUB[1], "canary")]);
        let failure = fetch(&TokenSource::GithubActions, asking(&variables)).await.unwrap_err();
        assert_eq!(failure.message, "GitHub Actions gives no token: it answers with status 302");
        assert_eq!(github.seen().len(), 1, "a redirect is not followed");
    }

    #[tokio::test]
    async fn neither_plain_http_nor_what_is_no_token_is_used() {
        let plain = variables(&[(GITHUB[0], "http://ci.example.org/"), (GITHUB[1], "canary")]);
        let failure = fetch(&TokenSource::GithubActions, asking(&plain)).await.unwrap_err();
        assert_eq!(failure.message, "ACTIONS_ID_TOKEN_REQUEST_URL is not https");
        for text in ["$TAGBOAT_ID_TOKEN", "a.b", "a..c", "a.b.c.d", "a.b c.d", "a.b\n.c"] {
            let variables = variables(&[(VARIABLE, text)]);
            let failure = fetch(&TokenSource::Variable(VARIABLE), asking(&variables)).await.unwrap_err();
            assert!(failure.message.starts_with("TAGBOAT_ID_TOKEN is not a token"), "{text}");
            assert_eq!(failure.code, Code::Invalid);
        }
    }

    #[tokio::test]
    async fn a_program_prints_the_token_or_says_why_not() {
        let shell = |script: &str| TokenSource::Program("sh", vec!["-c".to_owned(), script.to_owned()]);
        let nothing = Variables::new();
        let token = fetch(&shell(&format!("echo {TOKEN}")), asking(&nothing)).await.unwrap();
        assert_eq!(token.expose_secret(), TOKEN);
        let failure = fetch(&shell("echo 'no job' >&2; exit 3"), asking(&nothing)).await.unwrap_err();
        assert_eq!(failure.message, "`sh` gives no token: exit status: 3: no job");
    }
}
