//! The place of one tag in a policy's order, or why it has none.

use std::{borrow::Cow, cmp::Ordering};

use tagboat_model::Tag;

use crate::{
    Known, Policy, Range,
    known::Moment,
    number::Number,
    range,
    rule::Direction,
    version::{LooseVersion, Reading},
};

/// By what tags are ordered, and which of them are outside of the order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order<'p> {
    Version(Option<&'p Range>, Reading),
    Number(Direction),
    Text(Direction),
    Appearance,
    Build,
    Announcement,
    Follow(&'p Tag),
}

impl Policy {
    pub(crate) fn order(&self) -> Order<'_> {
        match self {
            Self::Semver(semver) => Order::Version(Some(&semver.range), Reading::TwoDots),
            Self::Numerical(ordered) => Order::Number(ordered.order),
            Self::Alphabetical(ordered) => Order::Text(ordered.order),
            Self::Newest(_) => Order::Appearance,
            Self::Digest(digest) => Order::Follow(&digest.tag),
            Self::Announced(_) => Order::Announcement,
            Self::ArgocdImageUpdater(updater) => updater.order(),
            Self::Kargo(kargo) => kargo.order(),
        }
    }
}

/// A place in an order. Places of one order compare; the greatest is the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place<'t> {
    Version(LooseVersion),
    Number(Number<'t>),
    /// Only where a template made a text that stands nowhere in the tag.
    MadeNumber(String),
    Text(Cow<'t, str>),
    Moment(Moment),
    Announcement(u64),
    Followed,
}

/// Why a tag has no place in the order of its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    NotAVersion,
    NotANumber,
    NotAnnounced,
    NotFollowed,
    AgeUnknown,
}

impl Order<'_> {
    /// Where `tag`, of which `value` is compared, stands.
    pub(crate) fn place<'t>(self, tag: &Tag, value: Cow<'t, str>, known: &Known) -> Result<Place<'t>, NoPlace> {
        match self {
            Self::Version(_, reading) => {
                LooseVersion::parse(&value, reading).map(Place::Version).ok_or(NoPlace::NotAVersion)
            }
            Self::Number(_) => match value {
                Cow::Borrowed(text) => Number::parse(text).map(Place::Number).ok_or(NoPlace::NotANumber),
                Cow::Owned(text) if Number::parse(&text).is_some() => Ok(Place::MadeNumber(text)),
                Cow::Owned(_) => Err(NoPlace::NotANumber),
            },
            Self::Text(_) => Ok(Place::Text(value)),
            Self::Appearance => known.moment().map(Place::Moment).ok_or(NoPlace::AgeUnknown),
            Self::Build => known.build().map(Place::Moment).ok_or(NoPlace::AgeUnknown),
            Self::Announcement => known.announced.map(Place::Announcement).ok_or(NoPlace::NotAnnounced),
            Self::Follow(followed) if followed == tag => Ok(Place::Followed),
            Self::Follow(_) => Err(NoPlace::NotFollowed),
        }
    }

    /// Whether a range keeps a place out.
    pub(crate) fn refuses(self, place: &Place<'_>) -> Option<range::Refusal> {
        match (self, place) {
            (Self::Version(Some(range), _), Place::Version(version)) => range.admits(version).err(),
            _ => None,
        }
    }

    /// Which of two places is the newer. Places of different kinds never meet.
    pub(crate) fn compare(self, left: &Place<'_>, right: &Place<'_>) -> Ordering {
        let ordering = match (left, right) {
            (Place::Version(left), Place::Version(right)) => left.precedence(right),
            (Place::Text(left), Place::Text(right)) => left.cmp(right),
            (Place::Moment(left), Place::Moment(right)) => left.cmp(right),
            (Place::Announcement(left), Place::Announcement(right)) => left.cmp(right),
            (Place::Followed, Place::Followed) => Ordering::Equal,
            (left, right) => left.number().cmp(&right.number()),
        };
        match self {
            Self::Number(Direction::Desc) | Self::Text(Direction::Desc) => ordering.reverse(),
            _ => ordering,
        }
    }
}

impl Place<'_> {
    fn number(&self) -> Option<Number<'_>> {
        match self {
            Self::Number(number) => Some(number.clone()),
            Self::MadeNumber(text) => Number::parse(text),
            _ => None,
        }
    }

    /// How far `value` is from how this place is plainly written: 0 as it prints, 1 with a `v` before it, 2 otherwise.
    pub(crate) fn surprise(&self, value: &str) -> u8 {
        match self {
            Self::Version(version) => {
                let canonical = version.canonical();
                match value {
                    _ if value == canonical => 0,
                    _ if value.strip_prefix('v') == Some(canonical.as_str()) => 1,
                    _ => 2,
                }
            }
            Self::Number(_) | Self::MadeNumber(_) => {
                u8::from(!self.number().is_some_and(|number| number.is_plain())) * 2
            }
            _ => 0,
        }
    }
}
