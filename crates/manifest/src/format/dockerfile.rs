//! Dockerfiles: the images of `FROM`, `COPY --from`, `RUN --mount=…,from=` and `# syntax=`, with the defaults of `ARG`s
//! put in.
//!
//! Every character keeps the place it comes from, also through an `ARG`, so that the tag is edited where it is written.
//! Rules: the Dockerfile reference of Docker (instructions, escape directive, here-documents, `ARG` before `FROM`).

use std::collections::{HashMap, HashSet};

use tagboat_model::{Format, Parts, Reference, Scalar, ScalarStyle, Uneditable, WrittenImage};

use super::file_name;
use crate::{
    collector::{Finding, Findings},
    names, position,
};

/// ARGs that name one another go this deep.
const DEEPEST: usize = 8;

/// Whether a file of this name is a Dockerfile.
pub(crate) fn is_dockerfile(path: &str) -> bool {
    let name = file_name(path);
    ["Dockerfile", "Containerfile"].iter().any(|base| {
        let rest = name.strip_prefix(base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.') && rest != ".dockerignore")
    }) || name.to_ascii_lowercase().ends_with(".dockerfile")
}

/// All references of a Dockerfile.
pub(crate) fn find(file: &str, source: &str) -> Findings {
    let mut reader =
        Reader { file, source, arguments: HashMap::new(), stages: HashSet::new(), findings: Findings::default() };
    for instruction in instructions(source) {
        reader.take(&instruction);
    }
    reader.findings
}

/// Characters with the bytes they come from.
#[derive(Debug, Clone, Default)]
struct Text {
    characters: Vec<(char, usize)>,
}

impl Text {
    fn push_line(&mut self, line: &str, from: usize) {
        self.characters.extend(line.char_indices().map(|(at, character)| (character, from + at)));
    }

    fn value(&self) -> String {
        self.characters.iter().map(|(character, _)| character).collect()
    }

    fn part(&self, from: usize, to: usize) -> Self {
        Self { characters: self.characters.get(from..to).unwrap_or_default().to_vec() }
    }

    fn words(&self) -> Vec<Self> {
        let words = self.characters.split(|(character, _)| character.is_whitespace());
        words.filter(|word| !word.is_empty()).map(|word| Self { characters: word.to_vec() }).collect()
    }

    /// Without the quotes around it.
    fn unquoted(self) -> Self {
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
}

/// Logical lines: continued ones joined, comments and here-documents left out. Directives at the top come as they are.
fn instructions(source: &str) -> Vec<Text> {
    let mut all = Vec::new();
    let (mut open, mut escape, mut directives) = (Text::default(), '\\', true);
    let mut heredoc: Option<String> = None;
    let mut from = 0;
    for line in source.split_inclusive('\n') {
        let start = from;
        from += line.len();
        let line = line.trim_end_matches(['\n', '\r']);
        let (line, start) = line.strip_prefix('\u{feff}').map_or((line, start), |rest| (rest, start + 3));
        let trimmed = line.trim_start();
        if let Some(end) = &heredoc {
            heredoc = (trimmed != end.as_str()).then(|| end.clone());
            continue;
        }
        if trimmed.starts_with('#') {
            let directive = trimmed.trim_start_matches(['#', ' ']).split_once('=');
            if directives && let Some((name, value)) = directive {
                match name.trim().to_ascii_lowercase().as_str() {
                    "escape" if value.trim() == "`" => escape = '`',
                    "syntax" => {
                        let mut text = Text::default();
                        text.push_line(line, start);
                        all.push(text);
                    }
                    _ => {}
                }
            }
            continue;
        }
        directives = false;
        let body = line.trim_end();
        if let Some(continued) = body.strip_suffix(escape) {
            open.push_line(continued, start);
            continue;
        }
        open.push_line(line, start);
        heredoc = heredoc_of(&open.value());
        all.push(std::mem::take(&mut open));
    }
    all.push(open);
    all
}

/// The word that ends the here-document which an instruction begins.
fn heredoc_of(instruction: &str) -> Option<String> {
    let takes = ["RUN", "COPY", "ADD"]
        .iter()
        .any(|name| instruction.trim_start().get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
    let (_, rest) = instruction.split_once("<<").filter(|_| takes)?;
    let word: String = rest
        .trim_start_matches('-')
        .trim_start_matches(['"', '\''])
        .chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}

struct Reader<'d> {
    file: &'d str,
    source: &'d str,
    /// Defaults of ARGs before the first FROM; nothing for those without one.
    arguments: HashMap<String, Option<Text>>,
    stages: HashSet<String>,
    findings: Findings,
}

impl Reader<'_> {
    fn take(&mut self, instruction: &Text) {
        let words = instruction.words();
        let Some(name) = words.first().map(|word| word.value().to_ascii_uppercase()) else { return };
        match name.as_str() {
            "ARG" if self.stages.is_empty() => words.iter().skip(1).for_each(|word| self.argument(word)),
            "FROM" => self.stage(&words),
            "COPY" | "ADD" => {
                for word in &words {
                    if word.value().starts_with("--from=") {
                        self.image(word.part("--from=".len(), word.characters.len()), "COPY --from");
                    }
                }
            }
            "RUN" => words.iter().for_each(|word| self.mount(word)),
            _ if name.starts_with('#') => {
                let value = instruction.value();
                if let Some(at) = value.find('=') {
                    let at = value.get(..=at).map_or(0, |before| before.chars().count());
                    let rest = instruction.part(at, instruction.characters.len());
                    rest.words().into_iter().take(1).for_each(|word| self.image(word, "# syntax"));
                }
            }
            _ => {}
        }
    }

    fn argument(&mut self, word: &Text) {
        let value = word.value();
        let (name, default) = match value.chars().position(|character| character == '=') {
            Some(at) => (value.chars().take(at).collect(), Some(word.part(at + 1, word.characters.len()).unquoted())),
            None => (value, None),
        };
        self.arguments.insert(name, default);
    }

    fn stage(&mut self, words: &[Text]) {
        let mut rest = words.iter().skip(1).skip_while(|word| word.value().starts_with("--"));
        let Some(image) = rest.next() else { return };
        self.image(image.clone(), "FROM");
        let named = rest.next().is_some_and(|word| word.value().eq_ignore_ascii_case("as"));
        let name = rest.next().filter(|_| named).map(|word| word.value().to_ascii_lowercase());
        // A stage without a name still ends the ARGs that count for FROM.
        self.stages.insert(name.unwrap_or_default());
    }

    /// `--mount=type=bind,from=image`
    fn mount(&mut self, word: &Text) {
        let value = word.value();
        if let Some(at) = value.strip_prefix("--mount=").and_then(|_| value.find("from=")).filter(|_| value.is_ascii())
        {
            let from = at + "from=".len();
            let length = value.get(from..).and_then(|rest| rest.find(',')).unwrap_or(value.len() - from);
            self.image(word.part(from, from + length), "RUN --mount");
        }
    }

    fn image(&mut self, written: Text, location: &str) {
        let written = written.unquoted();
        let raw = written.value();
        let text = self.expand(&written, DEEPEST);
        let value = text.value();
        let own = value.bytes().all(|byte| byte.is_ascii_digit()) || value.eq_ignore_ascii_case("scratch");
        if own || self.stages.contains(&value.to_ascii_lowercase()) {
            return;
        }
        let line = written.characters.first().map_or(1, |(_, at)| position::of(self.source, *at).line);
        let file = self.file.to_owned();
        let Ok(image) = value.parse::<WrittenImage>() else {
            if let Some(image) = names::partly_written(&value) {
                self.findings.uneditable.push(names::filled_in(&file, line, image, &raw));
            }
            return;
        };
        let Some(parts) = parts(&text, &image) else {
            let detail = format!("the version of `{raw}` is put together of several places");
            self.findings.uneditable.push(Uneditable { file, line, image: Some(image.name), filled_in: false, detail });
            return;
        };
        let WrittenImage { written_name, name, tag, digest } = image;
        let mut reference = Reference {
            file,
            line,
            column: 1,
            location: location.to_owned(),
            format: Format::Dockerfile,
            written_name,
            image: name,
            tag,
            digest,
            parts,
            followers: Vec::new(),
            claimed: false,
            locked: None,
            shared_with: Vec::new(),
        };
        if let Some(at) = reference.scalars().first().map(|scalar| position::of(self.source, scalar.span.start)) {
            (reference.line, reference.column) = (at.line, at.column);
        }
        let lines = [line, reference.line].into_iter().collect();
        self.findings.references.push(Finding { reference, lines });
    }

    /// The text with variables replaced by their defaults. What has none stays as it is written.
    fn expand(&self, text: &Text, deepest: usize) -> Text {
        let mut expanded = Text::default();
        let mut at = 0;
        while let Some((character, _)) = text.characters.get(at) {
            let variable = (*character == '$' && deepest > 0).then(|| variable(text, at)).flatten();
            let replacement = variable.and_then(|Variable { name, default, end }| {
                let value = self.arguments.get(&name).cloned().flatten().or(default)?;
                Some((self.expand(&value, deepest - 1), end))
            });
            match replacement {
                Some((value, end)) => {
                    expanded.characters.extend(value.characters);
                    at = end;
                }
                None => {
                    expanded.characters.extend(text.characters.get(at));
                    at += 1;
                }
            }
        }
        expanded
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

/// Where the version stands, if that is in one piece.
fn parts(text: &Text, image: &WrittenImage) -> Option<Parts> {
    if let Some(scalar) = text.scalar() {
        return Some(Parts::Whole(scalar));
    }
    // Image names, tags and digests are ASCII: characters are bytes.
    let end = text.characters.len();
    let digest_at = image.digest.as_ref().map_or(end, |digest| end - digest.as_str().len());
    let digest = image.digest.as_ref().map(|_| text.part(digest_at, end));
    let tag_end = if digest.is_some() { digest_at - 1 } else { end };
    let tag = image.tag.as_ref().map(|tag| text.part(tag_end - tag.as_str().len(), tag_end));
    let scalar = |part: Option<Text>| part.map(|text| text.scalar().ok_or(())).transpose().ok();
    if let (Some(tag), Some(_)) = (&tag, &digest)
        && let Some(scalar) = text.part(tag_end - tag.characters.len(), end).scalar()
    {
        return Some(Parts::Joined(scalar));
    }
    Some(Parts::Split { tag: scalar(tag)?, digest: scalar(digest)? })
}
