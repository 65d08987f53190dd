//! F6: deliveries are acknowledged quickly while they are many, none of them is lost, and senders that are too many hear 503.
//!
//! Every event is about an image that a branch is interested in, so each makes work, and reconciles are under way meanwhile.

use std::{collections::HashSet, time::Duration};

use super::{
    database::Database,
    disk,
    load::{Outcome, number},
    place::{Layout, OLD, Place},
};
use crate::{Setup, figures::Figures, peak_mebibytes, say};

const LAYOUT: Layout = Layout { repositories: 1, images: 100 };
/// To be sustained, a second.
const RATE: u32 = 2_000;
/// To be survived, a second.
const TOO_MUCH: u32 = 5_000;
/// What one of a hundred senders may wait, in milliseconds.
const PATIENCE: f64 = 50.0;
/// Connections, and those of senders that are too many.
const CONNECTIONS: usize = 256;
const CROWD: usize = 2_048;
/// Seconds of a load that only tells whether it can be borne, and of one whose fsyncs are counted.
const SHORT: u32 = 6;
/// Rates that are tried, a second.
const LADDER: [u32; 9] = [2_500, 3_000, 3_500, 4_000, 5_000, 6_000, 7_000, 8_000, 10_000];

/// What was sent to one server.
struct Sent<'p> {
    place: &'p Place,
    process: u32,
    acknowledged: HashSet<String>,
}

pub(crate) async fn measure(setup: &Setup, database: &Database, figures: &mut Figures) {
    let name = |what: &str| database.figure(&format!("F6: {what}"));
    let mut place = Place::start(&setup.binary, database, LAYOUT).await;
    figures.number(
        "F6: disk: 8 KB appended and fsynced",
        disk::appends(place.folder(), Duration::from_secs(2)),
        "a second",
    );
    let naive = place.database().naive(place.folder(), 5);
    figures.number(&name("naive: a transaction for each event"), naive, "a second");
    let process = place.start_server().await.process;
    place.wait_until_served().await;
    let mut sent = Sent { place: &place, process, acknowledged: HashSet::new() };
    // Whoever is first makes connections.
    sent.load("first", 500, 2, CONNECTIONS).await;
    let unknown = sent.load_of_others("others", RATE, SHORT).await;
    show(database, &format!("F6: {RATE} a second, of images that no branch has"), &unknown, figures);
    let sustained = sent.load("sustained", RATE, setup.rounds, CONNECTIONS).await;
    show(database, &format!("F6: {RATE} a second"), &sustained, figures);
    figures.number(&name("sustained / naive"), sustained.rate() / naive, "");
    count_fsyncs(&mut sent, &name("fsyncs beside it"), figures).await;
    figures.number(&name("highest rate with p99 within 50 ms"), highest(&mut sent).await, "a second");
    let crowd = sent.load("crowd", TOO_MUCH, setup.rounds, CROWD).await;
    show(database, &format!("F6: {TOO_MUCH} a second"), &crowd, figures);
    figures.number(&name("neither 2xx nor 503"), number(crowd.misunderstood() + sustained.misunderstood()), "answers");
    figures.number(&name("peak memory"), peak_mebibytes(process), "MiB");
    let (acknowledged, stored) = (sent.acknowledged, place.database().deliveries());
    figures.number(&name("acknowledged"), number(acknowledged.len()), "deliveries");
    figures.number(
        &name("acknowledged and not stored"),
        number(acknowledged.difference(&stored).count()),
        "deliveries",
    );
    let sustained = |what: &str| name(&format!("{RATE} a second: {what}"));
    figures.at_most("F6", &sustained("p50"), "ms", 5.0);
    figures.at_most("F6", &sustained("p99"), "ms", PATIENCE);
    figures.at_most("F6", &sustained("p99.9"), "ms", 250.0);
    figures.at_most("F6", &sustained("not 2xx"), "answers", 0.0);
    figures.at_least("F6", &name("highest rate with p99 within 50 ms"), "a second", f64::from(RATE));
    figures.at_most("F6", &name("neither 2xx nor 503"), "answers", 0.0);
    figures.at_most("F6", &name("acknowledged and not stored"), "deliveries", 0.0);
    figures.at_most("F6", &name("peak memory"), "MiB", 256.0);
}

impl Sent<'_> {
    /// So many a second for so many seconds. What is announced is there already.
    async fn load(&mut self, name: &str, rate: u32, seconds: u32, connections: usize) -> Outcome {
        self.load_of(name, 0, rate, seconds, connections).await
    }

    /// Likewise, and no work follows from it.
    async fn load_of_others(&mut self, name: &str, rate: u32, seconds: u32) -> Outcome {
        self.load_of(name, LAYOUT.images, rate, seconds, CONNECTIONS).await
    }

    /// Of images from this one on.
    async fn load_of(&mut self, name: &str, first: usize, rate: u32, seconds: u32, connections: usize) -> Outcome {
        let count = usize::try_from(rate * seconds).unwrap();
        let all = (0..count).map(|index| (first + index % LAYOUT.images, OLD.to_owned()));
        let load = self.place.load(name, all);
        let outcome = load.send(Some(rate), connections, self.process).await;
        self.acknowledged.extend(outcome.acknowledged.iter().cloned());
        outcome
    }
}

/// Show and keep what became of a load.
fn show(database: &Database, name: &str, outcome: &Outcome, figures: &mut Figures) {
    let mut keep =
        |what: &str, value: f64, unit: &str| figures.number(&database.figure(&format!("{name}: {what}")), value, unit);
    keep("acknowledged", outcome.rate(), "a second");
    keep("p50", outcome.most_of(500), "ms");
    keep("p99", outcome.most_of(990), "ms");
    keep("p99.9", outcome.most_of(999), "ms");
    keep("slowest", outcome.most_of(1000), "ms");
    keep("not 2xx", number(outcome.refused()), "answers");
    keep("of which 503", number(outcome.count(|status| status == Some(503))), "answers");
    keep("the senders' own use", outcome.own_cores, "cores");
    keep("the server's use", outcome.server_cores, "cores");
}

/// Counting costs those who are counted a little, so it has a load of its own.
async fn count_fsyncs(sent: &mut Sent<'_>, name: &str, figures: &mut Figures) {
    let Some(process) = sent.place.database().who_syncs(sent.process) else { return };
    let counting = disk::fsyncs(process, Duration::from_secs(u64::from(SHORT - 2)));
    let (fsyncs, _) = tokio::join!(counting, sent.load("fsyncs", RATE, SHORT, CONNECTIONS));
    match fsyncs {
        Some(fsyncs) => figures.number(name, fsyncs, "a second"),
        None => say(&format!("{name}: not counted, `perf` is not here or may not count")),
    }
}

/// The highest rate of the ladder at which, and below which, everything is acknowledged in time.
async fn highest(sent: &mut Sent<'_>) -> f64 {
    let mut highest = 0;
    for rate in std::iter::once(RATE).chain(LADDER) {
        let outcome = sent.load(&format!("rate-{rate}"), rate, SHORT, CONNECTIONS).await;
        say(&format!(
            "  {rate} a second: {:.0} acknowledged, p99 {:.1} ms, {} not 2xx, senders {:.2} and server {:.2} cores",
            outcome.rate(),
            outcome.most_of(990),
            outcome.refused(),
            outcome.own_cores,
            outcome.server_cores
        ));
        if outcome.most_of(990) > PATIENCE || outcome.refused() > 0 {
            break;
        }
        highest = rate;
    }
    f64::from(highest)
}
