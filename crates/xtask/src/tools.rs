//! The programs that tests start: found, or installed from Debian's and Ubuntu's packages.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::run;

/// Program, package, what it is for.
const TOOLS: [(&str, &str, &str); 14] = [
    ("git", "git", "config repositories"),
    ("docker-registry", "docker-registry", "a registry with its own notifications"),
    ("sshd", "openssh-server", "config repositories over ssh"),
    ("ssh", "openssh-client", "config repositories over ssh"),
    ("ssh-keygen", "openssh-client", "keys for it"),
    ("gpg", "gnupg", "keys that sign commits"),
    ("c++", "g++", "the fuzzer"),
    ("kubectl", "kubernetes-client", "rendering kustomizations"),
    ("curl", "curl", "the script for CI without the binary"),
    ("openssl", "openssl", "the script for CI without the binary"),
    ("cc", "gcc", "the library that loses what was not synced"),
    ("sqlite3", "sqlite3", "a look at the database from outside"),
    ("python3", "python3", "another program that holds the database"),
    ("pg_ctlcluster", "postgresql", "the other database"),
];

/// Make sure that everything is there.
pub(crate) fn install() -> Result<(), String> {
    let missing: Vec<_> = TOOLS.iter().filter(|(program, ..)| !is_there(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_there("apt-get") {
        let list: Vec<String> = missing.iter().map(|(program, _, what)| format!("  {program}: {what}")).collect();
        return Err(format!("install these programs first, this system has no apt-get:\n{}", list.join("\n")));
    }
    let mut packages: Vec<&str> = missing.iter().map(|(_, package, _)| *package).collect();
    packages.dedup();
    eprintln!("installing {}", packages.join(", "));
    run(as_root("apt-get").args(["update", "-qq"]))?;
    run(as_root("apt-get").args(["install", "-y", "-qq", "--no-install-recommends"]).args(&packages))?;
    let still: Vec<&str> = TOOLS.iter().map(|(program, ..)| *program).filter(|program| !is_there(program)).collect();
    if still.is_empty() { Ok(()) } else { Err(format!("still missing after the installation: {}", still.join(", "))) }
}

/// Servers stand in `sbin`, which is not on everybody's path.
fn is_there(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin", "/sbin"]).any(|folder| Path::new(folder).join(program).is_file())
}

/// The program itself for root, through sudo for others.
fn as_root(program: &str) -> Command {
    let id = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    let root = id.is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    let mut command = Command::new(if root { "env" } else { "sudo" });
    if !root {
        command.arg("env");
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", program]);
    command
}
