//! What the engine asks of a forge: pull requests and all that people see beside them.
//!
//! One value is one config repository at its forge. Every method may be called again after it failed or was cancelled:
//! what is there already is found and taken for done. Listings may lag behind; whoever acts on one checks by what it acts on.

use async_trait::async_trait;
use tagboat_model::{
    Account, BranchName, Check, CheckState, Comment, CommitId, Comparison, Decoration, Duration, ForgeTraits,
    MergeMethod, Permission, PullRequest, Review, Timestamp,
};
use thiserror::Error;

/// A config repository at its forge.
#[async_trait]
pub trait Forge: Send + Sync {
    /// What this forge has and calls things.
    fn traits(&self) -> ForgeTraits;

    /// How many more requests the forge answers for now, where it says so.
    fn requests_left(&self) -> Option<u64> {
        None
    }

    /// Who the bot is there.
    async fn bot(&self) -> Result<Account, ForgeError>;

    /// The pull requests whose branch starts with [`crate::BOT_BRANCHES`] and is of this repository: every open one, and of
    /// the others those that changed last (at most 100). In one or two requests, conditional ones where the forge knows them.
    async fn pull_requests(&self) -> Result<Vec<PullRequest>, ForgeError>;

    /// One pull request, read now; nothing where there is none of this number.
    async fn pull_request(&self, number: u64) -> Result<Option<PullRequest>, ForgeError>;

    /// Open a pull request, or find the open one of its head and base.
    async fn open_pull_request(&self, new: &NewPullRequest) -> Result<PullRequest, ForgeError>;

    /// Change what is given.
    async fn edit_pull_request(&self, number: u64, edit: &PullRequestEdit) -> Result<(), ForgeError>;

    /// Add labels, reviewers, assignees and a milestone. What the forge does not know is passed over and named in the answer.
    async fn decorate(&self, number: u64, decoration: &Decoration) -> Result<Vec<String>, ForgeError>;

    /// Merge now, if the head is still this commit.
    async fn merge(&self, number: u64, merge: &Merge) -> Result<Merged, ForgeError>;

    /// Have the forge merge once its own conditions are met (`true`), or no longer (`false`). Says no where it cannot.
    async fn set_auto_merge(&self, number: u64, merge: &Merge, wanted: bool) -> Result<AutoMerge, ForgeError>;

    /// The reviews that count, the newest of each person.
    async fn reviews(&self, number: u64) -> Result<Vec<Review>, ForgeError>;

    /// The comments, oldest first; those changed since `since` are all there.
    async fn comments(&self, number: u64, since: Option<Timestamp>) -> Result<Vec<Comment>, ForgeError>;

    /// Write a comment, unless the bot has one with this mark already. The mark is invisible and part of the text.
    async fn comment(&self, number: u64, mark: &str, body: &str) -> Result<(), ForgeError>;

    /// Whether the account may do what `wanted` says, asked of the forge now.
    async fn permission(&self, account: &Account) -> Result<Permission, ForgeError>;

    /// Whether the account belongs to a team of the repository's owner, `platform`.
    async fn is_member(&self, team: &str, account: &Account) -> Result<bool, ForgeError>;

    /// Commit statuses and check runs of a commit, the newest of each name.
    async fn checks(&self, commit: &CommitId) -> Result<Vec<Check>, ForgeError>;

    /// Set a commit status, unless it stands so already.
    async fn set_status(&self, commit: &CommitId, status: &Check) -> Result<(), ForgeError>;

    /// Report on a commit at length; a commit status with the title where the forge has nothing longer.
    async fn report(&self, commit: &CommitId, report: &Report) -> Result<(), ForgeError>;

    /// The bot's open issue whose body has this mark.
    async fn issue(&self, mark: &str) -> Result<Option<Issue>, ForgeError>;

    /// Open an issue, or change the one of this number.
    async fn write_issue(
        &self,
        number: Option<u64>,
        title: &str,
        body: &str,
        labels: &[String],
    ) -> Result<Issue, ForgeError>;

    /// The paths that a pull request changes, at most 3000.
    async fn changed_paths(&self, number: u64) -> Result<Vec<String>, ForgeError>;

    /// A file of a commit, also of a fork's that a pull request comes from; nothing where there is none.
    async fn file_at(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, ForgeError>;

    /// What lies between two revisions of a source repository, if it is at this forge and the bot may read it.
    async fn compare(&self, source: &str, from: &str, to: &str) -> Result<Option<Comparison>, ForgeError>;
}

/// A pull request to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPullRequest {
    /// Its branch, which is there.
    pub head: BranchName,
    /// The branch it goes into.
    pub base: BranchName,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Whether it is a draft, where the forge has them.
    pub draft: bool,
}

/// What is to change of a pull request. What is not given stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullRequestEdit {
    /// Its title.
    pub title: Option<String>,
    /// Its text.
    pub body: Option<String>,
    /// Whether it is open.
    pub open: Option<bool>,
    /// Whether it is a draft.
    pub draft: Option<bool>,
}

/// How a pull request is merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The head that was looked at.
    pub head: CommitId,
    /// How.
    pub method: MergeMethod,
    /// The message of the commit, where one is made.
    pub message: String,
}

/// What became of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// It is merged.
    Done,
    /// The head is another one now.
    HeadMoved,
    /// The forge says not (yet), with its words.
    NotNow(String),
}

/// What became of asking for auto-merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AutoMerge {
    /// It is as wanted.
    Set,
    /// There is nothing to wait for: it can be merged at once.
    MergeNow,
    /// The forge cannot, or the repository does not permit it, with its words.
    Unavailable(String),
}

/// A report on a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The name of the check.
    pub name: String,
    /// What it comes to.
    pub state: CheckState,
    /// One line.
    pub title: String,
    /// The text, in Markdown.
    pub summary: String,
    /// Remarks on lines of files.
    pub annotations: Vec<Annotation>,
}

/// A remark on a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The remark.
    pub message: String,
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its number.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgeErrorKind {
    /// It may work later: network, time-out, the forge's trouble, a limit of requests.
    Temporary,
    /// A person has to act: credential, permission, address.
    Permanent,
    /// The forge or this repository does not have it.
    Unsupported,
}

/// A forge did not do what was asked.
#[derive(Debug, Error)]
#[error("{operation} {repository}: {detail}")]
pub struct ForgeError {
    /// What was tried: `list the pull requests of`.
    pub operation: String,
    /// The repository.
    pub repository: String,
    /// What went wrong, and what to do where that is known. No secret is in it.
    pub detail: String,
    /// What kind of failure it is.
    pub kind: ForgeErrorKind,
    /// How long the forge asked us to wait.
    pub retry_after: Option<Duration>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}
