//! Push options: they arrive where the server takes some, and keep nothing from landing where it does not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod common;

use common::{FILES, basic, commit, head, landed, open, opened, settings};
use tagboat_model::CommitId;
use tagboat_ports::{BranchChange, BranchUpdate, Push, Repository as _, RepositoryErrorKind};
use tagboat_repository::{Access, GitRepository, PushWith};
use tagboat_testkit::{BareRepository, GitServer, git};

const BOT: &str = "tagboat/prod/web";
const OPTIONS: [&str; 2] = ["merge_request.create", "merge_request.title=Update web, at \"once\""];
/// Git says how many there are also when there are none.
const NONE_ARRIVED: &str = "GIT_PUSH_OPTION_COUNT=0\n";
const ARRIVED: &str = "GIT_PUSH_OPTION_0=merge_request.create\n\
                       GIT_PUSH_OPTION_1=merge_request.title=Update web, at \"once\"\nGIT_PUSH_OPTION_COUNT=2\n";

/// A server that writes down the options of the last push.
fn server(takes_options: bool) -> BareRepository {
    let server = BareRepository::with_files(&FILES);
    git(&server.path(), &["config", "receive.advertisePushOptions", &takes_options.to_string()]);
    let file = server.parent().join("options");
    let script = format!("#!/bin/sh\nenv | grep ^GIT_PUSH_OPTION_ | LC_ALL=C sort > {}\nexit 0\n", file.display());
    server.set_hook("pre-receive", &script);
    server
}

fn arrived(server: &BareRepository) -> String {
    std::fs::read_to_string(server.parent().join("options")).unwrap()
}

async fn push(repository: &GitRepository, change: BranchChange) -> Vec<CommitId> {
    let update = BranchUpdate { branch: BOT.parse().unwrap(), change };
    let push = Push { updates: vec![update], options: OPTIONS.map(ToOwned::to_owned).to_vec() };
    landed(repository.push(&push).await.unwrap())
}

/// With commits, and with a deletion, which has no pack.
async fn send_some(server: &BareRepository, repository: &GitRepository, expect: &str) {
    let base: CommitId = head(repository).await.parse().unwrap();
    let commits = vec![commit("a.yaml", "image: web:2\n")];
    let made = push(repository, BranchChange::Replace { old: None, base, commits }).await.remove(0);
    assert_eq!(git(&server.path(), &["rev-parse", BOT]).trim(), made.as_str());
    assert_eq!(arrived(server), expect);
    std::fs::remove_file(server.parent().join("options")).unwrap();
    push(repository, BranchChange::Delete { old: made }).await;
    assert_eq!(git(&server.path(), &["for-each-ref", &format!("refs/heads/{BOT}")]), "");
    assert_eq!(arrived(server), expect);
    server.check_integrity();
}

#[tokio::test]
async fn options_arrive_where_the_server_takes_them_and_are_left_out_elsewhere() {
    for (takes_options, expect) in [(true, ARRIVED), (false, NONE_ARRIVED)] {
        let server = server(takes_options);
        let (repository, _folder) = open(server.url(), Access::Open);
        send_some(&server, &repository, expect).await;
        let http = GitServer::start(server.parent(), None);
        let (repository, _folder) = open(http.url(), Access::Open);
        send_some(&server, &repository, expect).await;
    }
}

#[tokio::test]
async fn the_git_program_does_the_same() {
    for (takes_options, expect) in [(true, ARRIVED), (false, NONE_ARRIVED)] {
        let server = server(takes_options);
        let http = GitServer::start(server.parent(), Some(("bot", "s3cret")));
        let mut with_git = settings(http.url(), basic("s3cret"));
        with_git.push_with = PushWith::Git;
        let (repository, _folder) = opened(with_git);
        send_some(&server, &repository, expect).await;
    }
}

#[tokio::test]
async fn an_option_of_several_lines_is_not_sent() {
    let server = server(true);
    let (repository, _folder) = open(server.url(), Access::Open);
    let base: CommitId = head(&repository).await.parse().unwrap();
    let change = BranchChange::Append { base, commits: vec![commit("a.yaml", "image: web:2\n")] };
    let update = BranchUpdate { branch: "main".parse().unwrap(), change };
    let push = Push { updates: vec![update], options: vec!["ci.skip\nother".to_owned()] };
    let error = repository.push(&push).await.unwrap_err();
    assert!(error.kind == RepositoryErrorKind::Permanent && error.detail.contains("a single line"), "{error}");
    assert_eq!(server.commits(), 1);
}
