//! Events to the App: built whole, held against GitHub's published schemas, signed, sent in order, remembered.
//!
//! Headers and signature are those of docs.github.com, "Webhook events and payloads" and "Validating webhook deliveries".

use std::sync::{Arc, Weak};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{
    Shared,
    description::hooks,
    render,
    skeleton::filled_event,
    state::{APP_ID, Delivery, State},
};

/// The id of the App's webhook.
const HOOK_ID: u64 = 8_123_456;

/// A delivery, ready to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    index: usize,
    url: String,
    secret: String,
    event: String,
    guid: String,
    body: String,
    lost: bool,
}

impl State {
    /// Something happened in a repository. `name` is the event and its action as in the description
    /// (`pull-request-opened`).
    pub(super) fn emit(&mut self, place: usize, event: &str, name: &str, login: &str, values: Value) {
        let repository = &self.repositories[place];
        let (id, owner) = (repository.id, repository.owner.clone());
        let mut payload = json!({
            "repository": render::repository(self, repository),
            "sender": render::account(self, login),
            "organization": render::organization(self, &owner),
        });
        let installation = self.installation_of(&owner).map(|installation| installation.id);
        if let Some(installation) = installation {
            payload["installation"] = json!({ "id": installation, "node_id": format!("I_{installation}") });
        }
        merge(&mut payload, values);
        self.deliver(event, name, payload, installation, Some(id));
    }

    /// Put an event into the outbox.
    pub(super) fn deliver(
        &mut self,
        event: &str,
        name: &str,
        values: Value,
        installation: Option<u64>,
        repository: Option<u64>,
    ) {
        let Some(schema) = hooks().event(name) else {
            self.failures.push(format!("the fake sends the event {name}, which its excerpt does not have"));
            return;
        };
        let payload = filled_event(hooks(), schema, values);
        for error in hooks().errors(schema, &payload) {
            self.failures.push(format!("event {name} is not what GitHub describes: {error}"));
        }
        let action = payload["action"].as_str().map(str::to_owned);
        let id = self.id();
        let guid = format!("{id:08x}-0000-4000-8000-{id:012x}");
        let (event, at) = (event.to_owned(), self.now());
        let outcome = None;
        self.outbox.push(self.deliveries.len());
        let redelivery = false;
        self.deliveries.push(Delivery {
            id,
            guid,
            event,
            action,
            payload,
            installation,
            repository,
            at,
            redelivery,
            outcome,
        });
    }

    /// What waits to be sent. Without an address nothing is sent, as with an App without a webhook.
    pub(super) fn outgoing(&mut self) -> Vec<Outgoing> {
        let waiting = std::mem::take(&mut self.outbox);
        let Some((url, secret)) = self.webhook.clone() else { return Vec::new() };
        let lost = self.switches.lose_webhooks;
        let outgoing = waiting.into_iter().map(|index| {
            let delivery = &self.deliveries[index];
            Outgoing {
                index,
                url: url.clone(),
                secret: secret.clone(),
                event: delivery.event.clone(),
                guid: delivery.guid.clone(),
                body: delivery.payload.to_string(),
                lost,
            }
        });
        outgoing.collect()
    }
}

/// The keys of one object into another.
fn merge(target: &mut Value, values: Value) {
    let (Value::Object(target), Value::Object(values)) = (target, values) else { return };
    target.extend(values);
}

/// Send what comes, one after the other, until the fake is gone.
pub(super) async fn send_all(shared: Weak<Shared>, mut queue: UnboundedReceiver<Outgoing>) {
    let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(10)).build().unwrap();
    while let Some(outgoing) = queue.recv().await {
        let outcome = if outgoing.lost { (504, "timed out".to_owned()) } else { send(&client, &outgoing).await };
        let Some(shared) = shared.upgrade() else { return };
        record(&shared, outgoing.index, outcome);
    }
}

fn record(shared: &Arc<Shared>, index: usize, outcome: (u16, String)) {
    if let Some(delivery) = shared.state().deliveries.get_mut(index) {
        delivery.outcome = Some(outcome);
    }
}

async fn send(client: &reqwest::Client, outgoing: &Outgoing) -> (u16, String) {
    let mut mac = Hmac::<Sha256>::new_from_slice(outgoing.secret.as_bytes()).unwrap();
    mac.update(outgoing.body.as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let request = client
        .post(&outgoing.url)
        .header("content-type", "application/json")
        .header("user-agent", "GitHub-Hookshot/0000000")
        .header("x-github-event", &outgoing.event)
        .header("x-github-delivery", &outgoing.guid)
        .header("x-github-hook-id", HOOK_ID.to_string())
        .header("x-github-hook-installation-target-id", APP_ID.to_string())
        .header("x-github-hook-installation-target-type", "integration")
        .header("x-hub-signature-256", format!("sha256={signature}"))
        .body(outgoing.body.clone());
    match request.send().await {
        Ok(answer) if answer.status().is_success() => (answer.status().as_u16(), "OK".to_owned()),
        Ok(answer) => (answer.status().as_u16(), format!("Invalid HTTP Response: {}", answer.status().as_u16())),
        Err(_) => (502, "failed to connect to host".to_owned()),
    }
}
