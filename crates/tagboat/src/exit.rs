//! How the process ends.

/// An exit code of the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Ok,
    Failed,
    Invalid,
    Nothing,
    Refused,
    Pending,
}

impl From<Code> for std::process::ExitCode {
    fn from(code: Code) -> Self {
        Self::from(match code {
            Code::Ok => 0,
            Code::Failed => 1,
            Code::Invalid => 2,
            Code::Nothing => 3,
            Code::Refused => 4,
            Code::Pending => 5,
        })
    }
}

/// Why a command did not do what was asked, in words for its user.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Failure {
    /// What the user gave is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { code: Code::Invalid, message: message.into() }
    }

    /// It was tried and did not work.
    pub(crate) fn failed(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self { code: Code::Failed, message: format!("{what}: {}", tagboat_engine::chain(error)) }
    }
}
