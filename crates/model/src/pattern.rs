//! Texts with wildcards: `*` is any run within one part between slashes, `**` any run. All else means itself.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longer ones are slips. With it, the time that a comparison takes is bounded by the text's length.
const LONGEST_PATTERN: usize = 1000;

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It has no letters.
    #[error("the pattern is empty")]
    Empty,
    /// It is too long.
    #[error("`{beginning}…` is longer than {LONGEST_PATTERN} bytes")]
    TooLong {
        /// Its beginning.
        beginning: String,
    },
}

/// A text with wildcards, matched with regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Pattern {
    written: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    WithinOne,
    Any,
}

impl Pattern {
    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        // Where what was matched so far may end.
        let mut ends = vec![false; text.len() + 1];
        ends.iter_mut().take(1).for_each(|end| *end = true);
        for part in &self.parts {
            ends = part.ends(text, &ends);
        }
        ends.last() == Some(&true)
    }
}

impl Part {
    /// Where this part may end when it begins at one of these places.
    fn ends(&self, text: &[u8], begins: &[bool]) -> Vec<bool> {
        let mut ends = vec![false; begins.len()];
        let mut running = false;
        for (place, begin) in begins.iter().enumerate() {
            match self {
                Self::Text(literal) => {
                    let behind = place + literal.len();
                    if *begin && text.get(place..behind) == Some(literal.as_bytes()) {
                        ends[behind] = true;
                    }
                }
                Self::WithinOne | Self::Any => {
                    let crosses = place.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'/');
                    running = *begin || (running && (*self == Self::Any || !crosses));
                    ends[place] = running;
                }
            }
        }
        ends
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(written: &str) -> Result<Self, PatternError> {
        if written.is_empty() {
            return Err(PatternError::Empty);
        }
        if written.len() > LONGEST_PATTERN {
            return Err(PatternError::TooLong { beginning: written.chars().take(40).collect() });
        }
        let (mut parts, mut rest) = (Vec::new(), written);
        while let Some((literal, behind)) = rest.split_once('*') {
            parts.push(Part::Text(literal.to_owned()));
            rest = behind.trim_start_matches('*');
            parts.push(if rest.len() < behind.len() { Part::Any } else { Part::WithinOne });
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { written: written.to_owned(), parts })
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(written: String) -> Result<Self, PatternError> {
        written.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.written
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_one_part_and_nothing_else_is_a_wildcard() {
        for (pattern, text, expect) in [
            ("refs/heads/main", "refs/heads/main", true),
            ("refs/heads/main", "refs/heads/Main", false),
            ("refs/heads/main", "refs/heads/main2", false),
            ("refs/heads/main", "xrefs/heads/main", false),
            ("refs/heads/main", "refs/heads/main\n", false),
            ("refs/heads/*", "refs/heads/main", true),
            ("refs/heads/*", "refs/heads/", true),
            ("refs/heads/*", "refs/heads/a/b", false),
            ("refs/heads/**", "refs/heads/a/b", true),
            ("refs/heads/**", "refs/heads/a\nb", true),
            ("refs/*/main", "refs/heads/main", true),
            ("refs/*/main", "refs/a/b/main", false),
            ("refs/**/main", "refs/a/b/main", true),
            ("refs/**/main", "refs/main", false),
            ("**/main", "refs/heads/main", true),
            ("**", "", true),
            ("a***b", "a/x/b", true),
            ("a*a*a*b", "aaaaaaaaaaaa", false),
            ("refs/tags/v*.*", "refs/tags/v1.2", true),
            ("refs/tags/v*.*", "refs/tags/v12", false),
            ("release.yml@**", "release.yml@refs/tags/v1", true),
            ("a.b", "axb", false),
            ("v?", "v1", false),
            ("v?", "v?", true),
            ("a[bc]d", "abd", false),
            ("a[bc]d", "a[bc]d", true),
            ("{a,b}", "a", false),
            ("a|b", "a", false),
            ("^a$", "a", false),
            ("a\\d", "a1", false),
            ("a\\d", "a\\d", true),
            ("*", "ä", true),
            ("ä*", "äö", true),
        ] {
            let pattern: Pattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(text), expect, "{pattern} {text:?}");
        }
        assert_eq!("".parse::<Pattern>(), Err(PatternError::Empty));
        assert!("*a".repeat(501).parse::<Pattern>().is_err());
    }
}
