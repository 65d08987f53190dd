//! `tagboat deliveries replay`: take a stored delivery apart again, with its receiver as it is configured now, and
//! store what is in it as a new delivery. Its sender was verified when it came; what a token said then is not known
//! any more.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;
use tagboat_intake::{Accepted, Headers, Receiver, Request, read_unverified};
use tagboat_model::{DeliveryId, Event, EventId};
use tagboat_ports::{Clock as _, DeliveryRecord, Ids as _, NewDelivery, Store, Stored, StoredDelivery};
use tagboat_server::{Around, new_delivery};
use tagboat_settings::ServerFile;

use super::{kept_body, unreadable, verdict, whole, without_body};
use crate::{
    cli::Output,
    commands::words::{self, count, safe},
    exit::{Code, Failure},
    output::{self, BOLD, DIM, styled},
    system::{RandomIds, SystemClock},
    wiring,
};

/// The first word of the keys that replays are stored under.
const REPLAY: &str = "replay";

/// Of which delivery one is a replay, by its key.
pub(super) fn original(key: &str) -> Option<DeliveryId> {
    let (original, _) = key.strip_prefix(REPLAY)?.strip_prefix(' ')?.split_once(' ')?;
    original.parse().ok()
}

pub(super) async fn run(
    store: &dyn Store,
    file: &ServerFile,
    id: &DeliveryId,
    output: Output,
) -> Result<Code, Failure> {
    let stored = whole(store, id).await?;
    let body = kept_body(&stored).map_err(|why| without_body(id, &why))?.to_vec();
    let StoredDelivery { record, headers, .. } = stored;
    let receiver = receiver(file, &record)?;
    let headers: Headers = headers.into_iter().collect();
    let now = SystemClock.now();
    let request = Request { headers: &headers, path_token: None, body: &body, received_at: now };
    let mut read = read_unverified(&receiver, &request, record.trust);
    for event in &mut read.events {
        if let Event::ImagePushed(pushed) = event {
            // What was announced stays announced. The claims that came with it are not proved anew.
            pushed.source = None;
        }
    }
    let accepted = Accepted { key: format!("{REPLAY} {id} {}", RandomIds.fresh("rp")), ..read };
    // Whose account the bot's is, only a running server knows.
    let (repositories, bots) = (wiring::addresses(file), BTreeSet::new());
    let around = Around { repositories: &repositories, bots: &bots };
    let delivery = new_delivery(store, &RandomIds, &receiver, around, accepted, &headers, body, now).await;
    let (delivery, _) = delivery.map_err(|error| unreadable(&error))?;
    let stored = store.accept(delivery.clone()).await;
    let stored = stored.map_err(|error| Failure::failed("the database cannot be written", &error))?;
    let replayed = Replayed::of(&delivery, &stored);
    match output {
        Output::Json => output::line(in_json(id, &delivery, &replayed).to_string()),
        Output::Text => in_words(id, &delivery, &replayed).iter().for_each(output::line),
    }
    Ok(if delivery.events.is_empty() { Code::Nothing } else { Code::Ok })
}

/// The receiver of a delivery as it is now.
fn receiver(file: &ServerFile, record: &DeliveryRecord) -> Result<Receiver, Failure> {
    if let Some(app) = file.github_app.as_ref().filter(|_| record.receiver.as_str() == wiring::receivers::GITHUB_APP) {
        return wiring::receivers::of_app(app);
    }
    let found = file.receivers.iter().find(|it| it.name == record.receiver && it.tenant == record.tenant);
    let found = found.ok_or_else(|| {
        Failure::invalid(format!(
            "the receiver `{}` of tenant `{}`, to which it came, is gone from the server file",
            record.receiver, record.tenant
        ))
    })?;
    let receiver = wiring::receivers::receiver(found, &file.address())?;
    // Deliveries of before kinds were written down have none.
    if record.kind.is_empty() || record.kind == receiver.kind.word() {
        return Ok(receiver);
    }
    Err(Failure::invalid(format!(
        "the receiver `{}` is of the kind `{}` now; what came is of the kind `{}` and cannot be read as that",
        record.receiver,
        receiver.kind,
        safe(&record.kind)
    )))
}

/// A new event.
#[derive(Serialize)]
struct Replayed<'d> {
    id: &'d EventId,
    #[serde(flatten)]
    event: &'d Event,
    /// How many branches it concerns.
    branches: usize,
}

impl<'d> Replayed<'d> {
    fn of(delivery: &'d NewDelivery, stored: &Stored) -> Vec<Self> {
        let concerned = |id: &EventId| match stored {
            Stored::New(counts) => counts.iter().find(|(event, _)| event == id).map_or(0, |(_, count)| *count),
            // Its key was made for it, so it cannot have been there.
            Stored::Duplicate { .. } => 0,
        };
        let events = delivery.events.iter();
        events.map(|new| Self { id: &new.id, event: &new.event, branches: concerned(&new.id) }).collect()
    }
}

fn in_json(replayed: &DeliveryId, delivery: &NewDelivery, events: &[Replayed<'_>]) -> serde_json::Value {
    json!({
        "delivery": {
            "id": delivery.id, "replayOf": replayed, "verdict": delivery.verdict, "reasons": delivery.reasons,
        },
        "events": events,
    })
}

fn in_words(replayed: &DeliveryId, delivery: &NewDelivery, events: &[Replayed<'_>]) -> Vec<String> {
    let (id, verdict) = (styled(BOLD, &delivery.id), verdict(&delivery.verdict, 0));
    let mut lines = vec![format!("{id}  {verdict}, from {replayed}")];
    for event in events {
        lines.push(format!("  {}  {}", event.id, words::event(event.event)));
        lines.push(match event.branches {
            0 => "    nothing to do: it concerns no branch".to_owned(),
            1 => "    concerns 1 branch".to_owned(),
            more => format!("    concerns {more} branches"),
        });
    }
    lines.extend(delivery.reasons.iter().map(|reason| format!("  {} {}", styled(DIM, "not acted on:"), safe(reason))));
    if events.is_empty() {
        lines.push("there is no event in it as its receiver is configured now".to_owned());
    } else if events.iter().all(|event| event.branches == 0) {
        lines.push(format!("{} stored; no config repository asks for what is in it", count(events.len(), "event")));
    } else {
        lines.push(
            "a running server takes it up within 5 s, any other when it starts; `tagboat explain EVENT` says what was decided"
                .to_owned(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use tagboat_model::{ImagePushed, TenantName, Timestamp, Trust};
    use tagboat_ports::NewEvent;

    use super::*;

    fn delivery(images: &[&str]) -> NewDelivery {
        let event = |(index, image): (usize, &&str)| NewEvent {
            id: format!("ev-{index}").parse().unwrap(),
            event: Event::ImagePushed(ImagePushed::new(image.parse().unwrap(), "1.5.0".parse().unwrap(), None)),
            trust: Trust::Signed,
            looks: Vec::new(),
            branches: Vec::new(),
            urgent: false,
        };
        NewDelivery {
            id: "dl-2".parse().unwrap(),
            tenant: TenantName::default(),
            receiver: "ci".parse().unwrap(),
            kind: "generic".to_owned(),
            trust: Trust::Signed,
            key: "replay dl-1 rp-1".to_owned(),
            once: None,
            acts_again: false,
            verdict: if images.is_empty() { "ignored" } else { "accepted" }.to_owned(),
            reasons: vec!["`pull` is not a push".to_owned()],
            headers: Vec::new(),
            body: Vec::new(),
            body_hash: String::new(),
            received_at: Timestamp(0),
            events: images.iter().enumerate().map(event).collect(),
        }
    }

    fn lines(images: &[&str], branches: usize) -> Vec<String> {
        let delivery = delivery(images);
        let counts = delivery.events.iter().map(|event| (event.id.clone(), branches)).collect();
        let events = Replayed::of(&delivery, &Stored::New(counts));
        let lines = in_words(&"dl-1".parse().unwrap(), &delivery, &events);
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    #[test]
    fn a_replay_says_what_is_new_and_what_to_do_next() {
        let told = lines(&["ghcr.io/acme/web"], 2);
        assert_eq!(
            told[..4],
            [
                "dl-2  accepted, from dl-1",
                "  ev-0  ghcr.io/acme/web:1.5.0",
                "    concerns 2 branches",
                "  not acted on: `pull` is not a push",
            ]
        );
        assert!(told[4].starts_with("a running server takes it up within 5 s"), "{}", told[4]);
        assert_eq!(lines(&["ghcr.io/acme/web"], 0)[4], "1 event stored; no config repository asks for what is in it");
        assert_eq!(lines(&[], 0)[2], "there is no event in it as its receiver is configured now");
    }

    #[test]
    fn a_replay_is_known_by_its_key() {
        assert_eq!(original(&delivery(&[]).key).unwrap().as_str(), "dl-1");
        for key in ["replay", "replay dl-1", "replays dl-1 rp-1", "replay \u{1b}[2J rp-1", "msg-1"] {
            assert_eq!(original(key), None, "{key}");
        }
    }

    #[test]
    fn programs_read_the_new_delivery_and_its_events() {
        let delivery = delivery(&["ghcr.io/acme/web"]);
        let events = Replayed::of(&delivery, &Stored::New(Vec::new()));
        let json = in_json(&"dl-1".parse().unwrap(), &delivery, &events);
        assert_eq!((&json["delivery"]["id"], &json["delivery"]["replayOf"]), (&json!("dl-2"), &json!("dl-1")));
        let event = &json["events"][0];
        assert_eq!(
            (&event["id"], &event["kind"], &event["branches"]),
            (&json!("ev-0"), &json!("imagePushed"), &json!(0))
        );
    }
}
