//! Argo CD: overrides in the sources of an `Application` or `ApplicationSet`, wherever its generators and templates put
//! them, and the same overrides in a `.argocd-source-*.yaml` file.
//!
//! `helm.parameters`, `helm.values` (YAML in a block), `helm.valuesObject`, `kustomize.images` (`[old=]name[:tag][@digest]`)
//! and `kustomize.patches`. Source: Argo CD's `ApplicationSource`.

use std::collections::BTreeMap;

use tagboat_model::Format;

use super::{DocumentFormat, below, embedded, file_name, is_kind, manifest, walk};
use crate::{
    collector::{Collector, Separate, Written},
    yaml::Node,
};

pub(crate) struct Application;

impl DocumentFormat for Application {
    fn applies(&self, _: &str, root: &Node<'_>) -> bool {
        ["Application", "ApplicationSet"].iter().any(|kind| is_kind(root, "argoproj.io", kind))
    }

    fn find<'d>(&self, root: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) {
        let Some(spec) = root.get("spec") else { return };
        below(location, "spec", |location| {
            walk(spec, location, &mut |mapping, location| {
                source(mapping, location, collector, Format::ArgocdApplication);
            });
            if let Some(patch) = spec.get("templatePatch") {
                below(location, "templatePatch", |location| {
                    embedded::document(patch, location, collector, Format::ArgocdApplication);
                });
            }
            // Elements of a list generator may carry an image for the template.
            if let Some(generators) = spec.get("generators") {
                below(location, "generators", |location| {
                    manifest::walk(generators, location, collector, Format::ArgocdApplication);
                });
            }
        });
    }
}

pub(crate) struct SourceOverride;

impl DocumentFormat for SourceOverride {
    fn applies(&self, file: &str, _: &Node<'_>) -> bool {
        file_name(file).starts_with(".argocd-source")
    }

    fn find<'d>(&self, root: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) {
        source(root, location, collector, Format::ArgocdSource);
    }
}

/// The overrides of one source.
fn source<'d>(mapping: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>, format: Format) {
    if let Some(helm) = mapping.get("helm").map(|node| collector.resolve(node)) {
        below(location, "helm", |location| {
            if let Some(parameters) = helm.get("parameters") {
                below(location, "parameters", |location| self::parameters(parameters, location, collector, format));
            }
            if let Some(values) = helm.get("values") {
                below(location, "values", |location| embedded::document(values, location, collector, format));
            }
            if let Some(values) = helm.get("valuesObject") {
                below(location, "valuesObject", |location| manifest::walk(values, location, collector, format));
            }
        });
    }
    if let Some(kustomize) = mapping.get("kustomize").map(|node| collector.resolve(node)) {
        below(location, "kustomize", |location| {
            for (index, image) in kustomize.get("images").map(Node::items).unwrap_or_default().iter().enumerate() {
                below(location, &format!("images[{index}]"), |location| {
                    kustomize_image(image, location, collector, format);
                });
            }
            embedded::patches(kustomize, location, collector);
        });
    }
}

/// `[old=]name[:tag][@digest]`
fn kustomize_image<'d>(node: &'d Node<'d>, location: &str, collector: &mut Collector<'d>, format: Format) {
    let Some(text) = node.text() else { return };
    let start = text.find('=').map_or(0, |equals| equals + 1);
    collector.part_of(format, node, start..text.len(), location);
}

/// Parameters whose names differ only in their last part belong together: `image.repository`, `image.tag`.
fn parameters<'d>(node: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>, format: Format) {
    let mut groups: BTreeMap<&str, BTreeMap<&str, (usize, &Node<'_>)>> = BTreeMap::new();
    for (index, parameter) in node.items().iter().enumerate() {
        let (Some(name), Some(value)) = (parameter.text_at(&["name"]), parameter.get("value")) else { continue };
        let (group, last) = name.rsplit_once('.').unwrap_or(("", name));
        groups.entry(group).or_default().insert(last, (index, value));
        if last == "image" || last.ends_with("Image") {
            below(location, &format!("[{index}].value"), |location| {
                collector.whole(format, value, location, Written::WithVersion);
            });
        }
    }
    for group in groups.values() {
        let text = |key: &str| Some((group.get(key)?.1, group.get(key)?.1.text().filter(|text| !text.is_empty())?));
        let Some((name_node, name)) = text("repository").or_else(|| text("name")).or_else(|| text("image")) else {
            continue;
        };
        let tag = group.get("tag").or_else(|| group.get("imageTag")).or_else(|| group.get("version"));
        let digest = group.get("digest");
        let Some((index, _)) = tag.or(digest) else { continue };
        let written_name = match text("registry") {
            Some((_, registry)) => format!("{}/{name}", registry.trim_end_matches('/')),
            None => name.to_owned(),
        };
        let (tag, digest) = (tag.map(|(_, node)| *node), digest.map(|(_, node)| *node));
        let separate = Separate { written_name, name: name_node, tag, digest };
        below(location, &format!("[{index}].value"), |location| collector.separate(format, separate, location));
    }
}
