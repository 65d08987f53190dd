//! The first pull request in a repository without `.tagboat.yaml`: a file made from what is found there.
//!
//! Guesses, and says so in comments: what tags look like becomes a policy, what folders are called an environment.
//! Whoever reviews decides.

mod environments;
mod policies;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use tagboat_model::{ImageName, Reference};

use crate::pull::text::Words;

/// Images that are listed.
const MOST_IMAGES: usize = 500;
/// In bytes, of a name.
const LONGEST_NAME: usize = 50;

/// The text of a `.tagboat.yaml` for these references; nothing where none of them carries a version.
#[must_use]
pub fn propose_file(found: &[Reference]) -> Option<String> {
    let mut images: BTreeMap<&ImageName, Vec<&Reference>> = BTreeMap::new();
    for reference in found.iter().filter(|reference| reference.tag.is_some() || reference.digest.is_some()) {
        images.entry(&reference.image).or_default().push(reference);
    }
    if images.is_empty() {
        return None;
    }
    let more = images.len().saturating_sub(MOST_IMAGES);
    let images: BTreeMap<&ImageName, Vec<&Reference>> = images.into_iter().take(MOST_IMAGES).collect();
    let mut text = String::from(
        "# How Tagboat keeps the images of this repository up to date.\n# It was guessed from the files that are here: read it, and change what is wrong.\nimages:\n",
    );
    let mut names = BTreeSet::new();
    for (image, references) in &images {
        let name = name_of(image, &mut names);
        let policy = policies::policy(references);
        let _ = write!(text, "  - name: \"{name}\"\n    image: \"{image}\"\n{policy}");
    }
    if more > 0 {
        let _ = writeln!(text, "  # {more} more images were found; add those that you want here.");
    }
    let references: Vec<&Reference> = images.into_values().flatten().collect();
    text.push_str(&environments::environments(&references));
    Some(text)
}

/// The last part of the image's name, with more of it where that is taken.
fn name_of(image: &ImageName, taken: &mut BTreeSet<String>) -> String {
    let parts: Vec<&str> = image.repository().split('/').collect();
    for count in 1..=parts.len() {
        let name = short(&parts.get(parts.len() - count..).unwrap_or_default().join("-"));
        if taken.insert(name.clone()) {
            return name;
        }
    }
    let base = short(&image.repository().replace('/', "-"));
    let mut number = 2_usize;
    loop {
        let name = format!("{base}-{number}");
        if taken.insert(name.clone()) {
            return name;
        }
        number += 1;
    }
}

/// A path of a repository is lower-case ASCII, so that it can be cut anywhere.
fn short(name: &str) -> String {
    name.get(..LONGEST_NAME).unwrap_or(name).to_owned()
}

/// Title and text of that pull request; `found` is how many references there are.
#[must_use]
pub fn onboarding_words(found: usize, file: &str) -> Words {
    let images = file.lines().filter(|line| line.starts_with("    image: ")).count();
    let (references, images) = (counted(found, "reference"), counted(images, "image"));
    Words {
        title: "Configure Tagboat".to_owned(),
        body: format!(
            "Tagboat found {references} to {images} in this repository. It changes nothing until there is a `.tagboat.yaml`; this proposes one.\n\n**What happens when you merge it**: Tagboat looks for newer versions as the policies say, and brings them to the environments as `deliver` says, by commit or by pull request. A check on this pull request shows what it would do at once.\n\n**To change it**, commit on this branch: Tagboat does not write over it. Images that you leave out are left alone. `deliver: pullRequest` asks for every change; `deliver: commit` does not.\n\n**If you do not want it**, close this without merging. That means no, and Tagboat does not ask again.\n"
        ),
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
