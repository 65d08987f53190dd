//! The commands about senders: `event parse`, `receivers` and `deliveries`.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    folder::{in_json, tagboat, write},
    world::{CI_SECRET, REGISTRY_SECRET, over_http},
};

const DIGEST: &str = "sha256:3333333333333333333333333333333333333333333333333333333333333333";

/// As GitHub sends it for a push to its container registry. The signature below is over these very bytes.
const GITHUB: &str = r#"{"action": "published", "package": {"id": 1, "name": "web", "namespace": "acme", "description": "",
"ecosystem": "CONTAINER", "package_type": "CONTAINER", "owner": {"login": "acme", "id": 2, "type": "Organization"},
"html_url": "https://github.com/orgs/acme/packages/container/package/web",
"package_version": {"id": 3, "version": "sha256:3333333333333333333333333333333333333333333333333333333333333333",
"name": "sha256:3333333333333333333333333333333333333333333333333333333333333333", "description": "",
"html_url": "https://github.com/orgs/acme/packages/container/web/3", "package_url": "ghcr.io/acme/web:1.5.0",
"container_metadata": {"tag": {"name": "1.5.0",
"digest": "sha256:3333333333333333333333333333333333333333333333333333333333333333"}, "labels": {},
"manifest": {"digest": "sha256:3333333333333333333333333333333333333333333333333333333333333333",
"media_type": "application/vnd.oci.image.manifest.v1+json", "size": 1000,
"config": {"media_type": "application/vnd.oci.image.config.v1+json", "size": 10}, "layers": []}},
"author": {"login": "ann", "id": 4}},
"registry": {"name": "GitHub CONTAINER registry", "type": "CONTAINER", "url": "https://ghcr.io/acme"}},
"organization": {"login": "acme", "id": 2}, "sender": {"login": "ann", "id": 4}}"#;
const GITHUB_SECRET: &str = "It's a Secret to Everybody";
const GITHUB_SIGNATURE: &str = "sha256=35bdada2553e7f1c8815e74b6754d4f0b31037391059cdfae070d042501c5d07";

/// A notification of the distribution registry.
fn notification(id: &str, action: &str, tag: &str) -> Value {
    let mut target = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1000, "digest": DIGEST, "length": 1000,
        "repository": "acme/web", "url": format!("http://registry:5000/v2/acme/web/manifests/{DIGEST}"),
    });
    if !tag.is_empty() {
        target["tag"] = json!(tag);
    }
    json!({
        "id": id, "timestamp": "2026-11-26T04:00:00.123456789+01:00", "action": action, "target": target,
        "request": {"id": "r", "addr": "10.0.0.7:5120", "host": "registry:5000", "method": "PUT", "useragent": "buildkit"},
        "actor": {"name": "robot"}, "source": {"addr": "registry:5000", "instanceID": "i"},
    })
}

fn distribution(notifications: &[Value]) -> String {
    json!({ "events": notifications }).to_string()
}

/// `event parse` with the files `headers` and `body` of the folder.
fn parse(folder: &Path, more: &[&str]) -> (i32, Value) {
    in_json(folder, &[&["event", "parse", "--headers", "headers", "--body", "body"], more].concat())
}

fn github(folder: &Path) {
    let headers = format!(
        "X-GitHub-Event: package\r\nX-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958\r\n\r\nX-Hub-Signature-256: {GITHUB_SIGNATURE}\r\n"
    );
    write(folder, &[("headers", &headers), ("body", GITHUB), ("secret", &format!("{GITHUB_SECRET}\n"))]);
}

#[test]
fn a_request_of_github_is_verified_and_taken_apart() {
    let folder = tempfile::tempdir().unwrap();
    github(folder.path());
    let (code, answer) = parse(folder.path(), &["--kind", "github", "--secret-file", "secret"]);
    assert_eq!((code, &answer["verified"], &answer["ignored"]), (0, &json!(true), &json!([])), "{answer}");
    let [event] = answer["events"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    for (key, expect) in [
        ("repository", "acme/web"),
        ("tag", "1.5.0"),
        ("digest", DIGEST),
        ("registry", "ghcr.io"),
        ("deliveryId", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("trust", "signed"),
    ] {
        assert_eq!(event[key], expect, "{key}: {event}");
    }
    for absent in ["hints", "refused", "unparsable", "subscription"] {
        assert!(answer.get(absent).is_none(), "{absent}: {answer}");
    }
    // A second secret is alive during a rotation.
    write(folder.path(), &[("new", "another\n")]);
    let both = ["--kind", "github", "--secret-file", "new", "--secret-file", "secret"];
    assert_eq!(parse(folder.path(), &both).0, 0);

    let words =
        ["event", "parse", "--headers", "headers", "--body", "body", "--kind", "github", "--secret-file", "secret"];
    let (code, text, _) = tagboat(folder.path(), &words);
    assert_eq!(code, 0);
    assert!(text.starts_with("verified signed: "), "{text}");
    assert!(text.contains("\npushed ghcr.io/acme/web:1.5.0 @ sha256:333333333333"), "{text}");
}

#[test]
fn a_forged_request_is_refused_and_without_a_secret_nothing_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    github(folder.path());
    write(folder.path(), &[("body", &GITHUB.replace("1.5.0", "6.6.6")), ("wrong", "another\n")]);
    let secret = ["--kind", "github", "--secret-file", "secret"];
    let refused = json!({"events": [], "ignored": [], "verified": false, "refused": "the credential does not match"});
    assert_eq!(parse(folder.path(), &secret), (4, refused.clone()));
    write(folder.path(), &[("body", GITHUB)]);
    assert_eq!(parse(folder.path(), &["--kind", "github", "--secret-file", "wrong"]), (4, refused));

    let (code, answer) = parse(folder.path(), &["--kind", "github"]);
    assert_eq!((code, &answer["verified"]), (0, &json!(false)));
    assert_eq!((&answer["events"][0]["tag"], &answer["events"][0]["trust"]), (&json!("1.5.0"), &json!("signed")));

    write(folder.path(), &[("headers", "X-GitHub-Event: package\n")]);
    let (code, answer) = parse(folder.path(), &secret);
    assert_eq!((code, &answer["refused"]), (4, &json!("the header `x-hub-signature-256` is missing")));
}

#[test]
fn every_tag_of_a_request_counts_and_reasons_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let body = distribution(&[
        notification("a1", "push", "1.5.0"),
        notification("a2", "pull", "1.5.0"),
        notification("a3", "push", "latest"),
        notification("a4", "push", ""),
        notification("a5", "pull", "1.4.0"),
    ]);
    let headers = "Content-Type: application/vnd.docker.distribution.events.v2+json\nAuthorization: Bearer s3cret\n";
    write(folder.path(), &[("headers", headers), ("body", &body), ("secret", "Bearer s3cret\n"), ("wrong", "other\n")]);
    let event = |tag: &str| {
        json!({
            "repository": "acme/web", "tag": tag, "digest": DIGEST, "registry": "registry.example:5000", "actor": "robot",
            "time": "2026-11-26T03:00:00Z", "deliveryId": "a1+a2+a3+a4+a5", "trust": "token",
        })
    };
    let kind = ["--kind", "distribution", "--registry", "registry.example:5000"];
    let expect = |verified: bool| {
        json!({
            "events": [event("1.5.0"), event("latest")], "verified": verified,
            "ignored": [{"reason": "notAPush", "count": 2}, {"reason": "noTag", "count": 1}],
        })
    };
    assert_eq!(parse(folder.path(), &[&kind[..], &["--secret-file", "secret"]].concat()), (0, expect(true)));
    assert_eq!(parse(folder.path(), &kind), (0, expect(false)));
    assert_eq!(parse(folder.path(), &[&kind[..], &["--secret-file", "wrong"]].concat()).0, 4);
    let (_, answer) = parse(folder.path(), &["--kind", "distribution"]);
    assert_eq!(answer["events"][0]["registry"], "registry:5000", "what the body claims");

    // Nothing of interest.
    write(folder.path(), &[("body", &distribution(&[notification("b1", "push", "")]))]);
    let ignored = json!({"events": [], "ignored": [{"reason": "noTag", "count": 1}], "verified": false});
    assert_eq!(parse(folder.path(), &kind), (3, ignored));
}

#[test]
fn what_cannot_be_read_ends_with_two() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("headers", "Content-Type: application/json\n"), ("body", "{ not json"), ("secret", "s\n")]);
    let (code, answer) = parse(folder.path(), &["--kind", "distribution"]);
    assert_eq!((code, &answer["events"]), (2, &json!([])));
    assert!(answer["unparsable"].is_string() && answer["verified"] == false, "{answer}");

    write(folder.path(), &[("bad", "Content-Type: application/json\ns3cret without a colon\n")]);
    for (arguments, expect) in [
        (&["--headers", "headers", "--body", "body", "--kind", "nobody"][..], "`nobody` is not a kind of sender"),
        (&["--headers", "headers", "--body", "body"], "required arguments were not provided"),
        (&["--headers", "nowhere", "--body", "body", "--kind", "github"], "nowhere cannot be read"),
        (&["--headers", "headers", "--body", "nowhere", "--kind", "github"], "nowhere cannot be read"),
        (&["--headers", "bad", "--body", "body", "--kind", "github"], "bad:2: there is no colon"),
        (&["--headers", "-", "--body", "-", "--kind", "github"], "not both"),
        (
            &["--headers", "headers", "--body", "body", "--kind", "github", "--secret-file", "nowhere"],
            "the file nowhere cannot be read",
        ),
        (&["--headers", "headers", "--body", "body", "--kind", "github", "--now", "noon"], "is not a point in time"),
        (&["--headers", "headers", "--body", "body", "--kind", "gar", "--secret-file", "secret"], "`--identity`"),
    ] {
        let (code, out, error) = tagboat(folder.path(), &[&["event", "parse"], arguments].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(error.contains(expect) && !error.contains("s3cret"), "{arguments:?}: {error}");
    }
}

#[test]
fn standard_input_can_be_one_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("headers", "Content-Type: application/json\n")]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagboat"));
    command.current_dir(folder.path()).args(["event", "parse", "--kind", "generic", "--headers", "headers"]);
    let mut child =
        command.args(["--body", "-", "--output", "json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(br#"{"image": "ghcr.io/acme/web:1.5.0"}"#).unwrap();
    let output = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{answer}");
    let event = json!({"repository": "acme/web", "tag": "1.5.0", "registry": "ghcr.io", "trust": "signed"});
    assert_eq!(answer["events"], json!([event]), "a body without an id has none");
}

/// A server file with two receivers, and their secrets.
fn server_file(folder: &Path) {
    let file = "publicUrl: https://tagboat.example/\nreceivers:\n  - name: registry\n    kind: distribution\n    registry: registry.example:5000\n\
                \x20   images: ['registry.example:5000/acme/*']\n    secretFiles: [registry-secret]\n\
                \x20 - name: ci\n    kind: generic\n    images: ['ghcr.io/acme/web']\n    secretFiles: [ci-secret]\n";
    let registry_secret = format!("{REGISTRY_SECRET}\n");
    write(folder, &[("tagboat.yaml", file), ("registry-secret", &registry_secret), ("ci-secret", CI_SECRET)]);
}

#[test]
fn a_receiver_of_the_server_file_brings_its_secrets_and_its_images() {
    let folder = tempfile::tempdir().unwrap();
    server_file(folder.path());
    let headers = format!("Authorization: {REGISTRY_SECRET}\n");
    let body = distribution(&[notification("a1", "push", "1.5.0")]);
    write(folder.path(), &[("headers", &headers), ("body", &body)]);
    let receiver = ["--receiver", "registry", "--config", "tagboat.yaml"];
    let (code, answer) = parse(folder.path(), &receiver);
    assert_eq!((code, &answer["verified"]), (0, &json!(true)), "{answer}");
    assert_eq!(answer["events"][0]["registry"], "registry.example:5000");
    write(folder.path(), &[("body", &body.replace("acme/web", "other/web"))]);
    let (code, answer) = parse(folder.path(), &receiver);
    assert_eq!((code, &answer["ignored"]), (3, &json!([{"reason": "notAllowed", "count": 1}])));
    write(folder.path(), &[("headers", "Authorization: Bearer wrong\n")]);
    assert_eq!(parse(folder.path(), &receiver).0, 4);

    let files = ["event", "parse", "--headers", "headers", "--body", "body"];
    for (more, expect) in [
        (
            &["--receiver", "registry", "--config", "tagboat.yaml", "--kind", "generic"][..],
            "is of the kind `distribution`",
        ),
        (&["--receiver", "nobody", "--config", "tagboat.yaml"], "has no receiver `nobody` (there are: registry, ci)"),
        (&["--receiver", "registry", "--kind", "distribution"], "`--receiver` needs `--config`"),
        (&["--receiver", "registry", "--config", "tagboat.yaml", "--secret-file", "ci-secret"], "cannot be used with"),
    ] {
        let (code, _, error) = tagboat(folder.path(), &[&files[..], more].concat());
        assert!(code == 2 && error.contains(expect), "{more:?}: {error}");
    }
}

#[test]
fn receivers_says_what_to_give_to_senders_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    server_file(folder.path());
    let (code, text, _) = tagboat(folder.path(), &["receivers", "--config", "tagboat.yaml"]);
    assert_eq!(code, 0);
    for expect in [
        "registry  distribution\n  address https://tagboat.example/hooks/registry\n  proof   token: the secret in the header `authorization`\n",
        "ci  generic\n  address https://tagboat.example/hooks/ci\n  or      POST https://tagboat.example/api/v1/events\n",
        "  trust   signed: its events may put versions forward, and announce them\n  images  ghcr.io/acme/web\n",
    ] {
        assert!(text.contains(expect), "{expect}{text}");
    }
    let (code, answer) = in_json(folder.path(), &["receivers", "--config", "tagboat.yaml"]);
    assert_eq!((code, &answer["receivers"][0]["kind"]), (0, &json!("distribution")));
    assert_eq!(answer["receivers"][1]["eventsAddress"], "https://tagboat.example/api/v1/events");
    for secret in [REGISTRY_SECRET, CI_SECRET] {
        assert!(!text.contains(secret) && !answer.to_string().contains(secret));
    }
    write(folder.path(), &[("tagboat.yaml", "{}\n")]);
    assert_eq!(in_json(folder.path(), &["receivers", "--config", "tagboat.yaml"]), (3, json!({"receivers": []})));
}

#[tokio::test]
async fn a_delivery_can_be_looked_at_and_taken_apart_again() {
    let world = over_http().await;
    world.wait_until_started().await;
    let run = |arguments: &[&str]| {
        let output = world.run(&[arguments, &["--config", "tagboat.yaml", "--output", "json"]].concat());
        (output.status.code().unwrap(), serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default(), output)
    };
    let body = world.announcement("web", "1.9.9");
    assert_eq!(world.announce("look-at-me", &body).await.0, 202);
    world.wait_for_event("web", "1.9.9", 1).await;
    let (code, list, _) = run(&["deliveries", "--receiver", "ci", "--limit", "5"]);
    assert_eq!((code, list["deliveries"].as_array().map(Vec::len)), (0, Some(1)), "{list}");
    assert_eq!((&list["deliveries"][0]["verdict"], &list["deliveries"][0]["events"]), (&json!("accepted"), &json!(1)));
    let id = list["deliveries"][0]["id"].as_str().unwrap();

    let (code, shown, _) = run(&["deliveries", "show", id]);
    assert_eq!((code, &shown["key"], &shown["body"]), (0, &json!("look-at-me"), &json!(body)));
    assert_eq!(shown["events"][0]["branches"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(run(&["deliveries", "show", id, "--raw"]).2.stdout, body.as_bytes());

    let (code, replayed, output) = run(&["deliveries", "replay", id]);
    assert_eq!(code, 0, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&replayed["delivery"]["replayOf"], &replayed["events"][0]["branches"]), (&json!(id), &json!(1)));
    // The server sees by itself what another process stored.
    world.wait_for_event("web", "1.9.9", 2).await;
    assert_eq!(run(&["deliveries", "--receiver", "ci"]).1["deliveries"].as_array().map(Vec::len), Some(2));

    let list = run(&["deliveries", "--receiver", "ci"]).1;
    assert_eq!((&list["deliveries"][0]["replayOf"], list["deliveries"][1].get("replayOf")), (&json!(id), None));

    assert_eq!(run(&["deliveries", "--receiver", "actions"]).0, 3);
    let (code, _, output) = run(&["deliveries", "--receiver", "nobody"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(code == 2 && error.contains("has no receiver `nobody` (there are: registry, actions, ci)"), "{error}");
    for action in ["show", "replay"] {
        let (code, _, output) = run(&["deliveries", action, "dl-nothing"]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(code == 2 && error.contains("there is no delivery `dl-nothing`"), "{error}");
    }
    // The server file may have changed since.
    let path = world.folder.path().join("tagboat.yaml");
    let file = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, file.replace("name: ci", "name: builds")).unwrap();
    let (code, _, output) = run(&["deliveries", "replay", id]);
    assert!(code == 2 && String::from_utf8_lossy(&output.stderr).contains("is gone from the server file"));
}

#[tokio::test]
async fn a_body_that_was_too_large_was_not_kept_and_cannot_be_replayed() {
    let world = over_http().await;
    world.wait_until_started().await;
    let request = world.http.post(world.url("/hooks/registry")).header("authorization", REGISTRY_SECRET);
    assert_eq!(request.body("x".repeat(30_000)).send().await.unwrap().status().as_u16(), 200);
    let run = |arguments: &[&str]| {
        let output = world.run(&[arguments, &["--config", "tagboat.yaml"]].concat());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (_, list, _) = run(&["deliveries", "--receiver", "registry"]);
    let large = list.lines().find(|line| line.contains("unparsable")).unwrap_or_else(|| panic!("{list}"));
    let id = large.split_whitespace().next().unwrap();
    let (code, shown, _) = run(&["deliveries", "show", id]);
    let why = "the body was not kept: the body could not be read: the body is larger than 20000 bytes";
    assert!(code == 0 && shown.contains(why) && !shown.contains("0 bytes\n"), "{shown}");
    for action in [&["deliveries", "replay", id][..], &["deliveries", "show", id, "--raw"]] {
        let (code, out, error) = run(action);
        assert!((code, out.as_str()) == (2, "") && error.contains(why), "{action:?}: {error}");
    }
}

#[test]
fn without_a_database_there_are_no_deliveries() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("tagboat.yaml", "{}\n")]);
    for arguments in [&["deliveries"][..], &["deliveries", "show", "dl-1"], &["deliveries", "replay", "dl-1"]] {
        let (code, _, error) = tagboat(folder.path(), &[arguments, &["--config", "tagboat.yaml"]].concat());
        let place = "/data/tagboat.db (sqlite:data/tagboat.db, which is relative to the working directory)";
        assert!(code == 2 && error.contains("there is no database at /") && error.contains(place), "{error}");
    }
    assert!(!folder.path().join("data").exists(), "looking makes nothing");
    let limit = ["deliveries", "show", "dl-1", "--limit", "5"];
    assert_eq!(tagboat(folder.path(), &limit).0, 2);
}
