//! Everything that a text says, in order, comments left out: what must be equal before and after an edit.

use std::ops::Range;

use granit_parser::{Event, Parser};

use super::parse::{Origin, not_yaml, parser_options};
use crate::Unreadable;

/// One thing that a document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Scalar {
        span: Range<usize>,
        /// What it reads as. The style is left out: a plain value may have to be quoted.
        text: String,
        /// Its anchor and its YAML tag.
        anchor: usize,
        tag: Option<String>,
    },
    /// Beginnings and ends of collections and documents, and aliases.
    Other(String),
}

impl Content {
    /// Whether both say the same, wherever they stand.
    pub(crate) fn says(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Scalar { text, anchor, tag, .. },
                Self::Scalar { text: other_text, anchor: other_anchor, tag: other_tag, .. },
            ) => text == other_text && anchor == other_anchor && tag == other_tag,
            (Self::Other(one), Self::Other(other)) => one == other,
            _ => false,
        }
    }
}

/// What a text says.
pub(crate) fn content(text: &str) -> Result<Vec<Content>, Unreadable> {
    let mut content = Vec::new();
    for event in Parser::new_from_str_with_options(text, parser_options(false)) {
        let (event, span) = event.map_err(|error| not_yaml(&error, Origin::default()))?;
        content.push(match event {
            Event::Scalar(value, _, anchor, tag) => Content::Scalar {
                span: span.byte_range().unwrap_or(0..0),
                text: value.into_owned(),
                anchor,
                tag: tag.map(|tag| tag.original()),
            },
            other => Content::Other(format!("{other:?}")),
        });
    }
    Ok(content)
}
