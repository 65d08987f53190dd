//! Time and fresh ids, as arguments.

use async_trait::async_trait;
use tagboat_model::Timestamp;

/// What time it is, and waiting for it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Return at `point` or later.
    async fn sleep_until(&self, point: Timestamp);
}

/// Fresh ids.
pub trait Ids: Send + Sync {
    /// A new id, `prefix-…`, never given before, made of letters, digits and `-`.
    fn fresh(&self, prefix: &str) -> String;
}
