//! Reading from and pushing to real Git servers: `git http-backend`, sshd, files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod common;

use std::sync::{Arc, Mutex};

use common::{FILES, basic, commit, head, is_moved, landed, open, push};
use secrecy::ExposeSecret as _;
use tagboat_ports::{PushOutcome, Repository as _, RepositoryErrorKind};
use tagboat_repository::{Access, GitRepository, Password, SshKey};
use tagboat_testkit::{BareRepository, GitServer, SshServer};

/// Fetch, list, read, push two commits at once, see them, push again.
async fn reads_and_writes(server: &BareRepository, repository: &GitRepository) {
    let first = head(repository).await;
    assert_eq!(first, server.head());
    let files = repository.files(&first.parse().unwrap()).await.unwrap();
    assert_eq!(
        files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
        [".gitignore", "a.yaml", "deep/er/b.yaml"]
    );
    let bytes = repository.read(&[files[2].blob], 100).await.unwrap();
    assert_eq!(bytes, [Some(b"image: web:1\r\n".to_vec())]);
    assert_eq!(repository.read(&[files[2].blob], 3).await.unwrap(), [None], "what is too large is not loaded");

    let commits = vec![commit("a.yaml", "image: web:2\n"), commit("deep/er/b.yaml", "image: web:2\r\n")];
    let outcome = push(repository, &first, commits.clone()).await.unwrap();
    let ids = landed(outcome);
    assert_eq!((server.head(), server.commits()), (ids[1].to_string(), 3));
    assert_eq!(server.changes("main~1"), "+++ b/a.yaml\n-image: web:1\n+image: web:2");
    assert_eq!(server.file("deep/er/b.yaml"), "image: web:2\r\n");

    // The same push again is the same commits, which are there already.
    assert_eq!(push(repository, &first, commits).await.unwrap(), PushOutcome::Landed(vec![ids.clone()]));
    let second = head(repository).await;
    let found = repository
        .landed(&second.parse().unwrap(), &first.parse().unwrap(), &["d-0011223344556677".parse().unwrap()])
        .await
        .unwrap();
    assert_eq!(found.iter().map(|(_, commit)| commit.clone()).collect::<Vec<_>>(), [ids[1].clone(), ids[0].clone()]);

    // Somebody else was faster: nothing of ours is there, nothing of theirs is lost.
    server.commit_as_person("Faster", &[("c.yaml", "c: 1\n")]);
    let outcome = push(repository, &second, vec![commit("a.yaml", "image: web:3\n")]).await.unwrap();
    assert!(is_moved(&outcome), "{outcome:?}");
    let third = head(repository).await;
    assert!(matches!(
        push(repository, &third, vec![commit("a.yaml", "image: web:3\n")]).await.unwrap(),
        PushOutcome::Landed(_)
    ));
    assert_eq!((server.commits(), server.file("c.yaml").as_str()), (5, "c: 1\n"));
    server.check_integrity();
}

#[tokio::test]
async fn over_files() {
    let server = BareRepository::with_files(&FILES);
    let (repository, _folder) = open(server.url(), Access::Open);
    reads_and_writes(&server, &repository).await;
}

#[tokio::test]
async fn over_http_with_a_password() {
    let server = BareRepository::with_files(&FILES);
    let http = GitServer::start(server.parent(), Some(("bot", "s3cret")));
    let (repository, _folder) = open(http.url(), basic("s3cret"));
    reads_and_writes(&server, &repository).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_server_does_not_know_any_more_is_renewed_at_once() {
    let server = BareRepository::with_files(&FILES);
    let http = GitServer::start(server.parent(), Some(("bot", "s3cret")));
    let held = Arc::new(Mutex::new(Some("revoked")));
    let forgotten = Arc::new(Mutex::new(Vec::new()));
    let (source, forget, told) = (Arc::clone(&held), held, Arc::clone(&forgotten));
    let password = Password::from_source(move || Ok(source.lock().unwrap().unwrap_or("s3cret").to_owned().into()))
        .forgotten_by(move |refused| {
            told.lock().unwrap().push(refused.expose_secret().to_owned());
            *forget.lock().unwrap() = None;
        });
    let access = Access::Basic { username: "bot".to_owned(), password, insecure: false };
    let (repository, _folder) = open(http.url(), access);
    reads_and_writes(&server, &repository).await;
    assert_eq!(*forgotten.lock().unwrap(), ["revoked"]);
}

#[tokio::test]
async fn over_ssh_with_a_key() {
    let server = BareRepository::with_files(&FILES);
    let ssh = SshServer::start();
    let key = SshKey { key_file: ssh.key_file(), known_hosts_file: ssh.known_hosts_file() };
    let (repository, _folder) = open(ssh.url(&server.path()), Access::Ssh(key));
    reads_and_writes(&server, &repository).await;
}

#[tokio::test]
async fn a_push_takes_two_requests() {
    let server = BareRepository::with_files(&FILES);
    let http = GitServer::start(server.parent(), None);
    let (repository, _folder) = open(http.url(), Access::Open);
    let base = head(&repository).await;
    let before = http.requests();
    push(&repository, &base, vec![commit("a.yaml", "image: web:2\n")]).await.unwrap();
    assert_eq!(http.requests() - before, 2);
}

#[tokio::test]
async fn a_refusal_carries_the_servers_words() {
    let server = BareRepository::with_files(&FILES);
    server.set_hook("pre-receive", "#!/bin/sh\necho 'only on Mondays' >&2\nexit 1\n");
    let (repository, _folder) = open(server.url(), Access::Open);
    let base = head(&repository).await;
    let outcome = push(&repository, &base, vec![commit("a.yaml", "image: web:2\n")]).await.unwrap();
    let PushOutcome::Refused(words) = outcome else { panic!("{outcome:?}") };
    assert!(words.contains("only on Mondays"), "{words}");
    assert_eq!(server.head(), base);
}

#[tokio::test]
async fn wrong_credentials_are_permanent_and_do_not_leak() {
    let server = BareRepository::with_files(&FILES);
    let http = GitServer::start(server.parent(), Some(("bot", "s3cret")));
    let (repository, _folder) = open(http.url(), basic("wr0ng-canary"));
    let error = repository.head(&"main".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind, RepositoryErrorKind::Permanent, "{error:?}");
    assert!(error.to_string().contains("does not accept the credential"), "{error}");
    assert!(!format!("{error:?}").contains("wr0ng-canary"));

    let ssh = SshServer::start();
    let key = SshKey { key_file: ssh.stranger_key_file(), known_hosts_file: ssh.known_hosts_file() };
    let (repository, _folder) = open(ssh.url(&server.path()), Access::Ssh(key));
    let error = repository.head(&"main".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("Permission denied"), "{error}");
}

#[tokio::test]
async fn an_unknown_host_key_is_refused_with_its_fingerprint() {
    let server = BareRepository::with_files(&FILES);
    let ssh = SshServer::start();
    let key = SshKey { key_file: ssh.key_file(), known_hosts_file: ssh.wrong_hosts_file() };
    let (repository, _folder) = open(ssh.url(&server.path()), Access::Ssh(key));
    let error = repository.head(&"main".parse().unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("it showed ssh-ed25519 SHA256:") && error.contains("known hosts file"), "{error}");
    assert!(!error.contains("debug1"), "{error}");
}

#[tokio::test]
async fn credentials_do_not_travel_in_clear_to_another_machine() {
    let (repository, _folder) = open("http://git.example/config.git".to_owned(), basic("s3cret"));
    let error = repository.head(&"main".parse().unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("in clear"), "{error}");
}

#[tokio::test]
async fn paths_of_git_and_links_are_never_written() {
    let server = BareRepository::with_files(&FILES);
    let (repository, _folder) = open(server.url(), Access::Open);
    let base = head(&repository).await;
    for path in [".gitignore", ".github/workflows/x.yaml", "a/../b.yaml", "missing.yaml", "deep"] {
        let error = push(&repository, &base, vec![commit(path, "x")]).await.unwrap_err();
        assert_eq!(error.kind, RepositoryErrorKind::Permanent, "{path}: {error}");
    }
    assert_eq!(server.head(), base);
}

#[tokio::test]
async fn a_server_that_is_down_is_temporary() {
    let (repository, _folder) =
        open(format!("http://127.0.0.1:{}/config.git", tagboat_testkit::free_port()), Access::Open);
    let error = repository.head(&"main".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind, RepositoryErrorKind::Temporary, "{error}");
    let (repository, _folder) = open("file:///nowhere/at/all.git".to_owned(), Access::Open);
    let error = repository.head(&"main".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("does not appear to be a git repository"), "{error}");
}
