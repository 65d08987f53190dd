//! `registries` and `sigstore` of the server file: how registries are reached, and whose signatures are believed.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::CredentialsFile;

/// A registry that needs more than an anonymous request over https. What stands here holds for all tenants.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryFile {
    /// Host and port, as image names write it.
    pub host: String,
    /// User name and password.
    #[serde(default)]
    pub credentials: Option<CredentialsFile>,
    /// Docker's configuration file (`config.json`, `.dockerconfigjson`) with the credential, or with the helper
    /// program that has it.
    #[serde(default)]
    pub docker_config_file: Option<PathBuf>,
    /// The identity that this machine has at the registry's cloud.
    #[serde(default)]
    pub cloud_identity: Option<CloudIdentity>,
    /// Speak http instead of https. Default: only with loopback addresses.
    #[serde(default)]
    pub plain_http: Option<bool>,
    /// Whether credentials may travel over http to another machine. Never the identity of a cloud. Default: false.
    #[serde(default)]
    pub insecure: bool,
    /// The registry, its token servers and the places it redirects to may have addresses of private networks
    /// (10.0.0.0/8, fc00::/7, …). Default: false.
    #[serde(default)]
    pub private_network: bool,
    /// Hosts besides this one that may issue its tokens.
    #[serde(default)]
    pub token_servers: Vec<String>,
    /// Files with certificates (PEM) of authorities that are trusted besides the system's.
    #[serde(default)]
    pub certificate_authority_files: Vec<PathBuf>,
    /// Who we are to a registry that asks for a certificate.
    #[serde(default)]
    pub client_certificate: Option<ClientCertificateFile>,
    /// The proxy through which it is reached. Default: what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    #[serde(default)]
    pub proxy: Option<ProxyFile>,
    /// Requests per second on average; five seconds' worth may come at once. Default: 20, or 200 in a private network.
    #[serde(default)]
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests that are under way together. Default: 8.
    #[serde(default)]
    pub requests_at_once: Option<NonZeroUsize>,
}

/// The clouds whose registries take the identity of a machine or pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CloudIdentity {
    /// Amazon ECR: environment, web identity, container or instance.
    Ecr,
    /// Google Artifact Registry: the metadata server, or `GOOGLE_APPLICATION_CREDENTIALS`.
    Google,
    /// Azure Container Registry: workload identity or managed identity.
    Azure,
}

/// A certificate with its key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCertificateFile {
    /// File with the certificate and those between it and the authority (PEM).
    pub certificate_file: PathBuf,
    /// File with its key (PEM).
    pub key_file: PathBuf,
}

/// A proxy for HTTP.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProxyFile {
    /// `http://` or `https://` with host and port.
    pub url: String,
    /// User name and password.
    #[serde(default)]
    pub credentials: Option<CredentialsFile>,
}

/// Whose logs and certificate authorities are believed when keyless signatures are checked.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SigstoreFile {
    /// A `trusted_root.json`.
    pub trusted_root_file: Option<PathBuf>,
    /// The public Sigstore instance, as it was when this Tagboat was built.
    pub public_good: bool,
}
