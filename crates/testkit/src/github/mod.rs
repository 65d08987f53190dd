//! A GitHub on this machine: repositories are real, and whatever is asked or answered is what GitHub describes.
//!
//! Every request and answer of the REST API is held against GitHub's OpenAPI description, every webhook against the
//! published schemas, every GraphQL document against the public schema (the folder `github-api`). [`FakeGithub::finish`]
//! fails when one was not as described, and so does the end of the value.
//!
//! What it does not do: forks, teams as reviewers, rule sets, deployments, search, rename of repositories, contents of
//! checks' annotations. Numbers of changed lines are always 0.

mod answer;
mod auth;
mod checks;
mod description;
mod git_http;
mod graphql;
mod issues;
mod manifest;
mod people;
mod pulls;
mod render;
mod render_pulls;
mod rest;
mod server;
mod setup;
mod skeleton;
mod state;
mod store;
mod switches;
mod switching;
mod validate;
mod webhooks;
mod world;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::Value;
use tokio::sync::{
    mpsc::{UnboundedSender, unbounded_channel},
    oneshot,
};

use self::{answer::Answer, state::State, webhooks::Outgoing};
pub use self::{
    answer::Seen,
    people::{Person, Verdict},
    setup::{Protection, RepositorySetup, Setup},
};

/// Changes an answer before it is validated.
type Tamper = Box<dyn FnMut(&mut Value) + Send>;

/// A running GitHub. It ends with the value, which fails when something was not as GitHub describes it.
pub struct FakeGithub {
    shared: Arc<Shared>,
    finished: bool,
    /// Dropping it stops the server.
    _stop: oneshot::Sender<()>,
}

/// What the server and the test have in common.
struct Shared {
    memory: Mutex<State>,
    tamper: Mutex<Option<Tamper>>,
    events: UnboundedSender<Outgoing>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.memory.lock().unwrap()
    }

    /// Do something and send what it caused.
    fn act<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = act(&mut state);
        for outgoing in state.outgoing() {
            // Nobody is there to send it when the fake ends.
            let _ = self.events.send(outgoing);
        }
        result
    }

    fn tampered(&self, answer: &mut Answer) {
        if let (Some(tamper), Some(body)) = (self.tamper.lock().unwrap().as_mut(), answer.body.as_mut()) {
            tamper(body);
        }
    }
}

impl fmt::Debug for FakeGithub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeGithub").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl FakeGithub {
    /// Start it on a free port.
    ///
    /// # Panics
    /// When no port can be bound, or git fails.
    #[must_use]
    pub fn start(setup: &Setup) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (events, queue) = unbounded_channel();
        let memory = Mutex::new(world::build(setup, &base));
        let shared = Arc::new(Shared { memory, tamper: Mutex::new(None), events });
        let (stop, stopped) = oneshot::channel::<()>();
        let served = Arc::downgrade(&shared);
        // A thread of its own: a test that waits for a process must not keep that process waiting for GitHub.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::spawn(webhooks::send_all(served.clone(), queue));
                let router = axum::Router::new().fallback(server::serve).with_state(served);
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    // An error means that the value is gone, which is a stop as well.
                    _ = stopped => {}
                }
            });
        });
        Self { shared, finished: false, _stop: stop }
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.shared.state().base.clone()
    }

    /// The address of its REST API, as GitHub Enterprise has it. Below [`Self::url`] it is as well.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}/api/v3", self.url())
    }

    /// The address from which `owner/name` is cloned.
    #[must_use]
    pub fn git_url(&self, repository: &str) -> String {
        format!("{}/{repository}.git", self.url())
    }

    /// The App's numeric id.
    #[must_use]
    pub fn app_id(&self) -> u64 {
        state::APP_ID
    }

    /// The App's private key as PEM.
    #[must_use]
    pub fn app_key(&self) -> &'static str {
        auth::APP_KEY
    }

    /// A token with which the App speaks in its own name.
    #[must_use]
    pub fn app_token(&self) -> String {
        auth::app_token(self.shared.state().seconds())
    }

    /// The same, signed with another key.
    #[must_use]
    pub fn app_token_of_stranger(&self) -> String {
        auth::token_of_stranger(self.shared.state().seconds())
    }

    /// The id of the installation on an account.
    ///
    /// # Panics
    /// When the App is not installed there.
    #[must_use]
    pub fn installation(&self, owner: &str) -> u64 {
        self.shared.state().installation_of(owner).expect("the App is installed there").id
    }

    /// The folder of the bare repository `owner/name`.
    #[must_use]
    pub fn folder(&self, repository: &str) -> PathBuf {
        let state = self.shared.state();
        state.repositories[state.place_of(repository)].folder.clone()
    }

    /// The commit at the head of a branch.
    #[must_use]
    pub fn head(&self, repository: &str, branch: &str) -> Option<String> {
        store::commit(&self.folder(repository), &format!("refs/heads/{branch}"))
    }

    /// A file as text, at a branch or a commit.
    #[must_use]
    pub fn file(&self, repository: &str, at: &str, path: &str) -> Option<String> {
        let bytes = store::file(&self.folder(repository), at, path)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The message of a commit.
    #[must_use]
    pub fn message(&self, repository: &str, commit: &str) -> String {
        store::describe(&self.folder(repository), commit).message
    }

    /// A pull request as the REST API shows it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn pull(&self, repository: &str, number: u64) -> Value {
        let state = self.shared.state();
        let repository = &state.repositories[state.place_of(repository)];
        render_pulls::pull(&state, repository, repository.issue(number).expect("a pull request"))
    }

    /// The numbers of all pull requests that are open.
    #[must_use]
    pub fn open_pulls(&self, repository: &str) -> Vec<u64> {
        let state = self.shared.state();
        state.open_pulls(state.place_of(repository))
    }

    /// An issue or pull request as the REST API shows issues.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn issue(&self, repository: &str, number: u64) -> Value {
        let state = self.shared.state();
        let repository = &state.repositories[state.place_of(repository)];
        render_pulls::issue(&state, repository, repository.issue(number).expect("an issue"))
    }

    /// Author and text of the comments on an issue or pull request.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn comments(&self, repository: &str, number: u64) -> Vec<(String, String)> {
        let state = self.shared.state();
        let issue = state.repositories[state.place_of(repository)].issue(number).expect("an issue");
        issue.comments.iter().map(|comment| (comment.author.clone(), comment.body.clone())).collect()
    }

    /// Somebody who does something.
    ///
    /// # Panics
    /// When nobody is called so.
    #[must_use]
    pub fn person(&self, login: &str) -> Person<'_> {
        let login = self.shared.state().account(login).expect("a person of the set-up").login.clone();
        Person::new(&self.shared, login)
    }

    /// The pull requests in the merge queue are merged.
    pub fn run_merge_queue(&self, repository: &str) {
        self.shared.act(|state| {
            let place = state.place_of(repository);
            state.run_queue(place);
        });
    }

    /// Everything that was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.state().requests.clone()
    }

    /// What was changed so far: requests that write and were not refused. New tokens do not count.
    #[must_use]
    pub fn writes(&self) -> Vec<Seen> {
        let mut requests = self.requests();
        requests.retain(|seen| {
            let reads = seen.method == "GET" || seen.operation.starts_with("query") || seen.operation == "graphql";
            let of_app = seen.operation.contains("/access_tokens") || seen.path.ends_with("git-upload-pack");
            seen.status < 300 && !reads && !of_app
        });
        requests
    }

    /// Events so far: name, action, and the status that the App answered (0 while it is on its way).
    #[must_use]
    pub fn deliveries(&self) -> Vec<(String, Option<String>, u16)> {
        let state = self.shared.state();
        let deliveries = state.deliveries.iter().map(|delivery| {
            let status = delivery.outcome.as_ref().map_or(0, |(code, _)| *code);
            (delivery.event.clone(), delivery.action.clone(), status)
        });
        deliveries.collect()
    }

    /// What was not as GitHub describes it, so far; from now on it is forgiven.
    #[must_use]
    pub fn take_failures(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.state().failures)
    }

    /// The end.
    ///
    /// # Panics
    /// When a request or an answer was not as GitHub describes it.
    pub fn finish(mut self) {
        self.finished = true;
        let failures = self.take_failures();
        assert!(failures.is_empty(), "not as GitHub describes it:\n{}", failures.join("\n"));
    }
}

impl Drop for FakeGithub {
    fn drop(&mut self) {
        // After a panic the lock may be poisoned, and the first failure is the one to read.
        if self.finished || std::thread::panicking() {
            return;
        }
        let failures = self.take_failures();
        assert!(failures.is_empty(), "not as GitHub describes it:\n{}", failures.join("\n"));
    }
}
