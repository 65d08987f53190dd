//! Holds: recorded wishes of people about what an environment runs, which last until they are released.
//!
//! Everything that a person says about versions is one of these, so that it can be listed, mirrored in Git and taken back
//! in one way.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{EntryName, EnvironmentName, HoldId, Timestamp, Version};

/// A recorded wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Its id. It follows from what it says where a repetition has to be the same hold.
    pub id: HoldId,
    /// The environment; nothing means all of the config repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// The image entry; nothing means all of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryName>,
    /// What is wished.
    #[serde(flatten)]
    pub wish: Wish,
    /// Whose wish it is.
    pub by: Person,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself.
    #[serde(default)]
    pub until: Until,
}

/// What a person wishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Wish {
    /// The environment keeps what it runs.
    Hold,
    /// As `Hold`, for an environment as a whole or the whole config repository.
    Freeze,
    /// It runs this version, whatever policies and upstreams say: a rollback.
    Keep {
        /// The version.
        version: Version,
    },
    /// It gets this version next, without its upstreams and gates: a hotfix. Ends when it is there.
    Promote {
        /// The version.
        version: Version,
    },
    /// It never gets this version.
    Skip {
        /// The version.
        version: Version,
    },
    /// It never gets this version, nor one below it, because its pull request was closed.
    Refuse {
        /// The version.
        version: Version,
        /// The pull request.
        pull_request: u64,
    },
}

/// When a hold ends by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Until {
    /// It does not: it is released.
    #[default]
    Released,
    /// At this point.
    Time(Timestamp),
    /// When a version comes that is above this one.
    NewerThan(Version),
}

/// The name of Tagboat itself.
const TAGBOAT: &str = "Tagboat";

/// Somebody who acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// The name they are known by, for people.
    pub name: String,
    /// The numeric id of their account at the forge, which nobody can take over; nothing for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

impl Person {
    /// Whoever holds the API's token. They choose their name, but not ours.
    #[must_use]
    pub fn operator(name: &str) -> Self {
        let name = if name == TAGBOAT { format!("`{name}`") } else { name.to_owned() };
        Self { name, account: None }
    }

    /// Tagboat itself, which saw what people did.
    #[must_use]
    pub fn tagboat() -> Self {
        Self { name: TAGBOAT.to_owned(), account: None }
    }
}

/// An operator is said to be one: the name they chose may be that of an account.
impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.account.is_none() && self.name != TAGBOAT {
            f.write_str("operator ")?;
        }
        f.write_str(&crate::shown(&self.name))
    }
}

impl Wish {
    /// The word for it, as commands and JSON have it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Freeze => "freeze",
            Self::Keep { .. } => "keep",
            Self::Promote { .. } => "promote",
            Self::Skip { .. } => "skip",
            Self::Refuse { .. } => "refuse",
        }
    }

    /// The version that it is about.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::Hold | Self::Freeze => None,
            Self::Keep { version }
            | Self::Promote { version }
            | Self::Skip { version }
            | Self::Refuse { version, .. } => Some(version),
        }
    }
}

impl Hold {
    /// Whether it is about an image entry in an environment.
    #[must_use]
    pub fn concerns(&self, environment: &EnvironmentName, entry: &EntryName) -> bool {
        self.environment.as_ref().is_none_or(|own| own == environment)
            && self.entry.as_ref().is_none_or(|own| own == entry)
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        matches!(self.until, Until::Time(until) if until <= now)
    }

    /// What it is about, for people: `web in prod`, `all of prod`, `everything`.
    #[must_use]
    pub fn subject(&self) -> String {
        match (&self.entry, &self.environment) {
            (Some(entry), Some(environment)) => format!("{entry} in {environment}"),
            (Some(entry), None) => format!("{entry} everywhere"),
            (None, Some(environment)) => format!("all of {environment}"),
            (None, None) => "everything".to_owned(),
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.subject();
        match &self.wish {
            Wish::Hold => write!(f, "{subject} is held")?,
            Wish::Freeze => write!(f, "{subject} is frozen")?,
            Wish::Keep { version } => write!(f, "{subject} is kept at {}", version.tag)?,
            Wish::Promote { version } => write!(f, "{subject} gets {} next", version.tag)?,
            Wish::Skip { version } => write!(f, "{subject} skips {}", version.tag)?,
            Wish::Refuse { version, pull_request } => {
                // Who closed it is not known, and nothing but a release ends it.
                write!(f, "{subject} does without {}, since #{pull_request} was closed", version.tag)?;
                return self.why.as_ref().map_or(Ok(()), |why| write!(f, ": {}", crate::shown(why)));
            }
        }
        write!(f, " by {} since {}", self.by, self.since)?;
        match &self.until {
            Until::Released => {}
            Until::Time(until) => write!(f, " until {until}")?,
            Until::NewerThan(version) => write!(f, " until something newer than {} comes", version.tag)?,
        }
        self.why.as_ref().map_or(Ok(()), |why| write!(f, ": {}", crate::shown(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_passes_for_nobody_else() {
        let account = Person { name: "alice".to_owned(), account: Some("42".to_owned()) };
        let people = [account, Person::operator("alice"), Person::tagboat(), Person::operator("Tagboat")];
        assert_eq!(
            people.map(|person| person.to_string()),
            ["alice", "operator alice", "Tagboat", "operator `Tagboat`"]
        );
    }
}
