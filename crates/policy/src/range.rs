//! Version ranges with the grammar and meaning of Masterminds/semver, which Flux uses.
//!
//! Comma or space means "and", `||` means "or"; `= != > < >= => <= =< ~ ~> ^`, hyphen ranges, `x X *`,
//! missing parts and a leading `v` are understood. A prerelease is admitted only when some bound of the
//! same "and" group names a prerelease. No crate implements exactly this; the rules are written out in
//! its `constraints.go` and the tests hold the cases where they surprise.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use semver::{BuildMetadata, Prerelease};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::version::{LooseVersion, number};

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{range}` is not a version range: {why}; write for example `^1.4`, `~1.4.2`, `>=1.4 <2` or `1.x || 2.x`")]
pub struct RangeError {
    range: String,
    why: String,
}

/// A parsed range that remembers how it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Range {
    written: String,
    any_of: Vec<Vec<Bound>>,
}

/// Why a range does not admit a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Outside,
    Prerelease,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// Longest spelling first, so that `>=` is not read as `>`.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

/// How much of a bound's version was written; `1.x` and `1` leave the minor open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Patch,
    Minor,
    Major,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    operator: Operator,
    version: LooseVersion,
    open: Open,
}

impl Range {
    /// Whether the range admits a version.
    pub(crate) fn admits(&self, version: &LooseVersion) -> Result<(), Refusal> {
        let mut refusal = Refusal::Outside;
        for all_of in &self.any_of {
            let prerelease_named = all_of.iter().any(|bound| !bound.version.prerelease.is_empty());
            if !all_of.iter().all(|bound| bound.admits(version)) {
                continue;
            }
            if version.prerelease.is_empty() || prerelease_named {
                return Ok(());
            }
            refusal = Refusal::Prerelease;
        }
        Err(refusal)
    }
}

impl Bound {
    fn admits(&self, v: &LooseVersion) -> bool {
        let (bound, open) = (&self.version, self.open);
        let order = v.precedence(bound);
        match self.operator {
            Operator::Equal if open == Open::Nothing => order.is_eq(),
            Operator::Equal | Operator::Tilde => self.tilde(v),
            Operator::NotEqual => match open {
                Open::Nothing | Open::Major => order.is_ne(),
                Open::Minor => v.major != bound.major,
                Open::Patch => (v.major, v.minor) != (bound.major, bound.minor),
            },
            Operator::Greater => match open {
                Open::Nothing | Open::Major => order.is_gt(),
                Open::Minor => v.major > bound.major,
                Open::Patch => (v.major, v.minor) > (bound.major, bound.minor),
            },
            Operator::Less => order.is_lt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::LessOrEqual => match open {
                Open::Nothing => order.is_le(),
                Open::Minor => v.major <= bound.major,
                Open::Patch | Open::Major => (v.major, v.minor) <= (bound.major, bound.minor),
            },
            Operator::Caret => self.caret(v),
        }
    }

    fn tilde(&self, v: &LooseVersion) -> bool {
        let bound = &self.version;
        if v.precedence(bound).is_lt() {
            return false;
        }
        // `*`, and by the same rule `~0.0.0`, admit everything.
        let closed = matches!(self.open, Open::Nothing | Open::Major);
        if closed && (bound.major, bound.minor, bound.patch) == (0, 0, 0) {
            return true;
        }
        v.major == bound.major && (self.open == Open::Minor || v.minor == bound.minor)
    }

    fn caret(&self, v: &LooseVersion) -> bool {
        let bound = &self.version;
        if v.precedence(bound).is_lt() {
            return false;
        }
        if bound.major > 0 || self.open == Open::Minor {
            return v.major == bound.major;
        }
        if v.major > 0 {
            return false;
        }
        if bound.minor > 0 || self.open == Open::Patch {
            return v.minor == bound.minor;
        }
        v.minor == 0 && v.patch == bound.patch
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let any_of = text
            .split("||")
            .map(|group| parse_group(group).map_err(|why| RangeError { range: text.to_owned(), why }))
            .collect::<Result<_, _>>()?;
        // One line, however it was written.
        Ok(Self { written: text.split_whitespace().collect::<Vec<_>>().join(" "), any_of })
    }
}

fn parse_group(group: &str) -> Result<Vec<Bound>, String> {
    let mut rest = group.trim();
    if rest.is_empty() {
        return Err("a part of it is empty".to_owned());
    }
    let mut bounds = Vec::new();
    while !rest.is_empty() {
        let (operator, after) = take_operator(rest);
        let (version, after) = take_version(after.trim_start());
        rest = after.trim_start();
        // `1.2 - 2.0` means from the one to the other, both included.
        match (operator, rest.strip_prefix("- ")) {
            (None, Some(upper)) => {
                let (upper, after) = take_version(upper.trim_start());
                bounds.push(parse_bound(Operator::GreaterOrEqual, version)?);
                bounds.push(parse_bound(Operator::LessOrEqual, upper)?);
                rest = after.trim_start();
            }
            _ => bounds.push(parse_bound(operator.unwrap_or(Operator::Equal), version)?),
        }
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
            if rest.is_empty() {
                return Err("it ends with a comma".to_owned());
            }
        }
    }
    Ok(bounds)
}

fn take_operator(text: &str) -> (Option<Operator>, &str) {
    for (spelling, operator) in OPERATORS {
        if let Some(rest) = text.strip_prefix(spelling) {
            return (Some(operator), rest);
        }
    }
    (None, text)
}

fn take_version(text: &str) -> (&str, &str) {
    text.split_at(text.find([' ', ',', '\t', '\n', '\r']).unwrap_or(text.len()))
}

fn parse_bound(operator: Operator, text: &str) -> Result<Bound, String> {
    let fail = || format!("`{text}` is not a version");
    let plain = text.strip_prefix('v').unwrap_or(text);
    let plain = match plain.split_once('+') {
        Some((version, build)) => BuildMetadata::new(build).ok().filter(|build| !build.is_empty()).map(|_| version),
        None => Some(plain),
    };
    let plain = plain.ok_or_else(fail)?;
    let (core, prerelease) = plain.split_once('-').map_or((plain, None), |(core, rest)| (core, Some(rest)));
    let prerelease = match prerelease {
        Some("") => return Err(fail()),
        Some(text) => Prerelease::new(text).map_err(|_| fail())?,
        None => Prerelease::EMPTY,
    };
    let mut numbers = Vec::new();
    let mut open = None;
    for (place, part) in core.split('.').enumerate() {
        let wildcard = matches!(part, "x" | "X" | "*");
        if part.is_empty() || place > 2 {
            return Err(fail());
        }
        if wildcard {
            open = open.or(Some(place));
        } else {
            numbers.push(number(part).ok_or_else(fail)?);
        }
    }
    let open = match open.unwrap_or_else(|| core.split('.').count()) {
        0 => Open::Major,
        1 => Open::Minor,
        2 => Open::Patch,
        _ => Open::Nothing,
    };
    let kept = match open {
        Open::Major => 0,
        Open::Minor => 1,
        Open::Patch => 2,
        Open::Nothing => 3,
    };
    let part = |place: usize| numbers.get(place).copied().filter(|_| place < kept).unwrap_or(0);
    Ok(Bound { operator, version: LooseVersion { major: part(0), minor: part(1), patch: part(2), prerelease }, open })
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl TryFrom<String> for Range {
    type Error = RangeError;
    fn try_from(text: String) -> Result<Self, RangeError> {
        text.parse()
    }
}

impl From<Range> for String {
    fn from(range: Range) -> Self {
        range.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_mean_what_flux_means() {
        // range, admitted, not admitted
        let table: &[(&str, &[&str], &[&str])] = &[
            ("1.2.3", &["1.2.3", "v1.2.3"], &["1.2.4"]),
            ("=1.2.3", &["1.2.3"], &["1.2.4"]),
            ("1.2", &["1.2.0", "1.2.9"], &["1.3.0"]),
            ("1.x", &["1.0.0", "1.9.9"], &["2.0.0", "0.9.0"]),
            ("*", &["0.0.0", "9.9.9"], &["1.0.0-rc.1"]),
            ("*-0", &["1.0.0-rc.1", "2.0.0"], &[]),
            ("^1.4", &["1.4.0", "1.99.0"], &["1.3.9", "2.0.0"]),
            ("^0.2.3", &["0.2.3", "0.2.9"], &["0.3.0"]),
            ("^0.0.3", &["0.0.3"], &["0.0.4"]),
            ("^0.0", &["0.0.9"], &["0.1.0"]),
            ("^0", &["0.9.9"], &["1.0.0"]),
            ("~1.4.2", &["1.4.2", "1.4.9"], &["1.4.1", "1.5.0"]),
            ("~1", &["1.9.0"], &["2.0.0"]),
            ("~> 1.4", &["1.4.9"], &["1.5.0"]),
            (">2", &["3.0.0"], &["2.9.9"]),
            (">2.1", &["2.2.0"], &["2.1.9"]),
            ("<=2.1", &["2.1.9"], &["2.2.0"]),
            ("<=2", &["2.9.9"], &["3.0.0"]),
            (">=1.4 <2", &["1.4.0"], &["2.0.0"]),
            (">=1.4, <2", &["1.4.0"], &["2.0.0"]),
            ("=>1.4 =<1.6.0", &["1.6.0"], &["1.6.1"]),
            ("1.2 - 2.0", &["1.2.0", "2.0.9"], &["2.1.0"]),
            ("^1 || ^3", &["1.5.0", "3.0.1"], &["2.0.0"]),
            ("!=1.5.0", &["1.5.1"], &["1.5.0"]),
            ("!=1.5", &["1.6.0"], &["1.5.7"]),
            (">=1.0.0-0 <2.0.0", &["1.2.0-rc.1", "2.0.0-rc.1"], &["2.0.0"]),
            ("<2.0.0-0", &["1.0.0-a.1"], &["2.0.0-rc.1"]),
            ("^1.0.0-0", &["1.2.0-rc.1"], &["2.0.0-rc.1"]),
            ("v1.2.x", &["1.2.7"], &["1.3.0"]),
            ("1.2.3+build.7", &["1.2.3"], &["1.2.4"]),
        ];
        for (range, admitted, refused) in table {
            let parsed: Range = range.parse().unwrap();
            let admits =
                |tag: &str| parsed.admits(&LooseVersion::parse(tag, crate::version::Reading::Loose).unwrap()).is_ok();
            for tag in *admitted {
                assert!(admits(tag), "`{range}` admits {tag}");
            }
            for tag in *refused {
                assert!(!admits(tag), "`{range}` does not admit {tag}");
            }
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in [
            "",
            "  ",
            "1x",
            "*-*",
            "^1 ||",
            "|| ^1",
            "^",
            "1.2.3.4",
            "latest",
            "^1,",
            "1..2",
            ">=1.2.3-",
            "1+",
            "1+\0",
            "~1.9+\u{c}1",
        ] {
            assert!(bad.parse::<Range>().is_err(), "`{bad}`");
        }
    }

    #[test]
    fn a_prerelease_inside_the_range_has_its_own_reason() {
        let range: Range = "^1.4".parse().unwrap();
        let version = |tag: &str| LooseVersion::parse(tag, crate::version::Reading::Loose).unwrap();
        assert_eq!(range.admits(&version("1.5.0-rc.1")), Err(Refusal::Prerelease));
        assert_eq!(range.admits(&version("2.0.0-rc.1")), Err(Refusal::Outside));
    }
}
