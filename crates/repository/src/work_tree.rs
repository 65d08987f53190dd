//! A config repository as it lies checked out in a folder: reading all of its files fast, replacing some, and committing
//! exactly those.
//!
//! Nothing is read or written through a symbolic link, and nothing inside of `.git`, submodules and other checkouts. What
//! Git ignores is left out, unless it is tracked all the same. Committing is the user's own `git`, with their identity,
//! signature and hooks: it is their work tree.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use ignore::{WalkBuilder, WalkState};
use tagboat_model::{BranchName, CommitId};
use thiserror::Error;

/// A work tree could not be read or written.
#[derive(Debug, Error)]
pub enum WorkTreeError {
    /// There is no such folder or file.
    #[error("{path}: there is no such folder or file")]
    Missing {
        /// As it was given.
        path: String,
    },
    /// A file or folder could not be read or written.
    #[error("{operation} {path}")]
    File {
        /// What was tried: `read`, `write`.
        operation: &'static str,
        /// The path.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// `git` did not do what it was asked.
    #[error("`git {operation}` in the work tree: {detail}")]
    Git {
        /// What it was asked: `commit`.
        operation: &'static str,
        /// Its own words.
        detail: String,
    },
}

/// A folder with the files of a config repository, or one file of it.
#[derive(Debug, Clone)]
pub struct WorkTree {
    root: PathBuf,
    only: Option<String>,
}

/// The content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'b> {
    /// All of its bytes.
    Bytes(&'b [u8]),
    /// It is larger than was asked for; its beginning.
    TooLarge(&'b [u8]),
}

impl WorkTree {
    /// The work tree at a path, which is a folder, or a file of it.
    ///
    /// # Errors
    /// [`WorkTreeError::Missing`].
    pub fn at(path: &Path) -> Result<Self, WorkTreeError> {
        let missing = || WorkTreeError::Missing { path: path.display().to_string() };
        if path.is_dir() {
            return Ok(Self { root: path.to_owned(), only: None });
        }
        let name = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_file()).ok_or_else(missing)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(Self { root: parent.unwrap_or(Path::new(".")).to_owned(), only: Some(name.to_owned()) })
    }

    /// Look at every wanted file, on all cores, and collect what `look` makes of it, sorted by path. Files that vanish
    /// meanwhile are left out. Paths are those from the folder, `/` between parts.
    ///
    /// # Errors
    /// [`WorkTreeError::File`] when a file or folder cannot be read.
    pub fn look<T: Send>(
        &self,
        largest: usize,
        wanted: impl Fn(&str) -> bool + Sync,
        look: impl Fn(&str, Content<'_>) -> Option<T> + Sync,
    ) -> Result<Vec<T>, WorkTreeError> {
        let found = Collected { found: Mutex::new(Vec::new()), failed: Mutex::new(None) };
        let visit = |path: &str, buffer: &mut Vec<u8>| {
            let content = match read_into(&self.root.join(path), largest, buffer) {
                Ok(Some(true)) => Content::Bytes(buffer),
                Ok(Some(false)) => Content::TooLarge(buffer),
                Ok(None) => return,
                Err(source) => return found.fail(file_error("read", &self.root.join(path), source)),
            };
            if let Some(made) = look(path, content) {
                found.add(path.to_owned(), made);
            }
        };
        self.visit(&wanted, &visit, &found);
        found.finish()
    }

    /// The paths of all files, sorted.
    ///
    /// # Errors
    /// [`WorkTreeError::File`] when a folder cannot be read.
    pub fn files(&self) -> Result<Vec<String>, WorkTreeError> {
        let found = Collected { found: Mutex::new(Vec::new()), failed: Mutex::new(None) };
        self.visit(&|_| true, &|path, _| found.add(path.to_owned(), path.to_owned()), &found);
        found.finish()
    }

    fn visit<T: Send>(
        &self,
        wanted: &(impl Fn(&str) -> bool + Sync),
        visit: &(impl Fn(&str, &mut Vec<u8>) + Sync),
        found: &Collected<T>,
    ) {
        match &self.only {
            Some(name) => visit(name, &mut Vec::new()),
            None => self.walk(wanted, visit, found),
        }
    }

    fn walk<T: Send>(
        &self,
        wanted: &(impl Fn(&str) -> bool + Sync),
        visit: &(impl Fn(&str, &mut Vec<u8>) + Sync),
        found: &Collected<T>,
    ) {
        let tracked = self.tracked_although_ignored();
        let seen = Mutex::new(BTreeSet::new());
        let keep_seen = tracked.is_some();
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut builder = WalkBuilder::new(&self.root);
        builder.hidden(false).ignore(false).git_global(false).follow_links(false).threads(threads);
        // `.git`, and folders that are checkouts of their own.
        builder.filter_entry(|entry| {
            entry.depth() == 0
                || (entry.file_name() != ".git"
                    && !(entry.file_type().is_some_and(|kind| kind.is_dir()) && entry.path().join(".git").exists()))
        });
        builder.build_parallel().run(|| {
            let mut buffer = Vec::new();
            let seen = &seen;
            Box::new(move |entry| {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        found.fail_walking(&self.root, &error);
                        return WalkState::Quit;
                    }
                };
                if entry.file_type().is_some_and(|kind| kind.is_file())
                    && let Some(path) = self.relative(entry.path()).filter(|path| wanted(path))
                {
                    visit(&path, &mut buffer);
                    if keep_seen {
                        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
                    }
                }
                WalkState::Continue
            })
        });
        let Some(tracked) = tracked.and_then(|child| child.wait_with_output().ok()) else { return };
        let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        let paths = String::from_utf8_lossy(&tracked.stdout).into_owned();
        for path in paths.split('\0').filter(|path| !path.is_empty() && wanted(path) && !seen.contains(*path)) {
            if self.is_plain_file(path) {
                visit(path, &mut Vec::new());
            }
        }
    }

    fn relative(&self, path: &Path) -> Option<String> {
        let relative = path.strip_prefix(&self.root).ok()?.to_str()?;
        Some(if cfg!(windows) { relative.replace('\\', "/") } else { relative.to_owned() })
    }

    /// Asks Git, while the folders are read, for files that are tracked although a rule ignores them.
    fn tracked_although_ignored(&self) -> Option<std::process::Child> {
        let root = self.root.canonicalize().ok()?;
        root.ancestors().any(|folder| folder.join(".git").exists()).then_some(())?;
        let mut command = self.git();
        command.args(["ls-files", "--cached", "--ignored", "--exclude-standard", "-z"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()
    }

    /// Whether no part of the path is a symbolic link and it is a file.
    fn is_plain_file(&self, path: &str) -> bool {
        let mut at = self.root.clone();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            at.push(part);
            let Ok(kind) = fs::symlink_metadata(&at).map(|it| it.file_type()) else { return false };
            if kind.is_symlink() || (parts.peek().is_none() && !kind.is_file()) {
                return false;
            }
        }
        true
    }

    /// Replace a file that still is as it was read: the new one appears in whole, with permissions and owner of the old one.
    ///
    /// # Errors
    /// [`WorkTreeError::File`], also when somebody changed it meanwhile; it is as it was then.
    pub fn replace(&self, path: &str, before: &[u8], after: &[u8]) -> Result<(), WorkTreeError> {
        let target = self.root.join(path);
        let failed = |source| file_error("write", &target, source);
        if !self.is_plain_file(path) {
            return Err(failed(std::io::Error::other("it is no regular file")));
        }
        let metadata = fs::metadata(&target).map_err(failed)?;
        let folder = target.parent().unwrap_or(&self.root);
        let mut file = tempfile::Builder::new().prefix(".tagboat-").tempfile_in(folder).map_err(failed)?;
        file.write_all(after).map_err(failed)?;
        keep_owner(file.path(), &metadata);
        file.as_file().set_permissions(metadata.permissions()).map_err(failed)?;
        if fs::read(&target).map_err(failed)? != before {
            return Err(failed(std::io::Error::other("somebody changed it meanwhile; try again")));
        }
        file.persist(&target).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The bytes of one file; nothing when it is not there or no regular file.
    ///
    /// # Errors
    /// [`WorkTreeError::File`] when it cannot be read.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, WorkTreeError> {
        if !self.is_plain_file(path) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let full = self.root.join(path);
        let read = read_into(&full, usize::MAX, &mut bytes).map_err(|source| file_error("read", &full, source))?;
        Ok(read.map(|_| bytes))
    }

    /// The branch that is checked out; nothing outside of Git, and when none is.
    #[must_use]
    pub fn branch(&self) -> Option<BranchName> {
        self.ask("symbolic-ref", &["--quiet", "--short", "HEAD"]).ok()?.parse().ok()
    }

    /// The commit that is checked out.
    #[must_use]
    pub fn head(&self) -> Option<CommitId> {
        self.ask("rev-parse", &["--verify", "--quiet", "HEAD"]).ok()?.parse().ok()
    }

    /// Those of the paths that differ from the last commit, or are not tracked.
    ///
    /// # Errors
    /// [`WorkTreeError::Git`], also outside of Git.
    pub fn uncommitted(&self, paths: &[String]) -> Result<Vec<String>, WorkTreeError> {
        // Names come from the root of the repository.
        let prefix = self.ask("rev-parse", &["--show-prefix"])?;
        let text = answer(
            "status",
            self.git().args(["status", "--porcelain", "--untracked-files=all", "--no-renames", "-z", "."]),
        )?;
        let open: BTreeSet<&str> = text.split('\0').filter_map(|line| line.get(3..)?.strip_prefix(&prefix)).collect();
        Ok(paths.iter().filter(|path| open.contains(path.as_str())).cloned().collect())
    }

    /// Commit these paths, as they are now, and nothing else. What is staged of others stays staged.
    ///
    /// # Errors
    /// [`WorkTreeError::Git`] with what Git, or a hook, says.
    pub fn commit(&self, paths: &[String], message: &str) -> Result<CommitId, WorkTreeError> {
        let failed = |error: std::io::Error| WorkTreeError::Git { operation: "commit", detail: error.to_string() };
        let mut command = self.git();
        if self.ask("var", &["GIT_COMMITTER_IDENT"]).is_err() {
            for (name, value) in [("NAME", "Tagboat"), ("EMAIL", "tagboat@localhost")] {
                command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
            }
        }
        // A list of files has no limit, a command line has.
        let mut list = tempfile::NamedTempFile::new().map_err(failed)?;
        list.write_all(paths.join("\0").as_bytes()).map_err(failed)?;
        command.args([
            "commit",
            "--quiet",
            "--only",
            "--cleanup=verbatim",
            "--message",
            message,
            "--pathspec-file-nul",
        ]);
        command.arg(format!("--pathspec-from-file={}", list.path().display()));
        answer("commit", &mut command)?;
        let none = || WorkTreeError::Git { operation: "commit", detail: "it made no commit".to_owned() };
        self.head().ok_or_else(none)
    }

    fn ask(&self, operation: &'static str, arguments: &[&str]) -> Result<String, WorkTreeError> {
        answer(operation, self.git().arg(operation).args(arguments))
    }

    fn git(&self) -> Command {
        let mut command = Command::new("git");
        // Paths are names, not patterns.
        command.current_dir(&self.root).env("GIT_LITERAL_PATHSPECS", "1").stdin(Stdio::null());
        command
    }
}

/// What visitors on several threads find.
struct Collected<T> {
    found: Mutex<Vec<(String, T)>>,
    failed: Mutex<Option<WorkTreeError>>,
}

impl<T> Collected<T> {
    fn add(&self, path: String, made: T) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push((path, made));
    }

    fn fail(&self, error: WorkTreeError) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn fail_walking(&self, root: &Path, error: &ignore::Error) {
        // Its words name the folder.
        self.fail(file_error("walk through", root, std::io::Error::other(error.to_string())));
    }

    fn finish(self) -> Result<Vec<T>, WorkTreeError> {
        if let Some(error) = self.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut found = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(found.into_iter().map(|(_, made)| made).collect())
    }
}

/// Read a file into the buffer: `false` when it is too large, nothing when it is gone.
fn read_into(path: &Path, largest: usize, buffer: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    buffer.clear();
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let most = u64::try_from(largest).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(buffer)?;
    Ok(Some(buffer.len() <= largest))
}

fn file_error(operation: &'static str, path: &Path, source: std::io::Error) -> WorkTreeError {
    WorkTreeError::File { operation, path: path.display().to_string(), source }
}

/// What Git prints, without the last line end; its complaint when it fails.
fn answer(operation: &'static str, command: &mut Command) -> Result<String, WorkTreeError> {
    let failed = |detail: String| WorkTreeError::Git { operation, detail };
    let output = command.output().map_err(|error| failed(format!("it cannot be started: {error}")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let words = text(&output.stderr);
    // Hooks may stop a commit without a word.
    Err(failed(if words.is_empty() { format!("it ended with {}", output.status) } else { words }))
}

/// As far as the process may: who runs it as root in a folder of somebody else leaves it theirs.
#[cfg(unix)]
fn keep_owner(path: &Path, metadata: &fs::Metadata) {
    use std::os::unix::fs::{MetadataExt as _, chown};
    // Where it is not permitted, the file is the process's own, as every new file is.
    let _ = chown(path, Some(metadata.uid()), Some(metadata.gid()));
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &fs::Metadata) {}
