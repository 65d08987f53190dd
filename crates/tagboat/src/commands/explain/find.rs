//! What is meant by a text that somebody asks about, and what the database knows of it.

use serde::Serialize;
use tagboat_model::{
    BranchKey, DecisionId, DeliveryId, Digest, EntryName, EnvironmentName, EventId, ImageName, ReceiverName, Tag,
    Timestamp, WrittenImage,
};
use tagboat_ports::{DecisionRecord, DecisionsAbout, DeliveryRecord, EventRecord, Store, StoreError};

/// As far back as decisions about an image are looked for.
const MOST_DECISIONS: u32 = 1000;
/// As far back as events about an image are looked for.
const MOST_EVENTS: u32 = 500;

/// What is known.
#[derive(Debug)]
pub(super) enum Found {
    /// Of an event.
    Event(Box<EventStory>),
    /// Of a delivery, with its events.
    Delivery(Box<DeliveryRecord>, Vec<EventStory>),
    /// Of a decision, with the events that it answers.
    Decision(Box<DecisionRecord>, Vec<EventId>),
    /// Of an image that was decided about.
    Image(ImageStory),
    /// Of an image that was only heard of.
    Heard(Heard),
}

/// An event, and what was decided because of it.
#[derive(Debug, Serialize)]
pub(super) struct EventStory {
    pub(super) event: EventRecord,
    pub(super) decisions: Vec<DecisionRecord>,
}

/// What was decided about an image.
#[derive(Debug)]
pub(super) struct ImageStory {
    /// What belongs to one branch, environment and entry stands together.
    pub(super) told: Vec<Told>,
    /// The version that was asked about.
    pub(super) asked: Option<AskedVersion>,
}

/// A decision about an image, and why it is told of.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) why: Why,
    pub(super) record: DecisionRecord,
}

/// Why a decision is told of: what it is among those of its branch, environment and entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The newest.
    Newest,
    /// The newest that led to a commit, where that is another one.
    LastUpdate,
    /// The newest that names the tag that was asked about, where that is yet another one.
    NamesTag,
}

/// The version in `IMAGE:TAG`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AskedVersion {
    pub(super) tag: Option<Tag>,
    pub(super) digest: Option<Digest>,
    /// Whether a decision names it.
    pub(super) is_known: bool,
    /// When none does: the newest event about it.
    pub(super) heard: Option<Box<EventRecord>>,
}

/// An image that nothing was decided about.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Heard {
    pub(super) image: ImageName,
    /// Among the events that were looked through.
    pub(super) times: usize,
    /// How many events were looked through, where there are more.
    pub(super) looked_through: Option<usize>,
    pub(super) last_at: Timestamp,
    pub(super) receiver: ReceiverName,
    /// The tag that was asked about.
    pub(super) tag: Option<HeardTag>,
    /// The branches that ask for the image now.
    pub(super) wanted_by: Vec<BranchKey>,
}

/// A tag, and how often it was heard of.
#[derive(Debug, Serialize)]
pub(super) struct HeardTag {
    pub(super) tag: Tag,
    pub(super) times: usize,
}

/// Ids are looked up as they are: what looks like one may also be the name of an image entry.
pub(super) async fn find(store: &dyn Store, what: &str) -> Result<Option<Found>, StoreError> {
    if let Ok(id) = what.parse::<EventId>()
        && let Some(event) = store.event(&id).await?
    {
        return Ok(Some(Found::Event(Box::new(story(store, event).await?))));
    }
    if let Ok(id) = what.parse::<DeliveryId>()
        && let Some(delivery) = store.delivery(&id).await?
    {
        let mut events = Vec::new();
        for event in delivery.events {
            events.push(story(store, event).await?);
        }
        return Ok(Some(Found::Delivery(Box::new(delivery.record), events)));
    }
    if let Ok(id) = what.parse::<DecisionId>()
        && let Some(decision) = store.decisions(&DecisionsAbout::One(id.clone()), 1).await?.pop()
    {
        return Ok(Some(Found::Decision(Box::new(decision), store.answered(&id).await?)));
    }
    Asked::of(what).find(store).await
}

async fn story(store: &dyn Store, event: EventRecord) -> Result<EventStory, StoreError> {
    let decisions = store.decisions(&DecisionsAbout::Event(event.id.clone()), MOST_DECISIONS).await?;
    Ok(EventStory { event, decisions })
}

/// An image or image entry as it was asked for.
struct Asked {
    name: Option<ImageName>,
    /// The image in its long form; short names mean the same image.
    image: String,
    /// The entry that may be meant.
    entry: String,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Asked {
    fn of(what: &str) -> Self {
        match what.parse::<WrittenImage>() {
            Ok(WrittenImage { written_name, name, tag, digest }) => {
                Self { image: name.to_string(), name: Some(name), entry: written_name, tag, digest }
            }
            Err(_) => Self { name: None, image: what.to_owned(), entry: what.to_owned(), tag: None, digest: None },
        }
    }

    async fn find(self, store: &dyn Store) -> Result<Option<Found>, StoreError> {
        let (image, entry) = (self.image.clone(), self.entry.clone());
        let about = DecisionsAbout::Image { image: image.clone(), entry: entry.clone() };
        let decisions = store.decisions(&about, MOST_DECISIONS).await?;
        let Some(newest) = decisions.first() else { return Ok(self.heard(store).await?.map(Found::Heard)) };
        let updates = store.decisions(&DecisionsAbout::Updates { image, entry }, MOST_DECISIONS).await?;
        let asked = self.version(store, &newest.decision.image, &decisions).await?;
        let tag = asked.as_ref().and_then(|asked| asked.tag.as_ref());
        let told = tell(&decisions, &updates, tag);
        Ok(Some(Found::Image(ImageStory { told, asked })))
    }

    /// What is known of the version that was asked about. A digest alone means the tag that had it when it was chosen.
    async fn version(
        self,
        store: &dyn Store,
        image: &ImageName,
        decisions: &[DecisionRecord],
    ) -> Result<Option<AskedVersion>, StoreError> {
        let Self { tag, digest, .. } = self;
        if tag.is_none() && digest.is_none() {
            return Ok(None);
        }
        let chosen = decisions.iter().filter_map(|record| record.decision.version.as_ref());
        let with_digest = chosen.filter(|version| digest.as_ref() == Some(&version.digest));
        let tag = tag.or_else(|| with_digest.map(|version| version.tag.clone()).next());
        let is_known = tag.as_ref().is_some_and(|tag| decisions.iter().any(|record| names(record, tag)));
        let mut heard = None;
        if let Some(tag) = tag.as_ref().filter(|_| !is_known) {
            let events = store.events(MOST_EVENTS).await?;
            heard = events.into_iter().find(|event| is_about(event, image) && tag_of(event) == Some(tag)).map(Box::new);
        }
        Ok(Some(AskedVersion { tag, digest, is_known, heard }))
    }

    /// An image without decisions, if it was heard of.
    async fn heard(self, store: &dyn Store) -> Result<Option<Heard>, StoreError> {
        let Some(image) = self.name else { return Ok(None) };
        let events = store.events(MOST_EVENTS).await?;
        let looked_through = Some(events.len()).filter(|count| u32::try_from(*count) == Ok(MOST_EVENTS));
        let about: Vec<&EventRecord> = events.iter().filter(|event| is_about(event, &image)).collect();
        let Some(last) = about.first() else { return Ok(None) };
        let tag = self.tag.map(|tag| {
            let times = about.iter().filter(|event| tag_of(event) == Some(&tag)).count();
            HeardTag { tag, times }
        });
        let mut wanted_by = Vec::new();
        for branch in store.branches().await? {
            let interests = store.interests(&branch.key).await?;
            if interests.iter().any(|interest| interest.image == image) {
                wanted_by.push(branch.key);
            }
        }
        let (times, last_at, receiver) = (about.len(), last.received_at, last.receiver.clone());
        Ok(Some(Heard { image, times, looked_through, last_at, receiver, tag, wanted_by }))
    }
}

fn is_about(event: &EventRecord, image: &ImageName) -> bool {
    event.pushed().is_some_and(|pushed| pushed.image == *image)
}

fn tag_of(event: &EventRecord) -> Option<&Tag> {
    event.pushed().map(|pushed| &pushed.tag)
}

/// Whether a decision says anything of a tag.
fn names(record: &DecisionRecord, tag: &Tag) -> bool {
    let decision = &record.decision;
    let is_carried = |written: &String| written.split('@').next() == Some(tag.as_str());
    decision.version.as_ref().is_some_and(|version| version.tag == *tag)
        || decision.reasons.iter().any(|reason| reason.tag() == Some(tag))
        || decision.current.iter().any(is_carried)
}

/// Where a decision holds.
fn place(record: &DecisionRecord) -> (&BranchKey, &EnvironmentName, &EntryName) {
    (&record.key, &record.decision.environment, &record.decision.entry)
}

/// Both lists are newest first.
fn tell(decisions: &[DecisionRecord], updates: &[DecisionRecord], tag: Option<&Tag>) -> Vec<Told> {
    let mut places = Vec::new();
    for record in decisions {
        if !places.contains(&place(record)) {
            places.push(place(record));
        }
    }
    let mut told: Vec<Told> = Vec::new();
    for here in places {
        let newest = decisions.iter().find(|record| place(record) == here);
        let update = updates.iter().find(|record| place(record) == here);
        let naming = |record: &&DecisionRecord| place(record) == here && tag.is_some_and(|tag| names(record, tag));
        let naming = decisions.iter().find(naming);
        for (why, record) in [(Why::Newest, newest), (Why::LastUpdate, update), (Why::NamesTag, naming)] {
            if let Some(record) = record
                && !told.iter().any(|told| told.record.id == record.id)
            {
                told.push(Told { why, record: record.clone() });
            }
        }
    }
    told
}

impl ImageStory {
    /// The newest decisions.
    pub(super) fn newest(&self) -> Vec<&DecisionRecord> {
        self.told.iter().filter(|told| told.why == Why::Newest).map(|told| &told.record).collect()
    }

    /// The newest that led to commits; some may be the newest of all.
    pub(super) fn updates(&self) -> Vec<&DecisionRecord> {
        let is_update =
            |told: &&Told| told.why == Why::LastUpdate || told.why == Why::Newest && told.record.commit.is_some();
        self.told.iter().filter(is_update).map(|told| &told.record).collect()
    }

    /// Those that name the tag that was asked about.
    pub(super) fn naming(&self) -> Vec<&DecisionRecord> {
        let Some(tag) = self.tag() else { return Vec::new() };
        self.told.iter().map(|told| &told.record).filter(|record| names(record, tag)).collect()
    }

    /// The tag that was asked about.
    pub(super) fn tag(&self) -> Option<&Tag> {
        self.asked.as_ref().and_then(|asked| asked.tag.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use tagboat_model::{Decision, Outcome, Reason};

    use super::*;

    /// An update has a commit.
    fn decision(id: &str, environment: &str, outcome: Outcome, reason: Reason) -> DecisionRecord {
        let key = BranchKey {
            tenant: "default".parse().unwrap(),
            repository: "config".parse().unwrap(),
            branch: "main".parse().unwrap(),
        };
        let decision = Decision {
            environment: environment.parse().unwrap(),
            entry: "web".parse().unwrap(),
            image: "ghcr.io/acme/web".parse().unwrap(),
            current: vec!["1.4.0@sha256:00".to_owned()],
            outcome,
            version: None,
            reasons: vec![reason],
            gates: Vec::new(),
        };
        DecisionRecord {
            id: id.parse().unwrap(),
            key,
            head: "0".repeat(40).parse().unwrap(),
            decided_at: Timestamp(1_795_662_000_000),
            decision,
            commit: (outcome == Outcome::Update).then(|| "a".repeat(40).parse().unwrap()),
        }
    }

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    fn told(decisions: &[DecisionRecord], updates: &[DecisionRecord], asked: Option<&Tag>) -> Vec<(Why, String)> {
        tell(decisions, updates, asked).iter().map(|told| (told.why, told.record.id.to_string())).collect()
    }

    #[test]
    fn beside_the_newest_decision_stands_the_one_that_led_to_a_commit() {
        let already = || Reason::AlreadyThere { version: "1.5.0".to_owned() };
        let selected = || Reason::Selected { tag: tag("1.5.0"), policy: "semver".to_owned() };
        let decisions = [
            decision("d-6", "dev", Outcome::Nothing, already()),
            decision("d-5", "prod", Outcome::Update, selected()),
            decision("d-4", "dev", Outcome::Nothing, Reason::NotAVersion { tag: tag("main") }),
            decision("d-3", "dev", Outcome::Nothing, Reason::NotAVersion { tag: tag("main") }),
            decision("d-2", "dev", Outcome::Update, selected()),
        ];
        // The second is older than what else is looked at.
        let updates = [decisions[1].clone(), decisions[4].clone(), decision("d-1", "dev", Outcome::Update, selected())];
        let expect = |all: &[(Why, &str)]| all.iter().map(|(why, id)| (*why, (*id).to_owned())).collect::<Vec<_>>();
        let dev = [(Why::Newest, "d-6"), (Why::LastUpdate, "d-2")];
        let prod = (Why::Newest, "d-5");
        assert_eq!(told(&decisions, &updates, None), expect(&[dev[0], dev[1], prod]));
        let naming = (Why::NamesTag, "d-4");
        assert_eq!(told(&decisions, &updates, Some(&tag("main"))), expect(&[dev[0], dev[1], naming, prod]));
        assert_eq!(told(&decisions, &updates, Some(&tag("1.5.0"))), expect(&[dev[0], dev[1], prod]), "each once");
        let story = ImageStory { told: tell(&decisions, &updates, None), asked: None };
        assert_eq!((story.newest().len(), story.updates().len(), story.naming().len()), (2, 2, 0));
    }

    #[test]
    fn a_decision_names_what_it_chose_judged_or_found() {
        let record = decision("d-1", "dev", Outcome::Nothing, Reason::NotAVersion { tag: tag("main") });
        for (text, expect) in [("main", true), ("1.4.0", true), ("1.4", false), ("1.5.0", false)] {
            assert_eq!(names(&record, &tag(text)), expect, "{text}");
        }
    }

    #[test]
    fn an_image_is_asked_for_in_every_way_to_write_it() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let long = format!("ghcr.io/acme/web:1.5.0@{digest}");
        for (what, image, entry, tag, has_digest) in [
            ("web", "docker.io/library/web", "web", None, false),
            ("web:1.5.0", "docker.io/library/web", "web", Some("1.5.0"), false),
            ("localhost:5000/web", "localhost:5000/web", "localhost:5000/web", None, false),
            (long.as_str(), "ghcr.io/acme/web", "ghcr.io/acme/web", Some("1.5.0"), true),
            ("My-Entry", "My-Entry", "My-Entry", None, false),
        ] {
            let asked = Asked::of(what);
            assert_eq!((asked.image.as_str(), asked.entry.as_str()), (image, entry));
            assert_eq!((asked.tag.as_ref().map(Tag::as_str), asked.digest.is_some()), (tag, has_digest), "{what}");
        }
    }
}
