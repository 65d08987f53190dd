//! A registry with images, config repositories behind `git http-backend`, and the real binary between them with a database
//! of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::Value;
use tagboat_testkit::{BareRepository, DockerRegistry, GitServer, Process, deployment, free_port, git};

use super::{
    database::Database,
    load::{Announcement, Load},
};

/// The tag that the manifests name.
pub(crate) const OLD: &str = "1.0.0";
/// What CI signs with.
const SECRET: &str = "canary-bench-5f07";
/// How often somebody looks.
const LOOK: Duration = Duration::from_millis(1);
const LOOK_AT_GIT: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(180);

/// How much there is.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) repositories: usize,
    /// In each of them, and each in a file of its own.
    pub(crate) images: usize,
}

/// All of it. Dropping it stops everything.
pub(crate) struct Place {
    server: Option<Process>,
    registry: DockerRegistry,
    git_server: GitServer,
    git_folder: tempfile::TempDir,
    layout: Layout,
    binary: PathBuf,
    database: Database,
    folder: tempfile::TempDir,
    port: u16,
    http: Client,
}

/// When a server was started, and when it was ready.
pub(crate) struct Started {
    pub(crate) process: u32,
    pub(crate) begun: Instant,
    pub(crate) ready: Instant,
}

/// The name of an image, from 0.
fn image(number: usize) -> String {
    format!("acme/image-{number:04}")
}

impl Place {
    /// Everything but the server.
    pub(crate) async fn start(binary: &Path, database: &Database, layout: Layout) -> Self {
        let (port, folder, git_folder) = (free_port(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let registry = DockerRegistry::start(None);
        registry.push_image(&image(0), OLD, "old").await;
        registry.copy_repository(&image(0), (1..layout.repositories * layout.images).map(image));
        let git_server = GitServer::start(git_folder.path(), None);
        let (binary, http) = (binary.to_owned(), Client::builder().no_proxy().build().unwrap());
        let database = database.fresh(folder.path());
        let place =
            Self { server: None, registry, git_server, git_folder, layout, binary, database, folder, port, http };
        for number in 0..layout.repositories {
            let repository = BareRepository::with_many(place.files(number));
            // Each line of this log is a push.
            git(&repository.path(), &["config", "core.logAllRefUpdates", "true"]);
            std::fs::rename(repository.path(), place.repository(number)).unwrap();
        }
        std::fs::write(place.folder.path().join("ci-secret"), format!("{SECRET}\n")).unwrap();
        place
    }

    /// The repository file and the manifests.
    fn files(&self, repository: usize) -> impl Iterator<Item = (String, String)> {
        let host = self.registry.host();
        let settings = format!(
            "images:\n  - image: {host}/acme/*\n    policy: {{ semver: {{ range: \"^1\" }} }}\n\
             environments:\n  - {{ name: prod, paths: [prod], deliver: commit }}\n"
        );
        let first = repository * self.layout.images;
        let manifests = (first..first + self.layout.images).map(move |number| {
            let name = image(number).replace("acme/", "");
            let text = deployment(&name, &format!("{host}/{}:{OLD}", image(number)));
            (format!("prod/{name}.yaml"), text)
        });
        std::iter::once((".tagboat.yaml".to_owned(), settings)).chain(manifests)
    }

    /// A config repository, from 0.
    pub(crate) fn repository(&self, number: usize) -> PathBuf {
        self.git_folder.path().join(format!("config-{number:02}.git"))
    }

    /// Where config repositories are not found.
    fn elsewhere(&self, number: usize) -> PathBuf {
        self.repository(number).with_extension("gone")
    }

    /// Nobody can read or write a config repository any more, or can again.
    pub(crate) fn hide_repository(&self, number: usize, is_hidden: bool) {
        let (here, elsewhere) = (self.repository(number), self.elsewhere(number));
        let (from, to) = if is_hidden { (here, elsewhere) } else { (elsewhere, here) };
        std::fs::rename(from, to).unwrap();
    }

    /// The folder of the server and, unless it is told otherwise, of its database.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Give images, from 0, further tags.
    pub(crate) fn tag(&self, images: std::ops::Range<usize>, tags: &[String]) {
        for number in images {
            self.registry.copy_tag(&image(number), OLD, tags.iter().cloned());
        }
    }

    /// Start the server and wait until it is ready.
    pub(crate) async fn start_server(&mut self) -> Started {
        std::fs::write(self.folder.path().join("tagboat.yaml"), self.settings()).unwrap();
        let mut command = Command::new(&self.binary);
        command.current_dir(self.folder.path()).args(["serve", "--config", "tagboat.yaml"]);
        // As operators have it, who is told of every delivery, unless somebody looks where the time goes.
        let log = std::env::var("TAGBOAT_LOG").unwrap_or_else(|_| "info".to_owned());
        command.env("TAGBOAT_LOG", log).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let begun = Instant::now();
        let process = Process::start(&mut command, Some(&self.log_file()));
        let id = process.id();
        self.server = Some(process);
        let address = self.url("/readyz");
        while !self.http.get(&address).send().await.is_ok_and(|answer| answer.status().is_success()) {
            self.still_waiting(begun, "the server to be ready");
            tokio::time::sleep(LOOK).await;
        }
        Started { process: id, begun, ready: Instant::now() }
    }

    /// As a power cut stops it.
    pub(crate) fn kill_server(&mut self) {
        self.server.take().unwrap().kill();
    }

    fn settings(&self) -> String {
        let (port, host) = (self.port, self.registry.host());
        let repository = |number: usize| {
            let url = self.git_server.url_of(&format!("config-{number:02}.git"));
            format!("  - {{ name: config-{number:02}, url: \"{url}\" }}\n")
        };
        let repositories: String = (0..self.layout.repositories).map(repository).collect();
        let database = self.database.url();
        // Limits of a registry and of senders of one's own are one's own; what settles does so as long as by default.
        format!(
            "listen: 127.0.0.1:{port}\ndatabase: \"{database}\"\nsweep: {{ interval: 1h }}\nrepositories:\n{repositories}\
             registries:\n  - {{ host: \"{host}\", requestsPerSecond: 1000000, requestsAtOnce: 64 }}\n\
             receivers:\n  - name: ci\n    kind: generic\n    images: [\"{host}/acme/*\"]\n    secretFiles: [ci-secret]\n\
             \x20   requestsPerSecond: 100000\n"
        )
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn still_waiting(&self, since: Instant, what: &str) {
        let log = || std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let last = || log().lines().rev().take(30).collect::<Vec<_>>().join("\n");
        assert!(since.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}; the log, newest first:\n{}", last());
    }

    /// Sign announcements of images (from 0) with tags. The ids begin with `name`.
    pub(crate) fn load(&self, name: &str, all: impl Iterator<Item = (usize, String)>) -> Load {
        let host = self.registry.host();
        let announcement = |(index, (number, tag)): (usize, (usize, String))| Announcement {
            id: format!("{name}-{index}"),
            image: format!("{host}/{}", image(number)),
            tag,
        };
        Load::sign(self.port, SECRET, all.enumerate().map(announcement))
    }

    /// Every branch is served, and nothing waits.
    pub(crate) async fn wait_until_served(&self) {
        let since = Instant::now();
        loop {
            let answer = self.http.get(self.url("/api/v1/branches")).send().await.unwrap().text().await.unwrap();
            let answer: Value = serde_json::from_str(&answer).unwrap();
            let branches = answer["branches"].as_array().unwrap();
            let is_served = |branch: &Value| branch["servedAt"].is_number() && branch["dirty"] == false;
            if branches.len() >= self.layout.repositories && branches.iter().all(is_served) {
                assert!(branches.iter().all(|branch| branch["problem"].is_null()), "{answer}");
                return;
            }
            self.still_waiting(since, "every branch to be served");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Pushes to a repository so far.
    pub(crate) fn pushes(&self, number: usize) -> usize {
        let log = std::fs::read_to_string(self.repository(number).join("logs/refs/heads/main"));
        log.map_or(0, |log| log.lines().count())
    }

    /// How many manifests of a repository name a tag.
    pub(crate) fn manifests_with(&self, number: usize, tag: &str) -> usize {
        let mut command = Command::new("git");
        let end = format!(":{tag}$");
        command.current_dir(self.repository(number)).args(["grep", "--files-with-matches", &end, "main", "--", "prod"]);
        // That there is none is an error to it.
        String::from_utf8(command.output().unwrap().stdout).unwrap().lines().count()
    }

    /// When so many manifests of a repository named the tag.
    pub(crate) async fn wait_for_manifests(&self, number: usize, tag: &str, count: usize) -> Instant {
        let (since, mut pushes) = (Instant::now(), self.pushes(number));
        let mut found = since;
        while self.manifests_with(number, tag) < count {
            while self.pushes(number) == pushes {
                self.still_waiting(since, &format!("{count} manifests with {tag}"));
                tokio::time::sleep(LOOK_AT_GIT).await;
            }
            (pushes, found) = (self.pushes(number), Instant::now());
        }
        found
    }
}
