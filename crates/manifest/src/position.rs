//! Lines and columns of bytes.

/// A place as people count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
}

/// Where a byte stands.
pub(crate) fn of(text: &str, byte: usize) -> Position {
    let before = text.get(..byte).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
    Position {
        line,
        column: before.get(start..).unwrap_or_default().trim_start_matches('\u{feff}').chars().count() + 1,
    }
}
