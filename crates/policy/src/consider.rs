//! Judging many tags at once: which is best, and one reason for every other.
//!
//! A verdict is one small value per tag; the sentence is made when somebody reads it, so that a hundred thousand
//! tags cost little. The tie rule stands here: between tags of one place the one written without surprises wins
//! (as the value itself prints, else with only a `v` before it), else the shorter, else the first in byte order. What
//! runs already is not replaced by another tag of its place.

use std::{cmp::Ordering, collections::BTreeMap};

use tagboat_model::{Reason, Tag, Timestamp};

use crate::{
    Known, Selection,
    order::{NoPlace, Place},
    range::Refusal,
    selection::Filtered,
};

/// A tag with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    /// The tag.
    pub tag: Tag,
    /// What is known of it beside its spelling.
    pub known: Known,
}

impl From<Tag> for Considered {
    fn from(tag: Tag) -> Self {
        Self { tag, known: Known::default() }
    }
}

/// What else a choice depends on.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'c> {
    /// The greatest value that runs, if it is known.
    pub current: Option<(&'c Tag, &'c Known)>,
    /// Now.
    pub now: Timestamp,
}

/// What became of one tag, the most interesting first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Selected,
    TooYoung,
    AgeUnknown,
    TooFar,
    BelowCurrent,
    EqualToCurrent,
    Prerelease,
    OutsideRange,
    LowerThanSelected,
    EqualToSelected,
    NotAnnounced,
    BuildTimeUnknown,
    NotAVersion,
    NotANumber,
    NotFollowed,
    Excluded(usize),
    NotAllowed,
    NotMatched,
    ExtractsNothing,
    Artifact,
}

/// Every tag with its verdict.
#[derive(Debug)]
pub struct Consideration<'s> {
    selection: &'s Selection,
    tags: &'s [Considered],
    circumstances: Circumstances<'s>,
    judged: Vec<Result<Place<'s>, Verdict>>,
    /// The index of the best.
    best: Option<usize>,
}

impl Selection {
    /// Judge `tags`. The result does not depend on their order.
    #[must_use]
    pub fn consider<'s>(&'s self, tags: &'s [Considered], circumstances: Circumstances<'s>) -> Consideration<'s> {
        let current = circumstances.current.and_then(|(tag, known)| self.place(tag, known));
        let current = circumstances.current.map(|(tag, _)| tag).zip(current.as_ref());
        let judged = tags.iter().map(|tag| self.judge(tag, current, circumstances.now)).collect();
        let mut consideration = Consideration { selection: self, tags, circumstances, judged, best: None };
        let could_be = (0..tags.len()).filter(|index| consideration.place(*index).is_some());
        consideration.best = could_be.min_by(|left, right| consideration.newer_first(*left, *right));
        consideration
    }

    fn judge<'t>(
        &self,
        considered: &'t Considered,
        current: Option<(&Tag, &Place<'_>)>,
        now: Timestamp,
    ) -> Result<Place<'t>, Verdict> {
        let order = self.policy.order();
        let value = self.filter(&considered.tag).map_err(Verdict::from)?;
        let place = order.place(&considered.tag, value, &considered.known).map_err(Verdict::from)?;
        if let Some(refusal) = order.refuses(&place) {
            return Err(refusal.into());
        }
        if let Some((tag, current)) = current {
            match order.compare(&place, current) {
                Ordering::Less if !self.allow_downgrade => return Err(Verdict::BelowCurrent),
                // Another name of what runs is not newer.
                // Where going down is permitted it comes next, should what runs be gone, and before anything lower.
                Ordering::Equal if *tag != considered.tag && !self.allow_downgrade => {
                    return Err(Verdict::EqualToCurrent);
                }
                _ => {}
            }
            if self.is_too_far(&place, current) {
                return Err(Verdict::TooFar);
            }
        }
        match self.minimum_age.map(|minimum| considered.known.age(now).map(|age| age >= minimum)) {
            None | Some(Some(true)) => Ok(place),
            Some(Some(false)) => Err(Verdict::TooYoung),
            Some(None) => Err(Verdict::AgeUnknown),
        }
    }

    /// The less, the better: see the tie rule.
    fn spelling<'t>(&self, considered: Option<&'t Considered>, place: &Place<'_>) -> (u8, usize, &'t str) {
        let Some(Considered { tag, .. }) = considered else { return (u8::MAX, usize::MAX, "") };
        let surprise = self.value(tag).map_or(u8::MAX, |value| place.surprise(&value));
        (surprise, tag.as_str().len(), tag.as_str())
    }
}

impl Consideration<'_> {
    /// The best tag.
    #[must_use]
    pub fn selected(&self) -> Option<&Tag> {
        self.tags.get(self.best?).map(|considered| &considered.tag)
    }

    /// Every tag that could be chosen, best first.
    #[must_use]
    pub fn eligible(&self) -> Vec<&Considered> {
        let mut indices: Vec<usize> = (0..self.tags.len()).filter(|index| self.place(*index).is_some()).collect();
        indices.sort_unstable_by(|left, right| self.newer_first(*left, *right));
        indices.into_iter().filter_map(|index| self.tags.get(index)).collect()
    }

    fn place(&self, index: usize) -> Option<&Place<'_>> {
        self.judged.get(index)?.as_ref().ok()
    }

    fn newer_first(&self, left: usize, right: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.place(left), self.place(right)) else { return Ordering::Equal };
        let current = self.circumstances.current.map(|(tag, _)| tag);
        let is_other = |index: usize| self.tags.get(index).map(|considered| &considered.tag) != current;
        let spelling = |index: usize, place| self.selection.spelling(self.tags.get(index), place);
        let newer = self.selection.policy.order().compare(b, a);
        newer
            .then_with(|| is_other(left).cmp(&is_other(right)))
            .then_with(|| spelling(left, a).cmp(&spelling(right, b)))
    }

    fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        let order = self.selection.policy.order();
        let best = self.best.and_then(|best| self.place(best));
        self.judged.iter().enumerate().map(move |(index, judged)| match (judged, best) {
            (Err(verdict), _) => *verdict,
            (Ok(_), _) if Some(index) == self.best => Verdict::Selected,
            (Ok(place), Some(best)) if order.compare(place, best).is_eq() => Verdict::EqualToSelected,
            (Ok(_), _) => Verdict::LowerThanSelected,
        })
    }

    /// One reason for every tag, in the order in which they were given.
    pub fn reasons(&self) -> impl Iterator<Item = Reason> {
        self.tags.iter().zip(self.verdicts()).map(|(considered, verdict)| self.reason(considered, verdict))
    }

    /// How many tags each reason is about, by its code. The numbers add up to the number of tags.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for (verdict, indices) in self.groups() {
            let reason = indices.first().and_then(|index| self.tags.get(*index)).map(|tag| self.reason(tag, verdict));
            *counts.entry(reason.map_or("none", |reason| reason.code())).or_default() += indices.len();
        }
        counts
    }

    /// The reasons against the tags that could not be chosen, grouped, at most `most` of each group, the rest of a
    /// group counted.
    #[must_use]
    pub fn refused(&self, most: usize) -> Vec<Reason> {
        let is_refused = |verdict: Verdict| {
            !matches!(verdict, Verdict::Selected | Verdict::LowerThanSelected | Verdict::EqualToSelected)
        };
        let mut reasons = Vec::new();
        for (verdict, indices) in self.groups().into_iter().filter(|(verdict, _)| is_refused(*verdict)) {
            let shown = indices.iter().take(most).filter_map(|index| self.tags.get(*index));
            reasons.extend(shown.map(|tag| self.reason(tag, verdict)));
            if indices.len() > most {
                reasons.push(Reason::AndMore { count: indices.len() - most });
            }
        }
        reasons
    }

    /// The earliest moment at which a tag that is too young now will be old enough.
    #[must_use]
    pub fn ripens_at(&self) -> Option<Timestamp> {
        let young = self.tags.iter().zip(self.verdicts()).filter(|(_, verdict)| *verdict == Verdict::TooYoung);
        young.map(|(considered, _)| self.old_enough_at(&considered.known)).min()
    }

    fn groups(&self) -> BTreeMap<Verdict, Vec<usize>> {
        let mut groups: BTreeMap<Verdict, Vec<usize>> = BTreeMap::new();
        for (index, verdict) in self.verdicts().enumerate() {
            groups.entry(verdict).or_default().push(index);
        }
        groups
    }

    fn old_enough_at(&self, known: &Known) -> Timestamp {
        let now = self.circumstances.now;
        let (minimum, age) = (self.selection.minimum_age.unwrap_or_default(), known.age(now).unwrap_or_default());
        let missing = minimum.milliseconds().saturating_sub(age.milliseconds());
        now.plus(tagboat_model::Duration::from_milliseconds(missing))
    }

    fn reason(&self, considered: &Considered, verdict: Verdict) -> Reason {
        let Self { selection, circumstances, .. } = self;
        let tag = considered.tag.clone();
        let current = || circumstances.current.map(|(tag, _)| tag.to_string()).unwrap_or_default();
        let selected = || self.selected().unwrap_or(&considered.tag).clone();
        let range = || match selection.policy.order() {
            crate::order::Order::Version(Some(range), _) => range.to_string(),
            _ => String::new(),
        };
        let pattern = |index| selection.excluding().nth(index).map(ToString::to_string).unwrap_or_default();
        let filter = || selection.filter_tags.as_ref().map(|filter| filter.pattern().to_string()).unwrap_or_default();
        match verdict {
            Verdict::Selected => Reason::Selected { tag, policy: selection.policy.to_string() },
            Verdict::TooYoung => Reason::YoungerThan {
                tag,
                minimum: selection.minimum_age.unwrap_or_default(),
                until: self.old_enough_at(&considered.known),
            },
            Verdict::AgeUnknown => Reason::AgeUnknown { tag, minimum: selection.minimum_age.unwrap_or_default() },
            Verdict::TooFar => {
                let jump = selection.maximum_jump.map(|jump| jump.to_string()).unwrap_or_default();
                Reason::BeyondMaximumJump { tag, current: current(), jump }
            }
            Verdict::BelowCurrent => Reason::BelowCurrent { tag, current: current() },
            Verdict::EqualToCurrent => Reason::EqualToCurrent { tag, current: current() },
            Verdict::Prerelease => Reason::PrereleaseNotAdmitted { tag, range: range() },
            Verdict::OutsideRange => Reason::OutsideRange { tag, range: range() },
            Verdict::LowerThanSelected => Reason::LowerThanSelected { tag, selected: selected() },
            Verdict::EqualToSelected => Reason::EqualToSelected { tag, selected: selected() },
            Verdict::NotAnnounced => selection.no_place(&tag, NoPlace::NotAnnounced),
            Verdict::BuildTimeUnknown => selection.no_place(&tag, NoPlace::AgeUnknown),
            Verdict::NotAVersion => selection.no_place(&tag, NoPlace::NotAVersion),
            Verdict::NotANumber => selection.no_place(&tag, NoPlace::NotANumber),
            Verdict::NotFollowed => selection.no_place(&tag, NoPlace::NotFollowed),
            Verdict::Excluded(index) => Reason::ExcludedByPattern { tag, pattern: pattern(index) },
            Verdict::NotAllowed => Reason::NotAllowed { tag },
            Verdict::NotMatched => Reason::NotMatched { tag, pattern: filter() },
            Verdict::ExtractsNothing => Reason::ExtractsNothing { tag },
            Verdict::Artifact => Reason::ArtifactOfAnother { tag },
        }
    }
}

impl From<Filtered> for Verdict {
    fn from(filtered: Filtered) -> Self {
        match filtered {
            Filtered::Artifact => Self::Artifact,
            Filtered::NotAllowed => Self::NotAllowed,
            Filtered::Excluded(index) => Self::Excluded(index),
            Filtered::NotMatched => Self::NotMatched,
            Filtered::Empty => Self::ExtractsNothing,
        }
    }
}

impl From<NoPlace> for Verdict {
    fn from(why: NoPlace) -> Self {
        match why {
            NoPlace::NotAVersion => Self::NotAVersion,
            NoPlace::NotANumber => Self::NotANumber,
            NoPlace::NotAnnounced => Self::NotAnnounced,
            NoPlace::NotFollowed => Self::NotFollowed,
            NoPlace::AgeUnknown => Self::BuildTimeUnknown,
        }
    }
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Outside => Self::OutsideRange,
            Refusal::Prerelease => Self::Prerelease,
        }
    }
}
