//! Versions as tags write them.
//!
//! Three ways to read them: Flux's (`fluxcd/pkg/version` over `Masterminds/semver` `NewVersion`: an optional
//! lower-case `v`, leading zeros in numbers, at least two dots anywhere), Masterminds' own, which lets parts be
//! missing, and the strict one of SemVer 2.0.0 with an optional `v`. Precedence is that of SemVer 2.0.0; build
//! metadata does not take part in it.

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease};

/// How a text is read as a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As Flux: two dots at least, otherwise loose.
    TwoDots,
    /// As Masterminds: `1` and `1.2` are versions.
    Loose,
    /// As Kargo by default: three numbers without leading zeros.
    Strict,
}

/// A text that reads as a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LooseVersion {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) prerelease: Prerelease,
}

impl LooseVersion {
    /// Read a text. `None` when it is no version by the rules above.
    pub(crate) fn parse(text: &str, reading: Reading) -> Option<Self> {
        if reading == Reading::TwoDots && text.bytes().filter(|b| *b == b'.').count() < 2 {
            return None;
        }
        let text = text.strip_prefix('v').unwrap_or(text);
        // A tag cannot hold a `+`; what `extract` makes of it can.
        let text = match text.split_once('+') {
            Some((version, build)) => {
                BuildMetadata::new(build).ok().filter(|build| !build.is_empty()).map(|_| version)?
            }
            None => text,
        };
        let (core, prerelease) = match text.split_once('-') {
            Some((_, "")) => return None,
            Some((core, prerelease)) => (core, Prerelease::new(prerelease).ok()?),
            None => (text, Prerelease::EMPTY),
        };
        let mut parts = core.split('.');
        let strict = reading == Reading::Strict;
        let mut part = |required: bool| match parts.next() {
            Some(text) if strict && text.len() > 1 && text.starts_with('0') => None,
            Some(text) => number(text),
            None => (!required).then_some(0),
        };
        let version = Self { major: part(true)?, minor: part(strict)?, patch: part(strict)?, prerelease };
        parts.next().is_none().then_some(version)
    }

    /// SemVer 2.0.0 precedence (section 11).
    pub(crate) fn precedence(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| self.prerelease.cmp(&other.prerelease))
    }

    /// The plain way to write this version; the tie rule prefers it.
    pub(crate) fn canonical(&self) -> String {
        let core = format!("{}.{}.{}", self.major, self.minor, self.patch);
        if self.prerelease.is_empty() { core } else { format!("{core}-{}", self.prerelease) }
    }
}

/// Digits only; `parse` alone would accept a `+` in front.
pub(crate) fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, reading: Reading) -> Option<String> {
        LooseVersion::parse(text, reading).map(|version| version.canonical())
    }

    #[test]
    fn tags_read_as_flux_reads_them() {
        for (tag, version) in [
            ("1.2.3", "1.2.3"),
            ("v1.2.3", "1.2.3"),
            ("2025.02.03", "2025.2.3"),
            ("1.2.3-rc.1", "1.2.3-rc.1"),
            ("1-a.b.c", "1.0.0-a.b.c"),
            ("1.2-a.b", "1.2.0-a.b"),
            ("1.2.3+build.7", "1.2.3"),
        ] {
            assert_eq!(read(tag, Reading::TwoDots).as_deref(), Some(version), "{tag}");
        }
        for tag in [
            "",
            "1",
            "1.2",
            "latest",
            "V1.2.3",
            "1.2.3.4",
            "1.2.3-01",
            "1.2.3-",
            "1.2.3_1",
            "1.2.3+",
            "1.2.3+a_b",
            "1..3",
            "99999999999999999999.0.0",
        ] {
            assert_eq!(read(tag, Reading::TwoDots), None, "{tag}");
        }
    }

    #[test]
    fn other_peers_read_more_or_less() {
        for (tag, loose, strict) in [
            ("1", Some("1.0.0"), None),
            ("v1.2", Some("1.2.0"), None),
            ("1.2.3", Some("1.2.3"), Some("1.2.3")),
            ("v1.2.3-rc.1", Some("1.2.3-rc.1"), Some("1.2.3-rc.1")),
            ("1.02.3", Some("1.2.3"), None),
            ("0.0.0", Some("0.0.0"), Some("0.0.0")),
            ("1.2.3.4", None, None),
            ("x", None, None),
        ] {
            assert_eq!(
                (read(tag, Reading::Loose).as_deref(), read(tag, Reading::Strict).as_deref()),
                (loose, strict),
                "{tag}"
            );
        }
    }
}
