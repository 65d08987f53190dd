//! Amazon SNS: its certificates, of which any request may name another, and the visit that confirms a subscription.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use lru::LruCache;
use reqwest::Url;
use tagboat_model::Timestamp;
use tagboat_ports::KeyError;

use crate::{
    IssuerError, address, error,
    fetch::Place,
    kept::Kept,
    transport::{Transport, TransportSettings},
};

/// Certificates that are remembered. Amazon has a few for each of some 40 regions; all others are inventions, which
/// must not push these out.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);
/// New addresses in a minute.
const MOST_NEW: u32 = 20;

/// Certificates of Amazon SNS.
pub(crate) struct Amazon {
    transport: Arc<Transport>,
    known: Mutex<Known>,
}

struct Known {
    certificates: LruCache<String, Arc<Kept>>,
    /// The minute of the last new one, and how many it had.
    minute: i64,
    new: u32,
}

impl Amazon {
    pub(crate) fn new(settings: &TransportSettings) -> Result<Self, IssuerError> {
        let whose = || "Amazon SNS".to_owned();
        let own = Url::parse("https://sns.amazonaws.com/");
        let own = own.map_err(|error| IssuerError::new(whose(), error.to_string()))?;
        let transport = Transport::new(settings, &own);
        let transport = transport.map_err(|error| IssuerError::of_connection(whose(), error))?;
        let known = Known { certificates: LruCache::new(MOST), minute: 0, new: 0 };
        Ok(Self { transport: Arc::new(transport), known: Mutex::new(known) })
    }

    /// The certificate at an address.
    pub(crate) fn certificate(&self, address: &str, now: Timestamp) -> Result<Arc<Kept>, KeyError> {
        let fail = |detail: String| error(address, detail);
        let url = address::of_amazon(address).map_err(fail)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = address.to_owned();
        if let Some(kept) = known.certificates.get(&name) {
            return Ok(Arc::clone(kept));
        }
        let minute = now.0.div_euclid(60_000);
        if known.minute != minute {
            (known.minute, known.new) = (minute, 0);
        }
        if known.new >= MOST_NEW {
            return Err(fail(format!("{MOST_NEW} other certificates were asked for in this minute")));
        }
        known.new += 1;
        let kept = Arc::new(Kept::new(Place::Certificate(url), Arc::clone(&self.transport)));
        known.certificates.put(name, Arc::clone(&kept));
        Ok(kept)
    }

    /// Confirm a subscription.
    pub(crate) async fn confirm(&self, address: &str) -> Result<(), KeyError> {
        let url = address::of_amazon(address).map_err(|detail| error(address, detail))?;
        self.transport.get(&url).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inventions_are_few_in_a_minute_and_leave_the_known_alone() {
        let amazon = Amazon::new(&TransportSettings::default()).unwrap();
        let address =
            |number: u32| format!("https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-{number}.pem");
        let now = Timestamp(1_700_000_000_000);
        let taken = (0..100).filter(|number| amazon.certificate(&address(*number), now).is_ok()).count();
        assert_eq!(taken, 20);
        assert!(amazon.certificate(&address(0), now).is_ok(), "one that is known costs nothing");
        assert!(amazon.certificate(&address(99), Timestamp(now.0 + 60_000)).is_ok());
        let error = amazon.certificate("https://evil.example/x.pem?Token=s3cret", now).err().unwrap();
        assert_eq!(
            error.to_string(),
            "the keys at https://evil.example/x.pem could not be fetched: it is not an address of Amazon SNS"
        );
    }
}
