//! Whether and when to try again: rules without a clock.
//!
//! `Retry-After`: RFC 9110 section 10.2.3, both forms.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{self, HeaderMap};

/// One request is tried so often.
pub(crate) const MOST_TRIES: u32 = 3;
/// So long a request waits in place, in all; who asks for more gets the error, and the caller comes back later.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Whatever a host asks for: a mistyped number must not silence a registry for years.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// How long a host that answers 429 without a time is left alone first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// The middle of the first wait.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// What is left of the time that one document may take.
#[derive(Debug)]
pub(crate) struct Patience {
    waiting: Duration,
    /// For exchanges with hosts. Waiting for one's turn is not counted: many requests queue on purpose.
    pub(crate) network: Duration,
    all: Duration,
}

impl Patience {
    /// `timeout` is that of one exchange; a document has twice that for all of its exchanges.
    pub(crate) fn new(timeout: Duration) -> Self {
        let all = timeout.saturating_mul(2);
        Self { waiting: LONGEST_WAIT, network: all, all }
    }

    /// How long exchanges took.
    pub(crate) fn spent(&self) -> Duration {
        self.all.saturating_sub(self.network)
    }

    /// Whether `wait` is still left; if so it is taken.
    pub(crate) fn may_wait(&mut self, wait: Duration) -> bool {
        match self.waiting.checked_sub(wait) {
            Some(left) => {
                self.waiting = left;
                true
            }
            None => false,
        }
    }
}

/// How long to wait after try number `tries` (from 1). `jitter` is from 0 to 1: without it, all who failed together
/// come again together.
pub(crate) fn back_off(tries: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    let middle = FIRST_WAIT * 3_u32.saturating_pow(tries.saturating_sub(1));
    middle.mul_f64(0.5 + jitter.clamp(0.0, 1.0)).max(asked.unwrap_or_default())
}

/// How long a host is left alone that asks for it without a time. `before`: so many pauses went before this one.
pub(crate) fn pause_without_a_time(before: u32) -> Duration {
    PAUSES.0.saturating_mul(2_u32.saturating_pow(before)).min(PAUSES.1)
}

/// For how long an answer asks us to stay away. A date is compared with the answer's own `Date`, so that the
/// clocks need not agree, else with `now`.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let sent = headers.get(header::DATE).and_then(|date| moment(date.to_str().ok()?));
        moment(text)?.duration_since(sent.unwrap_or(now)).try_into().unwrap_or(Duration::ZERO)
    };
    Some(asked.min(LONGEST_PAUSE))
}

/// HTTP's date is that of mails with a fixed form.
fn moment(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(retry_after_text: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, retry_after_text.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().unwrap());
        }
        retry_after(&headers, "2026-11-21T08:00:00Z".parse().unwrap()).map(|length| length.as_secs())
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        assert_eq!(asked("7", None), Some(7));
        assert_eq!(asked(" 0 ", None), Some(0));
        assert_eq!(asked("Sat, 21 Nov 2026 08:00:30 GMT", None), Some(30));
        let other_clock = Some("Sat, 21 Nov 2026 09:30:00 GMT");
        assert_eq!(asked("Sat, 21 Nov 2026 09:30:05 GMT", other_clock), Some(5), "the clocks need not agree");
        assert_eq!(asked("Sat, 21 Nov 2026 07:00:00 GMT", None), Some(0), "in the past");
        for nonsense in ["", "-5", "soon", "7s", "Sat, 21 Nov", "1.5"] {
            assert_eq!(asked(nonsense, None), None, "{nonsense}");
        }
        assert_eq!(asked("99999999999999999999999", None), Some(3600));
        assert_eq!(asked("Sat, 21 Nov 2099 08:00:30 GMT", None), Some(3600));
        assert_eq!(retry_after(&HeaderMap::new(), Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn waits_grow_and_vary_and_never_undercut_what_was_asked() {
        let wait =
            |tries, asked: Option<u64>, jitter| back_off(tries, asked.map(Duration::from_millis), jitter).as_millis();
        assert_eq!([wait(1, None, 0.0), wait(1, None, 1.0)], [100, 300]);
        assert_eq!([wait(2, None, 0.0), wait(2, None, 1.0)], [300, 900]);
        assert_eq!([wait(1, Some(2000), 1.0), wait(1, Some(0), 0.5)], [2000, 200]);
    }

    #[test]
    fn pauses_without_a_time_double_up_to_a_minute() {
        let pauses = [0, 1, 2, 3, 4, 5, u32::MAX].map(|before| pause_without_a_time(before).as_secs());
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60, 60]);
    }

    #[test]
    fn patience_ends() {
        let mut patience = Patience::new(Duration::from_secs(30));
        assert_eq!(patience.network, Duration::from_secs(60));
        assert!(!patience.may_wait(Duration::from_millis(2001)));
        assert!(patience.may_wait(Duration::from_millis(1500)));
        assert!(!patience.may_wait(Duration::from_millis(501)) && patience.may_wait(Duration::from_millis(500)));
    }
}
