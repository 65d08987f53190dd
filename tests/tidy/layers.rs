//! Which crate may use what. The table is that of `crates/README.md`.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use crate::{report, root};

/// Crates without I/O, runtime or clock, with every crate from outside that they may use.
const PURE: [(&str, &[&str]); 7] = [
    ("tagboat-model", &["serde", "thiserror", "schemars", "jiff"]),
    (
        "tagboat-intake",
        &[
            "serde",
            "serde_json",
            "thiserror",
            "hmac",
            "sha1",
            "sha2",
            "subtle",
            "base64",
            "secrecy",
            "globset",
            "jsonwebtoken",
            "aws-lc-rs",
            "x509-cert",
        ],
    ),
    ("tagboat-policy", &["serde", "thiserror", "schemars", "semver", "regex"]),
    ("tagboat-manifest", &["serde", "serde_json", "thiserror", "granit-parser", "memchr", "regex", "toml_edit"]),
    (
        "tagboat-promotion",
        // Time zones are compiled in: no clock and no file of the system is read.
        &["serde", "serde_json", "thiserror", "globset", "sha2", "minijinja", "jiff", "strsim", "hmac"],
    ),
    ("tagboat-settings", &["serde", "serde_json", "thiserror", "schemars", "serde-saphyr", "strsim"]),
    (
        "tagboat-signature",
        &[
            "serde",
            "serde_json",
            "thiserror",
            "jiff",
            "aws-lc-rs",
            "base64",
            "regex",
            "rustls-pki-types",
            "sigstore-verify",
        ],
    ),
];

/// Our crates that each of ours may use.
const LAYERS: [(&str, &[&str]); 19] = [
    ("tagboat-model", &[]),
    ("tagboat-intake", &["model"]),
    ("tagboat-policy", &["model"]),
    ("tagboat-manifest", &["model"]),
    ("tagboat-promotion", &["model", "policy"]),
    ("tagboat-settings", &["model", "intake", "policy", "manifest", "promotion"]),
    ("tagboat-signature", &["model"]),
    ("tagboat-ports", &["model"]),
    ("tagboat-connection", &[]),
    ("tagboat-registry", &["model", "ports", "signature", "connection"]),
    ("tagboat-issuer", &["model", "ports", "connection"]),
    ("tagboat-repository", &["model", "ports", "connection"]),
    ("tagboat-forge", &["model", "ports", "connection"]),
    ("tagboat-store", &["model", "ports"]),
    ("tagboat-engine", &["model", "intake", "policy", "manifest", "promotion", "settings", "ports"]),
    ("tagboat-server", &["model", "intake", "policy", "manifest", "promotion", "settings", "ports", "engine"]),
    (
        "tagboat",
        &[
            "model",
            "intake",
            "policy",
            "manifest",
            "promotion",
            "settings",
            "ports",
            "engine",
            "server",
            "registry",
            "issuer",
            "repository",
            "forge",
            "store",
        ],
    ),
    (
        "tagboat-testkit",
        // Registry and repository for benches alone.
        &[
            "model",
            "intake",
            "policy",
            "manifest",
            "promotion",
            "settings",
            "ports",
            "registry",
            "repository",
            "engine",
            "server",
        ],
    ),
    ("xtask", &[]),
];

/// One door each to the outside.
const DOORS: [(&str, &[&str]); 16] = [
    ("gix", &["tagboat-repository"]),
    ("gix-pack", &["tagboat-repository"]),
    ("gix-transport", &["tagboat-repository"]),
    ("sqlx", &["tagboat-store"]),
    ("oci-spec", &["tagboat-registry"]),
    ("sigstore-verify", &["tagboat-signature"]),
    // The tests make signatures.
    ("aws-lc-rs", &["tagboat-signature", "tagboat-intake", "tagboat-testkit"]),
    ("octocrab", &["tagboat-forge"]),
    // The demo's registry and the tests send requests of their own; Git's HTTP is spoken on the same client.
    (
        "reqwest",
        &[
            "tagboat-connection",
            "tagboat-registry",
            "tagboat-issuer",
            "tagboat-repository",
            "tagboat-forge",
            "tagboat",
            "tagboat-testkit",
        ],
    ),
    ("axum", &["tagboat-server", "tagboat", "tagboat-testkit"]),
    ("clap", &["tagboat", "xtask"]),
    ("granit-parser", &["tagboat-manifest"]),
    // The bench compares with it.
    ("yaml_serde", &["tagboat-testkit"]),
    ("toml_edit", &["tagboat-manifest"]),
    ("ignore", &["tagboat-repository"]),
    ("minijinja", &["tagboat-promotion"]),
];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap()
}

/// What ships: dependencies for tests alone are left out.
fn uses(package: &Package) -> BTreeSet<String> {
    let normal = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
    normal.map(|dependency| dependency.name.clone()).collect()
}

fn is_ours(name: &str) -> bool {
    name == "tagboat" || name == "xtask" || name.starts_with("tagboat-")
}

#[test]
fn each_crate_uses_only_the_crates_below_it() {
    let layers: BTreeMap<_, _> = LAYERS.into_iter().collect();
    let mut violations = Vec::new();
    for package in metadata().packages {
        let Some(allowed) = layers.get(package.name.as_str()) else {
            violations.push(format!("{} has no row in the table of layers", package.name));
            continue;
        };
        let ours = uses(&package).into_iter().filter(|name| is_ours(name));
        let above = ours.filter(|name| !allowed.contains(&name.trim_start_matches("tagboat-")));
        violations.extend(above.map(|name| format!("{} must not use {name}", package.name)));
    }
    report("layers", &violations);
}

#[test]
fn pure_crates_use_only_what_is_on_their_list() {
    let pure: BTreeMap<_, _> = PURE.into_iter().collect();
    let mut violations = Vec::new();
    for package in metadata().packages {
        let Some(allowed) = pure.get(package.name.as_str()) else { continue };
        let others = uses(&package).into_iter().filter(|name| !is_ours(name) && !allowed.contains(&name.as_str()));
        violations.extend(others.map(|name| format!("{} must not use {name}", package.name)));
    }
    report("pure crates", &violations);
}

#[test]
fn every_outside_system_has_one_door() {
    let mut violations = Vec::new();
    for package in metadata().packages {
        for (library, doors) in DOORS {
            if uses(&package).contains(library) && !doors.contains(&package.name.as_str()) {
                violations.push(format!("{} must not use {library}", package.name));
            }
        }
    }
    report("doors", &violations);
}

#[test]
fn the_product_never_contains_its_tests() {
    let packages = metadata().packages;
    let users = packages.iter().filter(|package| uses(package).contains("tagboat-testkit"));
    let violations: Vec<String> = users.map(|package| format!("{} uses tagboat-testkit", package.name)).collect();
    report("testkit", &violations);
}
