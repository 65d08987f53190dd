//! GitHub's answers as they come when things go wrong: what is sent again, what is not, and what is remembered.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::KeySize,
    signature::RsaKeyPair,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tagboat_forge::{
    TransportSettings,
    github::{AppSettings, FoundRepository, GithubApp, GithubForge},
};
use tagboat_model::{Account, CheckState, Duration, Permission, Timestamp};
use tagboat_ports::{Clock, Forge as _, ForgeErrorKind, NewPullRequest};
use tagboat_testkit::{Asked, HttpFake, response};

/// A clock that stands.
struct Stopped;

#[async_trait::async_trait]
impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }

    async fn sleep_until(&self, _: Timestamp) {
        panic!("nobody waits here");
    }
}

fn forge(server: &HttpFake) -> GithubForge {
    let (url, token) = (format!("http://{}", server.host()), SecretString::from("ghp_1"));
    GithubForge::with_token(&url, "acme/config", token, &TransportSettings::default(), Arc::new(Stopped)).unwrap()
}

fn pull() -> Value {
    json!({
        "number": 7, "node_id": "PR_7", "html_url": "https://github.example/acme/config/pull/7",
        "user": { "id": 3, "login": "tagboat[bot]", "type": "Bot" },
        "head": { "ref": "tagboat/prod", "sha": "1".repeat(40), "repo": { "id": 1 } },
        "base": { "ref": "main", "sha": "2".repeat(40), "repo": { "id": 1 } },
        "state": "open", "draft": false, "title": "Deploy", "body": "", "labels": [],
        "auto_merge": { "merge_method": "merge" }, "merged_at": null,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z",
    })
}

fn new_pull() -> NewPullRequest {
    NewPullRequest {
        head: "tagboat/prod".parse().unwrap(),
        base: "main".parse().unwrap(),
        title: "Deploy".to_owned(),
        body: String::new(),
        draft: false,
    }
}

#[tokio::test]
async fn a_pull_request_whose_answer_is_lost_is_looked_for_and_not_opened_again() {
    let server = HttpFake::start(|asked: &Asked, _| match asked.method.as_str() {
        "POST" => response(502, &[], "bad gateway"),
        _ => response(200, &[], &json!([pull()]).to_string()),
    })
    .await;
    assert_eq!(forge(&server).open_pull_request(&new_pull()).await.unwrap().number, 7);
    let asked = server.seen();
    assert_eq!(asked.iter().filter(|asked| asked.method == "POST").count(), 1);
    assert!(
        asked[1].path.starts_with("/api/v3/repos/acme/config/pulls?state=open&head=acme%3Atagboat%2Fprod&base=main")
    );
    assert!(asked.iter().all(|asked| asked.header("authorization") == "Bearer ghp_1"));
}

/// How many pages of closed pull requests are asked for when those from `old_from` on changed long ago.
async fn pages_of_closed(old_from: usize, on_a_page: usize) -> usize {
    let server = HttpFake::start(move |asked: &Asked, _| {
        if !asked.path.contains("state=closed") {
            return response(200, &[], "[]");
        }
        let page: usize = asked.path.rsplit_once("&page=").unwrap().1.parse().unwrap();
        let of = |place: usize| {
            let number = (page - 1) * 100 + place;
            let mut closed = pull();
            closed["number"] = json!(number + 1);
            closed["state"] = json!("closed");
            closed["updated_at"] =
                json!(if number < old_from { "2023-11-01T00:00:00Z" } else { "2023-10-01T00:00:00Z" });
            closed
        };
        response(200, &[], &json!((0..on_a_page).map(of).collect::<Vec<_>>()).to_string())
    })
    .await;
    let found = forge(&server).pull_requests().await.unwrap();
    let pages = server.seen().iter().filter(|asked| asked.path.contains("state=closed")).count();
    assert_eq!(found.len(), pages * on_a_page);
    pages
}

#[tokio::test]
async fn more_closed_pull_requests_are_read_only_where_many_changed_recently() {
    assert_eq!(pages_of_closed(1000, 99).await, 1, "there are no more");
    assert_eq!(pages_of_closed(99, 100).await, 1);
    assert_eq!(pages_of_closed(100, 100).await, 2);
    assert_eq!(pages_of_closed(1000, 100).await, 3, "that many, and no more");
}

#[tokio::test]
async fn one_that_is_open_already_is_taken() {
    let server = HttpFake::start(|asked: &Asked, _| match asked.method.as_str() {
        "POST" => {
            let errors = json!([{ "message": "A pull request already exists for acme:tagboat/prod." }]);
            response(422, &[], &json!({ "message": "Validation Failed", "errors": errors }).to_string())
        }
        _ => response(200, &[], &json!([pull()]).to_string()),
    })
    .await;
    assert_eq!(forge(&server).open_pull_request(&new_pull()).await.unwrap().number, 7);
}

#[tokio::test]
async fn a_read_is_tried_again_and_what_was_not_changed_is_remembered() {
    let asked_so_far = AtomicUsize::new(0);
    let server = HttpFake::start(move |asked: &Asked, _| match asked_so_far.fetch_add(1, Ordering::SeqCst) {
        0 => response(503, &[], ""),
        _ if asked.header("if-none-match") == "\"a\"" => response(304, &[], ""),
        _ => response(200, &[("etag", "\"a\"")], &pull().to_string()),
    })
    .await;
    let forge = forge(&server);
    let first = forge.pull_request(7).await.unwrap();
    assert_eq!(forge.pull_request(7).await.unwrap(), first);
    assert_eq!((first.unwrap().merging, server.seen().len()), (true, 3));
}

#[tokio::test]
async fn whoever_asks_for_a_pause_is_left_alone() {
    let server = HttpFake::start(|_: &Asked, _| {
        let words = json!({ "message": "You have exceeded a secondary rate limit." }).to_string();
        response(403, &[("retry-after", "30")], &words)
    })
    .await;
    let forge = forge(&server);
    for _ in 0..2 {
        let error = forge.pull_request(7).await.unwrap_err();
        assert_eq!((error.kind, error.retry_after), (ForgeErrorKind::Temporary, Some(Duration::from_seconds(30))));
        assert!(error.to_string().starts_with("read a pull request of acme/config: GitHub's limit"), "{error}");
    }
    assert_eq!(server.seen().len(), 1, "the second time nobody was asked");
}

#[tokio::test]
async fn a_repository_that_moved_is_followed_on_its_host_alone() {
    let server = HttpFake::start(|asked: &Asked, host| match asked.path.as_str() {
        "/api/v3/repos/acme/config/pulls/7" => {
            response(301, &[("location", &format!("http://{host}/api/v3/repositories/1/pulls/7"))], "")
        }
        "/api/v3/repositories/1/pulls/7" => response(200, &[], &pull().to_string()),
        _ => response(301, &[("location", "http://elsewhere.example/")], ""),
    })
    .await;
    let forge = forge(&server);
    assert_eq!(forge.pull_request(7).await.unwrap().unwrap().number, 7);
    let error = forge.pull_request(8).await.unwrap_err();
    assert!(error.to_string().contains("redirects to another host"), "{error}");
}

#[tokio::test]
async fn a_name_that_was_given_to_another_has_no_permission() {
    let server = HttpFake::start(|_: &Asked, _| {
        let user = json!({ "id": 9, "login": "alice", "type": "User" });
        response(200, &[], &json!({ "permission": "admin", "role_name": "admin", "user": user }).to_string())
    })
    .await;
    let forge = forge(&server);
    let alice = |id| Account { id, login: "alice".to_owned(), is_bot: false };
    assert_eq!(forge.permission(&alice(9)).await.unwrap(), Permission::Admin);
    assert_eq!(forge.permission(&alice(8)).await.unwrap(), Permission::None);
}

#[tokio::test]
async fn a_status_hides_no_check_run_of_its_name() {
    let server = HttpFake::start(|asked: &Asked, _| {
        let run = |id: u64, conclusion: &str| {
            let output = json!({ "title": null, "summary": null, "annotations_count": 0 });
            json!({ "id": id, "name": "build", "status": "completed", "conclusion": conclusion, "output": output })
        };
        let status = json!({ "context": "build", "state": "success", "description": null, "target_url": null });
        let body = match asked.path.contains("/check-runs") {
            true => json!({ "total_count": 2, "check_runs": [run(1, "failure"), run(2, "success")] }),
            false => json!({ "state": "success", "statuses": [status] }),
        };
        response(200, &[], &body.to_string())
    })
    .await;
    let checks = forge(&server).checks(&"1".repeat(40).parse().unwrap()).await.unwrap();
    let found: Vec<(&str, CheckState)> = checks.iter().map(|check| (check.name.as_str(), check.state)).collect();
    assert_eq!(found, [("build", CheckState::Failure)]);
}

/// How many commits of `acme/web` are listed, by who may see it and who may see the config repository.
async fn listed(source: &'static str, config: &'static str) -> Option<usize> {
    let server = HttpFake::start(move |asked: &Asked, host| {
        let repository = |visibility: &str| json!({ "private": visibility != "public", "visibility": visibility });
        let body = match asked.path.split('?').next().unwrap_or_default() {
            "/api/v3/repos/acme/web" => repository(source),
            "/api/v3/repos/acme/config" => repository(config),
            _ => {
                let commit = json!({ "sha": "1".repeat(40), "commit": { "message": "Mend the secret thing" } });
                json!({ "html_url": format!("http://{host}/c"), "total_commits": 1, "commits": [commit] })
            }
        };
        response(200, &[], &body.to_string())
    })
    .await;
    let source = format!("http://{}/acme/web", server.host());
    forge(&server).compare(&source, "v1", "v2").await.unwrap().map(|compared| compared.commits.len())
}

#[tokio::test]
async fn commits_of_a_private_repository_are_not_shown_to_whoever_may_not_read_it() {
    for (source, config) in [("private", "public"), ("internal", "public"), ("private", "internal")] {
        assert_eq!(listed(source, config).await, None, "{source} {config}");
    }
    for (source, config) in
        [("public", "public"), ("public", "private"), ("internal", "private"), ("private", "private")]
    {
        assert_eq!(listed(source, config).await, Some(1), "{source} {config}");
    }
}

fn key() -> SecretString {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    SecretString::from(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
}

fn repository() -> FoundRepository {
    FoundRepository {
        installation: 5,
        id: 1,
        owner: "acme".to_owned(),
        name: "config".to_owned(),
        full_name: "acme/config".to_owned(),
        default_branch: "main".to_owned(),
        clone_url: "https://github.example/acme/config.git".to_owned(),
        archived: false,
        private: true,
    }
}

/// Gives out `ghs_0`, `ghs_1`, …; the first of them is refused.
async fn server_of_tokens() -> HttpFake {
    let minted = AtomicUsize::new(0);
    HttpFake::start(move |asked: &Asked, _| match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/api/v3/app/installations/5") => {
            let permissions = json!({ "contents": "write", "metadata": "read", "workflows": "write" });
            response(200, &[], &json!({ "permissions": permissions, "suspended_at": null }).to_string())
        }
        ("POST", "/api/v3/app/installations/5/access_tokens") => {
            let token = format!("ghs_{}", minted.fetch_add(1, Ordering::SeqCst));
            let expires = Timestamp(1_700_003_600_000).to_string();
            response(201, &[], &json!({ "token": token, "expires_at": expires }).to_string())
        }
        _ if asked.header("authorization") == "Bearer ghs_0" => {
            response(401, &[], &json!({ "message": "Bad credentials" }).to_string())
        }
        _ => response(200, &[], &pull().to_string()),
    })
    .await
}

#[tokio::test]
async fn a_token_is_narrowed_fetched_once_for_all_and_again_when_it_is_refused() {
    let server = server_of_tokens().await;
    let url = format!("http://{}", server.host());
    let settings = AppSettings { app_id: 4711, private_key: key(), url, transport: TransportSettings::default() };
    let app = Arc::new(GithubApp::new(&settings, Arc::new(Stopped)).unwrap());
    assert!(app.cached_token(&repository()).is_none());
    let tokens = join_all((0..8).map(|_| async { app.token(&repository()).await.unwrap() })).await;
    assert!(tokens.iter().all(|token| token.expose_secret() == "ghs_0"));
    let bodies: Vec<Value> = server
        .seen()
        .iter()
        .filter(|asked| asked.method == "POST")
        .map(|asked| serde_json::from_str(&asked.body).unwrap())
        .collect();
    let narrowed = json!({ "permissions": { "contents": "write", "metadata": "read" }, "repositories": ["config"] });
    assert_eq!(bodies, [narrowed]);
    let forge = GithubForge::new(&app, &repository());
    assert_eq!(forge.pull_request(7).await.unwrap().unwrap().number, 7);
    assert_eq!(app.cached_token(&repository()).unwrap().expose_secret(), "ghs_1");
    let password = app.git_password(&repository(), tokio::runtime::Handle::current());
    assert_eq!(password().unwrap().expose_secret(), "ghs_1");
}
