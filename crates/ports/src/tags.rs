//! What the engine remembers of tags: what they named, when they appeared, what CI announced.

use async_trait::async_trait;
use tagboat_model::{Digest, ImageName, Source, Tag, TenantName, Timestamp};

use crate::{ManifestDescription, StoreError};

/// The part of the database that remembers tags. Every method is one transaction, durable when it returns.
#[async_trait]
pub trait TagMemory: Send + Sync {
    /// Remember that tags were read at the registry.
    async fn observe(&self, tenant: &TenantName, seen: &[Observation], now: Timestamp) -> Result<(), StoreError>;

    /// What was read of an image before, by tag.
    async fn observations(&self, tenant: &TenantName, image: &ImageName) -> Result<Vec<ObservedTag>, StoreError>;

    /// Remember that an image has these tags; those that are known already keep their time. The first call for an
    /// image makes its baseline: what it names may be older than `now`.
    async fn sight(
        &self,
        tenant: &TenantName,
        image: &ImageName,
        tags: &[Tag],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// When the tags of an image were seen first; `None` before the first listing.
    async fn sightings(&self, tenant: &TenantName, image: &ImageName) -> Result<Option<Vec<Sighting>>, StoreError>;

    /// What signed events announced of an image, oldest first. Stored with the deliveries they came in.
    async fn announcements(&self, tenant: &TenantName, image: &ImageName) -> Result<Vec<Announcement>, StoreError>;
}

/// A tag as it was read at the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The image.
    pub image: ImageName,
    /// The tag.
    pub tag: Tag,
    /// What it named.
    pub manifest: ManifestDescription,
}

/// What is remembered of the readings of one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedTag {
    /// The tag.
    pub tag: Tag,
    /// What it named when it was read last.
    pub manifest: ManifestDescription,
    /// When the image was built that it named when it was read first: a tag that is pushed again is not newer.
    pub created: Option<Timestamp>,
    /// When it was first read to name that, since it named something else.
    pub since: Timestamp,
    /// What it named before, without repeats, the oldest first, at most [`MOST_REPLACED`].
    pub replaced: Vec<Digest>,
}

/// Digests that are remembered of one tag.
pub const MOST_REPLACED: usize = 20;

impl ObservedTag {
    /// The memory of a tag after it was read once more.
    #[must_use]
    pub fn after(before: Option<Self>, tag: Tag, manifest: ManifestDescription, now: Timestamp) -> Self {
        let Some(before) = before else {
            return Self { created: manifest.created, tag, manifest, since: now, replaced: Vec::new() };
        };
        let created = if before.manifest.is_complete() { before.created } else { manifest.created };
        if before.manifest.digest == manifest.digest {
            return Self { manifest, created, ..before };
        }
        let mut replaced = before.replaced;
        if !replaced.contains(&before.manifest.digest) {
            replaced.push(before.manifest.digest);
        }
        let excess = replaced.len().saturating_sub(MOST_REPLACED);
        replaced.drain(..excess);
        Self { tag, manifest, created, since: now, replaced }
    }
}

/// When a tag was seen first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The tag.
    pub tag: Tag,
    /// When.
    pub at: Timestamp,
    /// Whether that was in the first listing, so that it may be older.
    pub baseline: bool,
}

/// That an authenticated CI event announced a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The tag.
    pub tag: Tag,
    /// The digest that was announced, if one was.
    pub digest: Option<Digest>,
    /// Its place in the order of all announcements.
    pub place: u64,
    /// When.
    pub at: Timestamp,
    /// What it was built from and by what, with the claims of the token that proved it.
    pub source: Source,
}
