//! Comments on pull requests, each said once. The mark that makes them so is put in by whoever writes them.

use tagboat_model::{BranchName, ForgeTraits, PullRequest};

use super::{markdown, pull_request, some};
use crate::pull::BlockChange;

/// Versions that are named in a comment.
const MOST: usize = 30;

/// People closed it: what that means, and how to undo it.
#[must_use]
pub fn refused_comment(pull: &PullRequest, changes: &[BlockChange], traits: &ForgeTraits) -> String {
    let name = pull_request(traits);
    let environment = environment_of(&pull.head);
    let line = |change: &BlockChange| {
        let version = format!("{}@{}", change.version.tag, change.version.digest.short());
        format!("- {} {}", markdown::text(change.entry.as_str()), markdown::code(&version))
    };
    let lines = some(changes.iter().map(line).collect(), MOST).join("\n");
    let these = if changes.len() == 1 { "this version nor an older one" } else { "these versions nor older ones" };
    format!(
        "Closed without being merged, so Tagboat brings neither {these} to {environment}:\n\n{lines}\n\nA newer version opens a {name} of its own. To undo this, write `/tagboat release` in a comment here; or restore the branch, where it was deleted, then reopen this {name}."
    )
}

/// The environment that a branch of ours is for, in bold.
fn environment_of(head: &BranchName) -> String {
    let mut parts = head.as_str().split('/');
    match (parts.next(), parts.next()) {
        (Some("tagboat"), Some(environment)) => format!("**{}**", markdown::text(environment)),
        _ => "this environment".to_owned(),
    }
}

/// People committed on its branch.
#[must_use]
pub fn edited_comment(pull: &PullRequest, traits: &ForgeTraits) -> String {
    let name = pull_request(traits);
    let head = markdown::code(pull.head.as_str());
    format!(
        "There are commits of others on {head}, so Tagboat keeps its hands off this {name}: it is not updated, and newer versions wait.\n\nTo have it built anew, tick the box in its text or write `/tagboat rebuild` in a comment here. That discards those commits."
    )
}

/// People changed the branch that it goes into; `base` is the one it was made for.
#[must_use]
pub fn retargeted_comment(pull: &PullRequest, base: &BranchName) -> String {
    let (now, made_for) = (markdown::code(pull.base.as_str()), markdown::code(base.as_str()));
    format!(
        "This goes into {now} now, and Tagboat made it for {made_for}, so Tagboat keeps its hands off it. Set it back to {made_for} to have it kept up to date, or close it."
    )
}

/// It is needed no longer, but stays open, because people committed on its branch.
#[must_use]
pub fn moot_comment(reason: &str) -> String {
    format!("This is needed no longer: {} It stays open because others committed on it.", full_stop(reason))
}

/// What stands in the text of one that Tagboat closes.
#[must_use]
pub fn closing_note(reason: &str) -> String {
    format!("**Closed by Tagboat, because it is needed no longer**: {}", full_stop(reason))
}

/// A sentence with an end.
fn full_stop(reason: &str) -> String {
    let mut sentence = markdown::sentence(reason);
    if !sentence.ends_with(['.', '!', '?', '…']) {
        sentence.push('.');
    }
    sentence
}
