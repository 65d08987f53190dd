//! The headers of a request, looked up without regard to case.

use std::collections::BTreeMap;

/// Header names in lower case with their values. Where a name is repeated the first value counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(BTreeMap<String, String>);

/// What is kept of a request so that it can be read again. None of these carries a credential.
const KEPT: [&str; 23] = [
    "content-type",
    "user-agent",
    "idempotency-key",
    "webhook-id",
    "webhook-timestamp",
    "x-github-event",
    "x-github-delivery",
    "x-gitlab-event",
    "x-gitlab-event-uuid",
    "x-gitlab-webhook-uuid",
    "x-gitlab-instance",
    "x-gitea-event",
    "x-gitea-event-type",
    "x-gitea-delivery",
    "x-forgejo-event",
    "x-forgejo-delivery",
    "x-forgejo-event-type",
    "x-nexus-webhook-id",
    "x-nexus-webhook-delivery",
    "x-amz-sns-message-type",
    "x-amz-sns-rawdelivery",
    "x-goog-pubsub-message-id",
    "x-goog-pubsub-publish-time",
];

impl Headers {
    /// The value of `name`, which is given in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of `name`, unless it is empty.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Whether a header, its name in lower case, is kept with a delivery: no credential may travel in one.
    pub(crate) fn is_kept(name: &str) -> bool {
        KEPT.contains(&name) || name.starts_with("ce-")
    }

    /// Those that say what a body is, without credentials and signatures.
    #[must_use]
    pub fn without_credentials(&self) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(name, _)| Self::is_kept(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = BTreeMap::new();
        for (name, value) in pairs {
            headers.entry(name.as_ref().to_ascii_lowercase()).or_insert_with(|| value.into());
        }
        Self(headers)
    }
}
