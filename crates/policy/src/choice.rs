//! Choosing among tags.

use std::cmp::Ordering;

use tagboat_model::Tag;

use crate::{LooseVersion, Policy};

/// The tags that a policy admits, best first.
pub(crate) fn ranked(policy: &Policy, tags: &[Tag]) -> Vec<Tag> {
    let mut admitted: Vec<&Tag> = tags.iter().filter(|tag| policy.admits(tag).is_ok()).collect();
    admitted.sort_by(|left, right| rank(policy, right, left));
    admitted.into_iter().cloned().collect()
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

    /// The best first, then why each other tag is not admitted.
    fn check(policy: &Policy, list: &str, expect: &str) {
        let tags = tags(list);
        let ranked: Vec<String> = policy.ranked(&tags).iter().map(ToString::to_string).collect();
        let mut lines = vec![ranked.join(" > ")];
        lines.extend(tags.iter().filter_map(|tag| policy.admits(tag).err()).map(|reason| reason.to_string()));
        assert_eq!(lines.join("\n"), expect);
    }

    #[test]
    fn every_tag_is_ranked_or_has_a_reason() {
        check(
            &semver("^1.4"),
            "1.3.0 1.4.0 1.10.0 1.9.0 2.0.0 1.11.0-rc.1 latest",
            "1.10.0 > 1.9.0 > 1.4.0
1.3.0 is outside the range `^1.4`
2.0.0 is outside the range `^1.4`
1.11.0-rc.1 is a prerelease, and no bound of `^1.4` names one (write `-0` after a bound to admit them)
latest is not a version",
        );
        check(&semver("^3"), "1.0.0 main", "\n1.0.0 is outside the range `^3`\nmain is not a version");
    }

    #[test]
    fn of_equal_versions_the_plainest_spelling_wins_in_any_order() {
        for list in ["1.5.0 v1.5.0 01.5.0", "01.5.0 v1.5.0 1.5.0", "v1.5.0 1.5.0 01.5.0"] {
            assert_eq!(semver("*").ranked(&tags(list))[0].as_str(), "1.5.0", "{list}");
        }
        assert_eq!(semver("*").ranked(&tags("01.5.0 v1.5.0"))[0].as_str(), "v1.5.0");
    }

    #[test]
    fn a_digest_policy_follows_its_tag_only() {
        let policy = Policy::Digest(crate::FollowedTag { tag: "main".parse().unwrap() });
        check(&policy, "1.0.0 main", "main\n1.0.0 is not the tag that is followed, main");
    }
}
