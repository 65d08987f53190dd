//! From what is found in a file and what is asked for to the changes, and the reasons where there are none: requests that
//! contradict one another, digests that would stay behind.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::Range,
};

use tagboat_model::{Digest, Format, ImageName, Parts, Reference, Tag, Uneditable};

use super::{Change, NewImage, Request, Source, Update};
use crate::{Found, Marked, MarkerPart, Refusal, replace, rewrite};

struct Planned<'r> {
    path: &'r str,
    request: &'r Request,
    update: Update,
    /// What markers of tags and names ask for, by where the value begins.
    marked: HashMap<usize, NewImage>,
    /// Where values begin that say what is asked for already.
    kept: HashSet<usize>,
}

/// Everything that is asked for in one file, before the proof.
pub(super) fn plan(path: &str, request: &Request, found: &Found, marked: &[Marked]) -> Update {
    let mut planned =
        Planned { path, request, update: Update::default(), marked: HashMap::new(), kept: HashSet::new() };
    planned.uneditable(found);
    planned.references(found);
    planned.marked(found, marked);
    planned.stale_digests(found);
    planned.conflicts(found);
    planned.update
}

impl Planned<'_> {
    fn refuse(&mut self, line: usize, image: Option<ImageName>, detail: impl fmt::Display) {
        let (file, detail) = (self.path.to_owned(), detail.to_string());
        self.update.uneditable.push(Uneditable { file, line, image, claimed: false, filled_in: false, detail });
    }

    fn uneditable(&mut self, found: &Found) {
        let named = |name: &ImageName| self.request.images.iter().any(|image| image.is_named(name));
        let asked = |place: &&Uneditable| place.image.as_ref().is_some_and(named);
        self.update.uneditable.extend(found.uneditable.iter().filter(asked).cloned());
    }

    fn references(&mut self, found: &Found) {
        for reference in &found.references {
            let asked = self.request.images.iter().enumerate().find(|(_, image)| image.is_named(&reference.image));
            let Some((index, image)) = asked.filter(|(_, image)| reference.is_versioned(image.pin)) else { continue };
            let alone = Reference { shared_with: self.still_shared(reference, image), ..reference.clone() };
            match rewrite(&alone, image.version(), image.pin) {
                Ok(edits) if edits.is_empty() => {
                    self.update.current += 1;
                    self.kept.extend(kept(reference, image));
                }
                Ok(edits) => {
                    let (tag, digest) = reference.wanted(image.pin);
                    let to = in_words(tag.then_some(&image.tag), image.digest.as_ref().filter(|_| digest));
                    self.update.changes.push(Change {
                        source: Source::Image(index),
                        line: reference.line,
                        column: reference.column,
                        format: reference.format,
                        location: reference.location.clone(),
                        from: in_words(reference.tag.as_ref(), reference.digest.as_ref()),
                        to,
                        followers: reference.followers.clone(),
                        edits,
                    });
                }
                Err(refusal) => self.refuse(reference.line, Some(reference.image.clone()), refusal),
            }
        }
    }

    /// Those of the images that say their version with the same bytes which are not asked to have the same one.
    fn still_shared(&self, reference: &Reference, image: &NewImage) -> Vec<ImageName> {
        let same = |other: &ImageName| {
            self.request.images.iter().any(|it| it.is_named(other) && it.tag == image.tag && it.digest == image.digest)
        };
        reference.shared_with.iter().filter(|other| !same(other)).cloned().collect()
    }

    fn marked(&mut self, found: &Found, marked: &[Marked]) {
        let mut by_start: HashMap<usize, &Reference> = HashMap::new();
        for reference in &found.references {
            by_start.extend(reference.scalars().iter().map(|scalar| (scalar.span.start, reference)));
        }
        for place in marked {
            let asked = self.request.markers.iter().enumerate().find(|(_, (policy, _))| *policy == place.policy);
            let Some((index, (_, image))) = asked else { continue };
            if let (Ok(scalar), MarkerPart::Tag | MarkerPart::Name) = (&place.scalar, place.part) {
                self.marked.insert(scalar.span.start, image.clone());
            }
            match self.marker_edit(&by_start, place, image) {
                Ok(None) => {
                    self.update.current += 1;
                    self.kept.extend(place.scalar.iter().map(|scalar| scalar.span.start));
                }
                Ok(Some(change)) => self.update.changes.push(Change { source: Source::Marker(index), ..change }),
                Err(refusal) => self.refuse(place.line, Some(image.name.clone()), refusal),
            }
        }
    }

    fn marker_edit(
        &self,
        found: &HashMap<usize, &Reference>,
        place: &Marked,
        image: &NewImage,
    ) -> Result<Option<Change>, Refusal> {
        let scalar = place.scalar.as_ref().map_err(|why| Refusal::new(why.clone()))?;
        let reference = found.get(&scalar.span.start).copied();
        let whole = reference.is_some_and(|it| matches!(it.parts, Parts::Whole(_)));
        if let Some(why) = reference.and_then(|reference| reference.locked.clone()) {
            return Err(Refusal::new(why));
        }
        let value = match place.part {
            MarkerPart::Image if reference.is_some() && !whole => {
                return Err(Refusal::new("the marker sets a whole image, but the value is a part of one"));
            }
            MarkerPart::Image => {
                let digest = image.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
                format!("{}:{}{digest}", image.written_name, image.tag)
            }
            _ if whole => return Err(Refusal::new("the marker sets a part of an image, but the value is a whole one")),
            MarkerPart::Name => image.written_name.clone(),
            MarkerPart::Tag => image.tag.to_string(),
            MarkerPart::Digest => match &image.digest {
                Some(digest) => digest.to_string(),
                None => return Err(Refusal::new("the marker sets a digest, and none is given")),
            },
        };
        let Some(edit) = replace(scalar, &value)? else { return Ok(None) };
        Ok(Some(Change {
            source: Source::Marker(0),
            line: place.line,
            column: place.column,
            format: reference.map_or(Format::FluxMarker, |reference| reference.format),
            location: reference.map(|reference| reference.location.clone()).unwrap_or_default(),
            from: scalar.value.clone(),
            to: value,
            followers: reference.map(|reference| reference.followers.clone()).unwrap_or_default(),
            edits: vec![edit],
        }))
    }

    /// A marker that sets the tag or the name must not leave the digest of the old version beside it: then neither is set.
    fn stale_digests(&mut self, found: &Found) {
        let edits = self.update.changes.iter().flat_map(|change| &change.edits);
        let changed: HashSet<usize> = edits.map(|edit| edit.span.start).collect();
        let by_marker = std::mem::take(&mut self.marked);
        let mut stale: HashSet<usize> = HashSet::new();
        for reference in found.references.iter().filter(|reference| reference.digest.is_some()) {
            let Parts::Split { tag, digest: Some(digest) } = &reference.parts else { continue };
            let starts: Vec<usize> = tag.iter().map(|tag| tag.span.start).chain(reference.name_at).collect();
            // The same tag with another digest is another version too.
            let other = |image: &NewImage| image.digest.is_some() && image.digest != reference.digest;
            let renewed = starts.iter().filter_map(|start| by_marker.get(start)).any(other);
            let touched = starts.iter().any(|start| changed.contains(start));
            if (touched || renewed)
                && !changed.contains(&digest.span.start)
                && stale.insert(starts.first().copied().unwrap_or_default())
            {
                stale.extend(&starts);
                let detail =
                    "a digest stands beside it, and no marker sets that; it would stay that of the old version";
                self.refuse(reference.line, Some(reference.image.clone()), detail);
            }
        }
        self.update.changes.retain(|change| !change.edits.iter().any(|edit| stale.contains(&edit.span.start)));
    }

    /// Two requests that want different values in the same place: neither is served, nor any part of what belongs to it.
    fn conflicts(&mut self, found: &Found) {
        let edits = self.update.changes.iter().flat_map(|change| &change.edits);
        let mut places: Vec<(Range<usize>, &str)> = edits.map(|edit| (edit.span.clone(), edit.text.as_str())).collect();
        places.sort_by_key(|(span, _)| (span.start, span.end));
        let mut disputed: HashSet<usize> = HashSet::new();
        let mut from = 0;
        while let Some((first, text)) = places.get(from) {
            let (mut end, mut cluster) = (first.end, Vec::new());
            for place in places.get(from..).unwrap_or_default() {
                if place.0.start >= end && place.0.start != first.start {
                    break;
                }
                end = end.max(place.0.end);
                cluster.push(place);
            }
            if self.kept.contains(&first.start) || cluster.iter().any(|(span, other)| span != first || other != text) {
                disputed.extend(cluster.iter().map(|(span, _)| span.start));
            }
            from += cluster.len().max(1);
        }
        for reference in &found.references {
            let starts = || reference.scalars().into_iter().map(|scalar| scalar.span.start).chain(reference.name_at);
            if starts().any(|start| disputed.contains(&start)) {
                disputed.extend(starts());
            }
        }
        let changes = std::mem::take(&mut self.update.changes);
        for change in changes {
            if !change.edits.iter().any(|edit| disputed.contains(&edit.span.start)) {
                self.update.changes.push(change);
                continue;
            }
            let image = self.request.image(change.source).map(|image| image.name.clone());
            let detail = format!("two requests want different values here, one of them `{}`", change.to);
            self.refuse(change.line, image, detail);
        }
    }
}

/// Where the values begin that a request speaks of, in a reference that says them already.
fn kept(reference: &Reference, image: &NewImage) -> Vec<usize> {
    match &reference.parts {
        Parts::Whole(scalar) | Parts::Joined(scalar) => vec![scalar.span.start],
        Parts::Split { tag, digest } => {
            let digest = digest.as_ref().filter(|_| image.digest.is_some());
            tag.iter().chain(digest).map(|scalar| scalar.span.start).collect()
        }
    }
}

/// `1.4.0`, `1.4.0@sha256:…`, `sha256:…`, or nothing.
fn in_words(tag: Option<&Tag>, digest: Option<&Digest>) -> String {
    match (tag, digest) {
        (Some(tag), Some(digest)) => format!("{tag}@{digest}"),
        (Some(tag), None) => tag.to_string(),
        (None, Some(digest)) => digest.to_string(),
        (None, None) => String::new(),
    }
}
