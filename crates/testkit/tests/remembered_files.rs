//! What is held in memory and remembered by content changes no answer: whatever happens to the files, to the repository file
//! and to the history, a plan on what is held is the plan of somebody who reads everything anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use tagboat_engine::{Behaviour, ConfigRepository, Engine, Ports};
use tagboat_model::{
    BranchKey, BranchName, CommitId, DecisionId, Digest, Duration, ImageName, SignatureRule, Tag, Timestamp,
};
use tagboat_ports::{
    BlobId, ChangedFile, Clock, FileEntry, ManifestDescription, ManifestKind, Push, PushOutcome, Registry,
    RegistryError, Repository, RepositoryError, Settle, Store as _, Verification, Work,
};
use tagboat_testkit::simulator::MemoryStore;

const PATHS: [&str; 8] = [
    "dev/a.yaml",
    "dev/b.yaml",
    "dev/values.yaml",
    "dev/vendor/a.yaml",
    "prod/a.yaml",
    "prod/kustomization.yaml",
    "prod/Dockerfile",
    "deploy.sh",
];

const TEXTS: [&str; 9] = [
    "image: r.example/acme/web:1.0.0\n",
    "image: r.example/acme/web:1.1.0 # as it is\nother: {image: r.example/acme/api:1.0.0}\n",
    "image: {repository: r.example/acme/web, tag: 1.0.0}\nreplicas: 1\n",
    "images: [{name: web, newName: r.example/acme/web, newTag: 1.0.0}]\n",
    "image: 'mirror.example/acme/api:1.0.0'\nb: {image: 'r.example/acme/web:${TAG}'}\n",
    "a: {image: r.example/acme/web:1.0.0}\n{{ nonsense\n",
    "FROM r.example/acme/web:1.0.0\nVERSION=1.0.0\n",
    "kind: ConfigMap\n",
    "# tagboat: ignore-file\nimage: r.example/acme/web:1.0.0\n",
];

/// Repository files, of which each asks for something that others do not.
fn settings(which: usize) -> String {
    let web = "{ name: web, image: r.example/acme/web, policy: { semver: { range: '^1' } } }";
    let api = "{ name: api, image: r.example/acme/api, aliases: [mirror.example/acme/api], policy: { semver: { range: '^1' } } }";
    let place = "{ name: web, image: r.example/acme/web, policy: { semver: { range: '^1' } }, \
                 references: [{ file: deploy.sh, regex: 'VERSION=(?P<tag>.*)' }, { file: '{environment}/values.yaml', path: version, part: tag }] }";
    let both =
        "environments: [{ name: dev, paths: [dev], deliver: commit }, { name: prod, paths: [prod], deliver: commit }]";
    let without = "environments: [{ name: dev, paths: [dev], exclude: [dev/vendor], deliver: commit }]";
    let other = "environments: [{ name: dev, paths: ['**'], deliver: commit }]";
    let (images, environments) = match which {
        0 => (web.to_owned(), both),
        1 => (format!("{web}, {api}"), both),
        2 => (format!("{place}, {api}"), without),
        3 => (api.to_owned(), other),
        _ => (place.to_owned(), both),
    };
    format!("images: [{images}]\n{environments}\n")
}

#[derive(Debug, Clone)]
enum Action {
    Write(usize, usize),
    Delete(usize),
    Settings(usize),
    /// People take the branch back to an earlier commit.
    Back(usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..PATHS.len(), 0..TEXTS.len()).prop_map(|(path, text)| Action::Write(path, text)),
        2 => (0..PATHS.len()).prop_map(Action::Delete),
        2 => (0..5_usize).prop_map(Action::Settings),
        1 => (0..5_usize).prop_map(Action::Back),
    ]
}

type Files = BTreeMap<String, Vec<u8>>;

/// A clock, a registry in which every image has 1.0.0 and 1.1.0, and a config repository.
#[derive(Default)]
struct World {
    commits: Mutex<Vec<(CommitId, Files)>>,
    blobs: Mutex<BTreeMap<BlobId, Vec<u8>>>,
    head: AtomicUsize,
    /// Blobs that were read, since this was last set to zero.
    read: AtomicUsize,
}

fn blob_id(bytes: &[u8]) -> BlobId {
    BlobId(Sha256::digest(bytes)[..20].try_into().unwrap())
}

impl World {
    fn commit(&self, files: Files) {
        let mut commits = self.commits.lock().unwrap();
        let mut blobs = self.blobs.lock().unwrap();
        blobs.extend(files.values().map(|bytes| (blob_id(bytes), bytes.clone())));
        let id = format!("{:040x}", commits.len() + 1).parse().unwrap();
        commits.push((id, files));
        self.head.store(commits.len() - 1, Ordering::Relaxed);
    }

    fn act(&self, actions: &[Action]) {
        let mut files = self.at_head().1;
        for action in actions {
            match action {
                Action::Write(path, text) => {
                    files.insert(PATHS[*path].to_owned(), TEXTS[*text].as_bytes().to_vec());
                }
                Action::Delete(path) => {
                    files.remove(PATHS[*path]);
                }
                Action::Settings(which) => {
                    files.insert(".tagboat.yaml".to_owned(), settings(*which).into_bytes());
                }
                Action::Back(by) => {
                    let head = self.head.load(Ordering::Relaxed);
                    self.head.store(head.saturating_sub(*by), Ordering::Relaxed);
                    return;
                }
            }
        }
        self.commit(files);
    }

    fn at_head(&self) -> (CommitId, Files) {
        self.commits.lock().unwrap()[self.head.load(Ordering::Relaxed)].clone()
    }

    fn files_of(&self, commit: &CommitId) -> Files {
        self.commits.lock().unwrap().iter().find(|(id, _)| id == commit).unwrap().1.clone()
    }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }

    async fn sleep_until(&self, _: Timestamp) {}
}

#[async_trait]
impl Registry for World {
    async fn digest(&self, _: &ImageName, tag: &Tag) -> Result<Option<Digest>, RegistryError> {
        let hex: String = Sha256::digest(tag.as_str()).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Some(format!("sha256:{hex}").parse().unwrap()))
    }

    async fn describe(&self, image: &ImageName, tag: &Tag) -> Result<Option<ManifestDescription>, RegistryError> {
        let digest = self.digest(image, tag).await?.unwrap();
        let platforms = vec!["linux/amd64".parse().unwrap()];
        Ok(Some(ManifestDescription {
            digest,
            kind: ManifestKind::Image,
            revision: None,
            source: None,
            created: None,
            platforms,
        }))
    }

    async fn tags(&self, _: &ImageName) -> Result<Vec<Tag>, RegistryError> {
        Ok(["1.0.0", "1.1.0"].map(|tag| tag.parse().unwrap()).to_vec())
    }

    async fn verify(&self, _: &ImageName, _: &Digest, _: &SignatureRule) -> Result<Verification, RegistryError> {
        Ok(Verification::Verified)
    }
}

#[async_trait]
impl Repository for World {
    async fn head(&self, _: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        Ok(Some(self.at_head().0))
    }

    async fn files(&self, commit: &CommitId) -> Result<Vec<FileEntry>, RepositoryError> {
        let files = self.files_of(commit);
        Ok(files.into_iter().map(|(path, bytes)| FileEntry { path, blob: blob_id(&bytes) }).collect())
    }

    async fn changed_files(&self, from: &CommitId, to: &CommitId) -> Result<Option<Vec<ChangedFile>>, RepositoryError> {
        let (old, new) = (self.files_of(from), self.files_of(to));
        let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let changed = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
        let file = |path: &String| ChangedFile { path: path.clone(), blob: new.get(path).map(|bytes| blob_id(bytes)) };
        Ok(Some(changed.map(file).collect()))
    }

    async fn read(&self, blobs: &[BlobId], _: usize) -> Result<Vec<Option<Vec<u8>>>, RepositoryError> {
        let known = self.blobs.lock().unwrap();
        self.read.fetch_add(blobs.len(), Ordering::Relaxed);
        Ok(blobs.iter().map(|blob| known.get(blob).cloned()).collect())
    }

    async fn push(&self, _: &Push) -> Result<PushOutcome, RepositoryError> {
        panic!("a plan pushes nothing")
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

fn key() -> BranchKey {
    BranchKey {
        tenant: "default".parse().unwrap(),
        repository: "config".parse().unwrap(),
        branch: "main".parse().unwrap(),
    }
}

fn engine(world: &Arc<World>, store: &Arc<MemoryStore>) -> Engine {
    let ports = Ports {
        clock: Arc::clone(world) as _,
        store: Arc::clone(store) as _,
        registry: Arc::clone(world) as _,
        progress: Arc::new(()),
    };
    let (port, branch) = (Arc::clone(world) as _, "main".parse().unwrap());
    let config = ConfigRepository::new(port, branch, "Tagboat <tagboat@localhost>".to_owned());
    let settle = Settle { quiet: Duration::ZERO, at_most: Duration::ZERO };
    let behaviour = Behaviour { settle, sweep: Duration::from_seconds(3600), lease: Duration::from_seconds(60) };
    let repositories = [((key().tenant, key().repository), config)].into_iter().collect();
    Engine::new(ports, repositories, behaviour)
}

/// The plan, or why there is none.
fn plan(engine: &Engine, store: &MemoryStore) -> String {
    store.know_branches(&[key()], Timestamp(0)).now_or_never().unwrap().unwrap();
    let work = Work { key: key(), sequence: 1, fence: 0, attempts: 0, swept_at: None };
    match engine.plan(&work, None).now_or_never().unwrap() {
        Ok(plan) => format!("{plan:#?}"),
        Err(error) => error.to_string(),
    }
}

fn world() -> Arc<World> {
    let world = Arc::new(World::default());
    let files = [(".tagboat.yaml", settings(1)), ("dev/a.yaml", TEXTS[1].to_owned())];
    world.commit(files.into_iter().map(|(path, text)| (path.to_owned(), text.into_bytes())).collect());
    world
}

fn same_plans(steps: &[Vec<Action>]) -> Result<(), TestCaseError> {
    let (world, store) = (world(), Arc::new(MemoryStore::default()));
    let long_lived = engine(&world, &store);
    for actions in steps {
        world.act(actions);
        let anew = Arc::new(MemoryStore::default());
        let expect = plan(&engine(&world, &anew), &anew);
        prop_assert_eq!(&plan(&long_lived, &store), &expect, "held: {:?}", steps);
        prop_assert_eq!(&plan(&engine(&world, &store), &store), &expect, "remembered: {:?}", steps);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_is_held_and_remembered_changes_no_answer(
        steps in prop::collection::vec(prop::collection::vec(action(), 1..4), 1..10)
    ) {
        same_plans(&steps)?;
    }
}

#[test]
fn a_new_head_costs_the_files_that_changed_and_a_new_process_none() {
    let (world, store) = (world(), Arc::new(MemoryStore::default()));
    let many = |n: usize| format!("image: r.example/acme/other-{n}:1.0.0\n").into_bytes();
    let mut files = world.at_head().1;
    files.extend((0..500).map(|n| (format!("dev/many/{n}.yaml"), many(n))));
    world.commit(files.clone());
    let long_lived = engine(&world, &store);
    let reads = |engine: &Engine| {
        world.read.store(0, Ordering::Relaxed);
        let plan = plan(engine, &store);
        assert!(plan.contains("1.1.0"), "{plan}");
        world.read.load(Ordering::Relaxed)
    };
    // The repository file, and the file that is to be edited; where files have to be found, all of them.
    assert!(reads(&long_lived) > 500);
    assert!(reads(&long_lived) < 5, "nothing changed");
    files.extend((0..10).map(|n| (format!("dev/many/{n}.yaml"), many(1000 + n))));
    world.commit(files);
    let after = reads(&long_lived);
    assert!((10..15).contains(&after), "{after}");
    assert!(reads(&engine(&world, &store)) < 5, "all is remembered");
}
