//! The text of a message becomes its lines: nothing in them deceives people, git, or whoever reads the trailers.
//!
//! Does not judge what is said, and does not know templates. Lines that start with `#` stay: messages do not go through
//! the clean-up of `git commit`.

use tagboat_model::is_bidirectional;

/// In characters: lists of commits show one line of it.
const LONGEST_SUBJECT: usize = 200;
/// Git ends a message here, in an editor and where trailers are read.
const SCISSORS: &str = "------------------------ >8 ------------------------";
/// What follows `Tagboat-` in the trailers that there are, in lower case.
const OURS: [&str; 3] = ["image", "environment", "decision"];

/// The lines of a text. None is left of one that says nothing; else the first is the subject, and the second is empty.
pub(super) fn lines(text: &str) -> Vec<String> {
    let text: String = text.chars().filter_map(kept).collect();
    let mut lines: Vec<String> = Vec::new();
    for line in text.split('\n').map(str::trim_end).filter(|line| !is_ours(line) && !line.contains(SCISSORS)) {
        if !line.chars().all(is_invisible) {
            lines.push(line.to_owned());
        } else if lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(String::new());
        }
    }
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    set_subject_apart(&mut lines);
    for line in lines.iter_mut().filter(|line| is_divider(line)) {
        line.insert(0, ' ');
    }
    lines
}

fn kept(c: char) -> Option<char> {
    match c {
        // Not all programs take the other two for an end of the line, but some do.
        '\n' | '\u{2028}' | '\u{2029}' => Some('\n'),
        '\t' => Some(' '),
        c if c.is_control() || is_bidirectional(c) => None,
        c => Some(c),
    }
}

/// Git takes the whole first paragraph for the subject, and none of its lines for a trailer.
fn set_subject_apart(lines: &mut Vec<String>) {
    let Some(subject) = lines.first_mut() else { return };
    *subject = subject.trim_start().to_owned();
    if let Some((end, _)) = subject.char_indices().nth(LONGEST_SUBJECT) {
        subject.truncate(end);
        subject.push('…');
    }
    if lines.get(1).is_some_and(|second| !second.is_empty()) {
        lines.insert(1, String::new());
    }
}

/// Behind such a line git expects a patch, and looks for no trailers.
fn is_divider(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// The last paragraph, where it consists of trailers and is not the subject; else nothing.
pub(super) fn trailers(lines: &[String]) -> &[String] {
    let Some(blank) = lines.iter().rposition(String::is_empty) else { return &[] };
    let paragraph = lines.get(blank + 1..).unwrap_or_default();
    // A line that starts with a space continues the one before it.
    let continues = |line: &String| line.starts_with(' ') || is_trailer(line);
    let begins = paragraph.first().is_some_and(|line| is_trailer(line));
    if begins && paragraph.iter().all(continues) { paragraph } else { &[] }
}

fn is_trailer(line: &str) -> bool {
    let Some((token, value)) = line.split_once(':') else { return false };
    let token = token.trim_end_matches(' ');
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && value.starts_with(' ')
}

/// Whether a line passes for one of our trailers, to a program or to the eye.
fn is_ours(line: &str) -> bool {
    let bare: String = line.chars().filter_map(bare).collect();
    let named = bare.strip_prefix("tagboat-").and_then(|rest| rest.split_once(':'));
    let Some((token, _)) = named else { return false };
    // The name of an image may start with a host that is named so, and its port.
    let port = line.split_once(':').and_then(|(_, rest)| rest.split_once('/')).map(|(port, _)| port);
    let is_host = port.is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    token.chars().all(|c| c.is_alphanumeric() || c == '-') && (OURS.contains(&token) || !is_host)
}

/// A character as it looks: without width, case and spaces, and one dash and one colon for all.
fn bare(c: char) -> Option<char> {
    let c = match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    match c {
        c if is_invisible(c) => None,
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => Some('-'),
        '\u{2d0}' | '\u{2f8}' | '\u{589}' | '\u{5c3}' | '\u{2236}' | '\u{a789}' | '\u{fe13}' | '\u{fe55}' => Some(':'),
        c => Some(c.to_ascii_lowercase()),
    }
}

/// Spaces of all kinds, and characters that show nothing.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        )
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_reader_expects_is_left_of_a_text() {
        let cases = [
            ("", ""),
            (" \n\t\n\u{200b}\n", ""),
            ("\n\n  subject  \n\n\n\nbody\t\n\n", "subject\n\nbody"),
            ("subject\nbody\n", "subject\n\nbody"),
            ("a\r\n\nb\u{0}\u{1b}[31m\u{202e}c\n", "a\n\nb[31mc"),
            ("a\n\n# kept\n---\n--- x\n----\n---x", "a\n\n# kept\n ---\n --- x\n----\n---x"),
            ("---\n\nb", " ---\n\nb"),
            ("a\n\nb\u{2028}c\n# ------------------------ >8 ------------------------\nd", "a\n\nb\nc\nd"),
        ];
        for (text, expected) in cases {
            assert_eq!(lines(text).join("\n"), expected, "{text:?}");
        }
        let long = lines(&format!("{}\n\nb", "ä".repeat(201)));
        assert_eq!((long[0].as_str(), long.len()), (format!("{}…", "ä".repeat(200)).as_str(), 3));
    }

    #[test]
    fn look_alikes_of_our_trailers_are_left_out() {
        for line in [
            "Tagboat-Decision: d-ffffffffffffffff",
            "tagboat-DECISION:x",
            "Tagboat-Decision :x",
            "  Tagboat-Anything: x",
            "\u{a0}\u{3000}\u{feff}Tagboat-Image: x",
            "Tagboat-Decision\u{ff1a} x",
            "\u{ff34}\u{ff41}gboat\u{ff0d}Image: x",
            "Tag\u{200b}boat\u{2010}Image\u{2236} x",
            "Tag\rboat-Image: x",
            "Tagboat-D\u{435}cision: x",
            "Tagboat-Decision:5000/x",
        ] {
            assert_eq!(lines(&format!("a\n\nb\n{line}\nc")).join("\n"), "a\n\nb\nc", "{line:?}");
            assert_eq!(lines(&format!("a\u{2028}{line}")), ["a"], "{line:?}");
        }
        for line in ["Tagboat writes: x", "By Tagboat-Image: x", "tagboat-registry:5000/acme/web: 1 -> 2", "Tagboat-x"]
        {
            assert_eq!(lines(&format!("a\n\n{line}")), ["a", "", line]);
        }
    }

    #[test]
    fn a_paragraph_of_trailers_is_recognised() {
        for text in ["a\n\nReviewed-by: x", "a\nReviewed-by: x", "a\n\nb\n\nRefs: #1\nReviewed-by : x\n  <a@b>"] {
            assert!(!trailers(&lines(text)).is_empty(), "{text}");
        }
        for text in
            ["", "a", "fix: a", "a\n\nRefs: 1\nprose", "a\n\nhttps://x/1", "a\n\nRefs:", "a\n\n x: y", "a\n\nb c: d"]
        {
            assert!(trailers(&lines(text)).is_empty(), "{text}");
        }
    }
}
