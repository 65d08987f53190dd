//! What the commands on a work tree share: which of its files belong where, and the places that its repository file
//! names.

use std::path::Path;

use tagboat_manifest::Claim;
use tagboat_model::{EnvironmentName, Uneditable};
use tagboat_promotion::{Environment, ImageEntry, PathPattern};
use tagboat_repository::{WorkTree, WorkTreeError};
use tagboat_settings::{REPOSITORY_FILE, RepositorySettings, claims, read_repository_file};

use crate::exit::Failure;

/// Open the work tree at a path.
pub(super) fn open(path: &Path) -> Result<WorkTree, Failure> {
    WorkTree::at(path).map_err(|error| Failure::invalid(error.to_string()))
}

/// What went wrong with files.
pub(super) fn failed(error: &WorkTreeError) -> Failure {
    Failure::failed("the work tree cannot be worked on", error)
}

/// The repository file, when the work tree has one.
pub(super) fn settings(tree: &WorkTree) -> Result<Option<RepositorySettings>, Failure> {
    let Some(bytes) = tree.read(REPOSITORY_FILE).map_err(|error| failed(&error))? else { return Ok(None) };
    let settings = read_repository_file(REPOSITORY_FILE, &String::from_utf8_lossy(&bytes));
    settings.map(Some).map_err(|problem| Failure::invalid(problem.to_string()))
}

/// An environment of the repository file.
pub(super) fn environment<'s>(
    settings: &'s RepositorySettings,
    name: &EnvironmentName,
) -> Result<&'s Environment, Failure> {
    let found = settings.environments.iter().find(|environment| environment.name == *name);
    found.ok_or_else(|| {
        let names: Vec<&str> = settings.environments.iter().map(|environment| environment.name.as_str()).collect();
        Failure::invalid(format!(
            "{REPOSITORY_FILE} has no environment `{name}` (there are: {})",
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        ))
    })
}

/// The files that a command looks at, with the places in them that image entries name.
#[derive(Default)]
pub(super) struct Scope<'s> {
    /// Only files of this environment.
    pub(super) environment: Option<&'s Environment>,
    claims: Vec<(PathPattern, Claim)>,
}

impl<'s> Scope<'s> {
    /// The files of one environment.
    pub(super) fn of_environment(environment: &'s Environment, entries: &[ImageEntry]) -> Self {
        let claims = entries.iter().flat_map(|entry| claims(&entry.within(environment))).collect();
        Self { environment: Some(environment), claims }
    }

    /// All files, with the places of all environments.
    pub(super) fn of_all(settings: &RepositorySettings) -> Self {
        let entries = |environment| settings.images.iter().flat_map(move |entry| claims(&entry.within(environment)));
        Self { environment: None, claims: settings.environments.iter().flat_map(entries).collect() }
    }

    /// Whether a file is looked at.
    pub(super) fn wants(&self, path: &str) -> bool {
        let named = || self.claims.iter().any(|(pattern, _)| pattern.matches(path));
        !tagboat_model::is_reserved_path(path) && ((self.owns(path) && tagboat_manifest::is_candidate(path)) || named())
    }

    /// Whether all of a file belongs to it, not only the places that are named in words.
    pub(super) fn owns(&self, path: &str) -> bool {
        self.environment.is_none_or(|environment| environment.contains(path))
    }

    /// What is claimed in a file.
    pub(super) fn claims(&self, path: &str) -> Vec<&Claim> {
        self.claims.iter().filter(|(pattern, _)| pattern.matches(path)).map(|(_, claim)| claim).collect()
    }
}

/// A place that is not edited, as JSON.
pub(super) fn uneditable_in_json(place: &Uneditable) -> serde_json::Value {
    serde_json::json!({
        "file": place.file, "line": place.line, "image": place.image, "detail": place.detail, "filledIn": place.filled_in,
    })
}

/// A place that is not edited, for people.
pub(super) fn uneditable_in_words(place: &Uneditable) -> String {
    let image = place.image.as_ref().map(|image| format!("{image}: ")).unwrap_or_default();
    format!("{}:{}: {image}{}", place.file, place.line, place.detail)
}
