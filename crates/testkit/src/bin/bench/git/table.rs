//! Where the time of an update goes, by what the real binary itself tells at the level `debug`: the ends of the spans of a
//! reconcile, and the parts of a push. And what a new head with ten changed files costs.

use std::{collections::BTreeMap, time::Duration};

use tagboat_testkit::{
    deployment,
    world::{World, WorldSetup},
};

use super::{figures::Figures, whole_path};
use crate::{Setup, say};

/// Spans and fields, with what they are to people, in their order.
const PARTS: [(&str, &str); 10] = [
    ("lease", "take the work"),
    ("head", "fetch: the head and the server's advertisement"),
    ("gather", "beside it: facts from files, registry, database"),
    ("read", "read the files to be changed"),
    ("edit", "edit"),
    ("record", "write down facts and decisions"),
    ("build_us", "write: the objects of the commit"),
    ("send_us", "push and verify: send, wait, read the report"),
    ("keep_us", "after it: keep the objects in the mirror"),
    ("act", "all of write, push, verify, note"),
];
/// Files that a person changes in one commit.
const CHANGED: usize = 10;

pub(crate) async fn show(setup: &Setup, files: usize, figures: &mut Figures) {
    let binary = setup.binary.clone();
    let log = "tagboat_engine=debug,tagboat_repository::push=debug,warn";
    let world = World::over_http(WorldSetup {
        binary,
        settle: "0s",
        log,
        padding: files,
        wire_delay: None,
        database: tagboat_testkit::Database::Sqlite,
        garbled: 0,
    })
    .await;
    whole_path::wait_until_started(&world).await;
    whole_path::announced(&world, "1.4.1").await;
    let before = world.log().len();
    for round in 1..=setup.rounds {
        whole_path::announced(&world, &format!("1.5.{round}")).await;
    }
    let times = durations(world.log().get(before..).unwrap_or_default());
    say(&format!("where the time of an update goes, {files} files"));
    for (part, what) in PARTS {
        // A worker that finds nothing to do takes a lease in no time: the longest are those that found something.
        let mut all = times.get(part).cloned().unwrap_or_default();
        all.sort();
        let from = all.len().saturating_sub(setup.rounds as usize);
        figures.times(files, &format!("  {what}"), all.split_off(from));
    }
    figures.times(files, &format!("find what {CHANGED} changed files of a new head name"), a_new_head(&world).await);
}

/// A person changes some files; then something happens.
async fn a_new_head(world: &World) -> Vec<Duration> {
    let mut all = Vec::new();
    for round in 1..=5 {
        let change = |n: usize| {
            let image = format!("registry.example/team/changed-{round}-{n}:1.0.0");
            (format!("apps/dev/changed/{n}.yaml"), deployment(&format!("changed-{n}"), &image))
        };
        let files: Vec<(String, String)> = (0..CHANGED).map(change).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        world.config.commit_as_person("Ten files", &files);
        let before = world.log().len();
        whole_path::announced(world, &format!("1.6.{round}")).await;
        let times = durations(world.log().get(before..).unwrap_or_default());
        all.extend(times.get("files").and_then(|times| times.iter().max().copied()));
    }
    all
}

/// What took how long, by the last word of each span and by field.
fn durations(log: &str) -> BTreeMap<String, Vec<Duration>> {
    let mut times: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for line in without_colours(log).lines() {
        if let Some((head, rest)) = line.split_once(": close time.busy=") {
            let span = head.split_ascii_whitespace().find(|word| word.ends_with(':')).unwrap_or_default();
            let span = span.trim_end_matches(':').rsplit(':').next().unwrap_or_default();
            let span = span.split('{').next().unwrap_or_default();
            let (busy, idle) = rest.split_once(" time.idle=").unwrap_or((rest, "0ns"));
            times.entry(span.to_owned()).or_default().push(duration(busy) + duration(idle));
        }
        for field in ["build_us", "send_us", "keep_us"] {
            let value = line.split_ascii_whitespace().find_map(|word| word.strip_prefix(field)?.strip_prefix('='));
            if let Some(value) = value.and_then(|value| value.parse().ok()) {
                times.entry(field.to_owned()).or_default().push(Duration::from_micros(value));
            }
        }
    }
    times
}

/// As the log writes it: `1.25ms`.
fn duration(text: &str) -> Duration {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "ns" => 1e-9,
        "µs" => 1e-6,
        "ms" => 1e-3,
        _ => 1.0,
    };
    Duration::from_secs_f64(number.parse::<f64>().unwrap() * seconds)
}

fn without_colours(log: &str) -> String {
    let mut text = String::new();
    for (index, part) in log.split('\u{1b}').enumerate() {
        text.push_str(if index == 0 { part } else { part.split_once('m').map_or("", |(_, rest)| rest) });
    }
    text
}
