//! Tokens that pass, and what they tell. The claims are those of real tokens of each provider, with names changed.

use serde_json::{Value, json};
use tagboat_intake::{Accepted, Denied, Provider, Refused, TokenRule, claim_name};
use tagboat_model::{Event, ImagePushed, Trust};

use crate::issuer::{
    AUDIENCE, ISSUER, NOW, WORLD, claim_rule, claims, elliptic_header, key_set, keys_of, present, present_to,
    rsa_header, rule, signed, with, without,
};

fn pushed(accepted: &Accepted) -> &ImagePushed {
    match accepted.events.as_slice() {
        [Event::ImagePushed(pushed)] => pushed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_right_token_passes_whatever_stands_beside() {
    let mut header = rsa_header();
    for (name, value) in [("jku", "https://evil.example/jwks"), ("x5u", "https://evil.example/x"), ("typ", "at+jwt")] {
        header[name] = json!(value);
    }
    header["jwk"] = WORLD.strange_rsa.published("rsa-1");
    header["x5c"] = json!(["AAAA"]);
    for (name, token) in [
        ("RS256", signed(&claims())),
        ("ES256", WORLD.elliptic.token(&elliptic_header(), &claims())),
        ("keys in the header that count for nothing", WORLD.rsa.token(&header, &claims())),
        ("two audiences", signed(&with("aud", json!(["other", AUDIENCE])))),
        ("one audience as a list", signed(&with("aud", json!([AUDIENCE])))),
        ("the second of our audiences", signed(&with("aud", json!("https://tagboat.example")))),
        ("no nbf", signed(&without("nbf"))),
        ("no sub", signed(&without("sub"))),
        ("over for 9 s", signed(&with("exp", json!(NOW - 9)))),
        ("begins in 60 s", signed(&with("nbf", json!(NOW + 60)))),
        ("issued in 60 s", signed(&with("iat", json!(NOW + 60)))),
        ("lives for 25 h", signed(&with("exp", json!(NOW - 10 + 25 * 3600)))),
        ("a fraction of a second", signed(&with("iat", json!(NOW as f64 - 9.5)))),
        ("the second pattern", signed(&with("repository", json!("acme/api-x")))),
        ("a tag", signed(&with("ref", json!("refs/tags/v1/5")))),
        ("a claim of objects", signed(&with("kubernetes.io", json!({ "a": { "a": [1] }, "b": null })))),
    ] {
        let accepted = present(&token).expect(name);
        assert_eq!((accepted.trust, accepted.events.len()), (Trust::Signed, 1), "{name}");
    }
}

#[test]
fn the_bounds_of_time_are_those_of_the_request() {
    assert!(present(&signed(&ended(59))).is_ok());
    assert!(present(&signed(&ended(60))).is_err());
}

/// Claims that ended this long ago.
fn ended(ago: i64) -> Value {
    let mut claims = with("iat", json!(NOW - 400));
    claims["nbf"] = json!(NOW - 400);
    claims["exp"] = json!(NOW - ago);
    claims
}

#[test]
fn what_a_token_says_of_the_build_goes_with_the_event() {
    let accepted = present(&signed(&claims())).unwrap();
    let source = pushed(&accepted).source.as_ref().unwrap();
    let value = |name: &str| source.claims.get(name).map(String::as_str);
    assert_eq!(
        [value("repository"), value("run"), value("protected"), value("jti")],
        [Some("acme/web"), Some("17"), Some("true"), Some("17")]
    );
}

#[test]
fn nobody_uses_up_the_keys_of_another_job() {
    let key = |claims: &Value| present(&signed(claims)).unwrap().key;
    let own = key(&claims());
    assert_eq!(own, key(&with("run_number", json!("18"))), "another run of the same job");
    assert_eq!(own, key(&with("jti", json!("another"))), "another token");
    for (claim, other) in [
        ("sub", "repo:acme/web:pull_request"),
        ("repository", "acme/api-x"),
        ("ref", "refs/tags/1"),
        ("workflow", "another"),
        ("environment", "another"),
    ] {
        assert_ne!(own, key(&with(claim, json!(other))), "{claim}");
    }
}

/// What is told of a token with these claims: repository, revision, run, actor.
fn told(provider: Provider, own: &Value, rules: &[(&str, &str)]) -> [Option<String>; 4] {
    let issuer = provider.issuer().unwrap_or(ISSUER).to_owned();
    let keys = keys_of(&issuer, &key_set());
    let mut claims = json!({ "iss": issuer, "aud": AUDIENCE, "iat": NOW - 10, "exp": NOW + 290 });
    for (name, value) in own.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let rules = rules.iter().map(|(word, pattern)| claim_rule(&claim_name(provider, word), &[*pattern])).collect();
    let rule = TokenRule { provider, issuer, claims: rules, ..rule() };
    let accepted = present_to(&rule, &keys, &signed(&claims)).unwrap_or_else(|denied| panic!("{provider}: {denied}"));
    let pushed = pushed(&accepted);
    let source = pushed.source.clone().unwrap();
    [source.repository, source.revision, source.run, pushed.actor.clone()]
}

fn texts(texts: [&str; 4]) -> [Option<String>; 4] {
    texts.map(|text| Some(text).filter(|text| !text.is_empty()).map(str::to_owned))
}

#[test]
fn github_and_gitlab_tell_repository_revision_run_and_actor() {
    let github = json!({
        "sub": "repo:acme/web:environment:production", "repository": "acme/web", "repository_id": "74",
        "repository_owner": "acme", "ref": "refs/heads/main", "sha": "9f3182061f1e2cca4702c368cbc039b7dc9d4485",
        "run_id": "8123", "run_number": "10", "run_attempt": "2", "actor": "octocat", "workflow": "release",
        "environment": "production", "head_ref": "", "event_name": "push",
        "job_workflow_ref": "acme/web/.github/workflows/release.yml@refs/heads/main",
    });
    let rules = [
        ("repository", "acme/web"),
        ("ref", "refs/heads/main"),
        ("environment", "production"),
        ("workflow", "acme/web/.github/workflows/release.yml@refs/heads/*"),
    ];
    let expected = texts(["acme/web", "9f3182061f1e2cca4702c368cbc039b7dc9d4485", "10", "octocat"]);
    assert_eq!(told(Provider::GithubActions, &github, &rules), expected);
    let gitlab = json!({
        "sub": "project_path:acme/shop/web:ref_type:branch:ref:main", "project_path": "acme/shop/web",
        "project_id": "28", "namespace_path": "acme/shop", "pipeline_id": "1519139981", "job_id": "1123", "ref": "main",
        "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true", "runner_id": 12_270_835,
        "sha": "8fe1b322a576d59fe6257052a4107df7dc1b8c78", "user_login": "erika", "groups_direct": ["acme"],
        "ci_config_ref_uri": "gitlab.com/acme/shop/web//.gitlab-ci.yml@refs/heads/main",
    });
    let rules = [
        ("repository", "acme/shop/web"),
        ("ref", "refs/heads/main"),
        ("workflow", "gitlab.com/acme/shop/web//.gitlab-ci.yml@refs/heads/main"),
        ("ref_protected", "true"),
    ];
    let expected = texts(["acme/shop/web", "8fe1b322a576d59fe6257052a4107df7dc1b8c78", "1519139981", "erika"]);
    assert_eq!(told(Provider::Gitlab, &gitlab, &rules), expected);
}

#[test]
fn other_ci_tells_what_it_has() {
    let buildkite = json!({
        "sub": "organization:acme:pipeline:web:ref:refs/heads/main:commit:b5ffe3ae:step:", "organization_slug": "acme",
        "pipeline_slug": "web", "build_number": 5, "build_branch": "main", "build_tag": null, "build_commit": "b5ffe3ae",
        "step_key": null, "build_source": "ui",
    });
    let rules = [("organization_slug", "acme"), ("repository", "web"), ("ref", "main")];
    assert_eq!(told(Provider::Buildkite, &buildkite, &rules), texts(["acme/web", "b5ffe3ae", "5", ""]));
    let circleci = json!({
        "sub": "org/1/project/2/user/3/vcs-origin/github.com/acme/web/vcs-ref/refs/heads/main",
        "oidc.circleci.com/project-id": "2", "oidc.circleci.com/vcs-origin": "github.com/acme/web",
        "oidc.circleci.com/vcs-ref": "refs/heads/main", "oidc.circleci.com/context-ids": ["4"],
        "oidc.circleci.com/ssh-rerun": false,
    });
    let rules = [("repository", "github.com/acme/web"), ("ref", "refs/heads/main")];
    assert_eq!(told(Provider::Circleci, &circleci, &rules), texts(["github.com/acme/web", "", "", ""]));
    let azure = json!({
        "sub": "p://acme/shop/web", "def_id": "1", "rpo_id": "acme/web", "rpo_uri": "https://github.com/acme/web.git",
        "rpo_ver": "c291ea71", "rpo_ref": "refs/heads/main", "run_id": "5",
    });
    let rules = [("repository", "https://github.com/acme/web.git"), ("ref", "refs/heads/main")];
    let expected = texts(["https://github.com/acme/web.git", "c291ea71", "5", ""]);
    assert_eq!(told(Provider::AzurePipelines, &azure, &rules), expected);
    let jenkins = json!({ "sub": "https://jenkins.acme.example/job/web/", "build_number": 42 });
    let rules = [("workflow", "https://jenkins.acme.example/job/web/")];
    assert_eq!(told(Provider::Jenkins, &jenkins, &rules), texts(["", "", "42", ""]));
    let kubernetes = json!({
        "aud": [AUDIENCE], "sub": "system:serviceaccount:ci:pusher",
        "kubernetes.io": { "namespace": "ci", "serviceaccount": { "name": "pusher", "uid": "1" } },
    });
    let rules = [("sub", "system:serviceaccount:ci:pusher")];
    assert_eq!(told(Provider::Kubernetes, &kubernetes, &rules), texts(["", "", "", "system:serviceaccount:ci:pusher"]));
}

#[test]
fn an_address_at_google_counts_once_it_is_verified() {
    let email = "pubsub@acme.iam.gserviceaccount.com";
    let google = |verified: Value| {
        let issuer = Provider::Google.issuer().unwrap().to_owned();
        let rule = TokenRule {
            provider: Provider::Google,
            issuer: issuer.clone(),
            claims: vec![claim_rule("email", &[email])],
            ..rule()
        };
        let mut claims = with("iss", json!(issuer));
        (claims["email"], claims["email_verified"]) = (json!(email), verified);
        present_to(&rule, &keys_of(&issuer, &key_set()), &signed(&claims))
    };
    assert_eq!(pushed(&google(json!(true)).unwrap()).actor.as_deref(), Some(email));
    for (verified, value) in [
        (json!(false), "false"),
        (json!("true"), "true"),
        (json!(1), "1"),
        (Value::Null, "missing"),
        (json!([true]), "a list"),
    ] {
        let refused = Refused::Claim { claim: "email_verified".to_owned(), value: value.to_owned() };
        assert_eq!(google(verified.clone()), Err(Denied::Refused(refused)), "{verified}");
    }
}
