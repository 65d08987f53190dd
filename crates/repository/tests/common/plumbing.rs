//! Objects that no honest program makes, put into a repository by Git's plumbing.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use tagboat_testkit::{BareRepository, git};

/// One entry of a tree, whatever it is called.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    mode: String,
    name: Vec<u8>,
    id: String,
}

impl Entry {
    pub(crate) fn new(mode: &str, name: impl AsRef<[u8]>, id: &str) -> Self {
        Self { mode: mode.to_owned(), name: name.as_ref().to_vec(), id: id.to_owned() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} ", self.mode).into_bytes();
        bytes.extend_from_slice(&self.name);
        bytes.push(0);
        bytes.extend(raw(&self.id));
        bytes
    }

    /// What Git sorts by: a folder stands where it would with a slash at its end.
    fn order(&self) -> Vec<u8> {
        let mut order = self.name.clone();
        if self.mode == "40000" {
            order.push(b'/');
        }
        order
    }
}

/// The bytes of an id.
pub(crate) fn raw(id: &str) -> Vec<u8> {
    (0..id.len()).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()).collect()
}

/// As an honest program would sort them.
pub(crate) fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(Entry::order);
    entries
}

/// Write an object as it is, without a look at it, and return its id.
pub(crate) fn object(repository: &Path, kind: &str, bytes: &[u8]) -> String {
    let mut child = Command::new("git")
        .current_dir(repository)
        .env_remove("GIT_DIR")
        .args(["-c", "core.compression=1", "hash-object", "-t", kind, "-w", "--literally", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git is installed");
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git hash-object failed");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A tree of these entries in this order.
pub(crate) fn tree(repository: &Path, entries: &[Entry]) -> String {
    object(repository, "tree", &entries.iter().flat_map(Entry::bytes).collect::<Vec<_>>())
}

/// A commit of a tree on top of `main`, and `main` on it.
pub(crate) fn put_on_main(server: &BareRepository, tree: &str) -> String {
    let arguments = ["commit-tree", tree, "-p", "main", "-m", "Hostile"];
    let commit = git(&server.path(), &arguments).trim().to_owned();
    git(&server.path(), &["update-ref", "refs/heads/main", &commit]);
    commit
}
