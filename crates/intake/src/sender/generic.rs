//! Any CI job or script that signs its request as Standard Webhooks 1.0 says.
//!
//! Body: `{"image": "ghcr.io/acme/web", "tag": "1.5.0", "digest": "sha256:…"}`, the digest optional.
//! Fields that are not known are passed over, so that a sender may be newer than this program.

use serde::Deserialize;
use tagboat_model::{Event, ImageError, ImageName, ImagePushed};

use crate::{Ignored, Read};

#[derive(Deserialize)]
struct Announcement {
    image: String,
    tag: String,
    digest: Option<String>,
}

/// `id` is the signed `webhook-id`, the same on every repetition.
pub(crate) fn read(id: &str, body: &[u8]) -> Result<Read, serde_json::Error> {
    let announcement: Announcement = serde_json::from_slice(body)?;
    let mut read = Read { key: id.to_owned(), events: Vec::new(), ignored: Vec::new() };
    match event(&announcement) {
        Ok(event) => read.events.push(event),
        Err(error) => read.ignored.push(Ignored::Malformed { detail: error.to_string() }),
    }
    Ok(read)
}

fn event(announcement: &Announcement) -> Result<Event, ImageError> {
    Ok(Event::ImagePushed(ImagePushed {
        image: announcement.image.parse::<ImageName>()?,
        tag: announcement.tag.parse()?,
        claimed_digest: announcement.digest.as_deref().map(str::parse).transpose()?,
    }))
}
