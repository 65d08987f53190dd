//! What every store promises of its memory of files, as long as it has not lost it.

use tagboat_model::{Duration, RepositoryName, TenantName, Timestamp};
use tagboat_ports::{BlobId, FileMemory, RememberedFile};

use super::at;

/// More than one statement of SQLite's.
const MANY: u32 = 450;

fn day(number: u64) -> Timestamp {
    at(0).plus(Duration::from_seconds(number * 24 * 60 * 60))
}

fn tenant() -> TenantName {
    TenantName::default()
}

fn config() -> RepositoryName {
    "config".parse().unwrap()
}

fn blob(number: u32) -> BlobId {
    let mut id = [0xab; 20];
    id[..4].copy_from_slice(&number.to_be_bytes());
    BlobId(id)
}

fn file(number: u32, kind: &str, found: &str) -> RememberedFile {
    RememberedFile { blob: blob(number), kind: kind.to_owned(), found: found.as_bytes().to_vec() }
}

fn content(file: &RememberedFile) -> (BlobId, String) {
    (file.blob, file.kind.clone())
}

/// What a finder knows of the repository of [`config`], sorted.
async fn known(memory: &dyn FileMemory, finder: &str) -> Vec<RememberedFile> {
    let mut known = memory.remembered_files(&tenant(), &config(), finder).await.unwrap();
    known.sort_by_key(content);
    known
}

async fn remember(memory: &dyn FileMemory, finder: &str, files: &[RememberedFile], now: Timestamp) {
    memory.remember_files(&tenant(), &config(), finder, files, now).await.unwrap();
}

async fn used(memory: &dyn FileMemory, finder: &str, files: &[RememberedFile], now: Timestamp) {
    let used: Vec<(BlobId, String)> = files.iter().map(content).collect();
    memory.use_files(&tenant(), &config(), finder, &used, now).await.unwrap();
}

pub(super) async fn what_was_found_is_remembered(memory: &dyn FileMemory) {
    assert!(known(memory, "one").await.is_empty());
    remember(memory, "one", &[], day(0)).await;
    let files = [file(1, "toml", "a"), file(1, "yaml", "b"), file(2, "yaml", "")];
    remember(memory, "one", &files, day(0)).await;
    assert_eq!(known(memory, "one").await, files, "the same content under two kinds of name, and nothing found");
    let twice = [file(2, "yaml", ""), file(2, "yaml", "")];
    remember(memory, "one", &twice, day(0)).await;
    assert_eq!(known(memory, "one").await, files, "two files of one content");
    assert!(known(memory, "two").await.is_empty());

    let (stranger, other): (TenantName, RepositoryName) = ("other".parse().unwrap(), "other".parse().unwrap());
    for (tenant, repository) in [(&stranger, &config()), (&tenant(), &other)] {
        assert!(memory.remembered_files(tenant, repository, "one").await.unwrap().is_empty());
        memory.remember_files(tenant, repository, "one", &[file(1, "yaml", "theirs")], day(0)).await.unwrap();
    }
    assert_eq!(known(memory, "one").await, files);

    remember(memory, "one", &[file(2, "yaml", "c"), file(3, "yaml", "d")], day(0)).await;
    let now = [file(1, "toml", "a"), file(1, "yaml", "b"), file(2, "yaml", "c"), file(3, "yaml", "d")];
    assert_eq!(known(memory, "one").await, now);
    remember(memory, "two", &[file(1, "yaml", "e")], day(0)).await;
    assert_eq!(known(memory, "two").await, [file(1, "yaml", "e")]);
    assert_eq!(known(memory, "one").await, [now[0].clone(), now[2].clone(), now[3].clone()], "one answer per content");

    for (tenant, repository) in [(&stranger, &config()), (&tenant(), &other)] {
        let theirs = memory.remembered_files(tenant, repository, "one").await.unwrap();
        assert_eq!(theirs, [file(1, "yaml", "theirs")]);
    }
}

pub(super) async fn what_is_not_used_is_forgotten(memory: &dyn FileMemory) {
    let files: Vec<RememberedFile> = (0..MANY).map(|number| file(number, "yaml", "found")).collect();
    remember(memory, "one", &files, day(0)).await;
    let other: RepositoryName = "other".parse().unwrap();
    memory.remember_files(&tenant(), &other, "one", &files[..1], day(0)).await.unwrap();
    let (kept, idle) = files.split_at(400);
    used(memory, "one", kept, day(2)).await;
    // Another kind of the same content, and what nobody remembers, change nothing.
    used(memory, "one", &[file(400, "toml", ""), file(9999, "yaml", "")], day(20)).await;
    used(memory, "one", &[], day(29)).await;
    assert_eq!(known(memory, "one").await, files, "not a month yet");
    used(memory, "one", &idle[..1], day(31)).await;
    assert_eq!(known(memory, "one").await, files[..401], "to be named is enough to stay");
    used(memory, "one", &[], day(34)).await;
    assert_eq!(known(memory, "one").await, idle[..1]);
    remember(memory, "one", &idle[..1], day(60)).await;
    used(memory, "one", &[], day(80)).await;
    assert_eq!(known(memory, "one").await, idle[..1], "to be remembered again is to be used");
    used(memory, "one", &[], day(91)).await;
    assert!(known(memory, "one").await.is_empty());
    assert_eq!(memory.remembered_files(&tenant(), &other, "one").await.unwrap(), files[..1], "another repository");
}

pub(super) async fn what_another_finder_wrote_is_forgotten(memory: &dyn FileMemory) {
    let files = [file(1, "yaml", "a"), file(2, "yaml", "b")];
    remember(memory, "one", &files, day(0)).await;
    remember(memory, "two", &files[1..], day(0)).await;
    used(memory, "two", &files, day(0)).await;
    assert!(known(memory, "one").await.is_empty(), "although it was named");
    assert_eq!(known(memory, "two").await, files[1..]);
}
