//! Operations of a JSON patch: `{op: replace, path: /spec/template/spec/containers/0/image, value: name:tag}`.
//!
//! Format: RFC 6902.

use tagboat_model::Format;

use super::below;
use crate::{
    collector::{Collector, Written},
    yaml::Node,
};

/// Whether the mapping is an operation on an image; its reference is collected.
pub(super) fn find<'d>(mapping: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) -> bool {
    let (Some(_), Some(path), Some(value)) =
        (mapping.text_at(&["op"]), mapping.text_at(&["path"]), mapping.get("value"))
    else {
        return false;
    };
    if path.ends_with("/image") && value.scalar().is_some() {
        below(location, "value", |location| collector.whole(Format::JsonPatch, value, location, Written::Anyhow));
        return true;
    }
    false
}
