//! The status page: what is tracked, what happened last, what stands in the way. Works without scripts.

use askama::Template as _;
use axum::{
    extract::State,
    http::header,
    response::{Html, IntoResponse as _, Response},
};
use tagboat_model::{Outcome, Timestamp, Wish};
use tagboat_ports::{BranchState, DecisionRecord, DecisionsAbout, DeliveryRecord, EventRecord};

use crate::{
    Count, Counted, Server, api,
    board::{self, HeldIn, Running, Shown},
    next::State as NextState,
};

const ROWS: u32 = 25;

#[derive(askama::Template)]
#[template(path = "status.html")]
struct StatusPage {
    now: Timestamp,
    version: &'static str,
    branches: Vec<BranchState>,
    environments: Vec<Shown>,
    holds: Vec<HeldIn>,
    decisions: Vec<DecisionRecord>,
    events: Vec<EventRecord>,
    deliveries: Vec<DeliveryRecord>,
    /// Name, kind and counts; what belongs to none last.
    receivers: Vec<(String, &'static str, Vec<Count>)>,
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
        if let Some(overtaken) = self.overtaken(record) {
            return overtaken;
        }
        match (record.decision.outcome, &record.commit) {
            (Outcome::Update, Some(_)) => ("done", "updated"),
            (Outcome::Update, None) => ("waits", "on its way"),
            (Outcome::Nothing, _) => ("quiet", "nothing to do"),
            (Outcome::Offered, _) => ("waits", "offered"),
            (Outcome::Waiting, _) => ("waits", "waits"),
            (Outcome::Blocked, _) => ("alarm", "blocked"),
        }
    }

    /// What has become since of a version that was offered or waited.
    fn overtaken(&self, record: &DecisionRecord) -> Option<(&'static str, &'static str)> {
        let (key, decision) = (&record.key, &record.decision);
        let version = decision.version.as_ref()?;
        if !matches!(decision.outcome, Outcome::Offered | Outcome::Waiting) {
            return None;
        }
        let is_there = |shown: &&Shown| {
            shown.tenant == key.tenant
                && shown.repository == key.repository
                && shown.environment == decision.environment
        };
        let shown = self.environments.iter().find(is_there)?;
        let image = shown.images.iter().find(|image| image.entry == decision.entry)?;
        if image.version.as_ref() == Some(version) {
            return Some(("done", "runs"));
        }
        image.holds.iter().find_map(|told| match &told.hold.wish {
            Wish::Refuse { version: refused, .. } if refused == version => Some(("quiet", "refused")),
            Wish::Skip { version: skipped } if skipped == version => Some(("quiet", "skipped")),
            _ => None,
        })
    }

    /// ` in #12`
    fn pull_request(&self, record: &DecisionRecord) -> String {
        if self.overtaken(record).is_some() {
            return String::new();
        }
        board::offered(&record.decision).map(|offered| format!(" in #{}", offered.number)).unwrap_or_default()
    }

    /// What stands beside what an image runs: the class.
    fn next_class(&self, image: &Running) -> &'static str {
        match image.next.state {
            NextState::Updated => "done",
            NextState::Offered | NextState::Waiting | NextState::Held | NextState::Frozen => "waits",
            NextState::Unknown | NextState::Nothing | NextState::Refused | NextState::Skipped => "quiet",
            NextState::Blocked => "alarm",
        }
    }

    fn event_state(&self, event: &EventRecord) -> (&'static str, &'static str) {
        match (event.branches.is_empty(), event.branches.iter().all(|(_, served)| *served)) {
            (true, _) => ("quiet", "no config repository asked for it"),
            (false, true) => ("done", "served"),
            (false, false) => ("waits", "waits"),
        }
    }

    fn count_class(&self, count: &Count) -> &'static str {
        match count.outcome {
            Counted::Accepted => "done",
            // A sender that uses an id twice loses what it says the second time.
            Counted::Repeated if !count.reason.is_empty() => "alarm",
            Counted::Repeated | Counted::Ignored => "quiet",
            Counted::Postponed => "waits",
            Counted::Refused => "alarm",
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

/// Every receiver with its counts, then what was asked for and is none.
fn receivers(server: &Server) -> Vec<(String, &'static str, Vec<Count>)> {
    let all = server.counts.all();
    let of = |name: &str| all.iter().filter(|count| count.receiver == name).cloned().collect::<Vec<_>>();
    let known = server.doors.values().map(|door| {
        let receiver = door.receiver();
        (receiver.name.to_string(), receiver.kind.word(), of(receiver.name.as_str()))
    });
    let mut rows: Vec<_> = known.collect();
    let others = ["(unknown)", "(api)", "(others)"].map(|name| (name.to_owned(), "", of(name)));
    rows.extend(others.into_iter().filter(|(_, _, counts)| !counts.is_empty()));
    rows
}

pub(crate) async fn show(State(server): State<Server>) -> Response {
    let store = &server.store;
    let read = async {
        Ok(StatusPage {
            now: server.clock.now(),
            version: env!("CARGO_PKG_VERSION"),
            branches: store.branches().await?,
            environments: server.board().await?,
            holds: server.holds().await?,
            decisions: store.decisions(&DecisionsAbout::Anything, ROWS).await?,
            events: store.events(ROWS).await?,
            deliveries: store.deliveries(None, ROWS).await?,
            receivers: receivers(&server),
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
