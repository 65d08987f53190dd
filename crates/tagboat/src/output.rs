//! Everything that users read on the terminal, apart from the log. Colours appear only where they are shown.

use anstyle::{AnsiColor, Color, Style};
use similar::{ChangeTag, TextDiff};

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GREEN: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green)));
pub(crate) const RED: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Red)));
pub(crate) const YELLOW: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));
pub(crate) const CYAN: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Cyan)));

/// One line.
pub(crate) fn line(text: impl AsRef<str>) {
    anstream::println!("{}", text.as_ref());
}

/// A text in a style.
pub(crate) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// What is under way, to standard error.
pub(crate) fn progress(text: impl AsRef<str>) {
    anstream::eprintln!("{}", text.as_ref());
}

/// What went wrong, to standard error.
pub(crate) fn error(message: &str) {
    anstream::eprintln!("{}: {message}", styled(RED.bold(), "error"));
}

/// The lines of a file that change, with one line around them, the changed words emphasised.
pub(crate) fn diff(path: &str, before: &str, after: &str) -> Vec<String> {
    let mut lines = vec![styled(BOLD, path)];
    let diff = TextDiff::from_lines(before, after);
    for group in diff.grouped_ops(1) {
        for change in group.iter().flat_map(|op| diff.iter_inline_changes(op)) {
            let (sign, style) = match change.tag() {
                ChangeTag::Delete => ("-", RED),
                ChangeTag::Insert => ("+", GREEN),
                ChangeTag::Equal => (" ", DIM),
            };
            let number = change.new_index().or(change.old_index()).map_or(0, |index| index + 1);
            let mut text = String::new();
            for (emphasised, part) in change.iter_strings_lossy() {
                let part = part.trim_end_matches(['\n', '\r']);
                let style = if emphasised { style.bold().underline() } else { style };
                if !part.is_empty() {
                    text.push_str(&styled(style, part));
                }
            }
            lines.push(format!("{} {}{text}", styled(DIM, format!("{number:>4}")), styled(style, format!("{sign} "))));
        }
    }
    lines
}

/// A unified diff of one file, in colours, without the last line end. Empty when nothing differs.
pub(crate) fn unified_diff(path: &str, before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let text = diff.unified_diff().header(&format!("a/{path}"), &format!("b/{path}")).to_string();
    let colour = |line: &str| match line.as_bytes().first() {
        _ if line.starts_with("---") || line.starts_with("+++") => styled(BOLD, line),
        Some(b'-') => styled(RED, line),
        Some(b'+') => styled(GREEN, line),
        Some(b'@') => styled(CYAN, line),
        _ => line.to_owned(),
    };
    text.split('\n')
        .map(|line| if line.is_empty() { String::new() } else { colour(line) })
        .collect::<Vec<_>>()
        .join("\n")
        .trim_end_matches('\n')
        .to_owned()
}

/// `0123456789` of an id.
pub(crate) fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_only_what_changes() {
        let lines = diff("a.yaml", "a: 1\nb: 2\nimage: web:1\nc: 3\nd: 4\n", "a: 1\nb: 2\nimage: web:2\nc: 3\nd: 4\n");
        let text: Vec<String> = lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert_eq!(text, ["a.yaml", "   2   b: 2", "   3 - image: web:1", "   3 + image: web:2", "   4   c: 3"]);
    }
}
