//! Helm values: a map with `repository` and `tag`, perhaps `registry` and `digest` beside them.

use tagboat_model::{Format, ImageName, Parts, Reference};

use super::below;
use crate::yaml::Node;

pub(crate) fn find(path: &str, mapping: &Node, location: &str, references: &mut Vec<Reference>) {
    let scalar = |key: &str| mapping.get(key).and_then(Node::text);
    let (Some(repository), Some(tag_node)) = (scalar("repository"), mapping.get("tag")) else { return };
    let Some(tag) = tag_node.text() else { return };
    let written_name = match scalar("registry") {
        Some(registry) if !registry.value.is_empty() => format!("{}/{}", registry.value, repository.value),
        _ => repository.value.clone(),
    };
    let Ok(image) = written_name.parse::<ImageName>() else { return };
    let digest = scalar("digest");
    // A placeholder for somebody else to fill in is not ours to overwrite.
    let (Ok(parsed_tag), Ok(parsed_digest)) = (super::parsed(Some(tag)), super::parsed(digest)) else { return };
    references.push(Reference {
        file: path.to_owned(),
        line: tag_node.line,
        location: below(location, "tag"),
        format: Format::HelmValues,
        written_name,
        image,
        tag: parsed_tag,
        digest: parsed_digest,
        parts: Parts::Split { tag: Some(tag.clone()), digest: digest.cloned() },
    });
}
