//! What runs in the environments, what is on its way there, and what stands in between: for the API and the status page.
//!
//! Put together from what ran, the newest decisions and the holds. What was decided longer ago than the newest
//! [`DECISIONS`] decisions is not looked for: each sweep decides anew.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tagboat_model::{
    Decision, EntryName, EnvironmentName, Gate, Hold, Outcome, Ran, Reason, RepositoryName, Rollout, TenantName,
    Timestamp, Version,
};
use tagboat_ports::{DecisionRecord, DecisionsAbout, StoreError};

use crate::{
    Server, api,
    next::{Next, Overtaken},
};

/// Decisions that are looked through for the newest about each image.
const DECISIONS: u32 = 2000;

/// `?repository=…&tenant=…`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    repository: Option<String>,
    tenant: Option<String>,
}

/// An environment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    pub(crate) tenant: TenantName,
    pub(crate) repository: RepositoryName,
    pub(crate) environment: EnvironmentName,
    pub(crate) images: Vec<Running>,
}

/// An image entry in an environment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Running {
    pub(crate) entry: EntryName,
    /// What its references carry, as it was read last, or was seen to run since.
    pub(crate) current: Vec<String>,
    /// What runs, where that is one version.
    pub(crate) version: Option<Version>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) rollout: Option<Rollout>,
    /// The pull request that would bring another version.
    pub(crate) offered: Option<Offered>,
    /// The gates of the next version, all of them.
    pub(crate) gates: Vec<Gate>,
    /// The holds that concern it.
    pub(crate) holds: Vec<Told>,
    /// The newest decision, as it stands now.
    pub(crate) decision: Option<Decided>,
    /// What comes next, in a word and in a few.
    pub(crate) next: Next,
}

/// A pull request with what it brings.
#[derive(Debug, Serialize)]
pub(crate) struct Offered {
    pub(crate) number: u64,
    pub(crate) version: Version,
}

/// A hold with its sentence.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Told {
    #[serde(flatten)]
    pub(crate) hold: Hold,
    pub(crate) words: String,
}

impl From<Hold> for Told {
    fn from(hold: Hold) -> Self {
        Self { words: hold.to_string(), hold }
    }
}

/// The part of a decision that says what comes next.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Decided {
    pub(crate) id: String,
    pub(crate) decided_at: Timestamp,
    pub(crate) outcome: Outcome,
    pub(crate) version: Option<Version>,
    pub(crate) explanation: Vec<String>,
}

/// A hold with whose it is.
#[derive(Debug, Serialize)]
pub(crate) struct HeldIn {
    pub(crate) tenant: TenantName,
    pub(crate) repository: RepositoryName,
    #[serde(flatten)]
    pub(crate) told: Told,
}

/// Whose image it is: config repository, environment, entry.
type Place = (TenantName, RepositoryName, EnvironmentName, EntryName);

/// What is known of an image in an environment.
#[derive(Default)]
struct Known {
    ran: Option<Ran>,
    decision: Option<DecisionRecord>,
}

/// `GET /api/v1/environments`
pub(crate) async fn environments(State(server): State<Server>, api::Asked(which): api::Asked<Which>) -> Response {
    let known = server.repositories.all();
    let is_meant = |tenant: &TenantName, name: &RepositoryName| {
        which.tenant.as_deref().is_none_or(|wanted| wanted == tenant.as_str())
            && which.repository.as_deref().is_none_or(|wanted| wanted == name.as_str())
    };
    let is_asked_for = which.tenant.is_some() || which.repository.is_some();
    if is_asked_for && !known.iter().any(|repository| is_meant(&repository.tenant, &repository.name)) {
        return api::problem(StatusCode::NOT_FOUND, "there is no such config repository");
    }
    match server.board().await {
        Ok(mut board) => {
            board.retain(|shown| is_meant(&shown.tenant, &shown.repository));
            Json(json!({ "environments": board })).into_response()
        }
        Err(error) => api::unavailable(&error),
    }
}

/// `GET /api/v1/holds`
pub(crate) async fn holds(State(server): State<Server>) -> Response {
    match server.holds().await {
        Ok(holds) => Json(json!({ "holds": holds })).into_response(),
        Err(error) => api::unavailable(&error),
    }
}

impl Server {
    /// Every hold that is not released.
    pub(crate) async fn holds(&self) -> Result<Vec<HeldIn>, StoreError> {
        let held = |(tenant, repository, hold): (TenantName, RepositoryName, Hold)| HeldIn {
            tenant,
            repository,
            told: hold.into(),
        };
        Ok(self.store.all_holds().await?.into_iter().map(held).collect())
    }

    /// Every environment of which something is known.
    pub(crate) async fn board(&self) -> Result<Vec<Shown>, StoreError> {
        let mut places: BTreeMap<Place, Known> = BTreeMap::new();
        for repository in self.repositories.all().iter() {
            for found in self.store.ran(&repository.tenant, &repository.name, 1).await? {
                let place = (repository.tenant.clone(), repository.name.clone(), found.environment, found.entry);
                places.entry(place).or_default().ran = Some(found.ran);
            }
        }
        for record in self.store.decisions(&DecisionsAbout::Anything, DECISIONS).await? {
            let (key, decision) = (&record.key, &record.decision);
            let place =
                (key.tenant.clone(), key.repository.clone(), decision.environment.clone(), decision.entry.clone());
            let known = places.entry(place).or_default();
            // The newest stand first.
            if known.decision.is_none() {
                known.decision = Some(record);
            }
        }
        Ok(shown(places, &self.store.all_holds().await?))
    }
}

/// The places by their environments, with the holds of each.
fn shown(places: BTreeMap<Place, Known>, holds: &[(TenantName, RepositoryName, Hold)]) -> Vec<Shown> {
    let mut board: Vec<Shown> = Vec::new();
    for ((tenant, repository, environment, entry), known) in places {
        let held = holds.iter().filter(|(of_tenant, of_repository, hold)| {
            *of_tenant == tenant && *of_repository == repository && hold.concerns(&environment, &entry)
        });
        let held = held.map(|(_, _, hold)| Told::from(hold.clone())).collect();
        let running = running(entry, known, held);
        let is_of_last = board.last().is_some_and(|last| {
            last.tenant == tenant && last.repository == repository && last.environment == environment
        });
        match board.last_mut().filter(|_| is_of_last) {
            Some(last) => last.images.push(running),
            None => board.push(Shown { tenant, repository, environment, images: vec![running] }),
        }
    }
    board
}

fn running(entry: EntryName, known: Known, holds: Vec<Told>) -> Running {
    let ran = known.ran.filter(|ran| ran.until.is_none());
    let (since, rollout) = (ran.as_ref().map(|ran| ran.since), ran.as_ref().and_then(|ran| ran.rollout.clone()));
    let record = known.decision;
    let decision = record.as_ref().map(|record| &record.decision);
    let held: Vec<&Hold> = holds.iter().map(|told| &told.hold).collect();
    let is_open = |decision: &Decision, offer: &Offered| {
        Overtaken::of_version(decision, &offer.version, ran.as_ref(), &held).is_none()
    };
    let offered = decision.and_then(|decision| offered(decision).filter(|offer| is_open(decision, offer)));
    let in_pull = offered.as_ref().map(|offer| (offer.number, &offer.version));
    let next = Next::of(decision, ran.as_ref(), &held, in_pull);
    let overtaken = decision.and_then(|decision| Overtaken::of(decision, ran.as_ref(), &held));
    let gates = decision.filter(|_| overtaken.is_none()).map(|decision| decision.gates.clone()).unwrap_or_default();
    let current = current(record.as_ref(), ran.as_ref());
    Running {
        entry,
        current,
        version: ran.map(|ran| ran.version),
        since,
        rollout,
        offered,
        gates,
        holds,
        decision: record.map(|record| decided(record, overtaken)),
        next,
    }
}

/// What references carry: as the decision read them, unless something else was seen to run since.
fn current(record: Option<&DecisionRecord>, ran: Option<&Ran>) -> Vec<String> {
    let read = record.map(|record| record.decision.current.clone()).unwrap_or_default();
    let Some(ran) = ran else { return read };
    let tag = ran.version.tag.as_str();
    let is_newer = record
        .is_none_or(|record| ran.since > record.decided_at || record.decision.version.as_ref() == Some(&ran.version));
    let says_so = !read.is_empty() && read.iter().all(|written| written.split('@').next() == Some(tag));
    if is_newer && !says_so { vec![tag.to_owned()] } else { read }
}

/// What was offered, and runs by now or was refused, is nothing to be done.
fn decided(record: DecisionRecord, overtaken: Option<Overtaken>) -> Decided {
    let DecisionRecord { id, decided_at, decision, .. } = record;
    let mut explanation: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
    let outcome = if overtaken.is_some() { Outcome::Nothing } else { decision.outcome };
    if let Some((overtaken, version)) = overtaken.zip(decision.version.as_ref()) {
        explanation.insert(0, format!("{} {overtaken}", version.tag));
    }
    Decided { id: id.to_string(), decided_at, outcome, version: decision.version, explanation }
}

/// The pull request of a decision, and what it brings.
pub(crate) fn offered(decision: &Decision) -> Option<Offered> {
    decision.reasons.iter().find_map(|reason| match reason {
        Reason::InPullRequest { version, number } => Some(Offered { number: *number, version: version.clone() }),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_model::{BranchKey, Person, PutBy, Until, Wish};

    fn version(tag: &str) -> Version {
        Version { tag: tag.parse().unwrap(), digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap() }
    }

    fn place(environment: &str, entry: &str) -> Place {
        (TenantName::default(), "config".parse().unwrap(), environment.parse().unwrap(), entry.parse().unwrap())
    }

    fn ran(tag: &str, until: Option<Timestamp>) -> Ran {
        Ran {
            version: version(tag),
            since: Timestamp(7),
            until,
            by: PutBy::Others,
            commit: None,
            taken_back: false,
            rollout: None,
        }
    }

    fn offer() -> DecisionRecord {
        let reason = Reason::InPullRequest { version: version("1.5.0"), number: 12 };
        DecisionRecord {
            id: "d-1".parse().unwrap(),
            key: BranchKey {
                tenant: TenantName::default(),
                repository: "config".parse().unwrap(),
                branch: "main".parse().unwrap(),
            },
            head: "a".repeat(40).parse().unwrap(),
            decided_at: Timestamp(9),
            decision: Decision {
                environment: "prod".parse().unwrap(),
                entry: "web".parse().unwrap(),
                image: "ghcr.io/acme/web".parse().unwrap(),
                current: vec!["1.4.0".to_owned()],
                outcome: Outcome::Offered,
                version: Some(version("1.5.0")),
                reasons: vec![reason],
                gates: Vec::new(),
            },
            commit: None,
        }
    }

    fn freeze(environment: Option<&str>) -> Hold {
        Hold {
            id: "h-1".parse().unwrap(),
            environment: environment.map(|name| name.parse().unwrap()),
            entry: None,
            wish: Wish::Freeze,
            by: Person::operator("Ann"),
            why: None,
            since: Timestamp(0),
            until: Until::Released,
        }
    }

    #[test]
    fn an_environment_shows_what_runs_what_is_offered_and_what_holds_it() {
        let places = BTreeMap::from([
            (place("dev", "web"), Known { ran: Some(ran("1.5.0", None)), decision: None }),
            (place("prod", "api"), Known { ran: Some(ran("2.0.0", Some(Timestamp(8)))), decision: None }),
            (place("prod", "web"), Known { ran: Some(ran("1.4.0", None)), decision: Some(offer()) }),
        ]);
        let holds = [(TenantName::default(), "config".parse().unwrap(), freeze(Some("prod")))];
        let board = shown(places, &holds);
        let names: Vec<(&str, usize)> =
            board.iter().map(|shown| (shown.environment.as_str(), shown.images.len())).collect();
        assert_eq!(names, [("dev", 1), ("prod", 2)]);
        let [dev, prod] = board.as_slice() else { panic!() };
        assert_eq!(dev.images[0].version, Some(version("1.5.0")));
        assert!(dev.images[0].holds.is_empty());
        assert_eq!(prod.images[0].version, None, "it runs no longer");
        let web = &prod.images[1];
        assert_eq!(web.offered.as_ref().map(|offered| offered.number), Some(12));
        assert_eq!((web.version.clone(), web.since), (Some(version("1.4.0")), Some(Timestamp(7))));
        assert!(web.holds[0].words.starts_with("all of prod is frozen by operator Ann"), "{}", web.holds[0].words);
        assert_eq!(web.next.words, "frozen: 1.5.0 in #12");
        let told = serde_json::to_value(web).unwrap();
        assert_eq!((&told["holds"][0]["wish"], &told["decision"]["outcome"]), (&json!("freeze"), &json!("offered")));
    }

    #[test]
    fn what_was_merged_since_runs_and_is_offered_no_longer() {
        let places = BTreeMap::from([(
            place("prod", "web"),
            Known { ran: Some(Ran { since: Timestamp(11), ..ran("1.5.0", None) }), decision: Some(offer()) },
        )]);
        let board = shown(places, &[]);
        let web = &board[0].images[0];
        assert!(web.offered.is_none() && web.gates.is_empty());
        assert_eq!((web.current.as_slice(), web.next.words.as_str()), (&["1.5.0".to_owned()][..], "nothing newer"));
        let decision = web.decision.as_ref().unwrap();
        assert_eq!(decision.outcome, Outcome::Nothing);
        assert!(decision.explanation[0].starts_with("1.5.0 runs since "), "{:?}", decision.explanation);
    }

    #[test]
    fn what_was_refused_is_offered_no_longer() {
        let places =
            BTreeMap::from([(place("prod", "web"), Known { ran: Some(ran("1.4.0", None)), decision: Some(offer()) })]);
        let wish = Wish::Refuse { version: version("1.5.0"), pull_request: 12 };
        let holds = [(TenantName::default(), "config".parse().unwrap(), Hold { wish, ..freeze(Some("prod")) })];
        let board = shown(places, &holds);
        let web = &board[0].images[0];
        assert!(web.offered.is_none());
        assert_eq!(
            (web.current.as_slice(), web.next.words.as_str()),
            (&["1.4.0".to_owned()][..], "1.5.0 refused (#12 was closed)")
        );
    }
}
