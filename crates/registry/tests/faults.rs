//! Every fault at every request of list, head, manifest and blob: healed when it passes, told when it lasts, and
//! never taken for truth.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tagboat_model::{ImageName, Tag};
use tagboat_ports::{Registry as _, RegistryError, RegistryErrorKind};
use tagboat_registry::{OciRegistries, RegistrySettings, TransportSettings};
use tagboat_testkit::{DockerRegistry, Fault, FaultProxy};
use tokio::task::JoinSet;

/// So long a slow answer is waited for here.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Parts of the four requests that are made in turn.
const REQUESTS: [&str; 4] = ["/tags/list", "HEAD ", "GET /v2/acme/web/manifests/", "/blobs/"];

fn client(host: &str) -> OciRegistries {
    let transport = TransportSettings { timeout: TIMEOUT, ..TransportSettings::default() };
    let settings = RegistrySettings { transport, ..RegistrySettings::default() };
    OciRegistries::new(BTreeMap::from([(host.to_owned(), settings)])).unwrap()
}

fn image(host: &str) -> ImageName {
    format!("{host}/acme/web").parse().unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// What the four requests should tell.
struct Truth {
    registry: DockerRegistry,
    digest: String,
}

impl Truth {
    async fn start() -> Arc<Self> {
        let registry = DockerRegistry::start(None);
        let digest = registry.push_image("acme/web", "1.4.0", "commit-a").await;
        registry.push_image("acme/web", "1.5.0", "commit-b").await;
        Arc::new(Self { registry, digest })
    }

    /// Ask all four; every answer is the truth or an error. Returns the first error.
    async fn ask(&self, client: &OciRegistries, image: &ImageName, what: &str) -> Result<(), RegistryError> {
        let tags = client.tags(image).await;
        let digest = client.digest(image, &tag("1.4.0")).await;
        let described = client.describe(image, &tag("1.4.0")).await;
        if let Ok(tags) = &tags {
            assert_eq!(*tags, [tag("1.4.0"), tag("1.5.0")], "{what}");
        }
        if let Ok(digest) = &digest {
            assert_eq!(digest.as_ref().map(|digest| digest.as_str()), Some(self.digest.as_str()), "{what}");
        }
        if let Ok(described) = &described {
            let described = described.as_ref().unwrap_or_else(|| panic!("{what}: the tag was taken for absent"));
            assert_eq!(
                (described.digest.as_str(), described.revision.as_deref()),
                (self.digest.as_str(), Some("commit-a")),
                "{what}"
            );
        }
        tags?;
        digest?;
        described?;
        Ok(())
    }
}

fn status(status: u16) -> Fault {
    Fault::Status(status, Vec::new())
}

/// Name, fault, whether a request without a body is spared.
fn faults() -> Vec<(&'static str, Fault, bool)> {
    let date = ("date", "Sat, 21 Nov 2026 08:00:00 GMT".to_owned());
    let later = ("retry-after", "Sat, 21 Nov 2026 08:00:01 GMT".to_owned());
    vec![
        ("429 in seconds", Fault::Status(429, vec![("retry-after", "1".to_owned())]), false),
        ("429 at a date", Fault::Status(429, vec![date, later]), false),
        ("408", status(408), false),
        ("500", status(500), false),
        ("502", status(502), false),
        ("503", status(503), false),
        ("504", status(504), false),
        ("reset", Fault::Reset, false),
        ("slow body", Fault::SlowBody, false),
        ("truncated body", Fault::TruncatedBody, true),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_passes_is_healed_by_a_retry() {
    let truth = Truth::start().await;
    let mut runs = JoinSet::new();
    for (name, fault, spares_head) in faults() {
        for request in REQUESTS {
            let (truth, fault, what) = (Arc::clone(&truth), fault.clone(), format!("{name} at {request}"));
            runs.spawn(async move {
                let done = std::sync::atomic::AtomicBool::new(false);
                let script = move |_: usize, line: &str| {
                    let first = line.contains(request) && !done.swap(true, std::sync::atomic::Ordering::SeqCst);
                    if first { fault.clone() } else { Fault::Pass }
                };
                let proxy = FaultProxy::start(&truth.registry.host(), script).await;
                let answer = truth.ask(&client(&proxy.host), &image(&proxy.host), &what).await;
                answer.unwrap_or_else(|error| panic!("{what}: {error}"));
                let more = usize::from(!(spares_head && request == "HEAD "));
                assert_eq!(proxy.seen().len(), REQUESTS.len() + more, "{what}");
            });
        }
    }
    runs.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_lasts_is_an_error_after_three_tries() {
    let truth = Truth::start().await;
    let mut runs = JoinSet::new();
    for (name, fault, spares_head) in faults() {
        for request in REQUESTS {
            if spares_head && request == "HEAD " {
                continue;
            }
            let (truth, fault, what) = (Arc::clone(&truth), fault.clone(), format!("{name} at {request}"));
            runs.spawn(async move {
                let script =
                    move |_: usize, line: &str| if line.contains(request) { fault.clone() } else { Fault::Pass };
                let proxy = FaultProxy::start(&truth.registry.host(), script).await;
                let error = truth.ask(&client(&proxy.host), &image(&proxy.host), &what).await.unwrap_err();
                let refusal = ["408", "500", "502", "503", "504"].iter().any(|status| what.starts_with(status));
                let kind = if refusal { RegistryErrorKind::Refusal } else { RegistryErrorKind::Outage };
                assert_eq!(error.kind, kind, "{what}: {error}");
                assert_eq!(error.retry_after.is_some(), what.starts_with("429"), "{what}: {error}");
                let tries = proxy.seen().iter().filter(|line| line.contains(request)).count();
                assert!((2..=3).contains(&tries), "{what}: {tries} tries");
            });
        }
    }
    runs.join_all().await;
}

#[tokio::test]
async fn changed_bytes_are_refused() {
    let truth = Truth::start().await;
    for request in ["GET /v2/acme/web/manifests/", "/blobs/"] {
        let script = move |_: usize, line: &str| if line.contains(request) { Fault::ChangedBody } else { Fault::Pass };
        let proxy = FaultProxy::start(&truth.registry.host(), script).await;
        let error = truth.ask(&client(&proxy.host), &image(&proxy.host), request).await.unwrap_err();
        assert!(error.to_string().contains("other content"), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_ended_is_replaced_in_the_middle() {
    let truth = Truth::start().await;
    for number in 0..REQUESTS.len() {
        let script = move |n: usize, _: &str| if n == number { Fault::ExpiredToken } else { Fault::Pass };
        let proxy = FaultProxy::start(&truth.registry.host(), script).await;
        truth.ask(&client(&proxy.host), &image(&proxy.host), "expired").await.unwrap();
        assert_eq!(proxy.seen().len(), REQUESTS.len() + 1);
    }
    let proxy = FaultProxy::start(&truth.registry.host(), |_, _| Fault::ExpiredToken).await;
    let error = client(&proxy.host).tags(&image(&proxy.host)).await.unwrap_err();
    assert!(error.to_string().contains("does not accept the credential"), "{error}");
    assert_eq!(proxy.seen().len(), 2, "a refusal is no fault that passes");
}

#[tokio::test]
async fn a_host_that_is_down_is_left_alone() {
    let truth = Truth::start().await;
    let proxy = FaultProxy::start(&truth.registry.host(), |_, _| status(500)).await;
    let (client, web) = (client(&proxy.host), image(&proxy.host));
    let mut last = None;
    for _ in 0..6 {
        last = Some(client.digest(&web, &tag("1.4.0")).await.unwrap_err());
    }
    assert_eq!(proxy.seen().len(), 8);
    let error = last.unwrap();
    assert!(error.to_string().contains("8 requests in a row failed; the last: "), "{error}");
    assert!(error.to_string().contains("answered with status 500"), "{error}");
    assert_eq!(error.kind, RegistryErrorKind::Outage);
    let wait = error.retry_after.unwrap().milliseconds();
    assert!((25_000..=30_000).contains(&wait), "{wait}");
}

#[tokio::test]
async fn refusals_never_open_the_breaker() {
    let truth = Truth::start().await;
    let proxy = FaultProxy::start(&truth.registry.host(), |_, _| status(403)).await;
    let (client, web) = (client(&proxy.host), image(&proxy.host));
    for _ in 0..12 {
        client.digest(&web, &tag("1.4.0")).await.unwrap_err();
    }
    assert_eq!(proxy.seen().len(), 12);
}

#[tokio::test]
async fn a_host_that_asks_to_wait_gets_no_traffic_until_then() {
    let truth = Truth::start().await;
    for (code, headers) in [
        (429, vec![("retry-after", "7".to_owned())]),
        (
            503,
            vec![
                ("date", "Sat, 21 Nov 2026 08:00:00 GMT".to_owned()),
                ("retry-after", "Sat, 21 Nov 2026 08:00:07 GMT".to_owned()),
            ],
        ),
    ] {
        let script = move |_: usize, _: &str| Fault::Status(code, headers.clone());
        let proxy = FaultProxy::start(&truth.registry.host(), script).await;
        let (client, web) = (client(&proxy.host), image(&proxy.host));
        let first = client.tags(&web).await.unwrap_err();
        assert_eq!(first.retry_after.unwrap().milliseconds(), 7000, "{first}");
        assert_eq!(first.kind, RegistryErrorKind::Outage);
        let second = client.digest(&web, &tag("1.4.0")).await.unwrap_err();
        let wait = second.retry_after.unwrap().milliseconds();
        assert!((5000..=7000).contains(&wait), "{second}: {wait}");
        assert_eq!(second.detail, first.detail);
        assert_eq!(proxy.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_host_that_asks_to_wait_without_a_time_is_left_alone_too() {
    let truth = Truth::start().await;
    let proxy = FaultProxy::start(&truth.registry.host(), |_, _| status(429)).await;
    let (client, web) = (client(&proxy.host), image(&proxy.host));
    for _ in 0..3 {
        let error = client.digest(&web, &tag("1.4.0")).await.unwrap_err();
        let wait = error.retry_after.unwrap().milliseconds();
        assert!((3000..=5000).contains(&wait) && error.kind == RegistryErrorKind::Outage, "{error}: {wait}");
    }
    assert_eq!(proxy.seen().len(), 1);
}
