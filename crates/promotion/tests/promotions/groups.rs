//! Commits of several images.

use tagboat_model::{Decision, EntryName, EnvironmentName, GroupName};
use tagboat_promotion::{
    CommitStyle, Edited, FileChange, Grouping, decide, decision_id, lane_commit, lane_order, propose,
};

use crate::world::{dev, facts, pinned, prod, sequence, soak, version};

#[test]
fn a_group_changes_in_one_commit_that_names_each() {
    let named = |entry: &str, environment: &str| {
        let mut environment_facts = dev("1.4.0", &["1.5.0"]);
        environment_facts.name = environment.parse().unwrap();
        environment_facts.images[0].entry = entry.parse().unwrap();
        environment_facts
    };
    let facts = facts(vec![named("web", "dev"), named("worker", "dev"), named("web", "prod"), named("tool", "dev")]);
    let decisions = decide(&facts);
    let groups = [("front".parse::<GroupName>().unwrap(), vec!["web".parse().unwrap(), "tool".parse().unwrap()])];
    let groups = Grouping::Named(groups.into_iter().collect());
    let grouping = |_: &EnvironmentName, entry: &EntryName| groups.group_of(entry);
    let ordered = lane_order(&decisions, &grouping);
    let order: Vec<String> = ordered.iter().map(|it| format!("{}/{}", it.environment, it.entry)).collect();
    assert_eq!(order, ["dev/web", "dev/tool", "dev/worker", "prod/web"]);
    let file = |bytes: u8| FileChange { path: "a.yaml".to_owned(), bytes: vec![bytes] };
    let edited: Vec<Edited<'_>> = (0_u8..)
        .zip(ordered)
        .map(|(number, decision)| Edited {
            decision,
            version: decision.version.as_ref().unwrap(),
            files: vec![file(number)],
        })
        .collect();
    let plans = propose(&facts, &edited, &CommitStyle::default(), &grouping);
    let counts: Vec<(usize, u8)> = plans.iter().map(|plan| (plan.decisions.len(), plan.files[0].bytes[0])).collect();
    assert_eq!(counts, [(2, 1), (1, 2), (1, 3)]);
    let digest = version("1.5.0").digest;
    let ids: Vec<String> = plans[0].decisions.iter().map(ToString::to_string).collect();
    let expected = format!(
        "Update 2 images in dev\n\n- web: 1.4.0 -> 1.5.0\n- tool: 1.4.0 -> 1.5.0\n\n\
         Tagboat-Image: ghcr.io/acme/web:1.5.0@{digest}\nTagboat-Image: ghcr.io/acme/web:1.5.0@{digest}\n\
         Tagboat-Environment: dev\nTagboat-Decision: {}\nTagboat-Decision: {}\n",
        ids[0], ids[1]
    );
    assert_eq!(plans[0].message, expected);
    assert!(plans[1].message.starts_with("Update worker to 1.5.0 in dev\n"));
    let all = lane_commit(&facts, &edited[..3], &CommitStyle::default()).unwrap();
    assert_eq!((all.decisions.len(), all.files), (3, vec![file(2)]));
    assert!(lane_commit(&facts, &[], &CommitStyle::default()).is_none());
    assert_eq!(Grouping::All.group_of(&"web".parse().unwrap()).as_str(), "all");
    assert_eq!(Grouping::PerImage.group_of(&"web".parse().unwrap()).as_str(), "web");
}

#[test]
fn gates_that_change_with_time_are_no_other_decision() {
    let facts = facts(vec![prod(&[pinned("1.4.0")], sequence(&[("1.5.0", 30)]), soak(24))]);
    let decision = decide(&facts).remove(0);
    let later = Decision { gates: Vec::new(), ..decision.clone() };
    assert_eq!(decision_id(&facts, &decision), decision_id(&facts, &later));
}
