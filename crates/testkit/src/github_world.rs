//! A registry that notifies, GitHub as its description has it, a config repository there, and the real binary installed as
//! its App.

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::Value;

use crate::{
    DockerRegistry, Process, free_port,
    github::{FakeGithub, RepositorySetup, Setup},
    wait_for_port,
};

/// The config repository.
pub const REPOSITORY: &str = "acme/config";
/// What the registry sends; a canary, so that it can be looked for where it must not be.
pub const REGISTRY_SECRET: &str = "Bearer canary-registry-7f3a";
/// What GitHub signs with; likewise.
pub const WEBHOOK_SECRET: &str = "canary-webhook-55d1";
const PATIENCE: Duration = Duration::from_secs(60);

/// How a world is made.
#[derive(Debug, Clone)]
pub struct GithubSetup {
    /// The `tagboat` program.
    pub binary: PathBuf,
    /// The files of the config repository; `HOST` is the registry.
    pub files: Vec<(String, String)>,
    /// What the server file says beside: whole lines.
    pub server: String,
    /// What the App's part of it says beside: lines that are indented by two.
    pub app: String,
    /// The log filter.
    pub log: &'static str,
}

impl GithubSetup {
    /// With this `.tagboat.yaml` (none where it is empty) and these other files.
    #[must_use]
    pub fn new(binary: &str, settings: &str, files: &[(&str, &str)]) -> Self {
        let mut all: Vec<(String, String)> =
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        if !settings.is_empty() {
            all.push((".tagboat.yaml".to_owned(), settings.to_owned()));
        }
        Self { binary: PathBuf::from(binary), files: all, server: String::new(), app: String::new(), log: "debug" }
    }
}

/// All of it. Dropping it stops everything.
pub struct GithubWorld {
    /// Debian's docker-registry, which notifies the server.
    pub registry: DockerRegistry,
    /// GitHub.
    pub github: FakeGithub,
    /// For requests to the server.
    pub http: Client,
    /// The server's working folder.
    pub folder: tempfile::TempDir,
    setup: GithubSetup,
    port: u16,
    tagboat: Option<Process>,
}

impl GithubWorld {
    /// Start everything but the server: images can be pushed before it looks. `with` may say more of GitHub: people,
    /// protections. Alice may administrate the repository, bob may write, carol may read.
    ///
    /// # Panics
    /// When a part of it does not start.
    #[must_use]
    pub fn prepare(setup: GithubSetup, with: impl FnOnce(Setup, RepositorySetup) -> Setup) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let hook = |name: &str| format!("http://127.0.0.1:{port}/hooks/{name}");
        let registry = DockerRegistry::start(Some((&hook("registry"), REGISTRY_SECRET)));
        let host = registry.host();
        let mut repository = RepositorySetup::new(REPOSITORY);
        for (path, text) in &setup.files {
            repository = repository.file(path, &text.replace("HOST", &host));
        }
        let repository = repository.role("alice", "admin").role("bob", "write").role("carol", "read");
        let people = Setup::new().person("alice").person("bob").person("carol");
        let github = FakeGithub::start(&with(people.webhook(&hook("github-app"), WEBHOOK_SECRET), repository));
        for (name, secret) in [
            ("registry-secret", REGISTRY_SECRET),
            ("webhook-secret", WEBHOOK_SECRET),
            ("app-key.pem", github.app_key()),
        ] {
            std::fs::write(folder.path().join(name), format!("{secret}\n")).unwrap();
        }
        let settings = format!(
            "listen: 127.0.0.1:{port}\nsettle: {{ quiet: 0s }}\ngithubApp:\n  appId: {id}\n  privateKeyFile: app-key.pem\n  webhookSecretFile: webhook-secret\n\
             \x20 url: {url}\n  insecure: true\n{app}receivers:\n  - name: registry\n    kind: distribution\n    tenant: acme\n    registry: {host}\n    images: [\"{host}/**\"]\n\
             \x20   secretFiles: [registry-secret]\n{server}",
            id = github.app_id(),
            url = github.url(),
            app = setup.app,
            server = setup.server,
        );
        std::fs::write(folder.path().join("tagboat.yaml"), settings).unwrap();
        Self { registry, github, http: Client::new(), folder, setup, port, tagboat: None }
    }

    /// Everything, with the image `acme/web:1.4.0`, and wait until the server has looked once.
    pub async fn start(setup: GithubSetup, with: impl FnOnce(Setup, RepositorySetup) -> Setup) -> Self {
        let mut world = Self::prepare(setup, with);
        world.push("web", "1.4.0").await;
        world.start_tagboat();
        world.wait_until_started().await;
        world
    }

    /// Push an image `acme/NAME:TAG`, each tag with a content of its own.
    pub async fn push(&self, name: &str, tag: &str) -> String {
        self.registry.push_image(&format!("acme/{name}"), tag, &format!("{name}-{tag}")).await
    }

    /// Start the server, again if it was stopped.
    pub fn start_tagboat(&mut self) {
        let mut command = self.command(&["serve", "--config", "tagboat.yaml"]);
        command.env("TAGBOAT_LOG", self.setup.log);
        self.tagboat = Some(Process::start(&mut command, Some(&self.log_file())));
        wait_for_port(self.port, Some(&self.log_file()));
    }

    /// As an operator stops it.
    ///
    /// # Panics
    /// When it was not running.
    pub fn terminate_tagboat(&mut self) {
        self.tagboat.take().unwrap().terminate();
    }

    /// As a power cut stops it.
    ///
    /// # Panics
    /// When it was not running.
    pub fn kill_tagboat(&mut self) {
        self.tagboat.take().unwrap().kill();
    }

    /// Stop it as an operator does, and start it again.
    pub async fn restart_tagboat(&mut self) {
        self.terminate_tagboat();
        self.start_tagboat();
        self.settle().await;
    }

    /// The same, with the database and all that it keeps on disk lost in between.
    ///
    /// # Panics
    /// When the server was not running, or there is nothing to lose.
    pub async fn lose_database(&mut self) {
        self.terminate_tagboat();
        std::fs::remove_dir_all(self.folder.path().join("data")).unwrap();
        self.start_tagboat();
        self.wait_until_started().await;
        self.settle().await;
    }

    /// A power cut, and what follows once it runs again.
    pub async fn crash_tagboat(&mut self) {
        self.kill_tagboat();
        self.start_tagboat();
        self.settle().await;
    }

    /// The server's process id.
    ///
    /// # Panics
    /// When it was not running.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.tagboat.as_ref().unwrap().id()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What the server wrote to its log.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.setup.binary);
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    /// Run another command of the binary beside the server.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// An address of the server.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What the API answers.
    pub async fn get(&self, path: &str) -> Value {
        let text = self.http.get(self.url(path)).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// Wait until `done`.
    ///
    /// # Panics
    /// When it does not come about; the end of the server's log is in the message.
    pub async fn wait(&self, what: &str, mut done: impl AsyncFnMut(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(self).await {
            if Instant::now() >= until {
                let log = self.log();
                let lines: Vec<&str> = log.lines().collect();
                let end = lines.get(lines.len().saturating_sub(120)..).unwrap_or_default().join("\n");
                panic!(
                    "{what} did not happen in {PATIENCE:?}; GitHub says {:?}; the log:\n{end}",
                    self.github.take_failures()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The first look at every branch that is known is over.
    pub async fn wait_until_started(&self) {
        self.wait("the first look", async |world| {
            let branches = world.get("/api/v1/branches").await;
            let branches = branches["branches"].as_array().unwrap();
            !branches.is_empty() && branches.iter().all(|branch| branch["servedAt"].is_number())
        })
        .await;
    }

    /// Nothing waits to be done: every event is served and every branch is clean.
    pub async fn wait_until_quiet(&self) {
        let mut quiet_for = 0;
        self.wait("quiet", async |world| {
            let branches = world.get("/api/v1/branches").await;
            let clean = branches["branches"].as_array().unwrap().iter().all(|branch| branch["dirty"] == false);
            quiet_for = if clean { quiet_for + 1 } else { 0 };
            quiet_for >= 10
        })
        .await;
    }

    /// The same, after what is on its way has had the time to come.
    pub async fn settle(&self) {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            self.wait_until_quiet().await;
        }
    }

    /// Wait until nothing is left to be done, and hold GitHub to its description.
    pub async fn finish_quiet(self) {
        self.settle().await;
        self.finish();
    }

    /// A file of the config repository's default branch.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn file(&self, path: &str) -> String {
        self.github.file(REPOSITORY, "main", path).unwrap_or_else(|| panic!("there is no {path}"))
    }

    /// Wait until a file of the default branch says this.
    pub async fn wait_for_file(&self, path: &str, text: &str) {
        let what = format!("{path} with {text}");
        self.wait(&what, async |world| world.file(path).contains(text)).await;
    }

    /// Wait until an open pull request has this in its title, and return its number.
    pub async fn wait_for_pull(&self, title: &str) -> u64 {
        let mut found = 0;
        self.wait(&format!("a pull request `{title}`"), async |world| {
            let open = world.github.open_pulls(REPOSITORY);
            let is_meant = |number: &u64| {
                world.github.pull(REPOSITORY, *number)["title"].as_str().is_some_and(|text| text.contains(title))
            };
            found = open.into_iter().find(is_meant).unwrap_or_default();
            found != 0
        })
        .await;
        found
    }

    /// Wait until a pull request is closed or merged.
    pub async fn wait_until_closed(&self, number: u64) {
        let what = format!("the end of #{number}");
        self.wait(&what, async |world| world.github.pull(REPOSITORY, number)["state"] == "closed").await;
    }

    /// Wait until a comment on a pull request says this, and return it.
    pub async fn wait_for_comment(&self, number: u64, text: &str) -> String {
        let mut found = String::new();
        self.wait(&format!("a comment `{text}` on #{number}"), async |world| {
            let comments = world.github.comments(REPOSITORY, number);
            let comment = comments.into_iter().map(|(_, body)| body).find(|body| body.contains(text));
            found = comment.unwrap_or_default();
            !found.is_empty()
        })
        .await;
        found
    }

    /// What the App commented on a pull request, oldest first.
    #[must_use]
    pub fn comments_of_app(&self, number: u64) -> Vec<String> {
        let comments = self.github.comments(REPOSITORY, number).into_iter();
        comments.filter(|(author, _)| author.ends_with("[bot]")).map(|(_, body)| body).collect()
    }

    /// The title of a pull request.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn title(&self, number: u64) -> String {
        self.github.pull(REPOSITORY, number)["title"].as_str().unwrap_or_default().to_owned()
    }

    /// The text of a pull request.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn body(&self, number: u64) -> String {
        self.github.pull(REPOSITORY, number)["body"].as_str().unwrap_or_default().to_owned()
    }

    /// The first parent of the head of a branch.
    ///
    /// # Panics
    /// When there is no such branch, or git fails.
    #[must_use]
    pub fn parent(&self, branch: &str) -> String {
        let folder = self.github.folder(REPOSITORY);
        let head = self.github.head(REPOSITORY, branch).unwrap();
        let output = Command::new("git").arg("--git-dir").arg(folder).args(["rev-parse", &format!("{head}^")]).output();
        String::from_utf8_lossy(&output.unwrap().stdout).trim().to_owned()
    }

    /// How often a pull request was closed or merged so far.
    #[must_use]
    pub fn closings(&self) -> usize {
        let deliveries = self.github.deliveries();
        let is_closing = |(event, action, _): &&(String, Option<String>, u16)| {
            event == "pull_request" && action.as_deref() == Some("closed")
        };
        deliveries.iter().filter(is_closing).count()
    }

    /// What `tagboat explain` says.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn explain(&self, what: &str) -> String {
        let output = self.run(&["explain", what, "--config", "tagboat.yaml"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Stop, and hold GitHub to its description: every request and answer was as it says.
    pub fn finish(mut self) {
        if let Some(mut tagboat) = self.tagboat.take() {
            tagboat.terminate();
        }
        self.github.finish();
    }
}
