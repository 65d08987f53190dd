//! `repositories` of the server file: where a config repository is, with what it is opened, and who commits.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagboat_model::{BranchName, RepositoryName, TenantName};

use crate::{
    ClientCertificateFile, ForgeFile, ProxyFile, forge,
    server_check::{check_credentials, is_loopback},
};

/// A config repository.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigRepositoryFile {
    /// A name for it, unique in this file.
    pub name: RepositoryName,
    /// `https://…`, `ssh://…` or `file://…`, without credentials in it.
    pub url: String,
    /// The branch whose `.tagboat.yaml` governs, and on which environments live that name no other. Default: `main`.
    #[serde(default = "BranchName::main")]
    pub branch: BranchName,
    /// The tenant it belongs to. Default: `default`.
    #[serde(default)]
    pub tenant: TenantName,
    /// For `https://`.
    #[serde(default)]
    pub credentials: Option<CredentialsFile>,
    /// For `ssh://`.
    #[serde(default)]
    pub ssh: Option<SshFile>,
    /// Files with certificates (PEM) of authorities that are trusted besides the system's, for `https://`.
    #[serde(default)]
    pub certificate_authority_files: Vec<PathBuf>,
    /// Who we are to a server that asks for a certificate, for `https://`.
    #[serde(default)]
    pub client_certificate: Option<ClientCertificateFile>,
    /// The proxy through which `https://` is reached. Default: what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    #[serde(default)]
    pub proxy: Option<ProxyFile>,
    /// Who the commits are by.
    #[serde(default)]
    pub author: AuthorFile,
    /// Who commits them. Default: the author.
    #[serde(default)]
    pub committer: Option<AuthorFile>,
    /// With what commits are signed. Default: they are not.
    #[serde(default)]
    pub signing: Option<SigningFile>,
    /// What pushes. Default: `builtIn`.
    #[serde(default)]
    pub push_with: PushProgram,
    /// What is sent with the branches of pull requests where there is no `forge`, as `git push --push-option` does: with it some
    /// servers open a pull request themselves. Default: nothing.
    #[serde(default)]
    pub push_options: Vec<String>,
    /// The forge with which pull requests are opened. Default: none; of environments that are delivered by pull request the
    /// branch is pushed then, and nobody is told of it.
    #[serde(default)]
    pub forge: Option<ForgeFile>,
    /// Whether credentials may travel over `http://` to another machine. Default: false.
    #[serde(default)]
    pub insecure: bool,
}

/// User name and password (or token) for http.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialsFile {
    /// User name. Default: `x-access-token`, as GitHub and Gitea expect beside a token.
    #[serde(default = "token_user")]
    pub username: String,
    /// File with the password or token.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Environment variable with the password or token.
    #[serde(default)]
    pub password_env: Option<String>,
}

fn token_user() -> String {
    "x-access-token".to_owned()
}

/// Key and known hosts for ssh.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SshFile {
    /// The private key, without passphrase, readable by this process only.
    pub key_file: PathBuf,
    /// The keys of the server, as `ssh-keyscan` prints them. An unknown key is refused.
    pub known_hosts_file: PathBuf,
}

/// Author and committer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuthorFile {
    /// Default: `Tagboat`.
    pub name: String,
    /// Default: `tagboat@localhost`.
    pub email: String,
}

impl Default for AuthorFile {
    fn default() -> Self {
        Self { name: "Tagboat".to_owned(), email: "tagboat@localhost".to_owned() }
    }
}

/// A key that commits are signed with. `ssh-keygen` or `gpg` has to be installed beside Tagboat.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum SigningFile {
    /// An SSH key.
    Ssh {
        /// The private key, without passphrase, readable by this process only.
        key_file: PathBuf,
    },
    /// An OpenPGP key, without passphrase.
    OpenPgp {
        /// Its fingerprint, as `gpg --list-secret-keys` shows it.
        key: String,
        /// The folder with the key ring. Default: the user's own.
        #[serde(default)]
        home_directory: Option<PathBuf>,
    },
}

/// What pushes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PushProgram {
    /// Tagboat itself.
    #[default]
    BuiltIn,
    /// The `git` program, for servers that do not get along with Tagboat's own way. For `https://`.
    Git,
}

/// What is wrong with a config repository, with the key.
pub(crate) fn check(repository: &ConfigRepositoryFile) -> Result<(), (&'static str, String)> {
    check_url(repository).map_err(|message| ("url", message))?;
    check_credentials(repository.credentials.as_ref()).map_err(|message| ("credentials", message))?;
    if let Some(proxy) = &repository.proxy {
        check_credentials(proxy.credentials.as_ref()).map_err(|message| ("proxy", message))?;
    }
    if !repository.url.starts_with("http") && repository.push_with == PushProgram::Git {
        return Err(("pushWith", "`git` is for `https://` addresses only; leave `pushWith` out".to_owned()));
    }
    let tls = [
        ("certificateAuthorityFiles", !repository.certificate_authority_files.is_empty()),
        ("clientCertificate", repository.client_certificate.is_some()),
        ("proxy", repository.proxy.is_some()),
    ];
    for (key, given) in tls {
        if given && !repository.url.starts_with("http") {
            return Err((key, format!("`{key}` is for `https://` addresses only")));
        }
        if given && key != "proxy" && repository.push_with == PushProgram::Git {
            return Err((
                key,
                format!("`{key}` does not go with `pushWith: git`; use the system's store of authorities"),
            ));
        }
    }
    forge::check_push_options(&repository.push_options).map_err(|message| ("pushOptions", message))?;
    check_identity("author", &repository.author).map_err(|message| ("author", message))?;
    if let Some(committer) = &repository.committer {
        check_identity("committer", committer).map_err(|message| ("committer", message))?;
    }
    match &repository.signing {
        Some(SigningFile::OpenPgp { key, .. }) if key.is_empty() || key.starts_with('-') => {
            Err(("signing", "`key` is a fingerprint, as `gpg --list-secret-keys` shows it".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Git writes `name <address>` into one line, and cannot read it back with these in it.
fn check_identity(whose: &str, identity: &AuthorFile) -> Result<(), String> {
    let bad = |text: &str| text.trim().is_empty() || text.chars().any(|c| c.is_control() || matches!(c, '<' | '>'));
    match [("name", &identity.name), ("email", &identity.email)].iter().find(|(_, text)| bad(text)) {
        Some((key, _)) => Err(format!("`{whose}.{key}` must not be empty, nor hold `<`, `>` or a line end")),
        None => Ok(()),
    }
}

fn check_url(repository: &ConfigRepositoryFile) -> Result<(), String> {
    let Some((scheme, rest)) = repository.url.split_once("://") else {
        return Err(format!("`{}` is not a URL; write `https://…`, `ssh://…` or `file:///…`", repository.url));
    };
    let userinfo = rest.split('/').next().and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
    if rest.contains(['?', '#']) {
        return Err("a URL of a repository has no `?` and no `#`; a token belongs into `credentials`".to_owned());
    }
    match scheme {
        _ if scheme != "ssh" && repository.ssh.is_some() => Err("`ssh` is for `ssh://` addresses only".to_owned()),
        "ssh" | "file" if repository.credentials.is_some() => {
            Err("`credentials` are for `https://` addresses only".to_owned())
        }
        "file" if !rest.starts_with('/') => Err("write the whole path, as in `file:///srv/git/config.git`".to_owned()),
        "file" => Ok(()),
        "ssh" if repository.ssh.is_none() => Err("`ssh://` needs `ssh` with `keyFile` and `knownHostsFile`".to_owned()),
        "ssh" if userinfo.is_some_and(|user| user.contains(':')) => Err("a URL must not hold a password".to_owned()),
        "ssh" => Ok(()),
        "http" | "https" if userinfo.is_some() => {
            Err("a URL must not hold credentials; use `credentials` with `passwordFile` or `passwordEnv`".to_owned())
        }
        "http" if repository.credentials.is_some() && !repository.insecure && !is_loopback(rest) => {
            Err("credentials would travel in clear; use `https://`, or set `insecure: true`".to_owned())
        }
        "http" | "https" => Ok(()),
        other => {
            Err(format!("URLs of the kind `{other}` are not supported; write `https://…`, `ssh://…` or `file:///…`"))
        }
    }
}
