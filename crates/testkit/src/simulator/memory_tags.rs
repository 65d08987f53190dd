//! What the store in memory remembers of tags.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tagboat_model::{ImageName, ImagePushed, Tag, TenantName, Timestamp, Trust};
use tagboat_ports::{Announcement, Observation, ObservedTag, Sighting, StoreError, TagMemory};

use super::MemoryStore;

type Owned = (TenantName, ImageName);

#[derive(Default)]
pub(super) struct Tags {
    observed: BTreeMap<Owned, BTreeMap<Tag, ObservedTag>>,
    sighted: BTreeMap<Owned, BTreeMap<Tag, Sighting>>,
    announced: BTreeMap<Owned, Vec<Announcement>>,
    places: u64,
}

impl Tags {
    /// Only what is signed announces, and only when CI itself says what it built.
    pub(super) fn announce(&mut self, tenant: &TenantName, pushed: &ImagePushed, trust: Trust, at: Timestamp) {
        let Some(source) = pushed.source.clone().filter(|_| trust >= Trust::Signed) else { return };
        self.places += 1;
        let announced = self.announced.entry((tenant.clone(), pushed.image.clone())).or_default();
        let same = |known: &Announcement| {
            let of_known = (&known.tag, &known.digest, known.source.origin());
            of_known == (&pushed.tag, &pushed.claimed_digest, source.origin())
        };
        if !announced.iter().any(same) {
            let (tag, digest) = (pushed.tag.clone(), pushed.claimed_digest.clone());
            announced.push(Announcement { tag, digest, place: self.places, at, source });
        }
    }
}

#[async_trait]
impl TagMemory for MemoryStore {
    async fn observe(&self, tenant: &TenantName, seen: &[Observation], now: Timestamp) -> Result<(), StoreError> {
        let tags = &mut self.tables.lock().unwrap().tags;
        for Observation { image, tag, manifest } in seen {
            let known = tags.observed.entry((tenant.clone(), image.clone())).or_default();
            let after = ObservedTag::after(known.remove(tag), tag.clone(), manifest.clone(), now);
            known.insert(tag.clone(), after);
        }
        Ok(())
    }

    async fn observations(&self, tenant: &TenantName, image: &ImageName) -> Result<Vec<ObservedTag>, StoreError> {
        let tags = &self.tables.lock().unwrap().tags;
        let known = tags.observed.get(&(tenant.clone(), image.clone()));
        Ok(known.into_iter().flatten().map(|(_, observed)| observed.clone()).collect())
    }

    async fn sight(
        &self,
        tenant: &TenantName,
        image: &ImageName,
        tags: &[Tag],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sighted = &mut self.tables.lock().unwrap().tags.sighted;
        let key = (tenant.clone(), image.clone());
        let baseline = !sighted.contains_key(&key);
        let known = sighted.entry(key).or_default();
        for tag in tags {
            known.entry(tag.clone()).or_insert_with(|| Sighting { tag: tag.clone(), at: now, baseline });
        }
        Ok(())
    }

    async fn sightings(&self, tenant: &TenantName, image: &ImageName) -> Result<Option<Vec<Sighting>>, StoreError> {
        let sighted = &self.tables.lock().unwrap().tags.sighted;
        Ok(sighted.get(&(tenant.clone(), image.clone())).map(|known| known.values().cloned().collect()))
    }

    async fn announcements(&self, tenant: &TenantName, image: &ImageName) -> Result<Vec<Announcement>, StoreError> {
        let announced = &self.tables.lock().unwrap().tags.announced;
        Ok(announced.get(&(tenant.clone(), image.clone())).cloned().unwrap_or_default())
    }
}
