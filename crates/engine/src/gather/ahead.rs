//! What registries will be asked anyway, asked for many images at once.
//!
//! Decides nothing: what was not foreseen is asked when it is needed.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tagboat_model::{ImageName, Tag};
use tagboat_promotion::{ImageEntry, ImageFacts};

use crate::{
    ReconcileError,
    gather::{candidates::lists, registry::Inquiry},
};

impl Inquiry<'_> {
    /// List many images at once that will be listed anyway.
    pub(super) async fn list_ahead<'a>(&mut self, entries: impl Iterator<Item = &'a ImageEntry>) {
        let wanted = entries.filter(|entry| lists(&entry.selection) && self.is_looked_at(&entry.image));
        let images: BTreeSet<ImageName> = wanted.map(|entry| entry.image.clone()).collect();
        let registry = &self.engine.ports.registry;
        let ask = async |image: ImageName| {
            let tags = registry.tags(&image).await;
            (image, tags)
        };
        for (image, tags) in join_all(images.into_iter().map(ask)).await {
            let tags = tags.map_err(|error| self.note(error));
            self.lists.insert(image, tags);
        }
    }

    /// Read many tags at once that were never read. What cannot be read is said when it is asked for.
    pub(super) async fn read_ahead(&mut self, tags: BTreeSet<(ImageName, Tag)>) {
        let registry = &self.engine.ports.registry;
        let read = async |(image, tag): (ImageName, Tag)| {
            let answer = registry.describe(&image, &tag).await;
            ((image, tag), answer)
        };
        self.ahead.extend(join_all(tags.into_iter().map(read)).await);
    }

    /// The tag that will be asked about first, if it was never read.
    pub(super) async fn foremost(
        &mut self,
        facts: ImageFacts,
        event_tags: &[Tag],
    ) -> Result<Option<Tag>, ReconcileError> {
        let listed = self.lists.get(&facts.image).and_then(|listed| listed.clone().ok()).unwrap_or_default();
        let by_appearance = facts.selection.policy.is_by_appearance();
        if (listed.is_empty() && event_tags.is_empty()) || by_appearance || self.is_down(&facts.image) {
            return Ok(None);
        }
        self.recall(&facts).await?;
        let facts = ImageFacts { resolved: self.resolve(&facts), ..facts };
        let Some(first) = self.all_in_order(&facts, event_tags, listed).into_iter().next() else { return Ok(None) };
        let is_wanted =
            !self.is_settled(&facts) || event_tags.contains(&first) || self.is_above_current(&facts, &first);
        Ok(Some(first).filter(|first| is_wanted && self.observation(&facts.image, first).is_none()))
    }
}
