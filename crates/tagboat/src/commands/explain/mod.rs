//! `tagboat explain`: why an image was updated, or why nothing was done. Read from the database.
//!
//! `find` says what is meant by what was asked about, `present` what has happened since, `show` puts it into words.

mod find;
mod present;
mod show;

use serde_json::{Value, json};
use tagboat_ports::{BranchState, StoreError};

use crate::{
    cli::{Explain, Output},
    commands::{
        explain::{find::Found, present::Present},
        server_file,
        words::safe,
    },
    exit::{Code, Failure},
    output, wiring,
};

pub(crate) async fn run(arguments: &Explain) -> Result<Code, Failure> {
    let file = server_file(&arguments.config)?;
    let store = wiring::open_existing_store(&file).await?;
    let failed = |error: StoreError| Failure::failed("the database cannot be read", &error);
    let Some(found) = find::find(&*store, &arguments.what).await.map_err(failed)? else {
        let message = format!(
            "nothing is known of `{}`: it is neither the id of an event, a delivery or a decision, nor an image that \
             was heard of, nor an image or image entry that was decided about",
            safe(&arguments.what)
        );
        return Err(Failure { code: Code::Nothing, message });
    };
    let branches = store.branches().await.map_err(failed)?;
    let present = Present::read(&*store, &branches).await.map_err(failed)?;
    match arguments.output {
        Output::Json => output::line(in_json(&found, &branches).to_string()),
        Output::Text => show::in_words(&found, &branches, &present).iter().for_each(output::line),
    }
    Ok(Code::Ok)
}

/// Whatever was asked about, there are `event`, `decisions` and `branches`.
fn in_json(found: &Found, branches: &[BranchState]) -> Value {
    match found {
        Found::Event(story) => {
            json!({ "event": story.event, "decisions": story.decisions, "branches": branches })
        }
        Found::Delivery(delivery, events) => {
            let decisions: Vec<_> = events.iter().flat_map(|story| &story.decisions).collect();
            json!({
                "event": null, "delivery": delivery, "events": events, "decisions": decisions, "branches": branches,
            })
        }
        Found::Decision(decision, events) => {
            json!({ "event": null, "decisions": [decision], "events": events, "branches": branches })
        }
        Found::Image(story) => json!({
            "event": null, "decisions": story.newest(), "lastUpdates": story.updates(), "asked": story.asked,
            "namingTag": story.naming(), "branches": branches,
        }),
        Found::Heard(heard) => json!({ "event": null, "decisions": [], "heard": heard, "branches": branches }),
    }
}
