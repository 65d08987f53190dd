//! The real engine over in-memory ports, on one thread, with a seeded scheduler, clock and faults.
//!
//! One seed decides everything: who runs next, what is lost, doubled or late, when a process ends. A crash is a
//! worker's future dropped at a port call. After the storm all faults stop; then the config repository must
//! hold exactly what it should, and what was true at every step must have been true throughout.
//!
//! [`run`] runs one seed; a failure names it, and the same seed fails the same way again.

mod memory_deliveries;
mod memory_files;
mod memory_history;
mod memory_store;
mod memory_tags;
mod memory_tally;
mod outside;
mod world;

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use tagboat_engine::{Behaviour, ConfigRepository, Engine, Ports};
use tagboat_model::Duration;
use tagboat_ports::Settle;

pub use memory_store::MemoryStore;
pub use world::{Bug, World};

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How often a future was polled.
    pub steps: u64,
    /// How many images were pushed to the registry.
    pub pushes: u64,
    /// How many commits Tagboat made.
    pub commits: u64,
    /// How often a worker was dropped in the middle.
    pub crashes: u64,
    /// How often a push lost a race.
    pub races: u64,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The seed that shows it again.
    pub seed: u64,
    /// What was broken.
    pub promise: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.promise)
    }
}

/// Workers at once, as if on several machines.
const WORKERS: usize = 2;
/// Polls with faults, then polls to come to rest.
const STORM: u64 = 1500;
const CALM: u64 = 6000;

/// Run one seed, with a planted bug if one is wished for.
///
/// # Errors
/// The promise that was broken.
pub fn run(seed: u64, bug: Option<Bug>) -> Result<Report, Broken> {
    let broken = |promise: String| Broken { seed, promise };
    let world = Arc::new(World::new(seed, bug));
    let engine = Arc::new(engine(&world));
    let mut workers: Vec<BoxFuture<'static, ()>> = (0..WORKERS).map(|index| worker(&engine, index)).collect();
    let mut report = Report::default();
    for step in 0..STORM + CALM {
        if step == STORM {
            world.calm_down();
        }
        report.steps += 1;
        world.something_happens();
        let chosen = world.random(workers.len());
        if step < STORM && world.chance(300) {
            workers[chosen] = worker(&engine, chosen);
            report.crashes += 1;
        }
        // A worker never ends by itself; whether it is ready is found by asking.
        let waker = futures_util::task::noop_waker();
        let _ = workers[chosen].as_mut().poll(&mut std::task::Context::from_waker(&waker));
        world.check_always().map_err(broken)?;
        if step > STORM && world.is_at_rest() {
            break;
        }
    }
    world.check_at_rest().map_err(broken)?;
    Ok(world.finish(&report))
}

fn engine(world: &Arc<World>) -> Engine {
    let ports = Ports {
        clock: Arc::clone(world) as _,
        store: Arc::clone(world.store()) as _,
        registry: Arc::clone(world) as _,
        progress: Arc::new(()),
    };
    let committer = "Tagboat <tagboat@localhost>".to_owned();
    let config = ConfigRepository::new(Arc::clone(world) as _, "main".parse().unwrap(), committer);
    let repositories = [(("default".parse().unwrap(), "config".parse().unwrap()), config)];
    let behaviour = Behaviour {
        settle: Settle { quiet: Duration::from_seconds(2), at_most: Duration::from_seconds(15) },
        sweep: Duration::from_seconds(3600),
        lease: Duration::from_seconds(60),
    };
    Engine::new(ports, repositories.into_iter().collect(), behaviour)
}

/// A process: it starts, works, and never stops by itself.
fn worker(engine: &Arc<Engine>, index: usize) -> BoxFuture<'static, ()> {
    let engine = Arc::clone(engine);
    Box::pin(async move {
        while engine.start().await.is_err() {}
        engine.run(&format!("worker-{index}"), futures_util::future::pending()).await;
    })
}
