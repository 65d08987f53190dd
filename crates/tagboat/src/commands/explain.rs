//! `tagboat explain`: why an image was updated, or why nothing was done. Read from the database.

use std::{collections::BTreeSet, path::Path};

use serde_json::json;
use tagboat_model::{EventId, ImageName, Outcome, Reason};
use tagboat_ports::{BranchState, DecisionRecord, DecisionsAbout, EventRecord, Store, StoreError};

use crate::{
    cli::{Explain, Output},
    commands::server_file,
    exit::{Code, Failure},
    output::{self, BOLD, DIM, GREEN, RED, YELLOW, short, styled},
    wiring,
};

/// As far back as decisions about an image are looked for.
const MOST_DECISIONS: u32 = 1000;

pub(crate) async fn run(arguments: &Explain) -> Result<Code, Failure> {
    let file = server_file(&arguments.config)?;
    let url = wiring::database_url(&file);
    if url.strip_prefix("sqlite:").is_some_and(|path| !Path::new(path).is_file()) {
        return Err(Failure::invalid(format!(
            "there is no database at {url}; has the server run with this server file?"
        )));
    }
    let store = wiring::open_store(&file).await?;
    let failed = |error: StoreError| Failure::failed("the database cannot be read", &error);
    let event = match arguments.what.parse::<EventId>() {
        Ok(id) => store.event(&id).await.map_err(failed)?,
        Err(_) => None,
    };
    let branches = store.branches().await.map_err(failed)?;
    let decisions = match &event {
        Some(event) => {
            store.decisions(&DecisionsAbout::Event(event.id.clone()), MOST_DECISIONS).await.map_err(failed)?
        }
        None => newest_of_image(&*store, &arguments.what).await.map_err(failed)?,
    };
    if event.is_none() && decisions.is_empty() {
        let message = format!(
            "nothing is known of `{}`: it is neither the id of an event nor an image or image entry that was decided about",
            arguments.what
        );
        return Err(Failure { code: Code::Nothing, message });
    }
    match arguments.output {
        Output::Json => {
            output::line(json!({ "event": event, "decisions": decisions, "branches": branches }).to_string());
        }
        Output::Text => {
            explanation(event.as_ref(), &decisions, &branches).iter().for_each(output::line);
        }
    }
    Ok(Code::Ok)
}

/// The newest decision about an image for each branch and environment.
async fn newest_of_image(store: &dyn Store, what: &str) -> Result<Vec<DecisionRecord>, StoreError> {
    // Short names mean the same image as their long form.
    let image = what.parse::<ImageName>().map_or_else(|_| what.to_owned(), |image| image.to_string());
    let about = DecisionsAbout::Image { image, entry: what.to_owned() };
    let mut seen = BTreeSet::new();
    let mut decisions = store.decisions(&about, MOST_DECISIONS).await?;
    decisions.retain(|record| {
        let decision = &record.decision;
        seen.insert((record.key.clone(), decision.environment.clone(), decision.entry.clone()))
    });
    Ok(decisions)
}

/// The words, one line each.
fn explanation(event: Option<&EventRecord>, decisions: &[DecisionRecord], branches: &[BranchState]) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(event) = event {
        let what = styled(BOLD, format!("{}:{}", event.image, event.tag));
        lines.push(format!("{what} was announced to receiver {} at {}", event.receiver, event.received_at));
        if event.branches.is_empty() {
            lines.push("  nothing to do: no config repository asked for this image when it came".to_owned());
        }
        for (key, served) in &event.branches {
            let state = if *served { "served" } else { "waits" };
            lines.push(format!("  {key}: {state}"));
        }
    }
    for record in decisions {
        lines.push(String::new());
        lines.extend(about_decision(record, event));
    }
    for branch in branches {
        if let Some(problem) = &branch.problem {
            lines.push(String::new());
            lines.push(format!("{} {}: {problem}", styled(RED, "attention"), branch.key));
        }
    }
    lines
}

/// What was asked about stands first among the reasons.
fn about_decision(record: &DecisionRecord, event: Option<&EventRecord>) -> Vec<String> {
    let decision = &record.decision;
    let place = styled(BOLD, format!("{} in {}", decision.entry, decision.environment));
    let current = decision.current.join(", ");
    let version = decision.version.as_ref().map(|version| version.tag.to_string()).unwrap_or_default();
    let what = match (decision.outcome, &record.commit) {
        (Outcome::Update, Some(commit)) => {
            styled(GREEN, format!("{current} -> {version} in commit {}", short(commit.as_str())))
        }
        (Outcome::Update, None) => styled(YELLOW, format!("{current} -> {version}, not on the branch yet")),
        (Outcome::Nothing, _) => "nothing to do".to_owned(),
        (Outcome::Blocked, _) => styled(RED, "blocked"),
    };
    let mut lines = vec![format!("{place}: {what}")];
    let mut reasons: Vec<&Reason> = decision.reasons.iter().collect();
    reasons.sort_by_key(|reason| event.is_none_or(|event| reason.tag() != Some(&event.tag)));
    lines.extend(reasons.iter().map(|reason| format!("  - {reason}")));
    let (at, head, key) = (record.decided_at, short(record.head.as_str()), &record.key);
    lines.push(styled(DIM, format!("  {} at {at}, from commit {head} of {key}", record.id)));
    lines
}
