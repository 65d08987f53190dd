//! The last look: what Git, the forge and the server say about everything that was accepted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    people::Done,
    report::Report,
    senders::{Answered, Senders},
    world::{ENTRIES, PROMOTED, World},
};
use crate::git;

/// Who commits for the server.
const BOT: &str = "Tagboat";

/// A commit of ours: what it brought where.
struct Brought {
    commit: String,
    parents: usize,
    /// Image with tag and digest, and the environment.
    what: Vec<(String, String)>,
}

/// Look at everything, and write down counts and broken promises.
pub(super) async fn check(world: &World, senders: &Senders, done: &Done, report: &mut Report) {
    let (answers, wrong) = senders.answers();
    (report.copies, report.successes) = senders.counts();
    report.broken.extend(wrong);
    if report.copies != report.successes {
        report.broken.push(format!("{} copies, {} successes", report.copies, report.successes));
    }
    check_branch(world, report);
    let commits = check_commits(world, report);
    check_people(world, done, report);
    check_contents(world, done, report);
    check_pulls(world, done, report);
    check_events(world, &answers, &commits, report).await;
    report.broken.extend(world.forge.failures());
    world.trap.victim.terminate();
    if world.disk.is_some() {
        check_database(world, report);
    }
}

/// It only ever moved forward, and nothing in it is broken.
fn check_branch(world: &World, report: &mut Report) {
    let folder = world.config.path();
    world.config.check_integrity();
    let line = git(&folder, &["rev-list", "--first-parent", "--reverse", "main"]);
    let places: BTreeMap<&str, usize> = line.lines().enumerate().map(|(place, commit)| (commit, place)).collect();
    let moves = git(&folder, &["reflog", "show", "--format=%H", "main"]);
    let mut last = None;
    for commit in moves.lines().rev() {
        let place = places.get(commit);
        if place.is_none() || place <= last {
            report.broken.push(format!("main stood at {commit}, which is not behind what came later"));
        }
        last = place;
    }
}

/// Returns what is on the branch as our commits say it: `<host>/acme/web:1.0.1` in `dev`.
fn check_commits(world: &World, report: &mut Report) -> BTreeSet<(String, String)> {
    let format = "--format=%H%n%P%n%B%x00";
    let author = format!("--author=^{BOT} <");
    let log = git(&world.config.path(), &["log", &author, format, "main"]);
    let commits: Vec<Brought> = log.split('\0').filter_map(brought).collect();
    report.commits = commits.len();
    let mut seen = BTreeMap::new();
    for commit in &commits {
        if commit.parents != 1 {
            report.broken.push(format!("our commit {} has {} parents", commit.commit, commit.parents));
        }
        if commit.what.is_empty() {
            report.broken.push(format!("our commit {} does not say what it brings", commit.commit));
        }
        for what in &commit.what {
            if let Some(earlier) = seen.insert(what.clone(), &commit.commit) {
                report.duplicates += 1;
                report.broken.push(format!("{what:?} was brought by {} and by {earlier}", commit.commit));
            }
        }
    }
    let without_digest = |(image, environment): &(String, String)| {
        let image = image.split('@').next().unwrap_or_default().to_owned();
        (image, environment.clone())
    };
    seen.keys().map(without_digest).collect()
}

fn brought(text: &str) -> Option<Brought> {
    let mut lines = text.trim_start().lines();
    let (commit, parents) = (lines.next()?.to_owned(), lines.next()?.split(' ').count());
    let message: Vec<&str> = lines.collect();
    let all = |name: &str| -> Vec<String> {
        message.iter().filter_map(|line| Some(line.strip_prefix(name)?.trim().to_owned())).collect()
    };
    // Without it nothing is said of what was brought, which is an error of its own.
    let environments = all("Tagboat-Environment:");
    let in_environment = |environment: &String| (environment.clone(), all("Tagboat-Image:"));
    let images = environments.last().map(in_environment).into_iter();
    let what =
        images.flat_map(|(environment, images)| images.into_iter().map(move |image| (image, environment.clone())));
    let what = what.collect();
    Some(Brought { commit, parents, what })
}

/// What people committed is there.
fn check_people(world: &World, done: &Done, report: &mut Report) {
    let files = git(&world.config.path(), &["ls-tree", "-r", "--name-only", "main", "notes/"]);
    let files: BTreeSet<&str> = files.lines().collect();
    report.peoples = done.notes.len();
    (report.merged, report.commands) = (done.merges, done.commands);
    for note in done.notes.iter().filter(|note| !files.contains(note.as_str())) {
        report.broken.push(format!("{note}, which a person committed, is gone"));
    }
}

/// The newest version is in the first environment, and in the one behind it or offered there.
fn check_contents(world: &World, done: &Done, report: &mut Report) {
    let open: Vec<_> = world.forge.pulls().into_iter().filter(|pull| pull.is_open).collect();
    for entry in ENTRIES {
        let wanted = format!("image: {}/acme/{entry}:1.0.{}\n", world.image_host, done.newest[entry]);
        let file = world.config.file(&format!("apps/dev/{entry}.yaml"));
        if !file.contains(&wanted) {
            report.broken.push(format!("{entry} in dev is not {wanted}: {file}"));
        }
        if PROMOTED.contains(&entry) {
            let path = format!("apps/prod/{entry}.yaml");
            let offered =
                |branch: &str| git(&world.config.path(), &["show", &format!("{branch}:{path}")]).contains(&wanted);
            if !offered("main") && !open.iter().any(|pull| offered(&pull.branch)) {
                report.broken.push(format!("{entry} is neither in prod nor offered: {wanted}"));
            }
        }
    }
}

/// One open pull request for an entry, and nothing was said twice.
fn check_pulls(world: &World, done: &Done, report: &mut Report) {
    let pulls = world.forge.pulls();
    report.pulls = pulls.len();
    report.comments = pulls.iter().map(|pull| pull.comments.len()).sum();
    for entry in PROMOTED {
        let is_of = |title: &str| title.split(' ').any(|word| word == entry);
        let open: Vec<_> = pulls.iter().filter(|pull| pull.is_open && is_of(&pull.title)).collect();
        if open.len() > 1 {
            report.duplicates += open.len() - 1;
            report.broken.push(format!("several pull requests are open for {entry}: {open:?}"));
        }
    }
    for pull in &pulls {
        let different: BTreeSet<&String> = pull.comments.iter().collect();
        if different.len() != pull.comments.len() {
            report.duplicates += pull.comments.len() - different.len();
            report.broken.push(format!("something was said twice: {pull:?}"));
        }
    }
    if report.comments > usize::try_from(done.commands).unwrap() {
        report.broken.push(format!("{} comments answer {} commands", report.comments, done.commands));
    }
}

/// Every event of which a success spoke is known, and has an end.
async fn check_events(world: &World, answers: &[Answered], commits: &BTreeSet<(String, String)>, report: &mut Report) {
    report.accepted = answers.len();
    for Answered { announcement, events } in answers {
        let about = format!("{} ({}:{})", announcement.id, announcement.entry, announcement.tag);
        if events.len() != 1 {
            report.broken.push(format!("{about} became the events {events:?}"));
            continue;
        }
        let id = events.first().unwrap();
        let answer = reqwest::get(world.url(&format!("/api/v1/events/{id}"))).await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        let told: Value = serde_json::from_str(&text).unwrap_or_default();
        if status != 200 {
            report.broken.push(format!("{about} was accepted and is lost: {id}: {status} {text}"));
            continue;
        }
        let image = format!("{}/acme/{}:{}", world.image_host, announcement.entry, announcement.tag);
        match end_of(&told) {
            _ if commits.contains(&(image, "dev".to_owned())) => report.done += 1,
            Some(End::Overtaken) => report.overtaken += 1,
            Some(End::Refused) => report.refused += 1,
            None => report.broken.push(format!("{about} has no end that is explained: {text}")),
        }
    }
}

enum End {
    Overtaken,
    Refused,
}

/// What became of an event whose version is in no commit.
fn end_of(told: &Value) -> Option<End> {
    let decisions = told["decisions"].as_array()?;
    let explained = |decision: &Value| decision["explanation"].as_array().is_some_and(|reasons| !reasons.is_empty());
    if decisions.is_empty() || !decisions.iter().all(explained) {
        return None;
    }
    match told["fate"].as_str()? {
        "committed" | "offered" | "held" => Some(End::Overtaken),
        "nothing" | "unusable" => Some(End::Refused),
        _ => None,
    }
}

/// SQLite itself finds nothing wrong.
fn check_database(world: &World, report: &mut Report) {
    let output = std::process::Command::new("sqlite3")
        .arg(world.database_file())
        .arg("PRAGMA integrity_check; PRAGMA foreign_key_check;")
        .output()
        .expect("sqlite3 is installed");
    let words = String::from_utf8_lossy(&output.stdout);
    if words.trim() != "ok" {
        report.broken.push(format!("the database is not sound: {words}"));
    }
}
