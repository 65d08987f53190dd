//! Tells what happens, as it happens, with the time since the push.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tagboat_model::{Decision, Outcome};
use tagboat_ports::{Landed, Progress, Step};
use tokio::sync::mpsc;

use crate::{
    commands::words,
    demo::FirstCommit,
    output::{self, BOLD, DIM, GREEN, RED, YELLOW, short, styled},
};

/// Without a step for this long a reconcile has come to its end.
const QUIET: Duration = Duration::from_millis(300);
const LONGEST_START: Duration = Duration::from_secs(10);

pub(super) struct Narrator {
    state: Mutex<State>,
    first_commit: mpsc::UnboundedSender<()>,
}

struct State {
    /// Set by the push that is told about; nothing is told before.
    start: Option<Instant>,
    last_step: Instant,
    served: bool,
}

impl Narrator {
    pub(super) fn new() -> (Self, FirstCommit) {
        let (first_commit, receiver) = mpsc::unbounded_channel();
        let state = Mutex::new(State { start: None, last_step: Instant::now(), served: false });
        (Self { state, first_commit }, receiver)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start_clock(&self) {
        let mut state = self.state();
        (state.start, state.served) = (Some(Instant::now()), false);
    }

    /// Return once the reconcile under way has come to its end.
    pub(super) async fn wait_until_quiet(&self) {
        let begin = Instant::now();
        while begin.elapsed() < LONGEST_START {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let state = self.state();
            if state.served && state.last_step.elapsed() > QUIET {
                return;
            }
        }
    }

    fn tell(&self, what: &str, text: &str) {
        if let Some(start) = self.state().start {
            let time = styled(DIM, format!("{:>7.3} s", start.elapsed().as_secs_f64()));
            output::line(format!("{time}  {what:<11} {text}"));
        }
    }
}

impl Progress for Narrator {
    fn step(&self, step: &Step) {
        {
            let mut state = self.state();
            state.last_step = Instant::now();
            state.served |= matches!(step, Step::Served { .. });
        }
        match step {
            Step::Accepted { receiver, events, .. } => {
                for (id, event) in events {
                    self.tell("delivery", &format!("verified and stored: receiver {receiver} tells of {event}"));
                    self.tell("", &styled(DIM, format!("event {id}; settling")));
                }
            }
            Step::Refused { receiver, reason, .. } => {
                self.tell("refused", &styled(RED, format!("{receiver}: {reason}")));
            }
            Step::Gathered { head, references, .. } => {
                self.tell("gathered", &format!("{references} references at commit {}", short(head.as_str())));
            }
            Step::Asked { tag, answer, .. } => {
                self.tell("confirmed", &format!("the registry says that {tag} is {answer}"));
            }
            Step::Decided { decision, .. } => self.decided(decision),
            Step::Edited { path, before, after, .. } if self.state().start.is_some() => {
                for line in output::diff(path, before, after) {
                    output::line(format!("{:24}{line}", ""));
                }
            }
            Step::Pushed { commits, .. } => {
                for Landed { decision, commit, .. } in commits {
                    let id = styled(GREEN.bold(), short(commit.as_str()));
                    self.tell("committed", &format!("{id} on main {}", styled(DIM, format!("decision {decision}"))));
                }
                if self.state().start.is_some() {
                    // Nobody waits for a second one.
                    let _ = self.first_commit.send(());
                }
            }
            Step::Failed { error, again_at, .. } => {
                self.tell("failed", &styled(RED, format!("{error}; next try at {again_at}")));
            }
            Step::Ignored { .. }
            | Step::Taken { .. }
            | Step::Edited { .. }
            | Step::Tried { .. }
            | Step::Served { .. } => {}
        }
    }
}

impl Narrator {
    fn decided(&self, decision: &Decision) {
        let environment = styled(BOLD, &decision.environment);
        let current = decision.current.join(", ");
        let what = match (decision.outcome, &decision.version) {
            (Outcome::Update, Some(version)) => styled(GREEN, format!("{current} -> {}", version.tag)),
            (Outcome::Offered, Some(version)) => {
                styled(GREEN, format!("{current} -> {}{}", version.tag, words::pull_request(decision)))
            }
            (Outcome::Waiting, Some(version)) => styled(YELLOW, format!("{current}, and {} waits", version.tag)),
            (Outcome::Blocked, _) => styled(YELLOW, "blocked"),
            _ => format!("stays at {current}"),
        };
        self.tell("decided", &format!("{environment}: {what}"));
        for reason in &decision.reasons {
            self.tell("", &styled(DIM, format!("· {reason}")));
        }
        for gate in &decision.gates {
            self.tell("", &styled(DIM, format!("· {}", words::gate(gate))));
        }
    }
}
