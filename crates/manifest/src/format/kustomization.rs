//! `images` of a kustomization or a component: `name`, `newName`, `newTag`, `digest`; its inline patches; values of the
//! charts that it inflates.
//!
//! `newName` is the image that results; without it, `name` is. Format: `types.Image` of sigs.k8s.io/kustomize.

use tagboat_model::Format;

use super::{DocumentFormat, below, embedded, file_name, manifest};
use crate::{
    collector::{Collector, Separate},
    yaml::Node,
};

pub(crate) struct Kustomization;

impl DocumentFormat for Kustomization {
    fn applies(&self, file: &str, root: &Node<'_>) -> bool {
        // The file may hold other objects too; one without a version is its own.
        if let Some(version) = root.text_at(&["apiVersion"]) {
            return version.starts_with("kustomize.config.k8s.io/");
        }
        matches!(file_name(file), "kustomization.yaml" | "kustomization.yml" | "Kustomization")
    }

    fn find<'d>(&self, root: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) {
        images(root, location, collector, Format::Kustomization);
        embedded::patches(root, location, collector);
        for key in ["configMapGenerator", "secretGenerator"] {
            if let Some(generators) = root.get(key) {
                below(location, key, |location| manifest::walk(generators, location, collector, Format::Kustomization));
            }
        }
        for (index, chart) in root.get("helmCharts").map(Node::items).unwrap_or_default().iter().enumerate() {
            if let Some(values) = chart.get("valuesInline") {
                below(location, &format!("helmCharts[{index}].valuesInline"), |location| {
                    manifest::walk(values, location, collector, Format::HelmValues);
                });
            }
        }
    }
}

/// The entries of `images` in `parent`.
pub(super) fn images<'d>(parent: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>, format: Format) {
    let Some(images) = collector.get(parent, "images") else { return };
    for (index, entry) in images.items().iter().enumerate() {
        let entry = collector.resolve(entry);
        let name = |key: &str| {
            let node = collector.get(entry, key)?;
            Some((node, node.text().filter(|text| !text.is_empty())?))
        };
        let Some((node, written_name)) = name("newName").or_else(|| name("name")) else { continue };
        let (tag, digest) = (collector.get(entry, "newTag"), collector.get(entry, "digest"));
        let key = if tag.is_some() || digest.is_none() { "newTag" } else { "digest" };
        let separate = Separate { written_name: written_name.to_owned(), name: node, tag, digest };
        below(location, &format!("images[{index}]"), |location| {
            below(location, key, |location| collector.separate(format, separate, location));
        });
    }
}
