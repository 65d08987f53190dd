//! Image entries that follow from patterns: one for every image that is named in a file and that a pattern matches.
//!
//! Pure, and the same whatever the order in which entries and images are given; the order of the patterns counts. Does not
//! look for images: who gathers says which are named.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use sha2::{Digest as _, Sha256};
use tagboat_model::{EntryName, ImageName};

use crate::{ImageEntry, ImagePattern};

/// Longest name of an entry.
const LONGEST_NAME: usize = 63;
/// Hexadecimal digits that a name gets at first when parts of the image are not enough.
const DIGITS: usize = 8;
/// And at most. With them there is room for one letter and a dash.
const MOST_DIGITS: usize = 56;

/// The folder that something is about; nothing means all.
type Scope<'s> = Option<&'s str>;

/// Entries for the images that a pattern matches and that no entry claims by any of its names. Of several patterns the first
/// that matches wins; two of folders that have nothing in common both do. The name of an entry is the last part of the
/// image's repository, with more parts in front of it where names would be equal.
#[must_use]
pub fn expand(patterns: &[ImagePattern], entries: &[ImageEntry], named: &BTreeSet<ImageName>) -> Vec<ImageEntry> {
    let mut claimed: BTreeMap<&ImageName, Vec<Scope<'_>>> = BTreeMap::new();
    for entry in entries {
        for name in entry.names() {
            claimed.entry(name).or_default().push(entry.folder.as_deref());
        }
    }
    let mut found: Vec<(&ImageName, &ImagePattern)> = Vec::new();
    for image in named {
        let mut scopes = claimed.get(image).cloned().unwrap_or_default();
        let written = image.to_string();
        for pattern in patterns {
            let scope = pattern.folder.as_deref();
            if pattern.pattern.matches(&written) && !scopes.iter().any(|taken| overlap(*taken, scope)) {
                scopes.push(scope);
                found.push((image, pattern));
            }
        }
    }
    let taken: BTreeSet<String> = entries.iter().map(|entry| entry.name.as_str().to_ascii_lowercase()).collect();
    let candidates: Vec<Candidate<'_>> = found.iter().map(|(image, pattern)| Candidate::of(image, pattern)).collect();
    let names = names(&candidates, &taken);
    found.iter().zip(names).filter_map(|((image, pattern), name)| Some(entry(pattern, image, name?))).collect()
}

fn entry(pattern: &ImagePattern, image: &ImageName, name: EntryName) -> ImageEntry {
    ImageEntry {
        name,
        image: image.clone(),
        selection: pattern.selection.clone(),
        pin: pattern.pin,
        verify: pattern.verify.clone(),
        aliases: Vec::new(),
        references: Vec::new(),
        folder: pattern.folder.clone(),
    }
}

/// Whether a file may lie in both.
fn overlap(one: Scope<'_>, other: Scope<'_>) -> bool {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match (one, other) {
        (Some(one), Some(other)) => within(one, other) || within(other, one),
        _ => true,
    }
}

/// What names are made of.
struct Candidate<'c> {
    /// The folder's parts, the registry, the repository's parts.
    parts: Vec<&'c str>,
    /// What no other has.
    identity: String,
}

impl<'c> Candidate<'c> {
    fn of(image: &'c ImageName, pattern: &'c ImagePattern) -> Self {
        let folder = pattern.folder.as_deref().unwrap_or_default();
        let folders = folder.split('/').filter(|part| !part.is_empty());
        let parts = folders.chain([image.registry()]).chain(image.repository().split('/')).collect();
        Self { parts, identity: format!("{image} {folder}") }
    }

    /// The name of so many parts from the right. Behind the last part there are names with ever more digits.
    fn name(&self, level: usize) -> String {
        let digits = level.saturating_sub(self.parts.len()).saturating_mul(DIGITS).min(MOST_DIGITS);
        if digits > 0 {
            let last = self.parts.last().copied().unwrap_or_default();
            let mut hash = hash(&self.identity);
            hash.truncate(digits);
            let room = LONGEST_NAME.saturating_sub(digits + 1);
            let short: String = cleaned(last).chars().take(room).collect();
            return format!("{short}-{hash}");
        }
        let from = self.parts.len().saturating_sub(level);
        let parts: Vec<&str> = self.parts.iter().skip(from).copied().collect();
        cleaned(&parts.join("-"))
    }

    fn is_last(&self, level: usize) -> bool {
        level >= self.parts.len() + MOST_DIGITS / DIGITS
    }
}

/// A name for each, no two equal and none that is taken, with regard to file systems that ignore case.
fn names(candidates: &[Candidate<'_>], taken: &BTreeSet<String>) -> Vec<Option<EntryName>> {
    let mut levels = vec![1_usize; candidates.len()];
    loop {
        let names: Vec<String> =
            candidates.iter().zip(&levels).map(|(candidate, level)| candidate.name(*level)).collect();
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &names {
            *uses.entry(name).or_default() += 1;
        }
        let is_good = |name: &str| uses.get(name) == Some(&1) && !taken.contains(name);
        let mut changed = false;
        for ((candidate, level), name) in candidates.iter().zip(&mut levels).zip(&names) {
            if !is_good(name) && !candidate.is_last(*level) {
                *level += 1;
                changed = true;
            }
        }
        if !changed {
            return names.iter().map(|name| name.parse().ok().filter(|_| is_good(name))).collect();
        }
    }
}

/// A text as a name can be: its end, which says more than its beginning.
fn cleaned(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let text: String = text.to_ascii_lowercase().chars().map(plain).collect();
    let from = text.len().saturating_sub(LONGEST_NAME);
    let end = text.get(from..).unwrap_or_default().trim_start_matches(['-', '_', '.']);
    if end.is_empty() { "image".to_owned() } else { end.to_owned() }
}

fn hash(text: &str) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use tagboat_model::Pin;
    use tagboat_policy::{Newest, Policy, Selection};

    use super::*;

    fn pattern(pattern: &str, folder: Option<&str>) -> ImagePattern {
        ImagePattern {
            pattern: pattern.parse().unwrap(),
            selection: Selection::from(Policy::Newest(Newest {})),
            pin: Pin::default(),
            verify: None,
            folder: folder.map(str::to_owned),
        }
    }

    fn explicit(name: &str, image: &str, folder: Option<&str>) -> ImageEntry {
        let pattern = pattern("**", folder);
        entry(&pattern, &image.parse().unwrap(), name.parse().unwrap())
    }

    fn named(images: &[&str]) -> BTreeSet<ImageName> {
        images.iter().map(|image| image.parse().unwrap()).collect()
    }

    fn shown(entries: &[ImageEntry]) -> Vec<String> {
        let folder = |entry: &ImageEntry| entry.folder.as_ref().map(|folder| format!(" in {folder}"));
        let one = |entry: &ImageEntry| format!("{}={}{}", entry.name, entry.image, folder(entry).unwrap_or_default());
        entries.iter().map(one).collect()
    }

    #[test]
    fn every_named_image_that_matches_gets_an_entry() {
        let patterns = [pattern("ghcr.io/acme/*", None)];
        let named = named(&["ghcr.io/acme/web", "ghcr.io/acme/api", "ghcr.io/acme/deep/er", "nginx"]);
        assert_eq!(shown(&expand(&patterns, &[], &named)), ["api=ghcr.io/acme/api", "web=ghcr.io/acme/web"]);
        assert!(expand(&[], &[], &named).is_empty());
    }

    #[test]
    fn an_entry_of_its_own_goes_before_by_any_of_its_names() {
        let patterns = [pattern("**", None)];
        let mut web = explicit("frontend", "ghcr.io/acme/web", None);
        web.aliases.push("mirror.example/acme/web".parse().unwrap());
        let named = named(&["ghcr.io/acme/web", "mirror.example/acme/web", "ghcr.io/acme/api"]);
        assert_eq!(shown(&expand(&patterns, &[web], &named)), ["api=ghcr.io/acme/api"]);
    }

    #[test]
    fn the_first_pattern_that_matches_wins() {
        let mut first = pattern("ghcr.io/acme/*", None);
        first.pin = Pin::Tag;
        let patterns = [first, pattern("ghcr.io/**", None)];
        let pins: Vec<Pin> = expand(&patterns, &[], &named(&["ghcr.io/acme/web", "ghcr.io/other/x"]))
            .iter()
            .map(|entry| entry.pin)
            .collect();
        assert_eq!(pins, [Pin::Tag, Pin::default()]);
    }

    #[test]
    fn names_that_would_be_equal_get_more_parts() {
        let patterns = [pattern("**", None)];
        let taken = [explicit("api", "ghcr.io/acme/other", None)];
        let named = named(&["ghcr.io/a/web", "ghcr.io/b/web", "quay.io/b/web", "ghcr.io/acme/api", "ghcr.io/c/db"]);
        assert_eq!(
            shown(&expand(&patterns, &taken, &named)),
            [
                "a-web=ghcr.io/a/web",
                "acme-api=ghcr.io/acme/api",
                "ghcr.io-b-web=ghcr.io/b/web",
                "db=ghcr.io/c/db",
                "quay.io-b-web=quay.io/b/web",
            ]
        );
    }

    #[test]
    fn folders_that_have_nothing_in_common_both_get_theirs() {
        let patterns = [pattern("ghcr.io/**", Some("teams/a")), pattern("ghcr.io/**", Some("teams/b"))];
        let one = named(&["ghcr.io/x/web"]);
        assert_eq!(
            shown(&expand(&patterns, &[], &one)),
            ["a-ghcr.io-x-web=ghcr.io/x/web in teams/a", "b-ghcr.io-x-web=ghcr.io/x/web in teams/b"]
        );
        let of_a = [explicit("own", "ghcr.io/x/web", Some("teams/a"))];
        assert_eq!(shown(&expand(&patterns, &of_a, &one)), ["web=ghcr.io/x/web in teams/b"]);
        let nested = [pattern("**", Some("teams")), pattern("**", Some("teams/b"))];
        assert_eq!(shown(&expand(&nested, &[], &one)), ["web=ghcr.io/x/web in teams"]);
        assert!(!overlap(Some("teams/a"), Some("teams/ab")) && overlap(None, Some("teams/a")));
    }

    #[test]
    fn what_cannot_be_a_name_is_cleaned() {
        let long = format!("ghcr.io/{}", "a".repeat(100));
        let patterns = [pattern("**", None)];
        let images = named(&["localhost:5000/x/web", "localhost:5001/x/web", &long, "a-b/c", "a/b-c", "x/c", "x/b-c"]);
        let entries = expand(&patterns, &[], &images);
        let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names.len(), images.len());
        assert!(names.contains("localhost-5000-x-web") && names.contains("a".repeat(63).as_str()), "{names:?}");
        assert_eq!(cleaned("[::1]"), "1-");
        assert_eq!(cleaned("---"), "image");
    }

    /// Images over a small alphabet, so that names collide in every way.
    fn crowded(seed: usize) -> BTreeSet<ImageName> {
        let parts = ["a", "b", "a-b", "b-a", "a.b"];
        let hosts = ["ghcr.io", "localhost:1", "a.b", "a-b.c"];
        let pick = |list: &[&'static str], number: usize| list.get(number % list.len()).copied().unwrap_or("a");
        (0..12)
            .map(|step| {
                let number = (seed + 1) * 7919 + step * 104_729;
                let host = pick(&hosts, number / 3);
                let path = [pick(&parts, number), pick(&parts, number / 5), pick(&parts, number / 25)];
                let depth = 1 + number % 3;
                format!("{host}/{}", path.iter().take(depth).copied().collect::<Vec<_>>().join("/")).parse().unwrap()
            })
            .collect()
    }

    #[test]
    fn names_are_unique_and_depend_on_no_order() {
        let patterns = [pattern("ghcr.io/**", None), pattern("**", Some("teams/a")), pattern("**", Some("teams/b"))];
        for seed in 0..200 {
            let named = crowded(seed);
            let mut taken = vec![
                explicit("a", "quay.io/x/y", None),
                explicit("A-B", "quay.io/x/z", None),
                explicit("b", "b", None),
            ];
            let entries = expand(&patterns, &taken, &named);
            let names: BTreeSet<String> = entries.iter().map(|entry| entry.name.to_string()).collect();
            assert_eq!(names.len(), entries.len(), "seed {seed}");
            for entry in &taken {
                assert!(!names.contains(&entry.name.as_str().to_ascii_lowercase()), "seed {seed}: {}", entry.name);
            }
            taken.reverse();
            assert_eq!(shown(&entries), shown(&expand(&patterns, &taken, &named)), "seed {seed}");
            let images: BTreeSet<&ImageName> = entries.iter().map(|entry| &entry.image).collect();
            assert!(named.iter().all(|image| images.contains(image)), "seed {seed}");
        }
    }
}
