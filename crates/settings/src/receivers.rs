//! `receivers` of the server file: the addresses that senders send to.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagboat_intake::{ClaimRule, Configured, ImagePattern, Kind, Provider, Scheme, TokenRule, claim_name};
use tagboat_model::{Pattern, ReceiverName, TenantName};

use crate::{SecretSource, server_check::check_host, server_check::is_loopback};

/// The registry that Docker Hub's webhooks are always about.
const DOCKER_HUB: &str = "docker.io";

/// A receiver: one address for one sender.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiverFile {
    /// Its name; the address is `/hooks/` and the name. `tagboat receivers` shows it whole.
    pub name: ReceiverName,
    /// Who sends.
    pub kind: ReceiverKind,
    /// The tenant that what is sent here belongs to. Default: `default`.
    #[serde(default)]
    pub tenant: TenantName,
    /// How the sender proves itself. Default: the first that its kind has; for `jfrog` it must be said.
    #[serde(default)]
    pub scheme: Option<ReceiverScheme>,
    /// Files with the secret, several during a rotation: what signs the body, what a header carries, or what the secret
    /// part of the address is made of.
    #[serde(default)]
    pub secret_files: Vec<PathBuf>,
    /// Environment variables with the secret.
    #[serde(default)]
    pub secret_envs: Vec<String>,
    /// For the scheme `token`: the header that carries the secret. Default: that of the kind, mostly `Authorization`.
    #[serde(default)]
    pub header: Option<String>,
    /// For the scheme `identity`: whose tokens are believed, and what they must say.
    #[serde(default)]
    pub identity: Option<IdentityFile>,
    /// For the scheme `topic`: the topics (ARNs) of Amazon SNS that may send.
    #[serde(default)]
    pub topics: Vec<String>,
    /// The registry that sends, as image names write its host and port. Needed where events do not name it.
    #[serde(default)]
    pub registry: Option<String>,
    /// For `jfrog`: the repository by which image names mean the one that sends, as with a virtual repository; `""` when
    /// they name none.
    #[serde(default)]
    pub repository: Option<String>,
    /// The images it may speak for: names, with `*` for one part of the path and `**` for any. A receiver of the kinds
    /// `github`, `gitlab`, `gitea` and `forgejo` may name none: it hears of config repositories then, and speaks for no image.
    #[serde(default)]
    pub images: Vec<String>,
    /// Authentic requests per second on average; five seconds' worth may come at once. Default: 2000.
    #[serde(default)]
    pub requests_per_second: Option<std::num::NonZeroU32>,
}

/// The kinds of senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiverKind {
    /// Azure Container Registry: secret address, or a header.
    Acr,
    /// Aliyun Container Registry: secret address.
    Aliyun,
    /// CDEvents of a CI system.
    Cdevents,
    /// CloudEvents, structured, binary or in batches.
    Cloudevents,
    /// A CNCF distribution registry's notifications.
    Distribution,
    /// Docker Hub: secret address.
    Dockerhub,
    /// Amazon ECR through EventBridge (a header) or SNS (its signature).
    Ecr,
    /// Forgejo: packages, and changes of config repositories.
    Forgejo,
    /// Google Artifact Registry through Pub/Sub, with the token of a service account.
    Gar,
    /// Anything that signs as Standard Webhooks 1.0 says, or as GitHub does.
    Generic,
    /// A CI job with a token of its CI, no secret.
    GenericOidc,
    /// Gitea: packages, and changes of config repositories.
    Gitea,
    /// GitHub: packages, finished builds, and changes of config repositories.
    Github,
    /// GitLab: finished builds, changes of config repositories, and its registry's notifications.
    Gitlab,
    /// Harbor, both payload formats.
    Harbor,
    /// JFrog Artifactory: token or signature.
    Jfrog,
    /// Sonatype Nexus.
    Nexus,
    /// Quay: secret address.
    Quay,
    /// zot.
    Zot,
}

impl From<ReceiverKind> for Kind {
    fn from(kind: ReceiverKind) -> Self {
        match kind {
            ReceiverKind::Acr => Self::Acr,
            ReceiverKind::Aliyun => Self::Aliyun,
            ReceiverKind::Cdevents => Self::Cdevents,
            ReceiverKind::Cloudevents => Self::Cloudevents,
            ReceiverKind::Distribution => Self::Distribution,
            ReceiverKind::Dockerhub => Self::Dockerhub,
            ReceiverKind::Ecr => Self::Ecr,
            ReceiverKind::Forgejo => Self::Forgejo,
            ReceiverKind::Gar => Self::Gar,
            ReceiverKind::Generic => Self::Generic,
            ReceiverKind::GenericOidc => Self::GenericOidc,
            ReceiverKind::Gitea => Self::Gitea,
            ReceiverKind::Github => Self::Github,
            ReceiverKind::Gitlab => Self::Gitlab,
            ReceiverKind::Harbor => Self::Harbor,
            ReceiverKind::Jfrog => Self::Jfrog,
            ReceiverKind::Nexus => Self::Nexus,
            ReceiverKind::Quay => Self::Quay,
            ReceiverKind::Zot => Self::Zot,
        }
    }
}

/// How a sender proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReceiverScheme {
    /// It signs the body.
    Signature,
    /// A header carries a secret.
    Token,
    /// It carries a token signed by its issuer.
    Identity,
    /// Amazon SNS signs the body.
    Topic,
    /// It knows a secret address. What it says causes a look at the registry and supplies nothing.
    Path,
}

impl From<ReceiverScheme> for Scheme {
    fn from(scheme: ReceiverScheme) -> Self {
        match scheme {
            ReceiverScheme::Signature => Self::Signature,
            ReceiverScheme::Token => Self::Token,
            ReceiverScheme::Identity => Self::Identity,
            ReceiverScheme::Topic => Self::Topic,
            ReceiverScheme::Path => Self::Path,
        }
    }
}

/// Whose tokens are believed, and what they must say.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityFile {
    /// Whose they are; it says which claims `repository`, `ref`, `environment` and `workflow` mean. Default: `other`, for
    /// `gar` `google`.
    #[serde(default)]
    pub provider: Option<IdentityProvider>,
    /// The issuer, exactly as its tokens name it. Default: the provider's, where it has one for all its customers.
    #[serde(default)]
    pub issuer: Option<String>,
    /// The audiences of which a token must name one. Default: `publicUrl`.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// What its claims must say: all of these, each with a text or a list of texts of which one is enough, `*` for any run
    /// within one part between slashes and `**` for any.
    pub claims: BTreeMap<String, OneOrMany>,
    /// A file with the issuer's keys (a JSON Web Key Set), for where it cannot be reached. Default: they are fetched.
    #[serde(default)]
    pub keys_file: Option<PathBuf>,
    /// Files with certificates (PEM) of authorities that are trusted besides the system's.
    #[serde(default)]
    pub certificate_authority_files: Vec<PathBuf>,
}

/// One text or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// The issuers whose claims are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityProvider {
    /// GitHub Actions.
    GithubActions,
    /// GitLab CI.
    Gitlab,
    /// CircleCI.
    Circleci,
    /// Buildkite.
    Buildkite,
    /// Azure Pipelines.
    AzurePipelines,
    /// Jenkins with its OIDC provider plugin.
    Jenkins,
    /// Google's service accounts.
    Google,
    /// Service accounts of a Kubernetes cluster, as Tekton has them.
    Kubernetes,
    /// Any other.
    Other,
}

impl From<IdentityProvider> for Provider {
    fn from(provider: IdentityProvider) -> Self {
        match provider {
            IdentityProvider::GithubActions => Self::GithubActions,
            IdentityProvider::Gitlab => Self::Gitlab,
            IdentityProvider::Circleci => Self::Circleci,
            IdentityProvider::Buildkite => Self::Buildkite,
            IdentityProvider::AzurePipelines => Self::AzurePipelines,
            IdentityProvider::Jenkins => Self::Jenkins,
            IdentityProvider::Google => Self::Google,
            IdentityProvider::Kubernetes => Self::Kubernetes,
            IdentityProvider::Other => Self::Other,
        }
    }
}

/// A key of the configuration that is wrong, and what to do.
type Wrong = (&'static str, String);

impl ReceiverFile {
    /// All sources of its secrets.
    #[must_use]
    pub fn secrets(&self) -> Vec<SecretSource> {
        let files = self.secret_files.iter().cloned().map(SecretSource::File);
        files.chain(self.secret_envs.iter().cloned().map(SecretSource::Env)).collect()
    }

    /// What it says of how its sender proves itself, secrets left out. `address` is that of the server.
    ///
    /// # Errors
    /// The key that is wrong, with what to do.
    pub fn configured(&self, address: &str) -> Result<Configured, (&'static str, String)> {
        let rule = |identity| token_rule(self.kind, identity, address).map_err(|message| ("identity", message));
        Ok(Configured {
            scheme: self.scheme.map(Scheme::from),
            header: self.header.clone(),
            secrets: Vec::new(),
            topics: self.topics.clone(),
            identity: self.identity.as_ref().map(rule).transpose()?,
        })
    }
}

fn token_rule(kind: ReceiverKind, identity: &IdentityFile, address: &str) -> Result<TokenRule, String> {
    let usual = if kind == ReceiverKind::Gar { Provider::Google } else { Provider::Other };
    let provider = identity.provider.map_or(usual, Provider::from);
    let issuer = identity.issuer.clone().or_else(|| provider.issuer().map(str::to_owned));
    let issuer = issuer.ok_or_else(|| {
        format!(
            "`{}` has an issuer for each customer; add `issuer`, exactly as the claim `iss` has it",
            provider.word()
        )
    })?;
    let host =
        issuer.strip_prefix("https://").or_else(|| issuer.strip_prefix("http://").filter(|host| is_loopback(host)));
    if host.is_none_or(str::is_empty) || issuer.contains(['?', '#', '@', ' ']) {
        return Err(format!("`{issuer}` is no issuer: write its address, which begins with `https://`"));
    }
    let audiences = if identity.audiences.is_empty() { vec![address.to_owned()] } else { identity.audiences.clone() };
    let mut claims = Vec::new();
    for (word, patterns) in &identity.claims {
        if patterns.all().is_empty() {
            return Err(format!("the claim `{word}` admits nothing; name what it must say"));
        }
        let patterns = patterns.all().iter().map(|pattern| pattern.parse::<Pattern>());
        let patterns = patterns.collect::<Result<_, _>>().map_err(|error| format!("the claim `{word}`: {error}"))?;
        claims.push(ClaimRule { claim: claim_name(provider, word), patterns });
    }
    Ok(TokenRule { provider, issuer, audiences, claims })
}

/// Check a receiver without reading its secrets. `address` is that of the server.
pub(crate) fn check(receiver: &ReceiverFile, address: &str) -> Result<(), Wrong> {
    let kind = Kind::from(receiver.kind);
    // Whether there are secrets is known; what they are is not looked at here.
    let secrets = receiver.secrets().iter().map(|_| "a secret that was not read".to_owned().into()).collect();
    let configured = Configured { secrets, ..receiver.configured(address)? };
    tagboat_intake::credentials(kind, &receiver.tenant, &receiver.name, configured)
        .map_err(|error| (error.key, error.message))?;
    if receiver.images.is_empty() && !hears_of_repositories(receiver.kind) {
        return Err(("images", "name the images it may speak for, as in `ghcr.io/acme/*`".to_owned()));
    }
    match &receiver.registry {
        // Where no image is spoken of, no registry has to be named.
        None if kind.needs_registry() && !receiver.images.is_empty() => {
            let message =
                format!("`{kind}` needs `registry`: the host and port by which image names mean this registry");
            return Err(("kind", message));
        }
        Some(_) if !kind.may_have_registry() => {
            return Err((
                "registry",
                format!("`{kind}` says itself which registry it speaks of; take `registry` away"),
            ));
        }
        Some(host) => check_host(host).map_err(|message| ("registry", message))?,
        None => {}
    }
    if receiver.repository.is_some() && kind != Kind::Jfrog {
        return Err(("repository", "`repository` is for the kind `jfrog` only".to_owned()));
    }
    for pattern in &receiver.images {
        let read = pattern.parse::<ImagePattern>().map_err(|error| ("images", error.to_string()))?;
        check_reach(receiver, kind, &read).map_err(|message| ("images", message))?;
    }
    Ok(())
}

/// Whether such a sender also reports what happens in config repositories.
fn hears_of_repositories(kind: ReceiverKind) -> bool {
    matches!(kind, ReceiverKind::Forgejo | ReceiverKind::Gitea | ReceiverKind::Github | ReceiverKind::Gitlab)
}

/// A pattern for another registry than the one that the receiver speaks for admits nothing. GitHub's packages are at
/// ghcr.io, but its builds, of which a receiver hears as well, push anywhere.
fn check_reach(receiver: &ReceiverFile, kind: Kind, pattern: &ImagePattern) -> Result<(), String> {
    match &receiver.registry {
        Some(registry) if !pattern.reaches(registry) => {
            Err(format!("`{pattern}` can never match: `registry` says that this receiver speaks for {registry}"))
        }
        None if kind == Kind::Dockerhub && !pattern.reaches(DOCKER_HUB) => {
            Err(format!("`{pattern}` can never match: `{kind}` speaks for {DOCKER_HUB}"))
        }
        _ => Ok(()),
    }
}
