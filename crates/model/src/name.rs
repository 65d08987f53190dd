//! Names that people give, and ids that Tagboat gives.
//!
//! Each is a type of its own so that one cannot be passed where another is meant. The key of all
//! work is [`BranchKey`]: a branch of a config repository of a tenant.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text cannot be this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a name for {what}: {rule}")]
pub struct NameError {
    what: &'static str,
    text: String,
    rule: &'static str,
}

/// Names appear in URLs, branch names, trailers and file names, so they are kept to what is safe in all of them.
fn is_plain_name(text: &str) -> bool {
    text.len() <= 63
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The rules of `git check-ref-format` that matter for a branch name.
fn is_branch_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && !text.starts_with(['/', '-'])
        && !text.ends_with(['/', '.'])
        && !text.contains("..")
        && !text.contains("//")
        && !text.contains("@{")
        && text.bytes().all(|b| b > 0x20 && b < 0x7f && !b"~^:?*[\\".contains(&b))
        && text.split('/').all(|part| !part.starts_with('.') && !part.ends_with(".lock"))
}

fn is_commit_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

macro_rules! names {
    ($($(#[$doc:meta])* $type:ident, $what:literal, $check:path, $rule:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                if $check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError { what: $what, text: text.to_owned(), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> { text.parse() }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self { name.0 }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    )*};
}

names! {
    /// The owner under which config repositories, receivers and credentials live.
    TenantName, "a tenant", is_plain_name, "1 to 63 letters, digits, `-`, `_`, `.`, starting with a letter or digit";
    /// The name an operator gives a config repository.
    RepositoryName, "a config repository", is_plain_name, "1 to 63 letters, digits, `-`, `_`, `.`, starting with a letter or digit";
    /// A named part of a config repository.
    EnvironmentName, "an environment", is_plain_name, "1 to 63 letters, digits, `-`, `_`, `.`, starting with a letter or digit";
    /// The name of an entry under `images`.
    EntryName, "an image entry", is_plain_name, "1 to 63 letters, digits, `-`, `_`, `.`, starting with a letter or digit";
    /// The name of a receiver, which is the last part of its address.
    ReceiverName, "a receiver", is_plain_name, "1 to 63 letters, digits, `-`, `_`, `.`, starting with a letter or digit";
    /// A branch, without `refs/heads/`.
    BranchName, "a branch", is_branch_name, "see `git check-ref-format`; write it without `refs/heads/`";
    /// The object id of a commit, in hexadecimal.
    CommitId, "a commit", is_commit_id, "40 or 64 lower-case hexadecimal digits";
    /// The id of a stored delivery.
    DeliveryId, "a delivery", is_plain_name, "as Tagboat printed it";
    /// The id of an event.
    EventId, "an event", is_plain_name, "as Tagboat printed it";
    /// The id of a decision; it stands in the commit's `Tagboat-Decision` trailer.
    DecisionId, "a decision", is_plain_name, "as Tagboat printed it";
    /// Image entries of an environment that change together.
    GroupName, "a group", is_plain_name, "1 to 63 letters, digits, `-`, `_`, `.`, starting with a letter or digit";
    /// The id of a hold.
    HoldId, "a hold", is_plain_name, "as Tagboat printed it";
    /// The id of a command.
    CommandId, "a command", is_plain_name, "as Tagboat printed it";
}

impl BranchName {
    /// The branch that most repositories start with.
    #[must_use]
    pub fn main() -> Self {
        Self("main".to_owned())
    }
}

impl GroupName {
    /// The group of all entries of an environment.
    #[must_use]
    pub fn all() -> Self {
        Self("all".to_owned())
    }
}

/// An entry that is in no other group; the same texts are names of both.
impl From<&EntryName> for GroupName {
    fn from(entry: &EntryName) -> Self {
        Self(entry.0.clone())
    }
}

/// The tenant of operators who have only one: `default`.
impl Default for TenantName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

/// What a reconcile is about: one branch of one config repository of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BranchKey {
    /// Whose repository it is.
    pub tenant: TenantName,
    /// The config repository.
    pub repository: RepositoryName,
    /// The branch.
    pub branch: BranchName,
}

impl fmt::Display for BranchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.tenant, self.repository, self.branch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_names_follow_git() {
        for good in ["main", "release/1.x", "a_b-c", "tagboat/prod/web"] {
            assert!(good.parse::<BranchName>().is_ok(), "{good}");
        }
        for bad in ["", "-x", "a..b", "a b", "a.lock", "/a", "a/", ".a", "a/.b", "a@{1}", "a~1", "a\u{7f}", "ä"] {
            assert!(bad.parse::<BranchName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_usual_names_keep_the_rules() {
        assert_eq!("main".parse(), Ok(BranchName::main()));
        assert_eq!("default".parse(), Ok(TenantName::default()));
    }

    #[test]
    fn an_error_says_what_was_meant_and_the_rule() {
        let error = "no spaces".parse::<EnvironmentName>().unwrap_err().to_string();
        assert_eq!(
            error,
            "`no spaces` is not a name for an environment: 1 to 63 letters, digits, `-`, `_`, `.`, starting with a letter or digit"
        );
    }
}
