//! `limits`, `approvers` and `dashboard`: how Tagboat works with people.

use std::fmt;

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use tagboat_promotion::{Collaboration, Dashboard, Limits};

use super::{
    RepositoryFile,
    pull_request::{Words, check_words},
    wrong::Wrong,
};

const DASHBOARD_TITLE: &str = "Tagboat dashboard";

/// `limits: { openPullRequests: 20, perHour: 10 }`. What is held back says so.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PullRequestLimitsFile {
    /// Pull requests of Tagboat's that are open in this repository at most. Default: 20.
    pub open_pull_requests: Option<u32>,
    /// Pull requests that are opened within an hour at most. Default: no limit.
    pub per_hour: Option<u32>,
}

/// `true`, or how the dashboard is: `{ title: Updates, labels: [tagboat] }`.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum DashboardFile {
    /// Whether there is one.
    Whether(bool),
    /// There is, and so it is.
    Details(DashboardDetailsFile),
}

/// How the dashboard is.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DashboardDetailsFile {
    /// The title of the issue. Default: `Tagboat dashboard`.
    pub title: Option<String>,
    /// Its labels. Default: none.
    pub labels: Vec<String>,
}

impl<'de> Deserialize<'de> for DashboardFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WhetherOrDetails)
    }
}

/// What `untagged` would read loses its place in the file.
struct WhetherOrDetails;

impl<'de> Visitor<'de> for WhetherOrDetails {
    type Value = DashboardFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true`, or `title` and `labels`")
    }

    fn visit_bool<E: de::Error>(self, whether: bool) -> Result<DashboardFile, E> {
        Ok(DashboardFile::Whether(whether))
    }

    fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<DashboardFile, A::Error> {
        DashboardDetailsFile::deserialize(MapAccessDeserializer::new(keys)).map(DashboardFile::Details)
    }
}

impl DashboardFile {
    fn read(&self) -> Result<Option<Dashboard>, Wrong> {
        let details = match self {
            Self::Whether(false) => return Ok(None),
            Self::Whether(true) => DashboardDetailsFile::default(),
            Self::Details(details) => details.clone(),
        };
        let title = details.title.unwrap_or_else(|| DASHBOARD_TITLE.to_owned());
        if title.trim().is_empty() || title.chars().any(char::is_control) {
            return Err(Wrong::at(&["title"], "a title must not be empty, nor hold a line end"));
        }
        check_words(&details.labels, Words::Any).map_err(|wrong| wrong.below(&["labels"]))?;
        Ok(Some(Dashboard { title, labels: details.labels }))
    }
}

impl PullRequestLimitsFile {
    fn read(&self) -> Result<Limits, Wrong> {
        let usual = Limits::default();
        for (key, limit) in [("openPullRequests", self.open_pull_requests), ("perHour", self.per_hour)] {
            if limit == Some(0) {
                let message = format!("`{key}` is 0, so no pull request would ever be opened; 1 is the least");
                return Err(Wrong::at(&[key], message));
            }
        }
        Ok(Limits {
            open_pull_requests: self.open_pull_requests.or(usual.open_pull_requests),
            per_hour: self.per_hour.or(usual.per_hour),
        })
    }
}

/// What the file says of them, or what is wrong.
pub(super) fn read(file: &RepositoryFile) -> Result<Collaboration, Wrong> {
    let dashboard = file.dashboard.as_ref().map(DashboardFile::read).transpose();
    check_words(&file.approvers, Words::People).map_err(|wrong| wrong.below(&["approvers"]))?;
    Ok(Collaboration {
        limits: file.limits.read().map_err(|wrong| wrong.below(&["limits"]))?,
        approvers: file.approvers.clone(),
        dashboard: dashboard.map_err(|wrong| wrong.below(&["dashboard"]))?.flatten(),
    })
}
