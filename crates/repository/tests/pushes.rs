//! Pushes of every kind against real Git servers: several branches together, branches of the bot's own, signatures, and the
//! `git` program as the one that pushes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod common;

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use common::{FILES, basic, commit, head, is_moved, landed, opened, push, settings};
use tagboat_model::CommitId;
use tagboat_ports::{BranchChange, BranchUpdate, NewCommit, Push, PushOutcome, Repository as _, RepositoryErrorKind};
use tagboat_repository::{Access, GitRepository, PushWith, Signing};
use tagboat_testkit::{BareRepository, GitServer, git};

const BOT: &str = "tagboat/prod/web";

fn update(branch: &str, change: BranchChange) -> BranchUpdate {
    BranchUpdate { branch: branch.parse().unwrap(), change }
}

fn append(base: &str, commits: Vec<NewCommit>) -> BranchUpdate {
    update("main", BranchChange::Append { base: base.parse().unwrap(), commits })
}

fn replace(old: Option<&CommitId>, base: &str, text: &str) -> BranchUpdate {
    let commits = vec![commit("a.yaml", text)];
    update(BOT, BranchChange::Replace { old: old.cloned(), base: base.parse().unwrap(), commits })
}

async fn send(repository: &GitRepository, updates: Vec<BranchUpdate>) -> PushOutcome {
    repository.push(&Push { updates, ..Push::default() }).await.unwrap()
}

fn at(server: &BareRepository, branch: &str) -> Option<String> {
    let path = server.path();
    let name = format!("refs/heads/{branch}");
    Some(git(&path, &["for-each-ref", "--format=%(objectname)", &name]).trim().to_owned()).filter(|id| !id.is_empty())
}

/// The whole life of a branch of the bot's own: made, replaced, not replaced once somebody else was on it, deleted.
async fn a_branch_of_our_own(server: &BareRepository, repository: &GitRepository) {
    let base = head(repository).await;
    let first = landed(send(repository, vec![replace(None, &base, "image: web:2\n")]).await).remove(0);
    assert_eq!(at(server, BOT), Some(first.to_string()));
    let again = send(repository, vec![replace(None, &base, "image: web:2\n")]).await;
    assert_eq!(landed(again), std::slice::from_ref(&first), "what is done already is done");
    assert!(is_moved(&send(repository, vec![replace(None, &base, "image: web:3\n")]).await));

    let second = landed(send(repository, vec![replace(Some(&first), &base, "image: web:3\n")]).await).remove(0);
    assert_eq!(at(server, BOT), Some(second.to_string()), "replaced, not appended to");
    assert_eq!(git(&server.path(), &["rev-list", "--count", &format!("main..{BOT}")]).trim(), "1");
    let late = send(repository, vec![replace(Some(&first), &base, "image: web:4\n")]).await;
    assert_eq!((is_moved(&late), at(server, BOT)), (true, Some(second.to_string())));

    let delete = |old: &CommitId| update(BOT, BranchChange::Delete { old: old.clone() });
    assert!(is_moved(&send(repository, vec![delete(&first)]).await), "deleted only where it is known to be");
    assert!(matches!(send(repository, vec![delete(&second)]).await, PushOutcome::Landed(_)));
    assert_eq!(at(server, BOT), None);
    assert!(matches!(send(repository, vec![delete(&second)]).await, PushOutcome::Landed(_)), "it is gone already");
    assert_eq!(head(repository).await, base, "the branch of people is where it was");
    server.check_integrity();
}

#[tokio::test]
async fn a_branch_of_our_own_is_replaced_only_from_where_it_is_known_to_be() {
    let server = BareRepository::with_files(&FILES);
    let http = GitServer::start(server.parent(), Some(("bot", "s3cret")));
    let (repository, _folder) = opened(settings(http.url(), basic("s3cret")));
    a_branch_of_our_own(&server, &repository).await;
    let (repository, _folder) = opened(settings(server.url(), Access::Open));
    a_branch_of_our_own(&server, &repository).await;
}

#[tokio::test]
async fn several_branches_move_together_or_not_at_all() {
    let server = BareRepository::with_files(&FILES);
    let http = GitServer::start(server.parent(), None);
    let (repository, _folder) = opened(settings(http.url(), Access::Open));
    let base = head(&repository).await;
    let both = |base: &str, text: &str| {
        vec![append(base, vec![commit("a.yaml", text)]), replace(None, base, "image: web:9\n")]
    };
    let before = http.requests();
    let PushOutcome::Landed(ids) = send(&repository, both(&base, "image: web:2\n")).await else { panic!() };
    assert_eq!(http.requests() - before, 2);
    assert_eq!(at(&server, "main"), Some(ids[0][0].to_string()));
    assert_eq!(at(&server, BOT), Some(ids[1][0].to_string()));

    // One of them cannot move: neither does.
    let base = head(&repository).await;
    assert!(is_moved(&send(&repository, both(&base, "image: web:3\n")).await));
    assert_eq!(at(&server, "main"), Some(base.clone()));
    server.set_hook("update", "#!/bin/sh\ncase $1 in refs/heads/tagboat/*) echo 'not today' >&2; exit 1;; esac\n");
    let updates = vec![
        append(&base, vec![commit("a.yaml", "image: web:3\n")]),
        replace(Some(&ids[1][0]), &base, "image: web:8\n"),
    ];
    let PushOutcome::Refused(words) = send(&repository, updates).await else { panic!() };
    assert!(words.contains("not today"), "{words}");
    assert_eq!((at(&server, "main"), at(&server, BOT)), (Some(base), Some(ids[1][0].to_string())));
    server.check_integrity();
}

/// Append, replace and delete in one push, with what became of each.
#[tokio::test]
async fn updates_of_every_kind_go_in_one_push() {
    let server = BareRepository::with_files(&FILES);
    let http = GitServer::start(server.parent(), None);
    let (repository, _folder) = opened(settings(http.url(), Access::Open));
    let base = head(&repository).await;
    let own = |branch: &str, old: Option<&CommitId>, text: &str| {
        let commits = vec![commit("a.yaml", text)];
        update(branch, BranchChange::Replace { old: old.cloned(), base: base.parse().unwrap(), commits })
    };
    let names = ["tagboat/a", "tagboat/b", "tagboat/c"];
    let made = send(&repository, names.map(|name| own(name, None, &format!("image: {name}:1\n"))).to_vec()).await;
    let PushOutcome::Landed(made) = made else { panic!("{made:?}") };
    let updates = vec![
        append(&base, vec![commit("a.yaml", "image: web:5\n"), commit("deep/er/b.yaml", "image: web:5\r\n")]),
        own("tagboat/a", Some(&made[0][0]), "image: web:6\n"),
        own("tagboat/b", Some(&made[1][0]), "image: web:7\n"),
        update("tagboat/c", BranchChange::Delete { old: made[2][0].clone() }),
    ];
    let outcome = send(&repository, updates.clone()).await;
    let PushOutcome::Landed(ids) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(ids.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1, 0]);
    let heads = ["main", "tagboat/a", "tagboat/b", "tagboat/c"].map(|branch| at(&server, branch));
    assert_eq!(
        heads,
        [Some(&ids[0][1]), Some(&ids[1][0]), Some(&ids[2][0]), None].map(|id| id.map(ToString::to_string))
    );
    assert_eq!(repository.known_head(&"tagboat/c".parse().unwrap()).await.unwrap(), None, "it is forgotten");
    assert_eq!(send(&repository, updates).await, outcome, "what is done already is done");

    // Of two that are asked for, one was moved by people: neither moves, and the outcome does not say which it was.
    git(&server.path(), &["update-ref", "refs/heads/tagboat/a", &base]);
    let updates = vec![
        own("tagboat/a", Some(&ids[1][0]), "image: web:8\n"),
        own("tagboat/b", Some(&ids[2][0]), "image: web:9\n"),
    ];
    assert_eq!(send(&repository, updates).await, PushOutcome::Moved(None));
    assert_eq!((at(&server, "tagboat/a"), at(&server, "tagboat/b")), (Some(base.clone()), Some(ids[2][0].to_string())));
    server.check_integrity();
}

#[tokio::test]
async fn a_server_that_cannot_move_branches_together_is_sent_one_at_a_time() {
    let server = BareRepository::with_files(&FILES);
    git(&server.path(), &["config", "receive.advertiseAtomic", "false"]);
    let http = GitServer::start(server.parent(), None);
    let (repository, _folder) = opened(settings(http.url(), Access::Open));
    let base = head(&repository).await;
    let updates = vec![append(&base, vec![commit("a.yaml", "image: web:2\n")]), replace(None, &base, "image: web:3\n")];
    let error = repository.push(&Push { updates: updates.clone(), ..Push::default() }).await.unwrap_err();
    assert!(error.kind == RepositoryErrorKind::Permanent && error.detail.contains("no `atomic`"), "{error}");
    assert_eq!((server.head(), at(&server, BOT)), (base, None), "nothing was sent");
    for update in updates {
        landed(send(&repository, vec![update]).await);
    }
    assert!(server.commits() == 2 && at(&server, BOT).is_some());
}

#[tokio::test]
async fn branches_of_people_are_never_replaced_nor_deleted() {
    let server = BareRepository::with_files(&FILES);
    let (repository, _folder) = opened(settings(server.url(), Access::Open));
    let base = head(&repository).await;
    let id: CommitId = base.parse().unwrap();
    let commits = vec![commit("a.yaml", "image: web:2\n")];
    for change in [
        BranchChange::Replace { old: Some(id.clone()), base: id.clone(), commits },
        BranchChange::Delete { old: id.clone() },
    ] {
        let error =
            repository.push(&Push { updates: vec![update("main", change)], ..Push::default() }).await.unwrap_err();
        assert!(error.kind == RepositoryErrorKind::Permanent && error.detail.contains("belongs to people"), "{error}");
    }
    let empty = BranchChange::Replace { old: None, base: id, commits: Vec::new() };
    let error = repository.push(&Push { updates: vec![update(BOT, empty)], ..Push::default() }).await.unwrap_err();
    assert!(error.detail.contains("would point at its base"), "{error}");
    assert_eq!((server.head(), at(&server, BOT)), (base, None));
}

/// A mirror made anew knows the newest commit alone, and may be asked to build on an older one.
#[tokio::test]
async fn a_base_that_is_not_known_any_more_is_a_lost_race() {
    let server = BareRepository::with_files(&FILES);
    let base = server.head();
    server.commit_as_person("Faster", &[("c.yaml", "c: 1\n")]);
    let (repository, _folder) = opened(settings(server.url(), Access::Open));
    let outcome = push(&repository, &base, vec![commit("a.yaml", "image: web:2\n")]).await.unwrap();
    assert_eq!((is_moved(&outcome), server.commits()), (true, 2));
}

#[tokio::test]
async fn people_who_force_a_branch_back_are_not_forced_in_turn() {
    let server = BareRepository::with_files(&FILES);
    let (repository, _folder) = opened(settings(server.url(), Access::Open));
    let first = head(&repository).await;
    let second = landed(push(&repository, &first, vec![commit("a.yaml", "image: web:2\n")]).await.unwrap()).remove(0);
    git(&server.path(), &["update-ref", "refs/heads/main", &first]);
    let late = push(&repository, second.as_str(), vec![commit("a.yaml", "image: web:3\n")]).await.unwrap();
    assert_eq!((late, server.head()), (PushOutcome::Moved(Some(first.parse().unwrap())), first.clone()));
    assert_eq!(head(&repository).await, first);
    assert!(matches!(
        push(&repository, &first, vec![commit("a.yaml", "image: web:3\n")]).await.unwrap(),
        PushOutcome::Landed(_)
    ));
    server.check_integrity();
}

/// By the `git` program: the same, and nothing of the credential in its arguments or its environment.
#[tokio::test]
async fn the_git_program_pushes_under_the_same_conditions() {
    let server = BareRepository::with_files(&FILES);
    let http = GitServer::start(server.parent(), Some(("bot", "s3cret-\"canary\\")));
    let mut with_git = settings(http.url(), basic("s3cret-\"canary\\"));
    with_git.push_with = PushWith::Git;
    let (repository, _folder) = opened(with_git);
    a_branch_of_our_own(&server, &repository).await;

    // What a hook at a local server sees of the process that pushes is what everybody on the machine sees.
    let seen = server.parent().join("seen");
    let script = format!(
        "#!/bin/sh\nfor p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; tr '\\0' ' ' < $p/environ; done > {} 2>/dev/null; exit 0\n",
        seen.display()
    );
    server.set_hook("pre-receive", &script);
    let base = head(&repository).await;
    landed(push(&repository, &base, vec![commit("a.yaml", "image: web:2\n")]).await.unwrap());
    let seen = String::from_utf8_lossy(&std::fs::read(&seen).unwrap()).into_owned();
    assert!(seen.contains("--force-with-lease=refs/heads/main:"), "the program was there to be seen");
    assert!(!seen.contains("canary"), "and nothing of the credential");

    server.set_hook("pre-receive", "#!/bin/sh\necho 'only on Mondays' >&2\nexit 1\n");
    let base = head(&repository).await;
    let outcome = push(&repository, &base, vec![commit("a.yaml", "image: web:3\n")]).await.unwrap();
    let PushOutcome::Refused(words) = outcome else { panic!("{outcome:?}") };
    assert!(words.contains("only on Mondays") && !words.contains("canary"), "{words}");
    server.check_integrity();
}

/// Make a key and the file in which Git looks for the keys that may sign.
fn ssh_key(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let key = folder.join("signing");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "bot", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    let public = std::fs::read_to_string(folder.join("signing.pub")).unwrap();
    let allowed = folder.join("allowed");
    std::fs::write(&allowed, format!("bot@example.org {public}")).unwrap();
    (key, allowed)
}

#[tokio::test]
async fn commits_are_signed_by_an_ssh_key_and_the_same_each_time() {
    let server = BareRepository::with_files(&FILES);
    let keys = tempfile::tempdir().unwrap();
    let (key_file, allowed) = ssh_key(keys.path());
    let mut signed = settings(server.url(), Access::Open);
    signed.commits.signing = Some(Signing::Ssh { key_file: key_file.clone() });
    let (repository, _folder) = opened(signed.clone());
    let (other, _other_folder) = opened(signed);
    let base = head(&repository).await;
    assert_eq!(head(&other).await, base);
    let commits = vec![commit("a.yaml", "image: web:2\n"), commit("deep/er/b.yaml", "image: web:2\r\n")];
    let ids = landed(push(&repository, &base, commits.clone()).await.unwrap());
    for id in &ids {
        let allowed = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
        git(&server.path(), &["-c", &allowed, "verify-commit", id.as_str()]);
    }
    assert_eq!(landed(push(&other, &base, commits).await.unwrap()), ids, "a retry makes the same commits");
    server.check_integrity();

    // A key that cannot be used stops the push and says why.
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let head = head(&repository).await;
    let error = push(&repository, &head, vec![commit("a.yaml", "image: web:3\n")]).await.unwrap_err();
    assert!(error.kind == RepositoryErrorKind::Permanent && error.detail.contains("ssh-keygen"), "{error}");
    assert_eq!(server.head(), head);
}

#[tokio::test]
async fn commits_are_signed_by_an_openpgp_key() {
    let server = BareRepository::with_files(&FILES);
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let gpg = |arguments: &[&str]| {
        let output = Command::new("gpg")
            .env("GNUPGHOME", home.path())
            .args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // As old as the commits of these tests.
    gpg(&[
        "--faked-system-time",
        "1600000000!",
        "--quick-generate-key",
        "Bot <bot@example.org>",
        "ed25519",
        "sign",
        "never",
    ]);
    let listed = gpg(&["--with-colons", "--list-secret-keys"]);
    let key = listed.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap().trim_matches(':').to_owned();
    let mut signed = settings(server.url(), Access::Open);
    signed.commits.signing = Some(Signing::OpenPgp { key, home: Some(home.path().to_owned()) });
    let (repository, _folder) = opened(signed.clone());
    let (other, _other_folder) = opened(signed.clone());
    let base = head(&repository).await;
    assert_eq!(head(&other).await, base);
    let ids = landed(push(&repository, &base, vec![commit("a.yaml", "image: web:2\n")]).await.unwrap());
    let verified = Command::new("git")
        .current_dir(server.path())
        .env("GNUPGHOME", home.path())
        .args(["verify-commit", ids[0].as_str()])
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let again = landed(push(&other, &base, vec![commit("a.yaml", "image: web:2\n")]).await.unwrap());
    assert_eq!(again, ids, "the signature carries the time of the commit");
    signed.commits.signing = Some(Signing::OpenPgp { key: "0000".to_owned(), home: Some(home.path().to_owned()) });
    let (without, _folder) = opened(signed);
    let head = head(&without).await;
    let error = push(&without, &head, vec![commit("a.yaml", "image: web:3\n")]).await.unwrap_err();
    assert!(error.detail.contains("`gpg` said") && error.detail.contains("secret key"), "{error}");
    // Its agent lives on otherwise.
    Command::new("gpgconf").env("GNUPGHOME", home.path()).args(["--kill", "all"]).status().unwrap();
    server.check_integrity();
}

/// A server whose own history is cut off says so among its refs.
#[tokio::test]
async fn a_server_with_a_shallow_repository_takes_pushes() {
    let whole = BareRepository::with_files(&FILES);
    whole.commit_as_person("Second", &[("c.yaml", "c: 1\n")]);
    let shallow = tempfile::tempdir().unwrap();
    git(shallow.path(), &["clone", "--quiet", "--bare", "--depth", "1", &whole.url(), "config.git"]);
    let path = shallow.path().join("config.git");
    git(&path, &["config", "http.receivepack", "true"]);
    let http = GitServer::start(shallow.path(), None);
    let (repository, _folder) = opened(settings(http.url(), Access::Open));
    let base = head(&repository).await;
    let ids = landed(push(&repository, &base, vec![commit("a.yaml", "image: web:2\n")]).await.unwrap());
    assert_eq!(git(&path, &["rev-parse", "main"]).trim(), ids[0].as_str());
}

#[tokio::test]
async fn author_and_committer_are_as_configured() {
    let server = BareRepository::with_files(&FILES);
    let mut named = settings(server.url(), Access::Open);
    named.commits.author.name = "Release bot".to_owned();
    let (repository, _folder) = opened(named);
    let base = head(&repository).await;
    landed(push(&repository, &base, vec![commit("a.yaml", "image: web:2\n")]).await.unwrap());
    let by = git(&server.path(), &["log", "-1", "--format=%an <%ae> %cn <%ce> %at %ct", "main"]);
    assert_eq!(by.trim(), "Release bot <bot@example.org> Tagboat <bot@example.org> 1700000000 1700000000");
}
