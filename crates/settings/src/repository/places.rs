//! `references` of an image entry: places that are named in words.

use schemars::JsonSchema;
use serde::Deserialize;
use tagboat_model::{EntryName, EnvironmentName, ExplicitPlace, Locator, PlacePart};
use tagboat_promotion::PathPattern;

use super::wrong::check_below;

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

/// Places that are named in words, or what is wrong with one.
pub(super) fn places(files: &[PlaceFile], folder: Option<&str>) -> Result<Vec<ExplicitPlace>, String> {
    files.iter().map(|file| place(file, folder)).collect()
}

fn place(file: &PlaceFile, folder: Option<&str>) -> Result<ExplicitPlace, String> {
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
    check_below(folder, whose)?;
    Ok(place)
}
