//! Which commits are on a branch of the bot's own: its own ones, and those of people.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod common;

use common::{FILES, LARGEST, commit, head, is_moved, landed, open};
use tagboat_model::{BranchName, CommitId, Timestamp};
use tagboat_ports::{BranchChange, BranchUpdate, CommitSummary, Push, PushOutcome, Repository as _};
use tagboat_repository::{Access, GitRepository};
use tagboat_testkit::{BareRepository, GitServer, git};

const BOT: &str = "tagboat/prod/web";

fn bot() -> BranchName {
    BOT.parse().unwrap()
}

async fn replace(repository: &GitRepository, old: Option<CommitId>, base: &CommitId, text: &str) -> PushOutcome {
    let change = BranchChange::Replace { old, base: base.clone(), commits: vec![commit("a.yaml", text)] };
    let update = BranchUpdate { branch: bot(), change };
    repository.push(&Push { updates: vec![update], ..Push::default() }).await.unwrap()
}

/// A person puts a commit on top of a branch.
fn person_commits_on(server: &BareRepository, branch: &str, message: &str) -> CommitId {
    let work = tempfile::tempdir().unwrap();
    git(work.path(), &["clone", "--quiet", "--branch", branch, &server.url(), "."]);
    std::fs::write(work.path().join("notes.md"), format!("{message}\n")).unwrap();
    git(work.path(), &["add", "--all"]);
    git(work.path(), &["commit", "--quiet", "--message", message]);
    git(work.path(), &["push", "--quiet", "origin", &format!("HEAD:{branch}")]);
    git(work.path(), &["rev-parse", "HEAD"]).trim().parse().unwrap()
}

fn check(found: &[CommitSummary], theirs: &CommitId, ours: &CommitId) {
    assert_eq!(found.iter().map(|commit| &commit.id).collect::<Vec<_>>(), [theirs, ours]);
    let [person, bot] = found else { panic!("{found:?}") };
    assert_eq!((person.subject.as_str(), person.author_name.as_str()), ("Fix the port", "Person"));
    assert_eq!((person.author_email.as_str(), &*person.committer_email), ("person@example.org", "person@example.org"));
    assert!(person.decisions.is_empty() && person.time > bot.time, "{person:?}");
    let expect = CommitSummary {
        id: ours.clone(),
        subject: "Change a.yaml".to_owned(),
        author_name: "Tagboat".to_owned(),
        author_email: "bot@example.org".to_owned(),
        committer_email: "bot@example.org".to_owned(),
        time: Timestamp(1_700_000_000_000),
        decisions: vec!["d-0011223344556677".parse().unwrap()],
    };
    assert_eq!(*bot, expect);
}

async fn a_persons_commit_is_seen(server: &BareRepository, url: String) {
    let (repository, _folder) = open(url.clone(), Access::Open);
    let base: CommitId = head(&repository).await.parse().unwrap();
    let ours = landed(replace(&repository, None, &base, "image: web:2\n").await).remove(0);
    let alone = repository.commits_between(&base, &ours, 10).await.unwrap().unwrap();
    assert_eq!(alone.iter().map(|commit| &commit.id).collect::<Vec<_>>(), [&ours]);

    let theirs = person_commits_on(server, BOT, "Fix the port");
    assert!(is_moved(&replace(&repository, Some(ours.clone()), &base, "image: web:3\n").await));
    assert_eq!(repository.head(&bot()).await.unwrap(), Some(theirs.clone()));
    assert_eq!(repository.head_to_push(&bot()).await.unwrap(), Some(theirs.clone()));
    let paths = ["a.yaml", "notes.md"].map(ToOwned::to_owned);
    let content = [Some(b"image: web:2\n".to_vec()), Some(b"Fix the port\n".to_vec())];
    assert_eq!(repository.read_at(&theirs, &paths, LARGEST).await.unwrap(), content);
    let found = repository.commits_between(&base, &theirs, 10).await.unwrap().unwrap();
    check(&found, &theirs, &ours);
    assert_eq!(repository.commits_between(&base, &theirs, 1).await.unwrap().unwrap(), found[..1]);
    assert_eq!(repository.commits_between(&theirs, &base, 10).await.unwrap(), Some(Vec::new()));

    // People move on meanwhile; what is below their head is not counted as being on the branch alone.
    server.commit_as_person("Later", &[("c.yaml", "c: 1\n")]);
    let main: CommitId = head(&repository).await.parse().unwrap();
    check(&repository.commits_between(&main, &theirs, 10).await.unwrap().unwrap(), &theirs, &ours);

    // A mirror that begins with the newest commits reads the older ones for the question.
    let (fresh, _fresh_folder) = open(url, Access::Open);
    assert_eq!(fresh.commits_between(&main, &theirs, 10).await.unwrap(), None, "neither is known");
    assert_eq!(head(&fresh).await, main.to_string());
    assert_eq!(fresh.head(&bot()).await.unwrap(), Some(theirs.clone()));
    assert_eq!(fresh.read_at(&theirs, &paths, LARGEST).await.unwrap(), content);
    check(&fresh.commits_between(&main, &theirs, 10).await.unwrap().unwrap(), &theirs, &ours);
}

#[tokio::test]
async fn a_persons_commit_on_a_branch_of_ours_is_seen() {
    let server = BareRepository::with_files(&FILES);
    a_persons_commit_is_seen(&server, server.url()).await;
    let server = BareRepository::with_files(&FILES);
    git(&server.path(), &["config", "uploadpack.allowFilter", "true"]);
    let http = GitServer::start(server.parent(), None);
    a_persons_commit_is_seen(&server, http.url()).await;
}

#[tokio::test]
async fn merged_commits_are_on_the_base() {
    let server = BareRepository::with_files(&FILES);
    let (repository, _folder) = open(server.url(), Access::Open);
    let base: CommitId = head(&repository).await.parse().unwrap();
    let ours = landed(replace(&repository, None, &base, "image: web:2\n").await).remove(0);
    server.commit_as_person("Later", &[("c.yaml", "c: 1\n")]);
    let work = tempfile::tempdir().unwrap();
    git(work.path(), &["clone", "--quiet", &server.url(), "."]);
    git(work.path(), &["merge", "--quiet", "--no-ff", "--no-edit", &format!("origin/{BOT}")]);
    git(work.path(), &["push", "--quiet", "origin", "HEAD:main"]);

    let main: CommitId = head(&repository).await.parse().unwrap();
    assert_eq!(repository.commits_between(&main, &ours, 10).await.unwrap(), Some(Vec::new()));
    let back = repository.commits_between(&ours, &main, 10).await.unwrap().unwrap();
    let subjects: Vec<&str> = back.iter().map(|commit| commit.subject.as_str()).collect();
    assert_eq!(subjects.len(), 2, "the merge and what came before it: {subjects:?}");
    assert!(subjects[0].starts_with("Merge ") && subjects[1] == "Later", "{subjects:?}");
}
