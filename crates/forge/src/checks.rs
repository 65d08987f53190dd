//! What several checks of one name come to. Does not ask for them.

use std::collections::BTreeMap;

use tagboat_model::{Check, CheckState};

/// Of several with one name the worst: none hides another that is red or not done.
pub(crate) fn worst_of_each_name(checks: impl IntoIterator<Item = Check>) -> Vec<Check> {
    let mut worst: BTreeMap<String, Check> = BTreeMap::new();
    for check in checks {
        if worst.get(&check.name).is_none_or(|there| badness(there.state) < badness(check.state)) {
            worst.insert(check.name.clone(), check);
        }
    }
    worst.into_values().collect()
}

fn badness(state: CheckState) -> u8 {
    match state {
        CheckState::Success => 0,
        CheckState::Pending => 1,
        CheckState::Failure => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_with_one_name_the_worst_counts() {
        use CheckState::{Failure, Pending, Success};

        let check =
            |name: &str, state: CheckState| Check { name: name.to_owned(), state, text: String::new(), url: None };
        let all = [("a", Success), ("a", Failure), ("a", Pending), ("b", Pending), ("b", Success), ("c", Success)];
        let worst = worst_of_each_name(all.map(|(name, state)| check(name, state)));
        assert_eq!(worst, [check("a", Failure), check("b", Pending), check("c", Success)]);
    }
}
