//! A disk that keeps nothing but what was synced: what was answered with success is there all the same.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tagboat_testkit::{
    AtSync, DiskFaults, FaultyDisk, Unsynced,
    intake_world::{IntakeWorld, Sender},
};

/// SQLite's own program, as a victim that answers once a transaction is over.
struct Shell {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Shell {
    fn open(database: &std::path::Path, disk: &FaultyDisk) -> Self {
        let mut command = Command::new("sqlite3");
        disk.put_below(&mut command);
        let mut child = command.arg(database).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    fn ask(&mut self, sql: &str) -> Vec<String> {
        writeln!(self.child.stdin.as_mut().unwrap(), "{sql};\nSELECT 'over';").unwrap();
        let lines = (&mut self.answers).lines().map(Result::unwrap);
        lines.take_while(|line| line != "over").collect()
    }
}

/// Commits fifty rows and is killed. Returns how many it saw itself, and how many are left.
fn rows_left(synchronous: &str, unsynced: Unsynced) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().canonicalize().unwrap().join("victim.db");
    let disk = FaultyDisk::below(&database);
    disk.set(&DiskFaults { unsynced, seed: 7, ..DiskFaults::default() });
    let mut shell = Shell::open(&database, &disk);
    shell.ask("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE row (number)");
    shell.ask(&format!("PRAGMA synchronous={synchronous}"));
    for number in 0..50 {
        shell.ask(&format!("INSERT INTO row VALUES ({number})"));
    }
    let seen = shell.ask("SELECT count(*) FROM row").concat();
    shell.child.kill().unwrap();
    shell.child.wait().unwrap();
    let left = Command::new("sqlite3").arg(&database).arg("PRAGMA integrity_check; SELECT count(*) FROM row").output();
    (seen, String::from_utf8(left.unwrap().stdout).unwrap())
}

#[test]
fn the_faulty_disk_catches_a_database_that_does_not_sync() {
    let of = |synchronous, unsynced| rows_left(synchronous, unsynced);
    let all = ("50".to_owned(), "ok\n50\n".to_owned());
    let none = ("50".to_owned(), "ok\n0\n".to_owned());
    // SIGKILL alone catches nothing.
    assert_eq!(of("OFF", Unsynced::Kept), all);
    for unsynced in [Unsynced::Lost, Unsynced::Torn] {
        assert_eq!(of("OFF", unsynced), none, "{unsynced:?}");
        assert_eq!(of("FULL", unsynced), all, "{unsynced:?}");
    }
}

/// Deliveries that were answered with success, by their events.
type Acknowledged = Arc<Mutex<BTreeSet<String>>>;

/// Send one delivery after the other, each under an id of its own, until nobody answers.
async fn send_until_nobody_answers(sender: Sender, acknowledged: Acknowledged, name: String) {
    for number in 0.. {
        match sender.send(&format!("{name}-{number}")).await {
            Some(answer) if answer.status == 202 => acknowledged.lock().unwrap().extend(answer.events()),
            Some(answer) => panic!("{answer:?}"),
            None => return,
        }
    }
}

/// All that were acknowledged are in the database, which is sound.
fn check(world: &IntakeWorld, acknowledged: &Acknowledged) {
    assert_eq!(world.ask_sqlite("PRAGMA integrity_check; PRAGMA foreign_key_check"), "ok");
    let lost = lost(world, acknowledged);
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.lock().unwrap().len());
}

fn lost(world: &IntakeWorld, acknowledged: &Acknowledged) -> Vec<String> {
    let events = world.ask_sqlite("SELECT id FROM event");
    let events: BTreeSet<&str> = events.lines().collect();
    acknowledged.lock().unwrap().iter().filter(|id| !events.contains(id.as_str())).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_sync_would_be_caught() {
    let mut world = IntakeWorld::new(env!("CARGO_BIN_EXE_tagboat"));
    world.start_and_wait().await;
    world.kill();
    world.disk.set(&DiskFaults { unsynced: Unsynced::AlsoSynced, ..DiskFaults::default() });
    world.start_and_wait().await;
    let acknowledged = Acknowledged::default();
    for number in 0..20 {
        let answer = world.sender().send(&format!("job-{number}")).await.unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        acknowledged.lock().unwrap().extend(answer.events());
    }
    world.kill();
    assert_eq!(lost(&world, &acknowledged).len(), 20);
}

/// How often the server is killed.
const LIVES: u32 = 120;
/// Senders at once, so that several deliveries share a sync.
const SENDERS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_disk_that_loses_or_tears_the_rest() {
    let mut world = IntakeWorld::new(env!("CARGO_BIN_EXE_tagboat"));
    let acknowledged = Acknowledged::default();
    let mut random = fastrand::Rng::with_seed(1);
    let mut at_syncs = 0;
    world.start_and_wait().await;
    world.kill();
    for life in 0..LIVES {
        let moment = [AtSync::Before, AtSync::During, AtSync::After][random.usize(..3)];
        let kill = random.bool().then(|| (moment, random.u32(1..60)));
        let unsynced = if random.bool() { Unsynced::Lost } else { Unsynced::Torn };
        world.disk.set(&DiskFaults { unsynced, kill, seed: random.u32(..), ..DiskFaults::default() });
        world.start();
        let until = Instant::now() + Duration::from_millis(random.u64(60..400));
        while !is_listening(&world).await && world.ended().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let name = format!("{life}-{sender}");
                tokio::spawn(send_until_nobody_answers(world.sender(), Arc::clone(&acknowledged), name))
            })
            .collect();
        while world.ended().is_none() && (kill.is_some() || Instant::now() < until) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        at_syncs += u32::from(kill.is_some());
        world.kill();
        for sender in senders {
            sender.await.unwrap();
        }
        if life % 10 == 9 {
            check(&world, &acknowledged);
        }
    }
    world.disk.set(&DiskFaults::default());
    world.start_and_wait().await;
    assert!(world.terminate().success());
    check(&world, &acknowledged);
    let count = acknowledged.lock().unwrap().len();
    assert!(count > 1000 && at_syncs > LIVES / 4, "{count} were acknowledged, {at_syncs} kills were at syncs");
}

async fn is_listening(world: &IntakeWorld) -> bool {
    world.get("/healthz").await.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_goes_away_takes_nothing_of_others_with_it() {
    let mut world = IntakeWorld::new(env!("CARGO_BIN_EXE_tagboat"));
    world.disk.set(&DiskFaults { unsynced: Unsynced::Lost, ..DiskFaults::default() });
    world.start_and_wait().await;
    let acknowledged = Acknowledged::default();
    let mut tasks = Vec::new();
    for number in 0..8 {
        let (sender, acknowledged) = (world.sender(), Arc::clone(&acknowledged));
        tasks.push(tokio::spawn(async move {
            for round in 0..60 {
                let id = format!("{number}-{round}");
                // Half of them go away in the middle of what they share a transaction for with the others.
                if number % 2 == 0 {
                    sender.send_and_go_away(&id).await;
                } else {
                    let answer = sender.send(&id).await.unwrap();
                    assert_eq!(answer.status, 202, "{answer:?}");
                    acknowledged.lock().unwrap().extend(answer.events());
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    // Those who went away know nothing, and come again.
    for number in (0..8).step_by(2) {
        for round in 0..60 {
            let answer = world.sender().send(&format!("{number}-{round}")).await.unwrap();
            assert!([200, 202].contains(&answer.status), "{answer:?}");
            acknowledged.lock().unwrap().extend(answer.events());
        }
    }
    world.kill();
    check(&world, &acknowledged);
    assert_eq!(acknowledged.lock().unwrap().len(), 480);
    assert_eq!(world.ask_sqlite("SELECT count(*), count(DISTINCT delivery_key) FROM delivery"), "480|480");
    assert_eq!(world.ask_sqlite("SELECT count(*), count(DISTINCT delivery) FROM event"), "480|480");
}
