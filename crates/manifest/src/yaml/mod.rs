//! YAML and JSON as trees whose scalars know their exact bytes. Read-only: nothing is printed from them.
//!
//! JSON is read as the YAML that it is. What is not quite YAML because a template engine comes first is read with its
//! actions masked (see [`template`]).

mod content;
mod parse;
pub(crate) mod template;
mod tree;

pub(crate) use content::{Content, content};
pub(crate) use parse::Origin;
pub(crate) use tree::{Anchors, Documents, Node, Repeated, ScalarNode, Style, Value};

use crate::Unreadable;

/// Read YAML, or a template of it with its actions masked. `act` gets the text as it was read, and its documents.
pub(crate) fn with_documents<T>(
    text: &str,
    origin: Origin,
    comments: bool,
    act: impl FnOnce(&str, &Documents<'_>) -> T,
) -> Result<T, Unreadable> {
    let error = match parse::read(text, origin, comments, false) {
        Ok(documents) => return Ok(act(text, &documents)),
        Err(error) => error,
    };
    let masked = template::is_template(text).then(|| template::mask(text)).flatten().ok_or(error)?;
    Ok(act(&masked, &parse::read(&masked, origin, comments, true)?))
}
