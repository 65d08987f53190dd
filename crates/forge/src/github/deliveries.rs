//! Deliveries of the App's webhook that did not arrive: GitHub does not send them again by itself.
//!
//! docs.github.com, "Handling failed webhook deliveries": they are kept for three days, and can be asked for again.

use std::collections::BTreeMap;

use http::{Method, header};
use serde::Deserialize;
use tagboat_model::{Duration, Timestamp};
use tagboat_ports::ForgeError;

use super::{GithubApp, client::Repeat};
use crate::{
    error::Failure,
    http::{encoded, time_of},
};

/// For so long GitHub can send a delivery again.
const KEPT: Duration = Duration::from_seconds(3 * 86_400);
/// What failed so often is refused for a reason that another time does not heal.
const MOST_TIMES: usize = 3;
const MOST_PAGES: usize = 50;

/// What a look at the deliveries came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sweep {
    /// How many were looked at.
    pub seen: usize,
    /// How many of them did not arrive, each counted once.
    pub failed: usize,
    /// How many were asked for again.
    pub asked_again: usize,
    /// For the next look: up to this one all is settled. What was asked for again is looked at once more.
    pub last: Option<u64>,
}

/// One delivery. A second one of the same event has the same `guid`.
#[derive(Debug, Clone, Deserialize)]
struct Delivery {
    id: u64,
    guid: String,
    delivered_at: String,
    status_code: u16,
}

impl GithubApp {
    /// Ask for deliveries again that failed since `since` (the `last` of the look before), at most three days ago.
    ///
    /// # Errors
    /// [`ForgeError`] when GitHub cannot be asked. The same look may be taken again then.
    pub async fn sweep_deliveries(&self, since: Option<u64>) -> Result<Sweep, ForgeError> {
        self.sweep(since).await.map_err(|failure| failure.about("look through the deliveries of", "the GitHub App"))
    }

    async fn sweep(&self, since: Option<u64>) -> Result<Sweep, Failure> {
        let deliveries = self.deliveries(since).await?;
        let lost = lost(&deliveries);
        let settled = match lost.iter().map(|lost| lost.first).min() {
            Some(first) => Some(first.saturating_sub(1)),
            None => deliveries.iter().map(|delivery| delivery.id).max().or(since),
        };
        let mut sweep = Sweep { seen: deliveries.len(), failed: lost.len(), asked_again: 0, last: settled };
        for lost in lost {
            let path = format!("/app/hook/deliveries/{}/attempts", lost.last);
            // Receivers know an event by its guid: one that comes twice is one.
            let answer = self.app.write(Method::POST, &path, None, Repeat::Harmless).await?;
            sweep.asked_again += usize::from(answer.is_success());
        }
        Ok(sweep)
    }

    /// The newest first, down to `since` or to what is too old.
    async fn deliveries(&self, since: Option<u64>) -> Result<Vec<Delivery>, Failure> {
        let oldest = Timestamp(self.app.now().0.saturating_sub_unsigned(KEPT.milliseconds()));
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let from = cursor.as_deref().map(|cursor| format!("&cursor={}", encoded(cursor))).unwrap_or_default();
            let answer = self.app.get(&format!("/app/hook/deliveries?per_page=100{from}")).await?.success()?;
            for delivery in answer.json::<Vec<Delivery>>()? {
                let is_known = since.is_some_and(|since| delivery.id <= since);
                if is_known || time_of(&delivery.delivered_at)? < oldest {
                    return Ok(all);
                }
                all.push(delivery);
            }
            let link = answer.headers.get(header::LINK).and_then(|link| link.to_str().ok());
            match link.and_then(next_cursor) {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        Ok(all)
    }
}

/// An event that never arrived: the first and the last of its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Lost {
    first: u64,
    last: u64,
}

/// The events that never arrived, the oldest first.
fn lost(deliveries: &[Delivery]) -> Vec<Lost> {
    let mut events: BTreeMap<&str, Vec<&Delivery>> = BTreeMap::new();
    for delivery in deliveries {
        events.entry(&delivery.guid).or_default().push(delivery);
    }
    let mut lost = Vec::new();
    for tries in events.values() {
        let arrived = tries.iter().any(|delivery| (200..300).contains(&delivery.status_code));
        let ids = || tries.iter().map(|delivery| delivery.id);
        if let (false, Some(first), Some(last)) = (arrived || tries.len() >= MOST_TIMES, ids().min(), ids().max()) {
            lost.push(Lost { first, last });
        }
    }
    lost.sort_unstable();
    lost
}

/// The cursor of the next page, out of a `Link` header (RFC 8288).
fn next_cursor(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let address = next.split_once('<')?.1.split_once('>')?.0;
    let url = reqwest::Url::parse(address).ok()?;
    url.query_pairs().find(|(name, _)| name == "cursor").map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(id: u64, guid: &str, status_code: u16) -> Delivery {
        Delivery { id, guid: guid.to_owned(), delivered_at: String::new(), status_code }
    }

    #[test]
    fn what_arrived_in_the_end_is_not_lost() {
        let deliveries = [
            delivery(9, "healed", 200),
            delivery(8, "lost", 502),
            delivery(7, "twice", 504),
            delivery(6, "twice", 504),
            delivery(5, "healed", 500),
            delivery(4, "fine", 202),
        ];
        assert_eq!(
            lost(&deliveries),
            [Lost { first: 6, last: 7 }, Lost { first: 8, last: 8 }],
            "the older event first"
        );
        let refused = [delivery(3, "bad", 400), delivery(2, "bad", 400), delivery(1, "bad", 400)];
        assert!(lost(&refused).is_empty(), "a fourth time would not help");
    }

    #[test]
    fn the_next_page_is_behind_its_cursor() {
        let link = "<https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_17%3D>; rel=\"next\"";
        assert_eq!(next_cursor(link).as_deref(), Some("v1_17="));
        assert_eq!(next_cursor("<https://api.github.com/x?cursor=1>; rel=\"prev\""), None);
    }
}
