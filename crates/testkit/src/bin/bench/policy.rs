//! Choosing among 100,000 tags, policy by policy: from the list to the selected tag and the counted reasons. Beside it
//! what a script would do, `sort --version-sort | tail`, which knows neither ranges nor reasons.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tagboat_model::{Tag, Timestamp};
use tagboat_policy::{Circumstances, Considered, Known, Selection, Sight};

use crate::{Setup, say, show};

const TAGS: i64 = 100_000;
const NOW: Timestamp = Timestamp(1_800_000_000_000);

const SELECTIONS: [(&str, &str); 10] = [
    ("semver", r#"{"policy":{"semver":{"range":"^1.4 || ^3"}}}"#),
    ("semver, prereleases", r#"{"policy":{"semver":{"range":">=1.0.0-0 <9"}}}"#),
    (
        "semver, extracted",
        r#"{"policy":{"semver":{"range":"*"}},"filterTags":{"pattern":"^v?(?P<v>[0-9]+\\.[0-9]+\\.[0-9]+)","extract":"$v"}}"#,
    ),
    (
        "semver, excluding",
        r#"{"policy":{"semver":{"range":"*"}},"exclude":["-rc","^nightly","debug$"],"allow":["^v?[0-9]"]}"#,
    ),
    (
        "numerical, extracted",
        r#"{"policy":{"numerical":{}},"filterTags":{"pattern":"^main-[a-f0-9]+-(?P<ts>[0-9]+)$","extract":"$ts"}}"#,
    ),
    ("alphabetical", r#"{"policy":{"alphabetical":{}}}"#),
    ("newest", r#"{"policy":{"newest":{}}}"#),
    ("newest, 2h old", r#"{"policy":{"newest":{}},"minimumAge":"2h"}"#),
    ("announced", r#"{"policy":{"announced":{}}}"#),
    ("kargo", r#"{"policy":{"kargo":{"constraint":"^1.4","ignoreTagsRegexes":["-rc"]}}}"#),
];

pub(crate) fn run(setup: &Setup) {
    let tags = tags();
    say(&format!("{} tags, {} rounds, times in ms: median (least .. most)", tags.len(), setup.rounds));
    for (name, selection) in SELECTIONS {
        let selection: Selection = serde_json::from_str(selection).unwrap();
        show(name, (0..setup.rounds).map(|_| choose(&selection, &tags)).collect());
    }
    show("sort --version-sort | tail", (0..setup.rounds).map(|_| sort(&tags)).collect());
}

/// A third releases of two spellings, a third builds of a branch, the rest nightlies and words.
fn tags() -> Vec<Considered> {
    let text = |n: i64| match n % 6 {
        0 => format!("{}.{}.{}", n % 7, n / 600, n % 600),
        1 => format!("v{}.{}.{}-rc.{}", n % 7, n / 600, n % 600, n % 9),
        2 | 3 => format!("main-{:07x}-{}", n * 7919, 1_700_000_000 + n),
        4 => format!("nightly-{n}"),
        _ => format!("pr-{n}"),
    };
    let considered = |n: i64| {
        let at = Timestamp(NOW.0 - (TAGS - n) * 1000);
        let sight = if n % 3 == 0 { Sight::Baseline(at) } else { Sight::After(at) };
        let announced = (n % 5 == 0).then_some(n.unsigned_abs());
        Considered {
            tag: text(n).parse::<Tag>().unwrap(),
            known: Known { sight: Some(sight), created: Some(at), announced, changed: None },
        }
    };
    (0..TAGS).map(considered).collect()
}

fn choose(selection: &Selection, tags: &[Considered]) -> Duration {
    let start = Instant::now();
    let consideration = selection.consider(tags, Circumstances { current: None, now: NOW });
    let (selected, counts) = (consideration.selected(), consideration.counts());
    let time = start.elapsed();
    assert!(selected.is_some() && counts.values().sum::<usize>() == tags.len());
    time
}

fn sort(tags: &[Considered]) -> Duration {
    let text: String = tags.iter().map(|considered| format!("{}\n", considered.tag)).collect();
    let start = Instant::now();
    let mut child = Command::new("sh")
        .args(["-c", "sort --version-sort | tail --lines 1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    start.elapsed()
}
