//! Events: normalised facts taken from deliveries.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{BranchName, CommitId, Digest, ImageName, Tag, Timestamp, shown};

/// How far a sender proved who it is. What a receiver may do follows from it, never from the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trust {
    /// The address alone is secret. Its events may cause a look at an image and supply nothing.
    Url,
    /// A shared secret travelled with the request (a static header).
    Token,
    /// The body itself is signed, or the sender carries a token signed by its issuer.
    Signed,
}

/// A normalised fact from a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Event {
    /// A tag was pushed to a registry.
    ImagePushed(ImagePushed),
    /// A build ended well; which images it pushed is not said.
    BuildFinished(BuildFinished),
    /// Something happened in a Git repository that may hold desired state.
    RepositoryChanged(RepositoryChanged),
    /// The GitHub App was installed, taken away, or given other repositories; or one of those was renamed, moved, deleted.
    InstallationsChanged {
        /// The account whose repositories are meant, as the sender writes it.
        account: String,
    },
}

/// A sender says that `image` has `tag`. A hint: the digest is only what was claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImagePushed {
    /// The image, at the registry that the receiver is configured for.
    pub image: ImageName,
    /// The tag that was pushed.
    pub tag: Tag,
    /// The digest the sender named. A cross-check, never what is deployed.
    pub claimed_digest: Option<Digest>,
    /// Who pushed it, as the sender calls them.
    pub actor: Option<String>,
    /// When, by the sender's clock.
    pub pushed_at: Option<Timestamp>,
    /// What it was built from and by what, when CI says so itself. Only such an event announces.
    pub source: Option<Source>,
}

impl ImagePushed {
    /// An event that says no more than this.
    #[must_use]
    pub fn new(image: ImageName, tag: Tag, claimed_digest: Option<Digest>) -> Self {
        Self { image, tag, claimed_digest, actor: None, pushed_at: None, source: None }
    }
}

/// What CI says of a build. What its token proves stands in `claims` and takes the place of what its body says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// The repository of the source code, as CI names it: `acme/web`.
    pub repository: Option<String>,
    /// The commit that was built.
    pub revision: Option<String>,
    /// The run that built it; a number where CI counts its runs.
    pub run: Option<String>,
    /// The claims of the token that came with it, texts, numbers and truth values as texts. Empty without one.
    pub claims: BTreeMap<String, String>,
}

/// Claims that are others in each token.
const OF_ONE_TOKEN: [&str; 4] = ["exp", "iat", "jti", "nbf"];

impl Source {
    /// The same for what the same job says again of the same build, whatever token it carries by then; different for
    /// everybody else, so that no one's word takes the place of another's. As long as what it is made of: to be hashed
    /// before it is kept.
    #[must_use]
    pub fn origin(&self) -> String {
        let mut origin = String::new();
        let said = [&self.repository, &self.revision].map(|part| part.as_deref().unwrap_or_default());
        let claims = self.claims.iter().filter(|(claim, _)| !OF_ONE_TOKEN.contains(&claim.as_str()));
        let claims = claims.flat_map(|(claim, value)| [claim.as_str(), value.as_str()]);
        for part in said.into_iter().chain(claims) {
            origin.push_str(&format!("{}:{part}", part.len()));
        }
        origin
    }
}

/// A build ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildFinished {
    /// The repository of the source code, as CI names it.
    pub repository: String,
    /// The commit that was built.
    pub revision: Option<String>,
    /// The branch or tag that was built.
    pub reference: Option<String>,
    /// Who caused it.
    pub actor: Option<String>,
}

/// Something happened in a Git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryChanged {
    /// Addresses by which the sender knows it, to be compared with those of the config repositories and never used.
    pub addresses: Vec<String>,
    /// What happened.
    pub change: RepositoryChange,
    /// The branch it concerns (of a pull request, that into which it goes); all when none is named.
    pub branch: Option<BranchName>,
    /// The commit that the branch has now, or that a status is about.
    pub commit: Option<CommitId>,
    /// The number of the pull request.
    pub number: Option<u64>,
    /// Who did it.
    pub actor: Option<String>,
}

/// What happened in a Git repository. Each is only a reason to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RepositoryChange {
    /// A branch has another head.
    BranchMoved,
    /// A pull request was opened, closed, merged, edited, …
    PullRequest,
    /// A pull request was reviewed.
    Review,
    /// Somebody wrote a comment.
    Comment,
    /// A check or a status of a commit changed.
    Status,
}

impl RepositoryChange {
    /// Whether people wait for what follows from it, so that it is not gathered with others first.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::PullRequest | Self::Review | Self::Comment)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImagePushed(pushed) => write!(f, "{}:{}", pushed.image, pushed.tag),
            Self::BuildFinished(built) => {
                write!(f, "a build of {}", shown(&built.repository))?;
                built.reference.as_ref().map_or(Ok(()), |reference| write!(f, " from {}", shown(reference)))
            }
            Self::RepositoryChanged(changed) => {
                let what = match changed.change {
                    RepositoryChange::BranchMoved => "a push",
                    RepositoryChange::PullRequest => "a pull request",
                    RepositoryChange::Review => "a review",
                    RepositoryChange::Comment => "a comment",
                    RepositoryChange::Status => "a status",
                };
                let address =
                    changed.addresses.first().map_or_else(|| "a repository".to_owned(), |address| shown(address));
                write!(f, "{what} at {address}")?;
                changed.branch.as_ref().map_or(Ok(()), |branch| write!(f, ", branch {branch}"))
            }
            Self::InstallationsChanged { account } => {
                write!(f, "a change of the repositories that {} gives", shown(account))
            }
        }
    }
}
