//! Fuzz target: paths and regular expressions into YAML, JSON, TOML and text. The first line says which, the rest is the
//! file.

#![no_main]

#[path = "../check.rs"]
mod check;

use tagboat_manifest::{Claim, Place};
use tagboat_model::{ExplicitPlace, Locator, PlacePart};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (how, text) = text.split_once('\n').unwrap_or((text, ""));
    let (kind, how) = how.split_at_checked(1).unwrap_or(("p", how));
    let (file, locator) = match kind {
        "r" => ("a.sh", Locator::Regex(how.to_owned())),
        "t" => ("a.toml", Locator::Path(how.to_owned())),
        "j" => ("a.json", Locator::Path(how.to_owned())),
        _ => ("a.yaml", Locator::Path(how.to_owned())),
    };
    for part in [PlacePart::Image, PlacePart::Tag, PlacePart::Digest] {
        let place = ExplicitPlace { file: file.to_owned(), locator: locator.clone(), part };
        let Ok(place) = Place::parse(&place) else { return };
        let image = "ghcr.io/acme/web".parse().expect("it is an image");
        check::with_claims(file, text.as_bytes(), &[&Claim { place, image, aliases: Vec::new() }]);
    }
});
