//! Why the database did not do what was asked.

use thiserror::Error;

/// The database did not do what was asked.
#[derive(Debug, Error)]
#[error("database: {operation}")]
pub struct StoreError {
    /// What was tried: `store a delivery`.
    pub operation: &'static str,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
