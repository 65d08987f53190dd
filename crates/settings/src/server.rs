//! The server file, `config/tagboat.yaml`: the operator's.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagboat_model::{Duration, ReceiverName, TenantName};

use crate::{ConfigRepositoryFile, RegistryFile, SigstoreFile};

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
    /// Database URL. Default: `sqlite:` and `tagboat.db` in the data directory.
    pub database: Option<String>,
    /// How long events are gathered before a push.
    pub settle: SettleFile,
    /// The look at every image that heals what events missed.
    pub sweep: SweepFile,
    /// Who may read the API and the status page.
    pub api: ApiFile,
    /// Bounds on what senders may send.
    pub limits: LimitsFile,
    /// The config repositories.
    pub repositories: Vec<ConfigRepositoryFile>,
    /// The addresses that senders send to.
    pub receivers: Vec<ReceiverFile>,
    /// Registries that need more than an anonymous request over https.
    pub registries: Vec<RegistryFile>,
    /// Docker's configuration file with credentials for registries that have none above.
    pub docker_config_file: Option<PathBuf>,
    /// Whose logs and certificate authorities are believed when keyless signatures are checked. Default: nobody's.
    pub sigstore: SigstoreFile,
}

impl Default for ServerFile {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            public_url: None,
            data_directory: PathBuf::from("data"),
            database: None,
            settle: SettleFile::default(),
            sweep: SweepFile::default(),
            api: ApiFile::default(),
            limits: LimitsFile::default(),
            repositories: Vec::new(),
            receivers: Vec::new(),
            registries: Vec::new(),
            docker_config_file: None,
            sigstore: SigstoreFile::default(),
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
    /// Largest body, in bytes. Default: 1048576.
    pub body_bytes: usize,
}

impl Default for LimitsFile {
    fn default() -> Self {
        Self { body_bytes: 1024 * 1024 }
    }
}

/// A receiver: one address for one sender.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiverFile {
    /// Its name; the address is `/hooks/` and the name.
    pub name: ReceiverName,
    /// Who sends.
    pub kind: ReceiverKind,
    /// The tenant that what is sent here belongs to. Default: `default`.
    #[serde(default)]
    pub tenant: TenantName,
    /// Files with the credential (several during a rotation): for `distribution` the whole `Authorization` header,
    /// for `generic` the signing secret.
    #[serde(default)]
    pub secret_files: Vec<PathBuf>,
    /// Environment variables with the credential.
    #[serde(default)]
    pub secret_envs: Vec<String>,
    /// For `distribution`: the registry that sends, as host and port.
    #[serde(default)]
    pub registry: Option<String>,
    /// The images it may speak for: names, with `*` for one part of the path and `**` for any.
    pub images: Vec<String>,
}

/// The kinds of senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReceiverKind {
    /// A CNCF distribution registry's notifications.
    Distribution,
    /// Anything that signs as Standard Webhooks 1.0 says.
    Generic,
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

impl ReceiverFile {
    /// All sources of its credential.
    #[must_use]
    pub fn secrets(&self) -> Vec<SecretSource> {
        let files = self.secret_files.iter().cloned().map(SecretSource::File);
        files.chain(self.secret_envs.iter().cloned().map(SecretSource::Env)).collect()
    }
}
