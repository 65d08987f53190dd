//! YAML as a tree whose scalars know their exact bytes. Read-only: nothing is printed from it.

use std::{collections::HashSet, ops::Range};

use granit_parser::{Event, Parser, ScalarStyle as ParserStyle, Span};
use tagboat_model::{Scalar, ScalarStyle};

use crate::Unreadable;

/// Deeper nesting is refused: no manifest needs it, and it is what bombs are made of.
const DEEPEST: usize = 200;

/// One node with the place where it starts (line and column from 1).
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    Mapping(Vec<(Node, Node)>),
    Sequence(Vec<Node>),
    Alias,
}

impl Node {
    /// The value of `key`, when this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.pairs().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Key and value of a mapping's entries whose key is a scalar.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &Self)> {
        let pairs: &[(Self, Self)] = if let Value::Mapping(pairs) = &self.value { pairs } else { &[] };
        pairs.iter().filter_map(|(key, value)| Some((key.scalar()?.value.as_str(), value)))
    }

    pub(crate) fn items(&self) -> &[Self] {
        if let Value::Sequence(items) = &self.value { items } else { &[] }
    }

    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        if let Value::Scalar(scalar) = &self.value { Some(scalar) } else { None }
    }

    /// The scalar, unless it is YAML's null: nothing, `~` or `null` without quotes.
    pub(crate) fn text(&self) -> Option<&Scalar> {
        let null = |scalar: &&Scalar| {
            scalar.style == ScalarStyle::Plain && matches!(scalar.value.as_str(), "" | "~" | "null" | "Null" | "NULL")
        };
        self.scalar().filter(|scalar| !null(scalar))
    }

    pub(crate) fn locate(&self, path: &[&str]) -> (usize, usize) {
        let Some((first, rest)) = path.split_first() else { return (self.line, self.column) };
        let child = match &self.value {
            Value::Sequence(items) => first.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => self.get(first),
        };
        child.map_or((self.line, self.column), |child| child.locate(rest))
    }
}

/// What is being built: a mapping with the key that waits for its value, or a sequence.
enum Open {
    Mapping { node: Node, key: Option<Node>, seen: HashSet<String> },
    Sequence { node: Node },
}

/// Read all documents of a file.
pub(crate) fn read(text: &str) -> Result<Vec<Node>, Unreadable> {
    let mut documents = Vec::new();
    let mut stack: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Unreadable::NotYaml { detail: error.to_string() })?;
        let complete = match event {
            Event::MappingStart(..) => {
                stack.push(Open::Mapping {
                    node: node(&span, Value::Mapping(Vec::new())),
                    key: None,
                    seen: HashSet::new(),
                });
                None
            }
            Event::SequenceStart(..) => {
                stack.push(Open::Sequence { node: node(&span, Value::Sequence(Vec::new())) });
                None
            }
            Event::MappingEnd | Event::SequenceEnd => stack.pop().map(|open| match open {
                Open::Mapping { node, .. } | Open::Sequence { node } => node,
            }),
            Event::Alias(..) => Some(node(&span, Value::Alias)),
            Event::Scalar(value, style, anchor, _) => {
                let scalar = Scalar {
                    span: bytes(&span),
                    style: own_style(style),
                    value: value.into_owned(),
                    anchored: anchor != 0,
                };
                Some(node(&span, Value::Scalar(scalar)))
            }
            _ => None,
        };
        if stack.len() > DEEPEST {
            return Err(Unreadable::TooDeep { limit: DEEPEST });
        }
        if let Some(complete) = complete {
            place(&mut stack, &mut documents, complete)?;
        }
    }
    Ok(documents)
}

/// Put a complete node where it belongs: as key or value of the open mapping, item of the open sequence,
/// or as a document of its own.
fn place(stack: &mut [Open], documents: &mut Vec<Node>, complete: Node) -> Result<(), Unreadable> {
    match stack.last_mut() {
        None => documents.push(complete),
        Some(Open::Sequence { node }) => {
            if let Value::Sequence(items) = &mut node.value {
                items.push(complete);
            }
        }
        Some(Open::Mapping { node, key, seen }) => match key.take() {
            None => {
                let name = complete.scalar().map(|scalar| scalar.value.clone()).filter(|name| name != "<<");
                if let Some(name) = name.filter(|name| !seen.insert(name.clone())) {
                    return Err(Unreadable::DuplicateKey { key: name, line: complete.line });
                }
                *key = Some(complete);
            }
            Some(key) => {
                if let Value::Mapping(pairs) = &mut node.value {
                    pairs.push((key, complete));
                }
            }
        },
    }
    Ok(())
}

fn node(span: &Span, value: Value) -> Node {
    Node { line: span.start.line(), column: span.start.col() + 1, value }
}

/// Input is a `str`, for which the parser always knows byte offsets.
fn bytes(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or(0..0)
}

fn own_style(style: ParserStyle) -> ScalarStyle {
    match style {
        ParserStyle::Plain => ScalarStyle::Plain,
        ParserStyle::SingleQuoted => ScalarStyle::SingleQuoted,
        ParserStyle::DoubleQuoted => ScalarStyle::DoubleQuoted,
        _ => ScalarStyle::Block,
    }
}

/// Everything a document says, in order, comments left out: what must be equal before and after an edit,
/// the edited scalars excepted.
pub(crate) fn content(text: &str) -> Result<Vec<(Range<usize>, String)>, Unreadable> {
    let mut content = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Unreadable::NotYaml { detail: error.to_string() })?;
        match event {
            Event::Comment(..) => {}
            // The style is left out: a plain value may have to be quoted.
            Event::Scalar(value, _, anchor, tag) => content.push((bytes(&span), format!("{anchor} {tag:?} {value}"))),
            other => content.push((0..0, format!("{other:?}"))),
        }
    }
    Ok(content)
}
