//! From text to trees.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle, options};

use super::tree::{Anchor, Comment, Documents, Node, Repeated, ScalarNode, Style, Value};
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
    /// Of its first line.
    pub(crate) column: usize,
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
            Event::MappingEnd | Event::SequenceEnd => self.close(span),
            Event::Alias(number) => {
                let node = self.node(span, 0, Value::Alias(number));
                self.documents.aliases.push((number, node.line));
                Some(node)
            }
            Event::Scalar(text, style, anchor, tag) => {
                // Tags of applications (`!override`) say nothing of the kind of value and stay.
                let is_other = tag.as_ref().and_then(|tag| tag.core_suffix()).is_some_and(|suffix| suffix != "str");
                let tag_at = span.tag_span().and_then(|tag| tag.byte_range()).map(|tag| tag.start + self.origin.byte);
                let typed_from = tag_at.filter(|_| is_other);
                let style = own_style(style);
                Some(self.scalar(span, anchor, ScalarNode { text, style, typed_from, in_json: false }))
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
        if let Some(complete) = complete {
            self.place(complete);
        }
        Ok(())
    }

    fn close(&mut self, span: &Span) -> Option<Node<'t>> {
        let (Open::Mapping { mut node, .. } | Open::Sequence { mut node }) = self.stack.pop()?;
        node.span.end = self.bytes(span).end;
        if node.anchor != 0 {
            self.documents.anchors.push(Anchor { number: node.anchor, span: node.span.clone() });
        }
        if !self.templated {
            repeated(&node, &mut self.documents.repeated);
        }
        Some(node)
    }

    /// Put a complete node where it belongs: as key or value of the open mapping, item of the open sequence,
    /// or as a document of its own.
    fn place(&mut self, mut complete: Node<'t>) {
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
                    if let Value::Mapping { pairs, flow } = &mut node.value {
                        let quoted = key.scalar().is_some_and(|key| key.style == Style::DoubleQuoted);
                        if let (true, Value::Scalar(scalar)) = (*flow && quoted, &mut complete.value) {
                            scalar.in_json = true;
                        }
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
        let shift = if span.start.line() == 1 { self.origin.column } else { 0 };
        Node { line, column: span.start.col() + 1 + shift, span: self.bytes(span), anchor, value }
    }

    /// Input is a `str`, for which the parser always knows byte offsets.
    fn bytes(&self, span: &Span) -> Range<usize> {
        let bytes = span.byte_range().unwrap_or(0..0);
        bytes.start + self.origin.byte..bytes.end + self.origin.byte
    }
}

/// Note the values of keys that stand in a mapping more than once.
fn repeated(mapping: &Node<'_>, repeated: &mut Vec<Repeated>) {
    let Value::Mapping { pairs, .. } = &mapping.value else { return };
    let keys = || pairs.iter().filter_map(|(key, _)| Some(key.scalar()?.text.as_ref())).filter(|key| *key != "<<");
    let twice = if pairs.len() < MANY_KEYS {
        keys().enumerate().any(|(index, key)| keys().take(index).any(|other| other == key))
    } else {
        let mut seen: HashSet<&str> = HashSet::with_capacity(pairs.len());
        keys().any(|key| !seen.insert(key))
    };
    if !twice {
        return;
    }
    let mut lines: HashMap<&str, (usize, usize)> = HashMap::new();
    for (key, _) in pairs {
        if let Some(scalar) = key.scalar() {
            let (count, line) = lines.entry(scalar.text.as_ref()).or_default();
            *count += 1;
            if *count == 2 {
                *line = key.line;
            }
        }
    }
    for (key, value) in pairs {
        let Some(text) = key.scalar().map(|scalar| scalar.text.as_ref()).filter(|text| *text != "<<") else { continue };
        if let Some((2.., line)) = lines.get(text).copied() {
            repeated.push(Repeated { span: value.span.clone(), key: text.to_owned(), line });
        }
    }
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
