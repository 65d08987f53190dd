//! From text to trees.

use std::{collections::HashSet, ops::Range};

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle, options};

use super::tree::{Anchor, Comment, Documents, Node, ScalarNode, Style, Value};
use crate::Unreadable;

/// Deeper nesting is refused: no manifest needs it, and it is what bombs are made of.
const DEEPEST: usize = 200;
/// From so many keys on a set finds repeated ones sooner.
const MANY_KEYS: usize = 12;
/// Keys longer than the parser looks ahead by itself exist in annotations.
const LONGEST_KEY: usize = 64 * 1024;

/// Where the text begins in its file: for YAML that stands inside of YAML.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Origin {
    pub(crate) byte: usize,
    pub(crate) line: usize,
}

/// What is being built: a mapping with the key that waits for its value, or a sequence.
enum Open<'t> {
    Mapping { node: Node<'t>, key: Option<Node<'t>> },
    Sequence { node: Node<'t> },
}

pub(super) fn parser_options(comments: bool) -> Options {
    options! {
        emit_comments: comments,
        // A file is bounded, and so are its comments.
        max_buffered_comment_events: usize::MAX,
        simple_key_max_lookahead: LONGEST_KEY,
    }
}

/// Read all documents of a text. `templated` says that a key may stand twice, in branches of which one is taken.
pub(crate) fn read(text: &str, origin: Origin, comments: bool, templated: bool) -> Result<Documents<'_>, Unreadable> {
    let mut builder = Builder { origin, templated, documents: Documents::default(), stack: Vec::new() };
    for event in Parser::new_from_str_with_options(text, parser_options(comments)) {
        let (event, span) = event.map_err(|error| not_yaml(&error, origin))?;
        builder.take(event, &span)?;
    }
    Ok(builder.documents)
}

pub(super) fn not_yaml(error: &granit_parser::ScanError, origin: Origin) -> Unreadable {
    let marker = error.marker();
    Unreadable::NotYaml { line: marker.line() + origin.line, column: marker.col() + 1, detail: error.info() }
}

struct Builder<'t> {
    origin: Origin,
    templated: bool,
    documents: Documents<'t>,
    stack: Vec<Open<'t>>,
}

impl<'t> Builder<'t> {
    fn take(&mut self, event: Event<'t>, span: &Span) -> Result<(), Unreadable> {
        let complete = match event {
            Event::MappingStart(style, anchor, _) => {
                let value = Value::Mapping { flow: style == StructureStyle::Flow, pairs: Vec::new() };
                let node = self.node(span, anchor, value);
                self.stack.push(Open::Mapping { node, key: None });
                None
            }
            Event::SequenceStart(_, anchor, _) => {
                let node = self.node(span, anchor, Value::Sequence(Vec::new()));
                self.stack.push(Open::Sequence { node });
                None
            }
            Event::MappingEnd | Event::SequenceEnd => self.close(span)?,
            Event::Alias(number) => {
                let node = self.node(span, 0, Value::Alias(number));
                self.documents.aliases.push((number, node.line));
                Some(node)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_string =
                    tag.as_ref().is_none_or(|tag| matches!(tag.core_suffix(), Some("str")) || tag.suffix().is_empty());
                let typed_from =
                    span.tag_span().and_then(|tag| tag.byte_range()).map(|tag| tag.start + self.origin.byte);
                let typed_from = typed_from.filter(|_| !is_string);
                Some(self.scalar(span, anchor, ScalarNode { text, style: own_style(style), typed_from }))
            }
            Event::Comment(..) => {
                let span = self.bytes(span);
                self.documents.comments.push(Comment { span });
                None
            }
            _ => None,
        };
        if self.stack.len() > DEEPEST {
            return Err(Unreadable::TooDeep { limit: DEEPEST });
        }
        match complete {
            Some(complete) => {
                self.place(complete);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn close(&mut self, span: &Span) -> Result<Option<Node<'t>>, Unreadable> {
        let Some(Open::Mapping { mut node, .. } | Open::Sequence { mut node }) = self.stack.pop() else {
            return Ok(None);
        };
        node.span.end = self.bytes(span).end;
        if node.anchor != 0 {
            self.documents.anchors.push(Anchor { number: node.anchor, span: node.span.clone() });
        }
        if !self.templated
            && let Some((key, line)) = repeated(&node)
        {
            return Err(Unreadable::DuplicateKey { key, line });
        }
        Ok(Some(node))
    }

    /// Put a complete node where it belongs: as key or value of the open mapping, item of the open sequence,
    /// or as a document of its own.
    fn place(&mut self, complete: Node<'t>) {
        match self.stack.last_mut() {
            None => self.documents.roots.push(complete),
            Some(Open::Sequence { node }) => {
                if let Value::Sequence(items) = &mut node.value {
                    items.push(complete);
                }
            }
            Some(Open::Mapping { node, key }) => match key.take() {
                None => *key = Some(complete),
                Some(key) => {
                    if let Value::Mapping { pairs, .. } = &mut node.value {
                        pairs.push((key, complete));
                    }
                }
            },
        }
    }

    fn scalar(&mut self, span: &Span, anchor: usize, scalar: ScalarNode<'t>) -> Node<'t> {
        let node = self.node(span, anchor, Value::Scalar(scalar));
        if anchor != 0 {
            self.documents.anchors.push(Anchor { number: anchor, span: node.span.clone() });
        }
        node
    }

    fn node(&self, span: &Span, anchor: usize, value: Value<'t>) -> Node<'t> {
        let line = span.start.line() + self.origin.line;
        Node { line, column: span.start.col() + 1, span: self.bytes(span), anchor, value }
    }

    /// Input is a `str`, for which the parser always knows byte offsets.
    fn bytes(&self, span: &Span) -> Range<usize> {
        let bytes = span.byte_range().unwrap_or(0..0);
        bytes.start + self.origin.byte..bytes.end + self.origin.byte
    }
}

/// The first key that stands in a mapping a second time; readers differ in which one counts.
fn repeated(mapping: &Node<'_>) -> Option<(String, usize)> {
    let Value::Mapping { pairs, .. } = &mapping.value else { return None };
    let keys = || pairs.iter().filter_map(|(key, _)| Some((key.scalar()?.text.as_ref(), key.line)));
    let counts = |key: &str| key != "<<";
    let second = if pairs.len() < MANY_KEYS {
        keys()
            .enumerate()
            .find(|(index, (key, _))| counts(key) && keys().take(*index).any(|(other, _)| other == *key))
            .map(|(_, it)| it)
    } else {
        let mut seen: HashSet<&str> = HashSet::with_capacity(pairs.len());
        keys().find(|(key, _)| counts(key) && !seen.insert(key))
    };
    second.map(|(key, line)| (key.to_owned(), line))
}

fn own_style(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}
