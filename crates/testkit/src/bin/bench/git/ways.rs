//! Five ways to move one tag in the config repository, each in a copy of its own behind one server: two scripts, Tagboat's
//! repository crate without and with a mirror, and the server alone. All are measured up to the answer of the server.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tagboat_testkit::{BareRepository, GitServer, Wire, deployment, git, other_deployments};

use super::{
    copy,
    figures::{Figures, SCRIPT},
    floor::Prepared,
    head, others,
    ours::Ours,
    replaced,
};

/// The file that is edited.
pub(crate) const FILE: &str = "apps/dev/web.yaml";
/// The image whose tag is moved in it.
pub(crate) const IMAGE: &str = "registry.example/shop/web";

const WARM: &str = "(d) repository crate, warm mirror";
pub(crate) const FLOOR: &str = "(e) floor: receive-pack alone";

#[derive(Clone, Copy)]
enum Kind {
    Script,
    Plumbing,
    Cold,
    Warm,
    Floor,
}

struct Way {
    kind: Kind,
    /// The name of its repository.
    repository: &'static str,
    what: &'static str,
}

const WAYS: [Way; 5] = [
    Way { kind: Kind::Script, repository: "script.git", what: SCRIPT },
    Way { kind: Kind::Plumbing, repository: "plumbing.git", what: "(b) plumbing: partial clone, push" },
    Way { kind: Kind::Cold, repository: "cold.git", what: "(c) repository crate, cold mirror" },
    Way { kind: Kind::Warm, repository: WARM_REPOSITORY, what: WARM },
    Way { kind: Kind::Floor, repository: "floor.git", what: FLOOR },
];
const WARM_REPOSITORY: &str = "warm.git";

pub(crate) async fn compare(rounds: u32, files: usize, figures: &mut Figures) {
    let place = Place::with(files);
    let mirror = tempfile::tempdir().unwrap();
    let warm = place.warm(place.server.port(), mirror.path()).await;
    let mut times: [Vec<Duration>; 5] = Default::default();
    for round in 1..=rounds {
        for (way, times) in WAYS.iter().zip(&mut times) {
            times.push(place.update(way, place.server.port(), &warm, &format!("1.6.{round}")).await);
        }
    }
    for (way, times) in WAYS.iter().zip(times) {
        figures.times(files, way.what, times);
    }
    figures.ratio(files, "(d) / (e)", WARM, FLOOR);
    figures.ratio(files, "(a) / (d)", SCRIPT, WARM);
    place.count(files, figures).await;
}

/// A server with a repository for each way.
struct Place {
    source: BareRepository,
    server: GitServer,
}

impl Place {
    fn with(files: usize) -> Self {
        let edited = (FILE.to_owned(), deployment("web", &format!("{IMAGE}:1.5.0")));
        let source = BareRepository::with_many(std::iter::once(edited).chain(other_deployments("apps/dev", files)));
        for key in ["uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"] {
            git(&source.path(), &["config", key, "true"]);
        }
        for way in &WAYS {
            copy(&source.path(), &source.parent().join(way.repository));
        }
        let server = GitServer::start(source.parent(), None);
        Self { source, server }
    }

    fn repository(&self, way: &Way) -> PathBuf {
        self.source.parent().join(way.repository)
    }

    /// One whose mirror has the head.
    async fn warm(&self, port: u16, mirror: &Path) -> Ours {
        let ours = Ours::open(&url(port, WARM_REPOSITORY), &mirror.join("mirror.git"));
        let head = ours.look().await;
        assert_eq!(ours.known().await, Some(head));
        ours
    }

    /// Move the tag to `version` by way of `port`, and see that the server has it.
    async fn update(&self, way: &Way, port: u16, warm: &Ours, version: &str) -> Duration {
        let (repository, url) = (self.repository(way), url(port, way.repository));
        let before = head(&repository);
        let (time, commit) = match way.kind {
            Kind::Script => (others::script(&url, version), None),
            Kind::Plumbing => (others::plumbing(&url, version), None),
            Kind::Cold => {
                let mirror = tempfile::tempdir().unwrap();
                let start = Instant::now();
                let commit = Ours::open(&url, &mirror.path().join("mirror.git")).update_cold(version).await;
                (start.elapsed(), Some(commit))
            }
            Kind::Warm => {
                let start = Instant::now();
                let commit = warm.update_warm(version).await;
                (start.elapsed(), Some(commit))
            }
            Kind::Floor => {
                let edit = |text: &str| replaced(text, &format!("{IMAGE}:"), '\n', version);
                let prepared = Prepared::new(&repository, FILE, edit);
                let start = Instant::now();
                prepared.send(port, way.repository, "");
                (start.elapsed(), Some(prepared.commit))
            }
        };
        let after = head(&repository);
        assert!(after != before && commit.is_none_or(|commit| commit == after), "{}", way.what);
        let text = git(&repository, &["cat-file", "blob", &format!("{after}:{FILE}")]);
        assert!(text.contains(&format!("{IMAGE}:{version}\n")), "{}: {text}", way.what);
        time
    }

    /// One round more, not timed, with a wire that counts.
    async fn count(&self, files: usize, figures: &mut Figures) {
        let wire = Wire::start(self.server.port(), Duration::ZERO);
        let mirror = tempfile::tempdir().unwrap();
        let warm = self.warm(wire.port(), mirror.path()).await;
        for way in &WAYS {
            wire.reset_counts();
            let before = self.server.requests();
            self.update(way, wire.port(), &warm, "1.7.0").await;
            let requests = self.server.requests() - before;
            let mut note = |what: &str, count: u64| {
                // None of these is large.
                let count = f64::from(u32::try_from(count).unwrap());
                figures.number(files, &format!("{}: {what}", way.what), count, "");
            };
            note("requests", u64::try_from(requests).unwrap());
            note("connections", u64::try_from(wire.connections()).unwrap());
            note("bytes up", wire.bytes_up());
            note("bytes down", wire.bytes_down());
        }
    }
}

fn url(port: u16, repository: &str) -> String {
    format!("http://127.0.0.1:{port}/{repository}")
}
