//! `POST /hooks/<receiver>`: from a request to stored events.

use std::{collections::BTreeSet, sync::PoisonError};

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use tagboat_engine::chain;
use tagboat_intake::{
    Accepted, Credential, Headers, Ignored, Receiver, Refused, Request, Scheme, Verdict, verify_headers,
};
use tagboat_model::{Event, EventId, Timestamp, shown};
use tagboat_ports::{NewDelivery, Step, StoreError, Stored};

use crate::{
    Server,
    accept::{Around, new_delivery},
    counts::Counted,
    door::{Door, Unread},
    pressure::LONGEST_WRITE,
    verify::NotTaken,
};

/// What stands in the reason of a delivery whose body was too large. It is stored without it.
pub const TOO_LARGE: &str = "the body is larger than";
/// A sender that must wait is asked to wait this long.
const RETRY_AFTER: u64 = 5;
/// And where so much waits that nothing more is taken.
pub(crate) const RETRY_WHEN_FULL: u64 = 30;
/// Why a repetition is none.
const WITH_ANOTHER_BODY: &str = "with another body";

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

/// What became of an authentic request.
pub(crate) struct Taken {
    pub(crate) verdict: Verdict,
    pub(crate) events: Vec<EventId>,
    pub(crate) reasons: Vec<String>,
    /// Whether it was received before, and then with the same body.
    pub(crate) repetition: Option<bool>,
}

/// The database does not take it; the sender may come again after so many seconds.
pub(crate) struct Unstored(pub(crate) u64);

/// What became of a request, in the answer until it is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome(pub(crate) &'static str);

/// An answer with what became of its request.
pub(crate) fn marked(outcome: &'static str, mut answer: Response) -> Response {
    answer.extensions_mut().insert(Outcome(outcome));
    answer
}

pub(crate) async fn receive(
    State(server): State<Server>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    server.counted_hook(&name, None, &headers, body).await
}

pub(crate) async fn receive_with_token(
    State(server): State<Server>,
    Path((name, token)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    server.counted_hook(&name, Some(&token), &headers, body).await
}

/// A sender of CloudEvents may ask first whether it may send here ("HTTP 1.1 Web Hooks for Event Delivery", section 4).
/// It may: only what it proves then decides what becomes of it. Whether there is such a receiver is not said.
pub(crate) async fn handshake(headers: HeaderMap) -> Response {
    let Some(origin) = headers.get("webhook-request-origin") else {
        return (StatusCode::NO_CONTENT, [(header::ALLOW, "POST")]).into_response();
    };
    let mut answer = (StatusCode::OK, [(header::ALLOW, "POST")]).into_response();
    answer.headers_mut().insert("webhook-allowed-origin", origin.clone());
    if headers.contains_key("webhook-request-rate") {
        answer.headers_mut().insert("webhook-allowed-rate", header::HeaderValue::from_static("*"));
    }
    answer
}

/// The headers whose values are text.
pub(crate) fn headers_of(headers: &HeaderMap) -> Headers {
    let pair = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(pair).collect()
}

/// The sender keeps it and comes again.
pub(crate) fn come_again(status: StatusCode, seconds: u64) -> Response {
    (status, [(header::RETRY_AFTER, seconds.to_string())]).into_response()
}

fn busy() -> Response {
    come_again(StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER)
}

/// The status that a kind of sender understands.
fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::OK)
}

/// One answer for everything that is not authentic: it follows from the form of the address alone, and does not tell whether
/// there is such a receiver (that a body is read at all still does). A secret address that is wrong is one that does not
/// exist. Amazon SNS takes only 403 for final.
fn refusal(receiver: Option<&Receiver>, path_token: Option<&str>) -> Response {
    let by_topic = |credential: &Credential| credential.scheme() == Scheme::Topic;
    match (receiver, path_token) {
        (Some(receiver), None) if receiver.credentials.iter().any(by_topic) => StatusCode::FORBIDDEN,
        (_, None) => StatusCode::UNAUTHORIZED,
        (_, Some(_)) => StatusCode::NOT_FOUND,
    }
    .into_response()
}

impl Server {
    /// Take a request, and count what became of it.
    async fn counted_hook(&self, name: &str, path_token: Option<&str>, headers: &HeaderMap, body: Body) -> Response {
        let begin = self.clock.now();
        let answer = self.hook(name, path_token, &headers_of(headers), body).await;
        let is_known = name.parse().is_ok_and(|name| self.doors.contains_key(&name));
        self.count_answer(if is_known { name } else { "(unknown)" }, &answer, begin);
        answer
    }

    /// Only names of the server file are counted by: what strangers write is not.
    pub(crate) fn count_answer(&self, receiver: &str, answer: &Response, begin: Timestamp) {
        // What has no mark was put off: a body that broke off, keys that could not be had.
        let verdict = answer.extensions().get::<Outcome>().map_or(Counted::Postponed.word(), |outcome| outcome.0);
        self.metrics.answered(receiver, verdict, answer.status().as_u16(), self.clock.now().since(begin));
    }

    async fn hook(&self, name: &str, path_token: Option<&str>, headers: &Headers, body: Body) -> Response {
        let Some(door) = name.parse().ok().and_then(|name| self.doors.get(&name)) else {
            self.count_refusal("(unknown)", "there is no receiver of that name", "");
            return marked(Counted::Refused.word(), refusal(None, path_token));
        };
        let receiver = &door.receiver;
        let request = Request { headers, path_token, body: b"", received_at: self.clock.now() };
        // What the headers show is looked at before anything of the body is read.
        if let Err(refused) = verify_headers(receiver, &request) {
            return self.refuse(receiver, &refused, path_token);
        }
        match self.proved(receiver, &request).await {
            Ok(()) => {}
            Err(NotTaken::Refused(refused)) => return self.refuse(receiver, &refused, path_token),
            Err(NotTaken::KeysUnavailable) => return busy(),
        }
        let held = match door.room.read(body).await {
            Ok(held) => held,
            Err(Unread::TooLarge) => return self.too_large(door, &request).await,
            Err(Unread::Broken) => return StatusCode::REQUEST_TIMEOUT.into_response(),
            Err(Unread::Crowded) => return self.postpone(receiver, "too many bodies at once", RETRY_AFTER),
        };
        let request = Request { body: &held.bytes, received_at: self.clock.now(), ..request };
        match self.taken(receiver, &request).await {
            Err(NotTaken::Refused(refused)) => self.refuse(receiver, &refused, path_token),
            Err(NotTaken::KeysUnavailable) => busy(),
            Ok(accepted) => self.answer(door, accepted, headers, &held.bytes).await,
        }
    }

    /// Count a refusal under its kind. The detail, which may be another one each time, is for the log; of very many the
    /// log hears now and then.
    pub(crate) fn count_refusal(&self, receiver: &str, kind: &str, detail: &str) {
        let now = self.clock.now();
        if let Some(times) = self.counts.tell(receiver, Counted::Refused, kind, now) {
            tracing::warn!(receiver, reason = kind, detail = shown(detail), times, "a request was refused");
        }
        let reason = if detail.is_empty() { kind } else { detail };
        self.progress.step(&Step::Refused { receiver: receiver.to_owned(), reason: reason.to_owned(), at: now });
    }

    fn refuse(&self, receiver: &Receiver, refused: &Refused, path_token: Option<&str>) -> Response {
        self.count_refusal(receiver.name.as_str(), &refused.kind(), &refused.to_string());
        marked(Counted::Refused.word(), refusal(Some(receiver), path_token))
    }

    fn postpone(&self, receiver: &Receiver, reason: &str, seconds: u64) -> Response {
        self.count_postponed(receiver, reason);
        come_again(StatusCode::SERVICE_UNAVAILABLE, seconds)
    }

    /// A sender that has proved itself by a header would repeat a refused request for ever; for the others
    /// nothing is proved, because the signature is over the body.
    async fn too_large(&self, door: &Door, request: &Request<'_>) -> Response {
        let largest = door.room.largest();
        let detail = format!("{TOO_LARGE} {largest} bytes; see `limits` in the server file");
        match self.taken(&door.receiver, request).await {
            Ok(empty) => {
                let (key, ignored) = (self.ids.fresh("too-large"), vec![Ignored::Unparsable { detail }]);
                let accepted = Accepted {
                    key,
                    events: Vec::new(),
                    ignored,
                    verdict: Verdict::Unparsable,
                    subscription: None,
                    once: None,
                    ..empty
                };
                self.answer(door, accepted, request.headers, b"").await
            }
            Err(_) => {
                self.count_refusal(door.receiver.name.as_str(), &detail, "");
                marked(Counted::Refused.word(), StatusCode::PAYLOAD_TOO_LARGE.into_response())
            }
        }
    }

    /// Take an authentic request, and tell its sender what its kind understands.
    async fn answer(&self, door: &Door, accepted: Accepted, headers: &Headers, body: &[u8]) -> Response {
        if let Err(seconds) = door.admit(accepted.events.len()) {
            self.counts.add(door.receiver.name.as_str(), Counted::Postponed, "too many requests", 1, self.clock.now());
            return come_again(StatusCode::TOO_MANY_REQUESTS, seconds);
        }
        if let Some(subscription) = &accepted.subscription
            && let Err(error) = self.keys.confirm_subscription(&subscription.url).await
        {
            tracing::error!(topic = subscription.topic, error = %chain(&error), "a subscription could not be confirmed");
            return busy();
        }
        let kind = door.receiver.kind;
        match self.take(&door.receiver, accepted, headers, body).await {
            Err(Unstored(seconds)) => come_again(StatusCode::SERVICE_UNAVAILABLE, seconds),
            Ok(taken) => {
                let status = status(kind.status(taken.verdict));
                let verdict = if taken.repetition.is_some() { "duplicate" } else { taken.verdict.word() };
                if status == StatusCode::NO_CONTENT {
                    return marked(verdict, status.into_response());
                }
                let told = Json(Told { verdict, events: taken.events, reasons: taken.reasons });
                marked(verdict, (status, told).into_response())
            }
        }
    }

    /// Store what an authentic request brought, unless it is what a sender says all day long.
    pub(crate) async fn take(
        &self,
        receiver: &Receiver,
        accepted: Accepted,
        headers: &Headers,
        body: &[u8],
    ) -> Result<Taken, Unstored> {
        let now = self.clock.now();
        let (store, ids, authentic) = (&*self.store, &*self.ids, accepted.verdict);
        let (repositories, bots) = (self.repositories.all(), self.bots());
        let around = Around { repositories: &repositories, bots: &bots };
        let made = new_delivery(store, ids, receiver, around, accepted, headers, body.to_vec(), now);
        let (mut delivery, ignored) = self.in_time(receiver, made).await?;
        self.count_ignored(receiver, &ignored);
        if delivery.events.is_empty() && ignored.iter().all(Ignored::is_routine) {
            let reasons = delivery.reasons;
            let step = Step::Ignored { receiver: receiver.name.clone(), reasons: reasons.clone(), at: now };
            self.progress.step(&step);
            let verdict = if authentic == Verdict::Accepted { Verdict::Ignored } else { authentic };
            return Ok(Taken { verdict, events: Vec::new(), reasons, repetition: None });
        }
        if !delivery.events.is_empty() && self.pressure.is_full() {
            self.count_postponed(receiver, "too many events wait");
            return Err(Unstored(RETRY_WHEN_FULL));
        }
        // A body may have many megabytes; what is told of it afterwards needs no copy.
        let body = std::mem::take(&mut delivery.body);
        let whole = NewDelivery { body, ..delivery.clone() };
        let stored = self.in_time(receiver, self.store.accept(whole)).await?;
        let new = if let Stored::New(events) = &stored { events.len() } else { 0 };
        self.pressure.stored(new, self.clock.now());
        if delivery.events.iter().any(|new| matches!(new.event, Event::InstallationsChanged { .. })) {
            self.installations_changed.notify_one();
        }
        Ok(self.tell(receiver, delivery, stored))
    }

    /// The names of Tagboat's own accounts, as they are now.
    fn bots(&self) -> BTreeSet<String> {
        self.bots.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the database answers, if it does in time. What takes longer may come to its end all the same: the sender's
    /// repetition of it is known for one then.
    async fn in_time<T>(
        &self,
        receiver: &Receiver,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Unstored> {
        let now = || self.clock.now();
        match tokio::time::timeout(LONGEST_WRITE, work).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => {
                tracing::error!(receiver = %receiver.name, error = %chain(&error), "a delivery could not be stored");
                self.pressure.failed(&error, now());
            }
            Err(_) => {
                tracing::error!(receiver = %receiver.name, "a delivery could not be stored in time");
                self.pressure.too_slow(now());
            }
        }
        self.count_postponed(receiver, "the database does not answer");
        Err(Unstored(RETRY_AFTER))
    }

    fn count_postponed(&self, receiver: &Receiver, reason: &str) {
        self.counts.add(receiver.name.as_str(), Counted::Postponed, reason, 1, self.clock.now());
    }

    /// Tell whoever watches what was stored.
    fn tell(&self, receiver: &Receiver, delivery: NewDelivery, stored: Stored) -> Taken {
        let now = delivery.received_at;
        let (name, reasons) = (&receiver.name, delivery.reasons);
        if let Stored::Duplicate { events, same_body } = stored {
            let (mut why, mut told) = ("", "this delivery was received before".to_owned());
            if !same_body {
                why = WITH_ANOTHER_BODY;
                told.push_str(", with another body; this one is not acted on");
                tracing::warn!(receiver = %name, key = ?delivery.key, "a request has the id of an earlier one and another body; it is not acted on");
            }
            self.counts.add(name.as_str(), Counted::Repeated, why, 1, now);
            let reasons = vec![told];
            return Taken { verdict: Verdict::Accepted, events, reasons, repetition: Some(same_body) };
        }
        let shown: Vec<(EventId, Event)> = delivery.events.into_iter().map(|event| (event.id, event.event)).collect();
        let verdict = match (shown.is_empty(), delivery.verdict == Verdict::Unparsable.word()) {
            (false, _) => Verdict::Accepted,
            (true, true) => Verdict::Unparsable,
            (true, false) => Verdict::Ignored,
        };
        if verdict == Verdict::Unparsable {
            tracing::warn!(receiver = %name, reasons = ?reasons, "an authentic request could not be read");
        }
        if verdict == Verdict::Accepted {
            self.counts.add(name.as_str(), Counted::Accepted, "", shown.len() as u64, now);
        }
        let events = shown.iter().map(|(id, _)| id.clone()).collect();
        self.progress.step(&match verdict {
            Verdict::Accepted => Step::Accepted {
                delivery: delivery.id,
                receiver: name.clone(),
                key: delivery.key,
                events: shown,
                at: now,
            },
            _ => Step::Ignored { receiver: name.clone(), reasons: reasons.clone(), at: now },
        });
        Taken { verdict, events, reasons, repetition: None }
    }

    pub(crate) fn count_ignored(&self, receiver: &Receiver, ignored: &[Ignored]) {
        for reason in ignored {
            self.counts.add(receiver.name.as_str(), Counted::Ignored, reason.code(), 1, self.clock.now());
        }
    }
}
