//! `gates` of an environment: the conditions under which versions come.

use std::fmt;

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};
use tagboat_model::Duration;
use tagboat_promotion::{Gates, gate::Windows};

use super::wrong::Wrong;
use crate::OneOrMany;

/// `gates: { soak: 24h, window: "Mon-Fri 09:00-16:00 Europe/Berlin", checks: [e2e] }`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GatesFile {
    /// How old a version has to be, since it appeared at the registry. Default: any age.
    pub minimum_age: Option<Duration>,
    /// How long it has to have run in the environment that it is promoted from; with `rollout`, since it was healthy there.
    /// Default: no time.
    pub soak: Option<Duration>,
    /// What an agent has to report of it in the environment that it is promoted from. Default: nothing.
    pub rollout: Option<RolloutFile>,
    /// When versions may come: weekdays, times of day and a time zone, as in `Mon-Fri 09:00-16:00 Europe/Berlin`; one or
    /// several. Default: any time.
    #[schemars(with = "Option<OneOrMany>")]
    pub window: Option<Texts>,
    /// Days on which none come, whatever `window` says: `2026-12-24`, or from a day to a day, `2026-12-20..2027-01-03`.
    /// Default: none.
    pub freeze: Vec<String>,
    /// Names of commit statuses and check runs that have to be green: on the commit that brought the version to the
    /// environment that it is promoted from, or on the pull request. Default: none.
    pub checks: Vec<String>,
    /// How many people have to approve the pull request. Default: 0.
    pub approvals: u32,
}

/// What an agent has to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RolloutFile {
    /// That it is done, and well.
    Healthy,
}

/// One text or several, written `a` or `[a, b]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// What `untagged` would read loses its place in the file.
struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = items.next_element::<String>()? {
            texts.push(text);
        }
        Ok(Texts(texts))
    }
}

/// What gates depend on beside themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    /// Whether there is an upstream.
    pub(super) promoted: bool,
    /// Whether there are pull requests.
    pub(super) by_pull_request: bool,
    /// Whether anything reports rollouts.
    pub(super) agents: bool,
}

impl GatesFile {
    /// The gates, or what is wrong with them.
    pub(super) fn read(&self, around: Around) -> Result<Gates, Wrong> {
        self.check(around)?;
        if let Some(index) = self.checks.iter().position(|name| name.trim().is_empty()) {
            let message = "a check has a name; write that of the commit status or check run";
            return Err(Wrong::at(&["checks", &index.to_string()], message));
        }
        Ok(Gates {
            minimum_age: self.minimum_age,
            soak: self.soak,
            rollout: self.rollout.is_some(),
            checks: self.checks.clone(),
            window: self.windows()?,
            approvals: self.approvals,
        })
    }

    /// That nothing is waited for that cannot come.
    fn check(&self, around: Around) -> Result<(), Wrong> {
        let wrong = |key: &str, message: &str| Err(Wrong::at(&[key], message));
        if self.soak.is_some() && !around.promoted {
            return wrong(
                "soak",
                "`soak` is how long a version has to have run upstream, and this environment has no `promoteFrom`; add it, or use `minimumAge`",
            );
        }
        if self.rollout.is_some() && !around.promoted {
            return wrong(
                "rollout",
                "`rollout` is what an agent has to report upstream, and this environment has no `promoteFrom`; add it, or remove `rollout`",
            );
        }
        if self.rollout.is_some() && !around.agents {
            return wrong(
                "rollout",
                "no agent reports rollouts to this server, so this gate would never pass; configure a receiver of an agent, or remove `rollout`",
            );
        }
        if self.approvals > 0 && !around.by_pull_request {
            return wrong(
                "approvals",
                "pull requests are approved, and this environment has none; write `deliver: pullRequest`, or remove `approvals`",
            );
        }
        if !self.checks.is_empty() && !around.promoted && !around.by_pull_request {
            return wrong(
                "checks",
                "checks are those of the commit upstream or of the pull request, and this environment has neither; add `promoteFrom`, write `deliver: pullRequest`, or remove `checks`",
            );
        }
        Ok(())
    }

    fn windows(&self) -> Result<Option<Windows>, Wrong> {
        let open: &[String] = match &self.window {
            Some(Texts(texts)) if texts.is_empty() => {
                return Err(Wrong::at(
                    &["window"],
                    "`window` is empty, so nothing would ever come; name a window, or remove it",
                ));
            }
            Some(Texts(texts)) => texts,
            None => &[],
        };
        if open.is_empty() && self.freeze.is_empty() {
            return Ok(None);
        }
        // Each by itself first, so that the place is that of the wrong one.
        for (index, text) in open.iter().enumerate() {
            let read = Windows::parse(std::slice::from_ref(text), &[]);
            read.map_err(|error| Wrong::at(&["window", &index.to_string()], error.message))?;
        }
        for (index, day) in self.freeze.iter().enumerate() {
            let read = Windows::parse(open, std::slice::from_ref(day));
            read.map_err(|error| Wrong::at(&["freeze", &index.to_string()], error.message))?;
        }
        let key = if open.is_empty() { "freeze" } else { "window" };
        Windows::parse(open, &self.freeze).map(Some).map_err(|error| Wrong::at(&[key], error.message))
    }
}
