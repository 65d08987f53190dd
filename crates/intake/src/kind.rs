//! The kinds of senders: the words for them, how each can prove itself, and what each is answered.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::Verdict;

/// A kind of sender.
#[expect(missing_docs, reason = "each is the name of a product or a format; sender/<name>.rs says which")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Acr,
    Aliyun,
    Cdevents,
    Cloudevents,
    Distribution,
    Dockerhub,
    Ecr,
    Forgejo,
    Gar,
    Generic,
    GenericOidc,
    Gitea,
    Github,
    Gitlab,
    Harbor,
    Jfrog,
    Nexus,
    Quay,
    Zot,
}

/// How a sender proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// It signs the body with a shared secret.
    Signature,
    /// A header carries a shared secret.
    Token,
    /// It carries a token signed by its issuer (OIDC).
    Identity,
    /// Amazon SNS signs the body with its own key.
    Topic,
    /// It knows an address that cannot be guessed, and nothing else.
    Path,
}

impl Scheme {
    /// The word for it in configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Token => "token",
            Self::Identity => "identity",
            Self::Topic => "topic",
            Self::Path => "path",
        }
    }
}

impl Kind {
    /// All, by their words.
    pub const ALL: [Self; 19] = [
        Self::Acr,
        Self::Aliyun,
        Self::Cdevents,
        Self::Cloudevents,
        Self::Distribution,
        Self::Dockerhub,
        Self::Ecr,
        Self::Forgejo,
        Self::Gar,
        Self::Generic,
        Self::GenericOidc,
        Self::Gitea,
        Self::Github,
        Self::Gitlab,
        Self::Harbor,
        Self::Jfrog,
        Self::Nexus,
        Self::Quay,
        Self::Zot,
    ];

    /// The word for it in configuration, on the command line and in the log.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Acr => "acr",
            Self::Aliyun => "aliyun",
            Self::Cdevents => "cdevents",
            Self::Cloudevents => "cloudevents",
            Self::Distribution => "distribution",
            Self::Dockerhub => "dockerhub",
            Self::Ecr => "ecr",
            Self::Forgejo => "forgejo",
            Self::Gar => "gar",
            Self::Generic => "generic",
            Self::GenericOidc => "generic-oidc",
            Self::Gitea => "gitea",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Harbor => "harbor",
            Self::Jfrog => "jfrog",
            Self::Nexus => "nexus",
            Self::Quay => "quay",
            Self::Zot => "zot",
        }
    }

    /// How it can prove itself. Where there are several and no default, configuration must say which: a receiver that
    /// guessed would let a stranger choose the weaker one.
    #[must_use]
    pub fn schemes(self) -> &'static [Scheme] {
        use Scheme::{Identity, Path, Signature, Token, Topic};
        match self {
            Self::Dockerhub | Self::Quay | Self::Aliyun => &[Path],
            Self::Acr => &[Path, Token],
            Self::Github | Self::Gitea | Self::Forgejo | Self::Nexus | Self::Generic => &[Signature],
            Self::Gitlab | Self::Jfrog => &[Signature, Token],
            Self::Harbor | Self::Distribution | Self::Zot => &[Token],
            Self::Ecr => &[Token, Topic],
            Self::Gar | Self::GenericOidc => &[Identity],
            Self::Cdevents | Self::Cloudevents => &[Signature, Token, Identity],
        }
    }

    /// The scheme when configuration names none. GitLab's secrets tell by their form which one they are for, so its is
    /// decided secret by secret.
    #[must_use]
    pub fn default_scheme(self) -> Option<Scheme> {
        match self {
            Self::Jfrog => None,
            _ => self.schemes().first().copied(),
        }
    }

    /// The headers in which a shared secret may travel when configuration names none, in lower case.
    #[must_use]
    pub fn token_headers(self) -> &'static [&'static str] {
        match self {
            // In GitLab's own hooks, and in the notifications of its registry.
            Self::Gitlab => &["x-gitlab-token", "authorization"],
            Self::Jfrog => &["x-jfrog-event-auth"],
            // Whoever makes the connection at EventBridge names the header.
            Self::Ecr => &["authorization", "x-api-key", "x-webhook-secret"],
            _ => &["authorization"],
        }
    }

    /// Whether its bodies do not say by which host image names mean its registry, so that configuration has to.
    #[must_use]
    pub fn needs_registry(self) -> bool {
        matches!(
            self,
            Self::Aliyun
                | Self::Distribution
                | Self::Forgejo
                | Self::Gitea
                | Self::Harbor
                | Self::Jfrog
                | Self::Nexus
                | Self::Zot
        )
    }

    /// Whether configuration may name the registry.
    #[must_use]
    pub fn may_have_registry(self) -> bool {
        self.needs_registry() || matches!(self, Self::Quay | Self::Github | Self::Gitlab | Self::Acr)
    }

    /// Whether it is a CI job that speaks for itself. Only what such a sender says, signed, announces a version.
    #[must_use]
    pub fn is_ci(self) -> bool {
        matches!(self, Self::Generic | Self::GenericOidc | Self::Cdevents | Self::Cloudevents)
    }

    /// Whether what CI says at `/api/v1/events` is its body.
    #[must_use]
    pub fn is_generic(self) -> bool {
        matches!(self, Self::Generic | Self::GenericOidc)
    }

    /// The largest body in bytes that it sends, where that is more than others do.
    #[must_use]
    pub fn largest_body(self) -> Option<usize> {
        // GitHub cuts at 25 MB: a push of many commits, a long pull request.
        matches!(self, Self::Github).then_some(25 * 1024 * 1024)
    }

    /// The HTTP status for an authentic request. Never an error: distribution repeats a refused event for ever and
    /// holds back all behind it, GitLab and Quay switch their hook off.
    #[must_use]
    pub fn status(self, verdict: Verdict) -> u16 {
        match (self, verdict) {
            // Pub/Sub acknowledges with it; nothing is in the body.
            (Self::Gar, _) => 204,
            (
                Self::Github | Self::Zot | Self::Generic | Self::GenericOidc | Self::Cdevents | Self::Cloudevents,
                Verdict::Accepted,
            ) => 202,
            _ => 200,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// That a word is none for a kind of sender.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a kind of sender; there are {list}", list = Kind::ALL.map(Kind::word).join(", "))]
pub struct KindError(String);

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(word: &str) -> Result<Self, KindError> {
        Self::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(|| KindError(word.to_owned()))
    }
}
