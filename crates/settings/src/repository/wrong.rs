//! Mistakes on their way from the value that is wrong to the file in which it stands.

use crate::Problem;

/// What is wrong, and the keys and indices that lead to it from the value that is read.
#[derive(Debug)]
pub(super) struct Wrong {
    path: Vec<String>,
    message: String,
}

impl Wrong {
    pub(super) fn at(path: &[&str], message: impl Into<String>) -> Self {
        Self { path: path.iter().map(|key| (*key).to_owned()).collect(), message: message.into() }
    }

    /// The same, from a value further up.
    pub(super) fn below(mut self, path: &[&str]) -> Self {
        self.path.splice(0..0, path.iter().map(|key| (*key).to_owned()));
        self
    }
}

/// A file that is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'d> {
    /// How messages name it.
    pub(super) source: &'d str,
    pub(super) text: &'d str,
    /// The only folder that it may speak for.
    pub(super) folder: Option<&'d str>,
}

impl Document<'_> {
    pub(super) fn problem(&self, wrong: Wrong) -> Problem {
        let path: Vec<&str> = wrong.path.iter().map(String::as_str).collect();
        Problem::at(self.source, self.text, &path, wrong.message)
    }
}

/// That a file from the root of the repository, or a pattern of files, lies in the folder.
pub(super) fn check_below(folder: Option<&str>, written: &str) -> Result<(), String> {
    let path = written.trim_start_matches("./").trim_end_matches('/');
    match folder {
        Some(folder) if path.strip_prefix(folder).is_none_or(|rest| !rest.is_empty() && !rest.starts_with('/')) => {
            Err(format!(
                "`{written}` is not below {folder}, and an included file speaks for its own folder only; write `{folder}/…`"
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_not_another_that_begins_alike() {
        for (written, expect) in [
            ("teams/web", true),
            ("./teams/web/", true),
            ("teams/web/apps/*.yaml", true),
            ("teams/website", false),
            ("teams", false),
            ("teams/*", false),
            ("teams/web{,site}/x", false),
        ] {
            assert_eq!(check_below(Some("teams/web"), written).is_ok(), expect, "{written}");
            assert!(check_below(None, written).is_ok());
        }
    }
}
