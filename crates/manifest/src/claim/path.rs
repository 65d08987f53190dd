//! Paths to values: `image.tag`, `containers[0].image`, `containers[name=web].image`, `["app.kubernetes.io/version"]`.

use tagboat_model::Scalar;

use super::{Claimed, PlaceError, insert};
use crate::{
    position, scalar,
    yaml::{Anchors, Documents, Node},
};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A key of a mapping.
    Key(String),
    /// An item of a list, from 0.
    Index(usize),
    /// The item whose key has this value.
    Where(String, String),
}

/// A path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValuePath {
    pub(super) written: String,
    pub(super) steps: Vec<Step>,
}

impl ValuePath {
    pub(super) fn parse(written: &str) -> Result<Self, PlaceError> {
        let fail = |why| PlaceError::Path { path: written.to_owned(), why };
        let mut steps = Vec::new();
        // JSONPath's root, which some are used to.
        let mut rest = written
            .strip_prefix("$.")
            .or_else(|| written.strip_prefix('$').filter(|rest| rest.starts_with('[')))
            .unwrap_or(written);
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let quote = inner.chars().next().filter(|first| matches!(first, '"' | '\''));
                let (step, after) = match quote {
                    Some(quote) => {
                        let (key, after) = inner[1..].split_once(quote).ok_or_else(|| fail("a quote is not closed"))?;
                        (Step::Key(key.to_owned()), after.strip_prefix(']').ok_or_else(|| fail("`]` is missing"))?)
                    }
                    None => {
                        let (inside, after) = inner.split_once(']').ok_or_else(|| fail("`]` is missing"))?;
                        (bracketed(inside).ok_or_else(|| fail("write `[0]`, `[name=web]` or `[\"key\"]`"))?, after)
                    }
                };
                steps.push(step);
                rest = after;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let key = rest.get(..end).filter(|key| !key.is_empty()).ok_or_else(|| fail("a key is missing"))?;
                steps.push(Step::Key(key.to_owned()));
                rest = rest.get(end..).unwrap_or_default();
            }
            if let Some(after) = rest.strip_prefix('.') {
                rest =
                    Some(after).filter(|after| !after.is_empty()).ok_or_else(|| fail("a key is missing at its end"))?;
            }
        }
        if steps.is_empty() {
            return Err(fail("it is empty"));
        }
        Ok(Self { written: written.to_owned(), steps })
    }

    /// Collect the value in the one document that has it, or the place where it is missing.
    pub(super) fn find<'d>(&self, source: &str, documents: &'d Documents<'d>, claimed: &mut Claimed<'_>) {
        let anchors = Anchors::of(documents);
        let reached: Vec<Reached<'_, '_>> = documents.roots.iter().map(|root| self.follow(root, &anchors)).collect();
        let values: Vec<&Node<'_>> =
            reached.iter().filter_map(|it| if let Reached::Value(node) = it { Some(*node) } else { None }).collect();
        match values[..] {
            [node] => self.value(node, source, claimed),
            [] => {
                let gaps = reached
                    .iter()
                    .filter_map(|it| if let Reached::Gap(parent, keys) = it { Some((*parent, *keys)) } else { None });
                match gaps.max_by_key(|(_, keys)| std::cmp::Reverse(keys.len())) {
                    Some((parent, keys)) => match insert::absent(source, parent, keys) {
                        Some(scalar) => {
                            claimed.scalar(scalar, parent.position(), &self.written);
                        }
                        None => claimed.uneditable(
                            parent.line,
                            format!("there is no place for `{}`; add it with the value that runs now", self.written),
                        ),
                    },
                    None => claimed.uneditable(1, format!("there is no `{}` in it", self.written)),
                }
            }
            _ => claimed.uneditable(1, format!("several of its documents have `{}`", self.written)),
        }
    }

    fn value(&self, node: &Node<'_>, source: &str, claimed: &mut Claimed<'_>) {
        let at = node.position();
        let text = match node.scalar() {
            Some(text) if !node.span.is_empty() => text,
            Some(_) => return claimed.uneditable(at.line, format!("`{}` is empty; write `\"\"`", self.written)),
            None => return claimed.uneditable(at.line, format!("`{}` is no text", self.written)),
        };
        match scalar::bytes(node, source, 0..text.text.trim_end_matches(['\n', '\r']).len()) {
            Ok(scalar) => {
                let between = source.get(node.span.start..scalar.span.start).unwrap_or_default();
                let value = if text.is_null() { String::new() } else { scalar.value };
                claimed.scalar(Scalar { value, ..scalar }, position::after(at, between), &self.written);
            }
            Err(why) => claimed.uneditable(at.line, why),
        }
    }

    fn follow<'p, 'd>(&'p self, root: &'d Node<'d>, anchors: &Anchors<'d, 'd>) -> Reached<'p, 'd> {
        let mut node = root;
        for (index, step) in self.steps.iter().enumerate() {
            node = anchors.resolve(node);
            let next = match step {
                Step::Key(key) => anchors.get(node, key),
                Step::Index(index) => node.items().get(*index),
                Step::Where(key, value) => {
                    node.items().iter().find(|item| anchors.get(item, key).and_then(Node::text) == Some(value))
                }
            };
            match next {
                Some(next) => node = next,
                None if node.is_mapping() => return Reached::Gap(node, self.steps.get(index..).unwrap_or_default()),
                None => return Reached::Nothing,
            }
        }
        Reached::Value(anchors.resolve(node))
    }
}

enum Reached<'p, 'd> {
    Value(&'d Node<'d>),
    /// A mapping in which the rest of the path is missing.
    Gap(&'d Node<'d>, &'p [Step]),
    Nothing,
}

fn bracketed(inside: &str) -> Option<Step> {
    match inside.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            Some(Step::Where(key.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
        }
        Some(_) => None,
        None => inside.parse().ok().map(Step::Index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_people_write_them() {
        let key = |text: &str| Step::Key(text.to_owned());
        for (written, steps) in [
            ("image.tag", vec![key("image"), key("tag")]),
            ("$.image", vec![key("image")]),
            ("a[0].b", vec![key("a"), Step::Index(0), key("b")]),
            ("c[name=web].image", vec![key("c"), Step::Where("name".to_owned(), "web".to_owned()), key("image")]),
            ("[\"a.b/c\"].d", vec![key("a.b/c"), key("d")]),
        ] {
            assert_eq!(ValuePath::parse(written).map(|path| path.steps), Ok(steps), "{written}");
        }
        for wrong in ["", ".", "a.", "a..b", "a[", "a[x]", "a['b]", "a[=b]"] {
            assert!(ValuePath::parse(wrong).is_err(), "{wrong}");
        }
    }
}
