//! YAML and JSON as trees whose scalars know their exact bytes. Read-only: nothing is printed from them.
//!
//! JSON is read as the YAML that it is. What is not quite YAML because a template engine comes first is read with its
//! actions masked (see [`template`]).

mod content;
mod parse;
pub(crate) mod template;
mod tree;

pub(crate) use content::{Content, content};
pub(crate) use parse::{Origin, read};
pub(crate) use tree::{Anchors, Documents, Node, Repeated, ScalarNode, Style, Value};
