//! A registry with images, a GitHub with a manifest for each, and the real binary between them as the GitHub's App.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::Value;
use tagboat_testkit::{
    DockerRegistry, Process, deployment, free_port,
    github::{FakeGithub, RepositorySetup, Setup},
    world::REGISTRY_SECRET,
};

/// The config repository.
pub(crate) const REPOSITORY: &str = "acme/config";
/// The tag that the manifests name.
pub(crate) const OLD: &str = "1.0.0";
/// The tag that is pushed.
pub(crate) const NEW: &str = "1.1.0";

const WEBHOOK_SECRET: &str = "canary-github-app-5d20";
/// How often somebody looks whether there is a pull request.
const LOOK: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(120);
/// Nobody was asked anything for so long: what was to be done is done.
const QUIET: Duration = Duration::from_millis(700);

/// All of it. Dropping it stops everything.
pub(crate) struct Place {
    server: Option<Process>,
    pub(crate) registry: DockerRegistry,
    pub(crate) github: FakeGithub,
    images: usize,
    binary: PathBuf,
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

/// How many requests were made so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Tagboat's, to the registry.
    pub(crate) registry: usize,
    /// To GitHub's API.
    pub(crate) api: usize,
    /// To GitHub's Git server.
    pub(crate) git: usize,
}

/// The name of an image, from 1.
pub(crate) fn image(number: usize) -> String {
    format!("image-{number:04}")
}

/// The manifest that names it.
pub(crate) fn manifest(number: usize) -> String {
    format!("prod/{}.yaml", image(number))
}

impl Place {
    /// Everything but the server. `group` is that of the environment.
    pub(crate) async fn start(binary: &Path, images: usize, group: &str) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let hooks = format!("http://127.0.0.1:{port}/hooks");
        let registry = DockerRegistry::start(Some((&format!("{hooks}/registry"), REGISTRY_SECRET)));
        let first = format!("acme/{}", image(1));
        registry.push_image(&first, OLD, "old").await;
        registry.copy_repository(&first, (2..=images).map(|number| format!("acme/{}", image(number))));
        let mut repository = RepositorySetup::new(REPOSITORY);
        repository.files.extend(files(&registry.host(), images, group));
        let world = Setup::new().repository(repository).webhook(&format!("{hooks}/github-app"), WEBHOOK_SECRET);
        let github = FakeGithub::start(&world);
        let secrets =
            [("registry-secret", REGISTRY_SECRET), ("app-secret", WEBHOOK_SECRET), ("app-key.pem", github.app_key())];
        for (name, secret) in secrets {
            std::fs::write(folder.path().join(name), format!("{}\n", secret.trim_end())).unwrap();
        }
        let (binary, http) = (binary.to_owned(), Client::builder().no_proxy().build().unwrap());
        Self { server: None, registry, github, images, binary, folder, port, http }
    }

    /// How many images there are.
    pub(crate) fn images(&self) -> usize {
        self.images
    }

    /// Start the server and wait until it is ready.
    pub(crate) async fn start_server(&mut self, sweeps: &str) -> Started {
        std::fs::write(self.folder.path().join("tagboat.yaml"), self.settings(sweeps)).unwrap();
        let mut command = Command::new(&self.binary);
        command.current_dir(self.folder.path()).args(["serve", "--config", "tagboat.yaml"]);
        command.env("TAGBOAT_LOG", "warn").env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let begun = Instant::now();
        let process = Process::start(&mut command, Some(&self.log_file()));
        let id = process.id();
        self.server = Some(process);
        let address = self.url("/readyz");
        // It listens before it is ready, and answers when it is.
        while !self.http.get(&address).send().await.is_ok_and(|answer| answer.status().is_success()) {
            self.still_waiting(begun, "the server to be ready");
            tokio::time::sleep(LOOK).await;
        }
        Started { process: id, begun, ready: Instant::now() }
    }

    /// As an operator stops it.
    pub(crate) fn stop_server(&mut self) {
        if let Some(mut process) = self.server.take() {
            process.terminate();
        }
    }

    fn settings(&self, sweeps: &str) -> String {
        let (port, host) = (self.port, self.registry.host());
        // The limits of a registry of one's own are one's own.
        format!(
            "listen: 127.0.0.1:{port}\nsettle: {{ quiet: 0s }}\nsweep: {{ interval: {sweeps} }}\n\
             githubApp: {{ appId: {app}, privateKeyFile: app-key.pem, webhookSecretFile: app-secret, url: \"{github}\" }}\n\
             registries:\n  - {{ host: \"{host}\", requestsPerSecond: 1000000, requestsAtOnce: 64 }}\n\
             receivers:\n  - name: registry\n    kind: distribution\n    tenant: acme\n    registry: \"{host}\"\n\
             \x20   images: [\"{host}/acme/*\"]\n    secretFiles: [registry-secret]\n",
            app = self.github.app_id(),
            github = self.github.url(),
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
        assert!(since.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}; the log:\n{}", log());
    }

    /// The first look at the config repository and at every image is over.
    pub(crate) async fn wait_until_served(&self) {
        let (since, address) = (Instant::now(), self.url("/api/v1/branches"));
        loop {
            let text = self.http.get(&address).send().await.unwrap().text().await.unwrap();
            let branches: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
            if branches["branches"][0]["servedAt"].is_number() {
                return;
            }
            self.still_waiting(since, "the first look");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Asked {
        let requests = self.github.requests();
        let git = requests.iter().filter(|seen| seen.operation == "git").count();
        Asked { registry: self.registry.requests_of("tagboat"), api: requests.len() - git, git }
    }

    /// Nothing is under way any more.
    pub(crate) async fn wait_until_quiet(&self) {
        let (begun, mut since, mut before) = (Instant::now(), Instant::now(), self.asked());
        while since.elapsed() < QUIET {
            self.still_waiting(begun, "the server to be done");
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = self.asked();
            if now != before {
                (since, before) = (Instant::now(), now);
            }
        }
    }

    /// The pull requests that are open.
    pub(crate) fn open_pulls(&self) -> Vec<u64> {
        self.github.open_pulls(REPOSITORY)
    }

    /// One that was not known, and when it was there.
    pub(crate) async fn wait_for_pull(&self, known: &[u64]) -> (u64, Instant) {
        let since = Instant::now();
        loop {
            if let Some(number) = self.open_pulls().into_iter().find(|number| !known.contains(number)) {
                return (number, Instant::now());
            }
            self.still_waiting(since, "a pull request");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// When there was one pull request that changes every manifest.
    pub(crate) async fn wait_for_all(&self) -> Instant {
        let since = Instant::now();
        let (number, mut found) = self.wait_for_pull(&[]).await;
        loop {
            let changed = self.github.pull(REPOSITORY, number)["changed_files"].clone();
            if changed == self.images {
                assert_eq!(self.open_pulls(), [number]);
                return found;
            }
            self.still_waiting(since, &format!("all changes in one pull request, which has {changed}"));
            tokio::time::sleep(Duration::from_millis(10)).await;
            found = Instant::now();
        }
    }

    /// Stop everything; what was not as GitHub describes it is told.
    pub(crate) fn finish(self) {
        for failure in self.github.take_failures() {
            eprintln!("not as GitHub describes it: {failure}");
        }
    }
}

/// The repository file and the manifests.
fn files(host: &str, images: usize, group: &str) -> Vec<(String, String)> {
    let settings = format!(
        "images:\n  - image: {host}/acme/*\n    policy: {{ semver: {{ range: \"^1\" }} }}\n\
         environments:\n  - {{ name: prod, paths: [prod], deliver: pullRequest, group: {group} }}\n\
         limits: {{ openPullRequests: {images} }}\n"
    );
    let manifests = (1..=images).map(|number| {
        let image = image(number);
        (manifest(number), deployment(&image, &format!("{host}/acme/{image}:{OLD}")))
    });
    std::iter::once((".tagboat.yaml".to_owned(), settings)).chain(manifests).collect()
}
