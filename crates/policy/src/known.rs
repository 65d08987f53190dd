//! What is known of a tag beside its spelling: when it was seen, built, announced.

use serde::{Deserialize, Serialize};
use tagboat_model::{Duration, Timestamp};

/// When a tag was seen for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Sight {
    /// In the first listing of its repository: it is older than that, nobody knows how much.
    Baseline(Timestamp),
    /// After the first listing: it appeared then.
    After(Timestamp),
}

/// What is known of a tag beside its spelling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Known {
    /// When it was seen first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sight: Option<Sight>,
    /// When the image says that it was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// When it was first read to name what it names now, if it had named something else before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Timestamp>,
    /// Its place in the order of announcements by CI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced: Option<u64>,
}

impl Known {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The moment by which `newest` orders; `None` when it is not known. A tag that appeared after the first listing
    /// is newer than all that were in it; among those only `created` tells.
    pub(crate) fn moment(&self) -> Option<Moment> {
        let appeared = match self.sight {
            Some(Sight::After(at)) => Some(at),
            _ => None,
        };
        let moment = Moment { appeared, created: self.created };
        (moment.appeared.is_some() || moment.created.is_some()).then_some(moment)
    }

    /// The same by `created` alone, as Argo CD Image Updater and Kargo order builds.
    pub(crate) fn build(&self) -> Option<Moment> {
        self.created.map(|created| Moment { appeared: None, created: Some(created) })
    }

    /// How long the tag has named what it names, at least; `None` when nobody knows. What was seen to appear or to
    /// change counts from then, whatever the image says of itself.
    pub(crate) fn age(&self, now: Timestamp) -> Option<Duration> {
        let age = match self.sight {
            Some(Sight::After(at)) => Some(now.since(at)),
            Some(Sight::Baseline(at)) => Some(now.since(self.created.map_or(at, |created| created.min(at)))),
            None => self.created.map(|created| now.since(created)),
        };
        match self.changed.map(|changed| now.since(changed)) {
            Some(since_change) => Some(age.map_or(since_change, |age| age.min(since_change))),
            None => age,
        }
    }
}

/// Compared by appearance first, so that the two are never mixed: either both appeared, or only `created` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    appeared: Option<Timestamp>,
    created: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(sight: Option<Sight>, created: Option<i64>) -> Known {
        Known { sight, created: created.map(Timestamp), ..Known::default() }
    }

    #[test]
    fn appearance_beats_what_images_say_of_themselves() {
        let after = |at| Some(Sight::After(Timestamp(at)));
        let baseline = Some(Sight::Baseline(Timestamp(50)));
        let ascending = [
            known(baseline, Some(10)),
            known(baseline, Some(90)),
            known(after(60), None),
            known(after(60), Some(5)),
            known(after(61), Some(1)),
        ];
        for pair in ascending.windows(2) {
            assert!(pair[0].moment().unwrap() < pair[1].moment().unwrap(), "{pair:?}");
        }
        assert_eq!(known(baseline, None).moment(), None, "its age is not known");
        assert!(known(after(60), Some(5)).build() < known(baseline, Some(10)).build());
    }

    #[test]
    fn an_image_cannot_make_itself_older_than_its_appearance() {
        let now = Timestamp(100);
        let age = |sight, created| known(sight, created).age(now).map(Duration::milliseconds);
        assert_eq!(age(Some(Sight::After(Timestamp(90))), Some(1)), Some(10));
        assert_eq!(age(Some(Sight::Baseline(Timestamp(90))), Some(1)), Some(99));
        assert_eq!(age(Some(Sight::Baseline(Timestamp(90))), Some(95)), Some(10));
        assert_eq!(age(Some(Sight::Baseline(Timestamp(90))), None), Some(10));
        let changed = Known { changed: Some(Timestamp(97)), ..known(Some(Sight::After(Timestamp(10))), None) };
        assert_eq!(changed.age(now).map(Duration::milliseconds), Some(3), "other content is younger than its name");
        assert_eq!((age(None, Some(40)), age(None, Some(400)), age(None, None)), (Some(60), Some(0), None));
    }
}
