//! What was found, and whether it is what is to be reached. A target holds for the slowest round, not for the median.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{JSON, figure, say, show};

/// What Renovate 44 needed for the same on a machine of this class, as was recorded when these targets were set. It is not
/// run here. Milliseconds.
const RECORDED: [(&str, [f64; 2]); 2] = [("F4", [7000.0, 8000.0]), ("F5", [112_000.0, 112_000.0])];

/// Every figure by its name.
#[derive(Default)]
pub(crate) struct Figures {
    values: Map<String, Value>,
    targets: Vec<Target>,
}

struct Target {
    figure: &'static str,
    what: &'static str,
    unit: &'static str,
    measured: f64,
    most: f64,
}

impl Target {
    /// What was not measured is not reached.
    fn is_met(&self) -> bool {
        self.measured <= self.most
    }
}

fn median_of(what: &str) -> String {
    format!("{what}, median")
}

fn most_of(what: &str) -> String {
    format!("{what}, most")
}

impl Figures {
    /// Show times, and keep their median and the most.
    pub(crate) fn times(&mut self, what: &str, times: Vec<Duration>) {
        let most = times.iter().max().map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0);
        let median = show(what, times);
        self.values.insert(median_of(what), median.into());
        self.values.insert(most_of(what), most.into());
    }

    /// Show and keep the median and the most of what was counted in each round.
    pub(crate) fn counts(&mut self, what: &str, mut counts: Vec<usize>) {
        counts.sort_unstable();
        let number = |count: Option<&usize>| count.map_or(f64::NAN, |count| f64::from(u32::try_from(*count).unwrap()));
        let (median, most) = (number(counts.get(counts.len() / 2)), number(counts.last()));
        self.number(&median_of(what), median, "a round");
        self.number(&most_of(what), most, "a round");
    }

    /// Show and keep a figure.
    pub(crate) fn number(&mut self, what: &str, value: f64, unit: &str) {
        figure(what, value, unit);
        self.values.insert(what.to_owned(), value.into());
    }

    /// Show and keep how many times `one` the other median is.
    pub(crate) fn ratio(&mut self, what: &str, one: &str, other: &str) {
        self.number(what, self.value(&median_of(one)) / self.value(&median_of(other)), "");
    }

    /// What is to be reached by the slowest round.
    pub(crate) fn target(&mut self, figure: &'static str, what: &'static str, unit: &'static str, most: f64) {
        let measured = self.value(&most_of(what));
        self.targets.push(Target { figure, what, unit, measured, most });
    }

    fn value(&self, name: &str) -> f64 {
        self.values.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    /// The verdict.
    pub(crate) fn finish(self) {
        for (figure, [least, most]) in RECORDED {
            say(&format!("{figure}: Renovate 44 elsewhere, as recorded and not run here: {least:.0} .. {most:.0} ms"));
        }
        for Target { what, unit, measured, most, .. } in &self.targets {
            let verdict = if measured <= most { "yes" } else { "no" };
            say(&format!("{what}, most: {measured:.1} {unit}, to reach {most:.1}: {verdict}"));
        }
        let Some(bench) = JSON.get() else { return };
        let mut line = json!({
            "bench": bench, "figures": self.values, "recordedElsewhere": {},
            "met": self.targets.iter().all(Target::is_met),
        });
        for (figure, milliseconds) in RECORDED {
            let met = self.targets.iter().filter(|target| target.figure == figure).all(Target::is_met);
            line["metBy"][figure] = json!(met);
            line["recordedElsewhere"][format!("{figure}: Renovate 44, ms")] = json!(milliseconds);
        }
        println!("{line}");
    }
}
