//! What is wrong in a configuration file, where, and what to do.

use std::fmt;

use serde::de::DeserializeOwned;

/// One problem in a configuration file. Its `Display` is what the user reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the environment variable that overrode it.
    pub source: String,
    /// Line and column from 1, where known.
    pub place: Option<(usize, usize)>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.source, self.message),
            None => write!(f, "{}: {}", self.source, self.message),
        }
    }
}

impl std::error::Error for Problem {}

impl Problem {
    /// A problem of the value at `path` (keys and indices) in `text`.
    pub(crate) fn at(source: &str, text: &str, path: &[&str], message: impl Into<String>) -> Self {
        Self { source: source.to_owned(), place: tagboat_manifest::locate(text, path), message: message.into() }
    }
}

/// Read YAML into `T`; unknown and duplicate keys are problems.
pub(crate) fn read<T: DeserializeOwned>(source: &str, text: &str) -> Result<T, Problem> {
    // An empty file, or one of comments only, reads as a mapping without keys.
    let blank = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    serde_saphyr::from_str(if blank { "{}" } else { text }).map_err(|error| explain(source, &error))
}

fn explain(source: &str, error: &serde_saphyr::Error) -> Problem {
    use serde_saphyr::Error;
    let error = error.without_snippet();
    let place = error.location().map(|at| (number(at.line()), number(at.column()))).filter(|(line, _)| *line > 0);
    let message = match error {
        Error::SerdeUnknownField { field, expected, .. } => unknown("key", field, expected),
        Error::SerdeUnknownVariant { variant, expected, .. } => unknown("value", variant, expected),
        Error::SerdeMissingField { field, .. } => format!("the key `{field}` is missing"),
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map(|key| format!("`{key}` ")).unwrap_or_default();
            format!("the key {key}stands here a second time; keep one")
        }
        other => match without_place(&other.to_string()) {
            several if several.contains("after enum variant value") => {
                "only one kind may stand here; keep one".to_owned()
            }
            words => words,
        },
    };
    Problem { source: source.to_owned(), place, message }
}

fn number(value: impl TryInto<usize>) -> usize {
    value.try_into().unwrap_or(0)
}

/// The library's words without its own mention of line and column, which stand in front already.
fn without_place(message: &str) -> String {
    let first = message.lines().next().unwrap_or(message);
    let text = first.strip_prefix("error: ").unwrap_or(first);
    let text = match text.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest,
        _ => text,
    };
    text.split(" at line ").next().unwrap_or(text).to_owned()
}

fn unknown(what: &str, given: &str, expected: &[&'static str]) -> String {
    let hint = hint(given, expected.iter().copied());
    format!("unknown {what} `{given}`{hint} (known here: {})", expected.join(", "))
}

/// That there is nothing of this name, with the nearest that there is.
pub(crate) fn unknown_name(what: &str, given: &str, known: &[&str]) -> String {
    let hint = hint(given, known.iter().copied());
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    format!("there is no {what} `{given}`{hint} (there are: {known})")
}

fn hint<'k>(given: &str, known: impl Iterator<Item = &'k str>) -> String {
    let near = known.map(|known| (strsim::damerau_levenshtein(&given.to_lowercase(), &known.to_lowercase()), known));
    match near.min().filter(|(distance, known)| *distance <= 2.max(known.len() / 3)) {
        Some((_, known)) => format!("; did you mean `{known}`?"),
        None => String::new(),
    }
}
