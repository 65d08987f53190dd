//! Environments and image entries, as the repository file declares them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};
use tagboat_model::{
    BranchName, Duration, EntryName, EnvironmentName, ExplicitPlace, ImageName, Pattern, Pin, Platform, SignatureRule,
};
use tagboat_policy::{FilterTags, Jump, Pattern as TagPattern, Policy, Selection};
use thiserror::Error;

use crate::{Gates, Grouping, PullRequestRules};

/// An entry under `images`: an image and how its version is chosen.
#[derive(Debug, Clone)]
pub struct ImageEntry {
    /// Its name.
    pub name: EntryName,
    /// The image.
    pub image: ImageName,
    /// How its version is chosen.
    pub selection: Selection,
    /// What references carry after an edit.
    pub pin: Pin,
    /// Who must have signed it.
    pub verify: Option<Verify>,
    /// Other names of it in files: mirrors, pull-through caches.
    pub aliases: Vec<ImageName>,
    /// Places that are named in words.
    pub references: Vec<ExplicitPlace>,
    /// The only folder whose files it is about, `teams/web`: the one of the included file that declares it.
    pub folder: Option<String>,
}

/// An entry under `images` whose image is a pattern: every repository that matches and is named in a file gets an entry.
#[derive(Debug, Clone)]
pub struct ImagePattern {
    /// The images.
    pub pattern: Pattern,
    /// What holds for each; its name and image are put in.
    pub selection: Selection,
    /// What references carry after an edit.
    pub pin: Pin,
    /// Who must have signed it.
    pub verify: Option<Verify>,
    /// The only folder whose files it is about.
    pub folder: Option<String>,
}

/// Who must have signed an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verify {
    /// As the rule says.
    Rule(SignatureRule),
    /// The holder of the key whose public half is in this file of the config repository.
    KeyFile(String),
}

impl ImageEntry {
    /// Whether a name in a file is one of this image.
    #[must_use]
    pub fn is_named(&self, name: &ImageName) -> bool {
        self.names().any(|own| own == name)
    }

    /// All of its names, the one at its registry first.
    pub fn names(&self) -> impl Iterator<Item = &ImageName> {
        std::iter::once(&self.image).chain(&self.aliases)
    }

    /// The entry as it holds in an environment.
    #[must_use]
    pub fn within(&self, environment: &Environment) -> Self {
        let other = environment.overrides.get(&self.name).cloned().unwrap_or_default();
        let Self { name, image, selection, pin, verify, aliases, references, folder } = self.clone();
        let image = other.repository.unwrap_or(image);
        let references = other.references.unwrap_or(references);
        let references = references.iter().map(|place| place.within(&name, &environment.name)).collect();
        // Another kind of policy does not inherit what only the first one could use.
        let selection = match &other.policy {
            Some(policy) => Selection { policy: policy.clone(), ..selection }.without_what_means_nothing(),
            None => selection,
        };
        let selection = Selection {
            policy: selection.policy,
            filter_tags: other.filter_tags.or(selection.filter_tags),
            exclude: other.exclude.unwrap_or(selection.exclude),
            allow: other.allow.unwrap_or(selection.allow),
            minimum_age: other.minimum_age.or(selection.minimum_age),
            platforms: other.platforms.unwrap_or(selection.platforms),
            allow_downgrade: other.allow_downgrade.unwrap_or(selection.allow_downgrade),
            maximum_jump: other.maximum_jump.or(selection.maximum_jump),
        };
        let (pin, verify) = (other.pin.unwrap_or(pin), other.verify.or(verify));
        Self { name, image, selection, pin, verify, aliases, references, folder }
    }
}

/// How changes reach an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Delivery {
    /// A commit on the environment's branch.
    Commit,
    /// A pull request into the environment's branch.
    PullRequest,
}

/// What an environment says otherwise about one image entry, key by key.
#[derive(Debug, Clone, Default)]
pub struct ImageOverride {
    /// The image at this environment's own registry.
    pub repository: Option<ImageName>,
    /// Another policy.
    pub policy: Option<Policy>,
    /// Another filter.
    pub filter_tags: Option<FilterTags>,
    /// Other patterns that leave tags out.
    pub exclude: Option<Vec<TagPattern>>,
    /// Other patterns one of which has to match.
    pub allow: Option<Vec<TagPattern>>,
    /// Another age.
    pub minimum_age: Option<Duration>,
    /// Other platforms.
    pub platforms: Option<Vec<Platform>>,
    /// Whether going down is permitted here.
    pub allow_downgrade: Option<bool>,
    /// Another limit of one step.
    pub maximum_jump: Option<Jump>,
    /// Another pin.
    pub pin: Option<Pin>,
    /// Other signatures.
    pub verify: Option<Verify>,
    /// Other places that are named in words.
    pub references: Option<Vec<ExplicitPlace>>,
}

/// A named part of a config repository.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// The branch it lives on; `None` means the default branch.
    pub branch: Option<BranchName>,
    /// The files that belong to it; none means every file of the branch.
    pub paths: Vec<PathPattern>,
    /// Of these, the files that do not belong to it.
    pub exclude: Vec<PathPattern>,
    /// How changes reach it.
    pub deliver: Delivery,
    /// The environment whose versions it gets; without one, versions are chosen by policy.
    pub promote_from: Option<EnvironmentName>,
    /// The conditions under which it gets them.
    pub gates: Gates,
    /// Which image entries change together.
    pub group: Grouping,
    /// How its pull requests are.
    pub pull_request: PullRequestRules,
    /// What it says otherwise about image entries.
    pub overrides: BTreeMap<EntryName, ImageOverride>,
}

impl Environment {
    /// Whether the file belongs to it.
    #[must_use]
    pub fn contains(&self, file: &str) -> bool {
        let within = |patterns: &[PathPattern]| patterns.iter().any(|pattern| pattern.matches(file));
        (self.paths.is_empty() || within(&self.paths)) && !within(&self.exclude)
    }
}

/// A folder (with all below it), a file, or a glob: `apps/dev`, `clusters/*/apps`, `**/values-dev.yaml`.
#[derive(Debug, Clone)]
pub struct PathPattern {
    written: String,
    file: GlobMatcher,
    below: GlobMatcher,
}

/// Why a text is no path pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{written}` is not a path in the repository: {why}")]
pub struct PathPatternError {
    written: String,
    why: String,
}

impl PathPattern {
    /// Whether a file is meant.
    #[must_use]
    pub fn matches(&self, file: &str) -> bool {
        self.file.is_match(file) || self.below.is_match(file)
    }
}

impl FromStr for PathPattern {
    type Err = PathPatternError;

    fn from_str(written: &str) -> Result<Self, PathPatternError> {
        let fail = |why: &str| PathPatternError { written: written.to_owned(), why: why.to_owned() };
        let path = written.trim_start_matches("./").trim_end_matches('/');
        if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err(fail("write it from the root of the repository, without `/` in front and without `..`"));
        }
        let glob = |text: &str| {
            GlobBuilder::new(text)
                .literal_separator(true)
                .build()
                .map(|glob| glob.compile_matcher())
                .map_err(|error| fail(&error.kind().to_string()))
        };
        let below = if path == "." { "**".to_owned() } else { format!("{path}/**") };
        Ok(Self { written: written.to_owned(), file: glob(path)?, below: glob(&below)? })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Two environments claim one file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the environments `{first}` and `{second}` both contain {file}; narrow the `paths` of one of them")]
pub struct Overlap {
    /// The environment declared first.
    pub first: EnvironmentName,
    /// The other.
    pub second: EnvironmentName,
    /// The file.
    pub file: String,
}

/// Which of the environments of one branch each file belongs to. Files of none are left out.
///
/// # Errors
/// [`Overlap`] when two environments contain one file.
pub fn assign<'e, 'f>(
    environments: &[&'e Environment],
    files: impl IntoIterator<Item = &'f str>,
) -> Result<Vec<(&'f str, &'e Environment)>, Overlap> {
    let mut assigned = Vec::new();
    for file in files {
        let mut owners = environments.iter().filter(|environment| environment.contains(file));
        let Some(first) = owners.next() else { continue };
        if let Some(second) = owners.next() {
            return Err(Overlap { first: first.name.clone(), second: second.name.clone(), file: file.to_owned() });
        }
        assigned.push((file, *first));
    }
    Ok(assigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str, paths: &[&str]) -> Environment {
        Environment {
            name: name.parse().unwrap(),
            branch: None,
            paths: paths.iter().map(|path| path.parse().unwrap()).collect(),
            exclude: Vec::new(),
            deliver: Delivery::Commit,
            promote_from: None,
            gates: Gates::default(),
            group: Grouping::default(),
            pull_request: PullRequestRules::default(),
            overrides: BTreeMap::new(),
        }
    }

    #[test]
    fn a_path_is_a_folder_a_file_or_a_glob() {
        let mut dev = environment("dev", &["apps/dev", "clusters/*/apps/", "shared/values-dev.yaml"]);
        dev.exclude.push("apps/dev/vendor".parse().unwrap());
        for (file, expect) in [
            ("apps/dev/web.yaml", true),
            ("apps/dev/deep/er.yaml", true),
            ("apps/dev/vendor/chart/values.yaml", false),
            ("apps/development/web.yaml", false),
            ("clusters/a/apps/x.yaml", true),
            ("clusters/a/b/apps/x.yaml", false),
            ("shared/values-dev.yaml", true),
            ("shared/values.yaml", false),
        ] {
            assert_eq!(dev.contains(file), expect, "{file}");
        }
        assert!("../x".parse::<PathPattern>().is_err() && "/x".parse::<PathPattern>().is_err());
        assert!(environment("all", &["."]).contains("any/file.yaml"));
    }

    #[test]
    fn a_file_of_two_environments_is_an_error_that_names_both() {
        let (dev, all) = (environment("dev", &["apps/dev"]), environment("all", &["apps"]));
        assert_eq!(
            assign(&[&dev, &all], ["apps/dev/web.yaml"]).unwrap_err().to_string(),
            "the environments `dev` and `all` both contain apps/dev/web.yaml; narrow the `paths` of one of them"
        );
        assert_eq!(assign(&[&dev], ["apps/dev/web.yaml", "README.md"]).unwrap().len(), 1);
    }
}
