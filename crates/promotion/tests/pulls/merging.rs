//! When pull requests are merged, and that nothing happens to them twice.

use proptest::prelude::*;
use tagboat_model::{CheckState, GateName, GateState, Outcome, PullState, ReviewState, Stage};
use tagboat_promotion::{Gates, PullRequestRules, pull::PullStep};

use crate::forge::{self, World, alice, decision, environment, gate, nothing, want};

const NONE: [&str; 0] = [];

fn opened(tag: &str) -> World {
    let mut world = World::new();
    assert_eq!(world.settle(&[want(&[decision("web", tag)])]), ["open tagboat/prod/web"]);
    world
}

fn rules(rules: PullRequestRules, decision: &tagboat_model::Decision) -> forge::Want {
    let mut want = want(std::slice::from_ref(decision));
    want.environment.pull_request = rules;
    want
}

fn waiting(state: GateState) -> tagboat_model::Decision {
    let outcome = if state == GateState::Passed { Outcome::Update } else { Outcome::Waiting };
    tagboat_model::Decision {
        outcome,
        gates: vec![gate(GateName::Soak, state, Stage::Offer)],
        ..decision("web", "1.5.0")
    }
}

#[test]
fn drafts_become_ready_with_their_gates_and_people_may_think_otherwise() {
    let draft = PullRequestRules { draft: true, ..PullRequestRules::default() };
    let wait = [rules(draft.clone(), &waiting(GateState::Waiting))];
    let ready = [rules(draft, &waiting(GateState::Passed))];
    let mut world = World::new();
    assert_eq!(world.settle(&wait), ["open tagboat/prod/web as a draft", "status pending"]);
    assert_eq!(world.settle(&ready), ["make #1 ready", "status success"]);
    assert_eq!(world.settle(&wait), ["make #1 a draft", "status pending"]);
    world.get(1).pull.draft = false;
    assert_eq!(world.settle(&wait), NONE, "people made it ready");
    assert_eq!(world.settle(&ready), ["edit #1", "status success"]);
    world.get(1).pull.draft = true;
    assert_eq!(world.settle(&ready), NONE, "people made it a draft");
    let mut world = World::new();
    world.drafts = false;
    assert_eq!(world.settle(&wait), NONE);
}

fn gated(auto_merge: bool) -> forge::Want {
    let gates = vec![
        gate(GateName::Checks, GateState::Waiting, Stage::Merge),
        gate(GateName::Approvals, GateState::Waiting, Stage::Merge),
    ];
    let decision = tagboat_model::Decision { gates, ..decision("web", "1.5.0") };
    let mut want = rules(PullRequestRules { auto_merge, ..PullRequestRules::default() }, &decision);
    want.environment.gates = Gates { checks: vec!["e2e".to_owned()], approvals: 1, ..Gates::default() };
    want
}

#[test]
fn merged_by_the_forge_once_checks_and_approvals_are_there_and_not_any_more_when_they_go() {
    let wants = [gated(true)];
    let mut world = World::new();
    assert_eq!(world.settle(&wants), ["open tagboat/prod/web", "status pending"]);
    world.check(1, "e2e", CheckState::Success);
    assert_eq!(world.settle(&wants), ["edit #1", "status pending"]);
    world.review(1, ReviewState::Approved);
    assert_eq!(world.settle(&wants), ["edit #1", "status success", "auto-merge #1"]);
    world.check(1, "e2e", CheckState::Failure);
    assert_eq!(world.settle(&wants), ["edit #1", "status failure", "no auto-merge of #1"]);
}

#[test]
fn nothing_is_merged_that_people_object_to_or_changed() {
    let wants = [gated(true)];
    for spoil in [
        |world: &mut World| world.review(1, ReviewState::ChangesRequested),
        |world: &mut World| world.get(1).pull.draft = true,
        |world: &mut World| world.push(1),
    ] {
        let mut world = World::new();
        world.settle(&wants);
        world.check(1, "e2e", CheckState::Success);
        world.review(1, ReviewState::Approved);
        world.settle(&wants);
        assert!(world.get(1).pull.merging);
        spoil(&mut world);
        let done = world.settle(&wants);
        assert!(done.contains(&"no auto-merge of #1".to_owned()), "{done:?}");
        assert!(!world.get(1).pull.merging);
    }
}

#[test]
fn a_command_merges_what_was_seen_and_only_with_its_gates() {
    let wants = [gated(false)];
    let mut world = World::new();
    world.settle(&wants);
    let head = world.get(1).pull.head_commit.clone();
    world.merge = vec![(1, head.clone())];
    assert_eq!(world.settle(&wants), NONE);
    world.check(1, "e2e", CheckState::Success);
    world.review(1, ReviewState::Approved);
    world.merge = vec![(1, "f".repeat(40).parse().unwrap())];
    assert_eq!(world.settle(&wants), ["edit #1", "status success"]);
    world.merge = vec![(1, head)];
    let steps: Vec<String> = world.plan(&wants).steps.iter().map(forge::words).collect();
    assert_eq!(steps, ["merge #1"]);
}

#[test]
fn a_pull_request_of_somebody_else_on_the_branch_is_not_touched() {
    let mut world = opened("1.5.0");
    world.get(1).pull.author = alice();
    assert_eq!(world.settle(&[want(&[decision("web", "1.6.0")])]), NONE);
}

#[test]
fn without_its_block_it_is_written_anew() {
    let mut world = opened("1.5.0");
    world.get(1).pull.body = "All gone.".to_owned();
    assert_eq!(world.settle(&[want(&[decision("web", "1.5.0")])]), ["rebuild #1", "edit #1"]);
    assert_eq!(world.settle(&[want(&[decision("web", "1.5.0")])]), NONE);
}

/// What may happen between two rounds.
#[derive(Debug, Clone, Copy)]
enum Event {
    Decide(u8),
    Nothing,
    Move,
    Push,
    Close,
    Reopen,
    Merge,
    Approve,
    Tick,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0..4_u8).prop_map(Event::Decide),
        Just(Event::Nothing),
        Just(Event::Move),
        Just(Event::Push),
        Just(Event::Close),
        Just(Event::Reopen),
        Just(Event::Merge),
        Just(Event::Approve),
        Just(Event::Tick),
    ];
    prop::collection::vec(event, 1..14)
}

/// What happens to the newest pull request, or to what is wanted.
fn happen(world: &mut World, wanted: &mut forge::Want, event: Event) {
    let newest = world.pulls.last().map(|known| (known.pull.number, known.pull.state));
    match (event, newest) {
        (Event::Decide(minor), _) => wanted.decisions = vec![decision("web", &format!("1.{minor}.0"))],
        (Event::Nothing, _) => wanted.decisions = vec![nothing("web")],
        (Event::Move, _) => wanted.files.push('x'),
        (Event::Push, Some((number, PullState::Open))) => world.push(number),
        (Event::Close, Some((number, PullState::Open))) => world.set(number, PullState::Closed),
        (Event::Reopen, Some((number, PullState::Closed))) => world.set(number, PullState::Open),
        (Event::Merge, Some((number, PullState::Open))) => world.set(number, PullState::Merged),
        (Event::Approve, Some((number, PullState::Open))) => world.review(number, ReviewState::Approved),
        (Event::Tick, Some((number, PullState::Open))) => {
            let pull = &mut world.get(number).pull;
            pull.body = pull.body.replace("[ ]", "[x]");
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn whatever_happens_it_comes_to_rest_with_one_and_spares_peoples_commits(events in events()) {
        let mut world = World::new();
        let mut wanted = want(&[decision("web", "1.0.1")]);
        wanted.environment = environment();
        for event in events {
            happen(&mut world, &mut wanted, event);
            let foreign: Vec<u64> = world
                .pulls
                .iter()
                .filter(|known| known.foreign && known.pull.state == PullState::Open && !known.pull.body.contains("[x]"))
                .map(|known| known.pull.number)
                .collect();
            let is_reopened = matches!(event, Event::Reopen);
            for step in world.plan(std::slice::from_ref(&wanted)).steps {
                match step {
                    PullStep::Rebuild { number, .. } | PullStep::Close { number, .. } | PullStep::Merge { number, .. } => {
                        prop_assert!(!foreign.contains(&number), "{}", forge::words(&step));
                    }
                    PullStep::Edit { number, .. } => prop_assert!(is_reopened || !foreign.contains(&number)),
                    _ => {}
                }
            }
            world.settle(std::slice::from_ref(&wanted));
            let open = world.pulls.iter().filter(|known| known.pull.state == PullState::Open).count();
            prop_assert!(open <= 1);
        }
    }
}
