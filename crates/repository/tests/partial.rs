//! What a mirror does not have on purpose: large files, where the server can leave them out, and older history.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod common;

use std::path::Path;

use common::{FILES, LARGEST, commit, head, landed, noise, opened_in, push};
use tagboat_model::{CommitId, DecisionId};
use tagboat_ports::{NewCommit, NotEditable, Repository as _};
use tagboat_testkit::{BareRepository, git};

/// Larger than any file that is read.
const LARGE: usize = 6 << 20;

/// Text in which six bits of eight cannot be packed any smaller.
fn dense(length: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    noise(1, length).into_iter().map(|byte| char::from(LETTERS[usize::from(byte % 64)])).collect()
}

/// With a large file; `can_filter` if it can leave such files out.
fn server(large: &str, can_filter: bool) -> BareRepository {
    let mut files: Vec<(&str, &str)> = FILES.to_vec();
    files.push(("large.txt", large));
    let server = BareRepository::with_files(&files);
    git(&server.path(), &["config", "uploadpack.allowFilter", &can_filter.to_string()]);
    server
}

fn size_of_packs(folder: &Path) -> u64 {
    let packs = std::fs::read_dir(folder.join("mirror.git/objects/pack")).unwrap();
    packs.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

async fn leaves_large_files_alone(can_filter: bool) {
    let (server, folder) = (server(&dense(LARGE), can_filter), tempfile::tempdir().unwrap());
    let repository = opened_in(folder.path(), server.url());
    let first = head(&repository).await;
    let size = size_of_packs(folder.path());
    assert_eq!(size < 3 << 20, can_filter, "packs of {size} bytes");

    let id: CommitId = first.parse().unwrap();
    let files = repository.files(&id).await.unwrap();
    let blob = |path: &str| files.iter().find(|file| file.path == path).unwrap().blob;
    let blobs = [blob("a.yaml"), blob("large.txt"), blob("deep/er/b.yaml")];
    let paths = ["a.yaml", "large.txt", "deep/er/b.yaml"].map(ToOwned::to_owned);
    let content = [Some(b"image: web:1\n".to_vec()), None, Some(b"image: web:1\r\n".to_vec())];
    // The second time it is known to be too large.
    for _ in 0..2 {
        assert_eq!(repository.read(&blobs, LARGEST).await.unwrap(), content);
        assert_eq!(repository.read_at(&id, &paths, LARGEST).await.unwrap(), content);
        let found = repository.read_to_edit(&id, &paths, LARGEST).await.unwrap();
        let [first, large, last]: [Result<Vec<u8>, NotEditable>; 3] = found.try_into().unwrap();
        assert_eq!((first.ok(), last.ok()), (content[0].clone(), content[2].clone()));
        assert_eq!(large.unwrap_err().to_string(), format!("it is larger than {LARGEST} bytes"));
    }
    let ids = landed(push(&repository, &first, vec![commit("a.yaml", "image: web:2\n")]).await.unwrap());
    assert_eq!(server.head(), ids[0].to_string());
    server.check_integrity();
}

#[tokio::test]
async fn large_files_stay_at_a_server_that_can_leave_them_out() {
    leaves_large_files_alone(true).await;
}

#[tokio::test]
async fn large_files_are_not_read_of_a_server_that_sends_them() {
    leaves_large_files_alone(false).await;
}

/// The server may send the smaller one as a part of the large one, which is not here.
async fn reads_what_was_large_before(can_filter: bool) {
    let large = dense(LARGE);
    // Of such a difference in size nothing is made a part, of this one it is.
    for size in [1 << 10, 1 << 20] {
        let (server, folder) = (server(&large, can_filter), tempfile::tempdir().unwrap());
        let repository = opened_in(folder.path(), server.url());
        let first = head(&repository).await;
        server.commit_as_person("Shrink", &[("large.txt", &large[..size])]);
        let second = head(&repository).await;
        assert_ne!(first, second);
        let read = repository.read_at(&second.parse().unwrap(), &["large.txt".to_owned()], LARGEST).await.unwrap();
        assert!(read == [Some(large.as_bytes()[..size].to_vec())], "{size} bytes of the large file are read");
        assert_eq!(size_of_packs(folder.path()) < 3 << 20, can_filter);
        let ids = landed(push(&repository, &second, vec![commit("large.txt", "smaller\n")]).await.unwrap());
        assert_eq!((server.head(), server.file("large.txt").as_str()), (ids[0].to_string(), "smaller\n"));
        server.check_integrity();
    }
}

#[tokio::test]
async fn a_file_that_was_too_large_is_read_once_it_is_not() {
    reads_what_was_large_before(true).await;
}

#[tokio::test]
async fn a_file_that_was_too_large_is_read_once_it_is_not_without_filters() {
    reads_what_was_large_before(false).await;
}

/// A push was planned, the mirror was lost, and only then it is asked what landed.
async fn finds_what_landed_below_a_new_mirror(can_filter: bool) {
    let (server, folder) = (server("small\n", can_filter), tempfile::tempdir().unwrap());
    let mirror = folder.path().join("mirror.git");
    let repository = opened_in(folder.path(), server.url());
    let base = head(&repository).await;
    let [first, second, third] = ["d-0011223344556677", "d-8899aabbccddeeff", "d-ffffffffffffffff"]
        .map(|text| text.parse::<DecisionId>().unwrap());
    let message = format!("Change it\n\nTagboat-Decision: {second}\n");
    let later = NewCommit { decision: second.clone(), message, ..commit("deep/er/b.yaml", "image: web:2\r\n") };
    let outcome = push(&repository, &base, vec![commit("a.yaml", "image: web:2\n"), later]).await;
    let ids = landed(outcome.unwrap());
    for text in ["c: 1\n", "c: 2\n"] {
        server.commit_as_person("Later", &[("c.yaml", text)]);
    }
    drop(repository);
    std::fs::remove_dir_all(&mirror).unwrap();

    let repository = opened_in(folder.path(), server.url());
    let newest = head(&repository).await;
    let commits = || git(&mirror, &["rev-list", "--count", &newest]).trim().to_owned();
    assert_eq!(commits(), "1", "a new mirror has one commit");
    let (head, base): (CommitId, CommitId) = (newest.parse().unwrap(), base.parse().unwrap());
    let found = repository.landed(&head, &base, &[first.clone(), second.clone(), third.clone()]).await.unwrap();
    assert_eq!(found, [(second.clone(), ids[1].clone()), (first.clone(), ids[0].clone())]);
    let found = repository.landed(&head, &ids[0], &[first, second.clone(), third]).await.unwrap();
    assert_eq!(found, [(second, ids[1].clone())], "nothing is attributed beyond the base");
    assert_eq!(commits(), "1", "history is not kept");
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(folder.path()), ["mirror.git"], "nothing remains beside the mirror");
    assert!(!names(&mirror).iter().any(|name| name.starts_with("history")), "nor in it");
}

#[tokio::test]
async fn what_landed_is_found_below_a_new_mirror() {
    finds_what_landed_below_a_new_mirror(true).await;
    finds_what_landed_below_a_new_mirror(false).await;
}
