//! References: places in files that name an image.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, ImageName, Tag, Version};

/// The kind of file a reference was found in; it says which keys belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// A Kubernetes manifest, or any YAML with an `image: name:tag` scalar.
    Manifest,
    /// An entry of `images` in a kustomization: `name`, `newName`, `newTag`, `digest`.
    Kustomization,
    /// A map with `repository` and `tag` in Helm values.
    HelmValues,
}

/// How a scalar is written. An edit keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScalarStyle {
    /// `value`
    Plain,
    /// `'value'`
    SingleQuoted,
    /// `"value"`
    DoubleQuoted,
    /// `|` or `>`: found, but not edited.
    Block,
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
    /// Whether it has an anchor, so that aliases elsewhere repeat it.
    pub anchored: bool,
}

/// Which scalars carry the tag and the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Parts {
    /// One scalar `name[:tag][@digest]`.
    Whole(Scalar),
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
    /// Where in the document, for people: `spec.containers[0].image`.
    pub location: String,
    /// What the file is.
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
}

/// Whether a path configures Git, the forge or Tagboat itself. Such files are neither searched nor written,
/// whatever names an image in them.
#[must_use]
pub fn is_reserved_path(path: &str) -> bool {
    let reserved = |part: &str| {
        let part = part.to_ascii_lowercase();
        part.starts_with(".git") || matches!(part.as_str(), "" | "." | ".." | ".forgejo" | ".tagboat.yaml")
    };
    path.split('/').any(reserved)
}

impl Reference {
    /// Whether it has the parts that `pin` asks for, whatever their values.
    #[must_use]
    pub fn is_written_as(&self, pin: Pin) -> bool {
        match pin {
            Pin::Keep => self.tag.is_some() || self.digest.is_some(),
            Pin::Tag => self.tag.is_some() && self.digest.is_none(),
            Pin::Digest => self.tag.is_none() && self.digest.is_some(),
            Pin::TagAndDigest => self.tag.is_some() && self.digest.is_some(),
        }
    }

    /// Whether it carries `version` already, written as `pin` says.
    #[must_use]
    pub fn carries(&self, version: &Version, pin: Pin) -> bool {
        let tag = self.tag.as_ref() == Some(&version.tag);
        let digest = self.digest.as_ref() == Some(&version.digest);
        match pin {
            Pin::Keep => (tag || self.tag.is_none()) && (digest || self.digest.is_none()) && (tag || digest),
            Pin::Tag => tag && self.digest.is_none(),
            Pin::Digest => digest && self.tag.is_none(),
            Pin::TagAndDigest => tag && digest,
        }
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
