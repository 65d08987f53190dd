//! Connections that are cut: wherever it happens, nobody is told that a push landed which did not, and the same push again
//! makes the one commit that there is to be.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod common;

use std::time::Duration;

use common::{FILES, commit, head, landed, noise, open, push};
use tagboat_model::CommitId;
use tagboat_ports::{NewCommit, NewFile, PushOutcome, Repository as _, RepositoryErrorKind};
use tagboat_repository::{Access, GitRepository};
use tagboat_testkit::{BareRepository, GitServer, Side, Wire};

/// Sizes of files that cannot be packed any smaller, and so nearly those of packs.
const SMALL: usize = 20;
const MEDIUM: usize = 64 << 10;
const LARGE: usize = 512 << 10;

/// How a push begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// With two requests.
    Cold,
    /// With a connection on which the first was made already.
    Prepared,
}

/// A server at the end of a wire.
struct Line {
    server: BareRepository,
    wire: Wire,
    repository: GitRepository,
    /// Where `main` is.
    base: String,
    updates: u64,
    cuts: u64,
    _kept: (GitServer, tempfile::TempDir),
}

impl Line {
    async fn new() -> Self {
        let server = BareRepository::with_files(&FILES);
        let http = GitServer::start(server.parent(), None);
        let wire = Wire::start(http.port(), Duration::ZERO);
        let (repository, folder) = open(wire.url("config.git"), Access::Open);
        let base = head(&repository).await;
        Self { server, wire, repository, base, updates: 0, cuts: 0, _kept: (http, folder) }
    }

    /// The next update: of as many bytes, and other ones than ever before.
    fn update(&mut self, size: usize) -> Vec<NewCommit> {
        self.updates += 1;
        let files = vec![NewFile { path: "a.yaml".to_owned(), bytes: noise(self.updates, size) }];
        vec![NewCommit { files, ..commit("a.yaml", "") }]
    }

    async fn start(&self, start: Start) {
        if start == Start::Prepared {
            let found = self.repository.head_to_push(&"main".parse().unwrap()).await.unwrap();
            assert_eq!(found, Some(self.base.parse().unwrap()));
        }
    }

    /// Push without a cut; the bytes of it from the client and from the server.
    async fn measure(&mut self, size: usize, start: Start) -> (u64, u64) {
        let commits = self.update(size);
        self.start(start).await;
        self.wire.reset_counts();
        let ids = landed(push(&self.repository, &self.base, commits).await.unwrap());
        self.base = ids[0].to_string();
        (self.wire.bytes_up(), self.wire.bytes_down())
    }

    /// Push with a cut, look whether what is said of it is true, and push again.
    async fn cut(&mut self, side: Side, after: u64, size: usize, start: Start) {
        let why = format!("{start:?} push of {size} bytes, cut {side:?} after {after}");
        let commits = self.update(size);
        self.start(start).await;
        self.wire.cut_after(side, after);
        let first = push(&self.repository, &self.base, commits.clone()).await;
        self.wire.disarm();
        self.cuts += u64::from(self.wire.was_cut());
        let now = self.server.head();
        match &first {
            Ok(PushOutcome::Landed(ids)) => assert_eq!(now, ids[0][0].to_string(), "false success: {why}"),
            Ok(other) => assert_eq!(now, self.base, "{other:?} although it landed: {why}"),
            Err(error) => {
                assert_eq!(error.kind, RepositoryErrorKind::Temporary, "{why}: {error}");
                // The server may still be at it. Nobody tries again at once.
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        }
        let ids = self.again(commits, &why).await;
        assert_eq!((ids.len(), self.server.head()), (1, ids[0].to_string()), "{why}");
        assert!(now == self.base || now == ids[0].as_str(), "another commit than the one of the update: {why}");
        if let Ok(PushOutcome::Landed(said)) = first {
            assert_eq!(said, std::slice::from_ref(&ids), "{why}");
        }
        self.base = ids[0].to_string();
    }

    /// The same push as by a retry. The connection that was cut may be the first that it takes.
    async fn again(&self, commits: Vec<NewCommit>, why: &str) -> Vec<CommitId> {
        for _ in 0..3 {
            match push(&self.repository, &self.base, commits.clone()).await {
                Ok(outcome) => return landed(outcome),
                Err(error) => assert_eq!(error.kind, RepositoryErrorKind::Temporary, "{why}: {error}"),
            }
        }
        panic!("three more pushes did not land: {why}");
    }

    async fn cut_at_each(&mut self, side: Side, positions: &[u64], size: usize, start: Start) {
        let before = self.cuts;
        for after in positions {
            self.cut(side, *after, size, start).await;
        }
        let cuts = usize::try_from(self.cuts - before).unwrap();
        // One push is a few bytes smaller than another, so that the last position may lie behind its end.
        assert!(cuts + 5 >= positions.len(), "{cuts} cuts at {} positions", positions.len());
    }

    /// One commit for each update, and all of them sound.
    fn end(&self) {
        self.server.check_integrity();
        assert_eq!(u64::try_from(self.server.commits()).unwrap(), self.updates + 1, "no commit twice, and none lost");
    }
}

/// So many positions from the first byte to the last.
fn spread(bytes: u64, count: u64) -> Vec<u64> {
    (0..=count).map(|step| bytes * step / count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_pushes_are_cut_from_the_client() {
    let mut line = Line::new().await;
    let (up, _) = line.measure(SMALL, Start::Cold).await;
    let positions: Vec<u64> = (0..=up).step_by(40).chain([up - 1, up]).collect();
    line.cut_at_each(Side::FromClient, &positions, SMALL, Start::Cold).await;
    line.end();
}

/// In the advertisement, between it and the report, and in the report.
#[tokio::test(flavor = "multi_thread")]
async fn small_pushes_are_cut_from_the_server() {
    let mut line = Line::new().await;
    let (_, down) = line.measure(SMALL, Start::Cold).await;
    let (_, answer) = line.measure(SMALL, Start::Prepared).await;
    let advertisement = down - answer;
    let mut positions: Vec<u64> = (0..=down).step_by(25).collect();
    positions.extend(advertisement - 2..=advertisement + 2);
    positions.extend(down - 2..=down);
    line.cut_at_each(Side::FromServer, &positions, SMALL, Start::Cold).await;
    line.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_on_a_prepared_connection_are_cut() {
    let mut line = Line::new().await;
    let (up, down) = line.measure(SMALL, Start::Prepared).await;
    let positions: Vec<u64> = (0..=up).step_by(60).chain([up]).collect();
    line.cut_at_each(Side::FromClient, &positions, SMALL, Start::Prepared).await;
    let positions: Vec<u64> = [0, 1, 2].into_iter().chain((0..=down).step_by(40)).chain([down - 1, down]).collect();
    line.cut_at_each(Side::FromServer, &positions, SMALL, Start::Prepared).await;
    line.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn medium_pushes_are_cut() {
    let mut line = Line::new().await;
    for start in [Start::Cold, Start::Prepared] {
        let (up, down) = line.measure(MEDIUM, start).await;
        line.cut_at_each(Side::FromClient, &spread(up, 15), MEDIUM, start).await;
        line.cut_at_each(Side::FromServer, &spread(down, 5), MEDIUM, start).await;
    }
    line.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn large_pushes_are_cut() {
    let mut line = Line::new().await;
    for start in [Start::Cold, Start::Prepared] {
        let (up, down) = line.measure(LARGE, start).await;
        line.cut_at_each(Side::FromClient, &spread(up, 6), LARGE, start).await;
        line.cut_at_each(Side::FromServer, &spread(down, 3), LARGE, start).await;
    }
    line.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_look_before_a_push_is_cut() {
    let mut line = Line::new().await;
    line.wire.reset_counts();
    line.start(Start::Prepared).await;
    let sides = [(Side::FromClient, line.wire.bytes_up()), (Side::FromServer, line.wire.bytes_down())];
    for (side, bytes) in sides {
        for after in spread(bytes, 8) {
            line.wire.cut_after(side, after);
            let found = line.repository.head_to_push(&"main".parse().unwrap()).await;
            line.wire.disarm();
            match found {
                Ok(found) => assert_eq!(found, Some(line.base.parse().unwrap()), "{side:?} after {after}"),
                Err(error) => assert_eq!(error.kind, RepositoryErrorKind::Temporary, "{side:?} after {after}: {error}"),
            }
            let commits = line.update(SMALL);
            let ids = line.again(commits, &format!("a look, cut {side:?} after {after}")).await;
            line.base = ids[0].to_string();
        }
    }
    line.end();
}
