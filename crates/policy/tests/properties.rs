//! What holds for every policy and every set of tags.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{cmp::Ordering, collections::BTreeSet};

use proptest::prelude::*;
use tagboat_model::{Duration, Source, Tag, Timestamp};
use tagboat_policy::{Circumstances, Considered, Jump, Known, Policy, Selection, Sight, places_by_run};

const POLICIES: [&str; 13] = [
    r#"{"semver":{"range":"*"}}"#,
    r#"{"semver":{"range":">=1.0.0-0 <3"}}"#,
    r#"{"semver":{"range":"~1.2 || ^3"}}"#,
    r#"{"numerical":{}}"#,
    r#"{"numerical":{"order":"desc"}}"#,
    r#"{"alphabetical":{}}"#,
    r#"{"alphabetical":{"order":"desc"}}"#,
    r#"{"newest":{}}"#,
    r#"{"announced":{}}"#,
    r#"{"announced":{"claims":{"ref":["refs/heads/main","refs/tags/*"]}}}"#,
    r#"{"digest":{"tag":"main"}}"#,
    r#"{"argocdImageUpdater":{"ignoreTags":["*-rc*"]}}"#,
    r#"{"kargo":{"imageSelectionStrategy":"NewestBuild"}}"#,
];

fn tag() -> impl Strategy<Value = Tag> {
    let text = prop_oneof![
        "v?[0-3]\\.[0-3]\\.0?[0-3](-(rc|a)\\.[0-2])?",
        "0{0,2}[0-9]{1,25}(\\.[0-9]{1,2})?",
        "(main|latest|[a-z]{1,3})",
        "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,12}",
    ];
    text.prop_map(|text| text.parse().unwrap())
}

fn known() -> impl Strategy<Value = Known> {
    let sight = prop_oneof![
        Just(None),
        Just(Some(Sight::Baseline(Timestamp(50)))),
        (51_i64..60).prop_map(|at| Some(Sight::After(Timestamp(at)))),
    ];
    (sight, prop::option::of(0_i64..60), prop::option::of(0_u64..9)).prop_map(|(sight, created, announced)| Known {
        sight,
        created: created.map(Timestamp),
        announced,
        changed: None,
    })
}

fn tags() -> impl Strategy<Value = Vec<Considered>> {
    prop::collection::btree_map(tag(), known(), 0..20)
        .prop_map(|tags| tags.into_iter().map(|(tag, known)| Considered { tag, known }).collect())
}

fn selection() -> impl Strategy<Value = Selection> {
    (0..POLICIES.len(), any::<bool>(), prop::option::of(0_u64..30), any::<bool>()).prop_map(
        |(policy, down, age, jump)| {
            let policy: Policy = serde_json::from_str(POLICIES[policy]).unwrap();
            let is_semver = matches!(policy, Policy::Semver(_));
            Selection {
                allow_downgrade: down,
                minimum_age: age.map(Duration::from_milliseconds),
                maximum_jump: (jump && is_semver).then_some(Jump::Major),
                ..policy.into()
            }
        },
    )
}

/// Of few repositories and workflows, most with numbered runs, in the order of their places, which have gaps.
fn sources() -> impl Strategy<Value = Vec<(u64, Source)>> {
    let repository = prop_oneof![Just(None::<&str>), Just(Some("acme/web")), Just(Some("acme/api"))];
    let workflow = prop_oneof![Just(None::<&str>), Just(Some("ci")), Just(Some("nightly"))];
    let number = (0_u64..12).prop_map(|run| Some(run.to_string()));
    let run = prop_oneof![1 => Just(None::<String>), 1 => Just(Some("b-7".to_owned())), 8 => number];
    let source = (repository, workflow, run).prop_map(|(repository, workflow, run)| Source {
        repository: repository.map(str::to_owned),
        run,
        claims: workflow.map(|workflow| ("workflow".to_owned(), workflow.to_owned())).into_iter().collect(),
        ..Source::default()
    });
    prop::collection::vec(source, 0..16).prop_map(|sources| (1..).map(|place| place * 3).zip(sources).collect())
}

fn by_run(announced: &[(u64, Source)]) -> Vec<u64> {
    let announced: Vec<(u64, &Source)> = announced.iter().map(|(place, source)| (*place, source)).collect();
    places_by_run(&announced)
}

/// The number of a run with what it may be compared with.
fn run(source: &Source) -> Option<(u64, (&String, Option<&String>))> {
    let run = source.run.as_ref()?.parse().ok()?;
    Some((run, (source.repository.as_ref()?, source.claims.get("workflow"))))
}

const NOW: Timestamp = Timestamp(60);

fn chosen(selection: &Selection, tags: &[Considered], current: Option<&Considered>) -> Option<Tag> {
    let current = current.map(|current| (&current.tag, &current.known));
    selection.consider(tags, Circumstances { current, now: NOW }).selected().cloned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Antisymmetric, transitive, and either all or none: what a sort needs.
    #[test]
    fn the_order_is_total(selection in selection(), tags in prop::collection::vec((tag(), known()), 3)) {
        let compare = |a: usize, b: usize| selection.compare((&tags[a].0, &tags[a].1), (&tags[b].0, &tags[b].1));
        let places: Vec<bool> = tags.iter().map(|(tag, known)| selection.orders(tag, known)).collect();
        for (a, b) in [(0, 1), (1, 2), (0, 2), (0, 0)] {
            prop_assert_eq!(compare(a, b), compare(b, a).map(Ordering::reverse));
            prop_assert_eq!(compare(a, b).is_some(), places[a] && places[b]);
        }
        if let (Some(first), Some(second), Some(both)) = (compare(0, 1), compare(1, 2), compare(0, 2))
            && first == second
        {
            prop_assert_eq!(first, both);
        }
    }

    #[test]
    fn the_order_of_the_input_means_nothing(selection in selection(), tags in tags(), turn in 0_usize..20) {
        let expect = chosen(&selection, &tags, None);
        let mut turned = tags;
        let by = turn.min(turned.len());
        turned.rotate_left(by);
        prop_assert_eq!(&chosen(&selection, &turned, None), &expect);
        turned.reverse();
        prop_assert_eq!(&chosen(&selection, &turned, None), &expect);
    }

    #[test]
    fn every_tag_has_exactly_one_reason(selection in selection(), tags in tags()) {
        let consideration = selection.consider(&tags, Circumstances { current: tags.first().map(|c| (&c.tag, &c.known)), now: NOW });
        let reasons: Vec<_> = consideration.reasons().collect();
        prop_assert_eq!(reasons.len(), tags.len());
        for (reason, considered) in reasons.iter().zip(&tags) {
            prop_assert_eq!(reason.tag(), Some(&considered.tag));
            let json = serde_json::to_value(reason).unwrap();
            prop_assert_eq!(&json["code"], reason.code());
        }
        prop_assert_eq!(consideration.counts().values().sum::<usize>(), tags.len());
        prop_assert_eq!(consideration.eligible().first().map(|c| &c.tag), consideration.selected());
        let eligible: BTreeSet<&Tag> = consideration.eligible().iter().map(|c| &c.tag).collect();
        let refused: BTreeSet<Tag> = consideration.refused(usize::MAX).iter().filter_map(|reason| reason.tag().cloned()).collect();
        prop_assert_eq!(eligible.len() + refused.len(), tags.len());
    }

    /// A tag that is chosen stays chosen when lesser ones go, and only a better one takes its place.
    #[test]
    fn more_tags_never_make_it_older(selection in selection(), tags in tags(), more in (tag(), known())) {
        let before = chosen(&selection, &tags, None);
        let mut all = tags;
        if !all.iter().any(|considered| considered.tag == more.0) {
            all.push(Considered { tag: more.0, known: more.1 });
        }
        let after = chosen(&selection, &all, None);
        if let Some(before) = before {
            let known = |tag: &Tag| all.iter().find(|c| c.tag == *tag).unwrap().known;
            let after = after.unwrap();
            let order = selection.compare((&after, &known(&after)), (&before, &known(&before)));
            prop_assert!(order.is_some_and(Ordering::is_ge), "{before} then {after}");
        }
    }

    #[test]
    fn never_below_what_runs(selection in selection(), tags in tags(), current in 0_usize..20) {
        let Some(current) = tags.get(current) else { return Ok(()) };
        let guarded = Selection { allow_downgrade: false, ..selection };
        if let Some(chosen) = chosen(&guarded, &tags, Some(current)) {
            let known = tags.iter().find(|c| c.tag == chosen).unwrap().known;
            let order = guarded.compare((&chosen, &known), (&current.tag, &current.known));
            prop_assert_ne!(order, Some(Ordering::Less));
        }
    }

    /// The same places are given out again, so that every two announcements still compare.
    #[test]
    fn places_by_run_are_a_permutation(announced in sources()) {
        let places = by_run(&announced);
        let sorted: BTreeSet<u64> = places.iter().copied().collect();
        prop_assert_eq!(places.len(), announced.len());
        prop_assert_eq!(sorted, announced.iter().map(|(place, _)| *place).collect::<BTreeSet<u64>>());
    }

    #[test]
    fn runs_of_one_stream_stand_in_their_order_and_all_else_stays(announced in sources()) {
        let places = by_run(&announced);
        for (left, (before, source)) in announced.iter().enumerate() {
            let Some((number, stream)) = run(source) else {
                prop_assert_eq!(places[left], *before);
                continue;
            };
            let mut of_stream = (BTreeSet::new(), BTreeSet::new());
            for (right, (other_before, other)) in announced.iter().enumerate() {
                if let Some((other_number, other_stream)) = run(other)
                    && other_stream == stream
                {
                    of_stream.0.insert(*other_before);
                    of_stream.1.insert(places[right]);
                    let expect = (number, before).cmp(&(other_number, other_before));
                    prop_assert_eq!(places[left].cmp(&places[right]), expect);
                }
            }
            prop_assert_eq!(of_stream.0, of_stream.1, "a stream keeps its places");
        }
    }

    /// What is in order stays in order.
    #[test]
    fn places_by_run_are_given_out_once(announced in sources()) {
        let places = by_run(&announced);
        let mut again: Vec<(u64, Source)> = places.into_iter().zip(announced).map(|(place, (_, source))| (place, source)).collect();
        again.sort_by_key(|(place, _)| *place);
        prop_assert_eq!(by_run(&again), again.iter().map(|(place, _)| *place).collect::<Vec<u64>>());
        let without: Vec<(u64, Source)> = again.into_iter().map(|(place, source)| (place, Source { run: None, ..source })).collect();
        prop_assert_eq!(by_run(&without), without.iter().map(|(place, _)| *place).collect::<Vec<u64>>());
    }
}
