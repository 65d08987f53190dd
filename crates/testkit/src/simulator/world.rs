//! Everything outside the engine, in one place: time, chance, and what stands in the files of their own.
//!
//! Two tenants. `acme` promotes two images from dev over staging to prod at a forge; `zeta` takes one of the same images
//! by commit, without a forge. Nothing here knows the engine; what it meets of this are the doors in `ports`.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use tagboat_model::{BranchKey, BranchName, Digest, ImageName, RepositoryName, Tag, TenantName, Timestamp};

use super::{
    MemoryStore, Settings,
    faults::{Bug, Fault, Faults, Promise},
    forge::ForgeServer,
    git::{By, Files, Git, hex},
    ledger::Ledger,
    registry::RegistryServer,
    senders::Post,
};

/// Machines that share the database.
pub(super) const REPLICAS: usize = 2;
/// Tenants, by their places.
pub(super) const ACME: usize = 0;
pub(super) const ZETA: usize = 1;
const TENANTS: [&str; 2] = ["acme", "zeta"];

const START: i64 = 1_700_000_000_000;
const ACME_FILE: &str = "images:
  - { name: web, image: r.example/acme/web, policy: { semver: { range: '^1' } } }
  - { name: tool, image: r.example/acme/tool, policy: { digest: { tag: main } }, pin: tagAndDigest }
environments:
  - { name: dev, paths: [dev], deliver: commit }
  - { name: staging, paths: [staging], deliver: pullRequest, promoteFrom: dev, gates: { soak: 1m }, pullRequest: { autoMerge: true } }
  - { name: prod, paths: [prod], deliver: pullRequest, promoteFrom: staging, gates: { soak: 2m } }
";
const ACME_MANIFEST: &str = "# two images   \nweb: {image: 'r.example/acme/web:1.0.0'} # web\nbetween: 1\nand: 2\ntool: {image: r.example/acme/tool:main}\n";
const ZETA_FILE: &str = "images:
  - { name: web, image: r.example/acme/web, policy: { semver: { range: '*' } } }
environments:
  - { name: live, paths: [live], deliver: commit }
";
const ZETA_MANIFEST: &str = "# one image   \nweb: {image: 'r.example/acme/web:1.0.0'} # web\n";

/// The outside of one run.
pub struct World {
    pub(super) settings: Settings,
    faults: Faults,
    random: Mutex<fastrand::Rng>,
    time: AtomicI64,
    skews: [AtomicI64; REPLICAS],
    storm: AtomicBool,
    ids: AtomicU64,
    store: Arc<MemoryStore>,
    gits: [Mutex<Git>; 2],
    forge: Mutex<ForgeServer>,
    registry: Mutex<RegistryServer>,
    post: Mutex<Post>,
    ledger: Mutex<Ledger>,
    broken: Mutex<Option<(Promise, String)>>,
    trace: Mutex<Vec<String>>,
    pub(super) pulse: Pulse,
}

/// What the last poll of a replica came to.
#[derive(Default)]
pub(super) struct Pulse {
    busy: AtomicBool,
    until: AtomicI64,
    places: Mutex<[&'static str; REPLICAS]>,
}

impl Pulse {
    pub(super) fn begin(&self) {
        self.busy.store(false, Ordering::Relaxed);
        self.until.store(i64::MAX, Ordering::Relaxed);
    }

    /// Until when a replica has nothing to do, if it only sleeps.
    pub(super) fn idle_until(&self) -> Option<i64> {
        let until = self.until.load(Ordering::Relaxed);
        (!self.busy.load(Ordering::Relaxed) && until < i64::MAX).then_some(until)
    }

    pub(super) fn sleeps_until(&self, until: i64) {
        self.until.fetch_min(until, Ordering::Relaxed);
    }

    /// The port call that a replica made last.
    pub(super) fn place(&self, replica: usize) -> &'static str {
        self.places.lock().unwrap()[replica]
    }
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        let mut random = fastrand::Rng::with_seed(settings.seed);
        // Every seed has kinds of trouble that it does without: what they would hide shows.
        let spared = Fault::ALL.iter().filter(|_| random.u8(..4) == 0);
        let faults = spared.fold(settings.faults, |faults, fault| faults.without(*fault));
        let world = Self {
            settings,
            faults,
            random: Mutex::new(random),
            time: AtomicI64::new(0),
            skews: Default::default(),
            storm: AtomicBool::new(true),
            ids: AtomicU64::new(0),
            store: Arc::new(MemoryStore::with_bug(settings.bug)),
            gits: Default::default(),
            forge: Mutex::default(),
            registry: Mutex::new(RegistryServer::new()),
            post: Mutex::default(),
            ledger: Mutex::default(),
            broken: Mutex::default(),
            trace: Mutex::default(),
            pulse: Pulse::default(),
        };
        let files = |named: &[(&str, &str)]| -> Files {
            named.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
        };
        let environments =
            [("dev/app.yaml", ACME_MANIFEST), ("staging/app.yaml", ACME_MANIFEST), ("prod/app.yaml", ACME_MANIFEST)];
        let acme = files(&[&[(".tagboat.yaml", ACME_FILE)], &environments[..]].concat());
        let zeta = files(&[(".tagboat.yaml", ZETA_FILE), ("live/app.yaml", ZETA_MANIFEST)]);
        for (tenant, files) in [(ACME, acme), (ZETA, zeta)] {
            let mut git = world.git(tenant);
            let first = git.commit(Vec::new(), ("Start", Timestamp(START)), files, By::People);
            git.point(&main(), Some(first), 0);
        }
        world
    }

    pub(super) fn store(&self) -> &Arc<MemoryStore> {
        &self.store
    }

    pub(super) fn git(&self, tenant: usize) -> MutexGuard<'_, Git> {
        self.gits[tenant].lock().unwrap()
    }

    pub(super) fn forge(&self) -> MutexGuard<'_, ForgeServer> {
        self.forge.lock().unwrap()
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, RegistryServer> {
        self.registry.lock().unwrap()
    }

    pub(super) fn post(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap()
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub(super) fn random(&self, below: usize) -> usize {
        self.random.lock().unwrap().usize(..below.max(1))
    }

    pub(super) fn milliseconds(&self, below: i64) -> i64 {
        self.random.lock().unwrap().i64(0..below.max(1))
    }

    /// One in so many times.
    pub(super) fn chance(&self, one_in: usize) -> bool {
        self.random(one_in) == 0
    }

    /// Whether something goes wrong now: one in so many times, while the storm lasts.
    pub(super) fn fault(&self, fault: Fault, one_in: usize) -> bool {
        self.is_storm() && self.faults.has(fault) && self.chance(one_in)
    }

    /// Whether this run knows a kind of trouble at all.
    pub(super) fn knows(&self, fault: Fault) -> bool {
        self.faults.has(fault)
    }

    pub(super) fn has_bug(&self, bug: Bug) -> bool {
        self.settings.bug == Some(bug)
    }

    pub(super) fn is_storm(&self) -> bool {
        self.storm.load(Ordering::Relaxed)
    }

    /// All faults stop; clocks are set right.
    pub(super) fn calm_down(&self) {
        self.storm.store(false, Ordering::Relaxed);
        self.skews.iter().for_each(|skew| skew.store(0, Ordering::Relaxed));
        self.registry().leave_alone_until(0);
        self.note(|| "the storm is over".to_owned());
    }

    /// Time that only goes forward, in milliseconds.
    pub(super) fn time(&self) -> i64 {
        self.time.load(Ordering::Relaxed)
    }

    pub(super) fn advance(&self, milliseconds: i64) {
        self.time.fetch_add(milliseconds.max(0), Ordering::Relaxed);
    }

    /// What clocks that go right show.
    pub(super) fn wall(&self) -> Timestamp {
        Timestamp(START + self.time())
    }

    /// What the clock of a machine shows.
    pub(super) fn clock_of(&self, replica: usize) -> Timestamp {
        Timestamp(START + self.time() + self.skews[replica].load(Ordering::Relaxed))
    }

    pub(super) fn clock_jumps(&self) {
        let replica = self.random(REPLICAS);
        let skew = self.milliseconds(40 * 60_000) - 20 * 60_000;
        let skew = if self.chance(3) { 0 } else { skew };
        self.skews[replica].store(skew, Ordering::Relaxed);
        self.note(|| format!("the clock of replica {replica} is {} s off", skew / 1000));
    }

    pub(super) fn fresh(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Others may run here, and the process may end here.
    pub(super) async fn pause(&self, replica: usize, place: &'static str, most: usize) {
        self.pulse.places.lock().unwrap()[replica] = place;
        for _ in 0..self.random(most + 1) {
            let mut first = true;
            std::future::poll_fn(|_| match std::mem::take(&mut first) {
                true => {
                    self.pulse.busy.store(true, Ordering::Relaxed);
                    std::task::Poll::Pending
                }
                false => std::task::Poll::Ready(()),
            })
            .await;
        }
    }

    /// A promise was broken. The first one counts.
    pub(super) fn broke(&self, promise: Promise, detail: impl FnOnce() -> String) {
        let mut broken = self.broken.lock().unwrap();
        if broken.is_none() {
            let detail = detail();
            self.note(|| format!("BROKEN {promise}: {detail}"));
            *broken = Some((promise, detail));
        }
    }

    pub(super) fn broken(&self) -> Option<(Promise, String)> {
        self.broken.lock().unwrap().clone()
    }

    /// A line of the trace.
    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        if self.settings.trace {
            let (seconds, milliseconds) = (self.time() / 1000, self.time() % 1000);
            let line = format!("{seconds:>6}.{milliseconds:03} s  {}", line());
            self.trace.lock().unwrap().push(line);
        }
    }

    pub(super) fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut self.trace.lock().unwrap())
    }
}

pub(super) fn main() -> BranchName {
    BranchName::main()
}

pub(super) fn tenant_name(tenant: usize) -> TenantName {
    TENANTS[tenant].parse().unwrap()
}

pub(super) fn repository_name() -> RepositoryName {
    "config".parse().unwrap()
}

pub(super) fn key_of(tenant: usize) -> BranchKey {
    BranchKey { tenant: tenant_name(tenant), repository: repository_name(), branch: main() }
}

pub(super) fn image_name(name: &str) -> ImageName {
    format!("r.example/acme/{name}").parse().unwrap()
}

pub(super) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

pub(super) fn digest(seed: &str) -> Digest {
    format!("sha256:{}", hex(seed.as_bytes())).parse().unwrap()
}
