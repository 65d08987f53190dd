//! `forge` of a config repository and `githubApp` of the server file: where pull requests are, and who we are there.
//!
//! Does not speak to a forge: it says where its API is, and where the credentials are.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagboat_model::{ForgeKind, TenantName};

use crate::{ConfigRepositoryFile, SecretSource, ServerFile, server_check::is_loopback};

/// GitHub itself.
const GITHUB: &str = "https://github.com";
/// Its API, which is a host of its own; that of a GitHub Enterprise server is below its address.
const API_OF_GITHUB: &str = "https://api.github.com";

/// The forge of a config repository, with which pull requests are opened.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForgeFile {
    /// What it is.
    pub kind: ForgeFileKind,
    /// The address of its API: `https://git.example.org/api/v1`. Default: the usual one of its kind, at the host of the
    /// config repository's `url`.
    #[serde(default)]
    pub url: Option<String>,
    /// The repository at the forge: `acme/config`. Default: the path of the config repository's `url`.
    #[serde(default)]
    pub repository: Option<String>,
    /// File with a token that may read and write contents, pull requests, issues and commit statuses. For `github` it may be
    /// left out where `githubApp` is there.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Environment variable with that token.
    #[serde(default)]
    pub token_env: Option<String>,
}

/// The kinds of forges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ForgeFileKind {
    /// GitHub, also an Enterprise server.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea.
    Gitea,
    /// Forgejo.
    Forgejo,
}

impl From<ForgeFileKind> for ForgeKind {
    fn from(kind: ForgeFileKind) -> Self {
        match kind {
            ForgeFileKind::Github => Self::Github,
            ForgeFileKind::Gitlab => Self::Gitlab,
            ForgeFileKind::Gitea => Self::Gitea,
            ForgeFileKind::Forgejo => Self::Forgejo,
        }
    }
}

/// A GitHub App: the repositories on which it is installed are config repositories without standing under `repositories`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GithubAppFile {
    /// Its number, as its settings show it.
    pub app_id: u64,
    /// File with its private key (PEM).
    #[serde(default)]
    pub private_key_file: Option<PathBuf>,
    /// Environment variable with that key.
    #[serde(default)]
    pub private_key_env: Option<String>,
    /// File with the secret that its webhook signs with.
    #[serde(default)]
    pub webhook_secret_file: Option<PathBuf>,
    /// Environment variable with that secret.
    #[serde(default)]
    pub webhook_secret_env: Option<String>,
    /// The address for people of GitHub, or of a GitHub Enterprise server. Default: `https://github.com`.
    #[serde(default = "github")]
    pub url: String,
    /// The tenant to which the repositories of all accounts belong. Default: every account is a tenant of its own.
    #[serde(default)]
    pub tenant: Option<TenantName>,
    /// Whether a repository without `.tagboat.yaml` gets a pull request that proposes one. Default: true.
    #[serde(default = "yes")]
    pub onboarding: bool,
    /// How commits get there. Default: `api`.
    #[serde(default)]
    pub commit_through: CommitThrough,
    /// Whether the token may travel over `http://` to another machine. Default: false.
    #[serde(default)]
    pub insecure: bool,
}

fn github() -> String {
    GITHUB.to_owned()
}

fn yes() -> bool {
    true
}

/// How the App's commits get to GitHub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CommitThrough {
    /// Through the API: GitHub signs them, and shows them as verified.
    #[default]
    Api,
    /// By a push, as with other config repositories.
    Git,
}

impl ForgeFile {
    /// Where the token is.
    #[must_use]
    pub fn token(&self) -> Option<SecretSource> {
        SecretSource::of(self.token_file.as_ref(), self.token_env.as_ref())
    }

    /// The address of the API, without a slash at its end, for a config repository at `url`.
    #[must_use]
    pub fn api(&self, url: &str) -> Option<String> {
        match &self.url {
            Some(own) => Some(own.trim_end_matches('/').to_owned()),
            None => usual_api(self.kind, url),
        }
    }

    /// The repository at the forge, for a config repository at `url`.
    #[must_use]
    pub fn repository(&self, url: &str) -> Option<String> {
        match &self.repository {
            Some(own) => Some(own.clone()),
            None => usual_repository(self.kind, url),
        }
    }
}

impl GithubAppFile {
    /// Where the private key is.
    #[must_use]
    pub fn private_key(&self) -> Option<SecretSource> {
        SecretSource::of(self.private_key_file.as_ref(), self.private_key_env.as_ref())
    }

    /// Where the webhook's secret is.
    #[must_use]
    pub fn webhook_secret(&self) -> Option<SecretSource> {
        SecretSource::of(self.webhook_secret_file.as_ref(), self.webhook_secret_env.as_ref())
    }

    /// The address for people, without a slash at its end.
    #[must_use]
    pub fn address(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// The address of the API, without a slash at its end.
    #[must_use]
    pub fn api(&self) -> String {
        match self.address() {
            GITHUB => API_OF_GITHUB.to_owned(),
            server => format!("{server}/api/v3"),
        }
    }
}

/// Scheme, host with port, and path of an address; without user, and without the port of ssh, which no API has.
fn parts(url: &str) -> Option<(&'static str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_once('/')?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let without_port = || match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let (scheme, host) = match scheme {
        "https" => ("https", host),
        "http" => ("http", host),
        "ssh" => ("https", without_port()),
        _ => return None,
    };
    (!host.is_empty()).then_some((scheme, host, path))
}

fn usual_api(kind: ForgeFileKind, url: &str) -> Option<String> {
    let (scheme, host, _) = parts(url)?;
    Some(match kind {
        // `ssh.github.com` takes ssh at the port of https.
        ForgeFileKind::Github if ["github.com", "ssh.github.com"].contains(&host) => API_OF_GITHUB.to_owned(),
        ForgeFileKind::Github => format!("{scheme}://{host}/api/v3"),
        ForgeFileKind::Gitlab => format!("{scheme}://{host}/api/v4"),
        ForgeFileKind::Gitea | ForgeFileKind::Forgejo => format!("{scheme}://{host}/api/v1"),
    })
}

fn usual_repository(kind: ForgeFileKind, url: &str) -> Option<String> {
    let (_, _, path) = parts(url)?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    is_repository(kind, path).then(|| path.to_owned())
}

/// GitLab has groups within groups.
fn is_repository(kind: ForgeFileKind, path: &str) -> bool {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..") && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let count = path.split('/').count();
    path.split('/').all(plain) && (count == 2 || (count > 2 && kind == ForgeFileKind::Gitlab))
}

/// What is wrong with an address that a token is sent to.
fn check_address(url: &str, insecure: bool) -> Result<(), String> {
    let (rest, in_clear) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return Err(format!("`{url}` is no address; it begins with `https://`")),
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() || rest.contains(['?', '#', '@']) || rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("`{url}` is no address: write scheme, host and path, without `?`, `#` and `@`"));
    }
    if in_clear && !insecure && !is_loopback(rest) {
        return Err("the token would travel in clear; use `https://`, or set `insecure: true`".to_owned());
    }
    Ok(())
}

/// What is wrong with the forge of a config repository.
pub(crate) fn check(repository: &ConfigRepositoryFile, server: &ServerFile) -> Result<(), String> {
    let Some(forge) = &repository.forge else { return Ok(()) };
    if forge.token_file.is_some() && forge.token_env.is_some() {
        return Err("`tokenFile` and `tokenEnv` exclude each other".to_owned());
    }
    if forge.token().is_none() {
        match (forge.kind, &server.github_app) {
            (ForgeFileKind::Github, Some(_)) => {}
            (ForgeFileKind::Github, None) => {
                return Err("say where the token is, `tokenFile` or `tokenEnv`, or add a `githubApp`".to_owned());
            }
            _ => return Err("say where the token is: `tokenFile` or `tokenEnv`".to_owned()),
        }
    }
    let Some(api) = forge.api(&repository.url) else {
        return Err("the address of the API does not follow from the repository's `url`; add `url`".to_owned());
    };
    check_address(&api, repository.insecure)?;
    match (&forge.repository, forge.repository(&repository.url)) {
        (Some(own), _) if !is_repository(forge.kind, own) => {
            Err(format!("`{own}` is no repository of a forge; write owner and name, as in `acme/config`"))
        }
        (None, None) => {
            Err("the repository does not follow from its `url`; add `repository`, as in `acme/config`".to_owned())
        }
        _ => Ok(()),
    }
}

/// The options that are sent with a push.
pub(crate) fn check_push_options(options: &[String]) -> Result<(), String> {
    match options.iter().find(|option| option.is_empty() || option.chars().any(char::is_control)) {
        Some(_) => Err("an option must not be empty, nor hold a line end".to_owned()),
        None => Ok(()),
    }
}

/// What is wrong with the App, with the key.
pub(crate) fn check_app(app: &GithubAppFile) -> Result<(), (&'static str, String)> {
    if app.app_id == 0 {
        return Err(("appId", "an App has a number; its settings show it".to_owned()));
    }
    let pairs = [
        (
            "privateKeyFile",
            "privateKeyEnv",
            "the private key",
            app.private_key_file.is_some(),
            app.private_key_env.is_some(),
        ),
        (
            "webhookSecretFile",
            "webhookSecretEnv",
            "the secret of the webhook",
            app.webhook_secret_file.is_some(),
            app.webhook_secret_env.is_some(),
        ),
    ];
    for (file, variable, what, in_file, in_variable) in pairs {
        match (in_file, in_variable) {
            (true, true) => return Err((file, format!("`{file}` and `{variable}` exclude each other"))),
            (false, false) => return Err((file, format!("say where {what} is: `{file}` or `{variable}`"))),
            _ => {}
        }
    }
    check_address(&app.url, app.insecure).map_err(|message| ("url", message))?;
    // Its pages, not its API: a slip that would look like a server that does not answer.
    if app.address() == API_OF_GITHUB || app.address().ends_with("/api/v3") {
        return Err((
            "url",
            "write the address for people, as in `https://github.com`, not that of the API".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_forge_is_asked_follows_from_the_url() {
        use ForgeFileKind::{Forgejo, Gitea, Github, Gitlab};
        for (kind, url, api, repository) in [
            (Github, "https://github.com/acme/config.git", "https://api.github.com", "acme/config"),
            (Github, "ssh://git@github.com/acme/config", "https://api.github.com", "acme/config"),
            (Github, "ssh://git@ssh.github.com:443/acme/config.git", "https://api.github.com", "acme/config"),
            (Github, "https://ghe.example.org/acme/config", "https://ghe.example.org/api/v3", "acme/config"),
            (Gitlab, "https://gitlab.com/acme/sub/config.git", "https://gitlab.com/api/v4", "acme/sub/config"),
            (Gitlab, "ssh://git@git.example:2222/acme/config/", "https://git.example/api/v4", "acme/config"),
            (Gitea, "http://localhost:3000/acme/config.git", "http://localhost:3000/api/v1", "acme/config"),
            (Forgejo, "https://codeberg.org/acme/config", "https://codeberg.org/api/v1", "acme/config"),
        ] {
            assert_eq!(usual_api(kind, url).as_deref(), Some(api), "{url}");
            assert_eq!(usual_repository(kind, url).as_deref(), Some(repository), "{url}");
        }
        assert_eq!(usual_api(Github, "file:///srv/git/config.git"), None);
        for (kind, url) in [(Gitea, "https://git.example/gitea/acme/config"), (Github, "https://github.com/acme")] {
            assert_eq!(usual_repository(kind, url), None, "{url}");
        }
    }

    #[test]
    fn the_api_of_an_app_is_that_of_its_server() {
        let app = |url: &str| GithubAppFile {
            app_id: 1,
            private_key_file: None,
            private_key_env: Some("KEY".to_owned()),
            webhook_secret_file: None,
            webhook_secret_env: Some("SECRET".to_owned()),
            url: url.to_owned(),
            tenant: None,
            onboarding: true,
            commit_through: CommitThrough::default(),
            insecure: false,
        };
        assert_eq!(app("https://github.com/").api(), "https://api.github.com");
        assert_eq!(app("https://ghe.example.org").api(), "https://ghe.example.org/api/v3");
        assert_eq!(app(GITHUB).private_key(), Some(SecretSource::Env("KEY".to_owned())));
        assert!(check_app(&app("http://127.0.0.1:9000")).is_ok() && check_app(&app("http://ghe.example")).is_err());
    }
}
