//! From a scalar of a document to its bytes in the file.

use std::ops::Range;

use tagboat_model::{Scalar, ScalarStyle};

use crate::yaml::Node;

/// The bytes of a part of a scalar's text, or why they cannot be told.
pub(crate) fn bytes(node: &Node<'_>, source: &str, range: Range<usize>) -> Result<Scalar, String> {
    let scalar = node.scalar().ok_or("it is no scalar")?;
    let text = scalar.text.as_ref();
    let value = text.get(range.clone()).ok_or("it is no text")?;
    let whole = range.start == 0 && range.end == text.len();
    let style = scalar.scalar_style();
    if whole && style != ScalarStyle::Text {
        let mut span = node.span.clone();
        if let Some(start) = scalar.typed_from {
            if node.anchor != 0 {
                return Err("it has a YAML tag and an anchor; remove the tag (`!!…`)".to_owned());
            }
            span.start = start;
        }
        return Ok(Scalar { span, style, value: value.to_owned() });
    }
    let raw = source.get(node.span.clone()).unwrap_or_default();
    let mut found = raw.match_indices(value);
    match (found.next(), found.next(), scalar.typed_from) {
        (Some((at, _)), None, None) => {
            let start = node.span.start + at;
            Ok(Scalar { span: start..start + value.len(), style: ScalarStyle::Text, value: value.to_owned() })
        }
        _ => Err("its bytes cannot be told for certain; write it on one line without escapes".to_owned()),
    }
}
