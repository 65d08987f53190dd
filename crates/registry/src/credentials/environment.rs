//! The environment variables that say who this machine is, read once. Does not interpret them.

use std::{collections::BTreeMap, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

/// Everything that starts like this is kept.
const PREFIXES: [&str; 2] = ["AWS_", "AZURE_"];
const NAMES: [&str; 7] = [
    "DOCKER_CONFIG",
    "GCE_METADATA_HOST",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "HOME",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "PATH",
];

/// Environment variables of Docker and of the clouds. Some are secrets, so none is shown.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, SecretString>);

impl Environment {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// A variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.expose_secret()).filter(|value| !value.is_empty())
    }

    /// A variable that names a file or a folder.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// All variables with this prefix.
    #[cfg(feature = "ecr")]
    pub(super) fn with_prefix(&self, prefix: &str) -> std::collections::HashMap<String, String> {
        let matching = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        matching.map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect()
    }
}

/// Names and values; what is of no interest here is left out.
impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let wanted = |name: &str| NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let variables = variables.into_iter().filter(|(name, _)| wanted(name));
        Self(variables.map(|(name, value)| (name, value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_is_kept_and_nothing_is_shown() {
        let pairs = [("AWS_SECRET_ACCESS_KEY", "canary"), ("HOME", ""), ("OTHER", "canary"), ("PATH", "/bin")];
        let environment: Environment =
            pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(environment.get("AWS_SECRET_ACCESS_KEY"), Some("canary"));
        assert_eq!((environment.get("OTHER"), environment.get("HOME")), (None, None));
        assert!(!format!("{environment:?}").contains("canary"));
    }
}
