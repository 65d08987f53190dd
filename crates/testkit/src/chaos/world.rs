//! The real servers around the one that is killed: registry, Git, forge, each behind a gate, and the people who use them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use super::{
    gate::{Gate, forge_places, git_places, registry_places},
    trap::Trap,
};
use crate::{
    BareRepository, Database, DockerRegistry, FaultyDisk, GitServer, GiteaFake, free_port, git,
    world::{CI_SECRET, GIT_PASSWORD, REGISTRY_SECRET},
};

/// The entries of the repository file; those of [`PROMOTED`] also stand in the environment behind.
pub(super) const ENTRIES: [&str; 4] = ["web", "api", "worker", "job"];
/// Brought to `prod` by pull request.
pub(super) const PROMOTED: [&str; 2] = ["web", "api"];

/// All of it. Dropping it stops everything.
pub(super) struct World {
    pub(super) registry: DockerRegistry,
    pub(super) config: BareRepository,
    pub(super) forge: GiteaFake,
    /// The server's working folder.
    pub(super) folder: tempfile::TempDir,
    pub(super) port: u16,
    /// Host and port under which images are named.
    pub(super) image_host: String,
    /// Below SQLite.
    pub(super) disk: Option<FaultyDisk>,
    pub(super) trap: Trap,
    binary: PathBuf,
    _git: GitServer,
    _gates: Vec<Gate>,
}

fn files(host: &str) -> Vec<(String, String)> {
    let mut settings = "images:\n".to_owned();
    let mut all = Vec::new();
    for entry in ENTRIES {
        settings.push_str(&format!(
            "  - name: {entry}\n    image: {host}/acme/{entry}\n    policy: {{ semver: {{ range: \"^1\" }} }}\n"
        ));
        let manifest = crate::deployment(entry, &format!("{host}/acme/{entry}:1.0.0"));
        if PROMOTED.contains(&entry) {
            all.push((format!("apps/prod/{entry}.yaml"), manifest.clone()));
        }
        all.push((format!("apps/dev/{entry}.yaml"), manifest));
    }
    settings.push_str(
        "environments:\n  - name: dev\n    paths: [apps/dev]\n    deliver: commit\n  - name: prod\n    paths: [apps/prod]\n\
         \x20   promoteFrom: dev\n    deliver: pullRequest\n",
    );
    all.push((".tagboat.yaml".to_owned(), settings));
    all
}

/// The database as the server sees it.
struct Below {
    database: Database,
    disk: Option<FaultyDisk>,
    gate: Option<Gate>,
}

fn below(database: &Database, folder: &Path, trap: &Trap) -> Below {
    match database {
        Database::Sqlite => {
            let file = folder.canonicalize().unwrap().join("data/tagboat.db");
            Below { database: Database::Sqlite, disk: Some(FaultyDisk::below(&file)), gate: None }
        }
        Database::Postgres { url } => {
            let (before, place) = url.rsplit_once('@').unwrap();
            let (address, name) = place.split_once('/').unwrap();
            let gate = Gate::before_database(address.rsplit(':').next().unwrap().parse().unwrap(), trap);
            let url = format!("{before}@{}/{name}", gate.host());
            Below { database: Database::Postgres { url }, disk: None, gate: Some(gate) }
        }
    }
}

impl World {
    pub(super) async fn start(binary: &Path, database: &Database) -> Self {
        let (port, folder, trap) = (free_port(), tempfile::tempdir().unwrap(), Trap::default());
        let registry =
            DockerRegistry::start(Some((&format!("http://127.0.0.1:{port}/hooks/registry"), REGISTRY_SECRET)));
        let registry_gate = Gate::before_http(&format!("http://{}", registry.host()), &trap, registry_places);
        let image_host = registry_gate.host();
        for entry in ENTRIES {
            registry.push_image(&format!("acme/{entry}"), "1.0.0", &format!("{entry} 1.0.0")).await;
        }
        let config = BareRepository::with_many(files(&image_host).into_iter());
        // Where the branch stood at any time.
        git(&config.path(), &["config", "core.logAllRefUpdates", "true"]);
        let git_server = GitServer::start(config.parent(), Some(("bot", GIT_PASSWORD)));
        let git_gate = Gate::before_http(&format!("http://127.0.0.1:{}", git_server.port()), &trap, git_places);
        let forge = GiteaFake::start(config.clone()).await;
        // What was said before the server began is not obeyed.
        forge.set_clock(i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap());
        let forge_gate = Gate::before_http(&forge.url(), &trap, forge_places);
        let Below { database, disk, gate } = below(database, folder.path(), &trap);
        for (name, secret) in [
            ("registry-secret", REGISTRY_SECRET),
            ("ci-secret", CI_SECRET),
            ("git-password", GIT_PASSWORD),
            ("forge-token", forge.token()),
        ] {
            std::fs::write(folder.path().join(name), format!("{secret}\n")).unwrap();
        }
        let settings = format!(
            "listen: 127.0.0.1:{port}\n{database}settle: {{ quiet: 0s }}\nrepositories:\n  - name: config\n    url: http://{git}/config.git\n\
             \x20   credentials: {{ username: bot, passwordFile: git-password }}\n\
             \x20   forge: {{ kind: gitea, url: \"http://{forge}/api/v1\", repository: acme/config, tokenFile: forge-token }}\n\
             receivers:\n  - name: registry\n    kind: distribution\n    registry: {image_host}\n    images: [\"{image_host}/acme/*\"]\n\
             \x20   secretFiles: [registry-secret]\n  - name: ci\n    kind: generic\n    images: [\"{image_host}/acme/*\"]\n    secretFiles: [ci-secret]\n",
            database = database.setting(),
            git = git_gate.host(),
            forge = forge_gate.host(),
        );
        std::fs::write(folder.path().join("tagboat.yaml"), settings).unwrap();
        let gates = [registry_gate, git_gate, forge_gate].into_iter().chain(gate).collect();
        Self {
            registry,
            config,
            forge,
            folder,
            port,
            image_host,
            disk,
            trap,
            binary: binary.to_owned(),
            _git: git_server,
            _gates: gates,
        }
    }

    /// Start the server; it is not waited for.
    pub(super) fn start_tagboat(&self) {
        let mut command = Command::new(&self.binary);
        command.current_dir(self.folder.path()).args(["serve", "--config", "tagboat.yaml"]).env("TAGBOAT_LOG", "info");
        if let Some(disk) = &self.disk {
            disk.put_below(&mut command);
        }
        self.trap.victim.start(&mut command, &self.log_file());
    }

    /// Try work again that was interrupted, as an operator does, while no server runs.
    pub(super) fn retry(&self) -> Result<(), String> {
        self.trap.set(None);
        let mut command = Command::new(&self.binary);
        command.current_dir(self.folder.path()).args(["store", "retry", "--config", "tagboat.yaml"]);
        let output = command.output().map_err(|error| error.to_string())?;
        match output.status.code() {
            // Done, or there is none.
            Some(0 | 3) => Ok(()),
            _ => Err(format!("`tagboat store retry`: {output:?}")),
        }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The last lines of the server's log.
    pub(super) fn end_of_log(&self) -> String {
        let text = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// The database of SQLite.
    pub(super) fn database_file(&self) -> PathBuf {
        self.folder.path().join("data/tagboat.db")
    }

    /// An address of the server.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}
