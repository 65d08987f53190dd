//! What users and programs read of a request. The JSON is a stable surface: keys are added to it, none are changed.

use serde::Serialize;
use tagboat_intake::{Accepted, Ignored, Kind, UNNAMED_REGISTRY, Verdict};
use tagboat_model::{Event, ImagePushed, Timestamp, Trust};

use crate::{
    commands::words::{self, count, safe},
    exit::Failure,
    output::{BOLD, CYAN, DIM, GREEN, RED, YELLOW, styled},
};

/// What came of a request.
pub(super) struct Answer {
    /// Who sent it.
    pub(super) kind: Kind,
    /// Whether a credential was there to verify it with.
    pub(super) verified: bool,
    /// What was in it, or why it is refused.
    pub(super) result: Result<Accepted, String>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    events: Vec<Pushed<'a>>,
    ignored: Vec<Counted>,
    verified: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<&'a Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unparsable: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<&'a str>,
}

/// A push of an image.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pushed<'a> {
    repository: &'a str,
    tag: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    registry: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_id: Option<&'a str>,
    trust: Trust,
}

/// How often there is a reason to ignore something.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Counted {
    reason: &'static str,
    count: usize,
}

impl Answer {
    /// One line.
    pub(super) fn in_json(&self) -> Result<String, Failure> {
        let json = match &self.result {
            Err(refused) => Json { refused: Some(refused), ..Json::default() },
            Ok(accepted) => of_accepted(accepted, self.verified),
        };
        serde_json::to_string(&json).map_err(|error| Failure::failed("the answer cannot be written", &error))
    }

    /// One text a line.
    pub(super) fn in_words(&self) -> Vec<String> {
        let accepted = match &self.result {
            Err(refused) => return vec![format!("{} {}", styled(RED, "refused"), safe(refused))],
            Ok(accepted) => accepted,
        };
        let mut lines = vec![self.proof_in_words(accepted.trust)];
        lines.extend(accepted.events.iter().map(|event| match event {
            Event::ImagePushed(_) => format!("{} {}", styled(GREEN, "pushed"), styled(BOLD, words::event(event))),
            Event::BuildFinished(_) | Event::RepositoryChanged(_) | Event::InstallationsChanged { .. } => {
                format!("{} {}", styled(GREEN, "hint"), words::event(event))
            }
        }));
        for (reason, times) in counted(accepted.ignored.iter().map(ToString::to_string)) {
            let (style, word) = match accepted.verdict {
                Verdict::Unparsable => (RED, "unparsable"),
                Verdict::Accepted | Verdict::Ignored => (DIM, "ignored"),
            };
            let times = if times > 1 { format!(" ({times} times)") } else { String::new() };
            lines.push(format!("{} {}{times}", styled(style, word), safe(&reason)));
        }
        if let Some(subscription) = &accepted.subscription {
            let url = safe(&subscription.url);
            lines.push(format!("{} the sender asks for a subscription to be confirmed at {url}", styled(CYAN, "asks")));
        }
        let id = accepted.id.as_ref().map_or_else(String::new, |id| format!(", the sender's id is {}", safe(id)));
        lines.push(styled(DIM, format!("{}{id}", count(accepted.events.len(), "event"))));
        lines
    }

    fn proof_in_words(&self, trust: Trust) -> String {
        let (word, may) = (words::trust(trust), words::may(self.kind, trust));
        if self.verified {
            format!("{} {word}: {}; {may}", styled(GREEN, "verified"), words::proof(trust))
        } else {
            let why = "no credential was given, so this may be anybody's";
            format!("{} {why}; from a sender that is `{word}`, {may}", styled(YELLOW, "not verified"))
        }
    }
}

fn of_accepted(accepted: &Accepted, verified: bool) -> Json<'_> {
    let delivery_id = accepted.id.as_deref();
    let pushes = accepted.events.iter().filter_map(|event| match event {
        Event::ImagePushed(pushed) => Some(pushed_in_json(pushed, accepted.trust, delivery_id)),
        Event::BuildFinished(_) | Event::RepositoryChanged(_) | Event::InstallationsChanged { .. } => None,
    });
    let detail = accepted.ignored.iter().find_map(|reason| match reason {
        Ignored::Unparsable { detail } => Some(detail.as_str()),
        _ => None,
    });
    let reasons = counted(accepted.ignored.iter().map(Ignored::code));
    Json {
        events: pushes.collect(),
        ignored: reasons.into_iter().map(|(reason, count)| Counted { reason, count }).collect(),
        verified,
        hints: accepted.events.iter().filter(|event| !matches!(event, Event::ImagePushed(_))).collect(),
        refused: None,
        unparsable: detail.filter(|_| accepted.verdict == Verdict::Unparsable),
        subscription: accepted.subscription.as_ref().map(|subscription| subscription.url.as_str()),
    }
}

fn pushed_in_json<'a>(pushed: &'a ImagePushed, trust: Trust, delivery_id: Option<&'a str>) -> Pushed<'a> {
    let registry = pushed.image.registry();
    Pushed {
        repository: pushed.image.repository(),
        tag: pushed.tag.as_str(),
        digest: pushed.claimed_digest.as_ref().map(|digest| digest.as_str()),
        registry: if registry == UNNAMED_REGISTRY { "" } else { registry },
        actor: pushed.actor.as_deref(),
        time: pushed.pushed_at.and_then(in_rfc_3339),
        delivery_id,
        trust,
    }
}

/// Points in time that no calendar has are left out.
fn in_rfc_3339(time: Timestamp) -> Option<String> {
    let text = time.to_string();
    text.parse::<Timestamp>().is_ok().then_some(text)
}

/// Each with how often it is there, in the order in which they come first.
fn counted<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counted: Vec<(T, usize)> = Vec::new();
    for one in all {
        match counted.iter_mut().find(|(known, _)| *known == one) {
            Some((_, count)) => *count += 1,
            None => counted.push((one, 1)),
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tagboat_model::{BuildFinished, ImageName, Tag};

    use super::*;

    fn accepted() -> Accepted {
        let image = |registry: &str| ImageName::at(registry, "acme/web").unwrap();
        let tag = |text: &str| -> Tag { text.parse().unwrap() };
        let mut whole = ImagePushed::new(
            image("ghcr.io"),
            tag("1.5.0"),
            Some(format!("sha256:{}", "1".repeat(64)).parse().unwrap()),
        );
        whole.actor = Some("ann".to_owned());
        whole.pushed_at = Some(Timestamp(1_795_662_000_000));
        let bare = ImagePushed::new(image(UNNAMED_REGISTRY), tag("1.5.1"), None);
        let build = BuildFinished { repository: "acme/web".to_owned(), revision: None, reference: None, actor: None };
        let no_tag = |repository: &str| Ignored::NoTag { repository: repository.to_owned() };
        Accepted {
            key: "guid-1".to_owned(),
            id: Some("guid-1".to_owned()),
            once: None,
            trust: Trust::Signed,
            events: vec![Event::ImagePushed(whole), Event::BuildFinished(build), Event::ImagePushed(bare)],
            ignored: vec![no_tag("a"), Ignored::NotAPush { action: "pull".to_owned() }, no_tag("b"), no_tag("a")],
            verdict: Verdict::Accepted,
            subscription: None,
            claims: None,
            owner: None,
        }
    }

    fn in_json(verified: bool, result: Result<Accepted, String>) -> serde_json::Value {
        let line = Answer { kind: Kind::Github, verified, result }.in_json().unwrap();
        assert!(!line.contains('\n'));
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn programs_read_pushes_hints_and_counted_reasons() {
        assert_eq!(
            in_json(true, Ok(accepted())),
            json!({
                "events": [
                    {"repository": "acme/web", "tag": "1.5.0", "digest": format!("sha256:{}", "1".repeat(64)), "registry": "ghcr.io",
                     "actor": "ann", "time": "2026-11-26T03:00:00Z", "deliveryId": "guid-1", "trust": "signed"},
                    {"repository": "acme/web", "tag": "1.5.1", "registry": "", "deliveryId": "guid-1", "trust": "signed"},
                ],
                "ignored": [{"reason": "noTag", "count": 3}, {"reason": "notAPush", "count": 1}],
                "verified": true,
                "hints": [{"kind": "buildFinished", "repository": "acme/web", "revision": null, "reference": null, "actor": null}],
            })
        );
    }

    #[test]
    fn programs_read_why_there_is_nothing() {
        let refused =
            json!({"events": [], "ignored": [], "verified": false, "refused": "the credential does not match"});
        assert_eq!(in_json(true, Err("the credential does not match".to_owned())), refused);
        let unparsable = Accepted {
            events: Vec::new(),
            ignored: vec![Ignored::Unparsable { detail: "cut off".to_owned() }],
            verdict: Verdict::Unparsable,
            ..accepted()
        };
        assert_eq!(
            in_json(false, Ok(unparsable)),
            json!({"events": [], "ignored": [{"reason": "unparsable", "count": 1}], "verified": false, "unparsable": "cut off"})
        );
    }

    #[test]
    fn people_read_the_same() {
        let lines = |verified, result| {
            let lines = Answer { kind: Kind::Github, verified, result }.in_words();
            lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            lines(true, Ok(accepted())),
            [
                "verified signed: the body is signed, or a token of an issuer came with it; its events may put versions forward",
                "pushed ghcr.io/acme/web:1.5.0 @ sha256:111111111111 by ann at 2026-11-26T03:00:00Z",
                "hint a build of acme/web ended well",
                "pushed acme/web:1.5.1",
                "ignored a push to a without a tag (2 times)",
                "ignored `pull` is not a push",
                "ignored a push to b without a tag",
                "3 events, the sender's id is guid-1",
            ]
        );
        assert!(lines(false, Ok(accepted()))[0].starts_with("not verified no credential was given"));
        assert_eq!(lines(true, Err("no\u{1b}[2J".to_owned())), ["refused no\\u{1b}[2J"]);
    }

    #[test]
    fn a_time_that_no_calendar_has_is_left_out() {
        assert_eq!(in_rfc_3339(Timestamp(0)).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(in_rfc_3339(Timestamp(i64::MAX)), None);
    }
}
