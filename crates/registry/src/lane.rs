//! One lane for each host that is asked on behalf of a registry: its places, its pace, its breaker.
//!
//! Lanes are not shared between registries, also where two send us to the same host: a registry that sends us to
//! nonsense at another's host must not silence the other.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    breaker::Breaker,
    fault::{Fault, Nature},
    pace::Pace,
    retry::{self, MOST_TRIES, Patience},
    transport::Limits,
};

/// Redirects can name ever new hosts; the lanes that were not used for longest are forgotten.
const MOST_LANES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// All lanes, by registry and host.
pub(crate) struct Lanes(Mutex<LruCache<(String, String), Arc<Lane>>>);

impl Lanes {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(MOST_LANES)))
    }

    pub(crate) fn get(&self, registry: &str, host: &str, limits: Limits) -> Arc<Lane> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.get_or_insert((registry.to_owned(), host.to_owned()), || Arc::new(Lane::new(host, limits)));
        Arc::clone(lane)
    }
}

/// How one host is asked.
pub(crate) struct Lane {
    host: String,
    places: Semaphore,
    state: Mutex<State>,
}

struct State {
    pace: Pace,
    breaker: Breaker,
    /// Pauses in a row that the host asked for without a time.
    pauses: u32,
}

impl Lane {
    fn new(host: &str, limits: Limits) -> Self {
        let state = State { pace: Pace::new(limits.requests_per_second), breaker: Breaker::default(), pauses: 0 };
        let places = Semaphore::new(limits.requests_at_once.get().min(Semaphore::MAX_PERMITS));
        Self { host: host.to_owned(), places, state: Mutex::new(state) }
    }

    /// Run `attempt` in its turn, and again while it fails in a way that may pass.
    pub(crate) async fn run<T, F: Future<Output = Result<T, Fault>>>(
        &self,
        patience: &mut Patience,
        attempt: impl Fn(std::time::Duration) -> F,
    ) -> Result<T, Fault> {
        let mut tries = 0;
        loop {
            if patience.network.is_zero() {
                // Others took the time, so that this host is not to blame.
                return Err(Fault::new(format!("no time was left to ask {}", self.host)));
            }
            let place = self.enter(patience).await?;
            let start = Instant::now();
            let result = match tokio::time::timeout(patience.network, attempt(patience.network)).await {
                Ok(result) => result,
                Err(_) => {
                    let fault = Fault::new(format!("{} did not answer in time", self.host));
                    Err(fault.passing(Nature::Outage).of_host())
                }
            };
            patience.network = patience.network.saturating_sub(start.elapsed());
            let result = self.note(result);
            drop(place);
            let fault = match result {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            tries += 1;
            if fault.nature() == Nature::Lasting || tries >= MOST_TRIES || patience.network.is_zero() {
                return Err(fault);
            }
            let wait = retry::back_off(tries, fault.retry_after(), fastrand::f64());
            if !patience.may_wait(wait) {
                return Err(fault);
            }
            sleep(wait).await;
        }
    }

    /// Wait for a place and for the pace; fail at once while the host is left alone.
    async fn enter(&self, patience: &mut Patience) -> Result<SemaphorePermit<'_>, Fault> {
        let place = self.places.acquire().await.map_err(|error| Fault::new("the client was stopped").because(error))?;
        self.pass(patience, |breaker, now| breaker.closed_until(now).map_or(Ok(()), Err)).await?;
        let turn = self.state().pace.reserve(Instant::now());
        sleep_until(turn).await;
        // Others may have failed in the meantime.
        self.pass(patience, Breaker::admit).await?;
        Ok(place)
    }

    /// Sit out a short pause; fail in a longer one, or when the breaker is open.
    async fn pass(
        &self,
        patience: &mut Patience,
        ask: impl Fn(&mut Breaker, Instant) -> Result<(), Instant>,
    ) -> Result<(), Fault> {
        loop {
            let (wait, reason) = {
                let (now, mut state) = (Instant::now(), self.state());
                match state.pace.paused(now) {
                    Some(pause) => (pause.until - now, pause.reason.clone()),
                    None => match ask(&mut state.breaker, now) {
                        Ok(()) => return Ok(()),
                        Err(until) => {
                            let reason = state.breaker.reason(&self.host);
                            let wait = until.saturating_duration_since(now);
                            return Err(Fault::new(reason).not_before(Some(wait)).of_host());
                        }
                    },
                }
            };
            if !patience.may_wait(wait) {
                return Err(Fault::new(reason).not_before(Some(wait)).of_host());
            }
            sleep(wait).await;
        }
    }

    /// Learn from what became of a request. A host that asks for a pause without a time gets one that grows while it
    /// goes on asking; the fault says how long then.
    fn note<T>(&self, result: Result<T, Fault>) -> Result<T, Fault> {
        let (now, mut state) = (Instant::now(), self.state());
        match &result {
            Err(fault) if fault.nature() == Nature::Outage => state.breaker.failed(now, fault.detail()),
            _ => state.breaker.answered(),
        }
        match result {
            Err(fault) if fault.nature() != Nature::Lasting => {
                let wait = match (fault.nature(), fault.retry_after()) {
                    (Nature::Busy, None) => Some(state.next_pause(now)),
                    (_, wait) => wait,
                };
                if let Some(wait) = wait {
                    state.pace.pause(now + wait, fault.detail().to_owned());
                }
                Err(fault.not_before(wait))
            }
            other => {
                state.pauses = 0;
                other
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How long to leave the host alone that asks for it without a time.
    fn next_pause(&mut self, now: Instant) -> std::time::Duration {
        if let Some(pause) = self.pace.paused(now) {
            // It was sent before the pause began, and says nothing new.
            return pause.until - now;
        }
        self.pauses = self.pauses.saturating_add(1);
        retry::pause_without_a_time(self.pauses - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        num::NonZeroU32,
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;

    const LIMITS: Limits =
        Limits { requests_per_second: NonZeroU32::MAX, requests_at_once: NonZeroUsize::MIN.saturating_add(1) };

    fn patience() -> Patience {
        Patience::new(Duration::from_secs(5))
    }

    async fn all<F: Future + Send + 'static>(runs: impl IntoIterator<Item = F>) -> Vec<F::Output>
    where
        F::Output: Send,
    {
        runs.into_iter().collect::<tokio::task::JoinSet<_>>().join_all().await
    }

    #[tokio::test]
    async fn only_so_many_requests_are_under_way_together() {
        let lane = Lanes::new().get("r.example", "r.example", LIMITS);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let runs = (0..10).map(|_| {
            let (lane, now, most) = (Arc::clone(&lane), Arc::clone(&now), Arc::clone(&most));
            async move {
                let attempt = |_| async {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    sleep(Duration::from_millis(5)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                };
                lane.run(&mut patience(), attempt).await.unwrap();
            }
        });
        all(runs).await;
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_short_pause_is_sat_out_by_everybody() {
        let lane = Lanes::new().get("r.example", "r.example", LIMITS);
        let (start, first) = (Instant::now(), AtomicUsize::new(0));
        let pause = Duration::from_millis(400);
        let attempt = |_| async {
            match first.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Fault::new("busy").passing(Nature::Busy).not_before(Some(pause))),
                _ => Ok(start.elapsed()),
            }
        };
        let other = async {
            sleep(Duration::from_millis(50)).await;
            lane.run(&mut patience(), |_| async { Ok(start.elapsed()) }).await
        };
        let mut own = patience();
        let (one, two) = tokio::join!(lane.run(&mut own, attempt), other);
        assert!(one.unwrap() >= pause && two.unwrap() >= pause);
    }

    #[tokio::test]
    async fn what_takes_too_long_is_an_outage_and_the_time_is_taken_from_the_document() {
        let lane = Lanes::new().get("r.example", "r.example", LIMITS);
        let mut patience = Patience::new(Duration::from_millis(50));
        let fault = lane.run(&mut patience, |_| std::future::pending::<Result<(), Fault>>()).await.unwrap_err();
        assert_eq!((fault.nature(), fault.detail()), (Nature::Outage, "r.example did not answer in time"));
        assert!(patience.network.is_zero());
    }

    #[tokio::test]
    async fn without_time_nothing_is_sent_and_the_host_is_not_blamed() {
        let lane = Lanes::new().get("r.example", "r.example", LIMITS);
        for _ in 0..20 {
            let attempt = |_| async { panic!("it was sent") };
            let fault = lane.run::<(), _>(&mut Patience::new(Duration::ZERO), attempt).await.unwrap_err();
            assert_eq!((fault.nature(), fault.detail()), (Nature::Lasting, "no time was left to ask r.example"));
        }
        lane.run(&mut patience(), |_| async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn a_host_that_asks_for_pauses_without_a_time_gets_longer_ones() {
        let lane = Lanes::new().get("r.example", "r.example", LIMITS);
        let (mut now, mut waits) = (Instant::now(), Vec::new());
        for _ in 0..6 {
            let wait = lane.state().next_pause(now);
            lane.state().pace.pause(now + wait, "busy".to_owned());
            let second = Duration::from_secs(1);
            assert_eq!(lane.state().next_pause(now + second), wait - second, "it was sent before the pause");
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        lane.note(Err::<(), _>(Fault::new("down").passing(Nature::Outage))).unwrap_err();
        assert_eq!(lane.state().pauses, 6);
        lane.note(Ok(())).unwrap();
        assert_eq!(lane.state().pauses, 0, "it has stopped asking");
    }

    #[tokio::test]
    async fn one_registry_cannot_silence_the_host_of_another() {
        let lanes = Lanes::new();
        let broken = lanes.get("evil.example", "r.example", LIMITS);
        for _ in 0..3 {
            let attempt = |_| async { Err::<(), _>(Fault::new("down").passing(Nature::Outage)) };
            broken.run(&mut patience(), attempt).await.unwrap_err();
        }
        let attempt = |_| async { Ok(()) };
        assert!(broken.run(&mut patience(), attempt).await.is_err());
        assert!(lanes.get("r.example", "r.example", LIMITS).run(&mut patience(), attempt).await.is_ok());
    }
}
