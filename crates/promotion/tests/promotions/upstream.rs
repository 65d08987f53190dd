//! What comes from upstream, and what does not.

use tagboat_model::{Outcome, Pin};
use tagboat_promotion::{EnvironmentFacts, Gates, ImageFacts, NamesNow, decide, next_gate_change, promotable};

use crate::world::{
    NOW, at, brief, decision, facts, follow_main, hours_ago, pinned, prod, said, sequence, soak, version, with_image,
    written,
};

#[test]
fn the_newest_version_that_soaked_moves_on_as_it_is() {
    let upstream = || sequence(&[("1.3.0", 99), ("1.4.0", 80), ("1.5.0", 30), ("1.6.0", 1)]);
    let decision = decision(prod(&[pinned("1.3.0")], upstream(), soak(24)));
    assert_eq!(brief(&decision), "Update 1.5.0: promotedFrom gatesWait");
    assert_eq!(decision.version, Some(version("1.5.0")));
    let words: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
    assert_eq!(words[0], "1.5.0 ran in dev since 2026-11-25T06:00:00Z and moves on as it is");
    assert_eq!(
        words[1],
        "1.6.0 waits: soak waiting until 2026-11-27T11:00:00Z: in dev since 2026-11-26T11:00:00Z, soak is 1d"
    );
    let gates: Vec<String> = decision.gates.iter().map(ToString::to_string).collect();
    assert_eq!(gates, ["soak passed: in dev since 2026-11-25T06:00:00Z"]);
    assert_eq!(said(prod(&[pinned("1.3.0")], upstream(), Gates::default())), "Update 1.6.0: promotedFrom");
    assert_eq!(said(prod(&[pinned("1.6.0")], upstream(), soak(24))), "Nothing 1.6.0: alreadyThere");
}

#[test]
fn the_soak_of_what_waits_goes_on_whatever_comes_after_it() {
    // A commit every hour; none runs longer than that.
    let busy: Vec<(String, i64)> = (0..40_i64).map(|hour| (format!("1.0.{hour}"), 40 - hour)).collect();
    let busy: Vec<(&str, i64)> = busy.iter().map(|(tag, ago)| (tag.as_str(), *ago)).collect();
    let chosen = decision(prod(&[pinned("0.9.0")], sequence(&busy), soak(24)));
    assert_eq!(brief(&chosen), "Update 1.0.16: promotedFrom gatesWait gatesWait gatesWait gatesWait gatesWait andMore");
    let waiting = decision(prod(&[pinned("1.0.16")], sequence(&busy), soak(24)));
    assert_eq!((waiting.outcome, waiting.version), (Outcome::Waiting, Some(version("1.0.17"))), "the first to pass");
    assert_eq!(waiting.gates[0].until, Some(at("2026-11-26T13:00:00Z")));
}

#[test]
fn several_environments_promote_from_one_each_by_its_own_gates() {
    let upstream = || sequence(&[("1.4.0", 80), ("1.5.0", 5)]);
    let (eu, us) = (prod(&[pinned("1.4.0")], upstream(), soak(1)), prod(&[pinned("1.4.0")], upstream(), soak(9)));
    let us = EnvironmentFacts { name: "us".parse().unwrap(), ..us };
    let decisions: Vec<String> = decide(&facts(vec![eu, us])).iter().map(brief).collect();
    assert_eq!(decisions, ["Update 1.5.0: promotedFrom", "Waiting 1.5.0: gatesWait"]);
}

#[test]
fn what_was_taken_back_upstream_does_not_move_on_and_nothing_goes_down() {
    let upstream = || {
        let mut upstream = sequence(&[("1.3.0", 99), ("1.4.0", 80), ("1.5.0", 30), ("1.4.0", 20)]);
        upstream[2].taken_back = true;
        upstream
    };
    for (here, expected) in [
        ("1.3.0", "Update 1.4.0: promotedFrom"),
        ("1.4.0", "Nothing 1.4.0: alreadyThere"),
        ("1.5.0", "Nothing -: upstreamNotAhead belowCurrent"),
        ("2.0.0", "Nothing -: belowCurrent belowCurrent takenBackUpstream"),
    ] {
        assert_eq!(said(prod(&[pinned(here)], upstream(), Gates::default())), expected, "{here} runs");
    }
    let taken = {
        let mut upstream = sequence(&[("1.4.0", 80), ("1.5.0", 30)]);
        upstream[1].taken_back = true;
        said(prod(&[pinned("1.4.0")], upstream, Gates::default()))
    };
    assert_eq!(taken, "Nothing -: takenBackUpstream");
    // A policy that cannot order does not go back to what ran before either.
    let back = sequence(&[("main/a", 80), ("main/b", 30), ("main/a", 20)]);
    let followed = with_image(prod(&[pinned("main/b")], back, Gates::default()), |image| {
        image.selection = follow_main().into();
    });
    assert_eq!(said(followed), "Nothing -: upstreamNotAhead belowCurrent");
}

#[test]
fn what_was_taken_back_upstream_and_put_there_again_moves_on() {
    // Released there, so that it came once more.
    let again = |texts: [&str; 3]| {
        let [old, new, oldest] = texts;
        let mut upstream = sequence(&[(oldest, 99), (old, 80), (new, 30), (old, 20), (new, 10)]);
        upstream[2].taken_back = true;
        upstream
    };
    let ordered = prod(&[pinned("1.4.0")], again(["1.4.0", "1.5.0", "1.3.0"]), Gates::default());
    assert_eq!(said(ordered), "Update 1.5.0: promotedFrom");
    let late = sequence(&[("1.5.0", 30), ("1.4.0", 20), ("1.5.0", 10)]);
    assert_eq!(said(prod(&[pinned("1.4.0")], late, Gates::default())), "Update 1.5.0: promotedFrom");
    let followed = prod(&[pinned("main/b")], again(["main/b", "main/c", "main/a"]), Gates::default());
    let followed = with_image(followed, |image| image.selection = follow_main().into());
    let chosen = decision(followed);
    assert_eq!((brief(&chosen).as_str(), chosen.version), ("Update main: promotedFrom", Some(version("main/c"))));
}

#[test]
fn digests_of_a_tag_that_moves_are_promoted_in_their_order() {
    let upstream = || sequence(&[("main/a", 80), ("main/b", 30), ("main/c", 1)]);
    let follow = |environment| with_image(environment, |image: &mut ImageFacts| image.selection = follow_main().into());
    let decision = decision(follow(prod(&[pinned("main/a")], upstream(), soak(24))));
    assert_eq!(
        (brief(&decision).as_str(), decision.version),
        ("Update main: promotedFrom gatesWait", Some(version("main/b")))
    );
    assert_eq!(said(follow(prod(&[written("main")], upstream(), soak(24)))), "Blocked -: noDigestToFollow");
}

#[test]
fn an_upstream_without_versions_or_with_several_promotes_nothing() {
    let gates = Gates::default;
    assert_eq!(said(prod(&[pinned("1.4.0")], Vec::new(), gates())), "Nothing -: upstreamEmpty");
    let unknown = with_image(prod(&[pinned("1.4.0")], Vec::new(), gates()), |image| image.upstream = None);
    assert_eq!(said(unknown), "Nothing -: upstreamEmpty");
    let disagrees = with_image(prod(&[pinned("1.4.0")], sequence(&[("1.5.0", 9)]), gates()), |image| {
        image.upstream.as_mut().unwrap().disagreeing = vec!["1.5.0".to_owned(), "1.4.0".to_owned()];
    });
    assert_eq!(said(disagrees), "Blocked -: upstreamDisagrees");
    let claimed = with_image(prod(&[pinned("1.4.0")], sequence(&[("1.5.0", 9)]), gates()), |image| {
        image.claimed_by = Some("other".parse().unwrap());
    });
    assert_eq!(said(claimed), "Blocked -: claimedTwice");
    assert_eq!(said(prod(&[], sequence(&[("1.5.0", 9)]), gates())), "Nothing -: noReference");
    let halves = prod(&[pinned("1.4.0"), pinned("1.5.0")], sequence(&[("1.4.0", 80), ("1.5.0", 9)]), gates());
    assert_eq!(said(halves), "Update 1.5.0: promotedFrom referencesDisagree");
}

#[test]
fn a_tag_alone_moves_on_only_while_it_names_what_ran_upstream() {
    let names = |found: Option<&str>| {
        let named = found.map(|found| NamesNow { tag: "1.5.0".parse().unwrap(), digest: Some(version(found).digest) });
        with_image(prod(&[written("1.4.0")], sequence(&[("1.4.0", 80), ("1.5.0", 9)]), Gates::default()), |image| {
            image.upstream.as_mut().unwrap().names_now = named.iter().cloned().collect();
        })
    };
    assert_eq!(said(names(Some("1.5.0"))), "Update 1.5.0: promotedFrom");
    assert_eq!(said(names(Some("1.5.0/moved"))), "Blocked 1.5.0: movedSincePut promotedFrom");
    assert_eq!(said(names(None)), "Waiting 1.5.0: notAskedYet promotedFrom");
    let gone = with_image(names(None), |image| {
        let gone = NamesNow { tag: "1.5.0".parse().unwrap(), digest: None };
        image.upstream.as_mut().unwrap().names_now = vec![gone];
    });
    assert_eq!(said(gone), "Blocked 1.5.0: notAtRegistry promotedFrom");
    let down = with_image(names(None), |image| image.registry_unavailable = Some("refused".to_owned()));
    assert_eq!(said(down), "Waiting 1.5.0: registryUnavailable promotedFrom");
    // What is asked about is what would be chosen, and nothing else.
    let environment = names(None);
    let asked = promotable(&environment.images[0], environment.promotion.as_ref().unwrap(), at(NOW), false, &[]);
    assert_eq!(asked, [version("1.5.0")]);
    let pinned = with_image(names(None), |image| image.pin = Pin::TagAndDigest);
    assert_eq!(said(pinned), "Update 1.5.0: promotedFrom", "the digest says what is meant");
}

#[test]
fn what_waits_behind_what_is_offered_is_not_forgotten() {
    let environment = prod(&[pinned("1.3.0")], sequence(&[("1.4.0", 30), ("1.5.0", 20)]), soak(24));
    let facts = facts(vec![environment]);
    let decisions = decide(&facts);
    assert_eq!(brief(&decisions[0]), "Update 1.4.0: promotedFrom gatesWait");
    assert_eq!(next_gate_change(&facts), Some(hours_ago(-4)));
}
