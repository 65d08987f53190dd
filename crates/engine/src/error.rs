//! Why a reconcile did not come to its end.

use tagboat_model::Duration;
use tagboat_ports::{ForgeError, ForgeErrorKind, RegistryError, RepositoryError, RepositoryErrorKind, StoreError};
use tagboat_settings::Problem;
use thiserror::Error;

/// Why a reconcile did not come to its end. The work stays and is tried again.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// The config repository could not be read or written.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The database did not do what was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The forge did not do what was asked.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// Work waits for a config repository that the server file no longer names.
    #[error(
        "config repository `{name}` is not served: the server file names none of that name, and the GitHub App is not installed there (any more)"
    )]
    UnknownRepository {
        /// Its name.
        name: String,
    },
    /// The branch is not there.
    #[error(
        "the config repository has no branch `{branch}`; create it, or correct `branch` in the server file or in .tagboat.yaml"
    )]
    NoBranch {
        /// The branch.
        branch: String,
    },
    /// The governing branch has no repository file.
    #[error("branch `{branch}` has no .tagboat.yaml at its root; add one")]
    NoRepositoryFile {
        /// The branch.
        branch: String,
    },
    /// The repository file has an error.
    #[error("nothing is changed until it is mended: {0}")]
    Configuration(#[from] Problem),
    /// A key that signatures are checked with is not there.
    #[error(
        "nothing is changed until it is mended: .tagboat.yaml: `keyFile` names {path}, and the governing branch has no public key (PEM) there"
    )]
    NoKeyFile {
        /// The path.
        path: String,
    },
    /// Two environments contain one file.
    #[error("nothing is changed until it is mended: .tagboat.yaml: {0}")]
    Overlap(#[source] tagboat_promotion::Overlap),
    /// A registry could not be asked about some images; all others were served.
    #[error("{error}; the other images were served")]
    Registry {
        /// The first failure.
        error: Box<RegistryError>,
        /// Whether all others were looked at as a sweep does.
        swept: bool,
    },
    /// Something could not be done at the forge; all else was.
    #[error("{error}")]
    AtForge {
        /// The first failure.
        #[source]
        error: Box<ReconcileError>,
        /// Whether all was looked at as a sweep does, and need not be again.
        swept: bool,
    },
    /// A defect of Tagboat's own, kept from ending the worker.
    #[error("a defect in Tagboat stopped the reconcile; please report it with the log")]
    Panicked,
    /// The Git server refused the push.
    #[error("the Git server refused the push: {detail}")]
    Refused {
        /// Its words.
        detail: String,
    },
    /// Somebody else was faster each time.
    #[error("others moved the branch {times} times in {lost} while it was being written")]
    Races {
        /// How often.
        times: u32,
        /// For how long it was tried.
        lost: Duration,
    },
    /// What the bot's own ref says cannot be read.
    #[error("nothing is changed until it is mended: the holds in refs/tagboat/state cannot be read: {detail}")]
    State {
        /// Why not.
        detail: String,
    },
    /// Another worker holds the branch now.
    #[error("another worker took over this branch")]
    TakenOver,
    /// Facts could not be written down.
    #[error("what was gathered could not be written down")]
    Facts(#[source] tagboat_promotion::FactsError),
}

impl ReconcileError {
    /// Whether only a person can mend it.
    pub(crate) fn needs_a_person(&self) -> bool {
        match self {
            Self::Repository(error) => error.kind == RepositoryErrorKind::Permanent,
            Self::Forge(error) => error.kind != ForgeErrorKind::Temporary,
            Self::AtForge { error, .. } => error.needs_a_person(),
            _ => false,
        }
    }

    /// Whether it is a fault of Tagboat's own, which the same work meets every time.
    pub(crate) fn is_defect(&self) -> bool {
        match self {
            Self::Panicked | Self::Facts(_) => true,
            Self::AtForge { error, .. } => error.is_defect(),
            _ => false,
        }
    }

    /// How long the other side asked us to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Registry { error, .. } => error.retry_after,
            Self::Forge(error) => error.retry_after,
            Self::AtForge { error, .. } => error.retry_after(),
            _ => None,
        }
    }
}

/// An error with its causes, outermost first, as one line.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        // Some errors repeat their cause in their own words.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}
