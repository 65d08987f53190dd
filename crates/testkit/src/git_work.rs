//! Bare repositories, and people who work in them with the git command.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

/// Run git in a folder, untouched by the configuration of the machine, and return what it printed.
///
/// # Panics
/// When it fails.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    try_git(folder, arguments).unwrap_or_else(|words| panic!("git {arguments:?}: {words}"))
}

/// The same, with git's own words when it fails.
pub(crate) fn try_git(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = command(folder, arguments).output().expect("git is installed");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env_remove("GIT_DIR")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .args(["-c", "user.name=Person", "-c", "user.email=person@example.org", "-c", "init.defaultBranch=main"])
        .args(arguments);
    command
}

/// A small Deployment of an image.
#[must_use]
pub fn deployment(name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  namespace: team\n  labels:\n\
         \x20   app.kubernetes.io/name: {name}\n    app.kubernetes.io/part-of: shop\nspec:\n  replicas: 2\n  selector:\n\
         \x20   matchLabels: {{app.kubernetes.io/name: {name}}}\n  template:\n    metadata:\n      labels:\n\
         \x20       app.kubernetes.io/name: {name}\n    spec:\n      serviceAccountName: {name}\n      containers:\n\
         \x20     - name: app\n        image: {image}\n        ports:\n        - {{name: http, containerPort: 8080}}\n\
         \x20       env:\n        - name: LOG_LEVEL\n          value: \"info\"\n        resources:\n\
         \x20         requests: {{cpu: 100m, memory: 64Mi}}\n          limits: {{memory: 128Mi}}\n\
         \x20       readinessProbe:\n          httpGet: {{path: /healthz, port: http}}\n          periodSeconds: 5\n"
    )
}

/// So many Deployments below `folder`, as config repositories hold them: 20 in a folder, 1,000 for a team, and each names an
/// image of its own that nobody moves.
pub fn other_deployments(folder: &str, count: usize) -> impl Iterator<Item = (String, String)> {
    (0..count).map(move |number| {
        let path = format!("{folder}/team-{}/app-{}/file-{number}.yaml", number / 1000, number / 20);
        let (name, image) = (format!("app-{number}"), format!("registry.example/team/app-{number}:1.0.0"));
        (path, deployment(&name, &image))
    })
}

/// A bare repository on disk, as a Git server holds it. Clones are the same repository.
#[derive(Debug, Clone)]
pub struct BareRepository {
    folder: Arc<tempfile::TempDir>,
}

impl BareRepository {
    /// A repository whose branch `main` holds `files` in one commit by a person.
    ///
    /// # Panics
    /// When git fails.
    #[must_use]
    pub fn with_files(files: &[(&str, &str)]) -> Self {
        let repository = Self::without_commits();
        repository.commit_as_person("Start", files);
        repository
    }

    /// The same without a work tree: tens of thousands of files take seconds.
    ///
    /// # Panics
    /// When git fails.
    #[must_use]
    pub fn with_many(files: impl Iterator<Item = (String, String)>) -> Self {
        let repository = Self::without_commits();
        let mut import = command(&repository.path(), &["fast-import", "--quiet", "--date-format=now"]);
        let mut child = import.stdin(Stdio::piped()).spawn().expect("git is installed");
        let mut input = std::io::BufWriter::new(child.stdin.take().unwrap());
        input.write_all(b"commit refs/heads/main\ncommitter Person <person@example.org> now\ndata 5\nStart\n").unwrap();
        for (path, text) in files {
            write!(input, "M 100644 inline {path}\ndata {}\n{text}\n", text.len()).unwrap();
        }
        input.flush().unwrap();
        // It ends when there is no more.
        drop(input);
        assert!(child.wait().unwrap().success(), "git fast-import failed");
        repository
    }

    fn without_commits() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path().join("config.git")).unwrap();
        let repository = Self { folder };
        git(&repository.path(), &["init", "--bare", "--quiet"]);
        git(&repository.path(), &["config", "http.receivepack", "true"]);
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
