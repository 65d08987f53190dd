//! Holds, freezes, rollbacks, hotfixes, skips.

use tagboat_model::{EntryName, EnvironmentName, Hold, Outcome, PutBy, Until, Wish};
use tagboat_promotion::{TakenBack, decide, ended, hold_of, next_change, refused, taken_back};

use crate::world::{
    NOW, at, brief, decision, dev, facts, hold, hours, hours_ago, image, pinned, prod, said, semver, sequence, soak,
    version, with_holds, with_image,
};

#[test]
fn a_refused_version_takes_all_below_it_along_and_newer_ones_come() {
    let refuse = |tag: &str| vec![hold(Wish::Refuse { version: version(tag), pull_request: 7 }, hours_ago(1))];
    let by_policy = |tags: &[&str], holds| decision(with_holds(dev("1.3.0", tags), holds));
    let refused = by_policy(&["1.4.0", "1.5.0", "1.6.0"], refuse("1.6.0"));
    assert_eq!(brief(&refused), "Nothing -: held nothingBetter");
    assert!(refused.reasons[0].to_string().contains("does without 1.6.0, since #7 was closed"), "{refused:?}");
    let newer = by_policy(&["1.5.0", "1.6.0", "1.7.0"], refuse("1.6.0"));
    assert_eq!(brief(&newer), "Update 1.7.0: selected held");
    // Also where the refused one is not at the registry any more.
    assert_eq!(brief(&by_policy(&["1.4.0", "1.5.0"], refuse("1.6.0"))), "Nothing -: held nothingBetter");
    assert_eq!(brief(&by_policy(&["1.3.0"], refuse("1.6.0"))), "Nothing 1.3.0: alreadyThere", "what runs may run");
    let offered = with_image(dev("1.4.0", &[]), |image| image.offered = Some(version("1.5.0")));
    assert_eq!(said(with_holds(offered, refuse("1.6.0"))), "Nothing -: held");

    let promoted = |upstream: &[(&str, i64)], refused: &str| {
        said(with_holds(prod(&[pinned("1.3.0")], sequence(upstream), soak(1)), refuse(refused)))
    };
    let upstream = [("1.4.0", 9), ("1.5.0", 8), ("1.6.0", 7)];
    assert_eq!(promoted(&upstream, "1.6.0"), "Nothing -: held");
    assert_eq!(promoted(&upstream, "1.5.0"), "Update 1.6.0: promotedFrom");
    // What ran upstream before it is below it, whatever the tags say.
    assert_eq!(promoted(&[("1.9.0", 9), ("1.6.0", 7)], "1.6.0"), "Nothing -: held");
    assert_eq!(promoted(&[("1.6.0", 9), ("1.5.0", 7)], "1.6.0"), "Update 1.5.0: promotedFrom");

    let holds = refuse("1.6.0");
    let is_refused = |tag: &str| {
        tagboat_promotion::refused(&holds, &image(semver(), &[]), (&tag.parse().unwrap(), None), at(NOW)).is_some()
    };
    assert!(is_refused("1.6.0") && is_refused("1.5.0") && !is_refused("1.7.0"));
}

#[test]
fn a_version_that_is_skipped_or_refused_gives_way_to_the_next_best() {
    let skip = |tag: &str| hold(Wish::Skip { version: version(tag) }, hours_ago(1));
    let refuse = |tag: &str| hold(Wish::Refuse { version: version(tag), pull_request: 7 }, hours_ago(1));
    let by_policy = |holds| said(with_holds(dev("1.3.0", &["1.4.0", "1.5.0"]), holds));
    assert_eq!(by_policy(vec![skip("1.5.0")]), "Update 1.4.0: selected held");
    assert_eq!(by_policy(vec![refuse("1.5.0"), skip("1.4.0")]), "Nothing -: held held nothingBetter");
    assert_eq!(by_policy(vec![skip("1.6.0")]), "Update 1.5.0: selected lowerThanSelected");
    let promoted =
        |holds| said(with_holds(prod(&[pinned("1.3.0")], sequence(&[("1.4.0", 9), ("1.5.0", 8)]), soak(1)), holds));
    assert_eq!(promoted(vec![skip("1.5.0")]), "Update 1.4.0: promotedFrom held");
    assert_eq!(promoted(vec![refuse("1.5.0"), skip("1.4.0")]), "Nothing -: held held");
    let over = Hold { until: Until::Time(hours_ago(0)), ..skip("1.5.0") };
    assert_eq!(promoted(vec![over]), "Update 1.5.0: promotedFrom");
    let elsewhere = Hold { entry: Some("worker".parse().unwrap()), ..skip("1.5.0") };
    assert_eq!(promoted(vec![elsewhere]), "Update 1.5.0: promotedFrom");
    let holds = [skip("1.5.0")];
    let is_refused =
        |tag: &str| refused(&holds, &image(semver(), &[]), (&tag.parse().unwrap(), None), at(NOW)).is_some();
    assert!(is_refused("1.5.0") && !is_refused("1.4.0"), "the registry is not asked about it");
}

#[test]
fn holds_and_freezes_keep_what_runs_and_say_what_waits() {
    let holds = |wish| vec![hold(wish, hours_ago(1))];
    for environment in [dev("1.4.0", &["1.5.0"]), prod(&[pinned("1.4.0")], sequence(&[("1.5.0", 9)]), soak(1))] {
        for wish in [Wish::Hold, Wish::Freeze] {
            let decision = decision(with_holds(environment.clone(), holds(wish)));
            assert_eq!((decision.outcome, decision.version), (Outcome::Waiting, Some(version("1.5.0"))));
            assert_eq!(decision.reasons[0].code(), "held");
        }
    }
    assert_eq!(said(with_holds(dev("1.5.0", &["1.5.0"]), holds(Wish::Hold))), "Nothing 1.5.0: alreadyThere held");
}

#[test]
fn a_rollback_is_kept_until_it_is_released_or_something_newer_comes() {
    let keep = || hold(Wish::Keep { version: version("1.3.0") }, hours_ago(1));
    let kept = |here: &str, holds| said(with_holds(dev(here, &["1.5.0"]), holds));
    assert_eq!(kept("1.4.0", vec![keep()]), "Update 1.3.0: askedFor");
    assert_eq!(kept("1.3.0", vec![keep()]), "Nothing 1.3.0: held");
    let older = |wish| hold(wish, hours_ago(2));
    let newer = |wish| hold(wish, hours_ago(0));
    assert_eq!(kept("1.4.0", vec![keep(), newer(Wish::Hold)]), "Update 1.3.0: askedFor");
    assert_eq!(kept("1.4.0", vec![keep(), older(Wish::Freeze)]), "Update 1.3.0: askedFor");
    assert_eq!(kept("1.4.0", vec![keep(), newer(Wish::Freeze)]), "Waiting 1.5.0: held selected");
    let until = |tag: &str| Hold { until: Until::NewerThan(version(tag)), ..keep() };
    assert_eq!(kept("1.3.0", vec![until("1.5.0")]), "Nothing 1.3.0: held", "1.5.0 is not newer than itself");
    assert_eq!(kept("1.3.0", vec![until("1.4.0")]), "Update 1.5.0: selected");
    // Something newer that still waits is no reason to give up what is kept.
    let waiting = prod(&[pinned("1.3.0")], sequence(&[("1.5.0", 1)]), soak(9));
    assert_eq!(said(with_holds(waiting, vec![until("1.4.0")])), "Nothing 1.3.0: held");
}

#[test]
fn a_hotfix_goes_past_upstreams_gates_and_older_holds_but_past_no_freeze() {
    let promote = || hold(Wish::Promote { version: version("1.9.0") }, hours_ago(1));
    let environment = || prod(&[pinned("1.4.0")], sequence(&[("1.5.0", 1)]), soak(24));
    let with = |other| said(with_holds(environment(), vec![promote(), other]));
    assert_eq!(said(with_holds(environment(), vec![promote()])), "Update 1.9.0: askedFor");
    assert_eq!(with(hold(Wish::Hold, hours_ago(2))), "Update 1.9.0: askedFor");
    assert_eq!(with(hold(Wish::Hold, hours_ago(0))), "Waiting 1.5.0: held gatesWait");
    assert_eq!(with(hold(Wish::Freeze, hours_ago(2))), "Waiting 1.5.0: held gatesWait");
    assert_eq!(with(hold(Wish::Skip { version: version("1.9.0") }, hours_ago(0))), "Update 1.9.0: askedFor");
    // Whoever closes the pull request that brings it takes the wish back; asked for again, it comes.
    let refuse = |hours| hold(Wish::Refuse { version: version("1.9.0"), pull_request: 7 }, hours_ago(hours));
    assert_eq!(with(refuse(0)), "Nothing -: held");
    assert_eq!(with(refuse(2)), "Update 1.9.0: askedFor");
    let holds = vec![promote(), refuse(0)];
    let closed = facts(vec![with_holds(environment(), holds.clone())]);
    assert_eq!(ended(&holds, &closed, &decide(&closed)), [holds[0].id.clone()]);
    // Once it is there it is over, and so is what was kept before it.
    let there = prod(&[pinned("1.9.0")], sequence(&[("1.5.0", 50)]), soak(24));
    let keep = hold(Wish::Keep { version: version("1.3.0") }, hours_ago(2));
    let holds = vec![promote(), keep];
    assert_eq!(said(with_holds(there.clone(), holds.clone())), "Nothing -: upstreamNotAhead belowCurrent");
    let facts = facts(vec![with_holds(there, holds.clone())]);
    assert_eq!(ended(&holds, &facts, &decide(&facts)), [holds[0].id.clone(), holds[1].id.clone()]);
}

#[test]
fn what_a_pull_request_offers_stands_while_nothing_gave_a_reason_to_look_anew() {
    let offered = |tag: &str| with_image(dev("1.4.0", &[]), |image| image.offered = Some(version(tag)));
    assert_eq!(said(offered("1.5.0")), "Update 1.5.0: selected");
    assert_eq!(said(offered("1.4.0")), "Nothing 1.4.0: alreadyThere");
    assert_eq!(said(offered("1.3.0")), "Nothing -: belowCurrent");
    let down = with_image(offered("1.5.0"), |image| image.registry_unavailable = Some("refused".to_owned()));
    assert_eq!(said(down), "Update 1.5.0: selected");
    let young = with_image(offered("1.5.0"), |image| image.selection.minimum_age = Some(hours(1)));
    assert_eq!(said(young), "Update 1.5.0: selected");
    let refused = hold(Wish::Refuse { version: version("1.5.0"), pull_request: 7 }, hours_ago(1));
    assert_eq!(said(with_holds(offered("1.5.0"), vec![refused])), "Nothing -: held");
}

#[test]
fn going_back_is_noticed_and_held() {
    let ran = || sequence(&[("1.3.0", 9), ("1.4.0", 8), ("1.5.0", 7)]);
    let by_people = || {
        let mut ran = ran();
        ran[2].by = PutBy::Others;
        ran
    };
    let short = |text: &str| {
        let version = version(text);
        format!("{}@{}", version.tag, version.digest.short())
    };
    let (from, none) = (version("1.5.0"), Vec::new);
    for (ran, current, explained, expected) in [
        (ran(), vec!["1.4.0".to_owned()], none(), Some("1.4.0")),
        (ran(), vec![short("1.3.0")], none(), Some("1.3.0")),
        (ran(), vec![version("1.4.0").digest.short().to_owned()], none(), Some("1.4.0")),
        (ran(), vec!["1.5.0".to_owned(), "1.4.0".to_owned()], none(), Some("1.4.0")),
        (ran(), vec!["1.5.0".to_owned()], none(), None),
        (ran(), vec!["1.6.0".to_owned()], none(), None),
        (ran(), vec![short("1.4.0/other")], none(), None),
        (ran(), vec!["1.4.0".to_owned()], vec![version("1.4.0")], None),
        (ran(), vec![], none(), None),
        (by_people(), vec!["1.4.0".to_owned()], none(), None),
        (Vec::new(), vec!["1.4.0".to_owned()], none(), None),
    ] {
        let expected = expected.map(|to| TakenBack { from: from.clone(), to: version(to), since: hours_ago(7) });
        assert_eq!(taken_back(&ran, &current, &[], &explained), expected, "{current:?}");
    }
    let taken = TakenBack { from, to: version("1.4.0"), since: at(NOW) };
    let (environment, entry): (EnvironmentName, EntryName) = ("prod".parse().unwrap(), "web".parse().unwrap());
    let hold = hold_of(&taken, &environment, &entry, at(NOW)).unwrap();
    assert_eq!(hold_of(&taken, &environment, &entry, hours_ago(9)).unwrap().id, hold.id);
    assert_ne!(hold_of(&taken, &"eu".parse().unwrap(), &entry, at(NOW)).unwrap().id, hold.id);
    assert_eq!(
        said(with_holds(dev("1.4.0", &["1.5.0"]), vec![Hold { environment: None, ..hold }])),
        "Waiting 1.5.0: held selected"
    );
}

#[test]
fn holds_end_by_time_and_by_what_comes() {
    let over = Hold { until: Until::Time(hours_ago(1)), ..hold(Wish::Freeze, hours_ago(9)) };
    let newer = Hold { until: Until::NewerThan(version("1.4.0")), ..hold(Wish::Hold, hours_ago(8)) };
    let lasting = hold(Wish::Skip { version: version("1.6.0") }, hours_ago(7));
    let holds = vec![over, newer, lasting];
    let facts = facts(vec![with_holds(dev("1.3.0", &["1.5.0"]), holds.clone())]);
    let decisions = decide(&facts);
    assert_eq!(brief(&decisions[0]), "Update 1.5.0: selected");
    assert_eq!(ended(&holds, &facts, &decisions), [holds[0].id.clone(), holds[1].id.clone()]);
    let soon = Hold { until: Until::Time(hours_ago(-3)), ..hold(Wish::Hold, hours_ago(1)) };
    assert_eq!(next_change(&[], &[soon], at(NOW)), Some(hours_ago(-3)));
}
