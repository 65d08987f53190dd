//! A user's template of a title or text of pull requests, in the same language as those of commit messages.
//!
//! Does not know pull requests: whoever renders says the words. What others chose is put in so that it is only text: in
//! a text as Markdown, in a title without mentions and references.

use minijinja::Value;
use tagboat_model::{EntryName, EnvironmentName, Gate, GroupName, ImageName, Version};

use super::{
    grammar,
    template::{TemplateError, run},
};
use crate::pull::text::markdown;

/// The names a template can use. `images` and `gates` are lists of maps, the others texts, empty where something is not
/// known.
const VARIABLES: [&str; 6] = ["environment", "group", "upstream", "images", "gates", "default_title"];

/// In bytes.
const LARGEST_TEXT: usize = 20_000;
/// In characters.
const LONGEST_TITLE: usize = 200;
/// How many images a template sees, and how many files of each: it may write out all of them several times.
const MOST_IMAGES: usize = 300;
const MOST_FILES: usize = 20;

/// A user's template of a title or text of pull requests. It is kept as text, and was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTemplate {
    source: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Title,
    Body,
}

/// What a template can say.
#[derive(Debug)]
pub(crate) struct TextWords<'w> {
    pub(crate) environment: &'w EnvironmentName,
    pub(crate) group: &'w GroupName,
    pub(crate) upstream: Option<&'w EnvironmentName>,
    pub(crate) images: Vec<TextImage<'w>>,
    pub(crate) gates: Vec<&'w Gate>,
    pub(crate) default_title: &'w str,
}

/// An image of a pull request.
#[derive(Debug)]
pub(crate) struct TextImage<'w> {
    pub(crate) entry: &'w EntryName,
    pub(crate) image: &'w ImageName,
    pub(crate) from: &'w [String],
    pub(crate) version: &'w Version,
    pub(crate) source: &'w str,
    pub(crate) revision: &'w str,
    pub(crate) files: Vec<&'w str>,
}

impl TextTemplate {
    /// Read a template of titles, and try it with values as they could be.
    ///
    /// # Errors
    /// The first mistake.
    pub fn title(source: &str) -> Result<Self, TemplateError> {
        Self::parse(source, Kind::Title)
    }

    /// Read a template of texts, which are in Markdown, and try it with values as they could be.
    ///
    /// # Errors
    /// The first mistake.
    pub fn body(source: &str) -> Result<Self, TemplateError> {
        Self::parse(source, Kind::Body)
    }

    fn parse(source: &str, kind: Kind) -> Result<Self, TemplateError> {
        grammar::check(source, &VARIABLES)?;
        let template = Self { source: source.to_owned(), kind };
        let (all, few) = (template.write(sample(true))?, template.write(sample(false))?);
        if all.is_empty() && few.is_empty() {
            return Err(TemplateError::new(None, "nothing comes out of it"));
        }
        Ok(template)
    }

    /// What comes out of it: a title is one line and says something.
    pub(crate) fn render(&self, words: &TextWords<'_>) -> Result<String, TemplateError> {
        let text = self.write(self.values(words))?;
        if text.is_empty() && self.kind == Kind::Title {
            return Err(TemplateError::new(None, "nothing comes out of it"));
        }
        Ok(text)
    }

    fn write(&self, values: Value) -> Result<String, TemplateError> {
        let text = run(&self.source, values, LARGEST_TEXT)?;
        Ok(match self.kind {
            Kind::Title => markdown::one_line(&text, LONGEST_TITLE),
            Kind::Body => markdown::paragraphs(&text),
        })
    }

    /// The values of [`VARIABLES`].
    fn values(&self, words: &TextWords<'_>) -> Value {
        let TextWords { environment, group, upstream, images, gates, default_title } = words;
        let images = images.iter().take(MOST_IMAGES).map(|image| self.image(image));
        let gates = gates.iter().map(|gate| {
            Value::from_pairs([
                ("name", Value::from(gate.name.as_str())),
                ("state", Value::from(gate.state.to_string())),
                ("text", self.safe(&gate.text)),
            ])
        });
        Value::from_pairs([
            ("environment", self.safe(environment.as_str())),
            ("group", self.safe(group.as_str())),
            ("upstream", self.safe(upstream.map(EnvironmentName::as_str).unwrap_or_default())),
            ("images", Value::from_iter(images)),
            ("gates", Value::from_iter(gates)),
            ("default_title", self.safe(default_title)),
        ])
    }

    fn image(&self, image: &TextImage<'_>) -> Value {
        let TextImage { entry, image, from, version, source, revision, files } = image;
        let files = files.iter().take(MOST_FILES).map(|file| self.safe(file));
        Value::from_pairs([
            ("entry", self.safe(entry.as_str())),
            ("image", self.safe(&image.to_string())),
            ("registry", self.safe(image.registry())),
            ("repository", self.safe(image.repository())),
            ("from", self.safe(&from.join(", "))),
            ("tag", self.safe(version.tag.as_str())),
            ("digest", self.safe(version.digest.as_str())),
            ("source", self.safe(source)),
            ("revision", self.safe(revision)),
            ("files", Value::from_iter(files)),
        ])
    }

    fn safe(&self, foreign: &str) -> Value {
        Value::from(match self.kind {
            Kind::Title => markdown::plain(foreign),
            Kind::Body => markdown::text(foreign),
        })
    }
}

/// Values of [`VARIABLES`] as they could be: with all of them, and without those that are not always known.
fn sample(all: bool) -> Value {
    let sometimes = |text: &str| Value::from(if all { text } else { "" });
    let image = Value::from_pairs([
        ("entry", Value::from("web")),
        ("image", Value::from("registry.example.org/acme/web")),
        ("registry", Value::from("registry.example.org")),
        ("repository", Value::from("acme/web")),
        ("from", Value::from("1.4.0")),
        ("tag", Value::from("1.5.0")),
        ("digest", Value::from(format!("sha256:{}", "0".repeat(64)))),
        ("source", sometimes("https://git.example.org/acme/web")),
        ("revision", sometimes("0000000000000000000000000000000000000000")),
        ("files", Value::from_iter(["apps/prod/web.yaml"])),
    ]);
    let gate = Value::from_pairs([
        ("name", Value::from("soak")),
        ("state", Value::from("passed")),
        ("text", Value::from("passed: in staging since 2026-11-26T09:00:00Z")),
    ]);
    Value::from_pairs([
        ("environment", Value::from("prod")),
        ("group", Value::from("web")),
        ("upstream", sometimes("staging")),
        ("images", Value::from_iter([image])),
        ("gates", Value::from_iter(all.then_some(gate))),
        ("default_title", Value::from("Promote web 1.5.0 to prod")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told() {
        let refusal = |source: &str| TextTemplate::title(source).unwrap_err().to_string();
        assert_eq!(
            refusal("{{ tag }}"),
            "line 1: `tag` is not a variable (there are: environment, group, upstream, images, gates, default_title)"
        );
        assert_eq!(refusal(" "), "it is empty; leave it out for the built-in text");
        assert_eq!(refusal("{% if environment == '' %}x{% endif %}"), "nothing comes out of it");
        assert!(TextTemplate::body("{{ images[0].tags }}").is_err());
        assert!(TextTemplate::body("{% for image in images %}{{ image.files | join(', ') }}{% endfor %}").is_ok());
    }
}
