//! Amazon ECR: events of EventBridge, sent to an API destination or through a topic of Amazon SNS.
//!
//! Only `ECR Image Action` with `PUSH` and `SUCCESS` counts; deletes, scans, replications and what a pull-through cache
//! does are passed over. The registry follows from account and region. A push by digest comes without `image-tag`. An
//! input transformer may send an array of events.
//!
//! A message of Amazon SNS has the event as a text in `Message`; its request to confirm the subscription is answered
//! through an address made of topic and token, never through the one in it.
//! Sources: "Amazon ECR events and EventBridge" of ECR's user guide (whose example has a digest that is too short);
//! "HTTP/HTTPS notification JSON format" of SNS's developer guide.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Ignored,
    read::{Context, Push, Read, Unreadable, lenient_text, time},
    subscription::{confirmation, domain, is_account, is_region},
};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Occurrence {
    #[serde(default, deserialize_with = "lenient_text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    detail_type: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    source: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    account: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    region: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    time: Option<String>,
    #[serde(default)]
    detail: Detail,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    #[serde(default, deserialize_with = "lenient_text")]
    action_type: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    result: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    repository_name: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    image_tag: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    image_digest: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    manifest_media_type: Option<String>,
}

/// A message of Amazon SNS.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    topic_arn: String,
    #[serde(default, deserialize_with = "lenient_text")]
    message_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    token: Option<String>,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let value: Value = serde_json::from_slice(body)?;
    if value.get("Type").is_some() && value.get("TopicArn").is_some() {
        let envelope: Envelope = serde_json::from_value(value)?;
        return Ok(from_topic(context, &envelope));
    }
    occurrences(context, value)
}

fn from_topic(context: &Context<'_>, envelope: &Envelope) -> Read {
    let id = envelope.message_id.as_deref();
    match envelope.kind.as_str() {
        "Notification" => match inside(context, envelope.message.as_deref().unwrap_or_default()) {
            Ok(read) => Read { id: Read::of(id).id, ..read },
            Err(Unreadable(detail)) => {
                Read::nothing(id, Ignored::Unparsable { detail: format!("`Message`: {detail}") })
            }
        },
        "SubscriptionConfirmation" => {
            match confirmation(&envelope.topic_arn, envelope.token.as_deref().unwrap_or_default()) {
                Some(subscription) => Read { subscription: Some(subscription), ..Read::of(id) },
                None => Read::nothing(
                    id,
                    Ignored::Malformed { detail: "the topic or the token of the subscription is none".to_owned() },
                ),
            }
        }
        other => Read::nothing(id, Ignored::NotUsed { event: other.to_owned() }),
    }
}

fn inside(context: &Context<'_>, message: &str) -> Result<Read, Unreadable> {
    occurrences(context, serde_json::from_str(message)?)
}

/// One event, or an array of them.
fn occurrences(context: &Context<'_>, value: Value) -> Result<Read, Unreadable> {
    let occurrences: Vec<Occurrence> = match value {
        Value::Array(many) => many.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?,
        one => vec![serde_json::from_value(one)?],
    };
    let ids: Vec<&str> = occurrences.iter().map(|one| one.id.as_deref().unwrap_or_default()).collect();
    let id = if ids.contains(&"") { None } else { Some(ids.join("+")) };
    let mut read = Read::of(id.as_deref());
    for occurrence in &occurrences {
        take(context, occurrence, &mut read);
    }
    Ok(read)
}

fn take(context: &Context<'_>, occurrence: &Occurrence, read: &mut Read) {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (kind, detail) = (text(&occurrence.detail_type), &occurrence.detail);
    let action = text(&detail.action_type);
    let against = if kind.is_empty() {
        Some(Ignored::Unparsable { detail: "`detail-type` is missing: it is no event of EventBridge".to_owned() })
    } else if kind != "ECR Image Action" || occurrence.source.as_deref().is_some_and(|source| source != "aws.ecr") {
        Some(Ignored::NotUsed { event: kind })
    } else if action != "PUSH" {
        Some(Ignored::NotAPush { action })
    } else if detail.result.as_deref() != Some("SUCCESS") {
        Some(Ignored::NotAPush { action: format!("PUSH with the result {}", text(&detail.result)) })
    } else {
        None
    };
    if let Some(reason) = against {
        read.ignored.push(reason);
        return;
    }
    let (account, region) = (text(&occurrence.account), text(&occurrence.region));
    if !is_account(&account) || !is_region(&region) {
        let detail = format!("the account `{account}` and the region `{region}` are none of Amazon's");
        read.ignored.push(Ignored::Malformed { detail });
        return;
    }
    read.push(&Push {
        registry: context.registry(Some(&format!("{account}.dkr.ecr.{region}.{}", domain(&region)))),
        repository: detail.repository_name.as_deref().unwrap_or_default(),
        tag: detail.image_tag.as_deref(),
        digest: detail.image_digest.as_deref(),
        media_type: detail.manifest_media_type.as_deref(),
        actor: None,
        pushed_at: occurrence.time.as_deref().and_then(time),
        source: None,
    });
}
