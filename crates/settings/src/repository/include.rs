//! `include`: further repository files, each of which speaks for its own folder only.
//!
//! Does not look for them: it says which are meant, and reads what it is given.

use serde::{Deserialize, de::IgnoredAny};
use tagboat_promotion::{PathPattern, PathPatternError};

use super::{
    environments::EnvironmentFile,
    images::ImageFile,
    wrong::{Document, Wrong},
};
use crate::{
    REPOSITORY_FILE,
    problem::{self, Problem},
};

/// An included file. What else the file at the root has is known here, so that it can be said where it belongs.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct IncludedFile {
    pub(super) images: Vec<ImageFile>,
    pub(super) environments: Vec<EnvironmentFile>,
    defaults: Option<IgnoredAny>,
    include: Option<IgnoredAny>,
    commit: Option<IgnoredAny>,
    limits: Option<IgnoredAny>,
    approvers: Option<IgnoredAny>,
    dashboard: Option<IgnoredAny>,
}

/// The one key that is needed before the rest can be read. What else is wrong is found then.
#[derive(Debug, Deserialize)]
struct OnlyInclude {
    #[serde(default)]
    include: Vec<String>,
}

/// Which files the repository file at the root includes. Each of them is to be given to
/// [`read_repository_files`](crate::read_repository_files).
///
/// # Errors
/// The first [`Problem`] of `include`, or of the file where it cannot be read at all.
pub fn includes(source: &str, text: &str) -> Result<Vec<PathPattern>, Problem> {
    let file: OnlyInclude = problem::read(source, text)?;
    patterns(&file.include).map_err(|wrong| Document { source, text, folder: None }.problem(wrong))
}

/// The patterns of files to include.
pub(super) fn patterns(written: &[String]) -> Result<Vec<PathPattern>, Wrong> {
    let parse = |(index, path): (usize, &String)| -> Result<PathPattern, Wrong> {
        let wrong = |message: String| Wrong::at(&["include", &index.to_string()], message);
        let in_a_folder = path.rsplit_once('/').is_some_and(|(folder, file)| file == REPOSITORY_FILE && folder != ".");
        if !in_a_folder {
            return Err(wrong(format!(
                "`{path}` names no included file: write the path of a `{REPOSITORY_FILE}` in a folder, as in `teams/*/{REPOSITORY_FILE}`"
            )));
        }
        path.parse().map_err(|error: PathPatternError| wrong(error.to_string()))
    };
    written.iter().enumerate().map(parse).collect()
}

/// Read the included files, in the order of their paths. `root` is how messages name the file that includes them.
pub(super) fn read<'d>(
    root: &str,
    included: &'d [(String, String)],
) -> Result<Vec<(Document<'d>, IncludedFile)>, Problem> {
    let mut sorted: Vec<&(String, String)> = included.iter().collect();
    sorted.sort();
    let mut files = Vec::new();
    for (path, text) in sorted {
        // `**/.tagboat.yaml` also matches the file at the root.
        if path == root || path == REPOSITORY_FILE {
            continue;
        }
        let document = Document { source: path, text, folder: Some(folder_of(path)?) };
        let file: IncludedFile = problem::read(path, text)?;
        if let Some(key) = file.key_of_the_root() {
            let message =
                format!("`{key}` belongs into {root}; a file that it includes has `images` and `environments` only");
            return Err(document.problem(Wrong::at(&[key], message)));
        }
        files.push((document, file));
    }
    Ok(files)
}

/// The folder that a file speaks for.
fn folder_of(path: &str) -> Result<&str, Problem> {
    let fail = |message: &str| Problem { source: path.to_owned(), place: None, message: message.to_owned() };
    match path.rsplit_once('/') {
        None => Err(fail("an included file speaks for its own folder, and this one is in none; move it into one")),
        // Where the folder is put into patterns, it has to mean itself.
        Some((folder, _)) if folder.contains(['*', '?', '[', ']', '{', '}', '\\']) => {
            Err(fail("the name of its folder has a character that means something in patterns; rename the folder"))
        }
        Some((folder, _)) => Ok(folder),
    }
}

impl IncludedFile {
    fn key_of_the_root(&self) -> Option<&'static str> {
        let keys = [
            ("defaults", self.defaults),
            ("include", self.include),
            ("commit", self.commit),
            ("limits", self.limits),
            ("approvers", self.approvers),
            ("dashboard", self.dashboard),
        ];
        keys.into_iter().find(|(_, given)| given.is_some()).map(|(key, _)| key)
    }
}
