//! `environments` of the repository file: the parts of the repository, and what each says otherwise about images.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tagboat_model::{BranchName, Duration, EntryName, EnvironmentName, ImageName, Pin, Platform};
use tagboat_policy::{FilterTags, Jump, Pattern, Policy};
use tagboat_promotion::{
    Delivery, Environment, Gates, Grouping, ImageEntry, ImageOverride, ImagePattern, PathPattern, PathPatternError,
    PullRequestRules,
};

use super::{
    Part, ReadContext, RepositorySettings,
    gates::{Around, GatesFile},
    group::GroupFile,
    images::{check, taken},
    places::{PlaceFile, places},
    pull_request::PullRequestFile,
    upstream,
    wrong::{Wrong, check_below},
};
use crate::{Problem, VerifyFile, problem::unknown_name};

/// What the branches of pull requests begin with.
const BRANCHES_OF_THE_BOT: &str = "tagboat/";
/// The name of the environment that is the whole repository.
const WHOLE_REPOSITORY: &str = "default";

/// An entry under `environments`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentFile {
    /// A name for it, unique in this file and all that are included.
    pub name: EnvironmentName,
    /// Folders, files or globs from the root of the repository. Default: every file of `branch`; in an included file, those
    /// of its folder.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Of these, the folders, files or globs that do not belong to it. Default: none.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The branch it lives on. Default: the branch the operator configured.
    pub branch: Option<BranchName>,
    /// How changes reach it. A direct commit is asked for in words: `deliver: commit`.
    pub deliver: Deliver,
    /// The environment from which it gets exactly the versions that run there. Default: none, and versions are chosen by
    /// policy.
    #[serde(default)]
    pub promote_from: Option<EnvironmentName>,
    /// The conditions under which versions come. Default: none.
    #[serde(default)]
    pub gates: GatesFile,
    /// Which image entries change together, in one commit or pull request: `image` (each by itself), `all`, or groups by
    /// name, `{ shop: [cart, checkout] }`. Default: `image`.
    #[serde(default)]
    pub group: Option<GroupFile>,
    /// How its pull requests are, for `deliver: pullRequest`. Default: as each key says.
    #[serde(default)]
    pub pull_request: Option<PullRequestFile>,
    /// What this environment says otherwise about entries of `images`, by their names. Default: nothing.
    #[serde(default)]
    pub images: BTreeMap<EntryName, OverrideFile>,
}

/// How changes reach an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Deliver {
    /// A commit on the branch.
    Commit,
    /// A pull request into the branch.
    PullRequest,
}

impl From<Deliver> for Delivery {
    fn from(deliver: Deliver) -> Self {
        match deliver {
            Deliver::Commit => Self::Commit,
            Deliver::PullRequest => Self::PullRequest,
        }
    }
}

/// An environment's own word on an image entry: each key replaces that of the entry.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OverrideFile {
    /// The image at this environment's own registry, without tag. Default: the image of the entry.
    pub repository: Option<ImageName>,
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

/// The image entries that there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'k> {
    pub(super) entries: &'k [ImageEntry],
    pub(super) patterns: &'k [ImagePattern],
}

impl Known<'_> {
    fn entry(&self, name: &EntryName) -> Option<&ImageEntry> {
        self.entries.iter().find(|entry| entry.name == *name)
    }

    /// That an entry of this name may be there. Which names follow from patterns is known only where images are.
    pub(super) fn check(&self, name: &EntryName) -> Result<(), String> {
        if self.entry(name).is_some() || !self.patterns.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
        Err(unknown_name("image entry", name.as_str(), &names))
    }
}

/// Read the environments of all files, whose image entries are read already.
pub(super) fn read(parts: &[Part<'_>], context: ReadContext, settings: &mut RepositorySettings) -> Result<(), Problem> {
    let mut environments: Vec<Environment> = Vec::new();
    let mut origins: Vec<(&Part<'_>, String)> = Vec::new();
    let known = Known { entries: &settings.images, patterns: &settings.patterns };
    for part in parts {
        for (index, file) in part.environments.iter().enumerate() {
            let index = index.to_string();
            let problem = |wrong: Wrong| part.document.problem(wrong.below(&["environments", &index]));
            if let Some(earlier) = environments.iter().position(|earlier| earlier.name == file.name) {
                let first = origins.get(earlier).map_or(part.document.source, |(first, _)| first.document.source);
                return Err(problem(taken("environment", file.name.as_str(), first, part.document.source)));
            }
            environments.push(environment_of(file, part.document.folder, known, context).map_err(problem)?);
            origins.push((part, index));
        }
    }
    if let Err((place, wrong)) = upstream::check(&environments) {
        let Some((part, index)) = origins.get(place) else { return Ok(()) };
        return Err(part.document.problem(wrong.below(&["environments", index])));
    }
    if environments.is_empty() && !(settings.images.is_empty() && settings.patterns.is_empty()) {
        environments.extend(WHOLE_REPOSITORY.parse().ok().map(whole_repository));
    }
    settings.environments = environments;
    Ok(())
}

/// Every file of the default branch, by pull request.
fn whole_repository(name: EnvironmentName) -> Environment {
    Environment {
        name,
        branch: None,
        paths: Vec::new(),
        exclude: Vec::new(),
        deliver: Delivery::PullRequest,
        promote_from: None,
        gates: Gates::default(),
        group: Grouping::default(),
        pull_request: PullRequestRules::default(),
        overrides: BTreeMap::new(),
    }
}

fn environment_of(
    file: &EnvironmentFile,
    folder: Option<&str>,
    known: Known<'_>,
    context: ReadContext,
) -> Result<Environment, Wrong> {
    let branch = file.branch.clone();
    if branch.as_ref().is_some_and(|branch| branch.as_str().starts_with(BRANCHES_OF_THE_BOT)) {
        let message = format!("branches below `{BRANCHES_OF_THE_BOT}` are those of pull requests; name another");
        return Err(Wrong::at(&["branch"], message));
    }
    let mut paths = patterns("paths", &file.paths, folder)?;
    let exclude = patterns("exclude", &file.exclude, None)?;
    match folder {
        Some(folder) if paths.is_empty() => {
            paths.push(folder.parse().map_err(|error: PathPatternError| Wrong::at(&[], error.to_string()))?);
        }
        None if paths.is_empty() && branch.is_none() => {
            let message = format!("the environment `{}` needs `paths`, or a `branch` of its own", file.name);
            return Err(Wrong::at(&[], message));
        }
        _ => {}
    }
    let deliver = Delivery::from(file.deliver);
    let by_pull_request = deliver == Delivery::PullRequest;
    let around = Around { promoted: file.promote_from.is_some(), by_pull_request, agents: context.agents };
    let environment = Environment {
        name: file.name.clone(),
        branch,
        paths,
        exclude,
        deliver,
        promote_from: file.promote_from.clone(),
        gates: file.gates.read(around).map_err(|wrong| wrong.below(&["gates"]))?,
        group: group_of(file, known)?,
        pull_request: pull_request_of(file, by_pull_request)?,
        overrides: overrides_of(file, folder, known)?,
    };
    for name in environment.overrides.keys() {
        check_within(name, &environment, known).map_err(|wrong| wrong.below(&["images", name.as_str()]))?;
    }
    Ok(environment)
}

fn patterns(key: &str, written: &[String], folder: Option<&str>) -> Result<Vec<PathPattern>, Wrong> {
    let parse = |(place, path): (usize, &String)| -> Result<PathPattern, Wrong> {
        let wrong = |message: String| Wrong::at(&[key, &place.to_string()], message);
        let pattern = path.parse().map_err(|error: PathPatternError| wrong(error.to_string()))?;
        check_below(folder, path).map_err(wrong)?;
        Ok(pattern)
    };
    written.iter().enumerate().map(parse).collect()
}

fn pull_request_of(file: &EnvironmentFile, by_pull_request: bool) -> Result<PullRequestRules, Wrong> {
    match &file.pull_request {
        None => Ok(PullRequestRules::default()),
        Some(_) if !by_pull_request => Err(Wrong::at(
            &["pullRequest"],
            "this environment is delivered by commit; write `deliver: pullRequest`, or remove `pullRequest`",
        )),
        Some(rules) => rules.read().map_err(|wrong| wrong.below(&["pullRequest"])),
    }
}

fn group_of(file: &EnvironmentFile, known: Known<'_>) -> Result<Grouping, Wrong> {
    let within = file.pull_request.as_ref().and_then(|rules| rules.group.as_ref());
    match (&file.group, within) {
        (Some(_), Some(_)) => Err(Wrong::at(
            &["pullRequest", "group"],
            "`group` stands at the environment and under `pullRequest`; keep one",
        )),
        (Some(group), None) => group.read(known).map_err(|wrong| wrong.below(&["group"])),
        (None, Some(group)) => group.read(known).map_err(|wrong| wrong.below(&["pullRequest", "group"])),
        (None, None) => Ok(Grouping::default()),
    }
}

fn overrides_of(
    file: &EnvironmentFile,
    folder: Option<&str>,
    known: Known<'_>,
) -> Result<BTreeMap<EntryName, ImageOverride>, Wrong> {
    let mut overrides = BTreeMap::new();
    for (name, other) in &file.images {
        let here = ["images", name.as_str()];
        known.check(name).map_err(|message| Wrong::at(&here, message))?;
        overrides.insert(name.clone(), override_of(other, folder).map_err(|wrong| wrong.below(&here))?);
    }
    Ok(overrides)
}

/// An environment's word on an entry.
fn override_of(file: &OverrideFile, folder: Option<&str>) -> Result<ImageOverride, Wrong> {
    let verify = file.verify.as_ref().map(VerifyFile::read).transpose();
    let references = file.references.as_deref().map(|files| places(files, folder)).transpose();
    Ok(ImageOverride {
        repository: file.repository.clone(),
        policy: file.policy.clone(),
        filter_tags: file.filter_tags.clone(),
        exclude: file.exclude.clone(),
        allow: file.allow.clone(),
        minimum_age: file.minimum_age,
        platforms: file.platforms.clone(),
        allow_downgrade: file.allow_downgrade,
        maximum_jump: file.maximum_jump,
        pin: file.pin,
        verify: verify.map_err(|message| Wrong::at(&["verify"], message))?,
        references: references.map_err(|message| Wrong::at(&["references"], message))?,
    })
}

/// That an entry, as it holds in the environment, goes together.
fn check_within(name: &EntryName, environment: &Environment, known: Known<'_>) -> Result<(), Wrong> {
    let checked = |entry: &ImageEntry| {
        let entry = entry.within(environment);
        check(&entry.selection, entry.pin).map_err(|(key, message)| Wrong::at(&[key], message))
    };
    if let Some(entry) = known.entry(name) {
        return checked(entry);
    }
    // It may be about an entry of any of the patterns, so one that it goes with is enough.
    let mut first = Ok(());
    for pattern in known.patterns {
        let Some(entry) = like(pattern, name) else { continue };
        match checked(&entry) {
            Ok(()) => return Ok(()),
            wrong if first.is_ok() => first = wrong,
            Err(_) => {}
        }
    }
    first
}

/// An entry as the pattern could lead to, for a check; of any image.
fn like(pattern: &ImagePattern, name: &EntryName) -> Option<ImageEntry> {
    Some(ImageEntry {
        name: name.clone(),
        image: "any/image".parse().ok()?,
        selection: pattern.selection.clone(),
        pin: pattern.pin,
        verify: pattern.verify.clone(),
        aliases: Vec::new(),
        references: Vec::new(),
        folder: pattern.folder.clone(),
    })
}
