//! Many who write to one branch at once: the bot, and people with real `git`. Nobody's commit is lost, none is doubled, and
//! the branch is never forced.

#![expect(clippy::print_stdout, reason = "what a long run found is told to whoever ran it")]

use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tagboat_testkit::{
    git,
    world::{World, WorldSetup},
};

const WRITERS: usize = 8;
/// Between two commits of a person.
const BREATH: Duration = Duration::from_secs(1);

/// Run git as a person, who has a name and no settings.
fn as_person(folder: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new("git");
    command.current_dir(folder).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.args(["-c", "user.name=Person", "-c", "user.email=person@example.org"]).args(arguments);
    command.output().unwrap().status.success()
}

/// A person who commits to a file of their own until it is enough. Returns what they were told has landed.
fn person(number: usize, server: &Path, enough: &Arc<AtomicBool>) -> JoinHandle<Vec<String>> {
    let (server, enough) = (server.to_owned(), Arc::clone(enough));
    std::thread::spawn(move || {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        assert!(as_person(folder.path(), &["clone", "--quiet", server.to_str().unwrap(), "work"]));
        let mut landed = Vec::new();
        for count in 0.. {
            if enough.load(Ordering::Relaxed) {
                break;
            }
            let subject = format!("Person {number}, change {count}");
            std::fs::write(work.join(format!("person-{number}.txt")), &subject).unwrap();
            assert!(as_person(&work, &["add", "--all"]));
            assert!(as_person(&work, &["commit", "--quiet", "--message", &subject]));
            while !as_person(&work, &["push", "--quiet", "origin", "HEAD:main"]) {
                assert!(as_person(&work, &["pull", "--quiet", "--rebase", "origin", "main"]));
            }
            landed.push(subject);
            std::thread::sleep(BREATH);
        }
        landed
    })
}

/// Every step of the branch, by the server's own log of it, goes forward.
fn is_never_forced(server: &Path) {
    let log = std::fs::read_to_string(server.join("logs/refs/heads/main")).unwrap();
    let mut steps = 0;
    for line in log.lines() {
        let mut ids = line.split(' ');
        let (old, new) = (ids.next().unwrap(), ids.next().unwrap());
        if old.trim_matches('0').is_empty() {
            continue;
        }
        assert!(as_person(server, &["merge-base", "--is-ancestor", old, new]), "forced from {old} to {new}");
        steps += 1;
    }
    assert!(steps > 0, "the log was kept");
}

/// How many races were lost before each update that lost one, by the server's log.
fn races(log: &str) -> Vec<u32> {
    let log = anstream::adapter::strip_str(log).to_string();
    let lost = log.lines().filter(|line| line.contains("served after others were faster"));
    lost.map(|line| line.rsplit_once("races=").unwrap().1.trim().parse().unwrap()).collect()
}

async fn compete(updates: usize) {
    let world = World::over_http(WorldSetup { log: "info", ..WorldSetup::quick(env!("CARGO_BIN_EXE_tagboat")) }).await;
    let server = world.config.path();
    git(&server, &["config", "core.logAllRefUpdates", "true"]);
    world.wait_until_started().await;
    let enough = Arc::new(AtomicBool::new(false));
    let people: Vec<_> = (0..WRITERS).map(|number| person(number, &server, &enough)).collect();
    for update in 1..=updates {
        let tag = format!("1.5.{update}");
        world.registry.copy_tag("acme/web", "1.4.0", [tag.clone()]);
        let (status, answer) = world.announce(&format!("update-{update}"), &world.announcement("web", &tag)).await;
        assert_eq!(status, 202, "{answer}");
        let line = format!("newTag: \"{tag}\"");
        world.wait(&tag, async |world| world.config.file("apps/dev/kustomization.yaml").contains(&line)).await;
    }
    enough.store(true, Ordering::Relaxed);
    let theirs: Vec<String> = people.into_iter().flat_map(|person| person.join().unwrap()).collect();
    let subjects = git(&server, &["log", "--format=%s", "main"]);
    let all: Vec<&str> = subjects.lines().collect();
    let lost: Vec<&String> = theirs.iter().filter(|subject| !all.contains(&subject.as_str())).collect();
    assert!(lost.is_empty(), "commits of people that were lost: {lost:?}");
    let of_bot = |subject: &&str| subject.starts_with("Update web to 1.5.");
    let ours: Vec<&str> = all.iter().copied().filter(of_bot).collect();
    let different: BTreeSet<&str> = ours.iter().copied().collect();
    assert_eq!((ours.len(), different.len()), (updates, updates), "each update is there, once");
    let merges = git(&server, &["rev-list", "--merges", "--count", "main"]);
    assert_eq!(merges.trim(), "0");
    is_never_forced(&server);
    world.config.check_integrity();
    let mut races = races(&world.log());
    races.resize(updates.max(races.len()), 0);
    races.sort_unstable();
    let (median, most) = (races[races.len() / 2], races[races.len() * 99 / 100]);
    println!(
        "{updates} updates among {} commits of {WRITERS} people; races lost: p50 {median}, p99 {most}",
        theirs.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_people_and_the_bot_lose_nothing() {
    compete(30).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes many minutes; `cargo xtask test --full` runs it"]
async fn a_thousand_updates_among_eight_people_lose_nothing() {
    compete(1000).await;
}
