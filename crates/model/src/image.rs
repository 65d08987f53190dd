//! Image names, tags and digests.
//!
//! Grammar: the distribution project's `reference` package (name, tag, digest) and its normalisation
//! of Docker Hub's short names, so that `nginx`, `library/nginx` and `index.docker.io/library/nginx`
//! are one image. How a name was *written* is kept apart, because an edit must not change it.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

const DOCKER_HUB: &str = "docker.io";
/// Longest `host/path` that registries accept.
const LONGEST_NAME: usize = 255;
/// Longest tag the OCI distribution specification allows.
const LONGEST_TAG: usize = 128;

/// Why a text is no image name, tag or digest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImageError {
    /// The name breaks the grammar of repository names.
    #[error("`{text}` is not an image name: {why}")]
    Name {
        /// What was given.
        text: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// The tag breaks the grammar of tags.
    #[error("`{text}` is not a tag: 1 to 128 letters, digits, `_`, `.`, `-`, not starting with `.` or `-`")]
    Tag {
        /// What was given.
        text: String,
    },
    /// The digest is neither `sha256:` with 64 nor `sha512:` with 128 lower-case hexadecimal digits.
    #[error("`{text}` is not a digest: expected `sha256:` and 64 lower-case hexadecimal digits")]
    Digest {
        /// What was given.
        text: String,
    },
}

/// A registry repository, normalised: host (with port) and path. Compared by value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ImageName {
    registry: String,
    repository: String,
}

impl ImageName {
    /// Host and port of the registry, `docker.io` for Docker Hub.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path of the repository at its registry; `library/nginx` for Docker Hub's official images.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Build a name from a host known from configuration and a path that a sender reported.
    ///
    /// # Errors
    /// [`ImageError::Name`] when the path is not a repository name.
    pub fn at(registry: &str, repository: &str) -> Result<Self, ImageError> {
        format!("{registry}/{repository}").parse()
    }
}

impl FromStr for ImageName {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let fail = |why| ImageError::Name { text: text.to_owned(), why };
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if is_host(first) => (first, rest),
            _ => (DOCKER_HUB, text),
        };
        let registry = match host.to_ascii_lowercase().as_str() {
            "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
            other => other.to_owned(),
        };
        let repository =
            if registry == DOCKER_HUB && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        if !registry.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_'))
        {
            return Err(fail("the registry host has a character that hosts cannot have"));
        }
        if registry.len() + 1 + repository.len() > LONGEST_NAME {
            return Err(fail("longer than 255 characters"));
        }
        if !repository.split('/').all(is_path_component) {
            return Err(fail(
                "each part of the path is lower-case letters and digits, joined by one `.`, one or two `_`, or `-`",
            ));
        }
        Ok(Self { registry, repository })
    }
}

/// Whether the part before the first `/` is a host, by the distribution project's rule.
fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    alphanumeric(first)
        && alphanumeric(last)
        && bytes
            .split(|b| alphanumeric(*b))
            .filter(|separator| !separator.is_empty())
            .all(|separator| matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-'))
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

/// A tag, at most 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Tag(String);

impl Tag {
    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this tag names a signature, an attestation or a referrers list instead of an image:
    /// cosign's `sha256-<hex>.sig` family and the OCI 1.1 referrers fallback tag, which has no suffix.
    #[must_use]
    pub fn is_artifact_of_another(&self) -> bool {
        let Some((algorithm, rest)) = self.0.split_once('-') else { return false };
        let length = match algorithm {
            "sha256" => 64,
            "sha512" => 128.min(LONGEST_TAG - "sha512-".len()),
            _ => return false,
        };
        let hex = rest.split('.').next().unwrap_or_default();
        hex.len() == length && hex.bytes().all(|b| b.is_ascii_hexdigit())
    }
}

impl FromStr for Tag {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let good = text.len() <= LONGEST_TAG
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if good { Ok(Self(text.to_owned())) } else { Err(ImageError::Tag { text: text.to_owned() }) }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digest of a manifest, `sha256:…` or `sha512:…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest as text, algorithm included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `sha256:0123456789ab`: enough for a person to compare.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..19).unwrap_or(&self.0)
    }
}

impl FromStr for Digest {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let good = text.split_once(':').is_some_and(|(algorithm, hex)| {
            matches!((algorithm, hex.len()), ("sha256", 64) | ("sha512", 128))
                && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        });
        if good { Ok(Self(text.to_owned())) } else { Err(ImageError::Digest { text: text.to_owned() }) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! through_string {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = ImageError;
            fn try_from(text: String) -> Result<Self, ImageError> { text.parse() }
        }
        impl From<$type> for String {
            fn from(value: $type) -> Self { value.to_string() }
        }
    )*};
}
through_string!(ImageName, Tag, Digest);

/// A tag with the digest it had when it was confirmed at the registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version {
    /// The tag.
    pub tag: Tag,
    /// What the tag named when it was read.
    pub digest: Digest,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.tag, self.digest.short())
    }
}

/// An image as people write it in a file: `name[:tag][@digest]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenImage {
    /// The name exactly as written, short or long.
    pub written_name: String,
    /// The name it means.
    pub name: ImageName,
    /// The tag, if one is written.
    pub tag: Option<Tag>,
    /// The digest, if one is written.
    pub digest: Option<Digest>,
}

impl FromStr for WrittenImage {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the port of the registry.
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (written_name, tag) = match rest[name_start..].split_once(':') {
            Some((last, tag)) => (&rest[..name_start + last.len()], Some(tag.parse()?)),
            None => (rest, None),
        };
        Ok(Self { written_name: written_name.to_owned(), name: written_name.parse()?, tag, digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_names_of_one_image_are_equal() {
        let cases = [
            ("nginx", "docker.io/library/nginx"),
            ("library/nginx", "docker.io/library/nginx"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx"),
            ("acme/web", "docker.io/acme/web"),
            ("ghcr.io/acme/web", "ghcr.io/acme/web"),
            ("GHCR.io/acme/web", "ghcr.io/acme/web"),
            ("localhost/web", "localhost/web"),
            ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c"),
        ];
        for (written, normal) in cases {
            assert_eq!(written.parse::<ImageName>().map(|name| name.to_string()), Ok(normal.to_owned()), "{written}");
        }
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        for bad in
            ["", "/", "a//b", "acme/Web", "acme/web-", "acme/a___b", "acme/a..b", "ex ample.com/a", "acme/ü", "a@b"]
        {
            assert!(bad.parse::<ImageName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_is_not_a_tag() {
        let written: WrittenImage = "localhost:5000/web".parse().unwrap();
        assert_eq!((written.tag, written.written_name.as_str()), (None, "localhost:5000/web"));
        let written: WrittenImage = "localhost:5000/web:1.2".parse().unwrap();
        assert_eq!(written.tag.unwrap().as_str(), "1.2");
    }

    #[test]
    fn a_written_image_may_have_tag_and_digest() {
        let hex = "0".repeat(64);
        let written: WrittenImage = format!("acme/web:1.2@sha256:{hex}").parse().unwrap();
        assert_eq!(written.written_name, "acme/web");
        assert_eq!(written.tag.unwrap().as_str(), "1.2");
        assert_eq!(written.digest.unwrap().short(), "sha256:000000000000");
        assert!("acme/web@sha256:12".parse::<WrittenImage>().is_err());
    }

    #[test]
    fn tags_of_signatures_and_referrers_are_recognised() {
        let hex = "a".repeat(64);
        for tag in [format!("sha256-{hex}"), format!("sha256-{hex}.sig"), format!("sha256-{hex}.att")] {
            assert!(tag.parse::<Tag>().unwrap().is_artifact_of_another(), "{tag}");
        }
        for tag in ["1.2.3", "sha256-abc", "main-0123abcd"] {
            assert!(!tag.parse::<Tag>().unwrap().is_artifact_of_another(), "{tag}");
        }
    }

    #[test]
    fn tags_outside_the_grammar_are_refused() {
        for bad in ["", ".1", "-1", "a b", "a/b", "ä", &"a".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }
}
