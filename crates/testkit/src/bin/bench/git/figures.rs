//! What was found, and whether it is what is to be reached.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{JSON, figure, say, show};

/// Tagboat from the accepted delivery on.
pub(crate) const WHOLE_PATH: &str = "whole path: 2xx to ref";
/// The servers alone, up to the moved ref, with the same requests: two to the registry, two to the Git server.
pub(crate) const FLOOR_OF_WHOLE_PATH: &str = "floor of it: the same requests, bare";
/// What users have today.
pub(crate) const SCRIPT: &str = "(a) script: shallow clone, sed, push";
/// From afar, what comes on top of the settle time.
pub(crate) const FAR_MEDIAN: &str = "far: push to ref, p50, minus settle";
/// The same for the slowest.
pub(crate) const FAR_MOST: &str = "far: push to ref, p99, minus settle";

const MOST_OF_THE_FLOOR: f64 = 1.3;
/// At so many files no more than this part of the script.
const MOST_OF_THE_SCRIPT: [(usize, f64); 2] = [(10_000, 1.0 / 20.0), (50_000, 1.0 / 100.0)];
/// The larger takes no more than so many times the smaller.
const FLAT: (usize, usize, f64) = (1_000, 50_000, 1.5);
const MOST_FAR_MEDIAN: f64 = 250.0;
const MOST_FAR: f64 = 1000.0;

/// Every figure by its name; times are medians in milliseconds.
#[derive(Default)]
pub(crate) struct Figures(Map<String, Value>);

struct Target {
    words: String,
    measured: f64,
    most: f64,
}

impl Target {
    /// What was not measured is not reached.
    fn is_met(&self) -> bool {
        self.measured <= self.most
    }
}

fn name(files: usize, what: &str) -> String {
    format!("{files} files, {what}")
}

impl Figures {
    /// Show times, and keep their median.
    pub(crate) fn times(&mut self, files: usize, what: &str, times: Vec<Duration>) {
        let name = name(files, what);
        let median = show(&name, times);
        self.0.insert(name, median.into());
    }

    /// Show and keep a figure.
    pub(crate) fn number(&mut self, files: usize, what: &str, value: f64, unit: &str) {
        let name = name(files, what);
        figure(&name, value, unit);
        self.0.insert(name, value.into());
    }

    /// Show and keep how many times `one` the other figure is.
    pub(crate) fn ratio(&mut self, files: usize, what: &str, one: &str, other: &str) {
        self.number(files, what, self.value(files, one) / self.value(files, other), "");
    }

    /// What was found; no number when it was not looked for.
    fn value(&self, files: usize, what: &str) -> f64 {
        self.0.get(&name(files, what)).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    /// The verdict.
    pub(crate) fn finish(mut self, sizes: &[usize], far_size: usize) {
        let (small, large, _) = FLAT;
        if sizes.contains(&small) && sizes.contains(&large) {
            let ratio = self.value(large, WHOLE_PATH) / self.value(small, WHOLE_PATH);
            self.number(large, &format!("whole path / whole path of {small} files"), ratio, "");
        }
        let (targets, far) = (self.targets(sizes), self.targets_from_afar(far_size));
        for target in targets.iter().chain(&far) {
            let verdict = if target.is_met() { "yes" } else { "no" };
            say(&format!("{}: {:.4}, to reach {:.4}: {verdict}", target.words, target.measured, target.most));
        }
        if let Some(bench) = JSON.get() {
            let met = targets.iter().all(Target::is_met);
            println!("{}", json!({ "bench": bench, "figures": self.0, "met": met }));
        }
    }

    /// F1, for the sizes that were measured.
    fn targets(&self, sizes: &[usize]) -> Vec<Target> {
        let whole_path = |files| self.value(files, WHOLE_PATH);
        let mut targets = Vec::new();
        for files in sizes {
            let (words, floor) = (name(*files, "whole path / floor"), self.value(*files, FLOOR_OF_WHOLE_PATH));
            targets.push(Target { words, measured: whole_path(*files) / floor, most: MOST_OF_THE_FLOOR });
        }
        for (files, most) in MOST_OF_THE_SCRIPT.into_iter().filter(|(files, _)| sizes.contains(files)) {
            let (words, script) = (name(files, "whole path / script"), self.value(files, SCRIPT));
            targets.push(Target { words, measured: whole_path(files) / script, most });
        }
        let (small, large, most) = FLAT;
        if sizes.contains(&small) && sizes.contains(&large) {
            let words = name(large, &format!("whole path / whole path of {small} files"));
            targets.push(Target { words, measured: whole_path(large) / whole_path(small), most });
        }
        targets
    }

    /// F11 for the path of Git.
    fn targets_from_afar(&self, files: usize) -> [Target; 2] {
        [(FAR_MEDIAN, MOST_FAR_MEDIAN), (FAR_MOST, MOST_FAR)].map(|(what, most)| {
            let measured = self.value(files, what);
            Target { words: name(files, what), measured, most }
        })
    }
}
