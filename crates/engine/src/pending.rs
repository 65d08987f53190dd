//! What waits: the events that a branch has not served, read once and kept by what they are about.
//!
//! Of thousands about one image as much is kept as anything follows from: each tag once, and of each event its id and
//! when it came. Decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use tagboat_model::{CommitId, Event, EventId, ImageName, PullRequest, RepositoryChange, Tag, Timestamp};
use tagboat_ports::{PendingEvent, Store, StoreError, Work};

/// The events that wait.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// In their order, each with when it was accepted.
    events: Vec<(EventId, Timestamp)>,
    images: BTreeMap<ImageName, Spoken>,
    /// The pull requests and commits that they speak of.
    pub(crate) touched: Touched,
    /// Whether one is about a pull request.
    pub(crate) about_pull_requests: bool,
}

/// What events say of one image.
#[derive(Debug, Default)]
struct Spoken {
    /// The places of those events.
    places: Vec<usize>,
    /// Tags that may be candidates for what events say, each once, in the order in which they were heard of.
    candidates: Vec<Tag>,
    known: BTreeSet<Tag>,
    /// The place of the event that spoke of each tag first.
    first: BTreeMap<Tag, usize>,
}

impl Pending {
    /// Read what waits for `work`.
    pub(crate) async fn of(store: &dyn Store, work: &Work) -> Result<Self, StoreError> {
        let mut pending = Self::default();
        store.pending_events(work, &mut |event| pending.add(event)).await?;
        Ok(pending)
    }

    fn add(&mut self, pending: PendingEvent) {
        let is_candidate = pending.candidate().is_some();
        let PendingEvent { id, event, received_at, .. } = pending;
        let place = self.events.len();
        self.events.push((id, received_at));
        match event {
            Event::ImagePushed(pushed) => {
                let spoken = self.images.entry(pushed.image).or_default();
                spoken.places.push(place);
                if is_candidate && spoken.known.insert(pushed.tag.clone()) {
                    spoken.candidates.push(pushed.tag.clone());
                }
                spoken.first.entry(pushed.tag).or_insert(place);
            }
            Event::RepositoryChanged(changed) => {
                self.about_pull_requests |= changed.change != RepositoryChange::BranchMoved;
                self.touched.numbers.extend(changed.number);
                self.touched.commits.extend(changed.commit.filter(|_| changed.change == RepositoryChange::Status));
            }
            Event::BuildFinished(_) | Event::InstallationsChanged { .. } => {}
        }
    }

    /// All, in their order.
    pub(crate) fn ids(&self) -> Vec<EventId> {
        self.events.iter().map(|(id, _)| id.clone()).collect()
    }

    /// Those that a decision about an image answers, as the store links them; with when each was accepted.
    pub(crate) fn about(&self, image: &ImageName) -> Vec<(EventId, Timestamp)> {
        let places = self.images.get(image).map_or(&[][..], |spoken| &spoken.places);
        places.iter().filter_map(|place| self.events.get(*place).cloned()).collect()
    }

    /// Whether one is about an image.
    pub(crate) fn speak_of(&self, image: &ImageName) -> bool {
        self.images.contains_key(image)
    }

    /// The tags of an image that may be candidates for what was said, each once, in the order in which they were heard of.
    pub(crate) fn tags(&self, image: &ImageName) -> &[Tag] {
        self.images.get(image).map_or(&[], |spoken| &spoken.candidates)
    }

    /// The event that spoke of a tag first.
    pub(crate) fn first_about(&self, image: &ImageName, tag: &Tag) -> Option<&EventId> {
        let place = self.images.get(image)?.first.get(tag)?;
        self.events.get(*place).map(|(id, _)| id)
    }
}

/// The pull requests and commits that events speak of: what is in memory of them may be old.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// The pull requests that people commented on, or otherwise touched, by number.
    pub(crate) numbers: BTreeSet<u64>,
    commits: BTreeSet<CommitId>,
}

impl Touched {
    pub(crate) fn concerns(&self, pull: &PullRequest) -> bool {
        self.numbers.contains(&pull.number) || self.commits.contains(&pull.head_commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_model::{ImagePushed, RepositoryChanged, Trust};

    fn record(id: &str, trust: Trust, event: Event) -> PendingEvent {
        PendingEvent { id: id.parse().unwrap(), event, trust, received_at: Timestamp(1) }
    }

    fn push(image: &ImageName, tag: &str) -> Event {
        Event::ImagePushed(ImagePushed::new(image.clone(), tag.parse().unwrap(), None))
    }

    #[test]
    fn each_tag_is_kept_once_and_each_event_by_its_id() {
        let (web, api): (ImageName, ImageName) =
            ("r.example/acme/web".parse().unwrap(), "r.example/acme/api".parse().unwrap());
        let mut pending = Pending::default();
        pending.add(record("a", Trust::Url, push(&web, "3")));
        pending.add(record("b", Trust::Signed, push(&web, "2")));
        pending.add(record("c", Trust::Signed, push(&api, "1")));
        pending.add(record("d", Trust::Signed, push(&web, "1")));
        pending.add(record("e", Trust::Signed, push(&web, "2")));
        assert_eq!(pending.tags(&web).iter().map(Tag::as_str).collect::<Vec<_>>(), ["2", "1"], "who is believed");
        let about: Vec<String> = pending.about(&web).into_iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(about.join(" "), "a b d e", "all are answered");
        let first = |tag: &str| pending.first_about(&web, &tag.parse().unwrap()).map(EventId::as_str);
        assert_eq!((first("2"), first("3"), first("4")), (Some("b"), Some("a"), None));
        assert!(pending.speak_of(&api) && pending.tags(&"r.example/acme/db".parse().unwrap()).is_empty());
        assert_eq!((pending.ids().len(), pending.about_pull_requests), (5, false));
    }

    #[test]
    fn what_pull_requests_are_touched_is_known() {
        let changed = |change, number| {
            let commit = Some("a".repeat(40).parse().unwrap());
            let (addresses, branch, actor) = (Vec::new(), None, None);
            Event::RepositoryChanged(RepositoryChanged { addresses, change, branch, commit, number, actor })
        };
        let mut pending = Pending::default();
        pending.add(record("a", Trust::Signed, changed(RepositoryChange::BranchMoved, None)));
        assert!(!pending.about_pull_requests && pending.touched.commits.is_empty());
        pending.add(record("b", Trust::Signed, changed(RepositoryChange::Comment, Some(7))));
        assert!(pending.about_pull_requests && pending.touched.commits.is_empty());
        pending.add(record("c", Trust::Signed, changed(RepositoryChange::Status, None)));
        assert_eq!(pending.touched.commits.len(), 1);
        assert_eq!(pending.touched.numbers.into_iter().collect::<Vec<_>>(), [7]);
    }
}
