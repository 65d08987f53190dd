//! The fake GitHub, driven as a client drives GitHub: it cannot lie, and it does what GitHub does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tagboat_testkit::github::{FakeGithub, Protection, RepositorySetup, Setup, Verdict};

const CONFIG: &str = "acme/config";

/// Status, headers and body.
type Answered = (StatusCode, HeaderMap, Value);

fn world() -> Setup {
    let config = RepositorySetup::new(CONFIG).file("app.yaml", "image: app:1\n").role("alice", "write");
    Setup::new().person("alice").repository(config).repository(RepositorySetup::new("acme/other"))
}

async fn send(url: &str, method: Method, authorization: &str, body: Option<Value>) -> Answered {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method, url).header("authorization", format!("Bearer {authorization}"));
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    (status, headers, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// A token of the installation, narrowed by the body.
async fn token(fake: &FakeGithub, body: Option<Value>) -> String {
    let url = format!("{}/app/installations/{}/access_tokens", fake.api_url(), fake.installation("acme"));
    let (status, _, answer) = send(&url, Method::POST, &fake.app_token(), body).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    answer["token"].as_str().unwrap().to_owned()
}

async fn get(fake: &FakeGithub, token: &str, path: &str) -> (StatusCode, Value) {
    let (status, _, body) = send(&format!("{}{path}", fake.api_url()), Method::GET, token, None).await;
    (status, body)
}

async fn call(fake: &FakeGithub, token: &str, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let (status, _, body) = send(&format!("{}{path}", fake.api_url()), method, token, Some(body)).await;
    (status, body)
}

async fn graphql(fake: &FakeGithub, token: &str, query: &str, input: Value) -> Value {
    let mut body = json!({ "query": query, "variables": {} });
    body["variables"]["input"] = input;
    send(&format!("{}/api/graphql", fake.url()), Method::POST, token, Some(body)).await.2
}

#[tokio::test]
async fn a_pull_request_lives_and_everything_is_as_github_describes_it() {
    let fake = FakeGithub::start(&world());
    let token = token(&fake, None).await;
    let head = fake.person("alice").push(CONFIG, "topic", "Change", &[("app.yaml", Some("image: app:2\n"))]);
    let new = json!({ "title": "Move app", "head": "topic", "base": "main", "body": "- [ ] now" });
    let (status, pull) = call(&fake, &token, Method::POST, "/repos/acme/config/pulls", new.clone()).await;
    assert_eq!((status, &pull["head"]["sha"]), (StatusCode::CREATED, &json!(head)), "{pull}");
    let (status, again) = call(&fake, &token, Method::POST, "/repos/acme/config/pulls", new).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(again["errors"][0]["message"], "A pull request already exists for acme:topic.");

    let labels = json!({ "labels": ["tagboat"] });
    call(&fake, &token, Method::POST, "/repos/acme/config/issues/1/labels", labels).await;
    let (status, _) =
        call(&fake, &token, Method::POST, "/repos/acme/config/issues/1/comments", json!({ "body": "x" })).await;
    assert_eq!(status, StatusCode::CREATED);
    fake.person("alice").tick(CONFIG, 1, "now");
    fake.person("alice").review(CONFIG, 1, Verdict::Approve, "good");
    assert_eq!(fake.pull(CONFIG, 1)["body"], "- [x] now");
    let state = json!({ "state": "success", "context": "rollout" });
    call(&fake, &token, Method::POST, &format!("/repos/acme/config/statuses/{head}"), state).await;
    let run = json!({ "name": "check", "head_sha": head, "status": "completed", "conclusion": "success" });
    let (status, _) = call(&fake, &token, Method::POST, "/repos/acme/config/check-runs", run).await;
    assert_eq!(status, StatusCode::CREATED);
    for path in ["", "/pulls?state=open&head=acme:topic", "/pulls/1", "/pulls/1/commits", "/pulls/1/reviews", "/issues"]
    {
        assert_eq!(get(&fake, &token, &format!("/repos/acme/config{path}")).await.0, StatusCode::OK, "{path}");
    }
    for path in [
        "commits/topic",
        "commits/topic/status",
        "commits/topic/check-runs",
        "compare/main...topic",
        "branches/main",
        "contents/app.yaml",
        "git/ref/heads/topic",
        "git/matching-refs/heads/",
        "milestones",
        "collaborators/alice/permission",
    ] {
        let (status, body) = get(&fake, &token, &format!("/repos/acme/config/{path}")).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
    }

    let stale = json!({ "sha": "0".repeat(40) });
    let (status, _) = call(&fake, &token, Method::PUT, "/repos/acme/config/pulls/1/merge", stale).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let merge = json!({ "sha": head, "merge_method": "squash" });
    let (status, merged) = call(&fake, &token, Method::PUT, "/repos/acme/config/pulls/1/merge", merge).await;
    assert_eq!((status, &merged["merged"]), (StatusCode::OK, &json!(true)));
    assert_eq!(fake.file(CONFIG, "main", "app.yaml").unwrap(), "image: app:2\n");
    assert_eq!(fake.pull(CONFIG, 1)["merged"], true);
    fake.finish();
}

#[tokio::test]
async fn the_app_sees_its_installations_and_accounts() {
    let fake = FakeGithub::start(&world());
    let own = fake.app_token();
    for path in ["/app", "/app/installations", "/repos/acme/config/installation", "/app/hook/deliveries"] {
        let (status, body) = get(&fake, &own, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
    }
    assert_eq!(get(&fake, &fake.app_token_of_stranger(), "/app").await.0, StatusCode::UNAUTHORIZED);
    let token = token(&fake, None).await;
    for path in ["/installation/repositories", "/users/alice", "/rate_limit"] {
        assert_eq!(get(&fake, &token, path).await.0, StatusCode::OK, "{path}");
    }
    fake.expire_tokens();
    assert_eq!(get(&fake, &token, "/repos/acme/config").await.0, StatusCode::UNAUTHORIZED);
    fake.finish();
}

#[tokio::test]
async fn an_answer_that_github_would_not_give_is_caught() {
    let fake = FakeGithub::start(&world());
    let token = token(&fake, None).await;
    fake.tamper(|body| body["full_name"] = json!(7));
    get(&fake, &token, "/repos/acme/config").await;
    let failures = fake.take_failures();
    assert!(failures.len() == 1 && failures[0].contains("full_name"), "{failures:?}");
    fake.finish();
}

#[tokio::test]
async fn a_request_that_github_does_not_describe_is_caught() {
    let fake = FakeGithub::start(&world());
    let token = token(&fake, None).await;
    call(&fake, &token, Method::POST, "/repos/acme/config/issues", json!({ "title": "t", "bodi": "x" })).await;
    assert!(fake.take_failures()[0].contains("bodi"));
    get(&fake, &token, "/repos/acme/config/pulls?stat=open").await;
    assert!(fake.take_failures()[0].contains("stat"));
    get(&fake, &token, "/repos/acme/config/unheard").await;
    assert_eq!(fake.take_failures().len(), 1);
    let unknown =
        graphql(&fake, &token, "mutation($input: UpdateRefsInput!){updateRefs(input:$input){refs}}", json!({})).await;
    assert!(unknown["errors"].is_array() && !fake.take_failures().is_empty());
    fake.finish();
}

#[tokio::test]
#[should_panic(expected = "not as GitHub describes it")]
async fn the_end_of_the_value_fails_when_something_was_not_as_described() {
    let fake = FakeGithub::start(&world());
    let token = token(&fake, None).await;
    get(&fake, &token, "/unheard").await;
}

#[tokio::test]
async fn limits_failures_and_unchanged_answers_are_as_at_github() {
    let fake = FakeGithub::start(&world());
    let token = token(&fake, None).await;
    let url = format!("{}/repos/acme/config", fake.api_url());
    fake.set_rate_limit(Some(1));
    let (status, headers, _) = send(&url, Method::GET, &token, None).await;
    assert_eq!((status, headers["x-ratelimit-remaining"].to_str().unwrap()), (StatusCode::OK, "0"));
    assert_eq!(get(&fake, &token, "/repos/acme/config").await.0, StatusCode::FORBIDDEN);
    fake.set_rate_limit(None);
    fake.secondary_limit(429, 7, 1);
    let (status, headers, _) = send(&url, Method::GET, &token, None).await;
    assert_eq!((status.as_u16(), headers["retry-after"].to_str().unwrap()), (429, "7"));
    fake.break_down(502, 1);
    assert_eq!(get(&fake, &token, "/repos/acme/config").await.0, StatusCode::BAD_GATEWAY);

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = || client.get(&url).header("authorization", format!("Bearer {token}"));
    let first = asked().send().await.unwrap();
    let again = asked().header("if-none-match", &first.headers()["etag"]).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(again.headers()["x-ratelimit-remaining"], first.headers()["x-ratelimit-remaining"]);

    fake.lose_answers(1);
    let comment = client.post(format!("{url}/issues")).header("authorization", format!("Bearer {token}"));
    assert!(comment.body(json!({ "title": "t" }).to_string()).send().await.is_err());
    assert_eq!(fake.issue(CONFIG, 1)["title"], "t");
    fake.list_lag(Duration::from_secs(3600));
    assert_eq!(get(&fake, &token, "/repos/acme/config/issues").await.1, json!([]));
    fake.finish();
}

#[tokio::test]
async fn a_narrowed_token_reaches_nothing_else() {
    let fake = FakeGithub::start(&world());
    let narrow = json!({ "repositories": ["config"], "permissions": { "contents": "read" } });
    let token = token(&fake, Some(narrow)).await;
    assert_eq!(get(&fake, &token, "/repos/acme/config/branches/main").await.0, StatusCode::OK);
    assert_eq!(get(&fake, &token, "/repos/acme/other").await.0, StatusCode::NOT_FOUND);
    let blob = json!({ "content": "x" });
    let (status, body) = call(&fake, &token, Method::POST, "/repos/acme/config/git/blobs", blob).await;
    assert_eq!((status, &body["message"]), (StatusCode::FORBIDDEN, &json!("Resource not accessible by integration")));
    fake.finish();
}

#[tokio::test]
async fn a_commit_on_a_head_that_moved_is_refused_as_stale() {
    let fake = FakeGithub::start(&world());
    let token = token(&fake, None).await;
    let query = "mutation($input: CreateCommitOnBranchInput!){createCommitOnBranch(input:$input){commit{oid url}}}";
    let input = |expected: String| {
        json!({
            "branch": { "repositoryNameWithOwner": CONFIG, "branchName": "main" }, "message": { "headline": "Move" },
            "expectedHeadOid": expected,
            "fileChanges": { "additions": [{ "path": "app.yaml", "contents": STANDARD.encode("image: app:3\n") }] },
        })
    };
    let before = fake.head(CONFIG, "main").unwrap();
    let made = graphql(&fake, &token, query, input(before.clone())).await;
    let commit = &made["data"]["createCommitOnBranch"]["commit"];
    assert_eq!(commit["oid"].as_str(), fake.head(CONFIG, "main").as_deref(), "{made}");
    assert_eq!(commit.as_object().unwrap().len(), 2);
    let stale = graphql(&fake, &token, query, input(before)).await;
    assert_eq!(stale["errors"][0]["type"], "STALE_DATA");
    fake.finish();
}

#[tokio::test]
async fn references_move_all_or_none_and_only_from_where_they_should_be() {
    let fake = FakeGithub::start(&world());
    let token = token(&fake, None).await;
    let (_, repository) = get(&fake, &token, "/repos/acme/config").await;
    let topic = fake.person("alice").push(CONFIG, "topic", "Change", &[("app.yaml", Some("image: app:2\n"))]);
    let main = fake.head(CONFIG, "main").unwrap();
    let query = "mutation($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }";
    let update = |before: &str| {
        let first = json!({ "name": "refs/heads/new", "afterOid": topic, "beforeOid": "0".repeat(40) });
        let second = json!({ "name": "refs/heads/main", "afterOid": topic, "beforeOid": before });
        json!({ "repositoryId": repository["node_id"], "refUpdates": [first, second] })
    };
    let refused = graphql(&fake, &token, query, update(&topic)).await;
    assert!(refused["errors"].is_array());
    assert_eq!(fake.head(CONFIG, "new"), None);
    let done = graphql(&fake, &token, query, update(&main)).await;
    assert_eq!(done["errors"], Value::Null, "{done}");
    assert_eq!((fake.head(CONFIG, "new"), fake.head(CONFIG, "main")), (Some(topic.clone()), Some(topic.clone())));
    fake.finish();
}

#[tokio::test]
async fn a_pull_request_with_nothing_left_is_closed() {
    let fake = FakeGithub::start(&world());
    let alice = fake.person("alice");
    alice.push(CONFIG, "topic", "Change", &[("app.yaml", Some("image: app:2\n"))]);
    let number = alice.open_pull(CONFIG, "Move", "topic", "main").unwrap();
    alice.set_branch(CONFIG, "topic", &fake.head(CONFIG, "main").unwrap());
    assert_eq!(fake.pull(CONFIG, number)["state"], "closed");
    assert_eq!(fake.pull(CONFIG, number)["merged"], false);
    alice.push(CONFIG, "second", "Change", &[("app.yaml", Some("image: app:3\n"))]);
    let number = alice.open_pull(CONFIG, "Move", "second", "main").unwrap();
    alice.delete_branch(CONFIG, "second");
    assert_eq!(fake.pull(CONFIG, number)["state"], "closed");
    fake.finish();
}

#[tokio::test]
async fn a_wish_to_merge_waits_for_checks_and_approvals() {
    let rules = Protection {
        refuses_pushes: true,
        required_checks: vec!["ci".to_owned()],
        required_approvals: 1,
        dismiss_stale: true,
    };
    let mut config = RepositorySetup::new(CONFIG).role("alice", "write").protected("main", rules);
    config.allow_auto_merge = true;
    config.delete_branch_on_merge = true;
    let fake = FakeGithub::start(&Setup::new().person("alice").repository(config));
    let token = token(&fake, None).await;
    let alice = fake.person("alice");
    let head = alice.push(CONFIG, "topic", "Change", &[("a", Some("1\n"))]);
    let number = alice.open_pull(CONFIG, "Move", "topic", "main").unwrap();
    assert!(alice.merge(CONFIG, number, "merge").unwrap_err().contains("approving review"));
    let query =
        "query($n: Int!){repository(owner:\"acme\",name:\"config\"){pullRequest(number:$n){id reviewDecision}}}";
    let body = json!({ "query": query, "variables": { "n": number } });
    let (_, _, found) = send(&format!("{}/graphql", fake.url()), Method::POST, &token, Some(body)).await;
    let pull = &found["data"]["repository"]["pullRequest"];
    assert_eq!(pull["reviewDecision"], "REVIEW_REQUIRED", "{found}");
    let query = "mutation($input: EnablePullRequestAutoMergeInput!){enablePullRequestAutoMerge(input:$input)\
                 {pullRequest{autoMergeRequest{enabledAt}}}}";
    let wished = graphql(&fake, &token, query, json!({ "pullRequestId": pull["id"], "mergeMethod": "SQUASH" })).await;
    assert_eq!(wished["errors"], Value::Null, "{wished}");
    alice.set_status(CONFIG, &head, "ci", "success");
    assert_eq!(fake.open_pulls(CONFIG), [number]);
    alice.review(CONFIG, number, Verdict::Approve, "");
    assert_eq!(fake.pull(CONFIG, number)["merged"], true);
    assert_eq!(fake.head(CONFIG, "topic"), None);
    fake.finish();
}
