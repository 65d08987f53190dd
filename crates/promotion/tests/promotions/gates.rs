//! Conditions, and what they hold back.

use tagboat_model::{Check, CheckState, GateState, Rollout, RolloutState, Stage};
use tagboat_promotion::{EnvironmentFacts, Gates, gate, held_to_gates, next_change};

use crate::world::{NOW, at, brief, commit, decision, dev, hours, hours_ago, pinned, prod, said, sequence, with_image};

#[test]
fn an_agent_has_to_report_a_version_healthy_and_the_soak_counts_from_then() {
    let gates = || Gates { soak: Some(hours(4)), rollout: true, ..Gates::default() };
    let reported = |state, ago| Some(Rollout { state, since: hours_ago(ago), text: "by Flux".to_owned() });
    for (rollout, ended, expected) in [
        (None, false, "Waiting 1.5.0: gatesWait"),
        (None, true, "Waiting 1.5.0: gatesFail"),
        (reported(RolloutState::Progressing, 9), false, "Waiting 1.5.0: gatesWait"),
        (reported(RolloutState::Failed, 9), false, "Waiting 1.5.0: gatesFail"),
        (reported(RolloutState::Healthy, 3), false, "Waiting 1.5.0: gatesWait"),
        (reported(RolloutState::Healthy, 3), true, "Waiting 1.5.0: gatesWait"),
        (reported(RolloutState::Healthy, 4), false, "Update 1.5.0: promotedFrom"),
        (reported(RolloutState::Healthy, 4), true, "Update 1.5.0: promotedFrom"),
    ] {
        let mut upstream = sequence(&[("1.4.0", 80), ("1.5.0", 10)]);
        upstream[1].rollout = rollout.clone();
        upstream[1].until = ended.then(|| hours_ago(2));
        let said = said(prod(&[pinned("1.4.0")], upstream, gates()));
        assert_eq!(said, expected, "{rollout:?}, ended: {ended}");
    }
    // What failed does not stand in the way of what waits behind it.
    let mut upstream = sequence(&[("1.4.0", 80), ("1.5.0", 10), ("1.6.0", 1)]);
    upstream[1].rollout = reported(RolloutState::Failed, 9);
    assert_eq!(said(prod(&[pinned("1.4.0")], upstream, gates())), "Waiting 1.6.0: gatesWait gatesFail");
}

fn check(name: &str, state: CheckState) -> Check {
    Check { name: name.to_owned(), state, text: String::new(), url: None }
}

#[test]
fn checks_are_green_on_the_commit_upstream_or_on_the_pull_request() {
    let gates = || Gates { checks: vec!["e2e".to_owned(), "load".to_owned()], ..Gates::default() };
    for (known, by_commit, by_pull_request) in [
        (vec![], "Waiting 1.5.0: gatesWait", GateState::Waiting),
        (vec![("e2e", CheckState::Success)], "Waiting 1.5.0: gatesWait", GateState::Waiting),
        (
            vec![("e2e", CheckState::Success), ("load", CheckState::Failure)],
            "Waiting 1.5.0: gatesFail",
            GateState::Waiting,
        ),
        (
            vec![("e2e", CheckState::Success), ("load", CheckState::Success)],
            "Update 1.5.0: promotedFrom",
            GateState::Passed,
        ),
    ] {
        let environment = with_image(prod(&[pinned("1.4.0")], sequence(&[("1.5.0", 10)]), gates()), |image| {
            let checks = known.iter().map(|(name, state)| check(name, *state)).collect();
            image.upstream.as_mut().unwrap().checks = vec![(commit('c'), checks)];
        });
        assert_eq!(said(environment.clone()), by_commit, "{known:?}");
        let decision = decision(EnvironmentFacts { by_pull_request: true, ..environment });
        assert_eq!(brief(&decision), "Update 1.5.0: promotedFrom", "the pull request is offered: {known:?}");
        assert_eq!((decision.gates[0].holds, decision.gates[0].state), (Stage::Merge, by_pull_request), "{known:?}");
    }
    let names = ["e2e".to_owned()];
    let (green, red) = ([check("e2e", CheckState::Success)], [check("e2e", CheckState::Failure)]);
    let state = |known: &[&[Check]]| gate::checks(&names, known, Stage::Merge).state;
    assert_eq!(state(&[&green[..], &red[..]]), GateState::Passed, "green upstream is green");
    assert_eq!(state(&[&[], &red[..]]), GateState::Failed);
    let both = [green[0].clone(), red[0].clone()];
    assert_eq!(state(&[&both[..]]), GateState::Failed, "on one commit all of a name count");
}

#[test]
fn windows_hold_back_commits_and_the_merging_of_pull_requests() {
    let window = |text: &str| gate::Windows::parse(&[text.to_owned()], &[]).unwrap();
    let gates = |text: &str| Gates { window: Some(window(text)), approvals: 0, ..Gates::default() };
    let environment = |text: &str| prod(&[pinned("1.4.0")], sequence(&[("1.5.0", 10)]), gates(text));
    assert_eq!(said(environment("Thu 10:00-16:00 Europe/Berlin")), "Update 1.5.0: promotedFrom");
    let closed = decision(environment("Fri 10:00-16:00 Europe/Berlin"));
    assert_eq!(brief(&closed), "Waiting 1.5.0: gatesWait");
    assert_eq!(closed.gates[0].until, Some(at("2026-11-27T09:00:00Z")));
    assert_eq!(next_change(&[closed], &[], at(NOW)), Some(at("2026-11-27T09:00:00Z")));
    let by_pull_request = |gates| EnvironmentFacts {
        by_pull_request: true,
        ..prod(&[pinned("1.4.0")], sequence(&[("1.5.0", 10)]), gates)
    };
    let pull = decision(by_pull_request(Gates { approvals: 2, ..gates("Fri 10:00-16:00 Europe/Berlin") }));
    assert_eq!(brief(&pull), "Update 1.5.0: promotedFrom");
    assert!(pull.gates.iter().all(|gate| gate.holds == Stage::Merge && gate.state == GateState::Waiting));
    assert_eq!(pull.gates[1].text, "waiting: 0 of 2 approvals");
    let unapproved = Gates { approvals: 2, ..Gates::default() };
    let unapproved = said(prod(&[pinned("1.4.0")], sequence(&[("1.5.0", 10)]), unapproved));
    assert_eq!(unapproved, "Waiting 1.5.0: gatesFail", "a commit is approved by nobody");
}

#[test]
fn a_policy_waits_for_gates_too() {
    let gates = Gates {
        window: Some(gate::Windows::parse(&["Fri UTC".to_owned()], &[]).unwrap()),
        minimum_age: Some(hours(2)),
        ..Gates::default()
    };
    let update = decision(dev("1.4.0", &["1.5.0"]));
    let gates_then = |now: &str| gate::evaluate_without_upstream(&gates, Some(hours_ago(1)), false, at(now));
    let held = held_to_gates(update.clone(), gates_then(NOW));
    assert_eq!((brief(&held).as_str(), held.gates.len()), ("Waiting 1.5.0: gatesWait selected", 2));
    let free = held_to_gates(update, gates_then("2026-11-27T12:00:00Z"));
    assert_eq!(brief(&free), "Update 1.5.0: selected");
    let nothing = decision(dev("1.5.0", &["1.5.0"]));
    assert_eq!(held_to_gates(nothing.clone(), gates_then(NOW)), nothing);
}
