//! The references that a pull request edits, with links into the repository.

use std::fmt::Write as _;

use tagboat_model::{BranchName, ForgeKind, ForgeTraits};

use super::markdown;
use crate::pull::Lane;

/// Places that are seen at once.
const MOST_OPEN: usize = 20;
/// Places in all.
const MOST: usize = 120;

/// The list, or nothing where no place is edited.
pub(super) fn section(lane: &Lane<'_>, traits: &ForgeTraits) -> Option<String> {
    let is_one = lane.changes.len() == 1;
    let mut places: Vec<String> = Vec::new();
    let mut count = 0_usize;
    for change in &lane.changes {
        count += change.references.len();
        let whose =
            if is_one { String::new() } else { format!(" ({})", markdown::text(change.decision.entry.as_str())) };
        let room = MOST.saturating_sub(places.len());
        places.extend(change.references.iter().take(room).map(|reference| {
            let place = place(&lane.base, traits, &reference.file, reference.line);
            format!("- {place}{whose}")
        }));
    }
    if places.is_empty() {
        return None;
    }
    let (open, folded) = places.split_at(places.len().min(MOST_OPEN));
    let mut text = format!("### References edited\n\n{}", open.join("\n"));
    if !folded.is_empty() {
        let more = count.saturating_sub(open.len());
        let _ = write!(text, "\n\n<details><summary>and {more} more</summary>\n\n{}", folded.join("\n"));
        if count > places.len() {
            let _ = write!(text, "\n- and {} more", count - places.len());
        }
        text.push_str("\n\n</details>");
    }
    Some(text)
}

/// A line of a file, with a link to it.
fn place(base: &BranchName, traits: &ForgeTraits, file: &str, line: usize) -> String {
    let within = match traits.kind {
        ForgeKind::Github => "blob",
        ForgeKind::Gitlab => "-/blob",
        ForgeKind::Gitea | ForgeKind::Forgejo => "src/branch",
    };
    let (branch, path) = (markdown::path(base.as_str()), markdown::path(file));
    let address = format!("{}/{within}/{branch}/{path}#L{line}", traits.web);
    markdown::link(&format!("{}:{line}", markdown::text(file)), &address)
}
