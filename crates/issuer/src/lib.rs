//! Where published keys come from: key sets of OIDC issuers and certificates of Amazon SNS.
//!
//! Fetches, remembers and no more: what a key proves is for `tagboat-intake` to say. An issuer's keys are found as
//! OpenID Connect Discovery 1.0 says, section 4.

mod address;
mod amazon;
mod fetch;
mod kept;
mod transport;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use tagboat_connection::ConnectionError;
use tagboat_model::{KeySource, shown};
use tagboat_ports::{Clock, KeyError, PublishedKeys};
use thiserror::Error;

use crate::{
    amazon::Amazon,
    fetch::Place,
    kept::{Kept, Wish},
    transport::Transport,
};

pub use tagboat_connection::{ClientCertificate, ProxySettings};
pub use transport::TransportSettings;

/// One issuer, as it is configured.
#[derive(Debug, Clone, Default)]
pub struct IssuerSettings {
    /// Where its keys are.
    pub keys: KeysFrom,
    /// How it is reached.
    pub transport: TransportSettings,
}

/// Where the keys of an issuer are.
#[derive(Debug, Clone, Default)]
pub enum KeysFrom {
    /// Where the discovery document below its address says.
    #[default]
    Discovery,
    /// At this address.
    Address(String),
    /// In this key set (RFC 7517), which somebody keeps up to date.
    Document(Vec<u8>),
}

/// Why an issuer cannot be used as it is configured.
#[derive(Debug, Error)]
#[error("{whose}: {detail}")]
pub struct IssuerError {
    whose: String,
    detail: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl IssuerError {
    fn new(whose: String, detail: String) -> Self {
        Self { whose, detail, source: None }
    }

    fn of_connection(whose: String, error: ConnectionError) -> Self {
        let detail = error.to_string();
        let source = std::error::Error::source(&error).is_some().then(|| error.into());
        Self { whose, detail, source }
    }
}

/// The configured issuers, and Amazon SNS.
pub struct Issuers {
    issuers: BTreeMap<String, Keys>,
    amazon: Amazon,
    clock: Arc<dyn Clock>,
}

/// The keys of one issuer.
enum Keys {
    Given(Arc<[u8]>),
    Fetched(Arc<Kept>),
}

impl Keys {
    fn of(issuer: &str, settings: &IssuerSettings) -> Result<Self, IssuerError> {
        let whose = || format!("issuer `{}`", shown(issuer));
        let wrong = |detail: String| IssuerError::new(whose(), detail);
        let place = match &settings.keys {
            KeysFrom::Document(document) => {
                let document = fetch::key_set(document.clone()).map_err(|what| wrong(format!("its file {what}")))?;
                return Ok(Self::Given(document));
            }
            KeysFrom::Address(address) => Place::KeySet(address::fetchable(address).map_err(wrong)?),
            KeysFrom::Discovery => Place::discovered(issuer).map_err(wrong)?,
        };
        let transport = Transport::new(&settings.transport, place.url());
        let transport = transport.map_err(|error| IssuerError::of_connection(whose(), error))?;
        Ok(Self::Fetched(Arc::new(Kept::new(place, Arc::new(transport)))))
    }
}

impl Issuers {
    /// Issuers by their names, exactly as tokens have them; and how Amazon SNS is reached.
    ///
    /// # Errors
    /// [`IssuerError`] when an address, a file, a certificate or a proxy cannot be used.
    pub fn new(
        issuers: &BTreeMap<String, IssuerSettings>,
        amazon: &TransportSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IssuerError> {
        let mut keys = BTreeMap::new();
        for (issuer, settings) in issuers {
            keys.insert(issuer.clone(), Keys::of(issuer, settings)?);
        }
        Ok(Self { issuers: keys, amazon: Amazon::new(amazon)?, clock })
    }

    async fn get(&self, source: &KeySource, wish: Wish) -> Result<Arc<[u8]>, KeyError> {
        let kept = match source {
            KeySource::Issuer(issuer) => match self.issuers.get(issuer) {
                None => return Err(error(issuer, "no such issuer is configured")),
                Some(Keys::Given(document)) => return Ok(Arc::clone(document)),
                Some(Keys::Fetched(kept)) => Arc::clone(kept),
            },
            KeySource::SnsCertificate(address) => self.amazon.certificate(address, self.clock.now())?,
        };
        kept.get(wish, &self.clock).await
    }
}

#[async_trait]
impl PublishedKeys for Issuers {
    async fn document(&self, source: &KeySource) -> Result<Arc<[u8]>, KeyError> {
        self.get(source, Wish::Any).await
    }

    async fn newer_document(&self, source: &KeySource) -> Result<Arc<[u8]>, KeyError> {
        self.get(source, Wish::Newer).await
    }

    async fn confirm_subscription(&self, url: &str) -> Result<(), KeyError> {
        self.amazon.confirm(url).await
    }
}

/// An error about an address. What stands in its query (a token of a subscription) is for nobody to see.
fn error(address: &str, detail: impl Into<String>) -> KeyError {
    let address = address.split('?').next().unwrap_or_default();
    KeyError { address: shown(address), detail: detail.into() }
}
