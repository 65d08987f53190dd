//! Sources: how long they are, how they begin, what they must not contain.

use crate::{files, read, report, root, shown};

/// Lines of a file without its tests.
const LONGEST_FILE: usize = 450;
/// Lines of a file of tests.
const LONGEST_TEST_FILE: usize = 450;

fn sources() -> Vec<std::path::PathBuf> {
    let mut all = files(&root().join("crates"), ".rs");
    all.extend(files(&root().join("tests"), ".rs"));
    all
}

#[test]
fn files_stay_short_enough_to_read() {
    let mut violations = Vec::new();
    for path in sources() {
        let text = read(&path);
        let product = text.split("#[cfg(test)]").next().unwrap_or_default().lines().count();
        let longest = if shown(&path).contains("tests/") { LONGEST_TEST_FILE } else { LONGEST_FILE };
        if product > longest {
            violations.push(format!("{}: {product} lines, more than {longest}", shown(&path)));
        }
    }
    report("file length", &violations);
}

#[test]
fn every_module_says_first_what_it_is() {
    let silent = sources().into_iter().filter(|path| !read(path).starts_with("//!"));
    report("module documentation", &silent.map(|path| shown(&path)).collect::<Vec<_>>());
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let manifests = files(&root().join("crates"), "Cargo.toml");
    let without = manifests.into_iter().filter(|path| !read(path).contains("[lints]\nworkspace = true"));
    report("lints", &without.map(|path| shown(&path)).collect::<Vec<_>>());
}

#[test]
fn test_switches_stay_out_of_the_product() {
    let mut violations = Vec::new();
    for path in sources() {
        let text = read(&path);
        for (number, line) in text.lines().enumerate() {
            let switch = line.contains("cfg(test)")
                && text.lines().nth(number + 1).is_none_or(|next| next.trim() != "mod tests {");
            let own = shown(&path).starts_with("tests/tidy");
            if (switch || line.contains("cfg(not(test))") || line.contains("cfg!(test)")) && !own {
                violations.push(format!("{}:{}", shown(&path), number + 1));
            }
        }
    }
    report("cfg(test) outside test modules", &violations);
}

#[test]
fn every_migration_goes_both_ways_and_is_embedded() {
    let mut violations = Vec::new();
    for path in files(&root().join("migrations"), ".up.sql") {
        let name = shown(&path);
        let down = std::path::PathBuf::from(path.display().to_string().replace(".up.sql", ".down.sql"));
        if !down.is_file() {
            violations.push(format!("{name} has no way back"));
        }
        let database = name.split('/').nth(1).unwrap_or_default();
        let schema = format!("crates/store/src/{database}/schema.rs");
        if !read(&root().join(&schema)).contains(&name) {
            violations.push(format!("{name} is not embedded in {schema}"));
        }
    }
    report("migrations", &violations);
}
