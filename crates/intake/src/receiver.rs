//! A configured inbound address: who may send to it, and for which images it may speak.

use std::{fmt, str::FromStr};

use globset::{Glob, GlobBuilder, GlobMatcher};
use secrecy::SecretString;
use tagboat_model::{ImageName, ReceiverName, TenantName, Trust};
use thiserror::Error;

use crate::Verdict;

/// A receiver: one sender kind, one set of credentials, one tenant, an allow-list of images.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Its name, the last part of its address.
    pub name: ReceiverName,
    /// The tenant that everything sent here belongs to.
    pub tenant: TenantName,
    /// Who sends, and how the sender proves it.
    pub sender: Sender,
    /// The images it may speak for; all others are ignored.
    pub images: Vec<ImagePattern>,
}

impl Receiver {
    /// Whether it may speak for `image`.
    #[must_use]
    pub fn speaks_for(&self, image: &ImageName) -> bool {
        self.images.iter().any(|pattern| pattern.matches(image))
    }
}

/// The kinds of senders, with what proves their identity. Several live secrets allow rotation.
#[derive(Debug, Clone)]
pub enum Sender {
    /// A CNCF distribution registry (and what speaks its `notifications`): a static `Authorization` header.
    Distribution {
        /// The whole header values that are accepted, scheme included.
        authorization: Vec<SecretString>,
        /// The registry, as host and port, that this sender is.
        registry: String,
    },
    /// Any program that signs as Standard Webhooks 1.0 says.
    Generic {
        /// The signing secrets, `whsec_…` or plain.
        secrets: Vec<SecretString>,
    },
}

impl Sender {
    /// The word for it in configuration and in the log.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Distribution { .. } => "distribution",
            Self::Generic { .. } => "generic",
        }
    }

    /// How far its credential reaches.
    #[must_use]
    pub fn trust(&self) -> Trust {
        match self {
            Self::Distribution { .. } => Trust::Token,
            Self::Generic { .. } => Trust::Signed,
        }
    }

    /// The HTTP status for an authentic request. Never an error: distribution repeats a refused event for
    /// ever and holds back all behind it, and others switch their hook off.
    #[must_use]
    pub fn status(&self, verdict: Verdict) -> u16 {
        match (self, verdict) {
            (Self::Generic { .. }, Verdict::Accepted) => 202,
            _ => 200,
        }
    }
}

/// Image names with `*` (any run within one part of the path) and `**` (any run).
#[derive(Debug, Clone)]
pub struct ImagePattern {
    written: String,
    matcher: GlobMatcher,
}

/// Why a text is no image pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{written}` is not an image pattern: {why}")]
pub struct ImagePatternError {
    written: String,
    why: String,
}

impl ImagePattern {
    fn matches(&self, image: &ImageName) -> bool {
        self.matcher.is_match(image.to_string())
    }
}

impl FromStr for ImagePattern {
    type Err = ImagePatternError;

    fn from_str(written: &str) -> Result<Self, ImagePatternError> {
        let fail = |why: String| ImagePatternError { written: written.to_owned(), why };
        // Without wildcards the pattern is a name and gets the same long form as names do.
        let long = if written.contains('*') {
            written.to_owned()
        } else {
            written.parse::<ImageName>().map_err(|error| fail(error.to_string()))?.to_string()
        };
        if !long.split('/').next().is_some_and(|host| host.contains(['.', ':', '*']) || host == "localhost") {
            return Err(fail("write the registry's host before the first `/`".to_owned()));
        }
        let glob: Glob =
            GlobBuilder::new(&long).literal_separator(true).build().map_err(|error| fail(error.kind().to_string()))?;
        Ok(Self { written: written.to_owned(), matcher: glob.compile_matcher() })
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_one_part_of_the_path() {
        for (pattern, image, expect) in [
            ("ghcr.io/acme/*", "ghcr.io/acme/web", true),
            ("ghcr.io/acme/*", "ghcr.io/acme/team/web", false),
            ("ghcr.io/acme/**", "ghcr.io/acme/team/web", true),
            ("ghcr.io/acme/*", "evil.example/ghcr.io/acme/web", false),
            ("nginx", "docker.io/library/nginx", true),
            ("localhost:5000/a*", "localhost:5000/api", true),
        ] {
            let pattern: ImagePattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(&image.parse().unwrap()), expect, "{pattern} {image}");
        }
        assert!("acme/*".parse::<ImagePattern>().is_err());
    }
}
