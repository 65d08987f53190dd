//! A replica: a process with an engine and one worker. It crashes, stands still, and starts anew with nothing in memory.

use std::{sync::Arc, task::Context};

use futures_util::future::BoxFuture;
use tagboat_engine::{Behaviour, ConfigRepository, Engine, Ports};
use tagboat_model::Duration;
use tagboat_ports::Settle;

use super::{
    Report,
    faults::Fault,
    ports::Door,
    promises::seal,
    world::{ACME, REPLICAS, World, ZETA, main, repository_name, tenant_name},
};

/// How long a worker holds a branch.
const LEASE: i64 = 60_000;
/// Idle steps of a storm pass at most so much time, that things meet.
const LONGEST_LULL: i64 = 5_000;

/// A process.
pub(super) struct Replica {
    process: BoxFuture<'static, ()>,
    /// Until when it stands still.
    frozen_until: i64,
    /// Until when it only sleeps.
    idle_until: Option<i64>,
}

impl Replica {
    pub(super) fn start(world: &Arc<World>, index: usize) -> Self {
        let engine = engine(world, index);
        let process = Box::pin(async move {
            while engine.start().await.is_err() {}
            engine.run(&format!("replica-{index}"), futures_util::future::pending()).await;
        });
        Self { process, frozen_until: 0, idle_until: None }
    }
}

fn engine(world: &Arc<World>, replica: usize) -> Engine {
    let door = |tenant: usize| Door { world: Arc::clone(world), replica, tenant };
    let ports = Ports {
        clock: Arc::new(door(ACME)),
        store: Arc::new(door(ACME)),
        registry: Arc::new(door(ACME)),
        progress: Arc::new(()),
    };
    let config = |tenant: usize| {
        let port = Arc::new(door(tenant));
        ConfigRepository::new(port, main(), "Tagboat <tagboat@localhost>".to_owned())
    };
    let acme = ConfigRepository { forge: Some(Arc::new(door(ACME))), seal: seal(), ..config(ACME) };
    let repositories = [(ACME, acme), (ZETA, config(ZETA))];
    let named = repositories.map(|(tenant, config)| ((tenant_name(tenant), repository_name()), config));
    let behaviour = Behaviour {
        settle: Settle { quiet: Duration::from_seconds(2), at_most: Duration::from_seconds(15) },
        sweep: Duration::from_seconds(3600),
        lease: Duration::from_milliseconds(LEASE.unsigned_abs()),
    };
    Engine::new(ports, named.into_iter().collect(), behaviour)
}

/// Calls during which it is worst to stand still: what was decided is being done.
const WORST: [&str; 8] = [
    "git: push",
    "git: pushed",
    "forge: open",
    "forge: edit",
    "forge: merge",
    "forge: one",
    "store: record",
    "store: finish",
];

/// A process ends, or stands still for longer than its lease.
pub(super) fn disturb(world: &Arc<World>, replicas: &mut [Replica], report: &mut Report) {
    for (index, replica) in replicas.iter_mut().enumerate() {
        let place = world.pulse.place(index);
        let often = if WORST.contains(&place) && replica.idle_until.is_none() { 40 } else { 600 };
        if world.fault(Fault::Crash, often) {
            world.note(|| format!("replica {index} crashes at {place}"));
            *replica = Replica::start(world, index);
            report.crashes += 1;
        }
        if replica.frozen_until < world.time() && world.fault(Fault::Freeze, often) {
            replica.frozen_until = world.time() + LEASE + world.milliseconds(2 * LEASE);
            world.note(|| format!("replica {index} stands still at {place}"));
            report.freezes += 1;
        }
    }
}

/// Let one replica go on; where none has anything to do, let time pass until one has.
pub(super) fn poll_one(world: &World, replicas: &mut [Replica]) {
    let now = world.time();
    let ready = |replica: &Replica| replica.frozen_until <= now && replica.idle_until.is_none_or(|until| until <= now);
    let ready: Vec<usize> = (0..REPLICAS).filter(|index| ready(&replicas[*index])).collect();
    if ready.is_empty() {
        let wakes = |replica: &Replica| replica.frozen_until.max(replica.idle_until.unwrap_or_default());
        let next = replicas.iter().map(wakes).min().unwrap_or_default();
        let pass = if world.is_storm() { world.milliseconds(LONGEST_LULL).min(next - now) } else { next - now };
        world.advance(pass);
        return;
    }
    let replica = &mut replicas[ready[world.random(ready.len())]];
    world.pulse.begin();
    // A worker never ends by itself; whether it can go on is found by asking.
    let waker = futures_util::task::noop_waker();
    let _ = replica.process.as_mut().poll(&mut Context::from_waker(&waker));
    replica.idle_until = world.pulse.idle_until();
}
