//! Where versions come from, for reviewers: where they ran, what was built into them, who made Tagboat look.
//!
//! What is found is kept, so that the text of a pull request stays the same while nothing changes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tagboat_model::{BranchKey, Comparison, Decision, EnvironmentName, RanIn, Version, shown};
use tagboat_ports::{EventRecord, Forge, Work};
use tagboat_promotion::{Environment, ImageFacts, pull::Story};
use tagboat_settings::RepositorySettings;

use crate::{ConfigRepository, Engine, ReconcileError, gather::Gathered};

impl Engine {
    /// The story of a decision that is offered.
    pub(crate) async fn story(
        &self,
        work: &Work,
        config: &ConfigRepository,
        gathered: &Gathered,
        decision: &Decision,
    ) -> Result<Story, ReconcileError> {
        let Some(version) = &decision.version else { return Ok(Story::default()) };
        let ran = ran_before(gathered, decision, version);
        let here = gathered.facts.environments.iter().filter(|environment| environment.name == decision.environment);
        let image = here.flat_map(|environment| &environment.images).find(|image| image.entry == decision.entry);
        let seen = self.ports.store.observations(&work.key.tenant, &decision.image).await?;
        let built = |digest: &tagboat_model::Digest| seen.iter().find(|seen| seen.manifest.digest == *digest);
        let before = image.and_then(|image| runs_now(image, &seen));
        let (old, new) = (before.as_ref().and_then(built), built(&version.digest));
        let source = new.and_then(|seen| seen.manifest.source.clone());
        let revision = |seen: Option<&tagboat_ports::ObservedTag>| seen.and_then(|seen| seen.manifest.revision.clone());
        let revisions = (revision(old), revision(new));
        let comparison = match (&source, &revisions, &config.forge) {
            (Some(source), (Some(from), Some(to)), Some(forge)) if from != to => {
                self.comparison(work, forge.as_ref(), source, from, to).await?
            }
            _ => None,
        };
        let trigger = self.trigger(work, gathered, decision, version).await?;
        Ok(Story { ran, source, revisions, comparison, trigger })
    }

    /// What lies between two revisions, asked once.
    async fn comparison(
        &self,
        work: &Work,
        forge: &dyn Forge,
        source: &str,
        from: &str,
        to: &str,
    ) -> Result<Option<Comparison>, ReconcileError> {
        let BranchKey { tenant, repository, .. } = &work.key;
        let key = format!("compare:{}", hashed(&[source, from, to]));
        if let Some(kept) = self.ports.store.kept(tenant, repository, &key).await? {
            return Ok(serde_json::from_str(&kept).ok().flatten());
        }
        // Commits are a help to reviewers: that they cannot be had now stops nothing.
        let found = match forge.compare(source, from, to).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(error = %crate::chain(&error), "commits between two images could not be listed");
                return Ok(None);
            }
        };
        let text = serde_json::to_string(&found).unwrap_or_default();
        self.ports.store.keep(tenant, repository, &key, &text).await?;
        Ok(found)
    }

    /// Who or what spoke of the version first.
    async fn trigger(
        &self,
        work: &Work,
        gathered: &Gathered,
        decision: &Decision,
        version: &Version,
    ) -> Result<Option<String>, ReconcileError> {
        let BranchKey { tenant, repository, .. } = &work.key;
        let key = format!("trigger:{}", hashed(&[&decision.image.to_string(), version.tag.as_str()]));
        if let Some(kept) = self.ports.store.kept(tenant, repository, &key).await? {
            return Ok(Some(kept).filter(|kept| !kept.is_empty()));
        }
        let spoke = match gathered.pending.first_about(&decision.image, &version.tag) {
            Some(event) => self.ports.store.event(event).await?,
            None => None,
        };
        let text = spoke.map(|record| words(&record)).unwrap_or_default();
        self.ports.store.keep(tenant, repository, &key, &text).await?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

fn hashed(parts: &[&str]) -> String {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn words(record: &EventRecord) -> String {
    let receiver = &record.receiver;
    match record.pushed().and_then(|pushed| pushed.actor.as_deref()) {
        Some(actor) => format!("pushed by {}, as receiver {receiver} heard", shown(actor)),
        None => format!("a push that receiver {receiver} heard of"),
    }
}

/// Where the version ran, or runs, on its way here: the upstreams in the order of promotion.
fn ran_before(gathered: &Gathered, decision: &Decision, version: &Version) -> Vec<RanIn> {
    let mut found = Vec::new();
    for name in upstreams(gathered.files.settings(), &decision.environment) {
        let rows = gathered.situation.ran.iter().rev();
        let row = rows
            .into_iter()
            .find(|row| row.environment == name && row.entry == decision.entry && row.ran.version == *version);
        found.extend(row.cloned());
    }
    found.reverse();
    found
}

/// The environments that come before this one, the nearest first.
fn upstreams(settings: &RepositorySettings, name: &EnvironmentName) -> Vec<EnvironmentName> {
    let find = |name: &EnvironmentName| settings.environments.iter().find(|environment| environment.name == *name);
    let mut found: Vec<EnvironmentName> = Vec::new();
    let mut next = find(name).and_then(|environment: &Environment| environment.promote_from.clone());
    while let Some(name) = next.filter(|name| !found.contains(name)) {
        next = find(&name).and_then(|environment| environment.promote_from.clone());
        found.push(name);
    }
    found
}

/// The digest that runs here now, as far as it is known.
fn runs_now(image: &ImageFacts, seen: &[tagboat_ports::ObservedTag]) -> Option<tagboat_model::Digest> {
    let reference = image.references.first()?;
    if let Some(digest) = &reference.digest {
        return Some(digest.clone());
    }
    let tag = reference.tag.as_ref()?;
    let ran = image.ran.iter().rev().find(|ran| ran.version.tag == *tag);
    ran.map(|ran| ran.version.digest.clone())
        .or_else(|| seen.iter().find(|seen| seen.tag == *tag).map(|seen| seen.manifest.digest.clone()))
}
