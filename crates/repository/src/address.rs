//! Where a config repository is, and with what it is opened.

use std::path::PathBuf;

use secrecy::SecretString;

/// A URL without credentials, and the credentials.
#[derive(Debug, Clone)]
pub struct Address {
    /// `https://…`, `http://…`, `ssh://…` or `file://…`.
    pub url: String,
    /// What opens it.
    pub access: Access,
}

/// What opens a repository.
#[derive(Debug, Clone)]
pub enum Access {
    /// Nothing is needed.
    Open,
    /// User name and password or token, sent with every request.
    Basic {
        /// The user name.
        username: String,
        /// The password or token.
        password: SecretString,
        /// Whether it may travel over `http://` to another machine.
        insecure: bool,
    },
    /// A key for ssh.
    Ssh(SshKey),
}

/// A private key and the server keys that are accepted.
#[derive(Debug, Clone)]
pub struct SshKey {
    /// The private key's file.
    pub key_file: PathBuf,
    /// The known hosts' file.
    pub known_hosts_file: PathBuf,
}

/// Author and committer of the commits.
#[derive(Debug, Clone)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}
