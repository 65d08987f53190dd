//! `POST /hooks/<receiver>`: from a request to stored events.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use tagboat_intake::{Accepted, Headers, Ignored, Receiver, Refused, Verdict, receive as take_apart, verify_headers};
use tagboat_model::{Event, EventId};
use tagboat_ports::{NewDelivery, NewEvent, Step, Stored};

use crate::Server;

/// A sender that takes longer is cut off.
const LONGEST_BODY_TIME: Duration = Duration::from_secs(10);
/// A sender that must wait is asked to wait this long.
const RETRY_AFTER: &str = "5";

/// What an authentic sender is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    verdict: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<EventId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

pub(crate) async fn receive(
    State(server): State<Server>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let pairs =
        headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let headers: Headers = pairs.collect();
    let Some(receiver) = name.parse().ok().and_then(|name| server.receivers.get(&name)) else {
        return server.refuse("(unknown)", "there is no receiver of that name");
    };
    // What the headers show is looked at before anything of the body is read.
    if let Err(refused) = verify_headers(receiver, &headers, server.clock.now()) {
        return server.refuse(&name, &refused.to_string());
    }
    // Strangers may send bodies that are only proved afterwards; so many at a time are held in memory.
    let Ok(_place) = server.reading.try_acquire() else { return busy() };
    let body = match read_body(body, server.largest_body).await {
        Ok(body) => body,
        Err(Unread::TooLarge) => return server.too_large(receiver, &headers).await,
        Err(Unread::Broken) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    match take_apart(receiver, &headers, &body, server.clock.now()) {
        Err(refused) => server.refuse(&name, &refused.to_string()),
        Ok(accepted) => server.accept(receiver, accepted, body).await,
    }
}

/// The sender keeps it and comes again.
fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)]).into_response()
}

enum Unread {
    TooLarge,
    Broken,
}

async fn read_body(body: Body, largest: usize) -> Result<Vec<u8>, Unread> {
    let read = axum::body::to_bytes(body, largest);
    match tokio::time::timeout(LONGEST_BODY_TIME, read).await {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        // The library says only in the cause that it was the limit.
        Ok(Err(error)) if tagboat_engine::chain(&error).contains("length limit") => Err(Unread::TooLarge),
        Ok(Err(_)) | Err(_) => Err(Unread::Broken),
    }
}

impl Server {
    /// One answer for everything that is not authentic: a stranger learns nothing.
    fn refuse(&self, receiver: &str, reason: &str) -> Response {
        let now = self.clock.now();
        tracing::warn!(receiver, reason, "a request was refused");
        self.refusals.count(receiver, reason, now);
        self.progress.step(&Step::Refused { receiver: receiver.to_owned(), reason: reason.to_owned(), at: now });
        StatusCode::UNAUTHORIZED.into_response()
    }

    /// A sender that has proved itself by a header would repeat a refused request for ever; for the others
    /// nothing is proved, because the signature is over the body.
    async fn too_large(&self, receiver: &Receiver, headers: &Headers) -> Response {
        let reason = format!("the body is larger than {} bytes; see `limits` in the server file", self.largest_body);
        let proved_by_header = take_apart(receiver, headers, b"", self.clock.now());
        match proved_by_header {
            Ok(empty) => {
                let mut accepted = Accepted { key: self.ids.fresh("too-large"), ..empty };
                accepted.ignored = vec![Ignored::Unparsable { detail: reason }];
                self.accept(receiver, accepted, Vec::new()).await
            }
            Err(Refused::Header(_) | Refused::Credential | Refused::Time { .. }) => {
                self.refusals.count(receiver.name.as_str(), &reason, self.clock.now());
                StatusCode::PAYLOAD_TOO_LARGE.into_response()
            }
        }
    }

    /// Store, then answer.
    async fn accept(&self, receiver: &Receiver, accepted: Accepted, body: Vec<u8>) -> Response {
        let now = self.clock.now();
        let verdict = match accepted.verdict {
            Verdict::Accepted => "accepted",
            Verdict::Ignored => "ignored",
            Verdict::Unparsable => "unparsable",
        };
        let reasons: Vec<String> = accepted.ignored.iter().map(ToString::to_string).collect();
        let status = StatusCode::from_u16(receiver.sender.status(accepted.verdict)).unwrap_or(StatusCode::OK);
        if accepted.events.is_empty() && accepted.ignored.iter().all(Ignored::is_routine) {
            self.progress.step(&Step::Ignored { receiver: receiver.name.clone(), reasons: reasons.clone(), at: now });
            return (status, Json(Told { verdict, events: Vec::new(), reasons })).into_response();
        }
        let events: Vec<NewEvent> =
            accepted.events.into_iter().filter_map(|event| self.new_event(receiver, event)).collect();
        let Ok(id) = self.ids.fresh("dl").parse() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
        let shown: Vec<_> = events
            .iter()
            .map(|event| {
                let Event::ImagePushed(pushed) = &event.event;
                (event.id.clone(), pushed.image.clone(), pushed.tag.clone())
            })
            .collect();
        let delivery = NewDelivery {
            id,
            tenant: receiver.tenant.clone(),
            receiver: receiver.name.clone(),
            key: accepted.key.clone(),
            verdict: verdict.to_owned(),
            reasons: reasons.clone(),
            body,
            received_at: now,
            events,
        };
        let stored = match self.store.accept(delivery).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::error!(receiver = %receiver.name, error = %tagboat_engine::chain(&error), "a delivery could not be stored");
                return busy();
            }
        };
        let Stored::New(_) = stored else {
            let reasons = vec!["this delivery was received before".to_owned()];
            return (status, Json(Told { verdict: "duplicate", events: Vec::new(), reasons })).into_response();
        };
        if accepted.verdict == Verdict::Unparsable {
            tracing::warn!(receiver = %receiver.name, reasons = ?reasons, "an authentic request could not be read");
        }
        let receiver = receiver.name.clone();
        self.progress.step(&match accepted.verdict {
            Verdict::Accepted => Step::Accepted { receiver, key: accepted.key, events: shown.clone(), at: now },
            _ => Step::Ignored { receiver, reasons: reasons.clone(), at: now },
        });
        let events = shown.into_iter().map(|(id, _, _)| id).collect();
        (status, Json(Told { verdict, events, reasons })).into_response()
    }

    fn new_event(&self, receiver: &Receiver, event: Event) -> Option<NewEvent> {
        let id = self.ids.fresh("ev").parse().ok()?;
        Some(NewEvent { id, event, trust: receiver.sender.trust() })
    }
}
