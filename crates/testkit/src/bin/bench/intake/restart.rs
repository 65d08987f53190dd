//! F10: a server that was killed while 100,000 events waited for a config repository that could not be reached is ready soon,
//! and does what was waited for.

use super::{
    database::Database,
    load::number,
    place::{Layout, Place},
};
use crate::{Setup, figures::Figures, peak_mebibytes};

const LAYOUT: Layout = Layout { repositories: 1, images: 100 };
const EVENTS: usize = 100_000;
const CONNECTIONS: usize = 64;

pub(crate) async fn measure(setup: &Setup, database: &Database, figures: &mut Figures) {
    let name = |what: &str| database.figure(&format!("F10: {what}"));
    let mut place = Place::start(&setup.binary, database, LAYOUT).await;
    let process = place.start_server().await.process;
    place.wait_until_served().await;
    let new = "1.1.0".to_owned();
    place.tag(0..LAYOUT.images, std::slice::from_ref(&new));
    place.hide_repository(0, true);
    let load = place.load("queued", (0..EVENTS).map(|index| (index % LAYOUT.images, new.clone())));
    let outcome = load.send(None, CONNECTIONS, process).await;
    figures.number(&name("peak memory while they came"), peak_mebibytes(process), "MiB");
    place.kill_server();
    place.hide_repository(0, false);
    let started = place.start_server().await;
    let found = place.wait_for_manifests(0, &new, LAYOUT.images).await;
    place.wait_until_served().await;
    let since = |moment: std::time::Instant| moment.saturating_duration_since(started.begun).as_secs_f64();
    let stored = place.database().deliveries();
    figures.number(&name("events that waited"), number(outcome.acknowledged.len()), "");
    figures.number(&name("lost"), number(outcome.acknowledged.difference(&stored).count()), "deliveries");
    figures.number(&name("ready after"), since(started.ready), "s");
    figures.number(&name("all of it pushed after"), since(found), "s");
    figures.number(&name("all of it served after"), started.begun.elapsed().as_secs_f64(), "s");
    figures.number(&name("pushes"), number(place.pushes(0)), "");
    figures.number(&name("peak memory afterwards"), peak_mebibytes(started.process), "MiB");
    figures.at_least("F10", &name("events that waited"), "", number(EVENTS));
    figures.at_most("F10", &name("lost"), "deliveries", 0.0);
    figures.at_most("F10", &name("ready after"), "s", 2.0);
    figures.at_most("F10", &name("all of it pushed after"), "s", 5.0);
    figures.at_most("F10", &name("peak memory afterwards"), "MiB", 256.0);
}
