//! The repository file, `.tagboat.yaml` at the root of a config repository.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tagboat_model::{BranchName, EntryName, EnvironmentName, ImageName, Pin};
use tagboat_policy::Policy;
use tagboat_promotion::{Delivery, Environment, ImageEntry, ImageOverride};

use crate::problem::{self, Problem};

/// The file as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Tagboat repository file")]
pub struct RepositoryFile {
    /// The images and how their versions are chosen.
    #[serde(default)]
    pub images: Vec<ImageFile>,
    /// The parts of the repository that run versions of these images.
    #[serde(default)]
    pub environments: Vec<EnvironmentFile>,
}

/// An entry under `images`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageFile {
    /// A name for it, unique in this file.
    pub name: EntryName,
    /// The image, without tag: `ghcr.io/acme/web`.
    pub image: ImageName,
    /// How its version is chosen.
    pub policy: Policy,
    /// What references carry after an edit. Default: what they carry now.
    #[serde(default)]
    pub pin: Pin,
    /// Whether a version below the current may be chosen. Default: false.
    #[serde(default)]
    pub allow_downgrade: bool,
}

/// An entry under `environments`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentFile {
    /// A name for it, unique in this file.
    pub name: EnvironmentName,
    /// Folders, files or globs from the root of the repository. Default: every file of `branch`.
    #[serde(default)]
    pub paths: Vec<String>,
    /// The branch it lives on. Default: the branch the operator configured.
    pub branch: Option<BranchName>,
    /// How changes reach it. A direct commit is asked for in words: `deliver: commit`.
    pub deliver: Deliver,
    /// What this environment says otherwise about entries of `images`, by their names.
    #[serde(default)]
    pub images: BTreeMap<EntryName, OverrideFile>,
}

/// How changes reach an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Deliver {
    /// A commit on the branch.
    Commit,
}

/// An environment's own word on an image entry.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OverrideFile {
    /// Another policy.
    pub policy: Option<Policy>,
    /// Another pin.
    pub pin: Option<Pin>,
}

/// The file, checked and ready for use.
#[derive(Debug, Clone, Default)]
pub struct RepositorySettings {
    /// The image entries, in the order of the file.
    pub images: Vec<ImageEntry>,
    /// The environments, in the order of the file.
    pub environments: Vec<Environment>,
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
}

/// Read and check a repository file. `source` is how messages name it.
///
/// # Errors
/// The first [`Problem`].
pub fn read_repository_file(source: &str, text: &str) -> Result<RepositorySettings, Problem> {
    let file: RepositoryFile = problem::read(source, text)?;
    let mut settings = RepositorySettings::default();
    for (index, image) in file.images.iter().enumerate() {
        let at = |key: &str, message: String| Problem::at(source, text, &["images", &index.to_string(), key], message);
        if settings.images.iter().any(|earlier| earlier.name == image.name) {
            return Err(at("name", format!("another image entry is named `{}` already; names are unique", image.name)));
        }
        if matches!(image.policy, Policy::Digest(_)) && image.pin == Pin::Tag {
            return Err(at(
                "pin",
                "`pin: tag` removes the digest that the `digest` policy follows; use `digest` or `tagAndDigest`"
                    .to_owned(),
            ));
        }
        settings.images.push(ImageEntry {
            name: image.name.clone(),
            image: image.image.clone(),
            policy: image.policy.clone(),
            pin: image.pin,
            allow_downgrade: image.allow_downgrade,
        });
    }
    if !settings.images.is_empty() && file.environments.is_empty() {
        let message = "no `environments` are declared, so nothing would ever change; add one with `name`, `paths` and `deliver: commit`";
        return Err(Problem::at(source, text, &["images"], message));
    }
    for (index, environment) in file.environments.iter().enumerate() {
        let checked = environment_of(source, text, index, environment, &settings)?;
        settings.environments.push(checked);
    }
    Ok(settings)
}

fn environment_of(
    source: &str,
    text: &str,
    index: usize,
    file: &EnvironmentFile,
    settings: &RepositorySettings,
) -> Result<Environment, Problem> {
    let index = index.to_string();
    let at = |rest: &[&str], message: String| {
        let path: Vec<&str> = ["environments", &index].into_iter().chain(rest.iter().copied()).collect();
        Problem::at(source, text, &path, message)
    };
    if settings.environments.iter().any(|earlier| earlier.name == file.name) {
        return Err(at(&["name"], format!("another environment is named `{}` already; names are unique", file.name)));
    }
    if file.paths.is_empty() && file.branch.is_none() {
        return Err(at(&[], format!("the environment `{}` needs `paths`, or a `branch` of its own", file.name)));
    }
    let mut paths = Vec::new();
    for (place, path) in file.paths.iter().enumerate() {
        let parsed = path.parse().map_err(|error: tagboat_promotion::PathPatternError| {
            at(&["paths", &place.to_string()], error.to_string())
        })?;
        paths.push(parsed);
    }
    let mut overrides = BTreeMap::new();
    for (name, other) in &file.images {
        let Some(entry) = settings.images.iter().find(|entry| entry.name == *name) else {
            let names: Vec<&str> = settings.images.iter().map(|entry| entry.name.as_str()).collect();
            let message = format!("there is no image entry `{name}` (there are: {})", names.join(", "));
            return Err(at(&["images", name.as_str()], message));
        };
        let policy = other.policy.as_ref().unwrap_or(&entry.policy);
        if matches!(policy, Policy::Digest(_)) && other.pin.unwrap_or(entry.pin) == Pin::Tag {
            return Err(at(
                &["images", name.as_str()],
                "`pin: tag` removes the digest that the `digest` policy follows".to_owned(),
            ));
        }
        overrides.insert(name.clone(), ImageOverride { policy: other.policy.clone(), pin: other.pin });
    }
    let Deliver::Commit = file.deliver;
    Ok(Environment {
        name: file.name.clone(),
        branch: file.branch.clone(),
        paths,
        deliver: Delivery::Commit,
        overrides,
    })
}
