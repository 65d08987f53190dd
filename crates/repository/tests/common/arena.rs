//! A server with a hostile repository, and everything that is asked of one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use tagboat_model::CommitId;
use tagboat_ports::{NewCommit, Repository as _, RepositoryErrorKind};
use tagboat_repository::GitRepository;
use tagboat_testkit::{BareRepository, git};

use super::{
    FILES, LARGEST, commit, head, landed, opened_in,
    plumbing::{Entry, in_order, object, put_on_main, tree},
    push,
};

/// Honest files, what they hold, and what they are to hold.
const CHANGES: [(&str, &str, &str); 2] =
    [("a.yaml", "image: web:1\n", "image: web:2\n"), ("deep/er/b.yaml", "image: web:1\r\n", "image: web:2\r\n")];

/// What becomes of the push of honest files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It lands, and `git fsck --strict` has nothing against what is there then.
    Sound,
    /// It lands.
    Landed,
    /// It lands rightly, or it is refused: which entry is meant is not certain.
    LandedOrRefused,
}

/// What is done in one repository, and what is to come of it.
pub(crate) struct Case<'c> {
    /// The root.
    pub(crate) root: Vec<Entry>,
    /// In no list.
    pub(crate) hidden: &'c [&'c str],
    /// Never written, with a word of the reason.
    pub(crate) refused: &'c [(&'c str, &'c str)],
    pub(crate) then: Then,
}

/// A server, and a mirror of it with things beside it that a link could lead to.
pub(crate) struct Arena {
    pub(crate) server: BareRepository,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) repository: GitRepository,
}

impl Arena {
    pub(crate) fn new() -> Self {
        Self::of(BareRepository::with_files(&FILES))
    }

    pub(crate) fn of(server: BareRepository) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("outside.yaml"), "image: outside:1\n").unwrap();
        std::fs::create_dir(folder.path().join("secrets")).unwrap();
        std::fs::write(folder.path().join("secrets/key.yaml"), "image: key:1\n").unwrap();
        let repository = opened_in(folder.path(), server.url());
        Self { server, folder, repository }
    }

    pub(crate) fn blob(&self, text: &str) -> String {
        object(&self.server.path(), "blob", text.as_bytes())
    }

    pub(crate) fn tree(&self, entries: &[Entry]) -> String {
        tree(&self.server.path(), entries)
    }

    pub(crate) fn file(&self, name: impl AsRef<[u8]>) -> Entry {
        Entry::new("100644", name, &self.blob("image: hostile:1\n"))
    }

    pub(crate) fn folder(&self, name: &str, inside: &[Entry]) -> Entry {
        Entry::new("40000", name, &self.tree(inside))
    }

    pub(crate) fn link(&self, name: &str, target: &str) -> Entry {
        Entry::new("120000", name, &self.blob(target))
    }

    /// The honest root, with more entries in it.
    pub(crate) fn with(&self, more: Vec<Entry>) -> Vec<Entry> {
        let id = |path: &str| git(&self.server.path(), &["rev-parse", &format!("main:{path}")]).trim().to_owned();
        let honest = [("100644", ".gitignore"), ("100644", "a.yaml"), ("40000", "deep")];
        let honest = honest.map(|(mode, name)| Entry::new(mode, name, &id(name)));
        in_order([honest.to_vec(), more].concat())
    }

    /// Everything, step by step.
    pub(crate) async fn holds_out(&self, case: &Case<'_>) {
        let beside = beside_the_mirror(self.folder.path());
        let first = head(&self.repository).await;
        let hostile = put_on_main(&self.server, &self.tree(&case.root));
        assert_eq!(head(&self.repository).await, hostile);
        self.lists_only_usable_files(&first, &hostile, case.hidden).await;
        self.refuses(&hostile, case.refused).await;

        let before = self.listing();
        match push(&self.repository, &hostile, changes()).await {
            Ok(outcome) => {
                assert_eq!(self.server.head(), landed(outcome)[1].to_string());
                assert_eq!(self.listing(), self.updated(before), "the honest files are updated and nothing else is");
            }
            Err(error) => {
                assert_eq!(case.then, Then::LandedOrRefused, "{error}");
                assert_eq!(error.kind, RepositoryErrorKind::Permanent, "{error}");
                assert_eq!(self.server.head(), hostile);
            }
        }
        if case.then == Then::Sound {
            self.server.check_integrity();
        }
        assert_eq!(beside_the_mirror(self.folder.path()), beside);
    }

    pub(crate) async fn lists_only_usable_files(&self, first: &str, hostile: &str, hidden: &[&str]) {
        let (first, hostile): (CommitId, CommitId) = (first.parse().unwrap(), hostile.parse().unwrap());
        let files = self.repository.files(&hostile).await.unwrap();
        let there = self.repository.changed_files(&first, &hostile).await.unwrap().expect("both commits are here");
        let back = self.repository.changed_files(&hostile, &first).await.unwrap().expect("both commits are here");
        let changed = there.iter().chain(&back).map(|file| &file.path);
        for path in files.iter().map(|file| &file.path).chain(changed) {
            assert!(path.split('/').all(|name| !matches!(name, "" | "." | "..")), "{path:?}");
            assert!(!hidden.contains(&path.as_str()), "{path:?}");
        }
        for (path, text) in FILES {
            let found: Vec<_> = files.iter().filter(|file| file.path == path).map(|file| file.blob).collect();
            assert_eq!(found.len(), 1, "{path} is listed once");
            let read = self.repository.read(&found, LARGEST).await.unwrap();
            assert_eq!(read, [Some(text.as_bytes().to_vec())], "{path}");
        }
        for file in &files {
            let path = std::slice::from_ref(&file.path);
            let at = self.repository.read_at(&hostile, path, LARGEST).await.unwrap();
            let listed = self.repository.read(&[file.blob], LARGEST).await.unwrap();
            assert!(at == [None] || at == listed, "{path:?} is listed with bytes that are not there");
        }
    }

    pub(crate) async fn refuses(&self, base: &str, refused: &[(&str, &str)]) {
        let before = state(&self.server);
        for (path, word) in refused {
            let paths = [(*path).to_owned()];
            let found = self.repository.read_to_edit(&base.parse().unwrap(), &paths, LARGEST).await.unwrap();
            let why = found[0].as_ref().expect_err(path).to_string();
            assert!(!why.is_empty() && why.contains(word), "{path:?}: {why}");
            let error = push(&self.repository, base, vec![commit(path, "image: web:2\n")]).await.expect_err(path);
            assert_eq!(error.kind, RepositoryErrorKind::Permanent, "{path:?}: {error}");
            assert!(error.to_string().contains(&why), "{path:?}: {error}");
        }
        assert_eq!(state(&self.server), before, "nothing was sent");
    }

    /// For trees that are too large to be compared file by file.
    pub(crate) async fn pushes_honest_files(&self, base: &str) {
        let ids = landed(push(&self.repository, base, changes()).await.unwrap());
        assert_eq!(self.server.head(), ids[1].to_string());
        for (path, _, text) in CHANGES {
            assert_eq!(self.server.file(path), text);
        }
    }

    /// Every file at the head of `main` with its mode and id.
    pub(crate) fn listing(&self) -> Vec<String> {
        let listing = git(&self.server.path(), &["ls-tree", "-r", "-z", "main"]);
        let mut lines: Vec<String> = listing.split('\0').map(ToOwned::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    /// The listing that is to come of one.
    pub(crate) fn updated(&self, listing: Vec<String>) -> Vec<String> {
        let line = |path: &str, text: &str| format!("100644 blob {}\t{path}", self.blob(text));
        let pairs = CHANGES.map(|(path, old, new)| (line(path, old), line(path, new)));
        let update = |found: String| pairs.iter().find(|(old, _)| *old == found).map_or(found, |(_, new)| new.clone());
        let mut lines: Vec<String> = listing.into_iter().map(update).collect();
        lines.sort_unstable();
        lines
    }
}

fn changes() -> Vec<NewCommit> {
    CHANGES.map(|(path, _, text)| commit(path, text)).to_vec()
}

/// Where the branches are, and how many objects there are.
fn state(server: &BareRepository) -> (String, String) {
    (git(&server.path(), &["for-each-ref"]), git(&server.path(), &["count-objects", "-v"]))
}

/// Everything beside the mirror, with what is in it.
fn beside_the_mirror(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.ends_with("mirror.git") {
                continue;
            }
            if path.is_dir() {
                waiting.push(path.clone());
            }
            let content = std::fs::read(&path).unwrap_or_default();
            found.insert(path, content);
        }
    }
    found
}
