//! `pullRequest` of an environment: how its pull requests are.

use schemars::JsonSchema;
use serde::Deserialize;
use tagboat_model::{Decoration, MergeMethod};
use tagboat_promotion::{PullRequestRules, Supersede, TextTemplate};

use super::{group::GroupFile, wrong::Wrong};
use crate::commit::template_words;

/// `pullRequest: { reviewers: [team/platform], labels: [promotion] }`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PullRequestFile {
    /// Whether they are merged once gates and checks are green. Default: false.
    pub auto_merge: bool,
    /// How they are merged then. Default: `merge`.
    pub merge_method: MergeMethodFile,
    /// Whether they are opened as drafts while gates wait. Default: false, and they are opened once those gates pass that
    /// hold back the offer.
    pub draft: bool,
    /// What becomes of one that is open when a newer version comes. Default: `unlessApproved`.
    pub supersede: SupersedeFile,
    /// Who is asked for a review: accounts, or teams as `team/name`. Default: nobody.
    pub reviewers: Vec<String>,
    /// Whom they are assigned to: accounts. Default: nobody.
    pub assignees: Vec<String>,
    /// Their labels; those that are not there are made where the forge permits it. Default: none.
    pub labels: Vec<String>,
    /// Their milestone, by its title. Default: none.
    pub milestone: Option<String>,
    /// The title, as a template in the language that `commit.message` has. Default: the built-in title.
    pub title: Option<String>,
    /// What stands above the built-in text, as a template in the same language. Default: nothing.
    pub body: Option<String>,
    /// As `group` of the environment; it may stand here in its place. Default: `image`.
    pub group: Option<GroupFile>,
}

/// The ways to merge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MergeMethodFile {
    /// With a commit of its own.
    #[default]
    Merge,
    /// As one commit.
    Squash,
    /// By putting the commits on top.
    Rebase,
}

impl From<MergeMethodFile> for MergeMethod {
    fn from(method: MergeMethodFile) -> Self {
        match method {
            MergeMethodFile::Merge => Self::Merge,
            MergeMethodFile::Squash => Self::Squash,
            MergeMethodFile::Rebase => Self::Rebase,
        }
    }
}

/// What becomes of an open pull request when a newer version comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SupersedeFile {
    /// It is replaced, unless it is approved or about to be merged.
    #[default]
    UnlessApproved,
    /// It is replaced.
    Always,
}

impl From<SupersedeFile> for Supersede {
    fn from(supersede: SupersedeFile) -> Self {
        match supersede {
            SupersedeFile::UnlessApproved => Self::UnlessApproved,
            SupersedeFile::Always => Self::Always,
        }
    }
}

impl PullRequestFile {
    /// The rules without the group, or what is wrong with them.
    pub(super) fn read(&self) -> Result<PullRequestRules, Wrong> {
        let lists = [("reviewers", &self.reviewers, Words::People), ("assignees", &self.assignees, Words::Accounts)];
        for (key, words, kind) in lists.into_iter().chain([("labels", &self.labels, Words::Any)]) {
            check_words(words, kind).map_err(|wrong| wrong.below(&[key]))?;
        }
        if self.milestone.as_ref().is_some_and(|title| title.trim().is_empty()) {
            return Err(Wrong::at(
                &["milestone"],
                "a milestone is named by its title; write it, or remove `milestone`",
            ));
        }
        let title = self.title.as_deref().map(TextTemplate::title).transpose();
        let body = self.body.as_deref().map(TextTemplate::body).transpose();
        Ok(PullRequestRules {
            auto_merge: self.auto_merge,
            merge_method: self.merge_method.into(),
            draft: self.draft,
            supersede: self.supersede.into(),
            decoration: Decoration {
                labels: self.labels.clone(),
                reviewers: self.reviewers.clone(),
                assignees: self.assignees.clone(),
                milestone: self.milestone.clone(),
            },
            title: title.map_err(|error| Wrong::at(&["title"], template_words(&error)))?,
            body: body.map_err(|error| Wrong::at(&["body"], template_words(&error)))?,
        })
    }
}

/// What a list names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// Accounts, and teams as `team/name`.
    People,
    /// Accounts.
    Accounts,
    /// Anything.
    Any,
}

/// That a list names what it should.
pub(super) fn check_words(words: &[String], kind: Words) -> Result<(), Wrong> {
    for (index, word) in words.iter().enumerate() {
        let wrong = |message: String| Err(Wrong::at(&[&index.to_string()], message));
        if word.trim().is_empty() || word.chars().any(char::is_control) {
            return wrong("a name must not be empty, nor hold a line end".to_owned());
        }
        if kind == Words::Any {
            continue;
        }
        if let Some(name) = word.strip_prefix('@') {
            return wrong(format!("names are written without `@`: `{name}`"));
        }
        let account = match word.split_once('/') {
            None => word,
            Some(("team", name)) if kind == Words::People => name,
            Some(("team", _)) => return wrong(format!("`{word}` is a team, and only accounts can stand here")),
            Some((_, name)) if kind == Words::People => {
                return wrong(format!("`{word}` is no account; a team is written `team/{name}`"));
            }
            Some(_) => return wrong(format!("`{word}` is no account")),
        };
        if account.is_empty() || account.contains(|c: char| c == '/' || c.is_whitespace()) {
            return wrong(format!("`{word}` is no account"));
        }
    }
    Ok(())
}
