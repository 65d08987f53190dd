//! Bare repositories, and people who work in them with the git command.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Run git in a folder, untouched by the configuration of the machine, and return what it printed.
///
/// # Panics
/// When it fails.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    try_git(folder, arguments).unwrap_or_else(|words| panic!("git {arguments:?}: {words}"))
}

/// The same, with git's own words when it fails.
fn try_git(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git")
        .current_dir(folder)
        .env_remove("GIT_DIR")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .args(["-c", "user.name=Person", "-c", "user.email=person@example.org", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .output()
        .expect("git is installed");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A bare repository on disk, as a Git server holds it.
#[derive(Debug)]
pub struct BareRepository {
    folder: tempfile::TempDir,
}

impl BareRepository {
    /// A repository whose branch `main` holds `files` in one commit by a person.
    ///
    /// # Panics
    /// When git fails.
    #[must_use]
    pub fn with_files(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("config.git")).unwrap();
        let repository = Self { folder };
        git(&repository.path(), &["init", "--bare", "--quiet"]);
        git(&repository.path(), &["config", "http.receivepack", "true"]);
        repository.commit_as_person("Start", files);
        repository
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("config.git")
    }

    /// The folder that holds it, which is what a server serves.
    #[must_use]
    pub fn parent(&self) -> &Path {
        self.folder.path()
    }

    /// Its address on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    /// A person clones, writes `files`, commits and pushes to `main`.
    ///
    /// # Panics
    /// When git fails.
    pub fn commit_as_person(&self, message: &str, files: &[(&str, &str)]) {
        let work = tempfile::tempdir().unwrap();
        git(work.path(), &["clone", "--quiet", &self.url(), "."]);
        for (path, text) in files {
            let path = work.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        git(work.path(), &["add", "--all"]);
        git(work.path(), &["commit", "--quiet", "--message", message]);
        // Somebody else may be faster; people fetch and try again, as Tagboat does.
        for _ in 0..20 {
            if try_git(work.path(), &["push", "--quiet", "origin", "HEAD:main"]).is_ok() {
                return;
            }
            if try_git(work.path(), &["rev-parse", "--verify", "--quiet", "origin/main"]).is_ok() {
                git(work.path(), &["pull", "--quiet", "--rebase", "origin", "main"]);
            }
        }
        panic!("a person could not push in twenty tries");
    }

    /// The head of `main`.
    ///
    /// # Panics
    /// When git fails.
    #[must_use]
    pub fn head(&self) -> String {
        git(&self.path(), &["rev-parse", "main"]).trim().to_owned()
    }

    /// How many commits `main` has.
    ///
    /// # Panics
    /// When git fails.
    #[must_use]
    pub fn commits(&self) -> usize {
        git(&self.path(), &["rev-list", "--count", "main"]).trim().parse().unwrap()
    }

    /// A file at the head of `main`.
    ///
    /// # Panics
    /// When git fails.
    #[must_use]
    pub fn file(&self, path: &str) -> String {
        git(&self.path(), &["show", &format!("main:{path}")])
    }

    /// The message of a commit.
    ///
    /// # Panics
    /// When git fails.
    #[must_use]
    pub fn message(&self, commit: &str) -> String {
        git(&self.path(), &["log", "-1", "--format=%B", commit])
    }

    /// The lines that a commit took away and added, with their files, without context.
    ///
    /// # Panics
    /// When git fails.
    #[must_use]
    pub fn changes(&self, commit: &str) -> String {
        let diff = git(&self.path(), &["show", "--format=", "--unified=0", commit]);
        let lines = diff
            .lines()
            .filter(|line| line.starts_with("+++ ") || (line.starts_with(['-', '+']) && !line.starts_with("--- ")));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// A hook that decides about pushes, as a shell script.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn set_hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path().join("hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Every object is there and sound.
    ///
    /// # Panics
    /// When it is not.
    pub fn check_integrity(&self) {
        git(&self.path(), &["fsck", "--strict", "--full"]);
    }
}
