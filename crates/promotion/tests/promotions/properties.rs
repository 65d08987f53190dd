//! What holds whatever ran.

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use tagboat_model::{Gate, GateName, Outcome, Ran, Stage, Wish};
use tagboat_promotion::{EnvironmentFacts, Gates, gate};

use crate::world::{decision, hold, hours, hours_ago, pinned, prod, sequence, version};

/// What ran upstream: which of a few versions, how long ago, whether taken back.
fn sequences() -> impl Strategy<Value = Vec<Ran>> {
    prop::collection::vec((0_u8..6, 1_i64..60, prop::bool::weighted(0.2)), 0..8).prop_map(|mut found| {
        found.sort_by_key(|(_, ago, _)| std::cmp::Reverse(*ago));
        let texts: Vec<String> = found.iter().map(|(minor, _, _)| format!("1.{minor}.0")).collect();
        let pairs: Vec<(&str, i64)> =
            texts.iter().zip(&found).map(|(text, (_, ago, _))| (text.as_str(), *ago)).collect();
        let mut all = sequence(&pairs);
        for (ran, (_, _, taken_back)) in all.iter_mut().zip(&found) {
            ran.taken_back = *taken_back;
        }
        all
    })
}

fn all_gates() -> Gates {
    Gates {
        minimum_age: Some(hours(1)),
        soak: Some(hours(20)),
        rollout: false,
        checks: Vec::new(),
        window: Some(gate::Windows::parse(&["Mon-Fri Europe/Berlin".to_owned()], &[]).unwrap()),
        approvals: 1,
    }
}

proptest! {
    #[test]
    fn nothing_goes_down_unless_somebody_asks(
        upstream in sequences(), here in 0_u8..6, held in any::<bool>(), by_pull_request in any::<bool>()
    ) {
        let current = version(&format!("1.{here}.0"));
        let environment = prod(&[pinned(current.tag.as_str())], upstream.clone(), Gates::default());
        let holds = if held { vec![hold(Wish::Freeze, hours_ago(1))] } else { Vec::new() };
        let decision = decision(EnvironmentFacts { by_pull_request, holds, ..environment });
        prop_assert!(!decision.reasons.is_empty());
        if decision.outcome == Outcome::Update {
            let chosen = decision.version.unwrap();
            prop_assert!(!held, "a hold never lets an update through");
            prop_assert!(chosen.tag > current.tag, "{chosen} is not above {current}");
            let newest = upstream.iter().rev().find(|ran| ran.version == chosen).unwrap();
            prop_assert!(!newest.taken_back);
        }
    }

    #[test]
    fn every_promotion_lists_every_gate(upstream in sequences(), here in 0_u8..6, by_pull_request in any::<bool>()) {
        let environment = prod(&[pinned(&format!("1.{here}.0"))], upstream, all_gates());
        let decision = decision(EnvironmentFacts { by_pull_request, ..environment });
        let names: Vec<GateName> = decision.gates.iter().map(|gate: &Gate| gate.name).collect();
        if matches!(decision.outcome, Outcome::Update | Outcome::Waiting) {
            prop_assert_eq!(names, [GateName::MinimumAge, GateName::Soak, GateName::Window, GateName::Approvals]);
        }
        let offered = decision.gates.iter().filter(|gate| gate.holds == Stage::Offer).all(Gate::is_passed);
        prop_assert!(decision.outcome != Outcome::Update || offered);
    }
}
