//! The images that a receiver may speak for.

use std::{fmt, str::FromStr};

use tagboat_model::{ImageName, Pattern};
use thiserror::Error;

use crate::read::is_host;

/// Why a text is no pattern of images.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{written}` is not an image pattern: {why}")]
pub struct ImagePatternError {
    written: String,
    why: String,
}

/// A pattern of image names.
#[derive(Debug, Clone)]
pub struct ImagePattern {
    written: String,
    /// With the host as image names have it.
    long: String,
    pattern: Pattern,
}

impl ImagePattern {
    /// Whether it admits `image`.
    #[must_use]
    pub fn matches(&self, image: &ImageName) -> bool {
        self.pattern.matches(&image.to_string())
    }

    /// Whether it may admit images of a registry, going by the hosts alone: one with `*` may be any.
    #[must_use]
    pub fn reaches(&self, registry: &str) -> bool {
        let Some((host, _)) = self.long.split_once('/').filter(|(host, _)| !host.contains('*')) else { return true };
        registry_of(registry).is_none_or(|registry| registry == host)
    }
}

/// A host as image names mean it: `index.docker.io` is `docker.io`.
fn registry_of(host: &str) -> Option<String> {
    ImageName::at(host, "any/name").ok().map(|name| name.registry().to_owned())
}

/// Its long form. Without wildcards it is a name and gets the same long form as names do; with them its host does.
fn long(written: &str) -> Result<String, String> {
    if !written.contains('*') {
        return written.parse::<ImageName>().map(|name| name.to_string()).map_err(|error| error.to_string());
    }
    let known = written.split_once('/').filter(|(host, _)| !host.contains('*') && is_host(host));
    let meant = known.and_then(|(host, path)| Some(format!("{}/{path}", registry_of(host)?)));
    Ok(meant.unwrap_or_else(|| written.to_owned()))
}

impl FromStr for ImagePattern {
    type Err = ImagePatternError;

    fn from_str(written: &str) -> Result<Self, ImagePatternError> {
        let fail = |why: String| ImagePatternError { written: written.to_owned(), why };
        let long = long(written).map_err(fail)?;
        if !long.split('/').next().is_some_and(|host| host.contains('*') || is_host(host)) {
            return Err(fail("write the registry's host before the first `/`".to_owned()));
        }
        let pattern = long.parse().map_err(|error: tagboat_model::PatternError| fail(error.to_string()))?;
        Ok(Self { written: written.to_owned(), long, pattern })
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
            ("**", "ghcr.io/acme/web", true),
            ("index.docker.io/acme/*", "docker.io/acme/web", true),
            ("GHCR.io/acme/*", "ghcr.io/acme/web", true),
        ] {
            let pattern: ImagePattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(&image.parse().unwrap()), expect, "{pattern} {image}");
        }
        assert!("acme/*".parse::<ImagePattern>().is_err());
    }

    #[test]
    fn a_pattern_reaches_the_registry_of_its_host() {
        for (pattern, registry, expect) in [
            ("ghcr.io/acme/*", "ghcr.io", true),
            ("ghcr.io/acme/*", "GHCR.io", true),
            ("ghcr.io/acme/*", "docker.io", false),
            ("ghcr.io/acme/web", "docker.io", false),
            ("index.docker.io/acme/*", "docker.io", true),
            ("docker.io/acme/**", "registry-1.docker.io", true),
            ("nginx", "docker.io", true),
            ("localhost:5000/*", "localhost:5001", false),
            ("**", "docker.io", true),
            ("*/acme/web", "docker.io", true),
            ("*.example/acme/*", "r.example", true),
        ] {
            assert_eq!(pattern.parse::<ImagePattern>().unwrap().reaches(registry), expect, "{pattern} {registry}");
        }
    }
}
