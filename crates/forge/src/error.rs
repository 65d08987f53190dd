//! What went wrong with a request, before the operation and the repository are named.

use tagboat_connection::ConnectionError;
use tagboat_model::Duration;
use tagboat_ports::{ForgeError, ForgeErrorKind};

/// A failure in words. No secret is in it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) detail: String,
    pub(crate) kind: ForgeErrorKind,
    pub(crate) retry_after: Option<Duration>,
    /// Whether what was asked for may have happened all the same.
    pub(crate) unknown: bool,
}

impl Failure {
    fn new(kind: ForgeErrorKind, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), kind, retry_after: None, unknown: false }
    }

    /// It may work later.
    pub(crate) fn temporary(detail: impl Into<String>) -> Self {
        Self::new(ForgeErrorKind::Temporary, detail)
    }

    /// A person has to act.
    pub(crate) fn permanent(detail: impl Into<String>) -> Self {
        Self::new(ForgeErrorKind::Permanent, detail)
    }

    /// The forge does not have it.
    pub(crate) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(ForgeErrorKind::Unsupported, detail)
    }

    /// The forge asked to be left alone for so long.
    pub(crate) fn limited(detail: impl Into<String>, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::temporary(detail) }
    }

    /// What was asked for may have happened.
    pub(crate) fn with_unknown_outcome(self) -> Self {
        Self { unknown: true, ..self }
    }

    /// The error of a port. `operation` ends so that the repository's name can follow: `list the pull requests of`.
    pub(crate) fn about(self, operation: &str, repository: &str) -> ForgeError {
        ForgeError {
            operation: operation.to_owned(),
            repository: repository.to_owned(),
            detail: self.detail,
            kind: self.kind,
            retry_after: self.retry_after,
            source: None,
        }
    }
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        let mut detail = error.to_string();
        let mut next = std::error::Error::source(&error);
        while let Some(cause) = next {
            detail = format!("{detail}: {cause}");
            next = cause.source();
        }
        Self::permanent(detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_what_was_tried_and_where() {
        let failure = Failure::limited("GitHub asks to be left alone", Duration::from_seconds(60));
        let error = failure.about("list the pull requests of", "acme/config");
        assert_eq!(error.to_string(), "list the pull requests of acme/config: GitHub asks to be left alone");
        assert_eq!((error.kind, error.retry_after), (ForgeErrorKind::Temporary, Some(Duration::from_seconds(60))));
        assert!(Failure::temporary("").with_unknown_outcome().unknown && !Failure::permanent("").unknown);
    }
}
