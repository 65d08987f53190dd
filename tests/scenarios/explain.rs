//! `tagboat explain`: every id that Tagboat hands out, images with and without a tag, and what was only heard of.

use serde_json::{Value, json};

use crate::world::{World, over_http};

fn explain(world: &World, what: &str) -> (i32, String, String) {
    let output = world.run(&["explain", what, "--config", "tagboat.yaml"]);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What it says, with exit code 0 and no empty line at the beginning.
fn explained(world: &World, what: &str) -> String {
    let (code, text, error) = explain(world, what);
    assert!(code == 0 && !text.starts_with('\n'), "{what}: {text}{error}");
    text
}

fn in_json(world: &World, what: &str) -> Value {
    let output = world.run(&["explain", what, "--config", "tagboat.yaml", "--output", "json"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn every_id_and_image_that_tagboat_tells_of_is_explained() {
    let world = over_http().await;
    world.wait_until_started().await;
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_commits(2).await;
    let event = world.wait_for_event("web", "1.5.0", 1).await;
    let image = format!("{}/acme/web", world.registry.host());
    let told = in_json(&world, &event);
    let why = "1.5.0 is the best tag that semver";
    assert!(explained(&world, &event).contains(why));

    // The id in the commit.
    let message = world.config.message("main");
    let decision = message.lines().find_map(|line| line.strip_prefix("Tagboat-Decision: ")).unwrap();
    let text = explained(&world, decision);
    for expect in [why, &format!("image   {image}"), &format!("commit  {}", world.config.head()), &event] {
        assert!(text.contains(expect), "{expect}: {text}");
    }
    let whole = in_json(&world, decision);
    assert_eq!(
        (&whole["decisions"][0]["id"], whole["decisions"].as_array().map(Vec::len)),
        (&json!(decision), Some(1))
    );

    // The delivery that the event came in.
    let delivery = told["event"]["delivery"].as_str().unwrap();
    let text = explained(&world, delivery);
    assert!(text.starts_with(&format!("delivery {delivery} ")) && text.contains(why), "{text}");

    // A later event, about which there is nothing to do.
    world.announce("low", &world.announcement("web", "1.4.1")).await;
    world.wait_for_event("web", "1.4.1", 1).await;
    let text = explained(&world, "web");
    assert!(text.contains("last update of web in dev: 1.4.0 -> 1.5.0") && text.contains(why), "{text}");
    assert_eq!(in_json(&world, "web")["lastUpdates"][0]["id"], decision);

    // A tag of it, with and without digest, and one that nobody knows.
    let trailer = message.lines().find_map(|line| line.strip_prefix("Tagboat-Image: ")).unwrap();
    for what in [trailer, &format!("{image}:1.5.0"), "web:1.5.0"] {
        assert!(explained(&world, what).contains(why), "{what}");
    }
    let text = explained(&world, &format!("{image}:8.8.8"));
    assert!(text.starts_with("nothing is known of the tag 8.8.8: "), "{text}");
}

#[tokio::test]
async fn what_was_only_heard_of_is_told_apart_from_what_nobody_knows() {
    let world = over_http().await;
    world.wait_until_started().await;
    for (id, tag) in [("1", "1.0.0"), ("2", "1.1.0")] {
        assert_eq!(world.announce(id, &world.announcement("stranger", tag)).await.0, 202);
    }
    let image = format!("{}/acme/stranger", world.registry.host());
    let text = explained(&world, &image);
    assert!(text.starts_with(&format!("{image}: heard of 2 times, last at ")), "{text}");
    assert!(text.contains(" by receiver ci; no config repository asks for it\n"), "{text}");
    let told = in_json(&world, &format!("{image}:1.1.0"));
    let heard = &told["heard"];
    assert_eq!((&heard["times"], &heard["tag"]), (&json!(2), &json!({"tag": "1.1.0", "times": 1})), "{heard}");
    for nobody in ["ghcr.io/acme/nobody", "d-0011223344556677", "dl-0", "ev-0"] {
        let (code, text, error) = explain(&world, nobody);
        assert!(code == 3 && text.is_empty(), "{nobody}: {text}");
        assert!(error.contains(&format!("nothing is known of `{nobody}`")), "{error}");
    }
}
