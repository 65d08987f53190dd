//! Texts of strangers, fit to be shown to people.
//!
//! Does not escape for HTML or terminals: whoever prints into one does.

/// In characters.
const LONGEST: usize = 200;

/// A text that somebody else chose, cut after 200 characters. Control characters and those that turn the direction of
/// writing (Unicode's `Bidi_Control`) become spaces: with them a text can pass itself off as another.
#[must_use]
pub fn shown(text: &str) -> String {
    let clean = |c: char| if c.is_control() || is_bidirectional(c) { ' ' } else { c };
    let mut short: String = text.chars().take(LONGEST).map(clean).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

/// Whether a character turns the direction of writing (Unicode's `Bidi_Control`).
#[must_use]
pub fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_cut_and_cleaned() {
        assert_eq!(shown("a\nb\u{1b}[31m"), "a b [31m");
        assert_eq!(shown("1.5.0\u{202e}0.6.1\u{2069}\u{200f}"), "1.5.0 0.6.1  ");
        assert_eq!(shown(&"ä".repeat(200)), "ä".repeat(200));
        assert_eq!(shown(&"ä".repeat(500)), format!("{}…", "ä".repeat(200)));
    }
}
