//! The life of pull requests, told as what people and forges do and what follows.

use tagboat_model::{CheckState, GateName, GateState, Outcome, PullState, Reason, ReviewState, Stage};
use tagboat_promotion::{
    Limits, PullRequestRules, Supersede,
    pull::{PullStep, is_approved, is_stuck},
};

use crate::forge::{self, World, alice, bot, decision, nothing, version, want};

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

#[test]
fn a_new_tag_opens_one_and_nothing_new_does_nothing() {
    let mut world = opened("1.5.0");
    assert_eq!(world.settle(&[want(&[decision("web", "1.5.0")])]), NONE);
    assert_eq!(world.block(1).changes[0].version, version("1.5.0"));
    let reasons = world.plan(&[want(&[decision("web", "1.5.0")])]).reasons;
    assert!(matches!(&reasons[0].2, Reason::InPullRequest { number: 1, .. }), "{reasons:?}");
}

#[test]
fn a_newer_tag_replaces_the_commit_and_retitles() {
    let mut world = opened("1.5.0");
    assert_eq!(world.settle(&[want(&[decision("web", "1.6.0")])]), ["rebuild #1", "retitle #1"]);
    assert_eq!(world.block(1).changes[0].version, version("1.6.0"));
    assert_eq!(world.pulls.len(), 1);
}

#[test]
fn a_base_that_moves_elsewhere_does_nothing_and_in_the_same_files_rebuilds() {
    let mut world = opened("1.5.0");
    let mut want = want(&[decision("web", "1.5.0")]);
    assert_eq!(world.settle(std::slice::from_ref(&want)), NONE);
    want.files = "moved".to_owned();
    assert_eq!(world.settle(&[want]), ["rebuild #1", "edit #1"]);
}

#[test]
fn references_that_people_moved_meanwhile_rebuild_though_the_files_would_be_the_same() {
    let mut world = opened("1.5.0");
    let mut want = want(&[decision("web", "1.5.0")]);
    want.decisions[0].current = vec!["1.4.7".to_owned()];
    assert_eq!(world.settle(std::slice::from_ref(&want)), ["rebuild #1", "edit #1"]);
    assert_eq!(world.settle(&[want]), NONE);
}

#[test]
fn another_id_of_the_same_decision_is_no_reason_to_write() {
    let mut world = opened("1.5.0");
    let mut want = want(&[decision("web", "1.5.0")]);
    want.decision = "d-aaaaaaaaaaaaaaaa".to_owned();
    assert_eq!(world.settle(std::slice::from_ref(&want)), NONE);
    // What is written for another reason says still what the commit was decided by.
    want.decisions[0].gates = vec![forge::gate(GateName::Soak, GateState::Passed, Stage::Offer)];
    assert!(world.settle(std::slice::from_ref(&want)).contains(&"edit #1".to_owned()));
    assert_eq!(world.block(1).changes[0].decision.as_str(), "d-0011223344556677");
    assert!(world.get(1).pull.body.contains("d-0011223344556677"), "{}", world.get(1).pull.body);
    want.files = "moved".to_owned();
    assert!(world.settle(std::slice::from_ref(&want)).contains(&"rebuild #1".to_owned()));
    assert_eq!(world.block(1).changes[0].decision.as_str(), "d-aaaaaaaaaaaaaaaa");
    assert!(!world.get(1).pull.body.contains("d-0011223344556677"));
}

#[test]
fn a_text_that_people_replaced_is_written_above_theirs_and_the_branch_stays() {
    let mut world = opened("1.5.0");
    let same = [want(&[decision("web", "1.5.0")])];
    let content = world.block(1).content;
    let known = world.get(1);
    known.own_content = Some(content);
    known.pull.body = "My own words.".to_owned();
    known.pull.title = "My own title".to_owned();
    assert_eq!(world.settle(&same), ["edit #1"]);
    let pull = &world.get(1).pull;
    assert_eq!(pull.title, "My own title");
    assert!(pull.body.starts_with("<!-- tagboat:begin -->") && pull.body.contains("My own words."), "{}", pull.body);
    assert_eq!(world.settle(&same), NONE);
    // What was pushed is not what is wanted now.
    world.get(1).pull.body = String::new();
    assert_eq!(world.settle(&[want(&[decision("web", "1.6.0")])]), ["rebuild #1", "retitle #1"]);
}

#[test]
fn a_branch_that_was_kept_for_peoples_commits_is_replaced_where_it_stood() {
    let mut world = opened("1.5.0");
    world.push(1);
    world.set(1, PullState::Closed);
    let left = world.get(1).pull.head_commit.clone();
    world.settle(&[want(&[decision("web", "1.5.0")])]);
    let steps = world.plan(&[want(&[decision("web", "1.6.0")])]).steps;
    let [PullStep::Open { old, .. }] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(old.as_ref(), Some(&left));
    let steps = World::new().plan(&[want(&[decision("web", "1.6.0")])]).steps;
    assert!(matches!(steps.as_slice(), [PullStep::Open { old: None, .. }]), "{steps:?}");
}

#[test]
fn what_the_forge_was_asked_to_merge_is_stuck_when_a_check_fails() {
    let mut world = opened("1.5.0");
    let mut environment = forge::environment();
    environment.pull_request.auto_merge = true;
    assert!(!is_stuck(world.get(1), &environment));
    world.check(1, "e2e", CheckState::Failure);
    assert!(is_stuck(world.get(1), &environment));
    assert!(!is_stuck(world.get(1), &forge::environment()));
}

#[test]
fn people_who_commit_are_left_alone_and_told_once() {
    let mut world = opened("1.5.0");
    world.push(1);
    let newer = [want(&[decision("web", "1.6.0")])];
    assert_eq!(world.settle(&newer), ["say edited on #1"]);
    assert_eq!(world.settle(&newer), NONE);
    assert!(matches!(world.plan(&newer).reasons[0].2, Reason::EditedByPeople { number: 1 }));
}

#[test]
fn the_box_and_the_command_rebuild_over_peoples_commits() {
    let newer = [want(&[decision("web", "1.6.0")])];
    let mut world = opened("1.5.0");
    world.push(1);
    world.tick(1);
    assert_eq!(world.settle(&newer), ["rebuild #1", "retitle #1"]);
    assert!(world.get(1).pull.body.contains("[ ]"));
    world.push(1);
    world.rebuild = vec![1];
    assert_eq!(world.settle(&newer), ["rebuild #1"]);
}

#[test]
fn closing_refuses_just_this_version_and_a_newer_one_is_opened() {
    let mut world = opened("1.5.0");
    world.set(1, PullState::Closed);
    let same = [want(&[decision("web", "1.5.0")])];
    assert_eq!(world.settle(&same), ["refuse 1", "say refused on #1", "delete tagboat/prod/web", "edit #1"]);
    assert_eq!(world.refused(), ["1.5.0"]);
    assert_eq!(world.settle(&same), NONE);
    assert_eq!(world.settle(&[want(&[decision("web", "1.6.0")])]), ["open tagboat/prod/web"]);
}

#[test]
fn a_refusal_that_was_released_is_not_placed_again() {
    let mut world = opened("1.5.0");
    world.set(1, PullState::Closed);
    let same = [want(&[decision("web", "1.5.0")])];
    world.settle(&same);
    world.holds.clear();
    assert_eq!(world.settle(&same), ["open tagboat/prod/web"]);
}

#[test]
fn closing_loses_no_commits_of_people() {
    let mut world = opened("1.5.0");
    world.push(1);
    world.set(1, PullState::Closed);
    let done = world.settle(&[want(&[decision("web", "1.5.0")])]);
    assert_eq!(done, ["refuse 1", "say refused on #1", "edit #1"]);
}

#[test]
fn reopening_permits_again_and_closing_once_more_refuses_again() {
    let mut world = opened("1.5.0");
    let same = [want(&[decision("web", "1.5.0")])];
    for _ in 0..3 {
        world.set(1, PullState::Closed);
        world.settle(&same);
        assert_eq!(world.refused(), ["1.5.0"]);
        world.set(1, PullState::Open);
        let done = world.settle(&same);
        assert!(done.contains(&"permit 1".to_owned()), "{done:?}");
        assert!(world.refused().is_empty());
    }
    assert_eq!(world.pulls.len(), 1);
}

#[test]
fn no_longer_needed_is_closed_with_the_reason() {
    let mut world = opened("1.5.0");
    assert_eq!(world.settle(&[want(&[nothing("web")])]), ["close #1"]);
    let block = world.block(1);
    assert!(block.closed && block.note.contains("the references carry 1.5.0 already"), "{}", block.note);
    assert!(world.get(1).pull.body.starts_with(&block.note));
    assert!(world.refused().is_empty());
}

#[test]
fn closed_by_tagboat_and_opened_again_by_people_is_as_new() {
    let mut world = opened("1.5.0");
    world.settle(&[want(&[nothing("web")])]);
    world.set(1, PullState::Open);
    assert_eq!(world.settle(&[want(&[decision("web", "1.5.0")])]), ["retitle #1"]);
    let block = world.block(1);
    assert!(!block.closed && !world.get(1).pull.body.contains("Closed by Tagboat"));
}

#[test]
fn no_longer_needed_but_edited_is_left_open_and_said() {
    let mut world = opened("1.5.0");
    world.push(1);
    assert_eq!(world.settle(&[want(&[nothing("web")])]), ["say moot on #1"]);
    assert_eq!(world.get(1).pull.state, PullState::Open);
}

#[test]
fn what_is_not_known_closes_nothing() {
    let mut unknown = nothing("web");
    let image = unknown.image.clone();
    unknown.reasons = vec![Reason::RegistryUnavailable { image, detail: "503".to_owned() }];
    let waiting = tagboat_model::Decision {
        outcome: Outcome::Waiting,
        reasons: vec![Reason::GatesWait { version: version("1.5.0"), gates: vec!["soak".to_owned()] }],
        ..nothing("web")
    };
    let blocked = tagboat_model::Decision { outcome: Outcome::Blocked, reasons: Vec::new(), ..nothing("web") };
    let stopped = ["status pending"];
    for (decisions, expected) in [
        (vec![unknown], NONE.as_slice()),
        // Nobody is to merge it before its gates pass again.
        (vec![waiting], stopped.as_slice()),
        (vec![blocked], NONE.as_slice()),
        (Vec::new(), NONE.as_slice()),
    ] {
        let mut world = opened("1.5.0");
        assert_eq!(world.settle(&[want(&decisions)]), expected, "{decisions:?}");
    }
}

#[test]
fn merged_ones_lose_their_branch_once() {
    let mut world = opened("1.5.0");
    world.set(1, PullState::Merged);
    let there = [want(&[nothing("web")])];
    assert_eq!(world.settle(&there), ["delete tagboat/prod/web", "edit #1"]);
    assert_eq!(world.settle(&there), NONE);
}

#[test]
fn a_group_that_is_no_longer_configured_is_closed() {
    let mut world = opened("1.5.0");
    assert_eq!(world.settle(&[]), ["close #1"]);
}

#[test]
fn an_environment_that_moved_to_another_branch_gets_a_new_one() {
    let mut world = opened("1.5.0");
    world.base = "release".parse().unwrap();
    assert_eq!(world.settle(&[want(&[decision("web", "1.5.0")])]), ["close #1", "open tagboat/prod/web"]);
}

#[test]
fn one_that_people_retargeted_is_theirs() {
    let mut world = opened("1.5.0");
    world.get(1).pull.base = "other".parse().unwrap();
    assert_eq!(world.settle(&[want(&[decision("web", "1.6.0")])]), ["say retargeted on #1"]);
    world.base = "other".parse().unwrap();
    assert_eq!(world.settle(&[]), NONE);
}

#[test]
fn the_label_stops_everything() {
    let mut world = opened("1.5.0");
    world.get(1).pull.labels.push("stop-updating".to_owned());
    assert_eq!(world.settle(&[want(&[decision("web", "1.6.0")])]), NONE);
    assert_eq!(world.settle(&[want(&[nothing("web")])]), NONE);
}

#[test]
fn a_group_that_shrinks_keeps_the_rest() {
    let mut world = World::new();
    let both = want(&[decision("web", "1.5.0"), decision("worker", "2.0.0")]);
    assert_eq!(world.settle(std::slice::from_ref(&both)), ["open tagboat/prod/web"]);
    let rest = forge::Want { decisions: vec![nothing("web"), decision("worker", "2.0.0")], ..both.clone() };
    assert_eq!(world.settle(std::slice::from_ref(&rest)), ["rebuild #1", "retitle #1"]);
    assert_eq!(world.block(1).changes.len(), 1);
    let half = forge::Want { decisions: vec![decision("web", "1.6.0")], ..both };
    assert_eq!(world.settle(&[half]), NONE, "of worker nothing is known");
}

#[test]
fn a_closed_group_refuses_each_of_its_versions() {
    let mut world = World::new();
    let both = [want(&[decision("web", "1.5.0"), decision("worker", "2.0.0")])];
    world.settle(&both);
    world.set(1, PullState::Closed);
    assert_eq!(world.settle(&both)[0], "refuse 2");
    let next = [want(&[decision("web", "1.6.0"), decision("worker", "2.0.0")])];
    assert_eq!(world.settle(&next), ["open tagboat/prod/web"]);
    assert_eq!(world.block(2).changes.len(), 1);
}

#[test]
fn approved_ones_are_not_replaced_unless_asked_to() {
    let newer = decision("web", "1.6.0");
    let mut world = opened("1.5.0");
    world.review(1, ReviewState::Approved);
    assert!(is_approved(world.get(1)));
    let keep = [rules(PullRequestRules::default(), &newer)];
    assert_eq!(world.settle(&keep), NONE);
    let reasons = world.plan(&keep).reasons;
    assert!(matches!(&reasons[0].2, Reason::NotSuperseded { number: 1, approved } if approved == "web 1.5.0"));
    let always = PullRequestRules { supersede: Supersede::Always, ..PullRequestRules::default() };
    assert_eq!(world.settle(&[rules(always, &newer)]), ["rebuild #1", "retitle #1"]);
    assert!(!is_approved(world.get(1)), "the approval was of another commit");
}

#[test]
fn changes_requested_later_and_approvals_of_others_protect_nothing() {
    let newer = [want(&[decision("web", "1.6.0")])];
    let mut world = opened("1.5.0");
    world.review(1, ReviewState::Approved);
    world.review(1, ReviewState::ChangesRequested);
    assert_eq!(world.settle(&newer), ["rebuild #1", "retitle #1"]);
    for by in [bot().account, tagboat_model::Account { is_bot: true, ..alice() }] {
        let mut world = opened("1.5.0");
        world.review(1, ReviewState::Approved);
        world.get(1).reviews[0].by = by;
        assert_eq!(world.settle(&newer), ["rebuild #1", "retitle #1"]);
    }
}

#[test]
fn one_that_is_about_to_be_merged_is_not_replaced() {
    let mut world = opened("1.5.0");
    world.get(1).pull.merging = true;
    assert_eq!(world.settle(&[want(&[decision("web", "1.6.0")])]), NONE);
    assert_eq!(world.settle(&[want(&[nothing("web")])]), ["close #1"]);
}

#[test]
fn what_people_write_stays() {
    let mut world = opened("1.5.0");
    let pull = &mut world.get(1).pull;
    pull.title = "My own title".to_owned();
    pull.body = format!("Look at this, bob.\n\n{}", pull.body);
    let mut moved = want(&[decision("web", "1.5.0")]);
    assert_eq!(world.settle(std::slice::from_ref(&moved)), NONE);
    moved.files = "moved".to_owned();
    world.settle(&[moved]);
    assert_eq!(world.get(1).pull.title, "My own title");
    assert!(world.get(1).pull.body.starts_with("Look at this, bob."));
    world.settle(&[want(&[decision("web", "1.6.0")])]);
    assert_ne!(world.get(1).pull.title, "My own title");
    assert!(world.get(1).pull.body.starts_with("Look at this, bob."));
}

#[test]
fn limits_hold_back_what_begins_and_never_what_is_open() {
    let mut world = World::new();
    world.limits = Limits { open_pull_requests: Some(2), per_hour: None };
    let wants = |tag: &str| ["a", "b", "c"].map(|entry| want(&[decision(entry, tag)]));
    assert_eq!(world.settle(&wants("1.5.0")), ["open tagboat/prod/a", "open tagboat/prod/b"]);
    let reasons = world.plan(&wants("1.5.0")).reasons;
    let held = reasons.iter().find(|(_, entry, _)| entry.as_str() == "c").map(|(_, _, reason)| reason.to_string());
    assert_eq!(held.as_deref(), Some("held back by the limit of 2 open pull requests (`limits.openPullRequests`)"));
    let done = world.settle(&wants("1.6.0"));
    assert_eq!(done, ["rebuild #1", "retitle #1", "rebuild #2", "retitle #2"]);
    let mut wants = wants("1.6.0");
    wants[0] = want(&[nothing("a")]);
    assert_eq!(world.settle(&wants), ["close #1", "open tagboat/prod/c"]);
}

#[test]
fn the_hourly_limit_says_when_it_passes() {
    let mut world = World::new();
    world.limits = Limits { open_pull_requests: None, per_hour: Some(1) };
    let wants = ["a", "b"].map(|entry| want(&[decision(entry, "1.5.0")]));
    assert_eq!(world.settle(&wants), ["open tagboat/prod/a"]);
    let wake_at = world.plan(&wants).wake_at.unwrap();
    assert_eq!(wake_at.to_string(), "2026-11-26T10:00:00Z");
    world.now = wake_at;
    assert_eq!(world.settle(&wants), ["open tagboat/prod/b"]);
}
