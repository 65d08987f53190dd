//! What whoever watches sees: one id from the delivery to the commit in the log and in traces, metrics that add up, probes that
//! tell the truth. And what nobody may see in any of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tagboat_testkit::{HttpFake, Process, response};

use crate::world::{CI_SECRET, GIT_PASSWORD, REGISTRY_SECRET, World, over_http};

const COLLECTOR_SECRET: &str = "canary-collector-5d1e";

/// A server of the world's, started by ourselves, with a log of its own.
struct Watched {
    process: Option<Process>,
    log: PathBuf,
}

impl Watched {
    async fn start(world: &World, name: &str, command: &mut Command) -> Self {
        let log = world.folder.path().join(name);
        let process = Process::start(command.current_dir(world.folder.path()), Some(&log));
        let watched = Self { process: Some(process), log };
        world.wait("the start", async |world| world.http.get(world.url("/livez")).send().await.is_ok()).await;
        watched
    }

    fn stop(&mut self) {
        assert!(self.process.take().unwrap().terminate().success());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

fn serve() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagboat"));
    command.args(["serve", "--config", "tagboat.yaml", "--log", "json"]).env("TAGBOAT_LOG", "debug");
    command
}

/// Change the server file of a world whose server is stopped.
fn append(world: &World, text: &str) {
    let file = world.folder.path().join("tagboat.yaml");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, format!("{settings}{text}")).unwrap();
}

/// The lines of the log with this id in them, each as its message and its fields.
fn lines_about(log: &str, id: &str) -> Vec<(String, Value)> {
    let lines = log.lines().filter(|line| line.contains(id)).map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let fields = line["fields"].take();
        (fields["message"].as_str().unwrap_or_default().to_owned(), fields)
    });
    lines.collect()
}

fn one<'l>(lines: &'l [(String, Value)], message: &str) -> &'l Value {
    let found = lines.iter().find(|(known, _)| known == message);
    &found.unwrap_or_else(|| panic!("`{message}` is missing: {lines:#?}")).1
}

/// Every span that a collector was given and took, by trace.
fn traces(bodies: &[String]) -> BTreeMap<String, Vec<Value>> {
    let mut traces: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for body in bodies {
        let body: Value = serde_json::from_str(body).unwrap();
        for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap() {
            traces.entry(span["traceId"].as_str().unwrap().to_owned()).or_default().push(span.clone());
        }
    }
    traces
}

fn attribute<'s>(span: &'s Value, key: &str) -> Option<&'s str> {
    let attributes = span["attributes"].as_array()?;
    attributes.iter().find(|attribute| attribute["key"] == key)?["value"]["stringValue"].as_str()
}

/// That one trace leads from the delivery of an event to this commit.
fn leads_to_the_commit(bodies: &[String], event: &str, decision: &str, commit: &str) {
    let traces = traces(bodies);
    let is_of = |spans: &&Vec<Value>| spans.iter().any(|span| attribute(span, "tagboat.event") == Some(event));
    let of: Vec<&Vec<Value>> = traces.values().filter(is_of).collect();
    assert_eq!(of.len(), 1, "one trace is about {event}");
    let spans = of[0];
    let names: BTreeSet<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["delivery", "reconcile", "gather", "decide", "push", "commit"]), "{spans:#?}");
    let ids: BTreeSet<&str> = spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), spans.len(), "ids are unique");
    for span in spans {
        let parent = span["parentSpanId"].as_str();
        assert_eq!(parent.is_none(), span["name"] == "delivery", "{span:#?}");
        assert!(parent.is_none_or(|parent| ids.contains(parent)), "{span:#?}");
    }
    let landed = spans.iter().find(|span| span["name"] == "commit").unwrap();
    assert_eq!(
        (attribute(landed, "tagboat.decision"), attribute(landed, "tagboat.commit")),
        (Some(decision), Some(commit))
    );
}

// The collector answers while the server is waited for that ends.
#[tokio::test(flavor = "multi_thread")]
async fn one_id_leads_from_the_delivery_to_the_commit() {
    let mut world = over_http().await;
    world.wait_until_started().await;
    world.terminate_tagboat();
    // The collector is busy at first; what it did not take comes again.
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let collector = HttpFake::start(move |_, _| match count.fetch_add(1, Ordering::Relaxed) {
        0 => response(503, &[], ""),
        _ => response(200, &[("content-type", "application/json")], "{}"),
    })
    .await;
    std::fs::write(world.folder.path().join("otel"), format!("x-collector: {COLLECTOR_SECRET}\n")).unwrap();
    append(
        &world,
        &format!("telemetry: {{ traces: {{ endpoint: 'http://{}', headersFile: otel }} }}\n", collector.host()),
    );
    let mut server = Watched::start(&world, "watched.log", &mut serve()).await;

    world.registry.push_image("acme/web", "1.5.0", "1.5.0").await;
    let event = world.wait_for_event("web", "1.5.0", 1).await;
    world.wait("the update", async |world| world.config.file("apps/dev/kustomization.yaml").contains("1.5.0")).await;
    // What the database counts may be a second old.
    let mut metrics = String::new();
    world
        .wait("the count", async |world| {
            metrics = world.http.get(world.url("/metrics")).send().await.unwrap().text().await.unwrap();
            value(&metrics, "tagboat_events{state=\"done\"}") > 0.0
        })
        .await;
    server.stop();

    let lines = lines_about(&server.log(), &event);
    let accepted = one(&lines, "event accepted");
    assert!(accepted["delivery"].as_str().unwrap().starts_with("dl-"), "{accepted}");
    let (decided, committed) = (one(&lines, "decided"), one(&lines, "committed"));
    one(&lines, "reconciling");
    assert_eq!(decided["decision"], committed["decision"]);
    let (decision, commit) = (decided["decision"].as_str().unwrap(), committed["commit"].as_str().unwrap());
    let message = tagboat_testkit::git(&world.config.path(), &["log", "-1", "--format=%B", commit]);
    assert!(message.contains(&format!("Tagboat-Decision: {decision}")), "{message}");

    let seen = collector.seen();
    assert!(seen.iter().all(|asked| asked.path == "/v1/traces" && asked.header("x-collector") == COLLECTOR_SECRET));
    assert_eq!(seen[0].body, seen[1].body, "the first was not taken");
    let bodies: Vec<String> = seen.into_iter().skip(1).map(|asked| asked.body).collect();
    leads_to_the_commit(&bodies, &event, decision, commit);

    counts(&metrics);
    for secret in [COLLECTOR_SECRET, CI_SECRET, GIT_PASSWORD, REGISTRY_SECRET] {
        for (place, text) in [("log", server.log()), ("metrics", metrics.clone()), ("traces", bodies.concat())] {
            assert!(!text.contains(secret), "{secret} is in the {place}");
        }
    }
}

/// The value of a sample.
fn value(metrics: &str, sample: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{sample} is missing:\n{metrics}")).parse().unwrap()
}

/// That what happened is counted, each stage with its own.
fn counts(metrics: &str) {
    let state = |state: &str| value(metrics, &format!("tagboat_events{{state=\"{state}\"}}"));
    let sum = state("done") + state("refused") + state("pending");
    assert!((value(metrics, "tagboat_events_accepted") - sum).abs() < 0.1, "{metrics}");
    for sample in [
        "tagboat_events_accepted",
        "tagboat_events{state=\"done\"}",
        "tagboat_deliveries_total{receiver=\"registry\",verdict=\"accepted\",status=\"200\"}",
        "tagboat_event_to_commit_seconds_count",
        "tagboat_decisions_total{outcome=\"update\"}",
        "tagboat_pushes_total{outcome=\"landed\"}",
        "tagboat_commits_total",
        "tagboat_registry_calls_total{reason=\"manifest\",outcome=\"answered\"}",
        "tagboat_reconciles_total{outcome=\"served\"}",
        "tagboat_ready",
        "process_resident_memory_bytes",
    ] {
        assert!(value(metrics, sample) > 0.0, "{sample}");
    }
}

/// `/readyz`: status and state.
async fn readiness(world: &World) -> (u16, String) {
    let answer = world.http.get(world.url("/readyz")).send().await.unwrap();
    let status = answer.status().as_u16();
    let told: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    (status, told["state"].as_str().unwrap().to_owned())
}

async fn eventually_ready(world: &World) {
    let until = Instant::now() + Duration::from_secs(30);
    while readiness(world).await.0 != 200 {
        assert!(Instant::now() < until, "{:?}", readiness(world).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The size that files of a process may have; `unlimited` or bytes.
fn limit_files(process: u32, bytes: &str) {
    let arguments = ["--pid", &process.to_string(), &format!("--fsize={bytes}:unlimited")];
    assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
}

#[tokio::test]
async fn a_database_that_cannot_grow_is_said_so_and_recovers_by_itself() {
    let mut world = over_http().await;
    world.wait_until_started().await;
    world.terminate_tagboat();
    // A write beyond the limit is an error then, and not the end.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" serve --config tagboat.yaml", env!("CARGO_BIN_EXE_tagboat")]);
    let mut server = Watched::start(&world, "small.log", &mut command).await;
    eventually_ready(&world).await;
    let process = server.process.as_ref().unwrap().id();
    // What is written next is appended to this file; the log is smaller.
    let written = std::fs::metadata(world.folder.path().join("data/tagboat.db-wal")).unwrap().len();
    assert!(written > 2 * server.log().len() as u64, "{written}");
    limit_files(process, &written.to_string());
    let body = world.announcement("web", "1.7.0");
    let (status, _) = world.announce("job-1", &body).await;
    assert_eq!(status, 503, "never an answer with success before it is durable");
    let (status, state) = readiness(&world).await;
    assert!(status == 503 && ["diskFull", "diskFailing"].contains(&state.as_str()), "{status} {state}");
    assert_eq!(world.http.get(world.url("/livez")).send().await.unwrap().status(), 200);
    limit_files(process, "unlimited");
    eventually_ready(&world).await;
    let (status, told) = world.announce("job-1", &body).await;
    assert_eq!((status, told["verdict"].as_str()), (202, Some("accepted")), "what was put off comes again: {told}");
    server.stop();
}

#[tokio::test]
async fn while_too_much_waits_senders_come_again() {
    let mut world = over_http().await;
    world.wait_until_started().await;
    world.terminate_tagboat();
    let file = world.folder.path().join("tagboat.yaml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let settings =
        settings.replace("bodyBytes: 20000", "bodyBytes: 20000, pendingEvents: 3").replace("quiet: 0s", "quiet: 3s");
    std::fs::write(&file, settings).unwrap();
    let mut server = Watched::start(&world, "full.log", &mut serve()).await;
    let mut statuses = Vec::new();
    for job in 1..=5 {
        statuses.push(world.announce(&format!("job-{job}"), &world.announcement("web", &format!("0.1.{job}"))).await.0);
    }
    assert_eq!(statuses, [202, 202, 202, 503, 503]);
    assert_eq!(readiness(&world).await, (503, "queueFull".to_owned()));
    eventually_ready(&world).await;
    let (status, _) = world.announce("job-4", &world.announcement("web", "0.1.4")).await;
    assert_eq!(status, 202, "they are served, and there is room again");
    server.stop();
}
