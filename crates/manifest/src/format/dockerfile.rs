//! Dockerfiles: the images of `FROM`, `COPY --from`, `RUN --mount=…,from=` and `# syntax=`, with the defaults of `ARG`s
//! put in.
//!
//! Every character keeps the place it comes from, also through an `ARG`, so that the tag is edited where it is written.
//! Rules: the Dockerfile reference of Docker (instructions, escape directive, here-documents, `ARG` before `FROM`).

use std::collections::{HashMap, HashSet};

use tagboat_model::{Format, Uneditable, WrittenImage};

use super::file_name;
use crate::{
    collector::{Finding, Findings, reference},
    names,
    position::{Lines, Position},
    substitution::Text,
    yaml::template,
};

/// Whether a file of this name is a Dockerfile.
pub(crate) fn is_dockerfile(path: &str) -> bool {
    let name = file_name(path);
    ["Dockerfile", "Containerfile"].iter().any(|base| {
        let rest = name.strip_prefix(base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_']) && rest != ".dockerignore")
    }) || name.to_ascii_lowercase().ends_with(".dockerfile")
}

/// All references of a Dockerfile.
pub(crate) fn find(file: &str, source: &str) -> Findings {
    let mut reader = Reader {
        file,
        source,
        lines: Lines::of(source),
        arguments: HashMap::new(),
        stages: HashSet::new(),
        findings: Findings::default(),
    };
    // What a template engine writes is of one piece, whatever spaces its action has.
    let masked = template::is_template(source).then(|| template::mask(source)).flatten();
    for instruction in instructions(masked.as_deref().unwrap_or(source)) {
        reader.take(&instruction);
    }
    reader.findings
}

/// Logical lines: continued ones joined, comments and here-documents left out. Directives at the top come as they are.
fn instructions(source: &str) -> Vec<Text> {
    let mut all = Vec::new();
    let (mut open, mut escape, mut directives) = (Text::default(), '\\', true);
    let lines: Vec<(usize, &str)> = lines(source).collect();
    let mut never_ending: HashSet<String> = HashSet::new();
    let mut next = 0;
    while let Some((start, line)) = lines.get(next).copied() {
        next += 1;
        let trimmed = line.trim_start();
        if trimmed.starts_with('#') {
            let directive = trimmed.trim_start_matches(['#', ' ']).split_once('=');
            match directive.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim())) {
                Some((name, "`")) if directives && name == "escape" => escape = '`',
                Some((name, _)) if directives && name == "syntax" => {
                    let mut text = Text::default();
                    text.push_line(line, start);
                    all.push(text);
                }
                // Directives stand before everything else, also before other comments.
                Some((name, _)) if directives && matches!(name.as_str(), "escape" | "check") => {}
                _ => directives = false,
            }
            continue;
        }
        directives = false;
        if let Some(continued) = line.trim_end().strip_suffix(escape) {
            open.push_line(continued, start);
            continue;
        }
        open.push_line(line, start);
        for (word, tabs) in heredocs(&open.value()) {
            let ends = |(_, line): &(usize, &str)| if tabs { line.trim_start_matches('\t') } else { line } == word;
            let rest = lines.get(next..).filter(|_| !never_ending.contains(&word)).unwrap_or_default();
            match rest.iter().position(ends) {
                Some(length) => next += length + 1,
                // What does not end is none.
                None => {
                    never_ending.insert(word);
                }
            }
        }
        all.push(std::mem::take(&mut open));
    }
    all.push(open);
    all
}

/// Every line with the byte at which it begins, without its end and a mark of the byte order.
fn lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    source.split_inclusive('\n').map(move |line| {
        let start = from;
        from += line.len();
        let line = line.trim_end_matches(['\n', '\r']);
        line.strip_prefix('\u{feff}').map_or((start, line), |rest| (start + 3, rest))
    })
}

/// The words that end the here-documents which an instruction begins, each with whether tabs before it do not count.
/// A word of the instruction begins one when it is `[0-9]*<<[-]WORD`, as BuildKit reads it.
fn heredocs(instruction: &str) -> Vec<(String, bool)> {
    let mut words = instruction.split_whitespace();
    let takes = words
        .next()
        .is_some_and(|name| ["RUN", "COPY", "ADD"].iter().any(|instruction| name.eq_ignore_ascii_case(instruction)));
    let heredoc = |word: &str| {
        let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
        let name = rest.strip_prefix('-').unwrap_or(rest).trim_matches(['"', '\'']);
        (!name.is_empty() && !name.contains('<')).then(|| (name.to_owned(), rest.starts_with('-')))
    };
    if takes { words.filter_map(heredoc).collect() } else { Vec::new() }
}

struct Reader<'d> {
    file: &'d str,
    source: &'d str,
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
        let raw = written.bytes().and_then(|bytes| self.source.get(bytes)).unwrap_or_default().to_owned();
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
            self.findings.uneditable.push(Uneditable {
                file,
                line,
                image: Some(image.name),
                claimed: false,
                filled_in: false,
                detail,
            });
            return;
        };
        let mut reference = reference(&file, Format::Dockerfile, location, Position { line, column: 1 }, image, parts);
        if let Some(at) = reference.scalars().first().map(|scalar| self.lines.position(scalar.span.start)) {
            (reference.line, reference.column) = (at.line, at.column);
        }
        let lines = [line, reference.line].into_iter().collect();
        self.findings.references.push(Finding { reference, lines });
    }
}
