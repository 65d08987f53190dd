//! Tokens with one thing wrong.

use aws_lc_rs::{
    hmac,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tagboat_intake::{Denied, Headers, Keys, Refused};

use crate::issuer::{
    ISSUER, Key, NOW, WORLD, ask, claims, elliptic_header, encode, key_set, keys_of, present, rsa_header, rule, signed,
    with, without,
};

/// What is wrong, the token, and words of the refusal.
type Case = (String, String, &'static str);

fn case(name: impl Into<String>, token: String, words: &'static str) -> Case {
    (name.into(), token, words)
}

/// A claim that is missing, and null, and one of these.
fn claim(name: &str, missing: &'static str, others: &[(Value, &'static str)]) -> Vec<Case> {
    let mut cases = vec![
        case(format!("no {name}"), signed(&without(name)), missing),
        case(format!("{name}: null"), signed(&with(name, Value::Null)), missing),
    ];
    for (value, words) in others {
        cases.push(case(format!("{name}: {value}"), signed(&with(name, value.clone())), words));
    }
    cases
}

fn issuers() -> Vec<Case> {
    const OTHER: &str = "its issuer (`iss`) is ";
    claim(
        "iss",
        "it names no issuer",
        &[
            (json!(""), OTHER),
            (json!("https://ci.example/"), OTHER),
            (json!("https://CI.example"), OTHER),
            (json!("http://ci.example"), OTHER),
            (json!("https://ci.example.evil.example"), OTHER),
            (json!(" https://ci.example"), OTHER),
            (json!("https://ci.example\u{0}"), OTHER),
            (json!([ISSUER]), OTHER),
            (json!([ISSUER, "https://evil.example"]), OTHER),
            (json!({ "iss": ISSUER }), OTHER),
            (json!(17), OTHER),
        ],
    )
}

fn audiences() -> Vec<Case> {
    const OTHER: &str = "its audience (`aud`) is ";
    claim(
        "aud",
        "it names no audience",
        &[
            (json!(""), OTHER),
            (json!("other"), OTHER),
            (json!("Tagboat"), OTHER),
            (json!("tagboat "), OTHER),
            (json!("tagboat.evil.example"), OTHER),
            (json!("tagboat,other"), OTHER),
            (json!([]), "is nobody"),
            (json!([""]), OTHER),
            (json!(["one", "another"]), OTHER),
            (json!([["tagboat"]]), OTHER),
            (json!(["tagboat", 7]), OTHER),
            (json!({ "tagboat": true }), OTHER),
            (json!(true), OTHER),
        ],
    )
}

fn times() -> Vec<Case> {
    const NONE: &str = "is not a time in seconds";
    let end = [
        (json!(NOW - 60), "it ended 60 s ago"),
        (json!(NOW - 3600), "it ended 3600 s ago"),
        (json!(0), "it ended"),
        (json!(-1), NONE),
        (json!(format!("{}", NOW + 290)), NONE),
        (json!((NOW + 290) * 1000), NONE),
        (json!(1e300), NONE),
        (json!(u64::MAX), NONE),
        (json!(i64::MAX), NONE),
        (json!(true), NONE),
        (json!([NOW + 290]), NONE),
        (json!({}), NONE),
        (json!(NOW - 10 + 25 * 3600 + 1), "it lives for 90001 s"),
        (json!(NOW - 10), "it ends (`exp`) before it is issued"),
    ];
    let issued = [
        (json!(NOW + 61), "it begins in 61 s only (`iat`)"),
        (json!(NOW - 26 * 3600), "it lives for"),
        (json!("now"), NONE),
        (json!(u64::MAX), NONE),
    ];
    let mut cases = claim("exp", "it has no end (`exp`)", &end);
    cases.extend(claim("iat", "it does not say when it was issued (`iat`)", &issued));
    for (value, words) in [(json!(NOW + 61), "it begins in 61 s only (`nbf`)"), (json!("now"), NONE), (json!([]), NONE)]
    {
        cases.push(case(format!("nbf: {value}"), signed(&with("nbf", value)), words));
    }
    cases
}

/// All of these are truly the issuer's.
fn claims_of_others() -> Vec<Case> {
    let other = "the token's claim repository is ";
    let mut cases = claim(
        "repository",
        "claim repository is missing",
        &[
            (json!("acme/other"), "claim repository is acme/other,"),
            (json!("Acme/web"), other),
            (json!("acme/web2"), other),
            (json!("evil/acme/web"), other),
            (json!("acme/web\n"), other),
            (json!("acme/api-a/b"), other),
            (json!(""), "claim repository is empty"),
            (json!(["acme/web"]), "claim repository is a list"),
            (json!({ "name": "acme/web" }), "claim repository is an object"),
            (json!(7), "claim repository is 7,"),
            (json!(true), "claim repository is true,"),
        ],
    );
    cases.extend(claim(
        "ref",
        "claim ref is missing",
        &[(json!("refs/heads/main2"), "claim ref is refs/heads/main2,")],
    ));
    cases
}

fn header_with(name: &str, value: Value) -> Value {
    let mut header = rsa_header();
    header[name] = value;
    header
}

fn algorithms() -> Vec<Case> {
    const NEITHER: &str = "neither RS256 nor ES256";
    let mut cases = Vec::new();
    for algorithm in ["none", "None", "NONE", "", "rs256", "RS256 ", "RS384", "RS512", "PS256", "ES384", "EdDSA", "dir"]
    {
        let token = WORLD.rsa.token(&header_with("alg", json!(algorithm)), &claims());
        cases.push(case(format!("alg: {algorithm}"), token.clone(), NEITHER));
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        cases.push(case(format!("alg: {algorithm}, unsigned"), unsigned, "it is not signed"));
    }
    for value in [Value::Null, json!(["RS256"]), json!(256)] {
        cases.push(case(format!("alg: {value}"), WORLD.rsa.token(&header_with("alg", value), &claims()), NEITHER));
    }
    let mut header = rsa_header();
    header.as_object_mut().unwrap().remove("alg");
    cases.push(case("no alg", WORLD.rsa.token(&header, &claims()), NEITHER));
    // The public key taken for a shared secret, in each form in which a library may hold it; and a secret that is one.
    let public = WORLD.rsa.public();
    let published = WORLD.rsa.published("rsa-1");
    for (name, secret) in [
        ("DER", public.clone()),
        (
            "PEM",
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&public))
                .into_bytes(),
        ),
        ("JWK", published.to_string().into_bytes()),
        ("modulus", WORLD.rsa.numbers().0),
        ("published secret", b"0123456789abcdef0123456789abcdef".to_vec()),
    ] {
        for id in ["rsa-1", "secret-1"] {
            let header = json!({ "alg": "HS256", "kid": id });
            let message = format!("{}.{}", encode(header.to_string()), encode(claims().to_string()));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
            cases.push(case(format!("HS256 with {name} for {id}"), format!("{message}.{}", encode(tag)), NEITHER));
        }
    }
    cases
}

fn headers() -> Vec<Case> {
    let token = |name: &str, value: Value| WORLD.rsa.token(&header_with(name, value), &claims());
    let cannot = "it does not name its key";
    let other = "is not one for its algorithm";
    let newer = "newer keys of Issuer(\"https://ci.example\") are needed";
    let mut without = rsa_header();
    without.as_object_mut().unwrap().remove("kid");
    let elliptic = |header: &Value| WORLD.elliptic.token(header, &claims());
    vec![
        case("crit: []", token("crit", json!([])), "to be understood (`crit`)"),
        case("crit: [exp]", token("crit", json!(["exp"])), "to be understood (`crit`)"),
        case("crit: null", token("crit", Value::Null), "to be understood (`crit`)"),
        case("kid: 1", token("kid", json!(1)), "(`kid`) is not a text"),
        case("kid: null", token("kid", Value::Null), "(`kid`) is not a text"),
        case("no kid, three keys", WORLD.rsa.token(&without, &claims()), "the issuer has not exactly one"),
        case("no kid", elliptic(&json!({ "alg": "RS256" })), cannot),
        case("kid in capitals", token("kid", json!("RSA-1")), newer),
        case("kid: ''", token("kid", json!("")), newer),
        case("kid: a path", token("kid", json!("../../dev/null")), newer),
        case("the other key's kid", token("kid", json!("elliptic-1")), other),
        case("a secret's kid", token("kid", json!("secret-1")), other),
        case("the kid of a key to encrypt with", token("kid", json!("encryption-1")), other),
        case("the kid of a key for RS512", token("kid", json!("long-hash-1")), other),
        case("the kid of a key for PS256", token("kid", json!("pss-1")), other),
        case("the kid of a broken key", token("kid", json!("broken-1")), "the issuer's key cannot be read"),
        case("ES256 with an RSA key", elliptic(&json!({ "alg": "ES256", "kid": "rsa-1" })), other),
        case("RS256 with an elliptic key", elliptic(&json!({ "alg": "RS256", "kid": "elliptic-1" })), other),
        case(
            "ES256 with a key on P-384",
            WORLD.wide.token(&json!({ "alg": "ES256", "kid": "wide-1" }), &claims()),
            other,
        ),
    ]
}

/// Signed by somebody else, who says where to look for the key.
fn strangers() -> Vec<Case> {
    const NOT_THEIRS: &str = "its signature is not one by the issuer's key";
    let (rsa, elliptic) = (&WORLD.strange_rsa, &WORLD.strange_elliptic);
    let told = |name: &str, value: Value| case(name, rsa.token(&header_with(name, value), &claims()), NOT_THEIRS);
    vec![
        case("a stranger's RSA key", rsa.token(&rsa_header(), &claims()), NOT_THEIRS),
        case("a stranger's elliptic key", elliptic.token(&elliptic_header(), &claims()), NOT_THEIRS),
        told("jwk", rsa.published("rsa-1")),
        told("jku", json!("https://evil.example/jwks")),
        told("x5u", json!("https://evil.example/chain.pem")),
        told("x5c", json!([STANDARD.encode(rsa.public())])),
        told("x5t", json!("AAAA")),
        case(
            "a jwk with its own kid",
            rsa.token(&json!({ "alg": "RS256", "kid": "mine", "jwk": rsa.published("mine") }), &claims()),
            "newer keys",
        ),
    ]
}

fn signatures() -> Vec<Case> {
    const WRONG: &str = "its signature is not one by the issuer's key";
    let right = signed(&claims());
    let (message, signature) = right.rsplit_once('.').unwrap();
    let of_other = signed(&with("repository", json!("acme/api-x")));
    let other = of_other.rsplit_once('.').unwrap();
    let curved = WORLD.elliptic.token(&elliptic_header(), &claims());
    let curve = curved.rsplit_once('.').unwrap().0;
    let Key::Elliptic(pair) = &WORLD.elliptic else { panic!("not elliptic") };
    let document = pair.to_pkcs8v1().unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref()).unwrap();
    let sequence = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), curve.as_bytes()).unwrap();
    let zeros = |count: usize| encode(vec![0; count]);
    let hashed = WORLD.rsa.sign("RS512", message);
    let padded = WORLD.rsa.sign("PS256", message);
    vec![
        case("none", format!("{message}."), "it is not signed"),
        case("cut by one", format!("{message}.{}", &signature[..signature.len() - 1]), WRONG),
        case("cut by half", format!("{message}.{}", &signature[..signature.len() / 2]), WRONG),
        case("one more", format!("{message}.{signature}A"), WRONG),
        case("of another token", format!("{message}.{}", other.1), WRONG),
        case("claims of another token", format!("{}.{signature}", other.0), WRONG),
        case("with padding", format!("{message}.{signature}=="), WRONG),
        case("with a line end", format!("{message}.{signature}\n"), WRONG),
        case("a space before", format!("{message}. {signature}"), WRONG),
        case("with garbage", format!("{message}.{signature}?"), WRONG),
        case("zeros", format!("{message}.{}", zeros(256)), WRONG),
        case("zeros on the curve", format!("{curve}.{}", zeros(64)), WRONG),
        case("nothing but zero", format!("{curve}.AA"), WRONG),
        case("a sequence on the curve", format!("{curve}.{}", encode(sequence)), WRONG),
        case("by RS512 under RS256", format!("{message}.{}", encode(hashed)), WRONG),
        case("by PS256 under RS256", format!("{message}.{}", encode(padded)), WRONG),
    ]
}

fn shapes() -> Vec<Case> {
    const PARTS: &str = "it does not consist of three parts";
    const HEADER: &str = "its header is not an object";
    const CLAIMS: &str = "its claims are not an object";
    let (header, text) = (rsa_header().to_string(), claims().to_string());
    let right = signed(&claims());
    let parts: Vec<&str> = right.split('.').collect();
    let payload = |text: &str| WORLD.rsa.token_of(&header, text);
    let twice = |name: &str, value: &str| payload(&text.replacen('{', &format!("{{\"{name}\":{value},"), 1));
    let mut cases = Vec::new();
    for (name, text) in [
        ("nothing", ""),
        ("null", "null"),
        ("a list", "[]"),
        ("a number", "7"),
        ("a text", "\"claims\""),
        ("cut", &text[..text.len() - 1]),
        ("with a second object", format!("{text}{{}}").as_str()),
        ("with a mark before", format!("\u{feff}{text}").as_str()),
        ("deep", format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000)).as_str()),
    ] {
        cases.push(case(format!("claims are {name}"), payload(text), CLAIMS));
    }
    cases.extend([
        case("claims are empty", payload("{}"), "it names no issuer"),
        case("iss twice", twice("iss", "\"https://evil.example\""), CLAIMS),
        case("repository twice", twice("repository", "\"acme/other\""), CLAIMS),
        case("repository twice, spelled differently", twice("repositor\\u0079", "\"acme/other\""), CLAIMS),
        case("alg twice", WORLD.rsa.token_of(&header.replacen('{', "{\"alg\":\"none\",", 1), &text), HEADER),
        case("a header that is a list", WORLD.rsa.token_of("[]", &text), HEADER),
        case("an empty header", WORLD.rsa.token_of("", &text), HEADER),
        case("not Unicode", format!("{}.{}.{}", parts[0], encode([b'{', 0xff, b'}']), parts[2]), CLAIMS),
        case("one part", parts[0].to_owned(), PARTS),
        case("two parts", format!("{}.{}", parts[0], parts[1]), PARTS),
        case("four parts", format!("{right}.{}", parts[2]), PARTS),
        case("five parts", format!("{right}.{}.{}", parts[1], parts[2]), PARTS),
        case("dots alone", "..".to_owned(), "it is not signed"),
        case("padding in the header", format!("{}=.{}.{}", parts[0], parts[1], parts[2]), HEADER),
        case("padding in the claims", format!("{}.{}=.{}", parts[0], parts[1], parts[2]), CLAIMS),
        case("a space within", format!("{} .{}.{}", parts[0], parts[1], parts[2]), HEADER),
        case("too long", signed(&with("filler", json!("a".repeat(16 * 1024)))), "it is longer than 16384 bytes"),
    ]);
    cases
}

#[test]
fn a_token_with_one_thing_wrong_never_passes() {
    assert!(present(&signed(&claims())).is_ok(), "with nothing wrong it passes");
    let groups = [
        issuers(),
        audiences(),
        times(),
        claims_of_others(),
        algorithms(),
        headers(),
        strangers(),
        signatures(),
        shapes(),
    ];
    let cases: Vec<Case> = groups.into_iter().flatten().collect();
    assert!(cases.len() > 150, "{}", cases.len());
    for (name, token, words) in &cases {
        let denied = present(token).expect_err(name).to_string();
        assert!(denied.contains(words), "{name}: {denied}");
    }
}

#[test]
fn no_character_of_a_token_can_be_another() {
    let right = WORLD.elliptic.token(&elliptic_header(), &claims());
    for place in 0..right.len() {
        for other in ["A", "_", "."] {
            let mut token = right.clone();
            token.replace_range(place..=place, other);
            assert!(token == right || present(&token).is_err(), "{place} {other}");
        }
    }
}

#[test]
fn the_holder_is_told_of_claims_only_when_the_token_is_the_issuers() {
    let claims = with("repository", json!("acme/other"));
    let refused = Refused::Claim { claim: "repository".to_owned(), value: "acme/other".to_owned() };
    assert_eq!(present(&signed(&claims)), Err(Denied::Refused(refused)));
    let forged = WORLD.strange_rsa.token(&rsa_header(), &claims);
    assert!(matches!(present(&forged), Err(Denied::Refused(Refused::Token(_)))));
    let mut late = claims;
    late["exp"] = json!(NOW - 3600);
    assert!(matches!(present(&signed(&late)), Err(Denied::Refused(Refused::Token(_)))));
}

#[test]
fn only_a_bearer_token_in_the_one_header_is_looked_at() {
    let token = signed(&claims());
    let keys = keys_of(ISSUER, &key_set());
    let with = |pairs: &[(&str, String)]| {
        let headers: Headers = pairs.iter().map(|(name, value)| (*name, value.clone())).collect();
        ask(&rule(), &keys, &headers)
    };
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert!(with(&[("authorization", format!("{scheme} {token}"))]).is_ok(), "{scheme}");
    }
    for value in [
        format!("Bearer  {token}"),
        format!("Bearer\t{token}"),
        format!("Basic {token}"),
        format!(" Bearer {token}"),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token} {token}"),
        "Bearer ".to_owned(),
        "Bearer".to_owned(),
        token.clone(),
        String::new(),
    ] {
        assert!(with(&[("authorization", value.clone())]).is_err(), "{value}");
    }
    for name in ["x-authorization", "proxy-authorization", "cookie", "x-forwarded-access-token"] {
        let denied = with(&[(name, format!("Bearer {token}"))]);
        assert_eq!(denied, Err(Denied::Refused(Refused::Missing("authorization"))), "{name}");
    }
    assert!(ask(&rule(), &Keys::default(), &Headers::default()).is_err());
}
