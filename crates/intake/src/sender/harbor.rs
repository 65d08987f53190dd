//! Harbor's webhooks, in both of its formats, and those of registries that speak like it (Tencent's).
//!
//! "Default" has no id; `PUSH_ARTIFACT` was `pushImage` before Harbor 2. "CloudEvents" is of the structured mode and
//! has the same things in `data`. One push comes per manifest, those of an index and signatures as well, with the
//! digest in place of the tag where there is none. A tag that is added by hand is not told of at all. Neither format
//! has a media type. The host in `resource_url` is what Harbor takes for its own and is not read.
//! Format: Harbor's `src/pkg/notifier/formats` and `src/pkg/notifier/model/event.go`.

use serde::Deserialize;
use serde_json::Value;
use tagboat_model::Timestamp;

use crate::{
    Ignored,
    read::{Context, Push, Read, Unreadable, lenient_text, time},
};

/// A push by the name of each format; all others are of deletions, scans, quotas, replications and tests.
const PUSHES: [&str; 3] = ["PUSH_ARTIFACT", "pushImage", "harbor.artifact.pushed"];

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "lenient_text")]
    operator: Option<String>,
    /// Default: seconds since 1970.
    #[serde(default)]
    occur_at: Value,
    /// Default: of another shape for each type.
    #[serde(default)]
    event_data: Value,
    /// CloudEvents.
    #[serde(default, deserialize_with = "lenient_text")]
    id: Option<String>,
    /// CloudEvents.
    #[serde(default, deserialize_with = "lenient_text", rename = "time")]
    sent_at: Option<String>,
    /// CloudEvents: the same as `event_data`.
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Pushed {
    #[serde(default)]
    resources: Vec<Resource>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default, deserialize_with = "lenient_text")]
    digest: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    tag: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    /// Project and name: `acme/web`, `acme/team/web`.
    repo_full_name: String,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let Notification { kind, operator, occur_at, event_data, id, sent_at, data } = serde_json::from_slice(body)?;
    let id = id.as_deref();
    if !PUSHES.contains(&kind.as_str()) {
        return Ok(Read::nothing(id, Ignored::NotAPush { action: kind }));
    }
    let pushed: Pushed = serde_json::from_value(if event_data.is_null() { data } else { event_data })?;
    let seconds = occur_at.as_i64().map(|seconds| Timestamp(seconds.saturating_mul(1000)));
    let pushed_at = seconds.or_else(|| sent_at.as_deref().and_then(time));
    let repository = pushed.repository.repo_full_name.as_str();
    let mut read = Read::of(id);
    if pushed.resources.is_empty() {
        read.ignored.push(Ignored::NoTag { repository: repository.to_owned() });
    }
    for resource in &pushed.resources {
        read.push(&Push {
            registry: context.registry(None),
            repository,
            tag: resource.tag.as_deref(),
            digest: resource.digest.as_deref(),
            actor: operator.as_deref(),
            pushed_at,
            ..Push::default()
        });
    }
    Ok(read)
}
