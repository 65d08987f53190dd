//! Maps that name an image in several keys, as Helm values do: `repository` and `tag`, perhaps with `registry` and
//! `digest`; `name` and `tag` in a map called `image`; `image` and `tag` beside one another.
//!
//! Charts differ in how they put the parts together; what is read here is how they are put together by nearly all.

use tagboat_model::Format;

use super::below;
use crate::{
    collector::{Collector, Separate},
    yaml::Node,
};

/// Keys of a version beside the name.
const TAG_KEYS: [&str; 3] = ["tag", "imageTag", "version"];
const DIGEST_KEYS: [&str; 3] = ["digest", "sha256", "sha"];

pub(super) fn find<'d>(mapping: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>, format: Format) {
    let text = |key: &str| collector.get(mapping, key).and_then(|node| Some((node, node.text()?)));
    let Some((name_node, name)) = name(mapping, location, collector) else { return };
    let tag_key = TAG_KEYS.into_iter().find(|key| collector.get(mapping, key).is_some());
    let digest_key = DIGEST_KEYS.into_iter().find(|key| collector.get(mapping, key).is_some());
    // A repository beside neither names no version.
    if tag_key.is_none() && digest_key.is_none() {
        return;
    }
    let written_name = match text("registry").map(|(_, registry)| registry.trim_end_matches('/')) {
        Some(registry) if !registry.is_empty() && !name.starts_with(&format!("{registry}/")) => {
            format!("{registry}/{name}")
        }
        _ => name.to_owned(),
    };
    let node = |key: Option<&str>| key.and_then(|key| collector.get(mapping, key));
    let separate = Separate { written_name, name: name_node, tag: node(tag_key), digest: node(digest_key) };
    let key = tag_key.or(digest_key).unwrap_or("tag");
    below(location, key, |location| collector.separate(format, separate, location));
}

/// Whether the `image` of this mapping is a name with its version in another key.
pub(super) fn is_separate<'d>(mapping: &'d Node<'d>, location: &str, collector: &Collector<'d>) -> bool {
    let image = mapping.get("image").map(|node| collector.resolve(node));
    let named = name(mapping, location, collector)
        .is_some_and(|(node, _)| image.is_some_and(|image| std::ptr::eq(image, node)));
    named && TAG_KEYS.into_iter().chain(DIGEST_KEYS).any(|key| collector.get(mapping, key).is_some())
}

/// The node that holds the name, and the name.
fn name<'d>(mapping: &'d Node<'d>, location: &str, collector: &Collector<'d>) -> Option<(&'d Node<'d>, &'d str)> {
    let text = |key: &str| {
        let node = collector.get(mapping, key)?;
        Some((node, node.text().filter(|text| !text.is_empty())?))
    };
    let last = location.rsplit('.').next().unwrap_or(location).to_ascii_lowercase();
    let is_image =
        || last.ends_with("image") || location.split(['.', '[']).any(|step| step.eq_ignore_ascii_case("images"));
    // A version beside an image that has one already is somebody else's.
    let bare = |(_, text): &(&Node<'_>, &str)| {
        !text.contains('@') && !text.rsplit('/').next().is_some_and(|last| last.contains(':'))
    };
    text("repository")
        .or_else(|| text("name").filter(|_| is_image() && collector.get(mapping, "tag").is_some()))
        .or_else(|| text("image"))
        .or_else(|| text("imageRepository"))
        .filter(bare)
}
