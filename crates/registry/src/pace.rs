//! How fast one host is asked, and when it is left alone: a state machine without a clock.
//!
//! Does: a token bucket (as the generic cell rate algorithm, GCRA, which keeps one point in time), and a pause that the
//! host asked for. Does not: wait. A crate for rate limits was not taken because its clock is a type and not an
//! argument, and because the pause belongs into the same state.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::Instant;

/// So much may be asked at once after a rest, as a time of the steady rate.
const BURST: Duration = Duration::from_secs(5);

/// Why a host is left alone, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) until: Instant,
    /// What the host answered, in words.
    pub(crate) reason: String,
}

/// The pace of one host.
#[derive(Debug)]
pub(crate) struct Pace {
    /// One request each.
    interval: Duration,
    /// When the bucket would be full again: the theoretical arrival time of GCRA.
    full_at: Option<Instant>,
    pause: Option<Pause>,
}

impl Pace {
    pub(crate) fn new(requests_per_second: NonZeroU32) -> Self {
        Self { interval: Duration::from_secs(1) / requests_per_second.get(), full_at: None, pause: None }
    }

    /// Take the next place in the stream: when its request may be sent, at the earliest `now`.
    pub(crate) fn reserve(&mut self, now: Instant) -> Instant {
        let full_at = self.full_at.unwrap_or(now).max(now);
        self.full_at = Some(full_at + self.interval);
        // A bucket that holds one request less than the burst is full again one interval from now.
        full_at.checked_sub(BURST.saturating_sub(self.interval)).map_or(now, |at| at.max(now))
    }

    /// The host asked to be left alone. The longer of two pauses holds.
    pub(crate) fn pause(&mut self, until: Instant, reason: String) {
        if self.pause.as_ref().is_none_or(|pause| pause.until < until) {
            self.pause = Some(Pause { until, reason });
        }
    }

    /// The pause that holds at `now`.
    pub(crate) fn paused(&self, now: Instant) -> Option<&Pause> {
        self.pause.as_ref().filter(|pause| now < pause.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_requests_come_at_the_steady_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(NonZeroU32::new(20).unwrap());
        for n in 0..100 {
            assert_eq!(pace.reserve(start), start, "request {n} of the burst");
        }
        for n in 1..=40_u32 {
            assert_eq!(pace.reserve(start), start + Duration::from_millis(50) * n);
        }
        // Two seconds later what was taken in advance is used up; ten seconds later there is a burst again.
        let later = start + Duration::from_secs(2);
        assert_eq!(pace.reserve(later), later + Duration::from_millis(50));
        let rested = start + Duration::from_secs(20);
        assert_eq!((0..101).filter(|_| pace.reserve(rested) == rested).count(), 100);
    }

    #[test]
    fn a_rate_below_the_burst_lets_single_requests_through() {
        let start = Instant::now();
        let mut pace = Pace::new(NonZeroU32::MIN);
        let places: Vec<u64> = (0..7).map(|_| (pace.reserve(start) - start).as_secs()).collect();
        assert_eq!(places, [0, 0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn the_longer_pause_holds_until_it_is_over() {
        let start = Instant::now();
        let mut pace = Pace::new(NonZeroU32::MIN);
        assert_eq!(pace.paused(start), None);
        pace.pause(start + Duration::from_secs(7), "long".to_owned());
        pace.pause(start + Duration::from_secs(3), "short".to_owned());
        assert_eq!(pace.paused(start + Duration::from_millis(6999)).unwrap().reason, "long");
        assert_eq!(pace.paused(start + Duration::from_secs(7)), None);
    }
}
