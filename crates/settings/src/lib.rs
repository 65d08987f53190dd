//! The two configuration files, read strictly.
//!
//! Pure: text in, settings or a [`Problem`] out. A problem names file, line, column and what to do; unknown
//! keys are problems that name the nearest known key. Files named by `…File` keys are not opened here.
//!
//! The server file (`server`) is the operator's, the repository file (`repository`) the application teams'.

mod claims;
mod commit;
mod config_repository;
mod forge;
mod overrides;
mod problem;
mod receivers;
mod registries;
mod repository;
mod server;
mod server_check;
mod telemetry;
mod verify;

pub use claims::claims;
pub use commit::{CommitFile, CommitSettings};
pub use config_repository::{AuthorFile, ConfigRepositoryFile, CredentialsFile, PushProgram, SigningFile, SshFile};
pub use forge::{CommitThrough, ForgeFile, ForgeFileKind, GithubAppFile};
pub use overrides::environment_names;
pub use problem::Problem;
pub use receivers::{IdentityFile, IdentityProvider, OneOrMany, ReceiverFile, ReceiverKind, ReceiverScheme};
pub use registries::{ClientCertificateFile, CloudIdentity, ProxyFile, RegistryFile, SigstoreFile};
pub use repository::{
    ReadContext, RepositoryFile, RepositorySettings, includes, read_policy_file, read_repository_file,
    read_repository_files,
};
pub use server::{ApiFile, LimitsFile, SecretSource, ServerFile, SettleFile, SweepFile};
pub use server_check::{is_loopback, read_server_file};
pub use telemetry::{TelemetryFile, TracesFile};
pub use verify::{CosignFile, VerifyFile, public_keys};

/// Where the repository file stands in a config repository.
pub const REPOSITORY_FILE: &str = ".tagboat.yaml";

/// The JSON schema of the server file.
///
/// # Errors
/// When the schema cannot be expressed as JSON, which no input can cause.
pub fn server_schema() -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&schemars::schema_for!(ServerFile))
}

/// The JSON schema of the repository file.
///
/// # Errors
/// When the schema cannot be expressed as JSON, which no input can cause.
pub fn repository_schema() -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&schemars::schema_for!(RepositoryFile))
}
