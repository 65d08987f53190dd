//! The triggers of Alibaba Cloud's Container Registry.
//!
//! They carry no signature and no id, and of the registry only the region, so that configuration names the host.
//! `pushed_at` says nothing of its time zone and is not read. Format: Alibaba Cloud's documentation, "Use triggers".

use serde::Deserialize;

use crate::read::{Context, Push, Read, Unreadable, lenient_text};

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
    digest: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    /// Namespace and name: `acme/web`.
    repo_full_name: String,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let Delivery { push_data, repository } = serde_json::from_slice(body)?;
    let mut read = Read::default();
    read.push(&Push {
        registry: context.registry(None),
        repository: &repository.repo_full_name,
        tag: push_data.tag.as_deref(),
        digest: push_data.digest.as_deref(),
        ..Push::default()
    });
    Ok(read)
}
