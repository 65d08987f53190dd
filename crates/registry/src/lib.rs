//! OCI registries: which digest a tag names, what it is, which tags there are.
//!
//! The only door to registries. Requests follow the OCI distribution specification 1.1; types of manifests
//! are those of oci-spec. The calls are our own because they have rules that the kept client libraries do
//! not hold: credentials go only to the registry and to token servers that configuration (or a short built-in
//! list) names, redirects never carry them elsewhere, `Retry-After` is passed on, and a list of tags is
//! complete or an error.

mod authentication;
mod challenge;
mod client;
mod manifest;
mod signatures;

use std::collections::BTreeMap;

use async_trait::async_trait;
use reqwest::{Method, StatusCode, header};
use secrecy::SecretString;
use tagboat_model::{Digest, ImageName, SignatureRule, Tag};
use tagboat_ports::{ManifestDescription, Registry, RegistryError, Verification};

use crate::{
    client::{Client, Fault},
    manifest::{Detail, ReadManifest},
    signatures::Signatures,
};
pub use tagboat_signature::{TrustRoot, TrustRootError};

/// How one registry is reached, where that differs from an anonymous request over https.
#[derive(Debug, Clone, Default)]
pub struct RegistrySettings {
    /// User name and password.
    pub credentials: Option<(String, SecretString)>,
    /// Speak http. `None` means: only with loopback addresses.
    pub plain_http: Option<bool>,
    /// Hosts besides the registry that may issue its tokens.
    pub token_servers: Vec<String>,
}

/// All registries. An image's name says which is asked.
pub struct OciRegistries {
    client: Client,
    signatures: Signatures,
}

/// More pages than this are taken for a loop. At 1,000 tags a page it is a million tags.
const MOST_PAGES: usize = 1000;
const TAGS_A_PAGE: usize = 1000;

impl OciRegistries {
    /// `registries` by host, as image names write it.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(registries: BTreeMap<String, RegistrySettings>) -> Result<Self, reqwest::Error> {
        Ok(Self { client: Client::new(registries)?, signatures: Signatures::default() })
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
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        match manifest::header_digest(answer.headers()) {
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
        self.all_tags(image).await.map_err(|fault| fault.during("list the tags of".to_owned(), image))
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
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let claimed = manifest::header_digest(answer.headers());
        let bytes = client::bounded_body(answer).await?;
        manifest::read(&bytes, expected.or(claimed.as_ref())).map(Some)
    }

    /// Read on where a manifest does not say all: its configuration, or for an index that of its first image.
    async fn complete(&self, image: &ImageName, read: ReadManifest) -> Result<ManifestDescription, Fault> {
        let ReadManifest { digest, kind, detail, mut platforms, mut built } = read;
        let config = match detail {
            Some(Detail::Image(child)) if !built.is_complete() => {
                let child = self.manifest(image, child.as_str(), Some(&child)).await?;
                // An index may arrive before its images do.
                child.and_then(|child| {
                    built = std::mem::take(&mut built).or(child.built);
                    child.detail
                })
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
        Ok(ManifestDescription { digest, kind, revision: built.revision, created: built.created, platforms })
    }

    async fn all_tags(&self, image: &ImageName) -> Result<Vec<Tag>, Fault> {
        let mut path = format!("tags/list?n={TAGS_A_PAGE}");
        let mut tags = Vec::new();
        for _ in 0..MOST_PAGES {
            let answer = self.client.send(Method::GET, image, &path, "application/json").await?;
            if answer.status() == StatusCode::NOT_FOUND {
                let fault = Fault::new("the registry knows no such repository, or the credential may not see it");
                return Err(fault.of_repository());
            }
            let link = answer.headers().get(header::LINK).and_then(|link| link.to_str().ok());
            let next = link.map_or(Ok(None), next_page)?;
            let bytes = client::bounded_body(answer).await?;
            // A tag outside the grammar cannot be deployed, so it is no candidate.
            tags.extend(page(&bytes)?.iter().filter_map(|tag| tag.parse().ok()));
            match next {
                None => return Ok(tags),
                Some(next) if next == path => return Err(Fault::new("the list of tags refers to itself")),
                Some(next) => path = next,
            }
        }
        Err(Fault::new("the list of tags does not end"))
    }
}

/// The tags of one page. A registry answers `null` for a repository without tags; without the key it is no list.
fn page(bytes: &[u8]) -> Result<Vec<String>, Fault> {
    let fault = || Fault::new("the list of tags is not what the specification says");
    let mut page: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| fault().because(error))?;
    match page.get_mut("tags").map(serde_json::Value::take) {
        Some(serde_json::Value::Null) => Ok(Vec::new()),
        Some(tags) => serde_json::from_value(tags).map_err(|error| fault().because(error)),
        None => Err(fault()),
    }
}

/// `</v2/acme/web/tags/list?last=b&n=100>; rel="next"` becomes `tags/list?last=b&n=100`.
fn next_page(link: &str) -> Result<Option<String>, Fault> {
    Ok(next_query(link, "the list of tags")?.map(|query| format!("tags/list?{query}")))
}

/// The query of the next page. Only it is taken over, so that a registry cannot send us elsewhere.
fn next_query<'l>(link: &'l str, list: &str) -> Result<Option<&'l str>, Fault> {
    let Some(next) = link.split(',').find(|part| part.contains("rel=\"next\"") || part.contains("rel=next")) else {
        return Ok(None);
    };
    let target = next.split('<').nth(1).and_then(|rest| rest.split('>').next());
    match target.and_then(|target| target.split_once('?')) {
        Some((_, query)) => Ok(Some(query)),
        None => Err(Fault::new(format!("{list} names a next page that cannot be read"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_always_at_the_same_place() {
        let link = r#"<https://evil.example/v2/other/tags/list?last=1.2&n=100>; rel="next""#;
        assert_eq!(next_page(link).unwrap().unwrap(), "tags/list?last=1.2&n=100");
        assert_eq!(next_page(r#"</v2/a/tags/list?last=1>; rel="prev""#).unwrap(), None);
        assert!(next_page(r#"</v2/a/tags/list>; rel="next""#).is_err());
    }

    #[test]
    fn a_page_without_tags_is_no_page() {
        assert_eq!(page(br#"{"tags":null}"#).unwrap(), Vec::<String>::new());
        assert!(page(b"{}").is_err() && page(b"[]").is_err() && page(br#"{"tags":7}"#).is_err());
    }
}
