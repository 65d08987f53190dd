//! Environments by what folders and files are called.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use tagboat_model::{EnvironmentName, Reference};

/// What environments are called, in the order in which versions go through them.
const KNOWN: [&[&str]; 6] = [
    &["dev", "development"],
    &["test", "testing"],
    &["qa"],
    &["staging", "stage", "stg"],
    &["preprod", "pre-prod"],
    &["prod", "production", "prd", "live"],
];
/// From here on `prod-eu` is one too: a name in front, and where it is.
const FIRST_WITH_PLACES: usize = 3;
/// Paths of one environment.
const MOST_PATHS: usize = 100;

/// The place of an environment in the order, then its name.
type Key = (usize, String);

/// The part `environments` of the file.
pub(super) fn environments(references: &[&Reference]) -> String {
    let mut found: BTreeMap<Key, BTreeSet<String>> = BTreeMap::new();
    let mut is_outside = false;
    for reference in references {
        match place_of(&reference.file) {
            Some((key, path)) => {
                found.entry(key).or_default().insert(path);
            }
            None => is_outside = true,
        }
    }
    if found.is_empty() {
        return "# No folders of environments were recognised, so the whole repository is one.\nenvironments:\n  - name: default\n    paths: [\".\"]\n    deliver: pullRequest\n".to_owned();
    }
    let mut text = String::new();
    if is_outside {
        text.push_str("# Files outside of these paths are left alone.\n");
    }
    text.push_str("environments:\n");
    let mut upstreams: Vec<Key> = Vec::new();
    for (key, paths) in &found {
        let upstream = upstreams.iter().rev().find(|(rank, _)| *rank < key.0).map(|(rank, _)| *rank);
        // Of several with one place in the order, the first is what others are promoted from.
        let upstream = upstreams.iter().find(|(rank, _)| Some(*rank) == upstream).map(|(_, name)| name.as_str());
        text.push_str(&environment(&key.1, paths, upstream, found.len()));
        upstreams.push(key.clone());
    }
    text
}

fn environment(name: &str, paths: &BTreeSet<String>, upstream: Option<&str>, count: usize) -> String {
    let listed: Vec<String> = paths.iter().take(MOST_PATHS).map(|path| format!("\"{path}\"")).collect();
    let mut text = format!("  - name: \"{name}\"\n    paths: [{}]\n", listed.join(", "));
    match upstream {
        Some(upstream) => {
            let _ = writeln!(
                text,
                "    # Gets what ran in {upstream}, by pull request. Conditions: gates, as in `gates: {{ soak: 24h }}`."
            );
            let _ = writeln!(text, "    promoteFrom: \"{upstream}\"");
            text.push_str("    deliver: pullRequest\n");
        }
        None if count == 1 => text.push_str("    deliver: pullRequest\n"),
        None => text.push_str("    # The first to get new versions, without asking.\n    deliver: commit\n"),
    }
    text
}

/// The environment that a file belongs to, and the folder or file that says so.
fn place_of(file: &str) -> Option<(Key, String)> {
    // In a path of the repository file the others mean something, or would have to be written otherwise.
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b' ' | b'+' | b'@');
    if !file.bytes().all(is_plain) {
        return None;
    }
    let (folders, name) = file.rsplit_once('/').map_or(("", file), |(folders, name)| (folders, name));
    let mut length = 0;
    for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
        length += folder.len();
        if let Some(key) = key_of(folder) {
            return Some((key, folders.get(..length)?.to_owned()));
        }
        length += 1;
    }
    let (stem, _) = name.rsplit_once('.')?;
    let key = std::iter::once(stem).chain(stem.split(['-', '.', '_']).rev()).find_map(exact)?;
    Some((key, file.to_owned()))
}

/// A folder named as an environment, maybe with a place behind it.
fn key_of(folder: &str) -> Option<Key> {
    let with_place = || {
        let (front, place) = folder.split_once('-')?;
        let (rank, _) = exact(front)?;
        let name: EnvironmentName = folder.to_ascii_lowercase().parse().ok()?;
        (rank >= FIRST_WITH_PLACES && !place.is_empty()).then(|| (rank, name.to_string()))
    };
    exact(folder).or_else(with_place)
}

fn exact(word: &str) -> Option<Key> {
    let word = word.to_ascii_lowercase();
    let rank = KNOWN.iter().position(|names| names.contains(&word.as_str()))?;
    Some((rank, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_files_say_where_they_belong() {
        for (file, expected) in [
            ("apps/dev/web.yaml", Some((0, "dev", "apps/dev"))),
            ("overlays/Prod/deep/kustomization.yaml", Some((5, "prod", "overlays/Prod"))),
            ("clusters/prod-eu/dev/web.yaml", Some((5, "prod-eu", "clusters/prod-eu"))),
            ("charts/web/values-staging.yaml", Some((3, "staging", "charts/web/values-staging.yaml"))),
            ("prod.yaml", Some((5, "prod", "prod.yaml"))),
            ("dev-tools/web.yaml", None),
            ("base/web.yaml", None),
            ("apps/[x]/dev/web.yaml", None),
        ] {
            let expected = expected.map(|(rank, name, path)| ((rank, name.to_owned()), path.to_owned()));
            assert_eq!(place_of(file), expected, "{file}");
        }
    }
}
