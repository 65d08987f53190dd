//! F7: what comes in bursts reaches Git in few pushes, and what is there afterwards is the newest by policy.

use std::time::{Duration, Instant};

use super::{
    database::Database,
    load::number,
    place::{Layout, Place},
};
use crate::{Setup, figures::Figures, peak_mebibytes};

/// Events of one image, and the tags that they announce: repetitions have other ids.
const BURST: usize = 10_000;
const TAGS: usize = 300;
const CONNECTIONS: usize = 256;
/// What pushes are counted in.
const WINDOW: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

pub(crate) async fn measure(setup: &Setup, database: &Database, figures: &mut Figures) {
    one_image(setup, database, figures).await;
    many_images(setup, database, figures).await;
}

async fn one_image(setup: &Setup, database: &Database, figures: &mut Figures) {
    let name = |what: &str| database.figure(&format!("F7: {BURST} events of one image: {what}"));
    let mut place = Place::start(&setup.binary, database, Layout { repositories: 1, images: 1 }).await;
    let process = place.start_server().await.process;
    place.wait_until_served().await;
    let tags: Vec<String> = (1..=TAGS).map(|number| format!("1.1.{number}")).collect();
    let newest = tags.last().unwrap();
    place.tag(0..1, &tags);
    // In no order: the newest is neither first nor last.
    let load = place.load("burst", (0..BURST).map(|index| (0, tags[index * 7919 % TAGS].clone())));
    let begin = Instant::now();
    let outcome = load.send(None, CONNECTIONS, process).await;
    let found = place.wait_for_manifests(0, newest, 1).await;
    place.wait_until_served().await;
    figures.number(&name("acknowledged"), outcome.rate(), "a second");
    figures.number(&name("not 2xx"), number(outcome.refused()), "answers");
    figures.number(&name("pushes"), number(place.pushes(0)), "");
    figures.number(&name("the newest is there after"), (found - begin).as_secs_f64(), "s");
    figures.number(&name("all is served after"), begin.elapsed().as_secs_f64(), "s");
    figures.number(&name("peak memory"), peak_mebibytes(process), "MiB");
    let is_newest = place.manifests_with(0, newest) == 1;
    figures.number(&name("manifests that name the newest"), f64::from(u8::from(is_newest)), "");
    figures.at_most("F7", &name("pushes"), "", 2.0);
    figures.at_most("F7", &name("not 2xx"), "answers", 0.0);
    figures.at_least("F7", &name("manifests that name the newest"), "", 1.0);
}

async fn many_images(setup: &Setup, database: &Database, figures: &mut Figures) {
    let images = setup.files;
    let name = |what: &str| database.figure(&format!("F7: {images} images in one repository: {what}"));
    let mut place = Place::start(&setup.binary, database, Layout { repositories: 1, images }).await;
    let process = place.start_server().await.process;
    place.wait_until_served().await;
    let new = "1.1.0".to_owned();
    place.tag(0..images, std::slice::from_ref(&new));
    let load = place.load("each", (0..images).map(|number| (number, new.clone())));
    let begin = Instant::now();
    let sending = load.send(Some(u32::try_from(images).unwrap()), CONNECTIONS, process);
    // Pushes are seen when they come.
    let counting = async {
        let mut times: Vec<Instant> = Vec::new();
        while place.manifests_with(0, &new) < images {
            times.resize(place.pushes(0), Instant::now());
            assert!(begin.elapsed() < Duration::from_secs(180), "{} of {images} images", place.manifests_with(0, &new));
            tokio::time::sleep(LOOK).await;
        }
        times.resize(place.pushes(0), Instant::now());
        times
    };
    let (outcome, times) = tokio::join!(sending, counting);
    let whole = begin.elapsed();
    place.wait_until_served().await;
    let in_window = |first: &Instant| times.iter().filter(|time| *time >= first && **time - *first <= WINDOW).count();
    let most = times.iter().map(in_window).max().unwrap_or_default();
    figures.number(&name("not 2xx"), number(outcome.refused()), "answers");
    figures.number(&name("pushes"), number(place.pushes(0)), "");
    figures.number(&name("most pushes in ten seconds"), number(most), "");
    figures.number(&name("all are in Git after"), whole.as_secs_f64(), "s");
    figures.number(&name("peak memory"), peak_mebibytes(process), "MiB");
    figures.at_most("F7", &name("most pushes in ten seconds"), "", 5.0);
    figures.at_most("F7", &name("not 2xx"), "answers", 0.0);
}
