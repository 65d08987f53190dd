//! Those who keep the server busy: CI, which pushes and announces images, and people, who commit, merge and ask.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

use super::{
    senders::{Announcement, Senders},
    world::{ENTRIES, World},
};

/// What they did.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The newest version of each entry.
    pub(super) newest: BTreeMap<&'static str, u32>,
    /// Files that people committed.
    pub(super) notes: Vec<String>,
    /// Pull requests that they merged.
    pub(super) merges: u32,
    /// Commands that they gave.
    pub(super) commands: u32,
}

/// Both, at work.
pub(super) struct Busy {
    ci: JoinHandle<BTreeMap<&'static str, u32>>,
    people: JoinHandle<Done>,
}

impl Busy {
    /// Until `stop` is set.
    pub(super) fn start(
        world: &Arc<World>,
        senders: &Senders,
        stop: &Arc<AtomicBool>,
        random: &mut fastrand::Rng,
    ) -> Self {
        let ci = run_ci(Arc::clone(world), senders.clone(), Arc::clone(stop), random.fork());
        let people = run_people(Arc::clone(world), Arc::clone(stop), random.fork());
        Self { ci: tokio::spawn(ci), people: tokio::spawn(people) }
    }

    /// What they did, once they have stopped.
    pub(super) async fn end(self) -> Result<Done, String> {
        let newest = self.ci.await.map_err(|error| format!("CI: {error}"))?;
        let done = self.people.await.map_err(|error| format!("people: {error}"))?;
        Ok(Done { newest, ..done })
    }
}

async fn run_ci(
    world: Arc<World>,
    senders: Senders,
    stop: Arc<AtomicBool>,
    mut random: fastrand::Rng,
) -> BTreeMap<&'static str, u32> {
    let mut newest: BTreeMap<&'static str, u32> = ENTRIES.map(|entry| (entry, 0)).into();
    let mut number = 0_u32;
    while !stop.load(Ordering::SeqCst) {
        number += 1;
        let entry = ENTRIES[random.usize(..ENTRIES.len())];
        let tag = match random.u32(..10) {
            // One that is there and was overtaken, one that nobody pushed, one that nobody wants.
            0 => format!("1.0.{}", random.u32(..=newest[entry])),
            1 => format!("1.9.{number}"),
            2 => format!("2.0.{number}"),
            _ => {
                let next = newest[entry] + 1;
                newest.insert(entry, next);
                let tag = format!("1.0.{next}");
                world.registry.push_image(&format!("acme/{entry}"), &tag, &format!("{entry} {tag}")).await;
                tag
            }
        };
        let announcement = Announcement {
            id: format!("job-{number}"),
            entry: entry.to_owned(),
            body: format!(r#"{{"image":"{}/acme/{entry}","tag":"{tag}"}}"#, world.image_host),
            tag,
        };
        senders.announce(announcement, random.u64(1..=5), random.u32(..5) == 0);
        tokio::time::sleep(Duration::from_millis(random.u64(50..350))).await;
    }
    newest
}

async fn run_people(world: Arc<World>, stop: Arc<AtomicBool>, mut random: fastrand::Rng) -> Done {
    let mut done = Done::default();
    while !stop.load(Ordering::SeqCst) {
        let open: Vec<u64> = world.forge.pulls().iter().filter(|pull| pull.is_open).map(|pull| pull.number).collect();
        let pull = (!open.is_empty()).then(|| open[random.usize(..open.len())]);
        match (random.u32(..4), pull) {
            (0, Some(pull)) => {
                let world = Arc::clone(&world);
                let merging = tokio::task::spawn_blocking(move || world.forge.merge_if_possible(pull));
                done.merges += u32::from(merging.await.unwrap());
            }
            (1, Some(pull)) => {
                use crate::forge_contract::ForgePeople as _;
                world.forge.people().comment(pull, "ada", "/tagboat explain");
                done.commands += 1;
            }
            _ => {
                let note = format!("notes/{}.md", done.notes.len());
                let (config, path) = (world.config.clone(), note.clone());
                let writing = tokio::task::spawn_blocking(move || {
                    config.commit_as_person("A note", &[(path.as_str(), "note\n")]);
                });
                writing.await.unwrap();
                done.notes.push(note);
            }
        }
        tokio::time::sleep(Duration::from_millis(random.u64(400..1600))).await;
    }
    done
}
