//! Fuzz target: ranges, expressions, templates and tags from anywhere. Nothing may panic, and what must hold for every
//! input holds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use tagboat_model::{Tag, Timestamp};
use tagboat_policy::{Circumstances, Considered, Policy, Range, Selection};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The first line says how to choose, the rest is tags.
    let (how, tags) = text.split_once('\n').unwrap_or((text, ""));
    let (kind, how) = how.split_at_checked(1).unwrap_or(("s", how));
    if let Ok(range) = how.parse::<Range>() {
        let again: Range = range.to_string().parse().expect("a range reads back as it prints");
        assert_eq!(range, again);
    }
    let (pattern, extract) = how.split_once(' ').unwrap_or((how, "$0"));
    let selection = match kind {
        "n" => json!({ "policy": { "numerical": {} }, "filterTags": { "pattern": pattern, "extract": extract } }),
        "f" => {
            json!({ "policy": { "semver": { "range": "*-0" } }, "filterTags": { "pattern": pattern, "extract": extract } })
        }
        "x" => json!({ "policy": { "alphabetical": {} }, "exclude": [pattern], "allow": [extract] }),
        "g" => json!({ "policy": { "argocdImageUpdater": { "ignoreTags": [how], "constraint": "*-0" } } }),
        "k" => json!({ "policy": { "kargo": { "constraint": how, "strictSemvers": false } } }),
        _ => json!({ "policy": { "semver": { "range": how } } }),
    };
    let Ok(selection) = serde_json::from_value::<Selection>(selection) else { return };
    let mut tags: Vec<Considered> =
        tags.lines().filter_map(|tag| tag.parse::<Tag>().ok()).map(Considered::from).collect();
    tags.sort_by(|left, right| left.tag.cmp(&right.tag));
    tags.dedup();
    check(&selection, &mut tags);
});

fn check(selection: &Selection, tags: &mut [Considered]) {
    let circumstances = Circumstances { current: None, now: Timestamp(0) };
    let (selected, counted) = {
        let consideration = selection.consider(tags, circumstances);
        let reasons: Vec<_> = consideration.reasons().map(|reason| reason.to_string()).collect();
        assert_eq!(reasons.len(), tags.len());
        (consideration.selected().cloned(), consideration.counts().values().sum::<usize>())
    };
    assert_eq!(counted, tags.len(), "every tag has one reason");
    tags.reverse();
    assert_eq!(selection.consider(tags, circumstances).selected(), selected.as_ref(), "in any order");
    for pair in tags.windows(2) {
        let [left, right] = pair else { continue };
        let compare = |a: &Considered, b: &Considered| selection.compare((&a.tag, &a.known), (&b.tag, &b.known));
        assert_eq!(compare(left, right), compare(right, left).map(std::cmp::Ordering::reverse));
    }
    if let (Policy::Semver(_), Some(selected)) = (&selection.policy, &selected) {
        // What is chosen is chosen again beside itself, as what runs.
        let known = tagboat_policy::Known::default();
        let circumstances = Circumstances { current: Some((selected, &known)), ..circumstances };
        assert_eq!(selection.consider(tags, circumstances).selected(), Some(selected));
    }
}
