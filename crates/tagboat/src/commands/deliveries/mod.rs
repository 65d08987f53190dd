//! `tagboat deliveries`: what senders sent. Read from the database, and written there by `replay` alone; a server that
//! runs on it sees that by itself.

mod replay;
mod show;

use serde::Serialize;
use serde_json::json;
use tagboat_model::DeliveryId;
use tagboat_ports::{DeliveryRecord, Store, StoreError, StoredDelivery};
use tagboat_server::TOO_LARGE;
use tagboat_settings::ServerFile;

use crate::{
    cli::{Deliveries, DeliveriesAction, Output},
    commands::{
        receiver_of, server_file,
        words::{count, safe},
    },
    exit::{Code, Failure},
    output::{self, BOLD, DIM, GREEN, RED, YELLOW, styled},
    wiring,
};

/// How many are listed when nothing is said.
const USUAL_LIMIT: u32 = 20;

pub(crate) async fn run(arguments: &Deliveries) -> Result<Code, Failure> {
    if arguments.action.is_some() && (arguments.receiver.is_some() || arguments.limit.is_some()) {
        return Err(Failure::invalid("`--receiver` and `--limit` say what is listed; leave them out here"));
    }
    let file = server_file(&arguments.config)?;
    let store = wiring::open_existing_store(&file).await?;
    match &arguments.action {
        None => list(&*store, &file, arguments).await,
        Some(DeliveriesAction::Show(show)) => show::run(&*store, show, arguments.output).await,
        Some(DeliveriesAction::Replay(replay)) => replay::run(&*store, &file, &replay.id, arguments.output).await,
    }
}

fn unreadable(error: &StoreError) -> Failure {
    Failure::failed("the database cannot be read", error)
}

/// One delivery, whole.
async fn whole(store: &dyn Store, id: &DeliveryId) -> Result<StoredDelivery, Failure> {
    let found = store.delivery(id).await.map_err(|error| unreadable(&error))?;
    found.ok_or_else(|| Failure::invalid(format!("there is no delivery `{id}`; `tagboat deliveries` lists them")))
}

/// The body of a delivery, or why there is none: it was too large, or was taken away since.
fn kept_body(delivery: &StoredDelivery) -> Result<&[u8], String> {
    let Some(body) = delivery.body.as_deref() else {
        return Err("the body was not kept: it is too old, or others needed the room".to_owned());
    };
    let too_large = delivery.record.reasons.iter().find(|reason| body.is_empty() && reason.contains(TOO_LARGE));
    too_large.map_or(Ok(body), |reason| Err(format!("the body was not kept: {}", safe(reason))))
}

/// That nothing can be done without the body of a delivery.
fn without_body(id: &DeliveryId, why: &str) -> Failure {
    Failure::invalid(format!("the delivery `{id}`: {why}"))
}

/// A delivery in a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(flatten)]
    record: DeliveryRecord,
    /// How many events it brought.
    events: usize,
    /// The delivery that was taken apart again.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay_of: Option<DeliveryId>,
}

async fn list(store: &dyn Store, file: &ServerFile, arguments: &Deliveries) -> Result<Code, Failure> {
    let (receiver, limit) = (arguments.receiver.as_ref(), arguments.limit.unwrap_or(USUAL_LIMIT));
    let records = store.deliveries(receiver, limit).await.map_err(|error| unreadable(&error))?;
    if let Some(name) = receiver.filter(|_| records.is_empty()) {
        // What one brought that is gone since can still be looked at.
        receiver_of(&arguments.config, file, name)?;
    }
    let mut rows = Vec::new();
    for record in records {
        let whole = store.delivery(&record.id).await.map_err(|error| unreadable(&error))?;
        let replay_of = whole.as_ref().and_then(|whole| replay::original(&whole.key));
        rows.push(Row { record, events: whole.map_or(0, |whole| whole.events.len()), replay_of });
    }
    match arguments.output {
        Output::Json => output::line(json!({ "deliveries": rows }).to_string()),
        Output::Text if rows.is_empty() => output::line("there are no deliveries"),
        Output::Text => in_words(&rows).iter().for_each(output::line),
    }
    Ok(if rows.is_empty() { Code::Nothing } else { Code::Ok })
}

/// One line each.
fn in_words(rows: &[Row]) -> Vec<String> {
    let sender = |row: &Row| sender(&row.record);
    let width = rows.iter().map(|row| sender(row).len()).max().unwrap_or(0);
    let line = |row: &Row| {
        let DeliveryRecord { id, received_at, .. } = &row.record;
        let what = [(row.events, "event"), (row.record.reasons.len(), "reason")];
        let mut what: Vec<String> =
            what.iter().filter(|(number, _)| *number > 0).map(|(number, what)| count(*number, what)).collect();
        what.extend(row.replay_of.as_ref().map(|original| format!("replay of {original}")));
        let verdict = verdict(&row.record.verdict, 10);
        format!("{}  {received_at}  {:<width$}  {verdict}  {}", styled(BOLD, id), sender(row), what.join(", "))
    };
    rows.iter().map(line).collect()
}

/// `registry (distribution)`
fn sender(record: &DeliveryRecord) -> String {
    match record.kind.as_str() {
        "" => record.receiver.to_string(),
        kind => format!("{} ({kind})", record.receiver),
    }
}

/// The word for a verdict, in its colour and at least so wide.
fn verdict(word: &str, width: usize) -> String {
    let style = match word {
        "accepted" => GREEN,
        "ignored" => DIM,
        "unparsable" => RED,
        _ => YELLOW,
    };
    styled(style, format!("{word:<width$}"))
}

#[cfg(test)]
mod tests {
    use tagboat_model::{TenantName, Timestamp, Trust};

    use super::*;

    fn row(receiver: &str, kind: &str, verdict: &str, reasons: usize, events: usize) -> Row {
        let record = DeliveryRecord {
            id: "dl-1".parse().unwrap(),
            tenant: TenantName::default(),
            receiver: receiver.parse().unwrap(),
            kind: kind.to_owned(),
            trust: Trust::Signed,
            verdict: verdict.to_owned(),
            reasons: vec!["because".to_owned(); reasons],
            received_at: Timestamp(1_795_662_000_000),
        };
        Row { record, events, replay_of: None }
    }

    #[test]
    fn a_list_says_when_from_whom_and_what_came_of_it() {
        let replay = Row { replay_of: replay::original("replay dl-0 rp-1"), ..row("ci", "generic", "accepted", 0, 1) };
        let rows = [row("ci", "generic", "accepted", 1, 2), row("registry", "", "ignored", 3, 0), replay];
        let lines: Vec<String> =
            in_words(&rows).iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert_eq!(
            lines,
            [
                "dl-1  2026-11-26T03:00:00Z  ci (generic)  accepted    2 events, 1 reason",
                "dl-1  2026-11-26T03:00:00Z  registry      ignored     3 reasons",
                "dl-1  2026-11-26T03:00:00Z  ci (generic)  accepted    1 event, replay of dl-0",
            ]
        );
    }
}
