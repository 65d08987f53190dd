//! The crash test: the real binary is killed with SIGKILL again and again while events arrive, and afterwards everything
//! that it answered with success is in Git once, or refused with a reason.
//!
//! A crash can only be told apart by what was durable and by what was sent. So there is no switch in the product: what
//! stands before registry, Git, forge and database ([`gate`]) kills at the nth request before it is acted on, or after it
//! was and before the answer is passed on; the disk below SQLite kills before, in the middle of and after the nth sync, and
//! loses or tears what was not synced; senders kill once they have sent, and once they have their answer. The seed decides
//! what is done and where; how fast each side is stays with the machine.

mod check;
mod gate;
mod people;
mod points;
mod report;
mod senders;
mod trap;
mod world;

use std::{
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

pub use self::report::Report;
use self::{people::Busy, points::FailPoint, senders::Senders, world::World};
use crate::{Database, DiskFaults};

/// Connections of senders.
const CONNECTIONS: usize = 4;
/// How long the server may take to get everything done once nobody kills it any more.
const LONGEST_CALM: Duration = Duration::from_secs(180);
/// How long a point is waited for.
const LEAST_PATIENCE: Duration = Duration::from_millis(900);
const MOST_PATIENCE: Duration = Duration::from_secs(4);
/// Between two looks at the process.
const LOOK: Duration = Duration::from_millis(2);
/// Work that processes end with is put off from the fourth time in a row on: after so many lives it is tried again at once.
const LIVES_UNTIL_RETRY: u32 = 4;
/// Broken promises that are told, and how much of each.
const MOST_TOLD: usize = 20;
const LONGEST_TOLD: usize = 2000;
/// The signal that ends it.
const SIGKILL: i32 = 9;

/// A run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The `tagboat` program.
    pub binary: PathBuf,
    /// Its database.
    pub database: Database,
    /// How often it is killed.
    pub kills: u32,
    /// What decides everything that is chosen.
    pub seed: u64,
}

/// Kill the server, and look at what is left. `progress` hears the number of every kill.
///
/// # Errors
/// When a promise was broken: which, and where the server's files are.
pub async fn run(setup: &Setup, progress: impl FnMut(u32)) -> Result<Report, String> {
    let start = Instant::now();
    let world = Arc::new(World::start(&setup.binary, &setup.database).await);
    let mut report = Report::new(setup);
    let mut broken = Vec::new();
    match course(setup, &world, &mut report, progress).await {
        Ok(()) => broken.extend(report.broken.iter().cloned()),
        Err(problem) => broken.push(problem),
    }
    world.trap.victim.kill();
    report.seconds = start.elapsed().as_secs();
    if broken.is_empty() {
        return Ok(report);
    }
    broken.truncate(MOST_TOLD);
    broken.iter_mut().for_each(|promise| *promise = promise.chars().take(LONGEST_TOLD).collect());
    let kept = tempfile::tempdir().unwrap().keep();
    for name in ["log", "data/tagboat.db", "data/tagboat.db-wal"] {
        let copy = kept.join(name.rsplit('/').next().unwrap());
        // Not every one of them is there.
        let _ = std::fs::copy(world.folder.path().join(name), copy);
    }
    Err(format!("{report}\n{}\nthe server's log and database are in {}", broken.join("\n"), kept.display()))
}

/// From the first start to the last look.
async fn course(
    setup: &Setup,
    world: &Arc<World>,
    report: &mut Report,
    mut progress: impl FnMut(u32),
) -> Result<(), String> {
    let mut random = fastrand::Rng::with_seed(setup.seed);
    let start = Instant::now();
    world.start_tagboat();
    wait(world, "the first look at the config repository", async || {
        branches(world).await.is_some_and(|all| all.iter().all(|branch| branch["servedAt"].is_number()))
    })
    .await?;
    let first_look = start.elapsed();
    world.trap.victim.kill();
    let senders = Senders::new(world.port, &world.trap);
    let sending: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(senders.clone().run(random.fork()))).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let busy = Busy::start(world, &senders, &stop, &mut random);
    let mut longest = (first_look * 3).clamp(LEAST_PATIENCE, MOST_PATIENCE);
    for number in 1..=setup.kills {
        if number % LIVES_UNTIL_RETRY == 0 {
            world.retry()?;
        }
        let point = FailPoint::choose(&mut random, &setup.database);
        let name = match one_life(world, point, longest, &mut random).await? {
            true => point.name(),
            // A machine that is busy with other things, or more work than before: longer lives reach more.
            false => {
                longest = (longest * 3 / 2).min(MOST_PATIENCE);
                "random".to_owned()
            }
        };
        longest = (longest * 9 / 10).max(LEAST_PATIENCE);
        *report.kills.entry(name).or_default() += 1;
        progress(number);
    }
    stop.store(true, Ordering::SeqCst);
    let done = busy.end().await?;
    calm(world, &senders).await?;
    for task in sending {
        task.abort();
    }
    check::check(world, &senders, &done, report).await;
    Ok(())
}

/// Start the server, and kill it. Returns whether that was at the point, or because it was not reached.
async fn one_life(
    world: &World,
    point: FailPoint,
    longest: Duration,
    random: &mut fastrand::Rng,
) -> Result<bool, String> {
    let faults = point.disk(random);
    if let Some(disk) = &world.disk {
        disk.set(&faults);
    }
    world.trap.set(point.outside());
    world.start_tagboat();
    let until = Instant::now() + point.patience(longest);
    let victim = &world.trap.victim;
    loop {
        if let Some(status) = victim.end() {
            return match status.signal() {
                Some(SIGKILL) => Ok(true),
                _ => Err(format!("the server ended by itself ({status}): {}", world.end_of_log())),
            };
        }
        if Instant::now() > until {
            let in_time = matches!(point, FailPoint::Start(_) | FailPoint::Random(_));
            victim.kill();
            return Ok(in_time || world.trap.has_fired());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Nobody kills any more: wait until everything was delivered, and everything that was accepted is done.
async fn calm(world: &World, senders: &Senders) -> Result<(), String> {
    world.trap.set(None);
    if let Some(disk) = &world.disk {
        disk.set(&DiskFaults::default());
    }
    world.retry()?;
    world.start_tagboat();
    wait(world, "the delivery of every copy", async || senders.are_done()).await?;
    // The registry may be about to notify once more.
    let mut quiet_since = Instant::now();
    wait(world, "the end of all work", async || {
        let is_quiet =
            branches(world).await.is_some_and(|all| !all.is_empty() && all.iter().all(|one| one["dirty"] == false));
        if !is_quiet {
            quiet_since = Instant::now();
        }
        quiet_since.elapsed() > Duration::from_secs(2)
    })
    .await
}

async fn branches(world: &World) -> Option<Vec<Value>> {
    let answer = reqwest::get(world.url("/api/v1/branches")).await.ok()?;
    let mut told: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
    serde_json::from_value(told["branches"].take()).ok()
}

async fn wait(world: &World, what: &str, mut is_done: impl AsyncFnMut() -> bool) -> Result<(), String> {
    let until = Instant::now() + LONGEST_CALM;
    while !is_done().await {
        if let Some(status) = world.trap.victim.end() {
            return Err(format!("the server ended by itself ({status}) before {what}: {}", world.end_of_log()));
        }
        if Instant::now() > until {
            let branches = branches(world).await;
            return Err(format!(
                "{what} did not come in {LONGEST_CALM:?}; branches: {branches:?}\n{}",
                world.end_of_log()
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
