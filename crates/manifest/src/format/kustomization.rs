//! `images` of a kustomization: `name`, `newName`, `newTag`, `digest`.
//!
//! `newName` is the image that results; without it, `name` is.
//! Format: `types.Image` of sigs.k8s.io/kustomize.

use tagboat_model::{Format, ImageName, Parts, Reference};

use crate::yaml::Node;

pub(crate) fn find(path: &str, document: &Node, references: &mut Vec<Reference>) {
    let Some(images) = document.get("images") else { return };
    for (index, entry) in images.items().iter().enumerate() {
        let text = |key: &str| entry.get(key).and_then(Node::text).filter(|scalar| !scalar.value.is_empty());
        let Some(name) = text("newName").or_else(|| text("name")) else { continue };
        let Ok(image) = name.value.parse::<ImageName>() else { continue };
        let (tag, digest) = (text("newTag"), text("digest"));
        // A placeholder for somebody else to fill in is not ours to overwrite.
        let (Ok(parsed_tag), Ok(parsed_digest)) = (super::parsed(tag), super::parsed(digest)) else { continue };
        let line = entry.get("newTag").or_else(|| entry.get("digest")).map_or(entry.line, |node| node.line);
        let key = if tag.is_some() || digest.is_none() { "newTag" } else { "digest" };
        references.push(Reference {
            file: path.to_owned(),
            line,
            location: format!("images[{index}].{key}"),
            format: Format::Kustomization,
            written_name: name.value.clone(),
            image,
            tag: parsed_tag,
            digest: parsed_digest,
            parts: Parts::Split { tag: tag.cloned(), digest: digest.cloned() },
        });
    }
}
