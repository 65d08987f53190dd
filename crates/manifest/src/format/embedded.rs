//! YAML and JSON inside of YAML: patches in a kustomization, Helm values in an Argo CD application or a k3s `HelmChart`,
//! files in a ConfigMap.
//!
//! Read where the text stands byte for byte in the file: in a literal block (`|`), or in one line without escapes. The
//! indentation of a block is indentation of what is inside too, so it is read in place and its scalars have spans in the
//! file.

use tagboat_model::Format;

use super::{below, manifest, step};
use crate::{
    collector::Collector,
    yaml::{Node, Origin, ScalarNode, Style},
};

/// `patches`, `patchesStrategicMerge`, `patchesJson6902`: text in a block, or objects as they are.
pub(super) fn patches<'d>(parent: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) {
    for key in ["patches", "patchesJson6902", "patchesStrategicMerge"] {
        for (index, entry) in parent.get(key).map(Node::items).unwrap_or_default().iter().enumerate() {
            below(location, &format!("{key}[{index}]"), |location| {
                let (patch, key) = match entry.get("patch") {
                    Some(patch) => (patch, "patch"),
                    None => (entry, ""),
                };
                below(location, key, |location| match patch.scalar() {
                    Some(_) => document(patch, location, collector, Format::Manifest),
                    None => manifest::walk(patch, location, collector, Format::Manifest),
                });
            });
        }
    }
}

/// Files in the `data` of a ConfigMap or the `stringData` of a Secret, as Flux's `valuesFrom` and others use them.
pub(super) fn files_of_config_map<'d>(root: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) {
    let files = ["data", "stringData"].into_iter().filter_map(|key| Some((key, root.get(key)?)));
    for (key, name, file) in files.flat_map(|(key, data)| data.pairs().map(move |(name, file)| (key, name, file))) {
        if [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending)) {
            below(location, key, |location| {
                below(location, &step(name), |location| document(file, location, collector, Format::HelmValues));
            });
        }
    }
}

/// `spec.valuesContent` of a k3s `HelmChart` or `HelmChartConfig`.
pub(super) fn values_of_chart<'d>(root: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) {
    if let Some(values) = root.at(&["spec", "valuesContent"]) {
        below(location, "spec.valuesContent", |location| document(values, location, collector, Format::HelmValues));
    }
}

/// The references of a document that stands in a scalar. What is written so that its bytes differ from what it says, or is
/// no YAML, is reported when it seems to name an image.
pub(super) fn document(node: &Node<'_>, location: &str, collector: &mut Collector<'_>, format: Format) {
    let Some(scalar) = node.scalar() else { return };
    let Some((start, end, origin)) = bytes(node, scalar, collector.source()) else {
        // Short texts that are no documents, as the path of a patch file, name nothing.
        let why = "it holds YAML in a scalar whose bytes differ from what it says; write it as a block (`|`)";
        return collector.cannot_read(node.line, &scalar.text, why);
    };
    let Some(text) = collector.source().get(start..end) else { return };
    if collector.nested(text, origin, location, format).is_err() {
        collector.cannot_read(node.line, &scalar.text, "the text in it is not YAML");
    }
}

/// Where the text of a scalar stands byte for byte: in a literal block, or in one line without escapes.
fn bytes(node: &Node<'_>, scalar: &ScalarNode<'_>, source: &str) -> Option<(usize, usize, Origin)> {
    if scalar.style == Style::Literal {
        let start = source.get(..node.span.start)?.rfind('\n').map_or(0, |newline| newline + 1);
        return Some((start, node.span.end, Origin { byte: start, line: node.line.saturating_sub(1), column: 0 }));
    }
    let quote = usize::from(matches!(scalar.style, Style::SingleQuoted | Style::DoubleQuoted));
    let (start, end) = (node.span.start + quote, node.span.end.checked_sub(quote)?);
    let as_written = source.get(start..end)? == scalar.text && !scalar.text.contains('\n');
    // A word is the name of a file, or nothing at all.
    let document = scalar.text.contains(['{', '[']) && !scalar.text.starts_with("{{");
    let origin = Origin { byte: start, line: node.line.saturating_sub(1), column: node.column - 1 + quote };
    (as_written && document).then_some((start, end, origin))
}
