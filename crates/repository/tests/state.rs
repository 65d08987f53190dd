//! What the bot writes down beside the branches: in a ref of its own, or in a branch where the server takes no other refs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod common;

use std::process::Command;

use common::{FILES, basic, is_moved, landed, open, opened, settings};
use tagboat_model::{CommitId, Timestamp};
use tagboat_ports::{LARGEST_STATE, PushOutcome, Repository as _, RepositoryErrorKind, STATE_BRANCH, STATE_REF};
use tagboat_repository::{Access, GitRepository, PushWith, Signing, SshKey};
use tagboat_testkit::{BareRepository, GitServer, SshServer, git};

const ONE: &str = "{\"holds\": 1}\n";
const TWO: &str = "{\"holds\": 2}\n";
const THREE: &str = "{\"holds\": 3}\n";
const NO_OTHER_REFS: &str = "#!/bin/sh\ncase $1 in refs/tagboat/*) echo 'branches and tags only' >&2; exit 1;; esac\n";

async fn write(repository: &GitRepository, old: Option<&CommitId>, text: &str) -> PushOutcome {
    let message = format!("Write down {}", text.trim());
    repository.write_state(old, text.as_bytes(), &message, Timestamp(1_700_000_000_000)).await.unwrap()
}

async fn read(repository: &GitRepository) -> Option<(CommitId, String)> {
    let found = repository.read_state().await.unwrap();
    found.map(|(commit, bytes)| (commit, String::from_utf8(bytes).unwrap()))
}

fn at(server: &BareRepository, name: &str) -> Option<String> {
    let found = git(&server.path(), &["for-each-ref", "--format=%(objectname)", name]);
    Some(found.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Nothing, then one state on top of the other, in a history that people can read; whoever is late writes nothing.
async fn is_kept(server: &BareRepository, repository: &GitRepository, name: &str) -> CommitId {
    let main = server.head();
    assert_eq!(read(repository).await, None);
    let first = landed(write(repository, None, ONE).await).remove(0);
    assert_eq!(at(server, name), Some(first.to_string()));
    assert_eq!(read(repository).await, Some((first.clone(), ONE.to_owned())));
    assert_eq!(
        landed(write(repository, None, ONE).await),
        std::slice::from_ref(&first),
        "what is done already is done"
    );
    assert!(is_moved(&write(repository, None, TWO).await), "there is one already");

    let second = landed(write(repository, Some(&first), TWO).await).remove(0);
    assert_eq!(write(repository, Some(&first), THREE).await, PushOutcome::Moved(Some(second.clone())));
    assert_eq!(read(repository).await, Some((second.clone(), TWO.to_owned())));
    let log = git(&server.path(), &["log", "--format=%s|%an|%ct", name]);
    let expect = "Write down {\"holds\": 2}|Tagboat|1700000000\nWrite down {\"holds\": 1}|Tagboat|1700000000\n";
    assert_eq!(log, expect);
    assert_eq!(git(&server.path(), &["ls-tree", "--name-only", "-r", name]), "state.json\n");
    assert_eq!(server.head(), main, "branches of people are where they were");
    server.check_integrity();
    second
}

#[tokio::test]
async fn over_files_and_in_a_mirror_that_is_new() {
    let server = BareRepository::with_files(&FILES);
    let (repository, _folder) = open(server.url(), Access::Open);
    let second = is_kept(&server, &repository, STATE_REF).await;
    assert_eq!(at(&server, STATE_BRANCH), None);

    let (other, _other_folder) = open(server.url(), Access::Open);
    let third = landed(write(&other, Some(&second), THREE).await).remove(0);
    assert_eq!(read(&repository).await, Some((third.clone(), THREE.to_owned())), "somebody else wrote it");
    assert_eq!(read(&other).await, Some((third.clone(), THREE.to_owned())));
    let fourth = landed(write(&repository, Some(&third), ONE).await).remove(0);
    assert_eq!(write(&other, Some(&third), TWO).await, PushOutcome::Moved(Some(fourth.clone())));
    assert_eq!(git(&server.path(), &["rev-list", "--count", STATE_REF]).trim(), "4");
    // People take it away: there is nothing to write on.
    git(&server.path(), &["update-ref", "-d", STATE_REF]);
    assert_eq!(write(&repository, Some(&fourth), TWO).await, PushOutcome::Moved(None));
    assert_eq!(read(&repository).await, None);
}

#[tokio::test]
async fn over_http() {
    let server = BareRepository::with_files(&FILES);
    let http = GitServer::start(server.parent(), Some(("bot", "s3cret")));
    let (repository, _folder) = open(http.url(), basic("s3cret"));
    let second = is_kept(&server, &repository, STATE_REF).await;
    let before = http.requests();
    landed(write(&repository, Some(&second), THREE).await);
    assert_eq!(http.requests() - before, 2, "the advertisement, and the push");
}

#[tokio::test]
async fn over_ssh() {
    let server = BareRepository::with_files(&FILES);
    let ssh = SshServer::start();
    let key = SshKey { key_file: ssh.key_file(), known_hosts_file: ssh.known_hosts_file() };
    let (repository, _folder) = open(ssh.url(&server.path()), Access::Ssh(key));
    is_kept(&server, &repository, STATE_REF).await;
}

#[tokio::test]
async fn by_the_git_program() {
    for refuses in [false, true] {
        let server = BareRepository::with_files(&FILES);
        if refuses {
            server.set_hook("update", NO_OTHER_REFS);
        }
        let http = GitServer::start(server.parent(), Some(("bot", "s3cret")));
        let mut with_git = settings(http.url(), basic("s3cret"));
        with_git.push_with = PushWith::Git;
        let (repository, _folder) = opened(with_git);
        is_kept(&server, &repository, if refuses { STATE_BRANCH } else { STATE_REF }).await;
    }
}

#[tokio::test]
async fn a_server_that_refuses_other_refs_has_it_in_a_branch() {
    let server = BareRepository::with_files(&FILES);
    server.set_hook("update", NO_OTHER_REFS);
    let (repository, _folder) = open(server.url(), Access::Open);
    is_kept(&server, &repository, STATE_BRANCH).await;
    assert_eq!(at(&server, STATE_REF), None);

    let server = BareRepository::with_files(&FILES);
    git(&server.path(), &["config", "transfer.hideRefs", "refs/tagboat"]);
    let http = GitServer::start(server.parent(), None);
    let (repository, _folder) = open(http.url(), Access::Open);
    is_kept(&server, &repository, STATE_BRANCH).await;
    assert_eq!(at(&server, STATE_REF), None);
}

/// A branch beside a ref that is there would never be read.
#[tokio::test]
async fn a_refusal_is_told_where_the_ref_is_there_or_the_branch_is_refused_too() {
    let server = BareRepository::with_files(&FILES);
    let (repository, _folder) = open(server.url(), Access::Open);
    let first = landed(write(&repository, None, ONE).await).remove(0);
    server.set_hook("update", NO_OTHER_REFS);
    let outcome = write(&repository, Some(&first), TWO).await;
    assert!(matches!(&outcome, PushOutcome::Refused(words) if words.contains("branches and tags")), "{outcome:?}");
    assert_eq!((at(&server, STATE_REF), at(&server, STATE_BRANCH)), (Some(first.to_string()), None));

    let server = BareRepository::with_files(&FILES);
    server.set_hook("pre-receive", "#!/bin/sh\necho 'only on Mondays' >&2\nexit 1\n");
    let (repository, _folder) = open(server.url(), Access::Open);
    let outcome = write(&repository, None, ONE).await;
    assert!(matches!(&outcome, PushOutcome::Refused(words) if words.contains("only on Mondays")), "{outcome:?}");
    assert_eq!(read(&repository).await, None);
}

#[tokio::test]
async fn it_has_five_mebibytes_at_most_and_is_what_it_should_be() {
    let server = BareRepository::with_files(&FILES);
    git(&server.path(), &["config", "uploadpack.allowFilter", "true"]);
    let (repository, _folder) = open(server.url(), Access::Open);
    let time = Timestamp(1_700_000_000_000);
    let error = repository.write_state(None, &vec![b'x'; LARGEST_STATE + 1], "Too much", time).await.unwrap_err();
    assert!(error.kind == RepositoryErrorKind::Permanent && error.detail.contains("5 MiB"), "{error}");
    assert_eq!(at(&server, STATE_REF), None);

    let largest = vec![b'x'; LARGEST_STATE];
    landed(repository.write_state(None, &largest, "As much as there may be", time).await.unwrap());
    let (other, _other_folder) = open(server.url(), Access::Open);
    assert!(other.read_state().await.unwrap().is_some_and(|(_, bytes)| bytes == largest));

    // What stands there is not ours.
    git(&server.path(), &["update-ref", STATE_REF, "main"]);
    let error = repository.read_state().await.unwrap_err();
    assert!(error.kind == RepositoryErrorKind::Permanent && error.detail.contains("no file state.json"), "{error}");
}

#[tokio::test]
async fn it_is_signed_as_other_commits() {
    let server = BareRepository::with_files(&FILES);
    let keys = tempfile::tempdir().unwrap();
    let key_file = keys.path().join("signing");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key_file).status();
    assert!(made.unwrap().success());
    let mut signed = settings(server.url(), Access::Open);
    signed.commits.signing = Some(Signing::Ssh { key_file });
    let (repository, _folder) = opened(signed);
    is_kept(&server, &repository, STATE_REF).await;
    let commit = git(&server.path(), &["cat-file", "commit", STATE_REF]);
    assert!(commit.contains("\ngpgsig -----BEGIN SSH SIGNATURE-----\n"), "{commit}");
}
