//! `image: name:tag` anywhere: Kubernetes objects of any kind, custom resources, Helm values in string form.

use tagboat_model::{Format, Parts, Reference, WrittenImage};

use super::below;
use crate::yaml::Node;

pub(crate) fn find(path: &str, mapping: &Node, location: &str, references: &mut Vec<Reference>) {
    let Some(node) = mapping.get("image") else { return };
    let Some(scalar) = node.scalar() else { return };
    // A text that is no image name, as a template's placeholder, names no image.
    let Ok(written) = scalar.value.parse::<WrittenImage>() else { return };
    references.push(Reference {
        file: path.to_owned(),
        line: node.line,
        location: below(location, "image"),
        format: Format::Manifest,
        written_name: written.written_name,
        image: written.name,
        tag: written.tag,
        digest: written.digest,
        parts: Parts::Whole(scalar.clone()),
    });
}
