//! `tagboat references`: every place in a work tree that names an image, and every one that cannot be edited.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use tagboat_manifest::{Found, LARGEST_FILE, Marked, MarkerPart, Unreadable};
use tagboat_model::{Digest, Format, ImageName, Reference, Tag, Uneditable};
use tagboat_repository::Content;

use crate::{
    cli::{Output, References},
    commands::work_tree::{self, Scope, uneditable_in_json, uneditable_in_words},
    exit::{Code, Failure},
    output::{self, BOLD, DIM, YELLOW, styled},
};

/// What one file has.
struct FileReferences {
    file: String,
    found: Found,
    marked: Vec<Marked>,
}

/// What users read of one file.
struct Shown {
    references: Vec<String>,
    not_edited: Vec<String>,
}

pub(crate) fn run(arguments: &References) -> Result<Code, Failure> {
    let tree = work_tree::open(&arguments.path)?;
    let settings = work_tree::settings(&tree)?.unwrap_or_default();
    let scope = Scope::of_all(&settings);
    // Written where it is found, on all cores.
    let show = |path: &str, content: Content<'_>| {
        let mut file = look(path, content, &scope)?;
        if let Some(image) = &arguments.image {
            file.keep(image);
        }
        (!file.is_empty()).then(|| match arguments.output {
            Output::Json => file.in_json(),
            Output::Text => file.in_words(),
        })
    };
    let shown = tree.look(LARGEST_FILE, |path| scope.wants(path), show).map_err(|error| work_tree::failed(&error))?;
    let all = |part: fn(&Shown) -> &Vec<String>, between| {
        shown.iter().flat_map(part).map(String::as_str).collect::<Vec<_>>().join(between)
    };
    match arguments.output {
        Output::Json => {
            let (references, not_edited) = (all(|shown| &shown.references, ","), all(|shown| &shown.not_edited, ","));
            output::line(format!("{{\"references\":[{references}],\"notEdited\":[{not_edited}]}}"));
        }
        Output::Text if shown.is_empty() => {}
        Output::Text => output::line(all(|shown| &shown.references, "\n")),
    }
    Ok(if shown.is_empty() { Code::Nothing } else { Code::Ok })
}

/// Files that cannot be read are told when they name an image by the look of their words.
fn look(path: &str, content: Content<'_>, scope: &Scope<'_>) -> Option<FileReferences> {
    let (Content::Bytes(bytes) | Content::TooLarge(bytes)) = content;
    let claims = scope.claims(path);
    if claims.is_empty() && !tagboat_manifest::may_name_images(path, bytes) {
        return None;
    }
    let read = match content {
        Content::TooLarge(_) => Err(Unreadable::TooLarge),
        Content::Bytes(_) => tagboat_manifest::find(path, bytes, &claims),
    };
    let found = match read {
        Ok(found) => found,
        Err(why) => Found { references: Vec::new(), uneditable: unreadable(path, bytes, &why) },
    };
    let marked = tagboat_manifest::markers(bytes).unwrap_or_default();
    Some(FileReferences { file: path.to_owned(), found, marked })
}

/// One reference as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'r> {
    file: &'r str,
    line: usize,
    column: usize,
    format: Format,
    location: &'r str,
    name: Option<&'r str>,
    repository: Option<&'r ImageName>,
    tag: Option<&'r Tag>,
    digest: Option<&'r Digest>,
    pinned: Option<&'static str>,
    /// Of a marked place that nothing else recognises.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'r str>,
    markers: Vec<String>,
    followers: &'r [usize],
    shared_with: &'r [ImageName],
    locked: Option<&'r str>,
}

fn unreadable(path: &str, bytes: &[u8], why: &Unreadable) -> Vec<Uneditable> {
    tagboat_manifest::named_in_unreadable(path, bytes, why, |_| true)
}

impl FileReferences {
    fn is_empty(&self) -> bool {
        self.found.references.is_empty() && self.found.uneditable.is_empty() && self.marked.is_empty()
    }

    fn keep(&mut self, image: &ImageName) {
        self.found.references.retain(|reference| reference.image == *image);
        self.found.uneditable.retain(|place| place.image.as_ref() == Some(image));
        let spans: HashSet<usize> = self.found.references.iter().flat_map(starts).collect();
        self.marked.retain(|marked| start(marked).is_some_and(|start| spans.contains(&start)));
    }

    /// Marked values that nothing else recognises.
    fn lonely_markers(&self) -> impl Iterator<Item = &Marked> {
        let spans: HashSet<usize> = self.found.references.iter().flat_map(starts).collect();
        self.marked.iter().filter(move |marked| start(marked).is_none_or(|start| !spans.contains(&start)))
    }

    /// Markers by where their values begin.
    fn markers(&self) -> HashMap<usize, String> {
        self.marked.iter().filter_map(|marked| Some((start(marked)?, marker(marked)))).collect()
    }

    fn in_json(&self) -> Shown {
        let own = self.markers();
        let references = self.found.references.iter().map(|reference| Row {
            file: &reference.file,
            line: reference.line,
            column: reference.column,
            format: reference.format,
            location: &reference.location,
            name: Some(&reference.written_name),
            repository: Some(&reference.image),
            tag: reference.tag.as_ref(),
            digest: reference.digest.as_ref(),
            pinned: pinned(reference),
            value: None,
            markers: markers_of(reference, &own),
            followers: &reference.followers,
            shared_with: &reference.shared_with,
            locked: reference.locked.as_deref(),
        });
        let lonely = self.lonely_markers().map(|marked| Row {
            file: &self.file,
            line: marked.line,
            column: marked.column,
            format: Format::FluxMarker,
            location: "",
            name: None,
            repository: None,
            tag: None,
            digest: None,
            pinned: None,
            value: Some(value(marked)),
            markers: vec![marker(marked)],
            followers: &[],
            shared_with: &[],
            locked: None,
        });
        Shown {
            references: references.chain(lonely).filter_map(|row| serde_json::to_string(&row).ok()).collect(),
            not_edited: self.found.uneditable.iter().map(|place| uneditable_in_json(place).to_string()).collect(),
        }
    }

    fn in_words(&self) -> Shown {
        let mut lines = vec![styled(BOLD, &self.file)];
        let own = self.markers();
        for reference in &self.found.references {
            let place = format!("{}:{}", reference.line, reference.column);
            let digest = reference.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
            let tag = reference.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            let mut notes = vec![format!("{} {}", reference.format.as_str(), reference.location)];
            if !reference.followers.is_empty() {
                let followers: Vec<String> = reference.followers.iter().map(ToString::to_string).collect();
                notes.push(format!("repeated in lines {}", followers.join(", ")));
            }
            notes.extend(markers_of(reference, &own));
            notes.extend(reference.shared_with.iter().map(|image| format!("the version of {image} too")));
            notes.extend(reference.locked.clone());
            let notes = styled(DIM, notes.join(", "));
            lines.push(format!("  {place:<8} {}{tag}{digest}  {notes}", reference.image));
        }
        for marked in self.lonely_markers() {
            let place = format!("{}:{}", marked.line, marked.column);
            lines.push(format!("  {place:<8} {}  {}", value(marked), styled(DIM, marker(marked))));
        }
        let not_edited = self.found.uneditable.iter();
        lines.extend(
            not_edited.map(|place| format!("  {} {}", styled(YELLOW, "not edited"), uneditable_in_words(place))),
        );
        Shown { references: lines, not_edited: Vec::new() }
    }
}

/// Where the values of a reference begin.
fn starts(reference: &Reference) -> Vec<usize> {
    reference.scalars().iter().map(|scalar| scalar.span.start).collect()
}

/// Where a marked value begins.
fn start(marked: &Marked) -> Option<usize> {
    marked.scalar.as_ref().ok().map(|scalar| scalar.span.start)
}

fn markers_of(reference: &Reference, markers: &HashMap<usize, String>) -> Vec<String> {
    starts(reference).iter().filter_map(|start| markers.get(start).cloned()).collect()
}

fn marker(marked: &Marked) -> String {
    let part = match marked.part {
        MarkerPart::Image => "",
        MarkerPart::Name => ":name",
        MarkerPart::Tag => ":tag",
        MarkerPart::Digest => ":digest",
    };
    format!("{}{part}", marked.policy)
}

fn value(marked: &Marked) -> &str {
    marked.scalar.as_ref().map_or("", |scalar| scalar.value.as_str())
}

/// Which of tag and digest it carries.
fn pinned(reference: &Reference) -> Option<&'static str> {
    match (&reference.tag, &reference.digest) {
        (Some(_), Some(_)) => Some("tagAndDigest"),
        (Some(_), None) => Some("tag"),
        (None, Some(_)) => Some("digest"),
        (None, None) => None,
    }
}
