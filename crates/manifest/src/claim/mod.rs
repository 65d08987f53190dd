//! Places that the repository file names in words: a path in YAML, JSON or TOML, or a regular expression in any text.
//!
//! Only here are missing keys created, because only here somebody said where they belong.

mod insert;
mod path;
mod regex;
mod toml;

use tagboat_model::{
    ExplicitPlace, Format, ImageName, Locator, Parts, PlacePart, Reference, Scalar, Uneditable, WrittenImage,
};
use thiserror::Error;

use crate::{
    Unreadable,
    collector::{Finding, Findings, reference},
    names,
    position::Position,
    yaml::{Origin, with_documents},
};

pub(crate) use self::toml::{is_toml, prove as prove_toml};

/// Why an explicit place cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlaceError {
    /// The path does not read as keys and indices.
    #[error("`{path}` is not a path: {why}")]
    Path {
        /// As written.
        path: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The regular expression does not compile.
    #[error("`{pattern}` is not a regular expression: {why}")]
    Regex {
        /// As written.
        pattern: String,
        /// What is wrong.
        why: String,
    },
    /// It is not said what the expression finds.
    #[error("`{pattern}` has no group for a version; name one `(?P<image>…)`, `(?P<tag>…)` or `(?P<digest>…)`")]
    NoGroup {
        /// As written.
        pattern: String,
    },
}

/// An explicit place, ready for use.
#[derive(Debug, Clone)]
pub struct Place {
    part: PlacePart,
    finder: Finder,
}

#[derive(Debug, Clone)]
enum Finder {
    Path(path::ValuePath),
    Regex(regex::Groups),
}

impl Place {
    /// Read an explicit place.
    ///
    /// # Errors
    /// [`PlaceError`] when its path or expression cannot be used.
    pub fn parse(place: &ExplicitPlace) -> Result<Self, PlaceError> {
        let finder = match &place.locator {
            Locator::Path(path) => Finder::Path(path::ValuePath::parse(path)?),
            Locator::Regex(pattern) => Finder::Regex(regex::Groups::parse(pattern)?),
        };
        Ok(Self { part: place.part, finder })
    }
}

/// An image's word that a place is its own.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Where.
    pub place: Place,
    /// The image.
    pub image: ImageName,
    /// Other names of it.
    pub aliases: Vec<ImageName>,
}

impl Claim {
    /// Whether a name is one of the image.
    fn is_image(&self, name: &ImageName) -> bool {
        *name == self.image || self.aliases.contains(name)
    }
}

/// Collect what a claim finds in a file.
pub(crate) fn find(claim: &Claim, file: &str, source: &str, findings: &mut Findings) -> Result<(), Unreadable> {
    let mut found = Claimed { claim, file, findings };
    match &claim.place.finder {
        Finder::Regex(groups) => groups.find(source, &mut found),
        Finder::Path(path) if is_toml(file) => toml::find(path, source, &mut found)?,
        Finder::Path(path) => {
            with_documents(source, Origin::default(), false, |_, documents| path.find(source, documents, &mut found))?;
        }
    }
    Ok(())
}

/// Where the findings of one claim go.
struct Claimed<'c> {
    claim: &'c Claim,
    file: &'c str,
    findings: &'c mut Findings,
}

impl Claimed<'_> {
    /// A scalar at the claimed place.
    fn scalar(&mut self, scalar: Scalar, at: Position, location: &str) {
        let text = scalar.value.clone();
        match self.claim.place.part {
            PlacePart::Image => self.whole(scalar, at, location),
            PlacePart::Tag => match names::version(&text, "") {
                Ok(version) if version.joined => {
                    self.add(Format::Path, Parts::Joined(scalar), (version.tag, version.digest), at, location);
                }
                Ok(version) => {
                    self.add(
                        Format::Path,
                        Parts::Split { tag: Some(scalar), digest: None },
                        (version.tag, None),
                        at,
                        location,
                    );
                }
                Err(other) => self.uneditable(at.line, format!("`{other}` is no tag")),
            },
            PlacePart::Digest => match names::version("", &text) {
                Ok(version) => {
                    self.add(
                        Format::Path,
                        Parts::Split { tag: None, digest: Some(scalar) },
                        (None, version.digest),
                        at,
                        location,
                    );
                }
                Err(other) => self.uneditable(at.line, format!("`{other}` is no digest")),
            },
        }
    }

    fn whole(&mut self, scalar: Scalar, at: Position, location: &str) {
        let image = &self.claim.image;
        match scalar.value.parse::<WrittenImage>() {
            // What is not there yet, or says nothing, gets the name as the repository file writes it.
            _ if scalar.value.is_empty() => {
                let reference = self.reference(Format::Path, Parts::Whole(scalar), (None, None), at, location);
                self.push(Reference { written_name: image.to_string(), ..reference });
            }
            Ok(written) if self.claim.is_image(&written.name) => {
                let version = (written.tag, written.digest);
                let reference = self.reference(Format::Path, Parts::Whole(scalar), version, at, location);
                self.push(Reference { written_name: written.written_name, ..reference });
            }
            Ok(written) => self.uneditable(at.line, format!("it names {}, not {image}", written.name)),
            Err(_) => self.uneditable(at.line, format!("`{}` is no image", scalar.value)),
        }
    }

    fn add(
        &mut self,
        format: Format,
        parts: Parts,
        version: (Option<tagboat_model::Tag>, Option<tagboat_model::Digest>),
        at: Position,
        location: &str,
    ) {
        let reference = self.reference(format, parts, version, at, location);
        self.push(reference);
    }

    fn reference(
        &self,
        format: Format,
        parts: Parts,
        (tag, digest): (Option<tagboat_model::Tag>, Option<tagboat_model::Digest>),
        at: Position,
        location: &str,
    ) -> Reference {
        let (written_name, name) = (self.claim.image.to_string(), self.claim.image.clone());
        let image = WrittenImage { written_name, name, tag, digest };
        Reference { claimed: true, ..reference(self.file, format, location, at, image, parts) }
    }

    fn push(&mut self, reference: Reference) {
        let lines = [reference.line].into_iter().collect();
        self.findings.references.push(Finding { reference, lines });
    }

    fn uneditable(&mut self, line: usize, detail: String) {
        let (file, image) = (self.file.to_owned(), Some(self.claim.image.clone()));
        self.findings.uneditable.push(Uneditable { file, line, image, claimed: true, filled_in: false, detail });
    }
}
