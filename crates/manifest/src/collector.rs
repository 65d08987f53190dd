//! What formats put their findings into: they say which nodes name an image, here it becomes a reference with its bytes,
//! or a place that is not edited, with the reason.

use std::{collections::BTreeSet, ops::Range};

use tagboat_model::{Digest, Format, ImageName, Parts, Reference, Scalar, ScalarStyle, Tag, Uneditable, WrittenImage};

use crate::{
    Unreadable, followers, format, names,
    position::{self, Position},
    scalar,
    substitution::Text,
    yaml::{self, Anchors, Documents, Node, Origin, Repeated, Style},
};

/// Files inside of files inside of files.
const DEEPEST_NESTED: usize = 4;

/// Everything that was found in one file.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) references: Vec<Finding>,
    pub(crate) uneditable: Vec<Uneditable>,
}

/// A reference with the lines whose comments speak for it.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) reference: Reference,
    pub(crate) lines: BTreeSet<usize>,
}

/// How certain it is that a scalar names an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// By its key alone.
    Anyhow,
    /// Only with a tag or a digest.
    WithVersion,
}

/// An image of which name, tag and digest stand in scalars of their own.
pub(crate) struct Separate<'d> {
    pub(crate) written_name: String,
    /// The scalar with the name.
    pub(crate) name: &'d Node<'d>,
    pub(crate) tag: Option<&'d Node<'d>>,
    pub(crate) digest: Option<&'d Node<'d>>,
}

pub(crate) struct Collector<'d> {
    file: &'d str,
    source: &'d str,
    anchors: Anchors<'d, 'd>,
    documents: &'d Documents<'d>,
    findings: Findings,
    /// How many files are around this one.
    depth: usize,
}

impl<'d> Collector<'d> {
    /// For the documents of `source`, which is the whole text of the file.
    pub(crate) fn new(file: &'d str, source: &'d str, documents: &'d Documents<'d>) -> Self {
        Self { file, source, anchors: Anchors::of(documents), documents, findings: Findings::default(), depth: 0 }
    }

    pub(crate) fn finish(mut self) -> Findings {
        followers::find(self.documents, &mut self.findings.references);
        lock_repeated(self.documents, &mut self.findings.references);
        self.findings
    }

    pub(crate) fn file(&self) -> &'d str {
        self.file
    }

    pub(crate) fn source(&self) -> &'d str {
        self.source
    }

    /// The node, or what it is an alias of.
    pub(crate) fn resolve(&self, node: &'d Node<'d>) -> &'d Node<'d> {
        self.anchors.resolve(node)
    }

    /// The value of a key, aliases and merge keys followed.
    pub(crate) fn get(&self, mapping: &'d Node<'d>, key: &str) -> Option<&'d Node<'d>> {
        self.anchors.get(mapping, key)
    }

    /// A scalar `name[:tag][@digest]`.
    pub(crate) fn whole(&mut self, format: Format, node: &Node<'_>, location: &str, written: Written) {
        let Some(text) = node.text() else { return };
        let end = text.trim_end_matches(['\n', '\r']).len();
        self.named(format, node, 0..end, location, written);
    }

    /// The part of a scalar that is `name[:tag][@digest]`.
    pub(crate) fn part_of(&mut self, format: Format, node: &Node<'_>, range: Range<usize>, location: &str) {
        self.named(format, node, range, location, Written::Anyhow);
    }

    fn named(&mut self, format: Format, node: &Node<'_>, range: Range<usize>, location: &str, written: Written) {
        let Some(text) = node.text().and_then(|text| text.get(range.clone())) else { return };
        let Ok(image) = text.parse::<WrittenImage>() else {
            // Compose runs what a variable has as its default, unless somebody sets it.
            if format != Format::DockerCompose || !self.with_defaults(format, node, text, location) {
                self.filled_in(node, text);
            }
            return;
        };
        let bare = image.tag.is_none() && image.digest.is_none();
        if bare && (written == Written::WithVersion || names::is_picture(text)) {
            return;
        }
        let parts = match self.escaped_version(node, &range, &image) {
            Some(version) => Ok(Parts::Joined(version)),
            None => scalar::bytes(node, self.source, range).map(Parts::Whole),
        };
        let parts = match parts {
            Ok(parts) => parts,
            Err(detail) => return self.uneditable(node.line, Some(image.name), detail),
        };
        let at = match &parts {
            Parts::Whole(scalar) | Parts::Joined(scalar) => self.position(node, scalar),
            Parts::Split { .. } => node.position(),
        };
        self.add(reference(self.file, format, location, at, image, parts), [node.line]);
    }

    /// A scalar that is an image once its variables have their defaults; whether it is.
    fn with_defaults(&mut self, format: Format, node: &Node<'_>, text: &str, location: &str) -> bool {
        let Some(raw) = self.source.get(node.span.clone()) else { return false };
        let Some(at) = raw.find(text) else { return false };
        let mut written = Text::default();
        written.push_line(text, node.span.start + at);
        let expanded = written.expand(&|_| None);
        let Ok(image) = expanded.value().parse::<WrittenImage>() else { return false };
        let Some(parts) = expanded.parts(&image) else { return false };
        let mut reference = reference(self.file, format, location, node.position(), image, parts);
        let at = reference.scalars().first().map(|scalar| self.position(node, scalar));
        if let Some(Position { line, column }) = at {
            (reference.line, reference.column) = (line, column);
        }
        self.add(reference, [node.line]);
        true
    }

    /// A name with its tag and digest in other scalars.
    pub(crate) fn separate(&mut self, format: Format, separate: Separate<'_>, location: &str) {
        let Separate { written_name, name, tag, digest } = separate;
        let Ok(image) = written_name.parse::<ImageName>() else { return };
        let name_at = Some(name.span.start);
        let name = name.position();
        let lines = [Some(name.line), tag.map(|node| node.line), digest.map(|node| node.line)];
        let lines: Vec<usize> = lines.into_iter().flatten().collect();
        let anchor_line = tag.or(digest).map_or(name.line, |node| node.line);
        let (tag_text, digest_text) = (text_of(tag), text_of(digest));
        // A placeholder for somebody else to fill in is not ours to overwrite.
        let written = match names::version(tag_text, digest_text) {
            Ok(written) => written,
            Err(placeholder) => {
                let node = tag.filter(|_| placeholder == tag_text).or(digest);
                if let (true, Some(node)) = (names::is_placeholder(placeholder), node) {
                    self.is_filled_in(node, image);
                }
                return;
            }
        };
        let scalars = (|| Ok::<_, String>((self.optional(tag)?, self.optional(digest)?)))();
        let (tag_scalar, digest_scalar) = match scalars {
            Ok(scalars) => scalars,
            Err(detail) => return self.uneditable(anchor_line, Some(image), detail),
        };
        let place = tag.zip(tag_scalar.as_ref()).or(digest.zip(digest_scalar.as_ref()));
        let at = place.map_or(name, |(node, scalar)| self.position(node, scalar));
        let parts = match tag_scalar {
            Some(scalar) if written.joined => Parts::Joined(scalar),
            tag => Parts::Split { tag, digest: digest_scalar },
        };
        let image = WrittenImage { written_name, name: image, tag: written.tag, digest: written.digest };
        self.add(Reference { name_at, ..reference(self.file, format, location, at, image, parts) }, lines);
    }

    /// Note that something cannot be read that seems to name an image.
    pub(crate) fn cannot_read(&mut self, line: usize, text: &str, detail: &str) {
        for image in names::images_in(text) {
            self.uneditable(line, Some(image), detail.to_owned());
        }
    }

    /// Read text that stands in the source as documents of its own.
    pub(crate) fn nested(
        &mut self,
        text: &str,
        origin: Origin,
        location: &str,
        format: Format,
    ) -> Result<(), Unreadable> {
        if self.depth == DEEPEST_NESTED {
            return Err(Unreadable::TooDeep { limit: DEEPEST_NESTED });
        }
        let inside = |_: &str, documents: &Documents<'_>| {
            let mut inner = Collector::new(self.file, self.source, documents);
            inner.depth = self.depth + 1;
            for root in &documents.roots {
                let mut location = location.to_owned();
                match root.get("apiVersion").is_some() {
                    true => format::find("", root, &mut location, &mut inner),
                    false => format::find_in_text(root, &mut location, &mut inner, format),
                }
            }
            inner.finish()
        };
        let Findings { references, uneditable } = yaml::with_documents(text, origin, false, inside)?;
        self.findings.references.extend(references);
        self.findings.uneditable.extend(uneditable);
        Ok(())
    }

    /// A value that names an image as far as it is written, and of which a variable or template gives the rest.
    fn filled_in(&mut self, node: &Node<'_>, text: &str) {
        if let Some(image) = names::partly_written(text) {
            self.is_filled_in(node, image);
        }
    }

    fn is_filled_in(&mut self, node: &Node<'_>, image: ImageName) {
        // As it is in the file: what was read may be masked.
        let text = self.source.get(node.span.clone()).unwrap_or_default().trim_matches(['"', '\'', '\n', '\r', ' ']);
        self.findings.uneditable.push(names::filled_in(self.file, node.line, image, text));
    }

    fn uneditable(&mut self, line: usize, image: Option<ImageName>, detail: String) {
        let file = self.file.to_owned();
        self.findings.uneditable.push(Uneditable { file, line, image, claimed: false, filled_in: false, detail });
    }

    fn add(&mut self, reference: Reference, lines: impl IntoIterator<Item = usize>) {
        let mut lines: BTreeSet<usize> = lines.into_iter().collect();
        lines.insert(reference.line);
        self.findings.references.push(Finding { reference, lines });
    }

    fn optional(&self, node: Option<&Node<'_>>) -> Result<Option<Scalar>, String> {
        let Some((node, text)) = node.and_then(|node| Some((node, node.scalar()?))) else { return Ok(None) };
        if text.is_null() {
            // `~` can be replaced, nothing cannot.
            let span = node.span.clone();
            return Ok((!span.is_empty()).then(|| Scalar { span, style: text.scalar_style(), value: String::new() }));
        }
        let end = text.text.trim_end_matches(['\n', '\r']).len();
        scalar::bytes(node, self.source, 0..end).map(Some)
    }

    /// The bytes of the version alone, in a scalar whose name is written with escapes: those stay as they are.
    fn escaped_version(&self, node: &Node<'_>, range: &Range<usize>, image: &WrittenImage) -> Option<Scalar> {
        let scalar = node.scalar().filter(|scalar| scalar.style == Style::DoubleQuoted)?;
        let raw = self.source.get(node.span.start + 1..node.span.end.checked_sub(1)?)?;
        if raw == scalar.text || image.tag.is_none() || *range != (0..scalar.text.len()) {
            return None;
        }
        let value = scalar.text.get(image.written_name.len() + 1..)?;
        let end = node.span.end - 1;
        let span = end - value.len()..end;
        raw.ends_with(value).then(|| Scalar { span, style: ScalarStyle::Text, value: value.to_owned() })
    }

    fn position(&self, node: &Node<'_>, scalar: &Scalar) -> Position {
        let between = self.source.get(node.span.start..scalar.span.start).unwrap_or_default();
        position::after(node.position(), between)
    }
}

/// A reference as it was found.
pub(crate) fn reference(
    file: &str,
    format: Format,
    location: &str,
    at: Position,
    image: WrittenImage,
    parts: Parts,
) -> Reference {
    let WrittenImage { written_name, name, tag, digest } = image;
    Reference {
        file: file.to_owned(),
        line: at.line,
        column: at.column,
        location: location.to_owned(),
        format,
        written_name,
        image: name,
        tag,
        digest,
        parts,
        name_at: None,
        followers: Vec::new(),
        claimed: false,
        locked: None,
        shared_with: Vec::new(),
    }
}

/// What stands below a key that its mapping has twice is not edited: nobody can tell whether it counts.
fn lock_repeated(documents: &Documents<'_>, references: &mut [Finding]) {
    let mut repeated: Vec<&Repeated> = documents.repeated.iter().collect();
    repeated.sort_by_key(|repeated| repeated.span.start);
    // Of those that begin before a place, the one that ends last.
    let mut furthest: Vec<&Repeated> = Vec::with_capacity(repeated.len());
    for next in &repeated {
        let last = furthest.last().filter(|last| last.span.end >= next.span.end);
        furthest.push(last.unwrap_or(next));
    }
    let around = |start: usize| {
        let before = repeated.partition_point(|repeated| repeated.span.start <= start);
        let last = before.checked_sub(1).and_then(|index| furthest.get(index)).copied();
        last.filter(|last| start < last.span.end)
    };
    for Finding { reference, .. } in references {
        let starts = reference.scalars().into_iter().map(|scalar| scalar.span.start).chain(reference.name_at);
        if let Some(Repeated { key, line, .. }) = starts.filter_map(around).next() {
            reference.locked = Some(format!("the key `{key}` stands in one mapping twice, again in line {line}"));
        }
    }
}

/// What a scalar says; nothing for null.
fn text_of<'n>(node: Option<&'n Node<'_>>) -> &'n str {
    node.and_then(Node::text).map_or("", |text| text.trim_end_matches(['\n', '\r']))
}

/// What tag and digest keys say.
pub(crate) struct WrittenVersion {
    pub(crate) tag: Option<Tag>,
    pub(crate) digest: Option<Digest>,
    /// Whether the tag's key holds the digest too: `1.4.0@sha256:…`.
    pub(crate) joined: bool,
}
