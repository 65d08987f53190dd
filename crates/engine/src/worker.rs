//! Workers: take the branch that has been due longest, reconcile it, go on. Any number, on any machines.

use std::{convert::Infallible, panic::AssertUnwindSafe, pin::pin};

use futures_util::{
    FutureExt as _,
    future::{self, Either},
};
use tagboat_model::{Duration, EventId, Timestamp};
use tagboat_ports::{Finish, Step, StoreError, Work};
use tracing::{Instrument as _, debug_span};

use crate::{Engine, ReconcileError, chain};

/// The database is looked at this often even when nothing was heard of it.
const LONGEST_IDLE: Duration = Duration::from_seconds(5);
const FIRST_RETRY: Duration = Duration::from_seconds(2);
/// A credential or an address is not mended within seconds, and some servers lock out who keeps trying.
const PERSONS_NEED: Duration = Duration::from_seconds(60);
const LONGEST_RETRY: Duration = Duration::from_seconds(300);
/// What a registry may ask for at most.
const LONGEST_ASKED: Duration = Duration::from_seconds(3600);

/// What fails so often in the same way fails for ever: it is left alone.
const MOST_ATTEMPTS: u32 = 5;

/// What one step of a worker came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// A branch was reconciled.
    Worked,
    /// Nothing is due before this point in time.
    Idle(Timestamp),
}

impl Engine {
    /// Make the governing branches of all config repositories known. To be called once at the start.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(&self) -> Result<(), StoreError> {
        self.ports.store.release_orphans().await?;
        self.ports.store.know_branches(&self.governing_branches(), self.now()).await
    }

    /// Work until `stop` is ready. A reconcile that is under way is finished first.
    pub async fn run(&self, owner: &str, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop.fuse());
        while stop.as_mut().now_or_never().is_none() {
            let until = match self.step(owner).await {
                Ok(Stepped::Worked) => continue,
                Ok(Stepped::Idle(until)) => until,
                Err(error) => {
                    tracing::error!(error = %chain(&error), "the database did not answer; trying again");
                    self.now().plus(Duration::from_seconds(1))
                }
            };
            let idle = future::select(self.ports.store.changed(), self.ports.clock.sleep_until(until));
            if let Either::Right(_) = future::select(idle, stop.as_mut()).await {
                return;
            }
        }
    }

    /// Take one branch that is due and reconcile it.
    ///
    /// # Errors
    /// When the database does not answer. What goes wrong in a reconcile is written down and tried again.
    pub async fn step(&self, owner: &str) -> Result<Stepped, StoreError> {
        let store = &self.ports.store;
        let sweeping = store.mark_sweeps(self.behaviour.sweep, self.now());
        let next_sweep = sweeping.instrument(debug_span!("sweeps")).await?;
        let leasing = store.lease(owner, self.behaviour.settle, self.behaviour.lease, self.now());
        let work = match leasing.instrument(debug_span!("lease")).await? {
            Ok(work) => work,
            Err(due) => {
                let longest = self.now().plus(LONGEST_IDLE);
                let until = [due, next_sweep].into_iter().flatten().fold(longest, Timestamp::min);
                return Ok(Stepped::Idle(until));
            }
        };
        let taken = Step::Taken { key: work.key.clone(), attempts: work.attempts, at: self.now() };
        self.ports.progress.step(&taken);
        let finish = match self.reconcile_held(&work).instrument(debug_span!("reconcile", branch = %work.key)).await {
            Ok(finish) => {
                self.ports.progress.step(&Step::Served { key: work.key.clone(), at: self.now() });
                finish
            }
            Err(error) => self.failed(&work, &error).await,
        };
        store.finish(&work, finish, self.now()).instrument(debug_span!("finish")).await?;
        Ok(Stepped::Worked)
    }

    /// Reconcile while the lease is renewed. A panic ends the reconcile and not the worker.
    async fn reconcile_held(&self, work: &Work) -> Result<Finish, ReconcileError> {
        let guarded = AssertUnwindSafe(self.reconcile(work)).catch_unwind();
        match future::select(pin!(guarded), pin!(self.keep_lease(work))).await {
            Either::Left((Ok(result), _)) => result,
            Either::Left((Err(_panic), _)) => Err(ReconcileError::Panicked),
            Either::Right((never, _)) => match never {},
        }
    }

    /// Renew the lease until this future is dropped. A renewal that fails is tried again; if the lease runs out all
    /// the same, the fence keeps this worker from closing what another one took.
    async fn keep_lease(&self, work: &Work) -> Infallible {
        loop {
            let third = Duration::from_milliseconds(self.behaviour.lease.milliseconds() / 3);
            self.ports.clock.sleep_until(self.now().plus(third)).await;
            if let Err(error) = self.ports.store.renew(work, self.now().plus(self.behaviour.lease)).await {
                tracing::warn!(branch = %work.key, error = %chain(&error), "a lease could not be renewed");
            }
        }
    }

    /// Hold the lease for longer, before something is done that nothing outside compares: whoever stood still meanwhile does
    /// it no more.
    pub(crate) async fn still_held(&self, work: &Work) -> Result<(), ReconcileError> {
        unless_taken_over(self.ports.store.renew(work, self.now().plus(self.behaviour.lease)).await?)
    }

    async fn failed(&self, work: &Work, error: &ReconcileError) -> Finish {
        // A database that does not answer now takes nothing from what is written down.
        let mut events: Vec<EventId> = Vec::new();
        let told = self.ports.store.pending_events(work, &mut |event| events.push(event.id)).await;
        if told.is_err() {
            events.clear();
        }
        // From now on: whoever asks for a time is not asked again before it is over.
        let at = self.now();
        let again_at = at.plus(wait_after(work.attempts, error));
        let swept =
            matches!(error, ReconcileError::Registry { swept: true, .. } | ReconcileError::AtForge { swept: true, .. });
        let attempts = work.attempts + 1;
        let parked = is_poison(attempts, error);
        let error = chain(error);
        if parked {
            tracing::error!(branch = %work.key, attempts, %error, "the reconcile fails every time; it is left alone until there is newer work, or `tagboat store retry`");
        } else {
            tracing::warn!(branch = %work.key, attempts, %again_at, %error, "the reconcile did not come to its end");
        }
        self.ports.progress.step(&Step::Failed { key: work.key.clone(), error: error.clone(), events, again_at, at });
        Finish::Failed { error, swept, again_at, parked }
    }
}

/// An error where the database says that another worker has the branch now.
pub(crate) fn unless_taken_over(is_held: bool) -> Result<(), ReconcileError> {
    if is_held { Ok(()) } else { Err(ReconcileError::TakenOver) }
}

/// Whether trying again is of no use. What others can mend, or what passes, is tried for ever.
fn is_poison(attempts: u32, error: &ReconcileError) -> bool {
    attempts >= MOST_ATTEMPTS && error.is_defect()
}

/// Twice as long each time. A registry may ask for more time, never for less.
fn wait_after(attempts: u32, error: &ReconcileError) -> Duration {
    let factor = 1_u64.checked_shl(attempts).unwrap_or(u64::MAX);
    let doubled = Duration::from_milliseconds(FIRST_RETRY.milliseconds().saturating_mul(factor)).min(LONGEST_RETRY);
    let least = if error.needs_a_person() { PERSONS_NEED } else { Duration::ZERO };
    let asked = error.retry_after().unwrap_or(Duration::ZERO).min(LONGEST_ASKED);
    doubled.max(least).max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_ports::{RegistryError, RegistryErrorKind};

    fn asked(seconds: Option<u64>) -> ReconcileError {
        let error = RegistryError {
            operation: "list the tags of".to_owned(),
            image: "r.example/acme/web".parse().unwrap(),
            detail: "status 429".to_owned(),
            kind: RegistryErrorKind::Outage,
            retry_after: seconds.map(Duration::from_seconds),
            source: None,
        };
        ReconcileError::Registry { error: Box::new(error), swept: false }
    }

    #[test]
    fn only_what_nobody_outside_can_mend_is_left_alone() {
        assert!(is_poison(5, &ReconcileError::Panicked));
        assert!(!is_poison(4, &ReconcileError::Panicked));
        assert!(!is_poison(1000, &asked(None)));
    }

    #[test]
    fn a_registry_may_ask_for_more_time_and_never_for_less() {
        for (attempts, seconds, expect) in [
            (0, None, 2),
            (3, None, 16),
            (63, None, 300),
            (64, None, 300),
            (0, Some(0), 2),
            (3, Some(7), 16),
            (0, Some(1800), 1800),
            (0, Some(1_000_000), 3600),
        ] {
            let wait = wait_after(attempts, &asked(seconds));
            assert_eq!(wait, Duration::from_seconds(expect), "{attempts} attempts, asked for {seconds:?}");
        }
    }
}
