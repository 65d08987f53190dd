//! The commands beside `serve`: what they print and how they end.

use std::process::{Command, Output};

fn tagboat(folder: &std::path::Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagboat"));
    let Output { status, stdout, stderr } = command.current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

const GOOD: &str = "images:\n  - { name: web, image: r.example/web, policy: { semver: { range: '*' } } }\nenvironments:\n  - { name: dev, paths: [dev], deliver: commit }\n";

#[test]
fn check_names_file_line_and_remedy_and_ends_with_two() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, error) = tagboat(folder.path(), &["check"]);
    assert_eq!(code, 2);
    assert!(error.contains("there is neither config/tagboat.yaml nor .tagboat.yaml here"), "{error}");

    std::fs::write(folder.path().join(".tagboat.yaml"), GOOD).unwrap();
    let (code, text, _) = tagboat(folder.path(), &["check"]);
    assert_eq!((code, text.as_str()), (0, "ok .tagboat.yaml: 1 images, environments: dev\n"));

    std::fs::write(folder.path().join(".tagboat.yaml"), GOOD.replace("paths", "pahts")).unwrap();
    let (code, text, _) = tagboat(folder.path(), &["check"]);
    assert_eq!(code, 2);
    assert!(text.starts_with("invalid .tagboat.yaml:4:18: unknown key `pahts`; did you mean `paths`?"), "{text}");
    let (code, text, _) = tagboat(folder.path(), &["check", "--output", "json", "--repository", "."]);
    assert_eq!(code, 2);
    assert!(text.contains("\"line\":4") && text.contains("\"valid\":false"), "{text}");
}

#[test]
fn check_warns_of_what_serve_would_refuse_here_in_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = |more: &str| {
        let text = format!("receivers:\n  - {{ name: ci, kind: generic, images: ['r.example/*'], {more} }}\n");
        std::fs::write(folder.path().join("tagboat.yaml"), text).unwrap();
    };
    let refusal = "receiver `ci`: the environment variable NOT_SET_ANYWHERE is not set";
    receiver("secretEnvs: [NOT_SET_ANYWHERE]");
    let (code, text, _) = tagboat(folder.path(), &["check", "--config", "tagboat.yaml"]);
    let ok = "ok tagboat.yaml: 0 config repositories, 1 receivers, listens on 127.0.0.1:8080\n";
    assert_eq!((code, text), (0, format!("{ok}warning here, `serve` would not start: {refusal}\n")));
    let (code, _, error) = tagboat(folder.path(), &["serve", "--config", "tagboat.yaml"]);
    assert!(code == 2 && error.contains(refusal), "{error}");
    let (code, text, _) = tagboat(folder.path(), &["check", "--config", "tagboat.yaml", "--output", "json"]);
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let warning = format!("here, `serve` would not start: {refusal}");
    assert_eq!((code, &told["warnings"]), (0, &serde_json::json!([warning])), "{told}");

    std::fs::write(folder.path().join("secret"), "whsec_canary!\n").unwrap();
    receiver("secretFiles: [secret]");
    let (code, text, error) = tagboat(folder.path(), &["check", "--config", "tagboat.yaml"]);
    assert!(code == 0 && text.contains("signing secret cannot be used"), "{text}");
    assert!(!format!("{text}{error}").contains("canary"), "{text}{error}");
    std::fs::write(folder.path().join("secret"), "s3cret\n").unwrap();
    let (code, text, _) = tagboat(folder.path(), &["check", "--config", "tagboat.yaml"]);
    assert_eq!((code, text.as_str()), (0, ok));
}

#[test]
fn serve_does_not_start_with_an_error_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("tagboat.yaml"), text).unwrap();
    let serve = || tagboat(folder.path(), &["serve", "--config", "tagboat.yaml"]);
    let (code, _, error) = serve();
    assert!(code == 2 && error.contains("the server file tagboat.yaml cannot be read"), "{error}");
    write("listen: 127.0.0.1:0\nreceivres: []\n");
    let (code, _, error) = serve();
    assert!(
        code == 2 && error.contains("tagboat.yaml:2:1: unknown key `receivres`; did you mean `receivers`?"),
        "{error}"
    );
    write("receivers:\n  - { name: ci, kind: generic, images: ['r.example/*'], secretEnvs: [NOT_SET_ANYWHERE] }\n");
    let (code, _, error) = serve();
    assert!(
        code == 2 && error.contains("receiver `ci`: the environment variable NOT_SET_ANYWHERE is not set"),
        "{error}"
    );
    assert!(!folder.path().join("data").exists(), "nothing is made before everything is known to be right");
}

#[test]
fn explain_says_when_nothing_is_known() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tagboat.yaml"), "{}\n").unwrap();
    let (code, _, error) = tagboat(folder.path(), &["explain", "web", "--config", "tagboat.yaml"]);
    let place = "/data/tagboat.db (sqlite:data/tagboat.db, which is relative to the working directory)";
    assert!(code == 2 && error.contains("there is no database at /") && error.contains(place), "{error}");
}

#[test]
fn usage_errors_end_with_two() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(tagboat(folder.path(), &["nonsense"]).0, 2);
    assert_eq!(tagboat(folder.path(), &["--version"]).0, 0);
}
