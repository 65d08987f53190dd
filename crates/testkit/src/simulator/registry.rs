//! The registry: what tags named, and when; with replicas that lag behind.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use tagboat_model::{Digest, Duration, ImageName, SignatureRule, Tag};
use tagboat_ports::{ManifestDescription, ManifestKind, Registry, RegistryError, RegistryErrorKind, Verification};

use super::{
    faults::{Bug, Fault},
    ports::Door,
    world::{World, digest, image_name, tag},
};

/// A replica lags at most this far behind.
pub(super) const LONGEST_LAG: i64 = 10_000;

/// What a tag named, from when on; nothing where it was deleted.
type Past = Vec<(i64, Option<Digest>)>;

pub(super) struct RegistryServer {
    tags: BTreeMap<(ImageName, Tag), Past>,
    /// Versions whose tags were moved or deleted.
    disturbed: BTreeSet<(ImageName, Tag)>,
    /// What senders claimed of tags, truly or not.
    pub(super) claims: BTreeMap<(ImageName, Tag), Digest>,
    left_alone_until: i64,
    pub(super) pushed: u64,
}

impl RegistryServer {
    pub(super) fn new() -> Self {
        let mut server = Self {
            tags: BTreeMap::new(),
            disturbed: BTreeSet::new(),
            claims: BTreeMap::new(),
            left_alone_until: 0,
            pushed: 0,
        };
        // What nobody announces any more: only whoever lists finds it.
        for (image, text) in [("web", "1.0.0"), ("web", "1.0.5"), ("web", "1.1.0"), ("tool", "main")] {
            server.put(&image_name(image), &tag(text), digest(&format!("first {image}:{text}")), -1_000_000);
        }
        server
    }

    pub(super) fn put(&mut self, image: &ImageName, tag: &Tag, digest: Digest, at: i64) {
        let past = self.tags.entry((image.clone(), tag.clone())).or_default();
        let is_moved = !past.is_empty() && past.last().is_none_or(|(_, now)| now.as_ref() != Some(&digest));
        past.push((at, Some(digest)));
        if is_moved {
            self.disturbed.insert((image.clone(), tag.clone()));
        }
    }

    pub(super) fn delete(&mut self, image: &ImageName, tag: &Tag, at: i64) {
        if let Some(past) = self.tags.get_mut(&(image.clone(), tag.clone())) {
            past.push((at, None));
            self.disturbed.insert((image.clone(), tag.clone()));
        }
    }

    pub(super) fn leave_alone_until(&mut self, until: i64) {
        self.left_alone_until = until;
    }

    pub(super) fn names(&self, image: &ImageName, tag: &Tag, at: i64) -> Option<Digest> {
        let past = self.tags.get(&(image.clone(), tag.clone()))?;
        past.iter().rev().find(|(since, _)| *since <= at)?.1.clone()
    }

    pub(super) fn tags_at(&self, image: &ImageName, at: i64) -> Vec<Tag> {
        let of = self.tags.keys().filter(|(name, _)| name == image);
        of.filter(|(_, tag)| self.names(image, tag, at).is_some()).map(|(_, tag)| tag.clone()).collect()
    }

    /// Whether a tag ever named this.
    pub(super) fn ever_named(&self, image: &ImageName, tag: &Tag, digest: Option<&Digest>) -> bool {
        let past = self.tags.get(&(image.clone(), tag.clone())).into_iter().flatten();
        past.filter_map(|(_, named)| named.as_ref()).any(|named| digest.is_none_or(|digest| digest == named))
    }

    /// Whether a tag was there all the time since.
    pub(super) fn is_there_since(&self, image: &ImageName, tag: &Tag, since: i64) -> bool {
        let past = self.tags.get(&(image.clone(), tag.clone())).into_iter().flatten();
        self.names(image, tag, since).is_some() && past.clone().all(|(at, named)| *at < since || named.is_some())
    }

    pub(super) fn is_disturbed(&self, image: &ImageName, tag: &Tag) -> bool {
        self.disturbed.contains(&(image.clone(), tag.clone()))
    }
}

impl World {
    /// Somebody pushes an image, and the registry tells of it.
    pub(super) fn image_is_pushed(&self) {
        let (at, number) = (self.time(), self.fresh());
        let (image, text) = match self.random(4) {
            0 => ("tool", "main".to_owned()),
            _ => ("web", self.next_version()),
        };
        let (image, tag) = (image_name(image), tag(&text));
        let digest = match text.as_str() {
            "main" => digest(&format!("{image}:{tag} {number}")),
            _ => digest(&format!("{image}:{tag}")),
        };
        self.registry().pushed += 1;
        self.note(|| format!("{image}:{tag} is pushed, {}", digest.short()));
        self.registry().put(&image, &tag, digest.clone(), at);
        self.tell_of_image(&image, &tag, &digest);
    }

    fn next_version(&self) -> String {
        match self.random(8) {
            0 => "latest".to_owned(),
            1 => format!("2.{}.0", self.random(5)),
            // Most often something newer; now and then something old.
            2 | 3 => format!("1.{}.{}", self.random(5), self.random(10)),
            _ => format!("1.{}.{}", 2 + self.time() / 120_000, self.random(20)),
        }
    }

    /// A version's tag is moved, or deleted.
    pub(super) fn tag_is_disturbed(&self, is_moved: bool) {
        let (image, at) = (image_name("web"), self.time());
        let tags = self.registry().tags_at(&image, at);
        let chosen = tags[self.random(tags.len())].clone();
        // The one that everything began with stays.
        if chosen.as_str() == "1.0.0" || tags.len() < 3 {
            return;
        }
        self.note(|| format!("{image}:{chosen} is {}", if is_moved { "moved" } else { "deleted" }));
        match is_moved {
            false => self.registry().delete(&image, &chosen, at),
            true => {
                let digest = digest(&format!("{image}:{chosen} again {}", self.fresh()));
                self.registry().put(&image, &chosen, digest.clone(), at);
                self.tell_of_image(&image, &chosen, &digest);
            }
        }
    }
}

fn error(image: &ImageName, detail: String, retry_after: Option<Duration>) -> RegistryError {
    let operation = "ask about".to_owned();
    RegistryError {
        operation,
        image: image.clone(),
        detail,
        kind: RegistryErrorKind::Outage,
        retry_after,
        source: None,
    }
}

/// The words of a registry that asks to be left alone, before the seconds.
pub(super) const LEFT_ALONE: &str = "it asks to be left alone for ";

impl Door {
    async fn reach_registry(&self, image: &ImageName, place: &'static str) -> Result<(), RegistryError> {
        let world = &self.world;
        world.pause(self.replica, place, 2).await;
        if world.fault(Fault::RegistryThrottle, 80) {
            let until = world.time() + 20_000 + world.milliseconds(100_000);
            world.registry().leave_alone_until(until);
        }
        let left = world.registry().left_alone_until - world.time();
        if left > 0 {
            let seconds = u64::try_from(left / 1000 + 1).unwrap();
            let asked = Some(Duration::from_seconds(seconds)).filter(|_| !world.has_bug(Bug::RetryAfterIgnored));
            return Err(error(image, format!("{LEFT_ALONE}{seconds} s"), asked));
        }
        match world.fault(Fault::RegistryOutage, 15) && !world.has_bug(Bug::OutageMeansGone) {
            true => Err(error(image, "it is down".to_owned(), None)),
            false => Ok(()),
        }
    }

    /// The time as of which the registry answers.
    fn answers_as_of(&self) -> i64 {
        let lag = if self.world.fault(Fault::RegistryLag, 4) { self.world.milliseconds(LONGEST_LAG) } else { 0 };
        self.world.time() - lag
    }

    fn named(&self, image: &ImageName, tag: &Tag) -> Option<Digest> {
        let at = self.answers_as_of();
        let registry = self.world.registry();
        let named = registry.names(image, tag, at);
        if self.world.has_bug(Bug::SenderBelieved) && named.is_some() {
            return registry.claims.get(&(image.clone(), tag.clone())).cloned().or(named);
        }
        named
    }
}

#[async_trait]
impl Registry for Door {
    async fn digest(&self, image: &ImageName, tag: &Tag) -> Result<Option<Digest>, RegistryError> {
        self.reach_registry(image, "registry: digest").await?;
        Ok(self.named(image, tag))
    }

    async fn describe(&self, image: &ImageName, tag: &Tag) -> Result<Option<ManifestDescription>, RegistryError> {
        self.reach_registry(image, "registry: describe").await?;
        if self.world.has_bug(Bug::OutageMeansGone) && self.world.fault(Fault::RegistryOutage, 4) {
            return Ok(None);
        }
        Ok(self.named(image, tag).map(|digest| ManifestDescription {
            digest,
            kind: ManifestKind::Image,
            revision: None,
            source: None,
            created: None,
            platforms: vec!["linux/amd64".parse().unwrap()],
        }))
    }

    async fn verify(&self, image: &ImageName, _: &Digest, _: &SignatureRule) -> Result<Verification, RegistryError> {
        self.reach_registry(image, "registry: verify").await?;
        Ok(Verification::Verified)
    }

    async fn tags(&self, image: &ImageName) -> Result<Vec<Tag>, RegistryError> {
        self.reach_registry(image, "registry: tags").await?;
        let at = self.answers_as_of();
        let mut tags = self.world.registry().tags_at(image, at);
        if self.world.has_bug(Bug::ShortListBelieved) && self.world.chance(2) {
            tags.truncate(tags.len() / 2);
        }
        Ok(tags)
    }
}
