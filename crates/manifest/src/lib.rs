//! Finds the places that name an image in files, and edits exactly their bytes.
//!
//! Pure: bytes in, [`Reference`]s or bytes out. A parser locates the scalar, the bytes are replaced in the
//! style the scalar has, and the result is parsed again and compared: where anything but the intended value
//! would differ, the edit is refused. No file is ever printed from a parsed document.
//!
//! One file per format under `format/`.

mod edit;
mod format;
mod quote;
mod yaml;

use std::collections::BTreeSet;

use memchr::memmem;
use tagboat_model::{ImageName, Reference};
use thiserror::Error;

pub use edit::{Refusal, apply, rewrite};

/// Larger files are not read; no hand-written manifest comes near.
pub const LARGEST_FILE: usize = 5 * 1024 * 1024;

/// Why a file that names an image could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// It is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// It is larger than [`LARGEST_FILE`].
    #[error("it is larger than 5 MiB")]
    TooLarge,
    /// It is not YAML.
    #[error("it is not YAML (a template?): {detail}")]
    NotYaml {
        /// The parser's words, with line and column.
        detail: String,
    },
    /// A mapping has a key twice; readers differ in which one counts.
    #[error("line {line}: the key `{key}` stands here a second time")]
    DuplicateKey {
        /// The key.
        key: String,
        /// The line of the second one.
        line: usize,
    },
    /// It is nested deeper than is read.
    #[error("it is nested more than {limit} levels deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
}

/// Whether a file of this name can hold references.
#[must_use]
pub fn is_candidate(path: &str) -> bool {
    if tagboat_model::is_reserved_path(path) {
        return false;
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".yaml") || name.ends_with(".yml") || name == "Kustomization"
}

/// A cheap look at the bytes: whether they could name `image` at all.
#[must_use]
pub fn mentions(bytes: &[u8], image: &ImageName) -> bool {
    // Registry and repository may stand in separate keys, and Docker Hub's `library/` is left out as a rule.
    let repository = image.repository();
    let needle = repository.strip_prefix("library/").unwrap_or(repository);
    memmem::find(bytes, needle.as_bytes()).is_some()
}

/// Find every reference in one file, in the order in which they stand.
///
/// # Errors
/// [`Unreadable`] when the file cannot be read as what its name says.
pub fn find(path: &str, bytes: &[u8]) -> Result<Vec<Reference>, Unreadable> {
    if bytes.len() > LARGEST_FILE {
        return Err(Unreadable::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8)?;
    if memmem::find(bytes, b"# tagboat: ignore-file").is_some() {
        return Ok(Vec::new());
    }
    let documents = yaml::read(text)?;
    let mut references = format::find(path, &documents);
    if memmem::find(bytes, IGNORE_LINE).is_some() {
        let ignored: BTreeSet<usize> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| memmem::find(line.as_bytes(), IGNORE_LINE).is_some())
            .map(|(n, _)| n + 1)
            .collect();
        references.retain(|reference| !ignored.contains(&reference.line));
    }
    Ok(references)
}

/// The comment that takes a line out.
const IGNORE_LINE: &[u8] = b"# tagboat: ignore";

/// Line (from 1) and column (from 1) of a value, given its keys and indices, as in `["images", "0", "name"]`;
/// of the nearest ancestor that exists, when the value itself does not.
#[must_use]
pub fn locate(text: &str, path: &[&str]) -> Option<(usize, usize)> {
    yaml::read(text).ok()?.first().map(|document| document.locate(path))
}
