//! Dockerfiles: the images of `FROM`, `COPY --from`, `RUN --mount=…,from=` and `# syntax=`, with the defaults of `ARG`s
//! put in.
//!
//! Every character keeps the place it comes from, also through an `ARG`, so that the tag is edited where it is written.
//! Rules: the Dockerfile reference of Docker (instructions, escape directive, here-documents, `ARG` before `FROM`).

use std::collections::{HashMap, HashSet};

use tagboat_model::{Format, Reference, Uneditable, WrittenImage};

use super::file_name;
use crate::{
    collector::{Finding, Findings},
    names,
    position::Lines,
    substitution::Text,
};

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
    let mut reader = Reader {
        file,
        lines: Lines::of(source),
        arguments: HashMap::new(),
        stages: HashSet::new(),
        findings: Findings::default(),
    };
    for instruction in instructions(source) {
        reader.take(&instruction);
    }
    reader.findings
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
    lines: Lines<'d>,
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
                        self.image(word.part("--from=".len(), word.len()), "COPY --from");
                    }
                }
            }
            "RUN" => words.iter().for_each(|word| self.mount(word)),
            _ if name.starts_with('#') => {
                let value = instruction.value();
                if let Some(at) = value.find('=') {
                    let at = value.get(..=at).map_or(0, |before| before.chars().count());
                    let rest = instruction.part(at, instruction.len());
                    rest.words().into_iter().take(1).for_each(|word| self.image(word, "# syntax"));
                }
            }
            _ => {}
        }
    }

    fn argument(&mut self, word: &Text) {
        let value = word.value();
        let (name, default) = match value.chars().position(|character| character == '=') {
            Some(at) => (value.chars().take(at).collect(), Some(word.part(at + 1, word.len()).unquoted())),
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
        let text = written.expand(&|name| self.arguments.get(name).cloned().flatten());
        let value = text.value();
        let own = value.bytes().all(|byte| byte.is_ascii_digit()) || value.eq_ignore_ascii_case("scratch");
        if own || self.stages.contains(&value.to_ascii_lowercase()) {
            return;
        }
        let line = written.start().map_or(1, |at| self.lines.position(at).line);
        let file = self.file.to_owned();
        let Ok(image) = value.parse::<WrittenImage>() else {
            if let Some(image) = names::partly_written(&value) {
                self.findings.uneditable.push(names::filled_in(&file, line, image, &raw));
            }
            return;
        };
        let Some(parts) = text.parts(&image) else {
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
        if let Some(at) = reference.scalars().first().map(|scalar| self.lines.position(scalar.span.start)) {
            (reference.line, reference.column) = (at.line, at.column);
        }
        let lines = [line, reference.line].into_iter().collect();
        self.findings.references.push(Finding { reference, lines });
    }
}
