//! The short path (an event's own tag, confirmed) and the long one (list everything, each time) give the same answer,
//! whatever is pushed, pushed again, deleted, moved, repeated or told in another order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use proptest::prelude::*;
use tagboat_engine::{Behaviour, ConfigRepository, Engine, Ports, Stepped};
use tagboat_model::{
    BranchName, CommitId, DecisionId, Digest, Duration, Event, ImageName, ImagePushed, SignatureRule, Tag, Timestamp,
    Trust,
};
use tagboat_ports::{
    BlobId, Clock, FileEntry, ManifestDescription, ManifestKind, NewDelivery, NewEvent, Push, PushOutcome, Registry,
    RegistryError, Repository, RepositoryError, Settle, Store as _, Verification,
};
use tagboat_testkit::simulator::MemoryStore;

/// How an image is chosen, and what runs at first.
const SELECTIONS: [(&str, &str); 11] = [
    ("policy: { semver: { range: '*' } }", "1.0.0"),
    ("policy: { semver: { range: '~1.1' } }, filterTags: { pattern: '^(?:v|r-)?(.*)$', extract: '$1' }", "1.1.0"),
    ("policy: { semver: { range: '>=0.0.0-0' } }, allowDowngrade: true", "1.0.0"),
    ("policy: { semver: { range: '*' } }, platforms: [linux/amd64, linux/arm64]", "1.0.0"),
    ("policy: { semver: { range: '*' } }, minimumAge: 2h", "1.0.0"),
    ("policy: { numerical: {} }", "7"),
    ("policy: { alphabetical: { order: desc } }, exclude: ['^[0-9]']", "zz"),
    ("policy: { newest: {} }", "1.0.0"),
    ("policy: { newest: {} }, minimumAge: 2h, allow: ['\\.']", "1.0.0"),
    ("policy: { digest: { tag: main } }, pin: tagAndDigest", "main"),
    ("policy: { argocdImageUpdater: { ignoreTags: ['*-rc*'] } }", "1.0.0"),
];

const TAGS: [&str; 16] = [
    "1.0.0",
    "v1.0.0",
    "1.1.0",
    "1.1.1",
    "r-1.1.2",
    "1.2.0-rc.1",
    "1.2.0",
    "01.2.0",
    "2.0.0",
    "7",
    "12",
    "012",
    "main",
    "latest",
    "aa",
    "zz",
];

#[derive(Debug, Clone)]
enum Action {
    /// A tag is pushed: with its number, the moment of its build relative to now, and whether all platforms are there.
    Push(usize, Option<i64>, bool),
    Delete(usize),
}

fn action() -> impl Strategy<Value = Action> {
    let push = (0..TAGS.len(), prop::option::weighted(0.8, 0..20_000_i64), prop::bool::weighted(0.7));
    prop_oneof![
        5 => push.prop_map(|(tag, age, complete)| Action::Push(tag, age, complete)),
        1 => (0..TAGS.len()).prop_map(Action::Delete),
    ]
}

fn image() -> ImageName {
    "r.example/acme/web".parse().unwrap()
}

fn hex(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A registry and a clock for two, a config repository for one.
#[derive(Default)]
struct World {
    now: AtomicI64,
    pushes: AtomicI64,
    tags: Mutex<BTreeMap<Tag, ManifestDescription>>,
}

struct Config {
    settings: Mutex<String>,
    /// The file by its commit, oldest first.
    commits: Mutex<Vec<(CommitId, Vec<u8>)>>,
    /// What becomes of the next pushes instead of landing, the last first.
    instead: Mutex<Vec<PushOutcome>>,
}

impl Config {
    fn settings_blob(&self) -> BlobId {
        blob(&hex(&self.settings.lock().unwrap()))
    }
}

fn blob(hex: &str) -> BlobId {
    BlobId(std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()))
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    async fn sleep_until(&self, _: Timestamp) {
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl Registry for World {
    async fn digest(&self, _: &ImageName, tag: &Tag) -> Result<Option<Digest>, RegistryError> {
        Ok(self.tags.lock().unwrap().get(tag).map(|manifest| manifest.digest.clone()))
    }

    async fn describe(&self, _: &ImageName, tag: &Tag) -> Result<Option<ManifestDescription>, RegistryError> {
        Ok(self.tags.lock().unwrap().get(tag).cloned())
    }

    async fn tags(&self, _: &ImageName) -> Result<Vec<Tag>, RegistryError> {
        Ok(self.tags.lock().unwrap().keys().cloned().collect())
    }

    async fn verify(&self, _: &ImageName, _: &Digest, _: &SignatureRule) -> Result<Verification, RegistryError> {
        Ok(Verification::Verified)
    }
}

#[async_trait]
impl Repository for Config {
    async fn head(&self, _: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        Ok(self.commits.lock().unwrap().last().map(|(id, _)| id.clone()))
    }

    async fn files(&self, commit: &CommitId) -> Result<Vec<FileEntry>, RepositoryError> {
        let entry = |path: &str, blob: BlobId| FileEntry { path: path.to_owned(), blob };
        Ok(vec![entry(".tagboat.yaml", self.settings_blob()), entry("dev/web.yaml", blob(commit.as_str()))])
    }

    async fn read(&self, blobs: &[BlobId], _: usize) -> Result<Vec<Option<Vec<u8>>>, RepositoryError> {
        let commits = self.commits.lock().unwrap();
        let settings = self.settings_blob();
        let read = |blob: &BlobId| {
            if *blob == settings {
                return Some(self.settings.lock().unwrap().clone().into_bytes());
            }
            let id = blob.to_string();
            commits.iter().find(|(commit, _)| commit.as_str() == id).map(|(_, bytes)| bytes.clone())
        };
        Ok(blobs.iter().map(read).collect())
    }

    async fn push(&self, push: &Push) -> Result<PushOutcome, RepositoryError> {
        if let Some(outcome) = self.instead.lock().unwrap().pop() {
            return Ok(outcome);
        }
        let mut commits = self.commits.lock().unwrap();
        let mut ids = Vec::new();
        for commit in push.updates[0].change.commits() {
            let id: CommitId = hex(&format!("{}{}", commits.len(), commit.message))[..40].parse().unwrap();
            commits.push((id.clone(), commit.files[0].bytes.clone()));
            ids.push(id);
        }
        Ok(PushOutcome::Landed(vec![ids]))
    }

    async fn landed(
        &self,
        _: &CommitId,
        _: &CommitId,
        _: &[DecisionId],
    ) -> Result<Vec<(DecisionId, CommitId)>, RepositoryError> {
        Ok(Vec::new())
    }
}

impl World {
    fn act(&self, action: &Action) -> Option<Tag> {
        let mut tags = self.tags.lock().unwrap();
        match action {
            Action::Push(tag, age, complete) => {
                let tag: Tag = TAGS[*tag].parse().unwrap();
                let number = self.pushes.fetch_add(1, Ordering::Relaxed);
                // Now and then the same content again, as a registry that lags behind would show it.
                let digest = format!("sha256:{}", hex(&format!("{tag} {}", number % 7)));
                let platforms = if *complete { &["linux/amd64", "linux/arm64"][..] } else { &["linux/amd64"] };
                tags.insert(
                    tag.clone(),
                    ManifestDescription {
                        digest: digest.parse().unwrap(),
                        kind: ManifestKind::Image,
                        revision: None,
                        source: None,
                        created: age.map(|age| Timestamp(self.now().0 - age * 1000)),
                        platforms: platforms.iter().map(|platform| platform.parse().unwrap()).collect(),
                    },
                );
                Some(tag)
            }
            Action::Delete(tag) => {
                tags.remove(&TAGS[*tag].parse::<Tag>().unwrap());
                None
            }
        }
    }
}

fn settings(selection: &str) -> String {
    format!(
        "images: [{{ name: web, image: r.example/acme/web, {selection} }}]\nenvironments: [{{ name: dev, paths: [dev], deliver: commit }}]\n"
    )
}

/// One engine with its own store and config repository.
struct Side {
    engine: Engine,
    store: Arc<MemoryStore>,
    config: Arc<Config>,
}

impl Side {
    fn new(world: &Arc<World>, selection: &str, first: &str, sweep: Duration) -> Self {
        let settings = Mutex::new(settings(selection));
        let file = format!("image: r.example/acme/web:{first}\n").into_bytes();
        let config = Arc::new(Config {
            settings,
            commits: Mutex::new(vec![("0".repeat(40).parse().unwrap(), file)]),
            instead: Mutex::default(),
        });
        let store = Arc::new(MemoryStore::default());
        let ports = Ports {
            clock: Arc::clone(world) as _,
            store: Arc::clone(&store) as _,
            registry: Arc::clone(world) as _,
            progress: Arc::new(()),
        };
        let key = ("default".parse().unwrap(), "config".parse().unwrap());
        let repository = ConfigRepository::new(
            Arc::clone(&config) as _,
            "main".parse().unwrap(),
            "Tagboat <tagboat@localhost>".to_owned(),
        );
        let settle = Settle { quiet: Duration::ZERO, at_most: Duration::ZERO };
        let behaviour = Behaviour { settle, sweep, lease: Duration::from_seconds(60) };
        let engine = Engine::new(ports, [(key, repository)].into_iter().collect(), behaviour);
        engine.start().now_or_never().unwrap().unwrap();
        Self { engine, store, config }
    }

    /// Work until nothing is due; `sweeps` is how often a sweep may come by itself.
    fn work(&self, most: usize) {
        for _ in 0..most {
            if let Stepped::Idle(_) = self.engine.step("worker").now_or_never().unwrap().unwrap() {
                return;
            }
        }
    }

    fn hear(&self, world: &World, number: usize, tag: &Tag) {
        let pushed = ImagePushed::new(image(), tag.clone(), None);
        let delivery = NewDelivery {
            id: format!("delivery-{number}").parse().unwrap(),
            tenant: "default".parse().unwrap(),
            receiver: "registry".parse().unwrap(),
            kind: "distribution".to_owned(),
            trust: Trust::Token,
            key: number.to_string(),
            once: None,
            acts_again: false,
            verdict: "accepted".to_owned(),
            reasons: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            body_hash: String::new(),
            received_at: world.now(),
            events: vec![NewEvent {
                id: format!("event-{number}").parse().unwrap(),
                event: Event::ImagePushed(pushed),
                trust: Trust::Token,
                looks: Vec::new(),
                branches: Vec::new(),
                urgent: false,
            }],
        };
        self.store.accept(delivery).now_or_never().unwrap().unwrap();
    }

    fn runs(&self) -> String {
        String::from_utf8(self.config.commits.lock().unwrap().last().unwrap().1.clone()).unwrap()
    }
}

const NEVER: Duration = Duration::from_seconds(1_000_000_000);

/// Returns what runs in the end.
fn same_answer(selection: usize, start: &[usize], batches: &[(Vec<Action>, u64)]) -> Result<String, TestCaseError> {
    let (selection, first) = SELECTIONS[selection];
    let world = Arc::new(World::default());
    world.now.store(1_700_000_000_000, Ordering::Relaxed);
    for tag in start.iter().copied().chain([TAGS.iter().position(|tag| *tag == first).unwrap()]) {
        world.act(&Action::Push(tag, Some(100_000), true));
    }
    let short = Side::new(&world, selection, first, NEVER);
    let long = Side::new(&world, selection, first, Duration::ZERO);
    short.work(100);
    long.work(3);
    let (mut number, mut history) = (0, Vec::new());
    for (actions, order) in batches {
        world.now.fetch_add(5_400_000, Ordering::Relaxed);
        let mut told: Vec<Tag> = actions.iter().filter_map(|action| world.act(action)).collect();
        if told.is_empty() && selection.contains("allowDowngrade") {
            // Something follows from a deletion here, and is seen with the next event, about whatever tag.
            told.extend(world.tags.lock().unwrap().keys().next().cloned());
        }
        // Some are told twice, and in any order.
        told.extend(told.clone().into_iter().take((*order % 3) as usize));
        fastrand::Rng::with_seed(*order).shuffle(&mut told);
        for tag in &told {
            number += 1;
            short.hear(&world, number, tag);
        }
        short.work(100);
        long.work(3);
        history.push(format!("{actions:?}: {} | {}", short.runs().trim(), long.runs().trim()));
        // Nobody tells of a deletion, and only where going down is permitted does anything follow from one.
        if !told.is_empty() || !selection.contains("allowDowngrade") {
            prop_assert_eq!(short.runs(), long.runs(), "{}\n{}", selection, history.join("\n"));
        }
    }
    Ok(short.runs())
}

#[test]
fn both_paths_move() {
    // Selection, the tags pushed one batch each, what runs then.
    for (selection, pushes, expect) in [
        (0, &["2.0.0", "1.2.0"][..], "web:2.0.0"),
        (1, &["r-1.1.2", "1.2.0"], "web:r-1.1.2"),
        (2, &["1.2.0-rc.1"], "web:1.2.0-rc.1"),
        (4, &["2.0.0", "1.1.0", "aa"], "web:2.0.0"),
        (5, &["12", "main"], "web:12"),
        (6, &["aa", "main"], "web:aa"),
        (7, &["zz", "1.0.0", "aa", "zz"], "web:aa"),
        (9, &["main"], "web:main@sha256:"),
        (10, &["1.1.1", "1.2.0-rc.1"], "web:1.1.1"),
    ] {
        let number = |tag: &&str| TAGS.iter().position(|known| known == tag).unwrap();
        let batch = |tag| (vec![Action::Push(number(tag), Some(1), true)], 0);
        let runs = same_answer(selection, &[], &pushes.iter().map(batch).collect::<Vec<_>>()).unwrap();
        assert!(runs.contains(expect), "{pushes:?} by {}: {runs}", SELECTIONS[selection].0);
    }
}

#[test]
fn another_name_of_what_ran_comes_before_anything_lower_when_that_is_gone() {
    let number = |tag: &str| TAGS.iter().position(|known| *known == tag).unwrap();
    let push = |tag| (vec![Action::Push(number(tag), None, true)], 0);
    let gone = (vec![Action::Delete(number("1.2.0"))], 0);
    let runs = same_answer(2, &[], &[push("1.2.0"), push("01.2.0"), gone, push("1.0.0")]).unwrap();
    assert!(runs.contains("web:01.2.0"), "{runs}");
}

#[test]
fn an_edited_policy_is_held_against_everything_and_not_only_the_next_event() {
    let world = Arc::new(World::default());
    let number = |tag: &str| TAGS.iter().position(|known| *known == tag).unwrap();
    for tag in ["1.1.0", "2.0.0"] {
        world.act(&Action::Push(number(tag), None, true));
    }
    let side = Side::new(&world, "policy: { semver: { range: '~1.1' } }", "1.1.0", NEVER);
    side.work(100);
    assert!(side.runs().contains("web:1.1.0"));
    *side.config.settings.lock().unwrap() = settings("policy: { semver: { range: '*' } }");
    // In a commit of its own, as everything in a repository.
    let file = side.runs().into_bytes();
    side.config.commits.lock().unwrap().push(("1".repeat(40).parse().unwrap(), file));
    world.act(&Action::Push(number("1.2.0"), None, true));
    side.hear(&world, 1, &"1.2.0".parse().unwrap());
    side.work(100);
    assert!(side.runs().contains("web:2.0.0"), "{}", side.runs());
}

/// Nothing asks for the update but that it is old enough by now; the first push does not come to anything.
#[test]
fn what_did_not_land_is_tried_again_although_nothing_asks_for_it_any_more() {
    let id = |digit: &str| digit.repeat(40).parse::<CommitId>().unwrap();
    for outcome in [PushOutcome::Moved(Some(id("1"))), PushOutcome::Refused("not now".to_owned())] {
        let world = Arc::new(World::default());
        world.now.store(1_700_000_000_000, Ordering::Relaxed);
        let main = TAGS.iter().position(|known| *known == "main").unwrap();
        world.act(&Action::Push(main, None, true));
        let policy = "policy: { digest: { tag: main } }, pin: tagAndDigest, minimumAge: 2h";
        let side = Side::new(&world, policy, "main", NEVER);
        side.work(100);
        world.now.fetch_add(7_300_000, Ordering::Relaxed);
        side.work(100);
        let before = side.runs();
        assert!(before.contains("main@sha256:"), "{before}");
        world.act(&Action::Push(main, None, true));
        // Where a person moves the branch to, when the race is lost.
        side.config.commits.lock().unwrap().push((id("1"), before.clone().into_bytes()));
        side.hear(&world, 1, &"main".parse().unwrap());
        side.work(100);
        assert_eq!(side.runs(), before, "it is too young");
        world.now.fetch_add(7_300_000, Ordering::Relaxed);
        side.config.instead.lock().unwrap().push(outcome.clone());
        for _ in 0..4 {
            side.work(100);
            world.now.fetch_add(10_000, Ordering::Relaxed);
        }
        assert!(side.config.instead.lock().unwrap().is_empty(), "a push was made");
        assert_ne!(side.runs(), before, "{outcome:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn an_events_own_tag_leads_to_the_same_as_listing_everything(
        selection in 0..SELECTIONS.len(),
        start in prop::collection::vec(0..TAGS.len(), 0..4),
        batches in prop::collection::vec((prop::collection::vec(action(), 1..4), any::<u64>()), 1..8),
    ) {
        same_answer(selection, &start, &batches)?;
    }
}
