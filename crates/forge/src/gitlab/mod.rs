//! GitLab: merge requests as pull requests, notes as comments, commit statuses as checks. gitlab.com or a server of
//! one's own, with a token of a person, project or group (scope `api`).
//!
//! Format: GitLab's REST interface, version 4, as documented under "REST API resources". A change of a list (labels,
//! reviewers) adds to it and takes nothing away. Whether a merge makes a commit of its own or puts the commits on top is a
//! setting of the project, which no request can change.

mod commits;
mod issues;
mod notes;
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

/// A repository at GitLab.
pub struct GitlabForge {
    rest: Rest,
    repository: String,
    name: String,
    bot: OnceCell<Account>,
}

impl fmt::Debug for GitlabForge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitlabForge").field("repository", &self.repository).finish_non_exhaustive()
    }
}

impl GitlabForge {
    /// The repository that the settings name.
    ///
    /// # Errors
    /// [`ForgeError`] when the address, the path, a certificate or the proxy cannot be used.
    pub fn new(
        settings: &TokenSettings,
        transport: &TransportSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ForgeError> {
        let fail = |failure: Failure| failure.about("set up", &settings.name);
        let repository = settings.repository.trim_matches('/').to_owned();
        if !repository.contains('/') || repository.split('/').any(str::is_empty) {
            return Err(fail(Failure::permanent(
                "a repository at GitLab is named `group/name` or `group/subgroup/name`",
            )));
        }
        let dialect = Dialect { forge: "GitLab", api: "/api/v4", scheme: "Bearer", page: ("per_page", 100) };
        let rest = Rest::new(settings, transport, clock, dialect).map_err(fail)?;
        Ok(Self { rest, repository, name: settings.name.clone(), bot: OnceCell::new() })
    }

    /// A path below the project.
    fn path(&self, rest: &str) -> String {
        format!("/projects/{}{rest}", encoded(&self.repository))
    }

    fn fail(&self, operation: &'static str) -> impl Fn(Failure) -> ForgeError {
        move |failure| failure.about(operation, &self.name)
    }
}

#[async_trait]
impl Forge for GitlabForge {
    fn traits(&self) -> ForgeTraits {
        let web = format!("{}/{}", self.rest.web, self.repository);
        ForgeTraits { kind: ForgeKind::Gitlab, web, drafts: true, sigil: '!' }
    }

    async fn bot(&self) -> Result<Account, ForgeError> {
        self.who_am_i().await.map_err(self.fail("ask who the bot is at"))
    }

    async fn pull_requests(&self) -> Result<Vec<PullRequest>, ForgeError> {
        self.list_pulls().await.map_err(self.fail("list the merge requests of"))
    }

    async fn pull_request(&self, number: u64) -> Result<Option<PullRequest>, ForgeError> {
        self.read_pull(number).await.map_err(self.fail("read a merge request of"))
    }

    async fn open_pull_request(&self, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        self.open_pull(new).await.map_err(self.fail("open a merge request in"))
    }

    async fn edit_pull_request(&self, number: u64, edit: &PullRequestEdit) -> Result<(), ForgeError> {
        self.edit_pull(number, edit).await.map_err(self.fail("change a merge request of"))
    }

    async fn decorate(&self, number: u64, decoration: &Decoration) -> Result<Vec<String>, ForgeError> {
        self.decorate_pull(number, decoration).await.map_err(self.fail("label a merge request of"))
    }

    async fn merge(&self, number: u64, merge: &Merge) -> Result<Merged, ForgeError> {
        self.merge_pull(number, merge).await.map_err(self.fail("merge a merge request of"))
    }

    async fn set_auto_merge(&self, number: u64, merge: &Merge, wanted: bool) -> Result<AutoMerge, ForgeError> {
        let outcome =
            if wanted { self.enable_auto_merge(number, merge).await } else { self.disable_auto_merge(number).await };
        outcome.map_err(self.fail("set auto-merge of a merge request of"))
    }

    async fn reviews(&self, number: u64) -> Result<Vec<Review>, ForgeError> {
        self.list_reviews(number).await.map_err(self.fail("list the approvals of a merge request of"))
    }

    async fn comments(&self, number: u64, since: Option<Timestamp>) -> Result<Vec<Comment>, ForgeError> {
        self.list_comments(number, since).await.map_err(self.fail("list the comments on a merge request of"))
    }

    async fn comment(&self, number: u64, mark: &str, body: &str) -> Result<(), ForgeError> {
        self.write_comment(number, mark, body).await.map_err(self.fail("comment on a merge request of"))
    }

    async fn permission(&self, account: &Account) -> Result<Permission, ForgeError> {
        self.ask_permission(account).await.map_err(self.fail("ask what somebody may do in"))
    }

    async fn is_member(&self, team: &str, account: &Account) -> Result<bool, ForgeError> {
        self.ask_membership(team, account).await.map_err(self.fail("ask for the members of a group of the owner of"))
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
        self.list_changed_paths(number).await.map_err(self.fail("list what a merge request changes in"))
    }

    async fn file_at(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, ForgeError> {
        self.read_file(commit, path).await.map_err(self.fail("read a file of"))
    }

    async fn compare(&self, source: &str, from: &str, to: &str) -> Result<Option<Comparison>, ForgeError> {
        self.compare_revisions(source, from, to).await.map_err(self.fail("compare revisions for"))
    }
}
