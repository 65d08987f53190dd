//! F9: memory with one config repository that nothing happens in, and with 50 of them and 5,000 images of which each had an event.

use std::time::Duration;

use super::{
    database::Database,
    load::number,
    place::{Layout, Place},
};
use crate::{Setup, figures::Figures, mebibytes, peak_mebibytes};

const ONE: Layout = Layout { repositories: 1, images: 100 };
const MANY: Layout = Layout { repositories: 50, images: 100 };
/// Events a second.
const RATE: u32 = 1_000;
const CONNECTIONS: usize = 64;
/// After it nothing is under way any more.
const QUIET: Duration = Duration::from_secs(3);

pub(crate) async fn measure(setup: &Setup, database: &Database, figures: &mut Figures) {
    let name = |what: &str| database.figure(&format!("F9: {what}"));
    let mut place = Place::start(&setup.binary, database, ONE).await;
    let process = place.start_server().await.process;
    place.wait_until_served().await;
    tokio::time::sleep(QUIET).await;
    figures.number(&name("memory, idle"), mebibytes(process), "MiB");
    drop(place);
    let mut place = Place::start(&setup.binary, database, MANY).await;
    let process = place.start_server().await.process;
    place.wait_until_served().await;
    tokio::time::sleep(QUIET).await;
    figures.number(&name("memory, 50 repositories with 5,000 images read"), mebibytes(process), "MiB");
    let (images, new) = (MANY.repositories * MANY.images, "1.1.0".to_owned());
    place.tag(0..images, std::slice::from_ref(&new));
    let load = place.load("each", (0..images).map(|number| (number, new.clone())));
    let outcome = load.send(Some(RATE), CONNECTIONS, process).await;
    for repository in 0..MANY.repositories {
        place.wait_for_manifests(repository, &new, MANY.images).await;
    }
    place.wait_until_served().await;
    tokio::time::sleep(QUIET).await;
    figures.number(&name("not 2xx"), number(outcome.refused()), "answers");
    figures.number(&name("memory, 5,000 images moved"), mebibytes(process), "MiB");
    figures.number(&name("peak memory"), peak_mebibytes(process), "MiB");
    figures.at_most("F9", &name("memory, idle"), "MiB", 40.0);
    figures.at_most("F9", &name("memory, 5,000 images moved"), "MiB", 150.0);
    figures.at_most("F9", &name("not 2xx"), "answers", 0.0);
}
