//! The clock and the random numbers of the machine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tagboat_model::Timestamp;
use tagboat_ports::{Clock, Ids};

/// The machine's clock.
pub(crate) struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep_until(&self, point: Timestamp) {
        tokio::time::sleep(Duration::from(point.since(self.now()))).await;
    }
}

/// Ids that sort by time and cannot be guessed.
pub(crate) struct RandomIds;

impl Ids for RandomIds {
    fn fresh(&self, prefix: &str) -> String {
        let random = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        format!("{prefix}-{:011x}{random:016x}", SystemClock.now().0)
    }
}
