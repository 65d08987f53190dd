//! A user's template of commit messages, in the language of Jinja as minijinja has it.
//!
//! Does not read files or the environment, and includes nothing: a template sees validated values as texts and lists of
//! texts. Time and memory are bounded by `grammar` and by fuel.

use std::fmt;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use tagboat_model::shown;

use super::{CommitWords, clean, grammar};
use crate::pull::text::markdown::plain_sentence;

/// The names a template can use. `current` and `files` are lists, the others texts, empty where something is not known.
pub(super) const VARIABLES: [&str; 11] = [
    "entry",
    "environment",
    "image",
    "registry",
    "repository",
    "tag",
    "digest",
    "current",
    "files",
    "reason",
    "decision",
];

/// One per step and per 64 bytes that are handled: some milliseconds, and about a megabyte.
const FUEL: u64 = 20_000;
/// In bytes.
const LARGEST_MESSAGE: usize = 64 * 1024;

/// A template that was tried. It is kept as text: to parse it again for a commit takes microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageTemplate {
    source: String,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The line in the template, from 1, where known.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for TemplateError {}

impl TemplateError {
    pub(super) fn new(line: Option<usize>, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }

    pub(super) fn of(error: &minijinja::Error) -> Self {
        let message = match error.kind() {
            ErrorKind::OutOfFuel => "it takes too much work; loop over less".to_owned(),
            ErrorKind::UndefinedError => {
                "something is used that is not there; ask with `if` first, or add `| default(\"\")`".to_owned()
            }
            kind => {
                let detail = error.detail().map_or_else(|| kind.to_string(), shown);
                let others = detail.starts_with("unknown statement ");
                detail + if others { "; there are `if`, `for` and `set`" } else { "" }
            }
        };
        Self::new(error.line(), message)
    }
}

impl MessageTemplate {
    /// Read a template, and try it with values as they could be: with all of them, and without those that are not
    /// always known.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        grammar::check(source, &VARIABLES)?;
        let template = Self { source: source.to_owned() };
        let (all, few) = (template.render(sample(true))?, template.render(sample(false))?);
        if clean::lines(&all).is_empty() && clean::lines(&few).is_empty() {
            return Err(TemplateError::new(None, "nothing comes out of it; trailers of Tagboat's own are not counted"));
        }
        Ok(template)
    }

    /// The lines of a message, without trailers of ours. There is at least one.
    pub(super) fn lines(&self, words: &CommitWords<'_>) -> Result<Vec<String>, TemplateError> {
        let lines = clean::lines(&self.render(values(words))?);
        if lines.is_empty() {
            return Err(TemplateError::new(None, "nothing comes out of it"));
        }
        Ok(lines)
    }

    fn render(&self, values: Value) -> Result<String, TemplateError> {
        run(&self.source, values, LARGEST_MESSAGE)
    }
}

/// What comes out of a template, at most `largest` bytes.
pub(super) fn run(source: &str, values: Value, largest: usize) -> Result<String, TemplateError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    let text = environment.render_str(source, values).map_err(|error| TemplateError::of(&error))?;
    if text.len() > largest {
        return Err(TemplateError::new(None, format!("more than {largest} bytes come out of it; loop over less")));
    }
    Ok(text)
}

/// The values of [`VARIABLES`].
fn values(words: &CommitWords<'_>) -> Value {
    let CommitWords { entry, environment, image, current, files, tag, digest, because, decision } = *words;
    Value::from_pairs([
        ("entry", Value::from(entry)),
        ("environment", text(environment)),
        ("image", Value::from(image.to_string())),
        ("registry", Value::from(image.registry())),
        ("repository", Value::from(image.repository())),
        ("tag", Value::from(tag.as_str())),
        ("digest", text(digest)),
        ("current", Value::from_iter(current)),
        ("files", Value::from_iter(files.iter().copied())),
        ("reason", Value::from(because.map(|reason| plain_sentence(&reason.to_string())).unwrap_or_default())),
        ("decision", text(decision)),
    ])
}

fn text(value: Option<&impl ToString>) -> Value {
    Value::from(value.map(ToString::to_string).unwrap_or_default())
}

/// Values of [`VARIABLES`] as they could be.
fn sample(all: bool) -> Value {
    let digest = format!("sha256:{}", "0".repeat(64));
    let sometimes = |text: &str| Value::from(if all { text } else { "" });
    Value::from_pairs([
        ("entry", Value::from("web")),
        ("environment", sometimes("dev")),
        ("image", Value::from("registry.example.org/acme/web")),
        ("registry", Value::from("registry.example.org")),
        ("repository", Value::from("acme/web")),
        ("tag", Value::from("1.5.0")),
        ("digest", sometimes(&digest)),
        ("current", Value::from_iter(["1.4.0"])),
        ("files", Value::from_iter(["apps/dev/web.yaml"])),
        ("reason", sometimes("1.5.0 is the best tag that semver `^1.4` admits")),
        ("decision", sometimes("d-0000000000000000")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_has_a_value_in_a_trial_and_in_earnest() {
        let (image, tag) = ("ghcr.io/acme/web".parse().unwrap(), "1.5.0".parse().unwrap());
        let words = CommitWords {
            entry: "web",
            environment: None,
            image: &image,
            current: &[],
            files: &[],
            tag: &tag,
            digest: None,
            because: None,
            decision: None,
        };
        for (what, values) in [("trial", sample(true)), ("bare trial", sample(false)), ("earnest", values(&words))] {
            assert_eq!(values.len(), Some(VARIABLES.len()), "{what}");
            for name in VARIABLES {
                assert!(!values.get_attr(name).unwrap().is_undefined(), "{name} in {what}");
            }
        }
    }
}
