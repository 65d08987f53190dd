//! Who we are to a registry: which credential is used, where it is taken from, and how long it is kept.
//!
//! Does not speak with registries: `authentication` turns an identity into what a registry accepts.

mod ambient;
mod answer;
mod azure;
mod cache;
mod docker_config;
#[cfg(feature = "ecr")]
mod ecr;
mod environment;
mod google;
mod helper;

use std::{path::PathBuf, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use tagboat_model::ImageName;

pub use self::{
    ambient::{AmbientCredential, AmbientError, Cloud, ambient_credential},
    environment::Environment,
};
pub(crate) use self::{
    answer::{error_code, seconds, server_time},
    cache::Cache,
};
use crate::client::Fault;

/// What a helper program or a file said is believed for this long, so that many repositories cost one look.
const SOURCE_LIFE: Duration = Duration::from_secs(60);
/// One for each registry, cloud or helper, so this is never reached by what people configure.
const MOST_IDENTITIES: usize = 256;

/// Where the credential for a registry comes from.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// No credential.
    #[default]
    Anonymous,
    /// A user name and a password.
    Password {
        /// The user.
        user: String,
        /// The password, or a token that is used like one.
        password: SecretString,
    },
    /// What `docker login` wrote, or the helper programs that Docker's configuration names.
    DockerConfig {
        /// The file. `None` means `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, which may be missing.
        file: Option<PathBuf>,
    },
    /// The identity of the machine that we run on.
    Ambient(Cloud),
}

/// What a credential is, once it was looked up.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    Anonymous,
    Password {
        user: String,
        password: SecretString,
    },
    /// A refresh token of OAuth 2; Docker calls it an identity token.
    Refresh(SecretString),
}

impl Identity {
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let equal = |one: &SecretString, other: &SecretString| one.expose_secret() == other.expose_secret();
        match (self, other) {
            (Self::Anonymous, Self::Anonymous) => true,
            (Self::Password { user, password }, Self::Password { user: other, password: secret }) => {
                user == other && equal(password, secret)
            }
            (Self::Refresh(one), Self::Refresh(other)) => equal(one, other),
            _ => false,
        }
    }
}

/// Nobody on the way may read a credential. On this machine nobody is on the way.
pub(crate) fn open(host: &str) -> Fault {
    Fault::new(format!(
        "{host} is reached over http, where everybody on the way can read the credential, so it is not sent; use https, or no credential"
    ))
}

/// Looks credentials up, and keeps what is costly to get.
pub(crate) struct Identities {
    environment: Environment,
    links: ambient::Links,
    kept: Cache<Identity>,
}

impl Identities {
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(environment: Environment) -> Result<Self, reqwest::Error> {
        Ok(Self { environment, links: ambient::Links::new()?, kept: Cache::new(MOST_IDENTITIES) })
    }

    /// Look elsewhere than in the environment of this process.
    pub(crate) fn set_environment(&mut self, environment: Environment) {
        self.environment = environment;
    }

    /// Who we are at the registry of `image`. `refused` is what the registry did not accept: it is not answered
    /// from memory. The second value says how long the identity may be used without asking again.
    pub(crate) async fn identity(
        &self,
        credentials: &Credentials,
        image: &ImageName,
        plain_http: bool,
        refused: Option<&Identity>,
    ) -> Result<(Identity, Option<Duration>), Fault> {
        let is_refused = |identity: &Identity| refused.is_some_and(|refused| refused.is_same(identity));
        match credentials {
            Credentials::Anonymous => Ok((Identity::Anonymous, None)),
            Credentials::Password { user, password } => {
                Ok((Identity::Password { user: user.clone(), password: password.clone() }, None))
            }
            Credentials::DockerConfig { file } => {
                let identity = self.docker_identity(file.as_ref(), image, is_refused).await?;
                Ok((identity, Some(SOURCE_LIFE)))
            }
            Credentials::Ambient(cloud) => {
                let registry = image.registry();
                let fetch = async {
                    let found = ambient::fetch(&self.links, *cloud, registry, plain_http, &self.environment).await?;
                    let identity = Identity::Password { user: found.user, password: found.password };
                    Ok((identity, Some(found.lifetime)))
                };
                let identity = self.kept.get(&format!("{cloud:?} {registry}"), is_refused, fetch).await?;
                Ok((identity, Some(SOURCE_LIFE)))
            }
        }
    }

    /// A helper that knows nothing is no error: the next place is looked at, as Docker does.
    async fn docker_identity(
        &self,
        file: Option<&PathBuf>,
        image: &ImageName,
        is_refused: impl Fn(&Identity) -> bool,
    ) -> Result<Identity, Fault> {
        let Some(config) = docker_config::read(file, &self.environment).await? else {
            return Ok(Identity::Anonymous);
        };
        for (name, server) in config.helpers(image) {
            let fetch = async {
                let found = helper::get(&name, &server, self.environment.get("PATH")).await?;
                Ok((found.unwrap_or(Identity::Anonymous), Some(SOURCE_LIFE)))
            };
            let found = self.kept.get(&format!("{name} {server}"), &is_refused, fetch).await?;
            if !matches!(found, Identity::Anonymous) {
                return Ok(found);
            }
        }
        Ok(config.entry(image)?.unwrap_or(Identity::Anonymous))
    }
}
