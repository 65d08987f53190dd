//! Flux setter markers: `# {"$imagepolicy": "namespace:name[:name|:tag|:digest]"}` beside a scalar.
//!
//! Matching follows image-automation-controller and kyaml: the comment is the JSON object and nothing else, all of its
//! values are strings, and it stands to the right of a scalar, or above one that is an item of a list. Not honoured: a
//! comment after a closing bracket, on a key or an alias, above a key. Unlike there, a value on the line below
//! `key: # {…}` matches every time, and objects in a `kind: List` are edited where they stand.

use std::collections::BTreeMap;

use tagboat_model::Scalar;

use crate::{
    Unreadable, scalar,
    yaml::{self, Node, Origin, ScalarNode, Style, Value, template},
};

/// What must stand in a file before it is looked at.
const SCREEN: &[u8] = b"\"$imagepolicy\"";
/// No marker with what stands between it and its item is longer.
const FURTHEST_ABOVE: usize = 4096;
const LONG_FORM: &str = "#/definitions/io.k8s.cli.setters.";

/// Which part of an image a marker sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerPart {
    /// `name:tag[@digest]`
    Image,
    /// The name.
    Name,
    /// The tag.
    Tag,
    /// The digest.
    Digest,
}

/// A scalar with a marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// `namespace:name` of the image policy.
    pub policy: String,
    /// What it sets.
    pub part: MarkerPart,
    /// Line of the scalar, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// The bytes to edit, or why they cannot be.
    pub scalar: Result<Scalar, String>,
}

/// Whether a file could have markers.
#[must_use]
pub fn has_markers(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, SCREEN).is_some()
}

/// Every marked scalar of a file.
///
/// # Errors
/// [`Unreadable`] when the file is neither YAML nor a template of it.
pub fn markers(bytes: &[u8]) -> Result<Vec<Marked>, Unreadable> {
    if !has_markers(bytes) {
        return Ok(Vec::new());
    }
    let source = std::str::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8)?;
    yaml::with_documents(source, Origin::default(), true, |read, documents| {
        let comments = documents.comments.iter().filter_map(|comment| {
            let text = read.get(comment.span.clone())?;
            Some((comment.span.start, setter(text)?))
        });
        let comments: BTreeMap<usize, (String, MarkerPart)> = comments.collect();
        let mut marked = Vec::new();
        for root in &documents.roots {
            visit(root, Context::Document, &comments, source, &mut marked);
        }
        marked
    })
}

/// The policy and the part that a comment names.
fn setter(comment: &str) -> Option<(String, MarkerPart)> {
    let object: BTreeMap<String, String> = serde_json::from_str(comment.trim_start_matches('#').trim()).ok()?;
    let long = || object.get("$ref").and_then(|reference| reference.strip_prefix(LONG_FORM));
    let name = object.get("$imagepolicy").map(String::as_str).or_else(long)?;
    let parts: Vec<&str> = name.split(':').collect();
    let (namespace, policy, part) = match parts[..] {
        [namespace, policy] => (namespace, policy, MarkerPart::Image),
        [namespace, policy, "name"] => (namespace, policy, MarkerPart::Name),
        [namespace, policy, "tag"] => (namespace, policy, MarkerPart::Tag),
        [namespace, policy, "digest"] => (namespace, policy, MarkerPart::Digest),
        _ => return None,
    };
    Some((format!("{namespace}:{policy}"), part))
}

#[derive(Clone, Copy)]
enum Context {
    Document,
    /// The value of a key that ends at this byte.
    Value(usize),
    Item,
}

fn visit(
    node: &Node<'_>,
    context: Context,
    comments: &BTreeMap<usize, (String, MarkerPart)>,
    source: &str,
    marked: &mut Vec<Marked>,
) {
    match &node.value {
        Value::Mapping { pairs, .. } => {
            for (key, value) in pairs {
                visit(value, Context::Value(key.span.end), comments, source, marked);
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| visit(item, Context::Item, comments, source, marked)),
        Value::Alias(_) => {}
        Value::Scalar(scalar) => {
            if let Some((policy, part)) = marker_of(node, scalar, context, comments, source) {
                let bytes = bytes(node, scalar, source);
                marked.push(Marked { policy, part, line: node.line, column: node.column, scalar: bytes });
            }
        }
    }
}

/// The marker that belongs to a scalar.
fn marker_of(
    node: &Node<'_>,
    scalar: &ScalarNode<'_>,
    context: Context,
    comments: &BTreeMap<usize, (String, MarkerPart)>,
    source: &str,
) -> Option<(String, MarkerPart)> {
    // A null without bytes has nothing that could be replaced.
    if node.span.is_empty() {
        return None;
    }
    let block = matches!(scalar.style, Style::Literal | Style::Folded);
    let right = comments.range(node.span.end..).next().filter(|(start, _)| {
        let between = source.get(node.span.end..**start).unwrap_or("\n");
        // Ends at the first byte of anything else.
        let only_blanks = between.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b','));
        !block && only_blanks && between.matches(',').count() < 2
    });
    let before = |from: usize| comments.range(from..node.span.start).next_back();
    // A head of its own: between the key and the value, or behind the header of a block.
    let head = match context {
        Context::Value(key_end) => before(key_end),
        Context::Item => before(0).filter(|(start, _)| is_above(source, **start, node)),
        Context::Document => None,
    };
    right.or(head).map(|(_, marker)| marker.clone())
}

/// Whether a comment is the line right above an item of a list, or stands behind the header of its block.
fn is_above(source: &str, start: usize, node: &Node<'_>) -> bool {
    // The nearest comment may be far away; what is right above is near.
    let between = source.get(start..node.span.start).filter(|between| between.len() < FURTHEST_ABOVE);
    let Some(between) = between else { return false };
    let mut lines = between.lines();
    let _comment = lines.next();
    let rest: String = lines.collect();
    rest.trim_start_matches([' ', '\t', '-', '|', '>', '+']).trim().is_empty()
        && source.get(..start).is_some_and(|before| {
            let line = before.rsplit('\n').next().unwrap_or_default();
            line.trim_start_matches([' ', '\t', '-', '|', '>', '+']).is_empty()
        })
}

/// The bytes that a marker replaces.
fn bytes(node: &Node<'_>, text: &ScalarNode<'_>, source: &str) -> Result<Scalar, String> {
    let scalar = scalar::bytes(node, source, 0..text.text.trim_end().len())?;
    match source.get(scalar.span.clone()).is_some_and(template::is_template) {
        true => Err("a template fills it in".to_owned()),
        false => Ok(scalar),
    }
}
