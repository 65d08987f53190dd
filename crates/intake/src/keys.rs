//! Documents with published keys, as they were fetched by whoever may fetch.

use std::{collections::BTreeMap, sync::Arc};

use tagboat_model::KeySource;

/// The documents that are at hand: JSON Web Key Sets of issuers, certificates (PEM) of Amazon SNS.
#[derive(Debug, Clone, Default)]
pub struct Keys(BTreeMap<KeySource, Arc<[u8]>>);

impl Keys {
    /// Add a document, or take it in place of the one before.
    pub fn insert(&mut self, source: KeySource, document: Arc<[u8]>) {
        self.0.insert(source, document);
    }

    pub(crate) fn get(&self, source: &KeySource) -> Option<&[u8]> {
        self.0.get(source).map(AsRef::as_ref)
    }
}
