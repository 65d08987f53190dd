//! Kubernetes objects of any kind, custom resources, and every other file with keys that name images: `image: name:tag`,
//! `sidecarImage: …`, `images:` with names and images, environment variables such as `RELATED_IMAGE_WEB`, image
//! volumes. What has a format of its own is handed on: maps as in Helm values, operations of JSON patches, files inside
//! of a ConfigMap.

use tagboat_model::Format;

use super::{DocumentFormat, below, embedded, file_name, helm_values, is_object, json_patch, step};
use crate::{
    collector::{Collector, Written},
    yaml::{Node, Value},
};

pub(crate) struct Manifest;

impl DocumentFormat for Manifest {
    fn applies(&self, _: &str, _: &Node<'_>) -> bool {
        true
    }

    fn find<'d>(&self, root: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) {
        if is_object(root) {
            for (key, value) in root.pairs().filter(|(key, _)| *key != "status") {
                // What an agent writes into `status` is no desired state.
                below(location, &step(key), |location| walk(value, location, collector, Format::Manifest));
            }
            match root.text_at(&["kind"]) {
                Some("ConfigMap" | "Secret") => embedded::files_of_config_map(root, location, collector),
                Some("HelmChart" | "HelmChartConfig") => embedded::values_of_chart(root, location, collector),
                _ => {}
            }
        } else if !matches!(file_name(collector.file()), "Chart.yaml" | "Chart.lock" | "requirements.yaml") {
            // A chart's own metadata names versions of charts, and images only for display.
            walk(root, location, collector, Format::HelmValues);
        }
    }
}

/// Every reference below a node, called `format` where nothing more exact is known.
pub(super) fn walk<'d>(node: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>, format: Format) {
    super::walk(node, location, &mut |mapping, location| {
        if !json_patch::find(mapping, location, collector) {
            keys(mapping, location, collector, format);
            helm_values::find(mapping, location, collector, format);
            variable(mapping, location, collector, format);
            assignments(mapping, location, collector, format);
        }
    });
}

/// The keys of one mapping that name images.
fn keys<'d>(mapping: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>, format: Format) {
    for (key, value) in mapping.pairs() {
        let written = match key {
            "image" if helm_values::is_separate(mapping, location, collector) => continue,
            "image" => Written::Anyhow,
            // A repository with a version in it, where no other key says one.
            "repository" if value.text().is_some_and(|text| text.contains(':')) => Written::WithVersion,
            "images" => {
                below(location, key, |location| images(value, location, collector, format));
                continue;
            }
            _ if names_an_image(key) => Written::WithVersion,
            _ => continue,
        };
        let value = collector.resolve(value);
        match &value.value {
            Value::Scalar(_) => {
                below(location, &step(key), |location| collector.whole(format, value, location, written));
            }
            // The source of an image volume.
            Value::Mapping { .. } if key == "image" => {
                if let Some(reference) = value.get("reference") {
                    let location = format!("{location}.image.reference");
                    collector.whole(
                        format,
                        collector.resolve(reference),
                        location.trim_start_matches('.'),
                        Written::WithVersion,
                    );
                }
            }
            _ => {}
        }
    }
}

/// Names with images, or a list of images.
fn images<'d>(node: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>, format: Format) {
    let node = collector.resolve(node);
    for (key, value) in node.pairs() {
        below(location, &step(key), |location| {
            collector.whole(format, collector.resolve(value), location, Written::WithVersion);
        });
    }
    for (index, value) in node.items().iter().enumerate() {
        below(location, &format!("[{index}]"), |location| {
            collector.whole(format, collector.resolve(value), location, Written::WithVersion);
        });
    }
}

/// `sidecarImage`, `init_image`, `imageName`: keys of custom resources and charts.
fn names_an_image(key: &str) -> bool {
    let key = key.as_bytes();
    let ends = |end: &[u8]| key.len() > end.len() && key[key.len() - end.len()..].eq_ignore_ascii_case(end);
    ends(b"image")
        || [&b"imageName"[..], b"image_name", b"image-name", b"imageRef", b"image_ref"]
            .iter()
            .any(|name| key.eq_ignore_ascii_case(name))
}

/// `{name: RELATED_IMAGE_WEB, value: …}`
fn variable<'d>(mapping: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>, format: Format) {
    let (Some(name), Some(value)) = (mapping.text_at(&["name"]), mapping.get("value")) else { return };
    if name.split('_').any(|word| word == "IMAGE") {
        below(location, "value", |location| {
            collector.whole(format, collector.resolve(value), location, Written::WithVersion);
        });
    }
}

/// Lists of `WEB_IMAGE=name:tag`, as in Compose files and generators of kustomizations.
fn assignments<'d>(mapping: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>, format: Format) {
    for (key, value) in mapping.pairs() {
        for (index, item) in value.items().iter().enumerate() {
            let assigned = item.text().and_then(|text| text.split_once('='));
            let Some((name, image)) = assigned.filter(|(name, _)| name.split('_').any(|word| word == "IMAGE")) else {
                continue;
            };
            if image.contains([':', '@']) {
                let range = name.len() + 1..name.len() + 1 + image.len();
                below(location, &format!("{}[{index}]", step(key)), |location| {
                    collector.part_of(format, item, range, location);
                });
            }
        }
    }
}
