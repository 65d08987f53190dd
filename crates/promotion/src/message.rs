//! What commits say: the built-in text or a user's template, and behind it the trailers, which are Tagboat's own.
//!
//! Does not read configuration and makes no commit. Whatever a template does, the trailers stand last, once, and as
//! `git interpret-trailers` reads them. A template that fails costs its own text, never the update.

mod clean;
mod grammar;
mod template;
mod text_template;

use std::fmt::Write as _;

use tagboat_model::{DecisionId, Digest, EnvironmentName, ImageName, Reason, Tag, shown};

use crate::pull::text::markdown::plain_sentence;

pub use template::{MessageTemplate, TemplateError};
pub use text_template::TextTemplate;
pub(crate) use text_template::{TextImage, TextWords};

/// What a commit that brings a version says.
#[derive(Debug, Clone, Copy)]
pub struct CommitWords<'w> {
    /// The image entry, or the last part of the image's name.
    pub entry: &'w str,
    /// The environment, where it is one of the repository file.
    pub environment: Option<&'w EnvironmentName>,
    /// The image.
    pub image: &'w ImageName,
    /// What the references carried.
    pub current: &'w [String],
    /// The paths of the files that change.
    pub files: &'w [&'w str],
    /// What they carry now.
    pub tag: &'w Tag,
    /// Its digest, where that is known.
    pub digest: Option<&'w Digest>,
    /// The first reason.
    pub because: Option<&'w Reason>,
    /// The decision.
    pub decision: Option<&'w DecisionId>,
}

/// How commits say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitStyle {
    /// The text in front of the trailers. Default: the built-in one.
    pub message: Option<MessageTemplate>,
    /// Who signs the commits off, as `Name <address>`.
    pub sign_off: Option<String>,
}

/// The message with its trailers.
#[must_use]
pub fn commit_message(words: &CommitWords<'_>, style: &CommitStyle) -> String {
    let mut lines = match style.message.as_ref().map(|template| template.lines(words)) {
        None => built_in(words),
        Some(Ok(lines)) => lines,
        Some(Err(error)) => {
            let mut lines = built_in(words);
            let why = shown(&error.to_string());
            lines.push(format!("The template of .tagboat.yaml could not be used: {why}."));
            lines
        }
    };
    let mut ours = trailers(words, style);
    let there = clean::trailers(&lines);
    if there.is_empty() {
        lines.push(String::new());
    } else {
        // Git reads the last paragraph only, so they become one, which need not say a thing twice.
        ours.retain(|line| !there.contains(line));
    }
    lines.append(&mut ours);
    lines.push(String::new());
    lines.join("\n")
}

/// The message of a commit that brings several images to one environment. Users' templates speak of one image, so they are
/// for commits of one.
pub(crate) fn group_message(words: &[CommitWords<'_>], style: &CommitStyle) -> String {
    let environment = words.first().and_then(|words| words.environment);
    let within = environment.map(|environment| format!(" in {environment}")).unwrap_or_default();
    let mut text = format!("Update {} images{within}\n\n", words.len());
    for CommitWords { entry, current, tag, .. } in words {
        let _ = writeln!(text, "- {entry}: {} -> {tag}", current.join(", "));
    }
    let mut lines = clean::lines(&text);
    lines.push(String::new());
    lines.extend(words.iter().map(image_trailer));
    lines.extend(environment.map(environment_trailer));
    lines.extend(words.iter().filter_map(|words| words.decision).map(decision_trailer));
    lines.extend(sign_off(style));
    lines.push(String::new());
    lines.join("\n")
}

fn built_in(words: &CommitWords<'_>) -> Vec<String> {
    let CommitWords { entry, environment, image, current, tag, because, .. } = words;
    let within = environment.map(|environment| format!(" in {environment}")).unwrap_or_default();
    let mut text = format!("Update {entry} to {tag}{within}\n\n{image}: {} -> {tag}\n", current.join(", "));
    if let Some(reason) = because {
        let _ = writeln!(text, "Because {}.", plain_sentence(&reason.to_string()));
    }
    clean::lines(&text)
}

/// Every value in them is validated, so none can break out of its line.
fn trailers(words: &CommitWords<'_>, style: &CommitStyle) -> Vec<String> {
    let mut trailers = vec![image_trailer(words)];
    trailers.extend(words.environment.map(environment_trailer));
    trailers.extend(words.decision.map(decision_trailer));
    trailers.extend(sign_off(style));
    trailers
}

fn image_trailer(words: &CommitWords<'_>) -> String {
    let CommitWords { image, tag, digest, .. } = words;
    let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
    format!("Tagboat-Image: {image}:{tag}{digest}")
}

fn environment_trailer(environment: &EnvironmentName) -> String {
    format!("Tagboat-Environment: {environment}")
}

fn decision_trailer(decision: &DecisionId) -> String {
    format!("Tagboat-Decision: {decision}")
}

fn sign_off(style: &CommitStyle) -> Option<String> {
    let who = style.sign_off.as_deref().map(shown).filter(|who| !who.trim().is_empty());
    who.map(|who| format!("Signed-off-by: {who}"))
}
