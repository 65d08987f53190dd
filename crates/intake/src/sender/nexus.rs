//! The webhooks of Sonatype Nexus Repository, of the capability "Webhook: Repository".
//!
//! One push of an image is told once as a component and several times as assets (layers, manifests); only the component
//! counts. There is no digest and no host: which port or path of Nexus serves the repository is known to configuration
//! alone. Format: Sonatype's documentation, "Example Headers and Payloads".

use serde::Deserialize;

use crate::{
    Ignored,
    read::{Context, Push, Read, Unreadable, lenient_text, time},
};

const COMPONENT: &str = "rm:repository:component";

#[derive(Deserialize)]
struct Delivery {
    #[serde(default, deserialize_with = "lenient_text")]
    timestamp: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    initiator: Option<String>,
    action: String,
    component: Component,
}

#[derive(Deserialize)]
struct Component {
    format: String,
    #[serde(default, deserialize_with = "lenient_text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    version: Option<String>,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let id = context.headers.filled("x-nexus-webhook-delivery");
    let Some(event) = context.headers.filled("x-nexus-webhook-id") else {
        return Err(Unreadable("the header `X-Nexus-Webhook-Id` is missing, which says what the body is".to_owned()));
    };
    if !event.eq_ignore_ascii_case(COMPONENT) {
        return Ok(Read::nothing(id, Ignored::NotUsed { event: event.to_owned() }));
    }
    let Delivery { timestamp, initiator, action, component } = serde_json::from_slice(body)?;
    if component.format != "docker" {
        return Ok(Read::nothing(id, Ignored::NotAContainer { package_type: component.format }));
    }
    if !matches!(action.as_str(), "CREATED" | "UPDATED") {
        return Ok(Read::nothing(id, Ignored::NotAPush { action }));
    }
    let mut read = Read::of(id);
    read.push(&Push {
        registry: context.registry(None),
        repository: component.name.as_deref().unwrap_or_default(),
        tag: component.version.as_deref(),
        actor: initiator.as_deref().map(user),
        pushed_at: timestamp.as_deref().and_then(time),
        ..Push::default()
    });
    Ok(read)
}

/// `admin/127.0.0.1` is a user and an address; a task of Nexus itself has no address.
fn user(initiator: &str) -> &str {
    initiator.rsplit_once('/').map_or(initiator, |(user, _)| user)
}
