//! References: places in files that name an image.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, EntryName, EnvironmentName, ImageName, Tag, Version};

/// The kind of place a reference was found in; it says which keys belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// A Kubernetes object of any kind, or any YAML or JSON with an `image: name:tag` scalar.
    Manifest,
    /// An entry of `images` in a kustomization: `name`, `newName`, `newTag`, `digest`.
    Kustomization,
    /// Helm values: a map with `repository` and `tag`, or a scalar.
    HelmValues,
    /// `spec.values` of a Flux `HelmRelease`.
    FluxHelmRelease,
    /// `spec.url` and `spec.ref` of a Flux `OCIRepository`.
    FluxOciRepository,
    /// `spec.images` of a Flux `Kustomization`.
    FluxKustomization,
    /// Helm and kustomize overrides of an Argo CD `Application` or `ApplicationSet`.
    ArgocdApplication,
    /// A `.argocd-source-*.yaml` file.
    ArgocdSource,
    /// A service of a Compose file.
    DockerCompose,
    /// `FROM`, `COPY --from` and their `ARG`s.
    Dockerfile,
    /// An operation of a JSON patch whose path ends in `image`.
    JsonPatch,
    /// A path that the repository file names.
    Path,
    /// A regular expression that the repository file names.
    Regex,
    /// A line with a Flux setter marker that nothing else recognises.
    FluxMarker,
}

impl Format {
    /// Its name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Kustomization => "kustomization",
            Self::HelmValues => "helmValues",
            Self::FluxHelmRelease => "fluxHelmRelease",
            Self::FluxOciRepository => "fluxOciRepository",
            Self::FluxKustomization => "fluxKustomization",
            Self::ArgocdApplication => "argocdApplication",
            Self::ArgocdSource => "argocdSource",
            Self::DockerCompose => "dockerCompose",
            Self::Dockerfile => "dockerfile",
            Self::JsonPatch => "jsonPatch",
            Self::Path => "path",
            Self::Regex => "regex",
            Self::FluxMarker => "fluxMarker",
        }
    }
}

/// How a scalar is written. An edit keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScalarStyle {
    /// `value`
    Plain,
    /// `'value'`
    SingleQuoted,
    /// `"value"`
    DoubleQuoted,
    /// A part of longer text, as in a block scalar, a Dockerfile or `name=image:tag`: written as it is.
    #[serde(alias = "block")]
    Text,
    /// It is not there yet. An edit puts it between these two texts.
    Absent {
        /// What comes before the value: line end, indentation, key.
        before: String,
        /// What comes after it.
        after: String,
    },
}

/// One scalar: its bytes in the file, its style and the string it reads as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scalar {
    /// Byte range in the file, quotes included, comments and anchors excluded.
    pub span: Range<usize>,
    /// How it is written.
    pub style: ScalarStyle,
    /// What it reads as.
    pub value: String,
}

/// Which scalars carry the tag and the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Parts {
    /// One scalar `name[:tag][@digest]`.
    Whole(Scalar),
    /// One scalar `tag[@digest]` beside that of the name.
    Joined(Scalar),
    /// Scalars of their own beside the name's.
    Split {
        /// The tag's scalar, if the key is there.
        tag: Option<Scalar>,
        /// The digest's scalar, if the key is there.
        digest: Option<Scalar>,
    },
}

/// One place in one file that names an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// Path from the root of the config repository, `/` between parts.
    pub file: String,
    /// Line of the scalar that carries the tag, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    #[serde(default)]
    pub column: usize,
    /// Where in the document, for people: `spec.containers[0].image`.
    pub location: String,
    /// What the place is.
    pub format: Format,
    /// The name exactly as written.
    pub written_name: String,
    /// The image it means.
    pub image: ImageName,
    /// The tag now written.
    pub tag: Option<Tag>,
    /// The digest now written.
    pub digest: Option<Digest>,
    /// The bytes to edit.
    pub parts: Parts,
    /// Where the scalar with the name begins, when that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_at: Option<usize>,
    /// Lines of YAML aliases (`*name`) that repeat what is written here and so change with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub followers: Vec<usize>,
    /// Whether the repository file names this place in words.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub claimed: bool,
    /// Why it is never edited, where something holds it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<String>,
    /// Other images whose version the same bytes say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_with: Vec<ImageName>,
}

/// A place that seems to name an image and is not edited, whatever version is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Uneditable {
    /// Path from the root of the config repository.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The image, where it can be told.
    pub image: Option<ImageName>,
    /// Whether the repository file names this place in words.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub claimed: bool,
    /// Whether something else, a variable or a template, gives the version, so that nothing is out of date here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub filled_in: bool,
    /// Why it is not edited, and what to do.
    pub detail: String,
}

/// Which part of an image an explicit place holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PlacePart {
    /// `name[:tag][@digest]`
    #[default]
    Image,
    /// The tag alone.
    Tag,
    /// The digest alone.
    Digest,
}

/// How an explicit place is found in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locator {
    /// Keys and indices in YAML, JSON or TOML: `image.tag`, `containers[0].image`, `containers[name=web].image`.
    Path(String),
    /// A regular expression over any text, with groups named `image`, `repository`, `tag`, `digest`.
    Regex(String),
}

/// A place that the repository file names in words, as it is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplicitPlace {
    /// The file, or a pattern of files, from the root of the config repository.
    pub file: String,
    /// Where in it.
    pub locator: Locator,
    /// What stands there. A regular expression says it by its groups.
    pub part: PlacePart,
}

impl ExplicitPlace {
    /// The place with `{name}` and `{environment}` put in.
    #[must_use]
    pub fn within(&self, name: &EntryName, environment: &EnvironmentName) -> Self {
        let put = |text: &str, quote: fn(&str) -> String| {
            text.replace("{name}", &quote(name.as_str())).replace("{environment}", &quote(environment.as_str()))
        };
        // Of the characters of names only the dot means something in an expression.
        let locator = match &self.locator {
            Locator::Path(path) => Locator::Path(put(path, str::to_owned)),
            Locator::Regex(pattern) => Locator::Regex(put(pattern, |name| name.replace('.', "\\."))),
        };
        Self { file: put(&self.file, str::to_owned), locator, part: self.part }
    }
}

/// Whether a path configures Git, the forge or Tagboat itself, also as file systems read it that ignore case, some
/// characters, and dots at the end. Such files are neither searched nor written, whatever names an image in them.
///
/// The forms are those that Git itself refuses to check out (`verify_path`, `is_hfs_dotgit`, `is_ntfs_dotgit`).
#[must_use]
pub fn is_reserved_path(path: &str) -> bool {
    let reserved = |part: &str| {
        let part: String = part.chars().filter(|c| !is_ignored_in_names(*c)).flat_map(char::to_lowercase).collect();
        let part = part.trim_end_matches(['.', ' ']);
        part.starts_with(".git")
            || (part.starts_with("gi") && part.contains('~'))
            || part.contains('\\')
            || matches!(part, "" | ".forgejo" | ".tagboat.yaml" | "codeowners")
    };
    path.split('/').any(reserved)
}

/// Characters that the file system of a Mac leaves out when it compares names.
#[must_use]
pub fn is_ignored_in_names(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

impl Reference {
    /// Its scalars, that of the tag first.
    #[must_use]
    pub fn scalars(&self) -> Vec<&Scalar> {
        match &self.parts {
            Parts::Whole(scalar) | Parts::Joined(scalar) => vec![scalar],
            Parts::Split { tag, digest } => tag.iter().chain(digest).collect(),
        }
    }

    /// Whether it is to carry a tag, and whether a digest. A place that somebody named in words carries what it was
    /// named for.
    #[must_use]
    pub fn wanted(&self, pin: Pin) -> (bool, bool) {
        let explicit = matches!(self.format, Format::Path | Format::Regex);
        match (&self.parts, pin) {
            (Parts::Split { tag, digest }, _) if explicit => (tag.is_some(), digest.is_some()),
            (_, Pin::Keep) if explicit && self.tag.is_none() && self.digest.is_none() => (true, false),
            (_, Pin::Keep) => (self.tag.is_some(), self.digest.is_some()),
            (_, Pin::Tag) => (true, false),
            (_, Pin::Digest) => (false, true),
            (_, Pin::TagAndDigest) => (true, true),
        }
    }

    /// Whether it has the parts that `pin` asks for, whatever their values.
    #[must_use]
    pub fn is_written_as(&self, pin: Pin) -> bool {
        let written = (self.tag.is_some(), self.digest.is_some());
        written == self.wanted(pin) && written != (false, false)
    }

    /// Whether it is to carry a version at all. A bare name (a base that a kustomization completes, a chart's default)
    /// is meant to have none.
    #[must_use]
    pub fn is_versioned(&self, pin: Pin) -> bool {
        self.wanted(pin) != (false, false)
    }

    /// Whether it carries `version` already, written as `pin` says.
    #[must_use]
    pub fn carries(&self, version: &Version, pin: Pin) -> bool {
        let (tag, digest) = self.wanted(pin);
        let tag = if tag { self.tag.as_ref() == Some(&version.tag) } else { self.tag.is_none() };
        let digest = if digest { self.digest.as_ref() == Some(&version.digest) } else { self.digest.is_none() };
        tag && digest && self.is_versioned(pin)
    }

    /// Tag and digest as written: `1.4.0`, `1.4.0@sha256:…`, `sha256:…`, or `no tag`.
    #[must_use]
    pub fn current(&self) -> String {
        match (&self.tag, &self.digest) {
            (Some(tag), Some(digest)) => format!("{tag}@{}", digest.short()),
            (Some(tag), None) => tag.to_string(),
            (None, Some(digest)) => digest.short().to_owned(),
            (None, None) => "no tag".to_owned(),
        }
    }
}

/// Which of tag and digest a reference shall carry after an edit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Pin {
    /// As the reference is written now.
    #[default]
    Keep,
    /// Only the tag.
    Tag,
    /// Only the digest.
    Digest,
    /// Both.
    TagAndDigest,
}

/// A replacement of bytes in one file. Everything outside `span` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go.
    pub span: Range<usize>,
    /// The bytes that come, already in the style of the scalar.
    pub text: String,
}
