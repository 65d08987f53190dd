//! A disk that is full, broken or read-only: senders are told to come again, nothing that was accepted is lost, and no
//! person is needed once the cause is gone.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tagboat_testkit::{DiskFaults, EIO, ENOSPC, EROFS, Failing, Unsynced, intake_world::IntakeWorld};

/// Within this time it has recovered.
const RECOVERY: Duration = Duration::from_secs(5);

/// A server on a disk that loses what was not synced, and what it acknowledged.
struct Kept {
    world: IntakeWorld,
    acknowledged: BTreeSet<String>,
}

impl Kept {
    async fn start() -> Self {
        let mut world = IntakeWorld::new(env!("CARGO_BIN_EXE_tagboat"));
        set(&world, None, None);
        world.start_and_wait().await;
        Self { world, acknowledged: BTreeSet::new() }
    }

    /// Send this once. Returns the status of the answer, which has to say when to come again if it was not taken.
    async fn send(&mut self, id: &str) -> u16 {
        let answer = self.world.sender().send(id).await.unwrap();
        match answer.status {
            200 | 202 if !answer.events().is_empty() => self.acknowledged.extend(answer.events()),
            503 => assert!(answer.retry_after.as_ref().is_some_and(|time| time.parse::<u32>().is_ok()), "{answer:?}"),
            _ => panic!("{answer:?}"),
        }
        answer.status
    }

    async fn ready(&self) -> u16 {
        self.world.get("/readyz").await.unwrap().status
    }

    /// Send this until it is taken, and say how long that took.
    async fn send_until_taken(&mut self, id: &str) -> Duration {
        let start = Instant::now();
        while self.send(id).await == 503 {
            assert!(start.elapsed() < RECOVERY, "{id} is not taken\n{}", self.world.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        start.elapsed()
    }

    /// After a power cut all that was acknowledged is there.
    async fn check_after_a_power_cut(&mut self) {
        self.world.kill();
        set(&self.world, None, None);
        self.world.start_and_wait().await;
        for id in &self.acknowledged {
            let answer = self.world.get(&format!("/api/v1/events/{id}")).await.unwrap();
            assert_eq!(answer.status, 200, "{id} is lost: {answer:?}");
        }
        assert_eq!(self.world.ask_sqlite("PRAGMA integrity_check"), "ok");
    }
}

fn set(world: &IntakeWorld, writes: Option<Failing>, syncs: Option<Failing>) {
    world.disk.set(&DiskFaults { unsynced: Unsynced::Lost, writes, syncs, ..DiskFaults::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_is_told_to_senders_and_probes_until_it_does_again() {
    let mut kept = Kept::start().await;
    let always = |error| Some(Failing::always(error));
    for (name, writes, syncs) in [
        ("full", always(ENOSPC), None),
        ("broken", always(EIO), None),
        ("read-only", always(EROFS), None),
        ("broken-when-it-syncs", None, always(EIO)),
        ("full-when-it-syncs", None, always(ENOSPC)),
    ] {
        assert_eq!(kept.send(&format!("before-{name}")).await, 202);
        assert_eq!(kept.ready().await, 200, "before it was {name}");
        set(&kept.world, writes, syncs);
        for number in 0..5 {
            assert_eq!(kept.send(&format!("{number}-{name}")).await, 503);
        }
        assert_eq!(kept.ready().await, 503, "while it was {name}");
        assert_eq!(kept.world.get("/healthz").await.unwrap().status, 200, "it is no reason to start it anew");
        set(&kept.world, None, None);
        let mut took = Duration::ZERO;
        for number in 0..5 {
            took += kept.send_until_taken(&format!("{number}-{name}")).await;
        }
        assert!(took < RECOVERY, "it took {took:?} after the disk was {name}");
        assert_eq!(kept.ready().await, 200, "after it was {name}");
    }
    kept.check_after_a_power_cut().await;
}

/// More than a delivery and what follows from it write and sync.
const CALLS: u32 = 24;

#[tokio::test(flavor = "multi_thread")]
async fn every_write_and_every_sync_may_fail() {
    let mut kept = Kept::start().await;
    let mut refused = 0;
    for times in [1, 3] {
        for after in 0..CALLS {
            let error = if after % 2 == 0 { ENOSPC } else { EIO };
            let failing = Some(Failing { error, after, times: Some(times) });
            for (kind, writes, syncs) in [("write", failing, None), ("sync", None, failing)] {
                set(&kept.world, writes, syncs);
                // The fault is reached by the first of them or by a later one.
                for number in 0..4 {
                    let id = format!("{number}-{kind}-{after}-{times}");
                    let took = kept.send_until_taken(&id).await;
                    refused += u32::from(took > Duration::from_millis(20));
                }
            }
        }
        kept.check_after_a_power_cut().await;
    }
    assert!(refused >= CALLS, "{refused} were refused at first");
}

/// A database of a server that was stopped, with nothing of it left in the log of SQLite.
async fn at_rest() -> IntakeWorld {
    let Kept { mut world, .. } = {
        let mut kept = Kept::start().await;
        for number in 0..20 {
            assert_eq!(kept.send(&format!("delivery-{number}")).await, 202);
        }
        kept
    };
    assert!(world.terminate().success());
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    let output = std::process::Command::new("sqlite3").arg(world.database()).arg(checkpoint).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_garbage_is_refused_by_its_name() {
    let garbage =
        |length: usize| -> Vec<u8> { (0..length).map(|place| u8::try_from(place * 7 % 251).unwrap()).collect() };
    for (name, from, length) in [("all of it", 0, usize::MAX), ("its head", 0, 4096), ("its tables", 4096, usize::MAX)]
    {
        let mut world = at_rest().await;
        let mut bytes = std::fs::read(world.database()).unwrap();
        let end = from + length.min(bytes.len() - from);
        let wrong = garbage(end - from);
        bytes[from..end].copy_from_slice(&wrong);
        std::fs::write(world.database(), bytes).unwrap();
        world.start();
        let until = Instant::now() + RECOVERY;
        let status = loop {
            if let Some(status) = world.ended() {
                break status;
            }
            assert!(Instant::now() < until, "it runs with {name} garbage\n{}", world.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(status.code(), Some(1), "{name}");
        let log = world.log();
        let told = log.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        let database = world.database();
        assert!(told.contains(&*database.to_string_lossy()) && told.contains("cannot be used"), "{name}: {log}");
        assert!(log.contains("move it away and start again"), "{name}: {log}");
        // It is left as it was, for whoever can read more of it.
        assert_eq!(std::fs::read(&database).unwrap()[from..end], wrong, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_that_nobody_reads_is_told() {
    let mut world = at_rest().await;
    let config = world.folder.path().join("tagboat.yaml");
    let check = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tagboat"));
        command.current_dir(config.parent().unwrap()).args(["store", "check", "--config"]).arg(&config);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(check(), (Some(0), String::new()));
    let page: usize = world.ask_sqlite("SELECT rootpage FROM sqlite_schema WHERE name = 'command'").parse().unwrap();
    let mut bytes = std::fs::read(world.database()).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0xff);
    std::fs::write(world.database(), bytes).unwrap();
    let (code, told) = check();
    assert!(code == Some(1) && told.contains("the database cannot be trusted"), "{code:?} {told}");
    world.start();
    let until = Instant::now() + RECOVERY;
    let told = loop {
        match world.get("/readyz").await {
            Some(told) if told.status == 503 => break told,
            other => assert!(Instant::now() < until, "{other:?}\n{}", world.log()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(told.body.contains("\"corrupt\""), "{told:?}");
    assert_eq!(world.get("/healthz").await.unwrap().status, 200);
}
