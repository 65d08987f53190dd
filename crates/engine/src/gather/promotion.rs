//! What promotions depend on: what ran upstream, and what gates ask for.
//!
//! Registries and forges are asked only about versions that would move on now.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join_all, try_join_all};
use tagboat_model::{Check, CommitId, Digest, ImageName, Outcome, PullState, Ran, Tag};
use tagboat_ports::{RegistryError, Work};
use tagboat_promotion::{EnvironmentFacts, Facts, ImageFacts, NamesNow, UpstreamFacts, decide, promotable};

use crate::{
    ConfigRepository, Engine, ReconcileError, chain,
    gather::{
        Running, Situation,
        images::{Asked, bare_facts, claimed_by},
    },
    pending::Pending,
};

/// Requests that run at once.
const AT_ONCE: usize = 8;

impl Engine {
    /// Add the images of environments that are promoted.
    pub(super) async fn add_promotions(
        &self,
        work: &Work,
        config: &ConfigRepository,
        facts: &mut Facts,
        (asked, running): (&[Asked<'_>], &[Running]),
        pending: &Pending,
        situation: &Situation,
    ) -> Result<(), ReconcileError> {
        let promoted = asked.iter().filter(|asked| asked.environment.promote_from.is_some());
        let is_offered =
            |asked: &Asked<'_>| situation.offered(&work.key, &asked.environment.name, &asked.entry.name).is_some();
        // What is offered and not there any more is to be offered no longer.
        let is_there = |asked: &&Asked<'_>| !asked.references.is_empty() || asked.is_unsafe() || is_offered(asked);
        for asked_here in promoted.filter(is_there) {
            let Some(from) = &asked_here.environment.promote_from else { continue };
            let entry = &asked_here.entry.name;
            let mut image = bare_facts(asked_here, claimed_by(asked_here, asked), situation);
            let here = running.iter().find(|running| running.is(from, entry) && running.values.len() > 1);
            image.upstream = Some(UpstreamFacts {
                disagreeing: here.map(|running| running.values.clone()).unwrap_or_default(),
                ran: situation.ran_in(from, entry),
                ..UpstreamFacts::default()
            });
            image.offered = situation.offered(&work.key, &asked_here.environment.name, entry);
            if let (Some(kept), Some(upstream)) =
                (situation.kept_offer(&work.key, asked_here.environment, entry), image.upstream.as_mut())
                && let Some(place) = upstream.ran.iter().rposition(|ran| ran.version == kept)
                && !upstream.ran[place].taken_back
            {
                // It is to be merged before something newer comes, unless people took it back there.
                upstream.ran.truncate(place + 1);
            }
            if let Some(environment) = facts.environments.iter_mut().find(|it| it.name == asked_here.environment.name) {
                environment.images.push(image);
            }
        }
        self.add_what_gates_ask(work, config, facts).await?;
        self.add_names(facts).await;
        drop_what_is_quiet(facts, pending, situation);
        Ok(())
    }

    /// Checks of commits that brought versions upstream, and when tags appeared.
    async fn add_what_gates_ask(
        &self,
        work: &Work,
        config: &ConfigRepository,
        facts: &mut Facts,
    ) -> Result<(), ReconcileError> {
        let checks = self.checks_of_what_moves(config, facts).await?;
        for environment in &mut facts.environments {
            let Some(promotion) = environment.promotion.clone() else { continue };
            for image in &mut environment.images {
                let Some(upstream) = image.upstream.as_mut() else { continue };
                if promotion.gates.minimum_age.is_some() {
                    let seen = self.ports.store.sightings(&work.key.tenant, &image.image).await?.unwrap_or_default();
                    upstream.appeared = seen.into_iter().map(|seen| (seen.tag, seen.at)).collect();
                }
                if !promotion.gates.checks.is_empty() {
                    let commits = upstream.ran.iter().filter_map(|ran| ran.commit.as_ref());
                    let found = commits.filter_map(|commit| checks.get_key_value(commit));
                    upstream.checks = found.map(|(commit, checks)| (commit.clone(), checks.clone())).collect();
                }
            }
        }
        Ok(())
    }

    /// The checks of the commits that brought what would move on now, where gates ask for some.
    async fn checks_of_what_moves(
        &self,
        config: &ConfigRepository,
        facts: &Facts,
    ) -> Result<BTreeMap<CommitId, Vec<Check>>, ReconcileError> {
        let mut checks = BTreeMap::new();
        let Some(forge) = &config.forge else { return Ok(checks) };
        let mut commits = BTreeSet::new();
        for environment in &facts.environments {
            let Some(promotion) = environment.promotion.as_ref().filter(|it| !it.gates.checks.is_empty()) else {
                continue;
            };
            for image in &environment.images {
                let by_pull_request = environment.by_pull_request;
                let versions = promotable(image, promotion, facts.now, by_pull_request, &environment.holds);
                let is_here =
                    |ran: &Ran| image.references.iter().all(|reference| reference.carries(&ran.version, image.pin));
                let moves = |ran: &&Ran| (ran.until.is_none() && !is_here(ran)) || versions.contains(&ran.version);
                let upstream = image.upstream.iter().flat_map(|upstream| &upstream.ran);
                commits.extend(upstream.filter(moves).filter_map(|ran| ran.commit.clone()));
            }
        }
        let commits: Vec<CommitId> = commits.into_iter().collect();
        for part in commits.chunks(AT_ONCE) {
            let found = try_join_all(part.iter().map(|commit| forge.checks(commit))).await?;
            checks.extend(part.iter().cloned().zip(found));
        }
        Ok(checks)
    }

    /// What the registry says of tags that would move on without their digest.
    async fn add_names(&self, facts: &mut Facts) {
        let now = facts.now;
        let mut wanted: Vec<(ImageName, Tag)> = Vec::new();
        for environment in facts.environments.iter().filter(|environment| environment.promotion.is_some()) {
            let images = environment.images.iter().filter(|image| is_written_without_digest(image));
            wanted.extend(images.flat_map(|image| would_move(image, environment, now)));
        }
        wanted.sort();
        wanted.dedup();
        let mut names: BTreeMap<(ImageName, Tag), Result<Option<Digest>, RegistryError>> = BTreeMap::new();
        for part in wanted.chunks(AT_ONCE) {
            let asking = part.iter().map(|(image, tag)| self.ports.registry.digest(image, tag));
            names.extend(part.iter().cloned().zip(join_all(asking).await));
        }
        for environment in facts.environments.iter_mut().filter(|environment| environment.promotion.is_some()) {
            let holder = environment.clone();
            for image in &mut environment.images {
                for (name, tag) in would_move(image, &holder, now) {
                    match names.get(&(name, tag.clone())) {
                        Some(Ok(digest)) => {
                            let digest = digest.clone();
                            image.upstream.get_or_insert_default().names_now.push(NamesNow { tag, digest });
                        }
                        Some(Err(error)) => image.registry_unavailable = Some(chain(error)),
                        None => {}
                    }
                }
            }
        }
    }
}

/// The tags of an image that would move on now.
fn would_move(
    image: &ImageFacts,
    environment: &EnvironmentFacts,
    now: tagboat_model::Timestamp,
) -> Vec<(ImageName, Tag)> {
    let Some(promotion) = &environment.promotion else { return Vec::new() };
    let versions = promotable(image, promotion, now, environment.by_pull_request, &environment.holds);
    versions.into_iter().map(|version| (image.image.clone(), version.tag)).collect()
}

fn is_written_without_digest(image: &ImageFacts) -> bool {
    match image.pin {
        tagboat_model::Pin::Digest | tagboat_model::Pin::TagAndDigest => false,
        tagboat_model::Pin::Tag => true,
        tagboat_model::Pin::Keep => image.references.iter().any(|reference| reference.digest.is_none()),
    }
}

/// Leave out what there is nothing to say about: it runs what its upstream ran, nothing was pushed or asked for, and no pull
/// request is open.
fn drop_what_is_quiet(facts: &mut Facts, pending: &Pending, situation: &Situation) {
    let decisions = decide(facts);
    let mut decisions = decisions.iter();
    let key = facts.key.clone();
    let has_open = |name| {
        situation.offers(&key).any(|(known, block)| known.pull.state == PullState::Open && block.environment == name)
    };
    for environment in &mut facts.environments {
        let (promoted, open) = (environment.promotion.is_some(), has_open(environment.name.clone()));
        environment.images.retain(|image| {
            let quiet = decisions.next().is_none_or(|decision| decision.outcome == Outcome::Nothing);
            // What was asked for ends once it is there: that is seen by whoever looks at it.
            let asked_for = situation.asked_for(&environment.name, &image.entry);
            !promoted || !quiet || open || asked_for || pending.speak_of(&image.image)
        });
    }
}

impl Asked<'_> {
    /// Whether there is something that could not be read or edited.
    fn is_unsafe(&self) -> bool {
        !self.unreadable.is_empty() || !self.uneditable.is_empty()
    }
}
