//! Pushes of several branches of which some cannot be done, or are done already: the rest is done all the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod common;

use common::{FILES, commit, head, opened, settings};
use tagboat_model::CommitId;
use tagboat_ports::{BranchChange, BranchUpdate, Push, PushOutcome, Repository as _};
use tagboat_repository::{Access, GitRepository, PushWith};
use tagboat_testkit::{BareRepository, GitServer, git};

fn update(branch: &str, change: BranchChange) -> BranchUpdate {
    BranchUpdate { branch: branch.parse().unwrap(), change }
}

async fn send(repository: &GitRepository, updates: Vec<BranchUpdate>) -> PushOutcome {
    repository.push(&Push { updates, ..Push::default() }).await.unwrap()
}

fn at(server: &BareRepository, branch: &str) -> Option<String> {
    let path = server.path();
    let name = format!("refs/heads/{branch}");
    Some(git(&path, &["for-each-ref", "--format=%(objectname)", &name]).trim().to_owned()).filter(|id| !id.is_empty())
}

/// Branches of the bot's own with one commit each.
async fn made(repository: &GitRepository, names: &[&str]) -> Vec<CommitId> {
    let base = head(repository).await;
    let updates = names.iter().map(|name| own(name, &base, &format!("image: {name}:1\n"))).collect();
    let PushOutcome::Landed(ids) = send(repository, updates).await else { panic!() };
    ids.into_iter().flatten().collect()
}

/// A branch that is not there yet.
fn own(branch: &str, base: &str, text: &str) -> BranchUpdate {
    let commits = vec![commit("a.yaml", text)];
    update(branch, BranchChange::Replace { old: None, base: base.parse().unwrap(), commits })
}

fn delete(branch: &str, old: &CommitId) -> BranchUpdate {
    update(branch, BranchChange::Delete { old: old.clone() })
}

/// With the sending side that is built in, and with the `git` program.
fn both_ways(server: &BareRepository) -> (GitServer, Vec<(GitRepository, tempfile::TempDir)>) {
    let http = GitServer::start(server.parent(), None);
    let ways = [PushWith::BuiltIn, PushWith::Git].map(|push_with| {
        let mut settings = settings(http.url(), Access::Open);
        settings.push_with = push_with;
        opened(settings)
    });
    (http, ways.into())
}

#[tokio::test]
async fn what_is_done_already_keeps_nothing_else_from_being_done() {
    let server = BareRepository::with_files(&FILES);
    let (_http, ways) = both_ways(&server);
    for (place, (repository, _folder)) in ways.iter().enumerate() {
        let names = ["a", "merged", "old"].map(|name| format!("tagboat/{place}/{name}"));
        let [a, merged, old] = names.each_ref().map(String::as_str);
        let ids = made(repository, &[a, merged, old]).await;
        git(&server.path(), &["update-ref", "-d", &format!("refs/heads/{merged}")]);
        let base = head(repository).await;
        let (new, text) = (format!("tagboat/{place}/b"), format!("image: {a}:1\n"));
        let updates = vec![
            delete(merged, &ids[1]),
            own(a, &base, &text),
            delete(old, &ids[2]),
            own(&new, &base, "image: web:9\n"),
        ];
        let outcome = send(repository, updates).await;
        let PushOutcome::Landed(landed) = &outcome else { panic!("{outcome:?}") };
        assert_eq!(landed.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 0, 1]);
        assert_eq!(landed[1][0], ids[0]);
        assert_eq!(at(&server, &new), Some(landed[3][0].to_string()));
        assert_eq!((at(&server, merged), at(&server, old)), (None, None));
    }
    server.check_integrity();
}

#[tokio::test]
async fn a_deletion_that_is_refused_fails_nothing_else() {
    let server = BareRepository::with_files(&FILES);
    let (_http, ways) = both_ways(&server);
    let rule = "#!/bin/sh\ncase $1:$3 in *kept:0000*) echo 'never deleted' >&2; exit 1;; esac\n";
    server.set_hook("update", rule);
    for (place, (repository, _folder)) in ways.iter().enumerate() {
        let names = ["kept", "free", "new"].map(|name| format!("tagboat/{place}/{name}"));
        let [kept, free, new] = names.each_ref().map(String::as_str);
        let ids = made(repository, &[kept, free]).await;
        let base = head(repository).await;
        let updates = vec![delete(kept, &ids[0]), own(new, &base, "image: web:9\n"), delete(free, &ids[1])];
        let outcome = send(repository, updates).await;
        let PushOutcome::Landed(landed) = &outcome else { panic!("{outcome:?}") };
        assert_eq!(landed.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!((at(&server, free), at(&server, kept)), (None, Some(ids[0].to_string())));
        let outcome = send(repository, vec![delete(kept, &ids[0])]).await;
        let PushOutcome::Refused(words) = outcome else { panic!("{outcome:?}") };
        assert!(words.contains("never deleted"), "{words}");
    }
    server.check_integrity();
}

#[tokio::test]
async fn a_branch_that_was_moved_holds_up_what_moves_with_it_and_no_deletion() {
    let server = BareRepository::with_files(&FILES);
    let (_http, ways) = both_ways(&server);
    for (place, (repository, _folder)) in ways.iter().enumerate() {
        let names = ["a", "gone", "touched", "new"].map(|name| format!("tagboat/{place}/{name}"));
        let [a, gone, touched, new] = names.each_ref().map(String::as_str);
        let ids = made(repository, &[a, gone, touched]).await;
        let base = head(repository).await;
        for branch in [a, touched] {
            git(&server.path(), &["update-ref", &format!("refs/heads/{branch}"), &base]);
        }
        let updates = vec![
            own(a, &base, "image: web:8\n"),
            own(new, &base, "image: web:9\n"),
            delete(touched, &ids[2]),
            delete(gone, &ids[1]),
        ];
        assert_eq!(send(repository, updates).await, PushOutcome::Moved(None));
        assert_eq!((at(&server, new), at(&server, gone)), (None, None));
        assert_eq!((at(&server, a), at(&server, touched)), (Some(base.clone()), Some(base)));
    }
    server.check_integrity();
}
