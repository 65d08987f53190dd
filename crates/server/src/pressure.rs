//! Whether deliveries can be stored now, and how much waits: what senders and `/readyz` are told.
//!
//! How many events wait is counted by the database now and then, and between two counts what is accepted is added, so that no
//! request waits for a count. Whether writing works shows by deliveries themselves, and by a probe where none came. Nothing
//! here keeps a delivery from being tried: what failed once may work the next time, without a person.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration as Time,
};

use serde::Serialize;
use tagboat_engine::chain;
use tagboat_model::{Duration, Timestamp};
use tagboat_ports::{Clock, Store, StoreError, Tally};

/// A delivery that is not stored after this long is answered with 503; if it is stored all the same, its repetition is known.
pub(crate) const LONGEST_WRITE: Time = Time::from_secs(5);
/// A probe that waits longer is no news.
const PROBE_TIME: Time = Time::from_secs(2);
/// What was found out this recently is not found out again.
const RECENT: Duration = Duration::from_seconds(1);
/// Between two counts.
const SHORTEST_PAUSE: Duration = Duration::from_seconds(2);
const LONGEST_PAUSE: Duration = Duration::from_seconds(30);
/// Counting takes no more than this part of the time.
const PART: u64 = 20;

/// Why deliveries cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Trouble {
    /// So much waits that nothing more is taken.
    QueueFull,
    /// There is no room left.
    DiskFull,
    /// The database may be read and not written.
    ReadOnly,
    /// The database is damaged.
    Corrupt,
    /// The disk does not do what it is asked.
    DiskFailing,
    /// The database does not answer in time.
    Slow,
    /// The database does not do what it is asked, for another reason.
    DatabaseFailing,
}

impl Trouble {
    /// By the words of the database: SQLite's and PostgreSQL's, which carry no other mark through the port.
    fn of(error: &StoreError) -> Self {
        let words = chain(error).to_ascii_lowercase();
        let has = |all: &[&str]| all.iter().any(|part| words.contains(part));
        if has(&["database or disk is full", "no space left", "disk quota", "could not extend"]) {
            Self::DiskFull
        } else if has(&["readonly database", "read-only", "read only", "unable to open database file"]) {
            Self::ReadOnly
        } else if has(&["malformed", "not a database", "corrupt", "invalid page"]) {
            Self::Corrupt
        } else if has(&["disk i/o error", "input/output error"]) {
            Self::DiskFailing
        } else if has(&["is locked", "timed out", "timeout"]) {
            Self::Slow
        } else {
            Self::DatabaseFailing
        }
    }

    /// What it is and what to do.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::QueueFull => {
                "as many events wait as `limits.pendingEvents` of the server file allows; see which branches fail \
                 (the status page, `/api/v1/branches`), or raise it"
            }
            Self::DiskFull => "the disk of the database is full; make room there, nothing else is needed",
            Self::ReadOnly => "the database cannot be written; see who owns its files and how its disk is mounted",
            Self::Corrupt => {
                "the database is damaged; stop the server, put the damaged file aside, restore a copy or start without one"
            }
            Self::DiskFailing => "the disk of the database does not read or write; see the log of the operating system",
            Self::Slow => "the database does not answer in time; see what keeps it or its disk busy",
            Self::DatabaseFailing => "the database does not do what it is asked; the log says why",
        }
    }
}

/// How things stand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    pub(crate) trouble: Option<Trouble>,
    pub(crate) last_write: Option<Timestamp>,
    pub(crate) pending: u64,
    pub(crate) most_pending: u64,
}

#[derive(Debug, Default)]
struct State {
    counted: Option<(Tally, Timestamp)>,
    /// Events that were accepted since.
    since: u64,
    last_write: Option<Timestamp>,
    /// Whether the database was looked through, and is damaged. That others can be written does not mend it.
    damaged: bool,
    /// What went wrong last, if nothing was written since.
    failed: Option<(Trouble, Timestamp)>,
}

/// See the module.
#[derive(Debug)]
pub struct Pressure {
    most_pending: u64,
    state: Mutex<State>,
    /// One probe and one count at a time: whoever waits for it has its result.
    probing: tokio::sync::Mutex<()>,
    counting: tokio::sync::Mutex<()>,
}

impl Pressure {
    /// Nothing more is taken while this many events wait.
    #[must_use]
    pub fn new(most_pending: u64) -> Self {
        Self { most_pending, state: Mutex::default(), probing: Default::default(), counting: Default::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How things stand, by what was last found out.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.state();
        let pending = state.counted.map_or(0, |(tally, _)| tally.pending).saturating_add(state.since);
        let full = (pending >= self.most_pending).then_some(Trouble::QueueFull);
        let damaged = state.damaged.then_some(Trouble::Corrupt);
        let trouble = state.failed.map(|(trouble, _)| trouble).or(damaged).or(full);
        Standing { trouble, last_write: state.last_write, pending, most_pending: self.most_pending }
    }

    /// Whether so much waits that nothing more is taken.
    pub(crate) fn is_full(&self) -> bool {
        let standing = self.standing();
        standing.pending >= standing.most_pending
    }

    /// So many new events were stored.
    pub(crate) fn stored(&self, events: usize, now: Timestamp) {
        let mut state = self.state();
        state.since = state.since.saturating_add(events as u64);
        (state.last_write, state.failed) = (Some(now), None);
    }

    /// The database was looked through. What is damaged stays so for as long as the process runs; that it could not be read
    /// says nothing about what is in it.
    pub fn found_damage(&self, error: &StoreError) {
        let mut state = self.state();
        state.damaged |= Trouble::of(error) == Trouble::Corrupt;
    }

    /// Something could not be written.
    pub(crate) fn failed(&self, error: &StoreError, now: Timestamp) {
        self.state().failed = Some((Trouble::of(error), now));
    }

    /// Nothing was heard of a write in time.
    pub(crate) fn too_slow(&self, now: Timestamp) {
        self.state().failed = Some((Trouble::Slow, now));
    }

    /// How things stand, by a write of a moment ago at most.
    pub(crate) async fn found_out(&self, store: &dyn Store, clock: &dyn Clock) -> Standing {
        let _one = self.probing.lock().await;
        let now = clock.now();
        let is_recent = |at: Timestamp| now.since(at) < RECENT;
        let is_known = {
            let state = self.state();
            match state.failed {
                Some((_, at)) => is_recent(at),
                None => state.last_write.is_some_and(is_recent),
            }
        };
        if !is_known {
            match tokio::time::timeout(PROBE_TIME, store.probe()).await {
                Ok(Ok(())) => self.stored(0, clock.now()),
                Ok(Err(error)) => {
                    tracing::warn!(error = %chain(&error), "not ready");
                    self.failed(&error, clock.now());
                }
                Err(_) => self.too_slow(clock.now()),
            }
        }
        self.standing()
    }

    /// What waits, counted not longer ago than `age`.
    pub(crate) async fn tally(&self, store: &dyn Store, now: Timestamp, age: Duration) -> Result<Tally, StoreError> {
        let _one = self.counting.lock().await;
        if let Some((tally, at)) = self.state().counted
            && now.since(at) < age
        {
            return Ok(tally);
        }
        let before = self.state().since;
        let tally = store.tally(now).await?;
        let mut state = self.state();
        // What came before the count is in it; what came since may be in it as well, which only makes us careful.
        state.since -= before;
        state.counted = Some((tally, now));
        Ok(tally)
    }

    /// Count now and then, until the future is dropped. What is full is looked at sooner.
    pub async fn watch(&self, store: &dyn Store, clock: &dyn Clock) {
        loop {
            let begin = clock.now();
            if let Err(error) = self.tally(store, begin, Duration::ZERO).await {
                tracing::warn!(error = %chain(&error), "what waits could not be counted");
            }
            let took = clock.now().since(begin).milliseconds();
            let pause = Duration::from_milliseconds(took.saturating_mul(PART)).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            clock.sleep_until(clock.now().plus(pause)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(words: &str) -> StoreError {
        StoreError { operation: "store a delivery", source: words.into() }
    }

    #[test]
    fn what_is_wrong_is_told_by_the_words_of_both_databases() {
        for (words, trouble) in [
            ("error returned from database: (code: 13) database or disk is full", Trouble::DiskFull),
            ("could not extend file \"base/5/2619\": No space left on device", Trouble::DiskFull),
            ("error returned from database: (code: 8) attempt to write a readonly database", Trouble::ReadOnly),
            ("cannot execute INSERT in a read-only transaction", Trouble::ReadOnly),
            ("error returned from database: (code: 11) database disk image is malformed", Trouble::Corrupt),
            ("error returned from database: (code: 26) file is not a database", Trouble::Corrupt),
            ("error returned from database: (code: 778) disk I/O error", Trouble::DiskFailing),
            ("error returned from database: (code: 5) database is locked", Trouble::Slow),
            ("canceling statement due to statement timeout", Trouble::Slow),
            ("the writer has ended", Trouble::DatabaseFailing),
        ] {
            assert_eq!(Trouble::of(&error(words)), trouble, "{words}");
        }
    }

    #[test]
    fn damage_that_was_found_is_not_over_with_the_next_write() {
        let pressure = Pressure::new(3);
        pressure.found_damage(&error("error returned from database: (code: 5) database is locked"));
        assert!(pressure.standing().trouble.is_none(), "it could not be looked through");
        pressure.found_damage(&error("the database is corrupt: Tree 7 page 9: btreeInitPage() returns error code 11"));
        pressure.stored(1, Timestamp(2));
        assert_eq!(pressure.standing().trouble, Some(Trouble::Corrupt));
    }

    #[test]
    fn what_failed_is_over_with_the_next_write() {
        let pressure = Pressure::new(3);
        assert!(pressure.standing().trouble.is_none());
        pressure.failed(&error("database or disk is full"), Timestamp(1));
        assert_eq!(pressure.standing().trouble, Some(Trouble::DiskFull));
        pressure.stored(2, Timestamp(2));
        assert!(pressure.standing().trouble.is_none() && !pressure.is_full());
        pressure.stored(1, Timestamp(3));
        assert_eq!(pressure.standing().trouble, Some(Trouble::QueueFull));
        assert!(pressure.is_full());
    }
}
