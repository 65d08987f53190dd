//! What the real registry sends, all of it: much that is of no interest, and nothing that stops what is.

use std::time::{Duration, Instant};

use serde_json::Value;
use tagboat_testkit::world::WorldSetup;

use crate::world::{World, over_http};

/// What became of the requests of the receiver of the registry, by outcome and reason.
async fn count(world: &World, outcome: &str, reason: &str) -> u64 {
    let receivers = world.get("/api/v1/receivers").await;
    let of_registry = |receiver: &&Value| receiver["name"] == "registry";
    let counts = receivers["receivers"].as_array().unwrap().iter().find(of_registry).unwrap()["counts"].clone();
    let counts = counts.as_array().unwrap().iter();
    counts
        .filter(|count| count["outcome"] == outcome && count["reason"] == reason)
        .filter_map(|count| count["count"].as_u64())
        .sum()
}

#[tokio::test]
async fn garbage_in_front_holds_up_nothing_behind_it() {
    let setup = WorldSetup { garbled: 1, ..WorldSetup::quick(env!("CARGO_BIN_EXE_tagboat")) };
    let world = World::over_http(setup).await;
    world.wait_until_started().await;
    // The first notification of all, of the first image, came as garbage. It must not come again.
    world.wait("the garbage", async |world| count(world, "ignored", "unparsable").await == 1).await;
    let pushed = Instant::now();
    world.registry.push_image("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_event("web", "1.5.0", 1).await;
    let through = pushed.elapsed();
    assert!(through < Duration::from_secs(2), "{through:?}");
    world.wait_for_commits(2).await;
    assert_eq!(count(&world, "ignored", "unparsable").await, 1, "nothing was sent again");
    let deliveries = world.get("/api/v1/deliveries?receiver=registry").await;
    let unparsable = |delivery: &&Value| delivery["verdict"] == "unparsable";
    assert_eq!(deliveries["deliveries"].as_array().unwrap().iter().filter(unparsable).count(), 1);
}

#[tokio::test]
async fn eleven_notifications_of_one_push_become_one_decision() {
    let world = over_http().await;
    world.wait_until_started().await;
    let index = world.registry.push_index_with_attestations("acme/web", "1.5.0", "web-1.5.0").await;
    world.wait_for_commits(2).await;
    let event = world.wait_for_event("web", "1.5.0", 1).await;
    assert!(world.config.message("main").contains(&format!("web:1.5.0@{index}")));
    world.wait("all notifications", async |world| count(world, "ignored", "noTag").await == 4).await;
    assert_eq!(count(&world, "ignored", "notAManifest").await, 8, "two blobs of the image of the beginning, six more");
    assert_eq!(count(&world, "accepted", "").await, 2, "the image of the beginning, and the index");
    let told = world.get(&format!("/api/v1/events/{event}")).await;
    assert_eq!((told["decisions"].as_array().unwrap().len(), &told["fate"]), (1, &Value::from("committed")), "{told}");
    let decisions = world.get("/api/v1/decisions").await;
    let updates = |record: &&Value| record["decision"]["outcome"] == "update";
    assert_eq!(decisions["decisions"].as_array().unwrap().iter().filter(updates).count(), 1, "{decisions}");
    assert_eq!(world.config.commits(), 2);
}
