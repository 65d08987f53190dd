//! What forges with a plain REST interface may answer beside answers: trouble, limits, redirects, pages.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::sync::Arc;

use secrecy::SecretString;
use tagboat_forge::{
    TransportSettings,
    gitlab::{GitlabForge, TokenSettings},
};
use tagboat_model::{Duration, Timestamp};
use tagboat_ports::{Clock, Forge as _, ForgeErrorKind};
use tagboat_testkit::{Asked, HttpFake, response};

struct Frozen;

#[async_trait::async_trait]
impl Clock for Frozen {
    fn now(&self) -> Timestamp {
        Timestamp(1_790_000_000_000)
    }

    async fn sleep_until(&self, _point: Timestamp) {}
}

fn forge(fake: &HttpFake) -> GitlabForge {
    let settings = TokenSettings {
        url: format!("http://{}", fake.host()),
        api: None,
        repository: "acme/config".to_owned(),
        token: SecretString::from("token"),
        name: "config".to_owned(),
    };
    GitlabForge::new(&settings, &TransportSettings::default(), Arc::new(Frozen)).unwrap()
}

#[tokio::test]
async fn what_reads_is_tried_again_and_what_may_have_happened_is_not() {
    let fake = HttpFake::start(|_, _| response(502, &[], "<html>")).await;
    let forge = forge(&fake);
    assert_eq!(forge.bot().await.unwrap_err().kind, ForgeErrorKind::Temporary);
    assert_eq!(fake.count("/api/v4/user"), 3);
    let error = forge.write_issue(None, "Deployments", "text", &[]).await.unwrap_err();
    assert_eq!(error.kind, ForgeErrorKind::Temporary);
    assert_eq!(fake.count("/api/v4/projects/acme%2Fconfig/issues"), 1);
    assert!(forge.write_issue(Some(7), "Deployments", "text", &[]).await.is_err());
    assert_eq!(fake.count("/api/v4/projects/acme%2Fconfig/issues/7"), 3, "a second time changes nothing");
}

#[tokio::test]
async fn a_forge_that_asks_for_a_pause_gets_it() {
    let fake = HttpFake::start(|_, _| response(429, &[("retry-after", "7")], "{}")).await;
    let forge = forge(&fake);
    for _ in 0..2 {
        let error = forge.bot().await.unwrap_err();
        assert_eq!((error.kind, error.retry_after), (ForgeErrorKind::Temporary, Some(Duration::from_seconds(7))));
    }
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn a_token_does_not_go_to_another_host() {
    let other = HttpFake::start(|_, _| response(200, &[], "{}")).await;
    let elsewhere = format!("http://{}/api/v4/user", other.host());
    let fake = HttpFake::start(move |_, _| response(302, &[("location", &elsewhere)], "")).await;
    let error = forge(&fake).bot().await.unwrap_err();
    assert_eq!(error.kind, ForgeErrorKind::Permanent);
    assert!(error.detail.contains("redirects to another host"), "{error}");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn what_was_moved_is_read_where_it_is_now() {
    let answer = |asked: &Asked, _: &str| match asked.path.as_str() {
        "/api/v4/user" => response(301, &[("location", "/api/v4/moved")], ""),
        _ => response(200, &[], r#"{"id":3,"username":"project_1_bot_a"}"#),
    };
    let fake = HttpFake::start(answer).await;
    assert_eq!(forge(&fake).bot().await.unwrap().id, 3);
    assert_eq!(fake.paths_with_credentials(), ["/api/v4/user", "/api/v4/moved"]);
}

#[tokio::test]
async fn all_pages_of_a_listing_are_read() {
    let answer = |asked: &Asked, _: &str| {
        let (path, relation) =
            if asked.path.contains("&page=1") { ("first.yaml", "next") } else { ("second.yaml", "prev") };
        let body = format!(r#"[{{"old_path":"{path}","new_path":"{path}"}}]"#);
        let link = format!("<http://forge.example/?page=9>; rel=\"{relation}\"");
        response(200, &[("link", &link), ("etag", "\"1\"")], &body)
    };
    let fake = HttpFake::start(answer).await;
    assert_eq!(forge(&fake).changed_paths(7).await.unwrap(), ["first.yaml", "second.yaml"]);
    assert_eq!(fake.seen().len(), 2);
    assert!(fake.seen().iter().all(|asked| asked.header("authorization") == "Bearer token"));
}

#[tokio::test]
async fn an_answer_that_is_kept_is_asked_for_by_its_tag() {
    let answer = |asked: &Asked, _: &str| match asked.header("if-none-match") {
        "\"1\"" => response(304, &[], ""),
        _ => response(200, &[("etag", "\"1\"")], "[]"),
    };
    let fake = HttpFake::start(answer).await;
    let forge = forge(&fake);
    for _ in 0..2 {
        assert!(forge.changed_paths(7).await.unwrap().is_empty());
    }
    let tags: Vec<String> = fake.seen().iter().map(|asked| asked.header("if-none-match").to_owned()).collect();
    assert_eq!(tags, ["", "\"1\""]);
}
