//! Two servers over one PostgreSQL, each with mirrors of its own: one is stopped in the middle and wakes late, the database
//! goes away and comes back, and everything is done once all the same.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tagboat_intake::sign_standard_webhook;
use tagboat_testkit::{Database, Postgres, Process, free_port, git, wait_for_port, world::WorldSetup};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::world::{CI_SECRET, World};

const BINARY: &str = env!("CARGO_BIN_EXE_tagboat");

async fn world_over(url: String, wire_delay: Option<Duration>) -> World {
    let database = Database::Postgres { url };
    let world = World::over_http(WorldSetup { database, wire_delay, ..WorldSetup::quick(BINARY) }).await;
    world.wait_until_started().await;
    world
}

/// A further server, over the same database and the same config repository.
struct Replica {
    process: Process,
    port: u16,
}

impl Replica {
    fn start(world: &World) -> Self {
        let port = free_port();
        let folder = world.folder.path();
        let settings = std::fs::read_to_string(folder.join("tagboat.yaml")).unwrap();
        let (_, rest) = settings.split_once('\n').unwrap();
        let settings = format!("listen: 127.0.0.1:{port}\ndataDirectory: other-data\n{rest}");
        std::fs::write(folder.join("other.yaml"), settings).unwrap();
        let mut command = std::process::Command::new(BINARY);
        command.current_dir(folder).args(["serve", "--config", "other.yaml"]).env("TAGBOAT_LOG", "debug");
        let log = folder.join("other-log");
        let process = Process::start(&mut command, Some(&log));
        wait_for_port(port, Some(&log));
        Self { process, port }
    }

    async fn announce(&self, world: &World, id: &str, tag: &str) -> u16 {
        let body = world.announcement("web", tag);
        let seconds = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs().cast_signed();
        let signature = sign_standard_webhook(&CI_SECRET.to_owned().into(), id, seconds, body.as_bytes());
        let request = world.http.post(format!("http://127.0.0.1:{}/hooks/ci", self.port)).header("webhook-id", id);
        let request = request.header("webhook-timestamp", seconds.to_string()).header("webhook-signature", signature);
        request.body(body).send().await.unwrap().status().as_u16()
    }
}

fn signal(name: &str, process: u32) {
    let done = std::process::Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap();
    assert!(done.success(), "kill -{name} {process}");
}

async fn wait_for_tag(world: &World, tag: &str) {
    let expect = format!("newTag: \"{tag}\"");
    world.wait(tag, async |world| world.config.file("apps/dev/kustomization.yaml").contains(&expect)).await;
}

/// Each version that was put into Git was put there once, and people could read the history.
fn check(world: &World, last: &str) {
    let subjects = git(&world.config.path(), &["log", "--format=%s", "main"]);
    let mut updates: Vec<&str> = subjects.lines().filter(|line| line.starts_with("Update web")).collect();
    let all = updates.len();
    updates.sort_unstable();
    updates.dedup();
    assert_eq!(all, updates.len(), "{subjects}");
    assert!(world.config.file("apps/dev/kustomization.yaml").contains(&format!("newTag: \"{last}\"")), "{subjects}");
    let merges = git(&world.config.path(), &["rev-list", "--merges", "--count", "main"]);
    assert_eq!(merges.trim(), "0");
    world.config.check_integrity();
}

/// It holds the branch when it is stopped, for longer than its lease lasts, and wakes in the middle of a push that another
/// has made meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_stopped_past_its_lease_writes_nothing_wrong() {
    let cluster = Postgres::start();
    let world = world_over(cluster.url(), Some(Duration::from_millis(60))).await;
    let other = Replica::start(&world);
    let mut number = 0;
    for until_stopped in [150, 450] {
        number += 1;
        let (mine, theirs) = (format!("1.5.{number}"), format!("1.6.{number}"));
        world.registry.push_image("acme/quiet", &mine, &mine).await;
        for tag in [&mine, &theirs] {
            world.registry.push_image("acme/web", tag, tag).await;
        }
        let (status, _) = world.announce(&format!("mine-{number}"), &world.announcement("web", &mine)).await;
        assert_eq!(status, 202);
        tokio::time::sleep(Duration::from_millis(until_stopped)).await;
        signal("STOP", world.process_id());
        assert_eq!(other.announce(&world, &format!("theirs-{number}"), &theirs).await, 202);
        wait_for_tag(&world, &theirs).await;
        signal("CONT", world.process_id());
        // It writes what it was about to write, if anything lets it.
        tokio::time::sleep(Duration::from_secs(2)).await;
        check(&world, &theirs);
    }
    world
        .wait("rest", async |world| {
            let branches = world.get("/api/v1/branches").await;
            branches["branches"].as_array().unwrap().iter().all(|branch| branch["dirty"] == false)
        })
        .await;
    check(&world, "1.6.2");
}

/// Both are told of everything, and killed and started in turn.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_was_told_is_done_by_another_that_lives() {
    let cluster = Postgres::start();
    let mut world = world_over(cluster.url(), None).await;
    let mut other = Replica::start(&world);
    for number in 1..=4 {
        let tag = format!("1.5.{number}");
        world.registry.push_image("acme/web", &tag, &tag).await;
        assert_eq!(other.announce(&world, &format!("o-{number}"), &tag).await, 202);
        assert_eq!(world.announce(&format!("w-{number}"), &world.announcement("web", &tag)).await.0, 202);
        match number % 2 {
            0 => world.kill_tagboat(),
            _ => other.process.kill(),
        }
        wait_for_tag(&world, &tag).await;
        match number % 2 {
            0 => world.start_tagboat(),
            _ => other = Replica::start(&world),
        }
    }
    check(&world, "1.5.4");
}

/// A way to the database that can be closed: what is sent then arrives later, or never, and nobody is told.
struct Valve {
    port: u16,
    is_open: Arc<AtomicBool>,
}

impl Valve {
    async fn start(to: u16) -> Self {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let is_open = Arc::new(AtomicBool::new(true));
        let valve = Arc::clone(&is_open);
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let valve = Arc::clone(&valve);
                tokio::spawn(async move {
                    wait_until_open(&valve).await;
                    let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else { return };
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::select! {
                        () = pass(near_in, far_out, &valve) => {}
                        () = pass(far_in, near_out, &valve) => {}
                    }
                });
            }
        });
        Self { port, is_open }
    }

    fn set(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
    }
}

async fn wait_until_open(valve: &AtomicBool) {
    while !valve.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn pass(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, valve: &AtomicBool) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        wait_until_open(valve).await;
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_reached_loses_nothing_that_was_accepted() {
    let mut cluster = Postgres::start();
    let valve = Valve::start(cluster.port()).await;
    let url = cluster.url().replace(&format!(":{}/", cluster.port()), &format!(":{}/", valve.port));
    let world = world_over(url, None).await;
    let mut accepted = Vec::new();
    let mut refused = 0;
    for number in 1..=6 {
        let tag = format!("1.5.{number}");
        world.registry.push_image("acme/web", &tag, &tag).await;
        match number {
            2 => valve.set(false),
            4 => cluster.kill(),
            _ => {}
        }
        let (status, _) = world.announce(&format!("job-{number}"), &world.announcement("web", &tag)).await;
        match status {
            202 => accepted.push(tag),
            503 => refused += 1,
            other => panic!("{other}"),
        }
        match number {
            2 => valve.set(true),
            4 => cluster.start_again(),
            _ => {}
        }
    }
    assert!(refused >= 2 && accepted.last().unwrap() == "1.5.6", "{accepted:?}, {refused} refused");
    wait_for_tag(&world, "1.5.6").await;
    check(&world, "1.5.6");
}
