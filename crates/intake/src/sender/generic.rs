//! Any CI job or script, signed or with a token of its CI: `POST /api/v1/events` takes the same body.
//!
//! Body: `{"image": "ghcr.io/acme/web", "tag": "1.5.0", "digest": "sha256:…", "source": {"repository": "acme/web",
//! "revision": "…", "run": 17}}`, digest and source optional; `image` may also be written `ghcr.io/acme/web:1.5.0@sha256:…`
//! without `tag`. Fields that are not known are passed over, so that a sender may be newer than this program.

use std::collections::BTreeMap;

use serde::Deserialize;
use tagboat_model::{Digest, ImageError, ImageName, Source, WrittenImage};

use crate::{
    Ignored, TokenClaims,
    read::{Context, Push, Read, Unreadable, lenient_text, time},
};

/// What is longer, in bytes, is no repository, revision or run: it is left out.
const LONGEST_WORD: usize = 512;

#[derive(Deserialize)]
struct Announcement {
    image: String,
    tag: Option<String>,
    digest: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    actor: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    time: Option<String>,
    #[serde(default)]
    source: Option<AnnouncedSource>,
}

#[derive(Default, Deserialize)]
pub(super) struct AnnouncedSource {
    #[serde(default, deserialize_with = "lenient_text")]
    pub(super) repository: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    pub(super) revision: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    pub(super) run: Option<String>,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    // The library would take a list of values for an object.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Unreadable(
            "a JSON object is expected, as in {\"image\": \"ghcr.io/acme/web\", \"tag\": \"1.5.0\"}".to_owned(),
        ));
    }
    let announcement: Announcement = serde_json::from_slice(body)?;
    let mut read = Read::default();
    match image(&announcement) {
        Ok((image, tag, digest)) => read.push(&Push {
            registry: image.registry(),
            repository: image.repository(),
            tag: tag.as_deref(),
            digest: digest.as_ref().map(Digest::as_str),
            media_type: None,
            actor: context.claims.and_then(|claims| claims.actor.as_deref()).or(announcement.actor.as_deref()),
            pushed_at: announcement.time.as_deref().and_then(time),
            source: Some(source(context, announcement.source.unwrap_or_default())),
        }),
        Err(reason) => read.ignored.push(reason),
    }
    Ok(read)
}

/// The image with tag and digest, from wherever they stand. Unlike registries, CI gets to hear of a digest that is none,
/// and of two words for one thing.
fn image(announcement: &Announcement) -> Result<(ImageName, Option<String>, Option<Digest>), Ignored> {
    let malformed = |error: ImageError| Ignored::Malformed { detail: error.to_string() };
    let written: WrittenImage = announcement.image.parse().map_err(malformed)?;
    let digest = announcement.digest.as_deref().filter(|digest| !digest.is_empty()).map(str::parse).transpose();
    let digest: Option<Digest> = digest.map_err(malformed)?;
    let in_image = written.tag.map(|tag| tag.to_string());
    let contradicts = |what: &str| Ignored::Malformed { detail: format!("`image` has another {what} than `{what}`") };
    match (&announcement.tag, &in_image) {
        (Some(tag), Some(in_image)) if tag != in_image => return Err(contradicts("tag")),
        _ => {}
    }
    match (&digest, &written.digest) {
        (Some(digest), Some(in_image)) if digest != in_image => return Err(contradicts("digest")),
        _ => {}
    }
    Ok((written.name, announcement.tag.clone().or(in_image), digest.or(written.digest)))
}

/// What a token proves takes the place of what the body says; of what it does not say, the body's word counts.
pub(super) fn source(context: &Context<'_>, said: AnnouncedSource) -> Source {
    let short = |text: Option<String>| text.filter(|text| text.len() <= LONGEST_WORD);
    let (repository, revision, run) = (short(said.repository), short(said.revision), short(said.run));
    let said = Source { repository, revision, run, claims: BTreeMap::new() };
    match context.claims {
        None => said,
        Some(TokenClaims { source: proved, claims, .. }) => Source {
            repository: proved.repository.clone().or(said.repository),
            revision: proved.revision.clone().or(said.revision),
            run: proved.run.clone().or(said.run),
            claims: claims.clone(),
        },
    }
}
