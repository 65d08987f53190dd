//! Gates: the conditions of a promotion, worked out from what is known at a point in time.
//!
//! Every gate that is configured is listed, whatever its state. Texts name points in time and never lengths of time that
//! pass, so that they change only when something changes. Reviews and checks of pull requests are not known here: their
//! state machine fills them in.

mod window;
mod written;

use tagboat_model::{
    Check, CheckState, EnvironmentName, Gate, GateName, GateState, Ran, Rollout, RolloutState, Stage, Timestamp, shown,
};

use crate::{Gates, UpstreamFacts};

pub use window::{WindowError, WindowState, Windows};

/// The state of a gate, its text, and when it changes by itself.
struct Standing {
    state: GateState,
    text: String,
    until: Option<Timestamp>,
}

/// What a gate is asked about.
#[derive(Clone, Copy)]
struct Question<'q> {
    gates: &'q Gates,
    candidate: &'q Ran,
    upstream: &'q UpstreamFacts,
    name: &'q EnvironmentName,
    now: Timestamp,
}

/// Every gate that is configured, for a version that ran upstream.
///
/// The soak counts from the time at which the version came upstream, with `rollout` from the time at which it was healthy
/// there. A newer version that comes upstream meanwhile does not stop it.
#[must_use]
pub fn evaluate(
    gates: &Gates,
    candidate: &Ran,
    upstream: &UpstreamFacts,
    upstream_name: &EnvironmentName,
    by_pull_request: bool,
    now: Timestamp,
) -> Vec<Gate> {
    let question = Question { gates, candidate, upstream, name: upstream_name, now };
    let appeared = upstream.appeared.iter().find(|(tag, _)| *tag == candidate.version.tag).map(|(_, at)| *at);
    let mut all = Vec::new();
    if gates.minimum_age.is_some() {
        // It is no younger than its stay upstream.
        let since = appeared.map_or(candidate.since, |at| at.min(candidate.since));
        all.push(minimum_age(gates, Some(since), now).gate(GateName::MinimumAge, Stage::Offer));
    }
    if gates.soak.is_some() {
        all.push(question.soak().gate(GateName::Soak, Stage::Offer));
    }
    if gates.rollout {
        all.push(question.rollout().gate(GateName::Rollout, Stage::Offer));
    }
    if !gates.checks.is_empty() {
        all.push(question.checks(by_pull_request));
    }
    all.extend(window_and_approvals(gates, by_pull_request, now));
    all
}

/// Every gate that is configured and does not ask about an upstream, for a version that a policy chose. `appeared` says
/// when the version appeared at the registry.
#[must_use]
pub fn evaluate_without_upstream(
    gates: &Gates,
    appeared: Option<Timestamp>,
    by_pull_request: bool,
    now: Timestamp,
) -> Vec<Gate> {
    let mut all = Vec::new();
    if gates.minimum_age.is_some() {
        all.push(minimum_age(gates, appeared, now).gate(GateName::MinimumAge, Stage::Offer));
    }
    if !gates.checks.is_empty() {
        all.push(if by_pull_request {
            checks(&gates.checks, &[], Stage::Merge)
        } else {
            let text = "without an upstream there is no commit to check before this one".to_owned();
            Standing { state: GateState::Failed, text, until: None }.gate(GateName::Checks, Stage::Offer)
        });
    }
    all.extend(window_and_approvals(gates, by_pull_request, now));
    all
}

/// The gate `checks` over what is known of commit statuses and check runs: each of the names has to be green in one of
/// `known`, which are those of the commit upstream and of the head of the pull request.
#[must_use]
pub fn checks(names: &[String], known: &[&[Check]], holds: Stage) -> Gate {
    let of = |name: &String| {
        // Where a commit has several of one name, all of them count.
        let in_one = |checks: &&[Check]| {
            let states = checks.iter().filter(|check| check.name == *name).map(|check| check.state);
            states.max_by_key(|state| severity(*state))
        };
        let states: Vec<CheckState> = known.iter().filter_map(in_one).collect();
        // Where one commit can still become green, the other does not spoil it.
        states.into_iter().min_by_key(|state| severity(*state))
    };
    let named = |wanted: &dyn Fn(Option<CheckState>) -> bool| {
        let names: Vec<String> = names.iter().filter(|name| wanted(of(name))).map(|name| shown(name)).collect();
        names.join(", ")
    };
    let red = named(&|state| state == Some(CheckState::Failure));
    let pending = named(&|state| state == Some(CheckState::Pending));
    let missing = named(&|state| state.is_none());
    let (state, text) = if !red.is_empty() {
        (GateState::Failed, format!("{red} failed"))
    } else if !pending.is_empty() {
        (GateState::Waiting, format!("{pending} did not end yet"))
    } else if !missing.is_empty() {
        (GateState::Waiting, format!("nothing was reported of {missing} yet"))
    } else {
        (GateState::Passed, format!("{} green", named(&|_| true)))
    };
    Standing { state, text, until: None }.gate(GateName::Checks, holds)
}

/// The greater, the worse.
fn severity(state: CheckState) -> u8 {
    match state {
        CheckState::Success => 0,
        CheckState::Pending => 1,
        CheckState::Failure => 2,
    }
}

impl Standing {
    fn passed(text: String) -> Self {
        Self { state: GateState::Passed, text, until: None }
    }

    fn waiting(text: String, until: Option<Timestamp>) -> Self {
        Self { state: GateState::Waiting, text, until }
    }

    fn failed(text: String) -> Self {
        Self { state: GateState::Failed, text, until: None }
    }

    /// It with its name, and its state in words.
    fn gate(self, name: GateName, holds: Stage) -> Gate {
        let Self { state, text, until } = self;
        let text = match until {
            Some(until) if state == GateState::Waiting => format!("waiting until {until}: {text}"),
            _ => format!("{state}: {text}"),
        };
        Gate { name, state, holds, text, until }
    }
}

impl Question<'_> {
    fn soak(self) -> Standing {
        let Self { candidate, name, .. } = self;
        let soak = self.gates.soak.unwrap_or_default();
        if candidate.taken_back {
            return Standing::failed(format!("it was taken back in {name}"));
        }
        if let Some(rollout) = candidate.rollout.as_ref().filter(|rollout| rollout.state == RolloutState::Failed) {
            return Standing::failed(format!("its rollout in {name} failed at {}", rollout.since));
        }
        let (since, what) = match (&candidate.rollout, self.gates.rollout) {
            (_, false) => (candidate.since, "in"),
            (Some(Rollout { state: RolloutState::Healthy, since, .. }), true) => (*since, "healthy in"),
            _ => return Standing::waiting(format!("it is not healthy in {name} yet, soak is {soak}"), None),
        };
        let until = since.plus(soak);
        let text = format!("{what} {name} since {since}");
        if until <= self.now {
            Standing::passed(text)
        } else {
            Standing::waiting(format!("{text}, soak is {soak}"), Some(until))
        }
    }

    fn rollout(self) -> Standing {
        let Self { candidate, name, .. } = self;
        match &candidate.rollout {
            Some(Rollout { state: RolloutState::Healthy, since, .. }) => {
                Standing::passed(format!("healthy in {name} since {since}"))
            }
            Some(Rollout { state: RolloutState::Failed, since, text }) => {
                let why = if text.is_empty() { String::new() } else { format!(": {}", shown(text)) };
                Standing::failed(format!("failed in {name} at {since}{why}"))
            }
            // An agent reports of what it applied last.
            _ if candidate.until.is_some() => {
                Standing::failed(format!("it was replaced in {name} before it was reported healthy"))
            }
            Some(rollout) => Standing::waiting(format!("progressing in {name} since {}", rollout.since), None),
            None => Standing::waiting(format!("nothing was reported of it in {name} yet"), None),
        }
    }

    fn checks(self, by_pull_request: bool) -> Gate {
        let commit = self.candidate.commit.as_ref();
        let found = self.upstream.checks.iter().filter(|(of, _)| Some(of) == commit).flat_map(|(_, checks)| checks);
        let mut known: Vec<Check> = found.cloned().collect();
        if by_pull_request {
            // What is not green there can still become so on the pull request.
            known.retain(|check| check.state == CheckState::Success);
        }
        checks(&self.gates.checks, &[known.as_slice()], if by_pull_request { Stage::Merge } else { Stage::Offer })
    }
}

fn minimum_age(gates: &Gates, appeared: Option<Timestamp>, now: Timestamp) -> Standing {
    let minimum = gates.minimum_age.unwrap_or_default();
    let Some(appeared) = appeared else {
        return Standing::waiting(
            format!("nothing says when it appeared at the registry, minimumAge is {minimum}"),
            None,
        );
    };
    let until = appeared.plus(minimum);
    let text = format!("known since {appeared}");
    if until <= now {
        Standing::passed(text)
    } else {
        Standing::waiting(format!("{text}, minimumAge is {minimum}"), Some(until))
    }
}

fn window_and_approvals(gates: &Gates, by_pull_request: bool, now: Timestamp) -> Vec<Gate> {
    let stage = if by_pull_request { Stage::Merge } else { Stage::Offer };
    let mut all = Vec::new();
    if let Some(window) = &gates.window {
        let standing = match window.state(now) {
            WindowState::Open(None) => Standing::passed(format!("open: {window}")),
            WindowState::Open(Some(until)) => {
                Standing { until: Some(until), ..Standing::passed(format!("open until {until}: {window}")) }
            }
            WindowState::Closed(Some(until)) => Standing::waiting(window.to_string(), Some(until)),
            WindowState::Closed(None) => Standing::waiting(format!("it does not open within 400 days: {window}"), None),
        };
        all.push(standing.gate(GateName::Window, stage));
    }
    if gates.approvals > 0 {
        let needed = gates.approvals;
        let standing = match by_pull_request {
            true => Standing::waiting(format!("0 of {needed} approvals"), None),
            false => Standing::failed("only pull requests are approved; set `deliver: pullRequest`".to_owned()),
        };
        all.push(standing.gate(GateName::Approvals, stage));
    }
    all
}
