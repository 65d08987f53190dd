//! Finds the places that name an image in files, and edits exactly their bytes.
//!
//! Pure: bytes in, [`Reference`]s or bytes out. A parser locates the scalar, the bytes are replaced in the style the
//! scalar has, and the result is read again and compared: where anything but the intended value would differ, the edit
//! is refused. No file is ever printed from a parsed document.
//!
//! One file per format under `format/`; places that the repository file names in words are in `claim/`.

mod claim;
mod collector;
mod edit;
mod find;
mod followers;
mod format;
mod ignore;
mod marker;
mod names;
mod position;
mod prefilter;
mod prove;
mod quote;
mod scalar;
mod substitution;
mod update;
mod yaml;

use thiserror::Error;

pub use claim::{Claim, Place, PlaceError};
pub use edit::{NewVersion, Refusal, apply, replace, rewrite};
pub use find::{Found, find, is_candidate, locate};
pub use marker::{Marked, MarkerPart, has_markers, markers};
pub use prefilter::{may_name_images, mentions};
pub use update::{Change, NewImage, Request, Source, Update, named_in_unreadable, update};

/// The version of what is found. Raised with every change of [`find`] that finds something else in the same bytes: what was
/// found is remembered under it. `tests/finder.rs` notices.
pub const FINDER: u32 = 1;

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
    /// It is not YAML, nor a template of YAML.
    #[error("line {line}, column {column}: it is not YAML: {detail}")]
    NotYaml {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The parser's words.
        detail: String,
    },
    /// It is not TOML.
    #[error("it is not TOML: {detail}")]
    NotToml {
        /// The parser's words.
        detail: String,
    },
    /// It is nested deeper than is read.
    #[error("it is nested more than {limit} levels deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
}

impl Unreadable {
    /// The line where reading ended, from 1; the first where it is the whole file.
    #[must_use]
    pub fn line(&self) -> usize {
        match self {
            Self::NotYaml { line, .. } => *line,
            Self::NotUtf8 | Self::TooLarge | Self::NotToml { .. } | Self::TooDeep { .. } => 1,
        }
    }
}
