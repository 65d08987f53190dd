//! Which lines follow an edit because an alias repeats what is edited.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use crate::{collector::Finding, yaml::Documents};

/// Lines of aliases that are told of one reference.
const MOST_FOLLOWERS: usize = 20;

/// Find the lines of the aliases that repeat a scalar of a reference: those of its own anchor, and of every anchor
/// around it. Anchors and scalars are passed once, in the order in which they stand.
pub(crate) fn find(documents: &Documents<'_>, references: &mut [Finding]) {
    if documents.aliases.is_empty() {
        return;
    }
    let mut lines: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (anchor, line) in &documents.aliases {
        let lines = lines.entry(*anchor).or_default();
        if lines.len() < MOST_FOLLOWERS {
            lines.insert(*line);
        }
    }
    let mut anchors: Vec<_> = documents.anchors.iter().filter(|anchor| lines.contains_key(&anchor.number)).collect();
    anchors.sort_by_key(|anchor| (anchor.span.start, Reverse(anchor.span.end)));
    let mut scalars: Vec<(Range<usize>, usize)> = Vec::new();
    for (index, finding) in references.iter().enumerate() {
        scalars.extend(finding.reference.scalars().into_iter().map(|scalar| (scalar.span.clone(), index)));
    }
    scalars.sort_by_key(|(span, _)| span.start);
    let (mut next, mut around) = (0, Vec::new());
    for (span, index) in scalars {
        while let Some(anchor) = anchors.get(next).filter(|anchor| anchor.span.start <= span.start) {
            around.push(*anchor);
            next += 1;
        }
        // What has ended is around nothing that comes; nesting is bounded.
        around.retain(|anchor| anchor.span.end >= span.end);
        let numbers = around.iter().filter_map(|anchor| lines.get(&anchor.number));
        let found: BTreeSet<usize> = numbers.flatten().copied().take(MOST_FOLLOWERS).collect();
        if let Some(finding) = references.get_mut(index) {
            let all = finding.reference.followers.iter().copied().chain(found).collect::<BTreeSet<_>>();
            finding.reference.followers = all.into_iter().collect();
        }
    }
}
