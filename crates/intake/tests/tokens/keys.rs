//! Which of an issuer's keys is taken, and what is asked for when it is not at hand.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tagboat_intake::{Denied, Keys, Provider, Refused, TokenRule};
use tagboat_model::KeySource;

use crate::issuer::{
    ISSUER, WORLD, claim_rule, claims, elliptic_header, encode, key_set, keys_of, present, present_to, rsa_header,
    rule, signed, with, without,
};

/// The modulus of a key of 1024 bits, with which the token below is truly signed.
pub(crate) const WEAK_MODULUS: &str = "ykk_XYggesv-uEXHqwC8XdJCs5qpocOQb3zhq2wyMBPTiTRrTTn5SLIxWI4uvjTSivdgStns6acmAMVT3j9hwmZjlQrw8Xika2j7GrZHaPAZJT7Hy7NusqSP6xdFyfSmC4Ct7cMVsdf054pDc4QNw_guA1ElF0Tm5Lhzh-CH6n8";
const WEAK_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IndlYWsifQ.eyJpc3MiOiJodHRwczovL2NpLmV4YW1wbGUiLCJhdWQiOiJ0YWdib2F0IiwiaWF0IjoxNzk1NjYxOTkwLCJleHAiOjE3OTU2NjIyOTAsInJlcG9zaXRvcnkiOiJhY21lL3dlYiIsInJlZiI6InJlZnMvaGVhZHMvbWFpbiJ9.Pr-64CpLsymqU72Fv5gmLJ3LqNjnKgHmcZOpUNyyzaaF0Hc0zjLgLbVYuCgwDGPpPmwW3pRldReeDLvYzJaeyVKaTM5eF8b5bIi-iKdylWrb-Hwo1goGf432ZRiFYoz4qLcQgcKz7-cXKQ5YnWRnfW_lf2QLbwAyNF4_CilnkVs";

fn source() -> KeySource {
    KeySource::Issuer(ISSUER.to_owned())
}

fn token_error(denied: Result<tagboat_intake::Accepted, Denied>) -> String {
    match denied {
        Err(Denied::Refused(Refused::Token(words))) => words,
        other => panic!("{other:?}"),
    }
}

/// A header without the name of a key.
fn unnamed(algorithm: &str) -> Value {
    json!({ "alg": algorithm })
}

#[test]
fn keys_are_asked_for_when_they_are_not_at_hand() {
    let token = signed(&claims());
    assert_eq!(present_to(&rule(), &Keys::default(), &token), Err(Denied::Needs(source())));
    let of_another = keys_of("https://other.example", &key_set());
    assert_eq!(present_to(&rule(), &of_another, &token), Err(Denied::Needs(source())));
    let rotated = json!({ "keys": [WORLD.strange_rsa.published("rsa-2")] });
    assert_eq!(present_to(&rule(), &keys_of(ISSUER, &rotated), &token), Err(Denied::NeedsNewer(source())));
    for unreadable in [json!({}), json!([]), json!({ "keys": {} }), json!({ "keys": [] }), json!("<html>")] {
        let denied = present_to(&rule(), &keys_of(ISSUER, &unreadable), &token);
        assert_eq!(denied, Err(Denied::NeedsNewer(source())), "{unreadable}");
    }
}

#[test]
fn a_token_that_cannot_pass_asks_for_no_keys() {
    let forged = |claims: &Value| WORLD.strange_rsa.token(&json!({ "alg": "RS256", "kid": "new" }), claims);
    for claims in [with("iss", json!("https://other.example")), with("aud", json!("other")), without("exp"), json!({})]
    {
        let denied = present_to(&rule(), &Keys::default(), &forged(&claims));
        assert!(matches!(denied, Err(Denied::Refused(Refused::Token(_)))), "{claims}: {denied:?}");
    }
}

#[test]
fn keys_of_one_issuer_are_not_those_of_another() {
    let mut keys = keys_of(ISSUER, &key_set());
    let theirs = json!({ "keys": [WORLD.strange_rsa.published("rsa-1")] });
    keys.insert(KeySource::Issuer("https://other.example".to_owned()), theirs.to_string().into_bytes().into());
    let pretended = WORLD.strange_rsa.token(&rsa_header(), &claims());
    assert_eq!(token_error(present_to(&rule(), &keys, &pretended)), "its signature is not one by the issuer's key");
    let other = with("iss", json!("https://other.example"));
    let own = WORLD.strange_rsa.token(&rsa_header(), &other);
    assert!(token_error(present_to(&rule(), &keys, &own)).starts_with("its issuer (`iss`) is https://other.example"));
    let theirs = TokenRule { issuer: "https://other.example".to_owned(), ..rule() };
    assert!(present_to(&theirs, &keys, &own).is_ok());
    assert!(present_to(&theirs, &keys, &WORLD.rsa.token(&rsa_header(), &other)).is_err());
}

#[test]
fn a_short_key_signs_nothing() {
    let words = token_error(present(WEAK_TOKEN));
    assert_eq!(words, "the issuer's RSA key has 1024 bits; at least 2048 are accepted");
}

#[test]
fn without_a_name_the_one_key_that_fits_is_taken() {
    let all = [WORLD.rsa.published("a"), WORLD.elliptic.published("b"), WORLD.wide.published("c"), json!(7)];
    let rsa = WORLD.rsa.token(&unnamed("RS256"), &claims());
    let elliptic = WORLD.elliptic.token(&unnamed("ES256"), &claims());
    let one_of_each = keys_of(ISSUER, &json!({ "keys": all }));
    assert!(present_to(&rule(), &one_of_each, &rsa).is_ok() && present_to(&rule(), &one_of_each, &elliptic).is_ok());
    let two = keys_of(ISSUER, &json!({ "keys": [WORLD.rsa.published("a"), WORLD.strange_rsa.published("b")] }));
    for token in [rsa, elliptic] {
        assert!(token_error(present_to(&rule(), &two, &token)).starts_with("it does not name its key"));
    }
}

#[test]
fn keys_of_one_name_are_all_tried() {
    let (ours, theirs) = (WORLD.rsa.published("rsa-1"), WORLD.strange_rsa.published("rsa-1"));
    let set = json!({ "keys": [theirs, WORLD.elliptic.published("rsa-1"), ours] });
    assert!(present_to(&rule(), &keys_of(ISSUER, &set), &signed(&claims())).is_ok());
}

/// With a zero byte in front, in the other alphabet, with padding.
#[test]
fn keys_are_read_as_jenkins_writes_them() {
    let java = |number: &[u8]| [&[0][..], number].concat();
    let (modulus, exponent) = WORLD.rsa.numbers();
    let (x, y) = WORLD.elliptic.numbers();
    let set = json!({ "keys": [
        { "kid": "rsa-1", "kty": "RSA", "alg": "RS256", "use": "sig", "n": encode(java(&modulus)), "e": encode(exponent) },
        { "kid": "elliptic-1", "kty": "EC", "alg": "ES256", "use": "sig", "crv": "P-256",
          "x": STANDARD.encode(java(&x)), "y": STANDARD.encode(java(&y)) },
    ] });
    let keys = keys_of(ISSUER, &set);
    assert!(present_to(&rule(), &keys, &signed(&claims())).is_ok());
    assert!(present_to(&rule(), &keys, &WORLD.elliptic.token(&elliptic_header(), &claims())).is_ok());
}

#[test]
fn a_rule_that_everybody_could_meet_admits_nobody() {
    let keys = keys_of(ISSUER, &key_set());
    let token = signed(&claims());
    for (rule, words) in [
        (TokenRule { claims: Vec::new(), ..rule() }, "name at least one claim with the values"),
        (TokenRule { claims: vec![claim_rule("ref", &[])], ..rule() }, "name at least one claim with the values"),
        (TokenRule { audiences: Vec::new(), ..rule() }, "name the audience"),
        (TokenRule { audiences: vec![String::new()], ..rule() }, "name the audience"),
        (TokenRule { issuer: String::new(), ..rule() }, "say who issues the tokens"),
    ] {
        assert!(rule.check().unwrap_err().contains(words), "{words}");
        let refusal = token_error(present_to(&rule, &keys, &token));
        assert!(refusal.contains(words), "{refusal}");
    }
    assert_eq!(rule().check(), Ok(()));
}

#[test]
fn at_an_issuer_that_all_share_a_rule_says_whose_tokens_it_means() {
    for (provider, claim, enough) in [
        (Provider::GithubActions, "repository", true),
        (Provider::GithubActions, "job_workflow_ref", false),
        (Provider::GithubActions, "ref", false),
        (Provider::Gitlab, "project_path", true),
        (Provider::Gitlab, "ref_path", false),
        (Provider::Buildkite, "organization_slug", true),
        (Provider::Buildkite, "pipeline_slug", false),
        (Provider::Google, "email", true),
        (Provider::Google, "azp", false),
    ] {
        let issuer = provider.issuer().unwrap().to_owned();
        let shared = TokenRule { provider, issuer, claims: vec![claim_rule(claim, &["x"])], ..rule() };
        assert_eq!(shared.check().is_ok(), enough, "{provider} {claim}");
        let own = TokenRule { issuer: "https://own.example".to_owned(), ..shared };
        assert_eq!(own.check(), Ok(()), "{provider} {claim}: an installation of one's own has no strangers");
    }
}
