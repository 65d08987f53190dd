//! Damage: a mirror that is damaged in any way is fetched anew, without a wrong answer and without anybody's help; a server
//! that misses objects is called what it is.
//!
//! Files are damaged by being replaced. Cutting one short that is mapped into memory would end the process, and no program
//! can help that.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod common;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use common::{
    FILES, head,
    kept::{Kept, Question},
    open,
};
use tagboat_model::BranchName;
use tagboat_ports::{Repository as _, RepositoryErrorKind};
use tagboat_repository::{Access, GitRepository};
use tagboat_testkit::{BareRepository, GitServer, git};

/// What it is, and how it is done to a mirror.
type Damage = (&'static str, fn(&Path));

const OF_PACKS: [Damage; 7] = [
    ("packs are cut in half", |mirror| halve(&packs(mirror, "pack"))),
    ("packs are empty", |mirror| empty(&packs(mirror, "pack"))),
    ("packs are gone", |mirror| delete(&packs(mirror, "pack"))),
    ("indices are cut in half", |mirror| halve(&packs(mirror, "idx"))),
    ("indices are empty", |mirror| empty(&packs(mirror, "idx"))),
    ("indices are gone", |mirror| delete(&packs(mirror, "idx"))),
    ("the folder of packs is gone", |mirror| std::fs::remove_dir_all(mirror.join("objects/pack")).unwrap()),
];

const OF_OBJECTS: [Damage; 3] = [
    ("loose objects are cut in half", |mirror| halve(&loose(mirror))),
    ("loose objects are empty", |mirror| empty(&loose(mirror))),
    ("loose objects are gone", |mirror| delete(&loose(mirror))),
];

const OF_THE_REST: [Damage; 6] = [
    ("the branch is at what is not there", |mirror| replace(&mirror.join("refs/heads/main"), "1".repeat(40))),
    ("the branch is nowhere", |mirror| replace(&mirror.join("refs/heads/main"), "")),
    ("the branches are gone", |mirror| std::fs::remove_dir_all(mirror.join("refs/heads")).unwrap()),
    ("packed branches are nonsense", |mirror| replace(&mirror.join("packed-refs"), "nonsense\n")),
    ("where history ends is nonsense", |mirror| replace(&mirror.join("shallow"), "nonsense\n")),
    ("where history ends is not known", |mirror| delete(&[mirror.join("shallow")])),
];

/// Afterwards a new process need not know any more which branches there were.
const OF_ALL: [Damage; 6] = [
    ("HEAD is gone", |mirror| delete(&[mirror.join("HEAD")])),
    ("all objects are gone", |mirror| std::fs::remove_dir_all(mirror.join("objects")).unwrap()),
    ("the settings are gone", |mirror| delete(&[mirror.join("config")])),
    ("the settings are nonsense", |mirror| replace(&mirror.join("config"), "[core\nnonsense")),
    ("the folder is gone", |mirror| std::fs::remove_dir_all(mirror).unwrap()),
    ("the folder is empty", |mirror| {
        std::fs::remove_dir_all(mirror).unwrap();
        std::fs::create_dir(mirror).unwrap();
    }),
];

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut waiting) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => waiting.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

fn packs(mirror: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = files(&mirror.join("objects/pack"));
    found.retain(|path| path.extension().is_some_and(|it| it == extension));
    assert!(found.len() >= 2, "the mirror has packs");
    found
}

fn loose(mirror: &Path) -> Vec<PathBuf> {
    let mut found = files(&mirror.join("objects"));
    found.retain(|path| path.file_name().is_some_and(|name| name.len() == 38));
    assert!(found.len() >= 3, "the mirror has loose objects");
    found
}

fn replace(path: &Path, content: impl AsRef<[u8]>) {
    // Objects cannot be written to, and what is mapped into memory must stay.
    let _ = std::fs::remove_file(path);
    std::fs::write(path, content).unwrap();
}

fn halve(paths: &[PathBuf]) {
    for path in paths {
        let bytes = std::fs::read(path).unwrap();
        replace(path, &bytes[..bytes.len() / 2]);
    }
}

fn empty(paths: &[PathBuf]) {
    paths.iter().for_each(|path| replace(path, ""));
}

fn delete(paths: &[PathBuf]) {
    paths.iter().for_each(|path| std::fs::remove_file(path).unwrap());
}

/// As after a process that was killed wherever it could be.
fn lock_everything(mirror: &Path) {
    let locked = files(mirror);
    assert!(locked.iter().any(|path| path.ends_with("shallow")), "{locked:?}");
    let more = ["packed-refs", "refs/heads/other", "refs/heads/tagboat/prod"].map(|name| mirror.join(name));
    for path in locked.into_iter().chain(more) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(format!("{}.lock", path.display()), "").unwrap();
    }
}

/// A process that starts with a damaged mirror.
async fn a_restart_survives(kept: &Kept, damages: &[Damage], firsts: &[Question]) {
    for (what, damage) in damages {
        for first in firsts {
            let folder = kept.copied();
            damage(&folder.path().join("mirror.git"));
            let repository = kept.open(folder.path());
            kept.ask_all(&repository, *first, what).await;
        }
    }
}

/// A process whose mirror is damaged while it lives; `warm` if it has read everything before.
async fn a_process_survives(kept: &Kept, damages: &[Damage], firsts: &[Question], warm: bool) {
    for (what, damage) in damages {
        for first in firsts {
            let folder = kept.copied();
            let repository = kept.open(folder.path());
            let before: &[Question] =
                if warm { &[Question::Head, Question::Files, Question::Read] } else { &[Question::Head] };
            for question in before {
                kept.ask(&repository, *question, "before any damage").await;
            }
            damage(&folder.path().join("mirror.git"));
            kept.ask_all(&repository, *first, &format!("{what} under a process (warm: {warm})")).await;
        }
    }
}

/// What can be asked of a commit that is known to be there.
const FIRSTS: [Question; 5] = [Question::Head, Question::HeadToPush, Question::Files, Question::Read, Question::Push];
/// What can be asked by whoever does not know any commit.
const HEADS: [Question; 3] = [Question::Head, Question::HeadToPush, Question::KnownHead];

#[tokio::test]
async fn damaged_packs_are_fetched_anew_after_a_restart() {
    a_restart_survives(&Kept::new(false).await, &OF_PACKS, &FIRSTS).await;
}

#[tokio::test]
async fn damaged_objects_are_fetched_anew_after_a_restart() {
    a_restart_survives(&Kept::new(false).await, &OF_OBJECTS, &FIRSTS).await;
}

#[tokio::test]
async fn whatever_else_is_damaged_is_made_anew_after_a_restart() {
    let kept = Kept::new(false).await;
    a_restart_survives(&kept, &OF_THE_REST, &[Question::Head, Question::Files, Question::Push]).await;
    a_restart_survives(&kept, &OF_ALL, &HEADS).await;
}

#[tokio::test]
async fn locks_of_a_killed_process_hold_nobody_up() {
    for moved_on in [false, true] {
        let kept = Kept::new(moved_on).await;
        a_restart_survives(&kept, &[("there are locks everywhere", lock_everything)], &HEADS[..2]).await;
    }
}

#[tokio::test]
async fn damage_is_noticed_after_the_server_moved_on() {
    let kept = Kept::new(true).await;
    let firsts = [Question::Head, Question::HeadToPush];
    a_restart_survives(&kept, &OF_PACKS, &firsts).await;
    a_restart_survives(&kept, &OF_OBJECTS, &firsts).await;
    a_restart_survives(&kept, &OF_THE_REST, &firsts).await;
    a_restart_survives(&kept, &OF_ALL, &firsts).await;
}

#[tokio::test]
async fn a_mirror_may_be_damaged_under_a_process_that_read_it() {
    let kept = Kept::new(false).await;
    let firsts = [Question::Head, Question::Files];
    for damages in [&OF_PACKS[..], &OF_OBJECTS[..], &OF_THE_REST[..], &OF_ALL[..]] {
        a_process_survives(&kept, damages, &firsts, true).await;
    }
}

#[tokio::test]
async fn a_mirror_may_be_damaged_under_a_process_that_read_little_of_it() {
    let kept = Kept::new(false).await;
    for damages in [&OF_PACKS[..], &OF_OBJECTS[..], &OF_THE_REST[..], &OF_ALL[..]] {
        a_process_survives(&kept, damages, &[Question::Files, Question::Push], false).await;
    }
}

/// The folder is gone, and what the server has is not what was there.
#[tokio::test]
async fn a_mirror_may_be_deleted_under_a_process_before_the_server_moves_on() {
    let kept = Kept::new(false).await;
    for (what, damage) in OF_ALL {
        let folder = kept.copied();
        let repository = kept.open(folder.path());
        kept.ask(&repository, Question::Read, "before any damage").await;
        damage(&folder.path().join("mirror.git"));
        kept.server.commit_as_person(what, &[("c.yaml", what)]);
        let newest = head(&repository).await;
        assert_eq!(newest, kept.server.head(), "{what}");
        let read = repository.read_at(&newest.parse().unwrap(), &["c.yaml".to_owned()], common::LARGEST).await.unwrap();
        assert_eq!(read, [Some(what.as_bytes().to_vec())]);
        git(&kept.server.path(), &["update-ref", "refs/heads/main", "main~1"]);
    }
}

/// Bytes of a pack that say what follows: of what kind it is and how large, or where it begins.
fn telling_bytes(pack: &Path) -> Vec<usize> {
    let folder = pack.parent().unwrap();
    let index = pack.with_extension("idx").display().to_string();
    let listing = git(folder, &["verify-pack", "-v", &index]);
    let mut bytes = vec![0, 7, 11];
    for line in listing.lines() {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        // Id, kind, size, size in the pack, offset; the rest of the listing is statistics.
        if let [id, _, _, _, offset, ..] = columns[..]
            && id.len() == 40
        {
            let offset: usize = offset.parse().unwrap();
            bytes.extend([offset, offset + 1, offset + 2, offset + 6]);
        }
    }
    assert!(bytes.len() >= 3 + 4 * 3, "{listing}");
    bytes
}

#[tokio::test]
async fn a_byte_of_a_pack_may_be_any_other() {
    let kept = Kept::new(false).await;
    let sound = kept.copied();
    for pack in packs(&sound.path().join("mirror.git"), "pack") {
        let bytes = std::fs::read(&pack).unwrap();
        for (number, at) in telling_bytes(&pack).into_iter().enumerate() {
            let flip = [0x80, 0x11, 0xff][number % 3];
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let folder = kept.copied();
            replace(&folder.path().join("mirror.git/objects/pack").join(pack.file_name().unwrap()), &damaged);
            let why = format!("byte {at} of {} is changed by {flip:x}", pack.display());
            let repository = kept.open(folder.path());
            let first = if number % 2 == 0 { Question::Read } else { Question::Files };
            for question in [first, Question::Head, Question::Read, Question::Files] {
                kept.ask(&repository, question, &why).await;
            }
        }
    }
}

/// The third byte of an object's header says whether there is a fourth, and with it how large the object is.
#[tokio::test]
async fn an_object_that_pretends_to_be_too_large_is_fetched_anew() {
    let kept = Kept::new(false).await;
    let sound = kept.copied();
    for pack in packs(&sound.path().join("mirror.git"), "pack") {
        let bytes = std::fs::read(&pack).unwrap();
        for at in telling_bytes(&pack) {
            let folder = kept.copied();
            let mut damaged = bytes.clone();
            damaged[at] |= 0x80;
            replace(&folder.path().join("mirror.git/objects/pack").join(pack.file_name().unwrap()), &damaged);
            kept.ask(&kept.open(folder.path()), Question::Read, &format!("byte {at} of {}", pack.display())).await;
        }
    }
}

/// What is asked of a server that lost an object of `main`: said at once, by whoever asks, and over when it is repaired. Over
/// HTTP the server breaks off in the midst of its answer, and what its `git` said of it stays there.
async fn says_what_the_server_lost(server: &BareRepository, repository: &GitRepository, lost: &str, over_http: bool) {
    let object = server.path().join("objects").join(&lost[..2]).join(&lost[2..]);
    let bytes = std::fs::read(&object).unwrap();
    std::fs::remove_file(&object).unwrap();
    let (main, earlier): (BranchName, BranchName) = ("main".parse().unwrap(), "earlier".parse().unwrap());
    for _ in 0..2 {
        let asked = tokio::time::timeout(Duration::from_secs(60), repository.head(&main)).await;
        let error = asked.expect("an answer, not a loop").unwrap_err();
        let words = error.to_string();
        let said = ["missing", "damaged", "corruption", "unable to read", "bad tree object"];
        let (kind, said) = match over_http {
            true => (RepositoryErrorKind::Temporary, &["broke off"][..]),
            false => (RepositoryErrorKind::Permanent, &said[..]),
        };
        assert!(said.iter().any(|word| words.contains(word)), "{words}");
        assert_eq!(error.kind, kind, "{words}");

        let known = repository.head(&earlier).await.unwrap().unwrap();
        assert_eq!(repository.files(&known).await.unwrap().len(), FILES.len(), "other branches are not concerned");
    }
    std::fs::write(&object, bytes).unwrap();
    let healed = repository.head(&main).await.unwrap().unwrap();
    assert_eq!(repository.files(&healed).await.unwrap().len(), FILES.len() + 1);
}

#[tokio::test]
async fn objects_that_the_server_lost_are_named_as_the_matter() {
    let server = BareRepository::with_files(&FILES);
    git(&server.path(), &["branch", "earlier", "main"]);
    server.commit_as_person("Later", &[("deep/c.yaml", "c: 1\n")]);
    let http = GitServer::start(server.parent(), None);
    for what in ["main:deep/c.yaml", "main:deep", "main^{tree}"] {
        let lost = git(&server.path(), &["rev-parse", what]).trim().to_owned();
        for (url, over_http) in [(server.url(), false), (http.url(), true)] {
            let (repository, _folder) = open(url, Access::Open);
            says_what_the_server_lost(&server, &repository, &lost, over_http).await;
        }
    }
}
