//! Compose files: `image` of each service.
//!
//! Format: the Compose specification. The defaults of variables (`${TAG:-1.4.0}`) are edited; what a variable without one
//! fills in is reported.

use tagboat_model::Format;

use super::{DocumentFormat, below, file_name, manifest, step};
use crate::{collector::Collector, yaml::Node};

/// Whether a file of this name is a Compose file.
pub(crate) fn is_compose(path: &str) -> bool {
    ["docker-compose", "compose"].iter().any(|start| file_name(path).starts_with(start))
}

pub(crate) struct Compose;

impl DocumentFormat for Compose {
    fn applies(&self, file: &str, root: &Node<'_>) -> bool {
        is_compose(file)
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
