//! When GitHub may be asked: a state machine without a clock.
//!
//! docs.github.com, "Rate limits for the REST API" and "Best practices for using the REST API": a primary limit with
//! what is left of it in every answer, one for REST and one for GraphQL; and secondary limits that only show when
//! they are exceeded, after which writes are kept a second apart.

use http::HeaderMap;
use tagboat_model::{Duration, Timestamp};

use crate::http::retry_after;

/// How long to wait after a secondary limit that names no time: "at least one minute".
const UNNAMED_PAUSE: Duration = Duration::from_seconds(60);
/// For so long after a secondary limit writes are spaced.
const CAREFUL: Duration = Duration::from_seconds(600);
/// How far apart they are then.
const SPACING: Duration = Duration::from_seconds(1);

/// Which of the primary limits a request counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    Core,
    Graphql,
}

impl Resource {
    fn word(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Graphql => "graphql",
        }
    }
}

/// What is left of a primary limit, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Budget {
    remaining: u64,
    reset: Timestamp,
}

/// The limits of one installation or one token.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    core: Option<Budget>,
    graphql: Option<Budget>,
    paused_until: Timestamp,
    careful_until: Timestamp,
    /// When the next write may be sent, while we are careful.
    next_write: Timestamp,
}

impl Limits {
    /// May this be asked now? How long to wait in place first, or how long GitHub is to be left alone.
    pub(crate) fn enter(&mut self, resource: Resource, is_write: bool, now: Timestamp) -> Result<Duration, Duration> {
        if now < self.paused_until {
            return Err(self.paused_until.since(now));
        }
        if let Some(budget) = self.budget(resource)
            && budget.remaining == 0
            && now < budget.reset
        {
            return Err(budget.reset.since(now));
        }
        if !is_write || now >= self.careful_until {
            return Ok(Duration::ZERO);
        }
        let turn = self.next_write.max(now);
        self.next_write = turn.plus(SPACING);
        Ok(turn.since(now))
    }

    /// Read what an answer says of limits. For how long GitHub is to be left alone, if this answer is a refusal for
    /// that.
    pub(crate) fn note(
        &mut self,
        resource: Resource,
        status: u16,
        headers: &HeaderMap,
        words: &str,
        now: Timestamp,
    ) -> Option<Duration> {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let named = headers.get("x-ratelimit-resource").and_then(|value| value.to_str().ok());
        if let (Some(remaining), Some(reset)) = (number("x-ratelimit-remaining"), number("x-ratelimit-reset"))
            && named.is_none_or(|name| name == resource.word())
        {
            *self.slot(resource) = Some(Budget { remaining, reset: seconds(reset) });
        }
        if !matches!(status, 403 | 429) {
            return None;
        }
        let asked = retry_after(headers, now);
        if asked.is_none()
            && number("x-ratelimit-remaining") == Some(0)
            && let Some(reset) = number("x-ratelimit-reset")
        {
            return Some(seconds(reset).since(now).max(SPACING));
        }
        let words = words.to_ascii_lowercase();
        let is_secondary = words.contains("secondary rate limit") || words.contains("abuse detection");
        if asked.is_none() && !is_secondary && status == 403 {
            return None;
        }
        let wait = asked.unwrap_or(UNNAMED_PAUSE);
        self.paused_until = self.paused_until.max(now.plus(wait));
        self.careful_until = self.paused_until.plus(CAREFUL);
        Some(wait)
    }

    /// What is left of the limit of REST, as the last answer said.
    pub(crate) fn left(&self) -> Option<u64> {
        self.core.map(|budget| budget.remaining)
    }

    /// GraphQL says in the body of a 200 that its limit is used up.
    pub(crate) fn exhausted(&mut self, resource: Resource, now: Timestamp) -> Duration {
        match self.budget(resource) {
            Some(budget) if now < budget.reset => {
                *self.slot(resource) = Some(Budget { remaining: 0, ..budget });
                budget.reset.since(now)
            }
            _ => {
                self.paused_until = self.paused_until.max(now.plus(UNNAMED_PAUSE));
                UNNAMED_PAUSE
            }
        }
    }

    fn budget(&self, resource: Resource) -> Option<Budget> {
        match resource {
            Resource::Core => self.core,
            Resource::Graphql => self.graphql,
        }
    }

    fn slot(&mut self, resource: Resource) -> &mut Option<Budget> {
        match resource {
            Resource::Core => &mut self.core,
            Resource::Graphql => &mut self.graphql,
        }
    }
}

/// Seconds since 1970.
fn seconds(count: u64) -> Timestamp {
    Timestamp(i64::try_from(count.saturating_mul(1000)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn primary(remaining: &str) -> HeaderMap {
        headers(&[("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", "1700000090")])
    }

    #[test]
    fn a_used_up_limit_is_not_asked_until_it_is_reset() {
        let mut limits = Limits::default();
        assert_eq!(limits.note(Resource::Core, 200, &primary("0"), "", NOW), None, "this one was still answered");
        assert_eq!(limits.enter(Resource::Core, false, NOW), Err(Duration::from_seconds(90)));
        assert_eq!(limits.enter(Resource::Graphql, false, NOW), Ok(Duration::ZERO), "which has its own");
        assert_eq!(limits.enter(Resource::Core, false, Timestamp(1_700_000_090_000)), Ok(Duration::ZERO));
        assert_eq!(limits.note(Resource::Core, 403, &primary("0"), "", NOW), Some(Duration::from_seconds(90)));
        limits.note(Resource::Core, 200, &primary("17"), "", NOW);
        assert_eq!(limits.enter(Resource::Core, true, NOW), Ok(Duration::ZERO));
    }

    #[test]
    fn after_a_secondary_limit_there_is_a_pause_and_writes_are_spaced() {
        let mut limits = Limits::default();
        let asked = headers(&[("retry-after", "5")]);
        assert_eq!(limits.note(Resource::Core, 403, &asked, "", NOW), Some(Duration::from_seconds(5)));
        assert_eq!(limits.enter(Resource::Graphql, false, NOW), Err(Duration::from_seconds(5)), "it holds for all");
        let later = NOW.plus(Duration::from_seconds(5));
        assert_eq!(limits.enter(Resource::Core, true, later), Ok(Duration::ZERO));
        assert_eq!(limits.enter(Resource::Core, true, later), Ok(Duration::from_seconds(1)));
        assert_eq!(limits.enter(Resource::Core, true, later), Ok(Duration::from_seconds(2)));
        assert_eq!(limits.enter(Resource::Core, false, later), Ok(Duration::ZERO), "reading is not writing");
        let much_later = later.plus(CAREFUL);
        assert_eq!(limits.enter(Resource::Core, true, much_later), Ok(Duration::ZERO));
    }

    #[test]
    fn a_refusal_is_a_limit_only_when_it_says_so() {
        let mut limits = Limits::default();
        let none = HeaderMap::new();
        assert_eq!(limits.note(Resource::Core, 403, &none, "Resource not accessible by integration", NOW), None);
        assert_eq!(limits.note(Resource::Core, 404, &headers(&[("retry-after", "5")]), "", NOW), None);
        let words = "You have exceeded a secondary rate limit.";
        assert_eq!(limits.note(Resource::Core, 403, &none, words, NOW), Some(UNNAMED_PAUSE));
        assert_eq!(Limits::default().note(Resource::Core, 429, &none, "", NOW), Some(UNNAMED_PAUSE));
        assert_eq!(Limits::default().exhausted(Resource::Graphql, NOW), UNNAMED_PAUSE);
    }

    #[test]
    fn the_limits_of_searches_are_not_ours() {
        let mut limits = Limits::default();
        let mut others = primary("0");
        others.insert("x-ratelimit-resource", "search".parse().unwrap());
        limits.note(Resource::Core, 200, &others, "", NOW);
        assert_eq!(limits.enter(Resource::Core, false, NOW), Ok(Duration::ZERO));
    }
}
