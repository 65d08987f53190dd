//! The process that is killed, and the trap that kills it when a named point is reached.

use std::{
    process::{Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::Process;

/// Seen from a request of the server: on its way, or with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// It was sent, and nobody has acted on it.
    Asked,
    /// It was acted on, and the server has not heard of it.
    Answered,
}

/// Where the server can be killed from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    pub(super) place: &'static str,
    pub(super) moment: Moment,
    /// It is the so manieth time after the start that counts, from 1.
    pub(super) time: u32,
}

/// The server. Whoever holds one of these can kill it.
#[derive(Debug, Clone, Default)]
pub(super) struct Victim(Arc<Mutex<Option<Process>>>);

impl Victim {
    pub(super) fn start(&self, command: &mut Command, log: &std::path::Path) {
        *self.process() = Some(Process::start(command, Some(log)));
    }

    /// Send SIGKILL. Returns whether there was something to kill.
    pub(super) fn kill(&self) -> bool {
        let mut process = self.process();
        let Some(process) = process.as_mut() else { return false };
        if process.ended().is_some() {
            return false;
        }
        process.kill();
        true
    }

    /// How it ended, if it did.
    pub(super) fn end(&self) -> Option<ExitStatus> {
        self.process().as_mut().and_then(Process::ended)
    }

    /// As an operator ends it.
    pub(super) fn terminate(&self) {
        if let Some(mut process) = self.process().take() {
            process.terminate();
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Armed {
    point: Option<Point>,
    /// How often its place and moment came.
    seen: u32,
    /// Whether it killed.
    fired: bool,
}

/// Waits for one point at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Trap {
    pub(super) victim: Victim,
    armed: Arc<Mutex<Armed>>,
}

impl Trap {
    /// Wait for this point, or for none.
    pub(super) fn set(&self, point: Option<Point>) {
        *self.armed() = Armed { point, seen: 0, fired: false };
    }

    /// Whether it killed since it was set.
    pub(super) fn has_fired(&self) -> bool {
        self.armed().fired
    }

    /// Something happens. Returns whether the server was killed for it.
    pub(super) fn reach(&self, place: &str, moment: Moment) -> bool {
        let mut armed = self.armed();
        let Some(point) = armed.point.filter(|point| point.place == place && point.moment == moment) else {
            return false;
        };
        armed.seen += 1;
        if armed.seen != point.time {
            return false;
        }
        armed.fired = self.victim.kill();
        armed.fired
    }

    fn armed(&self) -> MutexGuard<'_, Armed> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
