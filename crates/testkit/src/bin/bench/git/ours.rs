//! Tagboat's own repository crate, in this process. Everything that knows its interface is in this file.

use std::path::Path;

use tagboat_model::{BranchName, CommitId, Timestamp};
use tagboat_ports::{BranchChange, BranchUpdate, NewCommit, NewFile, Push, PushOutcome, Repository as _};
use tagboat_repository::{
    Access, Address, CommitSettings, GitRepository, GitSettings, HttpSettings, Identity, PushWith,
};

use super::{
    replaced,
    ways::{FILE, IMAGE},
};

/// Larger than any file here.
const LARGEST: usize = 1 << 20;

/// A config repository with its mirror.
pub(crate) struct Ours {
    repository: GitRepository,
    branch: BranchName,
}

fn open(url: &str, mirror: &Path) -> GitRepository {
    let bot = Identity { name: "Tagboat".to_owned(), email: "bot@example.org".to_owned() };
    GitRepository::new(GitSettings {
        name: "config".to_owned(),
        address: Address { url: url.to_owned(), access: Access::Open, transport: HttpSettings::default() },
        commits: CommitSettings { author: bot.clone(), committer: bot, signing: None },
        push_with: PushWith::BuiltIn,
        mirror: mirror.to_owned(),
    })
    .unwrap()
}

impl Ours {
    /// With whatever is in the mirror, which may be nothing.
    pub(crate) fn open(url: &str, mirror: &Path) -> Self {
        Self { repository: open(url, mirror), branch: "main".parse().unwrap() }
    }

    /// Bring the mirror to the head of the branch.
    pub(crate) async fn look(&self) -> CommitId {
        self.repository.head(&self.branch).await.unwrap().unwrap()
    }

    /// Update when the mirror may be behind, or empty: look, read, push. Returns the commit.
    pub(crate) async fn update_cold(&self, version: &str) -> String {
        let head = self.look().await;
        self.update_at(head, version).await
    }

    /// Update when the mirror is expected to have the head: what the server says on the way serves the push.
    pub(crate) async fn update_warm(&self, version: &str) -> String {
        let head = self.repository.head_to_push(&self.branch).await.unwrap().unwrap();
        self.update_at(head, version).await
    }

    /// The head that is known without asking anybody.
    pub(crate) async fn known(&self) -> Option<CommitId> {
        self.repository.known_head(&self.branch).await.unwrap()
    }

    async fn update_at(&self, base: CommitId, version: &str) -> String {
        let paths = [FILE.to_owned()];
        let bytes = self.repository.read_to_edit(&base, &paths, LARGEST).await.unwrap().remove(0).unwrap();
        let text = replaced(&String::from_utf8(bytes).unwrap(), &format!("{IMAGE}:"), '\n', version);
        let commit = NewCommit {
            decision: "d-0011223344556677".parse().unwrap(),
            time: Timestamp(1_700_000_000_000),
            message: format!("Update web to {version}\n\nTagboat-Decision: d-0011223344556677\n"),
            files: vec![NewFile { path: FILE.to_owned(), bytes: text.into_bytes() }],
        };
        let change = BranchChange::Append { base, commits: vec![commit] };
        let update = BranchUpdate { branch: self.branch.clone(), change };
        let push = Push { updates: vec![update], options: Vec::new() };
        let outcome = self.repository.push(&push).await.unwrap();
        assert!(matches!(outcome, PushOutcome::Landed(_)), "{outcome:?}");
        let PushOutcome::Landed(commits) = outcome else { return String::new() };
        commits[0][0].to_string()
    }
}
