//! Where published keys come from: those of token issuers and of Amazon SNS.

use std::sync::Arc;

use async_trait::async_trait;
use tagboat_model::KeySource;
use thiserror::Error;

/// Documents with published keys. Only sources that are configured, or that were compared with a fixed pattern, are asked
/// for.
#[async_trait]
pub trait PublishedKeys: Send + Sync {
    /// The document of a source, which may be kept from before.
    async fn document(&self, source: &KeySource) -> Result<Arc<[u8]>, KeyError>;

    /// The document of a source, fetched anew, because a key is named that the one before does not have. At most one is
    /// fetched a minute; between, the one before is given.
    async fn newer_document(&self, source: &KeySource) -> Result<Arc<[u8]>, KeyError>;

    /// Confirm a subscription at Amazon SNS by fetching this address, which Tagboat made itself.
    async fn confirm_subscription(&self, url: &str) -> Result<(), KeyError>;
}

/// That a document could not be fetched.
#[derive(Debug, Clone, Error)]
#[error("the keys at {address} could not be fetched: {detail}")]
pub struct KeyError {
    /// What was asked.
    pub address: String,
    /// Why not.
    pub detail: String,
}
