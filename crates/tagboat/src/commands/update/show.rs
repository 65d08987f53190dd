//! What users read of an update.

use serde_json::json;
use tagboat_manifest::{Change, Request};
use tagboat_model::{CommitId, Uneditable};

use super::{FileUpdate, refused};
use crate::{
    cli::{Output, Update},
    commands::work_tree::{uneditable_in_json, uneditable_in_words},
    output::{self, BOLD, DIM, GREEN, RED, YELLOW, short, styled, unified_diff},
};

pub(super) fn show(arguments: &Update, request: &Request, updates: &[FileUpdate], commits: &[CommitId]) {
    match arguments.output {
        Output::Json => output::line(in_json(arguments, request, updates, commits).to_string()),
        Output::Text => in_words(arguments, request, updates, commits).iter().for_each(output::line),
    }
}

fn filled_in(updates: &[FileUpdate]) -> impl Iterator<Item = &Uneditable> {
    updates.iter().flat_map(|it| &it.update.uneditable).filter(|place| place.filled_in)
}

fn in_json(arguments: &Update, request: &Request, updates: &[FileUpdate], commits: &[CommitId]) -> serde_json::Value {
    let change = |file: &str, change: &Change| {
        json!({
            "file": file, "line": change.line, "column": change.column, "format": change.format,
            "location": change.location, "image": request.image(change.source).map(|image| &image.name),
            "from": change.from, "to": change.to, "followers": change.followers,
        })
    };
    let updated = updates.iter().flat_map(|it| it.update.changes.iter().map(|one| change(&it.file, one)));
    json!({
        "dryRun": arguments.dry_run,
        "updated": updated.collect::<Vec<_>>(),
        "current": updates.iter().map(|it| it.update.current).sum::<usize>(),
        "refused": refused(updates).map(uneditable_in_json).collect::<Vec<_>>(),
        "notEdited": filled_in(updates).map(uneditable_in_json).collect::<Vec<_>>(),
        "commits": commits,
    })
}

fn in_words(arguments: &Update, request: &Request, updates: &[FileUpdate], commits: &[CommitId]) -> Vec<String> {
    let mut lines = Vec::new();
    for FileUpdate { file, before, update } in updates {
        if let (true, Some(after)) = (arguments.dry_run, &update.bytes) {
            lines.push(unified_diff(file, &String::from_utf8_lossy(before), &String::from_utf8_lossy(after)));
        } else if update.bytes.is_some() {
            lines.push(styled(BOLD, file));
            lines.extend(update.changes.iter().map(|change| in_a_line(request, change)));
        }
    }
    lines.extend(refused(updates).map(|place| format!("{} {}", styled(RED, "refused"), uneditable_in_words(place))));
    let not_edited = filled_in(updates);
    lines.extend(not_edited.map(|place| format!("{} {}", styled(YELLOW, "not edited"), uneditable_in_words(place))));
    lines.push(summary(arguments, updates));
    lines.extend(commits.iter().map(|commit| format!("{} {}", styled(GREEN, "committed"), short(commit.as_str()))));
    lines
}

fn in_a_line(request: &Request, change: &Change) -> String {
    let place = format!("{}:{}", change.line, change.column);
    let image = request.image(change.source).map(|image| image.name.to_string()).unwrap_or_default();
    let followers: Vec<String> = change.followers.iter().map(ToString::to_string).collect();
    let followers = match followers.is_empty() {
        true => String::new(),
        false => styled(DIM, format!("  and with it lines {}", followers.join(", "))),
    };
    format!("  {place:<8} {image}  {} -> {}{followers}", change.from, styled(GREEN, &change.to))
}

fn summary(arguments: &Update, updates: &[FileUpdate]) -> String {
    let changes: usize = updates.iter().map(|it| it.update.changes.len()).sum();
    let files = updates.iter().filter(|it| it.update.bytes.is_some()).count();
    let current: usize = updates.iter().map(|it| it.update.current).sum();
    let refused = refused(updates).count();
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let mut parts = Vec::new();
    if changes > 0 {
        let would = if arguments.dry_run { "would be updated" } else { "updated" };
        parts.push(format!("{} in {} {would}", count(changes, "reference"), count(files, "file")));
    }
    if current > 0 {
        parts.push(format!("{} up to date already", count(current, "reference")));
    }
    if refused > 0 {
        parts.push(format!("{} refused", count(refused, "place")));
    }
    if parts.is_empty() {
        parts.push("nothing names what was asked for with a version".to_owned());
    }
    parts.join(", ")
}
