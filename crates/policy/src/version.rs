//! Versions as tags write them.
//!
//! Loose in the way of Flux (`fluxcd/pkg/version` over `Masterminds/semver` `NewVersion`): an optional
//! lower-case `v`, leading zeros in numbers, at least two dots anywhere. Precedence is that of SemVer 2.0.0;
//! build metadata does not take part in it.

use std::cmp::Ordering;

use semver::Prerelease;
use tagboat_model::Tag;

/// A tag that reads as a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LooseVersion {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) prerelease: Prerelease,
}

impl LooseVersion {
    /// Read a tag. `None` when it is no version by the rules above.
    #[must_use]
    pub fn parse(tag: &Tag) -> Option<Self> {
        let text = tag.as_str();
        if text.bytes().filter(|b| *b == b'.').count() < 2 {
            return None;
        }
        let text = text.strip_prefix('v').unwrap_or(text);
        // A tag cannot contain `+`, so build metadata never occurs here.
        let (core, prerelease) = match text.split_once('-') {
            Some((core, prerelease)) => (core, prerelease),
            None => (text, ""),
        };
        if text.contains('-') && prerelease.is_empty() {
            return None;
        }
        let mut numbers = core.split('.');
        let version = Self {
            major: number(numbers.next()?)?,
            minor: numbers.next().map_or(Some(0), number)?,
            patch: numbers.next().map_or(Some(0), number)?,
            prerelease: Prerelease::new(prerelease).ok()?,
        };
        numbers.next().is_none().then_some(version)
    }

    /// SemVer 2.0.0 precedence (section 11).
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
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

    fn read(tag: &str) -> Option<String> {
        LooseVersion::parse(&tag.parse().unwrap()).map(|version| version.canonical())
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
        ] {
            assert_eq!(read(tag).as_deref(), Some(version), "{tag}");
        }
        for tag in
            ["1", "1.2", "latest", "V1.2.3", "1.2.3.4", "1.2.3-01", "1.2.3-", "1.2.3_1", "99999999999999999999.0.0"]
        {
            assert_eq!(read(tag), None, "{tag}");
        }
    }
}
