//! `group` of an environment: which image entries change together.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use tagboat_model::{EntryName, GroupName};
use tagboat_promotion::Grouping;

use super::{environments::Known, wrong::Wrong};

/// `image`, `all`, or groups by name: `{ shop: [cart, checkout] }`. What is in no group changes by itself.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum GroupFile {
    /// One word for all.
    Word(GroupWord),
    /// Groups by their names, each with the names of its image entries.
    Named(BTreeMap<GroupName, Vec<EntryName>>),
}

/// Which image entries change together, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub enum GroupWord {
    /// Each by itself, so that one can be taken back alone.
    Image,
    /// All together.
    All,
}

impl<'de> Deserialize<'de> for GroupFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrGroups)
    }
}

/// What `untagged` would read loses its place in the file.
struct WordOrGroups;

impl<'de> Visitor<'de> for WordOrGroups {
    type Value = GroupFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`image`, `all`, or groups by name, as in `{ shop: [cart, checkout] }`")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<GroupFile, E> {
        match word {
            "image" => Ok(GroupFile::Word(GroupWord::Image)),
            "all" => Ok(GroupFile::Word(GroupWord::All)),
            other => Err(E::custom(format!(
                "`{other}` is no group; write `image`, `all`, or groups by name, as in `{{ shop: [cart, checkout] }}`"
            ))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<GroupFile, A::Error> {
        let mut groups = BTreeMap::new();
        while let Some((name, members)) = entries.next_entry::<GroupName, Vec<EntryName>>()? {
            groups.insert(name, members);
        }
        Ok(GroupFile::Named(groups))
    }
}

impl GroupFile {
    /// The groups, or what is wrong with them.
    pub(super) fn read(&self, known: Known<'_>) -> Result<Grouping, Wrong> {
        let groups = match self {
            Self::Word(GroupWord::Image) => return Ok(Grouping::PerImage),
            Self::Word(GroupWord::All) => return Ok(Grouping::All),
            Self::Named(groups) => groups,
        };
        let mut owners: BTreeMap<&EntryName, &GroupName> = BTreeMap::new();
        for (group, members) in groups {
            for (index, entry) in members.iter().enumerate() {
                let wrong = |message: String| Wrong::at(&[group.as_str(), &index.to_string()], message);
                known.check(entry).map_err(wrong)?;
                if let Some(other) = owners.insert(entry, group) {
                    return Err(wrong(if other == group {
                        format!("`{entry}` stands in this group a second time; keep one")
                    } else {
                        format!("`{entry}` is in the group `{other}` already; an image entry is in one group at most")
                    }));
                }
            }
        }
        // What is in no group goes by its own name, as groups do.
        for group in groups.keys() {
            let alone = known.entries.iter().any(|entry| {
                entry.name.as_str() == group.as_str() && owners.get(&entry.name).is_none_or(|owner| *owner != group)
            });
            if alone {
                let message = format!(
                    "an image entry that is not in this group is named `{group}` too; name the group otherwise"
                );
                return Err(Wrong::at(&[group.as_str()], message));
            }
        }
        Ok(Grouping::Named(groups.clone()))
    }
}
