//! Flux objects that name images: `HelmRelease` by its values and patches, `OCIRepository` by its address,
//! `Kustomization` by its overrides.
//!
//! Source: the API references of helm-controller, source-controller and kustomize-controller.

use tagboat_model::Format;

use super::{DocumentFormat, below, embedded, is_kind, kustomization, manifest};
use crate::{
    collector::{Collector, Separate},
    yaml::Node,
};

pub(crate) struct HelmRelease;

impl DocumentFormat for HelmRelease {
    fn applies(&self, _: &str, root: &Node<'_>) -> bool {
        is_kind(root, "helm.toolkit.fluxcd.io", "HelmRelease")
    }

    fn find<'d>(&self, root: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) {
        let Some(spec) = root.get("spec") else { return };
        if let Some(values) = spec.get("values") {
            below(location, "spec.values", |location| {
                manifest::walk(values, location, collector, Format::FluxHelmRelease);
            });
        }
        for (index, renderer) in spec.get("postRenderers").map(Node::items).unwrap_or_default().iter().enumerate() {
            let Some(kustomize) = renderer.get("kustomize") else { continue };
            below(location, &format!("spec.postRenderers[{index}].kustomize"), |location| {
                kustomization::images(kustomize, location, collector, Format::FluxHelmRelease);
                embedded::patches(kustomize, location, collector);
            });
        }
    }
}

pub(crate) struct OciRepository;

impl DocumentFormat for OciRepository {
    fn applies(&self, _: &str, root: &Node<'_>) -> bool {
        is_kind(root, "source.toolkit.fluxcd.io", "OCIRepository")
    }

    fn find<'d>(&self, root: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) {
        let Some(url) = root.at(&["spec", "url"]) else { return };
        let Some(name) = url.text().and_then(|text| text.strip_prefix("oci://")) else { return };
        let Some(reference) = root.at(&["spec", "ref"]).map(|node| collector.resolve(node)) else { return };
        let (tag, digest) = (collector.get(reference, "tag"), collector.get(reference, "digest"));
        let separate = Separate { written_name: name.to_owned(), name: url, tag, digest };
        let key = if tag.is_some() { "spec.ref.tag" } else { "spec.ref.digest" };
        below(location, key, |location| collector.separate(Format::FluxOciRepository, separate, location));
    }
}

pub(crate) struct Kustomization;

impl DocumentFormat for Kustomization {
    fn applies(&self, _: &str, root: &Node<'_>) -> bool {
        is_kind(root, "kustomize.toolkit.fluxcd.io", "Kustomization")
    }

    fn find<'d>(&self, root: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) {
        let Some(spec) = root.get("spec") else { return };
        below(location, "spec", |location| {
            kustomization::images(spec, location, collector, Format::FluxKustomization);
            embedded::patches(spec, location, collector);
        });
    }
}
