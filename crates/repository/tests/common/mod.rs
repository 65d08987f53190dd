//! What the tests of Git have in common.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod arena;
pub(crate) mod kept;
pub(crate) mod plumbing;

use std::path::Path;

use tagboat_model::{CommitId, Timestamp};
use tagboat_ports::{
    BranchChange, BranchUpdate, NewCommit, NewFile, Push, PushOutcome, Repository as _, RepositoryError,
};
use tagboat_repository::{
    Access, Address, CommitSettings, GitRepository, GitSettings, HttpSettings, Identity, Password, PushWith,
};

/// A small config repository.
pub(crate) const FILES: [(&str, &str); 3] =
    [("a.yaml", "image: web:1\n"), ("deep/er/b.yaml", "image: web:1\r\n"), (".gitignore", "/data\n")];

/// The largest file that is read anywhere.
pub(crate) const LARGEST: usize = 5 << 20;

/// Settings without a mirror, which [`opened`] puts in.
pub(crate) fn settings(url: String, access: Access) -> GitSettings {
    let bot = Identity { name: "Tagboat".to_owned(), email: "bot@example.org".to_owned() };
    GitSettings {
        name: "config".to_owned(),
        address: Address { url, access, transport: HttpSettings::default() },
        commits: CommitSettings { author: bot.clone(), committer: bot, signing: None },
        push_with: PushWith::BuiltIn,
        mirror: Default::default(),
    }
}

/// With a mirror in a folder of its own.
pub(crate) fn opened(mut settings: GitSettings) -> (GitRepository, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    settings.mirror = folder.path().join("mirror.git");
    (GitRepository::new(settings).unwrap(), folder)
}

pub(crate) fn open(url: String, access: Access) -> (GitRepository, tempfile::TempDir) {
    opened(settings(url, access))
}

pub(crate) fn basic(password: &str) -> Access {
    let password = Password::from(secrecy::SecretString::from(password.to_owned()));
    Access::Basic { username: "bot".to_owned(), password, insecure: false }
}

pub(crate) fn commit(path: &str, text: &str) -> NewCommit {
    NewCommit {
        decision: "d-0011223344556677".parse().unwrap(),
        time: Timestamp(1_700_000_000_000),
        message: format!("Change {path}\n\nTagboat-Decision: d-0011223344556677\n"),
        files: vec![NewFile { path: path.to_owned(), bytes: text.as_bytes().to_vec() }],
    }
}

/// Put commits on `main`.
pub(crate) async fn push(
    repository: &GitRepository,
    base: &str,
    commits: Vec<NewCommit>,
) -> Result<PushOutcome, RepositoryError> {
    let change = BranchChange::Append { base: base.parse().unwrap(), commits };
    let update = BranchUpdate { branch: "main".parse().unwrap(), change };
    repository.push(&Push { updates: vec![update], ..Push::default() }).await
}

/// The commits of the one branch that was pushed.
pub(crate) fn landed(outcome: PushOutcome) -> Vec<CommitId> {
    match outcome {
        PushOutcome::Landed(mut ids) => ids.remove(0),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn is_moved(outcome: &PushOutcome) -> bool {
    matches!(outcome, PushOutcome::Moved(_))
}

pub(crate) async fn head(repository: &GitRepository) -> String {
    repository.head(&"main".parse().unwrap()).await.unwrap().unwrap().to_string()
}

/// With its mirror in a folder that is there already, as after a restart.
pub(crate) fn opened_in(folder: &Path, url: String) -> GitRepository {
    let settings = GitSettings { mirror: folder.join("mirror.git"), ..settings(url, Access::Open) };
    GitRepository::new(settings).unwrap()
}

/// Bytes that cannot be packed any smaller, always the same for one seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..length.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(length).collect()
}
