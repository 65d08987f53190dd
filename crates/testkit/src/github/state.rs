//! What the fake remembers: plain values. Files, commits and references are in real repositories.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tagboat_model::Timestamp;

use super::{answer::Seen, setup::Protection, switches::Switches};

/// The App's numeric id.
pub(super) const APP_ID: u64 = 4711;
/// The App's name in addresses.
pub(super) const APP_SLUG: &str = "tagboat";
/// The App's other id.
pub(super) const CLIENT_ID: &str = "Iv23liTagboatFake";
/// The account under which the App acts.
pub(super) const BOT: &str = "tagboat[bot]";

/// Everything.
pub(super) struct State {
    pub(super) folder: tempfile::TempDir,
    /// `http://127.0.0.1:PORT`.
    pub(super) base: String,
    pub(super) accounts: Vec<Account>,
    /// Organization, team and member.
    pub(super) teams: BTreeSet<[String; 3]>,
    pub(super) installations: Vec<Installation>,
    pub(super) repositories: Vec<Repository>,
    pub(super) tokens: Vec<Token>,
    /// Address and secret.
    pub(super) webhook: Option<(String, String)>,
    pub(super) deliveries: Vec<Delivery>,
    /// Deliveries that wait to be sent, as indexes.
    pub(super) outbox: Vec<usize>,
    /// Codes of manifests that were not converted yet.
    pub(super) manifests: BTreeMap<String, Value>,
    pub(super) switches: Switches,
    pub(super) requests: Vec<Seen>,
    pub(super) failures: Vec<String>,
    /// How far the fake's clock is ahead.
    pub(super) ahead: Duration,
    pub(super) last_id: u64,
}

/// A person, an organization or a bot.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) id: u64,
    pub(super) login: String,
    pub(super) kind: &'static str,
}

/// The App on an account.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    pub(super) id: u64,
    pub(super) account: String,
    pub(super) permissions: BTreeMap<String, String>,
    pub(super) suspended: bool,
}

/// A token of an installation.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) text: String,
    /// Ids.
    pub(super) repositories: Vec<u64>,
    pub(super) permissions: BTreeMap<String, String>,
    pub(super) expires: Timestamp,
}

/// A repository.
pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) default_branch: String,
    pub(super) protections: BTreeMap<String, Protection>,
    pub(super) merge_queue: bool,
    pub(super) allow_auto_merge: bool,
    pub(super) delete_branch_on_merge: bool,
    pub(super) allow_drafts: bool,
    /// Login and role.
    pub(super) people: BTreeMap<String, String>,
    /// As they were when somebody looked last.
    pub(super) references: BTreeMap<String, String>,
    pub(super) issues: Vec<Issue>,
    pub(super) statuses: Vec<Status>,
    pub(super) check_runs: Vec<CheckRun>,
    /// Name and id.
    pub(super) labels: BTreeMap<String, u64>,
    /// Title and id; the number is the place, from 1.
    pub(super) milestones: Vec<(String, u64)>,
}

/// An issue, or a pull request, which is one with more to it.
#[derive(Debug, Clone)]
pub(super) struct Issue {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) author: String,
    pub(super) labels: Vec<String>,
    pub(super) assignees: Vec<String>,
    pub(super) milestone: Option<u64>,
    pub(super) open: bool,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) closed: Option<Timestamp>,
    pub(super) comments: Vec<Comment>,
    pub(super) pull: Option<Pull>,
}

/// What makes an issue a pull request.
#[derive(Debug, Clone)]
pub(super) struct Pull {
    pub(super) id: u64,
    pub(super) head: String,
    pub(super) head_id: String,
    pub(super) base: String,
    pub(super) base_id: String,
    pub(super) draft: bool,
    pub(super) merged: Option<Merged>,
    pub(super) auto_merge: Option<AutoMerge>,
    pub(super) queued: bool,
    pub(super) reviewers: Vec<String>,
    pub(super) reviews: Vec<Review>,
}

/// How a pull request ended well.
#[derive(Debug, Clone)]
pub(super) struct Merged {
    pub(super) commit: String,
    pub(super) by: String,
    pub(super) at: Timestamp,
}

/// What was asked for, to be done when everything allows it.
#[derive(Debug, Clone)]
pub(super) struct AutoMerge {
    /// `merge`, `squash` or `rebase`.
    pub(super) method: String,
    pub(super) by: String,
    pub(super) at: Timestamp,
    pub(super) headline: Option<String>,
    pub(super) body: Option<String>,
}

/// A comment.
#[derive(Debug, Clone)]
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) author: String,
    pub(super) body: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    /// Id, login and content.
    pub(super) reactions: Vec<(u64, String, String)>,
}

/// A review.
#[derive(Debug, Clone)]
pub(super) struct Review {
    pub(super) id: u64,
    pub(super) author: String,
    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED` or `DISMISSED`.
    pub(super) state: String,
    pub(super) body: String,
    pub(super) commit: String,
    pub(super) at: Timestamp,
}

/// A commit status.
#[derive(Debug, Clone)]
pub(super) struct Status {
    pub(super) id: u64,
    pub(super) commit: String,
    pub(super) state: String,
    pub(super) context: String,
    pub(super) description: Option<String>,
    pub(super) target_url: Option<String>,
    pub(super) author: String,
    pub(super) at: Timestamp,
}

/// A check run.
#[derive(Debug, Clone)]
pub(super) struct CheckRun {
    pub(super) id: u64,
    pub(super) commit: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    pub(super) details_url: Option<String>,
    pub(super) external_id: String,
    /// As it was given.
    pub(super) output: Value,
    pub(super) started: Timestamp,
    pub(super) completed: Option<Timestamp>,
}

/// An event on its way to the App.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) id: u64,
    pub(super) guid: String,
    pub(super) event: String,
    pub(super) action: Option<String>,
    pub(super) payload: Value,
    pub(super) installation: Option<u64>,
    pub(super) repository: Option<u64>,
    pub(super) at: Timestamp,
    pub(super) redelivery: bool,
    /// Status code and words; nothing while it is on its way.
    pub(super) outcome: Option<(u16, String)>,
}

impl State {
    /// A number that nothing else has.
    pub(super) fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The fake's time.
    pub(super) fn now(&self) -> Timestamp {
        let passed = SystemTime::UNIX_EPOCH.elapsed().unwrap() + self.ahead;
        Timestamp(i64::try_from(passed.as_millis()).unwrap())
    }

    /// The same in seconds.
    pub(super) fn seconds(&self) -> u64 {
        u64::try_from(self.now().0 / 1000).unwrap()
    }

    /// An account by its login.
    pub(super) fn account(&self, login: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.login.eq_ignore_ascii_case(login))
    }

    /// The place of a repository, by owner and name.
    pub(super) fn place(&self, owner: &str, name: &str) -> Option<usize> {
        self.repositories.iter().position(|repository| {
            repository.owner.eq_ignore_ascii_case(owner) && repository.name.eq_ignore_ascii_case(name)
        })
    }

    /// The installation that a repository belongs to.
    pub(super) fn installation_of(&self, owner: &str) -> Option<&Installation> {
        self.installations.iter().find(|installation| installation.account == owner)
    }
}

impl Repository {
    /// `owner/name`.
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// An issue or pull request by its number.
    pub(super) fn issue(&self, number: u64) -> Option<&Issue> {
        self.issues.iter().find(|issue| issue.number == number)
    }

    /// The same, to be changed.
    pub(super) fn issue_mut(&mut self, number: u64) -> Option<&mut Issue> {
        self.issues.iter_mut().find(|issue| issue.number == number)
    }

    /// Whether only pull requests may move a branch.
    pub(super) fn is_protected(&self, reference: &str) -> bool {
        let branch = reference.strip_prefix("refs/heads/");
        branch.and_then(|branch| self.protections.get(branch)).is_some_and(|protection| protection.refuses_pushes)
    }

    /// What somebody may do: `none` to `admin`.
    pub(super) fn role(&self, login: &str) -> &str {
        self.people.get(login).map_or("none", String::as_str)
    }
}
