//! The webhooks of Azure Container Registry.
//!
//! They carry no signature; who makes the webhook may add a header of any kind. A push of a manifest by digest has no
//! tag, a deletion is told of manifests and repositories only, `ping` comes when the webhook is made. `chart_push` is
//! that of Helm 2; charts in OCI form are ordinary pushes. Format: Microsoft's "Azure Container Registry webhook
//! reference".

use serde::Deserialize;

use crate::{
    Ignored,
    read::{Context, Push, Read, Unreadable, is_host, lenient_text, time},
};

#[derive(Deserialize)]
struct Notification {
    #[serde(default, deserialize_with = "lenient_text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    timestamp: Option<String>,
    action: String,
    target: Option<Target>,
    request: Option<Origin>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    #[serde(default, deserialize_with = "lenient_text")]
    media_type: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    digest: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    repository: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    tag: Option<String>,
}

#[derive(Deserialize)]
struct Origin {
    /// As the request that pushed has it in its header `Host`.
    #[serde(default, deserialize_with = "lenient_text")]
    host: Option<String>,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let Notification { id, timestamp, action, target, request } = serde_json::from_slice(body)?;
    let id = id.as_deref();
    if action != "push" {
        return Ok(Read::nothing(id, Ignored::NotAPush { action }));
    }
    let Some(target) = target else { return Err(Unreadable("a push without `target`".to_owned())) };
    let host = request.and_then(|request| request.host);
    let host = host.as_deref().and_then(registry_of);
    if let (Some(claimed), Some(configured)) = (host, context.registry)
        && !claimed.eq_ignore_ascii_case(configured)
    {
        let (claimed, configured) = (claimed.to_owned(), configured.to_owned());
        return Ok(Read::nothing(id, Ignored::OtherRegistry { claimed, configured }));
    }
    let mut read = Read::of(id);
    read.push(&Push {
        registry: context.registry(host),
        repository: target.repository.as_deref().unwrap_or_default(),
        tag: target.tag.as_deref(),
        digest: target.digest.as_deref(),
        media_type: target.media_type.as_deref(),
        pushed_at: timestamp.as_deref().and_then(time),
        ..Push::default()
    });
    Ok(read)
}

/// The registry as image names write it. Without a dot or a port it would be taken for a path on Docker Hub.
fn registry_of(host: &str) -> Option<&str> {
    let host = host.strip_suffix(":443").unwrap_or(host);
    is_host(host).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Headers;

    #[test]
    fn a_receiver_of_one_registry_hears_of_no_other() {
        let body = br#"{"id": "1", "action": "push", "target": {"repository": "web", "tag": "1.5.0"},
            "request": {"host": "Acme.azurecr.io:443"}}"#;
        for (configured, events) in [(None, 1), (Some("acme.azurecr.io"), 1), (Some("other.azurecr.io"), 0)] {
            let headers = Headers::default();
            let context =
                Context { headers: &headers, registry: configured, repository: None, claims: None, is_app: false };
            let read = read(&context, body).unwrap();
            assert_eq!(read.id.as_deref(), Some("1"));
            assert_eq!(read.events.len(), events, "{configured:?}");
            let is_other = |reason: &Ignored| matches!(reason, Ignored::OtherRegistry { .. });
            assert_eq!(read.ignored.iter().any(is_other), events == 0, "{configured:?}");
        }
    }
}
