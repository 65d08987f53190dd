//! What CI announced of images: read once for each image, and judged by each policy that asks.
//!
//! Says whose word counts, in which order versions stand, and whether one was built from a commit of ours. Does not
//! know what registries have.

use std::collections::BTreeMap;

use tagboat_model::{Digest, Reason, Source, Tag};
use tagboat_policy::{Announced, Circumstances, Considered, UnfitClaim, places_by_run};
use tagboat_ports::Announcement;
use tagboat_promotion::ImageFacts;

use crate::{
    ReconcileError,
    gather::{
        candidates::{MOST_OF_A_KIND, current},
        registry::Inquiry,
    },
};

/// What CI announced of one image.
#[derive(Debug)]
pub(super) struct Announcements {
    /// All, in the order in which they came.
    all: Vec<Announcement>,
    /// What each policy makes of them: an image may have several.
    judged: Vec<(Announced, Judged)>,
}

/// What one policy makes of the announcements of one image.
#[derive(Debug, Default)]
struct Judged {
    /// By tag, those that count, the first first, each with the place that its run gives it.
    admitted: BTreeMap<Tag, Vec<Announcement>>,
    /// Tags that were announced, and never as the policy demands; why not, the last time.
    strangers: BTreeMap<Tag, UnfitClaim>,
}

impl Judged {
    fn by(policy: &Announced, all: &[Announcement]) -> Self {
        let mut judged = Self::default();
        let mut admitted = Vec::new();
        for announced in all {
            match policy.claims.unfit(&announced.source) {
                None => admitted.push(announced.clone()),
                Some(why) => {
                    judged.strangers.insert(announced.tag.clone(), why);
                }
            }
        }
        // Only what counts is put in order: others must not move it.
        let in_order: Vec<(u64, &Source)> = admitted.iter().map(|it| (it.place, &it.source)).collect();
        let places = places_by_run(&in_order);
        for (announced, place) in admitted.iter_mut().zip(places) {
            announced.place = place;
        }
        admitted.sort_by_key(|announced| announced.place);
        for announced in admitted {
            judged.strangers.remove(&announced.tag);
            judged.admitted.entry(announced.tag.clone()).or_default().push(announced);
        }
        judged
    }
}

impl Inquiry<'_> {
    /// Read from the database what CI announced of an image, and judge it by the policy of these facts.
    pub(super) async fn recall_announced(&mut self, facts: &ImageFacts) -> Result<(), ReconcileError> {
        let image = &facts.image;
        if !self.announced.contains_key(image) {
            let all = self.engine.ports.store.announcements(&self.work.key.tenant, image).await?;
            self.announced.insert(image.clone(), Announcements { all, judged: Vec::new() });
        }
        if let (Some(policy), Some(known)) = (facts.selection.policy.announced(), self.announced.get_mut(image))
            && !known.judged.iter().any(|(other, _)| other == policy)
        {
            known.judged.push((policy.clone(), Judged::by(policy, &known.all)));
        }
        Ok(())
    }

    fn judged(&self, facts: &ImageFacts) -> Option<&Judged> {
        let policy = facts.selection.policy.announced()?;
        let known = self.announced.get(&facts.image)?;
        known.judged.iter().find(|(other, _)| other == policy).map(|(_, judged)| judged)
    }

    /// The announcements of a tag that count, the first first.
    pub(super) fn announced(&self, facts: &ImageFacts, tag: &Tag) -> &[Announcement] {
        self.judged(facts).and_then(|judged| judged.admitted.get(tag)).map_or(&[], Vec::as_slice)
    }

    /// The tags that were announced, by whomever.
    pub(super) fn announced_tags(&self, facts: &ImageFacts) -> impl Iterator<Item = &Tag> {
        self.judged(facts).into_iter().flat_map(|judged| judged.admitted.keys().chain(judged.strangers.keys()))
    }

    /// Where a tag stands in the order of the announcements that count. Others have no place: with one, whoever may
    /// announce without being admitted could hold a version back by speaking of the one that runs.
    pub(super) fn announced_place(&self, facts: &ImageFacts, tag: &Tag) -> Option<u64> {
        self.announced(facts, tag).first().map(|announced| announced.place)
    }

    /// Whether a tag was announced, and never as the policy demands.
    pub(super) fn is_stranger(&self, facts: &ImageFacts, tag: &Tag) -> bool {
        self.stranger(facts, tag).is_some()
    }

    fn stranger(&self, facts: &ImageFacts, tag: &Tag) -> Option<&UnfitClaim> {
        self.judged(facts)?.strangers.get(tag)
    }

    /// Leave out the tags that were announced by others, except for those that run, since the rest is compared with
    /// them. Returns what is left, and the reasons against these.
    pub(super) fn without_strangers(&self, facts: &ImageFacts, tags: Vec<Tag>) -> (Vec<Tag>, Vec<Reason>) {
        let (strangers, mut tags): (Vec<Tag>, Vec<Tag>) =
            tags.into_iter().partition(|tag| self.is_stranger(facts, tag));
        // Without their places each is refused by a filter, or for not having been announced.
        let unplaced: Vec<Considered> = strangers.iter().cloned().map(Considered::from).collect();
        let circumstances = Circumstances { current: None, now: self.engine.now() };
        let refused = facts.selection.consider(&unplaced, circumstances).refused(MOST_OF_A_KIND);
        let reasons = refused.into_iter().map(|reason| self.explained(facts, reason)).collect();
        tags.extend(strangers.into_iter().filter(|tag| current(facts).any(|runs| runs == tag)));
        (tags, reasons)
    }

    /// That a tag was not announced, with by whom it was.
    fn explained(&self, facts: &ImageFacts, reason: Reason) -> Reason {
        match reason {
            Reason::NotAnnounced { tag } => match self.stranger(facts, &tag).cloned() {
                Some(UnfitClaim { claim, value }) => Reason::AnnouncedByOther { tag, claim, value },
                None => Reason::NotAnnounced { tag },
            },
            other => other,
        }
    }

    /// The commit of ours that CI built from what `tag` names, as it said itself when it announced it.
    pub(super) async fn own_commit_announced(
        &mut self,
        facts: &ImageFacts,
        tag: &Tag,
        digest: &Digest,
    ) -> Result<Option<String>, ReconcileError> {
        self.recall_announced(facts).await?;
        let revisions = match facts.selection.policy.announced() {
            Some(_) => revisions_of(self.announced(facts, tag).iter(), digest),
            None => {
                let all = self.announced.get(&facts.image).into_iter().flat_map(|known| &known.all);
                revisions_of(all.filter(|announced| announced.tag == *tag), digest)
            }
        };
        if revisions.is_empty() {
            return Ok(None);
        }
        let own = self.engine.ports.store.own_commits(&self.work.key.tenant, &revisions).await?;
        // What was built from a commit of people as well is theirs.
        let all_own = revisions.iter().all(|revision| own.contains(revision));
        Ok(revisions.into_iter().next_back().filter(|_| all_own))
    }
}

/// The commits that a tag was built from which names `digest` now, by its announcements, the first first.
fn revisions_of<'a>(announced: impl Iterator<Item = &'a Announcement>, digest: &Digest) -> Vec<String> {
    let (mut exact, mut last) = (Vec::new(), None);
    for announcement in announced {
        match &announcement.digest {
            Some(named) if named == digest => exact.push(announcement),
            Some(_) => {}
            // Without a digest, the last word is about what the tag names now.
            None => last = Some(announcement),
        }
    }
    let about: Vec<&Announcement> = if exact.is_empty() { last.into_iter().collect() } else { exact };
    about.into_iter().filter_map(|announcement| announcement.source.revision.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_model::Timestamp;
    use tagboat_policy::Policy;

    fn digest(of: char) -> Digest {
        format!("sha256:{}", of.to_string().repeat(64)).parse().unwrap()
    }

    fn announcement(place: u64, tag: &str, of: Option<char>, source: Source) -> Announcement {
        let at = Timestamp(i64::try_from(place).unwrap());
        Announcement { tag: tag.parse().unwrap(), digest: of.map(digest), place, at, source }
    }

    fn run(reference: &str, run: &str) -> Source {
        Source {
            repository: Some("acme/web".to_owned()),
            run: Some(run.to_owned()),
            claims: BTreeMap::from([("ref".to_owned(), reference.to_owned())]),
            ..Source::default()
        }
    }

    fn from(revision: &str) -> Source {
        Source { revision: Some(revision.to_owned()), ..Source::default() }
    }

    fn judged(policy: &str, all: &[Announcement]) -> Judged {
        let policy: Policy = serde_json::from_str(policy).unwrap();
        Judged::by(policy.announced().unwrap(), all)
    }

    const MAIN: &str = r#"{"announced":{"claims":{"ref":"refs/heads/main"}}}"#;

    fn places(judged: &Judged) -> Vec<(&str, u64)> {
        let tags = judged.admitted.iter();
        tags.flat_map(|(tag, all)| all.iter().map(|announced| (tag.as_str(), announced.place))).collect()
    }

    #[test]
    fn what_others_announce_neither_counts_nor_moves_what_counts() {
        let all = [
            announcement(1, "1.4.0", None, run("refs/heads/main", "7")),
            announcement(2, "1.5.0", None, run("refs/pull/7/merge", "1")),
            announcement(3, "1.4.0", None, run("refs/pull/7/merge", "9")),
            announcement(4, "1.6.0", None, run("refs/heads/main", "8")),
            announcement(5, "1.5.0", None, Source::default()),
        ];
        let main = judged(MAIN, &all);
        assert_eq!(places(&main), [("1.4.0", 1), ("1.6.0", 4)]);
        let [(tag, why)] = main.strangers.into_iter().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(tag.as_str(), "1.5.0");
        assert_eq!(why, UnfitClaim { claim: "ref".to_owned(), value: None }, "the last one");
        let everybody = judged(r#"{"announced":{}}"#, &all);
        assert_eq!(places(&everybody), [("1.4.0", 2), ("1.4.0", 4), ("1.5.0", 1), ("1.5.0", 5), ("1.6.0", 3)]);
        assert!(everybody.strangers.is_empty());
    }

    #[test]
    fn whoever_announces_first_keeps_nobody_out_and_a_repetition_counts_for_nothing() {
        let all = [
            announcement(1, "1.5.0", Some('b'), run("refs/pull/7/merge", "1")),
            announcement(2, "1.5.0", Some('b'), run("refs/heads/main", "7")),
            announcement(3, "1.6.0", Some('c'), run("refs/heads/main", "8")),
            announcement(4, "1.5.0", Some('b'), run("refs/heads/main", "9")),
        ];
        let main = judged(MAIN, &all);
        assert!(main.strangers.is_empty());
        let first = |tag: &str| main.admitted[&tag.parse::<Tag>().unwrap()][0].place;
        assert_eq!((first("1.5.0"), first("1.6.0")), (2, 3));
    }

    #[test]
    fn a_slow_run_stands_where_it_belongs() {
        let all = [
            announcement(1, "new", Some('b'), run("refs/heads/main", "8")),
            announcement(2, "old", Some('a'), run("refs/heads/main", "7")),
        ];
        assert_eq!(places(&judged(MAIN, &all)), [("new", 2), ("old", 1)]);
    }

    #[test]
    fn the_commit_is_that_of_what_the_tag_names_now() {
        let of = |all: &[Announcement], named: char| revisions_of(all.iter(), &digest(named)).join(" ");
        let exact = [
            announcement(1, "main", Some('a'), from("theirs")),
            announcement(2, "main", Some('b'), from("ours")),
            announcement(3, "main", Some('b'), from("theirs-too")),
            announcement(4, "main", Some('c'), Source::default()),
        ];
        assert_eq!(of(&exact, 'a'), "theirs");
        assert_eq!(of(&exact, 'b'), "ours theirs-too");
        assert_eq!((of(&exact, 'c'), of(&exact, 'd')), (String::new(), String::new()));
        let vague = [announcement(1, "main", None, from("theirs")), announcement(2, "main", None, from("ours"))];
        assert_eq!(of(&vague, 'a'), "ours");
        assert_eq!(of(&[&exact[..], &vague[..]].concat(), 'a'), "theirs");
    }
}
