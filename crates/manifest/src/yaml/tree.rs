//! The tree itself, and how aliases and merge keys are followed in it.

use std::{borrow::Cow, ops::Range};

use tagboat_model::ScalarStyle;

use crate::position::Position;

/// Aliases are followed this far: a merge of a merge of a merge is the most that people write.
const FURTHEST: usize = 8;
/// So many mappings are looked into for one key, whatever merges what.
const MOST_MERGED: usize = 64;

/// All documents of one text.
#[derive(Debug, Default)]
pub(crate) struct Documents<'t> {
    pub(crate) roots: Vec<Node<'t>>,
    pub(crate) anchors: Vec<Anchor>,
    /// Number of the anchor and line of every alias.
    pub(crate) aliases: Vec<(usize, usize)>,
    pub(crate) comments: Vec<Comment>,
    /// Values of keys that stand in a mapping more than once; readers differ in which one counts.
    pub(crate) repeated: Vec<Repeated>,
}

/// A value whose key stands in its mapping more than once.
#[derive(Debug)]
pub(crate) struct Repeated {
    pub(crate) span: Range<usize>,
    pub(crate) key: String,
    /// The line of the second one.
    pub(crate) line: usize,
}

/// A node with a name (`&name`), which aliases repeat.
#[derive(Debug)]
pub(crate) struct Anchor {
    pub(crate) number: usize,
    pub(crate) span: Range<usize>,
}

/// A comment from `#` to the end of its line.
#[derive(Debug)]
pub(crate) struct Comment {
    pub(crate) span: Range<usize>,
}

/// One node with the place where it starts (line and column from 1).
#[derive(Debug)]
pub(crate) struct Node<'t> {
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// All of its bytes.
    pub(crate) span: Range<usize>,
    /// The number of its anchor, 0 without one.
    pub(crate) anchor: usize,
    pub(crate) value: Value<'t>,
}

#[derive(Debug)]
pub(crate) enum Value<'t> {
    Scalar(ScalarNode<'t>),
    Mapping { flow: bool, pairs: Vec<(Node<'t>, Node<'t>)> },
    Sequence(Vec<Node<'t>>),
    Alias(usize),
}

#[derive(Debug)]
pub(crate) struct ScalarNode<'t> {
    pub(crate) text: Cow<'t, str>,
    pub(crate) style: Style,
    /// Where its YAML tag begins, when that is one of YAML's own for something else than text (`!!int`).
    pub(crate) typed_from: Option<usize>,
    /// Whether it is a value beside a quoted key in braces, as in JSON.
    pub(crate) in_json: bool,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

impl<'t> Node<'t> {
    /// The value of `key`, when this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.pairs().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Key and value of a mapping's entries whose key is a scalar.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &Self)> {
        let pairs: &[(Self, Self)] = if let Value::Mapping { pairs, .. } = &self.value { pairs } else { &[] };
        pairs.iter().filter_map(|(key, value)| Some((key.scalar()?.text.as_ref(), value)))
    }

    pub(crate) fn position(&self) -> Position {
        Position { line: self.line, column: self.column }
    }

    pub(crate) fn is_mapping(&self) -> bool {
        matches!(self.value, Value::Mapping { .. })
    }

    pub(crate) fn items(&self) -> &[Self] {
        if let Value::Sequence(items) = &self.value { items } else { &[] }
    }

    pub(crate) fn scalar(&self) -> Option<&ScalarNode<'t>> {
        if let Value::Scalar(scalar) = &self.value { Some(scalar) } else { None }
    }

    /// The scalar, unless it is YAML's null: nothing, `~` or `null` without quotes.
    pub(crate) fn text(&self) -> Option<&str> {
        self.scalar().filter(|scalar| !scalar.is_null()).map(|scalar| scalar.text.as_ref())
    }

    /// The texts that keys lead to: `["spec", "url"]`.
    pub(crate) fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys).and_then(Self::text)
    }

    /// The node that keys lead to.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
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

impl ScalarNode<'_> {
    /// How it is written afterwards: a number in JSON becomes a text there.
    pub(crate) fn scalar_style(&self) -> ScalarStyle {
        match self.style {
            Style::Plain if self.in_json && self.is_literal() => ScalarStyle::DoubleQuoted,
            Style::Plain => ScalarStyle::Plain,
            Style::SingleQuoted => ScalarStyle::SingleQuoted,
            Style::DoubleQuoted => ScalarStyle::DoubleQuoted,
            Style::Literal | Style::Folded => ScalarStyle::Text,
        }
    }

    /// Whether it is all that JSON has without quotes.
    fn is_literal(&self) -> bool {
        matches!(self.text.as_ref(), "null" | "true" | "false") || self.text.parse::<f64>().is_ok()
    }

    pub(crate) fn is_null(&self) -> bool {
        self.style == Style::Plain && matches!(self.text.as_ref(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// The nodes that aliases stand for.
pub(crate) struct Anchors<'d, 't> {
    nodes: Vec<(usize, &'d Node<'t>)>,
}

impl<'d, 't> Anchors<'d, 't> {
    pub(crate) fn of(documents: &'d Documents<'t>) -> Self {
        let mut anchors = Self { nodes: Vec::new() };
        if !documents.anchors.is_empty() {
            documents.roots.iter().for_each(|root| anchors.collect(root));
        }
        anchors
    }

    fn collect(&mut self, node: &'d Node<'t>) {
        if node.anchor != 0 {
            self.nodes.push((node.anchor, node));
        }
        match &node.value {
            Value::Mapping { pairs, .. } => {
                for (key, value) in pairs {
                    self.collect(key);
                    self.collect(value);
                }
            }
            Value::Sequence(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Scalar(_) | Value::Alias(_) => {}
        }
    }

    /// The node itself, or what it is an alias of.
    pub(crate) fn resolve(&self, node: &'d Node<'t>) -> &'d Node<'t> {
        let mut node = node;
        for _ in 0..FURTHEST {
            let Value::Alias(number) = node.value else { break };
            // Anchors are numbered in the order in which they begin, which is that of the list.
            let found = self.nodes.binary_search_by_key(&number, |(anchor, _)| *anchor).ok();
            let Some((_, target)) = found.and_then(|index| self.nodes.get(index)) else { break };
            node = target;
        }
        node
    }

    /// The value of a key, also one that a merge key (`<<`) brings, with aliases followed.
    pub(crate) fn get(&self, mapping: &'d Node<'t>, key: &str) -> Option<&'d Node<'t>> {
        self.get_within(mapping, key, FURTHEST, &mut MOST_MERGED.clone())
    }

    fn get_within(&self, mapping: &'d Node<'t>, key: &str, depth: usize, left: &mut usize) -> Option<&'d Node<'t>> {
        let own = mapping.get(key).map(|node| self.resolve(node));
        if own.is_some() || depth == 0 || *left == 0 || self.nodes.is_empty() {
            return own;
        }
        *left -= 1;
        let merged = self.resolve(mapping.get("<<")?);
        let sources = if merged.is_mapping() { std::slice::from_ref(merged) } else { merged.items() };
        sources.iter().take(MOST_MERGED).find_map(|source| self.get_within(self.resolve(source), key, depth - 1, left))
    }
}
