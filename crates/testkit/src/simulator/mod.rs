//! The real engine over in-memory ports, on one thread, with a seeded scheduler, clocks and faults.
//!
//! One seed decides everything: who runs next, what is lost, doubled or late, when a process ends or stands still. A crash
//! is a replica's future dropped at a port call, with its engine and all that it had in memory; two replicas share one
//! database. After the storm all faults stop; then the config repositories must hold exactly what they should, and every
//! promise (`faults::Promise`) must have held at every step.
//!
//! [`run`] runs one seed; a failure names it, and the same seed fails the same way again. [`shrink()`] finds the shortest
//! storm and the fewest kinds of trouble with which it still does.
//!
//! It does not know HTTP, Git's wire, SQL or a forge's API: their adapters have tests of their own.

mod faults;
mod forge;
mod forge_port;
mod git;
mod ledger;
mod memory_branch;
mod memory_deliveries;
mod memory_files;
mod memory_history;
mod memory_port;
mod memory_store;
mod memory_tags;
mod memory_tally;
mod people;
mod ports;
mod promises;
mod records;
mod registry;
mod replica;
mod rest;
mod senders;
mod shrink;
mod store_port;
mod world;

use std::{fmt, sync::Arc};

pub use faults::{Bug, Fault, Faults, Promise};
pub use memory_store::MemoryStore;
pub use shrink::shrink;
pub use world::World;

use replica::Replica;
use world::REPLICAS;

/// What decides a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Every choice that is left.
    pub seed: u64,
    /// How long the storm lasts, in polls.
    pub storm: u64,
    /// What may go wrong in it.
    pub faults: Faults,
    /// A planted bug, if one is wished for.
    pub bug: Option<Bug>,
    /// Whether what happens is written down.
    pub trace: bool,
}

/// How long storms last, in polls.
pub const STORM: u64 = 1500;

impl Settings {
    /// A whole storm of everything.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self { seed, storm: STORM, faults: Faults::all(), bug: None, trace: false }
    }

    /// The same with a planted bug.
    #[must_use]
    pub fn with_bug(self, bug: Bug) -> Self {
        Self { bug: Some(bug), ..self }
    }
}

/// How to run it again.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--seeds 1 --from {} --storm {} --faults {}", self.seed, self.storm, self.faults)?;
        self.bug.map_or(Ok(()), |bug| write!(f, " --bug {bug}"))
    }
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How often a future was polled.
    pub steps: u64,
    /// How much time passed in the world, in seconds.
    pub seconds: u64,
    /// How many images were pushed to the registry.
    pub pushes: u64,
    /// How many commits there are, of everybody, on all branches.
    pub commits: u64,
    /// How many pull requests were opened.
    pub pulls: u64,
    /// How many comments there are.
    pub comments: u64,
    /// How often a replica was dropped in the middle.
    pub crashes: u64,
    /// How often one stood still for longer than its lease.
    pub freezes: u64,
    /// How often a push lost a race.
    pub races: u64,
    /// How many holds were placed.
    pub holds: u64,
}

impl Report {
    /// Both together.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            steps: self.steps + other.steps,
            seconds: self.seconds + other.seconds,
            pushes: self.pushes + other.pushes,
            commits: self.commits + other.commits,
            pulls: self.pulls + other.pulls,
            comments: self.comments + other.comments,
            crashes: self.crashes + other.crashes,
            freezes: self.freezes + other.freezes,
            races: self.races + other.races,
            holds: self.holds + other.holds,
        }
    }
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What shows it again.
    pub settings: Settings,
    /// Which one.
    pub promise: Promise,
    /// How.
    pub detail: String,
    /// What happened until then, where that was asked for.
    pub trace: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}: {}", self.settings.seed, self.promise, self.detail)
    }
}

/// All must be at rest by then, in milliseconds after the storm: sweeps find by then what a lagging registry hid, and clocks
/// that were ahead are caught up with.
const REST_WITHIN: i64 = 3 * 3600 * 1000;
/// How long a rest is watched.
const WATCHED_FOR: i64 = 10 * 60 * 1000;
/// Work that may be taken up in that time: a sweep of each branch, and what it finds to tidy up.
const MOST_AT_REST: usize = 12;

/// Run one seed.
///
/// # Errors
/// The promise that was broken.
pub fn run(settings: Settings) -> Result<Report, Broken> {
    let world = Arc::new(World::new(settings));
    let mut replicas: Vec<Replica> = (0..REPLICAS).map(|index| Replica::start(&world, index)).collect();
    let mut report = Report::default();
    for _ in 0..settings.storm {
        world.something_happens();
        replica::disturb(&world, &mut replicas, &mut report);
        step(&world, &mut replicas, &mut report);
        if let Some(broken) = broken(&world) {
            return Err(broken);
        }
    }
    world.calm_down();
    come_to_rest(&world, &mut replicas, &mut report);
    if let Some(broken) = broken(&world) {
        return Err(broken);
    }
    Ok(world.finish(&report))
}

fn broken(world: &World) -> Option<Broken> {
    let (promise, detail) = world.broken()?;
    Some(Broken { settings: world.settings, promise, detail, trace: world.take_trace() })
}

fn step(world: &World, replicas: &mut [Replica], report: &mut Report) {
    report.steps += 1;
    replica::poll_one(world, replicas);
    if report.steps.is_multiple_of(256) {
        world.check_bounds();
    }
}

/// No more faults: everything is brought to its end, and then nothing more is done.
fn come_to_rest(world: &World, replicas: &mut [Replica], report: &mut Report) {
    let latest = world.time() + REST_WITHIN;
    let mut missing = world.is_missing();
    while let Some(what) = missing {
        if world.time() > latest {
            return world.broke(Promise::ComesToRest, || what);
        }
        world.calm_goes_on();
        step(world, replicas, report);
        if world.broken().is_some() {
            return;
        }
        missing = world.is_missing();
    }
    world.check_at_rest();
    let (visible, leases, until) = (world.visible(), world.ledger().leases, world.time() + WATCHED_FOR);
    while world.time() < until && world.broken().is_none() {
        step(world, replicas, report);
    }
    if world.visible() != visible {
        world.broke(Promise::StaysAtRest, || {
            format!("commits, pull requests, comments went from {visible:?} to {:?}", world.visible())
        });
    }
    let taken = world.ledger().leases - leases;
    if taken > MOST_AT_REST {
        world.broke(Promise::EverythingIsBounded, || format!("work was taken up {taken} times at rest"));
    }
}

impl World {
    /// Time passes; images are pushed, senders send, people act, machines misbehave.
    fn something_happens(&self) {
        self.advance(self.milliseconds(400));
        if self.chance(25) {
            self.image_is_pushed();
        }
        for (fault, one_in) in [(Fault::TagMoves, 250), (Fault::TagDeleted, 250)] {
            if self.fault(fault, one_in) {
                self.tag_is_disturbed(fault == Fault::TagMoves);
            }
        }
        if self.fault(Fault::FalseDelivery, 150) {
            self.somebody_lies();
        }
        if self.fault(Fault::CacheLost, 150) {
            self.store().lose_files();
        }
        if self.fault(Fault::ClockJump, 300) {
            self.clock_jumps();
        }
        self.people_act();
        self.a_sender_sends();
    }

    fn calm_goes_on(&self) {
        self.advance(self.milliseconds(20));
        self.a_sender_sends();
        if self.chance(20) {
            self.people_tidy_up();
        }
    }

    fn finish(&self, report: &Report) -> Report {
        let (commits, pulls, comments) = self.visible();
        let count = |count: usize| u64::try_from(count).unwrap();
        let races = self.git(world::ACME).races + self.git(world::ZETA).races;
        Report {
            seconds: u64::try_from(self.time() / 1000).unwrap(),
            pushes: self.registry().pushed,
            commits: count(commits),
            pulls: count(pulls),
            comments,
            races,
            holds: count(self.store().look(|tables| tables.past.placed())),
            ..report.clone()
        }
    }
}
