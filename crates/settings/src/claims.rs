//! From what image entries say of places to claims that files can be searched with.

use tagboat_manifest::{Claim, Place};
use tagboat_model::ExplicitPlace;
use tagboat_promotion::{ImageEntry, PathPattern};

/// What an entry, as it holds in an environment, says of places, each with the files it speaks of. The places were checked
/// when the file was read.
#[must_use]
pub fn claims(entry: &ImageEntry) -> Vec<(PathPattern, Claim)> {
    let claim = |place: &ExplicitPlace| {
        let (image, aliases) = (entry.image.clone(), entry.aliases.clone());
        Some((place.file.parse().ok()?, Claim { place: Place::parse(place).ok()?, image, aliases }))
    };
    entry.references.iter().filter_map(claim).collect()
}
