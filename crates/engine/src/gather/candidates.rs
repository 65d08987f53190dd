//! Which tags of an image are put forward, and what becomes known of each.
//!
//! The registry is asked about tags best first, and no further once one is found good. An event's own tag is enough
//! where the policy can order what runs; everything is listed where it cannot, in a sweep, when a tag that was
//! counted on is gone, and for `newest`, whose order is that in which tags appear.

use std::cmp::Ordering;

use tagboat_model::{Digest, Duration, Reason, SignatureRule, Tag, Wish};
use tagboat_policy::{Circumstances, Considered, Selection, Sight};
use tagboat_ports::{ManifestKind, Verification};
use tagboat_promotion::{Candidate, CandidateState, ImageFacts, PutForward, put_forward, refused};

use crate::{
    ReconcileError,
    gather::registry::{Found, Inquiry},
};

/// After this many tags that turned out not to be good the rest is not asked about.
const MOST_TAGS_ASKED: usize = 200;
/// Build times read in one go; the rest follows soon, in the next.
const MOST_TAGS_READ: usize = 400;
const BETWEEN_READS: Duration = Duration::from_seconds(1);
/// Reasons of one kind that are kept.
pub(super) const MOST_OF_A_KIND: usize = 5;
/// How much later a digest that had been replaced is believed.
const SECOND_LOOK: Duration = Duration::from_seconds(60);

/// What was found about an image.
pub(super) enum Answer {
    /// There is no reason to look at it.
    Nothing,
    /// The registry could not be asked, with the reason.
    Down(String),
    /// Facts with their candidates.
    Facts(Box<ImageFacts>),
}

/// How thoroughly an image is looked at.
#[derive(Clone, Copy)]
struct Depth {
    /// List its tags.
    list: bool,
    /// Read when its tags were built, also of those that were there from the start.
    build_times: bool,
}

impl Inquiry<'_> {
    /// Find the candidates of an image, asked about as far as needed.
    pub(super) async fn candidates(
        &mut self,
        facts: ImageFacts,
        rule: Option<&SignatureRule>,
        event_tags: &[Tag],
    ) -> Result<Answer, ReconcileError> {
        self.recall(&facts).await?;
        let facts = ImageFacts { resolved: self.resolve(&facts), ..facts };
        let by_appearance = facts.selection.policy.is_by_appearance();
        // What cannot be ordered was compared with everything when it was listed; events are, each time.
        let must_list = self.is_to_be_listed(&facts) || (!self.is_ordered(&facts) && !event_tags.is_empty());
        let mut depth =
            Depth { list: must_list || (by_appearance && !event_tags.is_empty()), build_times: !by_appearance };
        loop {
            let answer = self.look(facts.clone(), rule, event_tags, depth).await?;
            if depth.list {
                self.looked(&facts.image, !matches!(answer, Answer::Down(_)));
            }
            let Answer::Facts(found) = &answer else { return Ok(answer) };
            // What appeared since is newer than all whose build times were not read; what was there is not.
            let good = |candidate: &Candidate| {
                let appeared = matches!(candidate.known.sight, Some(Sight::After(_)));
                appeared && matches!(candidate.state, CandidateState::Confirmed { .. })
            };
            let gone = found.candidates.iter().any(|candidate| candidate.state == CandidateState::Missing);
            if gone && !event_tags.is_empty() && !depth.list && lists(&facts.selection) {
                // Something else may be the best now, which no event spoke of.
                depth.list = true;
            } else if !depth.build_times && found.unread > 0 && !found.candidates.iter().any(good) {
                depth.build_times = true;
            } else if !depth.build_times {
                return Ok(Answer::Facts(Box::new(ImageFacts { unread: 0, ..(**found).clone() })));
            } else {
                return Ok(answer);
            }
        }
    }

    async fn look(
        &mut self,
        mut facts: ImageFacts,
        rule: Option<&SignatureRule>,
        event_tags: &[Tag],
        depth: Depth,
    ) -> Result<Answer, ReconcileError> {
        let idle = event_tags.is_empty() && !depth.list;
        if idle && self.waits(&facts.image) {
            return Ok(Answer::Nothing);
        }
        let mut tags: Vec<Tag> = event_tags.to_vec();
        if depth.list && lists(&facts.selection) {
            match self.list(&facts).await? {
                Ok(listed) => tags.extend(listed),
                Err(detail) => return Ok(Answer::Down(detail)),
            }
            if let Err(detail) = self.sight_unlisted(&facts, event_tags).await? {
                return Ok(Answer::Down(detail));
            }
        }
        tags.extend(self.remembered(&facts));
        let (tags, no_images) = self.without_known_others(&facts, without_repeats(tags), event_tags);
        let (tags, strangers) = self.without_strangers(&facts, tags);
        let mut put = self.put_forward(&facts, &tags);
        if facts.selection.policy.is_by_appearance() {
            let together = self.unread_of_the_newest(&facts, &put);
            if let Err(detail) = self.read_all(&facts.image, &together).await {
                return Ok(Answer::Down(detail));
            }
            if !together.is_empty() {
                put = self.put_forward(&facts, &tags);
            }
        }
        if depth.build_times {
            match self.read_build_times(&facts, &tags, put).await {
                Ok((placed, unread)) => (put, facts.unread) = (placed, unread),
                Err(detail) => return Ok(Answer::Down(detail)),
            }
        } else {
            facts.unread = self.never_read(&facts, &put.unplaced).len();
        }
        facts.further = put.further;
        facts.passed_over = [put.passed_over, strangers, no_images].concat();
        let mut wanted = put.wanted;
        if self.is_settled(&facts) {
            // What runs already needs no second look unless somebody speaks of it; a followed tag does, since only
            // its digest moves. Where going down is permitted it does too, lest a lesser tag win for being asked alone.
            let look = depth.list && facts.selection.policy.followed().is_some();
            let down = facts.selection.allow_downgrade;
            wanted.retain(|it| look || down || event_tags.contains(&it.tag) || self.is_above_current(&facts, &it.tag));
            if idle && (down || wanted.is_empty()) {
                return Ok(Answer::Nothing);
            }
        }
        if idle && self.is_offered(&facts, &wanted) {
            return Ok(Answer::Nothing);
        }
        if let Err(detail) = self.ask_about(&mut facts, rule, wanted).await? {
            // A better tag that cannot be judged now must not make a lesser one win.
            return Ok(Answer::Down(detail));
        }
        self.put_what_runs(&mut facts);
        Ok(Answer::Facts(Box::new(facts)))
    }

    /// Read when tags were built whose place depends on it, a part of them now. Returns all in their order, and how many are
    /// still to be read.
    async fn read_build_times(
        &mut self,
        facts: &ImageFacts,
        tags: &[Tag],
        put: PutForward,
    ) -> Result<(PutForward, usize), String> {
        let unread = self.never_read(facts, &put.unplaced);
        if unread.is_empty() {
            return Ok((put, 0));
        }
        let part = unread.get(..MOST_TAGS_READ).unwrap_or(&unread);
        self.read_all(&facts.image, part).await?;
        let put = self.put_forward(facts, tags);
        let left = self.never_read(facts, &put.unplaced).len();
        if left == unread.len() || unread.len() == part.len() {
            // What could not be read now is left out; the next sweep tries again.
            return Ok((put, 0));
        }
        self.look_again(&facts.image, self.engine.now().plus(BETWEEN_READS));
        Ok((put, left))
    }

    /// Whether the best of what is known is offered. It was confirmed then; many pull requests may be open, and asking about
    /// each with every event of any image would tell nothing new.
    fn is_offered(&self, facts: &ImageFacts, wanted: &[Considered]) -> bool {
        let (Some(offered), Some(best)) = (&self.offered, wanted.first()) else { return false };
        let names = |tag| self.observation(&facts.image, tag).map(|observed| &observed.manifest.digest);
        best.tag == offered.tag && names(&best.tag) == Some(&offered.digest)
    }

    /// The tags that are put forward of those that were spoken of, are listed, or are known, best first.
    pub(super) fn all_in_order(&self, facts: &ImageFacts, event_tags: &[Tag], listed: Vec<Tag>) -> Vec<Tag> {
        let tags = [event_tags.to_vec(), listed, self.remembered(facts)].concat();
        let (tags, _) = self.without_known_others(facts, without_repeats(tags), event_tags);
        let (tags, _) = self.without_strangers(facts, tags);
        self.put_forward(facts, &tags).wanted.into_iter().map(|considered| considered.tag).collect()
    }

    /// Tags that were read before and are no images need no second look, unless somebody speaks of them. Returns the
    /// others, and the reasons against these.
    fn without_known_others(&self, facts: &ImageFacts, tags: Vec<Tag>, event_tags: &[Tag]) -> (Vec<Tag>, Vec<Reason>) {
        let mut reasons = Vec::new();
        let other = |tag: &Tag| match self.observation(&facts.image, tag).map(|seen| &seen.manifest.kind) {
            Some(ManifestKind::Other { detail }) if !event_tags.contains(tag) => Some(detail.clone()),
            _ => None,
        };
        let keep = |tag: &Tag| match other(tag) {
            Some(detail) => {
                reasons.push(Reason::NotAnImage { tag: tag.clone(), detail });
                false
            }
            None => true,
        };
        let tags = tags.into_iter().filter(keep).collect();
        let more = reasons.len().saturating_sub(MOST_OF_A_KIND);
        reasons.truncate(MOST_OF_A_KIND);
        reasons.extend((more > 0).then_some(Reason::AndMore { count: more }));
        (tags, reasons)
    }

    /// Tags that appeared together and newer than all others: which of them was built last is still to be read.
    fn unread_of_the_newest(&self, facts: &ImageFacts, put: &PutForward) -> Vec<Tag> {
        let newest = put.wanted.first().map(|first| first.known.sight);
        let together = put.wanted.iter().take_while(|it| Some(it.known.sight) == newest);
        let together: Vec<Tag> = together.map(|it| it.tag.clone()).collect();
        match (newest, together.len()) {
            (Some(Some(Sight::After(_))), 2..) => self.never_read(facts, &together),
            _ => Vec::new(),
        }
    }

    fn never_read(&self, facts: &ImageFacts, tags: &[Tag]) -> Vec<Tag> {
        let read = |tag: &Tag| self.observation(&facts.image, tag).is_some_and(|seen| seen.manifest.is_complete());
        tags.iter().filter(|tag| !read(tag)).cloned().collect()
    }

    /// A list may lag behind: what an event spoke of and is there has appeared all the same.
    async fn sight_unlisted(
        &mut self,
        facts: &ImageFacts,
        event_tags: &[Tag],
    ) -> Result<Result<(), String>, ReconcileError> {
        let by_appearance = facts.selection.policy.is_by_appearance();
        for tag in event_tags.iter().take(MOST_TAGS_ASKED).filter(|_| by_appearance) {
            if self.known(facts, tag).sight.is_none() {
                match self.ask(&facts.image, tag).await? {
                    Ok(None) => {}
                    Ok(Some(_)) => self.sight(&facts.image, vec![tag.clone()]).await?,
                    Err(detail) => return Ok(Err(detail)),
                }
            }
        }
        Ok(Ok(()))
    }

    /// Ask about tags, best first, until one is good. The inner error is the registry's.
    async fn ask_about(
        &mut self,
        facts: &mut ImageFacts,
        rule: Option<&SignatureRule>,
        wanted: Vec<Considered>,
    ) -> Result<Result<(), String>, ReconcileError> {
        let (mut asked, mut done) = (0, false);
        for Considered { tag, mut known } in wanted {
            let mut state = CandidateState::Unasked;
            // Also what is too young is asked about: its age counts from the last time that it changed.
            if !done && asked < MOST_TAGS_ASKED {
                asked += 1;
                state = match self.ask(&facts.image, &tag).await? {
                    Ok(None) => {
                        if facts.selection.policy.is_announced() {
                            // CI may be faster than the registry.
                            self.wait_for_more(facts, &tag);
                        }
                        CandidateState::Missing
                    }
                    Ok(Some(mut found)) => {
                        // Only what is there has appeared: nobody can make a tag older by speaking of it early.
                        self.sight(&facts.image, vec![tag.clone()]).await?;
                        if found.own_commit.is_none() {
                            found.own_commit = self.own_commit_announced(facts, &tag, &found.manifest.digest).await?;
                        }
                        match self.judge(facts, rule, &tag, found).await {
                            Ok(state) => state,
                            Err(detail) => return Ok(Err(detail)),
                        }
                    }
                    Err(detail) => return Ok(Err(detail)),
                };
                known = self.known(facts, &tag);
                done = match &state {
                    CandidateState::Confirmed { digest } => {
                        !self.is_too_young(facts, &tag) && self.is_last_word(facts, &tag, digest)
                    }
                    _ => false,
                };
            }
            facts.candidates.push(Candidate { tag, known, state });
        }
        Ok(Ok(()))
    }

    /// Whether nothing lower need be looked at: people may have skipped just this version; what they refused stops what is
    /// below it, too.
    fn is_last_word(&self, facts: &ImageFacts, tag: &Tag, digest: &Digest) -> bool {
        let hold = refused(&self.skips, facts, (tag, Some(digest)), self.engine.now());
        hold.is_none_or(|hold| matches!(hold.wish, Wish::Refuse { .. }))
    }

    /// What an answer means for this image.
    async fn judge(
        &mut self,
        facts: &ImageFacts,
        rule: Option<&SignatureRule>,
        tag: &Tag,
        found: Found,
    ) -> Result<CandidateState, String> {
        let Found { manifest, own_commit } = found;
        match manifest.kind {
            ManifestKind::Image => {}
            ManifestKind::Other { detail } => return Ok(CandidateState::NotAnImage { detail }),
            ManifestKind::Incomplete { detail } => {
                self.wait_for_more(facts, tag);
                return Ok(CandidateState::Incomplete { detail });
            }
        }
        if let Some(revision) = own_commit {
            return Ok(CandidateState::OwnCommit { revision });
        }
        let missing = facts.selection.missing(&manifest.platforms);
        if !missing.is_empty() {
            self.wait_for_more(facts, tag);
            return Ok(CandidateState::MissingPlatforms { missing });
        }
        let announced = self.announced(facts, tag).iter().filter_map(|announced| announced.digest.clone());
        let announced: Vec<_> = announced.collect();
        if let (Some(last), false) = (announced.last(), announced.contains(&manifest.digest)) {
            self.wait_for_more(facts, tag);
            return Ok(CandidateState::AnnouncedDifferently { announced: last.clone(), found: manifest.digest });
        }
        if let Some(rule) = rule
            && let Verification::Unverified { detail } = self.verify(&facts.image, &manifest.digest, rule).await?
        {
            self.wait_for_more(facts, tag);
            return Ok(CandidateState::NotSigned { detail });
        }
        if let Some(until) = self.second_look(facts, tag) {
            self.look_again(&facts.image, until);
            return Ok(CandidateState::Returned { digest: manifest.digest, until });
        }
        Ok(CandidateState::Confirmed { digest: manifest.digest })
    }

    /// When a followed tag that names again what it had named before is to be believed; nothing when it is already.
    /// A replica of the registry that lags behind answers with what was.
    fn second_look(&self, facts: &ImageFacts, tag: &Tag) -> Option<tagboat_model::Timestamp> {
        facts.selection.policy.followed()?;
        let observed = self.observation(&facts.image, tag)?;
        let runs = |reference: &tagboat_model::Reference| reference.digest.as_ref() == Some(&observed.manifest.digest);
        let until = observed.since.plus(SECOND_LOOK);
        let returned = observed.replaced.contains(&observed.manifest.digest);
        (returned && until > self.engine.now() && !facts.references.iter().all(runs)).then_some(until)
    }

    /// Whether a tag is too young; then it is looked at again when it is old enough.
    fn is_too_young(&mut self, facts: &ImageFacts, tag: &Tag) -> bool {
        let alone = [Considered { tag: tag.clone(), known: self.known(facts, tag) }];
        let consideration = facts.selection.consider(&alone, Circumstances { current: None, now: self.engine.now() });
        let ripens_at = consideration.ripens_at();
        if let Some(at) = ripens_at {
            self.look_again(&facts.image, at);
        }
        ripens_at.is_some()
    }

    /// Tags that need no listing to be known.
    fn remembered(&self, facts: &ImageFacts) -> Vec<Tag> {
        if let Some(followed) = facts.selection.policy.followed() {
            return vec![followed.clone()];
        }
        let mut tags: Vec<Tag> = match facts.selection.policy.is_announced() {
            true => self.announced_tags(facts).cloned().collect(),
            false => self.observed(&facts.image).map(|seen| seen.tag.clone()).collect(),
        };
        // What runs is a candidate too: a lower one must not win because nobody spoke of it.
        tags.extend(current(facts).cloned());
        tags
    }

    fn put_forward(&self, facts: &ImageFacts, tags: &[Tag]) -> PutForward {
        let known: Vec<Considered> =
            tags.iter().map(|tag| Considered { tag: tag.clone(), known: self.known(facts, tag) }).collect();
        let mut put = put_forward(facts, &known, self.engine.now());
        // What runs is compared with, whoever announced it; that makes it nothing to be chosen.
        put.wanted.retain(|it| !self.is_stranger(facts, &it.tag));
        put
    }

    /// The tags that run stand among the candidates, with what is known of them: the decision compares with them.
    fn put_what_runs(&self, facts: &mut ImageFacts) {
        if facts.selection.policy.followed().is_some() {
            return;
        }
        for tag in without_repeats(current(facts).cloned().collect()) {
            if !facts.candidates.iter().any(|candidate| candidate.tag == tag) {
                let known = self.known(facts, &tag);
                facts.candidates.push(Candidate { tag, known, state: CandidateState::Unasked });
            }
        }
    }

    /// Whether nothing needs to be asked unless something better is known.
    pub(super) fn is_settled(&self, facts: &ImageFacts) -> bool {
        self.is_ordered(facts) && facts.references.iter().all(|reference| reference.is_written_as(facts.pin))
    }

    /// Whether all references carry one value that the policy can compare others with.
    fn is_ordered(&self, facts: &ImageFacts) -> bool {
        if facts.selection.policy.followed().is_some() {
            return true;
        }
        let first = facts.references.first().and_then(|reference| reference.tag.as_ref());
        facts.references.iter().all(|reference| match &reference.tag {
            Some(tag) => Some(tag) == first && facts.selection.orders(tag, &self.known(facts, tag)),
            // A digest alone is as good as its tag, once that is known.
            None => first.is_none() && !facts.resolved.is_empty(),
        })
    }

    pub(super) fn is_above_current(&self, facts: &ImageFacts, tag: &Tag) -> bool {
        let place = |tag: &Tag| self.known(facts, tag);
        let compare = |current: &Tag| facts.selection.compare((tag, &place(tag)), (current, &place(current)));
        let orders: Vec<Option<Ordering>> = current(facts).map(compare).collect();
        !orders.is_empty() && orders.contains(&Some(Ordering::Greater)) && !orders.contains(&Some(Ordering::Less))
    }
}

/// The tags that run, as far as they are known.
pub(super) fn current(facts: &ImageFacts) -> impl Iterator<Item = &Tag> {
    facts.references.iter().filter_map(|reference| reference.tag.as_ref()).chain(&facts.resolved)
}

/// Whether a listing can tell anything.
pub(super) fn lists(selection: &Selection) -> bool {
    selection.policy.followed().is_none() && !selection.policy.is_announced()
}

/// The first of equal tags stays where it is.
fn without_repeats(tags: Vec<Tag>) -> Vec<Tag> {
    let mut seen = std::collections::BTreeSet::new();
    tags.into_iter().filter(|tag| seen.insert(tag.clone())).collect()
}
