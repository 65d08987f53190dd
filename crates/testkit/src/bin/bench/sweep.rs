//! What a sweep asks of registries: the tags of 1,000 repositories of one registry, anonymous and with a token for each.
//! Once through the client alone, once through the server with a config repository that runs the 1,000 images. The
//! registry is a function in this process; limits are lifted.

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::Request,
    http::{HeaderMap, Response, StatusCode, header},
};
use tagboat_model::ImageName;
use tagboat_ports::Registry as _;
use tagboat_registry::{OciRegistries, RegistrySettings, TransportSettings};
use tagboat_testkit::{BareRepository, Process, free_port};
use tokio::task::JoinSet;

use crate::{Setup, figure, mebibytes, say, show};

const REPOSITORIES: usize = 1000;
const TAGS: usize = 10;

pub(crate) async fn run(setup: &Setup) {
    say(&format!(
        "{} rounds, {REPOSITORIES} repositories with {TAGS} tags each, times in ms: median (least .. most)",
        setup.rounds
    ));
    for (what, tokens) in [("anonymous", false), ("a token per repository", true)] {
        let server = Server::start(tokens).await;
        let before = mebibytes(std::process::id());
        let mut times = Vec::new();
        for _ in 0..setup.rounds {
            times.push(sweep(&server.host).await);
        }
        let rounds = usize::try_from(setup.rounds).unwrap().max(1);
        show(what, times);
        let (requests, tokens) = (&server.counts.requests, &server.counts.tokens);
        figure("  requests a round", per_round(requests.load(Ordering::SeqCst), rounds), "");
        figure("  requests for tokens a round", per_round(tokens.load(Ordering::SeqCst), rounds), "");
        figure("  resident memory before", before, "MiB");
        figure("  resident memory after", mebibytes(std::process::id()), "MiB");
    }
    for (what, tokens) in [("server, anonymous", false), ("server, tokens", true)] {
        through_the_server(setup, what, tokens).await;
    }
}

/// The real binary sweeps a config repository with 1,000 images every ten seconds; nothing has changed.
async fn through_the_server(setup: &Setup, what: &str, tokens: bool) {
    let registry = Server::start(tokens).await;
    let (host, folder, port) = (&registry.host, tempfile::tempdir().unwrap(), free_port());
    let entry =
        |n| format!("  - {{ name: app-{n}, image: {host}/acme/app-{n}, policy: {{ semver: {{ range: '^1' }} }} }}\n");
    let settings: String = (0..REPOSITORIES).map(entry).collect();
    let settings = format!("images:\n{settings}environments:\n  - {{ name: dev, paths: [dev], deliver: commit }}\n");
    let manifest = |n| {
        (
            format!("dev/app-{n}.yaml"),
            format!("kind: Pod\nspec: {{ containers: [{{ image: {host}/acme/app-{n}:1.9.0 }}] }}\n"),
        )
    };
    let manifests: Vec<(String, String)> = (0..REPOSITORIES).map(manifest).collect();
    let mut files = vec![(".tagboat.yaml", settings.as_str())];
    files.extend(manifests.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let config = BareRepository::with_files(&files);
    let server = format!(
        "listen: 127.0.0.1:{port}\nsweep: {{ interval: 10s }}\nrepositories:\n  - {{ name: config, url: '{}' }}\n\
         registries:\n  - {{ host: '{host}', requestsPerSecond: 1000000, requestsAtOnce: 64 }}\n",
        config.url()
    );
    std::fs::write(folder.path().join("tagboat.yaml"), server).unwrap();
    let mut command = Command::new(&setup.binary);
    command.current_dir(folder.path()).args(["serve", "--config", "tagboat.yaml"]).env("TAGBOAT_LOG", "warn");
    let process = Process::start(&mut command, Some(&folder.path().join("log")));
    // The first sweep makes connections, the mirror and the database; those after it are measured.
    let sweeps = setup.rounds.min(3) as usize + 1;
    let bursts = loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let bursts = bursts(&registry.counts.moments.lock().unwrap());
        if bursts.len() >= sweeps && bursts.last().is_some_and(|(_, last, _)| last.elapsed() > QUIET) {
            break bursts;
        }
    };
    let times = bursts.iter().skip(1).map(|(first, last, _)| last.duration_since(*first)).collect();
    show(what, times);
    let requests: Vec<usize> = bursts.iter().map(|(.., count)| *count).collect();
    for count in &requests {
        figure("  requests of a sweep", per_round(*count, 1), "");
    }
    figure("  requests for tokens", per_round(registry.counts.tokens.load(Ordering::SeqCst), 1), "");
    figure("  resident memory", mebibytes(process.id()), "MiB");
}

/// Requests with less than this between them belong to one sweep.
const QUIET: Duration = Duration::from_secs(2);

/// First and last request of each sweep, and how many there were.
fn bursts(moments: &[Instant]) -> Vec<(Instant, Instant, usize)> {
    let mut bursts: Vec<(Instant, Instant, usize)> = Vec::new();
    for moment in moments {
        match bursts.last_mut() {
            Some((_, last, count)) if moment.duration_since(*last) < QUIET => (*last, *count) = (*moment, *count + 1),
            _ => bursts.push((*moment, *moment, 1)),
        }
    }
    bursts
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
fn per_round(count: usize, rounds: usize) -> f64 {
    count as f64 / rounds as f64
}

/// With a client that knows nothing yet.
async fn sweep(host: &str) -> Duration {
    let transport = TransportSettings {
        requests_per_second: NonZeroU32::new(1_000_000),
        requests_at_once: NonZeroUsize::new(64),
        ..TransportSettings::default()
    };
    let settings = RegistrySettings { transport, ..RegistrySettings::default() };
    let client = Arc::new(OciRegistries::new(BTreeMap::from([(host.to_owned(), settings)])).unwrap());
    let start = Instant::now();
    let mut lists = JoinSet::new();
    for number in 0..REPOSITORIES {
        let (client, image) = (Arc::clone(&client), format!("{host}/acme/app-{number}").parse::<ImageName>().unwrap());
        lists.spawn(async move { client.tags(&image).await.unwrap().len() });
    }
    let tags: usize = lists.join_all().await.into_iter().sum();
    assert_eq!(tags, REPOSITORIES * TAGS);
    start.elapsed()
}

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    tokens: AtomicUsize,
    /// When requests came.
    moments: Mutex<Vec<Instant>>,
}

/// Registry and token server in one.
struct Server {
    host: String,
    counts: Arc<Counts>,
}

impl Server {
    async fn start(tokens: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let counts = Arc::new(Counts::default());
        let (own, counting) = (host.clone(), Arc::clone(&counts));
        let router = axum::Router::new().fallback(move |request: Request| {
            let answer = answer(&request, &own, tokens, &counting);
            async move { answer }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { host, counts }
    }
}

fn answer(request: &Request, own: &str, tokens: bool, counts: &Counts) -> Response<String> {
    let path = request.uri().path();
    let text = |text: String| Response::new(text);
    if path == "/token" {
        counts.tokens.fetch_add(1, Ordering::SeqCst);
        let repository = request.uri().query().and_then(|query| query.split("app-").nth(1)?.split("%3A").next());
        return text(format!(r#"{{"token":"for-{}","expires_in":300}}"#, repository.unwrap_or_default()));
    }
    counts.requests.fetch_add(1, Ordering::SeqCst);
    counts.moments.lock().unwrap().push(Instant::now());
    let number = path.split("app-").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if tokens && !is_for(request.headers(), number) {
        let challenge = format!("Bearer realm=\"http://{own}/token\",service=\"bench\"");
        let answer = Response::builder().status(StatusCode::UNAUTHORIZED).header(header::WWW_AUTHENTICATE, challenge);
        return answer.body(String::new()).unwrap();
    }
    let tags: Vec<String> = (0..TAGS).map(|n| format!("\"1.{n}.0\"")).collect();
    text(format!(r#"{{"name":"acme/app-{number}","tags":[{}]}}"#, tags.join(",")))
}

fn is_for(headers: &HeaderMap, number: &str) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|value| value == format!("Bearer for-{number}").as_str())
}
