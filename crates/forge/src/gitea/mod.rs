//! Gitea and Forgejo: with the token of an account that belongs to the bot alone.
//!
//! Format: the interface `/api/v1` that both publish as Swagger. Where they differ from each other or from older
//! versions, both are understood: Gitea from 1.22, Forgejo from 8. Whether auto-merge is on is in no answer, so that
//! pull requests are never shown as being merged by the forge.

mod commits;
mod issues;
mod merging;
mod people;
mod pulls;
mod wire;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use tagboat_model::{
    Account, Check, Comment, CommitId, Comparison, Decoration, ForgeKind, ForgeTraits, Permission, PullRequest, Review,
    Timestamp,
};
use tagboat_ports::{
    AutoMerge, Clock, Forge, ForgeError, Issue, Merge, Merged, NewPullRequest, PullRequestEdit, Report,
};
use tokio::sync::OnceCell;

pub use crate::rest::TokenSettings;
use crate::{
    TransportSettings,
    comments::Comments as _,
    error::Failure,
    http::encoded,
    rest::{Dialect, Rest},
};

/// A repository at Gitea or Forgejo.
pub struct GiteaForge {
    rest: Rest,
    kind: ForgeKind,
    owner: String,
    repository: String,
    name: String,
    bot: OnceCell<Account>,
}

impl fmt::Debug for GiteaForge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let full_name = format!("{}/{}", self.owner, self.repository);
        f.debug_struct("GiteaForge").field("repository", &full_name).finish_non_exhaustive()
    }
}

impl GiteaForge {
    /// The repository that the settings name. `kind` is [`ForgeKind::Gitea`] or [`ForgeKind::Forgejo`].
    ///
    /// # Errors
    /// [`ForgeError`] when the kind, the address, the path, a certificate or the proxy cannot be used.
    pub fn new(
        settings: &TokenSettings,
        kind: ForgeKind,
        transport: &TransportSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ForgeError> {
        let fail = |failure: Failure| failure.about("set up", &settings.name);
        let forge = match kind {
            ForgeKind::Gitea => "Gitea",
            ForgeKind::Forgejo => "Forgejo",
            ForgeKind::Github | ForgeKind::Gitlab => {
                return Err(fail(Failure::unsupported("this is spoken to Gitea and Forgejo only")));
            }
        };
        let named = settings.repository.trim_matches('/').split_once('/');
        let is_name = |(owner, name): &(&str, &str)| !owner.is_empty() && !name.is_empty() && !name.contains('/');
        let Some((owner, repository)) = named.filter(is_name) else {
            return Err(fail(Failure::permanent(format!("a repository at {forge} is named `owner/name`"))));
        };
        let dialect = Dialect { forge, api: "/api/v1", scheme: "token", page: ("limit", 50) };
        let rest = Rest::new(settings, transport, clock, dialect).map_err(fail)?;
        let (owner, repository, name) = (owner.to_owned(), repository.to_owned(), settings.name.clone());
        Ok(Self { rest, kind, owner, repository, name, bot: OnceCell::new() })
    }

    /// A path below the repository.
    fn path(&self, rest: &str) -> String {
        format!("/repos/{}/{}{rest}", encoded(&self.owner), encoded(&self.repository))
    }

    fn fail(&self, operation: &'static str) -> impl Fn(Failure) -> ForgeError {
        move |failure| failure.about(operation, &self.name)
    }
}

#[async_trait]
impl Forge for GiteaForge {
    fn traits(&self) -> ForgeTraits {
        let web = format!("{}/{}/{}", self.rest.web, self.owner, self.repository);
        ForgeTraits { kind: self.kind, web, drafts: true, sigil: '#' }
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
        self.list_checks(commit).await.map_err(self.fail("list the statuses of a commit of"))
    }

    async fn set_status(&self, commit: &CommitId, status: &Check) -> Result<(), ForgeError> {
        self.write_status(commit, status).await.map_err(self.fail("set a commit status in"))
    }

    async fn report(&self, commit: &CommitId, report: &Report) -> Result<(), ForgeError> {
        let (name, text) = (report.name.clone(), report.title.clone());
        let status = Check { name, state: report.state, text, url: None };
        self.write_status(commit, &status).await.map_err(self.fail("report on a commit of"))
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
