//! The server file, `config/tagboat.yaml`: the operator's.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagboat_model::Duration;

use crate::{ConfigRepositoryFile, GithubAppFile, ReceiverFile, RegistryFile, SigstoreFile, TelemetryFile};

/// The file as it is written, defaults filled in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "Tagboat server file")]
pub struct ServerFile {
    /// Address and port to listen on. Default: `127.0.0.1:8080`.
    pub listen: String,
    /// The address under which senders and people reach this server. Default: `http://` and `listen`.
    pub public_url: Option<String>,
    /// Folder for the database and the mirrors. Default: `data` beside the process.
    pub data_directory: PathBuf,
    /// Database URL: `sqlite:path` for one process, `postgres://user@host/name` for any number of replicas (PostgreSQL 13 or
    /// newer). Default: `sqlite:` and `tagboat.db` in the data directory.
    pub database: Option<String>,
    /// File with the password for PostgreSQL.
    pub database_password_file: Option<PathBuf>,
    /// Environment variable with that password.
    pub database_password_env: Option<String>,
    /// How long events are gathered before a push.
    pub settle: SettleFile,
    /// The look at every image that heals what events missed.
    pub sweep: SweepFile,
    /// Who may read the API and the status page.
    pub api: ApiFile,
    /// Bounds on what senders may send.
    pub limits: LimitsFile,
    /// The config repositories. There may be none where `githubApp` is.
    pub repositories: Vec<ConfigRepositoryFile>,
    /// The GitHub App whose installations are config repositories too. Default: none.
    pub github_app: Option<GithubAppFile>,
    /// The addresses that senders send to.
    pub receivers: Vec<ReceiverFile>,
    /// Registries that need more than an anonymous request over https.
    pub registries: Vec<RegistryFile>,
    /// Docker's configuration file with credentials for registries that have none above.
    pub docker_config_file: Option<PathBuf>,
    /// Whose logs and certificate authorities are believed when keyless signatures are checked. Default: nobody's.
    pub sigstore: SigstoreFile,
    /// What is told to whoever watches from elsewhere.
    pub telemetry: TelemetryFile,
}

impl ServerFile {
    /// The address under which senders and people reach this server, without a slash at its end.
    #[must_use]
    pub fn address(&self) -> String {
        let url = self.public_url.clone().unwrap_or_else(|| format!("http://{}", self.listen));
        url.trim_end_matches('/').to_owned()
    }
}

impl Default for ServerFile {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            public_url: None,
            data_directory: PathBuf::from("data"),
            database: None,
            database_password_file: None,
            database_password_env: None,
            settle: SettleFile::default(),
            sweep: SweepFile::default(),
            api: ApiFile::default(),
            limits: LimitsFile::default(),
            repositories: Vec::new(),
            github_app: None,
            receivers: Vec::new(),
            registries: Vec::new(),
            docker_config_file: None,
            sigstore: SigstoreFile::default(),
            telemetry: TelemetryFile::default(),
        }
    }
}

/// `settle: { quiet: 2s, atMost: 15s }`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SettleFile {
    /// A push is made when no event came for this long. Default: `2s`.
    pub quiet: Duration,
    /// And at the latest this long after the first. Default: `15s`.
    pub at_most: Duration,
}

impl Default for SettleFile {
    fn default() -> Self {
        Self { quiet: Duration::from_seconds(2), at_most: Duration::from_seconds(15) }
    }
}

/// `sweep: { interval: 1h }`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SweepFile {
    /// How often every image is looked at without an event, and every branch for foreign commits. Default: `1h`.
    pub interval: Duration,
}

impl Default for SweepFile {
    fn default() -> Self {
        Self { interval: Duration::from_seconds(3600) }
    }
}

/// Who may read the API and the status page. Without either key everybody on this machine may, as long as neither
/// `listen` nor `publicUrl` reaches further.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApiFile {
    /// Everybody who reaches the port.
    pub public: bool,
    /// File with the token that requests carry as `Authorization: Bearer …`.
    pub token_file: Option<PathBuf>,
    /// Environment variable with that token.
    pub token_env: Option<String>,
}

/// Bounds on what senders may send.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LimitsFile {
    /// Largest body, in bytes. Default: 1048576. GitHub may send 25 times as much.
    pub body_bytes: usize,
    /// Requests that may be open at once, from all senders and readers. Default: 4096.
    pub connections: usize,
    /// How long headers and bodies of deliveries are kept, to be looked at and replayed. Default: `14d`.
    pub keep_deliveries: Duration,
    /// Bytes of bodies that are kept at most, the newest first. Default: 268435456.
    pub kept_bytes: u64,
    /// How long it is kept what came, what was decided about it, and what people asked for that is done. What runs, what waits
    /// and what is held stays for as long as it does. Default: `365d`.
    pub keep_history: Duration,
    /// Events that may wait to be served; while there are more, senders are told to come again (503). Default: 200000.
    pub pending_events: u64,
}

impl Default for LimitsFile {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            connections: 4096,
            keep_deliveries: Duration::from_seconds(14 * 24 * 3600),
            kept_bytes: 256 * 1024 * 1024,
            keep_history: Duration::from_seconds(365 * 24 * 3600),
            pending_events: 200_000,
        }
    }
}

impl ServerFile {
    /// Where the password of the database is.
    #[must_use]
    pub fn database_password(&self) -> Option<SecretSource> {
        SecretSource::of(self.database_password_file.as_ref(), self.database_password_env.as_ref())
    }
}

/// Where a secret is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file; one line end at its end is not part of the secret.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

impl SecretSource {
    /// The one source of a pair of `…File` and `…Env` keys.
    #[must_use]
    pub fn of(file: Option<&PathBuf>, env: Option<&String>) -> Option<Self> {
        file.cloned().map(Self::File).or_else(|| env.cloned().map(Self::Env))
    }
}
