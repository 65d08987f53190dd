//! OpenSSH's own server with a host key and one authorised key made for the test.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Process, free_port, wait_for_port};

/// A running sshd that lets one key run git on this machine.
#[derive(Debug)]
pub struct SshServer {
    folder: tempfile::TempDir,
    port: u16,
    _process: Process,
}

impl SshServer {
    /// Start it.
    ///
    /// # Panics
    /// When `openssh-server` is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for key in ["host", "client", "stranger"] {
            let status = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(path(key))
                .status()
                .expect("ssh-keygen is installed");
            assert!(status.success());
        }
        let port = free_port();
        std::fs::copy(path("client.pub"), path("authorized_keys")).unwrap();
        for (file, key) in [("known_hosts", "host.pub"), ("wrong_hosts", "stranger.pub")] {
            let key = std::fs::read_to_string(path(key)).unwrap();
            std::fs::write(path(file), format!("[127.0.0.1]:{port} {key}")).unwrap();
        }
        let configuration = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nAuthorizedKeysFile {keys}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nAcceptEnv GIT_PROTOCOL\n",
            host = path("host").display(),
            keys = path("authorized_keys").display(),
        );
        std::fs::write(path("sshd_config"), configuration).unwrap();
        // sshd wants this folder where it runs as root, and it is gone after a reboot of a container.
        let _ = std::fs::create_dir_all("/run/sshd");
        let log = path("log");
        let sshd = Command::new("which").arg("sshd").output().ok().filter(|found| found.status.success());
        let sshd =
            sshd.map_or("/usr/sbin/sshd".to_owned(), |found| String::from_utf8_lossy(&found.stdout).trim().to_owned());
        let process =
            Process::start(Command::new(sshd).arg("-D").arg("-e").arg("-f").arg(path("sshd_config")), Some(&log));
        wait_for_port(port, Some(&log));
        Self { folder, port, _process: process }
    }

    /// The address of a repository by its folder.
    #[must_use]
    pub fn url(&self, repository: &Path) -> String {
        let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
        format!("ssh://{user}@127.0.0.1:{}{}", self.port, repository.display())
    }

    /// The private key that it accepts.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join("client")
    }

    /// A private key that it does not accept.
    #[must_use]
    pub fn stranger_key_file(&self) -> PathBuf {
        self.folder.path().join("stranger")
    }

    /// Known hosts with its true key.
    #[must_use]
    pub fn known_hosts_file(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }

    /// Known hosts with another key than it has.
    #[must_use]
    pub fn wrong_hosts_file(&self) -> PathBuf {
        self.folder.path().join("wrong_hosts")
    }
}
