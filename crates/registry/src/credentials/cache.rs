//! What is costly to get is got once for all who wait for it, kept until shortly before it ends, and bounded in
//! number. Does not decide what is costly.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::client::Fault;

/// Nothing is used when it might end on the way: this long before its end, or a tenth of a short life.
const MARGIN: Duration = Duration::from_secs(10);

enum State<V> {
    Empty,
    Kept {
        value: V,
        since: Instant,
        until: Option<Instant>,
    },
    /// For those who waited for the same attempt.
    Failed {
        fault: Fault,
        at: Instant,
    },
}

struct Slot<V> {
    used: Mutex<Instant>,
    /// Held while the value is got, so that all others wait for the one that gets it.
    state: tokio::sync::Mutex<State<V>>,
}

pub(crate) struct Cache<V> {
    slots: Mutex<HashMap<String, Arc<Slot<V>>>>,
    most: usize,
}

impl<V: Clone> Cache<V> {
    /// At most `most` values; the one that was not used for the longest time makes room.
    pub(crate) fn new(most: usize) -> Self {
        Self { slots: Mutex::new(HashMap::new()), most }
    }

    /// What is kept and can still be used. Waits while it is renewed.
    pub(crate) async fn peek(&self, key: &str) -> Option<V> {
        let slot = self.slots.lock().unwrap_or_else(PoisonError::into_inner).get(key).map(Arc::clone)?;
        touch(&slot);
        match &*slot.state.lock().await {
            State::Kept { value, until, .. } if lasts(*until) => Some(value.clone()),
            _ => None,
        }
    }

    /// What is kept, unless `is_refused` says that it is of no use; else what `fetch` gets, with the length of its
    /// life. Who waited for a fetch takes its result, also when that is a failure.
    pub(crate) async fn get(
        &self,
        key: &str,
        is_refused: impl Fn(&V) -> bool,
        fetch: impl Future<Output = Result<(V, Option<Duration>), Fault>>,
    ) -> Result<V, Fault> {
        let asked = Instant::now();
        let slot = self.slot(key);
        let mut state = slot.state.lock().await;
        match &*state {
            State::Kept { value, since, until } if !is_refused(value) && (*since >= asked || lasts(*until)) => {
                return Ok(value.clone());
            }
            State::Failed { fault, at } if *at >= asked => return Err(fault.again()),
            _ => {}
        }
        match fetch.await {
            Ok((value, life)) => {
                let since = Instant::now();
                // A life beyond what the clock can hold is nonsense: the value is not kept.
                let until = life.map(|life| since.checked_add(life - MARGIN.min(life / 10)).unwrap_or(since));
                *state = State::Kept { value: value.clone(), since, until };
                Ok(value)
            }
            Err(fault) => {
                *state = State::Failed { fault: fault.again(), at: Instant::now() };
                Err(fault)
            }
        }
    }

    fn slot(&self, key: &str) -> Arc<Slot<V>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(key) {
            touch(slot);
            return Arc::clone(slot);
        }
        while slots.len() >= self.most.max(1) {
            let idle = slots.iter().filter(|(_, slot)| Arc::strong_count(slot) == 1);
            let oldest = idle.min_by_key(|(_, slot)| *slot.used.lock().unwrap_or_else(PoisonError::into_inner));
            // All are in use at this moment: there are as many callers, who are bounded elsewhere.
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
            slots.remove(&oldest);
        }
        let slot = Arc::new(Slot { used: Mutex::new(Instant::now()), state: tokio::sync::Mutex::new(State::Empty) });
        slots.insert(key.to_owned(), Arc::clone(&slot));
        slot
    }
}

fn touch<V>(slot: &Slot<V>) {
    *slot.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
}

fn lasts(until: Option<Instant>) -> bool {
    until.is_none_or(|until| Instant::now() < until)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn get(cache: &Cache<u32>, key: &str, refused: Option<u32>, value: u32, life: Duration) -> u32 {
        cache.get(key, |kept| Some(*kept) == refused, async { Ok((value, Some(life))) }).await.unwrap()
    }

    #[tokio::test]
    async fn a_value_is_kept_until_it_ends_or_is_refused() {
        let (cache, hour) = (Cache::new(8), Duration::from_secs(3600));
        assert_eq!(get(&cache, "a", None, 1, hour).await, 1);
        assert_eq!(get(&cache, "a", None, 2, hour).await, 1);
        assert_eq!(get(&cache, "a", Some(7), 3, hour).await, 1, "another value was refused");
        assert_eq!(get(&cache, "a", Some(1), 4, Duration::ZERO).await, 4);
        assert_eq!(cache.peek("a").await, None, "it has ended");
        assert_eq!(get(&cache, "a", None, 5, hour).await, 5);
        assert_eq!((cache.peek("a").await, cache.peek("b").await), (Some(5), None));
        assert_eq!(get(&cache, "c", None, 6, Duration::MAX).await, 6);
        assert_eq!(cache.peek("c").await, None, "nothing lasts so long");
    }

    #[tokio::test]
    async fn those_who_wait_share_one_attempt_and_its_failure() {
        let (cache, attempts) = (Cache::<u32>::new(8), AtomicUsize::new(0));
        let attempt = || {
            cache.get("a", |_| false, async {
                attempts.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(Fault::new("no"))
            })
        };
        let (one, two, three) = tokio::join!(attempt(), attempt(), attempt());
        assert!(one.is_err() && two.is_err() && three.is_err());
        assert_eq!(attempts.load(Ordering::SeqCst), 1);
        assert!(attempt().await.is_err());
        assert_eq!(attempts.load(Ordering::SeqCst), 2, "a failure is not kept for those who come later");
    }

    #[tokio::test]
    async fn the_longest_unused_value_makes_room() {
        let (cache, hour) = (Cache::new(2), Duration::from_secs(3600));
        for (key, value) in [("a", 1), ("b", 2), ("a", 1), ("c", 3)] {
            get(&cache, key, None, value, hour).await;
        }
        assert_eq!((cache.peek("a").await, cache.peek("b").await, cache.peek("c").await), (Some(1), None, Some(3)));
    }
}
