//! CI jobs that prove themselves by a token of their issuer, and the policy that believes nobody else.

use serde_json::{Value, json};

use crate::world::{CI_SECRET, World, over_http};

/// A token as a job of this ref gets it; `more` replaces and adds claims.
fn token(world: &World, reference: &str, run: u32, more: &Value) -> String {
    let mut claims = json!({
        "aud": world.url(""), "sub": format!("repo:acme/web:ref:{reference}"), "repository": "acme/web", "ref": reference,
        "sha": "a".repeat(40), "run_number": run.to_string(), "actor": "ada",
        "job_workflow_ref": format!("acme/web/.github/workflows/release.yml@{reference}"),
    });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.issuer().token(claims)
}

async fn announce(world: &World, token: &str, tag: &str) -> (u16, Value) {
    let request = world.http.post(world.url("/api/v1/events")).bearer_auth(token);
    let answer = request.body(world.announcement("web", tag)).send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

async fn wait_for_fate(world: &World, event: &str, fate: &str) {
    let path = format!("/api/v1/events/{event}");
    world.wait(&format!("{event} {fate}"), async |world| world.get(&path).await["fate"] == fate).await;
}

/// What `tagboat notify --wait` says, and how it ends.
async fn notify(world: &World, tag: &str, timeout: &str) -> (Option<i32>, String) {
    let image = format!("{}/acme/web:{tag}", world.registry.host());
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tagboat"));
    command.args(["notify", "--wait", "--timeout", timeout, "--server", &world.url(""), "--image", &image]);
    let output = command.env("TAGBOAT_SECRET", CI_SECRET).output().await.unwrap();
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    (output.status.code(), texts.concat())
}

#[tokio::test]
async fn a_token_of_the_issuer_is_enough_and_nothing_less_is() {
    let world = over_http().await;
    world.wait_until_started().await;
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_commits(2).await;
    let main = "refs/heads/main";
    let (status, told) = announce(&world, &token(&world, main, 1, &json!({})), "1.5.0").await;
    assert_eq!((status, &told["receiver"]), (202, &json!("actions")), "{told}");
    let event = world.get(&format!("/api/v1/events/{}", told["id"].as_str().unwrap())).await;
    let source = &event["event"]["source"];
    assert_eq!((&source["repository"], &source["run"]), (&json!("acme/web"), &json!("1")), "{event}");
    assert_eq!(event["event"]["actor"], "ada");
    assert!(source["claims"]["job_workflow_ref"].is_string());

    // A new key is fetched when a token names it, and kept.
    world.issuer().rotate();
    assert_eq!(announce(&world, &token(&world, main, 2, &json!({})), "1.5.1").await.0, 202);
    assert_eq!(announce(&world, &token(&world, main, 3, &json!({})), "1.5.2").await.0, 202);
    assert_eq!(world.issuer().key_requests(), 2);

    let (status, told) = announce(&world, &token(&world, main, 1, &json!({ "repository": "evil/web" })), "1.6.0").await;
    assert!(status == 403 && told["error"].as_str().unwrap().contains("`repository`, which is `evil/web`"), "{told}");
    let stranger = json!({ "aud": world.url(""), "repository": "acme/web", "ref": main });
    for refused in [
        world.issuer().token_signed_by_stranger(stranger),
        token(&world, main, 1, &json!({ "aud": "https://elsewhere.example" })),
        token(&world, main, 1, &json!({ "exp": 1_700_000_000 })),
        token(&world, main, 1, &json!({ "iss": "https://elsewhere.example" })),
        "x.y.z".to_owned(),
    ] {
        assert_eq!(announce(&world, &refused, "1.6.0").await.0, 401, "{refused}");
    }
    assert_eq!(world.issuer().key_requests(), 2, "strangers cause no requests");
    assert_eq!(world.config.commits(), 2);
}

#[tokio::test]
async fn only_what_main_announces_is_deployed_in_the_order_of_its_runs() {
    let world = over_http().await;
    world.wait_until_started().await;
    let settings = world.config.file(".tagboat.yaml");
    let announced = "policy: { announced: { claims: { ref: refs/heads/main } } }";
    let settings = settings.replace("policy: { semver: { range: \"^1.4\" } }", announced);
    world.config.commit_as_person("Believe main alone", &[(".tagboat.yaml", &settings)]);
    for tag in ["1.5.0", "1.4.9", "1.9.0", "2.0.0", "3.0.0"] {
        world.registry.push_image("acme/web", tag, &format!("web-{tag}")).await;
    }
    let (main, pull) = ("refs/heads/main", "refs/pull/7/merge");
    let announced = async |reference: &str, run: u32, more: Value, tag: &str| {
        let (status, told) = announce(&world, &token(&world, reference, run, &more), tag).await;
        assert_eq!(status, 202, "{told}");
        told["id"].as_str().unwrap().to_owned()
    };
    // Of a pull request, with a number that none of main's runs has reached.
    let of_pull = announced(pull, 900, json!({}), "1.9.0").await;
    announced(main, 17, json!({}), "1.5.0").await;
    world.wait_for_commits(3).await;
    assert!(world.config.message("main").starts_with("Update web to 1.5.0 in dev"), "{}", world.config.message("main"));
    wait_for_fate(&world, &of_pull, "unusable").await;
    // A slower, older run is not newer because it comes later; a pull request still is nobody.
    announced(main, 16, json!({}), "1.4.9").await;
    announced("refs/pull/8/merge", 901, json!({}), "1.9.0").await;
    let ours = world.config.head();
    announced(main, 18, json!({ "sha": ours }), "3.0.0").await;
    announced(main, 19, json!({}), "2.0.0").await;
    world.wait_for_commits(4).await;
    assert!(world.config.message("main").starts_with("Update web to 2.0.0 in dev"), "{}", world.config.message("main"));
    let explained = world.run(&["explain", "web", "--config", "tagboat.yaml"]);
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(explained.contains("1.9.0 was announced with ref refs/pull/"), "{explained}");

    // An image of our own commit is none, although main announced it: it would make a loop.
    world.registry.push_image("acme/web", "4.0.0", "web-4.0.0").await;
    let event = announced(main, 20, json!({ "sha": ours }), "4.0.0").await;
    wait_for_fate(&world, &event, "unusable").await;
    assert_eq!(world.config.commits(), 4);
}

#[tokio::test]
async fn a_job_fails_whose_image_cannot_be_used() {
    let world = over_http().await;
    world.wait_until_started().await;
    let (code, told) = notify(&world, "1.9.0", "20s").await;
    assert!(code == Some(4) && told.contains("/acme/web:1.9.0: cannot be used\n"), "{code:?}: {told}");
    assert!(told.contains("has no tag 1.9.0 at its registry") && told.contains("looked at again by itself"), "{told}");
    world.registry.push_chart("acme/web", "1.8.0").await;
    let (code, told) = notify(&world, "1.8.0", "20s").await;
    assert!(code == Some(4) && told.contains("1.8.0 is not a container image"), "{code:?}: {told}");
    assert!(!told.contains("1.9.0") && !told.contains("looked at again"), "{told}");
    let (code, told) = notify(&world, "2.0.0", "20s").await;
    assert!(code == Some(0) && told.contains("2.0.0 is outside range"), "{code:?}: {told}");

    // What was missing comes after all.
    let event = world.wait_for_event("web", "1.9.0", 1).await;
    world.registry.push_image("acme/web", "1.9.0", "web-1.9.0").await;
    world.wait_for_commits(2).await;
    wait_for_fate(&world, &event, "committed").await;
}

#[tokio::test]
async fn a_job_that_waits_in_vain_hears_why() {
    let world = over_http().await;
    world.wait_until_started().await;
    world.config.set_hook("pre-receive", "#!/bin/sh\necho 'frozen until Monday'\nexit 1\n");
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    let (code, told) = notify(&world, "1.5.0", "5s").await;
    let (_, error) = told.split_once("not decided in time").unwrap();
    assert!(code == Some(1) && error.contains("; config#main: the Git server refused the push"), "{code:?}: {told}");
    assert!(error.contains("frozen until Monday") && error.contains("; next try at "), "{told}");
}
