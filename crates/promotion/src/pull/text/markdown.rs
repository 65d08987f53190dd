//! Texts of strangers in Markdown, as GitHub, GitLab, Gitea and Forgejo read it: they are shown and do nothing.
//!
//! A character with a meaning is written as an entity. That is not enough for `@name`, `#12`, `!4`, addresses and the
//! like: forges look for those after entities are resolved. So a space without width follows their first character.

use std::fmt::Write as _;

use tagboat_model::is_bidirectional;

/// In characters.
const LONGEST_TEXT: usize = 200;
/// Sentences of ours hold several texts of others.
const LONGEST_SENTENCE: usize = 700;
/// In bytes.
const LONGEST_ADDRESS: usize = 1000;

/// A text that somebody else chose, within a line of Markdown or a cell of a table.
pub(crate) fn text(foreign: &str) -> String {
    escaped(&one_line(foreign, LONGEST_TEXT))
}

/// A sentence of ours that may hold texts of others. What it puts between backticks is shown as code.
pub(crate) fn sentence(foreign: &str) -> String {
    sentences(foreign, LONGEST_SENTENCE)
}

/// As [`sentence`], for more than one, and of up to so many characters.
pub(crate) fn sentences(foreign: &str, longest: usize) -> String {
    let line = one_line(foreign, longest);
    let parts: Vec<&str> = line.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escaped(&line);
    }
    let part = |(place, part): (usize, &&str)| match (place % 2, part.trim().is_empty()) {
        (0, _) => escaped(part),
        (_, true) => escaped(&format!("`{part}`")),
        (_, false) => code_of(part.trim()),
    };
    parts.iter().enumerate().map(part).collect()
}

/// A text that somebody else chose, as code.
pub(crate) fn code(foreign: &str) -> String {
    let line = one_line(foreign, LONGEST_TEXT);
    if line.is_empty() { String::new() } else { code_of(&line) }
}

/// Backticks where nothing in the text can end them, or the cell of a table, or a comment of ours; else HTML.
fn code_of(line: &str) -> String {
    if line.contains(['`', '<', '>', '|', '&', '\\']) {
        return format!("<code>{}</code>", escaped(line));
    }
    format!("`{line}`")
}

/// A text in a title, which is no Markdown, but may end up in the message of a commit.
pub(crate) fn plain(foreign: &str) -> String {
    split(&one_line(foreign, LONGEST_TEXT))
}

/// The same of a sentence of ours that may hold texts of others.
pub(crate) fn plain_sentence(foreign: &str) -> String {
    split(&one_line(foreign, LONGEST_SENTENCE))
}

fn split(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    let mut before = Before::default();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        safe.push(c);
        if is_split(c, rest.peek().copied(), &before) {
            safe.push('\u{200b}');
        }
        before.push(c);
    }
    safe
}

/// A link, if the address is one to be linked; else the words alone. The words have to be safe already.
pub(crate) fn link(words: &str, address: &str) -> String {
    safe_address(address).map_or_else(|| words.to_owned(), |address| format!("[{words}]({address})"))
}

/// An address as it can stand in a link. Nothing that is not `http` or `https`, or that looks as if it led elsewhere.
pub(crate) fn safe_address(address: &str) -> Option<String> {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'_');
    if host.is_empty() || !host.bytes().all(is_host) || address.len() > LONGEST_ADDRESS {
        return None;
    }
    if address.chars().any(|c| c.is_control() || is_bidirectional(c)) {
        return None;
    }
    Some(encoded(address, b"-._~:/?#!$'*+,;=%&@"))
}

/// A path within a repository, as it stands in an address.
pub(crate) fn path(file: &str) -> String {
    encoded(file, b"-._~/")
}

fn encoded(text: &str, kept: &[u8]) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            safe.push(char::from(byte));
        } else {
            let _ = write!(safe, "%{byte:02X}");
        }
    }
    safe
}

/// One line without control characters and those that turn the direction of writing, cut after `longest` characters.
pub(crate) fn one_line(text: &str, longest: usize) -> String {
    let is_space = |c: char| c.is_whitespace() || c.is_control() || is_bidirectional(c);
    let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default().trim_end()),
        None => line,
    }
}

/// Markdown of a user's template: without control characters, and without what passes for a mark of ours.
pub(crate) fn paragraphs(text: &str) -> String {
    let kept = |c: &char| *c == '\n' || *c == '\t' || !(c.is_control() || is_bidirectional(*c));
    let text: String = text.chars().filter(kept).collect();
    text.replace("tagboat:", "tagboat&#58;").trim().to_owned()
}

/// The last three characters, in lower case.
#[derive(Default)]
struct Before([Option<char>; 3]);

impl Before {
    fn push(&mut self, c: char) {
        let [_, second, third] = self.0;
        self.0 = [second, third, Some(c.to_ascii_lowercase())];
    }

    fn is_nothing(&self) -> bool {
        self.0 == [None; 3]
    }

    fn is_in_word(&self) -> bool {
        self.0[2].is_some_and(char::is_alphanumeric)
    }
}

/// Whether a character and what follows make a mention, a reference, an address or an emoji.
fn is_split(c: char, next: Option<char>, before: &Before) -> bool {
    let follows = |fits: fn(char) -> bool| next.is_some_and(fits);
    match c {
        '@' => true,
        '#' | '!' | '$' | '%' | '~' => follows(|next| next.is_ascii_alphanumeric() || next == '"' || next == '_'),
        '&' => follows(|next| next.is_ascii_digit()),
        ':' => follows(|next| next == '/'),
        '.' => before.0 == [Some('w'); 3],
        // `GH-12` is `#12`.
        '-' => matches!(before.0, [_, Some('g'), Some('h')]) && follows(|next| next.is_ascii_digit()),
        _ => false,
    }
}

/// Whether a character has to be written as an entity.
fn is_special(c: char, next: Option<char>, before: &Before) -> bool {
    match c {
        '&' | '<' | '>' | '@' | '#' | '|' | '`' | '*' | '[' | ']' | '\\' | '~' | '$' => true,
        '_' => !(before.is_in_word() && next.is_some_and(char::is_alphanumeric)),
        ':' => next.is_some_and(|next| !next.is_ascii_digit() && next != ' '),
        // Lists, headings, and at GitLab commands.
        '-' | '+' | '=' | '/' => before.is_nothing(),
        _ => false,
    }
}

fn escaped(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    let mut before = Before::default();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        let splits = is_split(c, next, &before);
        if splits || is_special(c, next, &before) {
            let _ = write!(safe, "&#{};", u32::from(c));
        } else {
            safe.push(c);
        }
        if splits {
            safe.push_str("&#8203;");
        }
        before.push(c);
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_forges_would_act_on_is_text() {
        for (foreign, safe) in [
            ("plain text 1.5.0", "plain text 1.5.0"),
            ("web_api", "web_api"),
            ("_x_", "&#95;x&#95;"),
            ("@acme/all", "&#64;&#8203;acme/all"),
            ("fixes #12", "fixes &#35;&#8203;12"),
            ("Closes !4", "Closes &#33;&#8203;4"),
            ("closes GH-7", "closes GH&#45;&#8203;7"),
            ("http://x.y", "http&#58;&#8203;//x.y"),
            ("www.x.y", "www&#46;&#8203;x.y"),
            ("a|b\n<!-- c", "a&#124;b &#60;!-- c"),
            ("/merge", "&#47;merge"),
            ("at 09:00:00Z: ok", "at 09:00:00Z: ok"),
            (":tada:", "&#58;tada:"),
            ("\u{202e}[a](b)", "&#91;a&#93;(b)"),
            ("a & b &12", "a &#38; b &#38;&#8203;12"),
        ] {
            assert_eq!(text(foreign), safe, "{foreign}");
        }
        assert_eq!(text(&"ä".repeat(300)), format!("{}…", "ä".repeat(200)));
    }

    #[test]
    fn code_ends_where_we_end_it() {
        for (foreign, safe) in [
            ("1.4.0@sha256:00", "`1.4.0@sha256:00`"),
            (" a\nb ", "`a b`"),
            ("", ""),
            ("a`b", "<code>a&#96;b</code>"),
            ("a|b", "<code>a&#124;b</code>"),
            ("<!-- x -->", "<code>&#60;!-- x --&#62;</code>"),
        ] {
            assert_eq!(code(foreign), safe, "{foreign}");
        }
        assert_eq!(sentence("policy semver `^1.4` says @a"), "policy semver `^1.4` says &#64;&#8203;a");
        assert_eq!(sentence("an `odd @a"), "an &#96;odd &#64;&#8203;a");
        assert_eq!(sentence("empty `` here"), "empty &#96;&#96; here");
    }

    #[test]
    fn only_addresses_of_the_web_are_linked() {
        assert_eq!(link("a", "https://x.y/a(b) c|d"), "[a](https://x.y/a%28b%29%20c%7Cd)");
        for bad in
            ["javascript:alert(1)", "https://", "https://github.com@evil.example/", "ftp://x", "https://a\nb", "x"]
        {
            assert_eq!(link("a", bad), "a", "{bad}");
        }
        assert_eq!(path("a b/ü#.yaml"), "a%20b/%C3%BC%23.yaml");
    }

    #[test]
    fn titles_mention_nobody() {
        assert_eq!(plain("fixes #12 by @a"), "fixes #\u{200b}12 by @\u{200b}a");
        assert_eq!(plain("web 1.5.0"), "web 1.5.0");
    }

    /// What is left when entities are taken out.
    fn without_entities(text: &str) -> String {
        let mut rest = text;
        let mut left = String::new();
        while let Some((front, entity)) = rest.split_once("&#") {
            left.push_str(front);
            let (number, after) = entity.split_once(';').unwrap();
            assert!(number.parse::<u32>().is_ok(), "{text}");
            left.push(' ');
            rest = after;
        }
        left.push_str(rest);
        left
    }

    const PIECES: [&str; 20] = [
        "@", "#", "1", "a", "<", ">", "|", "\n", "`", "``", "&", "&#64;", "http://", "www.", "!4", "GH-1", "\\",
        "[x](y)", "\u{202e}", " ",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn nothing_of_a_stranger_has_a_meaning(
            wild in any::<String>(),
            pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..20),
        ) {
            for foreign in [wild, pieces.concat()] {
                let safe = text(&foreign);
                prop_assert!(!safe.contains("&#64;") || safe.contains("&#64;&#8203;"), "{}", safe);
                let left = without_entities(&safe);
                let meaning = ['@', '#', '<', '>', '|', '\n', '\r', '`', '\\', '[', ']', '&', '*'];
                prop_assert!(!left.contains(meaning), "{:?} became {:?}", foreign, safe);
                prop_assert!(!left.contains("://") && !left.to_lowercase().contains("www."), "{:?}", safe);
                prop_assert!(safe.chars().count() <= 201 * 13);
                let sentence = sentence(&foreign);
                prop_assert!(!sentence.contains(['\n', '|']), "{:?}", sentence);
                prop_assert!(!sentence.replace("<code>", "").replace("</code>", "").contains('<'), "{:?}", sentence);
                prop_assert!(!code(&foreign).contains(['\n', '|']));
            }
        }
    }
}
