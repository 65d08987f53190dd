//! Counters and histograms in memory, and the text that Prometheus reads (exposition format 0.0.4). Nothing here knows what is
//! counted.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::{Mutex, PoisonError},
};

/// What a family of metrics is: `METRICS.md` lists them, and a test holds that list against these.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

/// The kinds of families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// The values of the labels, in the order of the family.
type Labels = Vec<String>;

fn labels(values: &[&str]) -> Labels {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// Numbers that only grow.
#[derive(Debug)]
pub(crate) struct Counters {
    family: &'static Family,
    values: Mutex<BTreeMap<Labels, u64>>,
}

impl Counters {
    pub(crate) fn new(family: &'static Family) -> Self {
        Self { family, values: Mutex::default() }
    }

    pub(crate) fn add(&self, values: &[&str], times: u64) {
        let mut all = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(labels(values)).or_default();
        *count = count.saturating_add(times);
    }

    pub(crate) fn write(&self, text: &mut String) {
        head(text, self.family);
        for (values, count) in &*self.values.lock().unwrap_or_else(PoisonError::into_inner) {
            sample(text, self.family.name, labelled(self.family, texts(values)), count);
        }
    }
}

/// How long things took, in seconds.
#[derive(Debug)]
pub(crate) struct Histograms {
    family: &'static Family,
    /// Upper bounds, ascending.
    bounds: &'static [f64],
    values: Mutex<BTreeMap<Labels, Measured>>,
}

#[derive(Debug, Default, Clone)]
struct Measured {
    /// Per bound, how many are above the one before and not above it.
    counts: Vec<u64>,
    count: u64,
    sum: f64,
}

impl Histograms {
    pub(crate) fn new(family: &'static Family, bounds: &'static [f64]) -> Self {
        Self { family, bounds, values: Mutex::default() }
    }

    pub(crate) fn observe(&self, values: &[&str], seconds: f64) {
        let mut all = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let measured = all.entry(labels(values)).or_default();
        measured.counts.resize(self.bounds.len(), 0);
        if let Some(place) = self.bounds.iter().position(|bound| seconds <= *bound) {
            measured.counts[place] += 1;
        }
        measured.count += 1;
        measured.sum += seconds;
    }

    pub(crate) fn write(&self, text: &mut String) {
        head(text, self.family);
        let name = self.family.name;
        for (values, measured) in &*self.values.lock().unwrap_or_else(PoisonError::into_inner) {
            let mut up_to = 0;
            for (bound, count) in self.bounds.iter().zip(&measured.counts) {
                up_to += count;
                let bound = bound.to_string();
                sample(
                    text,
                    &format!("{name}_bucket"),
                    labelled(self.family, texts(values)).chain([("le", bound.as_str())]),
                    up_to,
                );
            }
            sample(
                text,
                &format!("{name}_bucket"),
                labelled(self.family, texts(values)).chain([("le", "+Inf")]),
                measured.count,
            );
            sample(text, &format!("{name}_sum"), labelled(self.family, texts(values)), measured.sum);
            sample(text, &format!("{name}_count"), labelled(self.family, texts(values)), measured.count);
        }
    }
}

/// A family of gauges with what they are now.
pub(crate) fn gauges<'l, V: fmt::Display>(
    text: &mut String,
    family: &Family,
    values: impl IntoIterator<Item = (&'l [&'l str], V)>,
) {
    head(text, family);
    for (labels, value) in values {
        sample(text, family.name, labelled(family, labels.iter().copied()), value);
    }
}

fn texts(values: &[String]) -> impl Iterator<Item = &str> {
    values.iter().map(String::as_str)
}

/// Labels with their values.
fn labelled<'a, V: Iterator<Item = &'a str>>(family: &Family, values: V) -> impl Iterator<Item = (&'a str, &'a str)> {
    family.labels.iter().zip(values).map(|(label, value)| (*label, value))
}

fn head(text: &mut String, family: &Family) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {} {}\n# TYPE {} {}", family.name, family.help, family.name, family.kind);
}

fn sample<'a>(
    text: &mut String,
    name: &str,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    value: impl fmt::Display,
) {
    text.push_str(name);
    let mut before = '{';
    for (label, value) in labels {
        let _ = write!(text, "{before}{label}=\"");
        for character in value.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: Family = Family { name: "a_total", kind: Kind::Counter, labels: &["of", "by"], help: "What." };
    const TIMED: Family = Family { name: "b_seconds", kind: Kind::Histogram, labels: &[], help: "How long." };
    const NOW: Family = Family { name: "c", kind: Kind::Gauge, labels: &["state"], help: "Now." };

    #[test]
    fn the_text_is_as_prometheus_reads_it() {
        let counters = Counters::new(&COUNTED);
        counters.add(&["x", "a \"quote\"\\\n"], 2);
        counters.add(&["x", "a \"quote\"\\\n"], 1);
        let times = Histograms::new(&TIMED, &[0.1, 1.0]);
        for seconds in [0.1, 0.5, 7.0] {
            times.observe(&[], seconds);
        }
        let mut text = String::new();
        counters.write(&mut text);
        times.write(&mut text);
        gauges(&mut text, &NOW, [(&["on"][..], 1)]);
        let expect = "# HELP a_total What.\n# TYPE a_total counter\na_total{of=\"x\",by=\"a \\\"quote\\\"\\\\\\n\"} 3\n\
                      # HELP b_seconds How long.\n# TYPE b_seconds histogram\nb_seconds_bucket{le=\"0.1\"} 1\n\
                      b_seconds_bucket{le=\"1\"} 2\nb_seconds_bucket{le=\"+Inf\"} 3\nb_seconds_sum 7.6\nb_seconds_count 3\n\
                      # HELP c Now.\n# TYPE c gauge\nc{state=\"on\"} 1\n";
        assert_eq!(text, expect);
    }
}
