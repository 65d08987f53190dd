//! The first thing that a newcomer runs.

use std::process::Command;

#[test]
fn the_demo_shows_every_step_and_leaves_nothing() {
    let elsewhere = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tagboat"))
        .args(["demo", "--once", "--settle", "0s"])
        .env("TMPDIR", elsewhere.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let mut rest = text.as_str();
    for step in [
        "docker push",
        "verified and stored",
        "the registry says that 1.5.0 is an image, sha256:",
        "dev: 1.4.0 -> 1.5.0",
        "1.5.0 is the best tag that semver `^1.4` admits",
        "prod: stays at 1.4.0",
        "1.5.0 is outside range `~1.4`",
        "apps/dev/deployment.yaml",
        "acme/web:1.5.0\" # moved by Tagboat",
        "apps/dev/jobs-values.yaml",
        "committed",
    ] {
        let at = rest.find(step).unwrap_or_else(|| panic!("`{step}` is missing or out of order:\n{text}"));
        rest = &rest[at..];
    }
    assert!(!text.contains('\u{1b}'), "no colours where they are not shown");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0, "the folder is gone");
}
