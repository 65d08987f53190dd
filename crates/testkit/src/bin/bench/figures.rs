//! What was found, and whether it is what is to be reached. Of what was measured in rounds a target holds for the slowest, not
//! for the median.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{JSON, figure, say, show};

/// Every figure by its name.
#[derive(Default)]
pub(crate) struct Figures {
    values: Map<String, Value>,
    targets: Vec<Target>,
}

struct Target {
    figure: &'static str,
    what: String,
    unit: &'static str,
    measured: f64,
    bound: Bound,
}

enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    /// What was not measured is not reached.
    fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtMost(most) => self.measured <= most,
            Bound::AtLeast(least) => self.measured >= least,
        }
    }

    fn verdict(&self) -> String {
        let Self { what, unit, measured, .. } = self;
        let (word, bound) = match self.bound {
            Bound::AtMost(most) => ("at most", most),
            Bound::AtLeast(least) => ("at least", least),
        };
        let verdict = if self.is_met() { "yes" } else { "no" };
        format!("{what}: {measured:.1} {unit}, to reach {word} {bound:.1}: {verdict}")
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
    pub(crate) fn target(&mut self, figure: &'static str, what: &str, unit: &'static str, most: f64) {
        self.at_most(figure, &most_of(what), unit, most);
    }

    /// What a figure may be at most.
    pub(crate) fn at_most(&mut self, figure: &'static str, what: &str, unit: &'static str, most: f64) {
        self.bound(figure, what, unit, Bound::AtMost(most));
    }

    /// What a figure has to be at least.
    pub(crate) fn at_least(&mut self, figure: &'static str, what: &str, unit: &'static str, least: f64) {
        self.bound(figure, what, unit, Bound::AtLeast(least));
    }

    fn bound(&mut self, figure: &'static str, what: &str, unit: &'static str, bound: Bound) {
        self.targets.push(Target { figure, what: what.to_owned(), unit, measured: self.value(what), bound });
    }

    fn value(&self, name: &str) -> f64 {
        self.values.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    /// The verdict. `recorded` is what others needed for a figure, least and most in milliseconds, when these targets were
    /// set: on a machine of this class, not here.
    pub(crate) fn finish(self, recorded: &[(&str, [f64; 2])]) {
        for (figure, [least, most]) in recorded {
            say(&format!("{figure}: Renovate 44 elsewhere, as recorded and not run here: {least:.0} .. {most:.0} ms"));
        }
        for target in &self.targets {
            say(&target.verdict());
        }
        let Some(bench) = JSON.get() else { return };
        let mut line = json!({
            "bench": bench, "figures": self.values, "recordedElsewhere": {},
            "met": self.targets.iter().all(Target::is_met),
        });
        for Target { figure, .. } in &self.targets {
            let met = self.targets.iter().filter(|target| target.figure == *figure).all(Target::is_met);
            line["metBy"][figure] = json!(met);
        }
        for (figure, milliseconds) in recorded {
            line["recordedElsewhere"][format!("{figure}: Renovate 44, ms")] = json!(milliseconds);
        }
        println!("{line}");
    }
}
