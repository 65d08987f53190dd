//! What was found in a file, as it is remembered in the database by the id of its content.
//!
//! One line with the names of the images, so that most of what is remembered need not be read any further; then JSON.
//! Nothing found is nothing remembered but the id. The path is not in it: the same content stands in many places.

use serde::{Deserialize, Serialize};
use tagboat_manifest::{FINDER, LARGEST_FILE, find, may_name_images, named_in_unreadable};
use tagboat_model::{ImageName, Reference, Uneditable};

/// Who finds. Another version finds other things, and remembers anew.
pub(super) fn finder() -> String {
    format!("{}/{FINDER}", env!("CARGO_PKG_VERSION"))
}

/// How the name of a file makes it be read: formats look at the last part of the path alone.
pub(super) fn kind(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What one file says of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reading {
    /// These places name images.
    Found {
        /// Those that can be edited, or say themselves why not.
        references: Vec<Reference>,
        /// Those that never can.
        uneditable: Vec<Uneditable>,
    },
    /// It cannot be read, and names these images by the look of its words.
    Unreadable {
        /// Why not.
        why: String,
        /// The images.
        names: Vec<ImageName>,
    },
}

impl Reading {
    /// Read a file of which no entry says anything.
    pub(super) fn of(path: &str, bytes: &[u8]) -> Option<Self> {
        if !may_name_images(path, bytes) {
            return None;
        }
        let reading = Self::with_claims(path, bytes, &[]);
        (!reading.names().is_empty()).then_some(reading)
    }

    /// Read a file of which entries say something.
    pub(super) fn with_claims(path: &str, bytes: &[u8], claims: &[&tagboat_manifest::Claim]) -> Self {
        match find(path, bytes, claims) {
            Ok(found) => Self::Found { references: found.references, uneditable: found.uneditable },
            Err(why) => {
                let named = named_in_unreadable(path, bytes, &why, |_| true);
                let names = named.into_iter().filter_map(|place| place.image).collect();
                Self::Unreadable { why: why.to_string(), names }
            }
        }
    }

    /// Every image that it names, once.
    pub(super) fn names(&self) -> Vec<&ImageName> {
        let mut names: Vec<&ImageName> = match self {
            Self::Found { references, uneditable } => {
                let uneditable = uneditable.iter().filter_map(|place| place.image.as_ref());
                references.iter().map(|reference| &reference.image).chain(uneditable).collect()
            }
            Self::Unreadable { names, .. } => names.iter().collect(),
        };
        names.sort();
        names.dedup();
        names
    }

    /// As it is remembered.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut without_path = self.clone();
        without_path.set_path("");
        let names: Vec<String> = self.names().into_iter().map(ToString::to_string).collect();
        let mut bytes = names.join(" ").into_bytes();
        bytes.push(b'\n');
        // It is made of texts and numbers, which JSON holds.
        bytes.extend(serde_json::to_vec(&without_path).unwrap_or_default());
        bytes
    }

    /// From what is remembered; nothing where that is of no use, so that the file is read again.
    pub(super) fn from_bytes(bytes: &[u8], path: &str) -> Option<Self> {
        let at = bytes.iter().position(|byte| *byte == b'\n')?;
        let mut reading: Self = serde_json::from_slice(bytes.get(at + 1..)?).ok()?;
        reading.set_path(path);
        Some(reading)
    }

    fn set_path(&mut self, path: &str) {
        if let Self::Found { references, uneditable } = self {
            references.iter_mut().for_each(|reference| path.clone_into(&mut reference.file));
            uneditable.iter_mut().for_each(|place| path.clone_into(&mut place.file));
        }
    }
}

/// Whether what is remembered names one of the images.
pub(super) fn names_one_of(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).is_ok_and(|line| line.split(' ').any(wanted))
}

/// The largest file that is read.
pub(super) const LARGEST: usize = LARGEST_FILE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_a_content_is_what_is_found_at_any_path() {
        let texts = [
            "image: r.example/acme/web:1.0 # c\nother: {image: 'r.example/acme/api:2'}\n",
            "spec: {containers: [{image: \"r.example/acme/$X:1\"}]}\n",
            "image: r.example/acme/web:1.0\n{{ nonsense\n",
            "image: [\n",
        ];
        for text in texts {
            let Some(reading) = Reading::of("a/b.yaml", text.as_bytes()) else { continue };
            let bytes = reading.to_bytes();
            assert_eq!(Reading::from_bytes(&bytes, "a/b.yaml").as_ref(), Some(&reading), "{text}");
            assert_eq!(Reading::from_bytes(&bytes, "c/b.yaml"), Reading::of("c/b.yaml", text.as_bytes()), "{text}");
            assert!(!String::from_utf8_lossy(&bytes).contains("a/b.yaml"), "{text}");
            for name in reading.names() {
                assert!(names_one_of(&bytes, |other| other == name.to_string()));
            }
            assert!(!names_one_of(&bytes, |other| other == "r.example/acme/none"));
        }
        assert_eq!(Reading::of("a.yaml", b"kind: ConfigMap\n"), None);
        assert_eq!(Reading::from_bytes(b"r.example/acme/web\nnonsense", "a.yaml"), None);
    }
}
