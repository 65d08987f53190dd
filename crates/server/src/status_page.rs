//! The status page: what is tracked, what happened last, what stands in the way. Works without scripts.

use askama::Template as _;
use axum::{
    extract::State,
    http::header,
    response::{Html, IntoResponse as _, Response},
};
use tagboat_model::{Outcome, Timestamp};
use tagboat_ports::{BranchState, DecisionRecord, DecisionsAbout, DeliveryRecord, EventRecord};

use crate::{Refusal, Server, api};

const ROWS: u32 = 25;

#[derive(askama::Template)]
#[template(path = "status.html")]
struct StatusPage {
    now: Timestamp,
    version: &'static str,
    branches: Vec<BranchState>,
    decisions: Vec<DecisionRecord>,
    events: Vec<EventRecord>,
    deliveries: Vec<DeliveryRecord>,
    refusals: Vec<Refusal>,
}

impl StatusPage {
    /// `3 min ago`
    fn ago(&self, then: &Timestamp) -> String {
        let seconds = self.now.since(*then).milliseconds() / 1000;
        match seconds {
            0..60 => format!("{seconds} s ago"),
            60..3600 => format!("{} min ago", seconds / 60),
            3600..86400 => format!("{} h ago", seconds / 3600),
            _ => format!("{} d ago", seconds / 86400),
        }
    }

    fn outcome(&self, record: &DecisionRecord) -> (&'static str, &'static str) {
        match (record.decision.outcome, &record.commit) {
            (Outcome::Update, Some(_)) => ("done", "updated"),
            (Outcome::Update, None) => ("waits", "on its way"),
            (Outcome::Nothing, _) => ("quiet", "nothing to do"),
            (Outcome::Blocked, _) => ("alarm", "blocked"),
        }
    }

    fn event_state(&self, event: &EventRecord) -> (&'static str, &'static str) {
        match (event.branches.is_empty(), event.branches.iter().all(|(_, served)| *served)) {
            (true, _) => ("quiet", "no config repository asked for it"),
            (false, true) => ("done", "served"),
            (false, false) => ("waits", "waits"),
        }
    }

    fn branch_state(&self, branch: &BranchState) -> (&'static str, &'static str) {
        match (&branch.problem, branch.dirty) {
            (Some(_), _) => ("alarm", "needs attention"),
            (None, true) => ("waits", "work waits"),
            (None, false) => ("done", "up to date"),
        }
    }
}

pub(crate) async fn show(State(server): State<Server>) -> Response {
    let store = &server.store;
    let read = async {
        Ok(StatusPage {
            now: server.clock.now(),
            version: env!("CARGO_PKG_VERSION"),
            branches: store.branches().await?,
            decisions: store.decisions(&DecisionsAbout::Anything, ROWS).await?,
            events: store.events(ROWS).await?,
            deliveries: store.deliveries(ROWS).await?,
            refusals: server.refusals.all(),
        })
    };
    let page = match read.await {
        Ok(page) => page,
        Err(error) => return api::unavailable(&error),
    };
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "the status page could not be made");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

pub(crate) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../templates/style.css")).into_response()
}
