//! Files that a template engine turns into YAML: Helm's and Jinja's.
//!
//! Their actions (`{{ … }}`, `{% … %}`, `{# … #}`) are masked, byte for byte, so that what remains can be read as YAML
//! and every scalar keeps its place. A line of actions alone becomes a comment, which may be indented as
//! it likes, also before the first line of a block; an action within a line becomes a run of a
//! character that no image, tag or digest can have, so nothing that an action writes is ever taken for a value.

/// Stands for each byte of an action within a line. Plain scalars may begin with it; image names cannot contain it.
pub(crate) const MASK: char = '^';
const MASK_BYTE: u8 = b'^';

/// Whether a text contains an action.
pub(crate) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|open| memchr::memmem::find(text.as_bytes(), open.as_bytes()).is_some())
}

/// The text with its actions masked, of the same length; nothing when an action does not end.
pub(crate) fn mask(text: &str) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while let Some(found) = bytes.get(at..)?.windows(2).position(|pair| close_of(pair).is_some()) {
        let start = at + found;
        let close = close_of(bytes.get(start..start + 2)?)?;
        let length = memchr::memmem::find(bytes.get(start + 2..)?, close)?;
        at = start + 2 + length + 2;
        for byte in bytes.get_mut(start..at)?.iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
            *byte = MASK_BYTE;
        }
    }
    let mut begin = 0;
    while begin < bytes.len() {
        let end = memchr::memchr(b'\n', bytes.get(begin..)?).map_or(bytes.len(), |length| begin + length + 1);
        let line = bytes.get_mut(begin..end)?;
        let is_action =
            line.contains(&MASK_BYTE) && line.iter().all(|byte| *byte == MASK_BYTE || byte.is_ascii_whitespace());
        if is_action {
            line.iter_mut().filter(|byte| **byte == MASK_BYTE).for_each(|byte| *byte = b'#');
        }
        begin = end;
    }
    // Masks cover whole actions, which begin and end with ASCII.
    String::from_utf8(bytes).ok()
}

fn close_of(open: &[u8]) -> Option<&'static [u8]> {
    match open {
        b"{{" => Some(b"}}"),
        b"{%" => Some(b"%}"),
        b"{#" => Some(b"#}"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_alone_on_a_line_are_comments_and_others_are_masked() {
        let text = "{{- if .x }}\nname: {{ .n }}-ä\nimage: web:1\n{{/* two\nlines */}}\n{{- end }}\n";
        let masked = mask(text).unwrap();
        assert_eq!(masked, "############\nname: ^^^^^^^^-ä\nimage: web:1\n########\n##########\n##########\n");
        assert_eq!(masked.len(), text.len());
        assert_eq!(mask("a: {{ never ends"), None);
        assert!(!is_template("a: {b: {c: d}}") || mask("a: {b: {c: d}}").is_some());
    }
}
