//! The formats, one file each, behind one small trait: a file's name and its root keys say which applies.

mod argocd;
mod compose;
mod dockerfile;
mod embedded;
mod flux;
mod helm_values;
mod json_patch;
mod kustomization;
mod manifest;

pub(crate) use compose::is_compose;
pub(crate) use dockerfile::{find as find_in_dockerfile, is_dockerfile};

use std::borrow::Cow;

use tagboat_model::Format;

use crate::{
    collector::Collector,
    yaml::{Node, Value},
};

/// Keys are told in whole up to this length.
const LONGEST_STEP: usize = 120;

/// One way to name images in a document of YAML or JSON.
trait DocumentFormat: Sync {
    /// Whether a document of the file of this name is written in it.
    fn applies(&self, file: &str, root: &Node<'_>) -> bool;

    /// Collect its references. `location` is where the document stands in its file, in words.
    fn find<'d>(&self, root: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>);
}

/// The first that applies is the one.
static FORMATS: [&dyn DocumentFormat; 8] = [
    &kustomization::Kustomization,
    &argocd::Application,
    &argocd::SourceOverride,
    &flux::HelmRelease,
    &flux::OciRepository,
    &flux::Kustomization,
    &compose::Compose,
    &manifest::Manifest,
];

/// Collect the references of one document.
pub(crate) fn find<'d>(file: &str, root: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) {
    // `kind: List` and its relatives hold objects of any kind.
    if let Some(items) = root.get("items").filter(|_| is_object(root) && ends_with_list(root)) {
        for (index, item) in items.items().iter().enumerate() {
            below(location, &format!("items[{index}]"), |location| find(file, item, location, collector));
        }
        return;
    }
    // Names of files that hold one list of operations say nothing; their content does.
    if let Value::Sequence(items) = &root.value {
        for (index, item) in items.iter().enumerate() {
            below(location, &format!("[{index}]"), |location| match is_object(item) {
                true => find(file, item, location, collector),
                false => manifest::walk(item, location, collector, Format::Manifest),
            });
        }
        return;
    }
    if let Some(format) = FORMATS.iter().find(|format| format.applies(file, root)) {
        format.find(root, location, collector);
    }
}

/// Collect the references of a document that stands inside of another and is no object: values, or a patch.
pub(crate) fn find_in_text<'d>(
    root: &'d Node<'d>,
    location: &mut String,
    collector: &mut Collector<'d>,
    format: Format,
) {
    manifest::walk(root, location, collector, format);
}

/// Whether it is a Kubernetes object.
fn is_object(root: &Node<'_>) -> bool {
    root.get("apiVersion").is_some() && root.get("kind").is_some()
}

fn ends_with_list(root: &Node<'_>) -> bool {
    root.text_at(&["kind"]).is_some_and(|kind| kind.ends_with("List"))
}

/// Whether it is an object of this kind, of any version of the group.
fn is_kind(root: &Node<'_>, group: &str, kind: &str) -> bool {
    let version = root.text_at(&["apiVersion"]).and_then(|version| version.split_once('/'));
    version.is_some_and(|(found, _)| found == group) && root.text_at(&["kind"]) == Some(kind)
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Do something with the location that is `step` (`spec.values`, `[0]`) below this one.
fn below(location: &mut String, step: &str, act: impl FnOnce(&mut String)) {
    let length = location.len();
    if !location.is_empty() && !step.is_empty() && !step.starts_with('[') {
        location.push('.');
    }
    location.push_str(step);
    act(location);
    location.truncate(length);
}

/// A key as a step of a location: with a dot in it, so that it cannot be taken for two.
fn step(key: &str) -> Cow<'_, str> {
    if key.len() > LONGEST_STEP {
        let start: String = key.chars().take(LONGEST_STEP / 4).collect();
        return Cow::Owned(format!("[{:?}]", format!("{start}…")));
    }
    if key.contains(['.', '[', ']', ' ', '"']) { Cow::Owned(format!("[{key:?}]")) } else { Cow::Borrowed(key) }
}

/// Visit every mapping below a node, with its place in words.
fn walk<'d>(node: &'d Node<'d>, location: &mut String, visit: &mut impl FnMut(&'d Node<'d>, &mut String)) {
    match &node.value {
        Value::Mapping { .. } => {
            visit(node, location);
            for (key, value) in node.pairs() {
                if matches!(value.value, Value::Mapping { .. } | Value::Sequence(_)) {
                    below(location, &step(key), |location| walk(value, location, visit));
                }
            }
        }
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                if matches!(item.value, Value::Mapping { .. } | Value::Sequence(_)) {
                    below(location, &format!("[{index}]"), |location| walk(item, location, visit));
                }
            }
        }
        Value::Scalar(_) | Value::Alias(_) => {}
    }
}
