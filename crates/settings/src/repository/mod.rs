//! The repository file, `.tagboat.yaml` at the root of a config repository, with the files that it includes.

mod collaboration;
mod defaults;
mod environments;
mod gates;
mod group;
mod images;
mod include;
mod places;
mod policy_file;
mod pull_request;
mod upstream;
mod wrong;

use schemars::JsonSchema;
use serde::Deserialize;
use tagboat_model::BranchName;
use tagboat_promotion::{Collaboration, Environment, ImageEntry, ImagePattern, PathPattern, Verify};

use crate::{
    CommitFile, CommitSettings,
    problem::{self, Problem},
};

pub use include::includes;
pub use policy_file::read_policy_file;

use collaboration::{DashboardFile, PullRequestLimitsFile};
use defaults::DefaultsFile;
use environments::EnvironmentFile;
use images::ImageFile;
use wrong::{Document, Wrong};

/// The file as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Tagboat repository file")]
pub struct RepositoryFile {
    /// What holds for every image entry that does not say otherwise. Default: nothing.
    #[serde(default)]
    pub defaults: DefaultsFile,
    /// The images and how their versions are chosen. Default: none.
    #[serde(default)]
    pub images: Vec<ImageFile>,
    /// The parts of the repository that run versions of these images. Default: the whole repository is one, named `default`,
    /// and changes reach it by pull request.
    #[serde(default)]
    pub environments: Vec<EnvironmentFile>,
    /// Globs of further files of this kind, `teams/*/.tagboat.yaml`. Each has `images` and `environments` only, which hold
    /// for its own folder. Default: none.
    #[serde(default)]
    pub include: Vec<String>,
    /// What the commits say. Default: the built-in message.
    #[serde(default)]
    pub commit: CommitFile,
    /// How much is done at most. Default: 20 open pull requests.
    #[serde(default)]
    pub limits: PullRequestLimitsFile,
    /// Who may bring a version past upstreams and gates: accounts, or teams as `team/name`. Default: the administrators of
    /// the repository. They need the permission to push as well.
    #[serde(default)]
    pub approvers: Vec<String>,
    /// An issue that shows how things stand: `true`, or its `title` and `labels`. Default: none.
    #[serde(default)]
    pub dashboard: Option<DashboardFile>,
}

/// The file, checked and ready for use.
#[derive(Debug, Clone, Default)]
pub struct RepositorySettings {
    /// The image entries, in the order of the file; those of included files follow.
    pub images: Vec<ImageEntry>,
    /// The entries whose image is a pattern, in the same order.
    pub patterns: Vec<ImagePattern>,
    /// The environments, in the same order.
    pub environments: Vec<Environment>,
    /// What the commits say.
    pub commit: CommitSettings,
    /// How Tagboat works with people.
    pub collaboration: Collaboration,
    /// Which further files belong to it.
    pub included: Vec<PathPattern>,
}

impl RepositorySettings {
    /// The branches that environments live on, `default` for those that name none.
    #[must_use]
    pub fn branches(&self, default: &BranchName) -> Vec<BranchName> {
        let mut branches: Vec<BranchName> = self
            .environments
            .iter()
            .map(|environment| environment.branch.as_ref().unwrap_or(default).clone())
            .collect();
        branches.sort();
        branches.dedup();
        branches
    }

    /// Every word on signatures, also those of patterns and environments.
    pub fn verify_mut(&mut self) -> impl Iterator<Item = &mut Verify> {
        let entries = self.images.iter_mut().filter_map(|entry| entry.verify.as_mut());
        let patterns = self.patterns.iter_mut().filter_map(|pattern| pattern.verify.as_mut());
        let overrides = self.environments.iter_mut().flat_map(|environment| environment.overrides.values_mut());
        entries.chain(patterns).chain(overrides.filter_map(|other| other.verify.as_mut()))
    }
}

/// What is known of the server when a repository file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadContext {
    /// Whether an agent reports rollouts to it, so that gates can wait for them. Default: true.
    pub agents: bool,
}

impl Default for ReadContext {
    fn default() -> Self {
        Self { agents: true }
    }
}

/// What one of the files contributes.
#[derive(Debug)]
struct Part<'p> {
    document: Document<'p>,
    images: &'p [ImageFile],
    environments: &'p [EnvironmentFile],
}

/// Read and check a repository file that includes no others. `source` is how messages name it.
///
/// # Errors
/// The first [`Problem`].
pub fn read_repository_file(source: &str, text: &str) -> Result<RepositorySettings, Problem> {
    read_repository_files(source, text, &[], ReadContext::default())
}

/// Read and check a repository file with those that it includes, each with its path from the root of the repository and its
/// text. `source` is how messages name the file itself.
///
/// # Errors
/// The first [`Problem`], in whichever file it is.
pub fn read_repository_files(
    source: &str,
    text: &str,
    included: &[(String, String)],
    context: ReadContext,
) -> Result<RepositorySettings, Problem> {
    let root = Document { source, text, folder: None };
    let at_root = |wrong: Wrong| root.problem(wrong);
    let file: RepositoryFile = problem::read(source, text)?;
    let mut settings =
        RepositorySettings { included: include::patterns(&file.include).map_err(at_root)?, ..Default::default() };
    let others = include::read(source, included)?;
    let mut parts = vec![Part { document: root, images: &file.images, environments: &file.environments }];
    parts.extend(others.iter().map(|(document, other)| Part {
        document: *document,
        images: &other.images,
        environments: &other.environments,
    }));
    let defaults = file.defaults.read().map_err(|wrong| at_root(wrong.below(&["defaults"])))?;
    images::read(&parts, &defaults, &mut settings)?;
    environments::read(&parts, context, &mut settings)?;
    let wrong_message = |message: String| at_root(Wrong::at(&["commit", "message"], message));
    settings.commit = file.commit.read().map_err(wrong_message)?;
    settings.collaboration = collaboration::read(&file).map_err(at_root)?;
    Ok(settings)
}
