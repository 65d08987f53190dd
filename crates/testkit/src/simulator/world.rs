//! Everything outside the engine: registry, config repository, senders, people, time.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use sha2::{Digest as _, Sha256};
use tagboat_model::{CommitId, Digest, Event, ImageName, ImagePushed, Tag, Timestamp, Trust};
use tagboat_policy::{Circumstances, Considered, Selection};
use tagboat_ports::{BlobId, Clock as _, NewDelivery, NewEvent};

use super::{MemoryStore, Report};

/// A fault of ours that the simulator must find, to prove that it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A push does not compare the branch with the base first.
    PushWithoutCompare,
    /// A delivery is answered before it is stored, and the process may end in between.
    AnswerBeforeStore,
    /// The branch counts as served when work is leased.
    ServedWhenLeased,
    /// A registry that is down looks as if the tag were gone, and an older one wins.
    OutageMeansGone,
    /// An edit re-prints the file.
    ReprintFiles,
}

const REPOSITORY_FILE: &str = "images:
  - { name: web, image: r.example/acme/web, policy: { semver: { range: '^1' } } }
  - { name: api, image: r.example/acme/api, policy: { semver: { range: '*' } } }
  - { name: tool, image: r.example/acme/tool, policy: { digest: { tag: main } }, pin: tagAndDigest }
environments:
  - { name: dev, paths: [dev], deliver: commit }
  - { name: prod, paths: [prod], deliver: commit, images: { web: { policy: { semver: { range: '~1.0' } } } } }
";
const MANIFEST: &str = "# two images   \nweb: {image: 'r.example/acme/web:1.0.0'} # web\napi:\n    image: r.example/acme/api:1.0.0\ntool: {image: r.example/acme/tool:main}\n";

#[derive(Clone)]
pub(super) struct Commit {
    parent: Option<CommitId>,
    pub(super) message: String,
    pub(super) time: Timestamp,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

#[derive(Default)]
pub(super) struct Inside {
    pub(super) commits: BTreeMap<CommitId, Commit>,
    pub(super) head: Option<CommitId>,
    pub(super) blobs: BTreeMap<BlobId, Vec<u8>>,
    /// What the bot wrote down beside the branch, the newest last.
    pub(super) state: Vec<(CommitId, Vec<u8>)>,
    pub(super) tags: BTreeMap<(ImageName, Tag), Digest>,
    /// Deliveries on their way: the sender repeats each until it is answered.
    in_flight: Vec<(String, ImagePushed, Trust)>,
    pushed: u64,
    pub(super) races: u64,
    people: u64,
    pub(super) broken: Option<String>,
}

/// The outside of one run.
pub struct World {
    random: Mutex<fastrand::Rng>,
    pub(super) now: AtomicI64,
    storm: AtomicBool,
    ids: AtomicU64,
    pub(super) bug: Option<Bug>,
    store: Arc<MemoryStore>,
    pub(super) inside: Mutex<Inside>,
}

impl World {
    pub(super) fn new(seed: u64, bug: Option<Bug>) -> Self {
        let world = Self {
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            now: AtomicI64::new(1_700_000_000_000),
            storm: AtomicBool::new(true),
            ids: AtomicU64::new(0),
            bug,
            store: Arc::new(MemoryStore::with_bug(bug)),
            inside: Mutex::default(),
        };
        let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
        let files =
            [file(".tagboat.yaml", REPOSITORY_FILE), file("dev/app.yaml", MANIFEST), file("prod/app.yaml", MANIFEST)];
        let mut inside = world.inside.lock().unwrap();
        inside.commit(None, ("Start", Timestamp(1_700_000_000_000)), files.into_iter().collect());
        for image in ["web", "api"] {
            inside.tags.insert((image_name(image), "1.0.0".parse().unwrap()), digest("first"));
        }
        inside.tags.insert((image_name("tool"), "main".parse().unwrap()), digest("tool 0"));
        drop(inside);
        world
    }

    pub(super) fn store(&self) -> &Arc<MemoryStore> {
        &self.store
    }

    pub(super) fn random(&self, below: usize) -> usize {
        self.random.lock().unwrap().usize(..below)
    }

    /// One in so many times.
    pub(super) fn chance(&self, one_in: usize) -> bool {
        self.random(one_in) == 0
    }

    pub(super) fn fault(&self, one_in: usize) -> bool {
        self.storm.load(Ordering::Relaxed) && self.chance(one_in)
    }

    pub(super) fn calm_down(&self) {
        self.storm.store(false, Ordering::Relaxed);
    }

    /// Time passes; images are pushed, senders send, people commit, what is only remembered is lost.
    pub(super) fn something_happens(&self) {
        let storm = self.storm.load(Ordering::Relaxed);
        let milliseconds = if self.chance(50) { 20_000 } else { self.random(400) };
        self.now.fetch_add(i64::try_from(milliseconds).unwrap(), Ordering::Relaxed);
        if storm && self.chance(25) {
            self.push_image();
        }
        if storm && self.chance(120) {
            self.person_commits();
        }
        if self.fault(150) {
            self.store.lose_files();
        }
        self.a_sender_sends();
    }

    fn push_image(&self) {
        if self.chance(5) {
            return self.move_tag();
        }
        let image = image_name(if self.chance(2) { "web" } else { "api" });
        let text = match self.random(6) {
            0 => "latest".to_owned(),
            1 => format!("1.0.{}", self.random(20)),
            2 => format!("2.{}.0", self.random(5)),
            _ => format!("1.{}.{}", self.random(5), self.random(10)),
        };
        let tag: Tag = text.parse().unwrap();
        let digest = digest(&format!("{image}:{tag}"));
        self.inside.lock().unwrap().push(image, tag, digest);
    }

    /// A followed tag names something new.
    fn move_tag(&self) {
        let mut inside = self.inside.lock().unwrap();
        let digest = digest(&format!("tool {}", inside.pushed + 1));
        inside.push(image_name("tool"), "main".parse().unwrap(), digest);
    }

    fn person_commits(&self) {
        let mut inside = self.inside.lock().unwrap();
        inside.people += 1;
        let number = inside.people;
        let head = inside.head.clone();
        let mut files = inside.files();
        files.insert(format!("notes/{number}.md"), format!("note {number}\n").into_bytes());
        let message = format!("Person {number}");
        inside.commit(head, (message.as_str(), self.now()), files);
    }

    /// One delivery: lost, answered late, or sent twice. The sender forgets it only once it was answered.
    fn a_sender_sends(&self) {
        let inside = self.inside.lock().unwrap();
        if inside.in_flight.is_empty() {
            return;
        }
        let index = self.random(inside.in_flight.len());
        let (key, pushed, trust) = inside.in_flight[index].clone();
        drop(inside);
        if self.fault(4) {
            return;
        }
        if !(self.bug == Some(Bug::AnswerBeforeStore) && self.fault(10)) {
            let number = self.ids.fetch_add(1, Ordering::Relaxed);
            let event = NewEvent {
                id: format!("event-{number}").parse().unwrap(),
                looks: if trust == Trust::Url { vec![pushed.image.clone()] } else { Vec::new() },
                branches: Vec::new(),
                urgent: false,
                event: Event::ImagePushed(pushed),
                trust,
            };
            self.store.accept_now(NewDelivery {
                id: format!("delivery-{number}").parse().unwrap(),
                tenant: "default".parse().unwrap(),
                receiver: "registry".parse().unwrap(),
                kind: "distribution".to_owned(),
                trust,
                key,
                once: None,
                acts_again: false,
                verdict: "accepted".to_owned(),
                reasons: Vec::new(),
                headers: Vec::new(),
                body: Vec::new(),
                body_hash: String::new(),
                received_at: self.now(),
                events: vec![event],
            });
        }
        // The answer may be lost; then the same delivery comes again.
        if !self.fault(5) {
            self.inside.lock().unwrap().in_flight.remove(index);
        }
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.inside.lock().unwrap().in_flight.is_empty() && self.store.is_at_rest()
    }

    /// What holds after every step.
    pub(super) fn check_always(&self) -> Result<(), String> {
        self.inside.lock().unwrap().broken.clone().map_or(Ok(()), Err)
    }

    /// What holds once all faults have stopped.
    pub(super) fn check_at_rest(&self) -> Result<(), String> {
        let inside = self.inside.lock().unwrap();
        if !inside.in_flight.is_empty() || !self.store.is_at_rest() {
            return Err("work is left although all faults have stopped".to_owned());
        }
        for (environment, web) in [("dev", "^1"), ("prod", "~1.0")] {
            let followed = &inside.tags[&(image_name("tool"), "main".parse().unwrap())];
            let expect = MANIFEST
                .replace("tool:main", &format!("tool:main@{followed}"))
                .replace("web:1.0.0", &format!("web:{}", inside.best("web", web)))
                .replace("api:1.0.0", &format!("api:{}", inside.best("api", "*")));
            let found = inside.files().remove(&format!("{environment}/app.yaml")).unwrap();
            if found != expect.as_bytes() {
                let found = String::from_utf8_lossy(&found).into_owned();
                return Err(format!("{environment} should be\n{expect}but is\n{found}"));
            }
        }
        let notes = inside.files().keys().filter(|path| path.starts_with("notes/")).count();
        if u64::try_from(notes).unwrap() != inside.people {
            return Err("a person's commit was lost".to_owned());
        }
        inside.check_own_commits()
    }

    pub(super) fn finish(&self, report: &Report) -> Report {
        let inside = self.inside.lock().unwrap();
        let commits = u64::try_from(inside.own_commits().len()).unwrap();
        Report { pushes: inside.pushed, commits, races: inside.races, ..report.clone() }
    }

    /// Other workers may run here: the caller is polled again later.
    pub(super) async fn yield_now(&self) {
        for _ in 0..self.random(3) {
            let mut first = true;
            std::future::poll_fn(|_| {
                if std::mem::take(&mut first) { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
            })
            .await;
        }
    }
}

impl Inside {
    /// The registry has it, and tells of it until it is answered. Now and then it cannot prove who it is.
    fn push(&mut self, image: ImageName, tag: Tag, digest: Digest) {
        self.pushed += 1;
        self.tags.insert((image.clone(), tag.clone()), digest.clone());
        let trust = if self.pushed.is_multiple_of(4) { Trust::Url } else { Trust::Token };
        let pushed = ImagePushed::new(image, tag, Some(digest));
        self.in_flight.push((format!("delivery-{}", self.pushed), pushed, trust));
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.head.as_ref().map(|head| self.commits[head].files.clone()).unwrap_or_default()
    }

    pub(super) fn commit(
        &mut self,
        parent: Option<CommitId>,
        (message, time): (&str, Timestamp),
        files: BTreeMap<String, Vec<u8>>,
    ) -> CommitId {
        let id = commit_id(parent.as_ref(), message, &files);
        for bytes in files.values() {
            self.blobs.insert(blob_id(bytes), bytes.clone());
        }
        self.commits.insert(id.clone(), Commit { parent, message: message.to_owned(), time, files });
        self.head = Some(id.clone());
        id
    }

    pub(super) fn ancestors(&self, head: Option<&CommitId>) -> Vec<CommitId> {
        let mut found = Vec::new();
        let mut next = head.cloned();
        while let Some(id) = next {
            next = self.commits[&id].parent.clone();
            found.push(id);
        }
        found
    }

    fn own_commits(&self) -> Vec<(CommitId, &Commit)> {
        let ids = self.ancestors(self.head.as_ref()).into_iter();
        ids.map(|id| (id.clone(), &self.commits[&id]))
            .filter(|(_, commit)| commit.message.contains("Tagboat-Decision"))
            .collect()
    }

    /// An independent look: the greatest version, among all tags that were ever pushed.
    fn best(&self, image: &str, range: &str) -> String {
        let policy = tagboat_policy::Policy::Semver(tagboat_policy::Semver { range: range.parse().unwrap() });
        let of = self.tags.keys().filter(|(name, _)| *name == image_name(image));
        let tags: Vec<Considered> = of.map(|(_, tag)| tag.clone().into()).collect();
        let circumstances = Circumstances { current: None, now: Timestamp(0) };
        Selection::from(policy).consider(&tags, circumstances).selected().unwrap().to_string()
    }

    /// Every commit of ours changed exactly one image in one environment, upwards, and no change was made twice.
    fn check_own_commits(&self) -> Result<(), String> {
        let mut seen = Vec::new();
        for (id, commit) in self.own_commits() {
            let trailers: Vec<&str> = commit.message.lines().filter(|line| line.starts_with("Tagboat-")).collect();
            let what = trailers[..2].join(" ");
            if seen.contains(&what) {
                return Err(format!("{what} was committed twice"));
            }
            seen.push(what);
            let before = &self.commits[commit.parent.as_ref().unwrap()].files;
            let changed: Vec<_> =
                commit.files.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes)).collect();
            let [(path, bytes)] = changed[..] else {
                return Err(format!("commit {id} changed {} files", changed.len()));
            };
            let (old, new) =
                (String::from_utf8_lossy(&before[path]).into_owned(), String::from_utf8_lossy(bytes).into_owned());
            let lines = old.lines().zip(new.lines()).filter(|(old, new)| old != new).count();
            if lines != 1 || old.lines().count() != new.lines().count() {
                return Err(format!("commit {id} changed more than one line of {path}"));
            }
        }
        Ok(())
    }
}

fn image_name(name: &str) -> ImageName {
    format!("r.example/acme/{name}").parse().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(seed: &str) -> Digest {
    format!("sha256:{}", hex(seed.as_bytes())).parse().unwrap()
}

pub(super) fn blob_id(bytes: &[u8]) -> BlobId {
    BlobId(Sha256::digest(bytes)[..20].try_into().unwrap())
}

pub(super) fn commit_id(parent: Option<&CommitId>, message: &str, files: &BTreeMap<String, Vec<u8>>) -> CommitId {
    hex(format!("{parent:?}{message}{files:?}").as_bytes())[..40].parse().unwrap()
}
