//! What makes a branch, a refusal or a text be the same again.

use sha2::{Digest as _, Sha256};
use tagboat_model::{BranchName, EntryName, EnvironmentName, GroupName, HoldId, Version};

use crate::CommitPlan;

/// The branch of a group's pull request: `tagboat/<environment>/<group>`. Names that Git does not take in a branch are
/// written with `-` for each `.`, and with a hash, so that no two become one.
#[must_use]
pub fn branch_of(environment: &EnvironmentName, group: &GroupName) -> BranchName {
    let name = format!("tagboat/{}/{}", part(environment.as_str()), part(group.as_str()));
    // A part is a plain name without what Git refuses, so this always reads. A branch that exists is never made anew.
    name.parse().unwrap_or_else(|_| BranchName::main())
}

fn part(name: &str) -> String {
    if !name.contains("..") && !name.ends_with('.') && !name.ends_with(".lock") {
        return name.to_owned();
    }
    let hash: String = fingerprint(&[name.as_bytes()]).chars().take(8).collect();
    format!("{}-{hash}", name.replace('.', "-"))
}

/// The id of the hold that says that people closed a pull request. `closings` counts how often they opened it again, since
/// a hold that was released stays released.
pub(crate) fn refusal_id(
    environment: &EnvironmentName,
    entry: &EntryName,
    version: &Version,
    number: u64,
    closings: u32,
) -> Option<HoldId> {
    let (number, closings) = (number.to_string(), closings.to_string());
    let parts = [
        environment.as_str(),
        entry.as_str(),
        version.tag.as_str(),
        version.digest.as_str(),
        number.as_str(),
        closings.as_str(),
    ];
    let parts = parts.map(str::as_bytes);
    format!("h-{}", fingerprint(&parts)).parse().ok()
}

/// The fingerprint of the files that a commit writes, whatever their order.
#[must_use]
pub fn content_of(commit: &CommitPlan) -> String {
    let mut files: Vec<(&[u8], &[u8])> =
        commit.files.iter().map(|file| (file.path.as_bytes(), file.bytes.as_slice())).collect();
    files.sort_unstable();
    let parts: Vec<&[u8]> = files.into_iter().flat_map(|(path, bytes)| [path, bytes]).collect();
    fingerprint(&parts)
}

/// The fingerprint of a text as a forge may give it back: with other line ends, and without spaces at its ends.
pub(crate) fn text_fingerprint(texts: &[&str]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| text.replace("\r\n", "\n").trim().to_owned()).collect();
    let parts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    fingerprint(&parts)
}

/// 16 hexadecimal digits. Each part goes in with its length, so that none can pass for two.
pub(crate) fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(format!("{}:", part.len()));
        hash.update(part);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(environment: &str, group: &str) -> String {
        branch_of(&environment.parse().unwrap(), &group.parse().unwrap()).to_string()
    }

    #[test]
    fn a_branch_says_environment_and_group() {
        assert_eq!(branch("prod", "web"), "tagboat/prod/web");
        assert_eq!(branch("prod.eu", "web_1.x"), "tagboat/prod.eu/web_1.x");
    }

    #[test]
    fn the_longest_names_fit() {
        let longest = "a".repeat(63);
        assert_eq!(branch(&longest, &longest), format!("tagboat/{longest}/{longest}"));
        let awkward = format!("a..{}", "b".repeat(60));
        assert!(branch(&awkward, &awkward).starts_with("tagboat/a--b"));
    }

    #[test]
    fn names_that_git_refuses_become_branches_of_their_own() {
        let names = ["a..b", "a--b", "a.", "a-", "a.lock", "a-lock", "a", "A."];
        let mut branches: Vec<String> = names.iter().map(|name| branch("prod", name)).collect();
        assert!(branches.iter().all(|branch| branch.starts_with("tagboat/prod/")), "{branches:?}");
        branches.sort();
        branches.dedup();
        assert_eq!(branches.len(), names.len());
    }

    #[test]
    fn parts_do_not_run_into_one_another() {
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
        assert_eq!(text_fingerprint(&["a\r\nb \n"]), text_fingerprint(&["a\nb"]));
    }
}
