//! Regular expressions over tags, and what of a tag they take out.
//!
//! The dialect is that of RE2, as in Flux: linear time, no look-around, not anchored unless written so. Tags are
//! ASCII, so classes are too. `extract` follows Go's `Regexp.Expand` (`$1`, `$name`, `${name}`, `$$`).

use std::{borrow::Cow, fmt, str::FromStr};

use regex::bytes::{Captures, Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a compiled expression may take, in bytes: enough for any honest one, too little to hurt.
const LARGEST_PROGRAM: usize = 1 << 20;

/// A regular expression, compared by its text.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Pattern(Regex);

/// Why a text is no regular expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{pattern}` is not a regular expression: {why}")]
pub struct PatternError {
    pattern: String,
    why: String,
}

impl Pattern {
    /// Whether it matches anywhere in `tag`.
    #[must_use]
    pub fn matches(&self, tag: &str) -> bool {
        self.0.is_match(tag.as_bytes())
    }

    /// The expression as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// A shell glob, as Go's `path/filepath.Match` reads it: `*`, `?`, `[a-z]`, `[^a-z]`, `\` before a character.
    /// It has to match all of a tag.
    pub(crate) fn from_glob(glob: &str) -> Result<Self, PatternError> {
        let mut pattern = String::from("^");
        let mut rest = glob.chars();
        while let Some(char) = rest.next() {
            match char {
                '*' => pattern.push_str("[^/]*"),
                '?' => pattern.push_str("[^/]"),
                // A class reads the same in both, but for its own brackets and operators of the expression.
                '[' => {
                    pattern.push('[');
                    let class = rest.as_str().split(']').next().unwrap_or_default();
                    pattern.push_str(&class.replace('[', "\\[").replace("&&", "&\\&").replace("~~", "~\\~"));
                    rest = rest.as_str().get(class.len()..).unwrap_or_default().chars();
                }
                ']' => pattern.push(']'),
                '\\' => pattern.push_str(&regex::escape(&rest.next().unwrap_or('\\').to_string())),
                plain => pattern.push_str(&regex::escape(&plain.to_string())),
            }
        }
        pattern.push('$');
        pattern.parse().map_err(|error: PatternError| PatternError { pattern: glob.to_owned(), ..error })
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let built = RegexBuilder::new(text).unicode(false).size_limit(LARGEST_PROGRAM).build();
        built.map(Self).map_err(|error| PatternError { pattern: text.to_owned(), why: in_one_line(&error) })
    }
}

/// The library draws a picture of several lines; its last says what is wrong.
fn in_one_line(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it would take too much memory; write it shorter".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default().trim();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;
    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

/// `filterTags: { pattern: "^v(?P<v>.*)$", extract: "$v" }`, as Flux writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "FilterTagsFile", into = "FilterTagsFile")]
#[schemars(with = "FilterTagsFile")]
pub struct FilterTags {
    pattern: Pattern,
    extract: Option<Template>,
}

/// Only tags that a pattern matches, and what of them is compared.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "FilterTags")]
struct FilterTagsFile {
    /// A regular expression (RE2, not anchored): tags that it does not match are left out.
    pattern: Pattern,
    /// What the policy compares, made of the expression's groups: `$1`, `$name`, `${name}`. Default: the whole tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extract: Option<String>,
}

/// Why `filterTags` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`extract` names the group `{group}`, and `{pattern}` has none of that name{hint}")]
pub struct FilterError {
    group: String,
    pattern: String,
    hint: String,
}

impl FilterTags {
    /// The pattern.
    #[must_use]
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// What of `tag` is compared; `None` when the pattern does not match. It may be empty.
    #[must_use]
    pub(crate) fn value<'t>(&self, tag: &'t str) -> Option<Cow<'t, str>> {
        match &self.extract {
            None => self.pattern.matches(tag).then_some(Cow::Borrowed(tag)),
            Some(template) => self.pattern.0.captures(tag.as_bytes()).map(|found| template.fill(tag, &found)),
        }
    }

    /// Whether only a part of each tag is compared.
    pub(crate) fn extracts(&self) -> bool {
        self.extract.is_some()
    }
}

impl TryFrom<FilterTagsFile> for FilterTags {
    type Error = FilterError;

    fn try_from(file: FilterTagsFile) -> Result<Self, FilterError> {
        // Flux takes an empty `extract` for none.
        let written = file.extract.filter(|extract| !extract.is_empty());
        let extract = written.map(|written| Template::new(&written, &file.pattern)).transpose()?;
        Ok(Self { pattern: file.pattern, extract })
    }
}

impl From<FilterTags> for FilterTagsFile {
    fn from(filter: FilterTags) -> Self {
        Self { pattern: filter.pattern, extract: filter.extract.map(|template| template.written) }
    }
}

/// A text with places for groups.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template {
    written: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

impl Template {
    fn new(written: &str, pattern: &Pattern) -> Result<Self, FilterError> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = written;
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                text.push('$');
                rest = after;
                continue;
            }
            // As in Go, a `$` that starts no name is itself.
            let Some((name, after)) = group_name(rest) else {
                text.push('$');
                continue;
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::Group(group_index(name, pattern)?));
            rest = after;
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self { written: written.to_owned(), parts })
    }

    fn fill<'t>(&self, tag: &'t str, found: &Captures<'_>) -> Cow<'t, str> {
        let group = |index: usize| found.get(index).and_then(|group| tag.get(group.range())).unwrap_or_default();
        match self.parts[..] {
            // The usual case, without a copy.
            [Part::Group(index)] => Cow::Borrowed(group(index)),
            _ => {
                let part = |part: &Part| match part {
                    Part::Text(text) => text.clone(),
                    Part::Group(index) => group(*index).to_owned(),
                };
                Cow::Owned(self.parts.iter().map(part).collect())
            }
        }
    }
}

/// The name after a `$`: in braces, or as many letters, digits and `_` as there are. Then what follows it.
fn group_name(rest: &str) -> Option<(&str, &str)> {
    let word = |text: &str| text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let (name, after) = match rest.strip_prefix('{') {
        Some(inner) => {
            let (name, after) = inner.split_once('}')?;
            (name, after).into()
        }
        None => rest.split_at_checked(word(rest)),
    }?;
    (!name.is_empty() && word(name) == name.len()).then_some((name, after))
}

fn group_index(name: &str, pattern: &Pattern) -> Result<usize, FilterError> {
    let regex = &pattern.0;
    let by_name = || regex.capture_names().position(|group| group == Some(name));
    let index = match name.parse::<usize>() {
        Ok(index) => Some(index).filter(|index| *index < regex.captures_len()),
        Err(_) => by_name(),
    };
    index.ok_or_else(|| {
        // `$1x` is the group `1x`, in Go as here.
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        let hint = match name.split_at_checked(digits) {
            Some((number, rest)) if !number.is_empty() && !rest.is_empty() => {
                format!("; did you mean `${{{number}}}{rest}`?")
            }
            _ => {
                let names: Vec<&str> = regex.capture_names().flatten().collect();
                let named = if names.is_empty() { String::new() } else { format!(", named: {}", names.join(", ")) };
                format!(" (it has {} groups{named})", regex.captures_len() - 1)
            }
        };
        FilterError { group: name.to_owned(), pattern: pattern.to_string(), hint }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(pattern: &str, extract: &str) -> Result<FilterTags, String> {
        let pattern = pattern.parse().map_err(|error: PatternError| error.to_string())?;
        let file = FilterTagsFile { pattern, extract: Some(extract.to_owned()) };
        file.try_into().map_err(|error: FilterError| error.to_string())
    }

    #[test]
    fn extract_follows_go() {
        for (pattern, extract, tag, value) in [
            ("^v(?P<v>.*)$", "$v", "v1.2.3", Some("1.2.3")),
            ("^v(?<v>.*)$", "${v}", "v1.2.3", Some("1.2.3")),
            ("^main-[a-f0-9]+-(?P<ts>[0-9]+)", "$ts", "main-0ab1-1700", Some("1700")),
            ("^([0-9]+)-([a-z]+)$", "$2.${1}x", "17-abc", Some("abc.17x")),
            ("^([0-9]+)", "$$1-$0", "17", Some("$1-17")),
            ("^([0-9]+)", "$-$1$", "17", Some("$-17$")),
            ("^([0-9]+)", "${1", "17", Some("${1")),
            ("rc", "", "1.0-rc.1", Some("1.0-rc.1")),
            ("^(a)|b", "$1", "b", Some("")),
            ("^x", "$0", "y", None),
        ] {
            let filter = filter(pattern, extract).unwrap();
            assert_eq!(filter.value(tag).as_deref(), value, "{pattern} {extract} {tag}");
        }
    }

    #[test]
    fn a_group_that_is_not_there_is_an_error_with_what_to_write() {
        assert_eq!(
            filter("^([0-9]+)", "$1x").unwrap_err(),
            "`extract` names the group `1x`, and `^([0-9]+)` has none of that name; did you mean `${1}x`?"
        );
        assert_eq!(
            filter("^(?P<ts>[0-9]+)", "$st").unwrap_err(),
            "`extract` names the group `st`, and `^(?P<ts>[0-9]+)` has none of that name (it has 1 groups, named: ts)"
        );
        assert!(filter("^x", "$1").is_err());
    }

    #[test]
    fn what_is_no_regular_expression_says_why() {
        let why = |pattern: &str| pattern.parse::<Pattern>().unwrap_err().to_string();
        assert_eq!(why("("), "`(` is not a regular expression: unclosed group");
        assert!(why("a(?=b)").contains("look-around"), "{}", why("a(?=b)"));
        assert!(why("(a{1000}){1000}").contains("too much memory"), "{}", why("(a{1000}){1000}"));
        assert!(why(&format!("{}a{}", "(".repeat(1000), ")".repeat(1000))).contains("nest"));
    }

    #[test]
    fn globs_match_all_of_a_tag() {
        for (glob, tag, expect) in [
            ("*-rc*", "1.0-rc.1", true),
            ("*-rc*", "1.0", false),
            ("1.?", "1.2", true),
            ("1.?", "1.22", false),
            ("v[0-9].[^a-z]", "v1.2", true),
            ("v[0-9].[^a-z]", "v1.b", false),
            ("a.b", "axb", false),
            ("\\*", "a", false),
            ("latest", "latest-1", false),
            ("{a,b}", "a", false),
        ] {
            assert_eq!(Pattern::from_glob(glob).unwrap().matches(tag), expect, "{glob} {tag}");
        }
        assert!(Pattern::from_glob("a[").is_err() && Pattern::from_glob("[]a").is_err());
    }
}
