//! A folder as a work tree, and the binary in it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

pub(crate) const OLD_DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
pub(crate) const NEW_DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// Exit code, standard output, standard error.
pub(crate) fn tagboat(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagboat"));
    command.current_dir(folder).env("DOCKER_CONFIG", folder).env_remove("TAGBOAT_CONFIG");
    let Output { status, stdout, stderr } = command.args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

pub(crate) fn in_json(folder: &Path, arguments: &[&str]) -> (i32, Value) {
    let (code, out, error) = tagboat(folder, &[arguments, &["--output", "json"]].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}")))
}

pub(crate) fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

pub(crate) fn read(folder: &Path, path: &str) -> String {
    fs::read_to_string(folder.join(path)).unwrap()
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let output = command.args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]).args(arguments).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
