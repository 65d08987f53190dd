//! The machine's own identity at a cloud, turned into a user name and a password for that cloud's registry.
//!
//! Which cloud is asked is configuration: nothing here is contacted by guessing. Each cloud's credential goes only
//! to hosts of that cloud's registry, whatever the configuration says.

use std::{net::IpAddr, time::Duration};

use reqwest::Url;
use secrecy::SecretString;
use thiserror::Error;

use super::{Environment, azure, google};
use crate::{address::is_loopback, client::Fault};

const TIMEOUT: Duration = Duration::from_secs(20);
/// Metadata services are one hop away, or there are none.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(5);
const LOCAL_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Credentials of clouds last from one to twelve hours; they are renewed this long before they end.
const MARGIN: Duration = Duration::from_secs(120);

/// A cloud whose machines have an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon: `<account>.dkr.ecr.<region>.amazonaws.com` and `public.ecr.aws`. Needs the cargo feature `ecr`.
    Ecr,
    /// Google: `gcr.io`, `*.gcr.io`, `*.pkg.dev`.
    Google,
    /// Azure: `*.azurecr.io`, and the same in its national clouds.
    Azure,
}

/// A user name and a password that a cloud gave us for its registry.
#[derive(Debug, Clone)]
pub struct AmbientCredential {
    /// The user.
    pub user: String,
    /// The password.
    pub password: SecretString,
    /// How long it may be used from now on.
    pub lifetime: Duration,
}

/// A cloud gave no credential.
#[derive(Debug, Error)]
#[error("get the credential of this machine for {registry}: {detail}")]
pub struct AmbientError {
    registry: String,
    detail: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The credential that this machine has for `registry` (host and port) at `cloud`. With `plain_http`, a registry on
/// a loopback address is taken for one of the cloud: a tunnel, or a test.
///
/// # Errors
/// When the registry is none of that cloud, when this machine has no identity there, or when the cloud cannot be
/// asked. No secret is in the error.
pub async fn ambient_credential(
    cloud: Cloud,
    registry: &str,
    plain_http: bool,
    environment: &Environment,
) -> Result<AmbientCredential, AmbientError> {
    let links = Links::new().map_err(|error| Fault::new("connections cannot be set up").because(error));
    let found = match links {
        Ok(links) => fetch(&links, cloud, registry, plain_http, environment).await,
        Err(fault) => Err(fault),
    };
    found.map_err(|fault| {
        let (detail, source) = fault.into_parts();
        AmbientError { registry: registry.to_owned(), detail, source }
    })
}

/// The connections to endpoints of clouds. They are not those to registries: metadata services live on link-local
/// addresses, which registries must never lead us to.
#[derive(Debug)]
pub(super) struct Links {
    vendor: reqwest::Client,
    local: reqwest::Client,
}

impl Links {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("tagboat/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
        };
        let local = builder().no_proxy().connect_timeout(LOCAL_CONNECT_TIMEOUT).timeout(LOCAL_TIMEOUT).build()?;
        Ok(Self { vendor: builder().timeout(TIMEOUT).build()?, local })
    }

    /// No proxy reaches a metadata service, and none should see what it says.
    pub(super) fn to(&self, url: &Url) -> &reqwest::Client {
        if is_local(url) { &self.local } else { &self.vendor }
    }

    /// For a library that sends by itself.
    #[cfg(feature = "ecr")]
    pub(super) fn clone_both(&self) -> Self {
        Self { vendor: self.vendor.clone(), local: self.local.clone() }
    }
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local() || address.is_private(),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => matches!(host, "localhost" | "metadata.google.internal" | "metadata"),
    }
}

pub(super) async fn fetch(
    links: &Links,
    cloud: Cloud,
    registry: &str,
    plain_http: bool,
    environment: &Environment,
) -> Result<AmbientCredential, Fault> {
    let tunnel = plain_http && is_loopback(registry);
    if plain_http && !tunnel {
        // Not even asked for: the exchange of some clouds goes to the registry.
        return Err(super::open(registry));
    }
    let mut found = match cloud {
        #[cfg(feature = "ecr")]
        Cloud::Ecr => super::ecr::fetch(links, registry, environment).await?,
        #[cfg(not(feature = "ecr"))]
        Cloud::Ecr => return Err(Fault::new("this program was built without the feature `ecr`")),
        Cloud::Google if google::is_registry(registry) || tunnel => google::fetch(links, tunnel, environment).await?,
        Cloud::Azure if azure::is_registry(registry) || tunnel => {
            azure::fetch(links, registry, tunnel, environment).await?
        }
        Cloud::Google => return Err(wrong(registry, "Google, which are `gcr.io`, `*.gcr.io` and `*.pkg.dev`")),
        Cloud::Azure => {
            return Err(wrong(registry, "Azure, which are `*.azurecr.io`, `*.azurecr.cn` and `*.azurecr.us`"));
        }
    };
    found.lifetime = found.lifetime.saturating_sub(MARGIN.min(found.lifetime / 10));
    Ok(found)
}

/// The identity of a machine opens more than a registry, so it is shown to nobody else.
pub(super) fn wrong(registry: &str, of: &str) -> Fault {
    Fault::new(format!("{registry} is no registry of {of}; the identity of this machine is not sent there"))
}
