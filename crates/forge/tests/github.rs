//! Against a GitHub that remembers, and that holds everything against GitHub's own descriptions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use secrecy::SecretString;
use tagboat_forge::{
    TransportSettings,
    github::{AppSettings, FoundRepository, GithubApp, GithubCommits, GithubForge},
};
use tagboat_model::{
    BranchName, Check, CheckState, CommitId, DecisionId, Decoration, MergeMethod, PullState, ReviewState, Timestamp,
};
use tagboat_ports::{
    Annotation, BlobId, BranchChange, BranchUpdate, Clock, FileEntry, Forge as _, Merge, Merged, NewCommit, NewFile,
    NewPullRequest, PullRequestEdit, Push, PushOutcome, Report, Repository, RepositoryError, RepositoryErrorKind,
};
use tagboat_testkit::{
    git,
    github::{FakeGithub, Protection, RepositorySetup, Setup, Verdict},
};

const CONFIG: &str = "acme/config";

struct Wall;

#[async_trait]
impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp(i64::try_from(since.as_millis()).unwrap())
    }

    async fn sleep_until(&self, _: Timestamp) {
        panic!("nobody waits here");
    }
}

/// Reads the fake's own folder, as a mirror that is never behind.
struct Mirror {
    folder: PathBuf,
    /// How many times it cannot be asked.
    fails: AtomicUsize,
}

impl Mirror {
    fn head_now(&self, branch: &BranchName) -> Option<CommitId> {
        let format = "--format=%(objectname)";
        let found = git(&self.folder, &["for-each-ref", format, &format!("refs/heads/{branch}")]);
        found.lines().next().map(|line| line.trim().parse().unwrap())
    }
}

#[async_trait]
impl Repository for Mirror {
    async fn head(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        let less = |left: usize| left.checked_sub(1);
        if self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Err(RepositoryError {
                operation: format!("fetch branch {branch} of"),
                repository: "config".to_owned(),
                detail: "not now".to_owned(),
                kind: RepositoryErrorKind::Temporary,
                source: None,
            });
        }
        Ok(self.head_now(branch))
    }

    async fn files(&self, _: &CommitId) -> Result<Vec<FileEntry>, RepositoryError> {
        Ok(Vec::new())
    }

    async fn read(&self, blobs: &[BlobId], _: usize) -> Result<Vec<Option<Vec<u8>>>, RepositoryError> {
        Ok(vec![None; blobs.len()])
    }

    async fn push(&self, _: &Push) -> Result<PushOutcome, RepositoryError> {
        panic!("GitHub makes the commits");
    }

    async fn landed(
        &self,
        head: &CommitId,
        base: &CommitId,
        decisions: &[DecisionId],
    ) -> Result<Vec<(DecisionId, CommitId)>, RepositoryError> {
        let ids = git(&self.folder, &["rev-list", &format!("{base}..{head}")]);
        let mut landed = Vec::new();
        for id in ids.lines() {
            let message = git(&self.folder, &["log", "-1", "--format=%B", id]);
            for decision in decisions {
                if message.lines().any(|line| line == format!("Tagboat-Decision: {decision}")) {
                    landed.push((decision.clone(), id.parse().unwrap()));
                }
            }
        }
        Ok(landed)
    }
}

struct Scene {
    github: FakeGithub,
    app: Arc<GithubApp>,
    forge: Arc<GithubForge>,
    commits: GithubCommits,
    mirror: Arc<Mirror>,
}

impl Scene {
    async fn start(setup: RepositorySetup) -> Self {
        let setup = setup.file("prod/web.yaml", "image: web:1\n").file("prod/api.yaml", "image: api:1\n");
        let github = FakeGithub::start(&Setup::new().person("alice").repository(setup.role("alice", "maintain")));
        let settings = AppSettings {
            app_id: github.app_id(),
            private_key: SecretString::from(github.app_key()),
            url: github.url(),
            transport: TransportSettings::default(),
        };
        let app = Arc::new(GithubApp::new(&settings, Arc::new(Wall)).unwrap());
        let installation = app.installations().await.unwrap().remove(0);
        let found: Vec<FoundRepository> = app.repositories(installation.id).await.unwrap();
        let forge = Arc::new(GithubForge::new(&app, &found[0]));
        let mirror = Arc::new(Mirror { folder: github.folder(CONFIG), fails: AtomicUsize::new(0) });
        let reader: Arc<dyn Repository> = Arc::<Mirror>::clone(&mirror);
        let commits = GithubCommits::new("config", reader, Arc::clone(&forge));
        Self { github, app, forge, commits, mirror }
    }

    fn head(&self, branch: &str) -> CommitId {
        self.github.head(CONFIG, branch).unwrap().parse().unwrap()
    }

    async fn push(&self, branch: &str, change: BranchChange) -> PushOutcome {
        self.push_all(vec![(branch, change)]).await
    }

    async fn push_all(&self, changes: Vec<(&str, BranchChange)>) -> PushOutcome {
        let update = |(branch, change): (&str, BranchChange)| BranchUpdate { branch: branch.parse().unwrap(), change };
        let push = Push { updates: changes.into_iter().map(update).collect(), options: Vec::new() };
        self.commits.push(&push).await.unwrap()
    }

    fn made(&self, old: Option<CommitId>, decision: &str, tag: &str) -> BranchChange {
        BranchChange::Replace { old, base: self.head("main"), commits: vec![commit(decision, tag)] }
    }

    /// The bot's branch with one commit, and its pull request.
    async fn open(&self) -> u64 {
        let change = BranchChange::Replace { old: None, base: self.head("main"), commits: vec![commit("d-1", "2")] };
        assert!(matches!(self.push("tagboat/prod", change).await, PushOutcome::Landed(_)));
        self.forge.open_pull_request(&new_pull()).await.unwrap().number
    }

    fn merge(&self) -> Merge {
        let (head, method) = (self.head("tagboat/prod"), MergeMethod::Squash);
        Merge { head, method, message: "Deploy web 2\n\nTagboat-Decision: d-1".to_owned() }
    }
}

fn new_pull() -> NewPullRequest {
    NewPullRequest {
        head: "tagboat/prod".parse().unwrap(),
        base: BranchName::main(),
        title: "Deploy web 2".to_owned(),
        body: "Text".to_owned(),
        draft: false,
    }
}

fn commit(decision: &str, tag: &str) -> NewCommit {
    NewCommit {
        decision: decision.parse().unwrap(),
        time: Timestamp(0),
        message: format!("Deploy web {tag}\n\nTagboat-Decision: {decision}\n"),
        files: vec![NewFile { path: "prod/web.yaml".to_owned(), bytes: format!("image: web:{tag}\n").into_bytes() }],
    }
}

#[tokio::test]
async fn a_pull_request_lives_from_its_branch_to_its_merge() {
    let scene = Scene::start(RepositorySetup::new(CONFIG)).await;
    let number = scene.open().await;
    assert_eq!(scene.forge.open_pull_request(&new_pull()).await.unwrap().number, number, "the same one again");
    let edit =
        PullRequestEdit { title: Some("Deploy web 3".to_owned()), draft: Some(true), ..PullRequestEdit::default() };
    scene.forge.edit_pull_request(number, &edit).await.unwrap();
    let listed = scene.forge.pull_requests().await.unwrap();
    assert_eq!((listed.len(), listed[0].title.as_str(), listed[0].draft), (1, "Deploy web 3", true));
    let ready = PullRequestEdit { draft: Some(false), ..PullRequestEdit::default() };
    scene.forge.edit_pull_request(number, &ready).await.unwrap();
    let stale = Merge { head: scene.head("main"), ..scene.merge() };
    assert_eq!(scene.forge.merge(number, &stale).await.unwrap(), Merged::HeadMoved);
    assert_eq!(scene.forge.merge(number, &scene.merge()).await.unwrap(), Merged::Done);
    assert_eq!(scene.forge.merge(number, &scene.merge()).await.unwrap(), Merged::Done, "it is, already");
    assert_eq!(scene.forge.pull_request(number).await.unwrap().unwrap().state, PullState::Merged);
    assert_eq!(scene.github.file(CONFIG, "main", "prod/web.yaml").unwrap(), "image: web:2\n");
    scene.github.finish();
}

#[tokio::test]
async fn what_people_see_is_written_once() {
    let scene = Scene::start(RepositorySetup::new(CONFIG)).await;
    let number = scene.open().await;
    for _ in 0..2 {
        scene.forge.comment(number, "closed", "Closed.").await.unwrap();
    }
    scene.github.lose_answers(1);
    scene.forge.comment(number, "other", "Other.").await.unwrap();
    assert_eq!(scene.github.comments(CONFIG, number).len(), 2);
    let bot = scene.app.app().await.unwrap().bot;
    let comments = scene.forge.comments(number, None).await.unwrap();
    assert!(comments.iter().all(|comment| comment.by.id == bot.id && !comment.edited));
    let decoration = Decoration { labels: vec!["deploy".to_owned()], ..Decoration::default() };
    assert!(scene.forge.decorate(number, &decoration).await.unwrap().is_empty());
    let written = scene.forge.write_issue(None, "Held back", "Why <!-- tagboat:held -->", &[]).await.unwrap();
    assert_eq!(scene.forge.issue("tagboat:held").await.unwrap().unwrap().number, written.number);
    assert_eq!(scene.forge.issue("tagboat:other").await.unwrap(), None);
    scene.github.finish();
}

#[tokio::test]
async fn checks_are_set_and_reports_are_made_once() {
    let scene = Scene::start(RepositorySetup::new(CONFIG)).await;
    let head = scene.head("main");
    let status = |state| Check { name: "tagboat/gate".to_owned(), state, text: "waits".to_owned(), url: None };
    scene.forge.set_status(&head, &status(CheckState::Pending)).await.unwrap();
    let writes = scene.github.writes().len();
    scene.forge.set_status(&head, &status(CheckState::Pending)).await.unwrap();
    assert_eq!(scene.github.writes().len(), writes);
    let report = Report {
        name: "tagboat/config".to_owned(),
        state: CheckState::Failure,
        title: "One mistake".to_owned(),
        summary: "It is there.".to_owned(),
        annotations: vec![Annotation { path: "tagboat.yaml".to_owned(), line: 3, message: "unknown key".to_owned() }],
    };
    scene.forge.report(&head, &report).await.unwrap();
    let checks = scene.forge.checks(&head).await.unwrap();
    let found = |name: &str| checks.iter().find(|check| check.name == name).map(|check| check.state);
    assert_eq!(found("tagboat/gate"), Some(CheckState::Pending));
    assert_eq!(found("tagboat/config"), Some(CheckState::Failure));
    scene.github.finish();
}

#[tokio::test]
async fn reviews_are_the_newest_of_each_person() {
    let scene = Scene::start(RepositorySetup::new(CONFIG)).await;
    let number = scene.open().await;
    let alice = scene.github.person("alice");
    alice.review(CONFIG, number, Verdict::RequestChanges, "No");
    alice.review(CONFIG, number, Verdict::Approve, "Yes");
    let reviews = scene.forge.reviews(number).await.unwrap();
    assert_eq!(reviews.len(), 1);
    assert_eq!((reviews[0].state, reviews[0].by.login.as_str()), (ReviewState::Approved, "alice"));
    assert_eq!(reviews[0].commit, Some(scene.head("tagboat/prod")));
    scene.github.finish();
}

#[tokio::test]
async fn a_commit_lands_once_also_when_its_answer_is_lost() {
    let scene = Scene::start(RepositorySetup::new(CONFIG)).await;
    let base = scene.head("main");
    let append = || BranchChange::Append { base: base.clone(), commits: vec![commit("d-1", "2")] };
    scene.github.lose_answers(1);
    let landed = PushOutcome::Landed(vec![vec![scene_head(&scene, append()).await]]);
    assert_eq!(scene.push("main", append()).await, landed, "and it is found when it is pushed again");
    let late = BranchChange::Append { base: base.clone(), commits: vec![commit("d-2", "3")] };
    assert_eq!(scene.push("main", late).await, PushOutcome::Moved(Some(scene.head("main"))));
    assert_eq!(scene.github.file(CONFIG, "main", "prod/web.yaml").unwrap(), "image: web:2\n");
    scene.github.finish();
}

async fn scene_head(scene: &Scene, change: BranchChange) -> CommitId {
    let outcome = scene.push("main", change).await;
    let head = scene.head("main");
    assert_eq!(outcome, PushOutcome::Landed(vec![vec![head.clone()]]));
    head
}

#[tokio::test]
async fn several_commits_land_together_and_own_branches_come_and_go() {
    let scene = Scene::start(RepositorySetup::new(CONFIG)).await;
    let base = scene.head("main");
    let two = BranchChange::Append { base: base.clone(), commits: vec![commit("d-1", "2"), commit("d-2", "3")] };
    let PushOutcome::Landed(ids) = scene.push("main", two).await else { panic!("it was not taken") };
    assert_eq!((ids[0].len(), ids[0].last()), (2, Some(&scene.head("main"))));
    let made = BranchChange::Replace { old: None, base: base.clone(), commits: vec![commit("d-3", "4")] };
    assert!(matches!(scene.push("tagboat/prod", made).await, PushOutcome::Landed(_)));
    let first = scene.head("tagboat/prod");
    let again = BranchChange::Replace { old: Some(first), base, commits: vec![commit("d-4", "5")] };
    assert!(matches!(scene.push("tagboat/prod", again).await, PushOutcome::Landed(_)));
    let delete = || BranchChange::Delete { old: scene.head("tagboat/prod") };
    let change = delete();
    assert_eq!(scene.push("tagboat/prod", change.clone()).await, PushOutcome::Landed(vec![Vec::new()]));
    assert_eq!(scene.github.head(CONFIG, "tagboat/prod"), None);
    assert_eq!(scene.push("tagboat/prod", change).await, PushOutcome::Landed(vec![Vec::new()]), "it is gone");
    scene.github.finish();
}

#[tokio::test]
async fn a_protected_branch_says_no_and_why() {
    let protection = Protection { refuses_pushes: true, ..Protection::default() };
    let scene = Scene::start(RepositorySetup::new(CONFIG).protected("main", protection)).await;
    let append = BranchChange::Append { base: scene.head("main"), commits: vec![commit("d-1", "2")] };
    let PushOutcome::Refused(words) = scene.push("main", append).await else { panic!("it was taken") };
    assert!(words.contains("Protected branch"), "{words}");
    scene.github.finish();
}

#[tokio::test]
async fn what_is_done_already_keeps_nothing_else_from_being_done() {
    // The second time nobody can be asked before, and GitHub says no to all of it first.
    for fails in [0, 2] {
        let scene = Scene::start(RepositorySetup::new(CONFIG)).await;
        for branch in ["tagboat/merged", "tagboat/old"] {
            assert!(matches!(scene.push(branch, scene.made(None, "d-1", "2")).await, PushOutcome::Landed(_)));
        }
        let delete = |branch: &str| BranchChange::Delete { old: scene.head(branch) };
        let (merged, old) = (delete("tagboat/merged"), delete("tagboat/old"));
        scene.github.person("alice").delete_branch(CONFIG, "tagboat/merged");
        let first = scene.made(None, "d-2", "3");
        assert!(matches!(scene.push("tagboat/a", first.clone()).await, PushOutcome::Landed(_)));
        let second = scene.made(None, "d-3", "4");
        scene.mirror.fails.store(fails, Ordering::SeqCst);
        let changes =
            vec![("tagboat/merged", merged), ("tagboat/a", first), ("tagboat/old", old), ("tagboat/b", second)];
        let outcome = scene.push_all(changes).await;
        let (a, b) = (scene.head("tagboat/a"), scene.head("tagboat/b"));
        assert_eq!(outcome, PushOutcome::Landed(vec![Vec::new(), vec![a], Vec::new(), vec![b]]));
        assert_eq!(scene.github.head(CONFIG, "tagboat/old"), None);
        scene.github.finish();
    }
}

#[tokio::test]
async fn a_branch_that_was_moved_holds_up_what_moves_with_it_and_no_deletion() {
    let scene = Scene::start(RepositorySetup::new(CONFIG)).await;
    for branch in ["tagboat/a", "tagboat/gone", "tagboat/touched"] {
        assert!(matches!(scene.push(branch, scene.made(None, "d-1", "2")).await, PushOutcome::Landed(_)));
    }
    let ids = ["tagboat/a", "tagboat/gone", "tagboat/touched"].map(|branch| scene.head(branch));
    let [a, gone, touched] = ids;
    for branch in ["tagboat/a", "tagboat/touched"] {
        scene.github.person("alice").push(CONFIG, branch, "Mine", &[("note.txt", Some("mine\n"))]);
    }
    let changes = vec![
        ("tagboat/a", scene.made(Some(a), "d-2", "3")),
        ("tagboat/b", scene.made(None, "d-3", "4")),
        ("tagboat/touched", BranchChange::Delete { old: touched }),
        ("tagboat/gone", BranchChange::Delete { old: gone }),
    ];
    assert_eq!(scene.push_all(changes).await, PushOutcome::Moved(None));
    assert_eq!(scene.github.head(CONFIG, "tagboat/b"), None, "branches are made together or not at all");
    assert_eq!(scene.github.head(CONFIG, "tagboat/gone"), None);
    assert!(scene.github.head(CONFIG, "tagboat/touched").is_some());
    scene.github.finish();
}

#[tokio::test]
async fn a_deletion_that_is_refused_fails_nothing_else() {
    let protection = Protection { refuses_pushes: true, ..Protection::default() };
    let scene = Scene::start(RepositorySetup::new(CONFIG).protected("tagboat/kept", protection)).await;
    let main = scene.head("main");
    for branch in ["tagboat/kept", "tagboat/free"] {
        scene.github.person("alice").set_branch(CONFIG, branch, main.as_str());
    }
    let delete = || BranchChange::Delete { old: main.clone() };
    let made = scene.made(None, "d-1", "2");
    let changes = vec![("tagboat/kept", delete()), ("tagboat/prod", made), ("tagboat/free", delete())];
    let outcome = scene.push_all(changes).await;
    let prod = scene.head("tagboat/prod");
    assert_eq!(outcome, PushOutcome::Landed(vec![Vec::new(), vec![prod], Vec::new()]));
    assert_eq!(scene.github.head(CONFIG, "tagboat/free"), None);
    let PushOutcome::Refused(words) = scene.push("tagboat/kept", delete()).await else { panic!("it was taken") };
    assert!(words.contains("protected ref"), "{words}");
    scene.github.finish();
}
