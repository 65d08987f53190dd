//! A mirror that was kept, to be damaged as often as needed, and everything that is asked of one afterwards.

use std::path::Path;

use tagboat_model::{BranchName, CommitId};
use tagboat_ports::{FileEntry, Repository as _, RepositoryError};
use tagboat_repository::GitRepository;
use tagboat_testkit::{BareRepository, git};

use super::{FILES, LARGEST, commit, head, landed, opened_in, push};

/// Copy what is in a folder into another one, which may be there already.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else if !to.exists() {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Head,
    HeadToPush,
    KnownHead,
    Files,
    Read,
    ReadToEdit,
    Compare,
    Landed,
    Push,
}

/// All of it, in an order in which it can be asked.
const QUESTIONS: [Question; 9] = [
    Question::Head,
    Question::KnownHead,
    Question::HeadToPush,
    Question::Files,
    Question::Read,
    Question::ReadToEdit,
    Question::Compare,
    Question::Landed,
    Question::Push,
];

/// A server, a mirror of it that is never opened again but copied, and the right answers.
pub(crate) struct Kept {
    pub(crate) server: BareRepository,
    folder: tempfile::TempDir,
    /// Before our push.
    base: CommitId,
    ours: CommitId,
    /// Where the server is.
    head: CommitId,
    files: Vec<FileEntry>,
    content: Vec<Option<Vec<u8>>>,
    changed: Vec<String>,
}

impl Kept {
    /// The mirror has the packs of two fetches, and between them loose objects of a push of ours. With `moved_on` the
    /// server is a commit further than it knows.
    pub(crate) async fn new(moved_on: bool) -> Self {
        let long = "image: web:1\n".repeat(300);
        let mut files: Vec<(&str, &str)> = FILES.to_vec();
        files.push(("long.yaml", &long));
        let (server, folder) = (BareRepository::with_files(&files), tempfile::tempdir().unwrap());
        let repository = opened_in(folder.path(), server.url());
        let base = head(&repository).await;
        let outcome = push(&repository, &base, vec![commit("a.yaml", "image: web:2\n")]).await;
        let ours = landed(outcome.unwrap()).remove(0);
        server.commit_as_person("Later", &[("c.yaml", "c: 1\n")]);
        head(&repository).await;
        if moved_on {
            server.commit_as_person("Latest", &[("c.yaml", "c: 2\n"), ("deep/d.yaml", "d: 1\n")]);
        }
        let healthy = tempfile::tempdir().unwrap();
        let healthy_repository = opened_in(healthy.path(), server.url());
        let newest: CommitId = head(&healthy_repository).await.parse().unwrap();
        let files = healthy_repository.files(&newest).await.unwrap();
        let blobs: Vec<_> = files.iter().map(|file| file.blob).collect();
        let content = healthy_repository.read(&blobs, LARGEST).await.unwrap();
        assert!(content.iter().all(Option::is_some));
        let changed = git(&server.path(), &["diff", "--name-only", ours.as_str(), newest.as_str()]);
        let changed = changed.lines().map(ToOwned::to_owned).collect();
        Self { server, folder, base: base.parse().unwrap(), ours, head: newest, files, content, changed }
    }

    /// A mirror of its own for a test, in a folder that it is alone in.
    pub(crate) fn copied(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        copy(&self.folder.path().join("mirror.git"), &folder.path().join("mirror.git"));
        folder
    }

    pub(crate) fn open(&self, folder: &Path) -> GitRepository {
        opened_in(folder, self.server.url())
    }

    /// Ask one thing first, and then everything.
    pub(crate) async fn ask_all(&self, repository: &GitRepository, first: Question, why: &str) {
        let why = format!("{why}, asked for {first:?} first");
        for question in std::iter::once(first).chain(QUESTIONS) {
            self.ask(repository, question, &format!("{why}, then for {question:?}")).await;
        }
    }

    /// Ask, and get the right answer.
    pub(crate) async fn ask(&self, repository: &GitRepository, question: Question, why: &str) {
        let main: BranchName = "main".parse().unwrap();
        let paths: Vec<String> = self.files.iter().map(|file| file.path.clone()).collect();
        match question {
            Question::Head => assert_eq!(right(repository.head(&main).await, why).as_ref(), Some(&self.head), "{why}"),
            Question::HeadToPush => {
                assert_eq!(right(repository.head_to_push(&main).await, why).as_ref(), Some(&self.head), "{why}");
            }
            Question::KnownHead => {
                // A hint: it may be gone.
                let known = right(repository.known_head(&main).await, why);
                assert!(known.is_none_or(|known| known == self.head), "{why}");
            }
            Question::Files => assert_eq!(right(repository.files(&self.head).await, why), self.files, "{why}"),
            Question::Read => {
                let blobs: Vec<_> = self.files.iter().map(|file| file.blob).collect();
                assert!(right(repository.read(&blobs, LARGEST).await, why) == self.content, "{why}");
                let at = right(repository.read_at(&self.head, &paths, LARGEST).await, why);
                assert!(at == self.content, "{why}");
            }
            Question::ReadToEdit => {
                let found = right(repository.read_to_edit(&self.head, &paths, LARGEST).await, why);
                for ((path, found), content) in paths.iter().zip(found).zip(&self.content) {
                    // The one that is never written.
                    assert!(found.ok() == content.clone().filter(|_| path != ".gitignore"), "{why}: {path}");
                }
            }
            Question::Compare => {
                // The older one may be gone.
                let changed = right(repository.changed_files(&self.ours, &self.head).await, why);
                let changed = changed.map(|files| files.into_iter().map(|file| file.path).collect::<Vec<_>>());
                assert!(changed.as_ref().is_none_or(|changed| *changed == self.changed), "{why}: {changed:?}");
            }
            Question::Landed => {
                let decision = "d-0011223344556677".parse().unwrap();
                let found = repository.landed(&self.head, &self.base, std::slice::from_ref(&decision)).await;
                assert_eq!(right(found, why), [(decision, self.ours.clone())], "{why}");
            }
            Question::Push => self.push(repository, why).await,
        }
    }

    /// Push, and put the server back.
    async fn push(&self, repository: &GitRepository, why: &str) {
        let outcome = push(repository, self.head.as_str(), vec![commit("long.yaml", "image: web:2\n")]).await;
        let ids = landed(right(outcome, why));
        assert_eq!(self.server.head(), ids[0].to_string(), "{why}");
        assert_eq!(self.server.file("long.yaml"), "image: web:2\n", "{why}");
        git(&self.server.path(), &["update-ref", "refs/heads/main", self.head.as_str()]);
    }
}

fn right<T>(answer: Result<T, RepositoryError>, why: &str) -> T {
    answer.unwrap_or_else(|error| panic!("{why}: {error}"))
}
