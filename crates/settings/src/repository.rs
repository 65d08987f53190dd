//! The repository file, `.tagboat.yaml` at the root of a config repository.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tagboat_model::{
    BranchName, Duration, EntryName, EnvironmentName, ExplicitPlace, ImageName, Locator, Pin, PlacePart, Platform,
};
use tagboat_policy::{FilterTags, Jump, Pattern, Policy, Selection};
use tagboat_promotion::{Delivery, Environment, ImageEntry, ImageOverride, PathPattern, PathPatternError, Verify};

use crate::{
    CommitFile, CommitSettings, VerifyFile,
    problem::{self, Problem},
};

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
    /// What the commits say.
    #[serde(default)]
    pub commit: CommitFile,
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
    /// Only tags that a pattern matches, and what of them is compared.
    #[serde(default)]
    pub filter_tags: Option<FilterTags>,
    /// Regular expressions: tags that one of them matches are left out.
    #[serde(default)]
    pub exclude: Vec<Pattern>,
    /// Regular expressions: only tags that one of them matches. Default: all.
    #[serde(default)]
    pub allow: Vec<Pattern>,
    /// How old a version has to be, since it appeared at the registry. Default: any age.
    #[serde(default)]
    pub minimum_age: Option<Duration>,
    /// The platforms that have to be there, all of them: `linux/amd64`. Until then the version waits. Default: any.
    #[serde(default)]
    pub platforms: Vec<Platform>,
    /// Whether a version below the current may be chosen. Default: false.
    #[serde(default)]
    pub allow_downgrade: bool,
    /// How far one step may go from the version that runs. Default: any distance.
    #[serde(default)]
    pub maximum_jump: Option<Jump>,
    /// Who must have signed it. Until then the version waits. Default: nobody.
    #[serde(default)]
    pub verify: Option<VerifyFile>,
    /// What references carry after an edit. Default: what they carry now.
    #[serde(default)]
    pub pin: Pin,
    /// Other names of the image in files, of mirrors and pull-through caches. Each reference keeps the name it has.
    #[serde(default)]
    pub aliases: Vec<ImageName>,
    /// Places that Tagboat does not find by itself, or that have a key missing. Default: none.
    #[serde(default)]
    pub references: Vec<PlaceFile>,
}

/// An entry under `references`: one place in a file, by a path or by a regular expression.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlaceFile {
    /// The file, or a pattern of files, from the root of the repository; also outside of the environment's `paths`.
    /// `{name}` and `{environment}` are put in.
    pub file: String,
    /// Keys and indices in YAML, JSON or TOML: `image.tag`, `containers[0].image`, `containers[name=web].image`.
    pub path: Option<String>,
    /// A regular expression over any text, with groups named `image`, `repository`, `tag`, `digest`.
    pub regex: Option<String>,
    /// What stands at `path`. Default: `image`, which is `name[:tag][@digest]`.
    pub part: Option<PlacePart>,
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
    /// Of these, the folders, files or globs that do not belong to it. Default: none.
    #[serde(default)]
    pub exclude: Vec<String>,
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

/// An environment's own word on an image entry: each key replaces that of the entry.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OverrideFile {
    /// Another policy.
    pub policy: Option<Policy>,
    /// Another filter.
    pub filter_tags: Option<FilterTags>,
    /// Other patterns that leave tags out.
    pub exclude: Option<Vec<Pattern>>,
    /// Other patterns one of which has to match.
    pub allow: Option<Vec<Pattern>>,
    /// Another age.
    pub minimum_age: Option<Duration>,
    /// Other platforms.
    pub platforms: Option<Vec<Platform>>,
    /// Whether a version below the current may be chosen here.
    pub allow_downgrade: Option<bool>,
    /// Another limit of one step.
    pub maximum_jump: Option<Jump>,
    /// Other signatures.
    pub verify: Option<VerifyFile>,
    /// Another pin.
    pub pin: Option<Pin>,
    /// Other places.
    pub references: Option<Vec<PlaceFile>>,
}

/// The file, checked and ready for use.
#[derive(Debug, Clone, Default)]
pub struct RepositorySettings {
    /// The image entries, in the order of the file.
    pub images: Vec<ImageEntry>,
    /// The environments, in the order of the file.
    pub environments: Vec<Environment>,
    /// What the commits say.
    pub commit: CommitSettings,
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

impl RepositorySettings {
    /// Every word on signatures, also those of environments.
    pub fn verify_mut(&mut self) -> impl Iterator<Item = &mut Verify> {
        let entries = self.images.iter_mut().filter_map(|entry| entry.verify.as_mut());
        let overrides = self.environments.iter_mut().flat_map(|environment| environment.overrides.values_mut());
        entries.chain(overrides.filter_map(|other| other.verify.as_mut()))
    }
}

/// Read the file of `tagboat policy test`: the keys of an image entry that choose its version.
///
/// # Errors
/// The first [`Problem`].
pub fn read_policy_file(source: &str, text: &str) -> Result<(Selection, Option<Verify>), Problem> {
    let file: OverrideFile = problem::read(source, text)?;
    let at = |key: &str, message: String| Problem::at(source, text, &[key], message);
    let missing = || Problem::at(source, text, &[], "the key `policy` is missing");
    let selection = Selection {
        policy: file.policy.ok_or_else(missing)?,
        filter_tags: file.filter_tags,
        exclude: file.exclude.unwrap_or_default(),
        allow: file.allow.unwrap_or_default(),
        minimum_age: file.minimum_age,
        platforms: file.platforms.unwrap_or_default(),
        allow_downgrade: file.allow_downgrade.unwrap_or_default(),
        maximum_jump: file.maximum_jump,
    };
    selection.check().map_err(|problem| at(problem.key, problem.message))?;
    let verify = file.verify.as_ref().map(VerifyFile::read).transpose().map_err(|message| at("verify", message))?;
    Ok((selection, verify))
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
        let entry = entry_of(image).map_err(|(key, message)| at(key, message))?;
        check(&entry).map_err(|(key, message)| at(key, message))?;
        settings.images.push(entry);
    }
    if !settings.images.is_empty() && file.environments.is_empty() {
        let message = "no `environments` are declared, so nothing would ever change; add one with `name`, `paths` and `deliver: commit`";
        return Err(Problem::at(source, text, &["images"], message));
    }
    for (index, environment) in file.environments.iter().enumerate() {
        let checked = environment_of(source, text, index, environment, &settings)?;
        settings.environments.push(checked);
    }
    let wrong = |message: String| Problem::at(source, text, &["commit", "message"], message);
    settings.commit = file.commit.read().map_err(wrong)?;
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
    let patterns = |key: &str, written: &[String]| {
        let parse = |(place, path): (usize, &String)| {
            path.parse().map_err(|error: PathPatternError| at(&[key, &place.to_string()], error.to_string()))
        };
        written.iter().enumerate().map(parse).collect::<Result<Vec<PathPattern>, Problem>>()
    };
    let (paths, exclude) = (patterns("paths", &file.paths)?, patterns("exclude", &file.exclude)?);
    let mut overrides = BTreeMap::new();
    for (name, other) in &file.images {
        if !settings.images.iter().any(|entry| entry.name == *name) {
            let names: Vec<&str> = settings.images.iter().map(|entry| entry.name.as_str()).collect();
            let message = format!("there is no image entry `{name}` (there are: {})", names.join(", "));
            return Err(at(&["images", name.as_str()], message));
        }
        let here = |key: &str, message: String| {
            let place: &[&str] = &["images", name.as_str(), key];
            at(place, message)
        };
        let other = override_of(other).map_err(|(key, message)| here(key, message))?;
        overrides.insert(name.clone(), other);
    }
    let Deliver::Commit = file.deliver;
    let environment = Environment {
        name: file.name.clone(),
        branch: file.branch.clone(),
        paths,
        exclude,
        deliver: Delivery::Commit,
        overrides,
    };
    for entry in settings.images.iter().filter(|entry| environment.overrides.contains_key(&entry.name)) {
        check(&entry.within(&environment))
            .map_err(|(key, message)| at(&["images", entry.name.as_str(), key], message))?;
    }
    Ok(environment)
}

/// An environment's word on an entry, or the key that is wrong and why.
fn override_of(file: &OverrideFile) -> Result<ImageOverride, (&'static str, String)> {
    let verify = file.verify.as_ref().map(VerifyFile::read).transpose().map_err(|message| ("verify", message))?;
    let references = file.references.as_deref().map(places).transpose().map_err(|message| ("references", message))?;
    Ok(ImageOverride {
        policy: file.policy.clone(),
        filter_tags: file.filter_tags.clone(),
        exclude: file.exclude.clone(),
        allow: file.allow.clone(),
        minimum_age: file.minimum_age,
        platforms: file.platforms.clone(),
        allow_downgrade: file.allow_downgrade,
        maximum_jump: file.maximum_jump,
        pin: file.pin,
        verify,
        references,
    })
}

/// An entry without its environment, or the key that is wrong and why.
fn entry_of(file: &ImageFile) -> Result<ImageEntry, (&'static str, String)> {
    let selection = Selection {
        policy: file.policy.clone(),
        filter_tags: file.filter_tags.clone(),
        exclude: file.exclude.clone(),
        allow: file.allow.clone(),
        minimum_age: file.minimum_age,
        platforms: file.platforms.clone(),
        allow_downgrade: file.allow_downgrade,
        maximum_jump: file.maximum_jump,
    };
    let verify = file.verify.as_ref().map(VerifyFile::read).transpose().map_err(|message| ("verify", message))?;
    let references = places(&file.references).map_err(|message| ("references", message))?;
    let (name, image, aliases) = (file.name.clone(), file.image.clone(), file.aliases.clone());
    Ok(ImageEntry { name, image, selection, pin: file.pin, verify, aliases, references })
}

/// Places that are named in words, or what is wrong with one.
fn places(files: &[PlaceFile]) -> Result<Vec<ExplicitPlace>, String> {
    files.iter().map(place).collect()
}

fn place(file: &PlaceFile) -> Result<ExplicitPlace, String> {
    let whose = &file.file;
    let locator = match (&file.path, &file.regex) {
        (Some(path), None) => Locator::Path(path.clone()),
        (None, Some(_)) if file.part.is_some() => {
            return Err(format!("{whose}: `part` goes with `path`; a `regex` says it by the names of its groups"));
        }
        (None, Some(regex)) => Locator::Regex(regex.clone()),
        _ => return Err(format!("{whose}: name either a `path` or a `regex`")),
    };
    let place = ExplicitPlace { file: whose.clone(), locator, part: file.part.unwrap_or_default() };
    // Names are put in later; any does for a check.
    let (name, environment) = ("x".parse::<EntryName>(), "x".parse::<EnvironmentName>());
    let tried = match (name, environment) {
        (Ok(name), Ok(environment)) => place.within(&name, &environment),
        _ => place.clone(),
    };
    tagboat_manifest::Place::parse(&tried).map_err(|error| format!("{whose}: {error}"))?;
    tried.file.parse::<PathPattern>().map_err(|error| error.to_string())?;
    Ok(place)
}

/// What the types alone do not hold.
fn check(entry: &ImageEntry) -> Result<(), (&'static str, String)> {
    entry.selection.check().map_err(|problem| (problem.key, problem.message))?;
    if entry.selection.policy.followed().is_some() && entry.pin == Pin::Tag {
        let message = format!(
            "`pin: tag` removes the digest that the policy follows ({}); use `digest` or `tagAndDigest`",
            entry.selection.policy
        );
        return Err(("pin", message));
    }
    Ok(())
}
