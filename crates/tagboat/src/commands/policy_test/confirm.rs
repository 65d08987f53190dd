//! With `--image`: what the registry says of the best tags, as the server would ask it.

use futures_util::future::join_all;
use tagboat_model::{Digest, ImageName, Reason, Tag};
use tagboat_policy::{Circumstances, Considered, Known, Selection};
use tagboat_ports::{ManifestDescription, ManifestKind, Registry, RegistryError, RegistryErrorKind, Verification};

use super::{Answer, Question};
use crate::exit::Failure;

/// Tags that are asked about until one is good; the server goes no further either.
const MOST_TAGS_ASKED: usize = 200;
/// Tags whose build time is read, for policies that order by it.
const MOST_TAGS_READ: usize = 2000;
const READ_AT_ONCE: usize = 8;

/// Ask the registry for tags, unless they are given, and about the best of them until one is good.
pub(super) async fn ask(
    registry: &dyn Registry,
    image: &ImageName,
    question: &Question,
    given: Option<Vec<Considered>>,
) -> Result<Answer, Failure> {
    let mut tags = match given {
        Some(tags) => tags,
        None => registry.tags(image).await.map_err(failed)?.into_iter().map(Considered::from).collect(),
    };
    if let Some(followed) = question.selection.policy.followed()
        && !tags.iter().any(|known| known.tag == *followed)
    {
        tags.push(followed.clone().into());
    }
    if question.selection.policy.is_by_build_time() {
        read_build_times(registry, image, question, &mut tags).await?;
    }
    let order: Vec<Tag> = tags.iter().map(|considered| considered.tag.clone()).collect();
    let mut refused: Vec<Reason> = Vec::new();
    let mut chosen = None;
    // The age is judged once it is known: what is too young was built or seen a moment ago.
    let ageless = Question {
        selection: Selection { minimum_age: None, ..question.selection.clone() },
        rule: None,
        current: question.current.clone(),
        now: question.now,
    };
    while let Some(best) = ageless.best(&tags) {
        if refused.len() >= MOST_TAGS_ASKED {
            break;
        }
        match judge(registry, image, question, &best).await? {
            Ok(digest) => {
                chosen = Some((best, Some(digest)));
                break;
            }
            Err(reason) => refused.push(reason),
        }
        tags.retain(|considered| considered.tag != best);
    }
    let mut reasons = ageless.judge(&tags).reasons;
    if chosen.is_none() {
        // What could still have been chosen was not asked about.
        for reason in &mut reasons {
            if let Reason::Selected { tag, .. }
            | Reason::LowerThanSelected { tag, .. }
            | Reason::EqualToSelected { tag, .. } = reason
            {
                *reason = Reason::NotAskedYet { tag: tag.clone() };
            }
        }
    }
    if let (Some((tag, Some(digest))), Some(_)) = (&chosen, question.selection.policy.followed()) {
        let followed = Reason::Followed { tag: tag.clone(), digest: digest.short().to_owned() };
        reasons.retain(|reason| reason.tag() != Some(tag));
        reasons.push(followed);
    }
    reasons.extend(refused);
    let mut by_tag: std::collections::BTreeMap<Tag, Reason> =
        reasons.into_iter().filter_map(|reason| Some((reason.tag()?.clone(), reason))).collect();
    Ok(Answer { selected: chosen, reasons: order.iter().filter_map(|tag| by_tag.remove(tag)).collect() })
}

/// What a tag names, or why it cannot be selected.
async fn judge(
    registry: &dyn Registry,
    image: &ImageName,
    question: &Question,
    tag: &Tag,
) -> Result<Result<Digest, Reason>, Failure> {
    let described = registry.describe(image, tag).await.map_err(failed)?;
    let tag = tag.clone();
    let Some(ManifestDescription { digest, kind, created, platforms, .. }) = described else {
        return Ok(Err(Reason::NotAtRegistry { tag, image: image.clone() }));
    };
    match kind {
        ManifestKind::Image => {}
        ManifestKind::Incomplete { detail } => return Ok(Err(Reason::Incomplete { tag, detail })),
        ManifestKind::Other { detail } => return Ok(Err(Reason::NotAnImage { tag, detail })),
    }
    let missing = question.selection.missing(&platforms);
    if !missing.is_empty() {
        return Ok(Err(Reason::MissingPlatforms { tag, missing }));
    }
    if let Some(rule) = &question.rule
        && let Verification::Unverified { detail } = registry.verify(image, &digest, rule).await.map_err(failed)?
    {
        return Ok(Err(Reason::NotSigned { tag, detail }));
    }
    let alone = [Considered { tag, known: Known { created, ..Known::default() } }];
    let circumstances = Circumstances { current: None, now: question.now };
    let refused = question.selection.consider(&alone, circumstances).refused(1);
    let age = |reason: &Reason| matches!(reason, Reason::YoungerThan { .. } | Reason::AgeUnknown { .. });
    Ok(refused.into_iter().find(age).map_or(Ok(digest), Err))
}

/// Read when the images were built that the filters let pass.
async fn read_build_times(
    registry: &dyn Registry,
    image: &ImageName,
    question: &Question,
    tags: &mut [Considered],
) -> Result<(), Failure> {
    let unknown: Vec<Tag> = question
        .judge(tags)
        .reasons
        .into_iter()
        .filter_map(|reason| match reason {
            Reason::BuildTimeUnknown { tag } => Some(tag),
            _ => None,
        })
        .collect();
    if unknown.len() > MOST_TAGS_READ {
        return Err(Failure::invalid(format!(
            "{} orders by build time, which takes two requests for each of {} tags; narrow them with `filterTags` to {MOST_TAGS_READ} at most",
            question.selection.policy,
            unknown.len()
        )));
    }
    for chunk in unknown.chunks(READ_AT_ONCE) {
        let answers = join_all(chunk.iter().map(|tag| registry.describe(image, tag))).await;
        for (tag, answer) in chunk.iter().zip(answers) {
            // What is wrong with one tag is no reason to know nothing of the others.
            let described = match answer {
                Err(error) if error.kind == RegistryErrorKind::Outage => return Err(failed(error)),
                answer => answer.ok().flatten(),
            };
            let created = described.and_then(|described| described.created);
            if let Some(considered) = tags.iter_mut().find(|considered| considered.tag == *tag) {
                considered.known.created = created;
            }
        }
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn failed(error: RegistryError) -> Failure {
    Failure::failed("the registry cannot be asked", &error)
}
