//! Lists of tags: long, endless, cyclic, unchanged since the last time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tagboat_model::{ImageName, Tag};
use tagboat_ports::Registry as _;
use tagboat_registry::{OciRegistries, RegistrySettings};
use tagboat_testkit::{DockerRegistry, Fault, FaultProxy, HttpFake, response};

fn client(host: &str) -> OciRegistries {
    OciRegistries::new(BTreeMap::from([(host.to_owned(), RegistrySettings::default())])).unwrap()
}

fn image(host: &str) -> ImageName {
    format!("{host}/acme/web").parse().unwrap()
}

#[tokio::test]
async fn ten_thousand_tags_come_back_exactly() {
    let registry = DockerRegistry::start(None);
    let digest = registry.push_image("acme/web", "1.0.0", "commit").await;
    registry.copy_tag("acme/web", "1.0.0", (1..10_000).map(|n| format!("1.0.{n}")));
    let mut wanted: Vec<Tag> = (0..10_000).map(|n| format!("1.0.{n}").parse().unwrap()).collect();
    wanted.sort();
    // The registry itself sends all at once; most others make pages.
    for (fault, requests) in [(Fault::Pass, 1), (Fault::Paged, 10)] {
        let proxy = FaultProxy::start(&registry.host(), move |_, _| fault.clone()).await;
        let tags = client(&proxy.host).tags(&image(&proxy.host)).await.unwrap();
        assert_eq!((tags.len(), tags == wanted), (10_000, true));
        assert_eq!(proxy.seen().len(), requests);
    }
    let described = client(&registry.host()).describe(&image(&registry.host()), &wanted[9999]).await.unwrap();
    assert_eq!(described.unwrap().digest.as_str(), digest);
}

#[tokio::test]
async fn an_error_in_the_middle_is_an_error() {
    let registry = DockerRegistry::start(None);
    registry.push_image("acme/web", "1.0.0", "commit").await;
    registry.copy_tag("acme/web", "1.0.0", (1..3000).map(|n| format!("1.0.{n}")));
    for lasting in [Fault::Status(500, Vec::new()), Fault::Status(404, Vec::new()), Fault::TruncatedBody] {
        let second = move |_: usize, line: &str| if line.contains("last=") { lasting.clone() } else { Fault::Paged };
        let proxy = FaultProxy::start(&registry.host(), second).await;
        client(&proxy.host).tags(&image(&proxy.host)).await.unwrap_err();
    }
}

#[tokio::test]
async fn lists_that_lead_nowhere_end() {
    for (fault, most, words) in [
        (Fault::CyclicPages, 4, "leads back to a page that was read already"),
        (Fault::EndlessPages, 60, "the list of tags does not end"),
    ] {
        // Nothing is passed on.
        let proxy = FaultProxy::start("127.0.0.1:1", move |_, _| fault.clone()).await;
        let error = client(&proxy.host).tags(&image(&proxy.host)).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(proxy.seen().len() <= most, "{}", proxy.seen().len());
    }
}

#[tokio::test]
async fn tags_on_two_pages_are_one_tag() {
    let fake = HttpFake::start(|asked, _| match asked.path.contains("last=b") {
        false => response(200, &[("link", "</x?last=b>; rel=\"next\"")], r#"{"tags":["a","b"]}"#),
        true => response(200, &[], r#"{"tags":["b","c"]}"#),
    })
    .await;
    let tags: Vec<String> =
        client(fake.host()).tags(&image(fake.host())).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_page_that_did_not_change_is_not_sent_again() {
    let version = Arc::new(AtomicU32::new(1));
    let unchanged = Arc::new(AtomicU32::new(0));
    let (now, count) = (Arc::clone(&version), Arc::clone(&unchanged));
    let fake = HttpFake::start(move |asked, _| {
        let first = !asked.path.contains("last=");
        let number = if first { 1 } else { now.load(Ordering::SeqCst) };
        let etag = format!("\"{}-{number}\"", if asked.path.contains("acme/web") { "web" } else { "other" });
        let mut sent = vec![("etag", etag.as_str())];
        if first {
            sent.push(("link", "</x?last=b>; rel=\"next\""));
        }
        if asked.headers.get("if-none-match").is_some_and(|known| known == etag.as_str()) {
            count.fetch_add(1, Ordering::SeqCst);
            return response(304, &sent, "");
        }
        response(
            200,
            &sent,
            &format!(r#"{{"tags":["{}"]}}"#, if first { "a\",\"no tag".to_owned() } else { format!("b{number}") }),
        )
    })
    .await;
    let (client, web) = (client(fake.host()), image(fake.host()));
    let list =
        async |image: &ImageName| client.tags(image).await.unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(list(&web).await, ["a", "b1"]);
    assert_eq!(list(&web).await, ["a", "b1"], "from 304 and what was kept");
    version.store(2, Ordering::SeqCst);
    assert_eq!(list(&web).await, ["a", "b2"]);
    let other: ImageName = format!("{}/acme/other", fake.host()).parse().unwrap();
    assert_eq!(list(&other).await, ["a", "b2"]);
    assert_eq!((fake.paths().len(), unchanged.load(Ordering::SeqCst)), (8, 3));
}

#[tokio::test]
async fn an_unasked_304_is_no_list() {
    let fake = HttpFake::start(|_, _| response(304, &[("etag", "\"x\"")], "")).await;
    let error = client(fake.host()).tags(&image(fake.host())).await.unwrap_err();
    assert!(error.to_string().contains("answered with status 304"), "{error}");
}

/// `count` tags from `t<from>` on, as a page.
fn tags(from: usize, count: usize) -> String {
    let tags: Vec<String> = (from..from + count).map(|number| format!("\"t{number}\"")).collect();
    format!(r#"{{"tags":[{}]}}"#, tags.join(","))
}

#[tokio::test]
async fn a_list_that_grows_behind_a_page_that_did_not_change_is_complete() {
    // The `ETag` is that of the tags on the page, and not every 304 repeats the `Link`.
    for (first, repeats) in [(1000, false), (1000, true), (3, true)] {
        let grown = Arc::new(AtomicU32::new(0));
        let now = Arc::clone(&grown);
        let fake = HttpFake::start(move |asked, _| {
            if asked.path.contains("last=") {
                return response(200, &[], &tags(first, 2));
            }
            let is_known = asked.header("if-none-match") == "\"1\"";
            let mut sent = vec![("etag", "\"1\"")];
            if now.load(Ordering::SeqCst) > 0 && (repeats || !is_known) {
                sent.push(("link", "</x?last=b>; rel=\"next\""));
            }
            if is_known { response(304, &sent, "") } else { response(200, &sent, &tags(0, first)) }
        })
        .await;
        let (client, web) = (client(fake.host()), image(fake.host()));
        assert_eq!(client.tags(&web).await.unwrap().len(), first);
        grown.store(1, Ordering::SeqCst);
        assert_eq!(client.tags(&web).await.unwrap().len(), first + 2, "{first} {repeats}");
    }
}

#[tokio::test]
async fn a_list_that_failed_is_read_afresh() {
    let step = Arc::new(AtomicU32::new(0));
    let now = Arc::clone(&step);
    let fake = HttpFake::start(move |asked, _| match (asked.path.contains("last="), now.load(Ordering::SeqCst)) {
        (true, 1) => response(400, &[], ""),
        (true, _) => response(200, &[], r#"{"tags":["b"]}"#),
        (false, _) if asked.header("if-none-match") == "\"1\"" => response(304, &[("etag", "\"1\"")], ""),
        (false, _) => response(200, &[("etag", "\"1\""), ("link", "</x?last=a>; rel=\"next\"")], r#"{"tags":["a"]}"#),
    })
    .await;
    let (client, web) = (client(fake.host()), image(fake.host()));
    client.tags(&web).await.unwrap();
    step.store(1, Ordering::SeqCst);
    client.tags(&web).await.unwrap_err();
    step.store(2, Ordering::SeqCst);
    assert_eq!(client.tags(&web).await.unwrap().len(), 2);
    let asked_with: Vec<bool> = fake.seen().iter().map(|asked| asked.headers.contains_key("if-none-match")).collect();
    assert_eq!(asked_with, [false, false, true, false, false, false]);
}
