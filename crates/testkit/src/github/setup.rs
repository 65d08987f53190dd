//! The world that a test starts with.

use std::collections::BTreeMap;

/// Accounts, teams and repositories of a new fake. The App is installed on every owner of a repository.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    pub(super) people: Vec<String>,
    pub(super) organizations: Vec<String>,
    pub(super) teams: Vec<[String; 3]>,
    pub(super) repositories: Vec<RepositorySetup>,
    pub(super) webhook: Option<(String, String)>,
    pub(super) permissions: Option<BTreeMap<String, String>>,
}

impl Setup {
    /// An empty world.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A person.
    #[must_use]
    pub fn person(mut self, login: &str) -> Self {
        self.people.push(login.to_owned());
        self
    }

    /// A team with one member more.
    #[must_use]
    pub fn team_member(mut self, organization: &str, team: &str, login: &str) -> Self {
        self.teams.push([organization, team, login].map(str::to_owned));
        self
    }

    /// A repository. Its owner becomes an organization.
    #[must_use]
    pub fn repository(mut self, repository: RepositorySetup) -> Self {
        if !self.organizations.contains(&repository.owner) {
            self.organizations.push(repository.owner.clone());
        }
        self.repositories.push(repository);
        self
    }

    /// Where the App's events are sent, and the secret that signs them.
    #[must_use]
    pub fn webhook(mut self, url: &str, secret: &str) -> Self {
        self.webhook = Some((url.to_owned(), secret.to_owned()));
        self
    }

    /// What the App may do, instead of everything that it asks for.
    #[must_use]
    pub fn permissions(mut self, permissions: &[(&str, &str)]) -> Self {
        let owned = permissions.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned()));
        self.permissions = Some(owned.collect());
        self
    }
}

/// A repository of a new fake.
#[derive(Debug, Clone)]
pub struct RepositorySetup {
    /// Its owner.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// Its first branch.
    pub default_branch: String,
    /// What its first commit holds.
    pub files: Vec<(String, String)>,
    /// Rules of branches.
    pub protections: BTreeMap<String, Protection>,
    /// Logins and their roles: `read`, `triage`, `write`, `maintain` or `admin`.
    pub people: BTreeMap<String, String>,
    /// Titles of its milestones, from number 1.
    pub milestones: Vec<String>,
    /// Whether merges go through a queue.
    pub merge_queue: bool,
    /// Whether auto-merge may be asked for.
    pub allow_auto_merge: bool,
    /// Whether a merge takes the head branch away.
    pub delete_branch_on_merge: bool,
    /// Whether drafts are supported, which private repositories of free plans lack.
    pub allow_drafts: bool,
}

impl RepositorySetup {
    /// A repository with one file, whose settings are GitHub's own.
    ///
    /// # Panics
    /// When the name is not `owner/name`.
    #[must_use]
    pub fn new(full_name: &str) -> Self {
        let (owner, name) = full_name.split_once('/').expect("owner/name");
        Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
            default_branch: "main".to_owned(),
            files: vec![("README.md".to_owned(), format!("# {name}\n"))],
            protections: BTreeMap::new(),
            people: BTreeMap::new(),
            milestones: Vec::new(),
            merge_queue: false,
            allow_auto_merge: false,
            delete_branch_on_merge: false,
            allow_drafts: true,
        }
    }

    /// One file more in its first commit.
    #[must_use]
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    /// Rules of a branch.
    #[must_use]
    pub fn protected(mut self, branch: &str, protection: Protection) -> Self {
        self.protections.insert(branch.to_owned(), protection);
        self
    }

    /// Somebody's role.
    #[must_use]
    pub fn role(mut self, login: &str, role: &str) -> Self {
        self.people.insert(login.to_owned(), role.to_owned());
        self
    }
}

/// Rules of a branch.
#[derive(Debug, Clone, Default)]
pub struct Protection {
    /// Only pull requests move it.
    pub refuses_pushes: bool,
    /// Names of statuses and check runs that a merge needs.
    pub required_checks: Vec<String>,
    /// How many approvals a merge needs.
    pub required_approvals: usize,
    /// Whether a push to the head takes approvals back.
    pub dismiss_stale: bool,
}
