//! Comments that keep Tagboat away: `tagboat: ignore` for a line, `tagboat: ignore-file` for a file.
//!
//! They work in every format that has comments (`#`, `//`, `--`, `;`, `/*`, `<!--`). A comment on a line of its own speaks
//! for the next line, because some formats have no others.

use std::collections::BTreeSet;

use memchr::memmem;

const WORD: &str = "tagboat: ignore";

/// What the comments of a file take out.
#[derive(Debug, Default)]
pub(crate) struct Ignored {
    pub(crate) whole_file: bool,
    /// From 1.
    pub(crate) lines: BTreeSet<usize>,
}

impl Ignored {
    pub(crate) fn of(text: &str) -> Self {
        let mut ignored = Self::default();
        if memmem::find(text.as_bytes(), WORD.as_bytes()).is_none() {
            return ignored;
        }
        for (index, line) in text.lines().enumerate() {
            let Some((before, after)) = line.split_once(WORD) else { continue };
            let Some(code) = before_comment(before) else { continue };
            if after.starts_with("-file") {
                ignored.whole_file = true;
            } else if after.chars().next().is_none_or(|next| !next.is_alphanumeric() && next != '-') {
                ignored.lines.insert(index + 1);
                if code.trim().is_empty() {
                    ignored.lines.insert(index + 2);
                }
            }
        }
        ignored
    }
}

/// What stands before the comment that ends here, if one does.
fn before_comment(text: &str) -> Option<&str> {
    let text = text.trim_end();
    ["#", "//", "--", ";", "/*", "<!--", "{{/*", "{{- /*"]
        .iter()
        .rev()
        .find_map(|open| text.strip_suffix(open))
        .map(|code| code.trim_end_matches('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_speaks_for_its_line_or_the_next() {
        let text = "a: 1 # tagboat: ignore\nb: 2\n# tagboat: ignore because it is vendored\nc: 3\n// tagboat: ignore\nd\ne: tagboat: ignore\nf # tagboat: ignored\n";
        assert_eq!(Ignored::of(text).lines, BTreeSet::from([1, 3, 4, 5, 6]));
        assert!(!Ignored::of(text).whole_file && Ignored::of("x\n## tagboat: ignore-file\n").whole_file);
    }
}
