//! Documents: every path they name exists, every crate is in the map.

use std::path::Path;

use crate::{files, read, report, root, shown};

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether a quoted text is meant as a path of this repository.
fn is_path(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let known_start = ["crates/", "config/", "deploy/", "migrations/", "tests/", ".ci/", "src/", "templates/"];
    plain && (known_start.iter().any(|start| text.starts_with(start)) || text.ends_with("README.md"))
}

fn documents() -> Vec<std::path::PathBuf> {
    files(&root(), ".md")
}

#[test]
fn every_path_that_a_document_names_exists() {
    let mut violations = Vec::new();
    for document in documents() {
        let folder = document.parent().unwrap_or(Path::new("/")).to_owned();
        let text = read(&document);
        // Blocks of code show what users type, not what is here.
        let prose: String = text.split("```").step_by(2).collect();
        for path in quoted(&prose).filter(|text| is_path(text)) {
            if !root().join(path).exists() && !folder.join(path).exists() {
                violations.push(format!("{} names {path}", shown(&document)));
            }
        }
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if !link.contains("://") && !target.is_empty() && !folder.join(target).exists() {
                violations.push(format!("{} links to {target}", shown(&document)));
            }
        }
    }
    report("paths in documents", &violations);
}

#[test]
fn every_crate_is_in_the_map_and_has_a_readme() {
    let map = read(&root().join("crates/README.md"));
    let mut violations = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !map.contains(&format!("[`{name}`]({name}/README.md)")) {
            violations.push(format!("crates/README.md does not list {name}"));
        }
        if !path.join("README.md").is_file() {
            violations.push(format!("crates/{name} has no README.md"));
        }
    }
    report("map of crates", &violations);
}

#[test]
fn the_top_level_holds_nothing_without_a_reason() {
    let known = [
        "Cargo.toml",
        "Cargo.lock",
        "crates",
        "migrations",
        "config",
        "deploy",
        "tests",
        "README.md",
        "LICENSE",
        "rust-toolchain.toml",
        "clippy.toml",
        "rustfmt.toml",
        "deny.toml",
        "target",
    ];
    let entries =
        std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let others: Vec<String> =
        entries.filter(|name| !name.starts_with('.') && !known.contains(&name.as_str())).collect();
    report("top level", &others);
}
