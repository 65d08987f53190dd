//! `POST /api/v1/events` and `GET /api/v1/events/<id>`: CI says what it pushed, and hears what became of it.
//!
//! Any receiver of a CI kind may be the one that believes the request; a name in the query narrows it down. Whoever holds
//! a token that is truly its issuer's, or signs, is told why it is not admitted; everybody else is told nothing.

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tagboat_intake::{
    Accepted, Headers, Ignored, Refused, Request, TokenClaims, Verdict, carries_token, verify_headers,
};
use tagboat_model::{BranchKey, EventId, ReceiverName, Timestamp};
use tagboat_ports::{BranchState, DecisionsAbout, EventRecord, StoreError};

use crate::{
    Counted, Fate, Server, access, api,
    door::{Door, Unread},
    receivers::{Taken, Unstored, come_again, headers_of, marked},
    verify::NotTaken,
};

const RETRY_AFTER: u64 = 5;

/// `?receiver=…`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    receiver: Option<String>,
}

/// What CI is told of an event that was taken.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'t> {
    verdict: &'static str,
    receiver: &'t str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'t EventId>,
    events: &'t [EventId],
    reasons: &'t [String],
}

/// Why no receiver took a request; the one that says most to its sender is told.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Against {
    NotAuthentic,
    Unavailable,
    NotAdmitted(String),
    Unusable(String),
}

pub(crate) async fn post(
    State(server): State<Server>,
    api::Asked(named): api::Asked<Named>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let begin = server.clock.now();
    let answer = announced(&server, &named, &headers, body).await;
    let receiver = answer.extensions().get::<Believer>().map_or("(api)", |believer| believer.0.as_str()).to_owned();
    server.count_answer(&receiver, &answer, begin);
    answer
}

/// The receiver that believed a request, in the answer until it is counted.
#[derive(Clone)]
struct Believer(ReceiverName);

async fn announced(server: &Server, named: &Named, headers: &HeaderMap, body: Body) -> Response {
    let headers = headers_of(headers);
    let request = Request { headers: &headers, path_token: None, body: b"", received_at: server.clock.now() };
    let doors = server.ci_doors(named.receiver.as_deref());
    let doors: Vec<&Door> = doors.into_iter().filter(|door| verify_headers(&door.receiver, &request).is_ok()).collect();
    if doors.is_empty() {
        server.count_refusal("(api)", "no receiver believes requests with such headers", "");
        return answer_against(Against::NotAuthentic);
    }
    let doors = match server.proved_before(doors, &request).await {
        Ok(doors) => doors,
        Err(against) => return answer_against(against),
    };
    // Who carries a token has proved himself by now; strangers may still come with headers that only look signed.
    let proved = doors.iter().all(|door| carries_token(&door.receiver));
    let room = if proved { &server.proved_room } else { &server.room };
    let held = match room.read(body).await {
        Ok(held) => held,
        Err(Unread::TooLarge) => {
            let answer = api::problem(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
            return marked(Counted::Refused.word(), answer);
        }
        Err(Unread::Broken) => return StatusCode::REQUEST_TIMEOUT.into_response(),
        Err(Unread::Crowded) => {
            server.tell_postponed("too many bodies at once");
            return come_again(StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER);
        }
    };
    let request = Request { body: &held.bytes, received_at: server.clock.now(), ..request };
    match server.believed(&doors, &request).await {
        Err(against) => answer_against(against),
        Ok(believed) => server.take_believed(believed, &request).await,
    }
}

fn answer_against(against: Against) -> Response {
    match against {
        Against::NotAuthentic => {
            let message = "the request is not authenticated; the operator of this server sees why on its status page";
            marked(Counted::Refused.word(), api::problem(StatusCode::UNAUTHORIZED, message))
        }
        Against::Unavailable => come_again(StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER),
        Against::NotAdmitted(message) => marked(Counted::Refused.word(), api::problem(StatusCode::FORBIDDEN, &message)),
        Against::Unusable(message) => {
            marked(Verdict::Unparsable.word(), api::problem(StatusCode::BAD_REQUEST, &message))
        }
    }
}

impl Server {
    /// The receivers that may believe what is said here, or the one that is named.
    fn ci_doors(&self, name: Option<&str>) -> Vec<&Door> {
        let fits = |door: &&Door| {
            door.receiver.kind.is_generic() && name.is_none_or(|name| door.receiver.name.as_str() == name)
        };
        self.doors.values().map(AsRef::as_ref).filter(fits).collect()
    }

    /// Every receiver that believes the request and is permitted to speak for what it says.
    async fn believed<'d>(
        &self,
        doors: &[&'d Door],
        request: &Request<'_>,
    ) -> Result<Vec<(&'d Door, Accepted)>, Against> {
        let (mut believed, mut refusals, mut unusable) = (Vec::new(), Vec::new(), Vec::new());
        let mut against = Against::NotAuthentic;
        for door in doors {
            let reason = match self.taken(&door.receiver, request).await {
                Ok(accepted) if accepted.verdict == Verdict::Accepted => {
                    believed.push((*door, accepted));
                    continue;
                }
                Ok(accepted) => {
                    unusable.push((*door, accepted.ignored.clone()));
                    not_usable(&accepted)
                }
                Err(not_taken) => {
                    let reason = why_not(&not_taken);
                    refusals.push((*door, not_taken));
                    reason
                }
            };
            against = against.max(reason);
        }
        if !believed.is_empty() {
            return Ok(believed);
        }
        self.count_all(refusals);
        for (door, ignored) in unusable {
            self.count_ignored(&door.receiver, &ignored);
        }
        Err(against)
    }

    /// Room is taken by others; the log hears of it now and then.
    fn tell_postponed(&self, reason: &str) {
        if let Some(times) = self.counts.tell("(api)", Counted::Postponed, reason, self.clock.now()) {
            tracing::warn!(reason, times, "an announcement could not be taken");
        }
    }

    /// Those receivers that may still believe a request when its token, if it carries one, was verified: so that nobody
    /// takes room for a body who cannot prove himself.
    async fn proved_before<'d>(&self, doors: Vec<&'d Door>, request: &Request<'_>) -> Result<Vec<&'d Door>, Against> {
        let (mut left, mut refusals, mut against) = (Vec::new(), Vec::new(), Against::NotAuthentic);
        for door in doors {
            match self.proved(&door.receiver, request).await {
                Ok(()) => left.push(door),
                Err(not_taken) => {
                    against = against.max(why_not(&not_taken));
                    refusals.push((door, not_taken));
                }
            }
        }
        if !left.is_empty() {
            return Ok(left);
        }
        self.count_all(refusals);
        Err(against)
    }

    fn count_all(&self, refusals: Vec<(&Door, NotTaken)>) {
        for (door, not_taken) in refusals {
            if let NotTaken::Refused(refused) = not_taken {
                self.count_refusal(door.receiver.name.as_str(), &refused.kind(), &refused.to_string());
            }
        }
    }

    async fn take_believed(&self, believed: Vec<(&Door, Accepted)>, request: &Request<'_>) -> Response {
        let tenant = |at: &(&Door, Accepted)| at.0.receiver.tenant.clone();
        let tenants: std::collections::BTreeSet<_> = believed.iter().map(tenant).collect();
        if tenants.len() > 1 {
            let message = "receivers of several tenants believe this request; name one: `?receiver=…`";
            return marked(Counted::Refused.word(), api::problem(StatusCode::CONFLICT, message));
        }
        let Some((door, accepted)) = believed.into_iter().next() else {
            return answer_against(Against::NotAuthentic);
        };
        if let Err(seconds) = door.admit(accepted.events.len()) {
            return come_again(StatusCode::TOO_MANY_REQUESTS, seconds);
        }
        let mut answer = match self.take(&door.receiver, accepted, request.headers, request.body).await {
            Ok(taken) => told(door, &taken),
            Err(Unstored(seconds)) => come_again(StatusCode::SERVICE_UNAVAILABLE, seconds),
        };
        answer.extensions_mut().insert(Believer(door.receiver.name.clone()));
        answer
    }

    /// Whether the sender of a request proves that it may read about an event of this receiver: by its token, or by a
    /// signature under the event's id.
    async fn may_read(&self, headers: &Headers, record: &EventRecord) -> bool {
        let Some(door) = self.doors.get(&record.receiver).filter(|door| door.receiver.kind.is_generic()) else {
            return false;
        };
        if headers.get("webhook-signature").is_some() && headers.get("webhook-id") != Some(record.id.as_str()) {
            return false;
        }
        // A MAC of nothing but the body is the same for every event.
        if headers.get("x-hub-signature-256").is_some() {
            return false;
        }
        let request = Request { headers, path_token: None, body: b"", received_at: self.clock.now() };
        match self.taken(&door.receiver, &request).await {
            Ok(accepted) => accepted.claims.is_none_or(|claims| is_about(record, &claims)),
            Err(_) => false,
        }
    }
}

/// What CI is told of what was taken.
fn told(door: &Door, taken: &Taken) -> Response {
    let (status, verdict) = match (taken.repetition, taken.verdict) {
        (Some(false), _) => {
            let message = "this `Idempotency-Key` (or `webhook-id`) was used with another body; use a fresh one";
            return marked("duplicate", api::problem(StatusCode::UNPROCESSABLE_ENTITY, message));
        }
        (Some(true), _) => (StatusCode::OK, "duplicate"),
        (None, Verdict::Accepted) => (StatusCode::ACCEPTED, "accepted"),
        (None, verdict) => (StatusCode::OK, verdict.word()),
    };
    let receiver = door.receiver.name.as_str();
    let (id, events, reasons) = (taken.events.first(), &*taken.events, &*taken.reasons);
    marked(verdict, (status, Json(Told { verdict, receiver, id, events, reasons })).into_response())
}

/// Whether an event was announced by a job of the same repository; where tokens name none, by the same subject.
fn is_about(record: &EventRecord, reader: &TokenClaims) -> bool {
    let Some(source) = record.pushed().and_then(|pushed| pushed.source.as_ref()) else { return false };
    match &reader.source.repository {
        Some(repository) => source.repository.as_ref() == Some(repository),
        None => reader.claims.get("sub").is_some_and(|subject| source.claims.get("sub") == Some(subject)),
    }
}

/// What the sender of a request is told that was not taken.
fn why_not(not_taken: &NotTaken) -> Against {
    match not_taken {
        NotTaken::KeysUnavailable => Against::Unavailable,
        NotTaken::Refused(Refused::Claim { claim, value }) => Against::NotAdmitted(format!(
            "the token is genuine, but no receiver admits its claim `{claim}`, which is `{value}`"
        )),
        NotTaken::Refused(_) => Against::NotAuthentic,
    }
}

/// Why an authentic request brings nothing.
fn not_usable(accepted: &Accepted) -> Against {
    let text = accepted.ignored.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let forbidden = accepted.ignored.iter().any(|reason| matches!(reason, Ignored::NotAllowed { .. }));
    if forbidden { Against::NotAdmitted(text) } else { Against::Unusable(text) }
}

/// What keeps a branch from serving an event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hindrance {
    branch: String,
    problem: String,
    again_at: Option<Timestamp>,
}

impl Server {
    /// What keeps branches that have not served an event from doing so, as far as something does.
    async fn hindrances(&self, event: &EventRecord) -> Result<Vec<Hindrance>, StoreError> {
        let waiting: Vec<&BranchKey> =
            event.branches.iter().filter(|(_, served)| !served).map(|(key, _)| key).collect();
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let hindrance = |state: BranchState| {
            let BranchState { key, problem, again_at, .. } = state;
            let problem = problem.filter(|_| waiting.contains(&&key))?;
            Some(Hindrance { branch: key.to_string(), problem, again_at })
        };
        Ok(self.store.branches().await?.into_iter().filter_map(hindrance).collect())
    }

    /// An event with what became of it.
    async fn followed(&self, event: &EventRecord) -> Result<Value, StoreError> {
        let decisions = self.store.decisions(&DecisionsAbout::Event(event.id.clone()), api::LARGEST_LIMIT).await?;
        let problems = self.hindrances(event).await?;
        let fate = Fate::of(event, &decisions);
        Ok(json!({ "fate": fate, "event": event, "decisions": api::told(decisions), "problems": problems }))
    }
}

pub(crate) async fn get(State(server): State<Server>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let known = match id.parse::<EventId>() {
        Ok(id) => server.store.event(&id).await,
        Err(_) => Ok(None),
    };
    let known = match known {
        Ok(known) => known,
        Err(error) => return api::unavailable(&error),
    };
    if !access::permits(&server.access, &headers) {
        let texts = headers_of(&headers);
        let by_its_sender = match &known {
            Some(record) => server.may_read(&texts, record).await,
            None => false,
        };
        if !by_its_sender {
            return access::refusal(&server.access);
        }
    }
    let Some(event) = known else { return api::problem(StatusCode::NOT_FOUND, "there is no such event") };
    match server.followed(&event).await {
        Ok(told) => Json(told).into_response(),
        Err(error) => api::unavailable(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_model::{Event, ImagePushed, Source, Trust};

    fn source(repository: Option<&str>, subject: &str) -> Source {
        let claims = [("sub".to_owned(), subject.to_owned())].into();
        Source { repository: repository.map(str::to_owned), claims, ..Source::default() }
    }

    #[test]
    fn a_job_reads_about_what_its_own_repository_announced() {
        let record = |source: Option<Source>| {
            let image = "ghcr.io/acme/web".parse().unwrap();
            let pushed = ImagePushed { source, ..ImagePushed::new(image, "1".parse().unwrap(), None) };
            EventRecord {
                id: "ev-1".parse().unwrap(),
                delivery: "dl-1".parse().unwrap(),
                receiver: "actions".parse().unwrap(),
                event: Event::ImagePushed(pushed),
                trust: Trust::Signed,
                received_at: Timestamp(0),
                branches: Vec::new(),
            }
        };
        let reader = |repository: Option<&str>, subject: &str| {
            let source = source(repository, subject);
            TokenClaims { claims: source.claims.clone(), source, ..TokenClaims::default() }
        };
        let ours = record(Some(source(Some("acme/web"), "a")));
        assert!(is_about(&ours, &reader(Some("acme/web"), "another run")));
        assert!(!is_about(&ours, &reader(Some("acme/evil"), "a")));
        assert!(!is_about(&record(None), &reader(Some("acme/web"), "a")));
        let of_a_subject = record(Some(source(None, "job web")));
        assert!(is_about(&of_a_subject, &reader(None, "job web")));
        assert!(!is_about(&of_a_subject, &reader(None, "job evil")));
        assert!(!is_about(&of_a_subject, &TokenClaims::default()));
    }
}
