//! Docker Hub's webhooks.
//!
//! They carry no signature, no id and no digest, and one push may cause several that are equal. `callback_url` is a
//! relic that nobody answers at; it is not even read. The registry is always Docker Hub, whatever a body says.
//! Format: Docker's documentation, "Webhooks"; `media_type` is not in it and stands there at times.

use serde::Deserialize;
use serde_json::Value;
use tagboat_model::Timestamp;

use crate::read::{Context, Push, Read, Unreadable, lenient_text};

const REGISTRY: &str = "docker.io";

/// An image may be called by the type of its configuration, where other senders have that of its manifest.
const IMAGE_CONFIGURATIONS: [&str; 2] =
    ["application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"];

#[derive(Deserialize)]
struct Delivery {
    push_data: PushData,
    repository: Repository,
}

#[derive(Deserialize)]
struct PushData {
    #[serde(default, deserialize_with = "lenient_text")]
    tag: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    media_type: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    pusher: Option<String>,
    /// Seconds since 1970: `1417566161`, in older bodies `1.417566161e+09`.
    #[serde(default)]
    pushed_at: Value,
}

#[derive(Deserialize)]
struct Repository {
    /// `acme/web`; of official images `library/nginx` or `nginx`.
    repo_name: String,
}

pub(crate) fn read(_context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let Delivery { push_data, repository } = serde_json::from_slice(body)?;
    let media_type = push_data.media_type.as_deref();
    let mut read = Read::default();
    read.push(&Push {
        registry: REGISTRY,
        repository: &repository.repo_name,
        tag: push_data.tag.as_deref(),
        media_type: media_type.filter(|media_type| !IMAGE_CONFIGURATIONS.contains(media_type)),
        actor: push_data.pusher.as_deref(),
        // Out of range it becomes the last point that there is.
        pushed_at: push_data.pushed_at.as_f64().map(|seconds| Timestamp((seconds * 1000.0) as i64)),
        ..Push::default()
    });
    Ok(read)
}
