//! What the repository file says of commits.
//!
//! Does not word them: a template is tried here and used by `tagboat-promotion`.

use schemars::JsonSchema;
use serde::Deserialize;
use tagboat_promotion::{MessageTemplate, TemplateError};

/// `commit` in the repository file.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CommitFile {
    /// The message, as a template in the language of Jinja, with `if`, `for`, `set` and filters such as `join`, `upper`
    /// and `replace`: `chore: {{ entry }} {{ tag }} in {{ environment }}`. There are `entry`, `environment`, `image`,
    /// `registry`, `repository`, `tag`, `digest`, `reason`, `decision` and the lists `current` and `files`. The first
    /// line is the subject. Tagboat's trailers are put behind it. Default: the built-in message.
    pub message: Option<String>,
    /// Whether commits carry a `Signed-off-by` with name and address of the committer. Default: false.
    pub sign_off: bool,
}

/// `commit`, checked and ready for use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitSettings {
    /// The message. Default: the built-in one.
    pub message: Option<MessageTemplate>,
    /// Whether commits are signed off.
    pub sign_off: bool,
}

impl CommitFile {
    /// The settings, or what is wrong with `message`.
    pub(crate) fn read(&self) -> Result<CommitSettings, String> {
        let template = self.message.as_deref().map(MessageTemplate::parse).transpose();
        let message = template.map_err(|error| template_words(&error))?;
        Ok(CommitSettings { message, sign_off: self.sign_off })
    }
}

/// A mistake in a template, in the words that all templates have.
pub(crate) fn template_words(error: &TemplateError) -> String {
    match error.line {
        Some(line) => format!("the template is wrong in its line {line}: {}", error.message),
        None => format!("the template is wrong: {}", error.message),
    }
}
