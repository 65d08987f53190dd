//! `images` of the repository file: the entries, each for one image or for all that a pattern matches.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tagboat_model::{Duration, EntryName, ImageName, Pattern as NamePattern, Pin, Platform};
use tagboat_policy::{FilterTags, Jump, Pattern, Policy, Selection};
use tagboat_promotion::{ImageEntry, ImageOverride, ImagePattern};

use super::{
    Part, RepositorySettings,
    defaults::choose,
    places::{PlaceFile, places},
    wrong::Wrong,
};
use crate::{Problem, VerifyFile};

/// An entry under `images`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageFile {
    /// A name for it, unique in this file and all that are included. Not for a pattern, whose images get names of their own:
    /// the last part of their path, with more parts in front where names would be equal.
    #[serde(default)]
    pub name: Option<EntryName>,
    /// The image, without tag: `ghcr.io/acme/web`. Or a pattern, `ghcr.io/acme/*`, with `*` for one part of the path and
    /// `**` for any: every image that matches, is named in a file and has no entry of its own gets one like this.
    pub image: ImageOrPattern,
    /// How its version is chosen. Default: as `defaults` say.
    #[serde(default)]
    pub policy: Option<Policy>,
    /// Only tags that a pattern matches, and what of them is compared. Default: as `defaults` say, else all tags, compared
    /// as a whole.
    #[serde(default)]
    pub filter_tags: Option<FilterTags>,
    /// Regular expressions: tags that one of them matches are left out. Default: as `defaults` say, else none.
    #[serde(default)]
    pub exclude: Option<Vec<Pattern>>,
    /// Regular expressions: only tags that one of them matches. Default: as `defaults` say, else all.
    #[serde(default)]
    pub allow: Option<Vec<Pattern>>,
    /// How old a version has to be, since it appeared at the registry. Default: as `defaults` say, else any age.
    #[serde(default)]
    pub minimum_age: Option<Duration>,
    /// The platforms that have to be there, all of them: `linux/amd64`. Until then the version waits. Default: as `defaults`
    /// say, else any.
    #[serde(default)]
    pub platforms: Option<Vec<Platform>>,
    /// Whether a version below the current may be chosen. Default: as `defaults` say, else false.
    #[serde(default)]
    pub allow_downgrade: Option<bool>,
    /// How far one step may go from the version that runs. Default: as `defaults` say, else any distance.
    #[serde(default)]
    pub maximum_jump: Option<Jump>,
    /// Who must have signed it. Until then the version waits. Default: as `defaults` say, else nobody.
    #[serde(default)]
    pub verify: Option<VerifyFile>,
    /// What references carry after an edit. Default: as `defaults` say, else what they carry now.
    #[serde(default)]
    pub pin: Option<Pin>,
    /// Other names of the image in files, of mirrors and pull-through caches. Each reference keeps the name it has. Not for a
    /// pattern. Default: none.
    #[serde(default)]
    pub aliases: Vec<ImageName>,
    /// Places that Tagboat does not find by itself, or that have a key missing. Not for a pattern. Default: none.
    #[serde(default)]
    pub references: Vec<PlaceFile>,
}

/// An image, or a pattern of images, which has a `*`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub enum ImageOrPattern {
    /// One image.
    Image(ImageName),
    /// Every image that matches.
    Pattern(NamePattern),
}

impl TryFrom<String> for ImageOrPattern {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        if !written.contains('*') {
            return written.parse().map(Self::Image).map_err(|error: tagboat_model::ImageError| error.to_string());
        }
        written.parse::<tagboat_intake::ImagePattern>().map_err(|error| error.to_string())?;
        // As names of images have the host: `index.docker.io` is `docker.io`.
        let host = written.split_once('/').filter(|(host, _)| !host.contains('*'));
        let meant = host.and_then(|(host, path)| {
            let name = ImageName::at(host, "any/name").ok()?;
            Some(format!("{}/{path}", name.registry()))
        });
        let pattern = meant.unwrap_or(written).parse::<NamePattern>();
        pattern.map(Self::Pattern).map_err(|error| error.to_string())
    }
}

/// What an entry of the file is.
enum Entry {
    Image(ImageEntry),
    Pattern(ImagePattern),
}

/// Read the entries of all files.
pub(super) fn read(
    parts: &[Part<'_>],
    defaults: &ImageOverride,
    settings: &mut RepositorySettings,
) -> Result<(), Problem> {
    let mut origins: BTreeMap<EntryName, &str> = BTreeMap::new();
    for part in parts {
        for (index, file) in part.images.iter().enumerate() {
            let problem = |wrong: Wrong| part.document.problem(wrong.below(&["images", &index.to_string()]));
            match entry_of(file, defaults, part.document.folder).map_err(problem)? {
                Entry::Pattern(pattern) => settings.patterns.push(pattern),
                Entry::Image(entry) => {
                    if let Some(first) = origins.get(&entry.name) {
                        return Err(problem(taken("image entry", entry.name.as_str(), first, part.document.source)));
                    }
                    origins.insert(entry.name.clone(), part.document.source);
                    settings.images.push(entry);
                }
            }
        }
    }
    Ok(())
}

/// That a name was given before, in this file or in another.
pub(super) fn taken(what: &str, name: &str, first: &str, here: &str) -> Wrong {
    let message = if first == here {
        format!("another {what} is named `{name}` already; names are unique")
    } else {
        format!("another {what} is named `{name}` already, in {first}; names are unique over all files")
    };
    Wrong::at(&["name"], message)
}

fn entry_of(file: &ImageFile, defaults: &ImageOverride, folder: Option<&str>) -> Result<Entry, Wrong> {
    let verify = file.verify.as_ref().map(VerifyFile::read).transpose();
    let own = ImageOverride {
        policy: file.policy.clone(),
        filter_tags: file.filter_tags.clone(),
        exclude: file.exclude.clone(),
        allow: file.allow.clone(),
        minimum_age: file.minimum_age,
        platforms: file.platforms.clone(),
        allow_downgrade: file.allow_downgrade,
        maximum_jump: file.maximum_jump,
        pin: file.pin,
        verify: verify.map_err(|message| Wrong::at(&["verify"], message))?,
        ..ImageOverride::default()
    };
    let (selection, pin, verify) = choose(own, defaults)?;
    let references = places(&file.references, folder).map_err(|message| Wrong::at(&["references"], message))?;
    let folder = folder.map(str::to_owned);
    match (&file.image, &file.name) {
        (ImageOrPattern::Image(image), Some(name)) => {
            let (name, image, aliases) = (name.clone(), image.clone(), file.aliases.clone());
            Ok(Entry::Image(ImageEntry { name, image, selection, pin, verify, aliases, references, folder }))
        }
        (ImageOrPattern::Image(_), None) => Err(Wrong::at(&[], "the key `name` is missing")),
        (ImageOrPattern::Pattern(pattern), None) => {
            let meaningless = [("aliases", file.aliases.is_empty()), ("references", file.references.is_empty())];
            if let Some((key, _)) = meaningless.into_iter().find(|(_, is_empty)| !is_empty) {
                let message = format!(
                    "`{key}` are those of one image, and `image` is a pattern; give the image an entry of its own, or remove `{key}`"
                );
                return Err(Wrong::at(&[key], message));
            }
            Ok(Entry::Pattern(ImagePattern { pattern: pattern.clone(), selection, pin, verify, folder }))
        }
        (ImageOrPattern::Pattern(_), Some(_)) => Err(Wrong::at(
            &["name"],
            "`image` is a pattern, and names follow from the images that match; remove `name`",
        )),
    }
}

/// What the types alone do not hold: the key that is wrong and why.
pub(super) fn check(selection: &Selection, pin: Pin) -> Result<(), (&'static str, String)> {
    selection.check().map_err(|problem| (problem.key, problem.message))?;
    if selection.policy.followed().is_some() && pin == Pin::Tag {
        let message = format!(
            "`pin: tag` removes the digest that the policy follows ({}); use `digest` or `tagAndDigest`",
            selection.policy
        );
        return Err(("pin", message));
    }
    Ok(())
}
