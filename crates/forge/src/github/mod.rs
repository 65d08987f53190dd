//! GitHub: as an App or with a token, github.com or a server of one's own.
//!
//! Octocrab carries the requests; what is asked, what an answer means, limits, pages and retries are ours. Nothing is
//! written twice: what may have happened is looked for.

mod address;
mod app;
mod checks;
mod client;
mod comments;
mod commits;
mod compare;
mod connection;
mod deliveries;
mod git_data;
mod graphql;
mod issues;
mod limits;
mod manifest;
mod merging;
mod people;
mod pulls;
mod queue;
mod token;
mod wire;

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use lru::LruCache;
use secrecy::SecretString;
use tagboat_model::{
    Account, Check, Comment, CommitId, Comparison, Decoration, ForgeKind, ForgeTraits, Permission, PullRequest, Review,
    Timestamp,
};
use tagboat_ports::{
    AutoMerge, Clock, Forge, ForgeError, Issue, Merge, Merged, NewPullRequest, PullRequestEdit, Report,
};
use tokio::sync::OnceCell;

use self::{
    app::scope_of,
    client::{Client, Fixed},
    connection::Connection,
    limits::Limits,
    queue::Queue,
    token::Scope,
};
use crate::{TransportSettings, comments::Comments as _, error::Failure, http::encoded};

pub use self::{
    app::{AppIdentity, AppSettings, FoundRepository, GithubApp, Installation},
    commits::GithubCommits,
    deliveries::Sweep,
    manifest::{CreatedApp, EVENTS, convert_manifest, manifest},
};

/// Source repositories whose clients are remembered.
const MOST_SOURCES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(31);

/// A repository at GitHub.
pub struct GithubForge {
    client: Arc<Client>,
    owner: String,
    name: String,
    full_name: String,
    who: Who,
    bot: OnceCell<Account>,
    queue: Queue,
    /// Clients for source repositories of the same installation.
    sources: Mutex<LruCache<String, Arc<Client>>>,
}

/// As whom it is spoken to.
enum Who {
    App { app: Arc<GithubApp>, scope: Scope },
    Token,
}

impl fmt::Debug for GithubForge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubForge").field("repository", &self.full_name).finish_non_exhaustive()
    }
}

impl GithubForge {
    /// A repository that an App sees.
    #[must_use]
    pub fn new(app: &Arc<GithubApp>, repository: &FoundRepository) -> Self {
        let scope = scope_of(repository);
        let client = app.client(scope.clone());
        let who = Who::App { app: Arc::clone(app), scope };
        Self::build(client, &repository.owner, &repository.name, who)
    }

    /// The repository `owner/name` of the GitHub at `url`, with a token that somebody made.
    ///
    /// # Errors
    /// [`ForgeError`] when the address, the name, a certificate or the proxy cannot be used.
    pub fn with_token(
        url: &str,
        repository: &str,
        token: SecretString,
        transport: &TransportSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ForgeError> {
        let fail = |failure: Failure| failure.about("set up", repository);
        let named = repository.split_once('/').filter(|(owner, name)| !owner.is_empty() && !name.is_empty());
        let Some((owner, name)) = named.filter(|(_, name)| !name.contains('/')) else {
            return Err(fail(Failure::permanent("a repository at GitHub is named `owner/name`")));
        };
        let connection = Connection::new(url, transport).map_err(fail)?;
        let limits = Arc::new(Mutex::new(Limits::default()));
        let client = Client::new(connection, Arc::new(Fixed(Some(token))), limits, clock);
        Ok(Self::build(client, owner, name, Who::Token))
    }

    /// Let go of the token, unless it was fetched just now. Returns whether another one may be had.
    pub(crate) fn renew_token(&self) -> bool {
        match &self.who {
            Who::App { app, scope } => app.renew_token(scope),
            Who::Token => false,
        }
    }

    fn build(client: Client, owner: &str, name: &str, who: Who) -> Self {
        Self {
            client: Arc::new(client),
            owner: owner.to_owned(),
            name: name.to_owned(),
            full_name: format!("{owner}/{name}"),
            who,
            bot: OnceCell::new(),
            queue: Queue::default(),
            sources: Mutex::new(LruCache::new(MOST_SOURCES)),
        }
    }

    /// A path below the repository.
    fn path(&self, rest: &str) -> String {
        format!("/repos/{}/{}{rest}", encoded(&self.owner), encoded(&self.name))
    }

    fn fail(&self, operation: &'static str) -> impl Fn(Failure) -> ForgeError {
        move |failure| failure.about(operation, &self.full_name)
    }
}

#[async_trait]
impl Forge for GithubForge {
    fn traits(&self) -> ForgeTraits {
        let web = format!("{}/{}", self.client.connection.address.web, self.full_name);
        ForgeTraits { kind: ForgeKind::Github, web, drafts: true, sigil: '#' }
    }

    fn requests_left(&self) -> Option<u64> {
        self.client.requests_left()
    }

    async fn bot(&self) -> Result<Account, ForgeError> {
        self.who_am_i().await.map_err(self.fail("ask who the bot is at"))
    }

    async fn pull_requests(&self) -> Result<Vec<PullRequest>, ForgeError> {
        self.list_pulls().await.map_err(self.fail("list the pull requests of"))
    }

    async fn pull_request(&self, number: u64) -> Result<Option<PullRequest>, ForgeError> {
        self.read_pull(number).await.map_err(self.fail("read a pull request of"))
    }

    async fn open_pull_request(&self, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        self.open_pull(new).await.map_err(self.fail("open a pull request in"))
    }

    async fn edit_pull_request(&self, number: u64, edit: &PullRequestEdit) -> Result<(), ForgeError> {
        self.edit_pull(number, edit).await.map_err(self.fail("change a pull request of"))
    }

    async fn decorate(&self, number: u64, decoration: &Decoration) -> Result<Vec<String>, ForgeError> {
        self.decorate_pull(number, decoration).await.map_err(self.fail("label a pull request of"))
    }

    async fn merge(&self, number: u64, merge: &Merge) -> Result<Merged, ForgeError> {
        self.merge_pull(number, merge).await.map_err(self.fail("merge a pull request of"))
    }

    async fn set_auto_merge(&self, number: u64, merge: &Merge, wanted: bool) -> Result<AutoMerge, ForgeError> {
        let outcome =
            if wanted { self.enable_auto_merge(number, merge).await } else { self.disable_auto_merge(number).await };
        outcome.map_err(self.fail("set auto-merge of a pull request of"))
    }

    async fn reviews(&self, number: u64) -> Result<Vec<Review>, ForgeError> {
        self.list_reviews(number).await.map_err(self.fail("list the reviews of a pull request of"))
    }

    async fn comments(&self, number: u64, since: Option<Timestamp>) -> Result<Vec<Comment>, ForgeError> {
        self.list_comments(number, since).await.map_err(self.fail("list the comments on a pull request of"))
    }

    async fn comment(&self, number: u64, mark: &str, body: &str) -> Result<(), ForgeError> {
        self.write_comment(number, mark, body).await.map_err(self.fail("comment on a pull request of"))
    }

    async fn permission(&self, account: &Account) -> Result<Permission, ForgeError> {
        self.ask_permission(account).await.map_err(self.fail("ask what somebody may do in"))
    }

    async fn is_member(&self, team: &str, account: &Account) -> Result<bool, ForgeError> {
        self.ask_membership(team, account).await.map_err(self.fail("ask for the members of a team of the owner of"))
    }

    async fn checks(&self, commit: &CommitId) -> Result<Vec<Check>, ForgeError> {
        self.list_checks(commit).await.map_err(self.fail("list the checks of a commit of"))
    }

    async fn set_status(&self, commit: &CommitId, status: &Check) -> Result<(), ForgeError> {
        self.write_status(commit, status).await.map_err(self.fail("set a commit status in"))
    }

    async fn report(&self, commit: &CommitId, report: &Report) -> Result<(), ForgeError> {
        self.write_report(commit, report).await.map_err(self.fail("report on a commit of"))
    }

    async fn issue(&self, mark: &str) -> Result<Option<Issue>, ForgeError> {
        self.find_issue(mark).await.map_err(self.fail("look for an issue of"))
    }

    async fn write_issue(
        &self,
        number: Option<u64>,
        title: &str,
        body: &str,
        labels: &[String],
    ) -> Result<Issue, ForgeError> {
        self.put_issue(number, title, body, labels).await.map_err(self.fail("write an issue of"))
    }

    async fn changed_paths(&self, number: u64) -> Result<Vec<String>, ForgeError> {
        self.list_changed_paths(number).await.map_err(self.fail("list what a pull request changes in"))
    }

    async fn file_at(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, ForgeError> {
        self.read_file(commit, path).await.map_err(self.fail("read a file of"))
    }

    async fn compare(&self, source: &str, from: &str, to: &str) -> Result<Option<Comparison>, ForgeError> {
        self.compare_revisions(source, from, to).await.map_err(self.fail("compare revisions for"))
    }
}
