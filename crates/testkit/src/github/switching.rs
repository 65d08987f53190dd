//! The switches of a running fake, for tests.

use std::time::Duration;

use serde_json::Value;
use tagboat_model::Timestamp;

use super::FakeGithub;

impl FakeGithub {
    /// Where events are sent from now on, and the secret that signs them.
    pub fn set_webhook(&self, url: &str, secret: &str) {
        self.shared.state().webhook = Some((url.to_owned(), secret.to_owned()));
    }

    /// Whether events are lost on their way. They are in the list of deliveries as failed.
    pub fn lose_webhooks(&self, lose: bool) {
        self.shared.state().switches.lose_webhooks = lose;
    }

    /// All tokens of installations are over.
    pub fn expire_tokens(&self) {
        let mut state = self.shared.state();
        state.tokens.iter_mut().for_each(|token| token.expires = Timestamp(0));
    }

    /// Move the fake's clock.
    pub fn advance(&self, time: Duration) {
        self.shared.state().ahead += time;
    }

    /// Listings do not show changes that are younger than this.
    pub fn list_lag(&self, lag: Duration) {
        self.shared.state().switches.lag = lag;
    }

    /// What is left of the primary limit. At 0 every request is refused; nothing is plenty again.
    pub fn set_rate_limit(&self, remaining: Option<u64>) {
        self.shared.state().switches.remaining = remaining;
    }

    /// The next requests run into the secondary limit, with this status (403 or 429) and `Retry-After`.
    pub fn secondary_limit(&self, status: u16, retry_after: u64, requests: usize) {
        self.shared.state().switches.secondary = (requests > 0).then_some((status, retry_after, requests));
    }

    /// The next requests are answered with this status and have no effect.
    pub fn break_down(&self, status: u16, requests: usize) {
        self.break_down_at("", status, requests);
    }

    /// The same for requests whose method and path, or operation, have `what` in them.
    pub fn break_down_at(&self, what: &str, status: u16, requests: usize) {
        let mut state = self.shared.state();
        state.switches.broken = (requests > 0).then_some((status, requests));
        what.clone_into(&mut state.switches.broken_at);
    }

    /// The next writes take effect, and the connection ends without an answer.
    pub fn lose_answers(&self, writes: usize) {
        self.lose_answers_to("", writes);
    }

    /// The same for writes whose method and path, or operation, have `what` in them.
    pub fn lose_answers_to(&self, what: &str, writes: usize) {
        let mut state = self.shared.state();
        state.switches.lost_answers = writes;
        what.clone_into(&mut state.switches.lost_answers_to);
    }

    /// Change answers before they are validated, to show that this is seen.
    ///
    /// # Panics
    /// When an earlier one panicked.
    pub fn tamper(&self, tamper: impl FnMut(&mut Value) + Send + 'static) {
        *self.shared.tamper.lock().unwrap() = Some(Box::new(tamper));
    }

    /// Suspend the App on an account, or let it work again; the App is told.
    pub fn suspend(&self, owner: &str, suspended: bool) {
        self.shared.act(|state| {
            let found = state.installations.iter_mut().find(|installation| installation.account == owner);
            let Some(installation) = found else { return };
            installation.suspended = suspended;
            let id = installation.id;
            if suspended {
                let repositories = state.repositories.iter().filter(|repository| repository.owner == owner);
                let ids: Vec<u64> = repositories.map(|repository| repository.id).collect();
                state.tokens.retain(|token| !token.repositories.iter().any(|known| ids.contains(known)));
            }
            state.emit_installation(id, if suspended { "suspend" } else { "unsuspend" });
        });
    }
}
