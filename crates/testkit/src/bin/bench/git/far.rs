//! From the end of an image push to the moved ref, with the default settle time and with registry and Git server 20 ms away,
//! there and back. What comes on top of the settle time counts.

use std::time::{Duration, Instant};

use tagboat_testkit::{
    Wire,
    world::{World, WorldSetup},
};

use super::{
    figures::{FAR_MEDIAN, FAR_MOST, Figures},
    whole_path::{a_round, moved, wait_until_started},
};
use crate::Setup;

/// One way.
const DELAY: Duration = Duration::from_millis(10);
/// The default, in words and as a number.
const SETTLE: (&str, Duration) = ("2s", Duration::from_secs(2));

pub(crate) async fn measure(setup: &Setup, files: usize, figures: &mut Figures) {
    let (binary, (settle, settle_time)) = (setup.binary.clone(), SETTLE);
    let world = World::over_http(WorldSetup {
        binary,
        settle,
        log: "warn",
        padding: files,
        wire_delay: Some(DELAY),
        database: tagboat_testkit::Database::Sqlite,
        garbled: 0,
    })
    .await;
    wait_until_started(&world).await;
    let wires = [("Git server", world.git_wire()), ("registry", world.registry_wire())];
    let wires = wires.map(|(to, wire)| (to, wire.unwrap()));
    // Not timed: whoever is first makes connections.
    pushed(&world, "1.4.1").await;
    wires.iter().for_each(|(_, wire)| wire.reset_counts());
    let (mut times, before) = (Vec::new(), world.git_server().requests());
    for round in 1..=setup.rounds {
        times.push(pushed(&world, &format!("1.5.{round}")).await);
    }
    let requests = world.git_server().requests() - before;
    times.sort();
    figures.number(files, FAR_MEDIAN, milliseconds_after(settle_time, part(&times, 50)), "ms");
    figures.number(files, FAR_MOST, milliseconds_after(settle_time, part(&times, 99)), "ms");
    figures.times(files, "far: push to ref", times);
    figures.number(files, "far: requests to the Git server", a_round(requests, setup.rounds), "a round");
    for (to, wire) in wires {
        count(files, to, wire, setup.rounds, figures);
    }
}

fn count(files: usize, to: &str, wire: &Wire, rounds: u32, figures: &mut Figures) {
    let mut note = |what: &str, count: f64| {
        figures.number(files, &format!("far: {what} the {to}"), count, "a round");
    };
    note("connections to", a_round(wire.connections(), rounds));
    note("bytes to", a_round(wire.bytes_up(), rounds));
    note("bytes from", a_round(wire.bytes_down(), rounds));
}

/// Somebody who is near the registry pushes; the registry tells of it.
async fn pushed(world: &World, version: &str) -> Duration {
    let moved = moved(world.config.path());
    world.registry.push_image("acme/web", version, version).await;
    let start = Instant::now();
    let time = moved.await.unwrap().saturating_duration_since(start);
    world.wait_for_event("web", version, 1).await;
    time
}

/// The time that so many of a hundred do not exceed; they are sorted.
fn part(times: &[Duration], hundredths: usize) -> Duration {
    let place = (times.len() * hundredths).div_ceil(100).max(1) - 1;
    times.get(place).copied().unwrap_or_default()
}

fn milliseconds_after(settle: Duration, time: Duration) -> f64 {
    (time.as_secs_f64() - settle.as_secs_f64()) * 1000.0
}
