//! YAML and JSON inside of YAML: patches in a kustomization, Helm values in an Argo CD application or a k3s `HelmChart`,
//! files in a ConfigMap.
//!
//! Read where the text stands byte for byte in the file: in a literal block (`|`). The indentation of the block is
//! indentation of what is inside too, so it is read in place and its scalars have spans in the file.

use tagboat_model::Format;

use super::{below, manifest, step};
use crate::{
    collector::Collector,
    yaml::{Node, Origin, Style},
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

/// The references of a document that stands in a literal block. What is written otherwise, or is no YAML, is reported
/// when it seems to name an image.
pub(super) fn document(node: &Node<'_>, location: &str, collector: &mut Collector<'_>, format: Format) {
    let Some(scalar) = node.scalar() else { return };
    if scalar.style != Style::Literal {
        // Short texts that are no documents, as the path of a patch file.
        if scalar.text.contains('\n') && scalar.text.contains("image") {
            collector.cannot_read(
                node.line,
                &scalar.text,
                "it holds YAML in a scalar whose bytes differ from what it says; write it as a block (`|`)",
            );
        }
        return;
    }
    let source = collector.source();
    let start = source.get(..node.span.start).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let Some(text) = source.get(start..node.span.end) else { return };
    let origin = Origin { byte: start, line: node.line.saturating_sub(1) };
    if collector.nested(text, origin, location, format).is_err() {
        collector.cannot_read(node.line, &scalar.text, "the text in this block is not YAML (a template?)");
    }
}
