//! Text with variables (`$NAME`, `${NAME}`, `${NAME:-default}`) of which every character keeps the place it comes from, so
//! that a version is edited where it is written.

use tagboat_model::{Parts, Scalar, ScalarStyle, WrittenImage};

/// Variables that name one another go this deep.
const DEEPEST: usize = 8;
/// No image, its tag and digest included, is longer; variables that double one another would be.
const LONGEST_IMAGE: usize = 1024;

/// Characters with the bytes they come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text {
    characters: Vec<(char, usize)>,
}

impl Text {
    pub(crate) fn push_line(&mut self, line: &str, from: usize) {
        self.characters.extend(line.char_indices().map(|(at, character)| (character, from + at)));
    }

    pub(crate) fn value(&self) -> String {
        self.characters.iter().map(|(character, _)| character).collect()
    }

    pub(crate) fn part(&self, from: usize, to: usize) -> Self {
        Self { characters: self.characters.get(from..to).unwrap_or_default().to_vec() }
    }

    pub(crate) fn words(&self) -> Vec<Self> {
        let words = self.characters.split(|(character, _)| character.is_whitespace());
        words.filter(|word| !word.is_empty()).map(|word| Self { characters: word.to_vec() }).collect()
    }

    /// Without the quotes around it.
    pub(crate) fn unquoted(self) -> Self {
        match self.characters.as_slice() {
            [('"', _), inner @ .., ('"', _)] | [('\'', _), inner @ .., ('\'', _)] => {
                Self { characters: inner.to_vec() }
            }
            _ => self,
        }
    }

    /// The scalar, when its characters stand one behind the other in the file.
    fn scalar(&self) -> Option<Scalar> {
        let (first, last) = (self.characters.first()?, self.characters.last()?);
        let follows = |pair: &[(char, usize)]| matches!(pair, [(one, at), (_, next)] if at + one.len_utf8() == *next);
        let span = first.1..last.1 + last.0.len_utf8();
        self.characters.windows(2).all(follows).then(|| Scalar { span, style: ScalarStyle::Text, value: self.value() })
    }

    pub(crate) fn len(&self) -> usize {
        self.characters.len()
    }

    /// From its first byte to behind its last.
    pub(crate) fn bytes(&self) -> Option<std::ops::Range<usize>> {
        let (last, at) = self.characters.last()?;
        Some(self.start()?..at + last.len_utf8())
    }

    /// The byte of its first character.
    pub(crate) fn start(&self) -> Option<usize> {
        self.characters.first().map(|(_, at)| *at)
    }

    /// The text with variables replaced by what `lookup` knows of them, or their defaults. What has neither stays as it
    /// is written.
    pub(crate) fn expand(&self, lookup: &impl Fn(&str) -> Option<Self>) -> Self {
        self.expand_within(lookup, DEEPEST)
    }

    fn expand_within(&self, lookup: &impl Fn(&str) -> Option<Self>, deepest: usize) -> Self {
        let mut expanded = Self::default();
        let mut at = 0;
        while let Some((character, _)) = self.characters.get(at) {
            let variable = (*character == '$' && deepest > 0).then(|| variable(self, at)).flatten();
            let replacement = variable.and_then(|Variable { name, default, end }| {
                let value = lookup(&name).or(default)?;
                Some((value.expand_within(lookup, deepest - 1), end))
            });
            match replacement {
                Some((value, _)) if expanded.len() + value.len() > LONGEST_IMAGE => return self.clone(),
                Some((value, end)) => {
                    expanded.characters.extend(value.characters);
                    at = end;
                }
                None => {
                    expanded.characters.extend(self.characters.get(at));
                    at += 1;
                }
            }
        }
        expanded
    }

    /// Where the version stands, if that is in one piece.
    pub(crate) fn parts(&self, image: &WrittenImage) -> Option<Parts> {
        if let Some(scalar) = self.scalar() {
            return Some(Parts::Whole(scalar));
        }
        // Image names, tags and digests are ASCII: characters are bytes.
        let end = self.len();
        let digest_at = image.digest.as_ref().map_or(end, |digest| end - digest.as_str().len());
        let digest = image.digest.as_ref().map(|_| self.part(digest_at, end));
        let tag_end = if digest.is_some() { digest_at - 1 } else { end };
        let tag = image.tag.as_ref().map(|tag| self.part(tag_end - tag.as_str().len(), tag_end));
        let scalar = |part: Option<Text>| part.map(|text| text.scalar().ok_or(())).transpose().ok();
        if let (Some(tag), Some(_)) = (&tag, &digest)
            && let Some(scalar) = self.part(tag_end - tag.characters.len(), end).scalar()
        {
            return Some(Parts::Joined(scalar));
        }
        Some(Parts::Split { tag: scalar(tag)?, digest: scalar(digest)? })
    }
}

struct Variable {
    name: String,
    /// As in `${NAME:-default}`.
    default: Option<Text>,
    /// The first character after it.
    end: usize,
}

/// The variable that begins at a `$`.
fn variable(text: &Text, at: usize) -> Option<Variable> {
    let character = |index: usize| text.characters.get(index).map(|(character, _)| *character);
    let word = |index: &usize| character(*index).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let braced = character(at + 1)? == '{';
    let start = if braced { at + 2 } else { at + 1 };
    let stop = (start..text.characters.len()).find(|index| !word(index)).unwrap_or(text.characters.len());
    let name = text.part(start, stop).value();
    if !braced {
        return (!name.is_empty()).then_some(Variable { name, default: None, end: stop });
    }
    let close = (stop..text.characters.len()).find(|index| character(*index) == Some('}'))?;
    let between = text.part(stop, close).value();
    let default = match between.as_str() {
        "" => None,
        _ if between.starts_with(":-") => Some(text.part(stop + 2, close)),
        _ if between.starts_with('-') => Some(text.part(stop + 1, close)),
        // Substitutions of other kinds change the value.
        _ => return None,
    };
    Some(Variable { name, default, end: close + 1 })
}
