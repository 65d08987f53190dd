//! What stands under `deploy` and `config` fits the product, as far as the tools here reach.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn run(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

fn tagboat(arguments: &[&str]) -> (bool, String) {
    run(Command::new(env!("CARGO_BIN_EXE_tagboat")).current_dir(root()).args(arguments))
}

#[test]
fn every_example_configuration_is_valid() {
    for path in ["config/tagboat.yaml", "deploy/kubernetes/tagboat.yaml"] {
        let (ok, text) = tagboat(&["check", "--config", path]);
        assert!(ok, "{path}: {text}");
    }
    let (ok, text) = tagboat(&["check", "--repository", "config/repository.yaml"]);
    assert!(ok, "{text}");
}

#[test]
fn the_kustomize_base_renders_a_hardened_pod() {
    let (ok, text) = run(Command::new("kubectl").arg("kustomize").arg(root().join("deploy/kubernetes")));
    assert!(ok, "{text}");
    for line in [
        "runAsNonRoot: true",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "path: /readyz",
        "claimName: tagboat",
    ] {
        assert!(text.contains(line), "{line} is missing:\n{text}");
    }
}

#[test]
fn every_command_line_in_deploy_is_one_that_the_product_has() {
    let lines = [
        (read("deploy/Containerfile"), r#"CMD ["serve", "--config","#),
        (
            read("deploy/kubernetes/deployment.yaml"),
            r#"args: ["serve", "--config", "/etc/tagboat/tagboat.yaml", "--log", "json"]"#,
        ),
        (read("deploy/tagboat.service"), "ExecStart=/usr/local/bin/tagboat serve --config /etc/tagboat/tagboat.yaml"),
    ];
    for (text, line) in lines {
        assert!(text.contains(line), "{line}");
    }
    let (_, text) = tagboat(&["serve", "--config", "/nowhere/tagboat.yaml", "--log", "json"]);
    assert!(text.contains("the server file /nowhere/tagboat.yaml cannot be read"), "{text}");
}

#[test]
fn every_path_that_the_container_file_copies_exists() {
    let text = read("deploy/Containerfile");
    let copies = text.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from"));
    for path in copies.flat_map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>()) {
        assert!(path == "./" || root().join(path).exists(), "{path}");
    }
    assert!(text.contains("USER 65532"), "it must not run as root");
    assert!(text.contains("useradd --uid 65532"), "ssh refuses to run for a user without a name");
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain.split("channel = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(
        text.contains(&format!("rust:{}-slim", version.trim_end_matches(".0"))),
        "the image has another Rust than {version}"
    );
}

#[test]
fn the_systemd_unit_is_sound() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return;
    }
    // The program stands where it was built, not where it will be installed.
    let unit = read("deploy/tagboat.service").replace("/usr/local/bin/tagboat", env!("CARGO_BIN_EXE_tagboat"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tagboat.service");
    std::fs::write(&path, unit).unwrap();
    let (ok, text) = run(Command::new("systemd-analyze").arg("verify").arg(&path));
    assert!(ok && !text.contains("tagboat.service:"), "{text}");
}
