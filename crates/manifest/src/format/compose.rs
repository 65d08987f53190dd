//! Compose files: `image` of each service.
//!
//! Format: the Compose specification. Values that variables fill in are reported, not edited.

use tagboat_model::Format;

use super::{DocumentFormat, below, file_name, manifest, step};
use crate::{collector::Collector, yaml::Node};

pub(crate) struct Compose;

impl DocumentFormat for Compose {
    fn applies(&self, file: &str, root: &Node<'_>) -> bool {
        let name = file_name(file);
        let named = ["docker-compose", "compose"].iter().any(|start| name.starts_with(start));
        named
            && root.get("apiVersion").is_none()
            && (root.get("services").is_some_and(Node::is_mapping)
                || root.pairs().any(|(key, _)| key.starts_with("x-")))
    }

    fn find<'d>(&self, root: &'d Node<'d>, location: &mut String, collector: &mut Collector<'d>) {
        for (key, value) in root.pairs() {
            below(location, &step(key), |location| manifest::walk(value, location, collector, Format::DockerCompose));
        }
    }
}
