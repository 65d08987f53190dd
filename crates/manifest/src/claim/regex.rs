//! Regular expressions with named groups, for text of any kind: HCL, Jsonnet, scripts.
//!
//! `image` is `name[:tag][@digest]`; `tag` and `digest` stand alone; `repository` is not edited: a match whose
//! `repository` is another image's is passed over, so that one expression serves for many images. Syntax: RE2, as
//! everywhere in Tagboat; `^` and `$` match at lines.

use regex::{Match, Regex, RegexBuilder};
use tagboat_model::{Format, ImageName, Parts, Reference, Scalar, ScalarStyle, WrittenImage};

use super::{Claimed, PlaceError};
use crate::{names, position::Lines};

#[derive(Debug, Clone)]
pub(super) struct Groups(Regex);

impl Groups {
    pub(super) fn parse(pattern: &str) -> Result<Self, PlaceError> {
        let regex = RegexBuilder::new(pattern).multi_line(true).build().map_err(|error| PlaceError::Regex {
            pattern: pattern.to_owned(),
            why: error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        })?;
        let named = |group: &str| regex.capture_names().flatten().any(|name| name == group);
        if ["image", "tag", "digest"].iter().any(|group| named(group)) {
            Ok(Self(regex))
        } else {
            Err(PlaceError::NoGroup { pattern: pattern.to_owned() })
        }
    }

    pub(super) fn find(&self, source: &str, claimed: &mut Claimed<'_>) {
        let lines = Lines::of(source);
        for captures in self.0.captures_iter(source) {
            let text = |group: &str| captures.name(group).filter(|found| !found.is_empty());
            let claim = claimed.claim;
            let other =
                |repository: Match<'_>| !repository.as_str().parse().is_ok_and(|name: ImageName| claim.is_image(&name));
            if text("repository").is_some_and(other) {
                continue;
            }
            match text("image") {
                Some(image) => whole(&lines, image, claimed),
                None => separate(&lines, text("tag"), text("digest"), claimed),
            }
        }
    }
}

fn scalar(found: Match<'_>) -> Scalar {
    Scalar { span: found.range(), style: ScalarStyle::Text, value: found.as_str().to_owned() }
}

fn whole(lines: &Lines<'_>, found: Match<'_>, claimed: &mut Claimed<'_>) {
    let at = lines.position(found.start());
    match found.as_str().parse::<WrittenImage>() {
        Ok(image) if claimed.claim.is_image(&image.name) => {
            let parts = Parts::Whole(scalar(found));
            let reference = claimed.reference(Format::Regex, parts, (image.tag, image.digest), at, "");
            claimed.push(Reference { written_name: image.written_name, ..reference });
        }
        // One expression may serve for many images.
        Ok(_) => {}
        Err(_) => claimed.uneditable(at.line, format!("`{}` is no image", found.as_str())),
    }
}

fn separate(lines: &Lines<'_>, tag: Option<Match<'_>>, digest: Option<Match<'_>>, claimed: &mut Claimed<'_>) {
    let Some(first) = tag.or(digest) else { return };
    let at = lines.position(first.start());
    let text = |found: Option<Match<'_>>| found.map(|found| found.as_str().to_owned()).unwrap_or_default();
    match names::version(&text(tag), &text(digest)) {
        Ok(version) => {
            let parts = match tag {
                Some(tag) if version.joined => Parts::Joined(scalar(tag)),
                _ => Parts::Split { tag: tag.map(scalar), digest: digest.map(scalar) },
            };
            claimed.add(Format::Regex, parts, (version.tag, version.digest), at, "");
        }
        Err(other) => claimed.uneditable(at.line, format!("`{other}` is neither tag nor digest")),
    }
}
