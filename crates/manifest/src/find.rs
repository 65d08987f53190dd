//! From a file's bytes to its references.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use tagboat_model::{ImageName, Reference, Uneditable};

use crate::{
    Claim, LARGEST_FILE, Unreadable, claim,
    collector::{Collector, Finding, Findings},
    format, ignore,
    yaml::{self, Documents, Origin},
};

/// Images that are named of those that share bytes.
const MOST_SHARING: usize = 5;

/// What was found in one file, in the order in which it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The references.
    pub references: Vec<Reference>,
    /// Places that seem to name an image and are never edited.
    pub uneditable: Vec<Uneditable>,
}

/// Whether a file of this name can hold references that nobody names in words.
#[must_use]
pub fn is_candidate(path: &str) -> bool {
    if tagboat_model::is_reserved_path(path) {
        return false;
    }
    let name = format::file_name(path);
    let ends = |ending: &str| name.len() > ending.len() && name.ends_with(ending);
    ends(".yaml") || ends(".yml") || ends(".json") || name == "Kustomization" || format::is_dockerfile(path)
}

/// Find every reference in one file, and those that `claims` name in it.
///
/// # Errors
/// [`Unreadable`] when the file cannot be read as what its name says.
pub fn find(path: &str, bytes: &[u8], claims: &[&Claim]) -> Result<Found, Unreadable> {
    if bytes.len() > LARGEST_FILE {
        return Err(Unreadable::TooLarge);
    }
    let source = std::str::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8)?;
    let ignored = ignore::Ignored::of(source);
    if ignored.whole_file {
        return Ok(Found::default());
    }
    let mut findings = if !is_candidate(path) {
        Findings::default()
    } else if format::is_dockerfile(path) {
        format::find_in_dockerfile(path, source)
    } else {
        yaml::with_documents(source, Origin::default(), false, |_, documents| in_documents(path, source, documents))?
    };
    let mut claimed = Findings::default();
    for claim in claims {
        claim::find(claim, path, source, &mut claimed)?;
    }
    let claimed_from = findings.references.len();
    findings.references.extend(claimed.references);
    findings.uneditable.extend(claimed.uneditable);
    findings.references = without_repeats(findings.references, claimed_from);
    findings.references.retain(|finding| !finding.lines.iter().any(|line| ignored.lines.contains(line)));
    findings.uneditable.retain(|uneditable| !ignored.lines.contains(&uneditable.line));
    Ok(finish(findings))
}

fn in_documents(path: &str, source: &str, documents: &Documents<'_>) -> Findings {
    let mut collector = Collector::new(path, source, documents);
    for root in &documents.roots {
        format::find(path, root, &mut String::new(), &mut collector);
    }
    let mut findings = collector.finish();
    let encrypted = |root: &yaml::Node<'_>| {
        root.get("sops").is_some_and(|sops| ["mac", "lastmodified"].iter().any(|key| sops.get(key).is_some()))
    };
    if documents.roots.iter().any(encrypted) {
        // Its checksum covers values that are not encrypted too.
        let why = "the file is encrypted with SOPS, which checks all of its values; edit it with `sops`";
        findings.references.iter_mut().for_each(|finding| finding.reference.locked = Some(why.to_owned()));
    }
    findings
}

fn spans(reference: &Reference) -> impl Iterator<Item = Range<usize>> {
    reference.scalars().into_iter().map(|scalar| scalar.span.clone()).collect::<Vec<_>>().into_iter()
}

/// One reference for the same bytes of the same image. A claim on what was found anyway marks that.
fn without_repeats(findings: Vec<Finding>, claimed_from: usize) -> Vec<Finding> {
    let mut seen: HashMap<(ImageName, Vec<(usize, usize)>), usize> = HashMap::new();
    let mut starts: HashMap<(ImageName, usize), usize> = HashMap::new();
    let mut kept: Vec<Finding> = Vec::new();
    for (index, finding) in findings.into_iter().enumerate() {
        let image = finding.reference.image.clone();
        let places: Vec<(usize, usize)> = spans(&finding.reference).map(|span| (span.start, span.end)).collect();
        let earlier = match index >= claimed_from {
            true => places.first().and_then(|(start, _)| starts.get(&(image.clone(), *start))),
            false => seen.get(&(image.clone(), places.clone())).filter(|_| !places.is_empty()),
        };
        if let Some(earlier) = earlier.and_then(|earlier| kept.get_mut(*earlier)) {
            earlier.lines.extend(finding.lines);
            earlier.reference.claimed |= finding.reference.claimed;
            continue;
        }
        starts.extend(places.iter().map(|(start, _)| ((image.clone(), *start), kept.len())));
        seen.insert((image, places), kept.len());
        kept.push(finding);
    }
    kept
}

/// Say which references share bytes with those of other images, and put all in order.
fn finish(findings: Findings) -> Found {
    let mut references: Vec<Reference> = findings.references.into_iter().map(|finding| finding.reference).collect();
    let mut places: Vec<(usize, usize, usize)> = Vec::new();
    for (index, reference) in references.iter().enumerate() {
        places.extend(spans(reference).map(|span| (span.start, span.end, index)));
    }
    places.sort_unstable();
    for cluster in clusters(&places) {
        let images: BTreeSet<ImageName> =
            cluster.iter().filter_map(|(_, _, index)| references.get(*index)).map(|it| it.image.clone()).collect();
        if images.len() < 2 {
            continue;
        }
        for (_, _, index) in cluster {
            if let Some(reference) = references.get_mut(*index) {
                let others = images.iter().filter(|image| **image != reference.image).take(MOST_SHARING).cloned();
                let others: Vec<ImageName> = others.filter(|image| !reference.shared_with.contains(image)).collect();
                reference.shared_with.extend(others);
            }
        }
    }
    references.sort_by_key(|reference| (reference.line, reference.column));
    let mut uneditable = findings.uneditable;
    uneditable.sort();
    uneditable.dedup();
    Found { references, uneditable }
}

/// Runs of places of which each overlaps one before it. `places` are sorted; insertions at one point overlap.
fn clusters(places: &[(usize, usize, usize)]) -> Vec<&[(usize, usize, usize)]> {
    let mut clusters = Vec::new();
    let (mut from, mut end) = (0, 0);
    for (at, (start, stop, _)) in places.iter().enumerate() {
        let touches = at > from && (*start < end || places.get(at - 1).is_some_and(|(before, _, _)| before == start));
        if !touches {
            clusters.extend(places.get(from..at).filter(|run| !run.is_empty()));
            (from, end) = (at, 0);
        }
        end = end.max(*stop);
    }
    clusters.extend(places.get(from..).filter(|run| !run.is_empty()));
    clusters
}

/// Line (from 1) and column (from 1) of a value, given its keys and indices, as in `["images", "0", "name"]`;
/// of the nearest ancestor that exists, when the value itself does not.
#[must_use]
pub fn locate(text: &str, path: &[&str]) -> Option<(usize, usize)> {
    let locate = |_: &str, documents: &Documents<'_>| documents.roots.first().map(|document| document.locate(path));
    yaml::with_documents(text, Origin::default(), false, locate).ok()?
}
