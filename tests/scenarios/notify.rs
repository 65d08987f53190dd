//! `tagboat notify`, and the script that stands in for it, against a server with every answer that there is.

use std::{path::Path, process::Output};

use serde_json::{Value, json};
use tagboat_intake::sign_standard_webhook;
use tagboat_testkit::{Asked, HttpFake, response};
use tokio::process::Command;

use crate::ci_snippets::{snippet, write_program};

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.Y2FuYXJ5.c2lnbmF0dXJl";
const IMAGE: &str = "r.example/acme/web:1.5.0";
const ACCEPTED: &str = r#"{"verdict":"accepted","receiver":"ci","id":"ev-1","events":["ev-1"],"reasons":[]}"#;

const NOTHING: &[(&str, &str)] = &[];

type Ended = (i32, String, String);

async fn run(mut command: Command, variables: &[(&str, &str)]) -> Ended {
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

async fn program(server: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagboat"));
    command.args(["notify", "--server", server, "--image", IMAGE]).args(arguments);
    run(command, variables).await
}

async fn script(server: &str, variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new("sh");
    command.arg(snippet("notify.sh")).arg(IMAGE);
    let all = [variables, &[("TAGBOAT_URL", server)]].concat();
    run(command, &all).await
}

#[tokio::test]
async fn every_answer_has_its_exit_code_in_both() {
    let error = r#"{"error":"because"}"#;
    for (status, body, code, words) in [
        (202, ACCEPTED, 0, "accepted as ev-1 by receiver ci"),
        (200, &ACCEPTED.replace("accepted", "duplicate"), 0, "as ev-1 by receiver ci"),
        (200, r#"{"verdict":"ignored","receiver":"ci","reasons":["no tag"]}"#, 3, "no tag"),
        (400, error, 2, "because"),
        (401, error, 4, "because"),
        (403, error, 4, "because"),
        (409, error, 4, "because"),
        (422, error, 4, "because"),
        (404, "<html>", 1, "address"),
        (307, "", 1, "not followed"),
        (200, "<html>", 1, "is the address right?"),
    ] {
        let body = body.to_owned();
        let fake = HttpFake::start(move |_, host| {
            response(status, &[("location", &format!("http://{host}/elsewhere"))], &body)
        })
        .await;
        let server = format!("http://{}/", fake.host());
        let token = [("TAGBOAT_ID_TOKEN", TOKEN)];
        for (ended, stdout, stderr) in [program(&server, &token, &[]).await, script(&server, &token).await] {
            assert_eq!(ended, code, "{status}: {stdout}{stderr}");
            assert!(format!("{stdout}{stderr}").contains(words), "{status}: {stdout}{stderr}");
            assert!(!format!("{stdout}{stderr}").contains(TOKEN));
        }
        assert_eq!(fake.paths(), ["/api/v1/events", "/api/v1/events"]);
        assert!(fake.seen().iter().all(|asked| asked.header("authorization") == format!("Bearer {TOKEN}")));
    }
}

/// A server that accepts, and answers questions with one after the other of `answers`, the last for ever.
async fn accepting(answers: Vec<Value>) -> HttpFake {
    let left = std::sync::Mutex::new(answers);
    HttpFake::start(move |asked, _| {
        let mut left = left.lock().unwrap();
        match asked.method.as_str() {
            "POST" => response(202, &[], ACCEPTED),
            _ if left.len() > 1 => response(200, &[], &left.remove(0).to_string()),
            _ => response(200, &[], &left[0].to_string()),
        }
    })
    .await
}

fn decided(fate: &str, outcome: &str, commit: Option<&str>) -> Value {
    json!({ "fate": fate, "event": { "id": "ev-1" }, "decisions": [{
        "decision": { "environment": "dev", "entry": "web", "outcome": outcome, "current": ["1.4.0"], "version": { "tag": "1.5.0" } },
        "commit": commit, "explanation": ["so it is"], "key": {},
    }] })
}

#[tokio::test]
async fn what_comes_of_an_event_is_told_as_it_comes() {
    let nothing_yet = json!({ "fate": "waiting", "event": {}, "decisions": [] });
    let commit = "abc1234567abc1234567abc1234567abc1234567";
    let fake =
        accepting(vec![nothing_yet, decided("waiting", "update", None), decided("committed", "update", Some(commit))])
            .await;
    let server = format!("http://{}", fake.host());
    let (code, stdout, stderr) = program(&server, &[("TAGBOAT_ID_TOKEN", TOKEN)], &["--wait"]).await;
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stdout, "r.example/acme/web:1.5.0: committed\n  dev: web 1.4.0 -> 1.5.0 in commit abc1234567\n");
    assert_eq!(
        stderr,
        "r.example/acme/web:1.5.0: accepted as ev-1 by receiver ci\nwaiting for decisions\ndev: web 1.4.0 -> 1.5.0, not on the branch yet\n"
    );
    assert_eq!(fake.count("/api/v1/events/ev-1"), 3);

    let arguments = ["--wait", "--output", "json", "--idempotency-key", "mine"];
    let (code, stdout, stderr) = program(&server, &[("TAGBOAT_ID_TOKEN", TOKEN)], &arguments).await;
    let told: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, stderr.as_str()), (0, ""), "programs get nothing but the answer");
    assert_eq!(
        (&told["fate"], &told["id"], &told["idempotencyKey"]),
        (&json!("committed"), &json!("ev-1"), &json!("mine"))
    );
    assert_eq!(told["decisions"][0]["commit"], commit);
}

#[tokio::test]
async fn every_fate_has_its_exit_code() {
    for (answer, code, words) in [
        (decided("nothing", "nothing", None), 0, "dev: web stays at 1.4.0\n    - so it is\n"),
        (json!({ "fate": "unwanted", "event": {}, "decisions": [] }), 3, "no config repository wants it"),
        (decided("unusable", "nothing", None), 4, "cannot be used\n  dev: web stays at 1.4.0\n    - so it is\n"),
        (decided("blocked", "blocked", None), 4, "dev: web 1.4.0, blocked\n    - so it is\n"),
        (decided("waiting", "update", None), 1, "not decided in time"),
    ] {
        let fake = accepting(vec![answer]).await;
        let server = format!("http://{}", fake.host());
        let arguments = ["--wait", "--timeout", "2s"];
        let (ended, stdout, stderr) = program(&server, &[("TAGBOAT_SECRET", "s3cret")], &arguments).await;
        assert_eq!(ended, code, "{stdout}{stderr}");
        assert!(format!("{stdout}{stderr}").contains(words), "{stdout}{stderr}");
    }
}

#[tokio::test]
async fn what_keeps_a_config_repository_is_told_when_it_changes_and_when_time_is_up() {
    let waiting = |problem: &str| {
        let problem = json!({ "branch": "default/config#main", "problem": problem, "againAt": 1_795_662_000_000_i64 });
        json!({ "fate": "waiting", "event": {}, "decisions": [], "problems": [problem] })
    };
    let refused = "the Git server refused the push: frozen";
    let fake = accepting(vec![waiting("it is not there"), waiting("it is not there"), waiting(refused)]).await;
    let server = format!("http://{}", fake.host());
    let arguments = ["--wait", "--timeout", "3s"];
    let (code, stdout, stderr) = program(&server, &[("TAGBOAT_SECRET", "s3cret")], &arguments).await;
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    let again = "next try at 2026-11-26T03:00:00Z";
    let told = format!("\nconfig#main: it is not there; {again}\nconfig#main: {refused}; {again}\nerror: ");
    assert!(stderr.contains(&told), "{stderr}");
    let (_, error) = stderr.split_once("error: ").unwrap();
    assert!(error.contains("not decided in time"), "{error}");
    assert!(error.contains(&format!("; config#main: {refused}; {again}; what becomes of it")), "{error}");
}

#[tokio::test]
async fn without_a_credential_it_says_what_to_do() {
    let server = "https://tagboat.example.org";
    for (variables, words) in [
        (NOTHING, "TAGBOAT_SECRET"),
        (&[("GITHUB_ACTIONS", "true")], "id-token: write"),
        (
            &[("GITLAB_CI", "true")],
            "      id_tokens:\n        TAGBOAT_ID_TOKEN:\n          aud: https://tagboat.example.org\n",
        ),
        (
            &[("TAGBOAT_SECRET", "whsec_"), ("TAGBOAT_ID_TOKEN", TOKEN)],
            "the signing secret in TAGBOAT_SECRET cannot be used",
        ),
    ] {
        let (code, stdout, stderr) = program(server, variables, &[]).await;
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
    let token = [("TAGBOAT_ID_TOKEN", TOKEN)];
    for (code, _, stderr) in
        [program("http://tagboat.example.org", &token, &[]).await, script("http://tagboat.example.org", &token).await]
    {
        assert!(code == 2 && stderr.contains("is not https"), "{stderr}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagboat"));
    command.args(["notify", "--server", server, "--image", "acme/web"]);
    let (code, _, stderr) = run(command, &token).await;
    assert!(code == 2 && stderr.contains("has no tag"), "{stderr}");
}

#[tokio::test]
async fn a_secret_is_taken_before_the_token_of_the_ci() {
    let fake = HttpFake::start(|_, _| response(202, &[], ACCEPTED)).await;
    let server = format!("http://{}", fake.host());
    let url = format!("{server}/token");
    let github = [
        ("GITHUB_ACTIONS", "true"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x"),
        ("TAGBOAT_SECRET", "s3cret"),
    ];
    assert_eq!(program(&server, &github, &[]).await.0, 0);
    assert_eq!(script(&server, &github).await.0, 0);
    assert_eq!(fake.count("/token"), 0);
    assert!(fake.seen().iter().all(|asked| asked.headers.contains_key("webhook-signature")));
}

fn is_signed(asked: &Asked, secret: &str) -> bool {
    let seconds = asked.header("webhook-timestamp").parse().unwrap();
    let secret = secret.to_owned().into();
    let expected = sign_standard_webhook(&secret, asked.header("webhook-id"), seconds, asked.body.as_bytes());
    asked.header("webhook-signature") == expected && asked.header("idempotency-key") == asked.header("webhook-id")
}

/// The script makes HMAC out of plain hashes: keys of every length, and bytes that shells do not like.
#[tokio::test]
async fn the_script_signs_as_the_standard_says_and_shows_the_secret_to_nobody() {
    let fake = HttpFake::start(|_, _| response(202, &[], ACCEPTED)).await;
    let server = format!("http://{}", fake.host());
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("arguments");
    for name in ["openssl", "curl", "od", "sed", "tr"] {
        write_program(&folder.path().join(name), &recording(name, &log));
    }
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let (block, long, odd) = ("k".repeat(64), "canary-".repeat(20), "%s\\n$canary`\"'");
    for secret in ["canary", block.as_str(), long.as_str(), odd, "whsec_AAAlXAr/AAAlXAr/AAAlXAr/AAAlXAr/", "whsec_AA=="]
    {
        let mut command = Command::new("sh");
        command.arg(snippet("notify.sh")).arg(IMAGE).env_clear().env("PATH", &path);
        command.env("TAGBOAT_URL", &server).env("TAGBOAT_SECRET", secret);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(is_signed(fake.seen().last().unwrap(), secret), "{secret}");
        let arguments = std::fs::read_to_string(&log).unwrap();
        assert!(arguments.contains("dgst -sha256"), "{arguments}");
        assert!(!arguments.contains(secret.trim_start_matches("whsec_")), "{secret}: {arguments}");
    }
    assert_eq!(program(&server, &[("TAGBOAT_SECRET", &long)], &[]).await.0, 0);
    assert!(is_signed(fake.seen().last().unwrap(), &long));
}

/// A program that writes down its arguments, then does what it should.
fn recording(name: &str, log: &Path) -> String {
    let found = std::env::var("PATH").unwrap();
    let real = std::env::split_paths(&found).map(|folder| folder.join(name)).find(|path| path.is_file()).unwrap();
    format!("#!/bin/sh\nprintf '%s\\n' \"$*\" >>'{}'\nexec '{}' \"$@\"\n", log.display(), real.display())
}
