//! OCI registries: which digest a tag names, what it is, which tags there are.
//!
//! The only door to registries. Requests follow the OCI distribution specification 1.1; types of manifests
//! are those of oci-spec. The calls are our own because they have rules that the kept client libraries do
//! not hold: credentials go only to the registry and to token servers that configuration (or a short built-in
//! list) names, redirects never carry them elsewhere, private networks are out of reach unless configuration
//! says otherwise, `Retry-After` is heeded and passed on, and a list of tags is complete or an error.

mod address;
mod authentication;
mod breaker;
mod challenge;
mod client;
mod credentials;
mod fault;
mod lane;
mod list;
mod manifest;
mod pace;
mod retry;
mod signatures;
mod transport;

use std::collections::BTreeMap;

use async_trait::async_trait;
use reqwest::{Method, StatusCode};
use tagboat_model::{Digest, ImageName, SignatureRule, Tag};
use tagboat_ports::{ManifestDescription, ManifestKind, Registry, RegistryError, Verification};

pub use crate::authentication::TokenWatch;
pub use crate::credentials::{AmbientCredential, AmbientError, Cloud, Credentials, Environment, ambient_credential};
use crate::{
    client::{Client, Fault},
    list::Pages,
    manifest::{Detail, ReadManifest},
    signatures::Signatures,
};
pub use tagboat_signature::{TrustRoot, TrustRootError};

pub use crate::transport::{TransportError, TransportSettings};
pub use tagboat_connection::{ClientCertificate, ProxySettings};

/// How one registry is reached, where that differs from an anonymous request over https.
#[derive(Debug, Clone, Default)]
pub struct RegistrySettings {
    /// Who we are there.
    pub credentials: Credentials,
    /// Speak http. `None` means: only with loopback addresses. To others no credential is sent over it.
    pub plain_http: Option<bool>,
    /// Send user name and password over http all the same. Never the identity of a cloud.
    pub insecure: bool,
    /// Hosts besides the registry that may issue its tokens.
    pub token_servers: Vec<String>,
    /// Trust, identity, proxy, network and limits.
    pub transport: TransportSettings,
}

/// All registries. An image's name says which is asked.
pub struct OciRegistries {
    client: Client,
    pages: Pages,
    signatures: Signatures,
}

/// So many bytes of lists of tags are kept in memory: some 300,000 tags.
const MOST_KEPT: usize = 16 * 1024 * 1024;

impl OciRegistries {
    /// `registries` by host, as image names write it.
    ///
    /// # Errors
    /// When the certificates, the proxy or TLS of a registry cannot be used; the error names it.
    pub fn new(registries: BTreeMap<String, RegistrySettings>) -> Result<Self, TransportError> {
        Ok(Self { client: Client::new(registries)?, pages: Pages::new(MOST_KEPT), signatures: Signatures::default() })
    }

    /// Who we are to registries without an entry. Without this call: nobody.
    #[must_use]
    pub fn with_default_credentials(mut self, credentials: Credentials) -> Self {
        self.client.set_default_credentials(credentials);
        self
    }

    /// Take the names of Docker's configuration and of clouds from here, not from the environment of this process.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.client.set_environment(environment);
        self
    }

    /// Tell of each token that is asked for.
    #[must_use]
    pub fn with_token_watch(mut self, watch: TokenWatch) -> Self {
        self.client.set_token_watch(watch);
        self
    }

    /// Check keyless signatures against this trust root. Without one they cannot be checked.
    #[must_use]
    pub fn with_trust_root(mut self, trust_root: TrustRoot) -> Self {
        self.signatures.trust_root = Some(trust_root);
        self
    }
}

#[async_trait]
impl Registry for OciRegistries {
    async fn digest(&self, image: &ImageName, tag: &Tag) -> Result<Option<Digest>, RegistryError> {
        let explain = |fault: Fault| fault.during(format!("read the digest of tag {tag} of"), image);
        let path = format!("manifests/{tag}");
        let answer = self.client.send(Method::HEAD, image, &path, manifest::ACCEPT).await.map_err(explain)?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        match manifest::header_digest(&answer.headers) {
            Some(digest) => Ok(Some(digest)),
            // Some registries tell the digest only by the bytes.
            None => Ok(self.describe(image, tag).await?.map(|description| description.digest)),
        }
    }

    async fn describe(&self, image: &ImageName, tag: &Tag) -> Result<Option<ManifestDescription>, RegistryError> {
        let explain = |fault: Fault| fault.during(format!("read the manifest of tag {tag} of"), image);
        let Some(read) = self.manifest(image, tag.as_str(), None).await.map_err(explain)? else { return Ok(None) };
        self.complete(image, read).await.map(Some).map_err(explain)
    }

    async fn tags(&self, image: &ImageName) -> Result<Vec<Tag>, RegistryError> {
        list::all(&self.client, &self.pages, image)
            .await
            .map_err(|fault| fault.during("list the tags of".to_owned(), image))
    }

    async fn verify(
        &self,
        image: &ImageName,
        digest: &Digest,
        rule: &SignatureRule,
    ) -> Result<Verification, RegistryError> {
        let verification = self.signatures.verify(&self.client, image, digest, rule).await;
        verification.map_err(|fault| fault.during(format!("check the signatures of {} of", digest.short()), image))
    }
}

impl OciRegistries {
    /// The manifest that a tag or digest names; `None` when there is none. `expected` is its digest, where known.
    async fn manifest(
        &self,
        image: &ImageName,
        reference: &str,
        expected: Option<&Digest>,
    ) -> Result<Option<ReadManifest>, Fault> {
        let path = format!("manifests/{reference}");
        let answer = self.client.send(Method::GET, image, &path, manifest::ACCEPT).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let claimed = manifest::header_digest(&answer.headers);
        manifest::read(&answer.body, expected.or(claimed.as_ref())).map(Some)
    }

    /// Read on: the configuration of an image, and of an index its first image, without which it is none.
    async fn complete(&self, image: &ImageName, read: ReadManifest) -> Result<ManifestDescription, Fault> {
        let ReadManifest { digest, mut kind, detail, mut platforms, mut built } = read;
        let config = match detail {
            Some(Detail::Image { digest: child, platform }) => {
                match self.manifest(image, child.as_str(), Some(&child)).await? {
                    // An index may arrive before its images do.
                    None => {
                        kind = manifest::incomplete(&child, platform.as_ref());
                        None
                    }
                    Some(ReadManifest { kind: ManifestKind::Other { detail }, .. }) => {
                        kind = ManifestKind::Other { detail: format!("an index of something else: {detail}") };
                        platforms.clear();
                        None
                    }
                    Some(child) => {
                        built = built.or(child.built);
                        child.detail.filter(|_| !built.is_complete() || platforms.is_empty())
                    }
                }
            }
            other => other,
        };
        if let Some(Detail::Configuration(config)) = config {
            let (said, platform) = manifest::configuration(&self.client.blob(image, &config).await?);
            built = built.or(said);
            if platforms.is_empty() {
                platforms.extend(platform);
            }
        }
        let manifest::Built { revision, source, created } = built;
        Ok(ManifestDescription { digest, kind, revision, source, created, platforms })
    }
}
