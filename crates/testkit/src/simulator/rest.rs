//! What must hold once all faults have stopped: Git holds what is wanted, and nothing waits.
//!
//! The wanted values are found without the engine: the greatest version at the registry, and what comes before each
//! environment.

use super::{
    faults::Promise,
    git::{Files, value_in},
    promises::version,
    world::{ACME, World, ZETA, image_name, main, tag},
};

impl World {
    /// What is not yet as it is to be.
    pub(super) fn is_missing(&self) -> Option<String> {
        if !self.post().in_flight.is_empty() {
            return Some("deliveries are on their way".to_owned());
        }
        if !self.store().is_at_rest() {
            return Some("work waits".to_owned());
        }
        let (acme, zeta) = (self.git(ACME).files(&main()), self.git(ZETA).files(&main()));
        let value =
            |files: &Files, environment: &str, entry: &str| value_in(files, environment, entry).unwrap_or_default();
        for (files, environment, range) in [(&acme, "dev", Some(1)), (&zeta, "live", None)] {
            let (best, runs) = (self.best(range), value(files, environment, "web"));
            if version(&runs) < best {
                return Some(format!("{environment} runs web {runs}, and the registry has {best:?}"));
            }
        }
        let followed = self.registry().names(&image_name("tool"), &tag("main"), self.time());
        let wanted = followed.map(|digest| format!("main@{digest}")).unwrap_or_default();
        if value(&acme, "dev", "tool") != wanted {
            return Some(format!("dev runs tool {}, and main is {wanted}", value(&acme, "dev", "tool")));
        }
        for (from, to) in [("dev", "staging"), ("staging", "prod")] {
            let (ahead, runs) = (value(&acme, from, "web"), value(&acme, to, "web"));
            let is_disturbed = self.registry().is_disturbed(&image_name("web"), &tag(&ahead));
            if version(&runs) < version(&ahead) && !is_disturbed {
                return Some(format!("{from} runs web {ahead}, and {to} {runs}"));
            }
            let (ahead, runs) = (value(&acme, from, "tool"), value(&acme, to, "tool"));
            if ahead != runs {
                return Some(format!("{from} runs tool {ahead}, and {to} {runs}"));
            }
        }
        let open: Vec<u64> = self.forge().open().map(|pull| pull.now.number).collect();
        if !open.is_empty() {
            return Some(format!("pull requests are open: {open:?}"));
        }
        let commands = self.store().look(|tables| tables.past.commands.iter().filter(|it| it.answer.is_none()).count());
        (commands > 0).then(|| format!("{commands} commands are not answered"))
    }

    /// The greatest version at the registry.
    fn best(&self, major: Option<u64>) -> Option<[u64; 3]> {
        let tags = self.registry().tags_at(&image_name("web"), self.time());
        let versions = tags.iter().filter_map(|tag| version(tag.as_str()));
        versions.filter(|version| major.is_none_or(|major| version[0] == major)).max()
    }

    /// What people did is there, once all is at rest.
    pub(super) fn check_at_rest(&self) {
        let files = self.git(ACME).files(&main());
        let (notes, there) = (self.ledger().notes, files.keys().filter(|path| path.starts_with("notes/")).count());
        if there < notes {
            self.broke(Promise::PeoplesWorkIsTheirs, || format!("{there} of people's {notes} notes are there"));
        }
        self.check_bounds();
    }

    /// Everything that people can see.
    pub(super) fn visible(&self) -> (usize, usize, u64) {
        let commits = self.git(ACME).commits.len() + self.git(ZETA).commits.len();
        let forge = self.forge();
        (commits, forge.pulls.len(), forge.comments)
    }
}
