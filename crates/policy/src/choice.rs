//! Choosing among tags.

use std::cmp::Ordering;

use tagboat_model::{Reason, Tag};

use crate::{LooseVersion, Policy};

/// What a policy makes of a set of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The best tag, or none when none is admitted.
    pub selected: Option<Tag>,
    /// For every other tag one reason, in the order of the input.
    pub others: Vec<Reason>,
}

pub(crate) fn choose(policy: &Policy, tags: &[Tag]) -> Choice {
    let selected = tags.iter().filter(|tag| policy.admits(tag).is_ok()).max_by(|a, b| rank(policy, a, b)).cloned();
    let others = tags.iter().filter(|tag| Some(*tag) != selected.as_ref()).map(|tag| {
        policy.admits(tag).err().unwrap_or_else(|| match &selected {
            Some(selected) if policy.compare(tag, selected) == Some(Ordering::Equal) => {
                Reason::EqualToSelected { tag: tag.clone(), selected: selected.clone() }
            }
            Some(selected) => Reason::LowerThanSelected { tag: tag.clone(), selected: selected.clone() },
            None => Reason::NoAdmittedTag { policy: policy.to_string() },
        })
    });
    Choice { others: others.collect(), selected }
}

/// Precedence first. Between tags of one precedence the one written without surprises wins: as the version
/// itself prints, else with only a `v` before it, else the shorter, else the first in byte order.
fn rank(policy: &Policy, left: &Tag, right: &Tag) -> Ordering {
    policy
        .compare(left, right)
        .unwrap_or(Ordering::Equal)
        .then_with(|| surprise(right).cmp(&surprise(left)))
        .then_with(|| right.cmp(left))
}

/// The less, the better.
fn surprise(tag: &Tag) -> (u8, usize) {
    let text = tag.as_str();
    let spelling = match LooseVersion::parse(tag).map(|version| version.canonical()) {
        Some(canonical) if text == canonical => 0,
        Some(canonical) if text.strip_prefix('v') == Some(canonical.as_str()) => 1,
        _ => 2,
    };
    (spelling, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn semver(range: &str) -> Policy {
        Policy::Semver(crate::Semver { range: range.parse().unwrap() })
    }

    fn tags(list: &str) -> Vec<Tag> {
        list.split_whitespace().map(|tag| tag.parse().unwrap()).collect()
    }

    fn check(policy: &Policy, list: &str, expect: &str) {
        let choice = policy.choose(&tags(list));
        let mut text = format!("selected {}\n", choice.selected.map_or("none".to_owned(), |tag| tag.to_string()));
        for reason in choice.others {
            text.push_str(&format!("{reason}\n"));
        }
        assert_eq!(text.trim_end(), expect.trim_end());
    }

    #[test]
    fn every_tag_that_is_not_selected_has_a_reason() {
        check(
            &semver("^1.4"),
            "1.3.0 1.4.0 1.10.0 1.9.0 2.0.0 1.11.0-rc.1 latest",
            "selected 1.10.0
1.3.0 is outside the range `^1.4`
1.4.0 is lower than 1.10.0
1.9.0 is lower than 1.10.0
2.0.0 is outside the range `^1.4`
1.11.0-rc.1 is a prerelease, and no bound of `^1.4` names one (write `-0` after a bound to admit them)
latest is not a version",
        );
    }

    #[test]
    fn nothing_admitted_selects_nothing() {
        check(&semver("^3"), "1.0.0 main", "selected none\n1.0.0 is outside the range `^3`\nmain is not a version");
    }

    #[test]
    fn of_equal_versions_the_plainest_spelling_wins_in_any_order() {
        for list in ["1.5.0 v1.5.0 01.5.0", "01.5.0 v1.5.0 1.5.0", "v1.5.0 1.5.0 01.5.0"] {
            assert_eq!(semver("*").choose(&tags(list)).selected.unwrap().as_str(), "1.5.0", "{list}");
        }
        assert_eq!(semver("*").choose(&tags("01.5.0 v1.5.0")).selected.unwrap().as_str(), "v1.5.0");
    }

    #[test]
    fn a_digest_policy_follows_its_tag_only() {
        let policy = Policy::Digest(crate::FollowedTag { tag: "main".parse().unwrap() });
        check(&policy, "1.0.0 main", "selected main\n1.0.0 is not the tag that is followed, main");
    }
}
