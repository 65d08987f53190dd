//! Lines and columns of bytes.

/// In longer lines, which no person wrote, columns are counted in bytes.
const LONGEST_COUNTED: usize = 4096;

/// A place as people count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
}

/// Where the lines of a text begin, so that many places in it can be told.
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let newlines = memchr::memchr_iter(b'\n', text.as_bytes()).map(|newline| newline + 1);
        Self { text, starts: std::iter::once(0).chain(newlines).collect() }
    }

    pub(crate) fn position(&self, byte: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied().unwrap_or_default();
        Position { line, column: column(self.text.get(start..byte).unwrap_or_default()) }
    }
}

/// A place behind another one that is known.
pub(crate) fn after(known: Position, between: &str) -> Position {
    match between.rfind('\n') {
        None => Position { line: known.line, column: known.column + characters(between) },
        Some(newline) => {
            let lines = memchr::memchr_iter(b'\n', between.as_bytes()).count();
            Position { line: known.line + lines, column: column(between.get(newline + 1..).unwrap_or_default()) }
        }
    }
}

fn column(before: &str) -> usize {
    characters(before.trim_start_matches('\u{feff}')) + 1
}

fn characters(text: &str) -> usize {
    if text.len() > LONGEST_COUNTED { text.len() } else { text.chars().count() }
}
