//! Pull requests and what stands around them at a forge: accounts, reviews, checks, comments.
//!
//! Plain data, the same for every forge. Who fetches it is `tagboat-forge`; what follows from it, `tagboat-promotion`.

use serde::{Deserialize, Serialize};

use crate::{BranchName, CommitId, Person, Timestamp};

/// What a forge has, and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgeTraits {
    /// Its kind.
    pub kind: ForgeKind,
    /// The address of the repository for people, without a slash at its end.
    pub web: String,
    /// Whether a pull request can be a draft.
    pub drafts: bool,
    /// What stands before a number: `#`, at GitLab `!`.
    pub sigil: char,
}

/// The kinds of forges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ForgeKind {
    /// GitHub, also an Enterprise server.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea.
    Gitea,
    /// Forgejo.
    Forgejo,
}

/// An account at a forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The number that is never given to another.
    pub id: u64,
    /// The name it has now.
    pub login: String,
    /// Whether a program acts under it.
    pub is_bot: bool,
}

impl Account {
    /// The person that it is.
    #[must_use]
    pub fn person(&self) -> Person {
        Person { name: self.login.clone(), account: Some(self.id.to_string()) }
    }
}

/// A pull request as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its address for people.
    pub url: String,
    /// Who opened it.
    pub author: Account,
    /// Its branch.
    pub head: BranchName,
    /// Where that stands.
    pub head_commit: CommitId,
    /// The branch it goes into.
    pub base: BranchName,
    /// Open, merged or closed.
    pub state: PullState,
    /// Whether it is a draft.
    pub draft: bool,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether the forge is about to merge it: auto-merge is on, or it waits in a queue.
    pub merging: bool,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// How far a pull request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PullState {
    /// It waits.
    Open,
    /// It was merged.
    Merged,
    /// It was closed and not merged.
    Closed,
}

/// What a pull request is to carry beside its text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decoration {
    /// Labels, by name; those that are not there are made where the forge lets us.
    pub labels: Vec<String>,
    /// Reviewers: accounts, or `team/name`.
    pub reviewers: Vec<String>,
    /// Assignees: accounts.
    pub assignees: Vec<String>,
    /// Milestone, by title.
    pub milestone: Option<String>,
}

/// The ways to merge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MergeMethod {
    /// With a commit of its own.
    #[default]
    Merge,
    /// As one commit.
    Squash,
    /// By putting the commits on top.
    Rebase,
}

/// A review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Whose.
    pub by: Account,
    /// What it says.
    pub state: ReviewState,
    /// The commit that was looked at, where the forge says it.
    pub commit: Option<CommitId>,
}

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewState {
    /// Yes.
    Approved,
    /// Not so.
    ChangesRequested,
    /// Neither.
    Other,
}

/// A comment on a pull request or an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its id.
    pub id: u64,
    /// Whose.
    pub by: Account,
    /// Its text as it is now.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// Whether it was changed since.
    pub edited: bool,
}

/// What an account may do in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Permission {
    /// Nothing, or what everybody may.
    None,
    /// Read.
    Read,
    /// Read, and sort issues and pull requests.
    Triage,
    /// Push.
    Write,
    /// Push, and most of the settings.
    Maintain,
    /// Everything.
    Admin,
}

/// A commit status or a check run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its name (the context of a status).
    pub name: String,
    /// What it says.
    pub state: CheckState,
    /// In words, one line.
    pub text: String,
    /// Where there is more.
    pub url: Option<String>,
}

/// What a check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckState {
    /// Not yet.
    Pending,
    /// Green. Neutral and skipped ones count as green, as branch protection has it.
    Success,
    /// Red.
    Failure,
}

/// What lies between two revisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Where people can look at it.
    pub url: String,
    /// How many commits there are.
    pub total: usize,
    /// The newest of them, newest first: id and subject.
    pub commits: Vec<(String, String)>,
}
