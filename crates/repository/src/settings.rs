//! What one config repository needs: where it is, with what it is opened, who commits and how.

use std::{fmt, path::PathBuf, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};
use tagboat_connection::{ClientCertificate, ProxySettings};

/// Everything that a [`crate::GitRepository`] is made of.
#[derive(Debug, Clone)]
pub struct GitSettings {
    /// Its name, for messages.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// How commits are made.
    pub commits: CommitSettings,
    /// What pushes.
    pub push_with: PushWith,
    /// The folder of the mirror; it is made when it is first needed.
    pub mirror: PathBuf,
}

/// A URL without credentials, and what is needed to open it.
#[derive(Debug, Clone)]
pub struct Address {
    /// `https://…`, `http://…`, `ssh://…` or `file://…`.
    pub url: String,
    /// What opens it.
    pub access: Access,
    /// How `https://` is reached.
    pub transport: HttpSettings,
}

/// How `https://` is reached. The default is what public servers need.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// Certificates of authorities that are trusted besides the system's, as PEM; each may hold several.
    pub certificate_authorities: Vec<Vec<u8>>,
    /// Who we are to a server that asks for a certificate.
    pub client_certificate: Option<ClientCertificate>,
    /// The proxy. `None`: what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say; never for this machine.
    pub proxy: Option<ProxySettings>,
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
        password: Password,
        /// Whether it may travel over `http://` to another machine.
        insecure: bool,
    },
    /// A key for ssh.
    Ssh(SshKey),
}

/// A password that may be another one next time: it is asked for with each connection.
#[derive(Clone)]
pub struct Password {
    source: Arc<dyn Fn() -> Result<SecretString, String> + Send + Sync>,
    forget: Arc<dyn Fn(&SecretString) + Send + Sync>,
}

impl Password {
    /// From whatever knows it: a file that is replaced, a forge that issues tokens for an hour.
    #[must_use]
    pub fn from_source(source: impl Fn() -> Result<SecretString, String> + Send + Sync + 'static) -> Self {
        Self { source: Arc::new(source), forget: Arc::new(|_| {}) }
    }

    /// Say to the source that the server does not know a password any more; it is asked once more then.
    #[must_use]
    pub fn forgotten_by(self, forget: impl Fn(&SecretString) + Send + Sync + 'static) -> Self {
        Self { forget: Arc::new(forget), ..self }
    }

    /// The password now.
    ///
    /// # Errors
    /// Why there is none, in words without secrets.
    pub(crate) fn now(&self) -> Result<SecretString, String> {
        (self.source)()
    }

    /// Another password than the one that the server refused, if there is one.
    pub(crate) fn instead_of(&self, refused: &SecretString) -> Option<SecretString> {
        (self.forget)(refused);
        self.now().ok().filter(|other| other.expose_secret() != refused.expose_secret())
    }
}

impl From<SecretString> for Password {
    fn from(secret: SecretString) -> Self {
        Self::from_source(move || Ok(secret.clone()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([REDACTED])")
    }
}

/// A private key and the server keys that are accepted.
#[derive(Debug, Clone)]
pub struct SshKey {
    /// The private key's file.
    pub key_file: PathBuf,
    /// The known hosts' file.
    pub known_hosts_file: PathBuf,
}

/// Who commits, and how.
#[derive(Debug, Clone)]
pub struct CommitSettings {
    /// The author.
    pub author: Identity,
    /// The committer.
    pub committer: Identity,
    /// The signature, if commits are signed.
    pub signing: Option<Signing>,
}

/// A name and an address in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

/// With what commits are signed. Keys stay where they are: the programs that own the formats use them.
#[derive(Debug, Clone)]
pub enum Signing {
    /// By `ssh-keygen`.
    Ssh {
        /// The private key's file, without passphrase.
        key_file: PathBuf,
    },
    /// By `gpg`.
    OpenPgp {
        /// The key's fingerprint, as `gpg --list-secret-keys` shows it.
        key: String,
        /// The folder with the key ring. `None`: the user's own.
        home: Option<PathBuf>,
    },
}

/// What pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PushWith {
    /// Our own sending side.
    #[default]
    BuiltIn,
    /// The `git` program, for servers that do not get along with it.
    Git,
}
