//! A registry that notifies, a Git server, a config repository, and the real binary between them.

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::Value;
use tagboat_intake::sign_standard_webhook;

use crate::{
    BareRepository, Database, DockerRegistry, Garbler, GitServer, OidcIssuer, Process, SshServer, Wire, free_port,
    other_deployments, wait_for_port,
};

/// What the registry sends; a canary, so that it can be looked for where it must not be.
pub const REGISTRY_SECRET: &str = "Bearer canary-registry-7f3a";
/// What CI signs with.
pub const CI_SECRET: &str = "canary-ci-91be";
/// What opens the Git server.
pub const GIT_PASSWORD: &str = "canary-git-c04d";
const PATIENCE: Duration = Duration::from_secs(60);

/// How a world is made.
#[derive(Debug, Clone)]
pub struct WorldSetup {
    /// The `tagboat` program.
    pub binary: PathBuf,
    /// The settle time.
    pub settle: &'static str,
    /// The log filter.
    pub log: &'static str,
    /// Further files in the environment of the config repository, which name other images.
    pub padding: usize,
    /// How far away, in one direction, the Git server over http and the registry are; its notifications are as far. Without
    /// it there are no wires.
    pub wire_delay: Option<Duration>,
    /// In what the server keeps its state.
    pub database: Database,
    /// So many of the registry's first notifications arrive as garbage. Not together with `wire_delay`.
    pub garbled: usize,
}

impl WorldSetup {
    /// For scenarios: nothing waits, everything is logged.
    #[must_use]
    pub fn quick(binary: &str) -> Self {
        Self {
            binary: PathBuf::from(binary),
            settle: "0s",
            log: "debug",
            padding: 0,
            wire_delay: None,
            database: Database::Sqlite,
            garbled: 0,
        }
    }
}

/// All of it. Dropping it stops everything.
pub struct World {
    /// Debian's docker-registry, which notifies the server.
    pub registry: DockerRegistry,
    /// The config repository as its server holds it.
    pub config: BareRepository,
    /// For requests to the server.
    pub http: Client,
    /// The server's working folder.
    pub folder: tempfile::TempDir,
    /// The address of the config repository.
    pub config_url: String,
    setup: WorldSetup,
    port: u16,
    tagboat: Option<Process>,
    image_host: String,
    registry_wire: Option<Wire>,
    served: Served,
    /// From the registry to the server.
    _notifying: Option<Wire>,
    /// Likewise.
    pub garbler: Option<Garbler>,
    issuer: OidcIssuer,
}

/// Who serves the config repository, and what is before it.
#[derive(Default)]
struct Served {
    http: Option<GitServer>,
    wire: Option<Wire>,
    _ssh: Option<SshServer>,
}

/// The repository file, a Deployment and a kustomize overlay; `HOST` is the registry.
fn files(host: &str) -> Vec<(String, String)> {
    let settings = "images:\n  - name: web\n    image: HOST/acme/web\n    policy: { semver: { range: \"^1.4\" } }\n\
                    \x20 - name: worker\n    image: HOST/acme/worker\n    policy: { digest: { tag: main } }\n    pin: tagAndDigest\n\
                    environments:\n  - name: dev\n    paths: [apps/dev]\n    deliver: commit\n";
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n\
                      \x20   metadata: {labels: {app: web}}\n    spec:\n      containers:\n        - name: web\n          image: web # set below\n";
    let kustomization = "resources:\n  - ../base\nimages:\n  - name: web\n    newName: HOST/acme/web\n    newTag: \"1.4.0\" # moved by Tagboat\n";
    let worker = "apiVersion: v1\nkind: Pod\nmetadata: {name: worker}\nspec:\n    containers:\n    -   image: HOST/acme/worker:main\n        name: worker\n";
    [
        (".tagboat.yaml", settings),
        ("apps/base/deployment.yaml", deployment),
        ("apps/base/kustomization.yaml", "resources:\n  - deployment.yaml\n"),
        ("apps/dev/kustomization.yaml", kustomization),
        ("apps/dev/worker.yaml", worker),
    ]
    .map(|(path, text)| (path.to_owned(), text.replace("HOST", host)))
    .to_vec()
}

impl World {
    /// Over http with a password.
    pub async fn over_http(setup: WorldSetup) -> Self {
        let delay = setup.wire_delay;
        Self::start(setup, |config| {
            let server = GitServer::start(config.parent(), Some(("bot", GIT_PASSWORD)));
            let wire = delay.map(|delay| Wire::start(server.port(), delay));
            let url = wire.as_ref().map_or_else(|| server.url(), |wire| wire.url("config.git"));
            let settings = "    credentials: { username: bot, passwordFile: git-password }\n".to_owned();
            (url, settings, Served { http: Some(server), wire, ..Served::default() })
        })
        .await
    }

    /// Over ssh with a key.
    ///
    /// # Panics
    /// When sshd does not start.
    pub async fn over_ssh(setup: WorldSetup) -> Self {
        Self::start(setup, |config| {
            let server = SshServer::start();
            let (key, hosts) = (server.key_file(), server.known_hosts_file());
            let settings = format!("    ssh: {{ keyFile: {}, knownHostsFile: {} }}\n", key.display(), hosts.display());
            (server.url(&config.path()), settings, Served { _ssh: Some(server), ..Served::default() })
        })
        .await
    }

    async fn start(setup: WorldSetup, serve: impl FnOnce(&BareRepository) -> (String, String, Served)) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let wire = |to: u16| setup.wire_delay.map(|delay| Wire::start(to, delay));
        let notifying = wire(port);
        let garbler = if setup.garbled > 0 { Some(Garbler::start(port, setup.garbled).await) } else { None };
        let hooks = notifying.as_ref().map_or(port, Wire::port);
        let hooks = garbler.as_ref().map_or(hooks, Garbler::port);
        let registry =
            DockerRegistry::start(Some((&format!("http://127.0.0.1:{hooks}/hooks/registry"), REGISTRY_SECRET)));
        let registry_wire = wire(registry.host().rsplit(':').next().unwrap().parse().unwrap());
        let host = registry_wire.as_ref().map_or_else(|| registry.host(), Wire::host);
        let config =
            BareRepository::with_many(files(&host).into_iter().chain(other_deployments("apps/dev", setup.padding)));
        let (url, access, served) = serve(&config);
        let issuer = OidcIssuer::start();
        for (name, secret) in
            [("registry-secret", REGISTRY_SECRET), ("ci-secret", CI_SECRET), ("git-password", GIT_PASSWORD)]
        {
            std::fs::write(folder.path().join(name), format!("{secret}\n")).unwrap();
        }
        let settings = format!(
            "listen: 127.0.0.1:{port}\n{database}settle: {{ quiet: {settle} }}\nlimits: {{ bodyBytes: 20000 }}\nrepositories:\n  - name: config\n    url: {url}\n{access}\
             receivers:\n  - name: registry\n    kind: distribution\n    registry: {host}\n    images: [\"{host}/acme/*\"]\n    secretFiles: [registry-secret]\n\
             \x20 - name: actions\n    kind: generic-oidc\n    images: [\"{host}/acme/*\"]\n\
             \x20   identity: {{ provider: github-actions, issuer: \"{issuer}\", claims: {{ repository: acme/* }} }}\n\
             \x20 - name: ci\n    kind: generic\n    images: [\"{host}/acme/*\"]\n    secretFiles: [ci-secret]\n",
            settle = setup.settle,
            database = setup.database.setting(),
            issuer = issuer.url(),
        );
        std::fs::write(folder.path().join("tagboat.yaml"), settings).unwrap();
        let mut world = Self {
            registry,
            config,
            http: Client::new(),
            folder,
            config_url: url,
            setup,
            port,
            tagboat: None,
            image_host: host,
            registry_wire,
            served,
            _notifying: notifying,
            garbler,
            issuer,
        };
        world.registry.push_image("acme/web", "1.4.0", "web-1.4.0").await;
        world.start_tagboat();
        world
    }

    /// The server of the config repository.
    ///
    /// # Panics
    /// When it is served over ssh.
    #[must_use]
    pub fn git_server(&self) -> &GitServer {
        self.served.http.as_ref().unwrap()
    }

    /// The wire before the Git server, when one was asked for and it speaks http.
    #[must_use]
    pub fn git_wire(&self) -> Option<&Wire> {
        self.served.wire.as_ref()
    }

    /// The wire before the registry, when one was asked for. Images are named by its host and port.
    #[must_use]
    pub fn registry_wire(&self) -> Option<&Wire> {
        self.registry_wire.as_ref()
    }

    /// Whose tokens the receiver `actions` believes, when they are of a repository `acme/*`.
    #[must_use]
    pub fn issuer(&self) -> &OidcIssuer {
        &self.issuer
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
    pub fn terminate_tagboat(&mut self) -> std::process::ExitStatus {
        self.tagboat.take().unwrap().terminate()
    }

    /// As a power cut stops it.
    ///
    /// # Panics
    /// When it was not running.
    pub fn kill_tagboat(&mut self) {
        self.tagboat.take().unwrap().kill();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.setup.binary);
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    /// The server's process id.
    ///
    /// # Panics
    /// When it was not running.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.tagboat.as_ref().unwrap().id()
    }

    /// Run another command of the binary beside the server.
    ///
    /// # Panics
    /// When it cannot be started.
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

    /// A CI job announces an image. Returns status and answer.
    pub async fn announce(&self, id: &str, body: &str) -> (u16, Value) {
        let seconds = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        let signature = sign_standard_webhook(&CI_SECRET.to_owned().into(), id, seconds, body.as_bytes());
        let request = self.http.post(self.url("/hooks/ci")).header("webhook-id", id);
        let request = request.header("webhook-timestamp", seconds.to_string()).header("webhook-signature", signature);
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The body of an announcement of an image of this registry.
    #[must_use]
    pub fn announcement(&self, image: &str, tag: &str) -> String {
        format!(r#"{{"image":"{}/acme/{image}","tag":"{tag}"}}"#, self.image_host)
    }

    /// Wait until `done`.
    ///
    /// # Panics
    /// When it does not come about; the server's log is in the message.
    pub async fn wait(&self, what: &str, mut done: impl AsyncFnMut(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(self).await {
            assert!(Instant::now() < until, "{what} did not happen in {PATIENCE:?}; the log:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Wait until the branch has this many commits.
    pub async fn wait_for_commits(&self, count: usize) {
        self.wait(&format!("commit {count}"), async |world| world.config.commits() >= count).await;
    }

    /// Wait until an event about this tag is served, and return its id.
    pub async fn wait_for_event(&self, image: &str, tag: &str, nth: usize) -> String {
        let mut id = String::new();
        self.wait(&format!("event {nth} about {image}:{tag}"), async |world| {
            let events = world.get("/api/v1/events").await;
            let about = |event: &&Value| {
                event["image"].as_str().is_some_and(|name| name.ends_with(&format!("/{image}"))) && event["tag"] == tag
            };
            let served =
                |event: &&Value| event["branches"].as_array().is_some_and(|all| all.iter().all(|pair| pair[1] == true));
            let found: Vec<&Value> = events["events"].as_array().unwrap().iter().filter(about).filter(served).collect();
            if let Some(event) = found.get(nth - 1) {
                event["id"].as_str().unwrap().clone_into(&mut id);
            }
            found.len() >= nth
        })
        .await;
        id
    }

    /// The first look at the config repository is over.
    pub async fn wait_until_started(&self) {
        self.wait("the first look", async |world| {
            world.get("/api/v1/branches").await["branches"][0]["servedAt"].is_number()
        })
        .await;
    }
}
