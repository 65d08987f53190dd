//! When a host is taken for down: a state machine without a clock.
//!
//! Outages are connections that fail or break off, time-outs and statuses 5xx. Any other answer, also a refusal,
//! shows that somebody is there.

use std::time::Duration;

use tokio::time::Instant;

/// So many outages in a row open the breaker.
pub(crate) const MOST_OUTAGES: u32 = 8;
/// How long nothing is sent, and how long one probe has for its answer before the next is sent.
pub(crate) const REST: Duration = Duration::from_secs(30);

/// The breaker of one host.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    outages: u32,
    /// What the last outage was, in words.
    last: String,
    /// Open, and until when. One request after that is the probe and moves this on: a probe that is given up without
    /// an answer must not keep the breaker half-open for ever.
    open_until: Option<Instant>,
}

impl Breaker {
    /// Until when nothing may be sent; `None` when something may. Changes nothing.
    pub(crate) fn closed_until(&self, now: Instant) -> Option<Instant> {
        self.open_until.filter(|until| now < *until)
    }

    /// Ask to send a request now. After a rest one request is let through as a probe.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), Instant> {
        match self.open_until {
            Some(until) if now < until => Err(until),
            Some(_) => {
                self.open_until = Some(now + REST);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A request was answered.
    pub(crate) fn answered(&mut self) {
        *self = Self::default();
    }

    /// A request met an outage.
    pub(crate) fn failed(&mut self, now: Instant, what: &str) {
        self.outages = self.outages.saturating_add(1);
        what.clone_into(&mut self.last);
        if self.outages >= MOST_OUTAGES {
            self.open_until = Some(now + REST);
        }
    }

    /// Why nothing is sent, in words.
    pub(crate) fn reason(&self, host: &str) -> String {
        format!("nothing is sent to {host} for now, {} requests in a row failed; the last: {}", self.outages, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(start: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for n in 0..MOST_OUTAGES {
            assert_eq!(breaker.admit(start), Ok(()), "request {n}");
            breaker.failed(start, "status 500");
        }
        breaker
    }

    #[test]
    fn it_opens_after_eight_outages_in_a_row() {
        let start = Instant::now();
        let mut breaker = opened(start);
        assert_eq!(breaker.admit(start), Err(start + REST));
        assert_eq!(breaker.closed_until(start), Some(start + REST));
        assert!(breaker.reason("r.example").contains("8 requests in a row failed; the last: status 500"));
        let mut mixed = Breaker::default();
        for _ in 0..3 {
            (0..MOST_OUTAGES - 1).for_each(|_| mixed.failed(start, "reset"));
            mixed.answered();
        }
        assert_eq!(mixed.admit(start), Ok(()));
    }

    #[test]
    fn one_probe_decides_after_a_rest() {
        let start = Instant::now();
        let later = start + REST;
        let mut bad = opened(start);
        assert_eq!(bad.closed_until(later), None);
        assert_eq!(bad.admit(later), Ok(()), "the probe");
        assert_eq!(bad.admit(later), Err(later + REST), "one alone");
        let answered = later + Duration::from_secs(2);
        bad.failed(answered, "status 502");
        assert_eq!(bad.admit(answered), Err(answered + REST));

        let mut good = opened(start);
        assert_eq!(good.admit(later), Ok(()));
        good.answered();
        assert_eq!((good.admit(later), good.admit(later)), (Ok(()), Ok(())));
    }

    #[test]
    fn a_probe_without_an_end_is_followed_by_another() {
        let start = Instant::now();
        let mut breaker = opened(start);
        assert_eq!(breaker.admit(start + REST), Ok(()));
        assert_eq!(breaker.admit(start + REST * 2), Ok(()));
    }
}
