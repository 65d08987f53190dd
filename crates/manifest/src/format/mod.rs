//! The formats, one file each. A file's name and its root keys say which applies.

mod helm_values;
mod kustomization;
mod manifest;

use tagboat_model::{Reference, Scalar};

use crate::yaml::{Node, Value};

/// All references of one file.
pub(crate) fn find(path: &str, documents: &[Node]) -> Vec<Reference> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut references = Vec::new();
    for document in documents {
        if matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization") {
            kustomization::find(path, document, &mut references);
            continue;
        }
        let is_object = document.get("apiVersion").is_some() && document.get("kind").is_some();
        walk(document, &mut String::new(), &mut |node, location| {
            manifest::find(path, node, location, &mut references);
            if !is_object {
                helm_values::find(path, node, location, &mut references);
            }
        });
    }
    references
}

/// Visit every mapping, with its place in words.
fn walk(node: &Node, location: &mut String, visit: &mut impl FnMut(&Node, &str)) {
    let length = location.len();
    match &node.value {
        Value::Mapping(_) => {
            visit(node, location);
            for (key, value) in node.pairs() {
                if !location.is_empty() {
                    location.push('.');
                }
                location.push_str(key);
                walk(value, location, visit);
                location.truncate(length);
            }
        }
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                location.push_str(&format!("[{index}]"));
                walk(item, location, visit);
                location.truncate(length);
            }
        }
        Value::Scalar(_) | Value::Alias => {}
    }
}

/// A mapping's place and a key in it, in words.
fn below(location: &str, key: &str) -> String {
    if location.is_empty() { key.to_owned() } else { format!("{location}.{key}") }
}

/// The tag or digest of a scalar of its own. Charts write `""` for "none"; what is neither empty nor a value is
/// an error.
fn parsed<T: std::str::FromStr>(scalar: Option<&Scalar>) -> Result<Option<T>, T::Err> {
    scalar.filter(|scalar| !scalar.value.is_empty()).map(|scalar| scalar.value.parse()).transpose()
}
