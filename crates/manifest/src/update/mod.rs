//! One file, brought to the versions that somebody asks for: by image, or by the policy that a Flux marker names.
//!
//! Everything that can be edited safely is; everything else is told with its reason, and does not stop the rest.

mod planned;

use tagboat_model::{Digest, Edit, Format, ImageName, Pin, Tag, Uneditable, WrittenImage};

use crate::{
    Claim, NewVersion, Refusal, Unreadable,
    edit::{Names, splice},
    find, has_markers, markers, mentions, names,
};

/// An image with the version that it shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImage {
    /// The name as it was given: markers write it as it is.
    pub written_name: String,
    /// The name it means.
    pub name: ImageName,
    /// The tag.
    pub tag: Tag,
    /// The digest, where it is given.
    pub digest: Option<Digest>,
    /// Other names of it in files. Each reference keeps the one it has.
    pub aliases: Vec<ImageName>,
    /// What references carry afterwards.
    pub pin: Pin,
}

impl NewImage {
    /// From `name:tag[@digest]`; nothing without a tag.
    #[must_use]
    pub fn of(written: WrittenImage) -> Option<Self> {
        let WrittenImage { written_name, name, tag, digest } = written;
        Some(Self { written_name, name, tag: tag?, digest, aliases: Vec::new(), pin: Pin::Keep })
    }

    /// Whether a name is one of the image.
    #[must_use]
    pub fn is_named(&self, name: &ImageName) -> bool {
        self.name == *name || self.aliases.contains(name)
    }

    /// All of its names.
    pub fn names(&self) -> impl Iterator<Item = &ImageName> {
        std::iter::once(&self.name).chain(&self.aliases)
    }

    fn version(&self) -> NewVersion<'_> {
        NewVersion { tag: &self.tag, digest: self.digest.as_ref() }
    }
}

/// Who asks for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The image of this index in the request.
    Image(usize),
    /// The marker of this index in the request.
    Marker(usize),
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Images: every reference to one gets its version.
    pub images: Vec<NewImage>,
    /// Image policies as `namespace:name`: every marker that names one gets its image.
    pub markers: Vec<(String, NewImage)>,
}

impl Request {
    /// Whether a file could have something to change.
    #[must_use]
    pub fn concerns(&self, path: &str, bytes: &[u8]) -> bool {
        self.images.iter().flat_map(NewImage::names).any(|name| mentions(path, bytes, name))
            || (!self.markers.is_empty() && has_markers(bytes))
    }

    /// The image that a source asks for.
    #[must_use]
    pub fn image(&self, source: Source) -> Option<&NewImage> {
        match source {
            Source::Image(index) => self.images.get(index),
            Source::Marker(index) => self.markers.get(index).map(|(_, image)| image),
        }
    }
}

/// One place that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Who asks for it.
    pub source: Source,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What the place is.
    pub format: Format,
    /// Where in the document, for people.
    pub location: String,
    /// What it says now: a tag, a digest, both, or for a marker all of its value.
    pub from: String,
    /// What it says afterwards.
    pub to: String,
    /// Lines of aliases that change with it.
    pub followers: Vec<usize>,
    edits: Vec<Edit>,
}

/// What becomes of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// Its bytes afterwards; nothing when it stays as it is.
    pub bytes: Option<Vec<u8>>,
    /// What changes.
    pub changes: Vec<Change>,
    /// How many places say what is wanted already.
    pub current: usize,
    /// Places that should change and are not edited, or whose version something else gives.
    pub uneditable: Vec<Uneditable>,
}

/// Bring a file to what is asked for. `only_claimed` leaves everything alone but the places of `claims`. Only changes whose
/// source is `active` are made; the others are still looked at, so that two that speak of the same bytes are told.
///
/// # Errors
/// [`Unreadable`] when the file cannot be read as what its name says.
pub fn update(
    path: &str,
    bytes: &[u8],
    claims: &[&Claim],
    request: &Request,
    only_claimed: bool,
    active: impl Fn(Source) -> bool,
) -> Result<Update, Unreadable> {
    let mut found = find(path, bytes, claims)?;
    if only_claimed {
        found.references.retain(|reference| reference.claimed);
        found.uneditable.retain(|place| place.claimed);
    }
    let marked = if request.markers.is_empty() || only_claimed { Vec::new() } else { markers(bytes)? };
    let mut update = planned::plan(path, request, &found, &marked);
    update.changes.retain(|change| active(change.source));
    update.changes.sort_by_key(|change| (change.line, change.column));
    write(path, bytes, claims, &mut update);
    Ok(update)
}

/// Make the changes. When the proof refuses them together, those that can be made are, one after the other.
fn write(path: &str, bytes: &[u8], claims: &[&Claim], update: &mut Update) {
    if update.changes.is_empty() {
        return;
    }
    let renames = update.changes.iter().any(|change| matches!(change.source, Source::Marker(_)));
    let names = if renames { Names::Change } else { Names::Stay };
    let splice = |edits: &[Edit]| splice(path, bytes, edits, claims, names);
    let all: Vec<Edit> = update.changes.iter().flat_map(|change| change.edits.clone()).collect();
    if let Ok(after) = splice(&all) {
        update.bytes = Some(after);
        return;
    }
    let changes = std::mem::take(&mut update.changes);
    let mut good: Vec<Edit> = Vec::new();
    halve(changes, &mut good, update, &splice);
    for place in &mut update.uneditable {
        place.file = path.to_owned();
    }
}

/// Make as many of the changes as can be made together with those that were; a half that cannot is halved again.
fn halve(
    mut changes: Vec<Change>,
    good: &mut Vec<Edit>,
    update: &mut Update,
    splice: &impl Fn(&[Edit]) -> Result<Vec<u8>, Refusal>,
) {
    let all: Vec<Edit> = good.iter().cloned().chain(changes.iter().flat_map(|change| change.edits.clone())).collect();
    match splice(&all) {
        Ok(after) => {
            *good = all;
            update.bytes = Some(after);
            update.changes.extend(changes);
        }
        Err(refusal) if changes.len() < 2 => {
            for Change { line, .. } in changes {
                let (file, detail) = (String::new(), refusal.to_string());
                update.uneditable.push(Uneditable {
                    file,
                    line,
                    image: None,
                    claimed: false,
                    filled_in: false,
                    detail,
                });
            }
        }
        Err(_) => {
            let second = changes.split_off(changes.len() / 2);
            halve(changes, good, update, splice);
            halve(second, good, update, splice);
        }
    }
}

/// Where a file that cannot be read names an image that is wanted, by the look of its words.
#[must_use]
pub fn named_in_unreadable(
    path: &str,
    bytes: &[u8],
    why: &Unreadable,
    wanted: impl Fn(&ImageName) -> bool,
) -> Vec<Uneditable> {
    let text = String::from_utf8_lossy(bytes);
    let named = names::images_in(&text).into_iter().filter(wanted);
    let place = |image| Uneditable {
        file: path.to_owned(),
        line: why.line(),
        image: Some(image),
        claimed: false,
        filled_in: false,
        detail: format!("the file cannot be read: {why}"),
    };
    named.map(place).collect()
}
