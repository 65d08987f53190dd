//! The issuers whose claims are known: where they keep repository, revision, run and actor, and which claims say whose
//! a token is.
//!
//! Sources:
//! - GitHub Actions: docs.github.com, "OpenID Connect reference".
//! - GitLab: docs.gitlab.com, "OpenID Connect (OIDC) Authentication Using ID Tokens".
//! - CircleCI: circleci.com/docs, "Using OpenID Connect tokens in jobs".
//! - Buildkite: buildkite.com/docs, "buildkite-agent oidc", and a token shown to the developers of rubygems.org.
//! - Azure Pipelines: no document of the vendor lists the claims; tokens shown to the developers of Fulcio, of STACKIT's
//!   provider for Terraform and in Teleport's RFD 211 agree.
//! - Jenkins: README and `IdTokenConfiguration` of jenkinsci/oidc-provider-plugin.
//! - Google: cloud.google.com, "Authentication for push subscriptions".
//! - Kubernetes: the claims of projected service account tokens (`sub`, and `kubernetes.io`, which is an object).

use std::{fmt, str::FromStr};

use tagboat_model::Source;
use thiserror::Error;

use super::{TokenClaims, claims::Claims};

/// The issuers whose claims are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provider {
    /// GitHub Actions.
    GithubActions,
    /// GitLab CI.
    Gitlab,
    /// CircleCI.
    Circleci,
    /// Buildkite.
    Buildkite,
    /// Azure Pipelines. Its tokens always name the audience `api://AzureADTokenExchange`, so that whoever a pipeline
    /// shows one to could show it here as well.
    AzurePipelines,
    /// Jenkins with its OIDC provider plugin.
    Jenkins,
    /// Google's service accounts, as Pub/Sub uses them.
    Google,
    /// Service accounts of a Kubernetes cluster (Tekton, …).
    Kubernetes,
    /// Any other issuer.
    Other,
}

/// Where a provider's tokens say what.
#[derive(Default)]
struct Places {
    /// Joined by `/`.
    repository: &'static [&'static str],
    revision: Option<&'static str>,
    /// What counts up.
    run: Option<&'static str>,
    actor: Option<&'static str>,
}

impl Provider {
    /// All, by their words.
    pub const ALL: [Self; 9] = [
        Self::AzurePipelines,
        Self::Buildkite,
        Self::Circleci,
        Self::GithubActions,
        Self::Gitlab,
        Self::Google,
        Self::Jenkins,
        Self::Kubernetes,
        Self::Other,
    ];

    /// The word for it in configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::GithubActions => "github-actions",
            Self::Gitlab => "gitlab",
            Self::Circleci => "circleci",
            Self::Buildkite => "buildkite",
            Self::AzurePipelines => "azure-pipelines",
            Self::Jenkins => "jenkins",
            Self::Google => "google",
            Self::Kubernetes => "kubernetes",
            Self::Other => "other",
        }
    }

    /// The one issuer that all its customers share, where there is one. An installation of one's own has another, and
    /// so have organizations at CircleCI and Azure and, if they wish, enterprises at GitHub.
    #[must_use]
    pub fn issuer(self) -> Option<&'static str> {
        match self {
            Self::GithubActions => Some("https://token.actions.githubusercontent.com"),
            Self::Gitlab => Some("https://gitlab.com"),
            Self::Buildkite => Some("https://agent.buildkite.com"),
            Self::Google => Some("https://accounts.google.com"),
            Self::Circleci | Self::AzurePipelines | Self::Jenkins | Self::Kubernetes | Self::Other => None,
        }
    }

    /// Of an issuer that all customers share: the claims that only one of them can have. Not `job_workflow_ref` of
    /// GitHub and `ci_config_ref_uri` of GitLab, which tell where a file lies that others may use too; not
    /// `pipeline_slug` of Buildkite, which every organization may choose.
    pub(super) fn owner_claims(self) -> &'static [&'static str] {
        match self {
            Self::GithubActions => &[
                "repository",
                "repository_id",
                "repository_owner",
                "repository_owner_id",
                "enterprise",
                "enterprise_id",
                "sub",
            ],
            Self::Gitlab => &["project_path", "project_id", "namespace_path", "namespace_id", "sub"],
            Self::Buildkite => &["organization_slug", "organization_id", "sub"],
            Self::Google => &["email", "sub"],
            Self::Circleci | Self::AzurePipelines | Self::Jenkins | Self::Kubernetes | Self::Other => &[],
        }
    }

    fn places(self) -> Places {
        match self {
            Self::GithubActions => Places {
                repository: &["repository"],
                revision: Some("sha"),
                // It counts the runs of one workflow, and stays when a run is tried again.
                run: Some("run_number"),
                actor: Some("actor"),
            },
            // For a merge request from a fork these are of the fork.
            Self::Gitlab => Places {
                repository: &["project_path"],
                revision: Some("sha"),
                run: Some("pipeline_id"),
                actor: Some("user_login"),
            },
            Self::Circleci => Places { repository: &["oidc.circleci.com/vcs-origin"], ..Places::default() },
            Self::Buildkite => Places {
                repository: &["organization_slug", "pipeline_slug"],
                revision: Some("build_commit"),
                run: Some("build_number"),
                actor: None,
            },
            Self::AzurePipelines => {
                Places { repository: &["rpo_uri"], revision: Some("rpo_ver"), run: Some("run_id"), actor: None }
            }
            Self::Jenkins => Places { run: Some("build_number"), ..Places::default() },
            Self::Google => Places { actor: Some("email"), ..Places::default() },
            Self::Kubernetes | Self::Other => Places { actor: Some("sub"), ..Places::default() },
        }
    }

    /// What a verified token of this provider says.
    pub(super) fn told_by(self, claims: &Claims) -> TokenClaims {
        let Places { repository, revision, run, actor } = self.places();
        let one = |name: Option<&'static str>| name.and_then(|name| claims.text(name));
        let parts: Option<Vec<String>> = repository.iter().map(|name| claims.text(name)).collect();
        let texts = claims.texts();
        TokenClaims {
            claims: texts.clone(),
            source: Source {
                repository: parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("/")),
                revision: one(revision),
                run: one(run),
                claims: texts,
            },
            actor: one(actor),
            job: self.job(claims),
        }
    }

    /// Issuer, subject, and what the short words mean: not what changes with every run.
    fn job(self, claims: &Claims) -> String {
        let words = ["repository", "ref", "environment", "workflow"].map(|word| claim_name(self, word));
        let names = ["iss", "sub"].into_iter().chain(words.iter().map(String::as_str));
        let values = names.map(|name| claims.text(name).unwrap_or_default());
        values.map(|value| format!("{}:{value}", value.len())).collect()
    }
}

/// The claim that a short word means at a provider: `repository`, `ref`, `environment` and `workflow`. Any other word
/// is itself the name of a claim, and so is one of these where the provider has no such thing.
///
/// `ref` is the whole name, `refs/heads/main`, except at Buildkite, which tells the branch. `workflow` is the file that
/// says what is run. At Buildkite `repository` is the pipeline, which says nothing without a rule for
/// `organization_slug`; at Jenkins both `repository` and `workflow` are the address of the job, the only thing that it
/// tells by itself.
#[must_use]
pub fn claim_name(provider: Provider, word: &str) -> String {
    use Provider::{AzurePipelines, Buildkite, Circleci, GithubActions, Gitlab, Jenkins};
    let name = match (provider, word) {
        (GithubActions, "workflow") => "job_workflow_ref",
        (Gitlab, "repository") => "project_path",
        (Gitlab, "ref") => "ref_path",
        (Gitlab, "workflow") => "ci_config_ref_uri",
        (Circleci, "repository") => "oidc.circleci.com/vcs-origin",
        (Circleci, "ref") => "oidc.circleci.com/vcs-ref",
        (Buildkite, "repository") => "pipeline_slug",
        (Buildkite, "ref") => "build_branch",
        (AzurePipelines, "repository") => "rpo_uri",
        (AzurePipelines, "ref") => "rpo_ref",
        (Jenkins, "repository" | "workflow") => "sub",
        (_, word) => word,
    };
    name.to_owned()
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// That a word is none for an issuer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not an issuer that is known; there are {list}", list = Provider::ALL.map(Provider::word).join(", "))]
pub struct ProviderError(String);

impl FromStr for Provider {
    type Err = ProviderError;

    fn from_str(word: &str) -> Result<Self, ProviderError> {
        let known = Self::ALL.into_iter().find(|provider| provider.word() == word);
        known.ok_or_else(|| ProviderError(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_has_a_word_that_reads_back() {
        for provider in Provider::ALL {
            assert_eq!(provider.word().parse::<Provider>(), Ok(provider));
        }
        let error = "github".parse::<Provider>().unwrap_err().to_string();
        assert!(
            error.starts_with("`github` is not an issuer that is known; there are azure-pipelines, buildkite,"),
            "{error}"
        );
    }

    #[test]
    fn short_words_mean_each_providers_claims() {
        for (provider, repository, reference, environment, workflow) in [
            (Provider::GithubActions, "repository", "ref", "environment", "job_workflow_ref"),
            (Provider::Gitlab, "project_path", "ref_path", "environment", "ci_config_ref_uri"),
            (
                Provider::Circleci,
                "oidc.circleci.com/vcs-origin",
                "oidc.circleci.com/vcs-ref",
                "environment",
                "workflow",
            ),
            (Provider::Buildkite, "pipeline_slug", "build_branch", "environment", "workflow"),
            (Provider::AzurePipelines, "rpo_uri", "rpo_ref", "environment", "workflow"),
            (Provider::Jenkins, "sub", "ref", "environment", "sub"),
            (Provider::Other, "repository", "ref", "environment", "workflow"),
        ] {
            let words = ["repository", "ref", "environment", "workflow"].map(|word| claim_name(provider, word));
            assert_eq!(words, [repository, reference, environment, workflow], "{provider}");
        }
        assert_eq!(claim_name(Provider::Gitlab, "user_login"), "user_login");
    }

    #[test]
    fn whoever_shares_an_issuer_has_claims_of_their_own() {
        for provider in Provider::ALL {
            assert_eq!(provider.issuer().is_some(), !provider.owner_claims().is_empty(), "{provider}");
        }
    }
}
